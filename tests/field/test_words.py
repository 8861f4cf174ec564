"""Words: the same keys in every language, none forgotten, none too many, each with its placeholders; and no tool that
a technician uses says anything past them."""

import ast
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from contract_examples import faults, schema
from sentences import fields

import field
from field import logs, watch, words
from field.diag import interview
from field.diag.by_hand import AGAIN, NO, YES
from field.diag.finding import ANY, EVERYWHERE, LINES, Verdict
from field.words import PortTrouble, Trouble, Words
from firmware.console.lamp import COLOURS
from firmware.incident import ACK_STATES
from firmware.lamp import COLOURS as LAMP

FIELD = Path(field.__file__).parent
FOLDER = FIELD / "diag"
FIRMWARE = FIELD.parent / "firmware"
# What is said here is turned in whole sentences, for which tests/house/test_sentences.py looks.
IN_SENTENCES = {"authorities.py", "renewal.py", "provision.py", "fleet.py", "rows.py", "keeping.py",
                "certificates.py", "access.py", "labels.py", "places.py", "shared.py", "laptop.py", "release.py",
                "reached.py", "revocation.py"}  # fmt: skip
MAKERS = {"passes": False, "untested": False, "warns": True, "fails": True}  # name -> has it cause and next step?
# What is the same in all languages: figures and names.
SAME = {"chip.ok", "configuration.ok", "verdict.-"}
CYRILLIC, KAZAKH = re.compile("[\u0400-\u04ff]"), re.compile("[әғқңөұүһі]", re.IGNORECASE)


def texts(language: str) -> dict[str, str]:
    return dict(words.load(language))


def findings() -> set[str]:
    """Keys of all that the checks can find, with those of their advice, from their source."""
    found = set()
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                for line, says in itertools.product(*map(_literals, node.args[:2])):
                    key = f"{line}.{says}"
                    found |= {key} | ({f"{key}.cause", f"{key}.next"} if MAKERS[node.func.id] else set())
    return found


