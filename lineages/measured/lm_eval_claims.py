"""Which model lm-eval results say that they are of, held against the generation beside which they lie."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.door import Refused, read_json
from collapse_audit.lineages.files.problems import ProblemList, shorten
from collapse_audit.lineages.model.lineage import GenerationEntry

OURS = "collapse_audit"
"""The key under which ``collapse-lineage evaluate`` says what it evaluated."""
WEIGHTS = "adapter_model.safetensors"
_GENERATION = re.compile(r"gen(?:eration)?[_-]?(\d{1,9})")
_SEED = re.compile(r"seed[_-]?(.+)")
_TRUE = ("true", "1", "yes")


def arguments(data: Mapping[str, Any]) -> dict[str, str]:
    """The ``--model_args`` by name, a table or ``a=b,c=d``; empty where the results do not carry them."""
    given = data.get("config", {}).get("model_args")
    if isinstance(given, str):
        given = dict(part.split("=", 1) for part in given.split(",") if "=" in part)
    if not isinstance(given, dict):
        return {}
    return {str(key).strip(): str(value).strip() for key, value in given.items() if value is not None}


def adapter_of(arguments: Mapping[str, str]) -> str:
    """The adapter that lm-eval was told to load; empty where none was."""
    return arguments.get("peft") or arguments.get("lora_local_path") or ""


def model_settings(data: Mapping[str, Any]) -> dict[str, str]:
    """How the model was loaded, as far as the results say and as far as it moves numbers."""
    ours, config, given = data.get(OURS, {}).get("model", {}), data.get("config", {}), arguments(data)
    dtype = config.get("model_dtype") or given.get("dtype")
    known = {
        "base models": ours.get("base_digest"),
        "number formats": None if dtype == "auto" else dtype,
        "quantizations": ours.get("quantization") or (_quantization(given) if given else None),
    }
    return {key: str(value).removeprefix("torch.") for key, value in known.items() if value}


def _quantization(arguments: Mapping[str, str]) -> str:
    if arguments.get("load_in_4bit", "").lower() in _TRUE:
        return arguments.get("bnb_4bit_quant_type", "fp4")  # bitsandbytes' own default
    if arguments.get("load_in_8bit", "").lower() in _TRUE:
        return "int8"
    return arguments.get("quantization") or "none"


def check_model(entry: GenerationEntry, data: Mapping[str, Any], problems: ProblemList) -> str:
    """Results of another model are added to ``problems``; what looks like it is returned in words, else "".

    A path that leads nowhere here is believed: the evaluation may have run on another machine.
    """
    claimed = data.get(OURS, {}).get("model", {}).get("adapter_digest")
    if claimed is not None:
        actual = entry.details.get("model", {}).get("adapter_digest") or _weights(entry.adapter)
        if actual is not None and actual != claimed:
            expected = f"results of {actual}; evaluate this generation again (collapse-lineage evaluate)"
            problems.add(f"results of the adapter {claimed}", expected, "lm-eval-model")
        return ""
    given = arguments(data)
    peft, pretrained = adapter_of(given), given.get("pretrained", "")
    what = "adapter" if peft else "model"
    name = peft or pretrained or str(data.get("model_name") or "")
    if name and _is_of_another(name, entry):
        mine = "this generation's" if entry.adapter is None else f"this generation's, {_shown(entry, entry.adapter)}"
        problems.add(f"results of the {what} {shorten(name)}", f"those of {mine}", "lm-eval-model")
    elif entry.adapter is not None and not peft and pretrained and _is_base(pretrained, entry):
        return (
            f"lm-eval was told pretrained={shorten(pretrained)} and no peft, so the base was evaluated without the "
            f"adapter of generation {entry.index}; evaluate again with peft={_shown(entry, entry.adapter)}"
        )
    return ""


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _is_of_another(name: str, entry: GenerationEntry) -> bool:
    """Whether a path names another generation or seed, or leads to another adapter of this very lineage."""
    parts = _parts(name)
    for pattern, mine in ((_GENERATION, str(entry.index)), (_SEED, entry.seed)):
        said = [match[1] for part in parts if (match := pattern.fullmatch(part))]
        if said and mine is not None and _plain(said[-1]) != _plain(mine):
            return True
    there = _found(parts, entry)
    if there is None or entry.adapter is None or there == entry.adapter:
        return False
    return _weights(there) != _weights(entry.adapter)


def _plain(number: str) -> str:
    return str(int(number)) if number.isascii() and number.isdigit() else number


def _found(parts: tuple[str, ...], entry: GenerationEntry) -> Path | None:
    """The adapter in the lineage's folder whose path ends the named one, by two names or the whole of it."""
    root = _root(entry)
    if ".." in parts or "\0" in "".join(parts):
        return None
    for start in range(max(1, len(parts) - 1)):
        place = root.joinpath(*(part for part in parts[start:] if part != "/"))
        if place.is_relative_to(root) and (place / WEIGHTS).is_file():
            return place.resolve()
    return None


def _root(entry: GenerationEntry) -> Path:
    """The lineage's folder: what the texts' path has before their name in it."""
    return entry.texts.path.parents[len(PurePosixPath(entry.texts.shown).parts) - 1]


def _shown(entry: GenerationEntry, path: Path) -> str:
    root = _root(entry)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _weights(adapter: Path | None) -> str | None:
    return file_digest(adapter / WEIGHTS) if adapter is not None and (adapter / WEIGHTS).is_file() else None


def _is_base(name: str, entry: GenerationEntry) -> bool:
    """Whether a name is that of the base: by its last part, for folders lie elsewhere on other machines."""
    assert entry.adapter is not None
    known = ["base", entry.details.get("model", {}).get("base")]
    # Other probes judge the adapter's files.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, Refused):
        known.append(read_json(entry.adapter / "adapter_config.json")["base_model_name_or_path"])
    return _parts(name)[-1:] in [_parts(each)[-1:] for each in known if isinstance(each, str) and each]
