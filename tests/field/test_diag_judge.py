"""The check-up's judgement, on recorded answers: what is sound passes; each break fails its own line and no other."""

import functools
import re
from collections.abc import Callable

import pytest
from diag_answers import NOW, SOUND, STREAMS, UNKNOWN, Recorded, endpoint, lookup, pieces

from field.diag import absence, network_checks
from field.diag.board_checks import FAULTS
from field.diag.finding import LINES, Verdict
from field.diag.interview import Absence, Lamp
from field.diag.judge import judge
from field.diag.network_checks import WAY
from field.diag.words import Words
from field.words import LANGUAGES
from firmware import faults

TLS_REFUSED = "TLS: the broker's certificate is refused: "
TLS_REFUSES = "TLS: the broker refuses us (-30592): check the column's certificate and key"


def test_a_sound_column_passes_in_every_line_but_those_that_need_a_person() -> None:
    found = Recorded().judged()
    assert tuple(found) == LINES
    assert {line for line, one in found.items() if one.verdict is not Verdict.PASS} == {"lamp", "button"}
    assert found["lamp"].key == "lamp.unasked" and found["button"].key == "button.unasked"


def test_what_is_found_is_told_in_figures() -> None:
    found = Recorded().judged()
    told = {line: Words("en").text(one) for line, one in found.items()}
    assert told["supply"] == "12.1 V" and told["flash"] == "688 KB free" and "1:02:05" in told["duty"]
    assert "-61 dBm" in told["link"] and "192.168.4.20 / 255.255.255.0, gateway 192.168.4.1" in told["link"]
    assert "sent 1 ms, broker 3 ms, answer of the centre 5 ms" in told["alarm"]
    assert "petropavl-07:" in told["tls"] and "in 300 days" in told["tls"], "the first of the three that ends"


def test_a_leg_without_a_time_is_a_dash() -> None:
    recorded = Recorded().says("test", {"sent_ms": 1, "broker_ms": None, "centre_ms": 5})
    found = recorded.judged()["alarm"]
    assert found.key == "alarm.ok" and "broker - ms" in Words("en").text(found)


