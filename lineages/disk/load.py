"""From a folder to a ``Lineage``: what it names is opened, what it claims is checked."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from collapse_audit.errors import InputError, Problem
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.disk.folder import NAMES, scan_folder
from collapse_audit.lineages.disk.manifest import MANIFEST, Manifest, read_manifest, too_many
from collapse_audit.lineages.disk.opener import Opener
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.digest import json_digest
from collapse_audit.lineages.files.natural_order import natural_key
from collapse_audit.lineages.files.paths import locate, shown_name
from collapse_audit.lineages.files.problems import problem
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage


def load_lineage(
    path: str | os.PathLike[str], *, independent: bool = False, needs_comparison: bool = True, unfinished: bool = False
) -> Lineage:
    """Read the lineage in the folder ``path``: its manifest, or its file names where there is none.

    Every file is found inside the folder and hashed, and its digest compared with the manifest's; texts are read later,
    by :meth:`Corpus.batches`. ``needs_comparison=False`` accepts a lineage in which nothing can be compared with
    anything (the baseline comes from elsewhere), ``unfinished`` one that has no generation yet. Raises InputError with
    all problems together.
    """
    if not os.fspath(path):  # an unset variable, most likely: never the working directory by accident
        raise InputError([problem('""', "an empty path", "a folder that holds a lineage", "no-lineage")])
    where = os.path.normpath(os.fspath(path))
    root = _root(where)
    manifest = _describe(root, where)
    opener = Opener(root, where, manifest)
    data = manifest.data
    reference, reference_holdout = opener.pair(data.get("reference", {}), ("reference",), texts_digest="digest")
    opened = [opener.generation(number) for number in range(len(data.get("generation", [])))]
    _raise(opener.problems)
    entries = [entry for entry in opened if entry is not None]
    _raise(_held_out_and_trained_on(manifest, entries, reference, reference_holdout))
    _raise(_no_control(manifest, entries))
    _raise(_unknown_sources(manifest, entries, reference, reference_holdout))
    if not unfinished and (needs_comparison or not entries):
        _raise(_nothing_to_compare(manifest, where, entries, reference))
    entries.sort(key=lambda entry: (natural_key(entry.seed or ""), entry.index))
    scheme = data.get("scheme")
    return Lineage(
        name=data.get("name", root.name),
        root=root,
        digest=_identity(data, entries, reference, reference_holdout),
        scheme="blend" if isinstance(scheme, Mapping) else scheme,
        shares=scheme if isinstance(scheme, Mapping) else None,
        reference=reference,
        reference_holdout=reference_holdout,
        generations=tuple(entries),
        label_rule=opener.rule,
        label_classes=opener.classes,
        audit=data.get("audit", {}),
        recipe=data.get("recipe", {}),
        has_manifest=bool(manifest.text),
        independent=independent,
        fields=data.get("fields", {}),
        notes=manifest.notes,
    )


def _raise(problems: Iterator[Problem] | Sequence[Problem]) -> None:
    problems = tuple(problems)
    if problems:
        raise InputError(problems)


def _root(where: str) -> Path:
    expected = "a folder that holds a lineage"
    try:
        root = Path(where).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        _raise([problem(where, "nothing of that name", f"{expected}, or files of texts", "no-lineage")])
        raise  # unreachable: _raise does
    if not root.is_dir():
        hint = f"; give the folder that {MANIFEST} is in" if root.name == MANIFEST else ""
        _raise([problem(where, "a file", expected + hint, "no-lineage")])
    return root


def _describe(root: Path, where: str) -> Manifest:
    """The manifest of the folder, or what the names in it say."""
    if os.path.lexists(root / MANIFEST):
        path = locate(root, MANIFEST)
        if isinstance(path, Broken):
            place = f"{where}/{MANIFEST}"
            raise InputError([problem(place, path.found, path.expected, path.slug)])
        return read_manifest(path, where=f"{where}/{MANIFEST}")
    try:
        data, problems, notes = scan_folder(root, where=where)
    except OSError as error:
        found = f"a folder that cannot be read ({error.strerror})"
        raise InputError([problem(where, found, "a readable folder", "unreadable")]) from None
    _raise(problems)
    _raise(too_many(data.get("generation", []), where))
    return Manifest(data=data, where=where, notes=tuple(notes))


def _held_out_and_trained_on(
    manifest: Manifest, entries: Sequence[GenerationEntry], reference: Corpus | None, holdout: Corpus | None
) -> Iterator[Problem]:
    """Held-out text is what nothing is trained on: it can be nobody's texts."""
    texts = {entry.texts.path for entry in entries} | ({reference.path} if reference is not None else set())
    tables: list[tuple[tuple[str | int, ...], Corpus | None]] = [(("reference", "holdout"), holdout)]
    tables += [(("generation", number, "holdout"), entry.holdout) for number, entry in enumerate(entries)]
    for keys, corpus in tables:
        if corpus is not None and corpus.split is None and corpus.path in texts:
            found = f'"{corpus.shown}" both as texts and as held-out texts'
            yield manifest.problem(keys, found, "a file of its own for held-out texts", "holdout-is-texts")


