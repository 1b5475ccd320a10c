"""A folder without a manifest, read as the manifest it could have had: names decide what each file is.

``reference.*``, ``gen_<k>.*`` or ``gen_<k>/texts.*`` (or whatever one corpus such a folder holds), held-out text in
``reference.holdout.*``, ``gen_<k>.holdout.*`` or ``gen_<k>/holdout.*``, what generation 0 writes under generation k's
decoding in ``gen_<k>.control.*`` or ``gen_<k>/control.*``; several seeds: the generations inside ``seed_<s>/``, or the
seeds inside ``gen_<k>/``. Where nothing is called so, names that count something else (``checkpoint-500``, ``iter_3``,
dates) are generations in their natural order. Other files are left alone, unless they look like one of these gone wrong
(``gen_one.txt``): a generation is not lost to a slip of the pen.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from collapse_audit.errors import Problem
from collapse_audit.lineages.corpora.parts import about, corpus_folder, several_splits
from collapse_audit.lineages.corpora.readers.formats import ALLOWED, split_name
from collapse_audit.lineages.disk.manifest import MANIFEST
from collapse_audit.lineages.disk.names import (
    Ordered,
    corpora_among,
    family_of,
    generation_number,
    in_order,
    seed_of,
    stem_of,
    told_order,
)
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.natural_order import natural_key
from collapse_audit.lineages.files.opening import split_packing
from collapse_audit.lineages.files.paths import locate
from collapse_audit.lineages.files.problems import problem

_SEED_NAME = "seed_<s>, where s is made of letters, digits and any of . _ = @ + -"
_ROLES = ("holdout", "control")
"""What stands beside the texts under names of its own."""
NAMES = "gen_<k>.* or gen_<k>/texts.* (also inside seed_<s>/)"
_MOST_ALIKE = 3
"""So many problems of one kind are worded; the rest are counted."""

# Beginnings that were probably meant as one of those names. Under an ending that is not read, only with a number:
# ``generation_config.json`` is an ordinary file of a model.
_LOOKS_MEANT = re.compile(r"(gen|generation)s?(?![a-z])|ref(erence)?s?(?![a-z])", re.IGNORECASE)
_WITH_NUMBER = re.compile(r"(gen|generation)s?[ _.-]?\d+(?!\d)|reference\.", re.IGNORECASE)
_FOLDER_LOOKS_MEANT = re.compile(r"gen_\w+$|(gen|generation)s?[ _-]?\d+$", re.IGNORECASE)
_FIRST = re.compile(r"(base|original|initial|human|real|people|before|raw|source|pre-?train|start)", re.IGNORECASE)
"""How files begin that come before the ones that are counted."""
_LOOKS_LIKE_SEED = re.compile(r"seed_.+|seeds?[ _-]?\d+$", re.IGNORECASE)
_LOOKS_LIKE_TEXTS = re.compile(r"(texts?|hold[ _-]?outs?)\b", re.IGNORECASE)
_UNREAD_ENDINGS = (".xlsx", ".feather", ".orc", ".avro", ".xml")
_PACKED = (".zip", ".bz2", ".7z")


class _Scan:
    """What has been found so far; the same role twice is a problem that names both files."""

    def __init__(self, root: Path, where: str) -> None:
        self.root = root
        self.where = where
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.reference: dict[str, str] = {}
        self.generations: dict[tuple[str | None, int], dict[str, str]] = {}
        self.folders: dict[tuple[str | None, int], str] = {}
        """Those of generations that have one, as they are called."""

    def complain(self, name: str, found: str, expected: str, slug: str) -> None:
        place = f"{self.where}/{name}" if name else self.where
        self.problems.append(problem(place, found, expected, slug))

    def claim(self, roles: dict[str, str], role: str, name: str) -> None:
        if role in roles:
            found = f"two files for one corpus: {roles[role]} and {name}"
            self.complain("", found, "one of them", "ambiguous-corpus")
        else:
            roles[role] = name

    def generation(self, seed: str | None, index: int) -> dict[str, str]:
        return self.generations.setdefault((seed, index), {})


def scan_folder(root: Path, *, where: str) -> tuple[dict[str, Any], list[Problem], list[str]]:
    """The folder as a manifest (``reference`` and ``generation`` only), what is wrong with its names, and notes.

    ``where``: the folder as messages name it.
    """
    scan = _Scan(root, where)
    seeds = _scan_top(scan)
    if seeds and scan.generations:
        scan.complain("", "generations both beside and inside seed_<s>/ folders", "either", "seeds-mixed")
    for name, folder in seeds:
        before = len(scan.generations)
        for path in _inside(scan, folder, f"{folder.name}/"):
            _look_at(scan, path, seed=name, prefix=f"{folder.name}/")
        if len(scan.generations) == before and not scan.problems:
            _take_in_order(scan, folder, seed=name, prefix=f"{folder.name}/")
        if len(scan.generations) == before and not scan.problems:
            scan.complain(folder.name, "no generation", "gen_<k>.* or gen_<k>/texts.*", "no-generation")
    if not (scan.generations or scan.problems):
        _take_in_order(scan, root, seed=None, prefix="")
    if not (scan.generations or scan.reference or scan.problems):
        _complain_of_nothing(scan)
    return _as_manifest(scan), _said_once(scan.problems), list(dict.fromkeys(scan.notes))


def _scan_top(scan: _Scan) -> list[tuple[str, Path]]:
    """Look at everything in the folder itself; the seeds' folders in it."""
    seeds = []
    for path in _inside(scan, scan.root, ""):
        seed = seed_of(path.name) if path.is_dir() else None
        if seed is not None:
            seeds.append((seed, path))
        elif path.is_dir() and _LOOKS_LIKE_SEED.match(path.name):
            scan.complain(path.name, f'a folder named "{path.name}"', _SEED_NAME, "unknown-name")
        else:
            _look_at(scan, path, seed=None, prefix="")
    return seeds


