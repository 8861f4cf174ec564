"""What befalls the board itself: its contact, its power, its resets, its files, its tasks, its ticks."""

from collections.abc import Callable
from random import Random

from firmware import clock, journal, resets
from firmware.startup import config_files
from sim.search.storms.stage import Stage
from sim.search.storms.waves import CLASSES
from sim.virtual.flash import FlashStore
from sim.virtual.timeline import US_PER_MS

FRAMED_FILES = (  # each record has its CRC: a bit that flips is found out
    journal.FILE, resets.BOOT_FILE, resets.RECORD_FILE, resets.GOOD_FILE, resets.TRIAL_FILE,
    clock.FLOOR_FILE, resets.ADDRESS_FILE,
)  # fmt: skip
FILES = (*FRAMED_FILES, config_files.CONFIG_FILE, config_files.SECRETS_FILE)
BOOTS_MS = 1_000  # later, a column that was switched on looks at its contact


# -- contact


def wave(name: str, stage: Stage, for_ms: int, seed: int) -> None:
    """It took effect when the column was there to see it from its beginning to its end, undisturbed."""
    world, hardware = stage.world, stage.world.hardware
    edges = CLASSES[name][0](Random(seed), for_ms)
    world.wave(edges)
    version, board = hardware.contact_version, world.board

    def seen() -> None:
        if hardware.contact_version == version and board is not None and world.board is board:
            stage.fired(name)

    stage.after(edges[-1][0] / US_PER_MS, seen)


def stuck(stage: Stage, for_ms: int) -> None:
    """Closed for longer than a finger keeps it closed."""
    world, hardware = stage.world, stage.world.hardware
    world.hold()
    version = hardware.contact_version

    def let_go() -> None:
        if hardware.contact_version == version:
            world.release()

    def noticed() -> None:
        if hardware.contact_version == version and world.column is not None and world.column.faults.has("button-stuck"):
            stage.fired("stuck")

    stage.after(for_ms - 1, noticed)
    stage.after(for_ms, let_go)


def held_at_boot(stage: Stage, off_ms: int, held_ms: int) -> None:
    """The power comes while somebody holds the button down."""
    world = stage.world

    def comes() -> None:
        world.power_on()
        world.hold()
        version = world.hardware.contact_version

        def let_go() -> None:
            if world.hardware.contact_version == version:
                if world.column is not None:
                    stage.fired("held-at-boot")
                world.release()

        stage.after(held_ms, let_go)

    stage.after(off_ms, comes)
    world.power_off()


# -- power and resets


def power_cut(stage: Stage, off_ms: int) -> None:
    if stage.world.powered:
        stage.after(off_ms, stage.world.power_on)
        stage.fired("power-cut")
        stage.world.power_off()


def cut_in_write(stage: Stage, share_percent: int, off_ms: int) -> None:
    """The next write of the flash is interrupted on its way."""
    world = stage.world

    def interrupt(takes_us: int) -> None:
        def cut() -> None:
            stage.fired("cut-in-write")
            stage.after(off_ms, world.power_on)
            world.power_off()

        world.timeline.after(takes_us * share_percent // 100, cut)

    world.flash.on_write = interrupt


def reset(stage: Stage) -> None:
    if stage.world.board is not None:
        stage.fired("reset")
        stage.world.reset()


def reset_loop(stage: Stage, count: int, gap_ms: int, how: str) -> None:
    """Resets or power cuts so close that no boot becomes healthy; counted when it drove the column into safe mode."""
    world = stage.world
    boot = world.boot
    if boot is not None and boot["mode"] == "safe":
        stage.fired("reset-loop")
    if count == 0:
        return
    stage.after(gap_ms, lambda: reset_loop(stage, count - 1, gap_ms, how))
    if how == "power":
        stage.after(gap_ms / 4, world.power_on)
        world.power_off()
    else:
        world.reset()


def network_fails(stage: Stage, count: int) -> None:
    """A reset, and then the network's hardware fails as it is made: in this life and some more."""
    stage.world.hardware.start_faults.makes_left = count
    stage.world.reset()


def interface_fails(stage: Stage, count: int) -> None:
    """A reset, and then the interface does not start, some times in a row."""
    stage.world.hardware.start_faults.starts_left = count
    stage.world.reset()


# -- files, while the power is off


def flip_bit(stage: Stage, file: str, position: int, off_ms: int) -> None:
    _damaged(stage, "flip-bit", off_ms, file, lambda flash: flash.flip_bit(file, position))


def truncate(stage: Stage, file: str, position: int, off_ms: int) -> None:
    _damaged(stage, "truncate", off_ms, file, lambda flash: flash.truncate(file, position))


def erase(stage: Stage, file: str, position: int, length: int, off_ms: int) -> None:
    _damaged(stage, "erase", off_ms, file, lambda flash: flash.erase(file, position, length))


def _damaged(stage: Stage, kind: str, off_ms: int, file: str, spoil: Callable[[FlashStore], None]) -> None:
    world = stage.world

    def act() -> None:
        if not world.powered and world.flash.files.get(file):
            spoil(world.flash)
            stage.fired(kind)

    stage.after(off_ms / 2, act)
    stage.after(off_ms, world.power_on)
    world.power_off()


# -- tasks


def hang(stage: Stage, task: str) -> None:
    stage.world.hang(task)


def raises(stage: Stage, task: str, after_uses: int) -> None:
    stage.world.hardware.sabotage.raises(task, after_uses)


def no_heap(stage: Stage, after_uses: int) -> None:
    stage.world.hardware.sabotage.no_heap(after_uses)


def idle(stage: Stage, for_ms: int, task: str) -> None:
    stage.world.hardware.sabotage.idle(task, for_ms)


def sleeps(stage: Stage, task: str) -> None:
    stage.world.hardware.sabotage.sleeps(task)


# -- ticks


def wrap_in_press(stage: Stage, lead_ms: int) -> None:
    """A reset, and a press that the ticks' next wrap falls into."""
    world = stage.world

    def press() -> None:
        board = world.board
        if board is None:
            return
        before_us = board.wrap_us() - lead_ms * US_PER_MS - world.timeline.now_us

        def wrapped() -> None:
            if world.board is board and world.hardware.contact.level_at(board.wrap_us()):
                stage.fired("wrap-in-press")

        if before_us >= 0:
            stage.after(before_us / US_PER_MS, lambda: world.press(lead_ms + LEAD_MS[1]))
            stage.after(before_us / US_PER_MS + lead_ms + 1, wrapped)

    stage.after(BOOTS_MS, press)
    if world.powered:
        world.reset()


LEAD_MS = (1, 150)
