"""A call's evidence: what is changed, missing or put in is named, by a tool that knows nothing of the desk."""

import errno
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contract_examples import packed
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from duty_rig import alarm_of, topic_of

from common.arguments import EXIT_USAGE
from contract import authentic
from contract import evidence as tool
from contract.authentic import Number
from desk import backup_command, evidence, evidence_command
from desk.batch import Batch
from desk.evidence import DESK, Signers
from desk.intake import Intake
from desk.ledger import Ledger
from desk.media.files import Part
from desk.openings import ASKED, Opening, Openings
from desk.recordings import Recordings
from desk.register import Register
from desk.register_file import REGISTER_FILE
from desk.silence import Silence
from desk.web import audit

TOOL = Path(tool.__file__)
ME, KEY = "petropavl-01", bytes(range(32))
ID = f"{ME}-17-3"
SEED = 20261129
Evidence = dict[str, Any]


class Story:
    """A call from the press to its end, written as the duty writes it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / REGISTER_FILE
        self.now_ms = 1_800_000_000_000

    def tell(self, incident_id: str = ID, end: str = "help-given") -> None:
        with Register(self.path) as register:
            ledger, silence, topic = register.restore(), Silence(), topic_of(ME, "alarm")
            intake = Intake(ledger, silence, "desk-1")
            for press in (1, 2):
                alarm = alarm_of(ME, 17, int(incident_id.rsplit("-", 1)[1]), press=press)
                self._write(register, ledger, lambda batch, alarm=alarm, press=press: intake.take(  # type: ignore[misc]
                    batch, topic, authentic.seal(KEY, topic, alarm, Number(17, press)), retain=False, now_ms=self.now_ms
                ))  # fmt: skip
            for state, by, detail in (
                ("accepted", "Айгүл", {}), ("note", "Айгүл", {"text": "a man, two children"}),
                ("dispatched", "Айгүл", {}), ("closed", "Serik", {"outcome": end, "note": "taken home"}),
            ):  # fmt: skip
                self._write(register, ledger, lambda batch, line=(state, by, detail): self._decide(  # type: ignore[misc]
                    batch, ledger, incident_id, *line
                ))  # fmt: skip

    def _decide(self, batch: Batch, ledger: Ledger, ident: str, state: str, by: str, detail: dict[str, str]) -> None:
        batch.entries.append((ident, self.now_ms, state, by, detail))
        if state != "note":
            ledger.advance(ident, state, by, detail.get("outcome", ""), self.now_ms, detail.get("misuse", ""))
            batch.links.append((ident, self.now_ms, "answer", "desk-1", {"v": 1, "id": ident, "state": state}))
        if "note" in detail:
            batch.notes.append((ident, detail["note"]))
        batch.answer(ident)

    def _write(self, register: Register, ledger: Ledger, fill: Callable[[Batch], None]) -> None:
        self.now_ms += 1000
        batch = Batch()
        fill(batch)
        batch.write(register, ledger, Silence(), self.now_ms)

    def db(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path)

    def change(self, sql: str, *values: Any) -> None:
        with self.db() as db:
            assert db.execute(sql, values).rowcount, sql

    def check(self, head: str | None = None) -> list[str]:
        return evidence.check(self.db(), self.path, head=head)

    def export(self, incident_id: str = ID) -> Evidence:
        found = evidence.export(self.db(), self.path, incident_id, self.now_ms)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """One story for all who only read it."""
    story = Story(tmp_path_factory.mktemp("told"))
    story.tell()
    story.tell(f"{ME}-17-4", "false")
    return story


@pytest.fixture
def story(tmp_path: Path) -> Story:
    story = Story(tmp_path)
    story.tell()
    return story


def test_everything_that_happened_is_a_link_signed_by_who_caused_it(told: Story) -> None:
    links = told.export()["links"]
    assert [(link["kind"], link["signer"]) for link in links] == [
        ("press", DESK), ("received", DESK), ("alarm", DESK), ("press", DESK), ("alarm", DESK),
        ("accepted", "operator Айгүл"), ("answer", DESK), ("note", "operator Айгүл"),
        ("dispatched", "operator Айгүл"), ("answer", DESK), ("closed", "operator Serik"), ("answer", DESK),
    ]  # fmt: skip
    assert tool.check(told.export(), column_key=KEY) == [] and told.check() == []
    assert tool.check(told.export(), column_key=b"x" * 32) != []


def test_the_tool_is_short_and_needs_nothing(told: Story, tmp_path: Path) -> None:
    """By a stranger: another folder, no package of the project, isolated from the environment."""
    assert len(TOOL.read_text().splitlines()) < 200
    (tmp_path / "evidence.py").write_bytes(TOOL.read_bytes())
    (tmp_path / "call.json").write_bytes(packed(told.export()))
    desk = tool.fingerprint(Signers(told.path.parent).public(DESK))
    for options, status in (
        ([], 0), (["--desk", desk, "--column-key", KEY.hex()], 0), (["--desk", "0" * 32], 1), (["--what", "x"], 2),
    ):  # fmt: skip
        command = [sys.executable, "-I", "-S", "evidence.py", "call.json", *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == status, (options, done.stdout, done.stderr)
    for wrong, why in (  # each in words, and none of Python's
        (["nix.json"], "nix.json: не читается"),
        (["evidence.py"], "evidence.py: не выгрузка пульта"),
        (["call.json", "--column-key", "xyz"], "call.json: не выгрузка пульта или не ключ"),
    ):
        command = [sys.executable, "-I", "-S", "evidence.py", *wrong, "--lang", "ru"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False)
        assert done.returncode == 2 and done.stderr.startswith(why) and "rror" not in done.stderr
    (tmp_path / "call.json").write_bytes(packed({**told.export(), "links": [{"k": 1}]}))
    command = [sys.executable, "-I", "-S", "evidence.py", "call.json", "--lang", "en"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "WRONG changed" in done.stdout


def test_all_that_the_tool_says_is_in_three_languages() -> None:
    """Red when it says something that its table lacks, keeps a word that nobody says, or a language lacks a name."""
    asked_for = set(re.findall(r"""say\(['"](\w+)['"]""", TOOL.read_text())) | {"gaps", "operator"}
    assert asked_for | {errno.ENOENT, errno.EACCES, errno.EISDIR} == set(tool.SAID)
    for english, *others in tool.SAID.values():
        for text in others:
            assert text.count("{}") == english.count("{}") and text != english
            assert not re.search("[A-Za-z]{2,}", re.sub(r"docs/\S+", "", text)), text


