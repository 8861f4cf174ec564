"""The cable is pulled in the middle of each question of a check-up: the column stays on duty, and its alarm arrives."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from whole_rig import MAKE, PATIENCE_S, Whole

from field.console import COMMANDS, Console, ConsoleError
from field.diag.interview import QUESTIONS, STATUS
from sim.real.flash_image import PROJECT

pytestmark = [pytest.mark.micropython, pytest.mark.mosquitto]

EXIT_NOBODY = 3
CODE = "code"  # one line, and this column asks for none
BY_HAND = ("logs", "lamp", "button", "help")  # asked only sometimes, or by a person
# Its only line comes at its end: it has begun when the question before it is over.
BEGINS_BEHIND = {"access": '{"re":"stream","ok":true}'}


def test_every_command_is_pulled_at_here() -> None:
    assert {STATUS, *QUESTIONS, *BY_HAND, CODE} == set(COMMANDS)


@pytest.mark.parametrize("word", [STATUS, *QUESTIONS])
def test_pulled_out_of_the_check_up(whole: Whole, word: str) -> None:
    """Red when a command stops the loop until somebody reads its answer, or the board is reset at its end."""
    with pulled(whole) as pull:
        if word == "test":  # else it is over before the cable is out
            whole.tell_servers("break", "centre")
        command = [*MAKE, "diag", f"PORT={whole.port}", "JSON=1"]
        diag = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        whole.says(BEGINS_BEHIND.get(word, f'"re":"{word}"'))
        if word == "test":
            whole.servers.seen.wait("alarm", status="test", state="new")
            whole.tell_servers("mend", "centre")
        pull()
        said, _ = diag.communicate(timeout=PATIENCE_S)
        document = json.loads(said)
        assert document["exit"] == EXIT_NOBODY
        assert "is the cable in?" in document["error"]


@pytest.mark.parametrize("word", BY_HAND)
def test_pulled_out_of_what_a_person_asks(whole: Whole, word: str) -> None:
    with pulled(whole) as pull, Console(str(whole.port)) as console:
        lines = console.lines(word)
        next(lines)
        pull()
        with pytest.raises(ConsoleError, match="is the cable in"):
            list(lines)


def test_pulled_out_of_a_test_alarm_that_nobody_answers_yet(whole: Whole) -> None:
    """The press that comes meanwhile goes before it."""
    with pulled(whole) as pull, Console(str(whole.port)) as console:
        whole.tell_servers("break", "centre")
        next(console.lines("test"))
        whole.servers.seen.wait("alarm", status="test", state="new")
        whole.tell_servers("mend", "centre")
        pull()


def test_a_restart_meanwhile_is_noticed(whole: Whole) -> None:
    with pytest.raises(AssertionError, match="boot"), pulled(whole):
        with whole.dark():
            whole.board.say("unplug")
        whole.has_session()


def test_a_lost_session_is_noticed(whole: Whole) -> None:
    with pytest.raises(AssertionError, match="uplink: session with"), pulled(whole):
        whole.tell_servers("break", "broker")
        whole.tell_servers("mend", "broker")
        whole.has_session()


@contextmanager
def pulled(whole: Whole) -> Iterator[Callable[[], None]]:
    """What is given pulls the cable out, presses the button, and waits until the centre has the alarm. Behind it the
    cable is put in again; the column has not restarted meanwhile, and has its session still."""
    whole.is_sound = False
    asked(whole)
    first = len(whole.board.seen.events)

    def pull() -> None:
        whole.board.say("unplug")
        whole.board.seen.wait("port", path=None)
        whole.alarm()

    yield pull
    whole.board.say("plug")
    whole.board.seen.wait("port", path=str(whole.port))
    assert asked(whole)["broker"]["session"]
    happened = whole.board.seen.events[first:]
    assert [event for event in happened if event["event"] in ("boot", "reset")] == []
    assert [event["text"] for event in happened if "uplink: " in event.get("text", "")] == []
    whole.is_sound = True


def asked(whole: Whole) -> dict[str, Any]:
    with Console(str(whole.port)) as console:
        status = console.ask("status")
    whole.says('{"re":"status","ok":true}')  # what is waited for from here on is said from here on
    return status
