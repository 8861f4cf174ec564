"""The console's `status`: what the column knows about itself, in sections."""

from firmware import VERSION, const, journal

_AT_ONCE = const(4)  # records of the journal: a millisecond or two
_TEXT_MAX = const(80)


def run(board, column):
    from firmware.console_files import lines

    folder, mode = column._boot.get("folder", ""), column._boot["mode"]
    yield {"firmware": {"version": VERSION, "folder": folder, "boot": column.number, "mode": mode}}
    yield {"config": column._origin}
    yield {"chip": {"chip": board.chip, "uid": board.uid, "micropython": board.micropython}}
    reset = column._reset
    yield {"reset": {"cause": reset["cause"], "culprit": reset["culprit"], "traceback": bool(reset["traceback"])}}
    board.collect()
    room = {"heap_free": board.heap(), "flash_free": board.flash.free_bytes()}
    uptime_s = column.telemetry._uptime.ms() // 1000 if mode == "normal" else None  # in safe mode nobody keeps it
    yield {"health": room, "uptime_s": uptime_s, "supply_mv": board.supply_mv()}
    records = damaged = 0
    for _, sound in lines(board.flash, journal.FILE):
        records += sound
        damaged += not sound
        if (records + damaged) % _AT_ONCE == 0:
            yield 0
    sizes = {"bytes": board.flash.size(journal.FILE), "quarantine_bytes": board.flash.size(journal.QUARANTINE)}
    sizes.update({"records": records, "damaged": damaged, "unsaved": len(column.journal._unsaved)})
    yield {"journal": sizes}
    incidents = column.incidents
    outbox = column.outbox
    outgoing = len(outbox._retained) + len(outbox._events)
    yield {"queue": {"open": incidents.count(), "waiting": incidents.waiting(), "outbox": outgoing}}
    yield {"faults": column.faults.ids()}
    yield {"clock": {"source": column.clock.source, "now": column.clock.now_text()}}
    link = board.link.describe()
    link["up"] = board.link.is_up()
    yield {"link": link}
    yield {"broker": _broker(column.uplink)}
    button = column.button
    since_s = button._held.ms() // 1000 if button.presses else None
    yield {
        "lamp": column.lamp.state,
        "tamper_open": board.tamper_open(),
        "button": {
            "closed": button._was_closed,
            "stuck": button.is_stuck,
            "presses": button.presses,
            "closures": button.closures if board.contact.counts else None,
            "since_press_s": since_s,
        },
    }


def _broker(uplink):
    return {
        "host": uplink._config["host"],
        "port": uplink._config["port"],
        "tls": bool(uplink._config["tls"]),
        "address": uplink._address,
        "session": uplink.is_up(),
        "since_s": uplink._state_for.ms() // 1000,
        "error": uplink.last_error[:_TEXT_MAX],
    }
