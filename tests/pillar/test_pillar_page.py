"""The pillar's page: its words, its colours, and that it runs under a strict policy."""

from __future__ import annotations

import http.client
import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from contrast import MARK_CONTRAST, TEXT_CONTRAST, contrast
from pillar_rig import DEVICE, TestTown

from firmware.lamp import COLOURS, IDENTIFY_OTHER, LISTENED, RHYTHMS
from sim.pillar import PillarServer
from sim.pillar.web import STATIC
from sim.real.flash_image import PROJECT

LANGUAGES = ("en", "ru", "kk")
KAZAKH = set("әғқңөұүһі")
PAGE = (STATIC / "index.html").read_text()
SCRIPTS = {path.name: path.read_text() for path in sorted(STATIC.glob("*.js"))}
STYLES = {path.name: path.read_text() for path in sorted(STATIC.glob("*.css"))}


# -- the policy


def breaks_the_policy(page: str) -> list[str]:
    """What a browser would refuse under the policy: code or style in the markup, anything from elsewhere."""
    inline = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>|<style[^>]*>|\sstyle=|\son\w+=|javascript:", page)
    return inline + re.findall(r'(?:src|href)="(?!/_/static/)[^"]*"', page)


def test_the_page_needs_nothing_that_its_policy_forbids() -> None:
    assert breaks_the_policy(PAGE) == []


@pytest.mark.parametrize(
    "broken",
    [
        "<script>x()</script>",
        "<style>a{}</style>",
        '<p style="color:red">',
        '<p onclick="x()">',
        '<script src="https://cdn.example/x.js"></script>',
    ],
)
def test_a_break_of_the_policy_is_noticed(broken: str) -> None:
    assert breaks_the_policy(PAGE + broken)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_the_feed_says_enters_the_page_as_text_only(name: str) -> None:
    markup = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setAttribute\(\"(?:on|style)"
    )
    assert not re.search(markup, SCRIPTS[name])
    assert re.search(markup, 'x.innerHTML = "a"'), "the rule looks at nothing"


def fetch(server: PillarServer, path: str, method: str = "GET") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    connection.request(method, path)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        (f"/{DEVICE}/", 200),
        (f"/{DEVICE}", 308),
        ("/_/static/main.js", 200),
        ("/nobody/", 404),
        ("/_/static/../web.py", 404),
        ("/_/static/%2e%2e/web.py", 404),
        (f"/{DEVICE}/picture.jpg", 200),
    ],
)
def test_every_answer_carries_the_policy(town: TestTown, path: str, status: int) -> None:
    server, _, _ = town
    answer = fetch(server, path)
    assert answer.status == status
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';") and "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_wrong_address_is_told_in_every_language(town: TestTown) -> None:
    """It was English alone. Red with a line less in NO_PILLAR."""
    with pytest.raises(HTTPError) as error:
        urlopen(town[0].page("nope"), timeout=30)
    said = error.value.read().decode()
    assert [line for line in said.splitlines() if "'nope'" in line and DEVICE in line] == said.splitlines()
    assert all(word in said for word in ("no pillar", "здесь нет", "жоқ"))


def test_all_that_the_page_asks_for_is_there(town: TestTown) -> None:
    server, _, _ = town
    wanted = set(re.findall(r'"(/_/static/[^"]+)"', PAGE))
    wanted |= {f"/_/static/{name}" for text in SCRIPTS.values() for name in re.findall(r'from "\./([^"]+)"', text)}
    assert len(wanted) >= 7
    assert {path: fetch(server, path).status for path in wanted} == dict.fromkeys(wanted, 200)


# -- words


def words() -> dict[str, dict[str, str]]:
    """The tables of words.js by language."""
    tables: dict[str, dict[str, str]] = {}
    for line in SCRIPTS["words.js"].splitlines():
        if found := re.fullmatch(r"  (\w\w): \{", line):
            table = tables.setdefault(found[1], {})
        elif found := re.fullmatch(r'    "?([\w-]+)"?: "(.*)",', line):
            assert found[1] not in table, f"{found[1]} is there twice"
            table[found[1]] = found[2]
    return tables


def test_the_three_languages_say_the_same_things() -> None:
    tables = words()
    assert tuple(tables) == LANGUAGES
    english = tables["en"]
    for table in tables.values():
        assert list(table) == list(english)
        for key, text in table.items():
            assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", english[key])), key


