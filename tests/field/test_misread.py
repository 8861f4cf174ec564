"""A fleet's file that cannot be read: what is wrong, where, and in which language; and the other file is judged too."""

from __future__ import annotations

import csv
import io
import json
import json.decoder
import re
import tomllib
from pathlib import Path

import pytest
from fleet_rig import GOOD, HEADER, TOML, Tables
from sentences import said_by

from common.sentences import LANGUAGES
from field import fleet, misread
from field.words import Words

OTHERS = LANGUAGES[1:]


def troubles(file: Path) -> list[str]:
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(file)
    return error.value.troubles


def english_left(text: str) -> list[str]:
    """But for what is typed: names of keys and sections, and of the format."""
    return re.findall(r"[A-Za-z]{3,}", re.sub(r"\[[\w.]+\]|TOML|CSV", "", text))


# -- TOML

PARSER = Path(tomllib.__file__).with_name("_parser.py")
# (text, where its mistake is, and a part of what is said of it)
NO_TOML = [
    ("x", ":1:2", "Expected '=' after a key"),
    ("[broker\n", ":1:8", "Expected ']' at the end"),
    ("[[broker\n", ":1:9", "Expected ']]'"),
    ("a = 1\na = 2\n", ":2:6", "Cannot overwrite a value"),
    ("[a.b]\n[a.b]\n", ":2:5", "Cannot declare [a.b] twice"),
    ("a = north\n", ":1:5", "Invalid value"),
    ('a = "north\n', ":1:11", "Illegal character"),
    ('a = """north\n', ":2:1", "Unterminated string"),
    ("a = 'north\n", ":2:1", "Unterminated string"),
    ("a = 'north\nb = 'x'\n", ":1:11", "Illegal character"),
    ("a = 'north", ":1:11", "Unterminated string"),
    ("a = [1,\n2", ":2:2", "Unclosed array"),
    ("a = {b = 1", ":1:11", "Unclosed inline table"),
    ("a = 1 b = 2\n", ":1:7", "Expected newline"),
    ("[a]\r\nb = 2026-02-31\r\n", ":2:5", "Invalid date"),
    ("a = 54,87\n", ":1:7", "found '54,87', must be a number with a point and not a comma: 54.87"),
]


@pytest.mark.parametrize(("text", "where", "why"), NO_TOML)
def test_what_is_no_toml_is_told_with_line_and_column(table: Tables, text: str, where: str, why: str) -> None:
    """Also where it ends too soon. Red when the place stands in the library's words alone, or nowhere."""
    (told,) = troubles(table(HEADER, GOOD, toml=text))
    assert told.startswith(f"fleet.toml{where}: ") and why in told and "(at " not in told
    for language in OTHERS:
        assert english_left(Words(language).said(told).partition(": ")[2]) == [], language


@pytest.mark.parametrize("language", OTHERS)
def test_all_that_tomllib_can_say_is_turned(language: str) -> None:
    """From its source: red with a Python whose tomllib has a new message."""
    found = {*said_by(PARSER, "suffixed_err$|^TOMLDecodeError$")} - {"Expected 7"}  # `misread` says it otherwise
    assert len(found) > 20, "its source is not understood any more"
    said = Words(language).said
    left = {text: said(f"fleet.toml:1:2: no TOML: {text}") for text in found}
    assert {text: turned for text, turned in left.items() if english_left(turned.partition(": ")[2])} == {}


@pytest.mark.parametrize("language", OTHERS)
def test_all_that_json_can_say_is_turned(language: str) -> None:
    """Of a roster, a status or a document. Red with a Python whose decoder has a new message."""
    found = set[str]()
    texts = ('{"a": "\x01"}', '"\\q"', '"\\u12"', '{"a" 1}', "{a:1}", "[1 2]", "[1,]", "", "{} x", '"abc', "\ufeff1")
    for text in texts:
        with pytest.raises(json.JSONDecodeError) as error:
            json.loads(text)
        found.add(str(error.value))
    found |= {f"{text}: line 1 column 2 (char 3)" for text in said_by(Path(json.decoder.__file__), "JSONDecodeError$")}
    left = {text: Words(language).said(f"x: {text}") for text in found}
    assert {text: turned for text, turned in left.items() if english_left(turned.replace("JSON", ""))} == {}


