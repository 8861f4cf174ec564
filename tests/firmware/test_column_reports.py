# mypy: allow-untyped-calls
"""The column: what it makes of a boot, and what it says about itself."""

from typing import Any

import pytest
from column_rig import ACCEPTED, BOOT, ROOT, Rig
from fake_board import FlashMode

from firmware import birth, record
from firmware.column import Column
from firmware.commands import Actions
from firmware.startup import config_files

BOOT_FILE, GOOD = "boot.rec", "config.good"
HEALTH_MS = 2000  # firmware.column: between two looks
HEALTHY_MS = 120_000


# -- boots


def test_an_id_is_never_used_twice_even_if_the_boot_record_was_lost() -> None:
    rig = Rig(boot=BOOT + 9).up()
    used = rig.press()
    again = Rig(rig.board.flash, boot=BOOT).run(3000)
    again.answer(used, "closed")
    lost = Rig(rig.board.flash, boot=BOOT + 9).run(3000)
    assert again.press() != used and lost.column.number != BOOT + 9 and lost.press() != used


def test_a_boot_becomes_healthy_and_its_configuration_good_in_time() -> None:
    rig = Rig()
    rig.board.flash.files.update({"config.json": b"{}", "secrets.json": b"{}"})
    config_files.put_on_trial(rig.board.flash, "", "current")
    rig.run(HEALTHY_MS - 3000)
    assert BOOT_FILE not in rig.board.flash.files and GOOD not in rig.board.flash.files
    rig.run(6000)
    assert record.split(rig.board.flash.files[BOOT_FILE]) == ([b'{"n":%d,"u":0}' % BOOT], [])
    assert GOOD in rig.board.flash.files


def test_a_configuration_that_loses_the_broker_becomes_good_only_when_it_has_it() -> None:
    """A column in service gets a wrong password: its configuration stays on trial until there is a session."""
    served = Rig().up()
    served.board.flash.files.update({"config.json": b"{}", "secrets.json": b"{}"})
    rig = Rig(served.board.flash)
    config_files.put_on_trial(rig.board.flash, "", "current")
    rig.answers = ""
    rig.run(HEALTHY_MS + 60_000)
    assert GOOD not in rig.board.flash.files
    rig.answers = " ".join(ACCEPTED)
    rig.run(120_000)
    assert rig.column.uplink.is_up() and GOOD in rig.board.flash.files


def test_a_fallback_is_not_kept_as_good() -> None:
    rig = Rig(errors=("broker.host: missing",))
    rig.board.flash.files.update({"config.json": b"{}", "secrets.json": b"{}"})
    config_files.put_on_trial(rig.board.flash, "", "current")  # by a boot before, which did not become healthy
    config_files.put_on_trial(rig.board.flash, "", "last-good")
    rig.run(HEALTHY_MS + 3000)
    assert GOOD not in rig.board.flash.files and BOOT_FILE in rig.board.flash.files
    assert rig.fault("config")[0] == "running on last-good: broker.host: missing"


def test_safe_mode_runs_what_an_alarm_needs_and_nothing_else() -> None:
    safe, normal = Rig(mode="safe").up(), Rig().up()
    assert [one.topic for one in safe.streams[0].heard if one.kind == 0x80] == [(ROOT + "ack").encode()]
    assert safe.said("heartbeat") == [] and normal.said("heartbeat")
    assert safe.fault("boot-loop")[0] == "5 boots in a row did not become healthy" and normal.fault("boot-loop") == []
    ident = safe.press()
    safe.answer(ident, "accepted")
    assert safe.lamp() == "help-coming"


def test_a_restart_by_command_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig().up()
    monkeypatch.setattr(Actions, "restart_due", lambda self: True)
    crumbs: list[bytes] = []
    monkeypatch.setattr(rig.board, "reset", lambda: crumbs.append(rig.board.scratch.data))
    rig.column.step()
    assert len(crumbs) == 1 and crumbs[0].split(b"\0")[0] == b""


