"""A stolen column: one command cuts it off, and its name is free for a new board. At a real mosquitto:
tests/field/test_provisioned_broker.py."""

import json
from pathlib import Path
from typing import Any

import pytest
from duty_rig import alarm_of, topic_of
from fleet_rig import GOOD, HEADER, Tables, make, snapshot
from whole_rig import succeeds

from contract import authentic
from contract.authentic import Number
from desk.batch import Batch
from desk.column_keys import ColumnKeys
from desk.intake import Intake
from desk.ledger import Ledger
from desk.origin import Origins
from desk.silence import Silence
from field import revocation
from field.telling import EXIT_FAILED


def keys(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "centre/keys.json").read_text()))


def revoke(out: Path, name: str) -> int:
    return int(revocation.main([name, "--out", str(out)]))


def test_the_desk_hears_a_stolen_column_no_more(out: Path) -> None:
    """It reads the file while it runs; the thief's own key proves nothing to it."""
    stolen = bytes.fromhex(keys(out)["columns"]["one"])
    known = ColumnKeys(out / "centre/keys.json")
    intake = Intake(Ledger(), Silence(), "desk", origins=Origins(known))
    topic, alarm = topic_of("one", "alarm"), alarm_of("one", 17, 1)
    for number, heard in ((1, True), (2, False)):
        batch = Batch()
        payload = authentic.seal(stolen, topic, {**alarm, "press": number}, Number(17, number))
        intake.take(batch, topic, payload, retain=False, now_ms=1_800_000_000_000)
        assert bool(batch.incidents) == heard and bool(batch.violations) != heard
        assert revoke(out, "one") == 0 if heard else True
        known.look()


def test_a_replacement_has_nothing_of_the_stolen_one(out: Path) -> None:
    """S3: its row out and in again used to bring key, certificate and password back. Red when the folder stays."""
    before, other = snapshot(out / "columns/one"), snapshot(out / "columns/two")
    old = keys(out)
    assert "revoked" in succeeds("revoke", DEVICE="one", OUT=out)
    assert keys(out)["revoked"] == ["one"] and "one" not in keys(out)["columns"]
    assert "user one\n" not in (out / "broker/acl").read_text() and "user two\n" in (out / "broker/acl").read_text()
    assert make(Tables(out.parent)(HEADER, GOOD, GOOD.replace("one", "two")), out) == 0
    after = snapshot(out / "columns/one")
    for name in ("one.key", "one.pem", "secrets.json"):
        assert after[name] != before[name]
    secrets = [json.loads(each["secrets.json"]) for each in (before, after)]
    for name in ("tls_key", "mqtt_password", "auth_key"):
        assert secrets[0][name] != secrets[1][name]
    assert keys(out)["revoked"] == [] and keys(out)["columns"]["one"] != old["columns"]["one"]
    assert snapshot(out / "columns/two") == other and "user one\n" in (out / "broker/acl").read_text()
    assert len(list((out / "revoked").glob("one-*"))) == 1


def test_what_was_revoked_stays_so(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Further runs, another theft, a row that is gone. Red when provisioning begins an empty list."""
    assert revoke(out, "one") == 0
    assert make(Tables(out.parent)(HEADER, GOOD.replace("one", "two")), out) == 0
    assert keys(out)["revoked"] == ["one"]
    assert revoke(out, "two") == 0
    rows = json.loads((out / "ca" / revocation.FILE).read_text())["certificates"]
    assert [row["device_id"] for row in rows] == ["one", "two"] and len({row["serial"] for row in rows}) == 2
    assert revoke(out, "one") == EXIT_FAILED and "one is revoked already" in capsys.readouterr().err
    assert revoke(out, "three") == EXIT_FAILED and "which column was stolen" in capsys.readouterr().err
    (out / "ca" / revocation.FILE).write_text("damaged")
    before = snapshot(out)
    assert make(Tables(out.parent)(HEADER, GOOD), out) == EXIT_FAILED
    assert snapshot(out) == before and "damaged" in capsys.readouterr().err


def test_the_list_does_not_end_before_the_authority(out: Path) -> None:
    """A list that has ended keeps everybody out. Red with a shorter next update."""
    from cryptography import x509

    listed = x509.load_pem_x509_crl((out / "broker" / revocation.LIST).read_bytes())
    authority = x509.load_pem_x509_certificate((out / "ca/ca.pem").read_bytes())
    assert listed.next_update_utc == authority.not_valid_after_utc and len(listed) == 0
