"""What a configuration says of the network's addresses and names: each check gives what would be right, or None."""

KEYS = ("address", "netmask", "gateway", "dns")
_ALL = 0xFFFFFFFF


def _number(text):
    """An IPv4 address as a number, or None. No leading zeros: some programs read them as octal."""
    parts = text.split(".") if isinstance(text, str) else ()
    number = 0
    for part in parts:
        if not 0 < len(part) < 4 or not all(c in "0123456789" for c in part):
            return None
        if int(part) > 255 or part != str(int(part)):
            return None
        number = number << 8 | int(part)
    return number if len(parts) == 4 else None


def ipv4(value):
    if not 0 < (_number(value) or 0) >> 24 < 224:
        return "an IPv4 address such as '10.20.0.15'"


def netmask(value):
    mask = _number(value) or 0
    gap = ~mask & _ALL
    if mask < 1 << 24 or gap & (gap + 1) or gap < 3:  # ones, then zeros, and room for two hosts
        return "a netmask such as '255.255.255.0'"


def hostname(value):
    letters = value if isinstance(value, str) and len(value) <= 32 else "-"
    if not letters.strip("-") == letters != "" or not all(
        c in "abcdefghijklmnopqrstuvwxyz0123456789-" for c in letters
    ):
        return "1 to 32 of a-z, 0-9 and -, with no - at either end"


def country(value):
    if not isinstance(value, str) or len(value) != 2 or not all("A" <= c <= "Z" for c in value):
        return "two capital letters such as 'KZ' (ISO 3166-1)"


def together(link) -> list:
    """Errors: a static address is whole, and its gateway within reach."""
    missing = [key for key in KEYS if link[key] is None]
    if len(missing) == len(KEYS):
        return []
    if missing:
        return ["link.%s: missing, it belongs to link.%s" % (missing[0], ", link.".join(KEYS))]
    address, mask, gateway = [_number(link[key]) for key in KEYS[:3]]
    host = address & ~mask
    if (address ^ gateway) & mask or address == gateway or host in (0, ~mask & _ALL):
        return ["link.gateway: found %s, must be another host in the network of link.address, which is not its first"
                " or last" % link["gateway"]]  # fmt: skip
    return []
