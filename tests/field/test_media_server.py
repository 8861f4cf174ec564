"""A city's own media server: what provisioning writes for MediaMTX and go2rtc.

Neither can be run here. The keys below are those of MediaMTX's sample mediamtx.yml and of go2rtc's www/schema.json,
with the types that these give; both files were held against the originals by hand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.home import ROOT
from desk.command import MEDIA_SERVER
from field import media_server, provision

FLEET = ROOT / "examples" / "petropavl" / "fleet.csv"
MEDIAMTX_KEYS = {
    "authMethod": str, "authInternalUsers": list, "api": bool, "metrics": bool, "pprof": bool, "playback": bool,
    "rtsp": bool, "rtspTransports": list, "rtspAddress": str, "rtmp": bool, "hls": bool, "srt": bool, "webrtc": bool,
    "webrtcAddress": str, "webrtcLocalUDPAddress": str, "paths": dict,
}  # fmt: skip
MEDIAMTX_PATH_KEYS = {"source": str, "sourceOnDemand": bool, "rtspTransport": str}
GO2RTC_KEYS = {"api": {"listen"}, "rtsp": {"listen"}, "srtp": {"listen"}, "webrtc": {"listen", "ice_servers"}}


def provisioned(out: Path) -> tuple[Any, Any]:
    """(MediaMTX's, go2rtc's)"""
    assert provision.main([str(FLEET), "--out", str(out)]) == 0
    files = [out / "media-server" / name for name in ("mediamtx.yml", "go2rtc.yaml")]
    for file in files:
        assert file.stat().st_mode & 0o077 == 0, "cameras' logins may stand in it"
    mtx, go = (yaml.safe_load(file.read_text("utf-8")) for file in files)
    return mtx, go


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media") / "provisioned"


def test_a_path_for_each_column_with_a_camera(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then with a login, and again without: what only the first run knew is not forgotten."""
    monkeypatch.delenv(media_server.CAMERA_LOGIN, raising=False)
    mtx, go = provisioned(out)
    assert {key: type(value) for key, value in mtx.items()} == MEDIAMTX_KEYS
    assert set(mtx["paths"]) == set(go["streams"]) == {f"petropavl-{number:02}" for number in range(1, 16)}
    one = mtx["paths"]["petropavl-01"]
    assert {key: type(value) for key, value in one.items()} == MEDIAMTX_PATH_KEYS
    assert one["source"] == "rtsp://cameras.example/petropavl-01" == go["streams"]["petropavl-01"][0]
    assert {key: set(value) for key, value in go.items() if key != "streams"} == GO2RTC_KEYS
    for user in mtx["authInternalUsers"]:
        assert [each["action"] for each in user["permissions"]] == ["read"] and user["ips"] == ["127.0.0.1", "::1"]
    for address in (go["api"]["listen"], go["rtsp"]["listen"], mtx["webrtcAddress"], mtx["rtspAddress"]):
        assert address.startswith("127.0.0.1:"), "only this machine"

    monkeypatch.setenv(media_server.CAMERA_LOGIN, "desk:p@ss:/word")
    for made in provisioned(out):
        assert "rtsp://desk:p%40ss%3A%2Fword@cameras.example/petropavl-01" in str(made)
    monkeypatch.delenv(media_server.CAMERA_LOGIN)
    for made in provisioned(out):
        assert "rtsp://desk:p%40ss%3A%2Fword@cameras.example/petropavl-15" in str(made)
    for path in out.rglob("*"):
        if path.is_file() and path.parent.name != "media-server":
            assert b"p%40ss" not in path.read_bytes(), path


def test_a_fleet_without_cameras(tmp_path: Path) -> None:
    assert yaml.safe_load(media_server.mediamtx({}))["paths"] == {}
    assert yaml.safe_load(media_server.go2rtc({}))["streams"] == {}
    assert media_server.earlier_logins(tmp_path / "none") == {}
    assert media_server.sources({"a": {"stream": {"rtsp": "rtsps://a/"}}, "b": {"stream": {"sip": "sip:a@b"}}}) == {}


def test_what_the_files_tell_to_type_is_what_the_desk_takes() -> None:
    for text in (media_server.mediamtx({}), media_server.go2rtc({})):
        shown = re.search(r"--media-server '([^']+)'", text)
        assert shown and MEDIA_SERVER.fullmatch(shown[1]) and "{device_id}" in shown[1]