Break = Callable[[Recorded], object]
BREAKS: list[tuple[str, Break, str]] = [
    ("wrong password", lambda it: it.away("the broker refused us: not authorised", "session"), "login.password"),
    ("wrong user", lambda it: it.away("the broker refused us: user or password", "session"), "login.password"),
    (
        "own certificate expired",
        lambda it: it.away(TLS_REFUSES, "session").says("certs", {"own": pieces("petropavl-07", -2)}),
        "tls.own-expired",
    ),
    (
        "own certificate expired, the session is older",
        lambda it: it.says("certs", {"own": pieces("petropavl-07", -2)}),
        "tls.own-expired",
    ),
    (
        "own certificate expired, the broker only hangs up",
        lambda it: it.away("the broker closed the connection", "session").says("certs", {"own": pieces("x", -2)}),
        "tls.own-expired",
    ),
    (
        "broker's certificate expired",
        lambda it: it.away(TLS_REFUSED + "\nThe certificate validity has expired", "session"),
        "tls.broker-old",
    ),
    ("broker's certificate of another name", lambda it: it.away(TLS_REFUSED + "wrong name", "session"),
     "tls.broker-refused"),
    ("own certificate withdrawn", lambda it: it.away(TLS_REFUSES, "session"), "tls.column-refused"),
    ("TLS broken", lambda it: it.away("(-29312, 'MBEDTLS_ERR_SSL_CONN_EOF')", "session"), "tls.broken"),
    ("reset in TLS", lambda it: it.away("[Errno 104] ECONNRESET", "session"), "tls.broken"),
    ("own prefix readable", lambda it: it.says("access", {"access": {"own_ack": True, "states": 0, "foreign": False}}),
     "access.own-ack"),
    ("foreign prefix allowed",
     lambda it: it.says("access", {"access": {"own_ack": True, "states": 3, "foreign": True}}), "access.foreign"),
    ("foreign states", lambda it: it.says("access", {"access": {"own_ack": False, "states": 3, "foreign": False}}),
     "access.states"),
    ("not subscribed", lambda it: it.fault("not-subscribed"), "access.deaf"),
    ("broker down", lambda it: it.away("connection refused or unreachable", "connect"), "broker.down"),
    ("broker behind a firewall", lambda it: it.away("no session within 20 s", "connect"), "broker.silent"),
    ("broker frozen", lambda it: it.away("no session within 20 s", "session"), "broker.frozen"),
    ("no route", lambda it: it.away("[Errno 113] EHOSTUNREACH", "connect"), "broker.unreachable"),
    ("not tried", lambda it: it.away("", "lookup"), "broker.untried"),
    ("another device of that id", lambda it: it.away("the broker closed the connection", "session"), "login.closed"),
    ("no MQTT there", lambda it: it.away("hostile or broken packet: x", "session"), "login.stranger"),
    ("stream down", lambda it: it.says("stream", endpoint(STREAMS[0], "no answer within 6 s"), endpoint(STREAMS[1])),
     "stream.down"),
    ("one byte flipped", lambda it: it.lines["files"][0].update({"files": {"firmware/lamp.mpy": "0123456789abcdee"}}),
     "files.damaged"),
    ("file unreadable", lambda it: it.lines["files"][0].update({"files": {"firmware/lamp.mpy": None}}),
     "files.damaged"),
    ("file missing", lambda it: it.lines["files"].pop(0), "files.missing"),
    ("foreign source beside it", lambda it: it.lines["files"].append({"files": {"firmware/lamp.py": "00"}}),
     "files.damaged"),
    ("configuration damaged", lambda it: it.lines["files"].append({"sealed": {"config.json": False}}),
     "configuration.damaged"),
    ("running on the last good", lambda it: it.status("config", source="last-good").fault("config"),
     "configuration.fallback"),
    ("clock unset", lambda it: it.status("clock", source="none", now=None).fault("clock-unset"), "clock.unset"),
    (
        "clock unset, certificates seem to be of the future",
        lambda it: it.status("clock", source="none", now=None).fault("clock-unset").away(
            TLS_REFUSED + "The certificate validity starts in the future", "session"),
        "clock.unset",
    ),
    ("no time server", lambda it: it.status("clock", source="none", now=None, server=None).fault("clock-unset"),
     "clock.serverless"),
    ("journal damaged", lambda it: it.status("journal", damaged=2), "journal.damaged"),
    ("journal damaged before the start", lambda it: it.status("journal", quarantine_bytes=40), "journal.quarantined"),
    ("journal refused", lambda it: it.status("journal", unsaved=1).fault("journal"), "journal.unwritable"),
    ("button stuck", lambda it: it.status("button", stuck=True, closed=True).fault("button-stuck"), "button.stuck"),
    ("flash full", lambda it: it.status("health", flash_free=8192), "flash.full"),
    ("flash full, records wait",
     lambda it: it.status("health", flash_free=0).fault("flash-full").status("journal", unsaved=2), "flash.full"),
    ("supply low", lambda it: it.status("supply_mv", value=9900).fault("supply"), "supply.low"),
    ("boot loop", lambda it: it.status("firmware", mode="safe").fault("boot-loop"), "duty.safe"),
    ("no link", lambda it: it.away("the link is down", "lookup").status("link", up=False, rssi_dbm=None), "link.down"),
    ("no cable", lambda it: it.away("the link is down", "lookup").status(
        "link", up=False, rssi_dbm=None, kind="ethernet"), "link.unplugged"),
    ("broker's name unknown", lambda it: it.away("no address for broker.example: -2", "lookup"), "lookup.lost"),
    ("centre silent", lambda it: it.refuse("test", "the centre did not answer within 10000 ms",
     {"id": "x", "sent_ms": 1, "broker_ms": 2, "centre_ms": 10000}).fault("drill-unanswered"), "alarm.unanswered"),
    ("alarm not delivered", lambda it: it.refuse("test", "the centre did not answer within 10000 ms",
     {"id": "x", "sent_ms": 1, "broker_ms": None, "centre_ms": 10000}), "alarm.unsent"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "key"), [(one[1], one[2]) for one in BREAKS], ids=[one[0] for one in BREAKS])
