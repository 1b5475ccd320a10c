"""Files that are not local, through fsspec: opened as streams, listed by patterns. No other module reaches a network.

Everything that fails is an Unreadable in words of ours: what libraries say of a failure may hold a signed URL.
"""

from __future__ import annotations

import io
import re
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, BinaryIO, cast

from collapse_audit.errors import UsageError
from collapse_audit.lineages.files.door import limits, raised
from collapse_audit.lineages.files.failures import Unreadable, check_ratio, too_much
from collapse_audit.lineages.files.natural_order import natural_key
from collapse_audit.lineages.files.urls import OVER_HTTP, Url

_SERVER = re.compile(r"([a-z]+)://(?:[^/?#@]*@)?(\[[^\]]*\]|[^/:?#]*)")
_REDIRECTS = 5
_SLOWEST = 1024
"""Bytes a second that are the least, once a server has had the time that it may say nothing."""
_BLOCK = 2**23
_GZIP = ("gzip", "x-gzip")
_DENIED = ("NoCredentials", "PermissionError", "Forbidden", "Unauthorized", "GatedRepo", "AccessDenied", "Refresh")
_LOST = ("ClientPayload", "ContentLength", "IncompleteRead", "ServerDisconnected", "RemoteProtocol", "ReadError")
_UNREACHED = ("ClientConnect", "ConnectError", "EndpointConnection", "ConnectionError", "gaierror", "ClientOSError")


