"""The mutation score's book-keeping: what counts, what is left out, and what makes it fail. mutmut is not run."""

import ast
import json
from collections import Counter
from pathlib import Path

import pytest

from tools import mutation
from tools.mutation import MutationError, Score, Survivor, changed_lines, complaints, function_name, listed

ORIGINAL = "x_twice__mutmut_orig"
KILLED, SURVIVED, TIMEOUT, NO_TEST, UNKNOWN = 1, 0, -24, 33, 77
CHANGED = """
def x_twice__mutmut_orig(n):
    board.log('doubles %d' % n)
    return n * 2
def x_twice__mutmut_1(n):
    board.log('doubles %d' % n)
    return n / 2
def x_twice__mutmut_2(n):
    board.log('XXdoubles %dXX' % n)
    return n * 2
def x_twice__mutmut_3(n):
    board.log(None)
    return n * 2
"""
SURVIVOR = Survivor("double", "twice", "return n * 2", "return n / 2")


@pytest.fixture(autouse=True)
def mutants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which mutmut leaves what it has noted."""
    folder = tmp_path / "firmware"
    folder.mkdir()
    monkeypatch.setattr(mutation, "MUTANTS", folder)
    return folder


def noted(folder: Path, name: str = "double", **status: int | None) -> Path:
    """What mutmut leaves behind of one module."""
    meta = folder / "firmware" / f"{name}.py.meta"
    meta.parent.mkdir(parents=True, exist_ok=True)
    meta.with_suffix("").write_text(CHANGED)
    codes = {f"firmware.{name}.x_twice__mutmut_{number[1:]}": code for number, code in status.items()}
    meta.write_text(json.dumps({"exit_code_by_key": codes}))
    return meta


@pytest.mark.parametrize(("code", "timed_out"), [(KILLED, 0), (TIMEOUT, 1)])
def test_what_fails_or_hangs_is_killed(tmp_path: Path, code: int, timed_out: int) -> None:
    assert mutation.score(noted(tmp_path, m1=code)) == Score(1, [], 0, timed_out)


def test_modules_in_folders_are_counted_too(tmp_path: Path) -> None:
    """Broken by a look into the first folder only: changes of startup/ and update/ were made, and never counted."""
    noted(tmp_path, "startup/double", m1=SURVIVED)
    noted(tmp_path, m1=KILLED)
    found = {mutation.module_of(meta): mutation.score(meta) for meta in mutation.metas()}
    survivor = SURVIVOR._replace(module="startup.double")
    assert found == {"double": Score(1, [], 0), "startup.double": Score(0, [survivor], 0)}


@pytest.mark.parametrize("code", [SURVIVED, NO_TEST])
def test_what_no_test_notices_or_runs_survives(tmp_path: Path, code: int) -> None:
    assert mutation.score(noted(tmp_path, m1=code)) == Score(0, [SURVIVOR], 0)


def test_words_are_not_counted_but_a_log_line_that_says_nothing_is(tmp_path: Path) -> None:
    said = Survivor("double", "twice", "board.log('doubles %d' % n)", "board.log(None)")
    assert mutation.score(noted(tmp_path, m2=SURVIVED, m3=SURVIVED)) == Score(0, [said], 1)


def test_a_run_that_broke_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(MutationError, match="status 77"):
        mutation.score(noted(tmp_path, m1=UNKNOWN))


def test_what_is_run(tmp_path: Path) -> None:
    """Red when words are run, which nobody can notice; when `--again` runs what has been run; and when `--left` runs
    what was noticed, or a row of the list."""
    noted(tmp_path, m1=SURVIVED, m2=None, m3=KILLED)
    noted(tmp_path, "other", m1=NO_TEST, m2=SURVIVED, m3=None)
    double, other = "firmware.double.x_twice__mutmut_", "firmware.other.x_twice__mutmut_"

    def wanted(*patterns: str, again: bool = False, known: Counter[Survivor] | None = None) -> list[str]:
        return mutation.wanted(list(patterns), again, known)

    assert wanted("*") == [double + "1", double + "3", other + "1", other + "3"]
    assert wanted("firmware.o*", "firmware.none") == [other + "1", other + "3"]
    assert wanted("*", again=True) == [other + "3"]
    assert wanted("*", known=Counter()) == [double + "1", other + "1", other + "3"]
    assert wanted("*", known=Counter([SURVIVOR])) == [other + "1", other + "3"]


def test_what_became_of_a_change_is_noted(tmp_path: Path) -> None:
    meta = noted(tmp_path, "startup/double", m1=None, m3=KILLED)
    name = "firmware.startup.double.x_twice__mutmut_1"
    meta.write_text(meta.read_text().replace("startup/double", "startup.double"))
    mutation.note(tmp_path, name, SURVIVED)
    assert mutation.statuses(meta) == {name: SURVIVED, "firmware.startup.double.x_twice__mutmut_3": KILLED}


def test_what_was_not_asked_for_is_not_counted(tmp_path: Path) -> None:
    assert mutation.score(noted(tmp_path, m1=None)) == Score(0, [], 0)


def test_names_and_lines_of_methods() -> None:
    assert function_name("xǁSessionǁ_read__mutmut_12") == "Session._read"
    versions = mutation.functions_of(ast.parse(CHANGED))
    assert changed_lines(versions[ORIGINAL], versions["x_twice__mutmut_1"]) == ("return n * 2", "return n / 2")


# -- the list


def test_a_printed_survivor_can_be_put_into_the_list_as_it_is(tmp_path: Path) -> None:
    quoted = Survivor("double", "twice", "return {'a': 1}", 'return "it\'s"')
    path = tmp_path / "list.toml"
    path.write_text(f"[[reason]]\nwhy = 'none'\nsurvivors = [\n{SURVIVOR}\n{quoted}\n{quoted}\n]\n")
    assert listed(path) == Counter({SURVIVOR: 1, quoted: 2})


def test_the_list_wants_reasons(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    path.write_text(f"[[reason]]\nwhy = ' '\nsurvivors = [\n{SURVIVOR}\n]\n")
    with pytest.raises(MutationError, match="no reason"):
        listed(path)


def lines_of(survivor: Survivor) -> set[str]:
    """Of the function in today's firmware, as the list writes them; none when it is not there any more."""
    source = mutation.ROOT / "firmware" / (survivor.module.replace(".", "/") + ".py")
    scope: ast.AST = ast.parse(source.read_text()) if source.exists() else ast.Module([], [])
    for name in survivor.function.split("."):
        found = [node for node in ast.iter_child_nodes(scope) if getattr(node, "name", "") == name]
        scope = found[0] if found else ast.Module([], [])
    return {line.strip() for line in ast.unparse(scope).splitlines()}


