# mypy: allow-untyped-calls
"""A column that need not believe its broker: whatever a broker invents, changes, keeps back or repeats, it cannot light
`answered`, open the relay's end or restart the column, and the centre can tell what the column did not say."""

import json
import random
from typing import Any

import pytest
from column_rig import BOOT, ROOT, Rig
from fake_board import EPOCH_MS, FakeFlash

from contract import authentic, validator
from contract.authentic import Number
from firmware import rfc3339
from firmware.authentic import Authentic
from firmware.messages import ALARM_MAX_BYTES
from firmware.orders import RESTART_FILE
from firmware.proven import Proven

KEY = bytes(range(32))
SEALED = ("alarm", "state", "heartbeat", "result")
SEED = 20261129


class Lying(Rig):
    """A column with a key, whose broker is everybody's. `centre` writes as only the centre can."""

    def __init__(self, flash: FakeFlash | None = None, boot: int = BOOT, **changes: Any) -> None:
        changes = {"broker__believed": False, "secrets__auth_key": KEY.hex(), "clock__server": "10.0.0.9", **changes}
        super().__init__(flash, boot=boot, **changes)
        self.serial = 0

    def centre(self, kind: str, body: dict[str, Any], boot: int = BOOT, key: bytes = KEY) -> bytes:
        self.serial += 1
        return authentic.seal(key, ROOT + kind, {"v": 1, **body}, Number(boot, self.serial))

    def ack(self, ident: str, state: str, heard: int | None = 1, **more: Any) -> bytes:
        outcome = {"outcome": "other"} if state == "closed" else {}
        told = {} if heard is None else {"heard": heard}
        return self.centre("ack", {"id": ident, "state": state, **told, **outcome}, **more)

    def order(self, ident: str, cmd: str, **more: Any) -> bytes:
        return self.centre("cmd", {"id": ident, "cmd": cmd, "expires": rfc3339.text(EPOCH_MS + 600_000)}, **more)

    def set_clock(self) -> None:
        clock = self.column.clock
        clock.source, clock.now_ms = "ntp", lambda: EPOCH_MS + self.board.now_ms


def begun(rig: Lying) -> Lying:
    rig.up()
    return rig


@pytest.fixture
def rig() -> Lying:
    return begun(Lying())


def test_the_device_and_the_host_write_the_same_proof() -> None:
    """Red when one of the two cuts, orders or separates anything differently."""
    one = Proven(KEY, 7)
    topic = "sos/v1/nko/petropavl-01/alarm"
    payload = bytes(one.seal(topic.encode(), bytearray('{"v":1,"a":"Жоба \\" өң"}'.encode())))
    assert json.loads(payload)["n"] == [7, 1] and authentic.is_sealed(KEY, topic, payload)
    back = authentic.seal(KEY, topic, {"v": 1, "a": 'Жоба " өң'}, Number(7, 2))
    assert one.is_sealed(topic.encode(), back)
    assert len(payload) <= len('{"v":1,"a":"Жоба \\" өң"}'.encode()) + Authentic.room_bytes


def test_hmac_is_that_of_rfc_4231() -> None:
    """Test case 2, whose key is shorter than a block; the topic and its zero byte stand before the data."""
    key = b"Jefe"
    assert Authentic(key, 0).mac(b"", b"what")[:8] == authentic.mac(key, "", b"what")[:8]
    assert authentic.mac(key, "t", b"x") != authentic.mac(key, "t\0", b"x")


def test_no_change_of_a_byte_and_no_cut_is_taken() -> None:
    """Random changes; red without the comparison of all digits, or when the topic is left out."""
    print("seed", SEED)
    dice = random.Random(SEED)
    one = Proven(KEY, 7)
    topic = b"sos/v1/nko/petropavl-01/ack"
    whole = authentic.seal(KEY, topic.decode(), {"v": 1, "id": "petropavl-01-7-1", "state": "received"}, Number(7, 1))
    assert one.is_sealed(topic, whole)
    for _ in range(5000):
        changed = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        assert bytes(changed) == whole or not one.is_sealed(topic, bytes(changed))
    assert not any(one.is_sealed(topic, whole[:end]) for end in range(len(whole)))
    assert not one.is_sealed(topic, whole + b" ") and not one.is_sealed(topic, b"")
    assert not one.is_sealed(b"sos/v1/nko/petropavl-01/cmd", whole)
    assert not Proven(KEY[::-1], 7).is_sealed(topic, whole)


