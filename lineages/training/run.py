"""A lineage that is being made: what its folder holds so far, and what its next generation would be trained on."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse_audit.atomic import atomic_folder
from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.disk.manifest import MANIFEST, Manifest, read_manifest
from collapse_audit.lineages.disk.write import write_manifest
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.locks import locked
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.lineages.training.base import FOLDER, corpus_in, kept, pretraining_corpus
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.recipe import Recipe, read_recipe, recipe_table
from collapse_audit.lineages.training.schemes import FRESH, REFERENCE, shares_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A corpus that a generation learns from, and its share."""

    corpus: Corpus
    share: float
    human: bool
    named: Mapping[str, Any]
    """How the manifest names it in ``trained_on``."""


class NotYetError(Exception):
    """A corpus that a generation needs is not there yet; another run may still write it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One lineage folder and the seeds of it that are trained now."""

    root: Path
    where: str
    """The folder as the user named it."""
    name: str
    scheme: str | Mapping[str, float]
    recipe: Recipe
    seeds: tuple[int, ...]

    def lineage(self) -> Lineage:
        """As it stands on disk at this moment; every file's digest is checked."""
        return load_lineage(self.root, unfinished=True)

    def folder(self, seed: int, index: int) -> Path:
        """Where this generation's files go."""
        return self.root / f"seed_{seed}" / f"gen_{index}"

    def reference(self, lineage: Lineage) -> Corpus:
        """The human corpus. Raises UsageError where there is none."""
        if lineage.reference is None:
            raise UsageError(f"{self.where} has no [reference]: the text that people wrote", slug="no-reference")
        return lineage.reference

    def sources(self, seed: int, index: int) -> list[Source]:
        """What generation ``index`` of this seed is trained on, in the order of the scheme's shares.

        Raises NotYetError where a corpus is still to be written, and TrainingError where a partner does not fit.
        """
        lineage = self.lineage()
        return [self._source(lineage, name, share, seed) for name, share in shares_of(self.scheme, index).items()]

    def _source(self, lineage: Lineage, name: str, share: float, seed: int) -> Source:
        if name == REFERENCE:
            corpus = self.reference(lineage)
            named = {"corpus": REFERENCE, "digest": corpus.digest}
            return Source(corpus=corpus, share=share, human=True, named=named)
        if name == FRESH:
            fresh = self.fresh()
            return Source(corpus=fresh, share=share, human=True, named={"corpus": FRESH, "digest": fresh.digest})
        who, _, number = name.partition(" ")
        if who == "partner":
            return self._from_partner(lineage, share, seed, int(number))
        entry = find(lineage, seed, int(number))
        if entry is None:
            raise NotYetError(f"{self.where} has no generation {number} of seed {seed} yet")
        return Source(corpus=entry.texts, share=share, human=False, named={"corpus": entry.texts.shown})

    def fresh(self) -> Corpus:
        """Human text of which every generation reads another part. Raises TrainingError where it is not there."""
        assert self.recipe.fresh is not None  # read_recipe refuses a share of it without a file
        return corpus_in(self.root, self.recipe.fresh, setting="recipe.fresh")

    def _from_partner(self, lineage: Lineage, share: float, seed: int, index: int) -> Source:
        partner = self.partner()
        theirs = partner.reference
        ours = self.reference(lineage)
        if theirs is None or theirs.digest != ours.digest:
            message = f"{self.where} and its partner {self.recipe.partner} have different references; give them one"
            raise TrainingError(message, slug="partner-reference")
        entry = find(partner, seed, index)
        if entry is None:
            raise NotYetError(
                f"{self.where} needs generation {index} of seed {seed} of its partner {self.recipe.partner}, which "
                "is not there; train both together: collapse-lineage train LINEAGE PARTNER"
            )
        named = {
            "lineage": partner.name,
            "corpus": entry.texts.shown,
            "digest": entry.texts.digest,
            "descends_from": descent(lineage, partner, entry),
        }
        return Source(corpus=entry.texts, share=share, human=False, named=named)

    def partner(self) -> Lineage:
        """The lineage to exchange texts with. Raises TrainingError where it is not there."""
        folder = self.root / (self.recipe.partner or "")
        if not (folder / MANIFEST).is_file():
            message = f"{self.where}: its partner {self.recipe.partner} is not there (no {folder / MANIFEST})"
            raise TrainingError(message, slug="no-partner")
        return load_lineage(folder, unfinished=True)


