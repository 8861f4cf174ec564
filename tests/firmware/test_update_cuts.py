# mypy: allow-untyped-calls
"""The power and the link go at every flash operation and at every packet of an update, on the fake board: it comes to
its end all the same, and the old firmware is whole until the new one is. LittleFS itself: tests/search/test_cuts.py."""

import errno
from functools import cache

import pytest
from update_rig import NEW_FILES, OLD_FILES, CutFlash, UpdatedColumn, flashed, made, mpy

from firmware.update import state

SMALL = {**NEW_FILES, "firmware/startup/long.mpy": mpy("x" * 600)}  # two pieces
FORGOTTEN_MS = 60_000  # a command that was lost: the centre has no result, and asks again
CHUNKS = 4  # the operations and packets are shared out among so many tests
# A cut between the record and the switch looks like a firmware that was put in force and gave way: it is not tried
# again by itself, for it may have been just that.
RETURNED_AT_MOST = 2
NOTED_BY = 2  # operations: a command that was cut before has no result, so the centre sends it again


def offered(
    cut_at: int | None = None, done: float = 0, hang_up_at: int | None = None, trouble: Exception | None = None
) -> UpdatedColumn:
    """A column that was told of the release, and had its trouble. The counting begins with the command."""
    flash = CutFlash()
    flashed(flash)
    column = UpdatedColumn(made(SMALL), flash)
    column.until(lambda: is_up(column))
    flash.operations = column.packets = 0
    flash.cut_at, flash.done, column.hang_up_at = cut_at, done, hang_up_at
    flash.trouble = trouble or flash.trouble
    wanted = {"digest": column.release.digest, "bytes": len(column.release.manifest)}
    column.send(cmd="update", release=wanted)
    return column


def is_up(column: UpdatedColumn) -> bool:
    return bool(column.rig.column.uplink.is_up() and column.rig.column.is_certified())


def ended(column: UpdatedColumn) -> str:
    """`kept` or `returned`, whatever came between."""
    for _ in range(400):
        column.run(500)
        assert_whole(column)
        if column.state() in (state.KEPT, state.RETURNED) and column.rig.column.update is None:
            return str(column.state())
        if column.state() is None and (column.boots > 1 or column.rig.board.now_ms > FORGOTTEN_MS):
            return "not noted"
    raise AssertionError((column.state(), column.rig.board.logged[-8:]))


def assert_whole(column: UpdatedColumn) -> None:
    """Whatever folder boot.py would choose next is one whole firmware, with the column's own configuration."""
    folder = column.active()[:1]
    wanted = OLD_FILES if folder == "a" else column.expected()
    assert column.inside(folder).items() >= wanted.items(), (folder, sorted(column.inside(folder)))
    assert column.flash.files[f"{folder}/config.json"] == b'{"mine": 1}'


@cache
def figures() -> tuple[int, int]:
    """(flash operations, packets) of an update that nothing disturbs."""
    column = offered()
    assert ended(column) == state.KEPT
    flash = column.flash
    assert isinstance(flash, CutFlash)
    return flash.operations, column.packets


def share(total: int, chunk: int) -> range:
    return range(1 + chunk, total + 1, CHUNKS)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_power_goes_at_every_flash_operation(chunk: int) -> None:
    """Red when the switch comes before the last look, or when a folder is taken that has no configuration yet."""
    returned = 0
    for operation in share(figures()[0], chunk):
        for done in (0.0, 0.5, 1.0):
            column = offered(operation, done)
            how = ended(column)
            assert column.boots >= 2, "it was not cut"
            if how == "not noted":
                assert operation <= NOTED_BY
                continue
            returned += how == state.RETURNED
            assert column.folder == ("a" if how == state.RETURNED else "b"), operation
    assert returned <= RETURNED_AT_MOST


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_flash_fails_once_at_every_operation(chunk: int) -> None:
    """Red when the trial is noted in memory before it is on flash: nothing goes on then until the next restart."""
    for operation in share(figures()[0], chunk):
        how = ended(offered(operation, trouble=OSError(errno.EIO, "flash")))
        assert how == state.KEPT or operation <= NOTED_BY, (operation, how)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_link_goes_at_every_packet(chunk: int) -> None:
    for packet in share(figures()[1], chunk):
        column = offered(hang_up_at=packet)
        assert ended(column) == (state.KEPT if packet > 1 else "not noted"), "the first one is the command"


def test_there_is_something_to_cut() -> None:
    operations, packets = figures()
    assert operations >= 25 and packets >= 25, (operations, packets)
