"""A hostile column at the broker: nothing of it is executed, nothing is shown that is not so, and calls still come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from browser_probe import MARKS, Visitor, until
from contract_examples import EXAMPLES, example, nodes, packed
from paho.mqtt import publish as paho
from playwright.sync_api import Page, expect

from contract import validator
from contract.validator import topic_kind
from sim.document import REGION

if TYPE_CHECKING:
    from sim.demo.city import City

pytestmark = [*MARKS, pytest.mark.timeout(240)]

MIB = 1024 * 1024
HOSTILE = "mallory-01"
VICTIM = "petropavl-01"
# Each of them would run in a page that puts text into itself as markup.
MARKUP = "'\"><img class=pwned src=x onerror=pwned(1)><svg class=pwned onload=pwned(2)></svg><script>pwned(3)</script>"
ADDRESS_OF_MARKUP = "javascript:pwned(4)//http://x"
Message = dict[str, Any]


def message(kind: str, payload: bytes, *, retain: bool = False, device_id: str = HOSTILE) -> Message:
    return {"topic": f"sos/v1/{REGION}/{device_id}/{kind}", "payload": payload, "qos": 1, "retain": retain}


def infested(value: Any) -> Any:
    """The same with markup in every text that is free to say what it likes."""
    if isinstance(value, dict):
        free = {key for key, part in value.items() if key not in TRUE_KEYS or isinstance(part, dict)}
        return {key: infested(part) if key in free else part for key, part in value.items()}
    if isinstance(value, list):
        return [infested(part) for part in value]
    return value + MARKUP if isinstance(value, str) and not value.startswith(("rtsp:", "sip:", "http")) else value


# What the schemas hold to a form: with markup in it, the message is refused as a whole (and is sent so, too).
TRUE_KEYS = {"event_type", "id", "device_id", "status", "raised_at", "clock", "geo", "site", "ok_at", "faults", "state",
             "at", "since", "cause", "event", "capabilities", "digest", "source", "mode", "link", "reset",
             "debouncer"}  # fmt: skip


def alarm(number: int, **changes: Any) -> bytes:
    _, document = example("alarm")
    document |= {"device_id": HOSTILE, "id": f"{HOSTILE}-1-{number}", "fw": "1" + MARKUP, "surplus": MARKUP}
    document["location"] |= {"address": MARKUP}
    document["stream"] = {"http": "http://x/" + MARKUP.replace(" ", "/").replace("script", "b"), "ok_at": None}
    return packed(document | changes)


def lies() -> Iterator[Message]:
    """What must leave no trace on the page: big, broken, or in somebody else's name."""
    for kind in ("alarm", "info", "heartbeat", "event", "state", "fault/x", "result", "ack"):
        yield message(kind, b"{" + b'"a":"' + b"<b>" * (MIB // 3) + b'"}')
        yield message(kind, b"[" * MIB)
        yield message(kind, b"\xff\xfe" + MARKUP.encode())
    yield message("alarm", alarm(90, device_id=VICTIM))
    yield message("alarm", alarm(91, id=f"{VICTIM}-1-91"))
    yield message("alarm", alarm(92, id=f"{VICTIM}-1-92", device_id=VICTIM))
    yield message("alarm", alarm(93, location={"geo": MARKUP, "address": MARKUP, "site": MARKUP, "height_m": MARKUP}))
    yield message("alarm", alarm(94, stream={"webrtc": ADDRESS_OF_MARKUP, "ok_at": None}))
    for topic, _, _, document in EXAMPLES:
        kind = topic.split("/", 4)[4]
        if topic_kind(topic).kind not in ("ack", "cmd", "alarm"):
            yield message(kind, packed(dict.fromkeys(document, MARKUP)))
    yield message(f"fault/{VICTIM}", packed({"v": 1, "id": MARKUP}))


def infestations() -> Iterator[Message]:
    """What is well-formed and will be shown, as the text it is."""
    for topic, _, retained, document in EXAMPLES:
        kind = topic.split("/", 4)[4]
        if topic_kind(topic).kind in ("info", "heartbeat", "event", "fault"):
            own = {"device_id": HOSTILE} if "device_id" in document else {}
            yield message(kind, packed(infested(document) | own | {"surplus": MARKUP}), retain=retained)
    yield message("alarm", alarm(1))


def send(city: City, messages: Iterator[Message]) -> None:
    for one in messages:
        paho.single(**one, hostname=city.broker.host, port=city.broker.port)


def test_what_a_hostile_column_says_is_text_and_nobody_elses(city: City, visitor: Visitor) -> None:
    pillar = visitor.pillar(city.page(VICTIM))
    desk = visitor.desk(city.desk.url)
    process = city.desk.pid
    send(city, lies())
    send(city, infestations())

    shown = f"{HOSTILE}-1-1"
    expect(desk.get("strip", id=shown)).to_contain_text("<img class=pwned")
    assert desk.strips() == [shown], "no incident in another's name, and none of what is broken"
    expect(desk.get(f"column-{VICTIM}")).to_have_attribute("data-status", "ready")
    panel = desk.open(shown)
    expect(panel).to_contain_text("<script>")
    assert panel.locator("a").count() == 0, "an address from outside is text, nothing to click on"
    desk.get(f"column-{HOSTILE}").locator("button").click()
    expect(desk.get("column-panel", id=HOSTILE)).to_be_visible()
    for key in ("2", "3", "1"):
        desk.page.keyboard.press(key)
        desk.page.wait_for_timeout(300)

    pillar.press()
    incident = desk.call_from(VICTIM)
    desk.open(incident)
    desk.accept(incident)
    pillar.shows("help-coming")
    desk.close(incident, "help-given")
    desk.open(shown)
    desk.get("note").fill(MARKUP)
    desk.get("note-save").click()
    expect(desk.get("timeline")).to_contain_text("<svg class=pwned")
    desk.accept(shown)
    desk.close(shown, "false")
    desk.page.keyboard.press("2")
    expect(desk.row(shown)).to_contain_text("<img class=pwned")
    assert city.desk.pid == process and city.desk.running


def forget(page: Page) -> None:
    """Take the markup away, and the witness's memory of it."""
    page.evaluate("""() => {
      for (const node of document.querySelectorAll(".pwned, script:not([src])")) node.remove();
      witness.ran = [];
    }""")


def test_the_witness_notices_markup(visitor: Visitor) -> None:
    """The control: put into a page as markup, the very text runs, and the witness tells."""
    page = visitor.page("about:blank")
    page.evaluate("markup => { document.body.innerHTML = markup; }", MARKUP)
    until(page, lambda: "1" in page.evaluate("witness.ran"), "the picture's handler has run")
    assert any("<svg" in text for text in page.evaluate("witness.ran"))
    forget(page)
    visitor.wrong.clear()


def test_a_page_made_of_markup_would_not_run_it_either(city: City, visitor: Visitor) -> None:
    """The second wall: the desk's content security policy."""
    page = visitor.page(city.desk.url)
    page.evaluate("markup => document.body.insertAdjacentHTML('beforeend', markup)", MARKUP)
    refused = "Content Security Policy"
    until(page, lambda: any(refused in text for text in visitor.wrong), "the policy's complaint")
    assert "1" not in page.evaluate("witness.ran"), "the policy let a handler in the markup run"
    forget(page)
    visitor.wrong.clear()


def test_the_infested_messages_are_well_formed() -> None:
    """Else they would be refused before anything of them is shown, and the test above would show nothing."""
    kinds = set()
    for one in infestations():
        validator.validate(one["topic"], one["payload"], retain=one["retain"])
        kinds.add(topic_kind(one["topic"]).kind)
        assert b"pwned" in one["payload"]
    assert kinds == {"info", "heartbeat", "event", "fault", "alarm"}


# What a browser says against each pattern.
COMPILE = """(patterns) => patterns.flatMap((one) => {
  try { new RegExp(one, "u"); return []; } catch (error) { return [String(error)]; }
})"""


def test_javascript_takes_every_pattern_of_the_contract(visitor: Visitor) -> None:
    """As ajv compiles them, with the flag "u". Red with `\\A` or `a\\:` in a schema, which without it would pass."""
    files = [json.loads(path.read_text("utf-8")) for path in sorted(validator.SCHEMA_DIR.glob("*.json"))]
    patterns = [one["pattern"] for one in nodes(files) if isinstance(one.get("pattern"), str)]
    page = visitor.page("about:blank")
    assert len(patterns) > 20 and page.evaluate(COMPILE, patterns) == []
    assert len(page.evaluate(COMPILE, ["\\Aa", "a\\:", "a{", "]", "(?>a)", "[a-\\d]"])) == 6