def test_what_a_column_says_is_proven_and_its_count_rises(rig: Lying) -> None:
    rig.press()
    said = [one for stream in rig.streams for one in stream.heard if one.payload and one.topic]
    proven = [one for one in said if authentic.is_claimed(one.payload)]
    assert all(authentic.is_sealed(KEY, one.topic.decode(), one.payload) for one in proven)
    kinds = {"alarm", "state", "heartbeat", "info", "event", "fault"}
    assert {one.topic.decode().split("/")[4] for one in proven} == kinds and len(proven) == len(said)
    numbers = [json.loads(one.payload)["n"] for one in proven]
    assert numbers == [[BOOT, count] for count in range(1, len(numbers) + 1)]


def test_what_has_to_wait_again_is_proven_anew_and_once(rig: Lying) -> None:
    """A lost connection brings events back into the outbox. Red when `leaving` changes the payload that waits there."""
    rig.column.telemetry.event("test-press", {"n": 1})
    waits = list(rig.column.outbox.events)
    for _ in range(2):
        topic, payload = waits[-1]
        sealed = rig.column.messages.authentic.leaving(b"event", topic, payload)
        assert authentic.is_sealed(KEY, topic.decode(), bytes(sealed)) and sealed.count(b'"mac"') == 1
    assert rig.column.outbox.events == waits and not authentic.is_claimed(bytes(waits[-1][1]))
    assert rig.column.messages.authentic.leaving(b"fault", b"t", b"") == b""  # the end of a fault


def test_a_broker_cannot_light_answered(rig: Lying) -> None:
    """Red when `_acknowledgement` does not look at the proof."""
    ident = rig.press()
    for state in ("received", "accepted", "dispatched"):
        rig.send("ack", {"v": 1, "id": ident, "state": state, "heard": 1})
        rig.send("ack", rig.ack(ident, state, key=b"x" * 32))
        wrong = rig.ack(ident, state)
        rig.send("ack", wrong.replace(b'"heard":1', b'"heard":2'))
        rig.send(
            "ack", authentic.seal(KEY, ROOT + "cmd", {"v": 1, "id": ident, "state": state, "heard": 1}, Number(BOOT, 9))
        )
    assert set(rig.lamps()) & {"answered", "help-coming"} == set()
    assert len(rig.events("ack-refused")) == 12 and "not proven" in rig.events("ack-refused")[0]
    rig.send("ack", rig.ack(ident, "received"))
    assert rig.lamp() == "answered"


def test_a_repeated_answer_does_not_keep_the_sign_of_hearing_on(rig: Lying) -> None:
    """Nor one that was held back, one of another boot, or one without a count; the answer in it counts. Red without
    `is_newest`."""
    ident = rig.press()

    def winks() -> bool:
        before = len(rig.board.lamp.shown)
        rig.run(7_000)
        return (0, 0, 0) in [colour for _, colour in rig.board.lamp.shown[before:]]

    def says(listening_s: int, boot: int = BOOT, state: str = "accepted") -> bytes:
        return rig.centre("ack", {"id": ident, "state": state, "heard": 1, "listening_s": listening_s}, boot)

    held_back, said = says(300), says(20)
    rig.send("ack", said)
    assert winks()
    rig.send("ack", says(0))
    assert not winks()
    without = json.dumps({"v": 1, "id": ident, "state": "accepted", "heard": 1, "listening_s": 300}).encode()[:-1]
    uncounted = without + b"," + authentic.MARK
    uncounted += authentic.mac(KEY, ROOT + "ack", uncounted) + authentic.END
    for replayed in (said, held_back, says(300, BOOT - 1), uncounted):
        rig.send("ack", replayed)
        assert not winks()
    assert not rig.events("ack-refused")
    rig.send("ack", says(20, state="dispatched"))
    assert winks() and rig.lamp() == "help-coming"