class Fetched(io.RawIOBase):
    """The bytes of a file elsewhere, as they arrive: at most so many, and never waited for without end."""

    def __init__(self, url: Url, file: Any, *, redirected: str = "", close: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._url, self._file, self._close = url, file, close
        self._bytes, self._seconds = 0, 0.0
        self._unpacker: Any = None
        self._unpacked = 0
        self.redirected = redirected
        """The server that the bytes come from, where it is another one than the URL's."""

    def readable(self) -> bool:
        return True

    def unpack(self) -> None:
        """What comes is packed by gzip for the way: give out what it unpacks to."""
        self._unpacker = zlib.decompressobj(wbits=31)

    def readinto(self, buffer: Any) -> int:
        data = self._received(len(buffer)) if self._unpacker is None else self._inflated(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _received(self, most: int) -> bytes:
        began = time.monotonic()
        with worded(self._url):
            data = bytes(self._file.read(most))
        self._bytes += len(data)
        self._seconds += time.monotonic() - began
        if self._bytes > limits().remote:
            raise too_much("a file elsewhere of more bytes", "remote")
        if self._seconds > limits().silence and self._bytes < _SLOWEST * self._seconds:
            raise _silent("sends less than a kilobyte a second")
        return data

    def _inflated(self, most: int) -> bytes:
        data = b""
        while not data and not self._unpacker.eof:
            waiting = self._unpacker.unconsumed_tail or self._received(_BLOCK)
            if not waiting:
                raise Unreadable("a gzip answer that ends too early", "all of it", "remote-unreadable")
            with worded(self._url):
                data = self._unpacker.decompress(waiting, most)
        self._unpacked += len(data)
        check_ratio(self._bytes, self._unpacked)
        if self._unpacked > limits().remote:
            raise too_much("a file elsewhere of more bytes", "remote")
        return data

    def close(self) -> None:
        if not self.closed:
            with suppress(Exception):  # what was read has been read
                self._file.close()
                self._close()
        super().close()


def open_url(url: Url) -> Fetched:
    """The file's bytes, from the first one on; the caller closes it.

    Raises Unreadable, and UsageError where a library that it takes is not installed.
    """
    with worded(url):
        if url.scheme in OVER_HTTP:
            return _over_http(url)
        how = {"block_size": 0} if url.scheme == "hf" else {"block_size": _BLOCK, "cache_type": "readahead"}
        return Fetched(url, _store(url).open(url.full, "rb", **how))


def listed(url: Url) -> list[Url]:
    """The files that match the pattern, in natural order. Raises Unreadable, UsageError."""
    if url.scheme in OVER_HTTP:
        raise Unreadable("a pattern, and a web server does not list its files", "the URL of each file", "no-match")
    with worded(url):
        names = [str(name) for name in _store(url).glob(url.full)]
    if len(names) > limits().files:
        raise too_much("more files that match", "files")
    full = sorted((f"{url.scheme}://{name.removeprefix(f'{url.scheme}://')}" for name in names), key=natural_key)
    return [replace(url, full=name, shown=name) for name in full]


def _store(url: Url) -> Any:
    """The file system of a store, as the environment configures it; what it lists is never remembered."""
    seconds = limits().silence
    options: dict[str, Any] = {"use_listings_cache": False}
    if url.scheme == "s3":
        retries = {"max_attempts": 3}
        options["config_kwargs"] = {"connect_timeout": seconds, "read_timeout": seconds, "retries": retries}
    with _installed(url):
        import fsspec

        store = fsspec.filesystem(url.scheme, **options)
    store.invalidate_cache()
    return store


def _over_http(url: Url) -> Fetched:
    """One answer of a web server. It is asked for the bytes as they are; what is packed for the way is unpacked."""
    with _installed(url):
        import aiohttp
        import fsspec

    sessions: list[Any] = []
    answers: list[Any] = []

    async def client(**options: Any) -> Any:
        sessions.append(aiohttp.ClientSession(**options))
        return sessions[-1]

    async def redirected(_session: Any, _context: Any, step: Any) -> None:
        target = step.response.headers.get("Location") or step.response.headers.get("URI") or ""
        await _allow(str(step.url), str(step.url.join(type(step.url)(target))))

    async def answered(_session: Any, _context: Any, step: Any) -> None:
        answers.append(step.response)

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(redirected)
    trace.on_request_end.append(answered)
    seconds = limits().silence
    web = fsspec.filesystem(
        url.scheme,
        skip_instance_cache=True,
        get_client=client,
        encoded=url.full.isascii(),  # a signed URL must stay as it is; other letters have to be encoded
        client_kwargs={
            "timeout": aiohttp.ClientTimeout(total=None, connect=seconds, sock_connect=seconds, sock_read=seconds),
            "auto_decompress": False,
            "trust_env": True,
            "trace_configs": [trace],
            "headers": {"Accept-Encoding": "identity"},
        },
    )

    def close() -> None:
        for session in sessions:
            fsspec.asyn.sync(web.loop, session.close)

    try:
        file = web.open(url.full, "rb", block_size=0, size=1, max_redirects=_REDIRECTS)
        answer = answers[-1]
        host = f"{answer.url.host}"
        fetched = Fetched(url, file, redirected=host if answer.history else "", close=close)
        return _unpacked_on_the_way(fetched, url, answer.headers.get("Content-Encoding", "").strip().lower())
    except BaseException:
        close()
        raise


def _unpacked_on_the_way(fetched: Fetched, url: Url, encoding: str) -> Fetched:
    """A server may say that the bytes are packed, asked or not. Of a file that is packed anyway it means the file."""
    if encoding in ("", "identity") or (encoding in _GZIP and url.name.endswith(".gz")):
        return fetched
    if encoding in _GZIP:
        fetched.unpack()
        return fetched
    fetched.close()
    expected = "the bytes as they are, or gzip"
    raise Unreadable(f"an answer packed by {encoding!r}, unasked", expected, "remote-unreadable")


async def _allow(source: str, target: str) -> None:
    """Raises Unreadable where a server sends us from the open net into a closed one, or from https to http."""
    old, new = (_SERVER.match(url) for url in (source, target))
    expected = "the URL of the file itself, if you trust it"
    if old is None or new is None or new[1] not in OVER_HTTP:
        raise Unreadable("a redirect to what is no https:// or http://", expected, "remote-redirect")
    if (old[1], new[1]) == ("https", "http"):
        raise Unreadable(f"a redirect from https to http (to {new[2]})", expected, "remote-redirect")
    if old[2] != new[2] and await _is_open(old[2]) and not await _is_open(new[2]):
        raise Unreadable(f"a redirect into a network that is not public (to {new[2]})", expected, "remote-redirect")


async def _is_open(host: str) -> bool:
    """Whether all of a server's addresses are public; True where it has none, since nothing can be reached there."""
    import asyncio
    import ipaddress
    import socket

    try:
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return True
    return all(ipaddress.ip_address(str(address[4][0]).partition("%")[0]).is_global for address in found)


@contextmanager
def _installed(url: Url) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise UsageError(
            f'{url.scheme}:// needs libraries that are not installed: pip install "collapse-audit[remote]"',
            slug="no-remote",
        ) from None


@contextmanager
def worded(url: Url) -> Iterator[None]:
    """Whatever a library raises becomes an Unreadable that holds neither its words nor the URL's credentials."""
    try:
        yield
    except (Unreadable, UsageError):
        raise
    except ImportError:
        with _installed(url):
            raise
    except Exception as error:
        raise _failure(error, url) from None


def _failure(error: BaseException, url: Url) -> Unreadable:
    kinds = " ".join(kind.__name__ for each in _chain(error) for kind in type(each).__mro__)
    status = next((code for each in _chain(error) if (code := _status(each))), 0)
    if any(name in kinds for name in _LOST):
        return Unreadable("a file that ends before its end (the connection was lost)", "all of it", "remote-unreadable")
    if any(isinstance(each, FileNotFoundError) for each in _chain(error)) or status in (404, 410):
        return Unreadable("no file there", "the URL of a file", "missing-file")
    if status in (401, 403) or any(name in kinds for name in _DENIED):
        public = " (a public bucket: FSSPEC_S3_ANON=true)" if url.scheme == "s3" else ""
        expected = f"credentials where the tools of that place look for them{public}"
        return Unreadable("a place that does not let us in", expected, "remote-denied")
    if status:
        return Unreadable(f"the answer {status} of {url.host}", "the file", "remote-unreadable")
    if "Timeout" in kinds or "TimedOut" in kinds:
        return _silent("says nothing")
    if "TooManyRedirects" in kinds:
        return Unreadable(f"more than {_REDIRECTS} redirects", "the URL of the file itself", "remote-redirect")
    if any(name in kinds for name in _UNREACHED):
        return Unreadable(f"no connection to {url.host}", "a server that answers", "remote-unreadable")
    return Unreadable(f"what cannot be fetched ({type(error).__name__})", "a file that is served", "remote-unreadable")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int:
    """The status of an HTTP answer that an error carries, wherever its library puts it; else 0."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # botocore
        answer = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    own = getattr(error, "status", None) if hasattr(error, "status") else getattr(error, "code", None)
    found = (own, getattr(answer, "status_code", answer))
    return next((code for code in found if isinstance(code, int) and 400 <= code < 600), 0)


def _silent(what: str) -> Unreadable:
    return Unreadable(
        f"a server that {what} (waited {limits().silence} s)", f"an answer; {raised('silence')}", "remote-unreadable"
    )


def buffered(fetched: Fetched) -> BinaryIO:
    """For readers that want as many bytes as they ask for."""
    return cast(BinaryIO, io.BufferedReader(fetched, 2**18))
