"""Reference packs on disk: an ``.npz`` of plain numbers and a JSON header, written whole or not at all.

Nothing is ever unpickled, and nothing is believed: members, types, shapes, bounds and the digest are checked before a
pack is given out. What stands in it, and what does not: ``docs/reference/pack.md``.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from collapse_audit.atomic import atomic_file
from collapse_audit.engines.engine import Engine
from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.corpora.named import open_named
from collapse_audit.lineages.disk.pack_format import (
    FORMAT,
    KIND,
    Arrays,
    expected_members,
    good_header,
    impossible,
    read_json,
)
from collapse_audit.lineages.files.digest import PREFIX, canonical_json, file_digest
from collapse_audit.lineages.files.door import reading
from collapse_audit.lineages.files.problems import problem, shorten
from collapse_audit.lineages.files.urls import is_url, shown_url
from collapse_audit.probes.packs.pack import Pack, PackedLabels
from collapse_audit.probes.packs.sketch import NLL_STEP, Collisions, Curve, Cut, Sketch, run_lengths

SUFFIX = ".npz"
_HEADER = "header"
_MOST_BYTES = 1 << 31
"""Largest sum of unpacked members that is read: a file that claims more is no pack of 20,000 documents."""


def write_pack(path: Path, pack: Pack) -> None:
    """Write ``pack`` to ``path``, which must end in ``.npz``. The same pack gives the same bytes."""
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: a pack is written to a file whose name ends in {SUFFIX}", slug="pack-name")
    arrays = _arrays(pack)
    header = _header(pack)
    header["digest"] = _digest(header, arrays)
    with atomic_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in {_HEADER: _bytes(canonical_json(header)), **arrays}.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, values, version=(1, 0), allow_pickle=False)
            # A ZipInfo of its own carries no date of today and no name of a user.
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), compress_type=zipfile.ZIP_DEFLATED)


def _bytes(text: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text, dtype=np.uint8)


def _header(pack: Pack) -> dict[str, Any]:
    header: dict[str, Any] = {
        "kind": KIND,
        "format": FORMAT,
        "block": pack.sketch.size,
        "blocks": pack.sketch.blocks,
        "compared": pack.compared,
        "words": len(pack.words),
        "cuts": [cut.length for cut in pack.sketch.at],
        "tokens": pack.tokens,
        "held_out": pack.held_out,
        "aside_tokens": pack.aside_tokens,
        "nll_step": None if pack.sketch.nll is None else NLL_STEP,
        "labels": None,
    }
    if pack.labels is not None:
        labels = pack.labels
        header["labels"] = {
            "rule": labels.rule,
            "names": list(labels.names),
            "totals": dict(labels.totals),
            "scarce": labels.scarce,
        }
    return header


def _arrays(pack: Pack) -> dict[str, npt.NDArray[Any]]:
    """Every number of a pack, by name; integers as int64 (deflate sees to their size)."""
    whole = pack.sketch
    arrays: dict[str, npt.NDArray[Any]] = {
        "words": _bytes(canonical_json(list(pack.words))),
        "aside": pack.aside,
        "counts_ends": pack.counts.indptr,
        "counts_word": pack.counts.indices,
        "counts": pack.counts.data,
        "empty": whole.empty,
        "looping": whole.looping,
        "long_enough": whole.long_enough,
        "squared_lengths": whole.squared_lengths,
        "tokens": np.stack([cut.tokens for cut in whole.at]),
        "repeated": np.stack([cut.repeated for cut in whole.at]),
        "distinct_texts": whole.texts.distinct,
        "distinct_texts_spread": whole.texts.spread,
        "same": whole.collisions.same,
        "same_variance": whole.collisions.variance,
        "same_runs": np.concatenate(whole.collisions.runs),
    }
    for kind in ("words", "pairs"):
        curves = [getattr(cut, kind) for cut in whole.at]
        arrays[f"distinct_{kind}"] = np.stack([curve.distinct for curve in curves])
        arrays[f"distinct_{kind}_spread"] = np.stack([curve.spread for curve in curves])
        arrays[f"distinct_{kind}_runs"] = np.stack([np.concatenate(curve.runs) for curve in curves])
    if whole.nll is not None:
        arrays["nll"] = whole.nll
    if pack.labels is not None:
        arrays["label_carriers"] = pack.labels.carriers
    reals = {name for name in arrays if name.endswith(("_spread", "_variance")) or name == "repeated"}
    kinds = {name: np.uint8 if name == "words" else np.float64 if name in reals else np.int64 for name in arrays}
    return {name: np.ascontiguousarray(values, dtype=kinds[name]) for name, values in arrays.items()}


def _digest(header: Mapping[str, Any], arrays: Arrays) -> str:
    """Of everything that a pack says: of the header without its digest, and of the numbers."""
    digest = hashlib.sha256(canonical_json({key: value for key, value in header.items() if key != "digest"}))
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return PREFIX + digest.hexdigest()


def is_pack(path: Path) -> bool:
    """Whether the name says so."""
    return path.suffix == SUFFIX


def open_baseline(name: str, engine: Engine | None = None) -> Corpus:
    """A corpus (a path, a URL, a pattern) or a pack outside any lineage (``--baseline``); ``engine``: see
    :func:`open_named`. Raises InputError where there is none."""
    path = Path(name)
    if is_pack(path) and is_url(name):
        expected = "a local file; fetch the pack first, and check who signed it"
        raise InputError([problem(shown_url(name), "a reference pack elsewhere", expected, "bad-url")])
    if not is_pack(path):
        return open_named(name, engine=engine)
    where = name
    try:
        return Corpus(path=path.resolve(), shown=where, digest=file_digest(path), where=where)
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise InputError([problem(where, found, "a reference pack", "unreadable")]) from None


def read_pack(path: Path, *, where: str = "") -> Pack:
    """Read and check the pack in ``path``, which messages call ``where``.

    Raises InputError where it is not a pack, or not whole, or too new.
    """
    shown = where or str(path)
    try:
        with reading(shown, "the pack as it was written; copy it again", "pack-damaged", beside=(_Refused,)):
            return _read(path)
    except _Refused as refused:
        raise InputError([problem(shown, refused.found, refused.expected, refused.slug)]) from None


class _Refused(Exception):  # noqa: N818 - it becomes an InputError, and is never shown as it is
    def __init__(self, found: str, expected: str, slug: str) -> None:
        super().__init__(found)
        self.found, self.expected, self.slug = found, expected, slug


def _damaged(found: str) -> _Refused:
    return _Refused(found, "the pack as it was written; copy it again", "pack-damaged")


def _foreign(found: str) -> _Refused:
    return _Refused(found, "a reference pack, made by collapse-lineage pack", "pack-foreign")


def _read(path: Path) -> Pack:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if sum(info.file_size for info in members.values()) > _MOST_BYTES:
                raise _foreign(f"an archive of more than {_MOST_BYTES >> 30} GiB")
            if _HEADER not in members:
                raise _foreign("an .npz archive without a pack's header")
            header = _checked_header(_array(archive, members.pop(_HEADER)))
            expected = expected_members(header)
            for name in sorted({*expected} ^ {*members}):
                there = f"a member {shorten(name)} that no pack has" if name in members else f"no member {name}"
                raise _damaged(there)
            arrays = {name: _array(archive, info) for name, info in members.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise _unreadable(path) from None
    except OSError as error:
        raise _Refused(f"a file that cannot be read ({error.strerror})", "a reference pack", "unreadable") from None
    for name, (kind, shape) in expected.items():
        if arrays[name].dtype.str != kind or (shape is not None and arrays[name].shape != shape):
            found = f"{name} of type {arrays[name].dtype.str} and shape {arrays[name].shape}"
            raise _damaged(f"{found}, not {kind} and {shape}")
    if header.get("digest") != _digest(header, arrays):
        raise _damaged("contents that do not match the digest in the header")
    for what in impossible(header, arrays):
        raise _damaged(what)
    return _pack(header, arrays)


def _unreadable(path: Path) -> _Refused:
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"PK"):
        return _damaged("a .npz archive that is cut off or damaged")
    if start[:1] == b"\x80":
        return _Refused("a pickle, which could run anything and is never opened", "a reference pack", "pack-pickle")
    return _foreign("an empty file" if not start else "a file that is no .npz archive")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """One member. Sizes are checked before anything is made of them, and objects are never unpickled."""
    data = archive.read(info)
    stream = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError
        shape, in_columns, kind = np.lib.format.read_array_header_1_0(stream)
    except ValueError:
        raise _damaged(f"a member {shorten(info.filename)} that is no plain array") from None
    if kind.hasobject:
        found = f"a member {shorten(info.filename)} that holds pickled objects, which could run anything"
        raise _Refused(found, "plain numbers only", "pack-pickle")
    body = data[stream.tell() :]
    if (
        in_columns
        or kind.str not in ("|u1", "<i8", "<f8")
        or len(body) != int(np.prod(shape, dtype=object)) * kind.itemsize
    ):
        raise _damaged(f"a member {shorten(info.filename)} of another type or size than a pack's")
    return np.frombuffer(body, dtype=kind).reshape(shape)


def _checked_header(values: npt.NDArray[Any]) -> dict[str, Any]:
    header = read_json(values)
    if not isinstance(header, dict) or header.get("kind") != KIND:
        raise _foreign("an .npz archive whose header is not a pack's")
    version = header.get("format")
    if version != FORMAT:
        newer = isinstance(version, int) and version > FORMAT
        expected = f"format {FORMAT}" + ("; a newer collapse-audit reads this one" if newer else "")
        raise _Refused(f"a pack of format {shorten(version)}", expected, "pack-format")
    if not good_header(header) or header["compared"] > header["blocks"]:
        raise _damaged("a header with values that no pack has")
    return header


def _pack(header: Mapping[str, Any], arrays: Arrays) -> Pack:
    blocks, words, labels = header["blocks"], tuple(read_json(arrays["words"])), header["labels"]

    def runs(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
        ends = np.cumsum([blocks // length for length in run_lengths(blocks)])
        return tuple(np.split(values, ends[:-1]))

    def curve(kind: str, at: int) -> Curve:
        name = f"distinct_{kind}"
        return Curve(
            distinct=arrays[name][at], spread=arrays[f"{name}_spread"][at], runs=runs(arrays[f"{name}_runs"][at])
        )

    parts = (arrays["counts"].astype(np.float64), arrays["counts_word"], arrays["counts_ends"])
    return Pack(
        sketch=Sketch(
            size=header["block"],
            **{name: arrays[name] for name in ("empty", "looping", "long_enough", "squared_lengths")},
            at=tuple(
                Cut(
                    length=length,
                    tokens=arrays["tokens"][at],
                    repeated=arrays["repeated"][at],
                    words=curve("words", at),
                    pairs=curve("pairs", at),
                )
                for at, length in enumerate(header["cuts"])
            ),
            texts=Curve(distinct=arrays["distinct_texts"], spread=arrays["distinct_texts_spread"], runs=()),
            collisions=Collisions(
                same=arrays["same"], variance=arrays["same_variance"], runs=runs(arrays["same_runs"])
            ),
            nll=arrays.get("nll"),
        ),
        words=words,
        aside=arrays["aside"],
        aside_tokens=header["aside_tokens"],
        counts=csr_array(parts, shape=(header["compared"], len(words))),
        labels=None
        if labels is None
        else PackedLabels(
            rule=labels["rule"],
            names=tuple(labels["names"]),
            carriers=arrays["label_carriers"],
            totals=labels["totals"],
            scarce=labels["scarce"],
        ),
        held_out=header["held_out"],
        tokens=header["tokens"],
    )
