# Runs before main.py. Counts this boot and picks its mode. It must not raise: an exception that leaves boot.py stops
# main.py from running at all. Only what is built into the image (the standard library and `machine`), so that damaged
# firmware files cannot stop it.
#
# Leaves `boot` for main.py: {"number": this boot's, "unhealthy": boots in a row before it that did not become healthy,
# "mode": "normal", "safe" (after a boot loop) or "service" (a technician asked for one boot without the column),
# "folder": "a" or "b", where the firmware and the configuration in force are, or "" for the root}.
import json
import os
from binascii import crc32

BOOT_FILE = "boot.rec"  # framed as in firmware/record.py
SERVICE_FILE = "service.req"  # its presence asks for one boot into the REPL, with no watchdog armed
ACTIVE_FILE = "active"  # the folder in force, one letter, and until it proved healthy the one before it: "ba", "a/"
FOLDERS = {"a": "a", "b": "b", "/": ""}
SAFE_AFTER = 4
FIRST_BASE = 1 << 24  # a flash without a readable record starts at random from here on: a replaced board or an erased
# flash must not use an incident id again that the centre already knows, or the new alarm would pass for a repeat


def _framed(payload):
    return b"\n%08x %s\n" % (crc32(payload) & 0xFFFFFFFF, payload)


def _read():
    with open(BOOT_FILE, "rb") as file:
        line = file.read().strip()
    if _framed(line[9:]).strip() != line:
        raise ValueError("boot record damaged")
    record = json.loads(line[9:].decode())
    return int(record["n"]), int(record["u"])


def _first_number():
    a, b, c = os.urandom(3)
    return FIRST_BASE + (a << 16 | b << 8 | c)


def _write(number, unhealthy):
    with open(BOOT_FILE + ".new", "wb") as file:
        file.write(_framed(b'{"n":%d,"u":%d}' % (number, unhealthy)))
    os.rename(BOOT_FILE + ".new", BOOT_FILE)


def _is_soft():
    """Somebody at the prompt began anew: mpremote does before most of its commands. No column restarts itself so."""
    try:
        import machine

        return machine.reset_cause() == machine.SOFT_RESET
    except Exception:
        return False


def _count(is_service):
    """(this boot's number, unhealthy boots in a row before it). Neither a boot without the column counts among them,
    nor what a soft reset goes on with: a technician's commands are no boot loop."""
    try:
        number, unhealthy = _read()
    except Exception:
        number, unhealthy = _first_number(), 0
    if unhealthy and _is_soft():
        unhealthy -= 1
    try:
        _write(number + 1, unhealthy if is_service else unhealthy + 1)
    except Exception:
        return _first_number(), unhealthy  # cannot be counted, so it must not repeat
    return number + 1, unhealthy


def _service_asked():
    try:
        os.remove(SERVICE_FILE)
        return True
    except Exception:
        return False


def _some_folder():
    """When `active` is damaged: one that is whole. One flipped bit must not end a column. The configuration is what an
    update takes out of a folder first, and puts in last (firmware/update/fetch.py)."""
    for folder in ("a", "b"):
        try:
            os.stat(folder + "/config.json")
            return folder
        except Exception:
            pass
    return ""


def _folder(is_looping):
    """(the folder in force, has it just changed?): a new firmware that never became healthy gives way to the old."""
    try:
        with open(ACTIVE_FILE, "rb") as file:
            active = "".join(chr(byte) for byte in file.read(2))
    except Exception:
        active = ""
    if not active:
        return "", False
    before = active[1:2]
    if not is_looping or before not in FOLDERS:
        return FOLDERS[active[0]] if active[:1] in FOLDERS else _some_folder(), False
    try:
        with open(ACTIVE_FILE + ".new", "wb") as file:
            file.write(before.encode())
        os.rename(ACTIVE_FILE + ".new", ACTIVE_FILE)
    except Exception as error:
        print("boot: %r" % error)  # this boot runs the old firmware all the same
    return FOLDERS[before], True


def _report():
    is_service = _service_asked()
    number, unhealthy = _count(is_service)
    folder, went_back = _folder(unhealthy >= SAFE_AFTER)
    mode = "safe" if unhealthy >= SAFE_AFTER and not went_back else "normal"
    if is_service:
        mode = "service"
    return {"number": number, "unhealthy": unhealthy, "mode": mode, "folder": folder}


try:
    boot = _report()
except Exception as error:
    print("boot: %r" % error)
    boot = {"number": FIRST_BASE, "unhealthy": 0, "mode": "normal", "folder": ""}
