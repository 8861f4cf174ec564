"""What `make renew` packs, and a rollout makes of it: idempotent, sealed, and only for columns that lack it."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from fleet_rig import make, snapshot
from whole_rig import succeeds

from common.arguments import EXIT_USAGE
from common.release import ReleaseError
from desk.rollout import plan as rules
from desk.rollout.command import main as rollout
from desk.rollout.offer import Renewals
from desk.rollout.plan import Limits, Plan
from field import authorities, certificates, laptop, provision, renewal
from field.telling import EXIT_FAILED

PLACE = {"geo": "geo:54.8753,69.1628;u=5"}


def packed(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "centre" / renewal.FILE).read_text())["columns"])


def test_it_packs_what_provisioning_made_and_nothing_twice(out: Path) -> None:
    assert "2 of them with something new" in succeeds("renew", OUT=out)
    first = snapshot(out)
    assert "0 of them" in succeeds("renew", OUT=out) and snapshot(out) == first
    tls = json.loads((out / "columns/one/config.json").read_text())["broker"]["tls"]
    one = packed(out)["one"]
    assert one["certificates"] == certificates.fingerprint(tls["ca"], tls["cert"])
    body = json.loads(one["package"])
    assert (body["ca"], body["cert"], body["device_id"]) == (tls["ca"], tls["cert"], "one")
    assert authorities.main(["add", "--out", str(out)]) == 0
    assert make(out.parent / "fleet.csv", out) == 0
    assert renewal.main(["--out", str(out)]) == 0
    assert json.loads(packed(out)["one"]["package"])["number"] > body["number"]


def test_nothing_in_the_file_is_secret(out: Path) -> None:
    assert renewal.main(["--out", str(out)]) == 0
    text = (out / "centre" / renewal.FILE).read_text()
    secrets = json.loads((out / "columns/one/secrets.json").read_text())
    assert "PRIVATE KEY" not in text
    assert not [key for key, value in secrets.items() if isinstance(value, str) and len(value) > 8 and value in text]


def test_a_damaged_file_is_named(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "centre" / renewal.FILE).write_text("{}")
    assert renewal.main(["--out", str(out)]) == EXIT_FAILED
    assert renewal.FILE in capsys.readouterr().err


def at(moment: datetime.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laptop, "now", lambda: moment)


RUNS = {"renew": renewal.main, "authority": lambda argv: authorities.main(["add", *argv])}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("days", [-400, 400 * 5], ids=["years ago", "in five years"])
def test_a_clock_that_cannot_be_right_changes_nothing(
    out: Path, run: str, days: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red without `laptop.check`: of a number out of 2033 columns refuse every later one."""
    before = snapshot(out)
    at(laptop.RELEASED + datetime.timedelta(days=days), monkeypatch)
    assert RUNS[run](["--out", str(out), "--lang", "en"]) == EXIT_FAILED
    assert "this computer's clock says" in capsys.readouterr().err and snapshot(out) == before


@pytest.mark.parametrize("run", RUNS)
def test_a_clock_behind_what_is_there_changes_nothing(
    out: Path, run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Behind the authority, which is of today. Red when nothing is held against what earlier runs made."""
    monkeypatch.setattr(laptop, "RELEASED", laptop.RELEASED - datetime.timedelta(days=365))
    before = snapshot(out)
    at(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=30), monkeypatch)
    assert RUNS[run](["--out", str(out), "--lang", "en"]) == EXIT_FAILED
    assert "ca.pem was made on" in capsys.readouterr().err and snapshot(out) == before


def test_a_number_rises_whatever_the_clock_said(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clock was a year fast, within what can be, and is set right: that is told, and for whoever is sure the
    numbers go on from there. Red when the clock alone makes the number: columns would refuse it."""
    at(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365), monkeypatch)
    assert renewal.main(["--out", str(out)]) == 0
    fast = json.loads(packed(out)["one"]["package"])["number"]
    monkeypatch.undo()
    assert authorities.main(["add", "--out", str(out)]) == 0
    assert make(out.parent / "fleet.csv", out) == 0
    assert renewal.main(["--out", str(out), "--lang", "en"]) == EXIT_FAILED
    assert f"{renewal.FILE} was made on" in capsys.readouterr().err
    monkeypatch.setenv(laptop.SURE, "1")
    assert renewal.main(["--out", str(out)]) == 0
    assert json.loads(packed(out)["one"]["package"])["number"] == fast + 1


