"""A desk that need not believe its broker: what is forged, replayed or stripped of its proof is told apart from what a
column said, changes nothing that is proven, and keeps no person from help."""

import json
from pathlib import Path
from typing import Any

import pytest
from contract_examples import example
from duty_rig import PureDesk, alarm_of, topic_of

from common.key_mark import mark_of
from contract import authentic
from contract.authentic import Number
from desk import origin
from desk.column_keys import ColumnKeys
from desk.private_file import PrivateFileError
from desk.register import Register
from desk.upkeep.roster import parse
from sim.virtual.desk import VirtualDesk

KEY, OTHER = bytes(range(32)), b"x" * 32
ME = "petropavl-01"
BOOT = 17


class Liar:
    """The desk, its only column, and a broker between that hears all and says what it likes."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keys.json"
        self.file.write_text(json.dumps({"v": 1, "columns": {ME: KEY.hex()}}))
        self.file.chmod(0o600)
        self.desk = PureDesk("desk-1", ColumnKeys(self.file))
        self.now_ms = 1_800_000_000_000
        self.counts: dict[int, int] = {}
        self.proves: tuple[str, ...] = origin.LATER_KINDS
        """Beside the kinds that were always proven: () for firmware of old."""

    # What the column says

    def seal(self, kind: str, document: dict[str, Any], boot: int = BOOT, key: bytes = KEY) -> bytes:
        self.counts[boot] = self.counts.get(boot, 0) + 1
        return authentic.seal(key, topic_of(ME, kind), document, Number(boot, self.counts[boot]))

    def call(self, press: int = 1, seq: int = 3, boot: int = BOOT, **more: Any) -> bytes:
        return self.seal("alarm", alarm_of(ME, BOOT, seq, press=press), boot, **more)

    def lives(self, boot: int = BOOT, opened: tuple[str, ...] = ()) -> None:
        """The column answers what the desk has asked."""
        while asked := self.desk.origins.challenges(self.now_ms):
            ((device_id, command_id, asked_boot),) = asked
            assert device_id == ME
            result: dict[str, Any] = {"v": 1, "id": command_id, "ok": True, "error": None}
            if asked_boot == boot:
                result["detail"] = {"open": list(opened), "proves": list(self.proves)}
            else:
                result |= {"ok": False, "error": "meant for another boot of this column"}
            self.hear("result", self.seal("result", result, boot))

    def begin(self, boot: int = BOOT) -> None:
        """The column connects, and proves that it lives."""
        self.hear("state", self.seal("state", {**example("state")[1], "state": "online", "boot": boot}, boot))
        self.lives(boot)

    # What the broker delivers

    def hear(self, kind: str, payload: bytes | dict[str, Any], retain: bool = False) -> list[dict[str, Any]]:
        self.now_ms += 1
        return self.desk.take(topic_of(ME, kind), payload, self.now_ms, retain=retain)

    def incident(self, seq: int = 3) -> Any:
        return self.desk.ledger.find(f"{ME}-{BOOT}-{seq}")

    @property
    def refused(self) -> list[str]:
        return self.desk.refused


@pytest.fixture
def liar(tmp_path: Path) -> Liar:
    return Liar(tmp_path)


def test_a_call_of_a_living_column_is_proven(liar: Liar) -> None:
    liar.begin()
    answers = liar.hear("alarm", liar.call())
    assert liar.incident().origin == origin.PROVEN and answers[0]["heard"] == 1
    assert liar.refused == [] and liar.desk.origins.column(ME) == origin.PROVEN


def test_a_forged_call_is_answered_and_shown_as_forged(liar: Liar) -> None:
    """Somebody may need help all the same: a key that was changed must keep nobody from it."""
    liar.begin()
    assert liar.hear("alarm", liar.call(key=OTHER)) != []
    assert liar.incident().origin == origin.FORGED
    assert liar.hear("alarm", alarm_of(ME, BOOT, 4)) != []
    assert liar.incident(4).origin == origin.UNSIGNED


def test_a_forged_press_changes_no_proven_call(liar: Liar) -> None:
    """Or the column's own next press would pass for a repeat. Red without `is_covered` in desk/intake.py."""
    liar.begin()
    liar.hear("alarm", liar.call())
    for forged in (alarm_of(ME, press=999), liar.call(press=998, key=OTHER)):
        assert liar.hear("alarm", forged) == []
    assert liar.incident().press == 1 and len(liar.refused) == 2
    assert liar.hear("alarm", liar.call(press=2))[0]["heard"] == 2
    assert liar.incident().origin == origin.PROVEN


