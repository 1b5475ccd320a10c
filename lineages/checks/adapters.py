"""Adapters as their files hold them: shapes, digests, zeros and NaN, and how far each product B·A moves its weights.

The format is safetensors (https://huggingface.co/docs/safetensors): eight bytes with the length of a JSON header, the
header, and the numbers. It is read here and not by its package, whose numpy side does not know bfloat16. A pickle
(``adapter_model.bin``) is never opened.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from collapse_audit.errors import InputError
from collapse_audit.lineages.files.digest import PREFIX, canonical_json, json_digest
from collapse_audit.lineages.files.door import Refused, parse_json, read_json, reading, stay_inside
from collapse_audit.lineages.files.problems import problem, shorten

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_PICKLE = "adapter_model.bin"
_POINTER = b"version https://git-lfs"
_STRETCH = 1 << 24
"""Bytes of a tensor that are in memory at once where only its bits are looked at."""
_NOTHING = 2.0**-24
"""A product that changes no weight by more is none: added to 1 in float32, it is rounded away."""
_LORA_ALPHA = 8
"""peft's own, where a configuration does not say it."""
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

    path: Path
    """Of the weights."""
    digest: str
    """Of all tensors in whatever order: types, shapes and numbers, and neither their names nor the file's notes."""
    places: Mapping[str, Place] = field(hash=False)
    """Of every tensor, by its name in the file."""
    digests: Mapping[str, str] = field(hash=False)
    """Of every tensor."""
    not_finite: tuple[str, ...]
    """Tensors that hold NaN or infinity."""
    zero: frozenset[str]
    """Tensors of nothing but zeros."""
    config: Mapping[str, Any] = field(hash=False)
    """``adapter_config.json``; empty where there is none."""
    changes: Mapping[str, float | None] = field(hash=False)
    """Layer to the Frobenius norm of what its product adds, scale x B·A; None where the matrices have no product."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor, by its name in the file."""
        return {name: place.shape for name, place in self.places.items()}

    @property
    def layers(self) -> dict[str, tuple[str, str]]:
        """Layer name to the names of its matrices A and B, where both are there."""
        return _layers(self.places)

    @property
    def unpaired(self) -> tuple[str, ...]:
        """Matrices A without their B, or B without their A: no product can be made of them."""
        paired = {name for pair in self.layers.values() for name in pair}
        return tuple(name for name in self.places if _is_factor(name) and name not in paired)

    @property
    def idle(self) -> tuple[str, ...]:
        """Layers that the adapter leaves as they are: scale x B·A is zero, as it is before any training, or nearly."""
        return tuple(
            layer
            for layer, pair in self.layers.items()
            if self.zero.intersection(pair) or _is_nothing(self.changes[layer])
        )

    @property
    def beside(self) -> tuple[str, ...]:
        """Tensors that are neither a LoRA matrix nor zero; the file does not tell what they do to the base."""
        return tuple(name for name in self.places if not _is_factor(name) and name not in self.zero)

    @property
    def is_lora(self) -> bool:
        """Whether its layers add scale x B·A; a kind that is not named counts as LoRA, by far the most common."""
        return bool(self.config.get("peft_type", "LORA") == "LORA")

    @property
    def changes_nothing(self) -> bool:
        """Whether the model with the adapter is the model without it."""
        return not self.beside and not self.unpaired and len(self.idle) == len(self.layers)

    def distance(self, other: Adapter, *, below: float) -> float | None:
        """How far two adapters change a base differently: |D - E| / max(|D|, |E|), Frobenius, over all layers.

        D and E are scale x B·A, so that factors count only by their product. Layers are matched in the order of their
        names, whatever these are. None where it is at least ``below``, by |D - E| >= ||D| - |E|| mostly without
        reading a number, and where two adapters do not compare: other shapes, other tensors beside, NaN.
        """
        mine, theirs = list(self.layers), list(other.layers)
        rest = [sorted(one.digests[name] for name in one.beside) for one in (self, other)]
        if not mine or len(mine) != len(theirs) or rest[0] != rest[1] or not (self.is_lora and other.is_lora):
            return None
        norms = [[one.changes[layer] for layer in layers] for one, layers in ((self, mine), (other, theirs))]
        if any(norm is None for side in norms for norm in side):
            return None
        first, second = np.array(norms, dtype=np.float64)
        longest = max(np.linalg.norm(first), np.linalg.norm(second))
        if longest <= _NOTHING or np.linalg.norm(first - second) >= below * longest:
            return None
        squares = 0.0
        for one, another in zip(mine, theirs, strict=True):
            square = _square_apart(self._factors(one), other._factors(another))
            if square is None:
                return None
            squares += square
        found = math.sqrt(squares) / longest
        return float(found) if found < below else None

    def _factors(self, layer: str) -> Factors:
        layers = self.layers
        return _factors(self.path, self.places, layers[layer], _scale(self.config, layer, self.places, layers))