@pytest.mark.parametrize(
    ("language", "wrong", "whole"), [("ru", "НЕВЕРНО звено 4", "цело"), ("kk", "ҚАТЕ 4-буын", "бүтін")]
)
def test_a_reader_is_told_in_the_language(
    told: Story, tmp_path: Path, language: str, wrong: str, whole: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Asked for by --lang, or by the environment. Red when a line is said past the table."""
    file, links = tmp_path / "call.json", told.export()["links"]
    for kept, status, said in ((links, 0, whole), (links[:3] + [changed(links[3])] + links[4:-2], 1, wrong)):
        file.write_bytes(packed({**told.export(), "links": kept}))
        assert tool.main([str(file), "--lang", language]) == status
        out = capsys.readouterr().out
        assert said in out and not re.search("WRONG|whole|changed|missing|signed by|link|operator|desk\\]", out), out
        monkeypatch.setenv("LC_ALL", f"{language}_KZ.UTF-8")
        assert tool.main([str(file)]) == status and capsys.readouterr().out == out


def test_ed25519_is_that_of_everybody() -> None:
    """Against OpenSSL's: right ones are taken; one flipped bit of key, message or signature is not."""
    print("seed", SEED)
    dice = random.Random(SEED)
    for _ in range(6):
        private, message = Ed25519PrivateKey.from_private_bytes(dice.randbytes(32)), dice.randbytes(dice.randrange(80))
        public, signature = private.public_key().public_bytes_raw(), private.sign(message)
        assert tool.is_signed(public, message, signature)
        for which in range(3):
            parts = [bytearray(public), bytearray(message + b"x"), bytearray(signature)]
            parts[1] = parts[1] if which == 1 else bytearray(message)
            if which != 1:
                parts[which][dice.randrange(len(parts[which]))] ^= 1 << dice.randrange(8)
            assert not tool.is_signed(*map(bytes, parts))
    assert not tool.is_signed(b"", b"", b"") and not tool.is_signed(b"\xff" * 32, b"", bytes(64))
    malleable = (int.from_bytes(signature[32:], "little") + tool.Q).to_bytes(32, "little")
    assert not tool.is_signed(public, message, signature[:32] + malleable)


def changed(link: dict[str, Any]) -> dict[str, Any]:
    return {**link, "detail": {"outcome": "false"}}


@pytest.mark.parametrize(
    ("forge", "named"),
    [
        (lambda one, other: [*one[:10], changed(one[10]), *one[11:]], "link 11 (closed by Serik): changed"),
        (lambda one, other: [{**one[0], "at_ms": 1}, *one[1:]], "link 1 (press by petropavl-01): changed"),
        (lambda one, other: [*one[:3], *one[4:]], "missing before it: link 4"),
        (lambda one, other: [*one[:3], *one[6:]], "missing before it: links 4 to 6"),
        (lambda one, other: one[1:], "missing before it: link 1"),
        (lambda one, other: one[:-2], "the end: missing before it: links 11 to 12"),
        (lambda one, other: [*one[:4], other[4], *one[4:]], "inserted: it belongs to petropavl-01-17-4"),
        (lambda one, other: [*one[:4], one[3], *one[4:]], "link 4 (press by petropavl-01): inserted"),
        (lambda one, other: [*one, {**one[-1], "k": 13, "kind": "note"}], "link 13 (note by desk-1): changed, or ins"),
        (lambda one, other: [*one[:4], one[5], one[4], *one[6:]], "missing before it: link 5"),
        (lambda one, other: [{**other[0], "incident": ID}, *one[1:]], "link 1 (press by petropavl-01): changed"),
        (lambda one, other: [*one[:5], {**one[5], "signer": DESK}, *one[6:]], "its signature is not that of desk"),
        (lambda one, other: [*one[:5], {**one[5], "by": "Serik", "signer": "operator Serik"}, *one[6:]], "changed, or"),
        (lambda one, other: [], "the end: missing before it: links 1 to 12"),
    ],
)  # fmt: skip
def test_a_changed_missing_or_inserted_link_is_named(
    told: Story, forge: Callable[[list[Any], list[Any]], list[Any]], named: str
) -> None:
    """Red with any of the lines of `check` in contract/evidence.py taken away."""
    whole = told.export()
    links = forge(whole["links"], told.export(f"{ME}-17-4")["links"])
    found = tool.check({**whole, "links": links})
    assert [line for line in found if named in line], found


@pytest.mark.parametrize(
    ("forge", "named"),
    [
        (lambda text: text.replace('"kind":"note"', '"detail":{},"kind":"note"'), "changed: it is not as"),
        (lambda text: text.replace('"v":1', '"v":1,"v":1', 1), "changed: it is not as"),
        (lambda text: text.replace('"links":', '"outcome":"false","links":', 1), "changed: it is not as"),
        (lambda text: text.replace('"k":5', '"k":5.0', 1), "changed, or inserted"),
        (lambda text: text.replace('"k":5', '"k":1' + "0" * 5000, 1), "no desk's export"),
        (lambda text: text.replace('"k":5', '"k":1e999', 1), "changed"),
        (lambda text: text.replace('"by":"Serik"', '"by":"Ѕerik"', 1), "changed, or inserted"),
        (lambda text: "[" * 200_000 + text, "no desk's export"),
        (lambda text: text.replace('"Serik"', '"\\ud800"', 1), "changed"),
    ],
)  # fmt: skip
def test_nothing_hides_in_the_files_text(
    told: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str], forge: Callable[[str], str], named: str
) -> None:
    """A name that stands twice shows a reader the one and the tool the other; look-alikes, numbers that are another's.
    Red without the text's being held against what was read."""
    text = json.dumps(told.export(), ensure_ascii=False, separators=(",", ":"))
    file = tmp_path / "call.json"
    assert forge(text) != text
    for said, status in ((text, 0), (json.dumps(json.loads(text), indent=1), 0), (forge(text), None)):
        file.write_text(said)
        done = tool.main([str(file), "--lang", "en"])
        printed = "".join(capsys.readouterr())
        assert done == status if status is not None else done and named in printed and "whole" not in printed, printed


