"""Every generation of a lineage through lm-evaluation-harness: what is there and current is kept, the rest evaluated.

Results land beside the generation, ``lm_eval.json`` and ``lm_eval_samples_<task>.jsonl.gz``, each written whole and the
results last: an interrupted run loses only the generation under way. A task is current while the model (base, adapter,
quantization), the task (its questions, its file, its documents), the version of lm-eval, the limit and the batch size
are those it was evaluated with.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse_audit.atomic import atomic_file
from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.evaluation import harness
from collapse_audit.lineages.files.digest import file_digest, json_digest
from collapse_audit.lineages.measured.lm_eval_claims import OURS, WEIGHTS
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.lineages.training.base import BaseModel, load_tokenizer, prepare_base
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.models import load_generation
from collapse_audit.lineages.training.progress import Progress
from collapse_audit.lineages.training.recipe import Recipe
from collapse_audit.lineages.training.run import Run
from collapse_audit.probes.text.eu_tirads import CATEGORIES, eu_tirads

RESULTS = "lm_eval.json"
_PER_GROUP = ("results", "groups", "group_subtasks", "versions", "n-shot", "higher_is_better")
_PER_TASK = ("results", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "task_hashes")
_FEWEST = 10
"""Classified descriptions without which the classification is not among the tasks by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for."""

    tasks: tuple[str, ...] = ()
    """Names or task files; none: those of this package that the reference can carry."""
    limit: int | None = None
    batch_size: int = 16
    chosen: Callable[[GenerationEntry], bool] = lambda _: True


def evaluate(run: Run, options: Options, progress: Progress) -> list[str]:
    """Evaluate what is not current; a line for each generation. Raises UsageError, InputError and TrainingError."""
    lineage = run.lineage()
    entries = [entry for entry in lineage.generations if options.chosen(entry)]
    if not entries:
        raise UsageError(f"{run.where} has no such generation", slug="no-generation")
    for entry in entries:
        _require_adapter(run, entry)
    _require_places(run, lineage.generations)
    base = prepare_base(run.root, run.recipe, progress)
    tasks = options.tasks or default_tasks(_held_out(lineage, run.where))
    settings = _settings(lineage, run, base, options, tasks)
    progress.say(f"{run.where}: {', '.join(tasks)}")
    loaded = harness.Harness(settings)
    return [_generation(run, entry, base, loaded, progress) for entry in entries]


def default_tasks(reference: Corpus) -> tuple[str, ...]:
    """The tasks of this package that these records can carry.

    An answer without its prompt is nothing that a model of answers was asked for, and how surprising it finds one moves
    with training either way: an answer's perplexity is taken given its prompt.
    """
    alone = prompts = classified = 0
    for batch in reference.batches():
        for record in batch.to_pylist():
            written = bool(record["text"].strip())
            asked = bool(record["prompt"]) and written
            alone += written and not asked
            prompts += asked
            named = [name for name in eu_tirads(record["text"]) if name in CATEGORIES] if asked else []
            classified += len(named) == 1
    possible = {
        "collapse_reference_perplexity": alone,
        "collapse_answer_perplexity": prompts,
        "collapse_eu_tirads": classified >= _FEWEST,
        "collapse_conclusion": prompts,
    }
    return tuple(task for task, carried in possible.items() if carried) or tuple(possible)[:1]  # which says what lacks


def _held_out(lineage: Lineage, where: str) -> Corpus:
    if lineage.reference_holdout is None:
        message = (
            f"{where} has no held-out reference: text that people wrote and no model was trained on; add it "
            "(reference.holdout.*), or name tasks that bring their own documents with --task"
        )
        raise UsageError(message, slug="no-holdout")
    return lineage.reference_holdout


def _settings(
    lineage: Lineage, run: Run, base: BaseModel, options: Options, tasks: Sequence[str]
) -> harness.Settings:  # fmt: skip
    metadata: dict[str, Any] = {}
    if lineage.reference_holdout is not None:
        reference = lineage.reference_holdout
        metadata = {"reference": str(reference.path), "template": _template(base, run.recipe)}
        metadata |= {} if reference.split is None else {"split": reference.split}
    return harness.Settings(
        tasks=tuple(tasks),
        metadata=metadata,
        batch_size=options.batch_size,
        limit=options.limit,
        answer_tokens=run.recipe.decoding.max_new_tokens,
    )


def _template(base: BaseModel, recipe: Recipe) -> str:
    """The recipe's, behind the token that every training sequence begins with where the tokenizer adds none itself."""
    tokenizer = load_tokenizer(base)
    bos = tokenizer.bos_token
    added = bos is None or tokenizer.encode("0")[:1] == [tokenizer.bos_token_id]
    return ("" if added else bos) + recipe.text.template


def _require_adapter(run: Run, entry: GenerationEntry) -> None:
    if entry.adapter is None or not (entry.adapter / WEIGHTS).is_file():
        of_seed = "" if entry.seed is None else f" of seed {entry.seed}"
        message = f"{run.where}: generation {entry.index}{of_seed} has no adapter ({WEIGHTS}); nothing can be evaluated"
        raise TrainingError(message, slug="adapter")


def _target(entry: GenerationEntry) -> Path:
    return entry.lm_eval or entry.texts.path.parent / RESULTS


