"""JSON as it goes out: UTF-8, not escaped beyond need, so that Cyrillic and Kazakh text keeps its two bytes a letter.

CPython's `json.dumps` would write six bytes for each of them, MicroPython's has no option for either.
"""

_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))  # the backslash first
_PARTS_MAX = 64  # joined then: a list of hundreds would take more of a small heap than the message


def encode(value) -> bytes:
    """`value` (dict, list, tuple, str, int, float, bool, None) as compact JSON."""
    parts = []

    def put(part):
        parts.append(part)
        if len(parts) >= _PARTS_MAX:
            parts[:] = ["".join(parts)]

    _write(value, put)
    return "".join(parts).encode()


def _write(value, put):
    if value is None:
        put("null")
    elif value is True:
        put("true")
    elif value is False:
        put("false")
    elif isinstance(value, str):
        _write_text(value, put)
    elif isinstance(value, dict):
        _write_many("{", "}", value, put, value)
    elif isinstance(value, (list, tuple)):
        _write_many("[", "]", value, put, None)
    elif isinstance(value, (int, float)):
        put(str(value))
    else:
        raise TypeError("not JSON: %s" % type(value).__name__)


def _write_many(opening, closing, values, put, mapping):
    put(opening)
    first = True
    for item in values:
        if not first:
            put(",")
        first = False
        if mapping is not None:
            _write_text(item, put)
            put(":")
            item = mapping[item]
        _write(item, put)
    put(closing)


def _write_text(text, put):
    for raw, safe in _ESCAPES:
        if raw in text:
            text = text.replace(raw, safe)
    if any(c < " " for c in text):
        text = "".join("\\u%04x" % ord(c) if c < " " else c for c in text)
    put('"')
    put(text)
    put('"')
