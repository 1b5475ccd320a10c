"""Opens what a manifest names: finds each file inside the folder, takes its digest, splits it where records say so."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from collapse_audit.errors import Problem
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.corpora.parts import CorpusFolder, corpus_folder, folder_digest, shards
from collapse_audit.lineages.corpora.readers.fields import reading_of
from collapse_audit.lineages.corpora.readers.formats import ALLOWED, split_name
from collapse_audit.lineages.disk.manifest import Manifest, seed_name
from collapse_audit.lineages.disk.splits import splits_of
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.paths import locate, shown_name
from collapse_audit.lineages.files.problems import problem
from collapse_audit.lineages.model.lineage import GenerationEntry

Keys = tuple[str | int, ...]

_BESIDE = {
    "adapter": "adapter",
    "train_log": "train.jsonl",
    "lm_eval": "lm_eval.json",
    "concentration": "concentration.jsonl",
}
"""Where the rest of a generation lies in its folder when the manifest does not say."""

_DATED = re.compile(r"_\d{4}-\d{2}-\d{2}T[\d.\-+:]+\.json$")
_GENERATION_FILE = re.compile(r"(^|/)(gen|generation|Gen|Generation)s?[_.-]?\d+$")
_IN_GENERATION = re.compile(r"(^|/)((gen|generation|Gen|Generation)s?|checkpoint|ckpt|iter|epoch|step|run)[_.-]?\d+$")


class Opener:
    """One pass over one lineage. Nothing is raised: what is wrong is added to ``problems``."""

    def __init__(self, root: Path, where: str, manifest: Manifest) -> None:
        self.root = root
        self.where = where
        self.manifest = manifest
        self.problems: list[Problem] = []
        self.rule, self.classes = _labels(manifest.data.get("labels", {}))
        self.reading = reading_of(manifest.data.get("fields", {}))
        self._digests: dict[Path, str] = {}

    def generation(self, number: int) -> GenerationEntry | None:
        """The entry at this position of the manifest, or None where its texts cannot be opened."""
        entry = self.manifest.data["generation"][number]
        keys: Keys = ("generation", number)
        texts, holdout = self.pair(entry, keys, texts_digest="texts_digest")
        control = self._corpus(entry.get("control"), entry.get("control_digest"), (*keys, "control"))
        training = self._corpus(entry.get("training"), entry.get("training_digest"), (*keys, "training"))
        files = {role: self._beside(role, entry, keys) for role in _BESIDE}
        self._check(files["concentration"], entry, "concentration")
        sources = entry.get("trained_on")
        if texts is None:
            return None
        return GenerationEntry(
            seed=seed_name(entry.get("seed")),
            index=entry["index"],
            texts=texts,
            holdout=holdout,
            control=control,
            training=training,
            trained_on=None if sources is None else tuple(_source_name(source) for source in sources),
            details={key: entry[key] for key in _DETAILS if key in entry},
            **files,
        )

    def pair(self, table: Mapping[str, Any], keys: Keys, *, texts_digest: str) -> tuple[Corpus | None, Corpus | None]:
        """The texts and the held-out texts that a table of the manifest names."""
        texts = self._corpus(table.get("texts"), table.get(texts_digest), (*keys, "texts"))
        holdout = self._corpus(table.get("holdout"), table.get("holdout_digest"), (*keys, "holdout"))
        splits = frozenset() if texts is None or texts.files is not None else splits_of(texts.path, texts.shown)
        if texts is None or not splits:
            return texts, holdout
        if holdout is not None:
            found = f'both "{holdout.shown}" and records with a split'
            self._add(keys, texts.shown, found, "held-out text in one of the two ways", "split-and-holdout")
        if "train" not in splits:
            found = "no record of the split train (only " + ", ".join(sorted(splits)) + ")"
            self._add(keys, texts.shown, found, 'records of the split "train"', "no-train-split")
        held_out = _part(texts, "holdout") if "holdout" in splits else None
        return _part(texts, "train"), held_out

    def _corpus(self, name: str | None, claimed: str | None, keys: Keys) -> Corpus | None:
        if name is None:
            return None
        shown = shown_name(name)
        path = self._find(name, keys)
        if path is None:
            return None
        files = self._files(path, shown)
        if isinstance(files, Broken):
            self._add(keys, shown, files.found, files.expected, files.slug)
            return None
        digest = self._digest(path, shown, files)
        if digest is None:
            return None
        if claimed is not None and digest != claimed:
            expected = f"{claimed} (as {self.manifest.where} says)"
            self.problems.append(problem(f"{self.where}/{shown}", digest, expected, "digest-mismatch"))
            return None
        # With another rule the labels are found in the texts, and what a label field holds is nobody's business here.
        classes = self.classes if self.rule in (None, "auto", "field") else None
        return Corpus(
            path=path,
            shown=shown,
            digest=digest,
            classes=classes,
            where=f"{self.where}/{shown}",
            files=files,
            reading=self.reading,
        )

    def _files(self, path: Path, shown: str) -> CorpusFolder | Broken | None:
        """The files of a corpus that has several; a Broken where the name leads to no corpus."""
        try:
            if not path.is_dir() and split_name(shown) is None:
                return Broken(found=f'the name "{shown}"', expected=f"a corpus file ({ALLOWED})", slug="unknown-format")
            files = corpus_folder(path, shown) if path.is_dir() else shards(path, shown)
        except OSError as error:
            found = f"a folder that cannot be read ({error.strerror})"
            return Broken(found=found, expected="a readable folder", slug="unreadable")
        located = (locate(self.root, name) for name in (files.names if isinstance(files, CorpusFolder) else ()))
        return next((file for file in located if isinstance(file, Broken)), files)  # a link leads out as well as a name

    def _digest(self, path: Path, shown: str, files: CorpusFolder | None = None) -> str | None:
        if path not in self._digests:
            try:
                self._digests[path] = file_digest(path) if files is None else folder_digest(files)
            except OSError as error:
                found = f"a file that cannot be read ({error.strerror})"
                where = f"{self.where}/{shown}"
                self.problems.append(problem(where, found, "a readable file", "unreadable"))
                return None
        return self._digests[path]

    def _beside(self, role: str, entry: Mapping[str, Any], keys: Keys) -> Path | None:
        """The adapter, loss log or lm-eval results: where the manifest says, else in the generation's folder."""
        if role in entry:
            return self._find(entry[role], (*keys, role))
        shown = shown_name(entry["texts"])
        stem = (split_name(shown) or (shown, ""))[0]
        above, _, last = stem.rpartition("/")
        folder = above if above and (last == "texts" or _IN_GENERATION.search(above)) else stem
        if folder == stem and _GENERATION_FILE.search(stem) is None:
            return None
        name = f"{folder}/{_BESIDE[role]}"
        if role == "lm_eval" and not os.path.lexists(self.root / name):
            name = self._dated(folder) or f"{folder}/{role}"  # the folder that was given to lm_eval --output_path
        return self._find(name, (*keys, "texts")) if os.path.lexists(self.root / name) else None

    def _dated(self, folder: str) -> str | None:
        """What lm_eval made of ``--output_path gen_k/lm_eval.json``: the file, or the folder if there are several."""
        if isinstance(locate(self.root, folder), Broken) or os.path.lexists(self.root / folder / "lm_eval"):
            return None
        dated = [path.name for path in (self.root / folder).glob("lm_eval_*.json") if _DATED.search(path.name)]
        return None if not dated else f"{folder}/{dated[0]}" if len(dated) == 1 else folder

    def _check(self, path: Path | None, entry: Mapping[str, Any], role: str) -> None:
        """Compare the digest of a file beside the texts with the manifest's, where that has one."""
        claimed = entry.get(f"{role}_digest")
        if path is None or claimed is None:
            return
        shown = path.relative_to(self.root).as_posix()
        digest = self._digest(path, shown)
        if digest is not None and digest != claimed:
            expected = f"{claimed} (as {self.manifest.where} says)"
            self.problems.append(problem(f"{self.where}/{shown}", digest, expected, "digest-mismatch"))

    def _find(self, name: str, keys: Keys) -> Path | None:
        path = locate(self.root, name)
        if isinstance(path, Broken):
            self._add(keys, name, path.found, path.expected, path.slug)
            return None
        return path

    def _add(self, keys: Keys, name: str, found: str, expected: str, slug: str) -> None:
        """A problem of the manifest's line that names the file; without a manifest, of the file."""
        if self.manifest.text:
            self.problems.append(self.manifest.problem(keys, found, expected, slug))
        else:
            self.problems.append(problem(f"{self.where}/{name}", found, expected, slug))


_DETAILS = ("trained_on", "init_from", "decoding", "model", "software")


def _source_name(source: Mapping[str, Any]) -> str:
    """How a corpus that something was trained on is named; one of another lineage carries that one's name."""
    other = source.get("lineage")
    return shown_name(source["corpus"]) if other is None else f"{other}:{source['corpus']}"


def _part(corpus: Corpus, split: str) -> Corpus:
    return replace(corpus, split=split)


def _labels(labels: str | Mapping[str, Any]) -> tuple[str | None, tuple[str, ...] | None]:
    if isinstance(labels, str):
        return labels, None
    classes = labels.get("classes")
    return labels.get("rule"), None if classes is None else tuple(classes)
