"""The console's `access` and `certs` on a virtual board, against real mosquitto."""

import base64
import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import memory_rig
import pytest
from board_console_rig import ANSWERS_BYTES, raised
from board_probe import Bench, bench
from centre_probe import end
from cli_probe import run_sim
from column_probe import PATIENCE_S, need
from cryptography import x509

from field.access import CENTRE, access_list
from field.console import Console, ConsoleError, Refused
from sim.servers.authority import Authority
from sim.servers.broker import Mosquitto, Tls
from sim.servers.centre import Centre
from sim.servers.stand_ins import StreamServer

pytestmark = [pytest.mark.micropython, pytest.mark.mosquitto]
BOOT_S = 20.0
REGION, DEVICE, OTHER = "nko", "access-01", "access-02"
USERS = {DEVICE: "secret", OTHER: "secret2", CENTRE: "secret3"}
PROPER = access_list([(REGION, DEVICE), (REGION, OTHER)])


def with_hole(line: str) -> str:
    """The proper list, and one more line for our column."""
    return PROPER.replace(f"user {DEVICE}\n", f"user {DEVICE}\n{line}\n")


def configuration(broker: Mosquitto) -> dict[str, Any]:
    made = run_sim("config", "--device-id", DEVICE, "--region", REGION, "--broker", f"{broker.host}:{broker.port}")
    assert made.returncode == 0, made.stderr
    document: dict[str, Any] = json.loads(made.stdout)
    document.setdefault("secrets", {}).update({"mqtt_user": DEVICE, "mqtt_password": USERS[DEVICE]})
    return document


@pytest.fixture
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Bench, Centre]]:
    """(a column on duty, its centre); the parameter: (runtime, access list)."""
    runtime, acl = request.param
    need(runtime)
    need("mosquitto")
    with (
        Mosquitto(users=USERS, acl=acl) as broker,
        Centre(broker.host, broker.port, user=CENTRE, password=USERS[CENTRE]) as centre,
        bench(tmp_path, configuration(broker), runtime=runtime) as desk,
    ):
        desk.seen.wait("lamp", BOOT_S, state="ready")
        yield desk, centre