def test_a_press_that_has_just_begun_goes_before_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a restart looks at open incidents only: the press is over before the board looks again."""
    rig = Rig().up()
    resets: list[int] = []
    monkeypatch.setattr(rig.board, "reset", lambda: resets.append(rig.column.incidents.count()))
    rig.column.actions.restart.start(1000)
    rig.board.contact.wave((HEALTH_MS - 10, 1), (HEALTH_MS + 140, 0))  # it is due when the column looks at its health
    rig.run(2 * HEALTH_MS)
    assert rig.said("alarm") and resets == []
    rig.answer(rig.column.incidents.current().id, "closed")
    rig.run(2 * HEALTH_MS)
    assert resets and set(resets) == {0}


# -- what it says about itself


def test_the_first_session_says_why_it_booted_and_every_session_who_it_is() -> None:
    rig = Rig(cause="watchdog").up()
    assert rig.events("boot") == [{"number": BOOT, "cause": "watchdog"}]
    rig.streams[-1].peer_closed = True
    rig.run(5000)
    assert len(rig.streams) == 2 and len(rig.said("info")) == len(rig.said("state")) == 2
    assert len(rig.events("boot")) == 1


def test_a_birth_message_without_memory_waits_and_ends_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when its MemoryError ends the task that sends the alarms: in a small heap a broker's restart did that."""
    tries: list[int] = []

    def starved(column: Column, board: Any) -> bytearray:
        tries.append(board.now_ms)
        if len(tries) < 3:
            raise MemoryError
        return made(column, board)

    made = birth.birth
    monkeypatch.setattr(birth, "birth", starved)
    rig = Rig().up()
    assert rig.said("state") and rig.said("info") == []
    rig.answer(rig.press(), "closed")
    rig.run(130_000)
    assert len(tries) == 3 and len(rig.said("info")) == 1 and len(rig.streams) == 1


def test_a_message_that_breaks_the_contract_is_noticed() -> None:
    """Negative control of what every run here checks."""
    rig = Rig()
    rig.column.messages.state = lambda online: b'{"v":1}'
    with pytest.raises(AssertionError, match="petropavl-01/state"):
        rig.up()


def test_capabilities_are_those_that_are_fitted() -> None:
    rig = Rig().up()
    assert rig.said("info")[0]["capabilities"] == ["relay", "edge-counter"]
    rig = Rig()
    rig.board.tamper, rig.board.supply, rig.board.contact.counts = False, 12_000, False
    assert rig.up().said("info")[0]["capabilities"] == ["relay", "tamper", "supply"]


def test_an_open_housing_is_a_fault_while_it_is_open() -> None:
    rig = Rig().up()
    rig.board.tamper = True
    rig.run(3000)
    rig.board.tamper = False
    rig.run(3000)
    assert rig.fault("tamper") == ["the housing is open", None]


def test_a_stuck_button_is_a_fault_and_not_ready() -> None:
    rig = Rig(button={"stuck_s": 10}).up()
    rig.board.contact.set(True)
    rig.run(15_000)
    rig.answer(rig.said("alarm")[0]["id"], "closed")
    assert rig.fault("button-stuck") == ["closed for 10 s"] and rig.lamp() == "out-of-service"
    rig.board.contact.set(False)
    rig.run(3000)
    assert rig.fault("button-stuck") == ["closed for 10 s", None] and rig.lamp() == "ready"


@pytest.mark.parametrize(
    ("mode", "said"),
    [(FlashMode.OK, "ok"), (FlashMode.WRITE_ERROR, "flash write"), (FlashMode.READ_ERROR, "flash read")],
)
def test_the_self_test_tries_the_flash(mode: FlashMode, said: str) -> None:
    rig = Rig().up()
    rig.board.flash.mode = mode
    result = rig.column.self_test()
    assert said in result["flash"] and result["button"] == "ok" and result["heap_free"] == rig.board.heap_free
    assert "selftest.tmp" not in rig.board.flash.files or mode is not FlashMode.OK


# -- brokers as they are


def test_what_the_broker_ends_sessions_at_is_a_fault_that_the_desk_gets() -> None:
    rig = Rig()
    rig.ends_at = lambda one: one.topic.endswith(b"/event")
    rig.run(30_000)
    (detail,) = rig.fault("broker-refuses")
    assert str(detail).startswith("it ends the session at: event (")
    assert rig.lamp() == "ready" and rig.said("heartbeat")[-1]["faults"] == ["broker-refuses", "clock-unset"]
    rig.ends_at = lambda _: False
    rig.run(180_000)
    assert rig.fault("broker-refuses")[-1] is None, "it was tried again"


def test_a_broker_that_keeps_nothing_hears_of_it_all_the_same() -> None:
    rig = Rig()
    rig.ends_at = lambda one: one.retain
    rig.check_retained = False
    rig.run(30_000)
    assert rig.column.faults.ids() == ["broker-refuses", "clock-unset"]
    said = [one.topic.rsplit(b"/")[-1] for one in rig.streams[-1].heard if one.topic]
    assert {b"state", b"info", b"broker-refuses"} <= set(said)


def test_a_second_device_with_its_id_is_a_fault() -> None:
    rig = Rig()
    for _ in range(5):
        rig.run(12_000)
        rig.streams[-1].peer_closed = True
        rig.run(20)
    rig.run(20_000)
    detail = "the broker ends its sessions for nothing: a second device with this id?"
    assert set(rig.fault("duplicate-id")) == {detail}
    rig.run(70_000)
    assert rig.fault("duplicate-id")[-1] is None
