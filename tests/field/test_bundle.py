"""The bundle: what a board gets, reproducible, with a manifest, within its budget."""

import shutil
from pathlib import Path

import pytest

from common import compiler
from field import bundle
from field.telling import EXIT_FAILED
from field.words import LANGUAGES, Words
from firmware import VERSION


def test_the_bundle_is_the_same_twice_and_the_manifest_tells_each_file(tmp_path: Path) -> None:
    bundle.compiled.cache_clear()
    first = bundle.write(bundle.make(), tmp_path / "one")
    bundle.compiled.cache_clear()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "stray").write_text("left over")
    assert bundle.write(bundle.make(), tmp_path / "two") == first
    names = {path.relative_to(tmp_path / "one"): path.read_bytes() for path in (tmp_path / "one").rglob("*.*")}
    assert {path.relative_to(tmp_path / "two"): path.read_bytes() for path in (tmp_path / "two").rglob("*.*")} == names
    assert not (tmp_path / "two" / "stray").exists()
    assert first["version"] == VERSION and first["mpy"] == 6
    assert set(first["files"]) | {"manifest.json"} == {path.as_posix() for path in names}


def test_a_bundle_above_its_budget_is_not_built(tmp_path: Path) -> None:
    with pytest.raises(bundle.BuildError, match="above the budget of 1000"):
        bundle.write(bundle.make(), tmp_path / "out", budget_bytes=1000)
    assert not (tmp_path / "out").exists()


def test_a_source_that_does_not_compile_is_named() -> None:
    with pytest.raises(bundle.BuildError, match="firmware/x.py: mpy-cross refuses it"):
        bundle.compiled("firmware/x.py", b"def")


def _tables(code: bytes) -> tuple[int, int]:
    """(names, constants) of an .mpy file."""
    numbers, value = [], 0
    for byte in code[4:10]:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(value)
            value = 0
    return numbers[0], numbers[1]


def _has_no_end(code: bytes) -> bool:
    """Names of 2 bytes in words of 4, and constants behind them; blocks of 16: see common/compiler.py."""
    names, constants = _tables(code)
    return constants == 0 and (names + 1) // 2 * 4 % 16 == 0


def test_no_module_of_a_board_ends_where_anothers_memory_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What of it happens on a chip: tests/chip/test_module_tables.py. Red without `_with_an_end`."""
    made = bundle.make()
    modules = {**made.files, **made.libraries}
    sources = {name: modules.pop(name) for name in bundle.STAYS_SOURCE}
    assert [name for name, code in modules.items() if _has_no_end(code)] == []
    monkeypatch.setattr(compiler, "_with_an_end", lambda code: code)  # a board compiles these two itself
    ends = [name for name, source in sources.items() if _has_no_end(compiler.compiled(name, source))]
    assert ends == [], "add a name, or take one away"
    few = [" = ".join("abcdefgh"[:count]).encode() + b" = 0\n" for count in range(1, 9)]
    assert sum(_has_no_end(compiler.compiled("few.py", source)) for source in few) == 2  # of eight in a row


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle.PROJECT / "lib", tmp_path / "lib"))


def test_an_altered_library_is_refused_by_name(library: Path) -> None:
    """Its archive's hash is checked once, when it is unpacked. Red without `_check_libraries`."""
    bundle.make(libraries=library)
    with (library / "umqtt" / "simple.py").open("a") as file:
        file.write("import os\n")
    with pytest.raises(bundle.BuildError, match=r"umqtt/simple\.py: is not the file that lib/lock\.json names"):
        bundle.make(libraries=library)


def test_a_library_that_nobody_asked_for_is_refused_by_name(library: Path) -> None:
    (library / "umqtt" / "robust.py").write_text("")
    with pytest.raises(bundle.BuildError, match=r"umqtt/robust\.py: lib/lock\.json names no such file"):
        bundle.make(libraries=library)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_bundle_that_is_not_built_is_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: str
) -> None:
    assert bundle.main(["--out", str(tmp_path / "out"), "--budget", "1000", "--lang", language]) == EXIT_FAILED
    assert Words(language)("error", why="") in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert bundle.main(["--out", str(tmp_path / "file"), "--lang", language]) == EXIT_FAILED
    assert str(tmp_path / "file") in capsys.readouterr().err
