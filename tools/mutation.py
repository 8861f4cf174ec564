"""`make mutation`: how many small changes of the firmware the fast tests notice, and which they do not.

mutmut changes one thing at a time (an operator, a number, an argument, a constant) in the modules, on a copy of the
tree under build/; mutation_plugin.py runs the tests that `[tool.mutation]` of pyproject.toml names. A change that none
of them notices is a survivor: it has to stand in docs/mutation-survivors.toml, with the reason why nobody could tell
the difference. Changes of nothing but words for people (WORDS) are neither run nor counted.

Exit status: 0, or 1 when a survivor is not listed, when the list holds something that is not a survivor, or when a
module's score is below SCORE_MIN.
"""

import argparse
import ast
import difflib
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
COPY = ROOT / "build" / "mutation"
MUTANTS = COPY / "mutants" / "firmware"
SURVIVORS = ROOT / "docs" / "mutation-survivors.toml"
COPIED = ("boot.py", "common", "contract", "desk", "field", "firmware", "hal", "lib", "sim", "tests", "tools",
          "pyproject.toml")  # fmt: skip
SCORE_MIN = 0.9
WANTED, PROCESSES = "MUTATION_WANTED", "MUTATION_PROCESSES"  # in the environment of the tests
# Calls whose texts only people read, and how many of their first arguments are something else.
WORDS = {"log": 0, "LinkLost": 0, "BadPacket": 0, "ValueError": 0, "_cached": 0, "_on_fault": 1}
# What is noted of a change: the status of the process that ran its tests.
SURVIVED, NOTICED, NO_TEST = 0, 1, 33
_SURVIVED = {SURVIVED, NO_TEST}
_TIMED_OUT = {-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGALRM}
_NOTICED = {NOTICED, -signal.SIGSEGV, -signal.SIGABRT} | _TIMED_OUT
_GENERATE = """
from mutmut import __main__ as mutmut
mutmut.set_mutant_under_test("mutant_generation")
mutmut.makedirs("mutants", exist_ok=True)
mutmut.copy_src_dir()
mutmut.copy_also_copy_files()
mutmut.create_mutants(%d)
"""


class Survivor(NamedTuple):
    """A change that no test notices; the lines are as `ast.unparse` writes them."""

    module: str
    function: str
    was: str
    becomes: str

    def __str__(self) -> str:
        """As a row of the list."""
        first, *others = map(_toml, self)
        return f"    [{first}, " + ", ".join(others) + "],"


class Score(NamedTuple):
    """Of one module: changes noticed, changes not noticed, changes of nothing but words; and how many of those noticed
    only took too long: on a busy machine a slow test looks like that, too."""

    killed: int
    survivors: list[Survivor]
    words: int
    timed_out: int = 0

    def share(self) -> float:
        return self.killed / max(1, self.killed + len(self.survivors))


