"""Negative controls: firmware, or flash, that breaks a promise on purpose. Applied to the staged copy only."""

from typing import NamedTuple

from sim.real.changed import Change
from sim.search.findings import Control

_FLASH = "hal/esp32_flash.py"
_APPEND = """        with self.quiet, open(name, "ab") as file:
            file.write(data)
"""
_REPLACE = """        with self.quiet:
            with open(name + ".new", "wb") as file:
                file.write(data)
            os.rename(name + ".new", name)
"""
_RENAME = """            os.rename(name + ".new", name)
"""


class Sabotage(NamedTuple):
    """`caught`: how the complaint about it begins. `life` and `kind` of write: where to look for it."""

    control: Control
    breaks: tuple[Change, ...]
    caught: str
    life: str
    kind: str


SABOTAGES = {
    "acknowledge-before-close": Sabotage(
        Control("a journal record counts as written while its file is still open", "no press lost"),
        (
            Change(
                _FLASH,
                _APPEND,
                "        self.close()\n        self.late = open(name, 'ab')\n        self.late.write(data)\n\n"
                "    def close(self):\n        if hasattr(self, 'late'):\n            self.late.close()\n",
            ),
        ),
        "lost",
        "call",
        "append to journal.log: release",
    ),
    "remove-then-rename": Sabotage(
        Control("a file is removed before its new content is renamed into its place", "no press lost"),
        (Change(_FLASH, _RENAME, "            Flash.remove(self, name)\n" + _RENAME),),
        "lost",
        "compaction",
        "replace journal.log",
    ),
    "in-place-rewrite": Sabotage(
        Control("a file is emptied and written anew in its place", "no press lost"),
        (Change(_FLASH, _REPLACE, "        open(name, 'wb').close()\n" + _APPEND),),
        "lost",
        "compaction",
        "replace journal.log",
    ),
    "flush-in-mid-record": Sabotage(
        Control("the first half of a journal record is flushed before the second is written", "no torn record"),
        (
            Change(
                _FLASH,
                _APPEND,
                _APPEND.replace("(data)", "(data[: len(data) // 2])")
                + "            file.flush()\n            file.write(data[len(data) // 2 :])\n",
            ),
        ),
        "torn",
        "call",
        "append to journal.log: open",
    ),
    "program-without-erase": Sabotage(
        Control("the flash chip says it has erased a block and has not", "programs only clear bits"),
        (
            Change(
                "sim/search/power_cuts/device/nor.py",
                "        self._bytes[start : start + BLOCK_BYTES] = _ERASED\n",
                "        self.touched.add(start // BLOCK_BYTES)\n",
            ),
        ),
        "flash",
        "call",
        "append to journal.log: open",
    ),
    "boot-not-counted": Sabotage(
        Control("boot.py takes a number and does not write it down", "no id twice"),
        (Change("boot.py", "_write(number + 1, ", "_write(number, "),),
        "twice",
        "call",
        "replace broker.addr",
    ),
    "press-written-twice": Sabotage(
        Control("a further press is counted double in the journal", "nothing invented"),
        (Change("firmware/incidents.py", '"n": newest.press}', '"n": newest.press + 1}'),),
        "invented",
        "call",
        "append to journal.log: press",
    ),
    "answer-before-journal": Sabotage(
        Control("the lamp shows an answer before it is on flash", "no answer forgotten"),
        (
            Change(
                "firmware/incidents.py",
                "        if one.answered(incident.ACK_STATES[state], heard):\n",
                "        if one.answered(incident.ACK_STATES[state], heard):\n            self._on_change()\n",
            ),
        ),
        "forgotten",
        "call",
        "append to journal.log: state",
    ),
    "kept-without-drill": Sabotage(
        Control("a new firmware is kept although no drill was answered", "a life as scripted"),
        (Change("firmware/update/trial.py", "        return self._is_proved\n", "        return True\n"),),
        "life",
        "update without a drill",
        "remove update.manifest",
    ),
    "renewed-without-trial": Sabotage(
        Control("new certificates take the place of the old ones before there was a session", "it raises alarms"),
        (
            Change(
                "firmware/update/renewal.py",
                "flash.replace(renewed.RENEWAL_FILE, ",
                "flash.replace(renewed.RENEWED_FILE, ",
            ),
        ),
        "alarms",
        "renewal that no broker takes",
        "remove update.part",
    ),
    "no-last-good": Sabotage(
        Control("the last configuration that worked is not looked for", "it boots"),
        (
            Change(
                "firmware/startup/config_files.py",
                "        return json.loads(records[0].decode()) if records else None\n",
                "        return None\n",
            ),
        ),
        "boots",
        "configuration",
        "copy config.json",
    ),
}
