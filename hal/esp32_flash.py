"""Files on LittleFS. It commits data at close, renames atomically, and keeps no checksum (firmware/record.py does)."""

import os

_ENOENT = 2
_EEXIST = 17


class _Undisturbed:
    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


class Flash:
    quiet = _Undisturbed()  # entered while the flash is written: then no interrupt may call code that lies in it

    def read(self, name):
        try:
            with open(name, "rb") as file:
                return file.read()
        except OSError as error:
            if error.args[0] == _ENOENT:
                return None
            raise

    def append(self, name, data):
        with self.quiet, open(name, "ab") as file:
            file.write(data)

    def replace(self, name, data):
        # In place it would leave an empty file when the power goes at open.
        with self.quiet:
            with open(name + ".new", "wb") as file:
                file.write(data)
            os.rename(name + ".new", name)

    def rename(self, old, new):
        with self.quiet:
            os.rename(old, new)

    def remove(self, name):
        try:
            with self.quiet:
                os.remove(name)
        except OSError as error:
            if error.args[0] != _ENOENT:
                raise

    def make_folder(self, name):
        try:
            with self.quiet:
                os.mkdir(name)
        except OSError as error:
            if error.args[0] != _EEXIST:
                raise

    def size(self, name):
        try:
            return os.stat(name)[6]
        except OSError:
            return 0

    def read_at(self, name, start, limit):
        try:
            with open(name, "rb") as file:
                file.seek(start)
                return file.read(limit)
        except OSError as error:
            if error.args[0] == _ENOENT:
                return b""
            raise

    def entries(self, folder):
        return os.ilistdir(folder)

    def free_bytes(self):
        size, _, blocks, free = os.statvfs("/")[:4]
        # Nearly full, LittleFS counts blocks twice that files share: fewer than none are free, which wraps around.
        return size * free if 0 <= free <= blocks else 0
