# In an image of one's own, in the place of the port's own _boot.py: it runs before boot.py. A stock image whose file
# system cannot be mounted prints that for ever, with no watchdog armed. Here the column starts all the same, on a disk
# in RAM: it has no configuration then, so its lamp says so, and its console says why. Nothing on the flash is changed,
# for what is wrong may pass with the next reset, and what is there may still be rescued.
import gc

import vfs
from flashbdev import bdev

BROKEN_FILE = "filesystem.bad"  # on the disk in RAM: why there is no other; read by firmware/startup/unconfigured.py
BLOCK_BYTES = 512
BLOCKS = 24


class RamDisk:
    def __init__(self):
        self._data = bytearray(BLOCK_BYTES * BLOCKS)

    def readblocks(self, block, buffer, offset=0):
        at = block * BLOCK_BYTES + offset
        buffer[:] = memoryview(self._data)[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=0):
        at = block * BLOCK_BYTES + offset
        self._data[at : at + len(buffer)] = buffer

    def ioctl(self, request, argument):
        return {4: BLOCKS, 5: BLOCK_BYTES}.get(request, 0)


def is_erased():
    """A new board's flash: there is nothing on it to be lost."""
    block = bytearray(bdev.ioctl(5, 0))
    bdev.readblocks(0, block)
    return all(byte == 0xFF for byte in block)


def mount():
    try:
        vfs.mount(bdev, "/")
        return
    except Exception as error:
        why = repr(error)
    try:
        if is_erased():
            vfs.VfsLfs2.mkfs(bdev)
            vfs.mount(vfs.VfsLfs2(bdev), "/")
            return
    except Exception as error:
        why = repr(error)
    print("boot: the file system cannot be mounted: %s" % why)
    disk = RamDisk()
    vfs.VfsLfs2.mkfs(disk)  # type: ignore[arg-type]
    vfs.mount(vfs.VfsLfs2(disk), "/")  # type: ignore[arg-type]
    with open(BROKEN_FILE, "w") as file:
        file.write(why)


mount()
gc.collect()
