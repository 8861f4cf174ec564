"""A board without a configuration that it could run on."""

from firmware.lamp import Lamp
from firmware.timing import Deadline

_SAY_AGAIN_MS = 10000
_WAIT_MS = 500
_WATCHDOG_MS = 8000


def wait_for_technician(board, boot: dict, errors: list) -> None:
    """No usable configuration and none that ever worked: say so, on the lamp and on the console. Never returns."""
    board.log("boot: number=%d cause=%s mode=unconfigured culprit=None" % (boot["number"], board.reset_cause()))
    lamp = Lamp(board)
    lamp.show("out-of-service")
    watchdog = board.watchdog(_WATCHDOG_MS)
    say_again = Deadline(board, 0)
    while True:
        if say_again.expired():
            say_again.start(_SAY_AGAIN_MS)
            for error in errors:
                board.log("configuration: %s" % error)
        lamp.step()
        watchdog.feed()
        board.contact.is_closed()  # seen: else a contact that stays closed ends every wait at once
        board.wait(_WAIT_MS)
