"""What a debouncer says to a look at the contact."""

from firmware import const

NOTHING = const(0)
PRESS = const(1)
RELEASE = const(2)
PRESS_IN_STALL = const(3)  # nobody saw all of it
