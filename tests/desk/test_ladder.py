"""The file of the ladders: what fits a call, and that each mistake is said with its place and what would be right."""

from __future__ import annotations

import re
import wave
from pathlib import Path
from typing import Any

import pytest

from desk import ladder
from desk.ladder import LadderError, Plan, parse
from desk.officers import OfficerError, make
from desk.officers.words import LANGUAGES, subject, text

FILE = """
[officer.duty]
how = "webhook"
url = "https://pager.example/hook"
token = "secret-of-the-pager"

[officer.school]
how = "email"
server = "mail.example"
to = "school@example.org"
from = "desk@example.org"

[[ladder]]
site = "school"
steps = [{after_s = 10, tell = "desks"}, {after_s = 10, tell = "school"}, {after_s = 40, tell = "duty"}]

[[ladder]]
region = "n*"
steps = [{after_s = 15, tell = "desks"}, {after_s = 30, tell = "duty"}]
"""


def written(folder: Path, content: str, mode: int = 0o600) -> Path:
    path = folder / "ladder.toml"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_the_first_ladder_that_fits_is_taken(tmp_path: Path) -> None:
    plan = ladder.read(written(tmp_path, FILE))
    assert [step.name for step in plan.steps("nko", "school")] == ["10-desks", "10-school", "40-duty"]
    assert [step.name for step in plan.steps("nko", "public")] == ["15-desks", "30-duty"]
    assert [step.name for step in plan.steps("abai", "public")] == ["15-desks"], "without a ladder: the desks"
    assert not plan.reaches_beyond_desks, "a public place in abai has no officer"
    assert "secret" not in repr(plan)
    for name, settings in plan.officers.items():
        make(name, settings)


def test_a_recording_lies_beside_the_file_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service runs in another folder than a trial. Red without `_with_files`: the message names no folder."""
    monkeypatch.chdir(tmp_path.parent)
    telephone = '[officer.duty]\nhow = "sip"\nto = "sip:102@pbx.example"\nrecording = "call.wav"\n'
    steps = '[[ladder]]\nsteps = [{after_s = 15, tell = "desks"}, {after_s = 30, tell = "duty"}]\n'
    settings = ladder.read(written(tmp_path, telephone + steps)).officers["duty"]
    with pytest.raises(OfficerError, match=re.escape(f"recording: {tmp_path / 'call.wav'}: No such file")):
        make("duty", settings)
    with wave.open(str(tmp_path / "call.wav"), "wb") as file:
        file.setframerate(8000)
        file.setsampwidth(2)
        file.setnchannels(1)
    make("duty", settings)


def test_without_a_file_the_desks_ring_louder_and_that_is_all() -> None:
    assert [step.name for step in Plan().steps("nko", "public")] == ["15-desks"]
    assert not Plan().reaches_beyond_desks


def test_a_ladder_for_everybody_reaches_beyond_the_desks() -> None:
    steps = [{"after_s": 15, "tell": "desks"}, {"after_s": 30, "tell": "duty"}]
    assert parse({"officer": {"duty": {}}, "ladder": [{"steps": steps}]}).reaches_beyond_desks
    assert not parse({"ladder": [{"steps": steps[:1]}]}).reaches_beyond_desks


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("after_s = 40", "after_s = 4", "order of after_s"),
        ("after_s = 40", 'after_s = "40"', "after_s: found '40', must be a whole number from 0 to 3600"),
        ("after_s = 40", "after_s = 4000", "must be a whole number from 0 to 3600"),
        ("after_s = 40", "after_s = true", "must be a whole number"),
        ('tell = "school"', 'tell = "scool"', "found 'scool', must be one of desks, duty, school"),
        ('site = "school"', 'site = "shool"', "must be one of *, public, school"),
        ('region = "n*"', "region = 5", "region: found 5"),
        ('region = "n*"', 'regoin = "n*"', "found the key 'regoin', must be one of region, site, steps"),
        ("[officer.duty]", '[officer."Дежурный"]', "1 to 24 of the characters a-z"),
        ("[officer.duty]", "[officer.desks]", "and not 'desks'"),
        ('{after_s = 15, tell = "desks"}, ', "", "one must tell 'desks'"),
        ("[[ladder]]", "[[lader]]", "found the key 'lader'"),
        (', {after_s = 10, tell = "school"}', "", "officer 'school': no step tells them"),
    ],
)
def test_a_mistake_is_said_with_its_place(wrong: str, right: str, said: str, tmp_path: Path) -> None:
    assert wrong in FILE
    path = written(tmp_path, FILE.replace(wrong, right))
    with pytest.raises(LadderError) as raised:
        ladder.read(path)
    assert said in str(raised.value) and str(path) in str(raised.value) and "secret" not in str(raised.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LadderError, match="chmod 600"):
        ladder.read(written(tmp_path, FILE, 0o644))


@pytest.mark.parametrize(
    ("text", "where"),
    [('token = "secret', "1:16"), ('token = "secret"\n[secret\n', "2:8"), ("a = 1\na = 'secret'\n", "2:13"),
     ('a = [1,\n"secret",\n', "3:1")],
)  # fmt: skip
def test_a_file_that_is_no_toml_is_told_with_the_place_and_not_what_stands_there(
    text: str, where: str, tmp_path: Path
) -> None:
    """Red where private_file.py does not take the place over, or hands the whole of tomllib's text on."""
    path = written(tmp_path, text)
    with pytest.raises(LadderError) as raised:
        ladder.read(path)
    assert str(raised.value).startswith(f"{path}:{where}: is no TOML; see ") and "secret" not in str(raised.value)


