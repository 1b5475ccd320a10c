"""A lineage: generations of models and the corpora they wrote. The data model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.corpora.readers.fields import Reading
from collapse_audit.lineages.files.natural_order import natural_key


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationEntry:
    """Model k of one seed and the corpora it wrote."""

    seed: str | None = None
    index: int
    texts: Corpus
    holdout: Corpus | None = None
    """Texts of the same model under the same decoding that nothing is trained on."""
    control: Corpus | None = None
    """What generation 0 of the same seed wrote under this generation's decoding."""
    training: Corpus | None = None
    """The very records that the model was trained on, where somebody kept them."""
    trained_on: tuple[str, ...] | None = None
    """Names of corpora; ``lineage:name`` for one of another lineage. None: not said, so taken as a chain."""
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What else the manifest says: ``trained_on`` with shares, ``init_from``, ``decoding``, ``model``, ``software``."""
    adapter: Path | None = None
    lm_eval: Path | None = None
    concentration: Path | None = None
    """How sure its model is of the next word of human text (``lineages.concentration``)."""
    train_log: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Every file has been found inside the folder and its digest taken; no text has been read yet."""

    name: str
    """Untrusted text: the manifest's name, or the folder's."""
    root: Path
    digest: str
    """Of what the lineage is (corpora, seeds, indices, decoding), wherever the folder lies."""
    scheme: str | None = None
    shares: Mapping[str, float] | None = field(default=None, hash=False)
    """The table of shares, where the manifest's scheme is one (``scheme`` is then ``blend``)."""
    reference: Corpus | None = None
    reference_holdout: Corpus | None = None
    generations: tuple[GenerationEntry, ...] = ()
    """By seed in natural order, then by index."""
    label_rule: str | None = None
    label_classes: tuple[str, ...] | None = None
    audit: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The manifest's ``[audit]`` table as it stands; the audit's configuration checks its keys."""
    recipe: Mapping[str, Any] = field(default_factory=dict, hash=False)
    has_manifest: bool = False
    independent: bool = False
    """The user's statement that no corpus was trained on another."""
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The manifest's ``[fields]``: where the records have their text, prompt, label and group."""
    notes: tuple[str, ...] = ()
    """What was told from names: which file was taken as which generation."""
    folder: bool = True
    """False where generations were named one by one: nothing that lies beside them is looked at."""

    def __repr__(self) -> str:
        seeds = len({entry.seed for entry in self.generations})
        many = f"{len(self.generations)} generations" + (f" of {seeds} seeds" if seeds > 1 else "")
        return f"<Lineage {self.name!r}: {many}{'' if self.reference is None else ', reference'}>"

    def read_as(self, reading: Reading) -> Lineage:
        """The same lineage, with every corpus read so."""

        def read(corpus: Corpus | None) -> Corpus | None:
            return None if corpus is None else replace(corpus, reading=reading)

        generations = tuple(
            replace(
                entry,
                texts=replace(entry.texts, reading=reading),
                holdout=read(entry.holdout),
                control=read(entry.control),
                training=read(entry.training),
            )
            for entry in self.generations
        )
        return replace(
            self,
            reference=read(self.reference),
            reference_holdout=read(self.reference_holdout),
            generations=generations,
        )

    @property
    def seeds(self) -> tuple[str | None, ...]:
        """Each seed once, seed_2 before seed_10."""
        return tuple(sorted({entry.seed for entry in self.generations}, key=lambda seed: natural_key(seed or "")))

    def of_seed(self, seed: str | None) -> tuple[GenerationEntry, ...]:
        """The generations of one seed, by index."""
        return tuple(sorted((e for e in self.generations if e.seed == seed), key=lambda entry: entry.index))