@pytest.mark.parametrize("data", [b"\xd0", b"\xe2\x82", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"])
def test_all_that_a_decoder_can_say_is_turned(data: bytes) -> None:
    """Of one byte and of several. One of its reasons is the csv module's too, and means another thing there."""
    with pytest.raises(UnicodeDecodeError) as error:
        data.decode()
    for language in OTHERS:
        told = Words(language).said(f"x.json: {error.value}").partition(": ")[2]
        assert told and english_left(told.replace("UTF", "")) == [] and "CSV" not in told
        assert told not in Words(language).said("no CSV table: unexpected end of data")


# -- CSV

NO_CSV = [
    ('a,b\n1,"2', ":2:2", "unexpected end of data"),
    ('a,b\n"1\n1",2,"3\n', ":3:3", "unexpected end of data"),
    ('a,b\n1,"2"x,3\n', ":2:2", "',' expected after '\"'"),
    ('a,b\n"1\n2","2" ,3\n', ":3:2", "',' expected after '\"'"),
    ('a;b\n1;2;"2"x;3\n', ":2:3", "';' expected after '\"'"),
    ("a,b\n1," + "2" * 131_073 + ",3\n", ":2:2", "field larger"),
]


@pytest.mark.parametrize(("text", "where", "why"), NO_CSV, ids=[case[1] + case[2][:8] for case in NO_CSV])
def test_what_is_no_csv_is_told_with_line_and_cell(text: str, where: str, why: str) -> None:
    """A quote that nobody closes takes all that follows it: its own cell is told. Red with the csv module's line
    alone."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=misread.delimiter_of(text[:3]), strict=True)
    line = 1
    with pytest.raises(csv.Error) as error:
        for _ in reader:
            line = reader.line_num + 1
    told = str(misread.of_csv(Path("fleet.csv"), text, line, error.value))
    assert told.startswith(f"fleet.csv{where}: no CSV table: {why}"), told
    for language in OTHERS:
        assert english_left(Words(language).said(told).partition(": ")[2]) == [], language


def test_a_quote_that_is_left_open_is_told_in_its_cell(table: Tables) -> None:
    (told,) = troubles(table(HEADER, GOOD, GOOD.replace("one", "two").replace("Somewhere", '"Somewhere'), GOOD))
    assert told == "fleet.csv:3:3: no CSV table: unexpected end of data"


# -- both files in one run


def test_a_file_that_cannot_be_read_hides_no_mistake_of_the_other(table: Tables) -> None:
    """Red where the first of them ends the run; and where a row is blamed for a profile that nobody could read."""
    fibre = GOOD.replace("one", "two").replace("wifi", "fibre").replace("esp32", "pillar")
    file = table(HEADER, GOOD.replace("54.8753", "95"), fibre, toml=TOML + "[links.fibre\n")
    assert [told.partition(": ")[0] for told in troubles(file)] == ["fleet.csv:2:4 (lat)", "fleet.toml:7:13"]
    file.with_name("fleet.toml").write_bytes('[wifi]\nssid = "Абай"\n'.encode("cp1251"))
    assert [told.partition(": ")[0] for told in troubles(file)] == ["fleet.csv:2:4 (lat)", "fleet.toml:2:9"]
    file = table(HEADER, GOOD, toml=TOML + "[brokre]\n")
    file.write_bytes(file.read_bytes() + "Абай".encode("cp1251"))
    assert [told.partition(": ")[0] for told in troubles(file)] == ["fleet.csv:3:1", "fleet.toml:7:1"]


def test_a_rows_own_addresses_wait_for_the_profile_that_nobody_could_read(table: Tables) -> None:
    """What a row leaves to fleet.toml is no mistake of the row; what it has wrong itself is."""
    wide = HEADER + ",ip,netmask"
    file = table(wide, GOOD + ",10.0.0.7,", GOOD.replace("one", "two") + ",10.0.0.300,", toml=TOML + "[links.fibre\n")
    assert [told.partition(": ")[0] for told in troubles(file)] == ["fleet.csv:3:12 (ip)", "fleet.toml:7:13"]


def test_a_mistake_of_a_profile_is_told_once_where_it_stands(table: Tables) -> None:
    """And not in each row that has it, as if it were the row's. Red without `fleet._in_profile`."""
    toml = TOML + '[links.fibre]\ntype = "ethernet"\nphy = "PHY_LAN8720"\nphy_addr = 99\nmdc = 23\nmdio = 18\n'
    toml += '[pins.odd]\nchip = "esp32"\nlamp_red = 34\n'
    row = GOOD.replace("wifi", "fibre").replace("esp32", "odd")
    told = troubles(table(HEADER, row, row.replace("one", "two"), toml=toml))
    assert [one.partition(" found")[0] for one in told] == [
        "fleet.toml:10:1: link.phy_addr:", "fleet.toml:15:1: pins.lamp_red:",
    ]  # fmt: skip
