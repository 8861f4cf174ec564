"""What is wrong with a server, or with a client, whom nobody may believe: its certificate or its TLS."""

import contextlib
import datetime
import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from unittest import mock

from chip_net_rig import Echo

from common.identity import Identity
from field import certificates
from field.certificates import CLIENT, SERVER
from sim.servers.authority import LOCAL_HOSTS, Authority

DAY = datetime.timedelta(days=1)
COLUMN = "petropavl-01"
OLD = {"TLS 1.0": ssl.TLSVersion.TLSv1, "TLS 1.1": ssl.TLSVersion.TLSv1_1}
CERTIFICATES = (
    *("of another authority", "expired", "not yet valid", "signed by itself", "signed with a column's key"),
    "for another use",
)
SERVERS = (*CERTIFICATES, "for another name", *OLD, "no TLS")
CLIENTS = (*CERTIFICATES, "none")


def server(authority: Authority, wrong: str) -> ssl.SSLContext | None:
    """For who trusts the authority, and looks for `localhost` or 127.0.0.1; None: it speaks no TLS at all. With nothing
    `wrong` one that is to be believed."""
    if wrong == "no TLS":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if wrong in OLD:
        speak_old(context, OLD[wrong])
    identity = _made(authority, SERVER, "localhost", "" if wrong in OLD else wrong)
    context.load_cert_chain(identity.cert, identity.key)
    return context


def client(authority: Authority, wrong: str) -> Identity | None:
    """Who shows itself so to a server of the authority's; None: it shows nothing."""
    return None if wrong == "none" else _made(authority, CLIENT, COLUMN, wrong)


@contextlib.contextmanager
def echoes(contexts: dict[str, ssl.SSLContext | None]) -> Iterator[dict[str, Echo]]:
    """Servers by what is wrong with them."""
    with ExitStack() as stack:
        yield {wrong: stack.enter_context(contextlib.closing(Echo(one))) for wrong, one in contexts.items()}


def speak_old(context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    """No other, which OpenSSL has to be asked for."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        context.minimum_version = context.maximum_version = version


def spoken(port: int, version: ssl.TLSVersion) -> str | None:
    """What a client that asks for that version alone, and looks at no certificate, comes to speak."""
    context = ssl._create_unverified_context()
    speak_old(context, version)
    with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain) as opened:
        return opened.version()


def _made(authority: Authority, usage: certificates.Usage, name: str, wrong: str) -> Identity:
    key, column_key = certificates.new_key(), certificates.new_key()
    hosts = LOCAL_HOSTS if usage is SERVER else ()
    end = datetime.datetime.now(datetime.UTC) + 30 * DAY
    right: dict[str, Any] = {
        "name": name, "key": key, "issuer": authority._name, "issuer_key": authority._key, "end": end,
        "usage": usage, "for_hosts": hosts,
    }  # fmt: skip
    changes: dict[str, dict[str, Any]] = {
        "of another authority": {"issuer_key": certificates.new_key()},  # of the same name
        "expired": {"end": certificates.VALID_FROM + DAY},
        "signed by itself": {"issuer": name, "issuer_key": key},
        "signed with a column's key": {"issuer": COLUMN, "issuer_key": column_key},
        "for another use": {"usage": CLIENT if usage is SERVER else SERVER},
        "for another name": {"for_hosts": ("other.example",)},
    }
    begin = datetime.datetime.now(datetime.UTC) + DAY if wrong == "not yet valid" else certificates.VALID_FROM
    with mock.patch.object(certificates, "VALID_FROM", begin):
        pem = certificates.certificate(**{**right, **changes.get(wrong, {})})
    if wrong == "signed with a column's key":
        pem += certificates.certificate(**{**right, "name": COLUMN, "key": column_key, "usage": CLIENT})
    made = authority.folder / f"{wrong or 'right'} {name}"
    identity = Identity(made.with_suffix(".pem"), made.with_suffix(".key"), authority.ca_path)
    identity.cert.write_bytes(pem)
    identity.key.write_bytes(certificates.key_pem(key))
    return identity
