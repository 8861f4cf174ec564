"""An RFC 3339 time as it was sent to us: loaded with a command, and forgotten."""


def parse(value: str) -> int:
    """Unix milliseconds of a time that ends in "Z" or in "+hh:mm". Raises ValueError."""
    if not isinstance(value, str) or len(value) < 20 or value[4] + value[7] != "--" or value[10] not in "Tt":
        raise ValueError("not an RFC 3339 time")
    days = _days(int(value[:4]), int(value[5:7]), int(value[8:10]))
    seconds = int(value[11:13]) * 3600 + int(value[14:16]) * 60 + int(value[17:19])
    rest = value[19:]
    ms = 0
    if rest[0] == ".":
        end = 1
        while end < len(rest) and rest[end].isdigit():
            end += 1
        ms = int((rest[1:end] + "000")[:3])
        rest = rest[end:]
    return (days * 86400 + seconds - _offset_s(rest)) * 1000 + ms


def _offset_s(zone):
    if zone in ("Z", "z"):
        return 0
    if len(zone) != 6 or zone[0] not in "+-" or zone[3] != ":":
        raise ValueError("no time zone")
    offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return -offset if zone[0] == "-" else offset


# Howard Hinnant, "chrono-compatible low-level date algorithms": the day of a civil date.
def _days(year, month, day):
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        raise ValueError("no such day")
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
