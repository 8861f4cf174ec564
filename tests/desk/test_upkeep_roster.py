"""The roster: a column that never came online, two boards, wrong places, old firmware and certificates are found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from upkeep_rig import MINUTE, PLACES, START_MS, Desk, roster_document

from desk.ledger import TWO_BOARDS, Column
from desk.upkeep import report, store
from desk.upkeep.roster import Finding, Roster, RosterError, findings, parse, read
from desk.watched_file import WatchedFile

ROSTER = parse(roster_document(), "roster.json")


def column(name: str, **changes: Any) -> Column:
    """As it should be, but for `changes` of its birth certificate."""
    entry = ROSTER.entries.get(name) or next(iter(ROSTER.entries.values()))
    info = {"location": {"geo": entry.geo, "address": entry.address}, "fw": "1.2.0", "stream": {"rtsp": "rtsp://x"}}
    return Column("nko", name, info={**info, **changes})


def kinds(roster: Roster, *columns: Column, now_ms: int = START_MS) -> list[tuple[str, str]]:
    return [(one.device_id, one.kind) for one in findings(roster, {one.device_id: one for one in columns}, now_ms)]


ALL = [column(name) for name in ROSTER.entries]


def test_a_fleet_as_it_should_be_has_no_findings() -> None:
    assert kinds(ROSTER, *ALL) == []


def test_a_column_that_never_came_online_is_found() -> None:
    """Red without the roster: such a column is in nobody's memory."""
    assert kinds(ROSTER, *ALL[1:]) == [("sos-01", "never-online")]
    assert kinds(ROSTER, *ALL[1:], Column("nko", "sos-01")) == [("sos-01", "never-online")], "known, and never heard"
    assert kinds(Roster.nothing(), *ALL[1:]) == []
    found = findings(ROSTER, {one.device_id: one for one in ALL[1:]}, START_MS, {"sos-01": 7})
    assert found == [], "it came once: that it is away is its presence's, not the roster's"


def test_a_column_that_nobody_has_on_the_roster_is_found() -> None:
    assert kinds(ROSTER, *ALL, column("sos-99")) == [("sos-99", "not-in-roster")]


def test_two_boards_under_one_name_are_found() -> None:
    doubled = [column(name) for name in ROSTER.entries]
    doubled[1].faults[TWO_BOARDS] = {"detail": "boards a, b"}
    assert kinds(ROSTER, *doubled) == [("sos-02", "two-boards")]


def test_swapped_coordinates_are_found_with_the_distance() -> None:
    swapped = column("sos-01", location={"geo": "geo:69.1628,54.8753;u=5", "address": "Street 1"})
    found = findings(ROSTER, {one.device_id: one for one in [swapped, *ALL[1:]]}, START_MS)
    assert [one.kind for one in found] == ["swapped", "moved"]
    assert found[0].values["km"] > 1000  # type: ignore[operator]


def test_a_column_far_from_the_others_is_found_and_one_in_the_next_street_is_not() -> None:
    far = column("sos-01", location={"geo": "geo:51.1694,71.4491;u=5", "address": "Street 1"})
    assert ("sos-01", "far") in kinds(ROSTER, far, *ALL[1:])
    near = column("sos-01", location={"geo": "geo:54.8763,69.1638;u=5", "address": "Street 1"})
    assert kinds(ROSTER, near, *ALL[1:]) == []


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"location": {"geo": "geo:54.8722,69.1510;u=5", "address": "Street 1"}}, "moved"),
        ({"location": {"geo": "geo:54.8753,69.1628;u=5", "address": "Street 2"}}, "other-address"),
        ({"fw": "1.1.9"}, "old-firmware"),
    ],
)
def test_what_a_column_says_of_itself_is_held_against_roster_and_neighbours(changes: dict[str, Any], kind: str) -> None:
    assert kinds(ROSTER, column("sos-01", **changes), *ALL[1:]) == [("sos-01", kind)]


def test_a_newer_firmware_is_a_trial_and_no_finding() -> None:
    """Red when the newest is taken for what all should have."""
    assert kinds(ROSTER, column("sos-01", fw="1.10.0"), *ALL[1:]) == []
    versions = [column(name, fw=fw) for name, fw in zip(ROSTER.entries, ("1.9.0", "1.10.0", "1.10.0"), strict=True)]
    assert kinds(ROSTER, *versions) == [("sos-01", "old-firmware")], "by numbers, not by letters"


def test_old_and_ending_certificates_are_found() -> None:
    document = roster_document()
    document["columns"][0]["certificate_made"] = "2025-06-01T00:00:00.000Z"
    document["columns"][1]["certificate_ends"] = "2026-03-01T00:00:00.000Z"
    found = findings(parse(document, "x"), {one.device_id: one for one in ALL}, START_MS)
    assert found == [
        Finding("sos-01", "old-certificate", {"days": 183}),
        Finding("sos-02", "certificate-ends", {"days": 59}),
    ]


