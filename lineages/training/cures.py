"""Lineages of one base, one human text and the same seeds that differ in a single thing each: what was tried as a cure.

The cures stand in ``cures.toml`` as changes to a recipe; a file of one's own may hold others. All read equally many
examples, whatever their sources hold (``training.examples``), so that no cure is only more or less training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from collapse_audit.errors import UsageError
from collapse_audit.lineages.disk.manifest import MANIFEST, read_manifest
from collapse_audit.lineages.files.door import parse_toml, read_toml
from collapse_audit.lineages.files.schema import Schema
from collapse_audit.lineages.training.base import load_tokenizer, prepare_base
from collapse_audit.lineages.training.examples import Encoder
from collapse_audit.lineages.training.progress import Progress
from collapse_audit.lineages.training.recipe import Recipe, laid_over, read_recipe
from collapse_audit.lineages.training.run import Run, open_run, start_run

Needed = Literal["partner", "fresh"]
_PARTNER = "_partner"
"""Behind a cure's name: the folder of the lineage with which it exchanges texts."""
_SCHEMA = Schema.file("collapse_audit.lineages.training", "cures.schema.json", whole="a file of cures")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cure:
    """One thing that is done otherwise."""

    name: str
    says: str
    """What is done, for people."""
    scheme: str | Mapping[str, float]
    recipe: Mapping[str, Any]
    """Laid over the recipe of the lineage."""
    needs: Needed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """The lineage whose recipe is changed, and what some cures need beside it."""

    folder: Path
    partner: Path | None = None
    """Another lineage on the same human text: its base writes the other half."""
    fresh: str | None = None
    """A corpus of human text inside ``folder`` that nothing else is trained on."""

    def has(self, needed: Needed | None) -> bool:
        """Whether a cure that needs this can be tried."""
        return needed is None or getattr(self, needed) is not None


def read_cures(path: Path | None = None) -> dict[str, Cure]:
    """Name to cure, in the order of the file; None reads those that come with the package.

    Raises UsageError where the file cannot be read or does not fit its schema.
    """
    where = "cures.toml" if path is None else str(path)
    try:
        if path is None:
            table = parse_toml(files("collapse_audit.lineages.training").joinpath("cures.toml").read_text("utf-8"))
        else:
            table = read_toml(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{where} cannot be read as TOML: {error}", slug="cures") from None
    for at, found, expected, _ in _SCHEMA.complaints(table):
        raise UsageError(f"{where}: {'.'.join(map(str, at))}: {found}; expected {expected}", slug="cures")
    return {
        name: Cure(
            name=name, recipe=cure.get("recipe", {}), needs=cure.get("needs"), says=cure["says"], scheme=cure["scheme"]
        )
        for name, cure in table.items()
    }


def start(patient: Patient, out: Path, cure: Cure, seeds: Sequence[int], progress: Progress) -> list[Run]:
    """The runs to be trained together for one cure: its own, and its partner's where it has one.

    Their folders in ``out`` are made, or left as they are if they were made so before. Raises what the trainer raises
    where a lineage, a recipe or a partner does not fit.
    """
    examples = _examples_read(patient.folder, progress)
    pairs = [(patient.folder, cure.name, cure.name + _PARTNER)]
    if cure.needs == "partner":
        assert patient.partner is not None
        pairs.append((patient.partner, cure.name + _PARTNER, cure.name))
    for folder, name, other in pairs:
        needed = {"partner": f"../{other}", "fresh": patient.fresh}
        own: dict[str, Any] = {} if cure.needs is None else {cure.needs: needed[cure.needs]}
        start_run(folder, out / name, scheme=cure.scheme, change=partial(_changed, cure=cure, own=own, read=examples))
    return [open_run(out / name, seeds=seeds) for _, name, _ in pairs]


def _changed(table: dict[str, Any], *, cure: Cure, own: Mapping[str, Any], read: int) -> dict[str, Any]:
    """A lineage's recipe under a cure: without what other cures would change, ``read`` examples in all."""
    kept = {key: value for key, value in table.items() if key not in ("partner", "fresh", "selection")}
    training = {key: value for key, value in table.get("training", {}).items() if key != "epochs"}
    return laid_over({**kept, **own, "training": {**training, "examples": read}}, cure.recipe)


def _examples_read(folder: Path, progress: Progress) -> int:
    """How many examples a generation of this lineage reads in all, by its own recipe and human text."""
    recipe = recipe_in(folder)
    if recipe.training.examples is not None:
        return recipe.training.examples
    run = open_run(folder)
    encoder = Encoder(load_tokenizer(prepare_base(folder, recipe, progress)), recipe)
    return round(recipe.training.epochs * len(encoder.human(run.reference(run.lineage()))))


def recipe_in(folder: Path) -> Recipe:
    """The recipe of a lineage's manifest. Raises InputError."""
    return read_recipe(read_manifest(folder / MANIFEST, where=f"{folder}/{MANIFEST}"))