Factors = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""A of shape (rank, inner) and scale x B of shape (outer, rank)."""


def _is_factor(name: str) -> bool:
    """``x.lora_A.weight``, ``x.lora_embedding_B``, …; a bias of B is added by itself."""
    return any(f".lora_{part}" in name for part in ("A", "B", "embedding_A", "embedding_B")) and name[-5:] != ".bias"


def _layers(places: Mapping[str, Place]) -> dict[str, tuple[str, str]]:
    pairs = {}
    for name in places:
        for a, b in (("lora_A", "lora_B"), ("lora_embedding_A", "lora_embedding_B")):
            layer, mark, _ = name.rpartition(f".{b}")
            if mark and (other := name.replace(f".{b}", f".{a}")) in places and _is_factor(name):
                pairs[layer] = (other, name)
    return pairs


def _is_nothing(norm: float | None) -> bool:
    """No entry of a matrix is larger than its Frobenius norm."""
    return norm is not None and norm <= _NOTHING


def _scale(
    config: Mapping[str, Any], layer: str, places: Mapping[str, Place], layers: Mapping[str, tuple[str, str]]
) -> float:
    """What B·A is multiplied by: alpha / rank, or alpha / sqrt(rank) (Kalajdzievski 2023, arXiv 2312.03732).

    1 where there is no configuration. A pattern of alphas is followed where it names layers, and not as an expression.
    """
    if not config:
        return 1.0
    alpha = config.get("lora_alpha", _LORA_ALPHA)
    patterns = config.get("alpha_pattern")
    for name, value in patterns.items() if isinstance(patterns, dict) else ():
        if f".{layer}".endswith(f".{str(name).removeprefix('^')}"):
            alpha = value
            break
    rank = (places[layers[layer][0]].shape or (1,))[0]
    if not isinstance(alpha, int | float) or not math.isfinite(alpha) or not rank:
        return 1.0
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _factors(path: Path, places: Mapping[str, Place], pair: tuple[str, str], scale: float) -> Factors:
    """The matrices of one layer as numbers; kernels of a convolution are unrolled as it applies them."""
    a, b = (_numbers(path, places[name]).reshape(places[name].shape) for name in pair)
    return a.reshape(len(a), -1), scale * b.reshape(*b.shape[:2])


def _changes(path: Path, places: Mapping[str, Place], config: Mapping[str, Any]) -> dict[str, float | None]:
    """Layer to |scale x B·A|; None where the shapes allow no product, and where it is not finite."""
    layers = _layers(places)
    found: dict[str, float | None] = {}
    for layer, pair in layers.items():
        found[layer] = None
        a, b = (places[name].shape for name in pair)
        if min(len(a), len(b)) >= 2 and math.prod(b[2:]) == 1 and a[0] == b[1] and 0 not in a + b:
            with np.errstate(over="ignore", invalid="ignore"):
                first, second = _factors(path, places, pair, _scale(config, layer, places, layers))
                square = _inner(first, second, first, second)
            found[layer] = math.sqrt(max(square, 0.0)) if math.isfinite(square) else None
    return found


def _inner(a: npt.NDArray[Any], b: npt.NDArray[Any], c: npt.NDArray[Any], d: npt.NDArray[Any]) -> float:
    """<B·A, D·C> = sum of (B^T D) * (A C^T), without a matrix of the weights' size."""
    return float(((b.T @ d) * (a @ c.T)).sum())


def _square_apart(one: Factors, other: Factors) -> float | None:
    """|B·A - D·C|^2, as that of one product: [B, -D] by A above C."""
    if one[0].shape[1] != other[0].shape[1] or one[1].shape[0] != other[1].shape[0]:
        return None
    a, b = np.vstack((one[0], other[0])), np.hstack((one[1], -other[1]))
    return max(_inner(a, b, a, b), 0.0)


def read_adapter(folder: Path, *, where: str) -> Adapter | None:
    """The adapter in ``folder``, called ``where`` in messages; None where its weights are only a git-lfs pointer.

    Reads numbers a layer at a time. Raises InputError for what is no adapter, and for a
    pickle, which is never opened.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        _refuse_missing(folder, where)
    shown = f"{where}/{WEIGHTS}"
    with reading(shown, "an adapter in safetensors, as peft writes it", "adapter"):
        for name in (WEIGHTS, CONFIG):
            stay_inside(folder / name, folder)
        return _read(folder, where=where)


def _read(folder: Path, *, where: str) -> Adapter | None:
    path, shown = folder / WEIGHTS, f"{where}/{WEIGHTS}"
    try:
        if is_pointer(path):
            return None
        places = tensor_places(path, where=shown)
        config = _config(folder / CONFIG, f"{where}/{CONFIG}")
        digests, not_finite, zero = _looked_through(path, places)
        changes = _changes(path, places, config)
    except OSError as error:
        found = f"a file that cannot be read ({error.strerror})"
        raise InputError([problem(shown, found, "a readable file", "unreadable")]) from error
    return Adapter(
        path=path,
        digest=json_digest(sorted(digests.values())),
        places=places,
        digests=digests,
        not_finite=not_finite,
        zero=zero,
        config=config,
        changes=changes,
    )


def is_pointer(path: Path) -> bool:
    """Whether git-lfs left a pointer where the file belongs. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


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
        config = read_json(path)
    except (Refused, ValueError, RecursionError) as error:
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
        table = parse_json(header)
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


def _looked_through(path: Path, places: Mapping[str, Place]) -> tuple[dict[str, str], tuple[str, ...], frozenset[str]]:
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


def _numbers(path: Path, place: Place) -> npt.NDArray[np.float64]:
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
