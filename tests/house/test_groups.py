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


@pytest.mark.parametrize(("text", "one"), [(GROUPED, True), (GROUPED.replace("xdist_group", "other"), False)])
def test_a_group_stays_on_one_worker(text: str, one: bool, tmp_path: Path) -> None:
    """The control: without its mark the same tests go to several workers."""
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
    workers = {line for line in done.stdout.splitlines() if line.startswith("by gw")}
    assert workers and (len(workers) == 1) is one, done.stdout + done.stderr