def find(lineage: Lineage, seed: int, index: int) -> GenerationEntry | None:
    """The generation of that seed and number, if it is there."""
    return next((entry for entry in lineage.of_seed(str(seed)) if entry.index == index), None)


def descent(ours: Lineage, theirs: Lineage, entry: GenerationEntry) -> list[str]:
    """The corpora of ``ours`` from which a corpus of ``theirs`` descends; the two share their reference.

    Follows who was trained on what back through both lineages.
    """
    names: dict[str, None] = {}
    waiting = [(theirs, entry)]
    while waiting:
        at, current = waiting.pop()
        if current.details.get("init_from") == "parent":  # its weights carry what the one before has read
            waiting += [(at, earlier) for earlier in at.of_seed(current.seed) if earlier.index == current.index - 1]
        for source in current.details["trained_on"]:
            crosses = "lineage" in source
            home = (theirs if at is ours else ours) if crosses else at
            if source["corpus"] == REFERENCE:
                names[REFERENCE] = None
                continue
            author = next((earlier for earlier in home.generations if earlier.texts.shown == source["corpus"]), None)
            if author is None:
                continue  # the other lineage has since been cut short: what is left is still true
            if home is ours:
                if source["corpus"] in names:
                    continue
                names[source["corpus"]] = None
            waiting.append((home, author))
    return sorted(names)


def open_run(folder: Path, *, seeds: Sequence[int] = (), where: str | None = None) -> Run:
    """The run in a folder with a manifest. ``seeds``: only these of the recipe's; none given is all.

    Raises InputError and UsageError for what is wrong with the manifest, its recipe, or the seeds.
    """
    where = where or str(folder)
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{where} has no {MANIFEST}: nothing says what to train", slug="no-manifest")
    manifest = read_manifest(folder / MANIFEST, where=f"{where}/{MANIFEST}")
    recipe = read_recipe(manifest)
    unknown = sorted(set(seeds) - set(recipe.seeds))
    if unknown:
        has = ", ".join(map(str, recipe.seeds))
        raise UsageError(f"{where} has no seed {unknown[0]} in its recipe; it has {has}", slug="unknown-seed")
    run = Run(
        root=folder.resolve(),
        where=where,
        name=manifest.data["name"],
        scheme=manifest.data["scheme"],
        recipe=recipe,
        seeds=tuple(seeds) or recipe.seeds,
    )
    require_same_making(run)
    return run


def require_same_making(run: Run) -> None:
    """What is there must have been made by this recipe, scheme and human text: a lineage of two recipes is none.

    Raises TrainingError that names the generation and what is another now.
    """
    lineage = run.lineage()
    for entry in lineage.generations:
        different = _difference(run, lineage, entry)
        if different is not None:
            message = (
                f"{run.where}: generation {entry.index} of seed {entry.seed} was made by another {different}; put it "
                "back, or start a new lineage with --out"
            )
            raise TrainingError(message, slug="recipe-changed")


def _difference(run: Run, lineage: Lineage, entry: GenerationEntry) -> str | None:
    about = entry.details.get("model", {})
    if about.get("recipe") != run.recipe.digest:
        return "recipe than the manifest's [recipe]"
    for key, digest in human_digests(lineage).items():
        if about.get(key, digest) != digest:
            return f"{key.removesuffix('_digest').replace('_', ' ')} than the manifest's"
    sources = entry.details.get("trained_on", [])
    names = {generation.texts.shown: f"generation {generation.index}" for generation in lineage.of_seed(entry.seed)}
    shares: dict[str, float] = {}
    people = {} if lineage.reference is None else {REFERENCE: lineage.reference.digest}
    people |= {} if run.recipe.fresh is None else {FRESH: run.fresh().digest}
    for source in sources:
        own = names.get(source["corpus"], FRESH if source["corpus"] == FRESH else REFERENCE)
        shares[f"partner {entry.index - 1}" if "lineage" in source else own] = source["share"]
        if own in people and source.get("digest", people[own]) != people[own]:
            return f"{own} than the manifest's" if own == REFERENCE else "fresh text than is there now"
    expected = shares_of(run.scheme, entry.index)
    if shares.keys() != expected.keys() or any(not math.isclose(shares[name], expected[name]) for name in expected):
        return "scheme than the manifest's"
    return None


def human_digests(lineage: Lineage) -> dict[str, str | None]:
    """Of the human text whose prompts every generation answers, under the names by which an entry records it."""
    corpora = {"reference_digest": lineage.reference, "reference_holdout_digest": lineage.reference_holdout}
    return {name: None if corpus is None else corpus.digest for name, corpus in corpora.items()}


