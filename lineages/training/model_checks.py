"""What only the models themselves show: that every adapter is applied, is its file's, and is no other's.

``collapse-lineage validate --models`` opens the base once for all generations and puts each adapter on it in turn. All
answer the same few texts of the lineage; compared are the log-probabilities of the tokens of these texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.errors import CollapseAuditError, InputError, Problem
from collapse_audit.lineages.checks.adapters import CONFIG, WEIGHTS, read_adapter
from collapse_audit.lineages.checks.safetensors import tensor_places
from collapse_audit.lineages.disk.manifest import MANIFEST, read_manifest
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.paths import locate
from collapse_audit.lineages.files.problems import problem
from collapse_audit.lineages.measured.hushed import hushed
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.lineages.training import guards
from collapse_audit.lineages.training.base import BaseModel, kept, load_base, prepare_base, weights_digest
from collapse_audit.lineages.training.progress import Silent
from collapse_audit.lineages.training.recipe import Recipe, read_recipe
from collapse_audit.lineages.training.torch_setup import device

MERGED_TOLERANCE = {"F64": 1e-3, "F32": 1e-3}
"""Nats: largest difference of a token's log-probability between a merged model and base + adapter, by the number
format in which the merged weights are stored."""
_ROUNDED = 0.05
"""The same for 16-bit weights: merging rounds W + BA to 8 bits (bfloat16) or 11 (float16) of precision."""
_TWIN = 1e-3
"""Two models whose answers move from the base's by changes that differ by less, as a share of the larger, are one."""
_TEXTS = 8
_TOKENS = 64

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """One generation's model beside its base."""

    name: str
    base: str
    change: float
    """Largest difference of a token's log-probability with and without the adapter, nats."""
    merged: float | None = None
    """The same between the merged model and base + adapter; None where no merged model is there."""


def check_models(lineage: Lineage, *, where: str) -> tuple[list[ModelRow], list[Problem]]:
    """Open every base + adapter of ``lineage`` (called ``where`` in messages) and compare what they answer.

    A row for every model that could be opened, and everything that is wrong. Needs the training stack.
    """
    with _offline():
        return _checked(lineage, _recipe(lineage), _texts(lineage), where)


@contextmanager
def _offline() -> Iterator[None]:
    """Within: the hub's client looks only into its cache; a check of files downloads no model."""
    try:
        from huggingface_hub import constants
    except ImportError:  # what needs it says so
        yield
        return
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _checked(
    lineage: Lineage, recipe: Recipe | None, texts: list[str], where: str
) -> tuple[list[ModelRow], list[Problem]]:
    rows: list[ModelRow] = []
    problems: list[Problem] = []
    answers: dict[str, tuple[FloatArray, FloatArray]] = {}
    opened: dict[str, _Bench] = {}
    having = [entry for entry in lineage.generations if entry.adapter is not None]
    for entry in lineage.generations:
        place = f"{where}/{_place(lineage, entry)}"
        if entry.adapter is None:
            if having:
                expected = "an adapter, as other generations have one"
                problems.append(problem(place, "no adapter", expected, "adapter-missing"))
            continue
        try:
            name = _base_name(lineage, entry, recipe, place)
            if name not in opened:
                opened.clear()  # one base in memory at a time
                opened[name] = _Bench(name, recipe, texts)
            if recipe is not None:  # what another pipeline takes the digest of is its own affair
                problems += _of_another_base(entry, name, place)
            row, answer = _look_at(opened[name], entry, place)
        except InputError as error:
            problems += error.problems
            continue
        except CollapseAuditError as error:
            problems.append(problem(place, str(error), "a model that can be opened", error.slug))
            continue
        rows.append(row)
        problems += _judged(row, place, _number_format(entry))
        twin = _twin(answers, answer)
        if twin:
            problems.append(problem(place, twin, "a model of its own", "adapter-twin"))
        answers[row.name] = answer
    if not having:
        problems.append(problem(where, "no generation with an adapter", "models to be opened", "no-models"))
    return rows, problems


def _twin(answers: Mapping[str, tuple[FloatArray, FloatArray]], answer: tuple[FloatArray, FloatArray]) -> str:
    """What to say where an earlier model answers as this one does; empty where none does."""
    for other, theirs in answers.items():
        distance = _apart(theirs, answer)
        if distance == 0:
            return f"a model that answers exactly as {other} does"
        if distance < _TWIN:
            return f"a model that answers as {other} does but for rounding (relative difference {distance:.1e})"
    return ""


def _look_at(bench: _Bench, entry: GenerationEntry, place: str) -> tuple[ModelRow, tuple[FloatArray, FloatArray]]:
    """The row, and the answers with and without the adapter."""
    assert entry.adapter is not None
    read_adapter(entry.adapter, where=place)  # a pickle, and what is broken, is refused before anything is loaded
    with_adapter, without = bench.answers(entry.adapter, place)
    merged = _merged(entry)
    apart = None if merged is None else bench.merged_apart(entry.adapter, merged, place)
    name = f"generation {entry.index}" + ("" if entry.seed is None else f" of seed {entry.seed}")
    change = float(np.abs(with_adapter - without).max())
    return ModelRow(name=name, base=bench.name, change=change, merged=apart), (with_adapter, without)


