"""The .venv is there after each target's first step, whatever the shell exports and whatever became of the last one."""

import base64
import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from requirement_sets import pins

from common.home import ROOT
from common.sentences import LANGUAGES
from tools import environment
from tools.environment import INCLUDED, Environment

TIMEOUT_S = 100
pytestmark = pytest.mark.xdist_group("environment")  # making a venv takes its time
# All of the project that it may need: it runs before anything is installed.
NEEDED = (
    *("tools/environment.py", "tools/spoken.py"),
    *(f"common/{name}.py" for name in ("arguments", "home", "interrupted", "numbers", "sentences", "typed")),
    *(f"{folder}/words/{language}.json" for folder in ("common", "tools") for language in LANGUAGES),
)
ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")


def wheel(folder: Path, name: str, version: str) -> str:
    """Make a package of one empty module; the line that requires it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text)}\n" for file, text in files.items()
    )  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(file, text)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


class Checkout:
    """A small one: the tool, and requirements/ of packages that lie in a folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "Жоба SOS (1)"
        self.wheels = folder / "wheels"
        self.home = folder / "home"
        for made in (self.root / "tools", self.root / "requirements", self.wheels, self.home):
            made.mkdir(parents=True)
        for name in NEEDED:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.root / name)
        for name in ("pip", "one", "two"):
            self.require(name, wheel(self.wheels, f"package_{name}", "1.0"))

    def require(self, name: str, line: str) -> None:
        (self.root / "requirements" / f"{name}.txt").write_text(line)

    def provide(self, *sets: str, python: str = sys.executable, **exported: str) -> subprocess.CompletedProcess[str]:
        tool = self.root / "tools" / "environment.py"
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "PIP_NO_INDEX": "1",
               "PIP_FIND_LINKS": str(self.wheels), **exported}  # fmt: skip
        return subprocess.run([python, "-I", str(tool), *sets], env=env, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False)  # fmt: skip

    def packages(self) -> set[str]:
        """What is in site-packages and can be imported, of ours."""
        return {path.stem for path in self.root.glob(".venv/lib/python*/site-packages/package_*.py")}

    @property
    def interpreter(self) -> Path:
        return self.root / ".venv" / "bin" / "python"

    def runs(self) -> bool:
        return subprocess.run([self.interpreter, "-c", "import pip, package_one"], check=False).returncode == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """With the set `one`. Its tests add nothing but `two`."""
    checkout = Checkout(tmp_path_factory.mktemp("environment"))
    done = checkout.provide("one")
    assert done.returncode == 0 and "made anew" not in done.stdout, done.stdout
    return checkout


def test_a_target_gets_its_own_set_and_no_other(made: Checkout) -> None:
    assert made.packages() >= {"package_pip", "package_one"} and made.runs()


def test_what_is_there_is_not_touched_again(made: Checkout) -> None:
    assert made.provide("one", PIP_FIND_LINKS="/nowhere").stdout == ""


def _spoilt_module(folder: Path) -> str:
    (folder / "pip.py").write_text("raise SystemExit('the wrong pip')")
    (folder / "json.py").write_text("raise SystemExit('the wrong json')")
    return str(folder)


def _spoilt_modules(folder: Path) -> str:
    for name in ("pip", "json"):
        (folder / f"{name}.py").write_text(f"raise SystemExit('the wrong {name}')")
    return str(folder)


def test_what_a_shell_exports_sends_no_package_elsewhere(made: Checkout, tmp_path: Path) -> None:
    elsewhere = {name: str(tmp_path / name) for name in (*ELSEWHERE, "PYTHONHOME", "PYTHONUSERBASE")}
    exported = {**elsewhere, "PIP_USER": "1", "PYTHONSAFEPATH": "1", "PYTHONPATH": _spoilt_modules(tmp_path)}
    _installs_two(made, exported)
    assert not list(tmp_path.rglob("package_*"))


