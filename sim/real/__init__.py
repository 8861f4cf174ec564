"""A column in real time: a process that is the chip, and everything outside of it."""
