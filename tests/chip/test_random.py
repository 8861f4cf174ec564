"""C3: what the first random numbers of a start rest on, and what in the firmware rests on them."""

import re
from pathlib import Path

from chip_net_rig import Make

ROOT = Path(__file__).resolve().parents[2]
NUMBER = "print('number', globals()['boot']['number'])\n"
BOOT: dict[str, str | bytes] = {"boot.py": (ROOT / "boot.py").read_text()}
RADIO = "import os, network\nnetwork.WLAN().active(True)\nprint('radio', os.urandom(4))\n"


def said(chip: Make, main: str, what: str, state: int) -> str:
    one = chip(main, BOOT).start(rng_state=state)
    found = one.wait(f"^{what} (.*)")[1]
    one.kill()
    return found


def test_a_first_boot_number_rests_on_the_boot_loaders_noise(chip: Make) -> None:
    """Another noise, another number: an incident of a board whose flash was erased is none that the centre knows. An
    image whose boot loader gave none would repeat itself, which is why the figure `rng_needs_radio` matters."""
    numbers = [said(chip, NUMBER, "number", state) for state in (1, 2, 3)]
    assert len(set(numbers)) == 3 and all(int(number) >= 1 << 24 for number in numbers)
    assert said(chip, NUMBER, "number", 1) == numbers[0]


def test_the_radio_brings_noise_of_its_own(chip: Make) -> None:
    assert said(chip, RADIO, "radio", 1) != said(chip, RADIO, "radio", 1)


def test_nothing_secret_is_drawn_by_the_firmware() -> None:
    """Boot numbers, pauses, the nonce of a time question: they have to differ. Keys are made by `make provision`; what
    mbedTLS draws it draws itself. Broken by whoever draws a key here: a board on Ethernet has no radio."""
    drawn = re.compile(r"urandom\(|\brandom\(")
    files = [ROOT / "boot.py", ROOT / "main.py", *(ROOT / "hal").glob("*.py"), *(ROOT / "firmware").rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in files if drawn.search(path.read_text())}
    assert found == DRAWS


# Who draws, and what.
DRAWS = {
    "boot.py",  # the first boot number
    "hal/interface.py",
    "hal/esp32.py",  # `random`
    "firmware/uplink.py",  # a pause
    "firmware/clock.py",  # the nonce of a question
    "firmware/probe.py",  # the ids of a look at a SIP address
    "firmware/drills.py",  # when looks and drills begin
    "firmware/startup/restoring.py",  # a boot number beyond what boot.py draws
}
