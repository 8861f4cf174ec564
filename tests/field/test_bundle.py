"""The bundle: what a board gets, reproducible, with a manifest, within its budget."""

import shutil
from pathlib import Path

import pytest

from common.compiler import crossed
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


def _constants(code: bytes) -> int:
    """Of an .mpy file: the second number behind its header, of 7 bits a byte."""
    numbers, value = [], 0
    for byte in code[4:12]:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            numbers.append(value)
            value = 0
    return numbers[1]


def test_each_module_of_a_board_has_a_constant() -> None:
    """What happens otherwise: tests/chip/test_module_tables.py. Red without `_with_a_constant`."""
    made = bundle.make()
    modules = {**made.files, **made.libraries}
    sources = {name: modules.pop(name) for name in bundle.STAYS_SOURCE}
    assert [name for name, code in modules.items() if not _constants(code)] == []
    for name, source in sources.items():  # a board compiles these two itself
        assert _constants(crossed(name, source)), f"{name}: use a text that is longer than a name"


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