def test_a_broker_cannot_open_the_relays_end(rig: Lying) -> None:
    """A forged `closed`, and the genuine one of another call once more."""
    first = rig.press()
    closing = rig.ack(first, "closed")
    rig.send("ack", closing)
    assert not rig.board.relay.closed
    second = rig.press()
    assert second != first and rig.board.relay.closed
    rig.send("ack", closing)
    rig.send("ack", closing.replace(first.encode(), second.encode()))
    rig.send("ack", {"v": 1, "id": second, "state": "closed", "heard": 1, "outcome": "other"})
    assert rig.board.relay.closed and rig.lamp() == "sent"


def test_an_old_answer_does_not_cover_a_further_press(rig: Lying) -> None:
    """Red when a proven answer without `heard` counts, or when what it has heard of is not held against the press."""
    ident = rig.press()
    old = rig.ack(ident, "received")
    rig.send("ack", old)
    rig.run(2000)
    assert rig.press() == ident
    rig.send("ack", old)
    rig.send("ack", rig.ack(ident, "received", heard=None))
    sent = len(rig.said("alarm"))
    rig.run(10_000)
    assert len(rig.said("alarm")) > sent  # it goes on asking
    rig.send("ack", rig.ack(ident, "received", heard=2))
    sent = len(rig.said("alarm"))
    rig.run(60_000)
    assert len(rig.said("alarm")) == sent


def results(rig: Rig) -> list[tuple[str, bool, str]]:
    return [(one["id"], one["ok"], one["error"] or "") for one in rig.said("result")]


def test_a_broker_cannot_give_commands(rig: Lying) -> None:
    """Red when orders.py does not look at the proof."""
    rig.send("cmd", {"v": 1, "id": "c-1", "cmd": "identify", "expires": rfc3339.text(EPOCH_MS)})
    rig.send("cmd", rig.order("c-2", "identify", key=b"x" * 32))
    rig.send("cmd", rig.order("c-3", "report").replace(b"report", b"drill!"))
    assert rig.lamp() == "ready" and results(rig) == []
    assert all("not proven" in one["why"] for one in rig.events("command-refused"))
    rig.send("cmd", rig.order("c-4", "identify"))
    assert rig.lamp() == "identify" and results(rig) == [("c-4", True, "")]


def test_a_broker_cannot_restart_a_column(rig: Lying) -> None:
    """Invented, signed with another key, and the genuine one of the last boot; only the centre's own is obeyed."""
    rig.set_clock()
    forged = {"v": 1, "id": "r-1", "cmd": "restart", "expires": rfc3339.text(EPOCH_MS + 600_000)}
    rig.send("cmd", forged)
    rig.send("cmd", rig.order("r-2", "restart", key=b"x" * 32))
    rig.send("cmd", rig.order("r-3", "restart", boot=BOOT - 1))
    assert not rig.column.actions.restart.running() and [ok for _, ok, _ in results(rig)] == [False]
    rig.send("cmd", rig.order("r-4", "restart"))
    assert rig.column.actions.restart.running() and results(rig)[-1][:2] == ("r-4", True)


def test_a_command_counts_once_and_the_window_moves(rig: Lying) -> None:
    """Red without `Proven.objection`: ids are forgotten after 16 commands, their numbers are not."""
    first = rig.order("c-1", "report")
    rig.send("cmd", first)
    late = rig.order("late", "report")
    for i in range(20):
        rig.run(7000)
        rig.send("cmd", rig.order(f"d-{i}", "report"))
    rig.send("cmd", first)
    rig.run(7000)
    rig.send("cmd", late)  # older than all that is remembered
    assert [ok for ident, ok, _ in results(rig) if ident in ("c-1", "late")] == [True, False, False]
    assert sum(ok for *_, ok, _ in results(rig)) == 21


