"""The columns' upkeep over HTTP, as the page, a spreadsheet program and a passer-by ask for it: one desk with two
columns on its roster, of which one has never come online."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from column_probe import need
from desk_rig import Answer, DeskRig, Speaker, wait_for
from desk_words import LANGUAGES, words

from common.receiver import label_key
from desk.spoken import reasons
from desk.upkeep.life import CAUSES, DOWN
from desk.web.views import with_reason
from sim.servers.broker import Mosquitto

pytestmark = pytest.mark.mosquitto

HERE, ABSENT = "petropavl-01", "petropavl-02"
KEY = bytes(range(32))
PLACE = {"region": "nko", "address": "Abay 1", "geo": "geo:54.8753,69.1628", "site": "public", "stream": ["rtsp"]}
ENOUGH_MS = 3_600_000


@pytest.fixture(scope="module")
def own_broker() -> Iterator[Mosquitto]:
    need("mosquitto")
    with Mosquitto() as running:
        yield running


@pytest.fixture(scope="module")
def desk(own_broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskRig]:
    folder = tmp_path_factory.mktemp("upkeep")
    rows = [{"device_id": name, **PLACE} for name in (HERE, ABSENT)]
    roster, key = folder / "roster.json", folder / "answer.key"
    roster.write_text(json.dumps({"v": 1, "centre": "nko-102", "columns": rows}))
    key.write_text(KEY.hex())
    rig = DeskRig(folder / "desk", own_broker, "--roster", str(roster), "--answer-key", str(key))
    speaker = Speaker(own_broker)
    for kind in ("state", "info", "heartbeat"):
        speaker.say(kind, HERE)
    wait_for(lambda: row(rig.get("/api/upkeep").json["columns"], ABSENT)["state"] == DOWN, "one that never came")
    wait_for(lambda: row(rig.get("/api/upkeep").json["columns"], HERE)["since_ms"], "one that came")
    yield rig
    speaker.close()
    rig.close()


def row(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(one for one in rows if one["device_id"] == name)


def table(answer: Answer) -> list[dict[str, str]]:
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig")), delimiter=";"))


def test_the_roster_is_shown_counted_and_exported(desk: DeskRig) -> None:
    """Red when a column that has never come appears nowhere, or only on the page."""
    found = desk.get("/api/upkeep").json
    assert found["share"]["total"] == 2 and found["share"]["down"] >= 1
    absent = row(table(desk.get("/api/upkeep.csv")), ABSENT)
    assert absent["state"] == DOWN and "never-online" in absent["findings"] and absent["button"] == "unproven"


def test_a_month_and_a_year_are_a_table_and_a_picture(desk: DeskRig) -> None:
    """Red when the table, the file and the picture do not know the same columns, or the picture speaks English only."""
    now = datetime.now().astimezone()
    month = desk.get(f"/api/life?month={now:%Y-%m}").json
    file = table(desk.get(f"/api/life.csv?month={now:%Y-%m}"))
    assert {one["device_id"] for one in month["columns"]} | {"*"} == {one["device_id"] for one in file}
    assert all(int(one["none_min"]) == 0 for one in file) and month["total"]["none"] == 0
    for language in LANGUAGES:
        answer = desk.get(f"/api/life.svg?year={now:%Y}&language={language}")
        assert answer.headers["Content-Type"].startswith("image/svg+xml")
        drawn = "".join(xml.etree.ElementTree.fromstring(answer.body).itertext())
        assert ABSENT in drawn and all(words(language)[f"cause.{cause}"] in drawn for cause in CAUSES)
    for wrong in (
        "/api/life?month=2026-13",
        "/api/life?month=26",
        "/api/life.svg?year=26",
        "/api/life.svg?year=2026&language=xx",
    ):
        assert desk.get(wrong).status == 400, wrong


def test_a_cause_is_changed_with_a_reason_and_never_silently(desk: DeskRig) -> None:
    """Red when it can be changed without a reason, or when who changed it, from what and why is not told."""
    down = desk.get(f"/api/columns/{ABSENT}/downtime").json["down"]
    where, document = (
        f"/api/columns/{ABSENT}/correct",
        {"from_ms": down[0]["from_ms"], "cause": "works", "by": "D. Chief"},
    )
    for wrong in ({}, {"reason": " "}, {"reason": "x", "cause": "weather"}, {"reason": "x", "from_ms": 1}):
        assert 400 <= desk.post(where, {**document, **wrong}).status < 500, wrong
    assert desk.get(f"/api/columns/{ABSENT}/downtime").json["corrections"] == []
    assert desk.post(where, {**document, "reason": "not mounted yet"}).status == 204
    told = desk.get(f"/api/columns/{ABSENT}/downtime").json
    assert told["down"][0]["cause"] == "works"
    (change,) = told["corrections"]
    assert (change["was"], change["cause"], change["reason"]) == ("unknown", "works", "not mounted yet")
    assert change["by"] and change["at_ms"]


def test_an_order_goes_from_hand_to_hand(desk: DeskRig) -> None:
    """Red when one of its steps is lost between the page and the register."""
    opened = desk.post(
        f"/api/columns/{HERE}/order", {"what": "new lens", "who": "A. Omarov", "cause": "camera", "by": "x"}
    )
    assert opened.status == 201 and opened.json["what"] == "new lens"
    one = f"/api/orders/{opened.json['n']}"
    until_ms = opened.json["opened_ms"] + ENOUGH_MS
    assigned = desk.post(one + "/assign", {"who": "B. Serikov", "until_ms": until_ms, "by": "x"}).json
    assert (assigned["who"], assigned["until_ms"]) == ("B. Serikov", until_ms)
    assert desk.post(one + "/assign", {"who": "B. Serikov", "until_ms": 1, "by": "x"}).status in (400, 409)
    assert desk.post("/api/orders/99/assign", {"who": "B. Serikov", "by": "x"}).json["code"] == "no-order"
    assert desk.post("/api/orders/none/finish", {"by": "x"}).status == 404
    assert desk.post(one + "/finish", {"by": "x"}).status == 200
    listed = [each["n"] for each in desk.get("/api/upkeep").json["orders"]]
    assert opened.json["n"] in listed, "it is over when a drill has passed, not when somebody says so"


def test_a_passer_by_learns_what_the_label_lets_them_learn(desk: DeskRig) -> None:
    """Without a login: the share, without a name; one column's state for who has read its label. Red when a name alone
    opens it, when a cause is told, or when a key opens another column."""
    cookies = list(desk._browser.cookie_jar)
    desk._browser.cookie_jar.clear()
    link, desk._link = desk._link, ""
    try:
        shown = desk.get("/public.json")
        assert shown.status == 200 and HERE not in shown.body.decode() and shown.json["total"] == 2
        assert desk.get("/api/upkeep").status == 401, "they are not logged in"
        for name, key in (
            (ABSENT, ""),
            (ABSENT, label_key(KEY, HERE)),
            ("petropavl-99", label_key(KEY, "petropavl-99")),
        ):
            assert desk.get(f"/public.json?column={name}&key={key}").status == 404, (name, key)
        mine = desk.get(f"/public.json?column={ABSENT}&key={label_key(KEY, ABSENT)}").json
        assert mine["state"] == "out" and not {"cause", "why", "links", "faults"} & mine.keys()
    finally:
        desk._link = link
        desk._browser.cookie_jar.update_cookies({one.key: one for one in cookies})


def test_why_something_is_refused_comes_in_the_pages_language(desk: DeskRig, own_broker: Mosquitto) -> None:
    """A new roster, a command: the page had English within its own sentence. Red when a reason is given as it stands;
    a program that asks for no language gets it so. A column's own text that is no reason stays."""
    file = Path(desk.server.desk.register.path).parent.parent / "roster.json"
    good = file.read_text()
    file.write_text(good.replace('"site": "public"', '"site": "moon"', 1))
    wait_for(lambda: desk.get("/api/upkeep").json["roster_refused"], "the new roster is refused")
    refused = {one: desk.get(f"/api/upkeep?language={one}").json["roster_refused"] for one in LANGUAGES}
    file.write_text(good)
    assert "must be public or school" in refused["en"] == desk.get("/api/upkeep?language=en").json["roster_refused"]
    assert "указано 'moon', а нужно: public или school" in refused["ru"]
    assert "must" not in refused["kk"] and len({*refused.values()}) == 3

    speaker, path = Speaker(own_broker), f"/api/columns/{HERE}/events"
    speaker.say("result", HERE, ok=False, error="refused: a drill is under way")
    wait_for(lambda: any(one["event"] == "result" for one in desk.get(path).json), "the answer at the desk")
    speaker.close()
    said = {
        one: next(row["detail"]["error"] for row in desk.get(f"{path}?language={one}").json if row["event"] == "result")
        for one in LANGUAGES
    }
    assert said["en"] == "refused: a drill is under way" and said["ru"] == "не выполнено: идёт пробный вызов"
    assert said["kk"].startswith("орындалмады: ")
    for one in (f"{path}?language=xx", "/api/upkeep?language=xx"):
        assert desk.get(one).status == 400


def test_why_a_step_failed_is_turned_and_nothing_else_of_it() -> None:
    detail = {"tell": "Dana", "why": "timeout: nobody answers within 6 s"}
    step = {"kind": "step-failed", "by": "desk", "detail": detail}
    shown = with_reason(step, reasons("ru"))
    assert shown["detail"] == {"tell": "Dana", "why": "нет ответа: за 6 с никто не отвечает"}
    assert detail["why"].startswith("timeout"), "the register's own stays as it is"
    assert with_reason({"detail": "text"}, reasons("ru")) == {"detail": "text"}
    assert reasons("ru")("HTTP 500 " * 100) == "HTTP 500 " * 100