def test_what_pips_own_file_says_sends_no_package_elsewhere(made: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    lines = [f"{name.removeprefix('PIP_').lower()} = {tmp_path / name}" for name in ELSEWHERE]
    file.write_text("\n".join(["[install]", "user = true", *lines]))
    _installs_two(made, {"PIP_CONFIG_FILE": str(file)})
    assert not list(tmp_path.rglob("package_*"))


def _installs_two(checkout: Checkout, exported: Mapping[str, str]) -> None:
    """... and says so in the language of who waits for it."""
    _forget(checkout, "two")
    done = checkout.provide("two", LANG="ru_RU.UTF-8", **exported)
    assert done.returncode == 0, done.stdout
    assert done.stdout == "== .venv: пакеты Python закреплённых версий (two)\n"
    assert "package_two" in checkout.packages()


def test_an_old_python_is_told_before_anything_of_the_project_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the version is looked at behind the imports: Python 3.9 ended in a traceback, which names no way out."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    monkeypatch.setitem(sys.modules, "common.arguments", None)
    with pytest.raises(SystemExit, match="make PYTHON="):
        runpy.run_path(str(ROOT / "tools" / "environment.py"), run_name="__main__")


def test_what_cannot_be_is_told_in_the_language(made: Checkout) -> None:
    """What was typed beats the locale. Red with a text that tools/words has not, and with a traceback for a file that
    is in the way of a folder."""
    done = made.provide("nonsense", "--lang", "kk", LC_ALL="ru_RU.UTF-8")
    assert (done.returncode, done.stdout) == (1, "қате: 'nonsense' жиыны жоқ; барлары: one, pip, two\n")
    tools = made.root / ".tools"
    tools.rename(made.root / "aside")
    tools.write_text("")
    done = made.provide("one", "--lang", "ru")
    tools.unlink()
    (made.root / "aside").rename(tools)
    assert (done.returncode, done.stdout) == (1, f"ошибка: '{tools}': такой файл уже есть\n")


def _forget(checkout: Checkout, name: str) -> None:
    """As before that set was installed."""
    state = checkout.root / ".venv" / ".installed.json"
    state.write_text(re.sub(rf', "{name}": "\w+"', "", state.read_text()))
    for path in checkout.root.glob(f".venv/lib/python*/site-packages/package_{name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _interpreter_gone(checkout: Checkout) -> str:
    checkout.interpreter.unlink()
    checkout.interpreter.symlink_to("/usr/bin/python-of-yesterday")
    return "its interpreter is gone"


def _interpreter_of_another_version(checkout: Checkout) -> str:
    """As after an upgrade of the system: the same name leads to another version, which sees no package here."""
    (folder,) = (checkout.root / ".venv" / "lib").iterdir()
    folder.rename(folder.with_name("python3.1"))
    return "its interpreter is gone"


def _moved(checkout: Checkout) -> str:
    before = checkout.root
    checkout.root = before.with_name("moved away")
    before.rename(checkout.root)
    return f"it was made in {before / '.venv'}"


def _requirements_changed(checkout: Checkout) -> str:
    checkout.require("one", "# nothing\n")
    return "requirements/one.txt has changed"


def _interrupted(checkout: Checkout) -> str:
    (checkout.root / ".venv" / ".installed.json").unlink()
    return "it is not complete"


@pytest.fixture
def copy(made: Checkout, tmp_path: Path) -> Checkout:
    """As if it had been made where it is: making one takes its time."""
    copied = Checkout.__new__(Checkout)
    copied.root, copied.wheels, copied.home = tmp_path / "checkout", made.wheels, made.home
    shutil.copytree(made.root, copied.root, symlinks=True)
    state = copied.root / ".venv" / ".installed.json"
    here, there = (json.dumps(str(root))[1:-1] for root in (made.root, copied.root))
    state.write_text(state.read_text().replace(here, there))
    assert Environment(copied.root).why_unsound() is None
    return copied


@pytest.mark.parametrize(
    "spoil", [_interpreter_gone, _interpreter_of_another_version, _moved, _requirements_changed, _interrupted]
)
def test_a_venv_that_is_not_sound_is_noticed(spoil: Callable[[Checkout], str], copy: Checkout) -> None:
    why = spoil(copy)
    assert Environment(copy.root).why_unsound() == why


def test_a_venv_that_is_not_sound_is_made_anew(copy: Checkout) -> None:
    why = [_moved(copy), _interpreter_gone(copy)][0]
    done = copy.provide("one")
    assert done.returncode == 0 and f"== .venv: {why}; made anew" in done.stdout, done.stdout
    assert copy.runs() and Environment(copy.root).why_unsound() is None


def test_a_package_with_another_hash_is_refused(copy: Checkout) -> None:
    copy.require("two", "package_two==1.0 --hash=sha256:" + "0" * 64)
    _forget(copy, "two")
    done = copy.provide("two")
    assert done.returncode == 1 and "DO NOT MATCH THE HASHES" in done.stdout
    assert "error: pip could not install the packages, see above" in done.stdout
    assert "package_two" not in copy.packages() and copy.runs()


def test_a_set_that_there_is_not(tmp_path: Path) -> None:
    done = Checkout(tmp_path).provide("three")
    assert (done.returncode, done.stdout) == (1, "error: no set 'three'; there are one, pip, two\n")


# -- the real sets


@pytest.mark.parametrize("whole", INCLUDED)
def test_a_set_that_includes_others_pins_the_same(whole: str) -> None:
    for part in INCLUDED[whole]:
        assert pins(part).items() <= pins(whole).items()


def test_every_package_is_pinned_with_hashes_and_none_with_a_place() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        text = file.read_text()
        lines = [line for line in text.replace("\\\n", "").splitlines() if line and not line.startswith("#")]
        assert lines and all("==" in line and "--hash=sha256:" in line for line in lines), file
        assert "://" not in text, f"{file}: it names a host or a path of the machine that made it"
        assert file.with_suffix(".in").is_file()


def test_a_run_in_a_pipe_needs_nothing_heavy() -> None:
    heavy = {"aiortc", "av", "numpy", "pillow", "playwright", "mypy", "hypothesis", "mutmut", "esptool"}
    assert not heavy & pins("run").keys()
    assert heavy <= pins("dev").keys()


@pytest.mark.parametrize(
    ("language", "advice"), [("en", "give them the project's folder"), ("ru", "отдайте ему папку")]
)
def test_a_folder_that_may_not_be_written_is_told_with_what_to_do(
    language: str, advice: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It said "no permission" alone. Red without `main`'s look at PermissionError."""

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/srv/sos/.tools/environment.lock")

    monkeypatch.setattr(Environment, "provide", refused)
    assert environment.main(["dev", "--lang", language]) == 1
    assert advice in capsys.readouterr().err
