"""How sure each generation's model is of the next word of the same human text. Nothing is drawn from the model.

A model that narrows puts more and more of its probability on one token wherever it is asked (Gambetta et al. 2024,
arXiv 2410.12341). Human text of which no generation has read a word is a fixed set of places to ask at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from collapse_audit.atomic import atomic_file
from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineages.disk.manifest import MANIFEST, read_manifest, seed_name
from collapse_audit.lineages.disk.write import set_in_generation
from collapse_audit.lineages.files.digest import file_digest, json_digest
from collapse_audit.lineages.files.locks import locked
from collapse_audit.lineages.measured.concentration import NAME, lines, read_concentration
from collapse_audit.lineages.model.lineage import GenerationEntry
from collapse_audit.lineages.scoring.likelihood import predict
from collapse_audit.lineages.scoring.scorer import Models
from collapse_audit.lineages.training.base import load_tokenizer
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.examples import Encoder, Example, read_records
from collapse_audit.lineages.training.progress import Progress
from collapse_audit.probes.models.contexts import Contexts


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """The contexts of a lineage: the same for all its generations."""

    ids: tuple[str, ...]
    examples: tuple[Example, ...]

    @property
    def digest(self) -> str:
        """Of what a model is given, token by token, and of where it is asked."""
        rows = zip(self.ids, self.examples, strict=True)
        return json_digest([[name, example.ids.tolist(), example.start] for name, example in rows])


def fixed_contexts(models: Models, count: int) -> Fixed:
    """``count`` contexts, or all where there are fewer, spread evenly over the held-out human text.

    Under the task ``completion`` a record is a context, asked at from its text's first token to its end; under
    ``blocks`` a block of text. Raises UsageError where the lineage holds no human text back: on the texts that
    generation 0 was trained on it is surer than its successors, and a collapse would go unseen.
    """
    corpus = models.lineage.reference_holdout
    if corpus is None:
        message = f"{models.where} holds no human text back (reference.holdout), and contexts must be new to all models"
        raise UsageError(message, slug="no-contexts")
    encoder = Encoder(load_tokenizer(models.base), models.recipe)
    if models.recipe.task == "blocks":
        examples = encoder.human(corpus)
        names = [f"block-{number:05d}" for number in range(len(examples))]
    else:
        records = read_records(corpus)
        examples = encoder.of(records)
        names = [record["id"] or f"record-{number:05d}" for number, record in enumerate(records)]
    asked = [number for number, example in enumerate(examples) if len(example.ids) > example.start]
    if not asked:
        raise UsageError(f"{corpus.where}: no text with a token to expect", slug="no-contexts")
    places = np.unique(np.linspace(0, len(asked) - 1, min(count, len(asked))).round().astype(int))
    chosen = [asked[place] for place in places]
    return Fixed(ids=tuple(names[i] for i in chosen), examples=tuple(examples[i] for i in chosen))


def concentrate(
    models: Models, entry: GenerationEntry, fixed: Fixed, *, batch_size: int, progress: Progress
) -> tuple[Path, bool]:
    """Ask the generation's model at the contexts and write its file, unless it is there; ``(path, written)``.

    Raises TrainingError where the model cannot be loaded, and what it says is no number.
    """
    path = entry.texts.path.parent / NAME
    adapter = models.adapter(entry)
    digests = (fixed.digest, json_digest(models.about_base), models.adapter_digest(entry))
    written = not _there(path, digests)
    if written:
        model, _ = models.load(entry)
        measured = measure(
            model, fixed, longest=models.recipe.text.context, batch_size=batch_size, digests=digests, progress=progress
        )
        if not (np.isfinite(measured.entropy).all() and np.isfinite(measured.top1).all()):
            raise TrainingError(f"{adapter}: the model's expectations are no numbers", slug="adapter-nan")
        with atomic_file(path) as file:
            file.write(lines(measured))
    if models.lineage.has_manifest:
        _name(models, entry, path)
    return path, written


def measure(
    model: object, fixed: Fixed, *, longest: int, batch_size: int, digests: Sequence[str], progress: Progress
) -> Contexts:
    """What ``model`` expects at the contexts; ``digests`` of contexts, base and adapter go into the result."""
    predicted = predict(model, fixed.examples, longest=longest, batch_size=batch_size, spread=True, progress=progress)
    assert predicted.entropy is not None
    assert predicted.top1 is not None
    return Contexts(
        ids=fixed.ids,
        entropy=np.maximum(predicted.entropy / predicted.count, 0.0),
        top1=np.minimum(predicted.top1 / predicted.count, 1.0),
        n_positions=predicted.count,
        digest=digests[0],
        model=digests[1],
        adapter=digests[2],
    )


def _there(path: Path, digests: Sequence[str]) -> bool:
    """Whether the file holds what would be measured."""
    try:
        concentration = read_concentration(path, str(path))
    except (InputError, OSError):
        return False
    return (concentration.digest, concentration.model, concentration.adapter) == tuple(digests)


def _name(models: Models, entry: GenerationEntry, path: Path) -> None:
    """Write the file's name and digest into the manifest, where they do not stand there yet."""
    root = models.lineage.root
    # Each new line goes below the entry's texts: the last one set stands first.
    values = {"concentration_digest": file_digest(path), "concentration": path.relative_to(root).as_posix()}
    with locked(root / ".manifest.lock"):
        tables = read_manifest(root / MANIFEST).data["generation"]
        number = next(
            number
            for number, table in enumerate(tables)
            if (seed_name(table.get("seed")), table["index"]) == (entry.seed, entry.index)
        )
        if any(tables[number].get(key) != value for key, value in values.items()):
            set_in_generation(root, number, values)
