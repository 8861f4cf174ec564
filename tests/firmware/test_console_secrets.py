# mypy: allow-untyped-calls
"""Whoever stands at the pole with a cable may ask the console anything: it shows no secret."""

import json
from types import ModuleType
from typing import Any

import column_rig
import pytest
from column_rig import Rig
from config_document import CERTIFICATE, document
from console_rig import TypingBoard, typed

from firmware.console import help, status

LONGEST_MS = 13_000
SECRETS = {
    "wifi_ssid": "the-network",
    "wifi_password": "wifi-pass-word",
    "mqtt_user": "petropavl-01",
    "mqtt_password": "mqtt-pass-word",
    "tls_key": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LXRscy1rZXk\n-----END PRIVATE KEY-----\n",
    "auth_key": "5ec7e7" + "ab" * 29,
    "answer_key": "a45e17" + "cd" * 29,
}
HIDDEN = ("wifi-pass-word", "mqtt-pass-word", "c2VjcmV0", "PRIVATE KEY", "5ec7e7", "a45e17")


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """On its flash lie the files that provisioning made, as on a real board."""
    monkeypatch.setattr(column_rig, "FakeBoard", TypingBoard)
    changes: dict[str, Any] = {f"secrets__{key}": value for key, value in SECRETS.items()}
    rig = Rig(broker__tls={"ca": CERTIFICATE, "cert": CERTIFICATE}, **changes)
    whole = document(**changes)
    secrets = whole.pop("secrets")
    rig.board.flash.replace("config.json", json.dumps(whole).encode())
    rig.board.flash.replace("secrets.json", json.dumps(secrets).encode())
    return rig.up()


def shown(rig: Rig) -> str:
    """All that the console printed, and all that went to the broker but the login."""
    for command, _ in help.COMMANDS:
        assert typed(rig, command.encode() + b"\n", LONGEST_MS), command
    sent = [one.payload for stream in rig.streams for one in stream.heard]
    return "\n".join(rig.board.logged) + b"\n".join(sent).decode("utf-8", "replace")


def test_no_command_shows_a_secret(rig: Rig) -> None:
    """Every command of `help`, and what the column says by itself meanwhile."""
    text = shown(rig)
    assert "console: " in text and [one for one in HIDDEN if one in text] == []


def test_a_command_that_shows_one_is_noticed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    module: ModuleType = status

    def leaky(board: Any, column: Any) -> Any:
        yield {"status": SECRETS["auth_key"]}

    monkeypatch.setattr(module, "run", leaky)
    monkeypatch.setattr(rig.board, "forget", lambda *names: None)
    assert "5ec7e7" in shown(rig)
