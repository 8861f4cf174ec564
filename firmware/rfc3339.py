"""RFC 3339 UTC with milliseconds, by arithmetic: the chip's `time` counts from 2000, the host's from 1970.

Reading one is rare, and apart: rfc3339_parse.py.
"""

_DAY_MS = 86400000


def text(epoch_ms: int) -> str:
    """Unix milliseconds as "2026-11-22T12:34:56.789Z"."""
    days, ms = divmod(epoch_ms, _DAY_MS)
    year, month, day = _civil(days)
    second, ms = divmod(ms, 1000)
    return "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (
        year,
        month,
        day,
        second // 3600,
        second // 60 % 60,
        second % 60,
        ms,
    )


# Howard Hinnant, "chrono-compatible low-level date algorithms": the civil date of a day.
def _civil(days):
    days += 719468
    era = days // 146097
    of_era = days - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year + era * 400 + (month <= 2), month, day