def test_all_that_is_wrong_with_a_roster_is_told_at_once(tmp_path: Path) -> None:
    document = roster_document()
    document["columns"][0] |= {"device_id": "SOS 1", "geo": "54,69"}
    document["columns"][1]["site"] = "moon"
    document["columns"][2]["certificate_ends"] = "soon"
    (tmp_path / "roster.json").write_text(json.dumps(document))
    with pytest.raises(RosterError) as wrong:
        read(tmp_path / "roster.json")
    lines = str(wrong.value).splitlines()
    assert [line.split(": ")[1:3] for line in lines] == [
        ["entry 1", "device_id"], ["entry 1", "geo"], ["entry 2", "site"], ["entry 3", "certificate_ends"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "document", [[], {}, {"v": 2, "columns": []}, {"v": 1, "columns": []}, {"v": 1, "columns": [3]}]
)
def test_what_is_no_roster_is_refused(document: Any) -> None:
    with pytest.raises(RosterError):
        parse(document, "roster.json")


def test_a_column_twice_is_refused() -> None:
    document = roster_document()
    document["columns"].append(document["columns"][0])
    with pytest.raises(RosterError, match="twice"):
        parse(document, "roster.json")


# -- read again while the desk runs


def test_a_new_roster_counts_at_once_and_a_bad_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Told once, however often the desk looks. Red when a bad file empties the roster."""
    file = tmp_path / "roster.json"
    more = json.dumps(roster_document({**PLACES, "sos-04": (54.86, 69.15)}))
    file.write_text(json.dumps(roster_document()))
    with Desk(tmp_path / "register.db") as desk:
        desk.duty._roster_file = WatchedFile(file, read)

        def known() -> tuple[int, str]:
            for _ in range(3):
                desk.duty.look_at_files()
            found = desk.duty.overview(desk.now_ms)
            return found["share"]["total"], found["roster_refused"]

        assert known() == (3, "")
        file.write_text(more)
        assert known() == (4, "")
        desk.beat(120_000, "sos-01")
        kept = desk.duty.keeper.span("sos-04")
        assert kept is not None and kept.why == "it never came online"
        for bad, why in (('{"v": 1', "Expecting"), ('{"v": 1, "columns": []}', "list of 1 to"), (None, "No such file")):
            file.unlink() if bad is None else file.write_text(bad)
            total, refused = known()
            assert total == 4 and why in refused and "roster.json" in refused
        file.write_bytes(b"\xff\xfe")
        assert known()[0] == 4 and "codec" in known()[1]
        file.write_text(more)
        assert known() == (4, ""), "the very same file is good again"
        assert desk.duty.keeper.roster is desk.duty._roster
    refused_lines = [one.message for one in caplog.records if "refused" in one.message]
    assert len(refused_lines) == 4, refused_lines


def test_a_keeper_made_later_has_the_new_roster(tmp_path: Path) -> None:
    """After trouble with the disk the desk begins with what is in the register. Red when it begins with the old one."""
    file = tmp_path / "roster.json"
    file.write_text(json.dumps(roster_document()))
    with Desk(tmp_path / "register.db") as desk:
        desk.duty._roster_file = WatchedFile(file, read)
        file.write_text(json.dumps(roster_document({"sos-09": (54.86, 69.15)})))
        desk.duty.look_at_files()
        desk.duty._load()
        assert list(desk.duty.keeper.roster.entries) == ["sos-09"]


def test_a_column_that_is_taken_off_the_roster_has_no_minutes_until_it_is_there_again(tmp_path: Path) -> None:
    """Else it is out of order for ever, in every month's table. Red when its last span goes on, when a restart of the
    desk begins it anew, or when the days of its absence are minutes without a state."""
    file = tmp_path / "roster.json"
    whole, fewer = (json.dumps(roster_document(dict(list(PLACES.items())[:n]))) for n in (3, 2))
    file.write_text(whole)
    with Desk(tmp_path / "register.db") as desk:

        def month() -> dict[str, Any]:
            spans = store.spans(desk.register, 0, desk.now_ms)
            return {one["device_id"]: one for one in report.month(spans, [], START_MS, desk.now_ms)["columns"]}

        def read_again(text: str) -> None:
            file.write_text(text)
            desk.duty.look_at_files()

        desk.duty._roster_file = WatchedFile(file, read)
        desk.beat(10 * MINUTE, "sos-01", "sos-02")
        before = month()["sos-03"]["down"]
        assert 9 <= before <= 11
        read_again(fewer)
        desk.beat(30 * MINUTE, "sos-01", "sos-02")
        desk.roster = parse(json.loads(fewer), "x")
        desk.end()
        desk.now_ms += 5 * MINUTE
        desk.begin()
        desk.duty._roster_file = WatchedFile(file, read)
        desk.beat(30 * MINUTE, "sos-01", "sos-02")
        found = month()
        assert abs(found["sos-03"]["down"] - before) <= 1 and found["sos-01"]["none"] == 0
        later = report.month(store.spans(desk.register, 0, desk.now_ms), [], desk.now_ms - 20 * MINUTE, desk.now_ms)
        assert [one["device_id"] for one in later["columns"]] == ["sos-01", "sos-02"], "it is in no later month"
        read_again(whole)
        desk.beat(10 * MINUTE, "sos-01", "sos-02")
        again = month()["sos-03"]
        assert 9 <= again["down"] - before <= 12 and again["none"] == 0 and again["gone"] >= 60
