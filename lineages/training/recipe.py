"""Everything that decides how a lineage is trained: ``[recipe]`` of ``lineage.toml`` as frozen records with defaults.

Defaults are the published QLoRA settings where those make sense on a small machine (Dettmers et al. 2023,
arXiv 2305.14314: NF4, double quantization, all linear layers, dropout .05, learning rate 2e-4, gradient norm .3).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineages.disk.manifest import Manifest
from collapse_audit.lineages.files.digest import json_digest
from collapse_audit.lineages.files.schema import Complaint, Schema

_SCHEMA = Schema.file("collapse_audit.lineages.training", "recipe.schema.json", whole="the recipe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretraining:
    """How a built-in architecture gets its first weights. Tiny and honest: these are no foundation models."""

    texts: str
    """A corpus inside the lineage folder; the tokenizer is trained on it too."""
    epochs: float = 3.0
    learning_rate: float = 2e-3
    batch_size: int = 32
    block: int = 128
    """Tokens of a training sequence, at most."""
    packed: bool = True
    """Sequences are cut from all texts end to end; else each text is a sequence, and nothing else stands before it."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Where every generation starts: one of ``hub``, ``folder``, ``gguf`` and ``architecture``."""

    hub: str | None = None
    revision: str | None = None
    folder: str | None = None
    gguf: str | None = None
    """A GGUF file, relative to the lineage; ``folder`` beside it says where the converted model is kept."""
    architecture: Literal["mistral", "llama", "opt"] | None = None
    hidden: int = 128
    layers: int = 2
    heads: int = 4
    kv_heads: int | None = None
    """Fewer than ``heads`` is grouped-query attention; None is plain multi-head attention."""
    feed_forward: int = 256
    sliding_window: int | None = None
    """Tokens that a position attends to; Mistral only."""
    vocabulary: int = 2048
    pretrain: Pretraining | None = None

    def identity(self) -> dict[str, Any]:
        """What decides the weights. Where a model lies does not: a folder and a GGUF file have digests of their own."""
        table = dataclasses.asdict(self)
        del table["folder"], table["gguf"]
        if self.pretrain is not None and self.pretrain.packed:  # bases from before there was a choice are packed
            del table["pretrain"]["packed"]
        return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """The adapter (Hu et al. 2021, arXiv 2106.09685): W + (alpha / r) B A."""

    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    target_modules: str | tuple[str, ...] = "all-linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The optimizer and its batches."""

    epochs: float = 3.0
    examples: int | None = None
    """Examples read in all, instead of ``epochs``: equal compute, however many a generation has to learn from."""
    learning_rate: float = 2e-4
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup: float = 0.03
    """Share of the steps."""
    batch_size: int = 16
    """Examples of a forward pass on one device."""
    accumulate: int = 1
    """Forward passes of a step."""
    weight_decay: float = 0.0
    max_grad_norm: float = 0.3
    optimizer: Literal["adamw_torch", "paged_adamw_32bit", "paged_adamw_8bit"] = "adamw_torch"
    gradient_checkpointing: bool = False
    checkpoint_steps: int = 500
    """Steps between checkpoints, from which an interrupted training goes on."""

    def epochs_of(self, examples: int) -> float:
        """How often each of so many examples is read."""
        return self.epochs if self.examples is None else self.examples / examples


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What of a model's texts the next generation learns from. Human text is never selected."""

    drop_duplicates: bool = False
    """Of texts that are equal to a reader, one is kept."""
    perplexity: tuple[float, float] = (0.0, 1.0)
    """Quantiles of the texts' likelihood under generation 0 between which a text is kept; the surest texts lie at 0."""
    burstiness: tuple[float, float] = (0.0, 1.0)
    """Quantiles of the change of length from sentence to sentence; the most even texts lie at 0. A text of one sentence
    is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """How records become tokens."""

    template: str = "{prompt}\n"
    """What stands before the completion."""
    context: int = 256
    """The most tokens of one example."""
    block: int = 64
    """Tokens of a block, under the task ``blocks``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How texts are drawn from a model: part of what a lineage is."""

    do_sample: bool = True
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps every token."""
    num_beams: int = 1
    repetition_penalty: float = 1.0
    min_new_tokens: int = 0
    max_new_tokens: int = 64
    batch_size: int = 64
    """Prompts at a time. It decides which random numbers meet which prompt, so it too is part of the identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The whole recipe."""

    task: Literal["completion", "blocks"]
    base: Base
    generations: int = 5
    """How many models there will be: 5 are generations 0 to 4."""
    seeds: tuple[int, ...] = (0,)
    init_from: Literal["base", "parent"] = "base"
    partner: str | None = None
    fresh: str | None = None
    """A corpus of human text, relative to the lineage, of which every generation reads a part that none read before."""
    quantization: Literal["nf4", "none"] = "nf4"
    lora: Lora = field(default_factory=Lora)
    training: Training = field(default_factory=Training)
    selection: Selection = field(default_factory=Selection)
    text: Text = field(default_factory=Text)
    decoding: Decoding = field(default_factory=Decoding)

    @property
    def digest(self) -> str:
        """Of everything that decides what a generation is. More seeds or generations do not change those there are."""
        table = dataclasses.asdict(self)
        for key in ("generations", "seeds", "partner", "fresh"):
            del table[key]
        if self.selection == Selection():  # lineages from before there was a choice chose this
            del table["selection"]
        elif self.selection.burstiness == Selection().burstiness:
            del table["selection"]["burstiness"]
        if self.training.examples is None:
            del table["training"]["examples"]
        del table["training"]["checkpoint_steps"]
        table["base"] = self.base.identity()
        return json_digest(table)


