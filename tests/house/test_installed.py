"""The project as a package of somebody else's: both commands, from any folder, and nothing but that in the way."""

import json
import os
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.home import ROOT
from sim.servers.broker import EmbeddedBroker
from sim.servers.centre import Centre

pytestmark = pytest.mark.slow
PACKAGE = "sos_column"
BUILD_TIMEOUT_S, START_TIMEOUT_S, END_TIMEOUT_S = 100.0, 60.0, 20.0
KEPT = ("firmware", "hal", "contract", "common", "desk", "field", "sim", "lib/lock.json", "lib/README.md")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation", "--no-index",
                    "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=BUILD_TIMEOUT_S)  # fmt: skip
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a venv with the two commands in it. What the project needs is borrowed from ours."""
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    venv.create(folder)
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--python", str(folder / "bin" / "python"), "install",
                    "--no-deps", "--no-index", str(wheel)], check=True, timeout=BUILD_TIMEOUT_S)  # fmt: skip
    (site,) = folder.glob("lib/python*/site-packages")
    added = {path.name for path in site.iterdir()}
    assert {name for name in added if "dist-info" not in name} == {PACKAGE}
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "borrowed.pth").write_text(ours)
    return folder / "bin"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, and a home in which nothing has been fetched yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def started(command: str) -> Iterator["subprocess.Popen[str]"]:
    """A shell's background job, as an integrator's CI starts it."""
    process = subprocess.Popen(["/bin/sh", "-c", f"exec {command}"], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(process: "subprocess.Popen[str]", **wanted: object) -> None:
    """Read its events until one has these values."""
    assert process.stdout is not None
    for line in process.stdout:
        if wanted.items() <= json.loads(line).items():
            return
    raise AssertionError(f"it ended before {wanted}")


def test_every_tracked_file_is_in_the_wheel_licences_too(wheel: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", "--", *KEPT], cwd=ROOT, check=True, capture_output=True, text=True)
    inside = set(zipfile.ZipFile(wheel).namelist())
    there = [name for name in tracked.stdout.splitlines() if (ROOT / name).is_file()]
    assert len(there) > 200
    assert [name for name in there if f"{PACKAGE}/{name}" not in inside] == []


def test_nothing_lies_at_the_top_but_the_package(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {PACKAGE}


@pytest.mark.parametrize("exported", [{}, {"PYTHONSAFEPATH": "1", "PYTHONPATH": "/nowhere"}], ids=["bare", "exported"])
def test_a_column_from_another_folder_raises_an_alarm(
    commands: Path, elsewhere: Path, exported: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in exported.items():
        monkeypatch.setenv(name, value)
    with EmbeddedBroker() as broker, Centre(broker.host, broker.port) as centre:
        make_configuration(commands, f"{broker.host}:{broker.port}")
        with started(f"{commands}/sos-column column --config column.json") as process:
            wait_for(process, event="lamp", state="ready")
            assert process.stdin is not None
            process.stdin.write("press 120\n")
            process.stdin.flush()
            wait_for(process, event="lamp", state="answered")
            assert [incident.device_id for incident in centre.ledger().incidents.values()] == ["ci-1"]
            process.communicate(timeout=END_TIMEOUT_S)
            assert process.returncode == 0


@pytest.mark.parametrize("standard_input", ["</dev/null", "<&-"], ids=["empty", "closed"])
def test_without_input_a_column_runs_until_it_is_stopped(commands: Path, elsewhere: Path, standard_input: str) -> None:
    with EmbeddedBroker() as broker, Centre(broker.host, broker.port) as centre:
        make_configuration(commands, f"{broker.host}:{broker.port}")
        column = f"{commands}/sos-column column --config column.json"
        with started(f"{column} --no-input {standard_input}") as process:
            wait_for(process, event="lamp", state="ready")
            centre.wait_for(lambda ledger: "ci-1" in ledger.columns, START_TIMEOUT_S)
            assert process.poll() is None
            process.terminate()
            assert process.wait(END_TIMEOUT_S) == 128 + signal.SIGTERM
        with started(f"{column} {standard_input}") as process:  # an end of its input is its end
            assert process.wait(START_TIMEOUT_S) == 0


def make_configuration(commands: Path, broker: str) -> None:
    arguments = ("--device-id", "ci-1", "--region", "nko", "--broker", broker)
    Path("column.json").write_text(run(commands / "sos-column", "config", *arguments))


def run(command: Path, *arguments: str) -> str:
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False, timeout=START_TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_speaks_of_the_installed_commands(commands: Path, elsewhere: Path) -> None:
    whole = run(commands / "sos-column", "--help")
    assert "sos-column column" in whole and "--no-input" in whole and "python -m" not in whole
    for name in ("board", "servers", "pillar", "desk", "demo", "campaign", "bench", "column", "config"):
        assert "python -m" not in run(commands / "sos-column", name, "--help")
    assert run(commands / "sos-desk", "--help").startswith("usage: sos-desk")


def test_the_desk_runs_from_another_folder(commands: Path, elsewhere: Path) -> None:
    with EmbeddedBroker() as broker:
        arguments = f"--broker {broker.host}:{broker.port} --folder register --listen 127.0.0.1:0"
        with started(f"{commands}/sos-desk {arguments}") as process:
            wait_for(process, event="desk")
            assert (elsewhere / "register").is_dir()


def test_a_checkout_is_not_taken_for_an_installed_package() -> None:
    code = "from common import home; print(home.INSTALLED, home.LIB == home.ROOT / 'lib', home.COLUMN_COMMAND)"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True,
                          env=dict(os.environ)).stdout  # fmt: skip
    assert told.split(maxsplit=2) == ["False", "True", "python -m sim\n"]
