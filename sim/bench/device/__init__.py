"""What the bench puts on the flash of a simulated chip, beside the unmodified firmware. Runs on the chip only."""
