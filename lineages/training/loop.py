"""The one loop: for each seed and generation, train, write the next texts and a held-out sample, score, append.

Read :func:`train`, then :meth:`_Generation.make`, which is the whole of a generation in five steps:

1. data: the sources of its scheme, encoded (``examples``), selected (``selection``) and mixed (``schemes``);
2. train: a LoRA adapter on the frozen base (``finetune``);
3. write: the next texts and a held-out sample, by the new model (``generate``);
4. score: how likely generation 0 finds each text (``score``);
5. manifest: the corpora and one entry, appended (:mod:`collapse_audit.lineages.disk.write`).

What must hold before and after each stands in ``guards`` and ``health``; what a run is, in ``run``.

Everything that a generation needs lies in files that are whole or not there, so the loop has no state: it looks what is
missing and makes it. Killed anywhere and run again it ends with the same lineage. It stops at the manifest: training
and auditing meet only in the files.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.atomic import atomic_file
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.disk.write import append_generation, without_none, write_corpus
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.locks import locked
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.lineages.training import guards, health
from collapse_audit.lineages.training.base import BaseModel, kept, load_tokenizer, prepare_base
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.examples import Encoder, Example, Prompt, read_records
from collapse_audit.lineages.training.failures import explained
from collapse_audit.lineages.training.finetune import Work, finetune
from collapse_audit.lineages.training.generate import Sample, as_records, generate
from collapse_audit.lineages.training.models import load_generation, use
from collapse_audit.lineages.training.progress import Progress
from collapse_audit.lineages.training.randomness import HOLDOUT, MIX, TEXTS, derived_rng
from collapse_audit.lineages.training.ranks import Ranks, find_ranks
from collapse_audit.lineages.training.run import (
    NotYetError,
    Run,
    Source,
    exclusive,
    find,
    human_digests,
    require_same_making,
)
from collapse_audit.lineages.training.schemes import mix
from collapse_audit.lineages.training.score import add_nll
from collapse_audit.lineages.training.selection import selected
from collapse_audit.lineages.training.torch_setup import software

_WORK = ".work.json"
_WEIGHTS = "adapter_model.safetensors"
_SAMPLES = (("texts", TEXTS), ("holdout", HOLDOUT))


def train(runs: Sequence[Run], progress: Progress) -> None:
    """Make every generation of the runs that is missing, all lineages generation by generation.

    Raises TrainingError (and what the parts raise); what was finished before stays finished.
    """
    ranks = find_ranks()
    with exclusive(runs if ranks.first else ()):
        loop = _Loop({run.root: _base(run, ranks, progress) for run in runs}, ranks, progress)
        steps = [
            (index, run, seed)
            for index in range(max(run.recipe.generations for run in runs))
            for run in runs
            if index < run.recipe.generations
            for seed in run.seeds
        ]
        while steps:
            loop.reason = None
            waiting = [step for step in steps if not loop.make(*step)]
            if len(waiting) == len(steps):
                break
            steps = waiting
    if loop.ended:
        raise next(iter(loop.ended.values()))
    if steps:
        raise TrainingError(str(loop.reason), slug="partner-behind")


def _base(run: Run, ranks: Ranks, progress: Progress) -> BaseModel:
    if ranks.count > 1 and run.recipe.base.architecture is not None and not kept(run.root, run.recipe.base).exists():
        message = (
            f"{run.where}: its tiny base is trained by one process; run the command once without accelerate launch"
        )
        raise TrainingError(message, slug="base")
    with explained(f"{run.where}: base"), locked(run.root / ".base.lock"):
        base = prepare_base(run.root, run.recipe, progress)
    for entry in run.lineage().generations:
        if entry.details.get("model", {}).get("base_digest") != base.digest:
            message = (
                f"{run.where}: generation {entry.index} of seed {entry.seed} was made from another base than "
                f"{base.name} is now; put that one back, or start a new lineage with --out"
            )
            raise TrainingError(message, slug="base-other")
    return base


class _Loop:
    """What the runs share, and which seeds have come to an end before their last generation."""

    def __init__(self, bases: Mapping[Path, BaseModel], ranks: Ranks, progress: Progress) -> None:
        self._bases, self._ranks, self._progress = bases, ranks, progress
        self._encoders: dict[Path, Encoder] = {}
        self.ended: dict[tuple[Path, int], TrainingError] = {}
        self.reason: NotYetError | None = None

    def make(self, index: int, run: Run, seed: int) -> bool:
        """Make one generation unless it is there. False where a corpus that it needs is still to be written."""
        if (run.root, seed) in self.ended:
            return True
        if find(run.lineage(), seed, index) is not None:
            _tidy(run.folder(seed, index))
            return True
        require_same_making(run)  # a training takes days, and its human text may be edited meanwhile
        generation = _Generation(run, seed, index, self._bases[run.root], self._ranks, self._progress)
        try:
            with explained(generation.where):
                generation.make(run.sources(seed, index), self._encoder(run))
        except NotYetError as error:
            self.reason = self.reason or error
            return False
        except TrainingError as error:
            if error.slug != "nothing-written":
                raise
            self.ended[run.root, seed] = error  # the other seeds have not
        return True

    def _encoder(self, run: Run) -> Encoder:
        """One for all generations of a run: they share their prompts."""
        if run.root not in self._encoders:
            self._encoders[run.root] = Encoder(load_tokenizer(self._bases[run.root]), run.recipe)
        return self._encoders[run.root]


class _Generation:
    """One generation in the making."""

    def __init__(
        self, run: Run, seed: int, index: int, base: BaseModel, ranks: Ranks, progress: Progress
    ) -> None:  # fmt: skip
        self.run, self.seed, self.index, self.base = run, seed, index, base
        self.ranks, self.progress = ranks, progress
        self.folder = run.folder(seed, index)
        self.where = f"{run.where}: seed {seed}, generation {index}"
        self.human: dict[str, str | None] = {}
        """Digests of the human text, as it was when the making began."""

    def make(self, sources: Sequence[Source], encoder: Encoder) -> None:
        """Train, write, score, append. Raises TrainingError."""
        lineage = self.run.lineage()
        self.human = human_digests(lineage)
        recipe = self.run.recipe
        if self.ranks.first:
            self._claim(sources)
        self.ranks.wait()
        # 1. data
        mixed = self._mixed(encoder, sources)
        examples = [example for example in mixed if len(example.ids) > example.start]
        if not examples:
            raise TrainingError(f"{self.where}: no token to learn in its training texts", slug="nothing-written")
        # 2. train
        adapter = finetune(self._work(), examples, recipe, self.ranks, self.progress)
        model, tokenizer = load_generation(self.base, recipe, writer=adapter, scorer=self._scorer(adapter))
        # 3. write
        written = {
            role: self._write(model, tokenizer, role, purpose, prompts)
            for role, purpose in _SAMPLES
            if (prompts := self._prompts(encoder, lineage, role))
        }
        if self.index == 0 and recipe.task == "completion":
            ended = [record["ended"] for record in written["texts"]]
            guards.check_stops(ended, recipe.decoding.max_new_tokens, self.where)
        # 4. score, and 5. the manifest
        if self.ranks.first:
            for role, records in written.items():
                self._score(model, encoder, role, records)
            record = self._record(mixed) if len(sources) > 1 else {}
            self._append(sources, examples, adapter, written, record, self._health(lineage, written))
        self.ranks.wait()

    def _health(self, lineage: Lineage, written: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any] | None:
        """Of generation 0, measured on what it was not trained on where there is such a sample."""
        if self.index > 0:
            return None
        role = "holdout" if "holdout" in written else "texts"
        people = [record["prompt"] for record in written[role]]  # under blocks, people's text is what is continued
        if self.run.recipe.task == "completion":
            corpus = self.run.reference(lineage) if role == "texts" else lineage.reference_holdout
            assert corpus is not None
            people = [record["text"] for record in read_records(corpus)]
        examined = health.examine([record["text"] for record in written[role]], people)
        if examined.complaints():
            self.progress.say(health.warning(self.where, examined.complaints()))
        return {"sample": role, **examined.recorded()}

    def _claim(self, sources: Sequence[Source]) -> None:
        """What an interrupted training left is gone on with only if it was the same training."""
        work = {
            "recipe": self.run.recipe.digest,
            "base": self.base.digest or self.base.name,
            **self.human,
            "sources": [[source.corpus.digest, source.share] for source in sources],
        }
        note = self.folder / _WORK
        try:
            same = json.loads(note.read_text("utf-8")) == work
        except (OSError, ValueError):
            same = False
        if not same:
            shutil.rmtree(self.folder, ignore_errors=True)
            with atomic_file(note) as file:
                file.write(json.dumps(work).encode())

    def _mixed(self, encoder: Encoder, sources: Sequence[Source]) -> list[Example]:
        """The examples of this generation, mixed by the scheme's shares, with those that hold no token to learn."""
        examples: dict[str, Sequence[Example | None]] = {}
        for source in sources:
            own = source.named["corpus"]
            name = f"{source.named['lineage']}:{own}" if "lineage" in source.named else own
            read = encoder.human(source.corpus) if source.human else self._selected(encoder, source.corpus)
            examples[name] = [example and dataclasses.replace(example, source=name) for example in read]
        shares = {name: source.share for name, source in zip(examples, sources, strict=True)}
        rng = derived_rng(self.seed, self.index, MIX)
        return mix(examples, shares, rng, whole=self.run.scheme == "accumulate", turn=self.index - 1)

    def _record(self, mixed: Sequence[Example]) -> dict[str, Any]:
        """The very records of a mixture, each with its source, beside the texts: declared shares are held against them.

        Of one source alone the manifest names the file and its digest, which is a record already.
        """
        path = self.folder / "training.jsonl.gz"
        records = [{"text": example.text, "prompt": example.prompt, "source": example.source} for example in mixed]
        digest = write_corpus(path, [without_none(record) for record in records])
        return {"training": self._name(path), "training_digest": digest}

    def _selected(self, encoder: Encoder, corpus: Corpus) -> list[Example | None]:
        """Examples of what a model wrote, in their places; None for those that the recipe does not select."""
        records = read_records(corpus)
        texts = [record["text"] for record in records]
        guards.check_wrote(texts, corpus.where or corpus.shown)
        keep = selected(texts, [record["nll"] for record in records], self.run.recipe.selection)
        return [example if kept else None for example, kept in zip(encoder.of(records), keep.tolist(), strict=True)]

    def _work(self) -> Work:
        parent = None
        if self.run.recipe.init_from == "parent" and self.index > 0:
            parent = self._adapter_of(self.index - 1)
        return Work(
            seed=self.seed, index=self.index, where=self.where, base=self.base, parent=parent, folder=self.folder
        )

    def _scorer(self, own: Path) -> Path:
        """Generation 0's adapter: every text is scored under it."""
        return own if self.index == 0 else self._adapter_of(0)

    def _adapter_of(self, index: int) -> Path:
        """The adapter of an earlier generation of this seed, as it was when that one was finished."""
        adapter = self.run.folder(self.seed, index) / "adapter"
        entry = find(self.run.lineage(), self.seed, index)
        weights = adapter / _WEIGHTS
        claimed = {} if entry is None else entry.details.get("model", {})
        if not weights.is_file() or file_digest(weights) != claimed.get("adapter_digest"):
            message = f"{self.where}: {adapter} is not there, or not the adapter that the manifest has the digest of"
            raise TrainingError(message, slug="adapter-changed")
        return adapter

    def _prompts(self, encoder: Encoder, lineage: Lineage, role: str) -> list[Prompt]:
        """The training texts answer the reference's prompts, the held-out sample those of its held-out part."""
        corpus = self.run.reference(lineage) if role == "texts" else lineage.reference_holdout
        return [] if corpus is None else encoder.prompts(corpus)

    def _write(
        self, model: Any, tokenizer: Any, role: str, purpose: int, prompts: Sequence[Prompt]
    ) -> list[dict[str, Any]]:
        sample = Sample(
            seed=self.seed,
            index=self.index,
            purpose=purpose,
            what=f"{self.where}: writing {'the next texts' if role == 'texts' else 'held-out texts'}",
            part=self.folder / role,
        )
        use(model, "writer")
        rows = generate(
            model, tokenizer, prompts, self.run.recipe.decoding, sample, ranks=self.ranks, progress=self.progress
        )
        return as_records(prompts, rows)

    def _score(self, model: Any, encoder: Encoder, role: str, records: list[dict[str, Any]]) -> None:
        """Adds ``nll`` under generation 0 to the records."""
        use(model, "scorer")
        add_nll(
            model,
            encoder,
            records,
            batch_size=self.run.recipe.decoding.batch_size,
            what=f"{self.where}: scoring {role} under generation 0",
            progress=self.progress,
        )

    def _append(
        self,
        sources: Sequence[Source],
        examples: Sequence[Example],
        adapter: Path,
        written: dict[str, list[Any]],
        record: Mapping[str, Any],
        healthy: Mapping[str, Any] | None,
    ) -> None:
        files: dict[str, Any] = {}
        for role, records in written.items():
            path = self.folder / f"{role}.jsonl.gz"
            files[role] = self._name(path)
            files[f"{role}_digest"] = write_corpus(path, [without_none(record) for record in records])
        entry = {
            "seed": self.seed,
            "index": self.index,
            **files,
            **record,
            "trained_on": [{**source.named, "share": source.share} for source in sources],
            "init_from": "base" if self.index == 0 else self.run.recipe.init_from,
            "adapter": self._name(adapter),
            "train_log": self._name(self.folder / "train.jsonl"),
            "decoding": dataclasses.asdict(self.run.recipe.decoding),
            "model": {
                "base": self.run.recipe.base.hub or self._base_name(),
                "base_digest": self.base.digest,
                "base_gguf_digest": self.base.gguf_digest,
                "base_revision": self.base.revision,
                "adapter_digest": file_digest(adapter / _WEIGHTS),
                "recipe": self.run.recipe.digest,
                **self.human,
                "examples": len(examples),
                "tokens": int(sum(len(example.ids) for example in examples)),
                "ended": round(float(np.mean([record["ended"] for record in written["texts"]])), 4),
                "health": healthy,
            },
            "software": software(),
        }
        with locked(self.run.root / ".manifest.lock"):
            append_generation(self.run.root, entry)
        _tidy(self.folder)
        self.progress.say(f"{self.where}: {entry['model']['ended']:.0%} of its texts end by themselves")

    def _name(self, path: Path) -> str:
        return path.relative_to(self.run.root).as_posix()

    def _base_name(self) -> str:
        path = Path(self.base.name)
        return path.relative_to(self.run.root).as_posix() if path.is_relative_to(self.run.root) else path.name


def _tidy(folder: Path) -> None:
    """Remove what only an unfinished generation needs, and what a process that was killed left of its own."""
    for path in (folder / "checkpoints", *folder.glob(".*")):
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def degenerate(run: Run) -> list[str]:
    """A warning for each generation 0 of this run that was found degenerate when it was made."""
    marks = {entry.seed: entry.details.get("model", {}).get("health", {}) for entry in _first(run)}
    return [
        health.warning(f"{run.where}: seed {seed}, generation 0", mark["degenerate"])
        for seed, mark in marks.items()
        if mark.get("degenerate")
    ]


def _first(run: Run) -> list[GenerationEntry]:
    return [entry for seed in run.seeds if (entry := find(run.lineage(), seed, 0)) is not None]