def _apart(answer: tuple[FloatArray, FloatArray], other: tuple[FloatArray, FloatArray]) -> float:
    """|x - y| / max(|x - base|, |y - base|) of two models' answers x and y; infinite where they do not compare."""
    if answer[0].shape != other[0].shape or not np.isfinite([*answer, *other]).all():
        return np.inf
    changes = [float(np.linalg.norm(x - base)) for x, base in (answer, other)]
    difference = float(np.linalg.norm(answer[0] - other[0]))
    return difference / max(changes) if max(changes) else np.inf


def _judged(row: ModelRow, place: str, number_format: str | None) -> Iterator[Problem]:
    if not np.isfinite(row.change):
        yield problem(place, "a model that answers NaN", "finite log-probabilities", "adapter-nan")
    elif row.change == 0.0:
        found = "an adapter that is loaded and changes nothing"
        yield problem(place, found, "answers that differ from the base's", "adapter-off")
    if row.merged is not None:
        allowed = MERGED_TOLERANCE.get(number_format or "", _ROUNDED)
        if not row.merged <= allowed:
            found = f"a merged model whose log-probabilities differ by up to {row.merged:.2g} nats from base + adapter"
            yield problem(place, found, f"at most {allowed:g} nats", "merged-differs")


class _Bench:
    """One base and the texts that every model on it answers."""

    def __init__(self, name: str, recipe: Recipe | None, texts: list[str]) -> None:
        self.name = name
        self._recipe = recipe
        self._texts = texts
        self._model, self._batch = self._load(quantized=True)

    def _load(self, *, quantized: bool) -> tuple[Any, Mapping[str, Any]]:
        if quantized and self._recipe is not None and self._recipe.quantization != "none":
            revision = self._recipe.base.revision
            model, tokenizer = load_base(BaseModel(name=self.name, revision=revision, digest=None), self._recipe)
        else:
            model, tokenizer = _plain(self.name, None if self._recipe is None else self._recipe.base.revision)
        return model, _batch(tokenizer, self._texts, model.device)

    def answers(self, adapter: Path, place: str) -> tuple[FloatArray, FloatArray]:
        """Log-probabilities of the texts' tokens with the adapter and without it; shape (tokens,)."""
        model = self._put_on(self._model, adapter, place)
        with_adapter = _log_probabilities(model, self._batch)
        with model.disable_adapter():
            without = _log_probabilities(model, self._batch)
        self._model = model.unload()
        return with_adapter, without

    def merged_apart(self, adapter: Path, merged: Path, place: str) -> float:
        """Both in the precision in which adapters are merged: base + adapter without quantization."""
        base, batch = self._load(quantized=False)
        expected = _log_probabilities(self._put_on(base, adapter, place), batch)
        model, _ = _plain(str(merged), None, tokenizer=False)
        return float(np.abs(_log_probabilities(model, batch) - expected).max())

    def _put_on(self, base: Any, adapter: Path, place: str) -> Any:
        from peft import PeftModel

        with hushed():
            try:
                model = PeftModel.from_pretrained(base, str(adapter), is_trainable=False).eval()
            except Exception as error:  # peft, json, safetensors and torch each have errors of their own
                self._model, self._batch = self._load(quantized=True)  # what was left half done
                reason = str(error).strip().replace("\n", " ") or type(error).__name__
                found = f"an adapter that cannot be put on {self.name} ({reason})"
                raise InputError([problem(place, found, "an adapter of this base", "adapter-shape")]) from error
        missing = _not_loaded(model, adapter)
        if missing:
            self._model = model.unload()
            found = f"{len(missing)} matrices that are not in the model as they are in the file ({missing[0]})"
            raise InputError([problem(place, found, "an adapter that is loaded whole", "adapter-not-loaded")])
        return model


def _plain(name: str, revision: str | None, *, tokenizer: bool = True) -> tuple[Any, Any]:
    """A model in its own precision (float32 on a CPU) and its tokenizer. Raises InputError."""
    with hushed():
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        place, _ = device()
        try:
            dtype = torch.float32 if place.type == "cpu" else "auto"
            asked: dict[str, Any] = {"revision": revision or "main"}
            model, info = AutoModelForCausalLM.from_pretrained(
                name, dtype=dtype, output_loading_info=True, use_safetensors=True, **asked
            )
            cutter = AutoTokenizer.from_pretrained(name, **asked) if tokenizer else None
        except Exception as error:  # some twenty kinds, of the hub's client, safetensors and the loaders
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            expected = "config.json, the weights (safetensors) and the tokenizer"
            if not Path(name).is_dir():
                reason = f"no such folder, and not whole in the hub's cache: {reason}"
                expected = f"a folder, or a hub id whose files are here: hf download {name}"
            raise InputError([problem(name, f"a model that cannot be loaded ({reason})", expected, "base")]) from error
    guards.refuse_random_weights(info, name)
    return model.to(place).requires_grad_(False).eval(), cutter


