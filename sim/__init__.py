"""The simulator: virtual columns, a virtual street, brokers and a control centre."""

from common.interrupted import end_quietly

end_quietly()  # what its commands import takes its time