def test_where_the_column_speaks_what_was_said_in_its_name_ends(liar: Liar) -> None:
    """A broker can foresee the next id, and call before the person does. Red without the reset in `_take_alarm`."""
    liar.begin()
    liar.hear("alarm", alarm_of(ME, press=999, status="test", event_type="drill"))
    liar.desk.ledger.advance(liar.incident().id, "closed", "operator 1", "false", liar.now_ms)
    answers = liar.hear("alarm", liar.call())
    one = liar.incident()
    assert [kind for _, kind in liar.desk.timeline].count("press") == 2  # the person's own, too
    assert (one.press, one.origin, one.is_open, one.actual) == (1, origin.PROVEN, True, True)
    assert answers[0]["heard"] == 1 and one.alarm["status"] == "actual"
    assert liar.hear("alarm", liar.call(press=2))[0]["heard"] == 2


def test_a_replayed_call_is_noticed(liar: Liar) -> None:
    """A desk that has lost its register hears a call of last week. Red when a wrong boot counts as a new one."""
    old = liar.call(seq=9, boot=12)
    liar.begin()
    liar.hear("alarm", old)
    assert liar.incident(9).origin == origin.UNCONFIRMED
    liar.now_ms += origin.CHALLENGE_EVERY_MS
    liar.lives()  # it does not name that call
    assert liar.incident(9).origin == origin.REPLAYED


def test_a_call_that_was_played_back_within_its_boot_is_noticed(liar: Liar) -> None:
    """The same count again, for a desk that does not know the call any more. Red when counts are not kept."""
    old = liar.call(seq=8)
    liar.begin()
    liar.hear("alarm", old)
    liar.now_ms += origin.CHALLENGE_EVERY_MS
    liar.lives(opened=())
    assert liar.incident(8).origin == origin.REPLAYED


def test_a_desk_that_begins_in_the_middle_of_a_call_hears_that_it_is_one(liar: Liar) -> None:
    call = liar.call()
    assert liar.hear("alarm", call) != []
    assert liar.incident().origin == origin.UNCONFIRMED
    liar.lives(opened=(liar.incident().id,))
    assert liar.incident().origin == origin.PROVEN


def test_an_old_answer_to_the_question_proves_nothing(liar: Liar) -> None:
    """The question is new each time. Red when any result of the column counts as an answer."""
    liar.begin()
    asked = liar.desk.origins._voices[ME].last_asked
    old = liar.seal("result", {"v": 1, "id": asked, "ok": True, "error": None, "detail": {"open": ["x"]}}, 12)
    fresh = Liar(liar.file.parent)
    fresh.hear("alarm", fresh.call(boot=12, seq=9))
    assert fresh.desk.origins.challenges(fresh.now_ms)[0][1] != asked
    fresh.hear("result", old)
    assert fresh.incident(9).origin == origin.UNCONFIRMED


def test_calls_may_overtake_telemetry(liar: Liar) -> None:
    """Two connections lead to the desk. Red with one count for all kinds."""
    liar.begin()
    call, beat = liar.call(), liar.seal("heartbeat", example("heartbeat")[1])
    liar.hear("heartbeat", beat)
    liar.hear("alarm", call)
    assert liar.incident().origin == origin.PROVEN


