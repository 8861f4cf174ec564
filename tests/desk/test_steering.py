"""The rollouts that a desk steers: what is on the disk before anything runs, and when a process is started again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from update_rig import key, made, put, put_key

from common import release as releases
from desk.ledger import LedgerError
from desk.rollout import plan as rules
from desk.rollout.alone import alone, is_running
from desk.rollout.book import Book
from desk.rollout.plan import Column, Limits, Plan
from desk.rollout.steering import AGAIN_S, OUTPUT_FILE, START_FILE, Steering


class Process:
    """What stands for a started command."""

    begun: list[list[str]] = []

    def __init__(self, command: list[str], **_: Any) -> None:
        self.begun.append(command)
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code

    def send_signal(self, number: int) -> None:
        self.code = 0

    def wait(self, timeout: float | None = None) -> int:
        return 0


class Rig:
    """A shelf with two releases and one that somebody else signed; a clock; processes that only stand there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now_s = folder, 1000.0
        self.pem = put_key(folder / "release.pem")
        put(folder / "shelf" / "good", made(version="1.2.0", floor="1.0.0"))
        put(folder / "shelf" / "other", made(version="1.3.0", floor="1.0.0"))
        put(folder / "shelf" / "strange", made(signer=key(1)))
        (folder / "shelf" / "empty").mkdir()
        self.steering = self.again()

    def again(self) -> Steering:
        """The desk after a restart."""
        broker = ["--broker", "127.0.0.1:1883"]
        return Steering(self.folder / "rollouts", self.folder / "shelf", [self.pem], broker, lambda: self.now_s)

    def begin(self, name: str = "good") -> Path:
        offer = self.steering.start(name, "petropavl-01", 60)
        return self.folder / "rollouts" / f"{offer.version}-{offer.digest[:8]}"


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(Process, "begun", [])
    monkeypatch.setattr("desk.rollout.steering.subprocess.Popen", Process)
    yield Rig(tmp_path)


def write(path: Path, state: str, wish: str = "", why: str = "no drill") -> None:
    """As the process would."""
    path.mkdir(parents=True, exist_ok=True)
    book, plan = Book(path), Plan("ab" * 32, "1.2.0", Limits())
    plan.state, plan.columns = state, {"c-1": Column("c-1", "nko", state=rules.RETURNED, why=why)}
    plan.changed = list(plan.columns.values())
    book.keep(plan, 0, ["something"])
    book.wish(wish)
    book.close()


def code_of(work: Any) -> str:
    with pytest.raises(LedgerError) as refused:
        work()
    return refused.value.code


def test_only_whole_releases_with_a_trusted_signature_are_offered(rig: Rig) -> None:
    (rig.folder / "shelf" / "other" / releases.FILES_FOLDER / "hal" / "esp32.mpy").write_bytes(b"damaged")
    found = {one.name: one for one in rig.steering.offered()}
    assert (found["good"].version, found["good"].trouble) == ("1.2.0", "")
    assert "is not the file" in found["other"].trouble and "not signed" in found["strange"].trouble
    for name in ("other", "strange", "empty", "..", "good/../good", ""):
        assert code_of(lambda name=name: rig.steering.start(name, "", 0)) == "no-release"
    assert not Process.begun


def test_what_was_asked_for_goes_on_after_a_kill_of_the_desk(rig: Rig) -> None:
    """Red when the start is kept in memory alone."""
    path = rig.begin()
    (command,) = Process.begun
    assert command[1:4] == ["-m", "desk.rollout", "start"] and str(path) in command and "127.0.0.1:1883" in command
    assert command[command.index("--first") + 1] == "petropavl-01" and command[command.index("--watch-s") + 1] == "60"
    rig.steering.look()
    assert len(Process.begun) == 1, "it runs"
    rig.again().look()
    assert Process.begun[1] == command
    for state, runs in ((rules.RUNNING, 1), (rules.PAUSED, 1), (rules.STOPPED, 0), (rules.DONE, 0), (rules.ABORTED, 0)):
        write(path, state)
        before = len(Process.begun)
        rig.again().look()
        assert len(Process.begun) - before == runs, state
    write(path, rules.STOPPED, wish="resume")
    rig.again().look()
    assert Process.begun[-1] == command
    before = len(Process.begun)
    write(path, rules.ABORTED, why=rules.GIVES_UP)
    rig.again().look()
    assert len(Process.begun) == before + 1, "a column is still to be told that it gives up"
    steering, before = rig.again(), len(Process.begun)
    write(path, rules.STOPPED)
    steering.look()
    steering.look()
    assert len(Process.begun) == before
    steering.wish(path.name, "resume")
    assert len(Process.begun) == before + 1, "what rested is looked at again when it is written"
    with alone(path):
        before = len(Process.begun)
        rig.again().look()
        assert len(Process.begun) == before, "somebody is at it: no second one beside it"


def test_a_process_that_cannot_begin_is_told_and_tried_again_later(rig: Rig) -> None:
    path = rig.begin()
    (path / OUTPUT_FILE).write_text("error: first\nerror: not signed\n")
    rig.steering._running[path.name].code = 2  # type: ignore[attr-defined]
    rig.steering.look()
    assert rig.steering.shown()[0]["trouble"] == "error: not signed" and len(Process.begun) == 1
    rig.now_s += AGAIN_S
    rig.steering.look()
    assert len(Process.begun) == 2


def test_two_at_once_would_take_each_others_columns(rig: Rig) -> None:
    path = rig.begin()
    assert code_of(lambda: rig.steering.start("other", "", 0)) == "rollout-runs"
    write(path, rules.ABORTED, why=rules.GIVES_UP)
    assert code_of(lambda: rig.steering.start("other", "", 0)) == "rollout-runs"
    write(path, rules.DONE)
    assert code_of(rig.begin) == "rollout-there"
    second = rig.begin("other")
    write(second, rules.STOPPED)
    write(path, rules.STOPPED)
    rig.steering.wish(second.name, "resume")
    assert code_of(lambda: rig.steering.wish(path.name, "resume")) == "rollout-runs"
    rig.steering.wish(path.name, "abort")


def test_one_that_was_started_by_hand_is_shown_and_steered_and_not_started(rig: Rig) -> None:
    path = rig.folder / "rollouts" / "mine"
    write(path, rules.RUNNING)
    with alone(path):
        (found,) = rig.steering.shown()
        assert (found["name"], found["state"], found["runs"], found["able"]) == ("mine", "running", True, False)
        assert found["columns"] == [{"device_id": "c-1", "state": "returned", "why": "no drill"}]
        assert found["stages"] == [1, 1, 1, 1] and found["log"][0]["text"] == "something"
    rig.steering.wish("mine", "pause")
    assert rig.steering.shown()[0]["wish"] == "pause" and not rig.steering.shown()[0]["runs"] and not Process.begun
    write(path, rules.ABORTED)
    assert code_of(lambda: rig.steering.wish("mine", "resume")) == "rollout-over"
    assert code_of(lambda: rig.steering.wish("no", "pause")) == "no-rollout"
    assert not (path / START_FILE).exists()


def test_a_folder_is_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desk.rollout.alone.PATIENCE_S", 0.0)
    assert not is_running(tmp_path)
    with alone(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(BlockingIOError), alone(tmp_path):
            pass
    assert not is_running(tmp_path)


def test_without_a_shelf_nothing_begins(rig: Rig) -> None:
    plain = Steering(rig.folder / "rollouts")
    assert plain.offered() == [] and not plain.is_able and plain.shown() == []
    assert code_of(lambda: plain.start("good", "", 0)) == "no-release"
