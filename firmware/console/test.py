"""The console's `test`: a drill, and how long each leg of it took. Software answers it, no person sees it."""

from firmware import const

_PUBACK_MS = const(1000)


def run(board, column):
    if column.boot["mode"] == "safe":
        raise ValueError("no drills in safe mode: the column restarted too often; see logs; at a laptop: make logs")
    if not column.uplink.is_up():
        raise ValueError("no session with the broker; see status; at a laptop: make watch")
    incidents = column.incidents
    yield {"limit_s": incidents.config["answer_s"]}
    incidents.start_drill()
    column.supervisor.hurry()
    drill, sent_ms, broker_ms = incidents.drill, None, None
    while incidents.drill is drill:
        if sent_ms is None and (drill.in_flight or drill.sent_press):
            sent_ms = drill.age.ms()
        if broker_ms is None and drill.sent_press:
            broker_ms = drill.age.ms()
        yield 1
    centre_ms = drill.age.ms()
    if sent_ms is None and (drill.in_flight or drill.sent_press):  # sent and answered between two looks
        sent_ms = centre_ms
    while drill.in_flight and drill.age.ms() < centre_ms + _PUBACK_MS:  # it may come after the answer
        yield 1
    if broker_ms is None and drill.sent_press:
        broker_ms = drill.age.ms()
    yield {"id": drill.id, "sent_ms": sent_ms, "broker_ms": broker_ms, "centre_ms": centre_ms}
    if column.faults.has("drill-unanswered"):
        raise ValueError("the centre did not answer within %d ms" % centre_ms)
