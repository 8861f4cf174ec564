"""Many alarms in one uptime on real MicroPython: memory and packet ids."""
