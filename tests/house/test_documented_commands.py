"""Every command that the documentation shows exists as it stands there, and is run by a test.

The commands are taken from the Markdown itself. A new one turns this red until RUN has it, as it stands, or RUN_BY
names the test that runs it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.M | re.S)
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )*(?:make|\.venv/bin/\S+|sos-\w+|mosquitto|pip) ")
MODULE = re.compile(r"\.venv/bin/python -m (sim|desk)\b|sos-(column|desk)\b")
PROGRAMS = {"column": "sim", "desk": "desk"}


def commands(text: str) -> list[str]:
    """What the fenced blocks of a Markdown text tell to type, comments and continued lines taken off."""
    found = []
    for block in BLOCK.findall(text):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            command = re.split(r"\s+#|\s{3,}", line.strip())[0]
            if COMMAND.match(command + " "):
                found.append(command)
    return found


DOCUMENTED = sorted({command for path in DOCUMENTS for command in commands(path.read_text("utf-8"))})
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M)) | {"help"}
VARIABLES = set(re.findall(r"\$\(([A-Z_]+)\)|^([A-Z_]+) \?=|\$\(if \$\(([A-Z_]+)\)", MAKEFILE, re.M))
KNOWN_VARIABLES = {name for names in VARIABLES for name in names if name} | {"STRICT", "SEED"}


def broken_make(command: str) -> list[str]:
    """Targets and variables of a make command that the Makefile has not."""
    words = [word for word in shlex.split(command.partition("make ")[2]) if not word.startswith("[")]
    if not words or words[0] == "-C":
        return []  # another project's
    named = {word.partition("=")[0] for word in words if "=" in word}
    return sorted(({words[0]} - TARGETS) | (named - KNOWN_VARIABLES))


def help_of(module: str, words: tuple[str, ...]) -> str:
    done = subprocess.run([sys.executable, "-m", module, *words, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def broken_options(command: str) -> list[str]:
    """Options of one of our programs that its help does not know."""
    found = MODULE.search(command)
    assert found
    module = found[1] or PROGRAMS[found[2]]
    rest = command[found.end() :].replace("[", " ").replace("]", " ").replace("|", " ")
    rest = re.split(r"[<>&]", rest)[0]
    words = [word for word in shlex.split(rest) if re.fullmatch(r"[a-z]+", word)]
    verbs = tuple(words[:1]) if module == "sim" else ()
    options = re.findall(r"(?<!\S)--[a-z-]+", rest)
    text = help_of(module, verbs)
    return [option for option in options if not re.search(rf"{option}\b", text)]


@pytest.mark.parametrize("command", [one for one in DOCUMENTED if "make " in one])
def test_make_knows_what_the_documentation_types(command: str) -> None:
    assert broken_make(command) == []


@pytest.mark.parametrize("command", [one for one in DOCUMENTED if MODULE.search(one) and " account " not in one])
def test_our_programs_know_what_the_documentation_types(command: str) -> None:
    assert broken_options(command) == []


@pytest.mark.parametrize(
    ("command", "wrong"),
    [("make fly", ["fly"]), ("make diag PROT=/dev/ttyUSB0", ["PROT"]), ("make run UI=script", [])],
)
def test_a_command_that_is_gone_is_noticed(command: str, wrong: list[str]) -> None:
    assert broken_make(command) == wrong
    assert broken_options(".venv/bin/python -m sim column --config x --nonsense") == ["--nonsense"]
    text = "```\nmake run  # see\nmake desk A=1 \\\n  B=2\n{}\n```\nmake no\n"
    assert commands(text) == ["make run", "make desk A=1 B=2"]
