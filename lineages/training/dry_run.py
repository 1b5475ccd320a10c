"""What a training would do and cost, from the recipe and the texts alone: no weight is read, drawn or written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.disk.manifest import MANIFEST, read_manifest
from collapse_audit.lineages.measured.hushed import hushed
from collapse_audit.lineages.model.lineage import Lineage
from collapse_audit.lineages.training.base import configure, kept
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.examples import Encoder, read_records
from collapse_audit.lineages.training.finetune import lora_config
from collapse_audit.lineages.training.known_models import CONFIGS
from collapse_audit.lineages.training.recipe import Recipe, read_recipe
from collapse_audit.lineages.training.run import find
from collapse_audit.lineages.training.schemes import shares_of

_NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
"""A weight in NF4: 4 bits, an 8-bit scale for 64 of them, a 32-bit one for 256 of those (arXiv 2305.14314, sec. 3)."""
_ADAPTER_BYTES = 16
"""A trained parameter in float32: itself, its gradient, Adam's two moments."""
_LAYER_BYTES = 34
"""Activations of a layer: bytes a token and hidden unit in 16 bits (Korthikanti et al. 2022, arXiv 2205.05198, eq. 2,
without the attention matrix, which fused attention does not store)."""
_CHARACTERS_A_TOKEN = 3.5
_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Parameters of a model by what becomes of them."""

    quantized: int
    """In linear layers that NF4 packs."""
    plain: int
    """Embeddings, norms, the output layer."""
    trained: int
    """In the adapter."""
    hidden: int
    layers: int
    vocabulary: int

    @property
    def base(self) -> int:
        """All parameters but the adapter's."""
        return self.quantized + self.plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What is read in one epoch of generation 0, and what every generation writes."""

    exact: bool
    examples: int
    tokens: int
    longest: int
    learned: int
    """The most tokens of one example that are learned."""
    prompts: int


def describe(folder: Path, *, profile: str | None = None, seeds: Sequence[int] = ()) -> str:
    """The plan in words and numbers. Raises what the training itself would raise about its recipe."""
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder} has no {MANIFEST}: nothing says what to train", slug="no-manifest")
    manifest = read_manifest(folder / MANIFEST, where=f"{folder}/{MANIFEST}")
    recipe = read_recipe(manifest, profile=profile)
    lineage = load_lineage(folder, unfinished=True)
    if lineage.reference is None:
        raise UsageError(f"{folder} has no [reference]: the text that people wrote", slug="no-reference")
    size = measure(recipe, folder)
    tokens = count(recipe, lineage, folder)
    scheme = manifest.data["scheme"]
    rows = [
        ("lineage", str(folder) + ("" if profile is None else f", profile {profile}")),
        ("plan", _plan(recipe, lineage, seeds, fresh=profile is not None)),
        ("each from", "the base" if recipe.init_from == "base" else "the adapter of the one before"),
        *(("trained on" if index == 1 else "", line) for index, line in enumerate(_mixes(recipe, scheme), start=1)),
        *_model_rows(recipe, size),
        *_data_rows(recipe, size, tokens),
        ("", "nothing was trained, loaded or written"),
    ]
    return "\n".join(f"{name:<12}{value}" for name, value in rows)


def _plan(recipe: Recipe, lineage: Lineage, seeds: Sequence[int], *, fresh: bool) -> str:
    chosen = tuple(seeds) or recipe.seeds
    total = len(chosen) * recipe.generations
    there = 0
    if not fresh:
        there = sum(find(lineage, seed, k) is not None for seed in chosen for k in range(recipe.generations))
    names = ", ".join(map(str, chosen))
    return f"{recipe.generations} generations x seeds {names}: {total} models, {total - there} still to be trained"


def _mixes(recipe: Recipe, scheme: Any) -> Iterator[str]:
    for index in range(min(recipe.generations, 3)):
        shares = ", ".join(f"{share:.0%} {name}" for name, share in shares_of(scheme, index).items())
        yield f"generation {index}: {shares}" + (" …" if index == 2 and recipe.generations > 3 else "")


def _model_rows(recipe: Recipe, size: Size) -> Iterator[tuple[str, str]]:
    base = recipe.base
    name = (
        f"a tiny {base.architecture} trained from random weights on {_pretraining(recipe)}"
        if base.architecture is not None
        else str(base.hub or base.gguf or base.folder)
    )
    yield "base", name
    share = size.trained / size.base
    yield "parameters", f"{size.base:,} frozen ({recipe.quantization}), {size.trained:,} trained ({share:.2%})"


def _pretraining(recipe: Recipe) -> str:
    return "" if recipe.base.pretrain is None else recipe.base.pretrain.texts


def _data_rows(recipe: Recipe, size: Size, tokens: Tokens) -> Iterator[tuple[str, str]]:
    about = "" if tokens.exact else "about "
    source = "" if tokens.exact else f" (no tokenizer at hand: {_CHARACTERS_A_TOKEN} characters a token)"
    epochs = recipe.training.epochs_of(tokens.examples)
    steps = -(-round(tokens.examples * epochs) // (recipe.training.batch_size * recipe.training.accumulate))
    read = tokens.tokens * epochs
    yield "reads", f"{tokens.examples:,} examples, {about}{read:,.0f} tokens in {steps:,} steps a generation{source}"
    written = tokens.prompts * recipe.decoding.max_new_tokens
    yield "writes", f"{tokens.prompts:,} texts a generation, at most {written:,} tokens"
    parts = memory(recipe, size, tokens)
    shown = ", ".join(f"{name} {_mib(value)}" for name, value in parts.items())
    yield "memory", f"about {_mib(sum(parts.values()))} on the device to train: {shown}"
    adapter = size.trained * 4
    yield "disk", f"{_mib(adapter)} an adapter, {_mib(adapter * 3)} while one trains (checkpoint), plus the texts"


def memory(recipe: Recipe, size: Size, tokens: Tokens) -> dict[str, float]:
    """Bytes on one device in training, an estimate: weights, adapter with optimizer, activations, logits."""
    from collapse_audit.lineages.training.torch_setup import device

    bits16 = device()[1].itemsize == 2
    weights = size.quantized * (_NF4_BYTES if recipe.quantization == "nf4" else 4) + size.plain * 4
    batch = recipe.training.batch_size
    a_layer = _LAYER_BYTES * size.hidden * tokens.longest * batch * (1 if bits16 else 2)
    kept = 2 * size.hidden * tokens.longest * batch * (1 if bits16 else 2)
    checkpointed = recipe.training.gradient_checkpointing
    return {
        "weights": weights,
        "adapter and optimizer": size.trained * _ADAPTER_BYTES,
        "activations": kept * size.layers + a_layer if checkpointed else a_layer * size.layers,
        "logits": batch * (tokens.learned + 1) * size.vocabulary * 4 * 3,
    }


def measure(recipe: Recipe, folder: Path) -> Size:
    """Count parameters on a model without storage. Raises TrainingError where a shape cannot be known."""
    with hushed():
        import torch
        from peft import get_peft_model
        from transformers import AutoModelForCausalLM

        config = _config(recipe, folder)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
            output = model.get_output_embeddings()
            linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not output]
            total = sum(p.numel() for p in model.parameters())
            quantized = sum(m.weight.numel() for m in linear)
            adapted = get_peft_model(model, lora_config(recipe))
    return Size(
        quantized=quantized,
        plain=total - quantized,
        trained=sum(p.numel() for p in adapted.parameters() if p.requires_grad),
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        vocabulary=config.vocab_size,
    )


def _config(recipe: Recipe, folder: Path) -> Any:
    from transformers import AutoConfig

    base = recipe.base
    if base.architecture is not None:
        return configure(base, base.vocabulary, recipe.text.context)
    if base.hub is not None and base.hub in CONFIGS:
        shape = dict(CONFIGS[base.hub])
        return AutoConfig.for_model(shape.pop("model_type"), **shape)
    name, asked = base.hub or str(kept(folder, base)), {"revision": base.revision or "main"}
    if base.gguf is not None and not kept(folder, base).is_dir():
        file = (folder / base.gguf).resolve()
        name, asked = str(file.parent), {"gguf_file": file.name}
    try:
        return AutoConfig.from_pretrained(name, **asked)
    except (OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise TrainingError(f"the shape of the base {name} cannot be read ({reason})", slug="base") from error


def count(recipe: Recipe, lineage: Lineage, folder: Path) -> Tokens:
    """Tokens by the base's own tokenizer where it is at hand, else from characters."""
    assert lineage.reference is not None
    tokenizer = _tokenizer(recipe, folder)
    if tokenizer is None:
        return _estimate(recipe, lineage.reference, lineage.reference_holdout)
    encoder = Encoder(tokenizer, recipe)
    examples = encoder.human(lineage.reference)
    held_out = 0 if lineage.reference_holdout is None else len(encoder.prompts(lineage.reference_holdout))
    lengths = [len(example.ids) for example in examples]
    return Tokens(
        exact=True,
        examples=len(examples),
        tokens=sum(lengths),
        longest=max(lengths),
        learned=max(len(example.ids) - example.start for example in examples),
        prompts=len(encoder.prompts(lineage.reference)) + held_out,
    )


