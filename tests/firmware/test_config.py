# mypy: allow-untyped-calls
"""The configuration: every rule, what errors say and never say, and an alarm's size in the end."""

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
from config_document import CERTIFICATE, KEY, document, errors
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import validator
from firmware import rfc3339
from firmware.messages import ALARM_MAX_BYTES, Messages
from firmware.startup import config as config_module
from firmware.startup.config import validate

RULES = {key: (check, default) for key, check, default in config_module._RULES}
FOR_NO_KEY: list[Any] = [object, [], {"x": 1}, math.nan, -1, 1e12, "\ud800", "", True]


def test_a_valid_document_gets_its_defaults() -> None:
    config, found = validate(document(), "esp32")
    assert found == []
    for key, (_, default) in RULES.items():
        parts = key.split(".")
        value: Any = config
        for part in parts:
            value = value[part]
        if default is not config_module._REQUIRED and parts[0] not in ("v", "secrets") and key != "broker.tls.cert":
            assert value == default, key


@pytest.mark.parametrize("key", RULES)
@pytest.mark.parametrize("bad", FOR_NO_KEY, ids=repr)
def test_a_bad_value_is_named_with_its_key_and_what_would_be_right(key: str, bad: Any) -> None:
    check, _ = RULES[key]
    value = None if bad is object else bad
    right = check(value)
    if right is None:
        assert validate(document(**{key.replace(".", "__"): value}), "esp32") is not None
        return
    found = errors(document(**{key.replace(".", "__"): value}))
    mine = [line for line in found if line.startswith(key + ": found ")]
    assert len(mine) == 1 and right in mine[0] and len(mine[0]) < 300


def test_every_rule_refuses_something_of_the_above() -> None:
    for key, (check, _) in RULES.items():
        assert any(check(None if bad is object else bad) for bad in FOR_NO_KEY), key


