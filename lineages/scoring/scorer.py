"""Which model scores: generation 0 of a lineage (base and adapter), or an independent one; named by its digest.

Generation 0 reads a record as it was trained to: under the task ``completion`` the framed prompt stands before the
text and the end-of-text token is part of it, and what exceeds the recipe's context is cut off; under ``blocks`` the
text alone. An independent model reads the framed prompt in its own tokens, then the text, without an end; without a
recipe the text alone after its beginning-of-text token, as lm-eval does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.errors import UsageError
from collapse_audit.lineages.disk.manifest import MANIFEST, read_manifest
from collapse_audit.lineages.files.digest import file_digest, json_digest
from collapse_audit.lineages.measured.hushed import hushed
from collapse_audit.lineages.measured.scores import GENERATION_0, Identity
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.lineages.training import guards
from collapse_audit.lineages.training.base import BaseModel, kept, prepare_base, weights_digest
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.examples import Encoder, Example
from collapse_audit.lineages.training.models import load_generation, use
from collapse_audit.lineages.training.progress import Silent
from collapse_audit.lineages.training.recipe import Recipe, read_recipe
from collapse_audit.lineages.training.torch_setup import device
from collapse_audit.lineages.training.without_recipe import has_recipe, implied_recipe, refuse_base

_WEIGHTS = "adapter_model.safetensors"
_NO_LIMIT = 1_000_000_000
"""Tokenizers without a limit give 10^30."""
_CUSTOMARY = 2048
"""Tokens that a model is taken to read where neither it nor its tokenizer says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """A model in memory and how it reads records."""

    identity: Identity
    model: Any
    longest: int
    """The most tokens that it reads at once."""
    reader: Reader

    def examples(self, records: Sequence[Mapping[str, Any]]) -> list[Example]:
        """The records in its tokens, and where in them the text begins."""
        return self.reader.examples(records)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How records become tokens for one scorer."""

    tokenizer: Any
    encoder: Encoder | None = None
    """Generation 0's own; None for an independent scorer."""
    template: str | None = None
    """What stands before the text of an independent scorer, with ``{prompt}`` in it."""
    ends: bool = False
    """Whether an end-of-text token is part of every text."""

    def examples(self, records: Sequence[Mapping[str, Any]]) -> list[Example]:
        if self.encoder is not None:
            return self.encoder.of([dict(record) for record in records])
        first = [self.tokenizer.eos_token_id if self.tokenizer.bos_token_id is None else self.tokenizer.bos_token_id]
        texts = self._tokens([record["text"] for record in records])
        prompts: list[list[int]] = [[]] * len(texts)
        if self.template is not None:
            prompts = self._tokens([self.template.replace("{prompt}", record["prompt"] or "") for record in records])
        return [
            Example(np.array([*first, *prompt, *text], dtype=np.int64), 1 + len(prompt))
            for prompt, text in zip(prompts, texts, strict=True)
        ]

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        return ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """A lineage whose models can be loaded: its recipe and its base."""

    lineage: Lineage
    where: str
    recipe: Recipe
    base: BaseModel
    plain: bool = False
    """Whether there is no recipe but the base alone: texts are then read as a language model reads them."""

    def load(self, entry: GenerationEntry) -> tuple[Any, Any]:
        """``(model, tokenizer)`` of a generation: base and adapter, each what the manifest has the digest of.

        Raises TrainingError where one is missing or is another.
        """
        adapter = self.adapter(entry)
        model, tokenizer = load_generation(self.base, self.recipe, writer=adapter, scorer=adapter)
        use(model, "writer")
        return model, tokenizer

    def adapter(self, entry: GenerationEntry) -> Path:
        """The folder of the generation's adapter. Raises TrainingError as :meth:`load`."""
        name = f"{self.where}: generation {entry.index}" + ("" if entry.seed is None else f" of seed {entry.seed}")
        if entry.adapter is None or not (entry.adapter / _WEIGHTS).is_file():
            message = f"{name} has no adapter; its model cannot be loaded"
            raise TrainingError(message, slug="no-adapter")
        claimed = entry.details.get("model", {})
        if claimed.get("adapter_digest", self.adapter_digest(entry)) != self.adapter_digest(entry):
            message = f"{name}: {entry.adapter} is not the adapter that the manifest has the digest of"
            raise TrainingError(message, slug="adapter-changed")
        if claimed.get("base_digest", self.base.digest) != self.base.digest:
            message = f"{name} was made from another base than {self.base.name} is now; put that one back"
            raise TrainingError(message, slug="base-other")
        return entry.adapter

    @staticmethod
    def adapter_digest(entry: GenerationEntry) -> str:
        """Of the adapter's weights."""
        assert entry.adapter is not None
        return file_digest(entry.adapter / _WEIGHTS)

    @property
    def about_base(self) -> dict[str, Any]:
        """What the base is, for digests: its weights, or its name on the hub."""
        if self.base.digest is not None:
            return {"base": self.base.digest, "quantization": self.recipe.quantization}
        return {"base": [self.base.name, self.base.revision], "quantization": self.recipe.quantization}


