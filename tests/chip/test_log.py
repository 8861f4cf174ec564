"""The real HAL's `log`: what came from outside forges no line of its own on the console."""

from pathlib import Path

from chip_net_rig import Make

HAL = Path(__file__).resolve().parents[2] / "hal"
FILES: dict[str, str | bytes] = {f"hal/{path.name}": path.read_text() for path in HAL.glob("*.py")}
PROBE = """
import hal.esp32
board = hal.esp32.Esp32Board()
board.log("command: x\\nconsole: forged\\rconsole: forged too")
board.log("done")
"""


def test_a_line_end_in_a_text_begins_no_line(chip: Make) -> None:
    one = chip(PROBE, FILES).start()
    one.wait("done")
    assert [line for line in one.lines if line.startswith("console:")] == []
    assert [line.strip() for line in one.lines if "forged" in line] == ["console: forged", "console: forged too"]


def test_a_plain_print_is_noticed(chip: Make) -> None:
    """Negative control."""
    source = str(FILES["hal/esp32.py"])
    honest = 'text.replace("\\r", "\\n").replace("\\n", "\\n  ")'
    assert honest in source
    one = chip(PROBE, {**FILES, "hal/esp32.py": source.replace(honest, "text")}).start()
    one.wait("done")
    assert any(line.startswith("console: forged") for line in one.lines)