def test_a_break_fails_its_line_and_no_other(broken: Break, key: str) -> None:
    recorded = Recorded()
    broken(recorded)
    sound, found = Recorded().judged(), recorded.judged()
    line = key.partition(".")[0]
    assert found[line].key == key and found[line].verdict is Verdict.FAIL
    for other in LINES:
        if other != line and found[other] != sound[other]:
            assert found[other].verdict is Verdict.UNTESTED and found[other].because == line, found[other]
    for language in LANGUAGES:
        assert all(Words(language).advice(found[line])), "each failure has its cause and the next step"


MISSING = ["pins.button: missing, must be a GPIO number", "link.ssid: missing, must be the network's name when"
           " link.type is 'wifi'"]  # fmt: skip
SAYING = "the housing is open"
# Where a column says something in English: each of its faults, and every list of errors.
SPEECHES: dict[str, tuple[Break, str]] = {
    **{fault: (functools.partial(Recorded.fault, ident=fault, detail=SAYING), line) for fault, line in FAULTS.items()},
    "errors": (lambda it: it.says("status", {"configured": False}, *({"errors": [one]} for one in MISSING)), "duty"),
    "streams": (lambda it: it.says("stream", endpoint(STREAMS[0], "closes without an answer"),
                                   endpoint(STREAMS[1], "speaks another protocol")), "stream"),
    "broker": (lambda it: it.away(TLS_REFUSED + "\nThe certificate validity has expired", "session"), "tls"),
    "refusal": (lambda it: it.refuse("access", "the session is busy; ask again"), "access"),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES[1:])
@pytest.mark.parametrize("name", SPEECHES)
def test_what_a_column_says_is_turned_wherever_it_is_shown(name: str, language: str) -> None:
    """Red when a check hands it on under a name that `Words` does not turn, or joins two sentences to one that no
    table knows."""
    recorded = Recorded()
    SPEECHES[name][0](recorded)
    words, found = Words(language), recorded.judged()[SPEECHES[name][1]]
    text = re.sub(r"\S*[/@.]\S*|'wifi'", "", " ".join((words.text(found), *words.advice(found))))
    assert not re.search("missing|must|number|housing|open|answer|protocol|certificate|busy|again", text), text


def test_a_refused_certificate_is_told_once() -> None:
    """Red when the line repeats what the column said before the reason."""
    told = Words("en").text(Recorded().away(TLS_REFUSED + "wrong authority, name or date", "session").judged()["tls"])
    assert told == "the broker's certificate is not accepted: wrong authority, name or date"


def test_two_errors_that_a_board_speaks_are_both_turned() -> None:
    """One without a configuration, which answers no question. Red with "; " between them."""
    found = absence.classify([f"configuration: {one}" for one in MISSING])
    column = Recorded().column()
    column.answers, column.absence = {}, found
    said = Words("ru").text(judge(column)[0])
    assert said.count("нет значения") == 2 and "number" not in said


ON_THE_WAY = [one for one in BREAKS if one[2].partition(".")[0] in WAY]


def claimed(broken: Break, key: str) -> list[str]:
    """Lines behind the end of the way to the centre that say more than that they were not tested."""
    recorded = Recorded()
    broken(recorded)
    found, line = recorded.judged(), key.partition(".")[0]
    if recorded.column().status["broker"]["session"]:
        return []  # which is older than what is broken
    behind = (*WAY[WAY.index(line) + 1 :], "access", "alarm")
    return [one for one in behind if (found[one].verdict, found[one].because) != (Verdict.UNTESTED, line)]


@pytest.mark.parametrize(("broken", "key"), [one[1:] for one in ON_THE_WAY], ids=[one[0] for one in ON_THE_WAY])
def test_nothing_is_claimed_of_what_lies_behind_the_end_of_the_way(broken: Break, key: str) -> None:
    assert claimed(broken, key) == []


