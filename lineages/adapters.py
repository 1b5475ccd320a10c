"""Adapters as their files hold them: names, shapes, digests, zeros and NaN. Read with numpy, a stretch at a time.

The format is safetensors (https://huggingface.co/docs/safetensors): eight bytes with the length of a JSON header, the
header, and the numbers. It is read here and not by its package, whose numpy side does not know bfloat16. A pickle
(``adapter_model.bin``) is never opened.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from collapse_audit.lineages.digest import PREFIX, canonical_json
from collapse_audit.lineages.problems import problem, shorten
from collapse_audit.probes.errors import InputError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_PICKLE = "adapter_model.bin"
_POINTER = b"version https://git-lfs"
_STRETCH = 1 << 24
"""Bytes of a tensor that are in memory at once."""
_MOST_HEADER = 100_000_000
"""Bytes; the limit of the format's own reader."""


class _Kind(NamedTuple):
    """How the bits of a number are read: ``nan`` masks what is all ones in NaN (and infinity), None where none is."""

    bits: str
    magnitude: int
    nan: int | None


_KINDS: Mapping[str, _Kind] = {
    "F64": _Kind("<u8", 0x7FFF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000),
    "F32": _Kind("<u4", 0x7FFF_FFFF, 0x7F80_0000),
    "F16": _Kind("<u2", 0x7FFF, 0x7C00),
    "BF16": _Kind("<u2", 0x7FFF, 0x7F80),
    "F8_E5M2": _Kind("|u1", 0x7F, 0x7C),
    "F8_E4M3": _Kind("|u1", 0x7F, 0x7F),
    **{name: _Kind("<u8", 0xFFFF_FFFF_FFFF_FFFF, None) for name in ("I64", "U64")},
    **{name: _Kind("<u4", 0xFFFF_FFFF, None) for name in ("I32", "U32")},
    **{name: _Kind("<u2", 0xFFFF, None) for name in ("I16", "U16")},
    **{name: _Kind("|u1", 0xFF, None) for name in ("I8", "U8", "BOOL")},
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies in its file."""

    kind: str
    """As the format names it: ``F32``, ``BF16``, …"""
    shape: tuple[int, ...]
    start: int
    """Bytes from the start of the file."""
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What one adapter folder holds."""

    digest: str
    """Of names, types, shapes and numbers; not of the file, which may also hold notes."""
    shapes: Mapping[str, tuple[int, ...]] = field(hash=False)
    """Of every tensor, by its name in the file."""
    not_finite: tuple[str, ...]
    """Tensors that hold NaN or infinity."""
    zero: frozenset[str]
    """Tensors of nothing but zeros."""
    config: Mapping[str, Any] = field(hash=False)
    """``adapter_config.json``; empty where there is none."""

    @property
    def layers(self) -> dict[str, tuple[str, str]]:
        """Layer name to the names of its matrices A and B, where both are there."""
        pairs = {}
        for name in self.shapes:
            for a, b in (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B")):
                layer, mark, _ = name.rpartition(f".{b}")
                if mark and (other := name.replace(f".{b}", f".{a}")) in self.shapes:
                    pairs[layer] = (other, name)
        return pairs

    @property
    def idle(self) -> tuple[str, ...]:
        """Layers that the adapter leaves as they are: A or B holds only zeros, as B does before any training."""
        return tuple(layer for layer, pair in self.layers.items() if self.zero.intersection(pair))

    @property
    def changes_nothing(self) -> bool:
        """Whether the model with the adapter is the model without it."""
        products = {name for pair in self.layers.values() for name in pair}
        rest = self.shapes.keys() - products - self.zero
        return not rest and len(self.idle) == len(self.layers)


def read_adapter(folder: Path, *, where: str) -> Adapter | None:
    """The adapter in ``folder``, called ``where`` in messages; None where its weights are only a git-lfs pointer.

    Reads every number once; memory holds 16 MiB of them at a time. Raises InputError for what is no adapter, and for a
    pickle, which is never opened.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        _refuse_missing(folder, where)
    shown = f"{where}/{WEIGHTS}"
    try:
        with path.open("rb") as file:
            if file.read(len(_POINTER)) == _POINTER:
                return None
        places = tensor_places(path, where=shown)
        config = _config(folder / CONFIG, f"{where}/{CONFIG}")
        digest, not_finite, zero = _looked_through(path, places)
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise InputError([problem(shown, found, "a readable file", "unreadable")]) from error
    return Adapter(
        digest=digest,
        shapes={name: place.shape for name, place in places.items()},
        not_finite=not_finite,
        zero=zero,
        config=config,
    )


def _refuse_missing(folder: Path, where: str) -> NoReturn:
    if (folder / _PICKLE).is_file():
        found = f"{_PICKLE}, a pickle, which could run any code and is never opened"
        expected = f"{WEIGHTS}: save it anew with safe_serialization=True"
        raise InputError([problem(where, found, expected, "adapter-pickle")])
    found = "no such folder" if not folder.is_dir() else f"a folder without {WEIGHTS}"
    raise InputError([problem(where, found, f"an adapter: {CONFIG} and {WEIGHTS}", "adapter-missing")])


def _config(path: Path, where: str) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError([problem(where, f"broken JSON ({error})", "a JSON object", "adapter-config")]) from error
    if not isinstance(config, dict):
        raise InputError([problem(where, shorten(config), "a JSON object", "adapter-config")])
    return config


def tensor_places(path: Path, *, where: str) -> dict[str, Place]:
    """Where each tensor of a safetensors file lies, by name, in the order of the names; no number is read.

    Raises InputError where the header is not what the format says, or the file is cut short; OSError.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _MOST_HEADER):
            _broken(where, f"{size:,} bytes, and a header that claims {length:,}")
        header = file.read(length)
    try:
        table = json.loads(header)
        entries = {name: entry for name, entry in table.items() if name != "__metadata__"}
        places = {name: _place(entries[name], 8 + length) for name in sorted(entries)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        _broken(where, f"a header that cannot be read ({error})")
    end = 8 + length
    for place in sorted(places.values(), key=lambda one: (one.start, one.stop)):
        if place.start != end:
            _broken(where, "tensors that overlap or leave gaps")
        end = place.stop
    if not places:
        _broken(where, "no tensor at all")
    if end != size:
        _broken(where, f"{size:,} bytes, where its header describes {end:,}")
    return places


def _place(entry: Mapping[str, Any], base: int) -> Place:
    kind, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if kind not in _KINDS:
        raise ValueError(f"numbers of the type {shorten(kind)}")
    if not all(type(one) is int and one >= 0 for one in (*shape, start, stop)):
        raise ValueError("a shape or an offset that is no whole number")
    if stop - start != math.prod(shape) * np.dtype(_KINDS[kind].bits).itemsize:
        raise ValueError("a tensor whose bytes do not fit its shape")
    return Place(kind, shape, base + start, base + stop)


def _broken(where: str, found: str) -> NoReturn:
    raise InputError([problem(where, found, "a whole safetensors file; copy it again", "adapter-broken")])


def _looked_through(path: Path, places: Mapping[str, Place]) -> tuple[str, tuple[str, ...], frozenset[str]]:
    """The digest of all tensors, the names of those that are not finite, and of those that are zero."""
    digest = hashlib.sha256()
    not_finite, zero = [], set()
    for name, place in places.items():
        digest.update(canonical_json([name, place.kind, place.shape]))
        kind = _KINDS[place.kind]
        finite, nothing = True, True
        for bits in _stretches(path, place, np.dtype(kind.bits)):
            digest.update(bits.tobytes())
            nothing = nothing and not (bits & bits.dtype.type(kind.magnitude)).any()
            if kind.nan is not None:
                mask = bits.dtype.type(kind.nan)
                finite = finite and not ((bits & mask) == mask).any()
        if not finite:
            not_finite.append(name)
        if nothing:
            zero.add(name)
    return PREFIX + digest.hexdigest(), tuple(not_finite), frozenset(zero)


def _stretches(path: Path, place: Place, dtype: np.dtype[Any]) -> Iterator[npt.NDArray[Any]]:
    """The bits of one tensor, in stretches."""
    with path.open("rb") as file:
        file.seek(place.start)
        left = place.stop - place.start
        while left:
            data = file.read(min(left, _STRETCH))
            if not data:
                raise OSError(5, "the file became shorter while it was read")
            left -= len(data)
            yield np.frombuffer(data, dtype=dtype)
