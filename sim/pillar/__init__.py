"""Pillars: columns in real time, each with a virtual camera, an intercom and a page with a button to press.

In a program that has no event loop (a town of many):

>>> with PillarServer() as server:  # PillarServer(host="127.0.0.1", port=0, *, public_url=None)
...     config = server.configured(config)  # stream.webrtc and stream.http point here
...     pillar = server.add(Pillar(config, runtime="cpython", on_event=print))  # at any time, from any thread
...     pillar.power_on()
...     print(server.page(pillar.device_id))
...     pillar.close()

`Pillar(config, *, on_event=..., make_column=RealColumn, **column)` has the methods of `RealColumn` (power_on,
power_off, press, hold, release, wave, link, tamper, hang, reset, now_ms, close), so it can stand wherever a column
does, and `column`, `camera`, `intercom`, `state()`. In a program with an event loop:
`pillars_app(pillars: Mapping[str, Pillar]) -> aiohttp.web.Application`.
URLs: see sim/pillar/web.py; the page's feed: sim/pillar/feed.py. `python -m sim pillar` is one pillar on its own.
"""

from sim.pillar.pillar import Pillar
from sim.pillar.server import PillarServer
from sim.pillar.web import pillars_app

__all__ = ["Pillar", "PillarServer", "pillars_app"]
