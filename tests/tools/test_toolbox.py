"""The toolbox finds, fetches and refuses as it says."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.home import ROOT
from tools import debian, toolbox

SETTLE_S = 1.0
DEB822 = """\
Types: deb
URIs: mirror.invalid/security
Suites: bookworm-security
Components: main

# the main archive
Types: deb deb-src
URIs: mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
"""
LIBRARY = b"class MQTTClient: ...\n"


def argv_of(name: str) -> list[str]:
    """The tool's argv; without STRICT a missing one skips the test (loudly), with it the test fails."""
    argv = toolbox.require(name) if toolbox.STRICT else toolbox.find(name)
    if argv is None:
        pytest.skip(f"{name} is missing; see the message above")
    return argv


@pytest.mark.micropython
@pytest.mark.parametrize(("bits", "name"), [(64, "micropython"), (32, "micropython32")])
def test_micropython_has_the_word_size_asked_for(bits: int, name: str) -> None:
    argv_of(name)
    argv = toolbox.micropython(bits)
    assert argv is not None
    code = "import sys; print(sys.implementation.name, sys.maxsize)"
    out = subprocess.check_output([*argv, "-X", "heapsize=96k", "-c", code], text=True)
    assert out.split() == ["micropython", str(2 ** (bits - 1) - 1)]


def test_micropython_of_no_such_size() -> None:
    with pytest.raises(ValueError, match="bits is 16"):
        toolbox.micropython(16)


@pytest.mark.mosquitto
def test_mosquitto_accepts_a_connection() -> None:
    argv_of("mosquitto")
    assert toolbox.check("mosquitto").startswith("2.")