def test_a_broker_cannot_speak_for_the_other_desk(liar: Liar) -> None:
    """A forged `closed` would take the call off this desk's screen. Red when an `ack` is not judged."""
    liar.begin()
    liar.hear("alarm", liar.call())
    closed = {"v": 1, "id": liar.incident().id, "state": "closed", "press": 1, "heard": 1, "outcome": "other"}
    liar.hear("ack", closed)
    liar.hear("ack", authentic.seal(OTHER, topic_of(ME, "ack"), closed, Number(BOOT, 1)))
    assert liar.incident().is_open and len(liar.refused) == 2
    liar.hear("ack", authentic.seal(KEY, topic_of(ME, "ack"), closed, Number(BOOT, 1)))
    assert not liar.incident().is_open


def test_a_broker_cannot_change_what_kind_of_false_call_it_was(liar: Liar) -> None:
    """Another word, none, or one where there was none: the closing of the other desk is not believed with it. Red when
    `misuse` is read from what is not proven."""
    liar.begin()
    liar.hear("alarm", liar.call())
    closed = {"v": 1, "id": f"{ME}-{BOOT}-3", "state": "closed", "outcome": "false", "misuse": "prank", "heard": 1}
    proven = authentic.seal(KEY, topic_of(ME, "ack"), closed, Number(BOOT, 1))
    for lie in (proven.replace(b"prank", b"enquiry"), proven.replace(b'"misuse":"prank",', b"")):
        assert lie != proven
        liar.hear("ack", lie)
    assert liar.incident().is_open
    liar.hear("ack", proven)
    assert (liar.incident().state, liar.incident().misuse) == ("closed", "prank")


def test_a_broker_cannot_hide_a_silence(liar: Liar) -> None:
    """Heartbeats that it makes, or has kept, are no sign of life. Red when `takes` or REPLAYED is not heeded."""
    liar.begin()
    beat = liar.seal("heartbeat", example("heartbeat")[1])
    liar.hear("heartbeat", beat)
    heard_s = liar.desk.ledger.columns[ME].heard_s
    for _ in range(3):
        liar.hear("heartbeat", beat)
        liar.hear("heartbeat", example("heartbeat")[1])
        liar.hear("state", {**example("state")[1], "state": "online"})
        liar.hear("result", example("result")[1])
    assert liar.desk.ledger.columns[ME].heard_s == heard_s and len(liar.refused) == 9
    assert liar.desk.origins.column(ME) == origin.UNSIGNED  # and the page says so


def test_a_call_of_long_ago_is_no_sign_of_life(liar: Liar) -> None:
    """Red when `_enter` takes every alarm for one; the call itself counts all the same."""
    old, call = liar.call(seq=9, boot=12), liar.call()
    liar.begin()
    liar.hear("alarm", call)
    heard_s = liar.desk.ledger.columns[ME].heard_s
    for payload in (call, old, liar.call(seq=7, key=OTHER), alarm_of(ME, BOOT, 6)):
        liar.hear("alarm", payload)
    assert liar.desk.ledger.columns[ME].heard_s == heard_s and liar.incident(7) and liar.incident(6)


def test_old_words_keep_no_dead_column_alive(liar: Liar) -> None:
    """Of a boot before, again and again; also for a desk that has just begun and knows no boot. Red without
    `unanswered_ms` in `is_sign`."""
    old = [liar.seal("heartbeat", example("heartbeat")[1], BOOT - 1) for _ in range(3)]
    liar.begin()
    for fresh in (liar, Liar(liar.file.parent)):
        begun_ms = fresh.now_ms
        while fresh.now_ms - begun_ms < 3 * origin.UNANSWERED_MS:
            for beat in old:
                fresh.hear("heartbeat", beat)
            fresh.desk.origins.challenges(fresh.now_ms)  # nobody answers
            fresh.now_ms += origin.CHALLENGE_EVERY_MS
        heard_ms = fresh.desk.ledger.columns[ME].heard_s * 1000
        assert heard_ms - begun_ms <= origin.UNANSWERED_MS + origin.CHALLENGE_EVERY_MS


