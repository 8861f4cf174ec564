"""A stolen column: one command cuts it off, and its name is free for a new board. At a real mosquitto:
tests/field/test_provisioned_broker.py."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from duty_rig import alarm_of, topic_of
from fleet_rig import GOOD, HEADER, Tables, make, snapshot
from whole_rig import succeeds

from common.key_mark import mark_of
from contract import authentic
from contract.authentic import Number
from desk.batch import Batch
from desk.column_keys import ColumnKeys
from desk.intake import Intake
from desk.ledger import Ledger
from desk.origin import Origins
from desk.silence import Silence
from field import authorities, certificates, revocation
from field.keeping import write
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


def test_all_certificates_of_a_stolen_column_are_revoked(out: Path) -> None:
    """Its board has the one of before the authority changed: made anew here is not yet on the street. Red where
    only the newest certificate is revoked: the thief's session opened."""
    on_the_street = certificates.serial((out / "columns/one/one.pem").read_bytes())
    assert authorities.main(["add", "--out", str(out)]) == 0
    assert make(Tables(out.parent)(HEADER, GOOD, GOOD.replace("one", "two")), out) == 0
    assert authorities.main(["switch", "--force", "--out", str(out)]) == 0
    assert make(Tables(out.parent)(HEADER, GOOD, GOOD.replace("one", "two")), out) == 0
    newest = certificates.serial((out / "columns/one/one.pem").read_bytes())
    assert newest != on_the_street and revoke(out, "one") == 0
    assert set(certificates.listed((out / "broker" / revocation.LIST).read_bytes())) == {on_the_street, newest}
    assert make(Tables(out.parent)(HEADER, GOOD, GOOD.replace("one", "two")), out) == 0
    assert set(certificates.listed((out / "broker" / revocation.LIST).read_bytes())) == {on_the_street, newest}


def test_a_folder_put_back_to_before_a_theft_is_noticed(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ca/revoked.json of a backup, or none: the next run wrote a shorter list for the broker, and the thief was in
    again. Red without the look at the other places that know of the theft."""
    revoked = out / "ca" / revocation.FILE
    assert revoke(out, "one") == 0
    older = revoked.read_text()
    assert make(Tables(out.parent)(HEADER, GOOD, GOOD.replace("one", "two")), out) == 0 and revoke(out, "one") == 0
    newest = revoked.read_text()
    for put_back in (lambda: revoked.write_text(older), revoked.unlink):
        put_back()
        before = snapshot(out)
        assert make(Tables(out.parent)(HEADER, GOOD), out) == EXIT_FAILED
        assert revoke(out, "two") == EXIT_FAILED
        assert snapshot(out) == before and capsys.readouterr().err.count("put back to before a theft") == 2
    write(revoked, newest, is_secret=True)
    (out / "revoked/notes-of-the-police").mkdir()
    assert make(Tables(out.parent)(HEADER, GOOD), out) == 0


def test_the_number_of_the_lists_rises(out: Path) -> None:
    """Which of two is older, can be seen at either host. Red without CRLNumber, or with one number for all."""
    keys_numbers, crl_numbers = [], []
    for name in (None, "one", "two"):
        assert name is None or revoke(out, name) == 0
        listed = x509.load_pem_x509_crl((out / "broker" / revocation.LIST).read_bytes())
        crl_numbers.append(listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)
        keys_numbers.append(keys(out)["number"])
    assert crl_numbers == [0, 1, 2] and keys_numbers == sorted(set(keys_numbers))
    before = snapshot(out / "centre")["keys.json"]
    for _ in range(2):
        assert make(Tables(out.parent)(HEADER, GOOD), out) == 0
    assert keys(out)["number"] > json.loads(before)["number"], "other columns by now"
    same = keys(out)["number"]
    assert make(Tables(out.parent)(HEADER, GOOD), out) == 0 and keys(out)["number"] == same, "and nothing new"


def test_the_desk_takes_no_key_back(out: Path, tmp_path: Path) -> None:
    """A copy of before the theft, and a provisioning folder that was put back as a whole and made a file with a higher
    number: both trusted the thief again. Red without the number, and without the marks of the stolen keys."""
    file, desks = out / "centre/keys.json", tmp_path / "desk"
    desks.mkdir()
    copy = shutil.copytree(out, tmp_path / "backup")
    stolen = bytes.fromhex(keys(out)["columns"]["one"])
    desk = ColumnKeys(file, desks)
    assert revoke(out, "one") == 0 and desk.look() and desk.of("one") is None
    assert make(Tables(out.parent)(HEADER, GOOD, GOOD.replace("one", "two")), out) == 0
    assert desk.look() and desk.of("one") not in (None, stolen)
    good = file.read_text()
    write(file, (copy / "centre/keys.json").read_text(), is_secret=True)
    for known in (desk, ColumnKeys(file, desks)):
        assert not known.look() and "older than the one" in known.trouble and known.of("one") != stolen
    assert make(Tables(out.parent)(HEADER, GOOD, GOOD.replace("one", "two").replace("two", "three")), copy) == 0
    assert keys(copy)["number"] > json.loads(good)["number"]
    write(file, (copy / "centre/keys.json").read_text(), is_secret=True)
    for known in (desk, ColumnKeys(file, desks)):
        assert not known.look() and "the revoked key of one again" in known.trouble and known.of("one") != stolen
    write(file, good, is_secret=True)
    assert desk.look() and not desk.trouble


def test_a_revoked_column_of_before_has_its_mark(out: Path) -> None:
    """Revoked by a version that noted none: its folder still has the key. Red without that look."""
    key = bytes.fromhex(keys(out)["columns"]["one"])
    assert revoke(out, "one") == 0
    file = out / "ca" / revocation.FILE
    document = json.loads(file.read_text())
    document["certificates"][0].pop("key_mark")
    file.write_text(json.dumps(document))
    assert make(Tables(out.parent)(HEADER, GOOD), out) == 0
    assert keys(out)["retired"] == [mark_of(key)]


def test_the_list_does_not_end_before_the_authority(out: Path) -> None:
    """A list that has ended keeps everybody out. Red with a shorter next update."""
    listed = x509.load_pem_x509_crl((out / "broker" / revocation.LIST).read_bytes())
    authority = x509.load_pem_x509_certificate((out / "ca/ca.pem").read_bytes())
    assert listed.next_update_utc == authority.not_valid_after_utc and len(listed) == 0
