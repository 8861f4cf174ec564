"""The inside of a simulated ESP32: what the device's code sees instead of silicon. Runs on CPython and MicroPython."""
