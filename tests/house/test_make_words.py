"""Whoever leaves a variable out behind make is told which one, what it is, and a command that works."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest
from sentences import FILLED

import tools.spoken
from common import typed
from common.arguments import Parser, whole
from common.sentences import LANGUAGES, Sentences, texts
from field.words import SENTENCES as FIELD_SENTENCES
from field.words import Words
from tools import targets

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = ROOT / "Makefile"
# Of the environment: another make's wishes, and what a developer has exported.
FROM_MAKE = ("SOS_TARGET", "SOS_LANG", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
UNSET = (*FROM_MAKE, *"|".join(targets.VARIABLES).split("|"))
GIVEN_BY_MAKE = {"OUT", "LINK", "SERVERS", "LANG"}


@cache
def needy() -> tuple[str, ...]:
    (found,) = re.findall(r"^NEEDY := (.*)$", MAKEFILE.read_text("utf-8"), re.M)
    return tuple(found.split())


def make(*words: str, **exported: str) -> subprocess.CompletedProcess[str]:
    """As a person types it, whoever runs these tests."""
    environment = {name: value for name, value in os.environ.items() if name not in UNSET} | exported
    argv = ["make", "--no-print-directory", *words]
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def dry(*words: str) -> list[str]:
    """What make would run."""
    return make("--dry-run", "--keep-going", *words).stdout.replace("\\\n", " ").splitlines()


@cache
def without_anything() -> dict[str, tuple[str, str]]:
    """Target -> its variables, and those that are missing, where none is given."""
    told = [shlex.split(line.partition(" missing ")[2]) for line in dry(*needy()) if " missing " in line]
    return {target: (wants, missing) for target, wants, missing in told}


def examples(target: str) -> list[str]:
    lines = targets.lacking(target, *without_anything()[target], {})
    return [line.partition(": ")[2] for line in lines if line.startswith("for example: ")]


def test_each_target_tells_before_anything_is_installed() -> None:
    """Red where a target's `given-...` is left out, and where it stands behind `needs-...`, which may install for
    minutes."""
    assert set(without_anything()) == set(needy())
    for target in needy():
        prerequisites = re.search(rf"^{target}: (.*?) ##", MAKEFILE.read_text("utf-8"), re.M)
        assert prerequisites and prerequisites[1].startswith(f"given-{target} needs-"), target


def bare(recipe: str) -> str:
    """Without its $(if ...), $(or ...), $(foreach ...): what stands there is there when there is something."""
    begins = re.search(r"\$\((?:if|or|foreach|filter-out) ", recipe)
    if not begins:
        return recipe
    depth, at = 0, begins.start() + 1
    while depth or recipe[at] == "(":
        depth += {"(": 1, ")": -1}.get(recipe[at], 0)
        at += 1
    return recipe[: begins.start()] + bare(recipe[at:])


def needed_by_recipes(makefile: str) -> dict[str, set[str]]:
    """What the recipes take as it is."""
    recipes = re.findall(r"^([a-z-]+):.* ## .*\n((?:\t.*\n)*)", makefile, re.M)
    return {target: {*re.findall(r"\$\(([A-Z0-9_]+)\)", bare(recipe))} - GIVEN_BY_MAKE for target, recipe in recipes}


def test_no_recipe_takes_what_nobody_asked_for() -> None:
    """Red with a new target that takes a variable as it is and names it in no WANTS_..., which would go on with an
    empty one."""
    makefile = MAKEFILE.read_text("utf-8")
    own = {*re.findall(r"^([A-Z]+) [:?]?= ", makefile, re.M), "MAKE", "ARGS", "PYTEST_ARGS"}  # which may be empty
    wanted = {target: {*re.split(r"[ |]", wants)} for target, (wants, _) in without_anything().items()}
    asked = {target: names - own - wanted.get(target, set()) for target, names in needed_by_recipes(makefile).items()}
    assert {target: names for target, names in asked.items() if names} == {}
    control = makefile.replace('--sha256 "$(SHA256)"', '--sha256 "$(SHA256)" "$(COLOUR)"')
    assert "COLOUR" in needed_by_recipes(control)["image"]


def test_each_example_gives_all_that_its_target_needs() -> None:
    """Red where an example has a variable too few, or one that the target does not know."""
    for target in needy():
        commands = examples(target)
        assert commands and len(commands) == max(1, without_anything()[target][1].count("|") + 1)
        for command in commands:
            program, name, *words = shlex.split(command)
            assert (program, name) == ("make", target)
            lines = dry(name, *words)
            assert lines and not [line for line in lines if " missing " in line], command
            values = [word.partition("=")[2].split()[0] for word in words]
            assert [value for value in values if not any(value in line for line in lines)] == [], command


def test_what_was_given_stands_in_the_example() -> None:
    """So that it can be typed as it stands. Red where the example has another port than the person has."""
    told = targets.lacking("flash", "PORT CONFIG", "CONFIG", {"PORT": "/dev/tty a"})
    assert told[0] == "error: make flash: missing: CONFIG" and "PORT" not in told[1]
    assert told[-1] == "for example: make flash PORT='/dev/tty a' CONFIG=provisioned/columns/petropavl-01"


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_it_is_told_in_the_persons_language(language: str) -> None:
    """By one that is typed, from end to end: make ends, nothing is installed. Red for "error / ошибка / қате", which
    each recipe said, and did not say what was missing."""
    said = tools.spoken.spoken(["--lang", language]).said
    done = make("flash", "PORT=/dev/ttyX", f"LANG={language}", "PROVIDE=false")
    first, second, third, last = done.stderr.splitlines()
    assert done.returncode == 2 and done.stdout == "" and last.startswith("make: *** ")
    assert first == said("error: make flash: missing: CONFIG") != "error: make flash: missing: CONFIG"
    assert second == said(f"  CONFIG: {targets.VARIABLES['CONFIG'][0]}")
    assert third == said("for example: make flash PORT=/dev/ttyX CONFIG=provisioned/columns/petropavl-01")
    assert said(f"make {FILLED}: missing: PORT or DEVICE").count(" or ") == 0


def test_no_recipe_speaks_for_itself() -> None:
    """Red for a sentence in the Makefile: nobody turns it."""
    assert re.findall("[\u0400-\u04ff]+|\\becho\\b.*", MAKEFILE.read_text("utf-8")) == []


# -- a name that make does not know


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "error: make has no variable OUTT; did you mean OUT?"),
        ("ru", "ошибка: у make нет переменной OUTT; возможно, OUT?"),
        ("kk", "қате: make ішінде OUTT деген айнымалы жоқ; мүмкін, OUT?"),
    ],
)
def test_a_mistyped_variable_ends_make_before_anything_is_done(language: str, told: str, tmp_path: Path) -> None:
    """`make provision OUTT=../my/o3` worked on the default folder. Red where make goes on to the first recipe, which
    here would leave a file."""
    done = make("provision", "FLEET=x", "OUTT=../my/o3", f"PROVIDE=touch {tmp_path / 'gone-on'} ;", f"LANG={language}")
    assert done.returncode == 2 and done.stdout == "" and not list(tmp_path.iterdir())
    first, last = done.stderr.splitlines()
    assert first == told and last.endswith("*** OUTT=.  Stop.")


def test_whatever_the_makefile_names_may_be_typed() -> None:
    """Red where a variable that a target's help, a recipe or docs/ names is refused."""
    makefile = MAKEFILE.read_text("utf-8")
    names = {*re.findall(r"\b([A-Z]\w*)=", " ".join(targets.targets(makefile).values()))}
    names |= {name for each in typed.VARIABLES.values() for name in re.findall(r"^\w+", "\n".join(each.values()), re.M)}
    names |= {"LANG", "LC_ALL", "PYTHON", "VENV", "PYTEST_ARGS", "WORKERS", "STRICT", "SERVERS", "MICROPYTHON"}
    assert len(names) > 40 and targets.strangers(makefile, sorted(names)) == {}
    pages = [page.read_text("utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]]
    lines = re.findall(r"\bmake [a-z-]+((?: [A-Z][A-Z0-9_]*=[^\s`]*)+)", "\n".join(pages))
    documented = {name for words in lines for name in re.findall(r" ([A-Z][A-Z0-9_]*)=", words)}
    assert len(documented) > 20 and targets.strangers(makefile, sorted(documented)) == {}
    values = [f"{name}=a b" for name in sorted(names - {"PYTHON", "LANG", "LC_ALL"})]
    assert make("--dry-run", "help", *values).returncode == 0
    assert "LC_ALL" in targets.strangers(makefile.replace("THROUGH := LC_ALL", "THROUGH :="), ["LC_ALL"])


def test_a_name_that_is_like_none_leads_to_the_help() -> None:
    assert targets.strangers(MAKEFILE.read_text("utf-8"), ["prot", "QQQQ"]) == {"prot": "PORT", "QQQQ": None}


def test_a_language_that_nobody_speaks_is_told_in_the_environments() -> None:
    """`make diag LANG=xx` was English in a Russian environment. Red without SOS_LANG in the Makefile (make before
    4.4), and where `choose` takes a language that it does not know."""
    for environment in ({"LANG": "ru_RU.UTF-8", "LC_ALL": ""}, {"LC_ALL": "ru_RU.UTF-8"}):
        if "LANG" in environment and make_version() >= (4, 4):
            continue  # the Makefile says why
        done = make("diag", "LANG=xx", "PORT=x", "PROVIDE=true", **environment)
        assert "ошибка: --lang" in done.stderr or "ошибка: LANG" in done.stderr, done.stderr


def make_version() -> tuple[int, ...]:
    first = subprocess.run(["make", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    return tuple(int(part) for part in re.findall(r"\d+", first)[:2])


# -- what a tool calls --json is typed as JSON=1

DERIVED = {"--lang"}  # what the person's own language is, make tells by itself
OPTION = re.compile(r"(--[a-z0-9-]+)\b")
VARIABLE = re.compile(r"\$\(([A-Z0-9_]+)\)")


def conditions(recipe: str) -> list[tuple[str, str]]:
    """Each $(if $(NAME),...) and $(foreach x,$(NAME),...) of a recipe: the name, and what stands there."""
    return re.findall(r"\$\((?:if|foreach \w+,) ?\$\(([A-Z0-9_]+)\),((?:[^()]|\([^()]*\))*)\)", recipe)


def passed_on(makefile: str) -> dict[str, dict[str, str]]:
    """Target -> the options that its recipe hands on, and with which of make's variables."""
    flash = re.findall(r"^FLASH = (.*)$", makefile, re.M)[0]
    found = {}
    for target, recipe in re.findall(r"^([a-z-]+):.* ## .*\n((?:\t.*\n)*)", makefile.replace("$(FLASH)", flash), re.M):
        given = {}
        for option, value in re.findall(r"(--[a-z0-9-]+) +(\"[^\"]*\"|\S+)", recipe):
            if names := VARIABLE.findall(value):
                given[option] = names[-1]
        for name, words in conditions(recipe):
            for option in OPTION.findall(words):
                given.setdefault(option, name if "$(" in words or " " in words else f"{name}=1")
        found[target] = {option: name for option, name in given.items() if option not in DERIVED}
    return found


def test_each_option_that_make_hands_on_has_its_variables_name() -> None:
    """Red with an option that a recipe gets, loses, or hands another variable."""
    makefile = MAKEFILE.read_text("utf-8")
    spoken = re.findall(r"^SPOKEN := (.*)$", makefile, re.M)[0].replace("$(NEEDY)", " ".join(needy())).split()
    handed = {target: options for target, options in passed_on(makefile).items() if target in spoken and options}
    assert handed == {target: dict(names) for target, names in typed.VARIABLES.items()}
    control = makefile.replace("$(if $(JSON),--json) --out", "$(if $(JSON),--json) $(if $(DEPTH),--depth) --out")
    assert passed_on(control)["diag"]["--depth"] == "DEPTH=1"


@pytest.mark.parametrize("language", LANGUAGES)
def test_advice_names_what_is_typed_behind_make(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make accept` advised --json. Red where words or sentences go out past `as_typed`."""
    words = Words(language)
    assert "(--json)" in words("accept.some-differ", count=1, all=2)
    monkeypatch.setattr(typed, "TARGET", "accept")
    assert "(JSON=1)" in words("accept.some-differ", count=1, all=2)
    said = words.said("--server needs --wifi, the name of the network through which the board reaches it")
    assert "SERVER" in said and "WIFI" in said and "--" not in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_help_that_begins_with_make_names_makes_variables(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make accept PORT=...`: ...; --json. Red with an option alone, outside of a command that is shown whole."""

    def options_alone(text: str) -> list[str]:
        monkeypatch.setattr(typed, "TARGET", re.findall(r"^`make ([a-z-]+)", text)[0])
        return [name for option, name in typed.VARIABLES.get(typed.TARGET, {}).items()
                if typed.as_typed(text).count(name) > text.count(name) and name not in text]  # fmt: skip

    helps = [text for text in texts(FIELD_SENTENCES, language).values() if text.startswith("`make ")]
    assert len(helps) > 9 and [alone for text in helps for alone in options_alone(text)] == []
    assert options_alone("`make accept PORT=...`: --json prints the card") == ["JSON=1"]


def test_another_programs_options_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where a command that is shown whole is changed, and where a target has no such variable."""
    monkeypatch.setattr(typed, "TARGET", "diag")
    shown = "on the desk: `.venv/bin/python -m desk.rollout status --json`, here --json and --floor"
    assert typed.as_typed(shown) == shown.replace("here --json", "here JSON=1")


@pytest.mark.parametrize(
    ("target", "told"), [("shell", "make shell: error: argument MINUTES: "), ("", "tool: error: ")]
)
def test_a_wrong_value_is_told_by_the_name_that_was_typed(
    target: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And without a usage that nobody behind make can type. Red where argparse's own words go out."""
    monkeypatch.setattr(typed, "TARGET", target)
    parser = Parser(Sentences("en"), "tool")
    parser.add_argument("--minutes", type=whole("minutes", 1, 9))
    with pytest.raises(SystemExit):
        parser.parse_args(["--minutes", "x"])
    said = capsys.readouterr().err
    assert told in said and said.startswith("usage: ") == (not target)


def test_make_says_for_which_target_a_tool_runs() -> None:
    """From end to end. Red without SOS_TARGET in the Makefile."""
    done = make("release", "FLOOR=x", "LANG=ru", "PROVIDE=true")
    assert done.stderr.startswith("make release: ошибка: FLOOR: указано 'x', а нужно: номер версии, например 1.2.0\n")
