"""`python -m sim pillar`: one column with its camera, its intercom and a page where a person can press the button.

Standard output has one JSON object a line: {"event": "pillar", "url": ...} when the page is there, then the events
of `python -m sim column`. It runs until it is interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from common.arguments import Parser, add_language, described
from common.home import COLUMN_COMMAND
from common.sentences import Sentences, any_letters
from common.signals import exit_on
from sim.pillar.pillar import Pillar
from sim.pillar.server import PillarServer
from sim.real.command import ending, printer, unreadable
from sim.real.runtimes import RUNTIMES
from sim.servers.own_time import HELP as OWN_TIME_HELP
from sim.servers.own_time import own_time
from sim.spoken import spoken
from tools import toolbox

EXIT_USAGE = 2


def main(argv: list[str]) -> int:
    """Run it; returns the exit status."""
    any_letters()
    sentences = spoken(argv)
    said, arguments = sentences.said, _parser(sentences).parse_args(argv)
    exit_on(signal.SIGTERM, signal.SIGINT, status=0)
    try:
        given = arguments.config.read_bytes()
    except OSError as error:
        print(said(unreadable(error)), file=sys.stderr)
        return EXIT_USAGE
    try:
        with (
            own_time(given) if arguments.clock else nullcontext(given) as config,
            _server(arguments) as server,
        ):
            _serve(server, _document(config, arguments.config), arguments, said)
        return 0
    except (OSError, ValueError) as error:
        print(said(f"error: {error}"), file=sys.stderr)
        return EXIT_USAGE
    except toolbox.ToolMissing as error:
        return toolbox.missing(error, said)


def _server(arguments: argparse.Namespace) -> PillarServer:
    """Raises ValueError with the address: several pillars may want the same one."""
    host, port = arguments.listen
    try:
        return PillarServer(host, port, public_url=arguments.public_url)
    except socket.gaierror as error:
        raise ValueError(f"--listen {host}:{port}: {error.strerror}") from None
    except OSError as error:  # whose text names the address once more, as Python writes it
        raise ValueError(f"--listen {host}:{port}: {os.strerror(error.errno or 0)}") from None


def _document(config: bytes, path: Path) -> dict[str, Any]:
    """Raises ValueError."""
    try:
        document = json.loads(config)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("device_id"), str):
        raise ValueError(f"{path}: must be a JSON object with a device_id")
    return document


def _serve(
    server: PillarServer, config: dict[str, Any], arguments: argparse.Namespace, said: Callable[[str], str]
) -> None:
    config, tell = server.configured(config), printer(said)
    column = {"runtime": arguments.runtime, "flash_path": arguments.flash, "seed": arguments.seed}
    column["on_death"] = ending(said)
    with server.add(Pillar(config, on_event=tell, **column)) as pillar:
        tell({"t_ms": pillar.now_ms(), "event": "pillar", "url": server.page(pillar.device_id)})
        pillar.power_on()
        threading.Event().wait()  # for a signal


def _parser(sentences: Sentences) -> Parser:
    description = described(__doc__).partition("`: ")[2].strip()
    layout = argparse.RawDescriptionHelpFormatter
    parser = Parser(sentences, f"{COLUMN_COMMAND} pillar", description, formatter_class=layout)
    add_language(parser)
    add = parser.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="configuration document (JSON); its stream.webrtc "
        "and stream.http are replaced by this pillar's own")  # fmt: skip
    add("--runtime", choices=RUNTIMES, default="cpython", help="(default: %(default)s)")
    add("--listen", type=_endpoint, default=("127.0.0.1", 8090), metavar="HOST:PORT", help="(default: 127.0.0.1:8090)")
    add("--public-url", metavar="URL", help="how others reach it, if not as it listens: http://HOST:PORT")
    add("--flash", type=Path, metavar="IMAGE", help="LittleFS image, kept (default: a throw-away one)")
    add("--clock", action="store_true", help=OWN_TIME_HELP)
    add("--seed", type=int, default=0, metavar="N", help="of the chip's chance (default: %(default)s)")
    return parser


def _endpoint(text: str) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([^:\s\[\]]+)):(\d{1,5})", text)
    if not found or int(found[3]) > 65535:
        raise argparse.ArgumentTypeError(f"found {text!r}, must be HOST:PORT such as 127.0.0.1:8090")
    return found[1] or found[2], int(found[3])