_OF_SAMPLING = ("temperature", "top_p", "top_k")
"""Keys of ``decoding`` that do nothing without sampling."""
_BASE, _TEXT, _DECODING, _PRETRAINING = Base(), Text(), Decoding(), Pretraining(texts="")
"""What holds where the manifest says nothing."""
_PARTS: Mapping[str, type[Any]] = {
    "lora": Lora,
    "training": Training,
    "selection": Selection,
    "text": Text,
    "decoding": Decoding,
}


def read_recipe(manifest: Manifest, *, profile: str | None = None) -> Recipe:
    """The manifest's recipe, or the named profile of it. Raises InputError with everything that is wrong."""
    table = recipe_table(manifest, profile=profile)
    complaints = list(_SCHEMA.complaints(table, under=("recipe",))) or list(_sense(table, manifest.data.get("scheme")))
    if complaints:
        raise InputError(manifest.problem(path, found, expected, slug) for path, found, expected, slug in complaints)
    return _build(table)


def recipe_table(manifest: Manifest, *, profile: str | None = None) -> dict[str, Any]:
    """``[recipe]`` as plain tables, with the profile's keys put over it. Raises InputError, UsageError."""
    table = dict(manifest.data.get("recipe", {}))
    if not table:
        problem = manifest.problem((), "no [recipe]", "a recipe: what to train and how", "no-recipe")
        raise InputError([problem])
    if "kind" in table:
        found = f"the recipe of a simulated lineage ({table['kind']})"
        raise InputError([manifest.problem(("recipe", "kind"), found, "the recipe of a trained one", "no-recipe")])
    if profile is None:
        return table
    profiles = table.pop("profile", {})
    if profile not in profiles:
        names = ", ".join(profiles) or "none"
        raise UsageError(f'{manifest.where} has no profile "{profile}"; it has: {names}', slug="unknown-profile")
    return laid_over(table, profiles[profile])


