"""As much of a Hugging Face hub, and of Google's storage, as it takes to list the files of a folder and to read one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from web import Handler, Web, running

HUB, BUCKET = "/api/datasets/somebody/texts", "/storage/v1/b/texts/o"


class _Hub(Handler):
    """The data set ``somebody/texts``, whose files are those of the folder."""

    def do_GET(self) -> None:  # noqa: N802
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/datasets/somebody/texts/resolve/"):
            self._plain(path.split("/", 6)[6])
        elif path.startswith(f"{HUB}/tree/"):
            self._json(self._entries(path.removeprefix(f"{HUB}/tree/main").strip("/")))
        elif path in (HUB, f"{HUB}/revision/main"):
            self._json({"id": "somebody/texts", "sha": "0" * 40, "private": False, "tags": [], "downloads": 0})
        else:
            self._nothing(path)

    def do_POST(self) -> None:  # noqa: N802
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        wanted = json.loads(asked)["paths"] if asked.startswith("{") else parse_qs(asked)["paths"]
        known = {entry["path"]: entry for entry in self._entries("")}
        self._json([known[path] for path in wanted if path in known])

    def _entries(self, under: str) -> list[dict[str, Any]]:
        paths = sorted((self.server.folder / under).rglob("*"))
        return [
            {
                "type": "directory" if path.is_dir() else "file",
                "path": path.relative_to(self.server.folder).as_posix(),
                "size": path.stat().st_size,
                "oid": "0" * 40,
            }
            for path in paths
        ]

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), Content_Type="application/json")


class _Storage(_Hub):
    """The bucket ``texts``."""

    def do_GET(self) -> None:  # noqa: N802
        parts = urlsplit(self.path)
        path, asked = unquote(parts.path), parse_qs(parts.query)
        name = path.partition(f"{BUCKET}/")[2]
        objects = [self._object(one["path"]) for one in self._entries("") if one["type"] == "file"]
        if name and not (self.server.folder / name).is_file():
            self._nothing(name)
        elif name and (path.startswith("/download") or asked.get("alt") == ["media"]):
            self._range(name)
        elif name:
            self._json(self._object(name))
        else:
            prefix = asked.get("prefix", [""])[0]
            self._json({"kind": "storage#objects", "items": [o for o in objects if o["name"].startswith(prefix)]})

    def _object(self, name: str) -> dict[str, Any]:
        size = (self.server.folder / name).stat().st_size
        return {
            "kind": "storage#object",
            "name": name,
            "bucket": "texts",
            "size": str(size),
            "generation": "1",
            "mediaLink": f"{self.server.url}/download{BUCKET}/{name.replace('/', '%2F')}?alt=media",
            "updated": "2024-01-01T00:00:00Z",
            "timeCreated": "2024-01-01T00:00:00Z",
        }


@contextmanager
def hub(folder: Path) -> Iterator[Web]:
    """A hub."""
    with running(Web(folder, _Hub)) as server:
        yield server


@contextmanager
def storage(folder: Path) -> Iterator[Web]:
    """A storage."""
    with running(Web(folder, _Storage)) as server:
        yield server