def test_a_claim_about_what_was_not_reached_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_checks, "_passed", lambda column, line: None)
    broken, key = next(one[1:] for one in BREAKS if one[0] == "broker down")
    assert claimed(broken, key) == ["tls", "login"]


def test_a_line_rests_on_those_above_it_only() -> None:
    for _, broken, _ in BREAKS:
        recorded = Recorded()
        broken(recorded)
        for finding in recorded.judged().values():
            if finding.because and finding.line != "clock":  # which the network sets
                assert LINES.index(finding.because) < LINES.index(finding.line)


WARNINGS: list[tuple[Break, str]] = [
    (lambda it: it.status("supply_mv", value=10600), "supply.near"),
    (lambda it: it.status("chip", micropython="1.23.0"), "chip.old"),
    (lambda it: it.status("firmware", version="0.9.0"), "versions.differ"),
    (lambda it: it.status("health", flash_free=40_000), "flash.low"),
    (lambda it: it.status("health", heap_free=5000), "heap.low"),
    (lambda it: it.status("clock", now="2026-01-01T00:00:00Z"), "clock.off"),
    (lambda it: it.status("clock", source="kept"), "clock.kept"),
    (lambda it: it.status("reset", cause="watchdog", culprit="uplink"), "resets.hung"),
    (lambda it: it.status("reset", cause="watchdog", culprit="uplink", traceback=True), "resets.crashed"),
    (lambda it: it.status("tamper_open", value=True).fault("tamper"), "tamper.open"),
    (
        lambda it: it.status("tamper_open", value=True).status("wipe_after_s", value=60).fault("tamper"),
        "tamper.open-armed",
    ),
    (lambda it: it.status("link", rssi_dbm=-84), "link.weak"),
    (lambda it: it.status("broker", tls=False), "tls.plain"),
    (lambda it: it.says("certs", {"own": pieces("petropavl-07", 12)}), "tls.soon"),
    (lambda it: it.says("test", {"sent_ms": 1, "broker_ms": 900, "centre_ms": 7000}), "alarm.slow"),
    (lambda it: it.status("button", closed=True), "button.closed"),
    (lambda it: it.fault("not-known-here"), "duty.strange"),
]


@pytest.mark.parametrize(("odd", "key"), WARNINGS, ids=[key for _, key in WARNINGS])
def test_what_is_odd_warns_and_is_no_failure(odd: Break, key: str) -> None:
    recorded = Recorded()
    odd(recorded)
    sound, found = Recorded().judged(), recorded.judged()
    line = key.partition(".")[0]
    assert found[line].key == key and found[line].verdict is Verdict.WARN
    assert [other for other in LINES if other != line and found[other] != sound[other]] == []


def test_files_of_another_version_cannot_be_compared() -> None:
    recorded = Recorded().status("firmware", version="0.9.0")
    recorded.lines["files"][0] = {"files": {"firmware/lamp.mpy": "ffff"}}
    found = recorded.judged()
    assert found["versions"].verdict is Verdict.WARN and found["files"].key == "files.incomparable"


def test_a_frozen_library_need_not_be_on_the_flash() -> None:
    recorded = Recorded()
    recorded.lines["files"] = [line for line in recorded.lines["files"] if "umqtt/simple.mpy" not in str(line)]
    assert recorded.judged()["files"].verdict is Verdict.PASS
    recorded.build = recorded.build.__class__("1.0.0", recorded.build.files, {})  # nor on this laptop
    assert Recorded().judged()["files"].verdict is Verdict.PASS


def test_every_fault_of_the_firmware_belongs_to_a_line_and_is_seen_there() -> None:
    assert set(FAULTS) == set(faults.KNOWN) and set(FAULTS.values()) <= set(LINES)
    for ident in set(FAULTS) - {"clock-unset", "drill-unanswered", "stream-down", "boot-loop", "tamper"}:
        found = Recorded().fault(ident).judged()[FAULTS[ident]]
        assert found.verdict is Verdict.FAIL, ident


# -- what is known of a column that knows less, or says nothing


def old(word: str) -> Recorded:
    return Recorded().refuse(word, UNKNOWN)