def _literals(node: ast.AST) -> list[str]:
    """Of "a", and of "a" if x else "b"; what is computed has none."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    return _literals(node.body) + _literals(node.orelse) if isinstance(node, ast.IfExp) else []


def computed() -> set[str]:
    """Those whose second half is computed: where the way ends, whose certificate ended."""
    from field.diag.network_checks import _ENDS

    ends = {f"{end.line}.{end.says}" for _, end in _ENDS} | {"broker.untried", "tls.broker-old"}
    ends |= {f"tls.{whose}-expired" for whose in ("own", "broker", "ca")}
    return ends | {f"{key}.{what}" for key in ends for what in ("cause", "next")}


def spoken() -> set[str]:
    """Keys that the code asks for by name: words("title"), words(f"asking.{word}")."""
    found = {f"asking.{word}" for word in (interview.STATUS, "logs", *interview.QUESTIONS)}
    found |= {f"line.{line}" for line in LINES} | {f"verdict.{verdict}" for verdict in Verdict}
    found |= {f"colour.{name}" for name, _ in COLOURS} | {f"{ANY}.{says}" for says in EVERYWHERE}
    found |= {
        "advice.cause",
        "advice.next",
        *(f"{kind}.{one}" for kind in ("answer", "choice") for one in (YES, NO, AGAIN)),
    }
    return found | asked_for_by_name()


def sources() -> list[Path]:
    return [path for path in sorted(FIELD.rglob("*.py")) if "device" not in path.parts]


def asked_for_by_name() -> set[str]:
    """Keys that stand in the source as they are, and those that a key with a hole in it can become."""
    known, found = texts("en"), set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known:
                found.add(node.value)
            if isinstance(node, ast.JoinedStr) and _is_key(node):
                holes = [
                    ".+" if isinstance(part, ast.FormattedValue) else re.escape(_text(part)) for part in node.values
                ]
                found |= {key for key in known if re.fullmatch("".join(holes), key)}
    return found | {key for key in known if key.startswith("said.")}


def _is_key(node: ast.JoinedStr) -> bool:
    return bool(re.fullmatch(r"[a-z]+\.([a-z.-]*)", _text(node.values[0])))


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def keys_in_calls() -> set[str]:
    """What is handed to whoever looks a text up."""
    found = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and re.search(
                r"(Trouble|Error|words|Refused|NotOpened|say)$", _name(node.func)
            ):
                found |= {_text(one) for one in node.args[:2] if re.fullmatch(r"[a-z]+\.[a-z0-9.-]+", _text(one))}
    return found


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_every_language_has_exactly_what_can_be_said(language: str) -> None:
    wanted = findings() | computed() | spoken() | keys_in_calls()
    assert len(findings()) > 100, "the source is not understood any more"
    assert sorted(wanted - set(texts(language))) == [], "missing"
    assert sorted(set(texts(language)) - wanted) == [], "nobody says these any more"


@pytest.mark.parametrize("language", words.LANGUAGES[1:])
def test_a_translation_fills_in_what_the_english_text_does(language: str) -> None:
    english, other = texts("en"), texts(language)
    assert [key for key in english if fields(english[key]) != fields(other[key])] == []


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_no_text_is_its_key_or_empty(language: str) -> None:
    assert [key for key, text in texts(language).items() if text in (key, "")] == []


def test_translations_are_translated() -> None:
    english, russian, kazakh = (texts(language) for language in words.LANGUAGES)
    same = {"supply.ok", "line.journal", "line.chip", "line.broker", "line.tamper", "line.clock", "watch.broker"}
    same |= {"watch.journal", "watch.signal", "watch.session", "watch.millivolts", "button.samples"}
    for key in set(english) - SAME:
        assert english[key] != russian[key] and CYRILLIC.search(russian[key]) or _is_bare(russian[key]), key
        assert english[key] != kazakh[key] and CYRILLIC.search(kazakh[key]) or _is_bare(kazakh[key]), key
        assert not CYRILLIC.search(english[key]), key
        assert not KAZAKH.search(russian[key]), f"{key}: Kazakh letters in the Russian text"
        assert kazakh[key] != russian[key] or key in same or _is_bare(kazakh[key]), key
    assert sum(bool(KAZAKH.search(text)) for text in kazakh.values()) > len(kazakh) * 0.8


def _is_bare(text: str) -> bool:
    """Names and figures with nothing to translate."""
    return not re.sub(r"\{\w+\}|make|flash|PORT=...|CONFIG=provisioned/columns/ID|[^\w]", "", text)


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_person_can_answer_with_one_letter(language: str) -> None:
    said = words.Words(language)
    letters = [said(f"answer.{choice}") for choice in (YES, NO, AGAIN)]
    assert len(set(letters)) == 3 and all(len(letter) == 1 for letter in letters)


@pytest.mark.parametrize(
    ("asked", "environment", "language"),
    [
        (None, {}, "en"),
        ("kk", {"LANG": "ru_RU.UTF-8"}, "kk"),
        (None, {"LANG": "ru"}, "ru"),
        (None, {"LANG": "ru_RU.UTF-8"}, "ru"),
        (None, {"LANG": "ru_RU.UTF-8", "LC_ALL": "kk_KZ.UTF-8"}, "kk"),
        (None, {"LANG": "de_DE.UTF-8"}, "en"),
        (None, {"LANG": "C.UTF-8"}, "en"),
        (None, {"LANG": "", "LC_ALL": ""}, "en"),
        ("xx", {"LANG": "ru_RU.UTF-8"}, "ru"),
        ("xx", {"LANG": "xx", "SOS_LANG": "ru_RU.UTF-8"}, "ru"),
        ("C", {"LANG": "ru_RU.UTF-8"}, "en"),
    ],
)
def test_the_language_is_what_was_asked_for_or_the_systems(
    asked: str | None, environment: dict[str, str], language: str
) -> None:
    assert words.choose(asked, environment) == language


# -- nothing is said past the words

# What technicians type or read on the board, in every language: names, not words.
NAMES = re.compile(
    r"\{\w+\}|make(?: (?:build|diag|flash-all|flash|image|logs|provision|shell|tools|help|watch))?"
    r"|(?:PORT|CONFIG|FORCE|LANG|SHA256|IMAGE|OUT|CODE|BOARDS)(?:=[\w./-]*)?"
    r"|[\w-]+\.[\w.*-]+(?:/\w+)?|provisioned/columns/[\w-]+|/dev/\w+|sudo usermod -aG \S+ \$USER|ls -l|Ctrl-\]"
    r"|/revoked/|\bID\b|null"
    r"|MicroPython|mbedTLS|mpy-cross|SHA-256|USB|MQTT|TLS|DNS|UDP|UTC|GPIO|PSRAM|docs/(?:(?:ru|kk)/)?|Linux|device_id|reset|RESET|BOOT|ESP|esptool"
    r"|0xE9|umqtt|lib/|hal/|acl|`stream`|PUBACK"
    r"|JSON|UTF-8|watchdog|status|logs|help|\bcode\b|\.mpy|\.bin|\.app-bin"
    r"|\[clock\]|\bserver\b|ERASE=1|IDF|RTC|ppm|--json|Wi-Fi|Ethernet|machine\.reset\(\)"
)


def english_left(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]{2,}", NAMES.sub("", text))


@pytest.mark.parametrize("language", words.LANGUAGES[1:])
def test_no_english_is_left_in_a_translation(language: str) -> None:
    left = {key: english_left(text) for key, text in texts(language).items()}
    assert {key: found for key, found in left.items() if found} == {}


def test_english_that_was_left_is_noticed() -> None:
    assert english_left("колонна hard: supervisor, make flash PORT=... CONFIG=provisioned/columns/ID") == [
        "hard", "supervisor"]  # fmt: skip


def said_past_the_words(source: str) -> list[str]:
    """Literals with a word in them that a person gets to see: printed, shown, raised as a trouble, asked."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and re.search(
            r"^(print|add_row|add_task|Panel)$|Trouble$|Error$", _name(node.func)
        ):
            for argument in (*node.args, *(one.value for one in node.keywords if one.arg in ("title", "description"))):
                for part in ast.walk(argument) if not isinstance(argument, ast.Call) else ():
                    text = re.sub(r"\[/?\w* ?\w*\]|^[a-z]+(\.[a-z0-9-]*)+$|^error$", "", _text(part))
                    found += re.findall(r"[A-Za-z]{2,}.*", text)
    return found


