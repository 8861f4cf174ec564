# mypy: ignore-errors
# ruff: noqa: I001, PTH102, PTH123, PTH208, SIM105, UP031
"""A light board for the real firmware: virtual time, in-process servers, and the real HAL's files on LittleFS.

A script moves it: [[at_ms, what, argument], ...] from power-up on; see `Board._perform`. `End` comes out of `wait`.
"""

from binascii import b2a_base64, unhexlify

from hal.esp32_flash import Flash

from .servers import Broker, Lookup, Stream, TimeServer

_PERIOD = 1 << 30  # of ticks_ms
_FIRST_TICKS = _PERIOD - 700  # the ticks wrap early in every life
_TURN_US = 50
_PRESS_US = 26000  # `button.press_ms` of every life, the least that the configuration allows
_EPOCH_2026_MS = 1795000000000
_SECONDS_1900_TO_1970 = 2208988800
_CHUNK_BYTES = 256  # as mpremote copies
EIO = 5
_KIND_KEY = b'"k": "'  # of a journal record


class End(BaseException):
    """The script is over; `reason` in words. No `except Exception` of the firmware catches it."""


class LabelledFlash(Flash):
    """The chip's own, which tells what kind of write is under way. A kind that nobody foresaw gets its own name too."""

    def __init__(self, tell) -> None:
        self._tell = tell
        self.unreadable = None

    def read(self, name):
        if name == self.unreadable:
            raise OSError(EIO, "flash read")
        return super().read(name)

    def append(self, name, data):
        self._told(_append_kind(name, data), super().append, name, data)

    def replace(self, name, data):
        self._told("replace " + name, super().replace, name, data)

    def rename(self, old, new):
        kind = "rename update.part into the folder" if "/" in new else "rename %s to %s" % (old, new)
        self._told(kind, super().rename, old, new)

    def remove(self, name):
        self._told("remove from the folder" if "/" in name else "remove " + name, super().remove, name)

    def make_folder(self, name):
        self._told("make a folder", super().make_folder, name)

    def _told(self, kind, write, *arguments):
        self._tell(kind)
        write(*arguments)
        self._tell(None)


def _append_kind(name, data):
    """Journal records by their kind: an acknowledgement is another kind of write than a press."""
    at = data.rfind(_KIND_KEY)
    if at < 0 or name != "journal.log":
        return "append to " + name
    return "append to " + name + ": " + data[at + len(_KIND_KEY) :].split(b'"')[0].decode()