def _complain_of_nothing(scan: _Scan) -> None:
    """Nothing here has a name that says what it is: say what there is, and the command that needs no names."""
    if (splits := several_splits(scan.root, scan.where)) is not None:
        scan.complain("", splits.found, splits.expected, splits.slug)
        return
    found = [path.name for path in _sorted(scan.root)]
    others = corpora_among(found)
    folders = [name for name in found if (scan.root / name).is_dir() and _holds_a_corpus(scan.root / name)]
    several = others + folders
    reason = "no corpus" + (f" by name (only {', '.join(several[:5])})" if several else "")
    expected = f"{MANIFEST}, or reference.*, {NAMES}, ending in {ALLOWED}"
    if len(several) > 1:
        paths = " ".join(shlex.quote(f"{scan.where}/{name}") for name in several[:6])
        expected += f"; or name them in their order: collapse-audit --generations {paths}"
    scan.complain("", reason, expected, "no-corpus")


def _holds_a_corpus(folder: Path) -> bool:
    try:
        return not isinstance(corpus_folder(folder, folder.name), Broken)
    except OSError:
        return False


def _take_in_order(scan: _Scan, folder: Path, *, seed: str | None, prefix: str) -> None:
    """Names that count something else than generations, in their natural order."""
    entries, others = [], []
    for path in _inside(scan, folder, prefix):
        is_folder = path.is_dir()
        named = (path.name, True) if is_folder else stem_of(path.name)
        if named is None or about(path.name):
            continue
        stem, role = _role(named[0])
        family = family_of(stem, is_text=not is_folder and ".txt" in path.name)
        if family and named[1]:
            entries.append(Ordered(name=path.name, stem=stem, role=role, family=family))
        elif not family and not is_folder and stem != "reference":
            others.append(path.name)
    stems = in_order(entries)
    if len(stems) + (1 if scan.reference else 0) < 2 or others:
        if entries and (others or not stems):
            first = [name for name in others if _FIRST.match(name)]
            names = [*first, *(entry.name for entry in entries), *(name for name in others if name not in first)]
            shown, paths = ", ".join(names[:8]), " ".join(shlex.quote(f"{scan.where}/{prefix}{n}") for n in names[:8])
            expected = f"names that count one thing; or their order: collapse-audit --generations {paths}"
            scan.complain(prefix.rstrip("/"), f"files whose order cannot be told ({shown})", expected, "no-order")
        return
    for entry in entries:
        roles = scan.generation(seed, stems.index(entry.stem))
        if (folder / entry.name).is_dir():
            scan.folders[seed, stems.index(entry.stem)] = prefix + entry.name
            _look_into(scan, folder / entry.name, roles, prefix=f"{prefix}{entry.name}/")
        else:
            scan.claim(roles, entry.role, prefix + entry.name)
    scan.notes.append(told_order(stems))


