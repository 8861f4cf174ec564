# mypy: allow-untyped-calls
"""Which package of new certificates a column puts on trial: each limit, to the ms. What a column does of it all is in
test_renewal.py."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from fake_board import FakeFlash

from field import renewal
from firmware.authentic import Authentic
from firmware.record import frame
from firmware.startup import certificate
from firmware.startup.renewed import RENEWED_FILE
from firmware.update import renewal as judging

FLOOR_MS, OWN_END_MS, CA_END_MS = 500, 1000, 1500


def cert(**changes: Any) -> Any:
    made = {"subject": b"me", "public_key": b"key", "begins_ms": FLOOR_MS, "ends_ms": OWN_END_MS}
    return SimpleNamespace(**{**made, **changes})


@pytest.mark.parametrize(
    ("found", "authorities", "said"),
    [
        ([cert()], [cert(ends_ms=CA_END_MS)], OWN_END_MS),
        ([cert(ends_ms=3000)], [cert(ends_ms=CA_END_MS)], CA_END_MS),
        ([cert(ends_ms=3000)], [cert(ends_ms=CA_END_MS), cert(ends_ms=2000)], 2000),
        ([], [cert()], "a certificate of another name or another key"),
        ([cert()] * 2, [cert()], "a certificate of another name or another key"),
        ([cert(subject=b"you")], [cert()], "a certificate of another name or another key"),
        ([cert(public_key=b"other")], [cert()], "a certificate of another name or another key"),
        ([cert(ends_ms=OWN_END_MS - 1)], [cert()], "a certificate that ends before the one in force"),
        ([cert()], [], "must have one or two authorities, has 0"),
        ([cert()], [cert()] * 3, "must have one or two authorities, has 3"),
        ([cert()], [cert(), cert(begins_ms=FLOOR_MS + 1)],
         "an authority that begins after the floor of this column's clock"),
    ],
)  # fmt: skip
def test_until_when_sessions_are_possible_or_why_not(found: Any, authorities: Any, said: Any) -> None:
    try:
        assert judging._end(cert(), found, authorities, FLOOR_MS) == said
    except ValueError as error:
        assert str(error) == said


class Judged:
    """A package for a column in a folder, and what becomes of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        certificates_of = {"cert": [cert()], "ca": [cert(ends_ms=CA_END_MS)]}
        monkeypatch.setattr(certificate, "read", lambda text: iter(certificates_of[text]))
        self.flash = FakeFlash()
        self.flash.files["a/secrets.json"] = b'{"tls_key": "KEY"}'
        self.clock: Any = SimpleNamespace(floor_ms=FLOOR_MS, source="ntp", now_ms=lambda: OWN_END_MS - 1)
        self.tls = {"digest": "flashed", "source": ""}
        self.column = SimpleNamespace(
            messages=SimpleNamespace(device_id="me"), uplink=SimpleNamespace(config={"tls": self.tls}), folder="a",
            clock=self.clock,
        )  # fmt: skip

    def before(self, number: int) -> None:
        entry = {"number": number, "of": "as flashed", "ends_ms": 1, "ca": "a", "cert": "c"}
        self.flash.files[RENEWED_FILE] = frame(json.dumps(entry).encode())

    def said(self, topic: bytes = b"renewal/me", key: str = "KEY", **changes: Any) -> Any:
        """What is put on trial, or why nothing is."""
        body = {"v": 1, "device_id": "me", "number": 3, "ca": "ca", "cert": "cert", **changes}
        sealed = Authentic(renewal.sealing_key(key), 0).seal(topic, bytearray(json.dumps(body).encode()))
        try:
            return judging._judged(self.flash, self.column, cert(), bytes(sealed))
        except ValueError as error:
            return str(error)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Judged:
    return Judged(monkeypatch)


ON_TRIAL = {"number": 3, "of": "flashed", "ends_ms": OWN_END_MS, "ca": "ca", "cert": "cert"}


def test_what_is_put_on_trial(judged: Judged) -> None:
    assert judged.said() == ON_TRIAL
    judged.before(2)
    assert judged.said() == ON_TRIAL, "what was flashed since counts"
    judged.tls["source"] = RENEWED_FILE
    assert judged.said() == {**ON_TRIAL, "of": "as flashed"}


def test_whom_a_package_is_for(judged: Judged) -> None:
    sealed = "not made for this column by whoever provisioned it"
    assert judged.said(topic=b"renewal/you") == judged.said(topic=b"me") == judged.said(key="other") == sealed
    assert judged.said(v=2) == judged.said(device_id="you") == "not for this column"


def test_which_number_it_may_have(judged: Judged) -> None:
    assert judged.said(number="3") == judged.said(number=True) == "older than the certificates in force"
    assert judged.said(number=-1) == {**ON_TRIAL, "number": -1}, "the first one may have any"
    judged.before(3)
    assert judged.said() == judged.said(number=2) == "older than the certificates in force"
    assert judged.said(number=4) == {**ON_TRIAL, "number": 4}


@pytest.mark.parametrize("source", ["ntp", "none"])
def test_what_has_ended_is_not_tried(judged: Judged, source: str) -> None:
    """By the clock, or, without one, by its floor."""
    judged.clock.source = source
    assert judged.said() == ON_TRIAL
    if source == "ntp":
        judged.clock.now_ms = lambda: OWN_END_MS
        assert judged.said() == "certificates that have ended"
    else:
        judged.clock.now_ms = lambda: 1 << 50
        assert judged.said() == ON_TRIAL
        judged.clock.floor_ms = OWN_END_MS
        assert judged.said() == "certificates that have ended"
