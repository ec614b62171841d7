"""A real HTTP server that takes posts, as those that people send webhooks to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Posts:
    """What was posted, and where to."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.taken: list[tuple[str, Any]] = []
        """Path and content of each."""


@contextmanager
def post_server(*, code: int = 200, hang: threading.Event | None = None) -> Iterator[Posts]:
    """Answers with a code; where `hang` is given, not before it is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posts.taken.append((self.path, json.loads(body)))
            if hang is not None:
                hang.wait(30)
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    posts = Posts(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield posts
    finally:
        if hang is not None:
            hang.set()
        server.shutdown()
        server.server_close()
