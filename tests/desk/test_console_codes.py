"""A technician's one-time code from the desk: for whoever is on duty, written down, and only with the column's key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher
from desk_rig import DeskRig, add_account

from common import console_code
from desk.web.audit import FILE
from desk.web.roles import AUDITOR, CHIEF, OPERATOR

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
COLUMN, STOLEN, CHALLENGE = "petropavl-07", "petropavl-09", "16777300-1"
KEY = "ab" * 32
PATH = f"/api/columns/{COLUMN}/code"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskRig]:
    folder = tmp_path_factory.mktemp("desk")
    keys = folder / "keys.json"
    keys.write_text(json.dumps({"v": 1, "columns": {COLUMN: KEY, STOLEN: KEY}, "revoked": [STOLEN]}))
    keys.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("desk.web.accounts.PasswordHasher", lambda: CHEAP)
        for role in (OPERATOR, CHIEF, AUDITOR):
            add_account(folder / "desk", role, role)
        rig = DeskRig(folder / "desk", None, "--column-keys", str(keys))
        yield rig
        rig.close()


def entries(desk: DeskRig) -> list[dict[str, Any]]:
    lines = (desk.server.desk.register.path.parent / FILE).read_text("utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if "console code" in entry["what"]]


def test_whoever_is_on_duty_gets_the_code_and_is_written_down(desk: DeskRig) -> None:
    """Red when nothing is entered, or the code itself is."""
    for role in (OPERATOR, CHIEF):
        desk.log_in(role)
        before = len(entries(desk))
        answer = desk.post(PATH, {"challenge": CHALLENGE})
        assert answer.status == 200 and answer.json == {"code": console_code.code(bytes.fromhex(KEY), CHALLENGE)}
        (entry,) = entries(desk)[before:]
        assert entry["name"] == role and entry["what"] == f"console code of {COLUMN} for {CHALLENGE}"
        assert answer.json["code"] not in json.dumps(entries(desk))


def test_nobody_else_gets_one(desk: DeskRig) -> None:
    desk.log_in(AUDITOR)
    before = entries(desk)
    assert desk.post(PATH, {"challenge": CHALLENGE}).json["code"] == "role-auditor"
    desk.post("/api/logout")
    assert desk.post(PATH, {"challenge": CHALLENGE}).status == 401
    assert entries(desk) == before


@pytest.mark.parametrize(
    ("column", "challenge", "status", "why"),
    [
        ("petropavl-08", CHALLENGE, 409, "code-keyless"),
        (STOLEN, CHALLENGE, 409, "code-keyless"),
        (COLUMN, "17", 400, "code-challenge"),
        (COLUMN, "16777300-99999999999", 400, "code-challenge"),
    ],
)
def test_what_there_is_no_code_for_is_refused(
    desk: DeskRig, column: str, challenge: str, status: int, why: str
) -> None:
    desk.log_in(OPERATOR)
    before = entries(desk)
    answer = desk.post(f"/api/columns/{column}/code", {"challenge": challenge})
    assert (answer.status, answer.json["code"]) == (status, why) and entries(desk) == before