def _tokenizer(recipe: Recipe, folder: Path) -> Any:
    from transformers import AutoTokenizer

    base = recipe.base
    name = base.hub or str(kept(folder, base))
    if (base.architecture or base.gguf) is not None and not kept(folder, base).is_dir():
        return None
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=base.revision or "main", local_files_only=True)
    except Exception:  # whatever the loaders raise, an estimate serves
        return None
    return tokenizer if base.architecture is None or len(tokenizer) == base.vocabulary else None


def _estimate(recipe: Recipe, reference: Corpus, held_out: Corpus | None) -> Tokens:
    def lengths(corpus: Corpus, *fields: str) -> list[int]:
        return [
            round(sum(len(record[field] or "") for field in fields) / _CHARACTERS_A_TOKEN) + 2
            for record in read_records(corpus)
        ]

    if recipe.task == "blocks":
        size = recipe.text.block
        blocks = [
            max(1, sum(lengths(corpus, "text")) // size) for corpus in (reference, held_out) if corpus is not None
        ]
        return Tokens(
            exact=False, examples=blocks[0], tokens=blocks[0] * size, longest=size, learned=size, prompts=sum(blocks)
        )
    whole = lengths(reference, "prompt", "text")
    answers = lengths(reference, "text")
    prompts = len(whole) + (0 if held_out is None else len(lengths(held_out, "text")))
    return Tokens(
        exact=False, examples=len(whole), tokens=sum(whole), longest=max(whole), learned=max(answers), prompts=prompts
    )


def _mib(size: float) -> str:
    """Bytes for people."""
    return f"{size / _MIB:,.1f} MiB" if size < 1024 * _MIB else f"{size / 1024 / _MIB:,.1f} GiB"
