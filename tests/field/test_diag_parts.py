"""Small parts of the check-up: certificates' dates, the picture of the contact, who is there when nobody answers."""

import base64
import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest
from diag_answers import NOW, Recorded, pieces
from rich.console import Console as Terminal

from field.diag import absence, dates, interview, table
from field.diag.finding import fails
from field.diag.judge import judge
from field.diag.waveform import BOTH, CLOSED, OPEN, WIDTH, picture, row
from field.diag.words import Words
from field.words import LANGUAGES, listed
from sim.servers.authority import Authority

# -- dates


def test_dates_are_read_from_pieces_however_they_were_cut() -> None:
    whole = "".join(pieces("petropavl-07", 30))
    for size in (1, 7, 92, len(whole)):
        cut = [whole[at : at + size] for at in range(0, len(whole), size)]
        (found,) = dates.dates_of("own", cut)
        assert (found.name, found.ends) == ("petropavl-07", NOW + datetime.timedelta(days=30))


def test_several_certificates_in_one_text_are_all_read() -> None:
    one, two = ("".join(pieces(name, days)) for name, days in (("first", 10), ("second", 20)))
    together = base64.b64encode(base64.b64decode(one) + base64.b64decode(two)).decode()
    for text in (one + two, together):
        assert [found.name for found in dates.dates_of("ca", [text])] == ["first", "second"]


@pytest.mark.parametrize("garbage", ["", "====", "AAAA", "not base64!", "MIIB", "MIIBsDCCAVag" * 9])
def test_what_is_no_certificate_is_passed_over(garbage: str) -> None:
    assert dates.dates_of("own", [garbage]) == []
    recorded = Recorded().says("certs", {"own": [garbage]}, {"broker": None}, {"ca": None})
    assert recorded.judged()["tls"].key == "tls.undated"


def test_a_laptop_sees_the_dates_of_a_broker_that_the_column_refuses(tmp_path: Path) -> None:
    identity = Authority(tmp_path).server(("broker.example",), expired=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            plain, _ = server.accept()
            with plain, context.wrap_socket(plain, server_side=True):
                pass

        serving = threading.Thread(target=serve)
        serving.start()
        port = server.getsockname()[1]
        seen = dates.broker_seen_from_here("127.0.0.1", port, "broker.example")
        serving.join()
    assert seen is not None and seen.whose == "broker" and seen.ends < NOW
    column = Recorded().away("TLS: the broker's certificate is refused: ?", "session").column()
    column.seen_broker = seen
    assert next(one.key for one in judge(column) if one.line == "tls") == "tls.broker-expired"
    assert dates.broker_seen_from_here("127.0.0.1", port, "broker.example") is None, "nobody is there any more"


# -- the picture


def test_the_picture_shows_open_closed_and_both() -> None:
    samples = [[0, 0, 0], [100, 1, 1], [300, 0, 0]]
    assert row(samples, 0, 600, 6) == OPEN + CLOSED * 2 + OPEN * 3
    assert row(samples, 0, 600, 3) == BOTH + BOTH + OPEN
    assert row([[0, 1, 0]], 0, 600, 3) == CLOSED * 3


def test_a_closure_between_two_looks_is_not_lost() -> None:
    """The contact is open at every look, but the counter saw it close."""
    assert row([[0, 0, 0], [250, 0, 1]], 0, 600, 6) == OPEN * 2 + BOTH + OPEN * 3


def test_the_first_closing_is_enlarged_with_its_bounce() -> None:
    samples = [[0, 0, 0], [2000, 1, 1], [2002, 0, 0], [2003, 1, 1], [2300, 0, 0]]
    (_, _, whole), (start, end, zoomed) = picture(samples, 10_000)
    assert len(whole) == len(zoomed) == WIDTH and BOTH in whole
    assert (start, end) == (1995, 2055)
    assert zoomed[:9] == OPEN * 5 + CLOSED * 2 + OPEN + CLOSED


def test_a_contact_that_never_closed_has_one_row() -> None:
    assert [text for _, _, text in picture([[0, 0, 0]], 10_000)] == [OPEN * WIDTH]
    assert picture([], 10_000) == []


def test_a_closing_at_the_very_end_stays_in_the_picture() -> None:
    (_, (start, end, zoomed)) = picture([[0, 0, 0], [9990, 1, 1]], 10_000)
    assert end == 10_000 and start == 9940 and zoomed.endswith(CLOSED * 10)


# -- who is there


@pytest.mark.parametrize(
    ("heard", "kind"),
    [
        ([], "nobody"),
        (["login:"], "strange"),
        (["fault: clock-unset cleared"], "mute"),
        (["link: up {'status': 5}", "garbage"], "mute"),
        (["boot: number=3", "fault: clock-unset: no time since power-up", "boot: number=4"], "strange"),
        (["default: link: down"], "strange"),
        (['Type "help()" for more information.', ">>> "], "prompt"),
        (["MicroPython v1.25.0 on 2025-04-15"], "prompt"),
        (["configuration: pins: x"], "unconfigured"),
        (["boot: number=1", "configuration: pins: x", "configuration: pins: x"], "unconfigured"),
        (["configuration: pins: x", ">>> status"], "prompt"),
        ([">>> status", "boot: number=3", "column: armed", "uplink: session"], "armed"),
        (["column: armed", "MicroPython v1.25.0"], "prompt"),
    ],
)
def test_who_is_there_when_nobody_answers(heard: list[str], kind: str) -> None:
    """Broken by taking what a column says of itself for another device's, or one that starts again and again for one on
    duty."""
    found = absence.classify(heard)
    assert found.kind == kind and (kind != "unconfigured" or found.heard == "pins: x")


# -- how long to wait for a column that has just started


@pytest.mark.parametrize(
    ("uptime_s", "session", "error", "source", "server", "is_settled"),
    [
        (3, True, "", "ntp", "t", True),
        (3, False, "refused", "ntp", "t", True),
        (3, False, "", "ntp", "t", False),
        (3, True, "", "none", "t", False),
        (3, True, "", "none", None, True),
        (300, False, "", "none", "t", True),
        (None, False, "", "none", "t", True),
    ],
)
def test_a_column_that_has_just_started_is_given_time(
    uptime_s: int | None, session: bool, error: str, source: str, server: str | None, is_settled: bool
) -> None:
    status = {
        "uptime_s": uptime_s,
        "broker": {"session": session, "error": error},
        "clock": {"source": source, "server": server},
    }
    assert interview.is_settled(status) is is_settled


@pytest.mark.parametrize("language", LANGUAGES)
def test_several_of_a_kind_stand_one_below_the_other(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The second camera stood two blanks from the edge, and the first behind the sentence. Red where they are joined as
    they come. One alone stays in its line."""
    terminal = Terminal(markup=False, highlight=False)
    table.show(
        [fails("stream", "down", what=listed(["rtsp://a/b: answers 404", "sip:c: answers 503"]))],
        Words(language),
        terminal,
    )
    first, *below = capsys.readouterr().out.splitlines()[:3]
    assert first.endswith(Words(language)("stream.down", what="").strip())
    at = len(first) - len(Words(language)("stream.down", what="").strip())
    assert [line.index(uri) for line, uri in zip(below, ("rtsp", "sip"), strict=True)] == [at, at]
    table.show([fails("stream", "down", what=listed(["rtsp://a/b: answers 404"]))], Words(language), terminal)
    assert capsys.readouterr().out.startswith(f"{first} rtsp://a/b: ")