MAIL = {"how": "email", "server": "mail.example", "to": "a@b", "from": "c@d"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"how": "pigeon"}, "how: found 'pigeon', must be one of email, "),
        ({}, "how: found None"),
        ({"how": "webhook"}, "url: is missing"),
        ({"how": "webhook", "url": "ftp://a/"}, "url: must be like https://"),
        ({"how": "webhook", "url": "https://a/", "tiemout_s": 5}, "found the key 'tiemout_s'"),
        ({"how": "webhook", "url": "https://a/", "timeout_s": 600}, "must be a whole number from 1 to 30"),
        ({"how": "webhook", "url": "https://a/", "token": "a\nb"}, "token: must be"),
        ({"how": "webhook", "url": "https://a/", "language": "de"}, "language: must be one of en, ru, kk"),
        ({**MAIL, "to": "nobody"}, "to: found 'nobody', must be an address"),
        ({**MAIL, "from": "a@b\nBcc: c@d"}, "from: found"),
        ({**MAIL, "user": "desk"}, "user and password go together"),
        ({**MAIL, "user": "desk", "password": "x", "tls": "none"}, "everybody on the way could read it"),
        ({**MAIL, "tls": "maybe"}, "tls: found 'maybe'"),
    ],
)
def test_an_officers_settings_are_held_against_their_way(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(OfficerError) as raised:
        make("duty", settings)
    assert said in str(raised.value) and "officer duty" in str(raised.value)


def test_every_language_tells_the_same() -> None:
    fields = {
        "waited_s": 31, "address": "Street 5", "device_id": "petropavl-01", "region": "nko", "geo": "geo:1,2",
        "press": 2, "incident_id": "petropavl-01-17-3", "desk": "desk-1",
    }  # fmt: skip
    assert set(LANGUAGES) == {"en", "ru", "kk"}
    for language in LANGUAGES:
        whole = text(language, 1_800_000_000_000, repeated=True, **fields)
        assert all(str(value) in whole for value in fields.values()), whole
        assert "Street 5 a" in subject(language, "Street 5\n a")
        assert whole != text(language, 1_800_000_000_000, repeated=False, **fields)