def is_stale(survivor: Survivor) -> bool:
    return not set(survivor.was.split(" / ")) <= lines_of(survivor)


def test_the_projects_own_list_is_of_todays_firmware() -> None:
    """Else it excuses what nobody can make any more: a whole run, which finds that too, takes half an hour."""
    assert [str(one) for one in listed(mutation.SURVIVORS) if is_stale(one)] == []


@pytest.mark.parametrize("function", ["Session.next_ms", "Session.gone", "Gone.next_ms", "next_ms"])
def test_a_stale_row_is_noticed(function: str) -> None:
    assert is_stale(Survivor("session", function, "return 5", "return 6")) == (function != "Session.next_ms")
    assert is_stale(Survivor("session", function, "return 7", "return 6"))


@pytest.mark.parametrize(
    ("killed", "survivors", "known", "wrong"),
    [
        (9, [SURVIVOR], [SURVIVOR], []),
        (9, [SURVIVOR], [], ["survives, and is not listed"]),
        (18, [SURVIVOR, SURVIVOR], [SURVIVOR], ["survives, and is not listed"]),
        (9, [], [SURVIVOR], ["is listed, but does not survive"]),
        (8, [SURVIVOR], [SURVIVOR], ["double: 88.9% is below 90%"]),
    ],
)
def test_it_complains(killed: int, survivors: list[Survivor], known: list[Survivor], wrong: list[str]) -> None:
    scores = {"double": Score(killed, survivors, 0)}
    found = list(complaints(scores, Counter(survivors), Counter(known)))
    assert len(found) == len(wrong) and all(one.startswith(text) for one, text in zip(found, wrong, strict=True))
    assert mutation.report(scores, Counter(known)) == (1 if wrong else 0)


def test_a_survivor_of_a_module_that_was_not_run_is_no_complaint() -> None:
    assert list(complaints({"triple": Score(1, [], 0)}, Counter(), Counter([SURVIVOR]))) == []
