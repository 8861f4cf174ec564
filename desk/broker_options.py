"""Where the broker is and who one is there, as the desk's programs take it on their command lines: one set of options,
one way to read them. The desk also passes on what it was given, to the rollout that it starts."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from common.arguments import Parser
from common.identity import Identity
from desk.line import Login

Address = tuple[str, int]
PAIRS = (("cert", "key"), ("user", "password_file"))
OPTIONS = ("user", "password_file", "ca", "cert", "key", "column_keys")


class SetupError(ValueError):
    """The program cannot start like this; says what to change."""


def add(parser: Parser, *, required: bool) -> None:
    """The options; `required`: the program can do nothing without a broker."""
    option = parser.add_argument
    option("--broker", type=address, required=required, metavar="HOST:PORT")
    option("--user", help="user name at the broker")
    option("--password-file", type=Path, metavar="FILE", help="its first line is the password at the broker")
    option("--ca", type=Path, metavar="FILE", help="authority of the broker's certificate: TLS")
    option("--cert", type=Path, metavar="FILE", help="the desk's own certificate at the broker")
    option("--key", type=Path, metavar="FILE", help="... and its key")
    option("--column-keys", type=Path, metavar="FILE", help="the columns' keys: the broker is not believed")


def check(arguments: argparse.Namespace, *more: Sequence[str]) -> None:
    """Of the options that go together, `more` pairs too. Raises SetupError."""
    given = vars(arguments)
    for names in (*PAIRS, *more):
        missing = [name for name in names if given[name] is None]
        if missing and len(missing) < len(names):
            raise SetupError(" and ".join(f"--{name.replace('_', '-')}" for name in names) + " go together")
    if arguments.cert is not None and arguments.ca is None:
        raise SetupError("--cert needs --ca, the authority of the broker's certificate")


def login(arguments: argparse.Namespace) -> Login:
    """Raises SetupError."""
    _check_identity(arguments)
    tls: Identity | Path | None = arguments.ca
    if arguments.ca is not None and arguments.cert is not None:
        tls = Identity(cert=arguments.cert, key=arguments.key, ca=arguments.ca)
    password = None
    if arguments.password_file is not None:
        password = first_line(arguments.password_file)
    host, port = arguments.broker
    return Login(host, port, tls, arguments.user, password)


def _check_identity(arguments: argparse.Namespace) -> None:
    """What is wrong with a certificate is told before anything begins, with its name. Raises SetupError."""
    if arguments.ca is None:
        return
    try:
        context = ssl.create_default_context(cafile=arguments.ca)
    except ssl.SSLError as error:
        raise SetupError(f"--ca {arguments.ca}: no certificate in PEM") from error
    except OSError as error:
        raise SetupError(f"--ca {arguments.ca}: {error.strerror}") from error
    if arguments.cert is not None:
        load_pair(context, cert=arguments.cert, key=arguments.key)


def load_pair(context: ssl.SSLContext, **options: Path) -> None:
    """A certificate and its key, by the names of their options. Raises SetupError."""
    (cert, cert_path), (key, key_path) = ((f"--{name.replace('_', '-')}", path) for name, path in options.items())
    try:
        context.load_cert_chain(cert_path, key_path)
    except ssl.SSLError as error:
        text = f"{cert} {cert_path} and {key} {key_path} are no certificate in PEM and its key"
        raise SetupError(text) from error
    except OSError as error:
        which = f"{key} {key_path}" if cert_path.exists() else f"{cert} {cert_path}"
        raise SetupError(f"{which}: {error.strerror}") from error


def passed_on(arguments: argparse.Namespace) -> list[str]:
    """The same options again, for another program."""
    host, port = arguments.broker
    found = ["--broker", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]
    for name in OPTIONS:
        if (value := getattr(arguments, name)) is not None:
            found += [f"--{name.replace('_', '-')}", str(value.resolve() if isinstance(value, Path) else value)]
    return found


def address(text: str) -> Address:
    """For argparse: HOST:PORT, [::1]:8080 too."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.port is not None and parts.netloc == text and parts.username is None:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"found {text!r}, must be HOST:PORT such as 127.0.0.1:8080")


def first_line(path: Path) -> str:
    """Without the byte order mark that an editor put in front. Raises SetupError."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SetupError(f"--password-file {path}: not UTF-8 (byte {error.start}): save it as UTF-8") from None
    except OSError as error:
        raise SetupError(f"--password-file {path}: {error.strerror}") from None
    if not lines or not lines[0]:
        raise SetupError(f"--password-file {path}: its first line is empty, and should be the password")
    if lines[0].startswith("{"):
        raise SetupError(f"--password-file {path}: that is JSON; it should be the password alone, in the first line")
    if lines[0].startswith("-----BEGIN"):
        why = "that is a key or a certificate; it should be the password alone, in the first line"
        raise SetupError(f"--password-file {path}: {why}")
    return lines[0]
