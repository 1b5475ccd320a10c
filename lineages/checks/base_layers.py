"""The layers of a base, as its safetensors files name them: which of an adapter's it has, and of what shape.

A file and a program may call one layer by different names: a model is saved without its outermost part (``layers.0…``
for ``model.layers.0…``), and parts that only hold the text model come and go. What no name tells apart counts as had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from collapse_audit.errors import InputError
from collapse_audit.lineages.checks.safetensors import tensor_places
from collapse_audit.lineages.files.door import Refused, read_json

_INDEX = "model.safetensors.index.json"
_NEUTRAL = frozenset({"base_model", "model", "transformer", "language_model", "text_model"})
"""Parts of a name that say only where the text model hangs."""
_TIED = frozenset({"lm_head", "embed_out"})
"""Output layers that have no weight of their own in a file where they share that of the input."""
_PACKED = ("I", "U")
"""Number formats of quantized weights begin so: their shapes are not the layer's."""
_REMADE = "experts"
"""Layers that programs pack and unpack on loading, so that a file's names are not the model's."""

Name = tuple[frozenset[str], tuple[str, ...]]
"""The parts before the first number that tell something, and those from there on."""


@dataclass(frozen=True, slots=True)
class BaseLayers:
    """What is known of one base."""

    shapes: Mapping[str, tuple[int, ...] | None]
    """Name of a weight's layer -> its shape; None where the file does not tell it."""
    whole: bool
    """Whether all files that make the base could be read: only then is what they do not name not there."""
    names: frozenset[Name]

    def __bool__(self) -> bool:
        """Whether anything is known."""
        return bool(self.shapes)

    def shape(self, layer: str) -> tuple[int, ...] | None:
        """Of the layer's weight; None where it is not told."""
        return self.shapes.get(layer.removeprefix("base_model.model."))

    def lacks(self, layer: str) -> bool:
        """Whether the base surely has no such layer."""
        parts = layer.split(".")
        if not self.whole or _REMADE in parts or parts[-1] in _TIED:
            return False
        return _name(layer) not in self.names


def read_base_layers(folder: Path, *, where: str) -> BaseLayers:
    """The layers of the base in ``folder``; of files that cannot be read, nothing: the base is not what is audited."""
    shapes: dict[str, tuple[int, ...] | None] = {}
    files = sorted(folder.glob("*.safetensors"))
    whole = bool(files) and _all_there(folder)
    for file in files:
        try:
            places = tensor_places(file, where=f"{where}/{file.name}")
        except (InputError, OSError):
            whole = False
            continue
        for key, place in places.items():
            layer, _, what = key.rpartition(".")
            readable = what == "weight" and not place.kind.startswith(_PACKED)
            shapes[layer] = place.shape if readable else shapes.get(layer)
    return BaseLayers(shapes, whole, frozenset(map(_name, shapes)))


def _all_there(folder: Path) -> bool:
    """Whether the files that the index of a base in parts names are there."""
    index = folder / _INDEX
    if not index.is_file():
        return True
    try:
        named = set(read_json(index)["weight_map"].values())
    except (Refused, OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return all(isinstance(name, str) and (folder / Path(name).name).is_file() for name in named)


def _name(layer: str) -> Name:
    parts = layer.split(".")
    first = next((place for place, part in enumerate(parts) if part.isdecimal()), None)
    start = max(len(parts) - 1, 0) if first is None else max(first - 1, 0)
    return frozenset(parts[:start]) - _NEUTRAL, tuple(parts[start:])