class Board:
    chip = "esp32"
    uid = "a0b1c2d3e4f5"
    micropython = "1.25.0"

    def __init__(self, witness, script, cause, tell=lambda kind: None, device=None, offered=None) -> None:
        self.witness = witness
        self.flash = LabelledFlash(tell)
        self.tell = tell
        self.us = 0
        self.logged = []
        self.on_turn = None  # called in each wait; may raise End
        self.came = None  # how the column came up, once it did
        self.answer_new = None  # the state that the centre answers each press with that was not restored, at once
        self.told = False  # it did
        self._script = list(script)
        self._cause = cause
        self._device = device
        self._epoch_us = _EPOCH_2026_MS * 1000
        self._seed = 7
        self._closed_us = None  # since when the contact is closed
        self._dying = False
        self.broker = Broker(self._alarm, self._want)
        # {"files": {name: text}}, for a release also "signature" (hex) and "manifest" (text); with "known" the broker
        # goes by certificates: fingerprints of those with which it lets the column in
        self.offered = offered
        self.answers_drills = True
        self.contact = self.lamp = self.relay = self.link = self.scratch = self  # one object plays all small parts
        self.counts = True
        self._counted = 0
        if witness.closed_contact:
            self._closed_us = 0

    # -- the script

    def _perform(self, what, argument) -> None:
        if what == "press":
            self._close()
            self._later(argument, "release", None)
        elif what == "hold":
            self._close()
        elif what == "release":
            self._closed_us = None
            self.witness.contact(False)
        elif what == "answer":
            self._answer(argument)
        elif what == "command":
            self.broker.publish(self._device, "cmd", argument)
        elif what == "pass":  # of the time that nothing happens in, at once
            self.us += argument * 1000
        elif what == "die":
            self._dying = True
        elif what == "copy":
            self._copy(*argument)
        elif what == "no drills":
            self.answers_drills = False
        elif what == "end":
            raise End(argument)
        else:
            raise ValueError("no such step in a script: %s" % what)

    def _later(self, ms, what, argument) -> None:
        at_ms = self.us // 1000 + ms
        place = 0
        while place < len(self._script) and self._script[place][0] <= at_ms:
            place += 1
        self._script.insert(place, [at_ms, what, argument])

    def _close(self) -> None:
        self._closed_us = self.us
        self._counted += 1
        self.witness.contact(True)

    def _answer(self, state, ident=None) -> None:
        ident = ident or self.witness.last_id
        self.witness.centre_answers(ident, state)
        self.broker.publish(self._device, "ack", {"v": 1, "id": ident, "state": state, "by": "cuts", "at": None})

    def _copy(self, name, text) -> None:
        """What a technician's tool does: in place, piece by piece, and here each piece is on flash before the next."""
        self.tell("copy " + name)
        data = text.encode()
        with open(name, "wb") as file:
            for start in range(0, len(data), _CHUNK_BYTES):
                file.write(data[start : start + _CHUNK_BYTES])
                file.flush()
        self.tell(None)

    def _want(self, body) -> None:
        """The centre has what is offered, and keeps no books of who asked."""
        if body["file"] == "signature":
            data = unhexlify(self.offered["signature"])
        elif body["file"] == "manifest":
            data = self.offered["manifest"].encode()
        else:
            data = self.offered["files"][body["file"]].encode()
        piece = data[body["at"] : body["at"] + body["bytes"]]
        answer = {key: body[key] for key in ("v", "release", "file", "at")}
        answer["data"] = b2a_base64(piece).decode().strip()
        self.broker.publish(self._device, "piece", answer)

    def _alarm(self, body) -> None:
        if body["status"] == "test":  # a drill, which is nobody's press
            if self.answers_drills:
                self.broker.publish(self._device, "ack", {"v": 1, "id": body["id"], "state": "received"})
            return
        self.witness.alarm(body)
        if self.answer_new and body["press"] > self.came.presses.get(body["id"], 0):
            self._answer(self.answer_new, body["id"])
            self.told = True

    # -- time

    def wait(self, timeout_ms):
        self.us += _TURN_US
        if self.on_turn:
            self.on_turn()
        if not self.broker.out:
            until_us = self.us + timeout_ms * 1000
            if self._script:
                until_us = min(until_us, self._script[0][0] * 1000)
            self.us = max(self.us, until_us)
        while self._script and self._script[0][0] * 1000 <= self.us:
            _, what, argument = self._script.pop(0)
            self._perform(what, argument)
        if self._closed_us is not None and self.us - self._closed_us >= _PRESS_US:
            self.witness.held_long_enough()
        return 0  # the contact changes where a wait ends, and is looked at then

    def ticks_ms(self):
        return (_FIRST_TICKS + self.us // 1000) % _PERIOD

    def ticks_diff(self, later, earlier):
        return (later - earlier + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    def ticks_add(self, ticks, delta_ms):
        return (ticks + delta_ms) % _PERIOD

    def epoch_ms(self):
        return (self._epoch_us + self.us) // 1000

    def set_epoch_ms(self, epoch_ms):
        self._epoch_us = epoch_ms * 1000 - self.us

    # -- contact, lamp, relay, link, scratch memory

    def is_closed(self):
        return self._closed_us is not None

    def integrate(self, press_ms):
        return None

    def closures(self):
        counted, self._counted = self._counted, 0
        return counted

    def show(self, red, green, blue):
        self.witness.lamp_shows((red, green, blue))

    def set(self, closed):
        if closed:
            self.witness.relay_closes()

    failure = None

    def start(self):
        pass

    restart = start

    def is_up(self):
        if self._dying:
            raise RuntimeError("scripted death")
        return True

    def describe(self):
        return {"kind": "wifi", "rssi_dbm": -60, "address": "192.0.2.9", "status": 1010}

    def read(self):
        return b""

    def write(self, data):
        pass

    # -- the chip

    def reset_cause(self):
        return self._cause

    def random(self, below):
        self._seed = (self._seed * 1103515245 + 12345) % (1 << 31)
        return self._seed % below

    def heap(self):
        return 60000

    def system_heap(self):
        return 60000

    def collect(self):
        pass

    def forget(self, *modules):
        pass  # its files are gone, and memory is not what this is about

    discard = forget

    def describe_error(self, error):
        return repr(error)

    def log(self, text):
        self.logged.append(text)

    def watchdog(self, timeout_ms):
        return self

    def feed(self):
        pass

    def reset(self):
        raise End("reset")

    def configure(self, config):
        pass

    def tamper_open(self):
        return None

    def typed(self, limit):
        return None

    def heed_interrupt(self, is_heeded):
        pass

    def supply_mv(self):
        return None

    # -- the network

    def lookup(self, name):
        return Lookup()

    def dial(self, address, port, tls):
        known = (self.offered or {}).get("known")
        if known is not None and self.came.certificates not in known:
            raise OSError("TLS: the broker refuses us")
        return Stream(self.broker)

    def datagram(self, address, port):
        return TimeServer(_EPOCH_2026_MS // 1000 + _SECONDS_1900_TO_1970)