class MutationError(RuntimeError):
    """The tests could not be run on the changed firmware; the message says why."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="python -m tools.mutation", description=(__doc__ or "").partition(":")[0]
    )
    parser.add_argument("names", nargs="*", help="only mutants of these names, e.g. 'firmware.journal.*'")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true", help="keep the copy: only functions that changed are run anew")
    parser.add_argument(
        "--left", action="store_true", help="keep the copy: only what nobody has noticed yet, and is not listed, is run"
    )
    arguments = parser.parse_args(argv)
    try:
        copy_tree(keep=arguments.again or arguments.left)
        generate(arguments.processes)
        names = wanted(arguments.names or ["*"], arguments.again, listed(SURVIVORS) if arguments.left else None)
        run(names, arguments.processes)
        scores = {module_of(path): score(path) for path in metas()}
    except MutationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return report({module: one for module, one in scores.items() if one.killed or one.survivors}, listed(SURVIVORS))


def copy_tree(keep: bool) -> None:
    """The tree without what was made from it; with `keep`, results of a former run stay where they still hold."""
    if not keep:
        shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            unwanted = shutil.ignore_patterns("__pycache__", "*.mpy")
            shutil.copytree(source, COPY / name, ignore=unwanted, dirs_exist_ok=True)
        else:
            shutil.copy2(source, COPY / name)


def generate(processes: int) -> None:
    """Of a function that has not changed, what was noted stays."""
    _call([sys.executable, "-c", _GENERATE % processes], COPY, {})


def wanted(patterns: list[str], again: bool, known: Counter[Survivor] | None) -> list[str]:
    """The names of changes to be run. `again`: what has not been run yet; `known` (`--left`): what nobody has noticed
    yet, but for what is listed."""
    found = []
    left: Counter[Survivor] = Counter() if known is None else known.copy()
    for meta in metas():
        for one in changes(meta):
            if one.is_words() or not any(fnmatch(one.name, pattern) for pattern in patterns):
                continue
            survivor = one.survivor(module_of(meta))
            is_listed = left[survivor] > 0
            left[survivor] -= is_listed
            is_done = one.status is not None and (again or known is not None and one.status not in _SURVIVED)
            if not is_done and not is_listed:
                found.append(one.name)
    return found


def run(names: list[str], processes: int) -> None:
    if not names:
        return
    tests = tomllib.loads((COPY / "pyproject.toml").read_text())["tool"]["mutation"]["tests"]
    command = [sys.executable, "-m", "pytest", "-qs", "--rootdir=.", "--noconftest", "-p", "tools.mutation_plugin"]
    command += ["-p", "no:xdist", "-p", "no:cacheprovider", *tests]
    # CI makes hypothesis deterministic: each change meets the same examples, with no memory of others.
    more = {"CI": "1", "SEED": "1", WANTED: json.dumps(names), PROCESSES: str(processes)}
    _call(command, MUTANTS.parent, more)


def _call(command: list[str], folder: Path, more: dict[str, str]) -> None:
    ended = subprocess.run(command, cwd=folder, env=os.environ | more, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise MutationError(f"status {ended.returncode}:\n{ended.stdout[-4000:]}{ended.stderr[-4000:]}")


def note(changed: Path, name: str, status: int) -> None:
    """What became of a change, in the folder of the changed tree."""
    meta = changed / (name.rpartition(".")[0].replace(".", "/") + ".py.meta")
    noted = json.loads(meta.read_text())
    noted["exit_code_by_key"][name] = status
    meta.write_text(json.dumps(noted))


def statuses(meta: Path) -> dict[str, int | None]:
    """Of each change's name, what was noted; None: it has not been run."""
    noted: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
    return noted


def metas() -> list[Path]:
    found = sorted(MUTANTS.rglob("*.py.meta"))
    if not found:
        raise MutationError("mutmut has changed nothing; see [tool.mutmut] in pyproject.toml")
    return found


def module_of(meta: Path) -> str:
    """`startup.restoring` of .../firmware/startup/restoring.py.meta."""
    return ".".join(meta.relative_to(MUTANTS).parts).removesuffix(".py.meta")


class Change(NamedTuple):
    """One that mutmut made: its name, what mutmut noted of it, the function as it was and as it became."""

    name: str
    status: int | None
    original: ast.FunctionDef
    mutant: ast.FunctionDef

    def is_words(self) -> bool:
        return only_words_differ(self.original, self.mutant)

    def survivor(self, module: str) -> Survivor:
        return Survivor(module, function_name(mangled(self.name)), *changed_lines(self.original, self.mutant))


def changes(meta: Path) -> Iterator[Change]:
    functions = functions_of(ast.parse(meta.with_suffix("").read_text()))
    for name, status in statuses(meta).items():
        original = mangled(name).rpartition("__mutmut_")[0] + "__mutmut_orig"
        yield Change(name, status, functions[original], functions[mangled(name)])


def score(meta: Path) -> Score:
    """What mutmut noted of one module. Raises MutationError for a mutant whose tests could not be run."""
    module = module_of(meta)
    killed, words, timed_out, survivors = 0, 0, 0, []
    for one in changes(meta):
        if one.is_words():
            words += 1
        elif one.status is None:
            continue  # not asked for
        elif one.status in _NOTICED:
            killed += 1
            timed_out += one.status in _TIMED_OUT
        elif one.status in _SURVIVED:
            survivors.append(one.survivor(module))
        else:
            raise MutationError(f"{one.name}: pytest ended with status {one.status}")
    return Score(killed, survivors, words, timed_out)