def test_a_column_that_comes_back_is_asked_at_once(liar: Liar) -> None:
    """However long nobody has answered. Red when it waits for the next question of the old boot, or when it is held
    against it for ever that it once did not answer."""
    liar.begin()
    liar.now_ms += origin.CHALLENGE_EVERY_MS
    liar.hear("heartbeat", liar.seal("heartbeat", example("heartbeat")[1], BOOT - 1))
    assert liar.desk.origins.challenges(liar.now_ms)
    liar.now_ms += 10 * origin.UNANSWERED_MS
    assert liar.desk.origins.challenges(liar.now_ms)
    beat = liar.seal("heartbeat", example("heartbeat")[1], BOOT + 1)
    liar.hear("heartbeat", beat)
    assert liar.desk.ledger.columns[ME].heard_s * 1000 < liar.now_ms - origin.UNANSWERED_MS
    liar.lives(BOOT + 1)
    assert liar.desk.ledger.columns[ME].heard_s * 1000 == liar.now_ms
    assert liar.desk.origins.column(ME) == origin.PROVEN
    liar.hear("heartbeat", liar.seal("heartbeat", example("heartbeat")[1], BOOT + 2))
    assert liar.desk.ledger.columns[ME].heard_s * 1000 == liar.now_ms


def test_a_refusal_shows_that_it_lives_and_is_not_asked_for_again_at_once(liar: Liar) -> None:
    """Its clock is wrong, or ours: it refuses what we send. Red when a refusal is no answer: the next question went out
    with the next look, and took all of the ten commands a minute that a column obeys."""
    liar.hear("heartbeat", liar.seal("heartbeat", example("heartbeat")[1]))
    for _ in range(20):
        ((_, asked, _),) = liar.desk.origins.challenges(liar.now_ms)
        no = {"v": 1, "id": asked, "ok": False, "error": "expired at 2031-01-01T00:00:00.000Z", "detail": None}
        liar.hear("result", liar.seal("result", no))
        assert liar.desk.origins.challenges(liar.now_ms) == []
        assert liar.desk.ledger.columns[ME].heard_s * 1000 == liar.now_ms
        liar.now_ms += origin.CHALLENGE_EVERY_MS
    liar.lives()
    assert liar.desk.origins.challenges(liar.now_ms + origin.CHALLENGE_EVERY_MS) == []


def test_a_desk_that_begins_again_believes_no_word_without_proof(liar: Liar) -> None:
    """Red when it forgets who has proven something: whoever waits for its restart speaks for a column without a key. A
    key that was changed begins anew."""
    liar.begin()
    for key, is_taken in ((KEY, False), (OTHER, True)):
        liar.file.write_text(json.dumps({"v": 1, "columns": {ME: key.hex()}}))
        again = PureDesk("desk-1", ColumnKeys(liar.file), {ME: mark_of(KEY)})
        again.take(topic_of(ME, "heartbeat"), example("heartbeat")[1], liar.now_ms)
        assert (ME in again.ledger.columns) == is_taken == (again.refused == [])


# Births, faults and events


def said(kind: str, **more: Any) -> dict[str, Any]:
    return {**example(kind)[1], **more}


def fault(ident: str, detail: str) -> dict[str, Any]:
    return said("fault", id=ident, detail=detail)


