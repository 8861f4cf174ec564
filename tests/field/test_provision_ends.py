"""Certificates that are made on one day end on many, and none sooner than the one that a column has."""

import datetime
import json
from pathlib import Path

import pytest
from fleet_rig import GOOD, HEADER, Tables, make

from field import authorities, certificates, laptop, provision

NAMES = [f"c-{number:02}" for number in range(12)]
DAY = datetime.timedelta(days=1)
NOW = laptop.RELEASED + 10 * DAY
LATEST = NOW + provision.LIFE_DAYS * DAY


class Street:
    """A fleet's folder, and the clock of the computer that makes it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.out, self.patch = folder / "out", monkeypatch
        self._table = Tables(folder)(HEADER, *(GOOD.replace("one", name) for name in NAMES))
        self.provision(NOW)

    def provision(self, now: datetime.datetime) -> None:
        self.patch.setattr(laptop, "now", lambda: now)
        assert make(self._table, self.out) == 0

    def pems(self) -> list[bytes]:
        return [(self.out / "columns" / name / f"{name}.pem").read_bytes() for name in NAMES]

    def ends(self) -> list[datetime.datetime]:
        return [certificates.expires(pem) for pem in self.pems()]

    def made(self) -> set[datetime.datetime]:
        roster = json.loads((self.out / "centre" / provision.ROSTER).read_text())
        return {datetime.datetime.fromisoformat(row["certificate_made"]) for row in roster["columns"]}


@pytest.fixture
def street(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Street:
    return Street(tmp_path, monkeypatch)


def test_they_end_apart_and_never_later_than_their_life(street: Street) -> None:
    """Red without `spread`. The same in each run, so nothing changes in the next."""
    ends = street.ends()
    assert len(set(ends)) > len(NAMES) / 2 and max(ends) - min(ends) > provision.SPREAD_DAYS * DAY / 2
    assert all(LATEST - provision.SPREAD_DAYS * DAY <= end <= LATEST for end in ends)
    for alone in ("broker/server.pem", "centre/centre.pem"):
        assert certificates.expires((street.out / alone).read_bytes()) == LATEST
    before, roster = street.pems(), (street.out / "centre" / provision.ROSTER).read_bytes()
    street.provision(NOW + 40 * DAY)
    assert (street.pems(), (street.out / "centre" / provision.ROSTER).read_bytes()) == (before, roster)


@pytest.mark.parametrize("share", [None, 0], ids=["spread", "made before they were spread"])
def test_a_new_one_ends_no_sooner_than_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: int | None
) -> None:
    """A column takes no other. Red without the look at the file in `_end`, for the fleets that are there already."""
    with monkeypatch.context() as patch:
        if share is not None:
            patch.setattr(provision, "SPREAD_DAYS", share)
        street = Street(tmp_path, patch)
    old, before, street.patch = street.pems(), street.ends(), monkeypatch
    for what in ("add", "switch"):
        monkeypatch.setattr(laptop, "now", lambda: NOW + 30 * DAY)
        assert authorities.main([what, "--out", str(street.out), "--force"]) == 0
        street.provision(NOW + 30 * DAY)
    after = street.ends()
    assert not set(old) & set(street.pems())
    assert all(new >= was for new, was in zip(after, before, strict=True))
    assert all(end <= LATEST + 30 * DAY for end in after)


def test_the_roster_says_when_each_was_made(street: Street) -> None:
    """The desk names columns whose certificate is older than the others'. Red when it is counted back from the end."""
    assert street.made() == {NOW}
    street.provision(NOW + 400 * DAY)
    assert street.made() == {NOW}
    (street.out / "centre" / provision.ROSTER).unlink()
    street.provision(NOW + 400 * DAY)
    assert street.made() == {NOW}, "without a roster by the end, and by how much each ends sooner"


def test_the_roster_keeps_when_those_were_made_that_end_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a fleet that is there already. Red when the run before is not asked."""
    with monkeypatch.context() as patch:
        patch.setattr(provision, "SPREAD_DAYS", 0)
        street = Street(tmp_path, patch)
    street.patch = monkeypatch
    street.provision(NOW + 400 * DAY)
    assert street.made() == {NOW}
