"""`python -m desk`: the control centre's desk in the browser.

It prints one JSON line when it listens: {"event": "desk", "url": ...}; as long as there are no accounts, that link is
the way in. Its folder holds the register, the accounts and
who is logged in; two desks never share one. It listens on this machine only, unless told otherwise: then it needs
accounts, and encryption (its own, or that of a proxy in front).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import re
import signal
import sqlite3
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from common import connect_to
from common.arguments import EXIT_USAGE, Parser, add_language, described, number, whole
from common.connect_to import Endpoint
from common.home import DESK_COMMAND, DESK_TYPED, INSTALLED
from common.release import ReleaseError, load_public_keys
from common.sentences import Sentences, choose
from desk import account_command, backup_command, broker_options, cameras, evidence_command, ladder, own_folder
from desk.broker_options import Address, SetupError
from desk.cameras import Camera, CamerasError
from desk.column_keys import TAKEN_FILE, ColumnKeys
from desk.daily_voice_proof import DailyVoiceProof
from desk.duty import Change, Duty
from desk.exercises import DISGUISE_S
from desk.ladder import LadderError, Plan
from desk.line import Login
from desk.media import credentials
from desk.media.credentials import Credentials, CredentialsError
from desk.media.gateway import PORTS as STREAM_PORTS
from desk.media.gateway import Gateway
from desk.media.hosts import Hosts
from desk.media.trouble import NoStream
from desk.media.whep import PORTS as WHEP_PORTS
from desk.officers import OfficerError
from desk.private_file import PrivateFileError
from desk.recordings import GB, Rules
from desk.register import Register, RegisterError
from desk.register_file import REGISTER_FILE
from desk.rollout import steering as rollouts
from desk.rollout.steering import Steering
from desk.sip.conversation import Peer
from desk.sip.line import UDP
from desk.sip.trouble import NoCall
from desk.spoken import begin_log, spoken
from desk.telling import Officers
from desk.trouble import in_words
from desk.upkeep import receiver, roster
from desk.upkeep.chain import BUTTON_DAYS
from desk.upkeep.receiver import KeyFileError
from desk.upkeep.roster import Roster, RosterError
from desk.watched_file import WatchedFile
from desk.web import roles
from desk.web.accounts import Account, AccountError, Accounts
from desk.web.api import Desk, now_ms
from desk.web.audit import Audit
from desk.web.guard import Guard, Network, is_loopback
from desk.web.key import Key
from desk.web.listener import Listener
from desk.web.player import DEVICE_ID, Player
from desk.web.second_factor import SecondFactorError
from desk.web.server import KEEPALIVE_S, Server
from desk.web.sessions import Sessions

SHUTDOWN_S = 2.0
EXERCISES_MAX = 100.0  # a week
LISTEN = "127.0.0.1:8080"
NAME = re.compile(r"[a-z0-9-]{1,20}")
HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
TILES = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[^\s;,'\"]*")
HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
MEDIA_SERVER = re.compile(r"(https?|rtsp)://[A-Za-z0-9.:\[\]-]+/[A-Za-z0-9._~/?=&{}-]*")
DAYS_MAX = 3660
DISGUISE_MAX_S = 3660
POSITIVE = number("a number above 0", lambda found: 0 < found < 1e6)
RATE = number(f"from 0 to {EXERCISES_MAX:.0f} a week", lambda found: 0 <= found <= EXERCISES_MAX)
CHOSEN, REQUIRED = "chosen", "required"
OTHERS = (
    f"accounts: {account_command.USAGE}",
    f"a copy: {DESK_TYPED} backup --folder DIR --to DIR",
    f"evidence of a call: {DESK_TYPED} evidence --help",
    *(() if INSTALLED else ("a release for the columns, new keys: .venv/bin/python -m desk.rollout --help",)),
)

log = logging.getLogger("desk")
OnRequest = Callable[[tuple[Any, ...], bool], None]


REFUSALS = (
    *(SetupError, AccountError, CredentialsError, LadderError, OfficerError, PrivateFileError, RegisterError),
    *(CamerasError, RosterError, KeyFileError, SecondFactorError, ReleaseError),
)
"""Why a desk does not start, in words."""


def main(argv: list[str]) -> int:
    """Run the desk until SIGTERM or Ctrl-C, or change its accounts; returns the exit status."""
    begin_log(argv)
    sentences = spoken(argv)
    try:
        if argv[:1] == ["account"]:
            return account_command.main(argv[1:])
        if argv[:1] == ["evidence"]:
            return evidence_command.main(argv[1:])
        if argv[:1] == ["backup"]:
            return backup_command.main(argv[1:])
        if argv and not argv[0].startswith("-"):
            raise SetupError(f"there is no command {argv[0]!r}; docs/desk.md names those that there are")
        asyncio.run(_run(parse(argv)))
        return 0
    except (*REFUSALS, OSError) as error:
        print(sentences.said(f"error: {in_words(error)}"), file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    async with serving(arguments) as (url, _):
        print(json.dumps({"event": "desk", "url": url}), flush=True)
        await stop.wait()


@contextlib.asynccontextmanager
async def serving(arguments: argparse.Namespace) -> AsyncIterator[tuple[str, Server]]:
    """The whole desk, on duty and listening: its address and its server. `arguments`: see `parse`.

    Raises REFUSALS and OSError."""
    own_folder.check(arguments.folder, may_be_new=True)
    given = _given(arguments)
    guard = _guard(arguments, arguments.folder, lambda peer, member: listener.spoke(peer, member=member))
    with Register(arguments.folder / REGISTER_FILE) as register:
        duty = _duty(arguments, given, register, lambda change: server.notify(change))
        player = given.player
        audit = Audit(arguments.folder)
        desk = _desk(arguments, register, duty, given.cameras)
        server = Server(desk, guard, player, audit, _rules(arguments), given.steering)
        runner = web.AppRunner(
            server.application(), access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=SHUTDOWN_S
        )
        await runner.setup()
        try:
            assert runner.server is not None
            listener = Listener(runner.server, given.encryption)
            await _listen(listener, *arguments.listen)
            await asyncio.to_thread(duty.start)
            checking = _voice_proof(arguments, duty, player)
            try:
                url = _url(arguments.listen[0], listener.port, given.encryption is not None)
                yield url if guard.with_accounts else f"{url}enter?key={guard.key.text}", server
            finally:
                if checking is not None:
                    checking.cancel()
                    await asyncio.gather(checking, return_exceptions=True)
                await listener.stop()
                await asyncio.to_thread(duty.stop)
        finally:
            await runner.cleanup()


def _url(host: str, port: int, encrypted: bool) -> str:
    return f"{'https' if encrypted else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"


class Given(NamedTuple):
    """What stands in the files that a desk is started with: read before it makes any of its own. A start that is
    refused leaves nothing behind."""

    encryption: ssl.SSLContext | None
    cameras: list[Camera]
    player: Player
    steering: Steering
    login: Login
    plan: Plan
    roster: WatchedFile[Roster] | None
    answer_key: bytes | None


def _given(arguments: argparse.Namespace) -> Given:
    """Raises REFUSALS and OSError."""
    if (file := arguments.ladder) is not None and not os.path.lexists(file):
        raise SetupError(f"--ladder {file}: No such file or directory")
    if (file := arguments.roster) is not None and not os.path.lexists(file):
        advice = "give the roster.json that provisioning writes into centre/"
        raise SetupError(f"--roster {file}: No such file or directory: {advice}")
    if not arguments.folder.exists():  # else it has those that were taken last, which count in place of a damaged file
        ColumnKeys(arguments.column_keys)
    return Given(
        _encryption(arguments), _cameras(arguments), _player(arguments), _steering(arguments),
        broker_options.login(arguments),
        Plan() if arguments.ladder is None else ladder.read(arguments.ladder),
        None if arguments.roster is None else WatchedFile(arguments.roster, roster.read),
        None if arguments.answer_key is None else receiver.read_key(arguments.answer_key),
    )  # fmt: skip


def _duty(arguments: argparse.Namespace, given: Given, register: Register, on_change: Callable[[Change], None]) -> Duty:
    login, plan = given.login, given.plan
    if not plan.reaches_beyond_desks:
        log.warning("some calls that nobody accepts are told to desks only: give officers with --ladder FILE")
    return Duty(
        *(register, login.host, login.port),
        name=arguments.name, tls=login.tls, user=login.user, password=login.password, on_change=on_change,
        plan=plan, officers=Officers(plan.officers, arguments.folder),
        roster=given.roster,
        answer_key=given.answer_key,
        button_days=arguments.button_days,
        exercises_a_week=arguments.exercises,
        keys=ColumnKeys(arguments.column_keys, arguments.folder),
    )  # fmt: skip


def _desk(arguments: argparse.Namespace, register: Register, duty: Duty, known: Sequence[Camera]) -> Desk:
    return Desk(arguments.name, register, duty, arguments.tiles, known, arguments.exercise_disguise)


def _player(arguments: argparse.Namespace) -> Player:
    """Raises CredentialsError, and SetupError for a media server that the desk may not call."""
    local, elsewhere = is_loopback(arguments.listen[0]), _elsewhere(arguments.connect_to)
    hosts = Hosts(arguments.stream_hosts, local=local, elsewhere=elsewhere)
    known = Credentials() if arguments.camera_passwords is None else credentials.read(arguments.camera_passwords)
    if (server := arguments.media_server) is not None:
        try:
            hosts.allowed(server.replace(DEVICE_ID, "a"), {**WHEP_PORTS, **STREAM_PORTS})
        except NoStream as trouble:
            raise SetupError(f"--media-server {server}: {trouble.text}") from None
    language = choose(arguments.lang, os.environ)
    return Player(Gateway(hosts, known, arguments.sip_listen, arguments.sip_register, language), server)


def _elsewhere(file: Path | None) -> dict[Endpoint, Endpoint]:
    """Raises SetupError."""
    if file is not None and not file.exists():
        raise SetupError(f"--connect-to {file}: No such file or directory")
    try:
        return connect_to.read(file)
    except (OSError, ValueError) as error:
        raise SetupError(f"--connect-to {error}") from None


async def _listen(listener: Listener, host: str, port: int) -> None:
    """Raises SetupError with the address: there may be several desks on this machine."""
    try:
        await listener.start(host, port)
    except OSError as error:
        raise SetupError(f"--listen {host}:{port}: {error.strerror}") from error


def _cameras(arguments: argparse.Namespace) -> list[Camera]:
    """Raises CamerasError, and SetupError for cameras that the desk may not call."""
    if arguments.cameras is None:
        return []
    found, hosts = cameras.read(arguments.cameras), Hosts(arguments.stream_hosts, local=True)
    for camera in found:
        for address in camera.stream.values():
            try:
                hosts.allowed(address, {**WHEP_PORTS, **STREAM_PORTS})
            except NoStream as trouble:
                raise SetupError(f"--cameras {arguments.cameras}: camera {camera.id}: {trouble.text}") from None
    return found


def _rules(arguments: argparse.Namespace) -> Rules | None:
    """Raises OSError."""
    if arguments.record is None:
        return None
    folder = own_folder.made(arguments.record.resolve())
    return Rules(folder, arguments.record_days, round(arguments.record_gb * GB), arguments.record_ahead)


def _steering(arguments: argparse.Namespace) -> Steering:
    """Raises SetupError, ReleaseError and OSError."""
    load_public_keys(arguments.release_keys or ())
    if arguments.releases is not None and not arguments.releases.exists():
        raise SetupError(f"--releases {arguments.releases}: there is no such folder")
    if arguments.releases is not None and not arguments.releases.is_dir():
        raise SetupError(f"--releases {arguments.releases}: is no folder")
    shelf, keys = arguments.releases, arguments.release_keys or ()
    taken = None if arguments.column_keys is None else arguments.folder / TAKEN_FILE
    broker = broker_options.passed_on(argparse.Namespace(**{**vars(arguments), "column_keys": taken}))
    return Steering(arguments.folder / rollouts.FOLDER, shelf, keys, broker)


def _voice_proof(arguments: argparse.Namespace, duty: Duty, player: Player) -> asyncio.Task[None] | None:
    """Runs from now on, if it is wanted."""
    if arguments.voice_proof is None:
        return None

    def told(device_id: str, verdict: str) -> None:
        with contextlib.suppress(sqlite3.Error):  # the register's trouble is told elsewhere
            duty.voice(device_id, verdict)

    check = DailyVoiceProof(arguments.folder, arguments.voice_proof, player.gateway.prove, duty.intercoms, told, now_ms)
    return asyncio.ensure_future(check.run())


def _guard(arguments: argparse.Namespace, folder: Path, on_request: OnRequest = lambda peer, member: None) -> Guard:
    """Makes the folder. Raises SetupError when others than this machine could reach a desk that is open to them."""
    accounts = Accounts(folder)
    outside, two_factors = not is_loopback(arguments.listen[0]), arguments.second_factor == REQUIRED
    if two_factors and not accounts.all():
        raise SetupError(f"--second-factor {REQUIRED} needs accounts, made with: {account_command.USAGE}")
    if outside and not accounts.all():
        raise SetupError(
            f"--listen {arguments.listen[0]} is not this machine only: that needs accounts, made with: "
            f"{account_command.USAGE}"
        )
    if outside and arguments.tls_cert is None and not arguments.insecure_http:
        raise SetupError(
            f"--listen {arguments.listen[0]} is not this machine only: that needs --tls-cert and --tls-key, or "
            "--insecure-http behind a proxy that encrypts"
        )
    key = Key(own_folder.made(folder))
    sessions = Sessions(folder, accounts, nobody=Account("", roles.CHIEF, key.text))
    encrypted, proxies = arguments.tls_cert is not None, tuple(arguments.trusted_proxy)
    required = outside or two_factors
    return Guard(accounts, sessions, key, required, encrypted, arguments.tiles, proxies, two_factors, on_request)


def _encryption(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    if arguments.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    broker_options.load_pair(context, tls_cert=arguments.tls_cert, tls_key=arguments.tls_key)
    return context


# The command line


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments of the desk. Raises SetupError, or exits as argparse does."""
    arguments = _parser(spoken(argv)).parse_args(argv)
    _check_pairs(arguments)
    return arguments


