"""What generation 0 writes under the decoding of a later generation: the control for "was it only the decoding?".

Same model, same prompts, only the decoding is the later generation's. A control is a corpus beside the generation whose
decoding it has; an audit then splits that generation's change into what decoding did and what training did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse_audit.lineages.disk.manifest import MANIFEST, read_manifest, seed_name
from collapse_audit.lineages.disk.write import set_in_generation, without_none, write_corpus
from collapse_audit.lineages.files.digest import file_digest, json_digest
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.lineages.training.base import load_tokenizer, prepare_base
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.examples import Encoder
from collapse_audit.lineages.training.failures import explained
from collapse_audit.lineages.training.generate import Sample, as_records, generate
from collapse_audit.lineages.training.models import load_generation, use
from collapse_audit.lineages.training.progress import Progress
from collapse_audit.lineages.training.randomness import CONTROL
from collapse_audit.lineages.training.ranks import Ranks
from collapse_audit.lineages.training.recipe import Decoding
from collapse_audit.lineages.training.run import Run, exclusive
from collapse_audit.lineages.training.score import add_nll

NAME = "control.jsonl.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A generation without a control, and generation 0 of its seed."""

    number: int
    """Its place in the manifest."""
    first: GenerationEntry
    entry: GenerationEntry


def missing_controls(run: Run, *, anew: bool = False) -> list[Missing]:
    """The generations whose decoding is not generation 0's and that have no control yet, or with ``anew`` all of them.

    Raises TrainingError where the manifest does not say how a seed's texts were decoded.
    """
    lineage = run.lineage()
    return list(_missing(run, lineage, anew=anew))


def _missing(run: Run, lineage: Lineage, *, anew: bool) -> Iterator[Missing]:
    for seed in lineage.seeds:
        entries = lineage.of_seed(seed)
        first = entries[0]
        if first.index != 0 or seed not in {str(number) for number in run.seeds}:
            continue
        for entry in entries[1:]:
            for entry_of in (first, entry):
                if "decoding" not in entry_of.details:
                    message = f"{run.where}: generation {entry_of.index} of seed {seed} has no decoding in the manifest"
                    raise TrainingError(message, slug="no-decoding")
            if entry.details["decoding"] != first.details["decoding"] and (anew or entry.control is None):
                yield Missing(number=_place(lineage, run, entry), first=first, entry=entry)


def _place(lineage: Lineage, run: Run, entry: GenerationEntry) -> int:
    """Where the entry stands in the manifest, whose order is its own."""
    tables = read_manifest(lineage.root / MANIFEST, where=run.where).data["generation"]
    return next(
        number
        for number, table in enumerate(tables)
        if (seed_name(table.get("seed")), table["index"]) == (entry.seed, entry.index)
    )


def redecode(run: Run, missing: Sequence[Missing], progress: Progress) -> list[Path]:
    """Write a control for each, score it under generation 0, and name it in the manifest; one is whole or not there.

    Raises TrainingError where generation 0's model is not what the manifest says, or a decoding is not one of ours.
    """
    written = []
    with exclusive([run]):
        base = prepare_base(run.root, run.recipe, progress)
        encoder = Encoder(load_tokenizer(base), run.recipe)
        loaded: Path | None = None
        for gap in missing:
            where = f"{run.where}: seed {gap.entry.seed}, control of generation {gap.entry.index}"
            with explained(where):
                adapter = _adapter(gap.first, where)
                if adapter != loaded:  # one model writes all controls of a seed
                    model, tokenizer = load_generation(base, run.recipe, writer=adapter, scorer=adapter)
                    loaded = adapter
                path = gap.entry.texts.path.parent / NAME
                records = _write(run, model, tokenizer, encoder, gap, path, progress, where)
                use(model, "scorer")
                batch_size = run.recipe.decoding.batch_size
                add_nll(model, encoder, records, batch_size=batch_size, what=f"{where}: scoring", progress=progress)
                digest = write_corpus(path, [without_none(record) for record in records])
                shown = path.relative_to(run.root).as_posix()
                set_in_generation(run.root, gap.number, {"control": shown, "control_digest": digest})
                _tidy(path)
            written.append(path)
    return written


def _adapter(first: GenerationEntry, where: str) -> Path:
    weights = None if first.adapter is None else first.adapter / "adapter_model.safetensors"
    claimed = first.details.get("model", {}).get("adapter_digest")
    if first.adapter is None or weights is None or not weights.is_file() or file_digest(weights) != claimed:
        message = f"{where}: the adapter of generation 0 is not there, or not the one of the manifest's digest"
        raise TrainingError(message, slug="adapter-changed")
    return first.adapter


def _decoding(run: Run, entry: GenerationEntry, where: str) -> Decoding:
    """The entry's own; a batch size is ours to choose where it names none."""
    try:
        return Decoding(**{"batch_size": run.recipe.decoding.batch_size, **entry.details["decoding"]})
    except TypeError as error:
        known = ", ".join(Decoding.__dataclass_fields__)
        message = f"{where}: its decoding in the manifest cannot be repeated ({error}); known settings are {known}"
        raise TrainingError(message, slug="decoding") from None


def _write(
    run: Run, model: Any, tokenizer: Any, encoder: Encoder, gap: Missing, path: Path, progress: Progress, where: str
) -> list[dict[str, Any]]:  # fmt: skip
    """Texts to the prompts of the corpus that an audit compares: the held-out ones where there are any."""
    lineage = run.lineage()
    held_out = lineage.reference_holdout if gap.entry.holdout is not None else None
    prompts = encoder.prompts(held_out or run.reference(lineage))
    sample = Sample(
        seed=int(str(gap.entry.seed)),
        index=gap.entry.index,
        purpose=CONTROL,
        what=f"{where}: writing",
        # Under its decoding's name: what an interrupted run left is gone on with only if it was written the same way.
        part=path.with_name(f"control.{json_digest(gap.entry.details['decoding']).removeprefix('sha256:')[:12]}"),
    )
    use(model, "writer")
    rows = generate(
        model, tokenizer, prompts, _decoding(run, gap.entry, where), sample, ranks=Ranks(), progress=progress
    )
    return as_records(prompts, rows)


def _tidy(path: Path) -> None:
    for part in path.parent.glob(".control.*.part"):
        part.unlink(missing_ok=True)