@pytest.mark.parametrize("word", ["files", "stream", "access", "test"])
def test_an_older_firmware_cannot_say_and_nothing_fails(word: str) -> None:
    line = {"test": "alarm"}.get(word, word)
    found = old(word).judged()
    assert found[line].key == "any.cannot-say" and found[line].verdict is Verdict.UNTESTED
    assert [other for other in LINES if other != line and found[other] != Recorded().judged()[other]] == []


def test_an_older_firmware_without_net_and_certs_is_judged_by_its_session() -> None:
    found = old("net").refuse("certs", UNKNOWN).judged()
    assert found["lookup"].key == "lookup.broker" and found["tls"].key == "tls.undated"
    assert {found[line].verdict for line in ("lookup", "tls")} == {Verdict.PASS}


def test_an_older_firmware_still_tells_that_its_stream_is_down() -> None:
    found = old("stream").fault("stream-down", "rtsp://x: no answer").judged()["stream"]
    assert found.key == "stream.down" and found.values["what"] == "rtsp://x: no answer"


def test_an_older_status_leaves_lines_untested() -> None:
    recorded = Recorded()
    recorded.lines["status"] = [line for line in recorded.lines["status"] if not set(line) & {"tamper_open", "chip"}]
    found = recorded.judged()
    assert {line for line in LINES if found[line].key == "any.cannot-say"} == {"tamper", "chip"}


def test_names_that_are_lost_take_with_them_what_they_are_for() -> None:
    recorded = Recorded().status("clock", source="none", now=None).fault("clock-unset")
    recorded.says("net", lookup("broker", "broker.example"), lookup("stream", "cameras.example", None),
                  lookup("clock", "time.example", None))  # fmt: skip
    recorded.says("stream", endpoint(STREAMS[0], "no address for cameras.example"))
    found = recorded.judged()
    assert found["lookup"].key == "lookup.lost" and "cameras.example, time.example" in found["lookup"].values["hosts"]
    assert found["stream"].because == found["clock"].because == "lookup"
    assert [one.line for one in found.values() if one.verdict is Verdict.FAIL] == ["lookup"]


@pytest.mark.parametrize("word", ["files", "access", "test"])
def test_too_little_memory_for_an_answer_is_the_heaps_failure(word: str) -> None:
    found = Recorded().refuse(word, "too little memory is free").judged()
    assert [one.key for one in found.values() if one.verdict is Verdict.FAIL] == ["heap.short"]
    assert found[{"test": "alarm"}.get(word, word)].because == "heap"


def test_a_column_without_memory_for_status_is_told_by_its_heap() -> None:
    recorded = Recorded().refuse("status", "too little memory is free")
    recorded.lines = {"status": []}
    found = recorded.judged()
    assert {one.line for one in found.values() if one.verdict is Verdict.FAIL} == {"heap"}
    assert {one.because for one in found.values()} == {"", "heap"}


def test_an_open_alarm_keeps_the_access_list_from_being_tried() -> None:
    why = "an alarm is open: the session is the alarm's; ask again when it is closed"
    found = Recorded().refuse("access", why).judged()["access"]
    assert found.key == "any.alarm-open" and found.verdict is Verdict.UNTESTED


@pytest.mark.parametrize(
    ("absence", "key"),
    [
        (Absence("nobody", ""), "duty.nobody"),
        (Absence("prompt", ""), "duty.prompt"),
        (Absence("unconfigured", "pins: x"), "duty.unconfigured"),
        (Absence("mute", "fault: clock-unset cleared"), "duty.mute"),
        (Absence("strange", "hello"), "duty.strange-talk"),
    ],
)
def test_an_absent_column_fails_in_duty_only(absence: Absence, key: str) -> None:
    column = Recorded().column()
    column.answers, column.absence = {}, absence
    duty, *others = judge(column)
    assert duty.key == key and duty.verdict is Verdict.FAIL
    assert {(one.verdict, one.because) for one in others} == {(Verdict.UNTESTED, "duty")}


