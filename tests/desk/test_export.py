"""The register as files: what was written is read again, and no spreadsheet finds a formula in it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from contract_examples import example
from hypothesis import given, settings
from hypothesis import strategies as st

from common import spreadsheet
from desk import export

# What a spreadsheet takes for the beginning of a formula, and what it drops in front of one.
FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u00a0=1",
    "\ufeff=1",
    "\u200b=1",
    "＝1",
    "＠x",
)
SOUTH = "-54.8753"  # a latitude, which is a number
SAFE = spreadsheet.safe
texts = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="=+-@'\t\r\n\",; \u200b\ufeffа0", max_size=8),
    st.sampled_from(FORMULAS),
    st.tuples(st.sampled_from(("a", "Abay 1", '"')), st.sampled_from(";,\t|\n"), st.sampled_from(FORMULAS)).map(
        "".join
    ),
)


def incident(**changes: Any) -> dict[str, Any]:
    _, alarm = example("alarm")
    made = {
        "id": alarm["id"], "device_id": alarm["device_id"], "region": "nko", "status": "actual", "site": "public",
        "press": 1, "transmissions": 2, "reopened": 0, "state": "closed", "by": "operator 4", "outcome": "help-given",
        "misuse": "", "note": "", "late": False, "clock": "ntp", "age_ms": 61, "raised_ms": 1_795_340_467_250,
        "received_ms": 1_795_340_467_330, "accepted_ms": 1_795_340_475_000, "dispatched_ms": None, "closed_ms": None,
        "location": {**alarm["location"], "lat": float(SOUTH), "lon": 69.1628}, "stream": alarm["stream"],
        "faults": ["tamper", "supply"], "fw": "0.1.0", "first_press": 1,
        "legs": {
            "contact_to_sent_ms": 61, "sent_to_desk_ms": 19, "desk_to_register_ms": 4, "register_to_answer_ms": None,
        },
    }  # fmt: skip
    return {**made, **changes}


def written(*incidents: dict[str, Any]) -> str:
    return "".join(export.csv_text(incidents))


def runs(cell: str) -> bool:
    """Whether a spreadsheet might take the cell for a formula."""
    return is_formula(cell) or cell.startswith(("\t", "\r", "\n"))


def is_formula(cell: str) -> bool:
    seen = "".join(char for char in cell if char.isprintable() and not char.isspace())
    return seen.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))


def test_a_table_is_read_as_it_was_written() -> None:
    (row,) = export.read_csv(written(incident(note='он сказал: "да",\r\nи ушёл')))
    assert tuple(row) == export.FIELDS
    assert row["note"] == 'он сказал: "да",\r\nи ушёл'
    assert row["address"] == "Петропавл, Қазақстан Конституциясы көшесі, 23"
    assert (row["lat"], row["age_ms"], row["late"], row["faults"]) == ("-54.8753", "61", "no", "tamper supply")
    assert (row["received"], row["closed"], row["closed_ms"]) == ("2026-11-22T09:41:07.330Z", "", "")


def test_it_opens_in_columns_where_the_list_separator_is_a_semicolon() -> None:
    text = written(incident(address="Abay 1;=1+1;x")).removeprefix(spreadsheet.BOM)
    head, row = csv.reader(io.StringIO(text, newline=""), delimiter=";")
    assert tuple(head) == export.FIELDS and len(row) == len(head)


def test_what_is_a_formula_behind_a_separator_is_none_any_more() -> None:
    assert (
        spreadsheet.safe("Abay 1;=1+1;x") == "Abay 1;'=1+1;x"
        and spreadsheet.unsafe("Abay 1;'=1+1;x") == "Abay 1;=1+1;x"
    )


def hold_round_trip(safe: Callable[[str], str]) -> None:
    @settings(max_examples=400, deadline=None, derandomize=True, report_multiple_bugs=False)
    @given(texts, texts)
    def check(note: str, by: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(spreadsheet, "safe", safe)
            text = written(incident(note=note, by=by), incident())
        rows = export.read_csv(text)
        kept = [each.replace("\0", "\ufffd") for each in (note, by)]
        assert [rows[0]["note"], rows[0]["by"]] == kept and rows[1]["note"] == ""
        for separator in ";,\t|":
            for cells in csv.reader(io.StringIO(text.removeprefix(spreadsheet.BOM), newline=""), delimiter=separator):
                wrong = runs if separator == ";" else is_formula
                assert [cell for cell in cells if wrong(cell) and cell != SOUTH] == [], separator

    check()


def test_any_text_comes_back_and_none_is_a_formula() -> None:
    hold_round_trip(spreadsheet.safe)


@pytest.mark.parametrize(
    "safe",
    [
        lambda text: text,
        lambda text: "'" + text if text[:1] in ("=", "+", "-", "@") else text,  # spaces in front, and apostrophes
        lambda text: "'" + text if text[:1] in spreadsheet.DANGEROUS else text,  # nothing behind a separator
        lambda text: "'" + text if SAFE(text) != text and text[:1] != "'" else text,  # an apostrophe of its own
    ],
    ids=["none", "first-character-only", "first-cell-only", "own-apostrophe-lost"],
)
def test_a_cell_that_is_not_made_safe_is_noticed(safe: Callable[[str], str]) -> None:
    with pytest.raises(AssertionError):
        hold_round_trip(safe)


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_texts(text: str) -> None:
    assert runs(text) and not runs(spreadsheet.safe(text))


def test_what_no_file_can_hold_is_replaced() -> None:
    (row,) = export.read_csv(written(incident(note="a\0b\ud800c")))
    assert row["note"] == "a\ufffdb?c"


def test_json_is_read_as_it_was_written() -> None:
    given = [incident(note="</script>\ud800"), incident(id="petropavl-01-18-1")]
    document = json.loads("".join(export.json_text(given, desk="desk-1")))
    assert document == {"desk": "desk-1", "incidents": given}
    assert json.loads("".join(export.json_text([])))["incidents"] == []