def _require_places(run: Run, entries: Sequence[GenerationEntry]) -> None:
    """Results must not overwrite one another."""
    if len({_target(entry) for entry in entries}) < len(entries):
        message = f"{run.where}: several generations have one folder; give each its own, gen_<k>/texts.jsonl"
        raise UsageError(message, slug="ambiguous-corpus")


def _generation(
    run: Run, entry: GenerationEntry, base: BaseModel, loaded: harness.Harness, progress: Progress
) -> str:  # fmt: skip
    """Evaluate one generation's stale tasks and replace its results. What was done, in a line."""
    assert entry.adapter is not None
    name = f"generation {entry.index}" if entry.seed is None else f"seed {entry.seed}, generation {entry.index}"
    target = _target(entry)
    model = _model(entry, base, run.recipe)
    keys = {task: _key(model, digest, loaded.settings) for task, digest in loaded.digests.items()}
    before = _ours(target, model)
    current = before.get(OURS, {}).get("tasks", {})
    told = before.get("group_subtasks", {})
    new = {task for group, members in loaded.groups.items() if group not in told for task in members}
    stale = [task for task, key in keys.items() if task in new or not _is_current(target, current.get(task), key)]
    stale = loaded.whole(stale)
    if not stale:
        return f"{name}: current"
    progress.start(f"{name}: {', '.join(stale)}", 1)
    writer, tokenizer = load_generation(base, run.recipe, writer=entry.adapter, scorer=entry.adapter)
    results, samples = loaded.evaluate(writer, tokenizer, stale)
    # Not in the lineage: what a command that is killed leaves of it would stay there.
    with tempfile.TemporaryDirectory(prefix="collapse-lineage-") as work:
        file, by_task = harness.save(Path(work), results, samples)
        made = harness.repeatable(json.loads(file.read_text("utf-8")))
        made["config"]["model"] = model["base"]  # lm-eval writes the path of this machine
        made[OURS] = {"format": 1, "model": model, "tasks": {}}
        for task, samples_file in by_task.items():
            place = target.with_name(f"{target.stem}_samples_{task}.jsonl.gz")  # a fifth of the size
            with atomic_file(place) as packed:
                packed.write(gzip.compress(samples_file.read_bytes(), mtime=0))
            place.with_suffix("").unlink(missing_ok=True)  # as they were written before they were packed
            made[OURS]["tasks"][task] = {"key": keys[task], "samples": place.name, "digest": file_digest(place)}
        _write(target, _merged(before, made, current))
    progress.update(1)
    return f"{name}: {', '.join(stale)}"


def _model(entry: GenerationEntry, base: BaseModel, recipe: Recipe) -> dict[str, Any]:
    """What was evaluated: enough to tell it from every other model."""
    assert entry.adapter is not None
    about = {
        "base": recipe.base.hub or "base",
        "base_revision": base.revision,
        "base_digest": base.digest,
        "adapter_digest": file_digest(entry.adapter / WEIGHTS),
        "decoding_digest": json_digest(entry.details.get("decoding", {})),
        "quantization": recipe.quantization,
    }
    return {key: value for key, value in about.items() if value is not None}


def _key(model: Mapping[str, Any], task: str, settings: harness.Settings) -> str:
    """Digest of everything that decides a task's numbers."""
    return json_digest([model, task, harness.version(), settings.limit, settings.batch_size])


def _is_current(target: Path, task: Mapping[str, Any] | None, key: str) -> bool:
    if task is None or task.get("key") != key:
        return False
    samples = target.with_name(str(task.get("samples")))
    return samples.is_file() and file_digest(samples) == task.get("digest")


def _ours(target: Path, model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The results that are there, if they are of this very model. Raises UsageError where they are somebody else's."""
    if not target.exists():
        return {}
    try:
        data: dict[str, Any] = json.loads(target.read_text("utf-8"))
        ours = data[OURS]
    except (OSError, ValueError, KeyError, TypeError):
        message = f"{target} was not written by collapse-lineage evaluate; move it, or name another place in lm_eval"
        raise UsageError(message, slug="lm-eval-not-ours") from None
    return data if ours.get("model") == model else {}


def _merged(before: Mapping[str, Any], made: dict[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """New results with those of other tasks that were there."""
    kept = {task: about for task, about in current.items() if task not in made[OURS]["tasks"]}
    for table in _PER_TASK:
        old = before.get(table, {})
        made[table] = {**{task: old[task] for task in kept if task in old}, **made.get(table, {})}
    made[OURS]["tasks"] = {**kept, **made[OURS]["tasks"]}
    groups = before.get("group_subtasks", {})
    whole = [group for group in groups if group not in made.get("group_subtasks", {}) and _is_kept(group, groups, kept)]
    for table in _PER_GROUP:
        old = before.get(table, {})
        if rows := {group: old[group] for group in whole if group in old}:
            made[table] = {**rows, **made.get(table, {})}
    return made


def _is_kept(name: str, groups: Mapping[str, Sequence[str]], kept: Mapping[str, Any]) -> bool:
    """Whether a task, or every task of a group, is as it was."""
    return all(_is_kept(part, groups, kept) for part in groups[name]) if name in groups else name in kept


def _write(target: Path, results: Mapping[str, Any]) -> None:
    with atomic_file(target) as file:
        file.write(json.dumps(results, indent=1, ensure_ascii=False, sort_keys=True).encode("utf-8") + b"\n")