def _batch(tokenizer: Any, texts: list[str], place: Any) -> Mapping[str, Any]:
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    limit = min(_TOKENS, tokenizer.model_max_length)
    return dict(tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=limit).to(place))


def _log_probabilities(model: Any, batch: Mapping[str, Any]) -> FloatArray:
    """Of every token of the batch but the first of each text, given those before it; shape (tokens,)."""
    import torch

    ids, mask = batch["input_ids"], batch["attention_mask"]
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask).logits.float()
    chosen = torch.log_softmax(logits[:, :-1], dim=-1).gather(-1, ids[:, 1:, None])[..., 0]
    chosen_logs: FloatArray = chosen[mask[:, 1:].bool()].double().cpu().numpy()
    return chosen_logs


def _not_loaded(model: Any, folder: Path) -> list[str]:
    """Matrices of the file that the model does not compute with: peft only warns of them."""
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import load_file

    stored = load_file(folder / WEIGHTS)
    loaded = get_peft_model_state_dict(model, save_embedding_layers=False)
    wrong = stored.keys() ^ loaded.keys()
    both = stored.keys() & loaded.keys()
    wrong |= {
        key
        for key in both
        if not torch.allclose(stored[key].to(loaded[key].dtype), loaded[key].cpu(), rtol=0, atol=0, equal_nan=True)
    }
    return sorted(wrong)


# ----------------------------------------------------------------------------------------------------- what lies where


def _recipe(lineage: Lineage) -> Recipe | None:
    """The trainer's recipe, where the lineage has one."""
    if not lineage.recipe or "kind" in lineage.recipe:
        return None
    return read_recipe(read_manifest(lineage.root / MANIFEST, where=f"{lineage.root.name}/{MANIFEST}"))


def _base_name(lineage: Lineage, entry: GenerationEntry, recipe: Recipe | None, place: str) -> str:
    """A folder or a hub id: the recipe's, else the manifest's, else what the adapter says. Raises InputError."""
    if recipe is not None:
        if recipe.base.gguf is not None:
            return prepare_base(lineage.root, recipe, Silent()).name
        return recipe.base.hub or str(kept(lineage.root, recipe.base))
    assert entry.adapter is not None
    adapter = read_adapter(entry.adapter, where=place)
    name = entry.details.get("model", {}).get("base") or (adapter.config if adapter else {}).get(
        "base_model_name_or_path"
    )
    if not isinstance(name, str) or not name:
        found = f"no base in [generation.model] and none in {CONFIG}"
        raise InputError([problem(place, found, "the base's folder or hub id", "base")])
    folder = locate(lineage.root, name)
    return name if isinstance(folder, Broken) else str(folder)


def _of_another_base(entry: GenerationEntry, name: str, place: str) -> Iterator[Problem]:
    """The base's weights have the digest that the manifest records, where both are there."""
    claimed = entry.details.get("model", {}).get("base_digest")
    if claimed is None or not Path(name).is_dir():
        return
    actual = weights_digest(Path(name))
    if actual != claimed:
        yield problem(place, f"the base {name} with the digest {actual}", f"{claimed} (as recorded)", "base-other")


def _merged(entry: GenerationEntry) -> Path | None:
    """``merged/`` beside ``adapter/``, a whole model."""
    assert entry.adapter is not None
    folder = entry.adapter.parent / "merged"
    return folder if folder.is_dir() else None


def _number_format(entry: GenerationEntry) -> str | None:
    """In which the merged weights are stored; of several the least precise one counts."""
    folder = _merged(entry)
    files = [] if folder is None else sorted(folder.glob("*.safetensors"))
    kinds = {place.kind for file in files for place in tensor_places(file, where=file.name).values()}
    rounded = kinds - MERGED_TOLERANCE.keys()
    return next(iter(sorted(rounded or kinds)), None)


def _texts(lineage: Lineage) -> list[str]:
    """The first few texts that are not empty, with their prompts: the reference's, else the first generation's."""
    corpus = lineage.reference or lineage.generations[0].texts
    texts: list[str] = []
    for batch in corpus.batches():
        columns = (batch.column(name).to_pylist() for name in ("prompt", "text"))
        texts += [f"{prompt or ''}\n{text}".strip() for prompt, text in zip(*columns, strict=True) if text.strip()]
        if len(texts) >= _TEXTS:
            break
    return texts[:_TEXTS] or ["0"]


def _place(lineage: Lineage, entry: GenerationEntry) -> str:
    path = entry.adapter or entry.texts.path
    return path.relative_to(lineage.root).as_posix()
