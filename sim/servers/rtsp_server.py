"""Run by GStreamer's own Python (tools/gstreamer.py), not by ours: its RTSP server, with the streams it is given.

Arguments: port, JSON {path: pipeline, or [pipeline, that of ONVIF's back channel]}, and perhaps user and password.
Prints "up" when it listens, and then, whenever that changes, how many watch.
"""

import json
import sys
import threading
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

ROLE = "watcher"
BACK = "depay_backchannel"  # an element's name, by which GStreamer knows a back channel


class Watching:
    """The clients that play. Who connects may only ask whether the stream is there, as a column does."""

    def __init__(self, server: Any) -> None:
        self._clients: set[Any] = set()
        self._lock = threading.Lock()
        server.connect("client-connected", self._connected)

    def _connected(self, _: Any, client: Any) -> None:
        client.connect("play-request", self._now, True)
        for ends in ("pause-request", "teardown-request"):
            client.connect(ends, self._now, False)
        client.connect("closed", lambda client: self._now(client, None, False))

    def _now(self, client: Any, _: Any, plays: bool) -> None:
        with self._lock:  # GStreamer's threads
            if plays == (client in self._clients):
                return
            (self._clients.add if plays else self._clients.remove)(client)
            print(len(self._clients), flush=True)


def main(port: str, streams: str, user: str | None = None, password: str | None = None) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPOnvifServer() if BACK in streams else GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    Watching(server)
    if user is not None:
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, ROLE)
        auth.add_digest(user, password, token)
        server.set_auth(auth)
    for path, pipeline in json.loads(streams).items():
        pipeline, *back = [pipeline] if isinstance(pipeline, str) else pipeline
        factory = GstRtspServer.RTSPOnvifMediaFactory() if back else GstRtspServer.RTSPMediaFactory()
        factory.set_launch(pipeline)
        if back:
            factory.set_backchannel_launch(back[0])
            factory.set_media_gtype(GstRtspServer.RTSPOnvifMedia)
        if user is not None:
            permissions = GstRtspServer.RTSPPermissions()
            for what in (GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT):
                permissions.add_permission_for_role(ROLE, what, True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)
    if not server.attach(None):
        sys.exit(f"port {port} cannot be had")
    print("up", flush=True)
    GLib.MainLoop().run()


main(*sys.argv[1:])
