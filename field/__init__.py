"""Tools for real devices: provisioning, flashing, repair. They know the firmware, not the simulator."""

from common.interrupted import end_quietly

end_quietly()  # what its commands import takes its time