Change = Callable[[dict[str, Any]], dict[str, Any]]
"""From a recipe's table to another."""


def start_run(
    folder: Path,
    out: Path,
    *,
    profile: str | None = None,
    scheme: str | Mapping[str, float] | None = None,
    change: Change = dict,
) -> None:
    """A new lineage in ``out`` from the head, the human text and the base of another; its generations stay behind.

    Its recipe is what ``change`` makes of the other's, or of a ``profile`` of it; its scheme the other's, unless one is
    given. An ``out`` that was started so before is left as it is: training goes on in it, unless the human text of
    ``folder`` was edited since. It appears whole or not at all. Raises UsageError where it is anything else, and
    InputError where the recipe or its profile is wrong.
    """
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{folder} has no {MANIFEST}: nothing says what to train", slug="no-manifest")
    manifest = read_manifest(folder / MANIFEST, where=f"{folder}/{MANIFEST}")
    data = {**manifest.data, "recipe": change(recipe_table(manifest, profile=profile))}
    data |= {} if scheme is None else {"scheme": scheme}
    manifest = dataclasses.replace(manifest, data=data)
    recipe = read_recipe(manifest)
    if (out / MANIFEST).is_file():
        there = read_manifest(out / MANIFEST)
        if read_recipe(there).digest != recipe.digest or there.data.get("scheme") != data.get("scheme"):
            raise UsageError(f"{out} holds a lineage of another recipe; name a new folder", slug="out")
        _require_same_text(folder, out, manifest, recipe)
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is there already and no lineage; name a folder that is new or empty", slug="out")
    with atomic_folder(out) as temporary:
        _copy(folder, temporary, manifest, recipe, same_base=profile is None, name=out.absolute().name)


def _require_same_text(folder: Path, out: Path, manifest: Manifest, recipe: Recipe) -> None:
    """What ``out`` copied must be what is there now: it would go on with another text than is meant."""
    for name in _human_files(manifest, recipe):
        source, copy = folder / name, out / name
        if source.is_file() and not (copy.is_file() and file_digest(copy) == file_digest(source)):
            message = (
                f"{source} is another file than {copy}, which was copied from it; put it back, or name a new folder"
            )
            raise UsageError(message, slug="out")


def _human_files(manifest: Manifest, recipe: Recipe) -> list[str]:
    """Names in the lineage's folder of what people wrote."""
    names = [manifest.data.get("reference", {}).get(key) for key in ("texts", "holdout")]
    names += [recipe.fresh, None if recipe.base.pretrain is None else recipe.base.pretrain.texts]
    return [name for name in names if name]


def _copy(
    folder: Path, out: Path, manifest: Manifest, recipe: Recipe, *, same_base: bool, name: str
) -> None:  # fmt: skip
    table = {key: value for key, value in manifest.data["recipe"].items() if key != "profile"}
    if recipe.base.gguf is not None:  # read once: the new lineage takes what it was, or will be, converted to
        table["base"] = {**table["base"], "gguf": str((folder / recipe.base.gguf).resolve())}
    if recipe.base.folder is not None or recipe.base.gguf is not None:
        table["base"] = {**table["base"], "folder": str(kept(folder, recipe.base))}
    if recipe.base.architecture is not None:  # it gets a copy of its own
        table["base"] = {key: value for key, value in table["base"].items() if key != "folder"}
    load_lineage(folder, unfinished=True)  # every file that it names lies inside it
    if recipe.base.pretrain is not None:
        pretraining_corpus(folder, recipe.base)
    for file in _human_files(manifest, recipe):
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(folder / file, out / file)
    if recipe.base.architecture is not None and kept(folder, recipe.base).is_dir() and same_base:
        shutil.copytree(kept(folder, recipe.base), out / FOLDER)
    head = {key: value for key, value in manifest.data.items() if key != "generation"}
    write_manifest(out, {**head, "name": name, "recipe": table})


@contextmanager
def exclusive(runs: Sequence[Run]) -> Iterator[None]:
    """No other process trains the same seeds meanwhile; the locks fall with the process, however it ends."""
    with ExitStack() as stack:
        for run in runs:
            for seed in run.seeds:
                busy = f"another process is training seed {seed} of {run.where}"
                stack.enter_context(locked(run.root / f".seed_{seed}.lock", busy=busy))
        yield
