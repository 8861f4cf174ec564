"""A boot that turned out to be a healthy one: the boot-loop counter starts again, its firmware and its configuration
work."""

from firmware import record
from firmware.resets import ACTIVE_FILE, ADDRESS_FILE, BOOT_FILE, GOOD_FILE, TRIAL_FILE


def note(board, boot: int, had_session: bool) -> bool:
    """False: not yet, or the flash failed. Where there was ever a session with the broker, what is new must have one
    too: until then the firmware and the configuration before are the ones to go back to."""
    flash = board.flash
    try:
        does_duty = had_session or not flash.size(ADDRESS_FILE)
        is_new = flash.size(ACTIVE_FILE) > 1
        if does_duty or not is_new:
            entry = record.frame(b'{"n":%d,"u":0}' % boot)
            if flash.read(BOOT_FILE) != entry:
                flash.replace(BOOT_FILE, entry)
        if not does_duty:
            return not is_new and not flash.size(TRIAL_FILE)
        if flash.size(TRIAL_FILE):
            flash.rename(TRIAL_FILE, GOOD_FILE)
        if is_new:
            flash.replace(ACTIVE_FILE, flash.read(ACTIVE_FILE)[:1])
    except OSError as error:
        board.log("resets: health not recorded: %s" % error)
        return False
    return True
