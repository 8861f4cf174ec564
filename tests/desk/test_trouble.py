"""Each trouble has a diagnosis of its own, a way out, and words in every language of the page."""

from __future__ import annotations

import errno
import io
import json
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import wrong_peers
from desk_page_probe import STATIC
from desk_rig import wait_for
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from common.ports import HOST, free_port
from desk import trouble
from desk.command import main
from desk.duty import Duty
from desk.hearing import QUIET
from desk.register import Register, RegisterError
from desk.register_file import damaged
from desk.rival import QUIET_MS, Rival
from sim.servers.authority import Authority
from sim.servers.broker import Mosquitto, Tls


def full(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE a (b)")
    db.execute("PRAGMA max_page_count = 2")
    db.execute("INSERT INTO a VALUES (zeroblob(100000))")


def read_only(path: Path) -> None:
    sqlite3.connect(path).execute("CREATE TABLE a (b)")
    sqlite3.connect(f"file:{path}?mode=ro", uri=True).execute("INSERT INTO a VALUES (1)")


def held(path: Path) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    sqlite3.connect(path, timeout=0).execute("CREATE TABLE a (b)")


def unreadable(path: Path) -> None:
    sqlite3.connect(path / "not there" / "register").execute("CREATE TABLE a (b)")


def no_register(path: Path) -> None:
    path.write_bytes(b"something else" * 1000)
    sqlite3.connect(path).execute("CREATE TABLE a (b)")


def failing(path: Path) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    raise error


def broken(path: Path) -> None:
    raise damaged("row 7 missing from index")


@pytest.mark.parametrize(
    ("make", "code", "help_"),
    [
        (full, "disk-full", "make room"),
        (read_only, "disk-readonly", "let this user write"),
        (held, "disk-locked", "end it"),
        (unreadable, "disk-unreadable", "let this user read"),
        (no_register, "disk-damaged", "put a backup"),
        (broken, "disk-damaged", "put a backup"),
        (failing, "disk-error", "the system's log"),
    ],
)
def test_every_error_of_sqlite_is_told_apart(
    make: Callable[[Path], None], code: str, help_: str, tmp_path: Path
) -> None:
    path = tmp_path / "register.sqlite"
    with pytest.raises(sqlite3.Error) as raised:
        make(path)
    found = trouble.of_register(raised.value, path)
    assert found.code == code and help_ in found.text and str(path) in found.text


def test_a_register_that_another_program_holds_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desk.register_file.OPEN_BUSY_S", 0.1)
    path = tmp_path / "register.sqlite"
    Register(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RegisterError, match="another program holds the file"):
        Register(path)
    holder.execute("ROLLBACK")
    Register(path).close()


@pytest.mark.parametrize("where", ["a file/register.sqlite", "a folder"])
def test_a_folder_that_is_none_is_said(where: str, tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    (tmp_path / "a folder").mkdir()
    with pytest.raises(RegisterError, match="the folder that you mean|is no file: put"):
        Register(tmp_path / where)


WRITES_ON = """
import resource, sqlite3, sys
from pathlib import Path
from desk import trouble
from desk.register import Register
path = Path(sys.argv[1])
with Register(path) as register:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        register.put_number("x", 1)
    except sqlite3.Error as error:
        print(error.sqlite_errorname, trouble.of_register(error, path).code, trouble.code_of(error))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    register.put_number("x", 2)
    print(register.number("x"))
print(sorted(one.name for one in path.parent.iterdir() if one.name.endswith(".room")))
"""


def test_a_limit_that_the_kernel_sets_is_a_full_disk_and_no_damage(tmp_path: Path) -> None:
    """As a quota: SQLite calls it an I/O error. Red without the look for room; the register goes on by itself."""
    command = [sys.executable, "-c", WRITES_ON, str(tmp_path / "desk" / "r.sqlite"), "0"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout.splitlines() == ["SQLITE_IOERR_WRITE disk-full disk-error", "2", "[]"], ended.stderr


BEGINS = """
import resource, shutil, sqlite3, sys
from pathlib import Path
from desk.register import Reading, Register
path, killed = Path(sys.argv[1]), Path(sys.argv[2]) / "r.sqlite"
with Register(path) as register:
    register.put_number("x", 1)
    shutil.copytree(path.parent, killed.parent)
for path in (path, killed):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    with Register(path) as register:
        said = [register.trouble.code, register.number("x")]
        try:
            register.put_number("x", 2)
        except sqlite3.Error as error:
            said.append(error.sqlite_errorname)
        register.share()
        said.append(register.number("x"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        register.put_number("x", 3)
        register.share()
        other = Reading(path)
        print(*said, register.trouble.code or "-", other.number("x"), register._reader is not register._db)
        other.close()
"""


def test_a_register_can_be_opened_on_a_full_disk(tmp_path: Path) -> None:
    """After an orderly end, and as a kill leaves it, with its journal. Red where opening needs a write, and where it
    stays locked to others once there is room."""
    command = [sys.executable, "-c", BEGINS, str(tmp_path / "desk" / "r.sqlite"), str(tmp_path / "killed")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.stdout.splitlines() == ["disk-full 1 SQLITE_IOERR_WRITE 1 - 3 True"] * 2, ended.stderr


def test_a_new_register_needs_room(tmp_path: Path) -> None:
    """There is nothing that a desk could answer for: it says so, and does not begin."""
    script = "import resource, sys; from pathlib import Path; from desk.register import Register; "
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, -1)); Register(Path(sys.argv[1]))"
    command = [sys.executable, "-c", script, str(tmp_path / "r.sqlite")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "make room" in ended.stderr.splitlines()[-1] and ended.returncode == 1, ended.stderr


def test_an_error_of_the_disk_is_none_of_room(tmp_path: Path) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    Register(tmp_path / "r.sqlite").close()
    assert trouble.of_register(error, tmp_path / "r.sqlite").code == "disk-error"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EFBIG, "disk-full"),
        (errno.EDQUOT, "disk-full"),
        (errno.ENOSPC, "disk-full"),
        (errno.EROFS, "disk-readonly"),
        (errno.EACCES, "disk-unreadable"),
    ],
)
def test_what_the_system_says_of_the_file(number: int, code: str, tmp_path: Path) -> None:
    assert trouble.of_opening(OSError(number, "words"), tmp_path / "r").code == code


