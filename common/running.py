"""What runs between `start` and `stop`, and so between the two ends of a `with`."""

from abc import ABC, abstractmethod
from typing import Self


class Running(ABC):
    """A server, a client, a process: `with` starts it, and stops it whatever happened inside."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