def test_a_broker_cannot_invent_births_faults_and_events(liar: Liar) -> None:
    """Without a proof, with a wrong one, of another key, and once more. Red without LATER_KINDS in desk/origin.py."""
    liar.begin()
    column = liar.desk.ledger.columns[ME]
    event = liar.seal("event", said("event", event="test-press"))
    liar.hear("info", liar.seal("info", said("info", fw="2.0.0")))
    liar.hear("fault/tamper", liar.seal("fault/tamper", fault("tamper", "open")))
    liar.hear("event", event)
    info, faults, events = column.info, dict(column.faults), list(column.events)
    assert (info["fw"], list(faults), len(events)) == ("2.0.0", ["tamper"], 1) and liar.refused == []
    forged = {"info": said("info", fw="6.6.6"), "fault/supply": fault("supply", "low"), "event": said("event")}
    for kind, document in forged.items():
        liar.hear(kind, document)
        liar.hear(kind, liar.seal(kind, document, key=OTHER))
        liar.hear(kind, {**document, "n": [BOOT, 99], "mac": "0" * 32})
    liar.hear("event", event)
    assert (column.info, column.faults, list(column.events)) == (info, faults, events) and len(liar.refused) == 9
    assert liar.desk.origins.column(ME) == origin.UNSIGNED  # and the page says so
    liar.hear("heartbeat", liar.seal("heartbeat", said("heartbeat", faults=["tamper"])))
    assert liar.desk.origins.column(ME) == origin.PROVEN


def test_a_replay_of_an_older_boot_does_not_switch_the_proof_off(liar: Liar) -> None:
    """Red when any other boot than the settled one counts as one that has not said what it proves."""
    old = liar.seal("heartbeat", said("heartbeat"), BOOT - 1)
    liar.begin()
    liar.hear("info", liar.seal("info", said("info", fw="2.0.0")))
    liar.hear("heartbeat", old)
    liar.hear("info", said("info", fw="6.6.6"))
    assert liar.desk.ledger.columns[ME].info["fw"] == "2.0.0"


def test_a_broker_can_neither_end_a_fault_nor_hide_one(liar: Liar) -> None:
    """What proves the end of a fault is the next heartbeat. Red without `_agree_on_faults`, or when an empty payload
    counts."""
    liar.begin()
    column = liar.desk.ledger.columns[ME]
    liar.hear("fault/tamper", liar.seal("fault/tamper", fault("tamper", "open")))
    liar.hear("fault/tamper", b"")
    assert list(column.faults) == ["tamper"] and liar.refused == []  # a true one looks like that, too
    liar.hear("heartbeat", liar.seal("heartbeat", said("heartbeat", faults=["supply", "tamper"])))
    assert column.faults["tamper"]["detail"] == "open" and column.faults["supply"]["detail"] == ""
    liar.hear("heartbeat", liar.seal("heartbeat", said("heartbeat", faults=[])))
    assert column.faults == {}


def test_firmware_that_does_not_prove_them_is_believed_as_before(liar: Liar) -> None:
    """A desk is newer than its columns. Red when LATER_KINDS have to be proven whatever the column says of itself."""
    liar.proves = ()
    liar.begin()
    column = liar.desk.ledger.columns[ME]
    liar.hear("info", said("info", fw="1.0.0"))
    liar.hear("event", said("event"))
    liar.hear("fault/tamper", fault("tamper", "open"))
    assert (column.info["fw"], list(column.faults), len(column.events)) == ("1.0.0", ["tamper"], 1)
    liar.hear("fault/tamper", b"")
    assert column.faults == {} and liar.refused == [] and liar.desk.origins.column(ME) == origin.PROVEN


def test_what_has_no_proof_yet_in_a_new_boot_is_no_sign_of_life(liar: Liar) -> None:
    """A broker can keep that moment open. Red when `is_sign` leaves these kinds out."""
    liar.begin()
    liar.hear("heartbeat", liar.seal("heartbeat", said("heartbeat"), boot=BOOT + 1))
    column = liar.desk.ledger.columns[ME]
    heard_s = column.heard_s
    liar.hear("event", said("event", event="boot"))
    assert len(column.events) == 1 and column.heard_s == heard_s
    liar.hear("alarm", liar.call(boot=BOOT + 1))
    assert liar.desk.origins.column(ME) == origin.UNCONFIRMED


