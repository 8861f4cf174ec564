"""What a host is: for the broker, the time server, and all that provisioning is told of."""


def is_host(value) -> bool:
    """A DNS name or an IP address, and nothing around it: no scheme, no port, no blanks."""
    if not isinstance(value, str) or not 1 <= len(value) <= 253:
        return False
    if value.count(":") > 1:
        return all(c in "0123456789abcdef:." for c in value.lower())
    labels = value.lower().split(".")
    if all(label.isdigit() for label in labels):
        return len(labels) == 4 and all(len(label) < 4 and int(label) < 256 for label in labels)
    return all(_is_label(label) for label in labels)


def _is_label(label):
    if not 1 <= len(label) <= 63 or label[0] == "-" or label[-1] == "-":
        return False
    return all(c in "abcdefghijklmnopqrstuvwxyz0123456789-_" for c in label)
