"""Models of a lineage that this trainer did not make: a base and adapters are enough to load them.

Nothing says how they were trained, so nothing is assumed: texts are read alone, as a language model reads them, and the
base is loaded as it lies, without quantization.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from collapse_audit.errors import UsageError
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.disk.manifest import MANIFEST
from collapse_audit.lineages.files.door import Refused, read_json
from collapse_audit.lineages.model.lineage import Lineage
from collapse_audit.lineages.training.base import FOLDER
from collapse_audit.lineages.training.recipe import Base, Recipe, Text
from collapse_audit.lineages.training.run import Run, open_run


def has_recipe(lineage: Lineage) -> bool:
    """Whether the manifest says how the models were trained. (That of a simulation says how texts were made.)"""
    return lineage.has_manifest and "base" in lineage.recipe


def open_models(folder: Path, *, base: str | None = None) -> Run:
    """The run in a folder with a recipe; else one whose recipe is no more than the base (see :func:`implied_recipe`).

    Raises InputError and UsageError.
    """
    where = str(folder)
    lineage = load_lineage(folder, unfinished=True)
    if has_recipe(lineage):
        refuse_base(base, where)
        return open_run(folder)
    recipe = implied_recipe(lineage, where, base)
    return Run(root=folder.resolve(), where=where, name=lineage.name, scheme="recursive", recipe=recipe, seeds=())


def refuse_base(base: str | None, where: str) -> None:
    """Raises UsageError where a base is named beside a recipe."""
    if base is not None:
        raise UsageError(f"--base {base}: {where} has a recipe, and that names the base; leave --base out", slug="base")


def implied_recipe(lineage: Lineage, where: str, base: str | None) -> Recipe:
    """The base that the user names, else the folder ``base`` of the lineage, else the one that all adapters name.

    Raises UsageError where there is none, or several.
    """
    if base is not None:
        return _recipe(base)
    if (lineage.root / FOLDER).is_dir():
        return _recipe(str(lineage.root / FOLDER))
    named = sorted({name for entry in lineage.generations if (name := _named(entry.adapter)) is not None})
    if len(named) == 1:
        return _recipe(named[0])
    found = f"its adapters name {', '.join(named)}" if named else "no adapter names a base"
    message = f"{where} has no [recipe] in a {MANIFEST} and no folder {FOLDER}/, and {found}; name it: --base FOLDER"
    raise UsageError(message, slug="no-recipe")


def _recipe(base: str) -> Recipe:
    folder = Path(base)
    if not folder.is_dir():
        return Recipe(task="blocks", base=Base(hub=base), quantization="none")
    text = Text(context=min(Text().context, _reads(folder)))
    return Recipe(task="blocks", base=Base(folder=str(folder.resolve())), quantization="none", text=text)


def _reads(base: Path) -> int:
    """Tokens that the base reads at once, as its configuration says it."""
    said = _json(base / "config.json").get("max_position_embeddings")
    return said if isinstance(said, int) and said > 0 else Text().context


def _named(adapter: Path | None) -> str | None:
    """The base that an adapter's configuration names."""
    name = None if adapter is None else _json(adapter / "adapter_config.json").get("base_model_name_or_path")
    return name if isinstance(name, str) and name else None


def _json(file: Path) -> dict[str, Any]:
    """A table, empty where the file is not there or holds none: what reads it next says so."""
    try:
        found = read_json(file)
    except (Refused, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
