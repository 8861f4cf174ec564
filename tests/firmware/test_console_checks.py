# mypy: allow-untyped-calls
"""The console's commands for a check-up: `files`, `net`, `stream`, `certs`, and what `status` says for it."""

import base64
import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

import column_rig
import pytest
from column_rig import Rig
from config_document import document
from console_rig import TypingBoard, merged, typed
from fake_endpoint import FakeEndpoint

from firmware import record
from firmware.console import files
from firmware.startup import config_files
from sim.virtual.servers import stream_answer

FOLDER = "a"
LONG_MS = 8000
PIECE_MAX = 512


@pytest.fixture(autouse=True)
def typing_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_rig, "FakeBoard", TypingBoard)


def short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


# -- files


def flashed(folder: str) -> tuple[Rig, dict[str, bytes]]:
    """A column with a firmware in that folder; (rig, what lies there by its name within the folder)."""
    rig = Rig()
    content = {"firmware/lamp.mpy": b"l" * 1300, "firmware/deep/er.mpy": b"d", "hal/esp32.mpy": b"h" * PIECE_MAX}
    sealed = {config_files.CONFIG_FILE: b'{"v":1,"text":"%s"}' % (b"x" * 900), config_files.SECRETS_FILE: b"{}"}
    files = content | {name: config_files.sealed(text) for name, text in sealed.items()}
    rig.board.flash.files.update({config_files.path(folder, name): data for name, data in files.items()})
    rig.board.flash.files.update({"boot.py": b"boot", "main.py": b"main"})
    rig.column.folder = folder
    return rig.up(), content


@pytest.mark.parametrize("folder", ["", FOLDER])
def test_files_gives_each_files_hash_and_the_seals(folder: str) -> None:
    rig, content = flashed(folder)
    answer = merged(typed(rig, b"files\n", LONG_MS))
    everything = content | {"boot.py": b"boot", "main.py": b"main"}
    assert answer["ok"] is True and answer["folder"] == folder
    assert files_of(rig) == {name: short(data) for name, data in everything.items()}
    assert seals_of(rig) == {"config.json": True, "secrets.json": True}


