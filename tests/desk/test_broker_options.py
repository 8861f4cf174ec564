"""The options about the broker are one thing to desk and rollout: read alike, refused alike, passed on whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.arguments import EXIT_USAGE
from desk import broker_options, command
from desk.broker_options import SetupError
from desk.rollout import command as rollout
from desk.spoken import spoken

BROKER = ["--broker", "[::1]:8883"]
WRONG = {
    "empty": b"", "no first line": b"\nsecret\n", "JSON": b'{"password": "x"}', "not UTF-8": b"\xff\xfe",
}  # fmt: skip


def rollout_says(tmp_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    where = str(tmp_path)
    begin = ["start", "--folder", f"{where}/rollout", *BROKER, "--release", where, "--keys", where]
    assert rollout.main([*begin, *arguments]) == EXIT_USAGE
    return capsys.readouterr().err


@pytest.mark.parametrize("content", WRONG.values(), ids=list(WRONG))
def test_a_password_file_without_a_password_is_told_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when a rollout reads it by itself."""
    file = tmp_path / "centre.password"
    file.write_bytes(content)
    arguments = command.parse([*BROKER, "--folder", "x", "--user", "centre", "--password-file", str(file)])
    with pytest.raises(SetupError, match="--password-file"):
        broker_options.login(arguments)
    monkeypatch.setattr(rollout, "_release", lambda arguments: None)
    said = rollout_says(tmp_path, capsys, "--user", "centre", "--password-file", str(file))
    assert said.startswith("error: --password-file") and "secret" not in said


def test_what_goes_together_is_asked_for_by_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for half, why in ((["--user", "centre"], "go together"), (["--cert", "a", "--key", "b"], "--cert needs --ca")):
        with pytest.raises(SetupError, match=why):
            command.parse([*BROKER, "--folder", "x", *half])
        assert why in rollout_says(tmp_path, capsys, *half)


def test_what_the_desk_was_given_a_rollout_understands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, and from another folder too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pw").write_text("\ufeffgeheim\n", "utf-8")
    files = ["--ca", "ca", "--cert", "c", "--key", "k", "--column-keys", "x"]
    given = [*BROKER, "--user", "centre", "--password-file", "pw", *files, "--folder", "desk"]
    desk = command.parse(given)
    other = rollout._parser(spoken([])).parse_args(["start", "--folder", "r", *broker_options.passed_on(desk)])
    monkeypatch.chdir("/")
    assert [getattr(other, name) for name in ("ca", "cert", "key")] == [tmp_path / name for name in ("ca", "c", "k")]
    other.ca = other.cert = other.key = None  # they are no certificates
    found = broker_options.login(other)
    assert (found.host, found.port, found.user, found.password) == ("::1", 8883, "centre", "geheim")
    assert other.column_keys == tmp_path / "x"
    plain = command.parse([*BROKER, "--folder", "desk"])
    assert broker_options.passed_on(plain) == BROKER
