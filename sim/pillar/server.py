"""The pillars' web server in a thread of its own, for programs that have no event loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

from aiohttp import web

from common.running import Running
from sim.pillar.pillar import Pillar
from sim.pillar.web import own_hosts, pillars_app

START_TIMEOUT_S = 30.0
SHUTDOWN_S = 2.0  # for answers that are on their way


class PillarServer(Running):
    """A context manager; its address is known before it starts, since each column's configuration must name it.

    All methods may be called from any thread. It does not own the pillars.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, public_url: str | None = None) -> None:
        """`port` 0: a free one. `public_url`: how others reach it, if not as it listens: "http://HOST:PORT".

        Raises OSError if the address is taken.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self.url = public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._pillars: dict[str, Pillar] = {}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="pillars", daemon=True)

    def start(self) -> None:
        """Returns when it answers."""
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_S):
            raise RuntimeError(f"the pillars' server did not start within {START_TIMEOUT_S:.0f} s")

    def stop(self) -> None:
        """Ends all pages and streams. Harmless when stopped already, or never started."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._socket.close()

    def add(self, pillar: Pillar) -> Pillar:
        """From now on it has its page. Raises ValueError for a device id that is there already."""
        if pillar.device_id in self._pillars:
            raise ValueError(f"there is a pillar {pillar.device_id} already: device ids must differ")
        self._pillars[pillar.device_id] = pillar
        return pillar

    def page(self, device_id: str) -> str:
        """The URL of a pillar's page."""
        return f"{self.url}/{device_id}/"

    def stream(self, device_id: str) -> dict[str, str]:
        """What the configuration of a column must say under `stream`, besides what else it has."""
        return {"webrtc": f"{self.url}/{device_id}/whep", "http": f"{self.url}/{device_id}/stream.ts"}

    def configured(self, config: dict[str, Any]) -> dict[str, Any]:
        """A copy of a column's configuration whose stream is here."""
        stream = config.get("stream")
        stream = stream if isinstance(stream, dict) else {}
        return {**config, "stream": {**stream, **self.stream(config["device_id"])}}

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._run())
        finally:
            self._loop.close()

    async def _run(self) -> None:
        app = pillars_app(self._pillars, hosts=own_hosts(self.host))
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        await web.SockSite(runner, self._socket).start()
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()
        await self._loop.shutdown_default_executor()
