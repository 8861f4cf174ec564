"""The real HAL's `heap`: what is free without taking IDF's, on every runtime, with the control that trusts mem_free."""

from pathlib import Path

from chip_net_rig import Make

HAL = Path(__file__).resolve().parents[2] / "hal"
FILES: dict[str, str | bytes] = {f"hal/{path.name}": path.read_text() for path in HAL.glob("*.py")}
HONEST = "gc.mem_free() - growth"

PROBE = """
import hal.esp32
class Heaps:
    HEAP_DATA = 4
    free = alloc = 0
    regions = ()
    thresholds = []
    @staticmethod
    def idf_heap_info(capabilities):
        return [(size, size, size, size) for size in Heaps.regions]
    @staticmethod
    def mem_alloc():
        return Heaps.alloc
    @staticmethod
    def mem_free():
        return Heaps.free + max(Heaps.regions)
    @staticmethod
    def threshold(amount):
        Heaps.thresholds.append(amount)
    @staticmethod
    def collect():
        pass
board = hal.esp32.Esp32Board()
hal.esp32.gc = hal.esp32.esp32 = Heaps
def ask(free, alloc, *regions):
    Heaps.free, Heaps.alloc, Heaps.regions = free, alloc, regions
    board.collect()
    return board.heap(), board.system_heap(), Heaps.thresholds[-1]
print("grown", ask(9000, 103000, 13312, 53248))
print("small", ask(20000, 36000, 13312, 110592))
print("psram", ask(9000, 55000, 13312, 120000, 4194304))
"""


def test_what_idf_has_left_is_none_of_ours(chip: Make) -> None:
    """(free, the system's, bytes between collections): only in PSRAM does the heap grow at nobody's cost."""
    one = chip(PROBE, FILES).start()
    assert one.wait(r"^grown \((.*)\)")[1] == "9000, 66560, 4096"
    assert one.wait(r"^small \((.*)\)")[1] == "20000, 123904, 5000"
    assert one.wait(r"^psram \((.*)\)")[1] == "73000, 4327616, 18250"


def test_a_heap_that_trusts_mem_free_is_noticed(chip: Make) -> None:
    source = str(FILES["hal/esp32.py"])
    assert source.count(HONEST) == 1
    one = chip(PROBE, {**FILES, "hal/esp32.py": source.replace(HONEST, "gc.mem_free()")}).start()
    assert one.wait(r"^grown \((.*)\)")[1] != "9000, 66560, 4096"


STALE = """
import gc
import sys
import hal.esp32
import many
board = hal.esp32.Esp32Board()
stale = many  # as an address on old stack keeps it
del many
gc.collect()
free = gc.mem_free()
board.FORGET("many")
print("back", gc.mem_free() - free, "many" in sys.modules, hasattr(stale, "one_7"))
"""
MANY = "".join(f"def one_{n}(a, b):\n    return [a, b, a + b, {n}]\n" for n in range(60))
FUNCTIONS_BYTES = 60 * 32  # of each its object and its code, at least


def back(chip: Make, how: str) -> tuple[int, bool]:
    """(bytes that came back, whether the module's functions are still there)."""
    one = chip(STALE.replace("FORGET", how), {**FILES, "many.py": MANY}).start()
    freed, known, whole = one.wait(r"^back (.*)")[1].split()
    assert known == "False"
    return int(freed), whole == "True"


def test_old_stack_keeps_no_code_of_a_discarded_module(chip: Make, runtime: str) -> None:
    """Red when `discard` is `forget`: a start then lacks 2 KB when such an address stands where it may."""
    freed, is_whole = back(chip, "discard")
    assert not is_whole
    assert runtime == "cpython" or freed >= FUNCTIONS_BYTES


def test_what_somebody_has_of_a_forgotten_module_goes_on(chip: Make, runtime: str) -> None:
    freed, is_whole = back(chip, "forget")
    assert is_whole
    assert runtime == "cpython" or freed < FUNCTIONS_BYTES
