"""What runs inside real MicroPython: a NOR flash under its LittleFS, and a light board for the real firmware on it."""
