"""What every simulation in virtual time checks: invariants, the oracle of the contact, writes to flash."""
