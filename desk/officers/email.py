"""A message by SMTP. The server's 250 after the text means that it was taken; `Message-ID` is the same for a repeat."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any

from desk.officers import Call, NotTold, Tell

KEYS = {
    "server": True, "port": False, "to": True, "from": True, "user": False, "password": False, "tls": False,
    "ca": False, "timeout_s": False,
}  # fmt: skip
TLS = ("starttls", "implicit", "none")
PORTS = {"starttls": 587, "implicit": 465, "none": 25}
TIMEOUT_S = 10
TIMEOUT_MAX_S = 15


def make(settings: Mapping[str, Any], notes: Path | None) -> Tell:
    """`tls`: starttls unless told otherwise; a password is never sent without."""
    tls = settings.get("tls", "starttls")
    if tls not in TLS:
        raise ValueError(f"tls: found {tls!r}, must be one of {', '.join(TLS)}")
    for key in ("to", "from"):
        if "@" not in settings[key] or not settings[key].isprintable():
            raise ValueError(f"{key}: found {settings[key]!r}, must be an address such as duty@example.org")
    if ("user" in settings) != ("password" in settings):
        raise ValueError("user and password go together")
    if "user" in settings and tls == "none":
        raise ValueError('tls: must not be "none" with a password: everybody on the way could read it')
    timeout_s = settings.get("timeout_s", TIMEOUT_S)
    if not isinstance(timeout_s, int) or not 1 <= timeout_s <= TIMEOUT_MAX_S:
        raise ValueError(f"timeout_s: found {timeout_s!r}, must be a whole number from 1 to {TIMEOUT_MAX_S}")
    context = None if tls == "none" else ssl.create_default_context(cafile=settings.get("ca"))
    given = {"port": PORTS[tls], **settings, "tls": tls, "timeout_s": timeout_s}
    return lambda call: _send(given, context, call)


def _send(settings: Mapping[str, Any], context: ssl.SSLContext | None, call: Call) -> str:
    """Until the text itself goes out nothing can have arrived; from then on only the server's word counts."""
    server, timeout_s = None, settings["timeout_s"]
    try:
        try:
            server = _connected(settings, context, timeout_s)
            server.mail(settings["from"])
            code, answer = server.rcpt(settings["to"])
        except (OSError, smtplib.SMTPException) as error:
            raise NotTold(f"{settings['server']}: {error}") from None
        if code not in (250, 251):
            raise NotTold(f"{settings['server']}: {settings['to']}: {code} {answer.decode('utf-8', 'replace')}")
        try:
            code, answer = server.data(_message(settings, call).as_bytes())
        except smtplib.SMTPDataError as error:
            raise NotTold(f"{settings['server']}: {error}") from None
        said = f"{code} {answer.decode('utf-8', 'replace')}"
        if code != 250:
            raise NotTold(f"{settings['server']}: {said}")
        return said
    finally:
        if server is not None:
            server.close()


def _connected(settings: Mapping[str, Any], context: ssl.SSLContext | None, timeout_s: float) -> smtplib.SMTP:
    where = settings["server"], settings["port"]
    if settings["tls"] == "implicit":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=timeout_s, context=context)
    else:
        server = smtplib.SMTP(*where, timeout=timeout_s)
    if settings["tls"] == "starttls":
        server.starttls(context=context)
    server.ehlo_or_helo_if_needed()
    if "user" in settings:
        server.login(settings["user"], settings["password"])
    return server


def _message(settings: Mapping[str, Any], call: Call) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = settings["from"], settings["to"], call.subject
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = f"<{call.key.replace('/', '.')}@{settings['from'].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Importance"] = "high"
    message.set_content(call.text)
    return message
