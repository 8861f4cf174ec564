"""Calls are recorded from the press to the close, if the desk was told to: entered, played, held, deleted in time."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import pytest
from column_probe import need
from contract_examples import example
from desk_rig import DeskRig, Speaker, add_account, wait_for
from films import frames
from full_disk import full_disk
from pillar_rig import DEVICE, idle_pillar
from rtsp_camera import STREAMS

from desk.batch import Change
from desk.media.files import DISK_FULL, Part
from desk.media.trouble import NoStream
from desk.openings import Opening
from desk.recordings import DAY_MS, Recordings, Rules
from desk.register import Register
from desk.web import recording
from desk.web.recording import Recording
from sim.servers.broker import Mosquitto
from sim.servers.rtsp import RtspCamera

ALARM: dict[str, Any] = example("alarm")[1]
INCIDENT = str(ALARM["id"])
DAY = Part(INCIDENT, f"{INCIDENT}-1795340467250.mp4", 1000, 61_000, 4, hashlib.sha256(b"film").hexdigest())


# -- the rules


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with Register(tmp_path / "desk" / "register.sqlite") as opened:
        yield opened


def kept(register: Register, folder: Path, told: list[Change], now_ms: int) -> Recordings:
    folder.mkdir(exist_ok=True)
    return Recordings(register, Rules(folder, days=2), told.append, lambda: now_ms)


def test_what_has_had_its_time_goes_and_its_row_stays(register: Register, tmp_path: Path) -> None:
    """Breaks without the look at the age, at the hold, or when the row goes with its file."""
    told: list[Change] = []
    folder = tmp_path / "films"
    early = kept(register, folder, told, DAY.to_ms + 2 * DAY_MS - 1)
    (folder / DAY.file).write_bytes(b"film")
    early.enter(DAY)
    early.enter(DAY)  # the same again
    assert early.counts() == {INCIDENT: 1} and early.sweep() == 0
    late = kept(register, folder, told, DAY.to_ms + 2 * DAY_MS + 1)
    late.hold(INCIDENT, "A. Ivanova", "сот сұрауы")
    assert late.sweep() == 0 and (folder / DAY.file).exists()
    hold = late.hold_of(INCIDENT)
    assert hold is not None and (hold["by"], hold["why"]) == ("A. Ivanova", "сот сұрауы")
    late.release(INCIDENT, "chief", "істің соңы")
    assert late.sweep() == 1 and not (folder / DAY.file).exists()
    (row,) = late.of(INCIDENT)
    assert row["deleted_ms"] and row["sha256"] == DAY.sha256 and late.counts() == {} and late.find(row["n"]) is None
    kinds = [one["kind"] for one in register.ask("SELECT kind FROM entry ORDER BY n")]
    assert kinds == ["held", "released", "recording-deleted"] and set(told) == {Change("incident", INCIDENT)}
    assert late.sweep() == 0


def test_files_of_a_desk_that_was_killed_come_into_the_register(register: Register, tmp_path: Path) -> None:
    recordings = kept(register, tmp_path / "films", [], 0)
    (tmp_path / "films" / DAY.file).write_bytes(b"film")
    assert (recordings.recover(), recordings.recover()) == (1, 0)
    assert recordings.of(INCIDENT)[0]["sha256"] == DAY.sha256


def test_nothing_is_recorded_unless_the_desk_was_told_to(tmp_path: Path) -> None:
    rig = DeskRig(tmp_path / "desk", None)
    try:
        assert rig.server.recordings.rules is None and rig.get("/api/config").json["recording"] == ""
        found = rig.get(f"/api/incidents/{INCIDENT}/recordings").json
        assert found == {"files": [], "hold": None, "code": None, "spoken": False}
        assert rig.get("/api/recordings/1").status == 404
    finally:
        rig.close()


def test_nobody_waits_for_the_recordings_of_a_desk_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read whole, hours of them. Red while the start waited for it: no page and no alarm until then."""
    asked, read = threading.Event(), threading.Event()

    def recover(_: Recordings) -> int:
        asked.set()
        read.wait(60)
        return 0

    monkeypatch.setattr(Recordings, "recover", recover)
    rig = DeskRig(tmp_path / "desk", None, "--record", str(tmp_path / "films"))
    try:
        assert asked.wait(10) and not read.is_set()
        assert rig.get("/api/incidents").json == []
    finally:
        read.set()
        rig.close()


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), PermissionError(13, "not yours")])
def test_recordings_that_cannot_be_entered_keep_no_desk_from_its_start(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor from recording what comes. Red while an error there ended the start."""
    asked, looked = threading.Event(), threading.Event()

    def recover(_: Recordings) -> int:
        asked.set()
        raise error

    async def look(_: Recording) -> None:
        looked.set()

    monkeypatch.setattr(Recordings, "recover", recover)
    monkeypatch.setattr(Recording, "_look", look)
    rig = DeskRig(tmp_path / "desk", None, "--record", str(tmp_path / "films"))
    try:
        assert asked.wait(10) and looked.wait(10)
    finally:
        rig.close()


class Asked:
    """Of the register by a Recording: how often, and what it answers."""

    def __init__(self, ahead: bool = False) -> None:
        self.incidents_read = self.columns_read = self.openings_begun = 0
        self.refuses = False
        self.calls: list[dict[str, Any]] = []
        self.register, self.name, self.rules = self, "desk-1", Rules(Path(), ahead=ahead)
        self.recording = Recording(*(cast(Any, self),) * 4, lambda _: cast(Any, None))
        self.runs, self.pid = True, 1
        self.no_camera = False
        self.recorded: list[str] = []
        self.codes: dict[str, str] = {}
        self.ended: list[str] = []
        self.parts: list[Part] = []
        self.entered: list[list[str]] = []
        self.cameras: dict[str, str] = {}
        self.unreached: set[str] = set()
        self.is_slow = False
        self.asked_ahead: list[dict[str, str]] = []

    async def record(self, incident_id: str, stream: dict[str, Any], *_: Any) -> None:
        self.recorded.append(incident_id)
        if self.no_camera:
            raise NoStream("no-route", "there is no way there")

    async def unrecord(self, incident_id: str) -> None:
        self.ended.append(incident_id)

    def begin(self, opening: Opening) -> int:
        self.openings_begun += 1
        return self.openings_begun

    def end(self, *_: Any) -> None:
        pass

    def incidents(self, **_: Any) -> list[dict[str, Any]]:
        self.incidents_read += 1
        if self.refuses:
            raise sqlite3.OperationalError("database is locked")
        return self.calls

    def columns(self) -> list[dict[str, Any]]:
        self.columns_read += 1
        return [{"device_id": name, "info": {"stream": {"rtsp": one}}} for name, one in self.cameras.items()]

    async def recordings(self, entered: list[str]) -> dict[str, Any]:
        if self.is_slow:
            raise NoStream("timeout", "no answer in 3 s")
        self.entered.append(list(entered))
        return {"parts": [vars(part) for part in self.parts], "codes": self.codes, "spoken": []}

    async def hold(self, addresses: dict[str, str]) -> set[str]:
        self.asked_ahead.append(dict(addresses))
        if self.no_camera:
            raise NoStream("no-gateway", "the media gateway does not start")
        return set(addresses) - self.unreached

    def recover(self) -> None: ...

    def sweep(self) -> None: ...

    def enter(self, part: Part) -> None:
        if self.refuses:
            raise sqlite3.OperationalError("database is locked")

    def look(self, times: int = 1) -> tuple[int, int]:
        """How often incidents and columns were read until then."""
        for _ in range(times):
            asyncio.run(self.recording._look())
        return self.incidents_read, self.columns_read


def test_the_register_is_read_when_something_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And every ten seconds. Red while each look read all incidents and columns, with the lock of a new alarm."""
    asked = Asked(ahead=True)
    assert asked.look(times=5) == (1, 1)
    asked.recording.changed(Change("incident", INCIDENT))
    assert asked.look(times=5) == (2, 1)
    asked.recording.changed(Change("column", "petropavl-01"))
    assert asked.look(times=5) == (2, 2)
    monkeypatch.setattr(recording, "AGAIN_S", 0.0)
    assert asked.look() == (3, 3)


def test_a_call_is_recorded_though_the_register_could_not_be_read_at_first() -> None:
    """The look after that reads it, though nobody told of a change again."""
    asked = Asked()
    asked.calls = [{"id": INCIDENT, "device_id": "petropavl-01", "alarm": {"stream": {}}}]
    asked.refuses = True
    with pytest.raises(sqlite3.OperationalError):
        asked.look()
    asked.refuses = False
    asked.look()
    assert asked.recording.code_of(INCIDENT) == recording.NO_CAMERA


def test_a_camera_that_cannot_be_reached_is_tried_again_while_the_conversation_is_recorded() -> None:
    """Red where it is given up as soon as something is recorded, and where nothing is because of it."""
    asked = Asked()
    stream = {"rtsp": "rtsp://camera.example/1", "sip": "sip:petropavl-01@intercom.example"}
    asked.calls = [{"id": INCIDENT, "device_id": "petropavl-01", "alarm": {"stream": stream}}]
    asked.no_camera = True
    asked.look(times=2)
    assert asked.recording.code_of(INCIDENT) == "no-route" and asked.recorded == [INCIDENT] * 2
    asked.no_camera = False
    asked.look(times=2)
    assert asked.recording.code_of(INCIDENT) == "" and asked.recorded == [INCIDENT] * 3
    asked.calls = []
    asked.recording.changed(Change("incident", INCIDENT))
    asked.look()
    assert asked.ended == [INCIDENT] and asked.openings_begun == 1


def test_a_gateway_that_was_started_again_before_anybody_looked_is_told_again() -> None:
    """For an intercom's call, or by an officer's click. Red where only one that does not run is noticed: nothing would
    be recorded to the end of the call, and the page would say that it is. And where a new one is told twice."""
    asked = Asked(ahead=True)
    asked.calls = [{"id": INCIDENT, "device_id": "a", "alarm": {"stream": {"rtsp": "rtsp://a/1"}}}]
    asked.cameras = {"a": "rtsp://a/1"}
    asked.look(times=2)
    assert (asked.recorded, len(asked.asked_ahead)) == ([INCIDENT], 1)
    asked.pid = 2
    asked.look(times=2)
    assert (asked.recorded, len(asked.asked_ahead)) == ([INCIDENT] * 2, 2)
    quiet = Asked()
    for pid in (1, 2):
        quiet.pid, quiet.calls = pid, [{**asked.calls[0], "id": f"petropavl-01-1-{pid}"}]
        quiet.recording.changed(Change("incident", quiet.calls[0]["id"]))
        quiet.look(times=3)
        quiet.calls = []
        quiet.recording.changed(Change("incident", ""))
        quiet.look()
    assert quiet.recorded == ["petropavl-01-1-1", "petropavl-01-1-2"]


def test_a_file_that_the_register_did_not_take_is_entered_at_the_next_look() -> None:
    """Red where the desk says that it has it: there is no row until the next start."""
    asked = Asked()
    asked.parts, asked.refuses = [DAY], True
    asked.recording._calls._is_stale, asked.recording._calls._found = False, {}
    asked.recording._calls._read_s = time.monotonic()
    asked.look()
    asked.refuses = False
    asked.look(times=2)
    assert asked.entered == [[], [], [DAY.file]]


def test_cameras_that_could_not_be_held_open_are_tried_again_and_not_in_the_audit_list(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Red where the first try counted as done, and where a column's new address was not heard of. The log has each
    trouble once and its end: red where its first word was "again", and where each try has a line."""
    asked = Asked(ahead=True)
    asked.cameras, asked.no_camera, asked.runs = {"a": "rtsp://a/1", "b": "rtsp://b/1"}, True, True
    asked.look(times=3)
    assert asked.openings_begun == 0 and caplog.text.count("the media gateway does not start") == 1
    asked.no_camera, asked.unreached = False, {"b"}
    asked.look(times=3)
    assert asked.openings_begun == 1 and len(asked.asked_ahead) == 4, "the one that is there, and not at each look"
    assert "not kept of: b" in caplog.text
    monkeypatch.setattr(recording, "AGAIN_S", 0.0)
    asked.unreached = set()
    asked.look(times=3)
    assert asked.openings_begun == 2 and len(asked.asked_ahead) == 5
    asked.cameras["a"] = "rtsp://a/2"
    asked.look()
    assert asked.asked_ahead[-1]["a"] == "rtsp://a/2" and asked.openings_begun == 2
    assert [text.split("kept")[1] for text in caplog.messages if "before a call" in text][1:] == [
        " of: b", " of all columns again"
    ]  # fmt: skip
    caplog.clear()
    fresh = Asked(ahead=True)
    fresh.cameras, fresh.runs = {"a": "rtsp://a/1"}, True
    fresh.look(times=2)
    assert fresh.openings_begun == 1 and caplog.messages == []


def test_an_error_of_ours_with_one_call_keeps_no_other_from_being_recorded() -> None:
    """And it is said. Red where it ends the look: the page says nothing of a recording at all."""
    asked = Asked()
    streams = {"petropavl-01-1-1": {"rtsp": 7}, INCIDENT: {"sip": "sip:a@b.example"}}
    asked.calls = [{"id": name, "device_id": "a", "alarm": {"stream": one}} for name, one in streams.items()]
    real = asked.record

    async def record(incident_id: str, stream: dict[str, Any], *more: Any) -> None:
        if stream.get("rtsp"):
            raise TypeError("nobody thought of that")
        await real(incident_id, stream, *more)

    asked.record = record  # type: ignore[method-assign]
    asked.look(times=2)
    assert asked.recording.code_of("petropavl-01-1-1") == "no-gateway"
    assert asked.recording.code_of(INCIDENT) == "" and asked.recorded == [INCIDENT]


@pytest.mark.parametrize("turns", range(6))
def test_a_desk_stops_while_something_changes(turns: int) -> None:
    """Whatever the loop had done with the change by then. Red with `asyncio.wait_for` in `_record_on`, for the first of
    them: Python 3.11 forgets the cancelling there, and the desk would stop no more."""

    async def work() -> None:
        one = Asked().recording
        one.start()
        while one._changed.is_set() or not one._changed._waiters:
            await asyncio.sleep(0.001)
        one._changed.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await one.stop()

    asyncio.run(work())


def test_a_gateway_that_says_nothing_any_more_is_not_believed_to_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer that comes too late is no trouble. Red where its last word holds for ever."""
    asked, now = Asked(), [1000.0]
    monkeypatch.setattr(recording, "time", SimpleNamespace(monotonic=lambda: now[0]))
    asked.calls = [{"id": INCIDENT, "device_id": "a", "alarm": {"stream": {"sip": "sip:a@b.example"}}}]
    asked.look()
    asked.is_slow = True
    asked.look()
    assert asked.recording.code_of(INCIDENT) == ""
    now[0] += recording.AGAIN_S + 1
    asked.look()
    assert asked.recording.code_of(INCIDENT) == "timeout"
    asked.is_slow, asked.codes = False, {INCIDENT: ""}
    asked.look()
    assert asked.recording.code_of(INCIDENT) == ""


def test_a_gateway_that_does_not_run_fills_no_audit_list() -> None:
    """Red where a call with an intercom counted as recorded though nothing can record it: a line at each look."""
    asked = Asked()
    asked.calls = [{"id": INCIDENT, "device_id": "petropavl-01", "alarm": {"stream": {"sip": "sip:a@b.example"}}}]
    asked.no_camera, asked.runs = True, False
    asked.look(times=3)
    assert asked.recording.code_of(INCIDENT) == "no-route" and asked.openings_begun == 0


# -- with a real camera, broker and desk


@pytest.mark.mosquitto
@pytest.mark.gstreamer
def test_a_call_from_the_press_to_its_close(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """And a gateway that is killed meanwhile: what it had written is there, and it goes on."""
    need("gstreamer")
    films, folder = tmp_path / "films", tmp_path / "desk"
    add_account(folder, "ivanova")
    add_account(folder, "chief", "chief")
    with RtspCamera({"/h264": STREAMS["/h264"]}) as camera:
        rig, street = DeskRig(folder, mosquitto, "--record", str(films)), Speaker(mosquitto)
        try:
            rig.log_in("ivanova")
            incident = street.press("rec-01", stream={"rtsp": camera.address("/h264"), "ok_at": None})
            street.hears("ack", id=incident)
            one = f"/api/incidents/{incident}"
            wait_for(lambda: rig.get(one + "/recordings").json["code"] == "", "that it is recorded")
            wait_for(lambda: any(path.stat().st_size > 30_000 for path in films.iterdir()), "a film that grows")
            process = rig.server.player.gateway._process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)
            wait_for(lambda: rig.get(one + "/recordings").json["files"], "what there was, in the register")
            wait_for(lambda: [path.stat().st_size > 30_000 for path in films.iterdir()] == [True, True], "another film")
            assert rig.post(one + "/close", {"outcome": "false"}).status == 200
            files = wait_for(lambda: (found := rig.get(one + "/recordings").json["files"])[1:] and found, "both")
            for file in files:
                path = films / file["file"]
                assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
                with av.open(str(path)) as film:
                    assert sum(1 for _ in frames(film, is_whole=False, video=0)) > 5
            assert [each["recorded"] for each in rig.get("/api/incidents").json if each["id"] == incident] == [2]

            played = rig.get(f"/api/recordings/{files[0]['n']}", {"Range": "bytes=0-99"})
            assert (played.status, len(played.body), played.headers["Content-Type"]) == (206, 100, "video/mp4")
            kinds = [
                (entry["kind"], entry["detail"].get("way"), entry["by"]) for entry in rig.get(one).json["timeline"]
            ]
            assert ("opened", "recording", "desk-1") in kinds and ("opened", "playback", "ivanova") in kinds
            assert [row["way"] for row in rig.get("/api/openings").json][0] == "playback"

            assert rig.post(one + "/hold", {"hold": True}).status == 400  # without a reason
            assert rig.post(one + "/hold", {"hold": True, "why": "сот"}).json["hold"]["by"] == "ivanova"
            assert rig.post(one + "/hold", {"hold": False, "why": "x"}).json["code"] == "role-chief"
            rig.log_in("chief")
            assert rig.post(one + "/hold", {"hold": False, "why": "x"}).json["hold"] is None
        finally:
            street.close()
            rig.close()


@pytest.mark.mosquitto
def test_a_call_by_whep_from_the_press_to_its_close(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The desk is at the camera as long as the call is open, no longer, and the timeline says so. Red where the
    gateway is not told of `webrtc`, and where the session is left at the camera."""
    films = tmp_path / "films"
    with idle_pillar() as (town, pillar, _):
        pillar.intercom.call(True)
        stream = {"webrtc": town.stream(DEVICE)["webrtc"], "ok_at": None}
        rig, street = DeskRig(tmp_path / "desk", mosquitto, "--record", str(films)), Speaker(mosquitto)
        try:
            assert pillar.watchers.count == 0
            incident = street.press("rec-04", stream=stream)
            street.hears("ack", id=incident)
            one = f"/api/incidents/{incident}"
            wait_for(lambda: any(path.stat().st_size > 30_000 for path in films.iterdir()), "a film that grows")
            assert pillar.watchers.count == 1 and rig.get(one + "/recordings").json["code"] == ""
            assert rig.post(one + "/close", {"outcome": "false"}).status == 200
            (file,) = wait_for(lambda: rig.get(one + "/recordings").json["files"], "the film")
            wait_for(lambda: pillar.watchers.count == 0, "the end at the camera")
            path = films / file["file"]
            assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
            with av.open(str(path)) as film:
                assert [stream.codec_context.name for stream in film.streams] == ["h264", "aac"]
                assert sum(1 for _ in film.decode(video=0)) > 5
            played = rig.get(f"/api/recordings/{file['n']}", {"Range": "bytes=0-99"})
            assert (played.status, played.headers["Content-Type"]) == (206, "video/mp4")
            entries = [(each["kind"], each["detail"].get("way")) for each in rig.get(one).json["timeline"]]
            assert entries.count(("opened", "recording")) == entries.count(("shut", "recording")) == 1
        finally:
            street.close()
            rig.close()


@pytest.mark.mosquitto
@pytest.mark.gstreamer
def test_when_the_disk_is_full_calls_go_on_and_the_desk_says_so(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """The kernel refuses the film's next bytes. Red when the recorder calls that anything else, or does not begin again
    by itself when there is room."""
    need("gstreamer")
    films = tmp_path / "films"
    with RtspCamera({"/h264": STREAMS["/h264"]}) as camera:
        rig, street = DeskRig(tmp_path / "desk", mosquitto, "--record", str(films)), Speaker(mosquitto)
        try:
            stream = {"rtsp": camera.address("/h264"), "ok_at": None}
            incident = street.press("rec-02", stream=stream)
            street.hears("ack", id=incident)
            wait_for(lambda: films.exists() and any(one.stat().st_size > 30_000 for one in films.iterdir()), "a film")
            with full_disk(rig.server.player.gateway.pid), rig.watch() as feed:
                wait_for(lambda: rig.get("/api/config").json["recording"] == DISK_FULL, "the trouble")
                assert feed.until(lambda message: message.get("recording") == DISK_FULL)["kind"] == "desk"
                again = street.press("rec-02", 2, stream=stream)
                street.hears("ack", id=again)  # a call goes on as ever
                assert rig.post(f"/api/incidents/{again}/accept").status == 200
                rig.post(f"/api/incidents/{again}/close", {"outcome": "false"})
            wait_for(lambda: rig.get("/api/config").json["recording"] == "", "room, and a recording")
            rig.post(f"/api/incidents/{incident}/close", {"outcome": "false"})
            path = f"/api/incidents/{incident}/recordings"
            files = wait_for(lambda: (found := rig.get(path).json["files"])[1:] and found, "what was before and after")
            for file in files:
                with av.open(str(films / file["file"])) as film:
                    assert sum(1 for _ in frames(film, is_whole=False, video=0)) > 0
        finally:
            street.close()
            rig.close()


@pytest.mark.mosquitto
@pytest.mark.gstreamer
def test_the_seconds_before_the_press(mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --record-ahead, in the audit list, too; and a register that takes nothing stops no recording."""
    need("gstreamer")
    films = tmp_path / "films"
    with RtspCamera({"/h264": STREAMS["/h264"]}) as camera:
        rig = DeskRig(tmp_path / "desk", mosquitto, "--record", str(films), "--record-ahead")
        street = Speaker(mosquitto)
        try:
            stream = {"rtsp": camera.address("/h264")}
            street.say("info", "rec-03", stream=stream)
            ring = wait_for(lambda: rig.get("/api/openings?device_id=rec-03").json, "the ring in the audit list")
            assert [(one["way"], one["by"], one["ended_ms"]) for one in ring] == [("ring", "desk-1", None)]

            def full(*_: Any) -> int:
                raise sqlite3.OperationalError("database or disk is full")

            gateway = rig.server.player.gateway
            wait_for(lambda: rig.run(gateway.recordings())["held"].get("rec-03", 0) > 2, "two seconds in the ring")
            monkeypatch.setattr(rig.server.openings, "begin", full)
            incident = street.press("rec-03", stream={**stream, "ok_at": None})
            street.hears("ack", id=incident)
            wait_for(lambda: films.is_dir() and any(films.iterdir()), "a film")
            rig.post(f"/api/incidents/{incident}/close", {"outcome": "false"})
            (file,) = wait_for(lambda: rig.get(f"/api/incidents/{incident}/recordings").json["files"], "its row")
            received_ms = rig.get(f"/api/incidents/{incident}").json["received_ms"]
            assert file["from_ms"] < received_ms < file["to_ms"]
        finally:
            street.close()
            rig.close()