def functions_of(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """mutmut's copies of every function, all given the same name."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and "__mutmut_" in node.name:
            found[node.name] = node
            node.name = "_"
            node.decorator_list = []
    return found


def mangled(name: str) -> str:
    """A change's name without its module."""
    return name.rpartition(".")[2]


def function_name(mangled: str) -> str:
    """`xǁSessionǁ_read__mutmut_3` -> `Session._read`, `x_boot_of__mutmut_1` -> `boot_of`."""
    name = mangled.rpartition("__mutmut_")[0]
    return name.removeprefix("xǁ").replace("ǁ", ".") if "ǁ" in name else name.removeprefix("x_")


def changed_lines(original: ast.FunctionDef, mutant: ast.FunctionDef) -> tuple[str, str]:
    difference = list(difflib.ndiff(ast.unparse(original).splitlines(), ast.unparse(mutant).splitlines()))
    return tuple(" / ".join(line[2:].strip() for line in difference if line[0] == sign) for sign in "-+")  # type: ignore[return-value]


class _WithoutWords(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.Call:  # noqa: N802  (ast's name)
        self.generic_visit(node)
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in WORDS:
            for argument in node.args[WORDS[name] :]:
                for inner in ast.walk(argument):
                    if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                        inner.value = ""
        return node


def only_words_differ(original: ast.FunctionDef, mutant: ast.FunctionDef) -> bool:
    pair = (_WithoutWords().visit(ast.parse(ast.unparse(one))) for one in (original, mutant))
    return len({ast.dump(one) for one in pair}) == 1


def listed(path: Path) -> Counter[Survivor]:
    """The survivors that are known. A row that stands there twice: the same change in two places of the function."""
    reasons = tomllib.loads(path.read_text())["reason"]
    if unfounded := [reason for reason in reasons if not reason["why"].strip()]:
        raise MutationError(f"{path.name}: no reason is given for {unfounded[0]['survivors']}")
    return Counter(Survivor(*row) for reason in reasons for row in reason["survivors"])


def report(scores: dict[str, Score], known: Counter[Survivor]) -> int:
    """Print the table and what is wrong; the exit status."""
    heads = ("module", "changes", "killed", "of them by time", "survived", "score", "words only")
    table = Table(*heads, title="mutation score")
    for module, one in scores.items():
        _row(table, module, one)
    everything = Score(
        sum(one.killed for one in scores.values()),
        [survivor for one in scores.values() for survivor in one.survivors],
        sum(one.words for one in scores.values()),
        sum(one.timed_out for one in scores.values()),
    )
    table.add_section()
    _row(table, "all", everything)
    Console().print(table)
    wrong = list(complaints(scores, Counter(everything.survivors), known))
    print(*wrong, sep="\n\n")
    verdict = f"{len(wrong)} complaints" if wrong else "each with its reason"
    print(f"\n{len(everything.survivors)} survivors (docs/{SURVIVORS.name}): {verdict}")
    return 1 if wrong else 0


def complaints(scores: dict[str, Score], survivors: Counter[Survivor], known: Counter[Survivor]) -> Iterator[str]:
    for survivor, count in (survivors - known).items():
        yield f"survives, and is not listed:\n{_rows(survivor, count)}"
    for survivor, count in (known - survivors).items():
        if survivor.module in scores:
            yield f"is listed, but does not survive (take it out):\n{_rows(survivor, count)}"
    for module, one in scores.items():
        if one.share() < SCORE_MIN:
            yield f"{module}: {one.share():.1%} is below {SCORE_MIN:.0%}"


def _row(table: Table, name: str, one: Score) -> None:
    survived = len(one.survivors)
    counts = (one.killed + survived, one.killed, one.timed_out, survived)
    table.add_row(name, *map(str, counts), f"{one.share():.1%}", str(one.words))


def _rows(survivor: Survivor, count: int) -> str:
    return "\n".join([str(survivor)] * count)


def _toml(text: str) -> str:
    return f"'{text}'" if "'" not in text else json.dumps(text)


if __name__ == "__main__":
    sys.exit(main())
