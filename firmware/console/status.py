"""The console's `status`: what the column knows about itself, in sections."""

from firmware import VERSION, const, journal

_AT_ONCE = const(4)  # records of the journal: a millisecond or two
_TEXT_MAX = const(160)
_STAGES = ("lookup", "lookup", "connect", "session")  # of the uplink, in the order of its states


def run(board, column):
    from firmware.console.pieces import lines

    folder, mode = column.folder, column.boot["mode"]
    yield {"firmware": {"version": VERSION, "folder": folder, "boot": column.number, "mode": mode}}
    is_locked = not column.lock.is_open() if column.lock else None
    yield {"configured": True, "config": column.origin, "locked": is_locked}
    yield {"names": _names(column)}
    yield {"limits": {"low_mv": column.drills.low_mv or None if column.drills else None}}
    yield {"chip": {"chip": board.chip, "uid": board.uid, "micropython": board.micropython}}
    reset = column.last_reset
    yield {"reset": {"cause": reset["cause"], "culprit": reset["culprit"], "traceback": bool(reset["traceback"])}}
    board.collect()
    room = {"heap_free": board.heap(), "system_free": board.system_heap(), "flash_free": board.flash.free_bytes()}
    uptime_s = column.telemetry.uptime.ms() // 1000 if mode == "normal" else None  # in safe mode nobody keeps it
    yield {"health": room, "uptime_s": uptime_s, "supply_mv": board.supply_mv()}
    records = damaged = 0
    for _, sound in lines(board.flash, journal.FILE):
        records += sound
        damaged += not sound
        if (records + damaged) % _AT_ONCE == 0:
            yield 0
    sizes = {"bytes": board.flash.size(journal.FILE), "quarantine_bytes": board.flash.size(journal.QUARANTINE)}
    sizes.update({"records": records, "damaged": damaged, "unsaved": len(column.journal.unsaved)})
    yield {"journal": sizes}
    incidents = column.incidents
    outbox = column.outbox
    outgoing = len(outbox.retained) + len(outbox.events)
    yield {"queue": {"open": incidents.count(), "waiting": incidents.waiting(), "outbox": outgoing}}
    yield {"faults": column.faults.ids()}
    clock = column.clock
    yield {"clock": {"source": clock.source, "now": clock.now_text(), "server": clock.server}}
    link = board.link.describe()
    address, netmask, gateway, dns = link.pop("network") or (None, None, None, None)
    link.update({"up": board.link.is_up(), "address": address, "netmask": netmask, "gateway": gateway, "dns": dns})
    yield {"link": link}
    yield {"broker": _broker(column.uplink)}
    button = column.button
    since_s = button.held_for.ms() // 1000 if button.presses else None
    yield {
        "lamp": column.lamp.state,
        "tamper_open": board.tamper_open(),
        "wipe_after_s": column.wipe_after_s,
        "button": {
            "closed": button.was_closed,
            "stuck": button.is_stuck,
            "presses": button.presses,
            "closures": button.closures if board.contact.counts else None,
            "since_press_s": since_s,
        },
    }


def _broker(uplink):
    return {
        "host": uplink.config["host"],
        "port": uplink.config["port"],
        "tls": bool(uplink.config["tls"]),
        "address": uplink.address,
        "session": uplink.is_up(),
        "since_s": uplink.state_for.ms() // 1000,
        "error": uplink.last_error.strip()[:_TEXT_MAX],
        "failed_in": _STAGES[uplink.failed_in] if uplink.last_error else None,
    }


def _names(column):
    """Who it is, and whose certificate the broker has to show."""
    region, device_id = column.messages.root.split("/")[2:4]
    tls = column.uplink.config["tls"]
    server_name = tls and (tls["server_name"] or column.uplink.config["host"])
    return {"device_id": device_id, "region": region, "server_name": server_name}
