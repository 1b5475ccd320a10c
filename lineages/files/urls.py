"""URLs of texts: which are read, and what of one may be shown.

Only who starts an audit names a URL. Userinfo and query often are credentials: neither is ever printed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

from collapse_audit.errors import InputError
from collapse_audit.lineages.files.problems import printable, problem

OVER_HTTP = ("https", "http")
STORES = ("s3", "gs", "hf")
"""What holds files under keys, and can list them."""
SCHEMES = (*OVER_HTTP, *STORES)
ALLOWED_SCHEMES = "https://, http://, s3://, gs:// or hf://"
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//?)")
_IN_TEXT = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]+://[^\s'"<>]+""")
_HOST = re.compile(r"[\w.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Url:
    """One URL; its ``repr`` and :attr:`shown` hold no credentials."""

    full: str = field(repr=False)
    scheme: str
    shown: str
    """Without userinfo, query and fragment."""

    @property
    def name(self) -> str:
        """The file's, as it would be called on a disk."""
        return unquote(self.shown.rpartition("/")[2])

    @property
    def identity(self) -> str:
        """What tells it from other URLs, fit to print: two that differ in their queries are two files."""
        if self.full == self.shown:
            return self.shown
        return f"{self.shown}#{hashlib.sha256(self.full.encode()).hexdigest()[:12]}"

    @property
    def host(self) -> str:
        """The server, or the bucket."""
        return self.shown.partition("://")[2].partition("/")[0]

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for all files that match it. Over HTTP a ``?`` begins a query and ``[`` an address."""
        wild = "*" if self.scheme in OVER_HTTP else "*?["
        return any(mark in self.shown for mark in wild)

    def beside(self, name: str) -> Url:
        """The file of this name in the same folder, by the same credentials."""
        folder, _, last = self.shown.rpartition("/")
        path, mark, query = self.full.partition("?") if self.scheme in OVER_HTTP else (self.full, "", "")
        return replace(self, full=f"{path.removesuffix(last)}{name}{mark}{query}", shown=f"{folder}/{name}")


def is_url(name: str) -> bool:
    """Whether the text is a URL of any kind, readable or not, or one that went through a path (``https:/host``)."""
    match = _URL.match(name)
    return match is not None and (match[2] == "//" or match[1].lower() in SCHEMES)


def shown_url(name: str) -> str:
    """A text that begins as a URL, without what may be credentials; fit to print, whatever it is."""
    scheme, _, rest = name.partition(":")
    rest = rest.lstrip("/")
    if scheme.lower() not in STORES:
        rest = rest.split("#")[0].split("?")[0]
    host, slash, path = rest.partition("/")
    return printable(f"{scheme.lower()}://{host.rpartition('@')[2]}{slash}{path}")


def redacted(text: str) -> str:
    """The text with each URL in it as it may be shown."""
    return _IN_TEXT.sub(lambda match: shown_url(match[0]), text) if "://" in text else text


def parse_url(name: str) -> Url:
    """The URL that a user named. Raises InputError where it is none that is read; never with its credentials."""
    shown = shown_url(name)
    complaint = _complaint(name)
    if complaint is not None:
        raise InputError([problem(shown, *complaint, "bad-url")])
    scheme = name.partition(":")[0].lower()
    full = f"{scheme}{name[len(scheme) :]}"
    return Url(full=full.split("#")[0] if scheme in OVER_HTTP else full, scheme=scheme, shown=shown)


def _complaint(name: str) -> tuple[str, str] | None:
    """What was found and what is expected; None where all is well."""
    match = _URL.match(name)
    if match is None or match[2] != "//":
        return "a URL that was made a path", 'the URL as a string: audit(before="https://…", …)'
    scheme = match[1].lower()
    if scheme not in SCHEMES:
        return f"a URL of the kind {scheme}://", ALLOWED_SCHEMES
    if not name.isprintable() or " " in name:
        return "white space or characters that are not printed in a URL", "such characters as %20"
    try:
        parts = urlsplit(name)
        host = parts.netloc.rpartition("@")[2]
        _ = parts.port if scheme in OVER_HTTP else None
    except ValueError:
        return "what is no URL", f"a URL that begins with {ALLOWED_SCHEMES}"
    if not host or (scheme in OVER_HTTP and not _HOST.fullmatch(host)):
        return "a URL without a server or a bucket", f"{scheme}://{'HOST' if scheme in OVER_HTTP else 'BUCKET'}/PATH"
    if scheme in STORES and "@" in parts.netloc:
        return "credentials in the URL of a store", "credentials in the environment, as the store's own tools take them"
    if scheme in STORES and "::" in name:
        return "a chain of URLs", "one URL"
    return None