def models_of(lineage: Lineage, where: str, *, base: str | None = None) -> Models:
    """``base``: of a lineage without a recipe, where the user names it.

    Raises UsageError where the lineage says of no model, and TrainingError where its base is not there.
    """
    if not has_recipe(lineage):
        recipe = implied_recipe(lineage, where, base)
        return Models(
            lineage=lineage, where=where, recipe=recipe, base=prepare_base(lineage.root, recipe, Silent()), plain=True
        )
    refuse_base(base, where)
    recipe = read_recipe(read_manifest(lineage.root / MANIFEST, where=f"{where}/{MANIFEST}"))
    folder = kept(lineage.root, recipe.base)
    if recipe.base.hub is None and recipe.base.gguf is None and not folder.is_dir():
        raise TrainingError(f"{where}: the base {folder} is not there", slug="base")
    return Models(
        lineage=lineage, where=where, recipe=recipe, base=prepare_base(lineage.root, recipe, Silent())
    )  # fmt: skip


def generation_0(models: Models, seed: str | None) -> Scorer:
    """Generation 0 of that seed. Raises TrainingError where it cannot be loaded."""
    entry = next((entry for entry in models.lineage.of_seed(seed) if entry.index == 0), None)
    if entry is None:
        of_seed = "" if seed is None else f" of seed {seed}"
        raise TrainingError(f"{models.where} has no generation 0{of_seed} to score with", slug="no-generation-0")
    model, tokenizer = models.load(entry)
    recipe = models.recipe
    name = GENERATION_0 if seed is None else f"{GENERATION_0}.seed_{seed}"
    about = {**models.about_base, "adapter": models.adapter_digest(entry), "precision": _precision(model)}
    if models.plain:
        longest = _longest(model, tokenizer)
        about |= {"template": None, "longest": longest}
        identity = Identity(name=name, digest=json_digest(about), about=about)
        return Scorer(identity=identity, model=model, longest=longest, reader=Reader(tokenizer=tokenizer))
    about |= {"task": recipe.task, "template": recipe.text.template, "longest": recipe.text.context}
    return Scorer(
        identity=Identity(name=name, digest=json_digest(about), about=about),
        model=model,
        longest=recipe.text.context,
        reader=Reader(tokenizer=tokenizer, encoder=Encoder(tokenizer, recipe), ends=recipe.task == "completion"),
    )


def independent(name: str, lineage: Lineage | None, where: str) -> Scorer:
    """The causal language model in the folder, or of the hub id, ``name``. Raises UsageError where it cannot be loaded.

    ``lineage``: the one that is scored, whose recipe says how prompts stand before texts.
    """
    model, tokenizer = _pretrained(name)
    template = None
    if lineage is not None and lineage.recipe.get("task") == "completion":
        template = read_recipe(read_manifest(lineage.root / MANIFEST, where=f"{where}/{MANIFEST}")).text.template
    folder = Path(name)
    if folder.is_dir():
        weights: Any = weights_digest(folder)
        shown = folder.resolve().name
    else:
        weights = [name, getattr(model.config, "_commit_hash", None)]
        shown = name
    longest = _longest(model, tokenizer)
    about = {
        "model": weights,
        "precision": _precision(model),
        "template": template,
        "longest": longest,
    }
    return Scorer(
        identity=Identity(name=_as_folder(shown), digest=json_digest(about), about={"named": shown, **about}),
        model=model,
        longest=longest,
        reader=Reader(tokenizer=tokenizer, template=template),
    )


def _pretrained(name: str) -> tuple[Any, Any]:
    where, _ = device()
    try:
        with hushed():
            from transformers import AutoModelForCausalLM, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(name)
            model, info = AutoModelForCausalLM.from_pretrained(
                name, dtype="auto", device_map={"": where}, use_safetensors=True, output_loading_info=True
            )
    except MemoryError:
        raise
    except Exception as error:  # the hub's client, safetensors and the loaders raise some twenty kinds
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        message = (
            f"--scorer {name}: cannot be loaded ({reason}); name a folder with a causal language model (config.json, "
            "*.safetensors, tokenizer), a lineage, or a hub id that can be downloaded or is in the local cache"
        )
        raise UsageError(message, slug="scorer") from error
    guards.refuse_random_weights(info, name)
    if tokenizer.bos_token_id is None and tokenizer.eos_token_id is None:
        message = f"--scorer {name}: its tokenizer has neither a beginning-of-text nor an end-of-text token"
        raise UsageError(message, slug="scorer")
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        message = (
            f"--scorer {name}: its tokenizer has {len(tokenizer)} tokens and the model only "
            f"{model.get_input_embeddings().num_embeddings}: they do not belong together"
        )
        raise UsageError(message, slug="scorer-tokenizer")
    model.requires_grad_(False)
    return model.eval(), tokenizer


def _longest(model: Any, tokenizer: Any) -> int:
    """As lm-eval finds it: the model's own limit, else the tokenizer's, else 2048."""
    config = model.config.get_text_config()
    for key in ("n_positions", "max_position_embeddings", "n_ctx"):
        if isinstance(getattr(config, key, None), int):
            return int(getattr(config, key))
    limit = getattr(tokenizer, "model_max_length", _NO_LIMIT)
    return int(limit) if limit < _NO_LIMIT else _CUSTOMARY


def _precision(model: Any) -> str:
    return str(model.dtype).removeprefix("torch.")


def _as_folder(name: str) -> str:
    """A name that is one folder: ``org/model`` is ``org_model``."""
    plain = "".join(c if c.isalnum() or c in "._-" else "_" for c in name).strip("._") or "scorer"
    return f"{plain}.independent" if plain.startswith(GENERATION_0) else plain