def _said_once(problems: list[Problem]) -> list[Problem]:
    """One mistake in many names is one message, with a count."""
    alike: dict[tuple[str, str, str], list[Problem]] = {}
    for each in problems:
        key = (each.slug, re.sub(r"\d+", "#", each.found), re.sub(r"\d+", "#", each.expected))
        alike.setdefault(key, []).append(each)
    said = []
    for several in alike.values():
        if len(several) <= _MOST_ALIKE:
            said += several
            continue
        names = ", ".join(Path(each.where).name for each in several[1:4])
        more = f", and {len(several) - 1} more such ({names}{', …' if len(several) > 4 else ''})"
        said.append(replace(several[0], found=several[0].found + more))
    return sorted(said, key=problems.index) if len(said) == len(problems) else said


def _sorted(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: natural_key(path.name))


def _inside(scan: _Scan, folder: Path, prefix: str) -> Iterator[Path]:
    """What lies in a folder, but for links to folders elsewhere: those are named and never looked into."""
    for path in _sorted(folder):
        if path.is_symlink() and path.is_dir() and _has_a_part(path.name):
            target = locate(scan.root, prefix + path.name)
            if isinstance(target, Broken):
                scan.complain(prefix + path.name, target.found, target.expected, target.slug)
                continue
        yield path


def _has_a_part(name: str) -> bool:
    return generation_number(name) is not None or seed_of(name) is not None


def _look_at(scan: _Scan, path: Path, *, seed: str | None, prefix: str) -> None:
    """One file or folder beside which the generations stand."""
    name = prefix + path.name
    named = stem_of(path.name)
    number = generation_number(path.name)
    if path.is_dir() and number is not None:
        roles = scan.generation(seed, number)
        scan.folders.setdefault((seed, number), name)
        if seed is not None or not _take_seeds(scan, path, number, roles):
            _look_into(scan, path, roles, prefix=f"{name}/")
        return
    stem, role = (None, "") if named is None else _role(named[0])
    number = None if stem is None else generation_number(stem)
    if path.is_dir() and number is None:
        _look_at_folder(scan, path, name)
        return
    if named is not None and not named[1]:
        return  # a further shard: it belongs to the first one
    if stem == "reference" and role != "control":
        if seed is not None:
            expected = "one reference for all seeds, beside the seed_<s> folders"
            scan.complain(name, "a reference inside a seed's folder", expected, "seeds-mixed")
        scan.claim(scan.reference, role, name)
    elif number is not None:
        scan.claim(scan.generation(seed, number), role, name)
    elif _looks_meant(path.name):
        hint = f"reference.*, {NAMES}, ending in {ALLOWED}"
        scan.complain(name, f'a file named "{path.name}"', hint, "unknown-name")


def _look_at_folder(scan: _Scan, path: Path, name: str) -> None:
    """A folder that is no generation: the reference's, a name that was meant as one, or none of ours."""
    if _FOLDER_LOOKS_MEANT.match(path.name):
        scan.complain(name, f'a folder named "{path.name}"', "gen_<k>, with a number", "unknown-name")
    elif path.name.lower() == "reference":
        _claim_folder(scan, path, scan.reference, name)


