"""The friendly prompt's line editor: echo, backspace, continuation lines, paste mode."""

_PROMPT = b">>> "
_CONTINUED = b"... "
_BACKSPACES = (8, 127)
_ESCAPE = 27
_CTRL_C, _CTRL_D, _CTRL_E = 3, 4, 5
_COMPOUND = ("if", "while", "for", "try", "with", "def", "class", "async", "@")


class Line:
    def __init__(self, take, send) -> None:
        """`take(1)` waits for a byte of the line, `send(bytes)` shows."""
        self._take, self._send = take, send
        self.text = ""

    def read(self) -> int:
        """A whole statement into `text`; returns 0, or the control character that ended the first line."""
        self.text = ""
        end, self.text = self._line(_PROMPT)
        while end == 0 and _goes_on(self.text):
            self._send(b"\r\n")
            end, line = self._line(_CONTINUED)
            if end == _CTRL_D:
                return 0
            if end:
                return _CTRL_C
            self.text += "\n" + line
        return end

    def paste(self) -> int:
        """Everything up to Ctrl-D into `text`; returns Ctrl-D, or Ctrl-C when it was cancelled."""
        self._send(b"paste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
        taken = bytearray()
        while True:
            char = self._take(1)[0]
            if char in (_CTRL_C, _CTRL_D):
                self._send(b"\r\n")
                self.text = taken.decode()
                return char
            taken += b"\n" if char == 13 else bytes([char])
            self._send(b"\r\n=== " if char == 13 else bytes([char]))

    def _line(self, prompt: bytes) -> tuple[int, str]:
        """(0 or the control character that ended it, text)"""
        self._send(prompt)
        line = bytearray()
        while True:
            char = self._take(1)[0]
            if char == 13:
                return 0, line.decode()
            if char in _BACKSPACES:
                if line:
                    line = line[:-1]
                    self._send(b"\b \b")
            elif char == _ESCAPE:
                if self._take(1) == b"[":
                    while self._take(1)[0] < 0x40:
                        pass
            elif 1 <= char <= _CTRL_E and (not line or char == _CTRL_C):
                return char, ""
            elif char >= 32 or char == 9:
                line.append(char)
                self._send(bytes([char]))


def _goes_on(text: str) -> bool:
    """A compound statement ends with an empty line, anything else when its brackets and quotes are closed."""
    depth, quote, at = 0, "", 0
    while at < len(text):
        char, three = text[at], text[at : at + 3]
        if quote:
            if char == "\\":
                at += 1
            elif text[at : at + len(quote)] == quote:
                at += len(quote) - 1
                quote = ""
            elif char == "\n" and len(quote) == 1:
                quote = ""
        elif three in ("'''", '"""'):
            quote = three
            at += 2
        elif char in "'\"":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        at += 1
    if depth > 0 or len(quote) == 3 or text.endswith("\\"):
        return True
    return _is_compound(text) and not text.endswith("\n")


def _is_compound(text: str) -> bool:
    for word in _COMPOUND:
        rest = text[len(word) : len(word) + 1]
        if text.startswith(word) and (word == "@" or not (rest.isalpha() or rest.isdigit() or rest == "_")):
            return True
    return False
