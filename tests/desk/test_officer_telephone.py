"""An officer's telephone rings by SIP: baresip answers it, or does not. Only a pressed key says that somebody heard."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from column_probe import need
from duty_rig import ROOT, alarm_of, until

from desk.ledger import Incident
from desk.officers import Call, NotTold, OfficerError, make, sip
from desk.page import Page
from desk.rungs import Telling
from desk.sip.under_way import UnderWay
from desk.telling import call_of
from sim.servers.intercom import ENDS, Intercom


def call() -> Call:
    alarm = alarm_of()
    one = Incident(alarm["id"], "nko", alarm["device_id"], 1_800_000_000, 1_800_000_000, alarm, press=1, actual=True)
    return call_of(Telling(one.id, 0, "30-duty", "duty", 1, False), one, "desk-1", 1_800_000_030_000, "en")


@pytest.fixture(scope="module")
def telephone() -> Iterator[Intercom]:
    need("baresip")
    running = Intercom("duty-officer")
    with running:
        yield running
    running.close()


def told(telephone: Intercom, then: str, *parameters: str) -> str:
    """What the officer's way returns when the telephone, once it has answered, does that."""
    found: list[str | Exception] = []

    def dial() -> None:
        try:
            found.append(make("duty", {"how": "sip", "to": telephone.address})(call()))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=dial)
    thread.start()
    telephone.wait_for_calls(1)
    telephone.do(then, *parameters)
    thread.join(60)
    telephone.wait_for_calls(0)
    (end,) = found
    if isinstance(end, Exception):
        raise end
    return end


@pytest.mark.baresip
def test_whoever_presses_the_key_was_told(telephone: Intercom) -> None:
    assert told(telephone, "sndcode", "1") == "answered, and pressed 1"


@pytest.mark.baresip
def test_whoever_only_answers_may_be_a_machine(telephone: Intercom) -> None:
    """Red where an answered call counts as told."""
    with pytest.raises(RuntimeError, match="did not press 1"):
        told(telephone, "hangup")


@pytest.mark.baresip
def test_a_telephone_that_nobody_answers_was_not_told() -> None:
    need("baresip")
    ringing = Intercom("nobody", answers=False)
    with ringing, pytest.raises(NotTold, match="no-answer"):
        make("duty", {"how": "sip", "to": ringing.address, "ring_s": 1})(call())
    ringing.close()


# -- a desk that is killed meanwhile says no farewell

CALLER = """
import sys
from pathlib import Path
from types import SimpleNamespace
from desk.officers import make
make("duty", {"how": "sip", "to": sys.argv[1]}, Path(sys.argv[2]))(SimpleNamespace(key="a/0/30-duty", repeated=False))
"""


def seen(telephone: Intercom, kind: str, times: int = 1) -> None:
    until(lambda: [one["type"] for one in telephone.events].count(kind) >= times, f"{kind} at the telephone")


@pytest.mark.baresip
@pytest.mark.parametrize(
    ("answers", "under_way", "heard"),
    [(False, "CALL_INCOMING", False), (False, "CALL_INCOMING", True), (True, "CALL_ESTABLISHED", True)],
    ids=["left", "rings", "listens"],
)
def test_what_a_killed_desk_has_left_ringing_is_ended_by_the_next(
    answers: bool, under_way: str, heard: bool, tmp_path: Path
) -> None:
    """Killed before it had heard anything of the call (CANCEL alone ends that), while it rang, and while somebody
    listened (BYE alone ends that). Red where nothing is noted before the call leaves, where only the one or only the
    other is said, and where the next call does not wait for it (busy). The control is a desk without the notes: with it
    the telephone rings on."""
    need("baresip")
    telephone = Intercom("duty-officer", answers=answers)
    with telephone:
        settings = {"how": "sip", "to": telephone.address, "ring_s": 1}
        command = [sys.executable, "-c", CALLER, telephone.address, str(tmp_path)]
        killed = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
        seen(telephone, under_way)
        killed.kill()
        killed.wait()
        (tmp_path / "elsewhere").mkdir()
        forgetful = make("duty", settings, tmp_path / "elsewhere")
        assert isinstance(forgetful, sip.Telephone)
        forgetful._ending.join()
        assert ENDS not in [one["type"] for one in telephone.events]
        if not heard:
            page = Page(tmp_path / "officer-duty.notes", "")
            page.write([{**page.read()[0], "heard": ""}])
        way = make("duty", settings, tmp_path)
        seen(telephone, ENDS)
        assert isinstance(way, sip.Telephone)
        way._ending.join()
        if not answers:
            with pytest.raises(NotTold, match="no-answer"):  # not busy
                way(call())
        assert UnderWay(tmp_path / "officer-duty.notes").left == []
    telephone.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"to": "tel:102"}, "to: found 'tel:102', must be like sip:"),
        ({"to": "sip:duty:secret@pbx.example"}, "without a password in them"),
        ({"to": "sip:duty@pbx.example", "key": "12"}, "must be one key"),
        ({"to": "sip:duty@pbx.example", "ring_s": 90}, "from 1 to 20"),
        ({"to": "sip:duty@pbx.example", "user": "desk"}, "go together"),
        ({"to": "sip:duty@pbx.example", "recording": "/nowhere.wav"}, "recording: /nowhere.wav: No such file"),
    ],
)
def test_settings_of_a_telephone(settings: dict[str, object], said: str) -> None:
    with pytest.raises(OfficerError) as raised:
        make("duty", {"how": "sip", **settings})
    assert said in str(raised.value)


def test_the_longest_call_ends_before_another_desk_takes_the_step() -> None:
    from desk.escalation import LEASE_MS
    from desk.officers import LIMIT_S

    assert sip.RING_MAX_S + sip.MESSAGE_MAX_S + sip.AFTER_S <= LIMIT_S < LEASE_MS / 1000
