"""The desk: the control centre that hears every column, keeps the register, and shows it to the duty officer."""

from common.interrupted import end_quietly

end_quietly()  # what its commands import takes its time
