"""What is typed on the console, taken apart and answered. In memory only while somebody types.

A line is a command. Its answer is lines of JSON behind `console: `: each has `re`, the command, and the last one has
`ok`. They are short and come one a turn, for the port is slow and the loop waits until it has taken a line.
The commands are in modules of their own, which are in memory only while they run: generators of what is to be said
(a dict) and of how long they can wait (ms). What they raise is told, and harms nobody.
"""

from firmware import const, encoding
from firmware.timing import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINE_MAX = 120  # bytes; what is longer is ignored, and so is a line with anything but ASCII in it
WORD_MAX = 16  # characters: nothing longer is a command, least of all our own answer on a line that echoes
AGAIN_MS = const(200)  # from one command's beginning to the next's: a flood of them costs little more than one
LINGER_MS = const(3000)  # for the rest of a line, and for the next one
NEEDS_BYTES = 6144  # of free heap: as in console.py, less what this takes itself
SHORT = "too little memory is free"
_BYTES_A_MS = const(11)  # of a port at 115,200 baud
_CTRL_C = const(3)
_CODE = const("code")
_OPEN = ("status", "files", "net", "certs", "stream", "logs", "help", _CODE)  # of a locked console: they only tell


class Talk:
    """`load(word)`: a command's generator function; raises ValueError for what is none."""

    def __init__(self, board, column, load=None):
        self._board = board
        self._column = column
        self._load = load or _load
        self._line = bytearray()
        self._is_garbage = False
        self._asked = ""  # the last command that came: its turn is next
        self._word = ""
        self._loaded: tuple = ()  # modules: of a command that we have, not of whatever was typed
        self._answer: Any = None  # of the command that runs
        self._again = Deadline(board, 0)
        self._pause = Deadline(board, 0)
        self._linger = Deadline(board, LINGER_MS)

    def step(self, typed: bytes):
        """Ms until the next step, or None: nobody says anything any more."""
        for byte in typed:
            self._take(byte)
        is_calm = not self._column.button.wants_calm()
        if self._asked and is_calm and not self._again.left_ms(0):
            self._begin()
        elif self._answer is not None and (is_calm or self._word == "button") and not self._pause.left_ms(0):
            self._go_on()
        if typed or self._asked or self._answer is not None:
            self._linger.start(LINGER_MS)
        if self._answer is not None:
            return max(1, self._pause.left_ms(0))
        return max(1, self._again.left_ms(0)) if self._asked else self._linger.left_ms(0) or None

    # -- what is typed

    def _take(self, byte):
        if byte == _CTRL_C and self._column.lock:  # locked, else it would have ended our duty
            self._asked = _CODE
        elif byte in b"\r\n":
            if not self._is_garbage:
                self._command(self._line.decode().strip().lower())
            self._line = bytearray()
            self._is_garbage = False
        elif self._is_garbage or not 32 <= byte < 127 or len(self._line) >= LINE_MAX:
            self._is_garbage = True
        else:
            self._line.append(byte)

    def _command(self, word):
        if 0 < len(word) <= WORD_MAX:
            self._asked = word

    # -- what is answered

    def _begin(self):
        if self._answer is not None:
            self._end("another command came")
        self._word, _, typed = self._asked.partition(" ")
        self._asked = ""
        self._board.collect()
        self._again.start(AGAIN_MS)
        try:
            if self._board.heap() < NEEDS_BYTES:
                raise ValueError(SHORT)
            self._answer = self._run(typed.strip())
        except Exception as error:
            self._end(_in_words(error))

    def _run(self, typed):
        """The command's generator."""
        word, lock = self._word, self._column.lock
        run = self._load(word)
        self._loaded = ("firmware.console." + word,)
        if word == _CODE:
            return run(self._board, self._column, typed)
        if typed:
            raise ValueError("unknown command; type: help")
        if lock and not lock.is_open() and word not in _OPEN:
            raise ValueError("a technician's code is needed; type: code; or at a laptop: make code PORT=...")
        return run(self._board, self._column)

    def _go_on(self):
        try:
            said = next(self._answer)
        except StopIteration:
            self._end(None)
        except Exception as error:  # the column's duty does not end with an answer
            self._end(_in_words(error))
        else:
            if isinstance(said, int):
                self._pause.start(said)
            else:
                self._say(said)

    def give_up(self) -> bool:
        """Memory is scarce, and an alarm wants it: false while that is what the answer is about."""
        if self._word == "button":
            return False
        if self._answer is not None:
            self._end(SHORT)
        return True

    def close(self) -> None:
        """The command that runs ends here, and is not told of."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        self._board.discard("firmware.console.pieces", *self._loaded)
        self._loaded = ()

    def _end(self, error):
        self.close()
        self._say({"ok": True} if error is None else {"ok": False, "error": error})

    def _say(self, line):
        line["re"] = self._word
        text = "console: " + encoding.encode(line).decode()
        self._board.log(text)
        self._pause.start(len(text) // _BYTES_A_MS + 1)


def _load(word):
    """A command's generator function."""
    if word == "status":
        from firmware.console.status import run
    elif word == "files":
        from firmware.console.files import run
    elif word == "net":
        from firmware.console.net import run
    elif word == "certs":
        from firmware.console.certs import run
    elif word == "stream":
        from firmware.console.stream import run
    elif word == "access":
        from firmware.console.access import run
    elif word == "logs":
        from firmware.console.logs import run
    elif word == "lamp":
        from firmware.console.lamp import run
    elif word == "button":
        from firmware.console.button import run
    elif word == "test":
        from firmware.console.test import run
    elif word == _CODE:
        from firmware.console.code import run  # type: ignore[assignment]  # takes what is typed behind it, too
    elif word == "help":
        from firmware.console.help import run
    else:
        raise ValueError("unknown command; type: help")
    return run


def _in_words(error):
    return str(error) if isinstance(error, ValueError) else "%s: %s" % (type(error).__name__, error)
