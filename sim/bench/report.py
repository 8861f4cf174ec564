"""The figures as tables for a reader."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 120
_KIB = 1024


def show(results: Mapping[str, Any]) -> None:
    """Print every section of `sim.bench.run`'s results."""
    console = Console(width=WIDTH, highlight=False)
    for section, tables in _SECTIONS.items():
        if section in results:
            for table in tables(results[section]):
                console.print(table)
                console.print()


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> Table:
    """Words to the left, figures to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.caption, table.caption_justify = note, "left"
    for number, column in enumerate(columns):
        is_figure = any(row[number][:1].isdigit() for row in rows)
        table.add_column(column, justify="right" if is_figure else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _spread(figures: Mapping[str, Any] | None, digits: int = 2) -> str:
    """ "median / p99", milliseconds."""
    return "-" if figures is None else f"{figures['median_ms']:.{digits}f} / {figures['p99_ms']:.{digits}f}"


def _p95(figures: Mapping[str, Any] | None) -> str:
    """ "median / p95", milliseconds."""
    return "nothing came" if figures is None else f"{figures['median_ms']:.0f} / {figures['p95_ms']:.0f}"


def _latency(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    cells = [
        [
            f"{row['runtime']}, {row['transport']}",
            row["who"],
            _spread(row.get("debounced"), 0),
            _spread(row.get("journal")),
            _spread(row["puback"]),
            _spread(row["subscriber"]),
            f"{row['floor_ratio']:.1f}",
            f"{row['stock_ratio']:.3f}",
        ]
        for row in rows
    ]
    columns = ("runtime, transport", "who", "closed-press", "-> journal", "-> PUBACK", "-> subscriber")
    note = (
        f"n = {rows[0]['puback']['count']}. 'closed-press': from the contact's closure, decided after 40 ms of net "
        "closure. All others: from the debounced press, for a peer from the call of its blocking publish. '/ floor': "
        "PUBACK without the journal's write, over the bare socket's single write and read. '/ stock': PUBACK over "
        "umqtt.simple's."
    )
    if missed := sum(row.get("missed", 0) for row in rows):
        note += f" {missed} press(es) RAISED NOTHING (each 90 ms long, 170 to 250 ms after the alarm before)."
    return [_table("From the press, ms: median / p99", (*columns, "/ floor", "/ stock"), cells, note)]


def _recovery(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    cells = [
        [
            f"{row['runtime']}, {row['transport']}",
            row["who"],
            _spread(row["puback"], 0),
            _spread(row.get("answered"), 0),
            _spread(row["broker_up"], 0),
        ]
        for row in rows
    ]
    note = (
        f"n = {rows[0]['puback']['count']}. mosquitto is killed, the button pressed, mosquitto started again; from the "
        "start of its process. Stock umqtt.simple never recovers by itself."
    )
    if not any(row["who"] == "umqtt.robust" for row in rows):
        note += " umqtt.robust is missing here: the package index does not have it."
    columns = ("runtime, transport", "who", "-> PUBACK", "-> lamp 'answered'", "mosquitto's own start (within)")
    return [_table("An alarm that waited for the broker, ms: median / p99", columns, cells, note)]


def _memory(figures: Mapping[str, Any]) -> list[Table]:
    asked = figures["asked_heap_bytes"] // _KIB
    cells = [
        ["live after boot, in session", f"{figures['idle_bytes']:,} bytes"],
        ["highest live during an alarm", f"{figures['highest_bytes']:,} bytes"],
        [f"boots and alarms inside --heap {asked}k", "yes" if figures["runs_in_asked_heap"] else "NO"],
        ["smallest heap in which it does", _kib(figures["smallest_heap_bytes"])],
        [f"growth over {figures['alarms']:,} alarms", f"{figures['slope_bytes_per_1000']:.1f} bytes per 1,000"],
        ["an alarm, pressed to closed, in a row", f"{figures['ms_per_alarm']:.1f} ms"],
        ["subtracted: the bench's own module", f"{figures['probe_bytes']:,} bytes"],
    ]
    note = (
        "Live: gc.mem_alloc() after gc.collect(), without the simulation's own. The firmware as .mpy files, mutual "
        "TLS, with the key for proofs that provisioning gives each column."
    )
    return [_table("Heap on 32-bit MicroPython", ("what", "figure"), cells, note), _two_heaps(figures)]


def _two_heaps(figures: Mapping[str, Any]) -> Table:
    rows: list[Mapping[str, Any]] = [
        {"chip": "any, PSRAM", "way": "LittleFS", **figures},
        {"chip": "any, PSRAM", "way": "in place", **figures["in_place"]},
    ]
    cells = [[row["chip"], row["way"], *_of_heaps(row)] for row in [*rows, *figures["chips"]]]
    note = (
        "Bytes; mutual TLS, the broker by its address (a look-up takes 5,632 more while it runs). Live: at rest "
        "in a session / highest in an alarm. Areas of MicroPython's heap: a third one takes the largest block that IDF "
        "has left. 'In place' is from ROMFS; frozen code needs less again. What the chips have: hal/assumptions.toml."
    )
    columns = ("chip", "code", "live", "areas", "IDF free in a session", "at the worst moment")
    return _table("The two heaps", columns, cells, note)


def _of_heaps(row: Mapping[str, Any]) -> list[str]:
    if "idle_bytes" not in row:
        return ["NO SESSION", "-", "-", "-"]
    live = f"{row['idle_bytes']:,} / {row['highest_bytes']:,}"
    return [live, str(row["areas"]), f"{row['idf_in_session_bytes']:,}", f"{row['idf_lowest_bytes']:,}"]


def _kib(size: int | None) -> str:
    return "none was found" if size is None else f"{size // _KIB} KiB"


def _sizes(files: Mapping[str, int]) -> list[Table]:
    cells = [[name, f"{size:,}"] for name, size in files.items()]
    compiled = sum(size for name, size in files.items() if name.endswith(".mpy"))
    cells += [["all .mpy", f"{compiled:,}"], ["everything", f"{sum(files.values()):,}"]]
    return [_table("On the flash", ("file", "bytes"), cells)]


def _debounce(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    cells = [
        [
            row["way"],
            str(row["tick_ms"]),
            "yes" if row["stalls"] else "no",
            *(f"{row[what]:,}" for what in ("missed", "false", "doubled")),
            _spread(row["decided"], 1),
        ]
        for row in rows
    ]
    note = (
        f"n = {rows[0]['contacts']:,} contacts of ten classes, before the button of a virtual board. 'decided': "
        "from the beginning of a net closure, of which 40 ms are needed. Stalls of 10 to 1,000 ms beside 40 % of the "
        "contacts; presses between which nobody saw a release are one. 'interrupts': a chip without a pulse counter."
    )
    columns = ("who decides", "tick ms", "stalls", "missed", "false", "doubled", "decided, ms: median / p99")
    return [_table("Debouncers", columns, cells, note)]


def _virtual_time(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    cells = [
        [row["what"], f"{row['per_second']:,.0f}", f"{row['simulated_s'] / 3600:.1f}", str(row["alarms"])]
        for row in rows
    ]
    columns = ("a column", "simulated s per s", "simulated hours", "alarms")
    return [_table("Virtual time", columns, cells)]


def _proof(figures: Mapping[str, Any]) -> list[Table]:
    cells = [
        ["code in the heap, only with a key", f"{figures['code_bytes']:,} bytes"],
        ["kept beside it", f"{figures['kept_bytes']:,} bytes"],
        ["to check what it hears, only where the broker is not believed", f"{figures['checking_bytes']:,} bytes"],
        ["passing, while a message is checked", f"{figures['passing_bytes']:,} bytes"],
        [f"to prove an alarm of {figures['alarm_bytes']} bytes", f"{figures['seal_us']:.0f} us"],
        ["to check one as long", f"{figures['check_us']:.0f} us"],
    ]
    note = "Times are this machine's: no chip was at hand. An ESP32 has SHA-256 in hardware."
    return [_table("Proof from end to end on 32-bit MicroPython", ("what", "figure"), cells, note)]


def _flood(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    cells = [
        [
            row["kind"],
            str(row["busy"]),
            f"{row['per_second']:,.0f}",
            f"{row['wait']['median_ms']:.0f} / {row['worst_ms']:.0f}",
            f"{row['afterwards_worst_ms']:.0f}",
            f"{row['desk_ms_per_1000']:.0f} / {row['broker_ms_per_1000']:.0f}",
            "yes" if row["named"] else "NO",
        ]
        for row in rows
    ]
    note = (
        f"n = {min(row['wait']['count'] for row in rows)} and more. Mutual TLS, and the limits of the broker's files "
        "that provisioning writes; on this machine are also the flooder, the broker and what measures. 'busy': so many "
        "processes beside them claim a whole processor each. 'ms for 1,000': of the processor, desk / broker, for as "
        "many messages sent."
    )
    columns = ("a column floods", "busy", "a second", "median / worst", "after it", "ms for 1,000", "named")
    return [_table("How long another column's call waits for its answer, ms", columns, cells, note)]


def _media(figures: Mapping[str, Any]) -> list[Table]:
    ten, delays = figures["ten"], figures["delays"]
    rows = [
        ["click to the first picture, by RTSP", _p95(figures["picture"])],
        ["click to the first sound, by RTSP", _p95(figures["sound"])],
        ["click to the first picture, beside SIP", _p95(figures["sip_picture"])],
        ["click to the first sound, by SIP", _p95(figures["sip_sound"])],
        ["glass to glass, RTSP to Chromium", _p95(delays["glass"])],
        ["... the same camera straight into FFmpeg", _p95(delays["straight"])],
        ["mouth to ear, RTSP to Chromium", _p95(delays["place"])],
        ["mouth to ear and back, Chromium - SIP - Chromium", _p95(delays["there_and_back"])],
        ["one untranscoded stream, % of a core", f"{figures['cpu_percent']:.1f}"],
        [f"... of {ten['calls']} at once, % of a core", f"{ten['cpu_percent']:.1f}"],
        ["... pictures a second of the slowest", f"{ten['slowest_per_s']:.1f}"],
        [f"... alarm to the desk's pages, n = {ten['alarms']}", _p95(ten["shown"])],
        ["... of these in the register", str(ten["in_register"])],
    ]
    note = (
        f"ms: median / p95; clicks: n = {figures['picture']['count']}. H.264, G.711 from GStreamer's server: "
        "1280 x 720, 25 a second; those at once 640 x 360, 15 a second. Glass and mouth: a clock, 640 x 360, "
        "25 a second, without lens, microphone, loudspeaker and screen. SIP: baresip; in the last of these it hears "
        "its own loudspeaker."
    )
    return [_table("Picture and sound at the desk", ("what", "figure"), rows, note)]


_SECTIONS: dict[str, Callable[[Any], list[Table]]] = {
    "latency": _latency,
    "recovery": _recovery,
    "memory": _memory,
    "proof": _proof,
    "media": _media,
    "flood": _flood,
    "debounce": _debounce,
    "sizes": _sizes,
    "virtual_time": _virtual_time,
}
SECTIONS = tuple(_SECTIONS)