def test_the_languages_are_not_mixed_up() -> None:
    tables = words()
    for key, text in tables["en"].items():
        assert text.isascii(), key
    russian = set("".join(tables["ru"].values()).lower())
    assert not russian & KAZAKH and set("ёыэ") & russian
    assert set("".join(tables["kk"].values()).lower()) >= KAZAKH - {"һ"}
    for key in tables["ru"]:
        assert tables["ru"][key] != tables["kk"][key] or key in ("camera",), key


def test_every_word_that_is_asked_for_exists_and_every_one_is_used() -> None:
    known = set(words()["en"])
    asked = set(re.findall(r'data-t(?:-label)?="([\w-]+)"', PAGE))
    asked |= {key for text in SCRIPTS.values() for key in re.findall(r'[=?:(]\s*"([a-z-]+)"', text)} & known
    asked |= {f"lamp-{state}" for state in [*COLOURS, "dark"]}
    assert asked == known


def test_the_lamps_words_are_those_of_the_document() -> None:
    """docs/diagnostics.md is what technicians learn; the page says the same."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (PROJECT / "docs" / "diagnostics.md").read_text().splitlines()
        if line.count("|") == 6
    ]
    told = {row[1].strip("`").replace("-", "dark") if row[1] == "-" else row[1].strip("`"): row[2:] for row in rows}
    tables = words()
    for state in [*COLOURS, "dark"]:
        assert [tables[language][f"lamp-{state}"] for language in LANGUAGES] == told[state], state


# -- colours


def variables() -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", STYLES["tokens.css"]))


def too_weak(colours: dict[str, str]) -> list[str]:
    surfaces = {name: value for name, value in colours.items() if name.startswith("surface-")}
    pairs = [(f"on-{name}", name, TEXT_CONTRAST) for name in colours if f"on-{name}" in colours]
    for name in colours:
        if name.startswith(("ink-", "mark-")):
            pairs += [
                (name, surface, TEXT_CONTRAST if name.startswith("ink-") else MARK_CONTRAST) for surface in surfaces
            ]
    assert len(pairs) >= 14, "the rule looks at nothing"
    return [f"{one} on {other}" for one, other, least in pairs if contrast(colours[one], colours[other]) < least]


def test_the_contrast_is_enough() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert too_weak(variables()) == []


def test_a_weak_contrast_is_noticed() -> None:
    assert too_weak(variables() | {"ink-dim": "#5a646e"})
    assert too_weak(variables() | {"on-cap": "#ff9090"})


def test_all_colours_are_tokens() -> None:
    colour = re.compile(r"#[0-9a-fA-F]{3,8}\b(?=[;\s])")
    assert colour.search(STYLES["tokens.css"]), "the rule looks at nothing"
    assert [name for name, text in STYLES.items() if colour.search(text)] == ["tokens.css"]


def test_the_lamp_has_the_firmwares_colours_and_rhythms() -> None:
    colours, css = variables(), STYLES["lamp.css"]
    for state, colour in COLOURS.items():
        assert colours[f"lamp-{state}"] == "#{:02x}{:02x}{:02x}".format(*colour)
        rule = rf'\[data-state="{state}"\] {{ --lamp: var\(--lamp-{state}\);(?: --rhythm: (\w+) (\d+)ms;)? }}'
        found = re.search(rule, css)
        assert found, state
        on_ms, off_ms = RHYTHMS.get(state, (0, 0))
        assert int(found[2] or 0) == on_ms + off_ms, state
        if on_ms:
            (share,) = re.findall(rf"@keyframes {found[1]} \{{ (\d+)%", css)
            assert int(share) == round(100 * on_ms / (on_ms + off_ms)), state
    (rule,) = re.findall(r'\[data-listened="true"\]:is\((.*)\) \{ --rhythm: wink (\d+)ms; \}', css)
    assert set(re.findall(r'"([a-z-]+)"', rule[0])) == COLOURS.keys() - RHYTHMS.keys() - {"ready"}
    assert int(rule[1]) == sum(LISTENED) and f"@keyframes wink {{ {round(100 * LISTENED[0] / sum(LISTENED))}%" in css
    assert colours["lamp-identify-other"] == "#{:02x}{:02x}{:02x}".format(*IDENTIFY_OTHER)
    assert "prefers-reduced-motion" in css


def test_what_other_tests_hold_on_to_is_there() -> None:
    wanted = {"button", "lamp", "relay", "hatch", "power", "link", "tamper", "stuck", "chatter", "reset", "heard"}
    assert wanted <= set(re.findall(r'data-testid="([\w-]+)"', PAGE))


def test_the_static_files_are_small_and_few() -> None:
    files: list[Path] = [path for path in STATIC.rglob("*") if path.is_file()]
    assert len(files) < 20 and sum(path.stat().st_size for path in files) < 100_000
