"""The one place where what goes wrong in a command becomes words: no traceback for anything that a disk, a permission,
a port, a cable or a file can do."""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Protocol

from common.release import ReleaseError
from common.sentences import any_letters
from field.keeping import KeepError
from field.laptop import ClockError
from field.words import English, Trouble, Words, asked_for

EXIT_FAILED = 1
PLAIN = (KeepError, ClockError, ReleaseError)  # what they say is English, for `Words.said`
EXIT_INTERRUPTED = 128 + signal.SIGINT
_BY_NUMBER = {
    errno.EACCES: "file.permission",
    errno.EPERM: "file.permission",
    errno.ENOENT: "file.missing",
    errno.ENOTDIR: "file.missing",
    errno.ENOSPC: "file.full",
    errno.EDQUOT: "file.full",
    errno.EROFS: "file.read-only",
    errno.EISDIR: "file.folder",
    errno.EEXIST: "file.in-the-way",
}


class Main(Protocol):
    def __call__(self, argv: Sequence[str] | None = None) -> int: ...


def explained(error: OSError) -> Trouble:
    """What the system says of a file, as a trouble."""
    name, key = error.filename2 or error.filename, _BY_NUMBER.get(error.errno or 0, "file.fails")
    if name is None:  # such as standard output, or a file of a library's own
        key = "file.full-unnamed" if key == "file.full" else "file.fails-unnamed"
    return Trouble(key, name=name, error=error.strerror or error, temporary=tempfile.gettempdir())


def in_words(main: Callable[[Sequence[str] | None], int]) -> Main:
    """A command's `main`: whatever it raises is told in the language that was asked for, as its exit status says."""

    @functools.wraps(main)
    def told(argv: Sequence[str] | None = None) -> int:
        any_letters()
        words = asked_for(argv, os.environ)
        try:
            return main(argv)
        except Trouble as trouble:
            return fail(words, trouble)
        except PLAIN as error:
            return fail(words, English(error))
        except BrokenPipeError:  # whoever read it, `head` perhaps, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_FAILED
        except OSError as error:
            return fail(words, explained(error))
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED

    return told


def fail(words: Words, trouble: Trouble | English) -> int:
    print(words("error", why=trouble), file=sys.stderr)
    return EXIT_FAILED
