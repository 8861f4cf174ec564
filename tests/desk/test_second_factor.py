"""Second factors: codes by the clock, each once; recovery codes; limits; a chief and the command line as ways out."""

from __future__ import annotations

import errno
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyotp
import pytest
from desk_rig import PASSWORD, Answer, DeskRig, add_account, audited

from desk import command
from desk.broker_options import SetupError
from desk.web import roles, second_factor
from desk.web.accounts import Accounts
from desk.web.roles import CHIEF, ROLES
from desk.web.second_factor import (
    FILE,
    PENDING_S,
    RECOVERY_CODES,
    STEP_S,
    WRONG_MAX,
    WRONG_WINDOW_S,
    CodeTries,
    SecondFactorError,
    SecondFactors,
)

NAME = "Ерлан 4"
BEGIN_S = 1_795_000_000.0


class Clock:
    """The desk's, and the telephone's."""

    def __init__(self) -> None:
        self.now_s = BEGIN_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def factors(tmp_path: Path, clock: Clock) -> SecondFactors:
    return SecondFactors(tmp_path, clock)


def code_of(secret: str, at_s: float) -> str:
    """As an authenticator program shows it at that time."""
    return pyotp.TOTP(secret).generate_otp(int(at_s) // STEP_S)


def enrol(factors: SecondFactors, clock: Clock, name: str = NAME) -> tuple[str, list[str]]:
    """Secret and recovery codes; half a minute later, so that the next code is another one."""
    secret = factors.begin(name)
    recovery = factors.confirm(name, code_of(secret, clock.now_s))
    assert recovery is not None
    clock.now_s += STEP_S
    return secret, recovery


# -- the rules


def test_codes_are_those_of_the_standard(factors: SecondFactors) -> None:
    """RFC 6238, appendix B, SHA-1; its last six digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert [code_of(secret, at_s) for at_s in (59, 1_111_111_109, 20_000_000_000)] == ["287082", "081804", "353130"]


def test_it_counts_from_the_first_code_on_and_not_before(factors: SecondFactors, clock: Clock) -> None:
    assert factors.confirm(NAME, "000000") is None
    secret = factors.begin(NAME)
    assert factors.left(NAME) is None and factors.check(NAME, "whatever"), "nothing is wanted yet"
    assert factors.confirm(NAME, "12345") is None
    clock.now_s += PENDING_S
    assert factors.confirm(NAME, code_of(secret, clock.now_s)) is None, "that was too long ago"
    enrol(factors, clock)
    assert factors.left(NAME) == RECOVERY_CODES and not factors.check(NAME, "000000")


def test_a_full_disk_keeps_nobody_from_logging_in_and_lets_no_code_count_twice(
    factors: SecondFactors, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Red while the code had to be written down first, and where it is forgotten for want of room. To set one up needs
    room: what is lost with the process would be nobody's second factor."""

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    secret, recovery = enrol(factors, clock)
    monkeypatch.setattr("desk.web.second_factor.replace", full)
    for code in (code_of(secret, clock.now_s), recovery[0]):
        assert factors.check(NAME, code) and not factors.check(NAME, code)
    other = factors.begin("anna")
    with pytest.raises(OSError, match="No space"):
        factors.confirm("anna", code_of(other, clock.now_s))
    monkeypatch.undo()
    clock.now_s += STEP_S
    assert factors.check(NAME, code_of(secret, clock.now_s))
    assert SecondFactors(tmp_path, clock).left(NAME) == RECOVERY_CODES - 1, "written as soon as there is room"


@pytest.mark.parametrize(("off_steps", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_telephone_may_be_one_step_off(factors: SecondFactors, clock: Clock, off_steps: int, counts: bool) -> None:
    """Red when WINDOW is wider or narrower."""
    secret, _ = enrol(factors, clock)
    clock.now_s += 10 * STEP_S
    assert factors.check(NAME, code_of(secret, clock.now_s + off_steps * STEP_S)) is counts


def test_a_code_counts_once_also_after_a_restart(factors: SecondFactors, clock: Clock, tmp_path: Path) -> None:
    """Red when the step is not kept, or an older code is taken after a newer one."""
    secret = factors.begin(NAME)
    first = code_of(secret, clock.now_s)
    assert factors.confirm(NAME, first) is not None
    assert not factors.check(NAME, first), "that of the beginning, too"
    clock.now_s += 2 * STEP_S
    older, newer = (code_of(secret, clock.now_s - back_s) for back_s in (STEP_S, 0))
    assert factors.check(NAME, newer[:3] + " " + newer[3:]), "as programs show it"
    for used in (newer, older):
        assert not factors.check(NAME, used)
        assert not SecondFactors(tmp_path, clock).check(NAME, used)


def test_of_many_who_say_one_code_at_once_one_gets_in(factors: SecondFactors, clock: Clock, tmp_path: Path) -> None:
    """Two processes as well. Red when reading, judging and writing are not one step."""
    secret, _ = enrol(factors, clock)
    code, taken = code_of(secret, clock.now_s), []
    ready = threading.Barrier(8)

    def tries(mine: SecondFactors) -> None:
        ready.wait()
        taken.append(mine.check(NAME, code))

    others = [factors if n % 2 else SecondFactors(tmp_path, clock) for n in range(8)]
    threads = [threading.Thread(target=tries, args=(one,)) for one in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


def test_each_recovery_code_counts_once_however_typed(factors: SecondFactors, clock: Clock, tmp_path: Path) -> None:
    _, recovery = enrol(factors, clock)
    assert len(set(recovery)) == RECOVERY_CODES and all(len(code) == 19 for code in recovery)
    assert factors.check(NAME, recovery[3].upper().replace("-", " "))
    assert not factors.check(NAME, recovery[3]) and factors.left(NAME) == RECOVERY_CODES - 1
    assert factors.check(NAME, recovery[0])
    text = (tmp_path / FILE).read_text()
    assert not any(code in text or code.replace("-", "") in text for code in recovery)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_damaged_file_opens_nothing(factors: SecondFactors, clock: Clock, tmp_path: Path) -> None:
    enrol(factors, clock)
    (tmp_path / FILE).write_text("{")
    assert not factors.check(NAME, "000000") and factors.left(NAME) == RECOVERY_CODES
    with pytest.raises(SecondFactorError, match=r"column 2 on\); restore it .* set up anew"):
        SecondFactors(tmp_path, clock)


def test_what_lies_beside_the_factors_is_their_owners_only_too(
    factors: SecondFactors, clock: Clock, tmp_path: Path
) -> None:
    """The lock was 0644, and whoever holds it keeps everybody from logging in. Red without `private`."""
    enrol(factors, clock)
    assert {one.name: oct(one.stat().st_mode & 0o777) for one in tmp_path.iterdir()} == {
        FILE: "0o600",
        second_factor.LOCK_FILE: "0o600",
    }


def test_who_has_the_password_does_not_get_far_with_guessing() -> None:
    """And shuts nobody out: recovery codes and the owner's own browser go on. Red when `begin` does not count."""
    clock = Clock()
    tries = CodeTries(clock)
    waits = [tries.begin(NAME, f"{n:06}", known=False) for n in range(WRONG_MAX + 2)]
    assert waits[:WRONG_MAX] == [0.0] * WRONG_MAX and waits[WRONG_MAX:] == [WRONG_WINDOW_S] * 2
    assert tries.begin(NAME, "abcd-efgh-ijkl-mnop", known=False) == 0.0 == tries.begin(NAME, "000000", known=True)
    clock.now_s += WRONG_WINDOW_S
    assert tries.begin(NAME, "000000", known=False) == 0.0
    tries.succeeded(NAME, known=False)
    assert [tries.begin(NAME, "000000", known=False) for _ in range(WRONG_MAX)] == [0.0] * WRONG_MAX


# -- at the desk


@pytest.fixture
def desk(folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskRig]:
    monkeypatch.setattr(second_factor.SecondFactors.__init__, "__defaults__", (clock,))
    for role in ROLES:
        add_account(folder, role, role)
    rig = DeskRig(folder, None)
    yield rig
    rig.close()


def switch_on(desk: DeskRig, clock: Clock) -> tuple[str, list[str]]:
    begun = desk.post("/api/second-factor/begin", {"password": PASSWORD}).json
    secret: str = begun["secret"]
    assert begun["uri"].startswith("otpauth://totp/SOS%20desk-1:") and secret in begun["uri"]
    assert begun["qr"].startswith("data:image/svg+xml")
    confirmed = desk.post("/api/second-factor/confirm", {"code": code_of(secret, clock.now_s)})
    recovery: list[str] = confirmed.json["recovery"]
    clock.now_s += STEP_S
    return secret, recovery


def log_in(desk: DeskRig, name: str, code: str | None = None) -> Answer:
    document: dict[str, Any] = {"name": name, "password": PASSWORD}
    return desk.post("/api/login", document if code is None else {**document, "code": code})


def audit(folder: Path) -> list[str]:
    return [line["what"] for line in audited(folder)]


def test_from_then_on_the_password_alone_opens_nothing(desk: DeskRig, folder: Path, clock: Clock) -> None:
    """Red when login.py does not ask for the code."""
    desk.log_in("operator")
    assert desk.get("/api/me").json["second_factor"] is None
    assert desk.post("/api/second-factor/begin", {"password": "wrong horse"}).json["code"] == "password-wrong"
    assert desk.post("/api/second-factor/confirm", {"code": "123456"}).json["code"] == "factor-code"
    secret, recovery = switch_on(desk, clock)
    assert desk.get("/api/me").json["second_factor"] == {"recovery_left": RECOVERY_CODES}
    assert desk.post("/api/second-factor/begin", {"password": PASSWORD}).json["code"] == "factor-there"
    desk.forget()
    for code, status, said in (
        (None, 401, "login-code"), ("000000", 401, "login-code-wrong"), (code_of(secret, clock.now_s), 204, ""),
        (code_of(secret, clock.now_s), 401, "login-code-wrong"), (recovery[0], 204, ""),
        (recovery[0], 401, "login-code-wrong"),
    ):  # fmt: skip
        answer = log_in(desk, "operator", code)
        assert answer.status == status and (status == 204 or answer.json["code"] == said), code
        assert status == 204 or "Set-Cookie" not in answer.headers
    assert log_in(desk, "chief").status == 204, "it is nobody else's"
    assert "second factor on" in audit(folder) and audit(folder).count("wrong code") == 3


def test_switching_it_off_takes_password_and_code(desk: DeskRig, clock: Clock) -> None:
    desk.log_in("operator")
    _, recovery = switch_on(desk, clock)
    path, right = "/api/second-factor/remove", {"password": PASSWORD, "code": recovery[1]}
    for wrong, code in (
        ({"password": "wrong horse"}, "password-wrong"), ({"code": "000000"}, "login-code-wrong"),
        ({"code": ""}, "login-code"),
    ):  # fmt: skip
        answer = desk.post(path, {**right, **wrong})
        assert (answer.status, answer.json["code"]) == (403, code)
    assert desk.post(path, right).status == 204
    assert desk.get("/api/me").json["second_factor"] is None and log_in(desk, "operator").status == 204


def test_codes_are_not_guessed_at_the_desk(
    desk: DeskRig, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when `prove_code` counts no tries: parallel ones included, for it counts first."""
    monkeypatch.setattr("desk.web.sessions.TRIES", 100)
    monkeypatch.setattr("desk.web.sessions.ADDRESS_TRIES", 100)
    desk.log_in("operator")
    secret, recovery = switch_on(desk, clock)
    desk.forget()
    for _ in range(WRONG_MAX):
        assert log_in(desk, "operator", "000000").json["code"] == "login-code-wrong"
        desk.forget()
    late = log_in(desk, "operator", code_of(secret, clock.now_s))
    assert (late.status, late.json["code"]) == (429, "code-wait") and int(late.headers["Retry-After"]) > 3000
    assert log_in(desk, "operator", recovery[0]).status == 204, "nobody is shut out"
    assert "too many wrong codes" in audit(folder)


def test_a_chief_resets_it_and_the_command_line_for_a_chief(desk: DeskRig, folder: Path, clock: Clock) -> None:
    desk.log_in("operator")
    switch_on(desk, clock)
    desk.log_in("chief")
    assert [(one["name"], one["second_factor"]) for one in desk.get("/api/accounts").json] == [
        ("auditor", False), ("chief", False), ("operator", True),
    ]  # fmt: skip
    reset = "/api/second-factor/reset"
    assert desk.post(reset, {"name": "operator"}).status == 204
    assert desk.post(reset, {"name": "operator"}).json["code"] == "factor-none"
    assert not [one for one in desk.get("/api/sessions").json if one["name"] == "operator"], "they may be a thief's"
    assert log_in(desk, "operator").status == 204
    assert desk.post(reset, {"name": "chief"}).json["code"] == "role-chief"
    assert log_in(desk, "chief").status == 204
    switch_on(desk, clock)
    assert desk.post(reset, {"name": "chief"}).json["code"] == "factor-own", "that would be a way around the code"
    assert log_in(desk, "chief").json["code"] == "login-code"
    assert command.main(["account", "reset-second-factor", "chief", "--folder", str(folder)]) == 0
    assert command.main(["account", "reset-second-factor", "chief", "--folder", str(folder)]) == 2
    assert log_in(desk, "chief").status == 204, "at once, without a restart"


def test_an_account_that_is_removed_leaves_no_second_factor_to_the_next(tmp_path: Path, clock: Clock) -> None:
    accounts = Accounts(tmp_path)
    accounts.add(NAME, PASSWORD)
    secret = accounts.factors.begin(NAME)
    assert accounts.factors.confirm(NAME, pyotp.TOTP(secret).now()) is not None
    accounts.add(NAME, PASSWORD + "!")
    assert accounts.factors.left(NAME) is not None, "a new password is no way around it"
    accounts.remove(NAME)
    accounts.add(NAME, PASSWORD)
    assert accounts.factors.left(NAME) is None


# -- where everybody needs one


@pytest.fixture
def strict(folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskRig]:
    monkeypatch.setattr("desk.web.feed.TICK_S", 0.1)
    monkeypatch.setattr(second_factor.SecondFactors.__init__, "__defaults__", (clock,))
    for role in ROLES:
        add_account(folder, role, role)
    rig = DeskRig(folder, None, "--second-factor", "required")
    yield rig
    rig.close()


def test_who_has_none_sets_one_up_before_anything_else(strict: DeskRig, clock: Clock) -> None:
    """Red when `Guard._check` does not ask whether somebody owes one, for any request of the table."""
    strict.log_in("chief")
    gets = [name.split(" ")[1] for name in roles.REQUESTS if name.startswith("GET ") and " " not in name[4:]]
    closed = [path for path in gets if f"GET {path}" not in roles.ENROLLING]
    assert len(closed) > 15 and "/api/feed" in closed and "/api/incidents" in closed and "/api/me" not in closed
    for path in closed:
        answer = strict.get(re.sub(r"{\w+}", "1", path))
        assert (answer.status, answer.json["code"]) == (403, "factor-first"), path
    for path in ("/api/columns/a/command", "/api/password", "/api/second-factor/reset", "/api/sessions/end"):
        assert strict.post(path).json["code"] == "factor-first", path
    assert strict.get("/api/me").json["may"] == roles.allowed(CHIEF, enrolling=True)
    _, recovery = switch_on(strict, clock)
    assert strict.get("/api/incidents").status == 200 and "GET /api/feed" in strict.get("/api/me").json["may"]
    assert log_in(strict, "operator").status == 204
    assert strict.get("/api/incidents").json["code"] == "factor-first", "each needs a factor of their own"
    assert log_in(strict, "chief", recovery[0]).status == 204 and strict.get("/api/incidents").status == 200


def test_the_feed_ends_for_who_switches_it_off(strict: DeskRig, clock: Clock) -> None:
    """Red when the feed asks only who is logged in."""
    strict.log_in("operator")
    _, recovery = switch_on(strict, clock)
    with strict.watch() as watch:
        assert watch.next() is not None
        assert strict.post("/api/second-factor/remove", {"password": PASSWORD, "code": recovery[0]}).status == 204
        while watch.next() is not None:
            pass
    assert strict.get("/api/columns").json["code"] == "factor-first"


def test_a_desk_that_demands_it_needs_accounts(tmp_path: Path) -> None:
    """Else whoever holds the printed link would need none."""
    arguments = command.parse(["--broker", "127.0.0.1:9", "--folder", str(tmp_path), "--second-factor", "required"])
    with pytest.raises(SetupError, match="needs accounts"):
        command._guard(arguments, tmp_path)
    add_account(tmp_path, "chief", CHIEF)
    guard = command._guard(arguments, tmp_path)
    Accounts(tmp_path).remove("chief")
    assert guard.with_accounts, "nor when the last account goes while it runs"
