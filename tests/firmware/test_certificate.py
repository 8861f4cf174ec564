# mypy: allow-untyped-calls
"""When certificates end: read from their DER, told in time as a fault, and only by a column that knows the time."""

import datetime
from typing import Any

import pytest
from column_rig import Rig
from config_document import document
from config_files_rig import put
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from fake_board import EPOCH_MS, FakeBoard
from fake_net import FakeDatagram
from ntp_answers import reply

from field import certificates
from firmware.startup import certificate
from firmware.startup.configure import configure

DAY_MS = 86_400_000
KEY = certificates.new_key()


def at(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)


def own(end_ms: int, name: str = "petropavl-01") -> str:
    return certificates.certificate(name, KEY, "CA", KEY, at(end_ms), certificates.CLIENT).decode()


def authority(end_ms: int) -> str:
    return certificates.authority(KEY, "CA", at(end_ms)).decode()


# -- what stands in one


@pytest.mark.parametrize("year", [2027, 2049, 2050, 2099])
def test_it_reads_what_the_cryptography_library_reads(year: int) -> None:
    """From 2050 on the dates have another form (RFC 5280, 4.1.2.5)."""
    end = datetime.datetime(year, 2, 28, 23, 59, 58, tzinfo=datetime.UTC)
    pem = own(int(end.timestamp() * 1000))
    right, (found,) = x509.load_pem_x509_certificate(pem.encode()), certificate.read(pem)
    der, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert at(found.begins_ms) == right.not_valid_before_utc and at(found.ends_ms) == end
    assert found.subject == right.subject.public_bytes()
    assert found.public_key == right.public_key().public_bytes(der, form)


def test_what_is_cut_short_is_none() -> None:
    """Red when an end of the file passes for an end of the certificate."""
    pem = own(EPOCH_MS)
    der = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
    (whole,) = certificate.read(pem)
    for size in range(len(der)):
        try:
            cut = certificate.Certificate(der[:size])
        except ValueError:
            continue
        # Of the signature it knows nothing, which stands behind all that it reads.
        assert cut.public_key == whole.public_key and size >= der.index(whole.public_key) + len(whole.public_key)
    with pytest.raises(ValueError, match="cut short"):
        list(certificate.read(pem[:-30]))


def test_the_first_end_counts_but_of_two_authorities_the_last() -> None:
    """Sessions go on as long as one of the authorities lasts."""
    early, middle, late = EPOCH_MS + DAY_MS, EPOCH_MS + 2 * DAY_MS, EPOCH_MS + 3 * DAY_MS
    assert certificate.ends_ms(authority(late), own(middle)) == middle
    assert certificate.ends_ms(authority(early), own(middle)) == early
    assert certificate.ends_ms(authority(early) + authority(late), own(middle)) == middle
    assert certificate.ends_ms(authority(late), None) == late
    assert certificate.ends_ms("no certificate", own(middle)) is None


def test_the_start_notes_the_end_whatever_the_configuration_says() -> None:
    """Of a column that was provisioned before `clock.latest_s` there was."""
    board: Any = FakeBoard()
    end_ms = EPOCH_MS + 100 * DAY_MS
    put(board, document(broker__tls={"ca": authority(end_ms + DAY_MS), "cert": own(end_ms)}))
    config, _, errors = configure(board, "")
    assert errors == [] and config["clock"]["latest_s"] == end_ms // 1000


# -- the fault


class Timed(Rig):
    """A column whose certificates end so many days from now, with a time server (or none)."""

    def __init__(self, days: float, *, is_served: bool = True, **changes: Any) -> None:
        end_s = EPOCH_MS // 1000 + int(days * DAY_MS / 1000)
        server = "time.example" if is_served else None
        super().__init__(clock__server=server, clock__latest_s=end_s, selftest__drill_s=0, **changes)
        self.board.names["time.example"] = "10.0.0.3"
        self.true_ms = EPOCH_MS
        self.board.on_datagram = lambda *_: FakeDatagram(
            lambda request: [reply(request, self.true_ms + self.board.now_ms)]
        )

    def up(self) -> "Timed":
        super().up()
        return self

    def days_pass(self, days: int) -> None:
        """Quicker than turning the loop: the clock is asked again."""
        self.true_ms += days * DAY_MS
        self.board._epoch_offset_ms += days * DAY_MS
        self.column.clock._next.start(0)
        self.run(5000)


def test_it_is_raised_within_90_days_with_the_days_left_and_told_anew_each_day() -> None:
    """Red when nobody looks at the end, and when a fault that is up keeps the detail it was raised with."""
    rig = Timed(91.5).up()
    assert rig.column.clock.source == "ntp" and rig.fault("certificate") == []
    rig.days_pass(2)
    day = at(EPOCH_MS + int(91.5 * DAY_MS)).date().isoformat()
    what = f"no session from {day} on: the certificates end, in %d days"
    assert rig.fault("certificate") == [what % 89]
    rig.days_pass(0)
    assert rig.fault("certificate") == [what % 89]
    rig.days_pass(1)
    assert rig.fault("certificate") == [what % 89, what % 88]
    since = [fault["since"] for fault in rig.said("fault/certificate") if fault]
    assert len(set(since)) == 1 and "certificate" in rig.column.faults.ids()


def test_a_renewed_certificate_clears_it() -> None:
    """It comes with a new boot, which clears at the broker what the one before left there."""
    ending = Timed(10).up()
    assert [str(detail)[-10:] for detail in ending.fault("certificate")] == [" in 9 days"]
    renewed = Timed(5000).up()
    assert renewed.said("fault/certificate") == [None]


def test_a_clock_that_is_not_known_to_be_right_raises_nothing() -> None:
    """A column that stands at its floor, or years ahead of it by a forged answer, must not cry. Red when the end is
    looked at before the clock is set from the network."""
    for days in (0, 400):
        rig = Timed(10, is_served=False).up()
        rig.days_pass(days)
        assert rig.column.clock.source == "none" and rig.fault("certificate") == []


def test_without_tls_there_is_nothing_to_end() -> None:
    rig = Timed(10, broker__tls=None, broker__insecure=True).up()
    assert rig.column.clock.source == "ntp" and rig.fault("certificate") == []