def cases(*made: tuple[str, str, dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("desk", "wanted"), [((runtime, acl), wanted) for runtime, acl, wanted in made],
                                   indirect=["desk"])  # fmt: skip


CONFINED = {"own_ack": False, "states": 0, "foreign": False}


@cases(
    ("micropython", PROPER, CONFINED),
    ("micropython32", PROPER, CONFINED),
    ("micropython", with_hole("topic readwrite #"), {"own_ack": True, "states": 1, "foreign": True}),
    ("micropython32", with_hole("topic readwrite #"), {"own_ack": True, "states": 1, "foreign": True}),
    ("micropython", with_hole("topic read sos/v1/#"), {"own_ack": False, "states": 1, "foreign": False}),
    ("micropython", with_hole("topic write sos/v1/+/+/ack"), {"own_ack": True, "states": 0, "foreign": False}),
)
def test_a_list_that_confines_and_lists_that_do_not(desk: tuple[Bench, Centre], wanted: dict[str, Any]) -> None:
    """Asked twice, for the first time must leave nothing behind; then the column alarms, on the same session."""
    board, centre = desk[0].board, desk[1]
    with Console(board.port) as console:
        for _ in range(2):
            assert console.ask("access")["access"] == wanted
        status = console.ask("status")
        assert status["broker"]["session"] and "not-subscribed" not in status["faults"]
        since_s = status["broker"]["since_s"]
        board.press(150)
        raised = centre.wait_for(lambda ledger: next(iter(ledger.of(DEVICE)), None), PATIENCE_S, "the alarm")
        with pytest.raises(Refused, match="an alarm is open"):
            console.ask("access")
        time.sleep(0.25)
        centre.close(raised.id)
        assert desk[0].seen.wait("lamp", PATIENCE_S, state="ready")
        assert console.ask("status")["broker"]["since_s"] >= since_s, "one session all the time"


@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_certs_are_those_of_the_files_and_the_broker(tmp_path: Path, runtime: str) -> None:
    need(runtime)
    need("mosquitto")
    authority = Authority(tmp_path / "pki")
    shown = authority.server()
    with Mosquitto(tls=Tls(authority, server=shown)) as broker:
        document = memory_rig.configuration(authority, broker)
        with bench(tmp_path, document, runtime=runtime) as desk, Console(desk.board.port) as console:
            desk.seen.wait("lamp", BOOT_S, state="ready")
            answer = console.ask("certs")
            broker.stop()
            desk.seen.wait("lamp", BOOT_S, state="out-of-service")
            assert console.ask("certs")["broker"] is None
    wanted = {"own": document["broker"]["tls"]["cert"], "ca": document["broker"]["tls"]["ca"]}
    wanted["broker"] = shown.cert.read_text()
    for whose, text in wanted.items():
        assert certificate(answer, whose) == x509.load_pem_x509_certificate(text.encode()), whose


def certificate(answer: dict[str, Any], whose: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode("".join(answer[whose]), validate=True))


# -- a small heap, over mutual TLS

SHORT_BYTES = 108 * 1024
CHECK_UP = ("files", "net", "certs", "stream", "access")


@pytest.mark.parametrize(("heap_bytes", "wanted"), [(ANSWERS_BYTES, set(CHECK_UP)), (SHORT_BYTES, set())])
def test_a_check_up_never_takes_the_memory_of_an_alarm(tmp_path: Path, heap_bytes: int, wanted: set[str]) -> None:
    """Without the two NEEDS_BYTES of the console the shorter heap has no memory for an alarm, more often than not."""
    need("micropython32")
    need("mosquitto")
    authority, camera = Authority(tmp_path / "pki"), StreamServer()
    over, answered, refusals = threading.Event(), list[str](), list[str]()

    def asks(port: str) -> None:
        with Console(port) as console:
            for command in itertools.cycle(CHECK_UP):
                if over.is_set():
                    return
                try:
                    console.ask(command)
                    answered.append(command)
                except Refused as error:
                    refusals.append(str(error))
                    over.wait(0.05)
                except ConsoleError:  # short of memory it may say nothing at all, see field/console.py
                    continue

    with (
        Mosquitto(tls=Tls(authority)) as broker,
        Centre(broker.host, broker.port, tls=authority.client("centre")) as centre,
    ):
        document = memory_rig.configuration(authority, broker)
        place = f"localhost:{camera.port}"
        document["stream"] = {"rtsp": f"rtsp://{place}/1", "http": f"http://{place}/1", "sip": f"sip:a@{place}"}
        with bench(tmp_path, document, runtime="micropython32", heap_bytes=heap_bytes) as desk:
            desk.seen.wait("lamp", BOOT_S, state="ready")
            asking = threading.Thread(target=asks, args=(desk.board.port,))
            asking.start()
            try:
                for number in range(6):
                    desk.board.press(120)
                    one = raised(centre, number)
                    time.sleep(0.25)
                    end(centre, one)
                    desk.seen.wait("lamp", PATIENCE_S, state="ready")
                    time.sleep(number / 2)  # the later ones meet a command that was begun in peace
                deadline_s = time.monotonic() + 3 * PATIENCE_S
                while not wanted <= set(answered) and time.monotonic() < deadline_s:
                    time.sleep(0.1)
            finally:
                over.set()
                asking.join()
            events = desk.seen.events + desk.seen.drain(0.2)
    camera.stop()
    said = [event["text"] for event in events if "text" in event]
    assert not [event for event in events if event["event"] == "reset"], said[-40:]
    assert wanted <= set(answered), (answered, refusals)
    assert all("too little memory" in why or "an alarm is open" in why for why in refusals), refusals
