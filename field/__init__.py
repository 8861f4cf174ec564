"""Tools for real devices: provisioning, flashing, repair. They know the firmware, not the simulator."""