def test_a_folder_that_cannot_be_made_opens_not_the_one_around_it(tmp_path: Path) -> None:
    """Of --folder /etc/new the advice was to let the user write /etc. Red without `_could_be_made_in`."""
    error, folder = OSError(errno.EACCES, "Permission denied"), tmp_path / "new"
    said = trouble.of_opening(error, folder / "register.sqlite").text
    assert said.endswith(f": make the folder {folder} and give it to this user")
    folder.mkdir()
    said = trouble.of_opening(error, folder / "register.sqlite").text
    assert said.endswith(f": let this user read and write {folder}: see its owner and mode")


def test_an_account_in_a_folder_that_cannot_be_made_names_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red where account_command.py hands the error of mkdir on: it named the folder around it."""

    def refused(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("sys.stdin", io.StringIO("four words of mine\n"))
    monkeypatch.setattr(Path, "mkdir", refused)
    assert main(["account", "add", "x", "--folder", str(tmp_path / "new")]) == 2
    assert f"make the folder {tmp_path / 'new'} and give it" in capsys.readouterr().err


def test_a_file_of_the_folder_that_cannot_be_had_is_said_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A `key` of somebody else's ended the start with "[Errno 13]". Red where Python's own text is printed."""
    (tmp_path / "key").mkdir()
    for argv in (["--broker", f"{HOST}:1"], ["backup", "--to", str(tmp_path / "key" / "copy")]):
        (tmp_path / "register.sqlite").mkdir(exist_ok=True)
        assert main([*argv, "--folder", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {tmp_path}") and "Errno" not in said, said
    denied = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "key"))
    assert trouble.in_words(denied) == (
        f"{tmp_path}/key: Permission denied: let this user read and write {tmp_path}: see its owner and mode"
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name"),
        (ConnectionRefusedError(111, "Connection refused"), "refused"),
        (TimeoutError("timed out"), "timeout"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "route"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "tls"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate"),
        (OSError(errno.EIO, "Input/output error"), "unreachable"),
        (None, "unreachable"),
    ],
)
def test_why_there_is_no_connection(error: OSError | None, code: str) -> None:
    found = trouble.of_connecting(error, "broker.example", 8883)
    assert found.code == code and "broker.example:8883" in found.text


@pytest.mark.parametrize(
    ("said", "code"),
    [("Bad user name or password", "password"), ("Not authorized", "not-authorised"), ("Server unavailable", "login")],
)
def test_why_the_broker_says_no(said: str, code: str) -> None:
    found = trouble.of_refusal(ReasonCode(PacketTypes.CONNACK, said))
    assert found.code == code and said in found.text
    assert ("--password-file" in found.text) == (code != "login"), "some brokers say Not authorized of a wrong password"


def test_the_page_has_words_for_each() -> None:
    source = Path(trouble.__file__).read_text()
    codes = set(re.findall(r'Trouble\(\s*"([a-z-]+)"', source)) - set(QUIET)
    assert len(codes) > 20
    for language in ("en", "ru", "kk"):
        words = json.loads((STATIC / "i18n" / f"{language}.json").read_text())
        assert {f"why.{code}" for code in codes} <= set(words), language


