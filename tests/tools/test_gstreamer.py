"""GStreamer's RTSP server for the tests: it runs, and only what it needs is fetched."""

import pytest
from column_probe import need

from tools import debian, gstreamer, toolbox

PLAN = """
Inst libglib2.0-0t64 (2.84.4-3 Debian:13/stable [amd64])
Inst libgtk-3-0t64 (3.24.49-3 Debian:13/stable [amd64])
Inst systemd (257.7-1 Debian:13/stable [amd64])
Inst python3-gi (3.50.0-4 Debian:13/stable [amd64])
Inst gir1.2-gst-rtsp-server-1.0 (1.26.2-1 Debian:13/stable [amd64])
"""


@pytest.mark.gstreamer
def test_it_runs_here() -> None:
    need("gstreamer")
    assert toolbox.check("gstreamer").split(".")[0] == "1"


def test_a_desktop_is_not_fetched_with_it() -> None:
    wanted = debian._wanted(PLAN, gstreamer.PACKAGE, "amd64", only=gstreamer.NAMES)
    assert wanted == [
        "libglib2.0-0t64:amd64=2.84.4-3",
        "python3-gi:amd64=3.50.0-4",
        "gir1.2-gst-rtsp-server-1.0:amd64=1.26.2-1",
    ]
    assert "libgtk-3-0t64:amd64=3.24.49-3" in debian._wanted(PLAN, gstreamer.PACKAGE, "amd64")  # the control
