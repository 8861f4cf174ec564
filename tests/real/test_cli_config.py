"""`python -m sim config`: what it prints the firmware takes; what it refuses it explains."""

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_probe import run_sim

from firmware.startup import config
from sim.real import flash_image

CA, CERT, KEY = (
    f"-----BEGIN {kind}-----\nMA==\n-----END {kind}-----\n" for kind in ("CERTIFICATE", "CERTIFICATE", "PRIVATE KEY")
)
MINIMUM = ["--device-id", "petropavl-01", "--region", "nko", "--broker", "127.0.0.1:1883"]


def printed(*arguments: str) -> dict[str, Any]:
    run = run_sim("config", *MINIMUM, *arguments)
    assert run.returncode == 0, run.stderr
    document: dict[str, Any] = json.loads(run.stdout)
    return document


@pytest.fixture
def pem(tmp_path: Path) -> list[str]:
    for name, text in (("ca", CA), ("cert", CERT), ("key", KEY)):
        (tmp_path / name).write_text(text)
    return [word for name in ("ca", "cert", "key") for word in (f"--{name}", str(tmp_path / name))]


def test_without_certificates_it_is_plain_and_says_so() -> None:
    document = printed()
    filled, errors = config.validate(document, "esp32")
    assert errors == []
    assert filled["broker"]["tls"] is None and document["broker"]["insecure"] is True
    assert (document["broker"]["host"], document["broker"]["port"]) == ("127.0.0.1", 1883)


def test_with_certificates_it_is_mutual_tls_with_the_texts_inside(pem: list[str]) -> None:
    document = printed(*pem, "--server-name", "broker.example")
    assert config.validate(document, "esp32")[1] == []
    assert document["broker"]["tls"] == {"ca": CA, "cert": CERT, "server_name": "broker.example"}
    assert document["broker"]["insecure"] is False
    assert document["secrets"]["tls_key"] == KEY


def test_everything_else_can_be_given() -> None:
    document = printed(
        *[
            "--lat",
            "43.2",
            "--lon",
            "76.9",
            "--address",
            "Алматы",
            "--site",
            "school",
            "--user",
            "a",
            "--password",
            "b",
        ],
        *["--rtsp", "rtsp://c/1", "--wifi-ssid", "w", "--wifi-password", "12345678", "--chip", "esp32c3"],
    )
    assert document["location"] == {"geo": "geo:43.2,76.9;u=5", "address": "Алматы", "site": "school", "height_m": 1.0}
    assert document["stream"] == {"rtsp": "rtsp://c/1"}
    assert document["secrets"]["mqtt_password"] == "b" and document["pins"]["button"] == 3
    assert config.validate(document, "esp32c3")[1] == []


def test_an_ipv6_broker() -> None:
    run = run_sim("config", "--device-id", "a", "--region", "b", "--broker", "[::1]:1883")
    assert json.loads(run.stdout)["broker"]["host"] == "::1"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--device-id", "UPPER"], 'device_id: found "UPPER", must be 1 to 32 of a-z, 0-9 and -'),
        (["--region", ""], "region: found"),
        (["--broker", "nowhere"], "--broker: found 'nowhere', must be HOST:PORT"),
        (["--broker", "a:99999"], "broker.port: found 99999"),
        (["--lat", "91"], "location.geo: found"),
        (["--lon", "nan"], "location.geo: found"),
        (["--ca", "/nowhere.pem"], "--ca: "),
        (["--cert", "x"], "--cert and --key belong together"),
        (["--cert", "x", "--key", "y"], "need --ca"),
        (["--user", "a"], "needs secrets.mqtt_password beside it"),
        (["--address", "я" * 200], "location.address: found"),
        (["--rtsp", "rtsp://me:secret@camera/1"], "without a user or password inside"),
        (["--site", "moon"], "invalid choice: 'moon'"),
        (["--lat", "north"], "invalid float value: 'north'"),
    ],
)
def test_what_is_refused_is_explained(arguments: list[str], told: str) -> None:
    run = run_sim("config", *MINIMUM, *arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert told in run.stderr and "Traceback" not in run.stderr


def test_a_secret_is_never_shown_in_an_error() -> None:
    run = run_sim("config", *MINIMUM, "--wifi-password", "short77")
    assert run.returncode == 2 and "secrets.wifi_password" in run.stderr and "short77" not in run.stderr


def test_a_file_behind_it_is_for_its_owner_only(tmp_path: Path) -> None:
    """The shell makes it for everybody; passwords and keys go into it."""
    file = tmp_path / "column.json"
    with file.open("w") as stream:
        file.chmod(0o644)
        command = [sys.executable, "-m", "sim", "config", "--device-id", "t", "--region", "nko", "--broker", "h:1"]
        subprocess.run(command, stdout=stream, check=True, cwd=flash_image.PROJECT)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