def test_of_the_numbers_that_were_forgotten_none_counts_again() -> None:
    """Not even the highest of them; and a late one counts as long as 16 are remembered."""
    it: Any = Proven(bytes(32), 5)
    for number in (*range(2, 18), 1, 18):
        assert it.objection({"n": [5, number]}) is None, number
    for number in range(1, 19):
        assert it.objection({"n": [5, number]}) == "repeated command", number


def test_a_power_cut_brings_no_command_back() -> None:
    """The same flash, the next boot: what was obeyed is refused. Red when the boot is not looked at."""
    rig = begun(Lying())
    order = rig.order("c-1", "identify")
    rig.send("cmd", order)
    assert results(rig) == [("c-1", True, "")]
    again = begun(Lying(rig.board.flash, boot=BOOT + 1))
    again.send("cmd", order)
    assert results(again) == [("c-1", False, "meant for another boot of this column")]
    assert again.lamp() == "ready" and not again.board.flash.read(RESTART_FILE)


@pytest.mark.parametrize("n", [None, [], [BOOT], [BOOT, 1, 2], ["a", 1], [BOOT, "1"], [BOOT, True], 7, {}])
def test_a_proven_command_with_a_wrong_number_is_refused(rig: Lying, n: Any) -> None:
    text = json.dumps({"v": 1, "id": "c", "cmd": "identify", "expires": rfc3339.text(EPOCH_MS), "n": n}).encode()
    text = text[:-1] + b"," + authentic.MARK
    rig.send("cmd", text + authentic.mac(KEY, ROOT + "cmd", text) + authentic.END)
    assert rig.lamp() == "ready" and [ok for _, ok, _ in results(rig)] == [False]


def test_a_column_that_lost_its_counts_calls_all_the_same() -> None:
    """An erased flash: another boot number, lower than before. Nothing waits for a count."""
    rig = Lying(boot=3).up()
    ident = rig.press()
    alarm = rig.said("alarm")[0]
    assert alarm["id"] == ident and alarm["n"][0] == 3 and rig.lamp() == "sent"


def test_a_report_names_the_calls_that_wait(rig: Lying) -> None:
    ident = rig.press()
    rig.send("cmd", rig.order("c-1", "report"))
    assert rig.said("result")[-1]["detail"] == {"open": [ident], "proves": ["info", "fault", "event"]}


def test_with_a_believed_broker_a_column_proves_and_asks_for_no_proof() -> None:
    """A centre without keys goes on working."""
    rig = Lying(broker__believed=True).up()
    ident = rig.press()
    assert authentic.is_sealed(KEY, ROOT + "alarm", rig.streams[-1].published((ROOT + "alarm").encode())[0].payload)
    rig.answer(ident, "received")
    assert rig.lamp() == "answered"


def test_a_column_without_a_key_is_as_before() -> None:
    rig = Rig().up()
    ident = rig.press()
    assert "mac" not in rig.said("alarm")[0]
    rig.answer(ident, "accepted")
    assert rig.lamp() == "help-coming"


def test_the_longest_alarm_has_room_for_its_proof() -> None:
    """Red with Authentic.room_bytes too small, or when `alarm` does not leave it."""
    place: dict[str, Any] = {"location__address": "\x01" * 40, "location__geo": "geo:-54.875300,-169.162800;u=5"}
    rig = Lying(boot=(1 << 26) - 1, device_id="x" * 32, **place)
    rig.column.faults.ids = lambda: [f"fault-{i:026}" for i in range(20)]
    incident = rig.column.incidents.press(0)
    rig.column.messages.authentic._count = 1 << 30
    payload = bytes(rig.column.alarm(incident))
    assert ALARM_MAX_BYTES - 40 < len(payload) <= ALARM_MAX_BYTES
    validator.validate(f"sos/v1/nko/{'x' * 32}/alarm", payload)
