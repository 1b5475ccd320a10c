"""A web server, an object store and a hub on this machine, which misbehave where asked to."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


class Web(ThreadingHTTPServer):
    """Serves the files of a folder; the first part of a path says how."""

    daemon_threads = True

    def __init__(self, folder: Path, handler: type[BaseHTTPRequestHandler] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), handler or Handler)
        self.folder = folder
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.redirects: dict[str, str] = {}
        self.seconds = 0.0

    def handle_error(self, *_: Any) -> None:
        """Readers that leave early are what is tested."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """``/plain/F``: no ranges; ``/range/F``: with ranges; ``/redirect/F``, ``/short/F``, ``/slow/F``, ``/gzip/F``,
    ``/status/403``, ``/endless/F``, ``/moved/KEY``, and more."""

    server: Web

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        how, _, name = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        getattr(self, f"_{how}", self._nothing)(name)

    def _nothing(self, _: str) -> None:
        self._answer(404, b"no such thing")

    def _answer(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def _content(self, name: str) -> bytes | None:
        path = self.server.folder / name
        if not path.is_file():
            self._nothing(name)
            return None
        return path.read_bytes()

    def _plain(self, name: str) -> None:
        if (body := self._content(name)) is not None:
            self._answer(200, body)

    def _range(self, name: str) -> None:
        body = self._content(name)
        wanted = self.headers.get("Range")
        if body is None:
            return
        if wanted is None:
            self._answer(200, body, Accept_Ranges="bytes")
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = body[int(first) : int(last) + 1 if last else len(body)]
        self._answer(206, part, Content_Range=f"bytes {first}-{int(first) + len(part) - 1}/{len(body)}")

    def _redirect(self, name: str) -> None:
        self._answer(302, b"", Location=f"/plain/{name}")

    def _moved(self, key: str) -> None:
        self._answer(302, b"", Location=self.server.redirects[key])

    def _around(self, name: str) -> None:
        self._answer(302, b"", Location=f"/around/{name}")

    def _short(self, name: str) -> None:
        if (body := self._content(name)) is not None:
            self._answer(200, body[: len(body) // 2], length=len(body))

    def _gzip(self, name: str) -> None:
        body = self._content(name)
        if body is not None:
            self._answer(200, body if name.endswith(".gz") else gzip.compress(body), Content_Encoding="gzip")

    def _cut(self, name: str) -> None:
        if (body := self._content(name)) is not None:
            self._answer(200, gzip.compress(body)[:-20], Content_Encoding="gzip")

    def _brotli(self, name: str) -> None:
        if (body := self._content(name)) is not None:
            self._answer(200, body, Content_Encoding="br")

    def _slow(self, name: str) -> None:
        time.sleep(self.server.seconds)
        self._plain(name)

    def _endless(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        line = (json.dumps({"text": "again " * 20}) + "\n").encode() * 500
        try:
            while True:
                self.wfile.write(line)
        except OSError:
            pass

    def _drip(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            pass

    def _status(self, code: str) -> None:
        self._answer(int(code.partition("/")[0]), b"geheim")

    def _dies(self, name: str) -> None:
        """Whole at the first request, and cut off at all others."""
        again = sum(path == self.path for path, _ in self.server.asked) > 1
        (self._short if again else self._plain)(name)

    def _twice(self, name: str) -> None:
        """Another content at the second request."""
        again = sum(path == self.path for path, _ in self.server.asked) > 1
        if (body := self._content(name)) is not None:
            self._answer(200, body + b'{"text": "one more"}\n' if again else body)


@contextmanager
def running(server: Web) -> Iterator[Web]:
    """The server, in a thread of this process."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(folder: Path) -> Iterator[Web]:
    """A web server over the folder."""
    with running(Web(folder)) as server:
        yield server
