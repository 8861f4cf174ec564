# mypy: allow-untyped-calls
"""An endpoint of a stream that answers as it is told."""

from typing import Any

from sim.virtual.servers import stream_answer


class FakeEndpoint:
    """`hal.interface.Stream` with a server behind it: `answer` to all that was written, None = silence."""

    def __init__(self, answer: Any = stream_answer, opened: bool | OSError = True, drip: int = 100) -> None:
        self._answer, self._opened, self._drip = answer, opened, drip
        self._incoming = b""
        self.written = b""
        self.ends = False
        self.closed = False

    def is_open(self) -> bool:
        if isinstance(self._opened, OSError):
            raise self._opened
        return self._opened

    def write(self, data: bytes) -> int:
        taken = data[: self._drip]
        self.written += taken
        self._incoming = (self._answer(self.written) or b"") if self.written.endswith(b"\r\n\r\n") else b""
        return len(taken)

    def read_into(self, buffer: Any) -> int | None:
        count = min(len(buffer), self._drip, len(self._incoming))
        if not count:
            return 0 if self.ends else None
        buffer[:count] = self._incoming[:count]
        self._incoming = self._incoming[count:]
        return count

    def close(self) -> None:
        self.closed = True
