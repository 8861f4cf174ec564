"""A year of a column in one uptime, in virtual time."""