def _take_seeds(scan: _Scan, folder: Path, number: int, roles: dict[str, str]) -> bool:
    """``gen_<k>/seed_<s>``: whether the folder of a generation holds seeds, which are then taken."""
    seeds = [(seed, path) for path in _sorted(folder) if (seed := seed_of((stem_of(path.name) or (path.name, 0))[0]))]
    if not seeds:
        return False
    if not roles:
        del scan.generations[None, number]
    for seed, path in seeds:
        inner = scan.generation(seed, number)
        if path.is_dir():
            _look_into(scan, path, inner, prefix=f"{folder.name}/{path.name}/")
        else:
            scan.claim(inner, "texts", f"{folder.name}/{path.name}")
    return True


def _look_into(scan: _Scan, folder: Path, roles: dict[str, str], *, prefix: str) -> None:
    """The inside of a ``gen_<k>`` folder."""
    before = len(scan.problems)
    for path in _inside(scan, folder, prefix):
        parts = stem_of(path.name)
        if path.is_dir() or (parts is not None and not parts[1]):
            continue
        if parts is not None and parts[0] in ("texts", *_ROLES):
            scan.claim(roles, parts[0], prefix + path.name)
        elif _LOOKS_LIKE_TEXTS.match(path.name) and _may_hold_texts(path.name):
            hint = f"texts.*, holdout.* or control.*, ending in {ALLOWED}"
            scan.complain(prefix + path.name, f'a file named "{path.name}"', hint, "unknown-name")
    if "texts" not in roles and not set(roles) & set(_ROLES) and len(scan.problems) == before:
        _claim_folder(scan, folder, roles, prefix.rstrip("/"))


def _claim_folder(scan: _Scan, folder: Path, roles: dict[str, str], name: str) -> None:
    """The one corpus that a folder holds, whatever it is called there."""
    corpus = corpus_folder(folder, f"{scan.where}/{name}")
    if isinstance(corpus, Broken):
        if corpus.slug != "no-corpus":
            scan.complain(name, corpus.found, corpus.expected, corpus.slug)
    elif len(corpus.names) == 1 and not corpus.documents:
        scan.claim(roles, "texts", f"{name}/{corpus.paths[0].name}")
    else:
        scan.claim(roles, "texts", name)


def _role(stem: str) -> tuple[str, str]:
    base, _, role = stem.rpartition(".")
    return (base, role) if base and role in _ROLES else (stem, "texts")


def _looks_meant(name: str) -> bool:
    if split_name(name.lower()) is not None and not split_packing(name.lower())[0].endswith(".json"):
        return _LOOKS_MEANT.match(name) is not None
    return _may_hold_texts(name) and _WITH_NUMBER.match(name) is not None


def _may_hold_texts(name: str) -> bool:
    """By its ending, which may be one of those that are not read."""
    lower = name.lower()
    for packed in _PACKED:
        lower = lower.removesuffix(packed)
    return split_name(lower) is not None or lower.endswith(_UNREAD_ENDINGS)


def _as_manifest(scan: _Scan) -> dict[str, Any]:
    manifest: dict[str, Any] = {}
    if "texts" in scan.reference:
        manifest["reference"] = scan.reference
    elif scan.reference:
        scan.complain("", f"{scan.reference['holdout']} and no reference.*", "both, or no reference", "holdout-alone")
    manifest["generation"] = [dict(entry) for entry in _generations(scan)]
    return manifest


def _generations(scan: _Scan) -> Iterator[dict[str, Any]]:
    order = sorted(scan.generations, key=lambda key: (natural_key(key[0] or ""), key[1]))
    for seed, index in order:
        roles = scan.generations[seed, index]
        folder = scan.folders.get((seed, index), f"gen_{index}" if seed is None else f"seed_{seed}/gen_{index}")
        if "texts" not in roles and any(problem.where == f"{scan.where}/{folder}" for problem in scan.problems):
            continue
        if "texts" not in roles:
            found = f"generation {index} without texts" + (f" (only {next(iter(roles.values()))})" if roles else "")
            expected = f"{folder}/texts.* or {folder}.*, ending in {ALLOWED}"
            scan.complain(folder, found, expected, "no-texts")
            continue
        yield {"index": index, **roles} if seed is None else {"seed": seed, "index": index, **roles}