@pytest.mark.parametrize("key", [key for key, (_, default) in RULES.items() if default is config_module._REQUIRED])
def test_what_is_needed_is_missed(key: str) -> None:
    found = errors(document(**{key.replace(".", "__"): ...}))
    assert any(line.startswith(key + ": missing, must be ") for line in found)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"brocker": {}}, "brocker: unknown key, must be one of access, broker"),
        ({"broker__prot": 1}, "broker.prot: unknown key"),
        ({"broker__tls__key": KEY}, "broker.tls.key: unknown key"),
        ({"secrets__password": "hunter22"}, "secrets.password: unknown key"),
        ({"pins": {"buton": 4}}, "pins.buton: unknown, must be one of button"),
        ({"location": []}, "location: found [], must be an object"),
        ({"pins": 5}, "pins: found 5, must be an object"),
        ({"broker__tls": None}, "broker.tls.ca: missing"),
        ({"broker__tls__cert": None}, "both needed"),
        ({"secrets__tls_key": None}, "both needed"),
        ({"secrets__mqtt_user": "u"}, "needs secrets.mqtt_password beside it"),
        ({"secrets__wifi_ssid": None}, "secrets.wifi_ssid: missing"),
        ({"incident__repeat_s": 100}, "incident.repeat_s: must not be more than"),
        ({"stream": {"rtsp": "http://x"}}, "begins with rtsp://"),
        ({"stream": {"ftp": "ftp://x"}}, "only the keys rtsp"),
        ({"stream": {"http": "http://x/" + "y" * 160}}, "at most 160 bytes"),
        ({"stream": {"rtsp": "rtsp://h/a b"}}, "visible ASCII"),
        ({"location__geo": "geo:91,0"}, "RFC 5870"),
        ({"location__geo": "geo:54.1,69.1;u=\u0451"}, "RFC 5870"),
        *(
            ({"location__geo": geo}, "RFC 5870")
            for geo in ("geo:54.1,69.1;crs=wgs84", "geo:54.1 ,69.1", 'geo:54.1,69.1"')
        ),
        *(
            ({"stream": {"rtsp": f"rtsp://h/live?{word}=x"}}, "a URI without a password in its query (rtsp)")
            for word in ("password", "user=u&PassWord", "pwd", "passwd", "pass")
        ),
        ({"v": True}, "v: found true, must be one of 1"),
    ],
)
def test_what_keys_say_together(changes: dict[str, Any], words: str) -> None:
    assert any(words in line for line in errors(document(**changes))), errors(document(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"location__geo": "geo:-54.875300,-169.162800,105.5;u=5"},
        {"stream": {"rtsp": "rtsp://h/compass/password?channel=1"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_only_looks_like_trouble_is_taken(changes: dict[str, Any]) -> None:
    assert errors(document(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "words", "name", "broken"),
    [
        ({"location__geo": "geo:1e1,2"}, "RFC 5870", "_is_decimal", lambda text, limit=None: True),
        ({"stream": {"rtsp": "rtsp://h/?password=x"}}, "without a password in its query", "any", lambda found: False),
    ],
)
def test_a_rule_that_finds_nothing_in_a_text_is_noticed(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], words: str, name: str, broken: Any
) -> None:
    """Broken by rules that find no number and no word wrong."""
    test_what_keys_say_together(changes, words)
    monkeypatch.setattr(config_module, name, broken, raising=False)
    with pytest.raises(AssertionError):
        test_what_keys_say_together(changes, words)


@pytest.mark.parametrize(
    "geo",
    ["geo:1e1,2", "geo:54.8,69.1,", "geo:54.8,69.1;u=", "geo:054.8,69.1", "geo:.5,69", "geo:5.,69", "geo:54,69;u=5;u=6"]
    + ["geo:54.8,69.1,1,1", "geo:54,69;", "geo:91,0", "geo:0,181", "geo:54"],
)
def test_a_place_that_the_contract_refuses_is_refused_here(geo: str) -> None:
    assert any("RFC 5870" in line for line in errors(document(location__geo=geo)))


@pytest.mark.parametrize("found", [None, [], "x", 5])
def test_a_document_that_is_no_object(found: Any) -> None:
    assert "must be a JSON object" in validate(found, "esp32")[1][0]


def test_plain_mqtt_only_when_it_is_asked_for() -> None:
    config, found = validate(document(broker__tls=None, broker__insecure=True), "esp32")
    assert found == [] and config["broker"]["tls"] is None


SECRET = "hunter2-hunter2"
LEAKS: list[dict[str, Any]] = [
    {"secrets__wifi_ssid": SECRET * 9},
    {"secrets__wifi_password": [SECRET]},
    {"secrets__mqtt_user": {"x": SECRET}},
    {"secrets__mqtt_password": [SECRET]},
    {"secrets__tls_key": SECRET},
    {"secrets": SECRET},
    {"secrets__extra": SECRET},
    {"broker__password": SECRET},
    {"broker__tls__cert": f"-----BEGIN PRIVATE KEY-----\n{SECRET}"},
    {"broker__tls": f"-----BEGIN PRIVATE KEY-----\n{SECRET}"},
    *({"stream": {kind: f"{kind}://u:{SECRET}@h/"}} for kind in ("rtsp", "http")),
    {"stream": {"sip": f"sip:u:{SECRET}@h"}},
    {"stream": {"rtsp": f"rtsp://u:{SECRET}@h//path"}},
]


@pytest.mark.parametrize("changes", LEAKS, ids=lambda changes: "-".join(changes))
def test_no_secret_appears_in_an_error(changes: dict[str, Any]) -> None:
    found = errors(document(**changes))
    assert found and SECRET not in " ".join(found)


def test_a_leak_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by showing every value."""
    monkeypatch.setattr(config_module, "_shown", lambda key, value: json.dumps(value))
    for changes in LEAKS[:5]:
        with pytest.raises(AssertionError):
            test_no_secret_appears_in_an_error(changes)


# -- the longest alarm


def alarm(config: dict[str, Any]) -> bytes:
    clock = SimpleNamespace(text=lambda ms: None if ms is None else rfc3339.text(ms))
    messages = Messages(config, clock, 1 << 30)
    messages.stream_ok_at = 1_800_000_000_000  # type: ignore[assignment]
    incident = SimpleNamespace(
        id=f"{config['device_id']}-{1 << 30}-{10**6}", status="exercise", press=10**6, late=True, clock="kept",
        raised_at=1_800_000_000_000, age=SimpleNamespace(ms=lambda: 10**10),
    )  # fmt: skip
    return bytes(messages.alarm(incident, [f"fault-{i:026}" for i in range(12)]))


URI_REST = st.text(alphabet='xyz%"\\\\', max_size=150)
TEXT = st.text(min_size=1, max_size=120) | st.text(alphabet='\x01\n"\\ө', min_size=1, max_size=240)


@settings(max_examples=60, deadline=None)
@given(
    address=TEXT,
    streams=st.dictionaries(st.sampled_from(["rtsp", "webrtc", "sip", "http"]), URI_REST, min_size=1),
    height=st.floats(0, 5),
    ident=st.text("abcdefghij-", min_size=1, max_size=32),
)
@pytest.mark.slow
def test_an_alarm_is_never_longer_than_1024_bytes(
    address: str, streams: dict[str, str], height: float, ident: str
) -> None:
    heads = config_module.STREAM_SCHEMES
    stream = {kind: heads[kind][0] + "host/" + rest for kind, rest in streams.items()}
    config, found = validate(
        document(location__address=address, stream=stream, location__height_m=height, device_id=ident), "esp32"
    )
    if not found:
        assert len(alarm(config)) <= ALARM_MAX_BYTES


def longest() -> dict[str, Any]:
    """As long as each key lets it, in characters that take six bytes each."""
    room = config_module.PLACE_MAX_BYTES - len("geo:-54.875300,-169.162800;u=5")
    parts = {"rtsp": "rtsp://", "webrtc": "https://", "sip": "sips:", "http": "https://"}
    each = (room - 6 * 10) // 4
    stream = {kind: head + "x" * (each - len(head)) for kind, head in parts.items()}
    return document(location__address="\x01" * 10, location__geo="geo:-54.875300,-169.162800;u=5", stream=stream,
                    device_id="x" * 32, location__height_m=4.999999999999999e-07)  # fmt: skip


def test_the_longest_alarm() -> None:
    config, found = validate(longest(), "esp32")
    assert found == [] and 900 < len(alarm(config)) <= ALARM_MAX_BYTES
    validator.validate("sos/v1/nko/%s/alarm" % ("x" * 32), alarm(config))
    beyond = longest()
    beyond["location"]["address"] += "\x01"
    assert "at most 560" in errors(beyond)[0]


def test_text_that_grows_on_its_way_out_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by counting the bytes of the text instead of those that go out."""
    monkeypatch.setattr(config_module, "_place_bytes", lambda config: len(config["location"]["address"]))
    config, found = validate(document(location__address="\x01" * 240), "esp32")
    assert found == [] and len(CERTIFICATE) > 0
    messages = Messages(config, SimpleNamespace(text=lambda ms: None), 1)
    incident = SimpleNamespace(id="x", status="actual", press=1, late=False, clock="none", raised_at=None,
                               age=SimpleNamespace(ms=lambda: 1))  # fmt: skip
    assert len(messages.alarm(incident, [])) > ALARM_MAX_BYTES
