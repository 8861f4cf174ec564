"""A pager service: a web server that officers' webhooks are posted to."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from common.ports import HOST


class Pager:
    """A web server that notes what is posted, and answers as it is told: a status, or "hang up"."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, str], Any]] = []
        self.answer: int | str = 200
        self.on_post: Callable[[str], None] = lambda path: None
        """Called before it answers."""
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # noqa: N802
                body = self.rfile.read(int(self.headers["Content-Length"]))
                pager.posts.append((self.path, dict(self.headers), json.loads(body)))
                pager.on_post(self.path)
                if pager.answer == "hang up":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                with contextlib.suppress(ConnectionError):  # who asked may have been killed
                    self.send_response(int(pager.answer))
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self.server.server_port}/hook?a=1"


@contextlib.contextmanager
def paging() -> Iterator[Pager]:
    """One that serves."""
    made = Pager()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()