def test_an_unconfigured_column_that_answers_fails_in_duty_only() -> None:
    recorded = Recorded().says("status", {"configured": False}, {"errors": ["pins.button: missing"]})
    recorded.lines = {"status": recorded.lines["status"]}
    duty, *others = recorded.judged().values()
    assert duty.key == "duty.unconfigured" and "pins.button" in duty.values["errors"]
    assert {one.because for one in others} == {"duty"}


def test_a_column_whose_keys_are_wiped_says_so() -> None:
    """Red when it passes for one without a configuration: nobody would ask who opened it."""
    recorded = Recorded().says("status", {"configured": False, "wiped": True}, {"errors": ["the housing was opened"]})
    recorded.lines = {"status": recorded.lines["status"]}
    duty, *others = recorded.judged().values()
    assert (duty.key, duty.verdict) == ("duty.wiped", Verdict.FAIL) and {one.because for one in others} == {"duty"}


def test_a_housing_that_would_wipe_the_keys_is_told() -> None:
    found = Recorded().status("wipe_after_s", value=60).judged()["tamper"]
    assert (found.key, found.verdict, found.values["s"]) == ("tamper.armed", Verdict.PASS, 60)


@pytest.mark.parametrize("known", range(len(SOUND)))
def test_what_was_not_asked_any_more_is_not_judged(known: int) -> None:
    """The cable came out behind so many answers."""
    recorded = Recorded()
    recorded.lines = dict(list(recorded.lines.items())[:known])
    found = recorded.judged().values()
    assert {one.verdict for one in found} <= {Verdict.PASS, Verdict.UNTESTED}
    assert any(one.key == "any.not-reached" for one in found) or known > 6


# -- by hand


def lamp(shown: list[str], wrong: list[str]) -> str:
    column = Recorded().column()
    column.lamp = Lamp(shown, wrong)
    return next(one.key for one in judge(column) if one.line == "lamp")


def test_the_lamp_is_what_the_technician_saw() -> None:
    colours = ["red", "green", "blue", "white"]
    assert lamp(colours, []) == "lamp.ok"
    assert lamp(colours, ["red"]) == "lamp.wrong"
    assert lamp(colours, colours) == "lamp.dark"


def pressed(presses: int, closures: int, *, counts: bool = True, stuck: bool = False) -> tuple[str, object]:
    recorded = Recorded().says(
        "button",
        {"lasts_ms": 10000, "counts": counts},
        {"samples": [[0, 0, 0], [1200, 1, 1], [1400, 0, 0]]},
        {"presses": presses, "closures": closures, "alarm": "petropavl-07-1-2", "stuck": stuck},
    )
    column = recorded.column()
    column.is_button_tried = True
    found = next(one for one in judge(column) if one.line == "button")
    return found.key, found.values.get("bounces")


def test_the_button_is_what_its_contact_did() -> None:
    assert pressed(1, 4) == ("button.ok", 3)
    assert pressed(1, 40) == ("button.bounces", 39)
    assert pressed(0, 0) == ("button.unfelt", None)
    assert pressed(0, 3) == ("button.short", None)
    assert pressed(1, 1, stuck=True) == ("button.stuck", None)
    assert pressed(1, 0, counts=False) == ("button.ok", 0), "without a counter the looks are counted"


def test_the_recorded_answers_are_of_this_hour() -> None:
    assert str(NOW.year) in str(SOUND["status"]), "the clock's line compares with this laptop's"


def test_a_voltage_without_a_limit_is_no_pass() -> None:
    """A figure that is held against nothing says nothing."""
    found = Recorded().status("limits", low_mv=0).judged()["supply"]
    assert found.verdict is Verdict.UNTESTED and "no limit" in Words("en").text(found)


@pytest.mark.parametrize(("missing", "line"), [("certs", "tls"), ("files", "configuration"), ("files", "files")])
def test_what_was_not_asked_any_more_is_not_the_firmwares_fault(missing: str, line: str) -> None:
    """The cable came out before that question: no PASS, and no word about the firmware."""
    recorded = Recorded()
    del recorded.lines[missing]
    column = recorded.column()
    column.answers.pop(missing, None)
    assert judge(column)[LINES.index(line)].says == "not-reached"
