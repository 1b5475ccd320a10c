"""A corpus as a user names it: a file or folder, a pattern (``'gen_3/*.jsonl.gz'``), a URL, or a pattern of URLs.

What a lineage says of itself never comes here: only who starts an audit may have a URL fetched.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from collapse_audit.engines.engine import Engine, Local
from collapse_audit.errors import InputError, Problem
from collapse_audit.lineages.corpora.corpus import Corpus, open_corpus
from collapse_audit.lineages.corpora.parts import CorpusFolder, folder_digest, shard_set
from collapse_audit.lineages.corpora.readers.fields import Reading
from collapse_audit.lineages.corpora.readers.formats import ALLOWED, DOCUMENTS, split_name
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.door import Limits, limits, under
from collapse_audit.lineages.files.failures import Unreadable, too_much
from collapse_audit.lineages.files.natural_order import natural_key
from collapse_audit.lineages.files.opening import split_packing
from collapse_audit.lineages.files.problems import ProblemList, problem
from collapse_audit.lineages.files.remote import Place, Remote, known, pin, remember
from collapse_audit.lineages.files.stores import listed
from collapse_audit.lineages.files.urls import Url, is_url, parse_url

_WILD = frozenset("*?[")


def is_pattern(name: str) -> bool:
    """Whether the text stands for the local files that match it: no file is called so."""
    return not is_url(name) and bool(_WILD & {*name}) and not os.path.lexists(name)


def open_named(name: str | os.PathLike[str], *, reading: Reading | None = None, engine: Engine | None = None) -> Corpus:
    """The corpus that a user named, its digest taken; files elsewhere are read for it by ``engine`` (None: here).

    Raises InputError where there is none, UsageError where what fetches it is not installed.
    """
    text = os.fspath(name)
    if is_url(text):
        return _elsewhere(parse_url(text), reading or Reading(), engine)
    if is_pattern(text):
        return _matched(text, reading or Reading())
    return open_corpus(Path(name), reading=reading)


def redirections(corpus: Corpus) -> tuple[str, ...]:
    """Which of the files of a corpus came from another server than the one that was named, in words."""
    places = (corpus.remote,) if corpus.files is None else corpus.files.paths
    told = [(place.url, place.redirected) for place in places if isinstance(place, Remote) and place.redirected]
    return tuple(dict.fromkeys(f"{url.shown} was redirected to {server}" for url, server in told))


def _matched(pattern: str, reading: Reading) -> Corpus:
    """The local files that match."""
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    paths = [Path(name) for name in sorted(names, key=natural_key)]
    files = [path for path in paths if path.is_file()]
    if len(files) > limits().files:
        raise _refused(pattern, too_much("more files that match", "files"))
    _check_names(pattern, [str(path) for path in files], reading)
    try:
        return _corpus(pattern, [path.resolve() for path in files], [str(path) for path in files], reading)
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise InputError([problem(error.filename or pattern, found, "a readable file", "unreadable")]) from None


def _elsewhere(url: Url, reading: Reading, engine: Engine | None) -> Corpus:
    """The files that the URL names: one, a set of shards, or those that match."""
    try:
        urls = listed(url) if url.is_pattern else _whole_set(url)
    except Unreadable as failure:
        raise _refused(url.shown, failure) from None
    _check_names(url.shown, [one.shown for one in urls], reading)
    return _corpus(url.shown, _pinned(urls, engine), [one.shown for one in urls], reading)


def _whole_set(url: Url) -> list[Url]:
    """All URLs of the set that ``name-00000-of-00003.parquet`` begins; else the one."""
    names = shard_set(url.shown.rpartition("/")[2])
    if len(names) > limits().files:
        raise too_much("a set of more shards", "files")
    return [url.beside(name) for name in names] if names else [url]


def _are_documents(names: Sequence[str], reading: Reading) -> bool:
    """Whether each file is one, as in a folder of such."""
    plain = all(split_packing(name)[0].lower().endswith(DOCUMENTS) for name in names)
    return len(names) > 1 and plain and reading.documents in ("", "files")


def _check_names(where: str, names: Sequence[str], reading: Reading) -> None:
    if not names:
        raise InputError([problem(where, "no file that matches", f"files that end in {ALLOWED}", "no-match")])
    problems = ProblemList(where)
    for name in [] if _are_documents(names, reading) else names:
        if split_name(name.rpartition("/")[2]) is None:
            hint = "" if len(names) > 1 or "://" not in where else "; of a folder, a pattern of its files: …/*.jsonl"
            problems.add(f'the name "{name}"', f"a corpus file ({ALLOWED}){hint}", "unknown-format")
    if len(problems):
        raise InputError(problems.as_tuple())


def _corpus(shown: str, places: Sequence[Place], names: Sequence[str], reading: Reading) -> Corpus:
    """Of one file or several. Raises OSError."""
    if len(places) == 1:
        (place,), (name,) = places, names
        if isinstance(place, Path):
            return Corpus(path=place, shown=name, digest=file_digest(place), where=name, reading=reading)
        path = Path(place.url.identity)
        return Corpus(path=path, shown=name, digest=place.digest, where=name, remote=place, reading=reading)
    return _set(shown, places, names, reading)


def _set(shown: str, places: Sequence[Place], names: Sequence[str], reading: Reading) -> Corpus:
    files = CorpusFolder(paths=tuple(places), names=tuple(names), documents=_are_documents(names, reading))
    return Corpus(path=Path(shown), shown=shown, digest=folder_digest(files), where=shown, files=files, reading=reading)


def _refused(where: str, failure: Unreadable) -> InputError:
    broken = failure.broken
    return InputError([problem(where, broken.found, broken.expected, broken.slug, line=failure.line)])


@dataclass(frozen=True, slots=True)
class _Pinned:
    """What reading some files for their digests gave."""

    files: dict[str, Remote] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)


def _pinned(urls: Sequence[Url], engine: Engine | None) -> list[Remote]:
    """The files behind the URLs, each read once for its digest. Raises InputError with the problems of all."""
    new = [url for url in urls if known(url) is None]
    found = {url.full: remote for url in urls if (remote := known(url)) is not None}
    if new:
        read = partial(_pin, allowed=limits())
        pinned: _Pinned = (engine or Local()).fold(new, read, _joined, _as_it_is, called=_called)
        if pinned.problems:
            raise InputError(pinned.problems[url.full] for url in new if url.full in pinned.problems)
        for remote in pinned.files.values():
            remember(remote)
        found |= pinned.files
    return [found[url.full] for url in urls]


def _pin(url: Url, *, allowed: Limits) -> _Pinned:
    """One file, wherever this is called."""
    with under(allowed):
        try:
            return _Pinned(files={url.full: pin(url)})
        except Unreadable as failure:
            return _Pinned(problems={url.full: _refused(url.shown, failure).problems[0]})


def _joined(one: _Pinned, other: _Pinned) -> _Pinned:
    return _Pinned(files={**one.files, **other.files}, problems={**one.problems, **other.problems})


def _as_it_is(pinned: _Pinned) -> _Pinned:
    return pinned


def _called(url: Url) -> str:
    return url.shown
