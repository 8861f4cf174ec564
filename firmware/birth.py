"""The birth message: who this column is and how it came up. Once a session, or when it is asked for; then forgotten."""

from firmware import VERSION, encoding, resets
from firmware.messages import V

TRACEBACK_MAX_CHARS = 600


def birth(column, board) -> bytearray:
    update = None
    if board.flash.size(resets.UPDATE_FILE):
        from firmware.update.state import told

        update = told(board.flash)
        board.forget("firmware.update.state")
    mode, debouncer = column.boot["mode"], column.button.decides()
    tls = column.uplink.config["tls"]
    return info(
        column.messages, board, column.origin, column.last_reset, mode, _capabilities(board), debouncer, update,
        tls and tls.get("digest"),
    )  # fmt: skip


def _capabilities(board):
    has = ["relay"]
    if board.contact.counts:
        has.append("edge-counter")
    if board.tamper_open() is not None:
        has.append("tamper")
    if board.supply_mv() is not None:
        has.append("supply")
    return has


def info(messages, board, origin, reset, mode: str, capabilities: list, debouncer: str, update=None,
         certificates=None) -> bytearray:  # fmt: skip
    """`origin`: {"digest", "source"} of the configuration; `reset`: {"cause", "culprit", "traceback"}; `update`: of the
    last one, or None; `certificates`: their digest."""
    text = reset.get("traceback")
    body = {
        "v": V,
        "device_id": messages.device_id,
        "fw": VERSION,
        "boot": messages.boot,
        "hw": {"chip": board.chip, "uid": board.uid, "micropython": board.micropython},
        "location": messages.location,
        "stream": messages.stream(),
        "capabilities": capabilities,
        "debouncer": debouncer,
        "config": origin,
        "mode": mode,
        "reset": {
            "cause": reset["cause"],
            "culprit": reset.get("culprit"),
            "traceback": text[-TRACEBACK_MAX_CHARS:] if text else None,
        },
        "at": messages.clock.now_text(),
    }
    if update:
        body["update"] = update
    if certificates:
        body["certificates"] = certificates
    return messages.sealed("info", encoding.encode(body))
