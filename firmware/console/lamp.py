"""The console's `lamp`: each colour for about a second. It is `identify` in other colours: it flickers, and is darker
than a state's colour, so as to promise nobody anything. A press ends it at once."""

from firmware import const, lamp

COLOURS = (("red", (200, 0, 0)), ("green", (0, 200, 0)), ("blue", (0, 0, 200)), ("white", (200, 200, 200)))
_LOOK_MS = const(60)
_LOOKS = const(16)


def run(board, column):
    identify, other = lamp.COLOURS["identify"], lamp.IDENTIFY_OTHER
    column.actions.identify.start(_LOOK_MS * _LOOKS * len(COLOURS) * 2)
    try:
        lamp.IDENTIFY_OTHER = (0, 0, 0)
        for name, colour in COLOURS:
            lamp.COLOURS["identify"] = colour
            yield {"colours": [name]}
            for _ in range(_LOOKS):
                yield _LOOK_MS
                if column.lamp.state != "identify":
                    raise ValueError("the lamp is needed: it shows %s" % column.lamp.state)
                column.lamp.step()  # from steady it may have asked for its next step in 2 s
    finally:
        lamp.COLOURS["identify"], lamp.IDENTIFY_OTHER = identify, other
        column.actions.identify.stop()
