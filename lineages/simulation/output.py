"""Writes a simulated lineage: everything into a folder beside the one asked for, renamed when it is complete."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.atomic import atomic_file, atomic_folder
from collapse_audit.errors import UsageError
from collapse_audit.lineages.disk.write import write_corpus, write_manifest
from collapse_audit.lineages.simulation.source import Record
from collapse_audit.version import __version__


def print_nothing(message: str) -> None:
    """Where progress goes by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where a lineage goes, the seed it is drawn with, and what its manifest says about it."""

    out: Path
    """A folder that is new or empty."""
    seed: int = 0
    """0 or more. The same seed gives the same files."""
    compress: bool = False
    """Write ``.jsonl.gz``."""
    name: str | None = None
    """The folder's name where it is None."""
    description: str | None = None
    license: str | None = None
    attribution: str | None = None
    command: str | None = None
    """The command line that made it, for the record."""
    progress: Callable[[str], None] = print_nothing

    def rng(self, *stream: int) -> np.random.Generator:
        """A generator of its own for each stream, so that more generations do not change those before."""
        return np.random.default_rng([self.seed, *stream])


@dataclass(slots=True, kw_only=True)
class Draft:
    """A lineage under construction. Corpora are written at once; the manifest is written last."""

    root: Path
    suffix: str = ".jsonl"
    reference: dict[str, Any] = field(default_factory=dict)
    generations: list[dict[str, Any]] = field(default_factory=list)

    def add_reference(self, texts: Iterable[Record], holdout: Sequence[Record] = ()) -> None:
        """Write ``reference`` and, where there are any, its held-out records."""
        self.reference = {"texts": f"reference{self.suffix}"}
        self.reference["digest"] = write_corpus(self.root / self.reference["texts"], texts)
        if holdout:
            self.reference["holdout"] = f"reference.holdout{self.suffix}"
            self.reference["holdout_digest"] = write_corpus(self.root / self.reference["holdout"], holdout)

    def add_generation(
        self,
        index: int,
        texts: Iterable[Record],
        holdout: Iterable[Record],
        *,
        trained_on: Mapping[str, float],
        seed: int | None = None,
        **details: Any,
    ) -> str:
        """Write a generation's two corpora; ``trained_on``: corpus name to share. Returns the name of its texts."""
        folder = f"gen_{index}" if seed is None else f"seed_{seed}/gen_{index}"
        names = {role: f"{folder}/{role}{self.suffix}" for role in ("texts", "holdout")}
        entry = {
            "seed": seed,
            "index": index,
            "texts": names["texts"],
            "texts_digest": write_corpus(self.root / names["texts"], texts),
            "holdout": names["holdout"],
            "holdout_digest": write_corpus(self.root / names["holdout"], holdout),
            "trained_on": [{"corpus": corpus, "share": share} for corpus, share in trained_on.items()],
            **details,
        }
        self.generations.append(entry)
        return names["texts"]

    def finish(self, output: Output, *, kind: str, parameters: Mapping[str, Any], **rest: Any) -> None:
        """Write the manifest. ``rest``: ``scheme`` and ``labels``; ``source`` and ``truth`` go into its recipe."""
        about = {"description": output.description, "license": output.license, "attribution": output.attribution}
        recipe = {
            "kind": kind,
            "seed": output.seed,
            "command": output.command,
            "parameters": parameters,
            "source": rest.pop("source", None),
            "truth": rest.pop("truth", None),
            "software": {
                "collapse-audit": __version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }
        head = {"format": 1, "name": output.name or output.out.absolute().name, **about, **rest, "recipe": recipe}
        write_manifest(self.root, {**head, "reference": self.reference, "generation": self.generations or None})

    def add_json(self, name: str, value: Any) -> None:
        """Write a JSON file beside the manifest."""
        with atomic_file(self.root / name) as file:
            file.write(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode("utf-8") + b"\n")


@contextmanager
def new_lineage(output: Output) -> Iterator[Draft]:
    """A draft that becomes the folder asked for when the block ends without an error, and nothing at all otherwise.

    Raises UsageError if that is anything but an empty folder or not there yet, or cannot be written.
    """
    out = output.out.absolute()
    with ExitStack() as stack:
        try:
            if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
                raise UsageError(f"{out} is there already; name a folder that is new or empty")
            folder = stack.enter_context(atomic_folder(out))
        except OSError as error:
            raise UsageError(f"{out}: a lineage cannot be written here ({error.strerror})") from None
        yield Draft(root=folder, suffix=".jsonl.gz" if output.compress else ".jsonl")


def as_records(texts: Iterable[str]) -> list[Record]:
    """Texts and nothing else."""
    return [{"text": text} for text in texts]


def require_some(documents: int, generations: int) -> None:
    """Raises UsageError unless there is at least one document and one generation after generation 0."""
    if documents < 1 or generations < 1:
        raise UsageError(f"{documents} documents, {generations} generations; there must be one at least of each")
