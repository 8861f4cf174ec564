"""What a city has in its street beside the columns, from other people's programs: cameras and intercoms. They are
fetched once; where they cannot be had, there is a reason."""

from __future__ import annotations

from collections.abc import Callable

from sim.servers.intercom import IntercomError, own_address
from tools import gstreamer, toolbox

PACKAGES = (gstreamer.PACKAGE, "baresip-core")
TOOLS = {"rtsp": "gstreamer", "sip": "baresip"}
FETCHED = "some 60 MB"


def at_hand() -> bool:
    """Whether nothing has to be fetched."""
    return all(toolbox.at_hand(package) for package in PACKAGES)


def missing(say: Callable[[str], None]) -> dict[str, str]:
    """Why there is no `rtsp` or no `sip`; {} where there are both. Fetches them, and says so before."""
    if not at_hand():
        say(f"Fetching a camera (GStreamer) and an intercom (baresip), once: {FETCHED} ...")
    found = {}
    for kind, tool in TOOLS.items():
        try:
            toolbox.require(tool)
            if kind == "sip":
                own_address()
        except (toolbox.ToolMissing, IntercomError) as error:
            found[kind] = str(error)
    return found
