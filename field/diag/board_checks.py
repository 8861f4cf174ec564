"""The lines about the board itself, judged from its answers alone."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from field.diag.absence import ERRORS_SHOWN
from field.diag.finding import Finding, Untold, Verdict, fails, passes, untested, warns
from field.diag.interview import Column, untold
from field.words import listed

MICROPYTHON_OLDEST = (1, 24)
FLASH_FULL_BYTES = 16 * 1024  # the journal is written anew beside the old one, and so is the last good configuration
FLASH_LOW_BYTES = 64 * 1024
HEAP_LOW_BYTES = 6 * 1024  # the self-test begins with 12 KB, of which the console takes 6 while it answers
SUPPLY_NEAR = 1.05  # of its limit
CLOCK_OFF_S = 10  # between the column and this laptop
NAMES_SHOWN = 3
ROOTS = ("boot.py", "main.py")
# The line to which each fault of the column belongs.
FAULTS = {
    "boot-loop": "duty",
    "broker-refuses": "access",
    "button-stuck": "button",
    "certificate": "tls",
    "clock-unset": "clock",
    "config": "configuration",
    "drill-unanswered": "alarm",
    "wrong-address": "alarm",
    "wrong-receiver": "alarm",
    "duplicate-id": "login",
    "flash-full": "flash",
    "journal": "journal",
    "not-subscribed": "access",
    "stream-down": "stream",
    "supply": "supply",
    "tamper": "tamper",
}

SoFar = Mapping[str, Finding]


def duty(column: Column, _: SoFar) -> Finding:
    if column.absence is not None:
        return _absent(column)
    answer = column.told("status")
    status = answer.said
    if answer.refusal is not None:
        return fails("duty", "refuses", why=answer.refusal)
    if status.get("wiped"):
        return fails("duty", "wiped")
    if status.get("configured") is False:
        return fails("duty", "unconfigured", errors=listed(status.get("errors", [])[:ERRORS_SHOWN]) or "-")
    firmware = status["firmware"]
    if firmware["mode"] != "normal":
        return fails("duty", "safe", mode=firmware["mode"])
    strange = sorted(set(status.get("faults", [])) - set(FAULTS))
    if strange:
        return warns("duty", "strange", faults=", ".join(strange))
    return passes("duty", "ok", boot=firmware["boot"], uptime=_duration(status["uptime_s"] or 0), port=column.port)


def _absent(column: Column) -> Finding:
    kind, heard = column.absence or ("", "")
    if kind == "prompt":
        return fails("duty", "prompt", port=column.port)
    if kind == "unconfigured":
        return fails("duty", "unconfigured", errors=heard)
    if kind == "mute":
        return fails("duty", "mute", port=column.port, heard=heard)
    if kind != "nobody":
        return fails("duty", "strange-talk", port=column.port, heard=heard)
    return fails("duty", "nobody", port=column.port)


def supply(column: Column, _: SoFar) -> Finding:
    supply_mv = column.status["supply_mv"]
    low_mv = column.status.get("limits", {}).get("low_mv") or 0
    if supply_mv is None:
        return untested("supply", "unmeasured")
    if column.fault("supply") is not None or supply_mv < low_mv:
        return fails("supply", "low", volts=_volts(supply_mv), limit=_volts(low_mv))
    if supply_mv < low_mv * SUPPLY_NEAR:
        return warns("supply", "near", volts=_volts(supply_mv), limit=_volts(low_mv))
    if not low_mv:
        return untested("supply", "unlimited", volts=_volts(supply_mv))
    return passes("supply", "ok", volts=_volts(supply_mv))


def chip(column: Column, _: SoFar) -> Finding:
    found = column.status["chip"]
    oldest = ".".join(map(str, MICROPYTHON_OLDEST))
    version = [int(part) for part in found["micropython"].split(".") if part.isdigit()]
    if tuple(version) < MICROPYTHON_OLDEST:
        return warns("chip", "old", micropython=found["micropython"], oldest=oldest)
    return passes("chip", "ok", chip=found["chip"], uid=found["uid"], micropython=found["micropython"])


def versions(column: Column, _: SoFar) -> Finding:
    firmware = column.status["firmware"]
    folder = firmware["folder"] or "/"
    if firmware["version"] != column.build.version:
        return warns("versions", "differ", version=firmware["version"], laptop=column.build.version, folder=folder)
    return passes("versions", "ok", version=firmware["version"], folder=folder)


def files(column: Column, so_far: SoFar) -> Finding:
    answer = column.told("files")
    if answer.refusal is not None:
        raise untold(answer)
    found = {name.removeprefix("lib/"): str(digest) for name, digest in answer.said.get("files", {}).items()}
    wrong, missing, strange = compare(found, column.build.files, column.build.libraries)
    if not wrong + missing + strange:
        return passes("files", "ok", count=len(found))
    values = {"names": _names(wrong + missing + strange), "count": len(wrong + missing + strange)}
    if so_far["versions"].says == "differ":
        return warns("files", "incomparable", **values)
    return fails("files", "missing" if missing and not wrong + strange else "damaged", **values)


def compare(
    found: Mapping[str, str], wanted: Mapping[str, str], libraries: Mapping[str, str]
) -> tuple[list[str], list[str], list[str]]:
    """(other content, not there, not ours); digests in `found` may be cut short. A library that is not there at all
    is frozen in the image."""
    packages = {name.partition("/")[0] for name in found}
    expected = dict(wanted)
    expected |= {name: digest for name, digest in libraries.items() if name.partition("/")[0] in packages}
    wrong = [name for name in sorted(found) if name in expected and not _same(found[name], expected[name])]
    missing = [name for name in sorted(expected) if name not in found]
    ours = {name.partition("/")[0] for name in wanted} | {name.partition("/")[0] for name in libraries}
    strange = [name for name in sorted(found) if name not in expected and name.partition("/")[0] in ours]
    return wrong, missing, strange if libraries else [name for name in strange if not name.startswith("umqtt/")]


def _same(cut: str, digest: str) -> bool:
    return bool(cut) and digest.startswith(cut)


def configuration(column: Column, _: SoFar) -> Finding:
    config, answer = column.status["config"], column.answers.get("files")
    if answer is None:
        raise Untold("not-reached")
    sealed = answer.said.get("sealed", {})
    broken = [name for name, fits in sorted(sealed.items()) if fits is False]
    if broken:
        return fails("configuration", "damaged", names=_names(broken))
    why = column.fault("config")
    if why is not None or config["source"] != "current":
        return fails("configuration", "fallback", source=config["source"], why=why or "-")
    names = column.status.get("names", {})
    return passes(
        "configuration", "ok", device=names.get("device_id") or "-", region=names.get("region") or "-",
        digest=config["digest"],
    )  # fmt: skip


def flash(column: Column, _: SoFar) -> Finding:
    free = column.status["health"]["flash_free"]
    if column.fault("flash-full") is not None or free < FLASH_FULL_BYTES:
        return fails("flash", "full", kilobytes=free // 1024)
    if free < FLASH_LOW_BYTES:
        return warns("flash", "low", kilobytes=free // 1024)
    return passes("flash", "ok", kilobytes=free // 1024)


def journal(column: Column, so_far: SoFar) -> Finding:
    found = column.status["journal"]
    if found["damaged"]:
        return fails("journal", "damaged", damaged=found["damaged"])
    if found["quarantine_bytes"]:
        return fails("journal", "quarantined", bytes=found["quarantine_bytes"])
    why = column.fault("journal")
    if why is not None:
        return fails("journal", "unwritable", why=why or "-")
    if found["unsaved"]:
        if so_far["flash"].says == "full":
            raise Untold("blocked", because="flash")
        return fails("journal", "unsaved", unsaved=found["unsaved"])
    return passes("journal", "ok", records=found["records"], bytes=found["bytes"])


def heap(column: Column, _: SoFar) -> Finding:
    if any(answer.lacks_memory for answer in column.answers.values()):
        return fails("heap", "short")
    free = column.status["health"]["heap_free"]
    if free < HEAP_LOW_BYTES:
        return warns("heap", "low", kilobytes=free // 1024)
    return passes("heap", "ok", kilobytes=free // 1024)


def clock(column: Column, so_far: SoFar) -> Finding:
    found = column.status["clock"]
    if found["source"] != "ntp" and column.status["firmware"]["mode"] == "safe":
        raise Untold("blocked", because="duty")  # nobody asks for the time then
    if found["source"] == "none":
        if "server" in found and found["server"] is None:
            return fails("clock", "serverless")
        if so_far["link"].verdict is Verdict.FAIL:
            raise Untold("blocked", because="link")
        if "clock" in so_far["lookup"].values.get("lost", ()):
            raise Untold("blocked", because="lookup")
        return fails("clock", "unset", server=found.get("server") or "-")
    off_s = _off_s(found["now"], column.now)
    if abs(off_s) > CLOCK_OFF_S:
        return warns("clock", "off", now=found["now"], seconds=abs(off_s))
    if found["source"] == "kept":
        return warns("clock", "kept", now=found["now"])
    return passes("clock", "ok", now=found["now"], source=found["source"])


def _off_s(text: str, now: datetime.datetime) -> int:
    return round((datetime.datetime.fromisoformat(text) - now).total_seconds())


def resets(column: Column, _: SoFar) -> Finding:
    reset = column.status["reset"]
    if reset["traceback"]:
        logs = column.answers.get("logs")
        lines = logs.said.get("traceback", []) if logs else []
        return warns("resets", "crashed", cause=reset["cause"], error=lines[-1].strip() if lines else "-")
    if reset["cause"] == "watchdog":
        return warns("resets", "hung", culprit=reset["culprit"] or "-")
    return passes("resets", "ok", cause=reset["cause"])


def tamper(column: Column, _: SoFar) -> Finding:
    is_open = column.status["tamper_open"]
    if is_open is None:
        return untested("tamper", "unfitted")
    if after_s := column.status.get("wipe_after_s"):  # older firmware does not say
        return warns("tamper", "open-armed", s=after_s) if is_open else passes("tamper", "armed", s=after_s)
    return warns("tamper", "open") if is_open else passes("tamper", "ok")


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown}, ..."


def _volts(millivolts: int) -> str:
    return f"{millivolts / 1000:.1f}"


def _duration(seconds: int) -> str:
    """Hours, minutes, seconds: reads the same in every language."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


CHECKS: dict[str, Any] = {
    check.__name__: check
    for check in (duty, supply, chip, versions, files, configuration, flash, journal, heap, clock, resets, tamper)
}
