"""Ctrl-C while a command is still being imported: no traceback, and a shell's status."""

import re
import subprocess
import sys

import pytest

from common.home import ROOT
from common.interrupted import STATUS

# What follows its first own import: a person's Ctrl-C comes there, whatever the machine's speed.
STARTS = """
import runpy, signal, sys
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == {late!r}:
            signal.raise_signal(signal.SIGINT)
sys.argv, sys.path[:0] = {argv!r}, {path!r}
for name in {forgotten!r}:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, CtrlC())
runpy.{run}
"""
FILES = {"tools/environment.py": "fcntl", "tools/targets.py": "difflib"}  # run by the machine's own Python, and -I
LATE = {"sim": "common.arguments"}  # its __init__ runs on chips too
OF_OTHERS = {"ruff", "mypy", "pytest", "pip", "venv"}


def entry_points() -> list[str]:
    """Every module and file of ours that a recipe of the Makefile runs, and those of the documented commands."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    modules = {*re.findall(r"\$\(PY\) -m ([\w.]+)", makefile), *re.findall(r"python -m ([\w.]+)", documented())}
    ours = [name for name in modules if name not in OF_OTHERS and ROOT.joinpath(name.partition(".")[0]).is_dir()]
    return sorted({*ours, *re.findall(r"\btools/\w+\.py\b(?! has)", makefile)} - {"tools/launcher.py"})


def documented() -> str:
    return "\n".join(page.read_text("utf-8") for page in sorted((ROOT / "docs").glob("*.md")))


def interrupted(entry: str, quiet: bool = True) -> tuple[int, str]:
    """Its status and what it says, when Ctrl-C comes at its first import."""
    if entry.endswith(".py"):
        late, run, path = FILES[entry], f"run_path({entry!r}, run_name='__main__')", list[str]()
    else:
        late = LATE.get(entry) or (entry if "." in entry else f"{entry}.__main__")
        run, path = f"run_module({entry!r}, run_name='__main__', alter_sys=True)", [str(ROOT)]
    program = STARTS.format(late=late, argv=[entry], path=path, run=run, forgotten=[late])
    if not quiet:
        program = program.replace("runpy.run_", "import common.interrupted as one; one.end_quietly = str; runpy.run_")
    done = subprocess.run([sys.executable, "-I", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("entry", entry_points())
def test_ctrl_c_while_it_starts_ends_it_quietly(entry: str) -> None:
    """Four of six `make provision` ended in a traceback of their imports. Red without `end_quietly` in the package's
    __init__, or behind the first of its imports, and for a new package whose commands the Makefile runs."""
    assert interrupted(entry) == (STATUS, "")


def test_all_that_make_runs_is_tried() -> None:
    found = entry_points()
    assert {"field.provision", "field.diag", "sim", "desk", "tools.toolbox", *FILES} <= {*found} and len(found) > 20


def test_without_it_python_says_where_it_was() -> None:
    """The control: the same start, and nobody has asked for quiet."""
    status, told = interrupted("field.provision", quiet=False)
    assert status != STATUS and "KeyboardInterrupt" in told


def test_what_else_goes_wrong_is_still_told() -> None:
    """Red where the hook swallows a fault of ours."""
    program = "import field; raise ValueError('a fault')"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.endswith("ValueError: a fault\n")
