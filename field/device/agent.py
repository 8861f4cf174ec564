# Sent to the board by field/board.py. Every function feeds the watchdog, which cannot be stopped once it runs: a cable
# that is pulled leaves nobody to feed it, and the board restarts and goes back on duty by itself.
import gc
import json
import os
import sys
from binascii import a2b_base64, crc32, hexlify
from hashlib import sha256

import esp32
import machine

CHUNK_BYTES = 512
_FOLDER = 0x4000

# A second WDT changes the timeout of the one that runs.
watchdog = machine.WDT(timeout=globals()["GRACE_MS"])  # given by field/board.py
_file = None


def digest(path):
    found = sha256()
    buffer = bytearray(CHUNK_BYTES)
    view = memoryview(buffer)
    with open(path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                break
            found.update(view[:count])
    watchdog.feed()
    return hexlify(found.digest()).decode()


def walk(folder):
    for entry in os.ilistdir(folder or "/"):
        path = folder + "/" + entry[0]
        if entry[1] & _FOLDER:
            yield from walk(path)
        else:
            yield path


def frozen(*names):
    """The last of these modules as the image has it frozen, or None."""
    kept, sys.path[:] = sys.path[:], [".frozen"]
    loaded = [(name, sys.modules.pop(name)) for name in names if name in sys.modules]
    try:
        for name in names:
            __import__(name)
        return sys.modules[names[-1]]
    except ImportError:
        return None
    finally:
        sys.path[:] = kept
        for name, module in loaded:
            sys.modules[name] = module


def survey():
    gc.collect()
    size, _, blocks, free = os.statvfs("/")[:4]
    files = {path[1:]: digest(path) for path in walk("")}
    answer = {
        "files": files,
        "machine": getattr(sys.implementation, "_machine", ""),
        "version": list(sys.implementation.version),
        "mpy": getattr(sys.implementation, "_mpy", 0),
        "active": _active(),
        "device_id": _device_id(),
        "uid": hexlify(machine.unique_id()).decode(),
        "umqtt": frozen("umqtt", "umqtt.simple") is not None,
        "frozen": getattr(frozen("firmware"), "VERSION", None),
        "free_bytes": size * free if 0 <= free <= blocks else 0,  # see hal/esp32_flash.py
    }
    answer.update(room())
    tell(answer)


def room():
    heaps = esp32.idf_heap_info(esp32.HEAP_DATA)
    # mem_free() counts the largest block of IDF's heap, for MicroPython's would grow by it.
    return {"idf_heap": heaps, "gc_bytes": gc.mem_alloc() + gc.mem_free() - max(one[2] for one in heaps)}


def begin(path):
    global _file
    _make_folders(path)
    _file = open(path, "wb")
    watchdog.feed()


def put(text):
    _file.write(a2b_base64(text))
    watchdog.feed()


def end():
    _file.close()
    watchdog.feed()


def copy(pairs):
    for source, target in pairs:
        _make_folders(target)
        with open(source, "rb") as old, open(target, "wb") as new:
            while True:
                chunk = old.read(CHUNK_BYTES)
                if not chunk:
                    break
                new.write(chunk)
                watchdog.feed()


def remove(path):
    os.remove(path)
    watchdog.feed()


def rename(path, target):
    os.rename(path, target)
    watchdog.feed()


def digests(*paths):
    tell({path: digest(path) for path in paths})


def tell(answer):
    """As it is made: the text of all files in one piece, 4 KB and more, may find no room in a small heap."""
    gc.collect()
    json.dump(answer, sys.stdout)
    print()


def activate(slot):
    """Put a folder in force; the one before it stays noted as the one to fall back on."""
    before = _active()
    with open("active.new", "w") as file:
        file.write(slot + before)
    os.rename("active.new", "active")


def _active():
    try:
        with open("active") as file:
            return file.read(1)
    except OSError:
        return ""


def _device_id():
    """Of the configuration in force; None on a board without one."""
    slot = _active()
    try:
        with open(slot + "/config.json" if slot else "config.json") as file:
            return json.load(file)["device_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def reset():
    forget_starts()
    machine.reset()


def forget_starts():
    """Whoever comes with a cable gives a new beginning: the start that is cut off here has not failed, though boot.py
    counted it, and a column in safe mode is tried anew with what it has now. What fails from here on is counted."""
    try:
        with open("boot.rec", "rb") as file:
            line = file.read().strip()
        record = json.loads(line[9:].decode())
        if line != _framed(line[9:]).strip() or not record["u"]:
            return
        with open("boot.rec.new", "wb") as file:
            file.write(_framed(b'{"n":%d,"u":0}' % record["n"]))
        os.rename("boot.rec.new", "boot.rec")
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a blank board, or a record that boot.py begins anew


def _framed(payload):
    """As boot.py and firmware/record.py have it."""
    return b"\n%08x %s\n" % (crc32(payload) & 0xFFFFFFFF, payload)


def _make_folders(path):
    parts = path.split("/")
    for count in range(1, len(parts)):
        folder = "/".join(parts[:count])
        try:
            os.mkdir(folder)
        except OSError:
            os.stat(folder)  # exists already, or raises what is wrong
