"""The lines about the way to the centre. A column tells its last error, which names the step where the way ends."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from field.diag.board_checks import SoFar
from field.diag.dates import Dates, dates_of
from field.diag.finding import Finding, Untold, Verdict, fails, passes, warns
from field.diag.interview import Column, untold
from field.words import listed

SIGNAL_WEAK_DBM = -75
CERTIFICATE_DAYS = 30
ANSWER_SLOW_MS = 5000
_REFUSED = "TLS: the broker's certificate is refused: "
WAY = ("link", "lookup", "broker", "tls", "login")  # in the order in which the column goes it


class End(NamedTuple):
    """Where the way ends: the line that fails, and what it says."""

    line: str
    says: str


# What the column says of its last attempt, and at its end in which stage that ended -> the line. The first that fits.
_ENDS = tuple(
    (re.compile(pattern, re.IGNORECASE), End(line, says))
    for pattern, line, says in (
        (r"^the link is down", "link", "down"),
        (r"^no address for|@lookup", "lookup", "lost"),
        (r"certificate is refused", "tls", "broker-refused"),
        (r"the broker refuses us", "tls", "column-refused"),
        (r"^TLS|MBEDTLS|SSL|^\(?-\d{3,}", "tls", "broken"),
        (r"refused us: server unavailable", "broker", "unavailable"),
        (r"refused us: client id", "login", "client-id"),
        (r"refused us: (user|not authori)", "login", "password"),
        (r"refused us:", "login", "refused"),
        (r"hostile or broken packet", "login", "stranger"),
        (r"closed the connection", "login", "closed"),
        (r"no PUBACK|no answer to", "broker", "frozen"),
        (r"no session within.*@session", "broker", "frozen"),
        (r"no session within", "broker", "silent"),
        (r"@session", "tls", "broken"),
        (r"refused", "broker", "down"),
        (r"", "broker", "unreachable"),
    )
)


def way_end(column: Column) -> End | None:
    """Where the way to the centre ends; None: there is a session."""
    status = column.status
    if not status["link"]["up"]:
        return End("link", "down")
    if status["broker"]["session"]:
        return None
    error = _error(column)
    if not error:
        return End("broker", "untried")
    told = f"{error} @{status['broker'].get('failed_in')}"
    end = next(end for pattern, end in _ENDS if pattern.search(told))
    if end.line == "tls" and not status["broker"]["tls"]:
        return End("login", "closed")
    if end.says in ("closed", "frozen") and _expired(column) is not None:
        return End("tls", "broken")  # a broker may hang up on a certificate without a word
    return end


def _error(column: Column) -> str:
    return " ".join(str(column.status["broker"]["error"]).split())


def _passed(column: Column, line: str) -> End | None:
    """The end of the way when it is this line; None when the way goes on beyond it. Raises Untold before it."""
    end = way_end(column)
    if end is not None and WAY.index(end.line) < WAY.index(line):
        raise Untold("blocked", because=end.line)
    return end if end is not None and end.line == line else None


def _session(column: Column) -> None:
    """Raises Untold without one."""
    end = way_end(column)
    if end is not None:
        raise Untold("blocked", because=end.line)


def link(column: Column, _: SoFar) -> Finding:
    found = column.status["link"]
    if not found["up"] and found["kind"] == "ethernet":
        return fails("link", "unplugged", kind=found["kind"], status=found["status"])  # of no Wi-Fi is said a word
    if not found["up"]:
        return fails("link", "down", kind=found["kind"], status=found["status"])
    signal = found["rssi_dbm"]
    values = {key: found.get(key) or "-" for key in ("kind", "address", "netmask", "gateway")}
    if signal is None:
        return passes("link", "wired", **values)
    if signal < SIGNAL_WEAK_DBM:
        return warns("link", "weak", dbm=signal, **values)
    return passes("link", "ok", dbm=signal, **values)


def lookup(column: Column, _: SoFar) -> Finding:
    """`values["lost"]`: for what there is no address: broker, stream, clock."""
    end = _passed(column, "lookup")
    broker = column.status["broker"]
    answer = column.answers.get("net")
    found = answer.each("lookup") if answer else []
    lost = [one for one in found if one["address"] is None]
    if lost or end is not None:
        what = sorted({one["what"] for one in lost} | ({"broker"} if end is not None else set()))
        hosts = sorted({one["host"] for one in lost} | ({broker["host"]} if end is not None else set()))
        return fails("lookup", "lost", hosts=", ".join(hosts), lost=what)
    if found:
        slowest = max(one["ms"] for one in found)
        return passes("lookup", "ok", host=broker["host"], address=found[0]["address"], count=len(found), ms=slowest)
    if broker["address"] is None:
        column.told("net")
        raise Untold("cannot-say", command="net")
    return passes("lookup", "broker", host=broker["host"], address=broker["address"])


def broker(column: Column, _: SoFar) -> Finding:
    end, found = _passed(column, "broker"), column.status["broker"]
    values = {"host": found["host"], "port": found["port"], "address": found["address"] or "-"}
    if end is not None:
        return fails("broker", end.says, error=_error(column), **values)
    return passes("broker", "ok", **values)


def tls(column: Column, _: SoFar) -> Finding:
    end, found = _passed(column, "tls"), column.status["broker"]
    if not found["tls"]:
        return warns("tls", "plain")
    dates, expired = _dates(column), _expired(column)
    if expired is not None:
        return fails("tls", f"{expired.whose}-expired", name=expired.name, date=expired.day)
    early = next((one for one in dates if one.begins > column.now), None)
    if early is not None:
        return fails("tls", "early", name=early.name, date=early.begins.date().isoformat())
    if end is not None:
        error = _error(column)
        if "future" in error and column.status["clock"]["source"] == "none":
            raise Untold("blocked", because="clock")  # which stands in the past: certificates seem not valid yet
        is_old = end.says == "broker-refused" and "expired" in error
        why = error.removeprefix(_REFUSED)  # which the line says itself
        return fails("tls", "broker-old" if is_old else end.says, error=why, host=found["host"])
    if (detail := column.fault("certificate")) is not None:
        return fails("tls", "ends", detail=detail)
    if not dates:
        if "certs" not in column.answers:
            raise Untold("not-reached")
        return passes("tls", "undated")
    first = min(dates, key=lambda one: one.ends)
    days = (first.ends - column.now).days
    values = {"name": first.name, "date": first.day, "days": days}
    return warns("tls", "soon", **values) if days < CERTIFICATE_DAYS else passes("tls", "ok", **values)


def _dates(column: Column) -> list[Dates]:
    answer = column.answers.get("certs")
    said = answer.said if answer else {}
    own = [one for whose in ("own", "broker", "ca") for one in dates_of(whose, said.get(whose) or [])]
    return own + ([column.seen_broker] if column.seen_broker is not None else [])


def _expired(column: Column) -> Dates | None:
    return next((one for one in _dates(column) if one.ends <= column.now), None)


def login(column: Column, _: SoFar) -> Finding:
    end = _passed(column, "login")
    why = column.fault("duplicate-id")
    if why is not None:
        return fails("login", "rival", why=why or "-")
    if end is not None:
        return fails("login", end.says, error=_error(column))
    return passes("login", "ok", since=column.status["broker"]["since_s"])


def access(column: Column, _: SoFar) -> Finding:
    _session(column)
    why = column.fault("not-subscribed")
    if why is not None:
        return fails("access", "deaf", why=why or "-")
    why = column.fault("broker-refuses")
    if why is not None:
        return fails("access", "refuses", why=why or "-")
    answer = column.told("access")
    found = answer.said.get("access")
    if found is None:
        raise untold(answer)
    if found["foreign"]:
        return fails("access", "foreign")
    if found["own_ack"]:
        return fails("access", "own-ack")
    if found["states"]:
        return fails("access", "states", count=found["states"])
    return passes("access", "ok")


def stream(column: Column, so_far: SoFar) -> Finding:
    if so_far["link"].verdict is Verdict.FAIL:
        raise Untold("blocked", because="link")
    why = column.fault("stream-down")
    answer = column.answers.get("stream")
    if answer is not None and answer.is_unknown and why is not None:
        return fails("stream", "down", what=why)
    answer = column.told("stream")
    found = answer.each("stream")
    down = [one for one in found if not one["ok"]]
    if down and "stream" in so_far["lookup"].values.get("lost", ()):
        raise Untold("blocked", because="lookup")
    if down:
        return fails("stream", "down", what=listed(f"{one['uri']}: {one['error']}" for one in down))
    if answer.refusal is not None or not found:
        raise untold(answer)
    return passes("stream", "ok", count=len(found), ms=max(one["ms"] for one in found))


def alarm(column: Column, _: SoFar) -> Finding:
    if column.status["firmware"]["mode"] == "safe":
        raise Untold("blocked", because="duty")
    _session(column)
    answer = column.told("test")
    said = answer.said
    legs = {key: said.get(key) for key in ("sent_ms", "broker_ms", "centre_ms")}
    if (detail := column.fault("wrong-receiver")) is not None:
        return fails("alarm", "wrong-receiver", detail=detail)
    if (detail := column.fault("wrong-address")) is not None:
        return fails("alarm", "wrong-address", detail=detail)
    if answer.refusal is None:
        is_slow = said["centre_ms"] > ANSWER_SLOW_MS
        return warns("alarm", "slow", **legs) if is_slow else passes("alarm", "ok", **legs)
    if "did not answer" in answer.refusal:
        return fails("alarm", "unanswered", **legs) if said.get("broker_ms") is not None else fails("alarm", "unsent")
    raise untold(answer)


CHECKS: dict[str, Any] = {check.__name__: check for check in (link, lookup, broker, tls, login, access, stream, alarm)}