def test_what_was_heard_before_the_answer_is_not_new_behind_it(liar: Liar) -> None:
    """An answer may have a lower count than a birth that overtook it. Red without `Voice.note`."""
    answer_boot = liar.seal("state", said("state", state="online", boot=BOOT))
    liar.hear("state", answer_boot)
    ((_, asked, _),) = liar.desk.origins.challenges(liar.now_ms)
    detail = {"open": [], "proves": list(liar.proves)}
    answer = liar.seal("result", {"v": 1, "id": asked, "ok": True, "error": None, "detail": detail})
    birth = liar.seal("info", said("info", fw="2.0.0"))
    liar.hear("info", birth)
    liar.hear("result", answer)
    heard_s = liar.desk.ledger.columns[ME].heard_s
    liar.hear("info", birth)
    assert liar.desk.ledger.columns[ME].heard_s == heard_s


def test_invented_calls_keep_no_proven_one_out(liar: Liar) -> None:
    """Red when the quota of open calls is asked before the proof."""
    liar.begin()
    for seq in range(100, 300):
        liar.hear("alarm", alarm_of(ME, BOOT, seq))
    assert liar.incident(299) is None
    assert liar.hear("alarm", liar.call(seq=400)) != [] and liar.incident(400).origin == origin.PROVEN


def test_a_lost_count_stops_no_call(liar: Liar) -> None:
    """An erased flash: a boot number far below the last one. It calls, is answered, and is proven in a moment."""
    liar.begin(boot=30_000_000)
    assert liar.hear("alarm", liar.call(boot=3)) != []
    liar.now_ms += origin.CHALLENGE_EVERY_MS
    liar.lives(boot=3, opened=(liar.incident().id,))
    assert liar.incident().origin == origin.PROVEN and liar.refused == []


def test_a_redelivery_accuses_nobody(liar: Liar) -> None:
    """At least once: the same bytes again, of a call that is known. And a drill is over when the column is asked."""
    liar.begin()
    call = liar.call()
    for _ in range(3):
        liar.hear("alarm", call)
    liar.hear("alarm", liar.seal("alarm", alarm_of(ME, BOOT, 5, status="test", event_type="drill"), boot=18))
    liar.now_ms += origin.CHALLENGE_EVERY_MS
    liar.lives(boot=18)
    assert liar.incident().origin == origin.PROVEN and liar.incident(5).origin == origin.UNCONFIRMED


def test_without_keys_a_desk_is_as_before() -> None:
    desk = PureDesk("desk-1")
    for payload in (alarm_of(ME), alarm_of(ME, press=2)):
        assert desk.take(topic_of(ME, "alarm"), payload, 1_800_000_000_000) != []
    found = desk.ledger.find(alarm_of(ME)["id"])
    assert found is not None and found.origin == origin.NO_KEY and desk.origins.column(ME) == origin.NO_KEY


def test_a_revoked_column_is_heard_no_more(liar: Liar) -> None:
    """The desk's own list, read again while it runs. Red without the look at `revoked`, or at the file's change."""
    liar.begin()
    liar.file.write_text(json.dumps({"v": 1, "columns": {}, "revoked": [ME]}) + " ")
    assert liar.desk.origins.keys.look()
    assert liar.hear("alarm", liar.call()) == [] and "revoked" in liar.refused[-1]


def test_a_file_that_is_wrong_ends_no_duty(liar: Liar) -> None:
    """While it runs the keys that were good stay; at the start it is an error that shows no key."""
    liar.file.write_text('{"v": 1, "columns": {"a": "short-secret"}}')
    assert not liar.desk.origins.keys.look() and liar.desk.origins.keys.of(ME) == KEY
    with pytest.raises(PrivateFileError) as caught:
        ColumnKeys(liar.file)
    assert "short-secret" not in str(caught.value)
    liar.file.write_text('{"v": 1, "columns": {}}')
    liar.file.chmod(0o644)
    with pytest.raises(PrivateFileError, match="others may read"):
        ColumnKeys(liar.file)


