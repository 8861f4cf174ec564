"""The city's own cameras: the nearest of them at a call and no others, and a table that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from desk_rig import DeskRig

from desk import cameras
from desk.broker_options import SetupError
from desk.cameras import Camera, CamerasError
from desk.web.player import Answer as Playing

GOOD = """id,name,lat,lon,stream
k-1,"Конституция / Абай",54.8753,69.1640,rtsp://10.30.0.1/main
k-2,Вокзал,54.8533,69.1497,webrtc=https://media.example/k-2/whep rtsp://10.30.0.2/main
k-3,Парк,54.8801,69.1589,rtsp://10.30.0.3/main
k-4,Драма театры,54.8741,69.1573,rtsp://10.30.0.4/main
"""
INCIDENT = "petropavl-01-17-3"
HERE = {"lat": 54.8753, "lon": 69.1628}


def read(tmp_path: Path, content: str | bytes) -> list[Camera]:
    path = tmp_path / "cameras.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return cameras.read(path)


def test_the_table_is_read_whatever_program_wrote_it(tmp_path: Path) -> None:
    plain = read(tmp_path, GOOD)
    assert [camera.id for camera in plain] == ["k-1", "k-2", "k-3", "k-4"]
    assert plain[0] == Camera("k-1", "Конституция / Абай", 54.8753, 69.164, {"rtsp": "rtsp://10.30.0.1/main"})
    assert list(plain[1].stream) == ["webrtc", "rtsp"]
    assert read(tmp_path, "\ufeff" + GOOD.replace(",", ";").replace("\n", "\r\n") + "\r\n") == plain


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("54.8753", "54,8753", r"line 2, all columns: found 6 cells, must be 5"),
        ("54.8753,69.1640", "154.8753,x", r"(?s)line 2, column lat: found 154.8753.*line 2, column lon: found 'x'"),
        ("k-2,", "k-1,", r"line 3, column id: found 'k-1' again"),
        ("k-3", "k 3", r"line 4, column id: found 'k 3', must be 1 to 32"),
        ("Парк", "", r"line 4, column name: found ''"),
        ("rtsp://10.30.0.4/main", "http://10.30.0.4/", r"line 5, column stream: found 'http://10.30.0.4/', must be"),
        ("rtsp://10.30.0.4", "rtsp://u:hidden@10.30.0.4", r"line 5, column stream: holds a user or a password, which"),
        ("rtsp://10.30.0.4/main", "", r"line 5, column stream: found nothing"),
        ("id,name", "ID,name", r"(?s)line 1, column id: is missing.*line 1, column ID: must be one of"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_line_and_column(tmp_path: Path, was: str, becomes: str, says: str) -> None:
    assert GOOD.count(was) >= 1
    with pytest.raises(CamerasError, match=says) as caught:
        read(tmp_path, GOOD.replace(was, becomes, 1))
    assert "hidden" not in str(caught.value)


def test_other_files_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(CamerasError, match=r"line 2, byte 6: is not UTF-8"):
        read(tmp_path, GOOD.encode("cp1251", "replace"))
    with pytest.raises(CamerasError, match=r"line 1, column id: found nothing"):
        read(tmp_path, "")
    with pytest.raises(CamerasError, match="No such file"):
        cameras.read(tmp_path / "none.csv")


def test_a_line_after_a_cell_of_several_lines_has_its_own_number(tmp_path: Path) -> None:
    """Breaks when the row's number is taken for the line's."""
    with pytest.raises(CamerasError, match=r"line 4, column lat: found 'x'"):
        read(tmp_path, 'id,name,lat,lon,stream\n\n"k-1","a",1,1,rtsp://a/\nk-2,b,x,1,rtsp://b/\n')


def test_the_nearest_come_first_with_their_distance() -> None:
    spots = {"a": (54.8753, 69.1640), "b": (54.8853, 69.1628), "c": (54.8753, 69.1628), "d": (-54.0, 69.0)}
    known = [Camera(name, name, *spot) for name, spot in spots.items()]
    found = cameras.nearest(known, **HERE)
    assert [camera.id for camera, _ in found] == ["c", "a", "b"]
    assert [round(metres) for _, metres in found] == [0, 77, 1112]  # 0.01 degrees of latitude are 1112 m
    assert cameras.nearest(known, None, None) == []


def test_a_camera_that_the_desk_may_not_call_is_said_at_the_start(tmp_path: Path) -> None:
    table = tmp_path / "cameras.csv"
    table.write_text(GOOD)
    with pytest.raises(SetupError, match=r"camera k-1: the desk may not call 10.30.0.1: --stream-hosts"):
        DeskRig(tmp_path / "desk", None, "--cameras", str(table), "--stream-hosts", "cameras.example")


def test_only_the_nearest_are_shown_with_a_call_and_it_is_written_down(tmp_path: Path) -> None:
    """Breaks when any camera of the table may be named: an open call would open the whole city."""
    table = tmp_path / "cameras.csv"
    table.write_text(GOOD)
    rig = DeskRig(tmp_path / "desk", None, "--cameras", str(table))
    asked: list[Any] = []

    async def call(stream: Any, whose: str, *_: Any) -> Playing:
        asked.append((dict(stream), whose))
        return Playing("look", b"v=0\r\n", "rtsp")

    state = {"state": "accepted"}
    rig.server.player.call = call  # type: ignore[method-assign,assignment]
    rig.server.desk.incident = lambda incident_id: {  # type: ignore[method-assign]
        "id": incident_id, "device_id": "petropavl-01", "status": "actual", "location": HERE, **state,
    }  # fmt: skip
    one, sent = f"/api/incidents/{INCIDENT}/cameras", {"Origin": rig.origin, "Content-Type": "application/sdp"}
    try:
        assert rig.get("/api/config").json["cameras"] == 4
        shown = rig.get(one).json
        assert [camera["id"] for camera in shown] == ["k-1", "k-4", "k-3"]
        assert shown[0] == {"id": "k-1", "name": "Конституция / Абай", "distance_m": 77}
        assert rig.ask("POST", f"{one}/k-2/whep", b"v=0\r\n", sent).status == 404
        assert not asked
        assert rig.ask("POST", f"{one}/k-4/whep", b"v=0\r\n", sent).status == 201
        assert asked == [({"rtsp": "rtsp://10.30.0.4/main"}, "k-4")]
        (opening,) = rig.get("/api/openings").json
        assert (opening["camera"], opening["device_id"]) == ("Драма театры (k-4)", "petropavl-01")
        state["state"] = "closed"
        assert rig.ask("POST", f"{one}/k-4/whep", b"v=0\r\n", sent).json["code"] == "reason"
    finally:
        rig.close()