def test_what_a_file_says_does_not_move_the_cursor(
    told: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when it is printed as it stands: it would clear the screen and say "whole" itself."""
    trick = "\x1b[2J\r\nwhole: every link is as it was made\n\u202e"
    whole = told.export()
    links = [{**whole["links"][0], "by": trick, "kind": trick}, *whole["links"][1:]]
    (tmp_path / "call.json").write_bytes(packed({**whole, "incident": trick, "links": links}))
    assert tool.main([str(tmp_path / "call.json"), "--lang", "en"]) == 1
    out = capsys.readouterr().out
    assert not [line for line in out.splitlines() if line.startswith("whole")]
    assert all(one.isprintable() or one == "\n" for one in out) and "WRONG" in out


def test_an_operator_signs_for_nobody_else(told: Story) -> None:
    """Red when any key that the desk vouches for may sign any link."""
    signers, whole = Signers(told.path.parent), told.export()
    links, before = [], ""
    for link in whole["links"]:
        bare = {**{key: value for key, value in link.items() if key != "signature"}, "before": before}
        links.append(signers.sign("operator Serik" if link["kind"] == "accepted" else link["signer"], bare))
        before = tool.digest(links[-1]).hex()
    head = signers.sign(DESK, {**{key: whole["head"][key] for key in ("incident", "count", "at_ms")}, "last": before})
    (found,) = tool.check({**whole, "links": links, "head": head})
    assert "accepted by Айгүл" in found and "its signature is not that of operator Serik" in found


def test_it_says_up_to_when_it_knows(told: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An export of before the call was closed is whole, too. Red when its time stands nowhere."""
    (tmp_path / "call.json").write_bytes(packed(told.export()))
    assert tool.main([str(tmp_path / "call.json"), "--lang", "en"]) == 0
    out = capsys.readouterr().out
    seconds = (told.now_ms - 1_800_000_000_000) // 1000
    assert f" 12 2027-01-15 08:00:{seconds:02}.000+00:00 the end" in out, "as everybody reads it"


def test_who_makes_everything_anew_has_another_fingerprint(told: Story, tmp_path: Path) -> None:
    """The whole chain signed again by somebody else; and a key that somebody puts in the desk's place."""
    forger = Signers(tmp_path)
    whole = told.export()
    desk = whole["keys"][DESK]["public"]
    links, before = [], ""
    for link in whole["links"]:
        bare = {key: value for key, value in link.items() if key != "signature"}
        links.append(forger.sign(link["signer"], {**bare, "before": before}))
        before = tool.digest(links[-1]).hex()
    keys = {signer: forger.voucher(signer) for signer in whole["keys"]}
    head = forger.sign(DESK, {**{key: whole["head"][key] for key in ("incident", "count", "at_ms")}, "last": before})
    forged = {**whole, "links": links, "keys": keys, "head": head}
    assert tool.check(forged) == []
    assert "fingerprint" in tool.check(forged, desk=tool.fingerprint(desk))[0]
    dictated = tool.fingerprint(desk).upper()  # as somebody wrote down what was read out
    assert tool.check(whole, desk=f"{dictated[:16]} {dictated[16:]}") == []
    (alone,) = tool.check(whole, desk="0" * 32)  # and not each link as changed, which nobody knows
    assert "its fingerprint is" in alone
    one_key = {**whole["keys"], "operator Serik": keys["operator Serik"]}
    assert "the desk does not vouch for it" in tool.check({**whole, "keys": one_key})[0]


def test_an_edited_register_is_noticed(story: Story) -> None:
    """With SQLite's own tools, and no key. Red without the timeline in desk/agreement.py, `_links`, or the numbers."""
    assert story.check() == []
    for misuse, outcome in (("", "false"), ("prank", "help-given")):
        story.change("UPDATE incident SET outcome = ?, misuse = ? WHERE id = ?", outcome, misuse, ID)
        assert story.check() == [f"{ID} was changed in the register: outcome, note, misuse"]
    story.change("UPDATE incident SET misuse = '' WHERE id = ?", ID)
    story.change('UPDATE entry SET "by" = ? WHERE kind = ?', "Nobody", "accepted")
    assert [line.split(" ")[0] for line in story.check()] == ["accepted", "accepted"]
    story.change('UPDATE entry SET "by" = ? WHERE kind = ?', "Айгүл", "accepted")
    story.change("UPDATE entry SET detail = '{}' WHERE kind = 'note'")
    assert "note of" in story.check()[0] and "was changed in the timeline" in story.check()[0]
    story.change("UPDATE link SET body = replace(body, 'two children', 'a dog') WHERE k = 8")
    assert [line for line in story.check() if line.startswith("changed: link 8")]
    story.change("DELETE FROM link WHERE k = 5")
    assert [line for line in story.check() if line.startswith("missing before link 6")]


UNTOLD = {
    "incident": {
        # of later transmissions, which are no links, and of this desk's own work
        *("late", "transmissions", "reopened", "last_ms", "registered_ms", "answered_ms", "unanswered"),
        *("waiting_opening", "waiting_ms", "unanswered_s", "origin"),
    },
    "decision": {"press"},  # of how many a person knew
    "entry": {"n"},  # the order of lines of one time
    "recording": {"n", "from_ms", "to_ms", "size", "deleted_ms"},  # the hash names the file
}
"""Columns that the chain says nothing of. Everything else that an edit changes is named."""


@pytest.mark.parametrize("table", ["incident", "decision", "entry", "link", "recording"])
def test_no_cell_of_a_call_is_edited_unnoticed(story: Story, table: str) -> None:
    """Who accepted and when, the address, the outcome: red while only the timeline and the outcome were looked at. A
    new column is looked at, or stands in UNTOLD. And a row that is taken out."""
    with Register(story.path) as register:
        Recordings(register, None).enter(Part(ID, "a.webm", 1, 2, 3, "ab" * 32))
    db = story.db()
    db.isolation_level = None
    columns = [(row[1], row[2]) for row in db.execute(f"PRAGMA table_info({table})")]
    (last,) = db.execute(f"SELECT max(rowid) FROM {table}").fetchone()
    unnoticed = set()
    for name, kind in columns:
        db.execute("BEGIN")
        (old,) = db.execute(f'SELECT "{name}" FROM {table} WHERE rowid = ?', (last,)).fetchone()
        new = (old or 0) + 99 if kind == "INTEGER" else old.replace(":", ":1", 1) if old[:1] == "{" else f"{old}x"
        db.execute(f'UPDATE {table} SET "{name}" = ? WHERE rowid = ?', (new, last))
        unnoticed |= {name} if not evidence.check(db, story.path) else set()
        db.execute("ROLLBACK")
    assert unnoticed == UNTOLD.get(table, set())
    assert story.check() == []
    story.change(f"DELETE FROM {table} WHERE rowid = ?", last)
    assert story.check()


def test_a_call_that_was_put_in_is_noticed(story: Story) -> None:
    """Red when only calls that have links are looked at."""
    columns = [row[1] for row in story.db().execute("PRAGMA table_info(incident)")]
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join("'invented'" if name == "id" else f'"{name}"' for name in columns)
    story.change(f"INSERT INTO incident ({names}) SELECT {values} FROM incident")
    assert story.check() == []  # as old as the chain: of before there was one, as far as anybody knows
    story.change("UPDATE incident SET received_ms = received_ms + 60000 WHERE id = 'invented'")
    assert story.check() == ["invented was put into the register: there is no evidence of it"]


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM link WHERE k > 10",
        "DELETE FROM link WHERE k = 11",
        "UPDATE link SET incident_id = 'x' WHERE k > 10",
        "UPDATE link SET body = replace(body, 'two children', 'a dog')",
    ],
)
def test_the_desk_does_not_sign_what_is_not_whole(story: Story, edit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Links that were taken out, or given to another call: the export lacked them, and its end was signed over what was
    left, so that the stranger's tool said "whole". Red without the look before the signature."""
    story.change(edit)
    assert evidence_command.main(["export", ID, "--folder", str(story.path.parent)]) == evidence_command.EXIT_WRONG
    out, err = capsys.readouterr()
    assert not out and "not whole since its first link" in err


def test_a_call_that_began_as_a_drill_is_whole(tmp_path: Path) -> None:
    """Its first lines had no links, and were taken for inserted ones. Red without `_add_earlier`."""
    story = Story(tmp_path)
    with Register(story.path) as register:
        ledger = register.restore()
        intake, topic = Intake(ledger, Silence(), "desk-1"), topic_of(ME, "alarm")
        for press, status in ((1, "test"), (2, "actual")):
            alarm = packed(alarm_of(ME, 17, 3, press=press, status=status))
            story._write(register, ledger, lambda batch, alarm=alarm: intake.take(  # type: ignore[misc]
                batch, topic, alarm, retain=False, now_ms=story.now_ms
            ))  # fmt: skip
    assert [link["kind"] for link in story.export()["links"]][:3] == ["press", "received", "press"]
    assert story.check() == []


def test_a_repeat_that_says_something_else_is_evidence(tmp_path: Path) -> None:
    """A broker that alters the address of a call that is sent again: the page shows it, and no link had it. Red without
    a link for what is shown. A repeat as it should be has none."""
    story = Story(tmp_path)
    with Register(story.path) as register:
        ledger = register.restore()
        intake, topic = Intake(ledger, Silence(), "desk-1"), topic_of(ME, "alarm")
        for change in ({}, {"age_ms": 900}, {"location": {**alarm_of(ME, 17, 3)["location"], "address": "elsewhere"}}):
            alarm = packed({**alarm_of(ME, 17, 3), **change})
            story._write(register, ledger, lambda batch, alarm=alarm: intake.take(  # type: ignore[misc]
                batch, topic, alarm, retain=False, now_ms=story.now_ms
            ))  # fmt: skip
    said = [link["detail"]["payload"] for link in story.export()["links"] if link["kind"] == "alarm"]
    assert len(said) == 2 and "elsewhere" in said[1] and story.check() == []


def test_a_recordings_hash_is_evidence(story: Story) -> None:
    """Red while it stood in the register's table alone. The same file again is no further link."""
    part = Part(ID, "a.webm", 1, 2, 3, "ab" * 32)
    with Register(story.path) as register:
        for _ in range(2):
            Recordings(register, None).enter(part)
    last = story.export()["links"][-1]
    assert (last["k"], last["kind"], last["signer"]) == (13, "recorded", DESK) and last["detail"]["sha256"] == "ab" * 32
    assert story.check() == [] and tool.check(story.export()) == []


def test_a_recording_is_the_desks_and_a_look_is_an_operators(story: Story) -> None:
    """Red while the desk's name passed for an operator's: "opened desk-1 [signed by operator desk-1]"."""
    with Register(story.path) as register:
        openings = Openings(register)
        for opening in (Opening(ME, ID, evidence.RECORDING, "desk-1"), Opening(ME, ID, "rtsp", "Serik")):
            openings.end(openings.begin(opening), ASKED)
        openings.played(Opening(ME, ID, "", "Serik"))
    signers = [link["signer"] for link in story.export()["links"][-5:]]
    assert signers == [DESK] * 2 + ["operator Serik"] * 3
    assert story.check() == [] and tool.check(story.export()) == []


def test_what_another_desk_decided_before_the_call_came_is_evidence(tmp_path: Path) -> None:
    """The register said who had accepted, and neither timeline nor chain did. Red without `_enter_early`."""
    story = Story(tmp_path)
    with Register(story.path) as register:
        ledger, batch = register.restore(), Batch()
        intake, topic = Intake(ledger, Silence(), "desk-1"), topic_of(ME, "alarm")
        ack = {"v": 1, "id": ID, "state": "accepted", "by": "Serik", "press": 1, "at": "2027-01-15T08:00:00.000Z"}
        intake.take(batch, topic_of(ME, "ack"), packed(ack), retain=False, now_ms=story.now_ms)
        assert ID in batch.early
        story._write(register, ledger, lambda batch: intake.take(
            batch, topic, packed(alarm_of(ME, 17, 3)), retain=False, now_ms=story.now_ms
        ))  # fmt: skip
    accepted = [link for link in story.export()["links"] if link["kind"] == "accepted"]
    assert [(link["by"], link["signer"]) for link in accepted] == [("Serik", DESK)] and story.check() == []


def test_a_register_that_was_put_back_is_noticed(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    """Yesterday's file in the place of today's: by the head in the folder, at the start; and where the head was put
    back too, by one that was noted elsewhere. Red without `_heads`."""
    old, head = story.path.read_bytes(), story.path.with_name(story.path.name + ".head")
    old_head = head.read_bytes()
    story.tell(f"{ME}-17-4")
    noted = head.read_text().strip()
    assert story.check(head=noted) == []
    for more in story.path.parent.glob(f"{story.path.name}-*"):
        more.unlink()  # SQLite's own journal
    story.path.write_bytes(old)
    assert "rolled back" in story.check()[0]
    with Register(story.path):
        assert "rolled back" in caplog.text
    head.write_bytes(old_head)
    assert story.check() == [] and "rolled back" in story.check(head=noted)[0]
    head.unlink()
    assert "is missing" in story.check()[0]


def test_tests_and_exercises_are_no_evidence(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    """ "Give the call's number" was said to somebody who had given it. Red when the register is not asked why."""
    with Register(story.path) as register:
        ledger, batch = register.restore(), Batch()
        intake = Intake(ledger, Silence(), "desk-1")
        drill = packed(alarm_of(ME, 17, 9, status="test", event_type="drill"))
        intake.take(batch, topic_of(ME, "alarm"), drill, retain=False, now_ms=story.now_ms)
        batch.write(register, ledger, Silence(), story.now_ms)
    assert evidence.export(story.db(), story.path, f"{ME}-17-9", 0) is None and story.check() == []
    export, main = ["export", f"{ME}-17-9", "--folder", str(story.path.parent), "--lang"], evidence_command.main
    for status in ("test", "exercise"):
        story.change("UPDATE incident SET status = ? WHERE id = ?", status, f"{ME}-17-9")
        said = {language: main([*export, language]) and capsys.readouterr().err for language in ("en", "ru", "kk")}
        assert "a test or an exercise" in str(said["en"]), said
        assert "пробный или учебный" in str(said["ru"]) and "оқу-жаттығу" in str(said["kk"]), said
    story.change("UPDATE incident SET status = 'actual' WHERE id = ?", f"{ME}-17-9")
    assert main([*export, "en"]) == EXIT_USAGE and "see check" in capsys.readouterr().err


def test_keys_are_their_owners_and_damage_ends_no_duty(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    """Red when a damaged file of keys is an error of the register's."""
    file = story.path.parent / evidence.KEYS_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("damaged")
    story.tell(f"{ME}-17-4")
    assert "put aside" in caplog.text and tool.check(story.export(f"{ME}-17-4")) == []
    assert f"signed with a key that is not in {evidence.KEYS_FILE}: link 1" in story.check()[0]


def test_a_register_that_was_put_back_without_its_keys_is_no_forgery(
    told: Story, caplog: pytest.LogCaptureFixture
) -> None:
    """Each link was called "changed", by a desk whose disk had died. Red too when nothing is said at all."""
    keys = told.path.parent / evidence.KEYS_FILE
    kept = keys.read_bytes()
    keys.unlink()
    with Register(told.path):
        assert f"{evidence.KEYS_FILE} is missing" in caplog.text and "backup" in caplog.text
    wrong = told.check()
    assert wrong and all(line.startswith("signed with a key that is not in") for line in wrong), wrong
    keys.write_bytes(kept)
    assert told.check() == []


def test_the_command(told: Story, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = ["--folder", str(told.path.parent)]
    assert evidence_command.main(["export", ID, *folder]) == 0
    assert tool.check(json.loads(capsys.readouterr().out)) == []
    assert evidence_command.main(["check", *folder]) == 0
    assert evidence_command.main(["head", *folder]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("24:")
    assert evidence_command.main(["check", *folder, "--head", f"25:{'0' * 64}"]) == evidence_command.EXIT_WRONG
    assert evidence_command.main(["key", *folder]) == 0
    assert evidence_command.main(["export", "nothing", *folder]) == EXIT_USAGE
    assert evidence_command.main(["check", "--folder", str(tmp_path / "none")]) == EXIT_USAGE


@pytest.mark.parametrize("head", ["foo", "25", "25:00", f"x:{'0' * 64}", ""])
def test_a_mistyped_head_is_no_register_that_was_put_back(head: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Red without `_head`: `--head foo` said "rolled back"."""
    with pytest.raises(SystemExit) as error:
        evidence_command.main(["check", "--folder", "x", "--head", head])
    assert error.value.code == EXIT_USAGE and "must be N:HASH" in capsys.readouterr().err


# -- a copy of the desk's folder


def test_a_copy_made_beside_the_desk_is_whole(told: Story, tmp_path: Path) -> None:
    """Register, keys and heads fit each other, so that a desk can begin on it. The documented way was SQLite's alone:
    it left the keys behind, and a file that everybody could read. Red where one of them is left out, and where the
    copy holds what an old one must not do again."""
    folder, to = told.path.parent, tmp_path / "copies" / "monday"
    audit.Audit(folder).enter("login", "Айгүл", "127.0.0.1")
    for name in ("sessions.json", "officer-night.notes", "second-factors.lock", ".accounts.json-x"):
        (folder / name).touch()
    with Register(told.path):
        assert backup_command.main(["--folder", str(folder), "--to", str(to)]) == 0
    assert {path.name for path in to.iterdir()} == {
        "register.sqlite", "register.sqlite.head", evidence.KEYS_FILE, "audit.log", "audit.log.head",
    }  # fmt: skip
    assert {path.stat().st_mode & 0o777 for path in to.iterdir()} == {0o600} and to.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_uid for path in (to, *to.iterdir())} == {folder.stat().st_uid}
    assert evidence_command.main(["check", "--folder", str(to)]) == 0
    with Register(to / told.path.name) as register:
        assert register.restore().incidents[ID].state == "closed"


def test_of_a_copy_there_is_all_or_nothing(
    told: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder, to = told.path.parent, tmp_path / "copy"
    for source, where, why in (
        (tmp_path, to, "there is no register (register.sqlite): no desk has run"),
        (folder, tmp_path, "is there already"),
        (folder, folder / "copies" / "monday", "the desk's own folder"),
    ):
        assert backup_command.main(["--folder", str(source), "--to", str(where)]) == EXIT_USAGE
        assert why in capsys.readouterr().err
    monkeypatch.setattr("desk.backup_command._copy_register", full)
    assert backup_command.main(["--folder", str(folder), "--to", str(to)]) == EXIT_USAGE
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [] and not (folder / "copies").exists()
