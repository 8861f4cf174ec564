# mypy: allow-untyped-calls
"""Links as the chip has them: a driver that says it is joining and is idle, one that only a reset of the chip wakes,
hardware that fails as the board starts. Each with what became of an alarm meanwhile."""

from typing import Any

import pytest

from sim.document import RMII
from sim.search.storms import controls
from sim.virtual.broker import BrokerFault
from sim.virtual.configuration import config_with
from sim.virtual.link import FAILURES
from sim.virtual.network_faults import Net
from sim.virtual.trace import Entry
from sim.virtual.world import World

HOUR_MS = 3_600_000
BOOTS_MS = 20_000
# What network_wlan.c takes for "connecting": unspecified, leaving, too many, handshakes that time out, weak signals.
QUIET_REASONS = (2, 4, 5, 15, 200, 203, 204)
KINDS = ("wifi", "ethernet")


class Watched(World):
    """`resets`: when the chip was reset by the column itself, in s."""

    def __init__(self, kind: str) -> None:
        super().__init__(1, config_with(link=RMII if kind == "ethernet" else {"type": kind}))
        self.resets: list[int] = []
        self.trace.watch(self._note)

    def _note(self, entry: Entry) -> None:
        if entry.kind == "reset" and entry.data == ("soft",):
            self.resets.append(entry.t_us // 1_000_000)


def world_with(kind: str = "wifi") -> Watched:
    world = Watched(kind)
    world.run(BOOTS_MS)
    assert world.column.uplink.is_up()
    return world


def told(world: World) -> list[dict[str, Any]]:
    return [event["detail"] for event in world.centre.events if event["event"] == "link-reset"]


@pytest.mark.parametrize("reason", QUIET_REASONS)
def test_c7_a_restart_connects_whatever_the_driver_says_of_itself(reason: int) -> None:
    world = world_with()
    world.network.start(Net.LINK_REFUSED, reason)
    world.press()
    world.run(150_000)
    world.network.stop(Net.LINK_REFUSED)
    world.run(10_000)
    assert world.column.uplink.is_up() and len(world.centre.ledger) == 1 and world.resets == []
    world.settle()


def test_c7_a_restart_that_trusts_status_leaves_the_radio_idle_for_ever() -> None:
    with controls.applied("trusts-status"):
        world = world_with()
        world.network.start(Net.LINK_REFUSED, 204)
        world.run(150_000)
        world.network.stop(Net.LINK_REFUSED)
        world.run(HOUR_MS // 2)
        assert not world.column.uplink.is_up()


def test_c8_a_driver_that_only_a_reset_wakes_gets_it_after_an_hour_and_says_so() -> None:
    world = world_with()
    world.network.start(Net.LINK_STUCK)
    world.press()
    world.run(HOUR_MS - 60_000)
    assert world.resets == [] and not world.centre.ledger
    world.run(120_000)
    assert len(world.resets) == 1 and len(world.centre.ledger) == 1
    (detail,) = told(world)
    assert detail["resets"] == 1 and detail["why"].startswith("no link for 36")
    assert "link-stuck" not in world.network.conditions
    world.settle()


@pytest.mark.slow
def test_c8_resets_come_ever_later_and_never_for_a_broker() -> None:
    world = world_with()
    world.network.start(Net.LINK_DOWN)
    world.run(8 * HOUR_MS)
    at = [BOOTS_MS // 1000, *world.resets]
    gaps = [round((later - before) / 3600, 1) for before, later in zip(at, at[1:], strict=False)]
    assert gaps == [1.0, 2.0, 4.0]
    world.network.stop(Net.LINK_DOWN)
    world.broker.start(BrokerFault.DOWN)
    world.run(3 * HOUR_MS)
    assert len(world.resets) == 3
    world.settle()


def test_c8_nobody_who_presses_meets_a_reset() -> None:
    world = world_with()
    world.network.start(Net.LINK_STUCK)
    world.at(HOUR_MS + 19_000, world.hold)
    world.at(HOUR_MS + 50_000, world.release)
    world.run(HOUR_MS + 60_000)
    assert world.resets == []
    world.run(60_000)
    assert len(world.resets) == 1
    world.settle()


@pytest.mark.slow
def test_c8_what_the_flash_has_not_taken_is_not_given_up() -> None:
    from sim.virtual.flash import FlashFault

    world = world_with()
    world.network.start(Net.LINK_STUCK)
    world.flash.start(FlashFault.WRITE_ERROR)
    world.press()
    world.run(2 * HOUR_MS)
    assert world.resets == []
    world.flash.stop(FlashFault.WRITE_ERROR)
    world.run(60_000)
    assert len(world.resets) == 1
    world.settle()


@pytest.mark.parametrize("kind", KINDS)
def test_c9_hardware_that_fails_at_the_start_is_tried_again_and_the_button_works(kind: str) -> None:
    world = world_with(kind)
    world.hardware.start_faults.makes_left = 3
    world.reset()
    world.run(5_000)
    assert world.column is not None and world.board is not None
    assert str(world.board.link.failure).startswith("the network's hardware: ")
    world.press()
    world.run(180_000)
    assert world.column.uplink.is_up() and len(world.centre.ledger) == 1
    at = [BOOTS_MS // 1000, *world.resets]
    assert len(at) == 4 and [b - a for a, b in zip(at, at[1:], strict=False)] == pytest.approx([65, 30, 60], abs=15)
    assert told(world)[-1]["resets"] == 3 and told(world)[-1]["why"].partition(": ")[2] in FAILURES
    world.settle()


@pytest.mark.parametrize("kind", KINDS)
def test_c9_an_interface_that_does_not_start_at_once_is_no_end(kind: str) -> None:
    """Red until this was mended: the exception left the column's constructor, boot after boot."""
    world = world_with(kind)
    world.hardware.start_faults.starts_left = 2
    world.reset()
    world.run(5_000)
    world.press()
    world.run(60_000)
    assert world.column.uplink.is_up() and len(world.centre.ledger) == 1 and len(world.boots) == 2
    world.settle()


def test_c9_a_boot_whose_hardware_failed_proves_nothing_about_what_is_on_trial() -> None:
    world = world_with()
    assert world.flash.files.get("config.trial")
    world.hardware.start_faults.makes_left = 2
    world.reset()
    world.run(60_000)
    assert world.flash.files.get("config.trial"), "it is still to prove itself"
    world.run(200_000)
    assert not world.flash.files.get("config.trial")


def test_c12_the_signal_of_an_access_point_that_has_just_gone_is_unknown() -> None:
    world = world_with()
    world.network.start(Net.LINK_DOWN)
    link = world.board.link  # type: ignore[union-attr]
    assert link.is_up() and link.describe()["rssi_dbm"] is None


def test_c2_a_clock_that_went_wrong_over_a_reset_is_called_kept_and_put_right_at_once() -> None:
    """The date comes an hour wrong over a reset, as after days without network time. The alarm says so; its age is
    right."""
    world = world_with()
    world.network.start(Net.NTP_SILENT)
    world.run(HOUR_MS)
    world.broker.start(BrokerFault.DOWN)
    world.hardware.clock._kept_error_ppm = 0
    world.hardware.clock.set_epoch_ms(world.hardware.clock.epoch_ms() - HOUR_MS)
    world.reset()
    world.run(2_000)
    world.press()
    world.run(5_000)
    world.broker.stop(BrokerFault.DOWN)
    world.run(10_000)
    (case,) = world.centre.ledger.values()
    assert case.first["clock"] == "kept" and case.first["age_ms"] < 30_000
    world.network.stop(Net.NTP_SILENT)
    world.run(HOUR_MS)
    assert world.column.clock.source == "ntp"
    assert abs(world.hardware.clock.epoch_ms() - world.true_epoch_ms()) < 1_000
    world.settle()


def test_c2_the_date_comes_wrong_over_a_reset() -> None:
    world = world_with()
    world.network.start(Net.NTP_SILENT)
    world.run(2 * HOUR_MS)
    world.reset()
    wrong_ms = abs(world.hardware.clock.epoch_ms() - world.true_epoch_ms())
    assert 1_000 < wrong_ms < 2 * HOUR_MS // 100 + 10_000
