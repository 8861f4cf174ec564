"""How a client of a broker ends."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.home import ROOT
from common.mqtt import end


class Quick(mqtt.Client):
    """paho's, whose thread ends behind the second look at it."""

    looks = 0

    @property
    def _thread(self) -> threading.Thread | None:
        self.looks += 1
        return threading.Thread() if self.looks <= 2 else None

    @_thread.setter
    def _thread(self, thread: Any) -> None: ...


def test_a_thread_that_ends_between_two_looks_has_ended() -> None:
    """paho 2.1 raises then. Red where `end` lets that out: the desk would not stop in order."""
    with pytest.raises(AttributeError, match="join"):
        Quick(CallbackAPIVersion.VERSION2).loop_stop()
    client = Quick(CallbackAPIVersion.VERSION2)
    end(client)
    assert client.looks == 3


def test_each_client_ends_like_that() -> None:
    files = [path for path in ROOT.glob("*/**/*.py") if path.parts[len(ROOT.parts)][0] != "."]
    assert len(files) > 500, "the rule looks at nothing"
    stops = {path.name for path in files if re.search(r"\.loop_stop\(", path.read_text("utf-8"))}
    assert stops == {"mqtt.py", Path(__file__).name}
