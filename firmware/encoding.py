"""JSON as it goes out: UTF-8, not escaped beyond need, so that Cyrillic and Kazakh text keeps its two bytes a letter.

CPython's `json.dumps` would write six bytes for each of them, MicroPython's has no option for either.
"""

_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))  # the backslash first


def encode(value) -> bytearray:
    """`value` (dict, list, tuple, str, int, float, bool, None) as compact JSON."""
    out = bytearray()  # grows in place, as a rule: a list of parts would take as much again
    _write(value, out)
    return out


def _write(value, out):
    if value is None:
        out.extend(b"null")
    elif value is True:
        out.extend(b"true")
    elif value is False:
        out.extend(b"false")
    elif isinstance(value, str):
        _write_text(value, out)
    elif isinstance(value, dict):
        _write_many(b"{}", value, out, value)
    elif isinstance(value, (list, tuple)):
        _write_many(b"[]", value, out, None)
    elif isinstance(value, (int, float)):
        out.extend(str(value).encode())
    else:
        raise TypeError("not JSON: %s" % type(value).__name__)


def _write_many(brackets, values, out, mapping):
    out.append(brackets[0])
    first = True
    for item in values:
        if not first:
            out.extend(b",")
        first = False
        if mapping is not None:
            _write_text(item, out)
            out.extend(b":")
            item = mapping[item]
        _write(item, out)
    out.append(brackets[1])


def _write_text(text, out):
    for raw, safe in _ESCAPES:
        if raw in text:
            text = text.replace(raw, safe)
    if any(c < " " for c in text):
        text = "".join("\\u%04x" % ord(c) if c < " " else c for c in text)
    out.extend(b'"')
    out.extend(text.encode())
    out.extend(b'"')
