"""The browser of the tests: what is taken from PATH, what is passed over, and how the unpacked one is started."""

import subprocess
from pathlib import Path

import pytest
from column_probe import need

from tools import chromium, debian, toolbox

PLAN = """\
Inst libc6 (2.36-9 Debian:12/oldstable [amd64])
Inst fonts-dejavu-core (2.37-6 Debian:12/oldstable [all])
Inst libllvm15 (15.0.6-4 Debian:12/oldstable [amd64])
Inst xdg-utils (1.1.3-4.1 Debian:12/oldstable [all])
Inst libnss3 (3.87.1-1 Debian:12/oldstable [amd64])
Inst chromium-headless-shell (150.0-1 Debian:12/oldstable [amd64])
"""
WORKS = 'case "$1" in --version) echo "Chromium 150.0.1";; *) echo "<body>chromium 42</body>";; esac'


def browser(folder: Path, body: str, name: str = "chromium") -> str:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def no_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has nothing but what is in `tmp_path`, where apt has no sources."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(debian, "sources", lambda folder: iter(()))
    monkeypatch.setattr(debian, "architecture", lambda bits: "amd64")


@pytest.mark.chromium
def test_the_browser_shows_a_page() -> None:
    need("chromium")
    assert int(toolbox.check("chromium").split(".")[0]) >= chromium.OLDEST


def test_a_browser_on_path_is_taken(tmp_path: Path, no_debian: None) -> None:
    program = browser(tmp_path, WORKS)
    assert chromium.find(tmp_path / "tools") == program


@pytest.mark.parametrize(
    "body",
    [
        WORKS.replace("150", "119"),
        WORKS.replace("42", "6"),
        "echo 'install the snap first' >&2; exit 1",
        "exec /nowhere/chromium",
    ],
    ids=["too old", "shows nothing", "a stub", "broken"],
)
def test_a_browser_on_path_that_will_not_do(body: str, tmp_path: Path, no_debian: None) -> None:
    browser(tmp_path, body)
    with pytest.raises(debian.DebianError, match="no Debian source"):
        chromium.find(tmp_path / "tools")


def test_the_next_one_on_path_is_tried(tmp_path: Path, no_debian: None) -> None:
    browser(tmp_path, "exit 1", "chromium-headless-shell")
    program = browser(tmp_path, WORKS, "google-chrome")
    assert chromium.find(tmp_path / "tools") == program


def test_what_is_unpacked_is_started_with_its_own_libraries_from_anywhere(tmp_path: Path) -> None:
    root = tmp_path / "moved here"
    for folder in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio", "usr/lib/chromium"):
        (root / folder).mkdir(parents=True)
    browser(root / "usr/lib/chromium", 'echo "$LD_LIBRARY_PATH"; echo "$FONTCONFIG_FILE"; echo "$@"', chromium.PACKAGE)
    launcher = chromium._launcher(root)
    libraries, fonts, arguments = subprocess.check_output([launcher, "one", "two"], cwd="/", text=True).splitlines()
    assert libraries.split(":") == [
        f"{root}/lib/x86_64-linux-gnu",
        f"{root}/usr/lib/x86_64-linux-gnu",
        f"{root}/usr/lib/x86_64-linux-gnu/pulseaudio",
    ]
    assert "DejaVu Sans" in Path(fonts).read_text()
    before = Path(launcher).stat()
    assert chromium._launcher(root) == launcher
    assert Path(launcher).stat() == before, "a program that may be running is not written again"
    assert arguments == "one two"


def test_of_its_libraries_the_libc_stays_out() -> None:
    """The machine's own libc has to be taken: the loader named in the browser's file is that one's."""
    wanted = debian._wanted(PLAN, chromium.PACKAGE, "amd64", chromium.ALSO, chromium.WITHOUT)
    assert wanted == [
        "fonts-dejavu-core:all=2.37-6",
        "libnss3:amd64=3.87.1-1",
        "chromium-headless-shell:amd64=150.0-1",
    ]


def test_the_suite_is_the_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    stanza = {"suites": "bookworm-updates bookworm", "components": "main"}
    monkeypatch.setattr(debian, "sources", lambda folder: iter([stanza]))
    assert debian.own_suite() == "bookworm"
