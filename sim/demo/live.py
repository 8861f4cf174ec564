"""`make run` on a terminal: the city runs until Ctrl-C, its pages are in the browser."""

from __future__ import annotations

import socket
import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path

from common.ports import HOST
from common.sentences import Sentences
from sim.demo.city import City
from sim.demo.columns import COLUMNS
from sim.demo.desk_process import has_display
from sim.servers import street
from sim.servers.broker import Broker, EmbeddedBroker, Mosquitto
from tools import toolbox

DESK_PORT, PILLAR_PORT = 8080, 8090
LOOK_S = 0.5

Say = Callable[[str], None]


def run(runtime: str, folder: Path, sentences: Sentences) -> int:
    """Print where the pages are, show the desk if there is a screen; returns when interrupted (KeyboardInterrupt)."""

    def say(line: str) -> None:
        print(sentences.said(line), flush=True)

    broker, with_street = _broker(), _street(say)
    with City(
        broker, folder, runtime=runtime, desk_port=_free(DESK_PORT), pillar_port=_free(PILLAR_PORT),
        desk_arguments=("--lang", sentences.language), street=with_street,
    ) as city:  # fmt: skip
        _tell(city, broker, folder, say)
        if has_display():
            webbrowser.open(city.desk.url)
        while True:
            time.sleep(LOOK_S)
            if not city.desk.running:
                say("The desk has ended; here it comes again, with everything it had.")
                city.desk.start()


def _tell(city: City, broker: Broker, folder: Path, say: Say) -> None:
    say("Three columns in Petropavlovsk and their desk. Press a button on a pillar's page, answer on the desk's.\n")
    say(f"  desk      {city.desk.url}")
    for number, place in enumerate(COLUMNS):
        page = f"{city.page(place.device_id):42} {place.name}"
        say(f"            {page}" if number else f"  pillars   {page}")
        print(f"{'':54} {' + '.join(city.equipment(place))}")
    say(f"  broker    {type(broker).__name__} on {broker.host}:{broker.port}")
    say(f"  register  {folder}\n\nCtrl-C ends it.")


def _broker() -> Broker:
    """mosquitto where there is one already; nothing is fetched for a first look."""
    return Mosquitto(persistence=True) if toolbox.at_hand("mosquitto") else EmbeddedBroker()


def _street(say: Say) -> bool:
    """Whether two columns get a camera and an intercom as a city buys them: other people's programs, fetched once,
    if somebody looks on."""
    if not street.at_hand() and not sys.stdout.isatty():
        return False
    missing = street.missing(say)
    for why in list(missing.values())[:1]:
        say(f"All three columns speak WHEP; no camera by RTSP, no intercom by SIP: {why}\n")
    return not missing


def _free(port: int) -> int:
    """The port, or 0 (any) if it is taken."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return 0
    return port