@pytest.mark.mosquitto
def test_two_desks_on_copies_of_one_folder_say_so(
    tmp_path: Path, broker: Mosquitto, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup that was tried beside the desk took its session, and half of its calls: the log had "the connection
    ended" twice a second, the page nothing. Red without desk/rival.py, and where it is said twice or never ends."""
    monkeypatch.setattr("desk.rival.QUIET_MS", 1500)
    paths = [tmp_path / name / "register.sqlite" for name in ("one", "two")]
    with Register(paths[0]) as register:
        register.desk_id()
    shutil.copytree(paths[0].parent, paths[1].parent)

    with Register(paths[0]) as one, Register(paths[1]) as two, Duty(one, broker.host, broker.port, name="one") as stays:
        with Duty(two, broker.host, broker.port, name="two") as copy:
            wait_for(lambda: {stays.why.code, copy.why.code} == {"contested"}, "both say so")
            assert not stays.connected and not copy.connected
        wait_for(lambda: stays.connected, "the one that stays")
        assert stays.why == trouble.NONE
    said = [text for text in caplog.messages if "desk one:" in text]
    assert "copy of this desk's folder" in said[-2] and "is heard again" in said[-1], said


def test_a_broker_that_starts_again_is_no_other_desk() -> None:
    """Three times within ten seconds, or as often as it likes at ease."""
    for pause_ms, ends, is_there in ((3_000, 3, False), (4_000, 100, False), (500, 4, True)):
        found, now_ms = Rival(), 1_000_000
        for _ in range(ends):
            now_ms += pause_ms
            found.ended(now_ms)
        assert found.is_there(now_ms) is is_there, (pause_ms, ends)
        assert not found.is_there(now_ms + QUIET_MS + 1)


def reason(register: Register, host: str, port: int, wanted: str, **login: object) -> str:
    """What the desk says of that broker, when it has said `wanted` (or at the end of patience, else)."""
    with Duty(register, host, port, **login) as duty:  # type: ignore[arg-type]
        deadline_s = time.monotonic() + 20
        while duty.why.code != wanted and time.monotonic() < deadline_s:
            time.sleep(0.02)
        return duty.why.code


@pytest.mark.parametrize("wrong", ["", *wrong_peers.SERVERS])
def test_a_password_goes_to_no_wrong_server(tmp_path: Path, wrong: str) -> None:
    """It may be anybody. Red where the desk looks at no certificate (`tls_insecure_set`: at no name in it), where its
    encryption may be TLS 1.1, and where it goes on without; the first one is to be believed."""
    authority = Authority(tmp_path)
    code = "closed" if not wrong else "certificate" if wrong not in (*wrong_peers.OLD, "no TLS") else "tls"
    with (
        wrong_peers.echoes({wrong: wrong_peers.server(authority, wrong)}) as servers,
        Register(tmp_path / "register.sqlite") as register,
    ):
        login = {"user": "desk", "password": "geheim-17", "tls": authority.client("desk")}
        assert reason(register, HOST, servers[wrong].port, code, **login) == code
        heard = bytes(servers[wrong].heard)
    assert (b"geheim-17" in heard) == (not wrong) and bool(heard) == (wrong in ("", "no TLS"))


@pytest.mark.mosquitto
@pytest.mark.parametrize("wrong", wrong_peers.CLIENTS)
def test_a_desk_whose_own_certificate_is_refused_says_so(tmp_path: Path, wrong: str) -> None:
    """Red where one of OpenSSL's words for it is taken for something else."""
    authority = Authority(tmp_path)
    own = wrong_peers.client(authority, wrong)
    with Mosquitto(tls=Tls(authority)) as broker, Register(tmp_path / "register.sqlite") as register:
        shown = own or authority.ca_path
        assert reason(register, broker.host, broker.port, "own-certificate", tls=shown) == "own-certificate"


@pytest.mark.mosquitto
def test_the_desk_says_why_it_has_no_broker_and_logs_it_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority, other = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    with Register(tmp_path / "register.sqlite") as register:
        assert reason(register, HOST, free_port(), "refused") == "refused"
        assert reason(register, "nowhere.invalid", 1883, "name") == "name"
        with Mosquitto(tls=Tls(authority)) as broker:
            where = register, broker.host, broker.port
            assert reason(*where, "certificate", tls=other.client("desk")) == "certificate"
            assert reason(*where, "own-certificate", tls=authority.ca_path) == "own-certificate"
        with Mosquitto(users={"desk": "right"}) as broker:
            where = register, broker.host, broker.port
            assert reason(*where, "not-authorised", user="desk", password="wrong") == "not-authorised"
            assert reason(*where, "tls", tls=authority.ca_path) == "tls"
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(set(said)) <= 8, said