def test_no_tool_says_anything_past_the_words() -> None:
    told = {
        path.name: said_past_the_words(path.read_text("utf-8")) for path in sources() if path.name not in IN_SENTENCES
    }
    allowed = {"checkup.py": ["unreachable"], "board.py": ["unreachable"], "bundle.py": [], "table.py": []}
    assert {name: found for name, found in told.items() if found and found != allowed.get(name)} == {}


@pytest.mark.parametrize(
    "source", ['print(f"error: {x}")', 'raise BoardError("is the cable in?")', 'Panel(x, title="console")']
)
def test_what_is_said_past_the_words_is_noticed(source: str) -> None:
    assert said_past_the_words(source)


SAYERS = ("LinkLost", "OSError", "ValueError")
# Never shown by a tool: told to the programmer, or inside a text that is shown as a whole.
UNSHOWN = ("a record cannot hold", "v, id or state", "heard", "v or id", "link.phy", "not PEM", "%s: %s", "json",
           "RFC 3339", "no such day", "no time zone", "can arrive")  # fmt: skip


def said_by_columns() -> list[str]:
    """What the firmware says where a check-up, `logs` or `watch` shows it: errors of the uplink and of the console's
    commands, details of faults."""
    found = []
    for path in [
        *FIRMWARE.glob("*.py"),
        *FIRMWARE.glob("console/*.py"),
        *(FIRMWARE.parent / "hal").glob("esp32_net.py"),
    ]:
        tree = ast.parse(path.read_text("utf-8"))
        values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Assign)]
        named = [_filled(value) for value in values if isinstance(value, ast.BinOp)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _name(node.func) in SAYERS and node.args:
                found.append(_filled(node.args[0]))
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("faults.set") and len(node.args) == 2:
                found += [_filled(part) for part in ast.walk(node.args[1]) if isinstance(part, ast.BinOp)]
                found += named if isinstance(node.args[1], ast.Name) else []
    return [text for text in found if text and not any(one in text for one in UNSHOWN)]


def _filled(node: ast.AST) -> str:
    """A literal with its holes filled."""
    if isinstance(node, ast.BinOp):
        return re.sub("%[sd]", "7", _filled(node.left))
    return _text(node)


@pytest.mark.parametrize("language", words.LANGUAGES[1:])
def test_what_columns_say_is_turned(language: str) -> None:
    """Red when the firmware gets an error that no table knows."""
    assert len(said_by_columns()) > 25, "the source is not understood any more"
    turned = {text: Words(language).said(text) for text in said_by_columns()}
    left = {text: english_left(found) for text, found in turned.items()}
    assert {text: found for text, found in left.items() if found} == {}


# extmod/modtls_mbedtls.c: mbedTLS's number alone, or with the name that lib/mbedtls_errors has for it.
NUMBERS = ("-29312", "(-29312, 'MBEDTLS_ERR_SSL_CONN_EOF')", "(-28160, 'MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE')", "-12345",
           "[Errno 104] ECONNRESET", "128", "[Errno 12] ENOMEM")  # fmt: skip


@pytest.mark.parametrize("language", words.LANGUAGES)
@pytest.mark.parametrize("said", NUMBERS)
def test_a_number_is_not_all_that_is_said(language: str, said: str) -> None:
    """Broken by showing what a column says as it is."""
    told = Words(language).said(said)
    assert told != said and "MBEDTLS" not in told and "Errno" not in told
    assert "12345" in told or not re.search(r"\d", told), "a number that nobody knows is told, for a report"
    assert language == "en" or not english_left(told)


LIBRARIES = (
    "could not enter raw repl", "timeout waiting for first EOF reception", "write failed: [Errno 5] Input/output error",
    "device reports readiness to read but returned no data (device disconnected or multiple access on port?)",
    "could not exec command (response: b'7')", "read failed: [Errno 5] Input/output error",
)  # fmt: skip


@pytest.mark.parametrize("language", words.LANGUAGES[1:])
def test_what_mpremote_and_pyserial_say_is_turned(language: str) -> None:
    """Where a trouble shows the error behind it. Broken by showing exceptions as they are."""
    for said in LIBRARIES:
        told = str(Words(language)("board.silent", error=OSError(said)))
        assert english_left(re.sub(r"b'\w*'", "", told)) == [], told


def test_what_is_no_number_of_mbedtls_stays() -> None:
    assert Words("en").said("refuses us (-30592): x") == "refuses us (the other side refuses the connection): x"
    said = "b.example:8883: closed after 30000 ms, 2026-11-29, -75, petropavl-30592"
    assert Words("ru").said(said) == said


def test_why_a_brokers_certificate_is_refused_is_told_to_the_end() -> None:
    """mbedTLS's own words, of which there may be several, one a line."""
    said = "TLS: the broker's certificate is refused: The certificate validity has expired\nThe certificate is not"
    said += " correctly signed by the trusted CA"
    for language in words.LANGUAGES[1:]:
        assert english_left(Words(language).said(said)) == []


def test_a_single_word_is_turned_only_where_it_is_all_that_is_said() -> None:
    russian = Words("ru")
    assert (
        russian.said("hard") == "аппаратный сброс"
        and russian.said("link.example: hard to say") == "link.example: hard to say"
    )
    assert russian.said("rtsp://c.example/1: no answer within 20 s") == "rtsp://c.example/1: нет ответа за 20 с"


STATUS: dict[str, Any] = {
    "link": {"kind": "Wi-Fi", "up": False, "address": None, "rssi_dbm": -70},
    "broker": {"host": "b.example", "port": 1, "session": False, "error": "the link is down", "since_s": 7},
    "button": {"stuck": True, "closed": True, "presses": 0, "closures": None, "since_press_s": None},
    "journal": {"records": 1, "damaged": 2, "unsaved": 3},
    "queue": {"open": 0, "waiting": 0, "outbox": 0},
    "health": {"heap_free": 1, "flash_free": 2},
    "faults": [],
    "clock": {"source": "none", "now": None},
    "lamp": "ready",
    "supply_mv": None,
    "uptime_s": None,
    "firmware": {"boot": 9},
}
LOGS: dict[str, Any] = {
    "reset": {"boot": 3, "cause": "hard", "culprit": "supervisor"},
    "faults": [{"id": "7", "detail": "the housing is open", "since": None}],
    "journal": [
        {"damaged": "7"},
        {"k": "held"},
        {"k": "release"},
        {"k": "sealed"},
        {"k": "press", "id": "7-1", "n": 2},
        {"k": "open", "id": "7-1", "n": 1, "at": 1795972299760, "clock": "ntp"},
        {"k": "open", "id": "7-1", "n": 1, "at": None, "clock": "none"},
        *({"k": "state", "id": "7-1", "s": state} for state in ACK_STATES.values()),
    ],
    "left_out": 4,
}


@pytest.mark.parametrize("language", words.LANGUAGES[1:])
def test_watch_and_logs_are_in_one_language(language: str) -> None:
    """For whatever the contract lets a column say: each state of the lamp, each fault, each kind of link. Red where one
    of them is shown as it is; a fault's name stands behind its words, for whoever looks it up."""
    said = Words(language)
    wrong = sorted(faults())
    shown = list(logs.text({**LOGS, "faults": [{"id": one, "detail": "", "since": None} for one in wrong]}, said))
    for lamp, kind in itertools.zip_longest(sorted(LAMP), schema("heartbeat")["properties"]["link"]["enum"]):
        now = {**STATUS, "faults": wrong, "lamp": lamp, "link": {**STATUS["link"], "kind": kind or "wifi"}}
        shown += [text for row in watch.rows(now, said) for text in row]
    left = {text: english_left(re.sub(r"\[/?\w*\]|Wi-Fi|\([a-z-]+\)", "", text)) for text in shown}
    assert {text: found for text, found in left.items() if found} == {}


def test_a_fault_of_a_newer_firmware_is_shown_by_its_name() -> None:
    assert Words("kk").fault("moon-full") == "moon-full"
    assert Words("kk").fault("tamper") == "корпус ашық (tamper)"


BOTH_WAYS = {"said.code-needed": "code", "said.sessionless": "status", "said.no-drills": "logs"}


@pytest.mark.parametrize("language", words.LANGUAGES)
@pytest.mark.parametrize("key", BOTH_WAYS)
def test_what_a_column_advises_is_for_a_terminal_and_for_a_laptop(key: str, language: str) -> None:
    """Who sits at a laptop types no `code`, but `make code`; who sits at a terminal the other way round. Red when the
    column's own words are not the table's, a language names one of the two, or a new advice names a command alone."""
    source = "".join(path.read_text("utf-8") for path in sorted((FIRMWARE / "console").glob("*.py")))
    english = texts("en")[key]
    assert f'ValueError("{english}")' in source
    said = Words(language).said(f"lamp: {english}")
    assert "make " in said and re.search(rf"(?<!make )\b{BOTH_WAYS[key]}\b", said)
    advice = {
        name for name, text in texts("en").items() if name.startswith("said.") and re.search(r"; (see|type)", text)
    }
    assert advice == {*BOTH_WAYS, "said.unknown-command"}  # which no tool ever types


def test_a_record_that_nobody_knows_is_shown_as_it_is() -> None:
    """Of a newer firmware. Red when a kind of record that the journal writes has no words."""
    said = Words("ru")
    assert "  k=new id=7-1" in list(logs.text(LOGS | {"journal": [{"k": "new", "id": "7-1"}]}, said))
    assert not [text for text in logs.text(LOGS, said) if "k=" in text]
    assert "вызов 7-1: поднят 2026-11-29 17:11:39 UTC, нажатий: 1" in "\n".join(logs.text(LOGS, said))
    told = logs.text({**LOGS, "faults": [{"id": "7", "detail": "", "since": "2026-11-29T17:11:39.760Z"}]}, said)
    assert "(с 2026-11-29 17:11:39 UTC)" in "\n".join(told), "faults and calls tell the time alike"


def test_every_state_of_the_lamp_has_its_words() -> None:
    assert {f"watch.lamp.{state}" for state in LAMP} <= set(texts("en"))


@pytest.mark.parametrize("language", words.LANGUAGES)
def test_a_trouble_within_a_trouble_is_in_the_same_language(language: str) -> None:
    inner = PortTrouble("/dev/x", "port.busy")
    said = Words(language)
    assert said("error", why=inner) == said("error", why=f"/dev/x: {said('port.busy')}")
    assert str(Trouble("error", why=inner)).startswith("error: /dev/x: cannot be opened")
