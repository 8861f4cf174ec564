"""The bundle: what a board gets, reproducible, with a manifest, within its budget."""

from pathlib import Path

import pytest

from field import bundle
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
