"""What the desk says to a camera that asks who is there: who is told which password, and who may read the file."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import pytest

from common.arguments import EXIT_USAGE
from desk import command
from desk.media import credentials
from desk.media.credentials import Credential, Credentials, CredentialsError
from desk.media.digest import authorization
from desk.media.relay import Target

PASSWORD = "n0b0dy-may-see-this"


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "cameras.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


CAMERA = f'[[camera]]\nhost = "10.20.*"\ndevice = "petropavl-0?"\nuser = "desk"\npassword = "{PASSWORD}"\n'


def test_who_is_told_which_password(tmp_path: Path) -> None:
    more = '[[camera]]\nhost = "Cameras.example"\nuser = "other"\npassword = "x"\n'
    known = credentials.read(written(tmp_path, CAMERA + more))

    def user(device_id: str, host: str) -> str | None:
        found = known.of(device_id, host)
        return found.user if found else None

    assert user("petropavl-01", "10.20.0.5") == "desk"
    assert user("petropavl-01", "cameras.EXAMPLE") == "other"
    for device_id, host in (
        ("petropavl-11", "10.20.0.5"), ("petropavl-01", "10.21.0.5"), ("x", "cameras.example.evil.example"),
        ("petropavl-01", "evil.example"),
    ):  # fmt: skip
        assert user(device_id, host) is None
    assert PASSWORD not in repr(known.of("petropavl-01", "10.20.0.5"))
    assert PASSWORD not in repr(Target(("10.20.0.5",), "h", 554, "/x", "desk", PASSWORD))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o660, 0o666, 0o610])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(CredentialsError, match="chmod 600"):
        credentials.read(written(tmp_path, CAMERA, mode))
    assert credentials.read(written(tmp_path, CAMERA, 0o400)).of("petropavl-01", "10.20.1.1")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (CAMERA.replace('host = "10.20.*"\n', ""), "host must be"), (CAMERA.replace("10.20.*", "*"), "every host"),
        (CAMERA.replace('user = "desk"', "user = 7"), "user must"), (CAMERA.replace('"desk"', '"de:sk"'), "colon"),
        (CAMERA.replace(PASSWORD, "a\\nb"), "control"), (CAMERA + 'pasword = "x"\n', "knows only"),
        (CAMERA.replace("[[camera]]", "[camera]"), "nothing else"), (CAMERA + "=", "no TOML"),
        ("x = 1\n" + CAMERA, "nothing else"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_right_is_refused_and_not_quoted(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(CredentialsError, match=why) as caught:
        credentials.read(written(tmp_path, text))
    assert PASSWORD not in str(caught.value)


def test_no_link_and_no_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(written(tmp_path, CAMERA))
    for name in ("link", ".", "nothing"):
        with pytest.raises(CredentialsError):
            credentials.read(tmp_path / name)


def test_the_desk_does_not_start_with_a_file_that_others_may_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, CAMERA, 0o644)
    given = ["--broker", "127.0.0.1:9", "--folder", str(tmp_path / "desk"), "--listen", "127.0.0.1:0"]
    assert command.main([*given, "--camera-passwords", str(path)]) == EXIT_USAGE
    assert "chmod 600" in capsys.readouterr().err


def test_a_first_that_fits_is_taken() -> None:
    known = Credentials([Credential("10.*", "first", "x"), Credential("10.1.*", "second", "y")])
    found = known.of("any", "10.1.2.3")
    assert found is not None and found.user == "first"


def test_the_answer_to_a_challenge_is_that_of_the_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of RFC 7616, 3.9.1, and of RFC 7617, 2."""
    own = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    monkeypatch.setattr(secrets, "token_hex", lambda size: own)
    nonce, opaque = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
    rest = f'nonce="{nonce}", opaque="{opaque}"'
    both = [
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={n}, {rest}' for n in ("MD5", "SHA-256")
    ]
    for challenges, response in (
        (both[:1], "8ca523f5e9506fed4657c9700eebdbec"),
        (both, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),  # the better of the two
    ):
        said = authorization(challenges, "GET", "/dir/index.html", "Mufasa", "Circle of Life")
        assert said is not None and f'response="{response}"' in said and f'opaque="{opaque}"' in said
    basic = authorization(['Basic realm="x"'], "GET", "/", "Aladdin", "open sesame")
    assert basic == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_an_old_camera_is_answered_without_qop() -> None:
    said = authorization(['Digest realm="r", nonce="n"'], "DESCRIBE", "rtsp://c/x", "u", "p")
    a1, a2 = hashlib.md5(b"u:r:p").hexdigest(), hashlib.md5(b"DESCRIBE:rtsp://c/x").hexdigest()
    assert said is not None and f'response="{hashlib.md5(f"{a1}:n:{a2}".encode()).hexdigest()}"' in said


@pytest.mark.parametrize(
    "challenge", ["", "Digest", 'Negotiate x="y"', 'Digest realm="r", nonce="n", qop="auth-int"', 'Digest nonce="']
)
def test_what_cannot_be_answered_is_not(challenge: str) -> None:
    assert authorization([challenge], "GET", "/", "u", "p") is None