def lines_of(rig: Rig, key: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in typed(rig, b"files\n", LONG_MS):
        found.update(line.get(key, {}))
    return found


def files_of(rig: Rig) -> dict[str, Any]:
    return lines_of(rig, "files")


def seals_of(rig: Rig) -> dict[str, Any]:
    return lines_of(rig, "sealed")


def test_one_flipped_bit_gives_another_hash() -> None:
    rig, content = flashed(FOLDER)
    before = files_of(rig)
    data = bytearray(content["firmware/lamp.mpy"])
    data[1000] ^= 1
    rig.board.flash.files[FOLDER + "/firmware/lamp.mpy"] = bytes(data)
    after = files_of(rig)
    assert {name for name in before if before[name] != after[name]} == {"firmware/lamp.mpy"}


@pytest.mark.parametrize("name", [config_files.CONFIG_FILE, config_files.SECRETS_FILE])
def test_a_seal_that_does_not_fit_is_told(name: str) -> None:
    rig, _ = flashed(FOLDER)
    at, files = config_files.path(FOLDER, name), rig.board.flash.files
    good = files[at]
    other = {"config.json": True, "secrets.json": True}
    for position in (0, len(good) // 2, len(good) - 4):
        files[at] = good[:position] + bytes((good[position] ^ 1,)) + good[position + 1 :]
        assert seals_of(rig) == other | {name: False}
    files[at] = b'{"v":1}'
    assert seals_of(rig) == other | {name: None}, "by hand, without a seal"
    del files[at]
    assert seals_of(rig) == other | {name: None}


def test_what_cannot_be_read_is_told_and_the_rest_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    rig, content = flashed(FOLDER)
    read_at: Callable[..., bytes] = rig.board.flash.read_at

    def bad_block(name: str, start: int, limit: int) -> bytes:
        if name.endswith("lamp.mpy") and start:
            raise OSError(84, "corrupt")
        return read_at(name, start, limit)

    monkeypatch.setattr(rig.board.flash, "read_at", bad_block)
    found = files_of(rig)
    assert found["firmware/lamp.mpy"] is None and found["hal/esp32.mpy"] == short(content["hal/esp32.mpy"])


def test_a_frozen_firmware_has_no_files() -> None:
    rig = Rig().up()
    assert files_of(rig) == {"boot.py": None, "main.py": None}


def longest_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes read in one turn while `files` is answered."""
    turns: list[int] = [0]
    read_at: Callable[..., bytes] = rig.board.flash.read_at
    look: Callable[[int], None] = rig.column.button.look

    def counted(name: str, start: int, limit: int) -> bytes:
        piece = read_at(name, start, limit)
        turns[-1] += len(piece)
        return piece

    def looked(waited_ms: int) -> None:
        turns.append(0)
        look(waited_ms)

    monkeypatch.setattr(rig.board.flash, "read_at", counted)
    monkeypatch.setattr(rig.column.button, "look", looked)
    assert files_of(rig)
    return max(turns)


def test_no_turn_reads_more_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < longest_read(flashed(FOLDER)[0], monkeypatch) <= PIECE_MAX


def test_a_hash_in_one_go_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PIECE_BYTES", 1 << 20)
    assert longest_read(flashed(FOLDER)[0], monkeypatch) > PIECE_MAX


# -- status


def test_status_names_what_it_was_told_to_be() -> None:
    status = merged(
        typed(Rig(supply__low_mv=11_000, pins__supply=34, clock__server="time.example").up(), b"status\n", 3000)
    )
    assert status["configured"] is True and status["limits"] == {"low_mv": 11_000}
    assert status["names"] == {"device_id": "petropavl-01", "region": "nko", "server_name": "broker.example"}
    assert status["clock"]["server"] == "time.example" and status["broker"]["failed_in"] is None
    assert status["link"]["netmask"] == "255.0.0.0" and status["link"]["dns"] == "10.0.0.53"


def test_status_tells_the_step_at_which_the_way_to_the_centre_ends() -> None:
    rig = Rig()
    rig.board.names["broker.example"] = OSError(-202, "EAI_FAIL")
    assert broker_of(rig)["failed_in"] == "lookup"
    rig.board.names["broker.example"] = "10.0.0.2"
    rig.board.on_dial = refused
    assert broker_of(rig)["failed_in"] == "connect"
    rig.board.on_dial = rig._dial
    rig.answers = ""
    found = broker_of(rig, 60_000)
    assert found["failed_in"] == "session" and "no session within" in found["error"]


def refused(*_: Any) -> Any:
    raise OSError("connection refused or unreachable")


def broker_of(rig: Rig, ms: int = 30_000) -> Any:
    rig.run(ms)
    return merged(typed(rig, b"status\n", 3000))["broker"]


# -- net


def lookups(rig: Rig, ms: int = LONG_MS) -> list[dict[str, Any]]:
    return [line["lookup"] for line in typed(rig, b"net\n", ms) if "lookup" in line]


STREAMS = {
    "rtsp": "rtsp://cameras.example:8554/1?user=a@b",
    "http": "http://cameras.example/1.jpg",
    "sip": "sip:door@pbx.example:5070;transport=tcp",
}
HOSTS = ["broker.example", "cameras.example", "pbx.example", "time.example"]


def test_net_finds_an_address_for_each_name_once() -> None:
    rig = Rig(stream=STREAMS, clock__server="time.example")
    rig.board.names.update({name: f"10.0.0.{at}" for at, name in enumerate(HOSTS, 2)})
    rig.up()
    lines = typed(rig, b"net\n", LONG_MS)
    found = [line["lookup"] for line in lines if "lookup" in line]
    assert [(one["what"], one["host"], one["address"], one["error"]) for one in found] == [
        ("broker", "broker.example", "10.0.0.2", ""),
        ("stream", "cameras.example", "10.0.0.3", ""),
        ("stream", "pbx.example", "10.0.0.4", ""),
        ("clock", "time.example", "10.0.0.5", ""),
    ]
    answer = merged(lines)
    assert (answer["gateway"], answer["netmask"], answer["dns"]) == ("10.0.0.1", "255.0.0.0", "10.0.0.53")
    assert answer["ok"] is True and "firmware.probe" in rig.board.forgotten


def test_a_name_without_an_address_is_told_and_the_next_one_asked() -> None:
    rig = Rig(stream={"rtsp": "rtsp://cameras.example/1"}, clock__server="10.0.0.77").up()
    broker, stream, clock = lookups(rig)
    assert broker["address"] == "10.0.0.2" and clock["address"] == "10.0.0.77" and clock["ms"] == 0
    assert stream["address"] is None and "no address for cameras.example" in stream["error"]


def test_a_dead_name_server_ends_the_patience() -> None:
    rig = Rig(stream=STREAMS, clock__server="time.example").up()
    rig.board.names.update(dict.fromkeys(HOSTS))
    found = lookups(rig, 20_000)
    assert [one["address"] for one in found] == [None] * 4
    assert found[0]["ms"] >= 8000 and all(1000 <= one["ms"] < 1500 for one in found[1:])


# -- stream


def looks(rig: Rig, ms: int = 30_000) -> list[dict[str, Any]]:
    return [line["stream"] for line in typed(rig, b"stream\n", ms) if "stream" in line]


def with_endpoints(**endpoints: FakeEndpoint) -> Rig:
    """`cameras`, `pbx`: what answers there."""
    rig = Rig(stream={"rtsp": "rtsp://cameras.example/1", "sip": "sip:door@pbx.example;transport=tcp"})
    addresses = {"cameras": "10.0.0.3", "pbx": "10.0.0.4"}
    rig.board.names.update({f"{name}.example": address for name, address in addresses.items()})
    by_address = {addresses[name]: endpoint for name, endpoint in endpoints.items()}
    dial = rig._dial
    rig.board.on_dial = lambda address, port, name: by_address.get(address) or dial(address, port, name)
    return rig.up()


def test_stream_looks_at_each_endpoint() -> None:
    rig = with_endpoints(cameras=FakeEndpoint(), pbx=FakeEndpoint(lambda data: stream_answer(data, 503)))
    camera, pbx = looks(rig)
    assert camera["uri"] == "rtsp://cameras.example/1" and camera["ok"] is True and camera["error"] == ""
    assert pbx["ok"] is False and pbx["error"] == "answers 503" and 0 <= pbx["ms"] < 2000


def test_a_silent_endpoint_costs_six_seconds_and_is_closed() -> None:
    silent = FakeEndpoint(lambda data: None)
    camera, pbx = looks(with_endpoints(cameras=silent, pbx=FakeEndpoint()))
    assert camera["error"] == "no answer within 6 s" and 6000 <= camera["ms"] < 7000
    assert silent.closed and pbx["ok"] is True


def test_behind_a_silent_endpoint_the_next_gets_two_seconds() -> None:
    """Or a dark cabinet with four of them would hold up a check-up for 24 s. Goes red without the shorter patience."""
    camera, pbx = looks(with_endpoints(cameras=FakeEndpoint(lambda data: None), pbx=FakeEndpoint(lambda data: None)))
    assert (camera["error"], pbx["error"]) == ("no answer within 6 s", "no answer within 2 s")
    assert 2000 <= pbx["ms"] < 2500


def test_an_alarm_ends_the_look() -> None:
    silent = FakeEndpoint(lambda data: None)
    rig = with_endpoints(cameras=silent, pbx=FakeEndpoint())
    typed(rig, b"stream\n", 300)
    assert not silent.closed
    rig.press()
    rig.run(200)
    assert silent.closed and rig.lamp() in ("calling", "sent")
    assert "the memory is the alarm's" in typed(rig, b"stream\n")[-1]["error"]


# -- certs


def joined(answer: dict[str, Any], whose: str) -> bytes:
    return base64.b64decode("".join(answer[whose]), validate=True)


def pem(der: bytes, width: int) -> str:
    text = base64.b64encode(der).decode()
    body = "\n".join(text[at : at + width] for at in range(0, len(text), width))
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("width", [64, 76, 93])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_certs_are_the_files_and_the_peers(width: int, separators: tuple[str, str]) -> None:
    """With 93 letters a line, a piece ends within an escape: red when that half is taken for base64."""
    dice = random.Random(width)
    ca, own, peer = dice.randbytes(700), dice.randbytes(811), dice.randbytes(901)
    rig = Rig().up()
    content = document(broker__tls={"ca": pem(ca, width) + pem(own, 64), "cert": pem(own, width)})
    content["location"]["address"] = 'улица "ca" и "cert": никогда'
    key = content.pop("secrets")["tls_key"]
    rig.board.flash.files[config_files.CONFIG_FILE] = json.dumps(content, separators=separators).encode()
    rig.streams[-1].peer = peer
    lines = typed(rig, b"certs\n", LONG_MS)
    answer = merged(lines)
    assert answer["ok"] is True
    assert [joined(answer, whose) for whose in ("ca", "own", "broker")] == [ca, own, peer]
    assert key not in json.dumps(lines) and max(len(json.dumps(line)) for line in lines) < 160


def test_certs_of_the_last_good_configuration() -> None:
    rig = Rig(errors=("broker: wrong",)).up()
    content = document(broker__tls={"ca": pem(b"good ca", 64), "cert": pem(b"good own", 64)})
    rig.board.flash.files["config.good"] = record.frame(json.dumps(content).encode())
    answer = merged(typed(rig, b"certs\n", LONG_MS))
    assert joined(answer, "ca") == b"good ca" and joined(answer, "own") == b"good own"


@pytest.mark.parametrize("source", ["tls.good", "tls.new"])
def test_certs_that_came_over_the_air(source: str) -> None:
    """`tls.new` becomes `tls.good` while the column runs. Red when the configuration's own are shown instead."""
    rig = Rig().up()
    rig.column.uplink.config["tls"]["source"] = source
    content = {"number": 1, "ca": pem(b"new ca", 64), "cert": pem(b"new own", 64)}
    rig.board.flash.files["tls.good"] = record.frame(json.dumps(content).encode())
    answer = merged(typed(rig, b"certs\n", LONG_MS))
    assert joined(answer, "ca") == b"new ca" and joined(answer, "own") == b"new own"


def test_certs_says_null_for_what_is_not_there() -> None:
    rig = Rig(broker__tls=None, broker__insecure=True).up()
    rig.board.flash.files[config_files.CONFIG_FILE] = json.dumps(document(broker__tls=None)).encode()
    answer = merged(typed(rig, b"certs\n", LONG_MS))
    assert answer["ok"] is True and [answer[whose] for whose in ("ca", "own", "broker")] == [None] * 3
