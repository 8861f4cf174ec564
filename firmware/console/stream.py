"""The console's `stream`: a look at each of the stream's endpoints, see probe.py."""

from firmware import const
from firmware.timing import Stopwatch

_POLL_MS = const(20)
_PATIENCE_MS = const(6000)  # for one endpoint; a technician waits,
_LESS_PATIENCE_MS = const(2000)  # and behind a silent one the next mostly stands in the same box


def run(board, column):
    if column.looks:
        column.looks.give_up()  # its own look comes again
    from firmware.probe import probe

    board.forget("firmware.probe")  # but for what we have of it
    uris, patience_ms = column.messages.uris, _PATIENCE_MS
    for kind in sorted(uris):
        since, error, uri = Stopwatch(board), "", uris[kind]
        look = probe(board, {kind: uri})
        try:
            for _ in look:
                if column.incidents.count():
                    raise ValueError("an alarm is open, and the memory is the alarm's; ask again when it is closed")
                if since.ms() >= patience_ms:
                    waited_s, patience_ms = patience_ms // 1000, _LESS_PATIENCE_MS
                    raise OSError("no answer within %d s" % waited_s)
                yield _POLL_MS
        except OSError as why:
            error = str(why).replace(uri + ": ", "")
        finally:
            look.close()
        yield {"stream": {"uri": uri, "ok": not error, "error": error, "ms": since.ms()}}