def _parser(sentences: Sentences) -> Parser:
    parser = Parser(
        sentences,
        prog=DESK_COMMAND,
        description=described(__doc__).partition(": ")[2],
        epilog="\n".join(map(sentences.said, OTHERS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_language(parser)
    add = parser.add_argument
    broker_options.add(parser, required=True)
    add("--folder", type=Path, required=True, metavar="DIR", help="register and accounts; made if missing")
    where, told = broker_options.address, f"(default: {LISTEN}; port 0: any)"
    add("--listen", type=where, default=where(LISTEN), metavar="HOST:PORT", help=told)
    add("--name", type=_name, default="desk-1", help="of this desk among others (default: %(default)s)")
    add("--tls-cert", type=Path, metavar="FILE", help="certificate that browsers see: https")
    add("--tls-key", type=Path, metavar="FILE", help="... and its key")
    add("--insecure-http", action="store_true", help="no https of its own although others can reach it: behind a proxy")
    add("--trusted-proxy", type=_networks, default=[], metavar="A,B/NET", help="proxies whose X-Forwarded-For counts")
    factor = "required: everybody sets one up at the next login, before anything else"
    add("--second-factor", choices=(CHOSEN, REQUIRED), default=CHOSEN, help=factor)
    add("--ladder", type=Path, metavar="FILE", help="who is told of calls that nobody accepts: TOML, its owner's only")
    add("--tiles", type=_tiles, metavar="URL", help="the map's tiles, such as https://tiles.example/{z}/{x}/{y}.png")
    add("--sip-listen", type=_own_address, metavar="HOST:PORT", help="where intercoms call this desk (UDP)")
    registers = "the desk's name at an exchange that brings it their calls"
    add("--sip-register", type=_exchange, metavar="sip:NAME@EXCHANGE", help=registers)
    add("--voice-proof", type=_hours, metavar="FROM-TO", help="when intercoms are proven, daily: 09:00-17:00")
    add("--stream-hosts", type=_hosts, metavar="A,B:PORT", help="cameras that may be called, and no others")
    add("--connect-to", type=Path, metavar="FILE", help="cameras and intercoms that are reached at another address")
    add("--roster", type=Path, metavar="FILE", help="the columns that should be there: roster.json of provisioning")
    add("--answer-key", type=Path, metavar="FILE", help="answers to drills are signed with it: answer.key")
    button = "for so long a press proves the button (default: %(default)s)"
    add("--exercises", type=RATE, default=0.0, metavar="N", help="so many unannounced ones a week (default: none)")
    disguise = "an exercise looks like a call for so long (default: %(default)s s)"
    add("--exercise-disguise", type=whole("seconds", 0, DISGUISE_MAX_S), default=DISGUISE_S, metavar="S", help=disguise)
    add("--button-days", type=whole("days", 1, DAYS_MAX), default=BUTTON_DAYS, metavar="N", help=button)
    server = "the city's media server, such as http://media.example:8889/{device_id}/whep; it is asked first"
    add("--media-server", type=_media_server, metavar="TEMPLATE", help=server)
    cameras = "the city's own cameras: cameras.csv, see docs/desk.md, The city's cameras"
    add("--cameras", type=Path, metavar="FILE", help=cameras)
    add("--record", type=Path, metavar="DIR", help="record open calls into this folder (default: nothing is recorded)")
    add("--record-days", type=POSITIVE, default=30.0, metavar="N", help="... and keep them so long (default: 30)")
    add("--record-gb", type=POSITIVE, default=50.0, metavar="N", help="... and no more than that (default: 50)")
    add("--record-ahead", action="store_true", help="... with the 10 s before: holds every column's camera open")
    add("--camera-passwords", type=Path, metavar="FILE", help="what cameras want to know: TOML, its owner's only")
    add("--releases", type=Path, metavar="DIR", help="releases that the page may send out, each in a folder of its own")
    keys = "... signed with one of these: public keys that columns trust"
    add("--release-keys", type=Path, nargs="+", metavar="PEM", help=keys)
    return parser


def _check_pairs(arguments: argparse.Namespace) -> None:
    broker_options.check(arguments, ("tls_cert", "tls_key"), ("releases", "release_keys"))
    if arguments.sip_register is not None and arguments.sip_listen is None:
        raise SetupError("--sip-register needs --sip-listen, where the exchange brings the calls")
    if arguments.record_ahead and arguments.record is None:
        raise SetupError("--record-ahead needs --record, the folder for recordings")


def _media_server(text: str) -> str:
    if not MEDIA_SERVER.fullmatch(text) or text.count(DEVICE_ID) != 1:
        must = "must be like http://media.example:8889/{device_id}/whep or rtsp://media.example:8554/{device_id}"
        raise argparse.ArgumentTypeError(f"found {text!r}, {must}")
    return text


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"found {text!r}, must be 1 to 20 of the characters a-z, 0-9 and '-'")
    return text


def _tiles(text: str) -> str:
    # What stands in the policy for browsers must not be able to end it.
    if not TILES.fullmatch(text) or any(field not in text for field in ("{z}", "{x}", "{y}")):
        raise argparse.ArgumentTypeError(f"found {text!r}, must be like https://tiles.example/{{z}}/{{x}}/{{y}}.png")
    return text


def _networks(text: str) -> list[Network]:
    try:
        return [ipaddress.ip_network(one.strip()) for one in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}: give addresses or networks, with commas between them") from None


def _hours(text: str) -> tuple[int, int]:
    """Minutes of the day. Raises ArgumentTypeError."""
    found = HOURS.fullmatch(text)
    begin, end = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (0, 0)
    if begin >= end:
        raise argparse.ArgumentTypeError(f"found {text!r}, must be FROM-TO within one day, such as 09:00-17:00")
    return begin, end


def _own_address(text: str) -> Address:
    """One that intercoms can send sound to. Raises ArgumentTypeError."""
    host, port = broker_options.address(text)
    try:
        is_any = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        is_any = True
    if is_any:
        raise argparse.ArgumentTypeError(f"{host} must be this machine's own address in the intercoms' network")
    return host, port


def _exchange(text: str) -> str:
    """Raises ArgumentTypeError."""
    try:
        peer = Peer.of(text, ())
        is_name = peer.uri.user is not None and peer.transport == UDP
    except NoCall:
        is_name = False
    if not is_name:
        raise argparse.ArgumentTypeError(f"found {text!r}, must be sip:NAME@EXCHANGE, which is asked by UDP")
    return text


def _hosts(text: str) -> list[str]:
    hosts = [host.strip() for host in text.split(",")]
    for host in hosts:
        if not HOST.fullmatch(host):
            raise argparse.ArgumentTypeError(f"found {host!r}, must be HOST or HOST:PORT, with commas between them")
    return hosts
