"""What is wrong, told apart: a code that the page has words for, and a sentence for the log and the API that says what
happened, where, and what to do next."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import ssl
from pathlib import Path
from typing import NamedTuple

from paho.mqtt.reasoncodes import ReasonCode

from desk.disk import NO_ROOM, has_no_room


class Trouble(NamedTuple):
    """`code` is "" when nothing is wrong."""

    code: str
    text: str


NONE = Trouble("", "")
DISK_FULL = "disk-full"
NOT_STARTED = Trouble("not-started", "not started")
CONNECTING = Trouble("connecting", "connecting")
STOPPED = Trouble("stopped", "stopped")
STALLED = Trouble("stalled", "this desk does not get on: it waits for its disk, or its machine has too much to do")
GONE = Trouble("gone", "the broker has gone: the connection ended")
CONTESTED = Trouble(
    "contested",
    "the broker ends this desk's connections one after the other: another desk runs on a copy of this desk's folder, "
    "under the same name there, and calls reach the one or the other; end one of the two",
)
DEAF = Trouble(
    "deaf", "the desk's own message does not come back from the broker: calls may not reach this desk; connecting again"
)
UNPROVEN = Trouble(
    "unproven",
    "the desk's own message has never come back from this broker, which must let the desk read and write "
    "sos/desk/+/proof (mosquitto's access list: topic readwrite sos/desk/+/proof)",
)
NO_SUBSCRIPTION = Trouble(
    "subscription", "the broker refuses the subscription: its access list must let this desk read sos/v1/+/+/#"
)
REFUSED_LOGIN = {
    "Bad user name or password": Trouble(
        "password", "the broker refuses this desk's user name or password: compare --user and --password-file with it"
    ),
    "Not authorized": Trouble(
        "not-authorised",
        "the broker does not authorise this desk (Not authorized): its password file and access list must know this "
        "user, and it must be able to read them; compare --user and --password-file with it",
    ),
}
AS_WITHOUT_ROOM = (
    *(sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN),
    sqlite3.SQLITE_CANTOPEN,
)
"""What SQLite says, among other things, when a quota or a limit is reached; also when it shares its index, or begins
its journal."""
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)


def of_connecting(error: BaseException | None, host: str, port: int, *, encrypted: bool = False) -> Trouble:
    """Why there is no connection to the broker: what the attempt, with TLS if `encrypted`, ended with."""
    where = f"the broker cannot be reached: {host}:{port}"
    if isinstance(error, socket.gaierror):
        return Trouble("name", f"{where}: no such name ({error.strerror}): look at --broker and at the name server")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble("certificate", f"{where}: its certificate is not accepted: {_why(error)}: look at --ca")
    if isinstance(error, ConnectionRefusedError):
        return Trouble("refused", f"{where}: nothing listens there: does the broker run, is the port right?")
    if isinstance(error, ssl.SSLError) or (encrypted and isinstance(error, ConnectionError)):
        why = _why(error)
        return Trouble("tls", f"{where}: no TLS there, or none that both sides know ({why}): is it the right port?")
    if isinstance(error, TimeoutError):
        return Trouble("timeout", f"{where}: no answer: is the machine on, does a firewall stand between?")
    if isinstance(error, OSError) and error.errno in NO_ROUTE:
        return Trouble("route", f"{where}: no way there ({error.strerror}): is this machine's network up?")
    return Trouble("unreachable", f"{where}: {error or 'it closed the connection'}")


def _why(error: OSError) -> str:
    return str(getattr(error, "verify_message", "") or getattr(error, "reason", "") or error)


def of_refusal(reason: ReasonCode) -> Trouble:
    """Why the broker said no to the login."""
    known = REFUSED_LOGIN.get(str(reason))
    text = f"the broker refuses this desk: {reason}"
    return Trouble(known.code, f"{text}: {known.text}") if known else Trouble("login", text)


def of_closing(said: str) -> Trouble:
    """The broker ended the connection before it answered the login; `said`: the last error of the connection."""
    if "CERTIFICATE" in said.upper() or "ALERT" in said.upper():
        return Trouble("own-certificate", f"the broker refuses this desk's certificate ({said}): look at --cert, --key")
    why = f" ({said})" if said else ""
    ask = "is that the right port, and does it want TLS (--ca, --cert, --key)?"
    return Trouble("closed", f"the broker ended the connection before it answered the login{why}: {ask}")


def of_opening(error: OSError, path: Path) -> Trouble:
    """A file or a folder of the desk's, such as the register, cannot be had."""
    text, folder = f"{path}: {error.strerror}", path.parent
    if error.errno in NO_ROOM:
        return Trouble(DISK_FULL, f"{text}: the disk is full: make room on the disk of {folder}")
    if error.errno == errno.EROFS:
        return Trouble("disk-readonly", f"{text}: the disk is mounted read-only: mount it for writing")
    if error.errno in (errno.EACCES, errno.EPERM) and _could_be_made_in(folder):
        return Trouble("disk-unreadable", f"{text}: make the folder {folder} and give it to this user")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Trouble("disk-unreadable", f"{text}: let this user read and write {folder}: see its owner and mode")
    return Trouble("disk-unreadable", f"{text}: is {folder} the folder that you mean?")


def _could_be_made_in(folder: Path) -> bool:
    """Whether what is missing is the folder itself: nobody should open the one around it, such as /etc, to the desk."""
    return not os.path.lexists(folder) and os.access(folder.parent, os.X_OK)


def in_words(error: Exception, register: Path | None = None) -> str:
    """Of any error with which a command ends: Python's own text names a number before it says what is wrong, and
    SQLite's does not say which file. `register`: the one that SQLite had to do with."""
    if isinstance(error, sqlite3.Error) and register is not None:
        return of_register(error, register).text
    if isinstance(error, OSError) and error.filename and error.strerror:
        return of_opening(error, Path(os.fsdecode(error.filename))).text
    return str(error)


def code_of(error: sqlite3.Error, path: Path | None = None) -> str:
    """The code alone, for who may not learn where the register is."""
    return of_register(error, path or Path()).code


def of_register(error: BaseException, path: Path) -> Trouble:
    """What SQLite's error means for the register."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    text, folder = f"{path}: {error}", path.parent
    match primary:
        case sqlite3.SQLITE_FULL:
            return Trouble(DISK_FULL, f"{text}: the disk is full: make room on the disk of {folder}")
        case sqlite3.SQLITE_READONLY:
            return Trouble(
                "disk-readonly", f"{text}: the file or its folder is read-only: let this user write {folder}"
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Trouble(
                "disk-locked", f"{text}: another program holds the file locked: end it (a backup? an editor?)"
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR if code in AS_WITHOUT_ROOM and has_no_room(path):
            return Trouble(DISK_FULL, f"{text}: nothing more may be written: make room, or raise the quota")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return Trouble("disk-unreadable", f"{text}: it cannot be opened: let this user read and write {folder}")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Trouble(
                "disk-damaged",
                f"{path}: the register is damaged or not one: put a backup in its place, or move it away "
                f"({' '.join(str(error).split())})",
            )
        case sqlite3.SQLITE_IOERR:
            return Trouble("disk-error", f"{text}: the disk fails: look at the system's log, save {folder} elsewhere")
    return Trouble("disk", text)
