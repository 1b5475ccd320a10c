"""Files of safetensors: where tensors lie, their numbers and digests, and which hold NaN or nothing but zeros.

The format (https://huggingface.co/docs/safetensors): eight bytes with the length of a JSON header, the header, and the
numbers. It is read here and not by its package, whose numpy side does not know bfloat16.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from collapse_audit.errors import InputError
from collapse_audit.lineages.files.digest import PREFIX, canonical_json
from collapse_audit.lineages.files.door import parse_json
from collapse_audit.lineages.files.problems import problem, shorten

_POINTER = b"version https://git-lfs"
_STRETCH = 1 << 24
"""Bytes of a tensor that are in memory at once where only its bits are looked at."""
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


def is_pointer(path: Path) -> bool:
    """Whether git-lfs left a pointer where the file belongs. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


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
        table = parse_json(header)
        entries = {name: entry for name, entry in table.items() if name != "__metadata__"}
        places = {name: _place(entries[name], 8 + length) for name in sorted(entries)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        _broken(where, f"a header that cannot be read ({error})")
    end = 8 + length
    for place in sorted(places.values(), key=lambda place_of: (place_of.start, place_of.stop)):
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
    if not all(type(number) is int and number >= 0 for number in (*shape, start, stop)):
        raise ValueError("a shape or an offset that is no whole number")
    if stop - start != math.prod(shape) * np.dtype(_KINDS[kind].bits).itemsize:
        raise ValueError("a tensor whose bytes do not fit its shape")
    return Place(kind, shape, base + start, base + stop)


def _broken(where: str, found: str) -> NoReturn:
    raise InputError([problem(where, found, "a whole safetensors file; copy it again", "adapter-broken")])


def looked_through(path: Path, places: Mapping[str, Place]) -> tuple[dict[str, str], tuple[str, ...], frozenset[str]]:
    """The digest of every tensor, the names of those that are not finite, and of those that are zero."""
    digests: dict[str, str] = {}
    not_finite, zero = [], set()
    for name, place in places.items():
        digest = hashlib.sha256(canonical_json([place.kind, place.shape]))
        kind = _KINDS[place.kind]
        finite, nothing = True, True
        for bits in _stretches(path, place, np.dtype(kind.bits)):
            digest.update(bits.tobytes())
            nothing = nothing and not (bits & bits.dtype.type(kind.magnitude)).any()
            if kind.nan is not None:
                mask = bits.dtype.type(kind.nan)
                finite = finite and not ((bits & mask) == mask).any()
        digests[name] = PREFIX + digest.hexdigest()
        if not finite:
            not_finite.append(name)
        if nothing:
            zero.add(name)
    return digests, tuple(not_finite), frozenset(zero)


def numbers(path: Path, place: Place) -> npt.NDArray[np.float64]:
    """The numbers of one tensor, shape (count,)."""
    with path.open("rb") as file:
        file.seek(place.start)
        data = file.read(place.stop - place.start)
    if len(data) < place.stop - place.start:
        raise OSError(5, "the file became shorter while it was read")
    with np.errstate(invalid="ignore"):  # a NaN that signals
        return _as_numbers(np.frombuffer(data, dtype=_KINDS[place.kind].bits), place.kind)


def _as_numbers(bits: npt.NDArray[Any], kind: str) -> npt.NDArray[np.float64]:
    if kind == "BF16":  # the upper half of a float32
        return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if kind == "F8_E5M2":  # the upper half of a float16
        return (bits.astype(np.uint16) << 8).view(np.float16).astype(np.float64)
    if kind == "F8_E4M3":
        return np.asarray(_E4M3[bits])
    numpy_kind = {"F": "f", "I": "i"}.get(kind[0], "u")
    return np.asarray(bits.view(f"<{numpy_kind}{bits.itemsize}"), dtype=np.float64)


def _e4m3() -> npt.NDArray[np.float64]:
    """All 256 numbers of the format: 4 bits of exponent (bias 7), 3 of fraction, NaN where all are ones, no infinity
    (Micikevicius et al. 2022, arXiv 2209.05433).
    """
    bits = np.arange(256)
    exponent, fraction = (bits >> 3) & 15, (bits & 7) / 8
    size = np.where(exponent == 0, fraction * 2.0**-6, (1 + fraction) * 2.0 ** (exponent - 7))
    size[(bits & 0x7F) == 0x7F] = np.nan
    return np.where(bits >> 7, -size, size)


_E4M3 = _e4m3()


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
