"""Adapters as their files hold them: shapes, digests, zeros and NaN, and how far each product B·A moves its weights.

A pickle (``adapter_model.bin``) is never opened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from collapse_audit.errors import InputError
from collapse_audit.lineages.checks.safetensors import Place, is_pointer, looked_through, numbers, tensor_places
from collapse_audit.lineages.files.digest import json_digest
from collapse_audit.lineages.files.door import Refused, read_json, reading, stay_inside
from collapse_audit.lineages.files.problems import problem, shorten

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_PICKLE = "adapter_model.bin"
_NOTHING = 2.0**-24
"""A product that changes no weight by more is none: added to 1 in float32, it is rounded away."""
_LORA_ALPHA = 8
"""peft's own, where a configuration does not say it."""


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
        rest = [sorted(adapter.digests[name] for name in adapter.beside) for adapter in (self, other)]
        if not mine or len(mine) != len(theirs) or rest[0] != rest[1] or not (self.is_lora and other.is_lora):
            return None
        norms = [[adapter.changes[layer] for layer in layers] for adapter, layers in ((self, mine), (other, theirs))]
        if any(norm is None for side in norms for norm in side):
            return None
        first, second = np.array(norms, dtype=np.float64)
        longest = max(np.linalg.norm(first), np.linalg.norm(second))
        if longest <= _NOTHING or np.linalg.norm(first - second) >= below * longest:
            return None
        squares = 0.0
        for adapter, another in zip(mine, theirs, strict=True):
            square = _square_apart(self._factors(adapter), other._factors(another))
            if square is None:
                return None
            squares += square
        ratio = math.sqrt(squares) / longest
        return float(ratio) if ratio < below else None

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
    a, b = (numbers(path, places[name]).reshape(places[name].shape) for name in pair)
    return a.reshape(len(a), -1), scale * b.reshape(*b.shape[:2])


def _changes(path: Path, places: Mapping[str, Place], config: Mapping[str, Any]) -> dict[str, float | None]:
    """Layer to |scale x B·A|; None where the shapes allow no product, and where it is not finite."""
    layers = _layers(places)
    changes: dict[str, float | None] = {}
    for layer, pair in layers.items():
        changes[layer] = None
        a, b = (places[name].shape for name in pair)
        if min(len(a), len(b)) >= 2 and math.prod(b[2:]) == 1 and a[0] == b[1] and 0 not in a + b:
            with np.errstate(over="ignore", invalid="ignore"):
                first, second = _factors(path, places, pair, _scale(config, layer, places, layers))
                square = _inner(first, second, first, second)
            changes[layer] = math.sqrt(max(square, 0.0)) if math.isfinite(square) else None
    return changes


def _inner(a: npt.NDArray[Any], b: npt.NDArray[Any], c: npt.NDArray[Any], d: npt.NDArray[Any]) -> float:
    """<B·A, D·C> = sum of (B^T D) * (A C^T), without a matrix of the weights' size."""
    return float(((b.T @ d) * (a @ c.T)).sum())


def _square_apart(factors: Factors, other: Factors) -> float | None:
    """|B·A - D·C|^2, as that of one product: [B, -D] by A above C."""
    if factors[0].shape[1] != other[0].shape[1] or factors[1].shape[0] != other[1].shape[0]:
        return None
    a, b = np.vstack((factors[0], other[0])), np.hstack((factors[1], -other[1]))
    return max(_inner(a, b, a, b), 0.0)


def read_adapter(folder: Path, *, where: str) -> Adapter | None:
    """The adapter in ``folder``, called ``where`` in messages; None where its weights are only a git-lfs pointer.

    Reads numbers a layer at a time. Raises InputError for what is no adapter, and for a
    pickle, which is never opened.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        _refuse_missing(folder, where)
    expected = "an adapter in safetensors, as peft writes it"
    for name in (WEIGHTS, CONFIG):
        with reading(f"{where}/{name}", expected, "adapter"):
            stay_inside(folder / name, folder)
    with reading(f"{where}/{WEIGHTS}", expected, "adapter"):
        return _read(folder, where=where)


def _read(folder: Path, *, where: str) -> Adapter | None:
    path, shown = folder / WEIGHTS, f"{where}/{WEIGHTS}"
    try:
        if is_pointer(path):
            return None
        places = tensor_places(path, where=shown)
        config = _config(folder / CONFIG, f"{where}/{CONFIG}")
        digests, not_finite, zero = looked_through(path, places)
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
