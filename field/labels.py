"""A sheet of labels for the pillars: who the column is, for technicians and for people who are asked where they are."""

import html
import io
from collections.abc import Mapping
from typing import Any

import segno

# 102 is the police's number in Kazakhstan.
HELP = (
    "If the lamp stays dark, call 102",
    "Если лампа не загорается, звоните 102",
    "Шам жанбаса, 102-ге қоңырау шалыңыз",
)
_STYLE = """
@page { size: A4; margin: 5mm }
body { font-family: sans-serif; margin: 0 }
.label { width: 96mm; height: 58mm; box-sizing: border-box; padding: 4mm; border: 0.3mm solid #000; float: left;
  margin: 2mm; page-break-inside: avoid; position: relative; overflow: hidden }
.id { font-size: 20pt; font-weight: bold }
.address { font-size: 11pt; margin: 1mm 34mm 1mm 0 }
.small { font-size: 8pt; margin-right: 34mm }
.qr { position: absolute; right: 3mm; bottom: 3mm; width: 30mm; height: 30mm }
.qr svg { display: block; width: 100%; height: 100% }
"""


def page(columns: dict[str, dict[str, Any]], public: Mapping[str, str] | None = None) -> str:
    """One HTML document, ready to print. `public`: where each column's public status is, which the QR code opens;
    without that it holds the column's topic prefix, for the technician's laptop."""
    known = public or {}
    parts = [_label(device_id, document, known.get(device_id)) for device_id, document in columns.items()]
    head = f'<!doctype html>\n<html lang="ru">\n<meta charset="utf-8">\n<title>SOS</title>\n<style>{_STYLE}</style>'
    return "\n".join([head, *parts, "</html>", ""])


def _label(device_id: str, document: dict[str, Any], public: str | None) -> str:
    code = io.BytesIO()
    says = public or f"sos/v1/{document['region']}/{device_id}"
    # Without a size of its own the drawing fills its box, whatever the number of its modules.
    drawing = segno.make(says, error="m", micro=False)
    drawing.save(code, kind="svg", xmldecl=False, svgns=True, nl=False, omitsize=True)
    place = document["location"]
    texts = "".join(f'<div class="small">{html.escape(line)}</div>' for line in (place["geo"], *HELP))
    return (
        f'<div class="label"><div class="id">{html.escape(device_id)}</div>'
        f'<div class="address">{html.escape(place["address"])}</div>{texts}'
        f'<div class="qr" title="{html.escape(says)}">{code.getvalue().decode()}</div></div>'
    )