def laid_over(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe with keys put over it. Tables are merged key by key; a base is one decision, and replaced as a whole.

    What the new keys rule out goes: of a sampling its temperature under ``do_sample = false``, ``examples`` for
    ``epochs``, and so on.
    """
    merged = {key: value for key, value in table.items() if key not in _ruled_out(changes)}
    for key, value in changes.items():
        inner = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        another_base = key == "base" and isinstance(value, Mapping) and _origins(value)
        merged[key] = laid_over(merged[key], value) if inner and not another_base else value
    return merged


def _ruled_out(changes: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys that cannot stand beside these: a profile can put keys over a recipe, and take none away itself."""
    sample = changes.get("do_sample")
    decoding = _OF_SAMPLING if sample is False else ("num_beams",) if sample is True else ()
    amount = [other for key, other in (("epochs", "examples"), ("examples", "epochs")) if key in changes]
    return *decoding, *amount


def _origins(base: Mapping[str, Any]) -> list[str]:
    """Where the weights come from. Beside the last two, ``folder`` only says where what is made of them is kept."""
    origins = [key for key in ("hub", "folder", "gguf", "architecture") if key in base]
    return origins[1:] if origins in (["folder", "gguf"], ["folder", "architecture"]) else origins


def _sense(table: Mapping[str, Any], scheme: object) -> Iterator[Complaint]:
    """What a schema cannot say. Only asked of a recipe that fits it."""
    yield from _origin_sense(table)
    yield from _architecture_sense(table["base"])
    yield from _corpora_sense(table, scheme)
    yield from _training_sense(table)
    if scheme is None:
        yield ("scheme",), "no scheme", "recursive, cross, preserve, accumulate or a table of shares", "no-scheme"
    if scheme == "blend":
        yield ("scheme",), 'scheme = "blend"', "its shares, such as {reference = 0.2, previous = 0.8}", "no-scheme"
    yield from _decoding_sense(table)


def _origin_sense(table: Mapping[str, Any]) -> Iterator[Complaint]:
    """Where the base comes from."""
    base, at = table["base"], ("recipe", "base")
    origins = _origins(base)
    if len(origins) != 1:
        found = f"{' and '.join(origins) or 'no origin'} of the base"
        yield at, found, "one of hub, folder, gguf and architecture", "base"
    if "architecture" in base and "pretrain" not in base:
        yield at, "a built-in architecture without pretrain", "a [recipe.base.pretrain] table with texts", "base"
    if "architecture" not in base and "pretrain" in base:
        yield at, "pretrain for a base that has weights", "pretrain only beside architecture", "base"
    context, block = table.get("text", {}).get("context", _TEXT.context), _pretraining_block(base)
    if "pretrain" in base and block > context:
        found = f"pretraining blocks of {block} tokens, longer than the context of {context}"
        yield (*at, "pretrain"), found, "block = at most as many", "context"


def _architecture_sense(base: Mapping[str, Any]) -> Iterator[Complaint]:
    """The sizes of a built-in architecture."""
    at = ("recipe", "base")
    heads = base.get("heads", _BASE.heads)
    if "architecture" in base and base.get("hidden", _BASE.hidden) % heads:
        yield (*at, "heads"), f"{heads} heads", "a divisor of the hidden size", "base"
    if "kv_heads" in base and heads % base["kv_heads"]:
        yield (*at, "kv_heads"), f"{base['kv_heads']} kv_heads", f"a divisor of heads = {heads}", "base"
    if "sliding_window" in base and base.get("architecture") != "mistral":
        yield (*at, "sliding_window"), "a sliding window", "one only in the mistral architecture", "base"


def _corpora_sense(table: Mapping[str, Any], scheme: object) -> Iterator[Complaint]:
    """The partner and the fresh text that a scheme takes shares of."""
    crosses = scheme == "cross" or (isinstance(scheme, Mapping) and scheme.get("partner", 0) > 0)
    if crosses and "partner" not in table:
        yield ("recipe",), "a scheme that needs a partner", 'partner = "../the_other_lineage"', "no-partner"
    if "partner" in table and not crosses:
        yield ("recipe", "partner"), "a partner", "one only where the scheme takes texts of it", "no-partner"
    takes_fresh = isinstance(scheme, Mapping) and scheme.get("fresh", 0) > 0
    if takes_fresh != ("fresh" in table):
        found = "a share of fresh human text" if takes_fresh else "fresh human text of which the scheme takes no share"
        yield ("recipe",), found, 'both: fresh = "human.jsonl.gz" in [recipe], and a share of fresh in scheme', "fresh"


def _pretraining_block(base: Mapping[str, Any]) -> int:
    return int(base.get("pretrain", {}).get("block", _PRETRAINING.block))


def _training_sense(table: Mapping[str, Any]) -> Iterator[Complaint]:
    training, at = table.get("training", {}), ("recipe", "training")
    if "epochs" in training and "examples" in training:
        yield (*at, "examples"), "examples beside epochs", "one of them", "amount"
    for key, (low, high) in _bands(table.get("selection", {})).items():
        if low >= high:
            yield ("recipe", "selection", key), f"[{low}, {high}]", "the lower quantile first", "selection"


def _bands(selection: Mapping[str, Any]) -> dict[str, Any]:
    return {key: selection[key] for key in ("perplexity", "burstiness") if key in selection}


def _decoding_sense(table: Mapping[str, Any]) -> Iterator[Complaint]:
    decoding, text = table.get("decoding", {}), table.get("text", {})
    at = ("recipe", "decoding")
    longest = decoding.get("max_new_tokens", _DECODING.max_new_tokens)
    if decoding.get("min_new_tokens", 0) > longest:
        yield (*at, "min_new_tokens"), f"min_new_tokens above max_new_tokens = {longest}", "at most as many", "decoding"
    context = text.get("context", _TEXT.context)
    needed = text.get("block", _TEXT.block) if table["task"] == "blocks" else 1
    if needed + longest + 1 > context:
        found = f"context = {context}, too short for {needed} tokens of prompt and {longest} new ones"
        yield ("recipe", "text", "context"), found, f"at least {needed + longest + 1}", "context"
    beams, sample = decoding.get("num_beams", 1), decoding.get("do_sample", True)
    if not sample:
        ignored = [key for key in _OF_SAMPLING if key in decoding]
        if ignored:
            found = f"{', '.join(ignored)} beside do_sample = false"
            yield (*at, ignored[0]), found, "none: they act on sampling only", "decoding"
    elif beams > 1:
        yield (*at, "num_beams"), "beams that are sampled", "do_sample = false beside num_beams", "decoding"


def _record(part: type[Any], table: Mapping[str, Any]) -> Any:
    """TOML tells 3 from 3.0; a recipe does not."""
    decimal = {field.name for field in dataclasses.fields(part) if field.type == "float"}
    return part(**{key: float(value) if key in decimal else value for key, value in table.items()})


def _build(table: Mapping[str, Any]) -> Recipe:
    values = {key: value for key, value in table.items() if key not in ("profile", "notes")}
    base = dict(values.pop("base"))
    if "pretrain" in base:
        base["pretrain"] = _record(Pretraining, base["pretrain"])
    parts: dict[str, Any] = {name: _record(part, values.pop(name)) for name, part in _PARTS.items() if name in values}
    if "lora" in parts and isinstance(parts["lora"].target_modules, list):
        parts["lora"] = dataclasses.replace(parts["lora"], target_modules=tuple(parts["lora"].target_modules))
    if "selection" in parts:
        bands = {key: tuple(map(float, band)) for key, band in _bands(table["selection"]).items()}
        parts["selection"] = dataclasses.replace(parts["selection"], **bands)
    if "seeds" in values:
        values["seeds"] = tuple(values["seeds"])
    return Recipe(base=Base(**base), **parts, **values)
