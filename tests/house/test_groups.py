"""Which tests run one after the other, however many workers there are."""

import subprocess
import sys
from pathlib import Path

import pytest
from groups import group

from common.home import ROOT

GROUPED = """
import time
import pytest
pytestmark = pytest.mark.xdist_group("ports")
@pytest.mark.parametrize("number", range(6))
def test_it(number, worker_id):
    time.sleep(0.1)
    print("by", worker_id)
"""


@pytest.mark.parametrize(
    ("file", "wanted"),
    [("browser/test_way.py", "browser"), ("tools/test_chromium.py", "browser"), ("demo/test_demo_desk.py", "ports"),
     ("demo/test_demo.py", None)],
)  # fmt: skip
def test_the_group_of_a_file(file: str, wanted: str | None) -> None:
    assert group(ROOT / "tests" / file) == wanted


NUMBERED = """
import pytest
@pytest.mark.parametrize("number", range(30))
def test_it(number, worker_id):
    print("by", worker_id, number)
"""


@pytest.mark.slow
def test_every_third_worker_begins_at_the_end(tmp_path: Path) -> None:
    """Red without `Grouped._assign_work_unit`."""
    done = [line.split()[1:] for line in run(NUMBERED, tmp_path)]
    assert ["gw2", "29"] in done and ["gw2", "0"] not in done, done


@pytest.mark.slow
@pytest.mark.parametrize(("text", "one"), [(GROUPED, True), (GROUPED.replace("xdist_group", "other"), False)])
def test_a_group_stays_on_one_worker(text: str, one: bool, tmp_path: Path) -> None:
    """The control: without its mark the same tests go to several workers."""
    assert (len({line.split()[1] for line in run(text, tmp_path)}) == 1) is one


def run(text: str, tmp_path: Path) -> list[str]:
    """What the tests of that text printed, on three workers."""
    (tmp_path / "conftest.py").write_text("from groups import pytest_xdist_make_scheduler\n")
    test = tmp_path / "test_it.py"
    test.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rP", "-n", "3", "--dist", "loadgroup", str(test)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "tests" / "rigs")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("by gw")]
    assert found, done.stdout + done.stderr
    return found