@pytest.mark.mosquitto
def test_a_tool_that_was_fetched_is_run_by_its_name() -> None:
    """`mosquitto -p 1883`, which README showed, is no command on a machine where `make tools` has fetched it. Red where
    its loader is left out, and where a name that is none ends without a word."""
    argv_of("mosquitto")
    command = [sys.executable, "-m", "tools.toolbox", "run"]
    done = subprocess.run([*command, "mosquitto", "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "mosquitto version 2." in done.stdout, done.stderr
    for name in ("mosquito", "umqtt"):
        wrong = subprocess.run([*command, name], cwd=ROOT, capture_output=True, text=True, check=False)
        assert wrong.returncode == 2 and name in wrong.stderr and "nginx" in wrong.stderr


def test_mosquitto_that_does_not_start_is_noticed() -> None:
    with pytest.raises(toolbox.ToolMissing, match="did not accept a connection"):
        toolbox._check_accepts([sys.executable, "-c", "pass"])


@pytest.mark.mosquitto
def test_mosquitto_passwd_writes_hashed_passwords(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    subprocess.run([*argv_of("mosquitto_passwd"), "-c", "-b", str(file), "anna", "sesame"], check=True)
    assert file.read_text().startswith("anna:$") and "sesame" not in file.read_text()


def test_device_libraries_hold_umqtt() -> None:
    assert "class MQTTClient" in (toolbox.device_libraries() / "umqtt" / "simple.py").read_text()


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """(an empty lib folder, its lock still to be written; sha256 of the archive that the index serves)."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        member = tarfile.TarInfo("thing-1.0/thing/simple.py")
        member.size = len(LIBRARY)
        tar.addfile(member, io.BytesIO(LIBRARY))

    def serve(name: str, version: str, archive: Path) -> None:
        archive.write_bytes(data.getvalue())

    monkeypatch.setattr(toolbox, "_download", serve)
    yield tmp_path, hashlib.sha256(data.getvalue()).hexdigest()


def write_lock(lib: Path, sha256: str) -> None:
    entry = {"name": "thing", "version": "1.0", "sha256": sha256, "files": ["thing/simple.py"]}
    (lib / "lock.json").write_text(json.dumps([entry]))


def test_library_with_the_locked_hash_is_unpacked(library: tuple[Path, str]) -> None:
    lib, sha256 = library
    write_lock(lib, sha256)
    toolbox.fetch_libraries(lib, lib / "lock.json")
    assert (lib / "thing" / "simple.py").read_bytes() == LIBRARY
    assert sorted(p.name for p in lib.iterdir()) == ["lock.json", "thing"]


def test_library_with_another_hash_is_refused_and_leaves_nothing(library: tuple[Path, str]) -> None:
    lib, _ = library
    write_lock(lib, "0" * 64)
    with pytest.raises(toolbox.ToolMissing, match=r"thing 1\.0: the archive's sha256 is .* Refused"):
        toolbox.fetch_libraries(lib, lib / "lock.json")
    assert [p.name for p in lib.iterdir()] == ["lock.json"]


def fake_interpreter(folder: Path, answer: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = folder / "micropython"
    program.write_text(f"#!/bin/sh\necho {answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return program


@pytest.fixture
def no_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where nothing is unpacked yet and apt has no sources."""
    monkeypatch.setattr(toolbox, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(debian, "sources", lambda folder: iter(()))
    toolbox.find.cache_clear()


@pytest.mark.usefixtures("no_debian")
def test_micropython_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = fake_interpreter(tmp_path, "64 1 24 0", monkeypatch)
    assert toolbox.require("micropython") == [str(program)]


UNFIT = {
    "64 1 23 9": "it is 1.23.9, must be 1.24 or newer",
    "32 1 26 0": "it has 32 bits, not 64",
    "": "it does not run here",
    "64 1 29 0 ffi uctypes": "it was built without ffi, uctypes, which the simulated chip needs",
}


@pytest.mark.usefixtures("no_debian")
@pytest.mark.parametrize("answer", UNFIT, ids=["too old", "wrong size", "no answer", "no ffi"])
def test_micropython_on_path_that_will_not_do(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = fake_interpreter(tmp_path, answer, monkeypatch)
    with pytest.raises(toolbox.ToolMissing, match=r"micropython: .* By hand: put a 64-bit micropython") as raised:
        toolbox.require("micropython")
    assert f"{program} cannot be used ({UNFIT[answer]}), and no Debian source" in str(raised.value)
    assert toolbox.micropython(64) is None
    assert "!!! MISSING micropython: " in capsys.readouterr().err
    toolbox.find.cache_clear()


@pytest.mark.parametrize("answer", UNFIT)
def test_a_chosen_micropython_that_will_not_do_is_refused_by_name(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column on it would only restart for ever."""
    program = fake_interpreter(tmp_path, answer, monkeypatch)
    monkeypatch.setenv("MICROPYTHON", str(program))
    done = subprocess.run([sys.executable, "-m", "sim", "column", "--config", str(configuration(tmp_path)),
                           "--runtime", "micropython"], cwd=ROOT, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    assert done.returncode == toolbox.EXIT_MISSING_TOOL
    assert f"error: MICROPYTHON={program} cannot be used: {UNFIT[answer]}" in done.stderr


def configuration(folder: Path) -> Path:
    made = subprocess.run([sys.executable, "-m", "sim", "config", "--device-id", "a-1", "--region", "nko", "--broker",
                           "127.0.0.1:1883"], cwd=ROOT, capture_output=True, check=True)  # fmt: skip
    path = folder / "config.json"
    path.write_bytes(made.stdout)
    return path


def test_a_chosen_micropython_is_taken_whatever_is_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = fake_interpreter(tmp_path, "64 1 29 0", monkeypatch)
    monkeypatch.setenv("MICROPYTHON", str(program))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert toolbox.require("micropython") == [str(program)]


@pytest.mark.micropython
@pytest.mark.parametrize(("bits", "name"), [(64, "micropython-newest"), (32, "micropython32-newest")])
def test_the_newest_micropython_is_newer(bits: int, name: str) -> None:
    found = toolbox._probe(argv_of(name))
    assert found is not None and found.unfit(bits) is None
    assert found.version > toolbox._probe(argv_of("micropython")).version  # type: ignore[union-attr]


@pytest.mark.usefixtures("no_debian")
@pytest.mark.parametrize(("strict", "status"), [(False, 0), (True, 1)])
def test_strict_makes_a_missing_runtime_a_failure(
    strict: bool,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_interpreter(tmp_path, "", monkeypatch)
    monkeypatch.setattr(toolbox, "STRICT", strict)
    assert toolbox.main(["micropython"]) == status
    said = capsys.readouterr()
    assert "MISSING" in (said.err if strict else said.out)


@pytest.mark.parametrize(("language", "told"), [("ru", "НЕТ: umqtt"), ("kk", "ЖОҚ: umqtt")])
def test_what_a_technicians_target_cannot_do_without_is_told_where_it_is_seen(
    language: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make flash` throws the table away and has to end in more than make's own word. Red when it is only in there, and
    when the reason stays English."""

    def cut_off() -> list[str]:
        raise toolbox.ToolMissing("umqtt 1.0 did not come within 180 s: is the network up?")

    monkeypatch.setitem(toolbox._FINDERS, "umqtt", cut_off)
    assert toolbox.main(["umqtt", "--lang", language]) == 1
    said = capsys.readouterr()
    assert said.out == "" and told in said.err and "180 с" in said.err and "network" not in said.err


def test_unknown_tool_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert toolbox.main(["hammer"]) == 2
    assert "no tool hammer; there are umqtt, micropython" in capsys.readouterr().err


def test_tools_are_found_by_one_process_at_a_time() -> None:
    with toolbox._locked():
        other = subprocess.Popen([sys.executable, "-m", "tools.toolbox", "umqtt"], cwd=ROOT)
        time.sleep(SETTLE_S)
        assert other.poll() is None, "it did not wait for the lock"
    assert other.wait(timeout=30) == 0


def test_debian_mirror_is_the_main_archive_with_its_inline_key(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    stanza = debian.mirror(tmp_path)
    assert stanza["uris"] == "mirror.invalid/debian"
    assert stanza["signed-by"].splitlines()[1:] == [" -----BEGIN PGP PUBLIC KEY BLOCK-----", " .", " abc"]


def test_debian_mirror_of_one_line_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(
        "# deb mirror.invalid/commented bookworm main\n"
        "deb mirror.invalid/tools stable-x main\n"
        "deb [arch=amd64 Signed-By=/Keys/Debian.gpg] mirror.invalid/debian bookworm main non-free # ours\n"
    )
    stanza = debian.mirror(tmp_path)
    assert (stanza["uris"], stanza["signed-by"]) == ("mirror.invalid/debian", "/Keys/Debian.gpg")


@pytest.mark.parametrize("text", ["", DEB822.replace("Types: deb", "Enabled: no\nTypes: deb")])
def test_no_debian_mirror_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(text)
    with pytest.raises(debian.DebianError, match="no Debian source with component main"):
        debian.mirror(tmp_path)


def test_failed_download_leaves_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str], cwd: Path | None = None) -> str:
        if "download" in argv:
            raise debian.DebianError("Hash Sum mismatch")
        return ""

    monkeypatch.setattr(debian, "_run", run)
    monkeypatch.setattr(debian, "_configure", lambda folder, arch, suite: [])
    with pytest.raises(debian.DebianError, match="Hash Sum"):
        debian.unpack("thing", "1.*", "amd64", tmp_path)
    assert list((tmp_path / "debian").iterdir()) == []


def test_only_the_package_and_its_libraries_are_wanted() -> None:
    plan = """\
Inst gcc-14-base:i386 (14.2.0-19 Debian:13/stable [i386])
Inst libc6:i386 (2.41-12 Debian:13/stable [i386]) []
Inst adduser (3.152 Debian:13/stable [all])
Inst mosquitto:i386 (2.0.21-1 Debian:13/stable [i386])
Conf mosquitto:i386 (2.0.21-1 Debian:13/stable [i386])
"""
    assert debian._wanted(plan, "mosquitto", "i386") == ["libc6:i386=2.41-12", "mosquitto:i386=2.0.21-1"]