def test_what_is_wrong_with_the_file_is_told_once(liar: Liar, caplog: pytest.LogCaptureFixture) -> None:
    """It is looked at ten times a second. Red while a file that was gone filled the log, and while one that is not
    UTF-8 was a traceback."""

    def look(times: int = 5) -> list[str]:
        caplog.clear()
        for _ in range(times):
            assert not liar.desk.origins.keys.look() and liar.desk.origins.keys.of(ME) == KEY
        return [record.getMessage() for record in caplog.records]

    good = liar.file.with_suffix(".away")
    liar.file.rename(good)
    assert len(look()) == 1 and look() == []
    liar.file.write_bytes(b"\xff\xfe")
    liar.file.chmod(0o600)
    (told,) = look()
    assert "not UTF-8" in told
    with pytest.raises(PrivateFileError, match="not UTF-8"):
        ColumnKeys(liar.file)
    liar.file.unlink()
    assert len(look()) == 1, "another trouble, so it is told again"
    liar.file.write_bytes(good.read_bytes())
    liar.file.chmod(0o644)
    assert "others may read" in look()[0]
    liar.file.chmod(0o600)
    assert liar.desk.origins.keys.look(), "as soon as it may be read"


def test_how_well_a_call_is_proven_outlives_the_desk(liar: Liar, tmp_path: Path) -> None:
    liar.begin()
    liar.hear("alarm", liar.call())
    with Register(tmp_path / "register.sqlite") as register:
        register.put_incident(liar.incident(), registered_ms=1, unanswered=False)
        assert [one["origin"] for one in register.incidents()] == [origin.PROVEN]
        again = register.restore().find(liar.incident().id)
        assert again is not None and again.origin == origin.PROVEN


def test_what_was_proven_and_how_much_was_said_outlive_the_desk(liar: Liar, tmp_path: Path) -> None:
    """With a clock that was a year fast meanwhile: commands go on above what columns have had. Red without the
    register's part in desk/proven.py."""
    place = {"address": "Somewhere", "site": "public", "geo": "geo:54.8753,69.1628;u=5", "stream": ["rtsp"]}
    roster = parse({"v": 1, "centre": "c", "columns": [{"device_id": ME, "region": "nko", **place}]}, "a test")
    desk = VirtualDesk(tmp_path / "register.sqlite", liar.now_ms, roster, keys=liar.desk.origins.keys)

    def said() -> Number:
        (number,) = [authentic.number(one) for _, one in desk.air.sent if one.get("cmd") == origin.CHALLENGE]
        assert number is not None
        return number

    year_ms = 365 * 24 * 3_600_000
    with desk:
        desk.now_ms += year_ms
        desk.deliver(topic_of(ME, "heartbeat"), liar.seal("heartbeat", example("heartbeat")[1]))
        desk.run(1000)
        first, asked = said(), desk.air.sent[-1][1]["id"]
        result = {"v": 1, "id": asked, "ok": True, "error": None, "detail": {"open": [], "proves": []}}
        desk.deliver(topic_of(ME, "result"), liar.seal("result", result))
        desk.run(20_000)
        assert desk.duty.origin(ME) == origin.PROVEN
    desk.now_ms -= year_ms
    desk.air.sent.clear()
    with desk:
        assert desk.duty.origin(ME) == origin.NO_KEY, "nothing has been heard yet"
        desk.deliver(topic_of(ME, "heartbeat"), json.dumps(example("heartbeat")[1]).encode())
        desk.run(1000)
        assert any(origin.UNSIGNED in line["why"] for line in desk.register.violations())
        desk.deliver(topic_of(ME, "heartbeat"), liar.seal("heartbeat", example("heartbeat")[1]))
        desk.run(1000)
        assert said().serial > first.serial