def _no_control(manifest: Manifest, entries: Sequence[GenerationEntry]) -> Iterator[Problem]:
    """A control is what generation 0 wrote under a later generation's decoding: nobody's texts, and none of its own."""
    texts = {corpus.digest: corpus for each in entries for corpus in (each.texts, each.holdout) if corpus is not None}
    for number, entry in enumerate(entries):
        keys = ("generation", number, "control")
        if entry.control is not None and entry.index == 0:
            expected = "a control of a later generation: what generation 0 wrote under that one's decoding"
            yield manifest.problem(keys, "a control of generation 0", expected, "control-of-generation-0")
        elif entry.control is not None and entry.control.digest in texts:
            found = f'"{entry.control.shown}", byte for byte {texts[entry.control.digest].shown}'
            expected = "texts that generation 0 wrote anew, under this generation's decoding"
            yield manifest.problem(keys, found, expected, "control-is-texts")


def _unknown_sources(
    manifest: Manifest, entries: Sequence[GenerationEntry], reference: Corpus | None, holdout: Corpus | None
) -> Iterator[Problem]:
    """Every name in ``trained_on`` is the reference, fresh human text, or another entry's texts."""
    known = {"reference", "fresh", *(entry.texts.shown for entry in entries)}
    known |= {reference.shown} if reference is not None else set()
    held_out = {corpus.shown for corpus in (holdout, *(entry.holdout for entry in entries)) if corpus is not None}
    for number, entry in enumerate(entries):
        own = entry.texts.shown
        for position, source in enumerate(entry.details.get("trained_on", [])):
            keys = ("generation", number, "trained_on", position)
            names = source.get("descends_from", []) if "lineage" in source else [source["corpus"]]
            for name in map(shown_name, names):
                if name == own:
                    found, expected = "which this entry itself wrote", "texts that were there before this generation"
                    slug = "trained-on-itself"
                elif name in known:
                    continue
                elif name in held_out:
                    found, expected = "which is held out", "texts that are not held out"
                    slug = "trained-on-holdout"
                else:
                    close = difflib.get_close_matches(name, known - {own}, n=1)
                    hint = f' (did you mean "{close[0]}"?)' if close else ""
                    found, expected = "which no entry wrote", f'"reference" or the texts of an entry{hint}'
                    slug = "unknown-source"
                yield manifest.problem(keys, f'"{name}", {found}', expected, slug)


def _nothing_to_compare(
    manifest: Manifest, where: str, entries: Sequence[GenerationEntry], reference: Corpus | None
) -> Iterator[Problem]:
    if not entries and manifest.text:
        yield problem(manifest.where, "no [[generation]]", "one for every generation", "no-generation")
    elif not entries:
        yield problem(where, "a reference and no generation", f"generations: {NAMES}", "no-generation")
    elif reference is None and len({entry.index for entry in entries}) == 1:
        found = f"generation {entries[0].index} and nothing to compare it with"
        yield problem(where, found, "another generation or a reference", "nothing-to-compare")


def _identity(
    data: Mapping[str, Any], entries: Sequence[GenerationEntry], reference: Corpus | None, holdout: Corpus | None
) -> str:
    """A digest of what the lineage is: its corpora and how they came to be; not where it lies or what it is called."""

    def corpus(given: Corpus | None) -> list[str | None] | None:
        return None if given is None else [given.shown, given.digest, given.split]

    return json_digest(
        {
            "format": 1,
            "scheme": data.get("scheme"),
            "labels": data.get("labels"),
            "reference": [corpus(reference), corpus(holdout)],
            "generations": [
                [
                    *(entry.seed, entry.index, corpus(entry.texts), corpus(entry.holdout), dict(entry.details)),
                    *([] if entry.control is None else [corpus(entry.control)]),
                ]
                for entry in entries
            ],
        }
    )