def test_certificates_are_made_anew_at_two_thirds_of_their_life() -> None:
    """So that columns that cannot be reached for years are in time all the same."""
    assert pytest.approx(provision.YEARS * 365, rel=0.01) == provision.RENEW_BEFORE_DAYS * 3


# -- the desk's side


def info(**more: Any) -> dict[str, Any]:
    return {"fw": "1.0.0", "boot": 1, "location": PLACE, **more}


def test_only_who_lacks_them_is_told_and_each_of_its_own(out: Path) -> None:
    """Red when a column that was flashed by cable is told, or a stranger."""
    assert renewal.main(["--out", str(out)]) == 0
    offer = Renewals(out / "centre" / renewal.FILE)
    plan = Plan(offer.digest, offer.version, Limits(watch_s=0))
    plan.offer = offer
    for name, said in (
        ("one", info()), ("two", info(certificates=packed(out)["two"]["certificates"])), ("three", info()),
    ):  # fmt: skip
        plan.heard("nko", name, "info", said, 0, kept=False)
        plan.heard("nko", name, "state", {"state": "online"}, 0, kept=False)
    assert {name: one.state for name, one in plan.columns.items()} == {"one": rules.WAITING, "two": rules.KEPT}
    assert [send.device_id for send in plan.look(1000)] == ["one"]
    command = offer.command("one", is_wanted=True)
    assert command["cmd"] == "renew" and command["renewal"]["bytes"] == len(packed(out)["one"]["package"])
    told = {"state": "kept", "release": command["renewal"]["digest"][:16], "version": None, "why": None}
    plan.heard("nko", "one", "info", info(update=told), 2000, kept=False)
    plan.look(3000)
    assert plan.state == rules.DONE


def test_who_only_tries_them_does_not_have_them_yet(out: Path) -> None:
    """Of another rollout that was given up: it may go back, and the old certificates may be worth nothing by then. Red
    when `certificates` alone counts."""
    assert renewal.main(["--out", str(out)]) == 0
    offer = Renewals(out / "centre" / renewal.FILE)
    plan = Plan(offer.digest, offer.version, Limits(watch_s=0))
    plan.offer = offer
    for state, wanted in (("trial", rules.WAITING), ("kept", rules.KEPT)):
        update = {"state": state, "release": "0" * 16, "version": None, "why": None}
        said = info(certificates=packed(out)["one"]["certificates"], update=update)
        plan.heard("nko", "one", "info", said, 0, kept=False)
        assert plan.columns["one"].state == wanted


def test_pieces_are_of_its_own_package_and_within_it(out: Path) -> None:
    assert renewal.main(["--out", str(out)]) == 0
    offer = Renewals(out / "centre" / renewal.FILE)
    text = packed(out)["two"]["package"].encode()
    parts = [offer.piece("two", "renewal", at, min(512, len(text) - at)) for at in range(0, len(text), 512)]
    assert b"".join(part or b"" for part in parts) == text
    size = len(text)
    for file, at, count in (("manifest", 0, 1), ("renewal", -1, 1), ("renewal", size, 1), ("renewal", 0, 513)):
        assert offer.piece("two", file, at, count) is None


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"v": 2, "columns": {}}', '{"v": 1, "columns": {"one": {}}}', '{"v": 1, "columns": {"one": "x"}}'],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    """The last is as keys.json, which lies beside it: "string indices must be integers" helped nobody."""
    (tmp_path / renewal.FILE).write_text(text)
    with pytest.raises(ReleaseError, match=r"renewals\.json: it is not what make renew writes"):
        Renewals(tmp_path / renewal.FILE)


def test_a_release_or_renewals_but_not_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["start", "--folder", str(tmp_path), "--broker", "127.0.0.1:1"]
    both = ["--release", str(tmp_path), "--renewals", str(tmp_path / "x")]
    for more in ([], both, ["--release", str(tmp_path)]):
        assert rollout(words + more) == EXIT_USAGE
        assert "--re" in capsys.readouterr().err
