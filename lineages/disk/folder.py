"""A folder without a manifest, read as the manifest it could have had: names decide what each file is.

``reference.*``, ``gen_<k>.*`` or ``gen_<k>/texts.*``, held-out text in ``reference.holdout.*``, ``gen_<k>.holdout.*``
or ``gen_<k>/holdout.*``, what generation 0 writes under generation k's decoding in ``gen_<k>.control.*`` or
``gen_<k>/control.*``; several seeds: the generations inside ``seed_<s>/``. Other files are left alone, unless they
look like one of these gone wrong (``gen_1.json``, ``Gen_2.txt``): a generation is not lost to a slip of the pen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collapse_audit.errors import Problem
from collapse_audit.lineages.corpora.readers.formats import ALLOWED, split_name
from collapse_audit.lineages.disk.manifest import MANIFEST
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.natural_order import natural_key
from collapse_audit.lineages.files.paths import locate
from collapse_audit.lineages.files.problems import problem

_GENERATION = re.compile(r"gen_(\d+)")
_SEED = re.compile(r"seed_([\w.=@+-]+)")
_SEED_NAME = "seed_<s>, where s is made of letters, digits and any of . _ = @ + -"
_ROLES = ("holdout", "control")
"""What stands beside the texts under names of its own."""
NAMES = "gen_<k>.* or gen_<k>/texts.* (also inside seed_<s>/)"

# Beginnings that were probably meant as one of those names. Under an ending that is not read, only with a number:
# ``generation_config.json`` is an ordinary file of a model.
_LOOKS_MEANT = re.compile(r"(gen|generation)s?(?![a-z])|ref(erence)?s?(?![a-z])", re.IGNORECASE)
_WITH_NUMBER = re.compile(r"(gen|generation)s?[ _.-]?\d+(?!\d)|reference\.", re.IGNORECASE)
_FOLDER_LOOKS_MEANT = re.compile(r"gen_\w+$|(gen|generation)s?[ _-]?\d+$", re.IGNORECASE)
_LOOKS_LIKE_SEED = re.compile(r"seed_.+|seeds?[ _-]?\d+$", re.IGNORECASE)
_LOOKS_LIKE_TEXTS = re.compile(r"(texts?|hold[ _-]?outs?)\b", re.IGNORECASE)
_UNREAD_ENDINGS = (".json", ".ndjson", ".jsonlines", ".tsv", ".xlsx", ".feather", ".arrow")
_PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".7z")


class _Scan:
    """What has been found so far; the same role twice is a problem that names both files."""

    def __init__(self, root: Path, where: str) -> None:
        self.root = root
        self.where = where
        self.problems: list[Problem] = []
        self.reference: dict[str, str] = {}
        self.generations: dict[tuple[str | None, int], dict[str, str]] = {}

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


def scan_folder(root: Path, *, where: str) -> tuple[dict[str, Any], list[Problem]]:
    """The folder as a manifest (``reference`` and ``generation`` only), and what is wrong with its names.

    ``where``: the folder as messages name it.
    """
    scan = _Scan(root, where)
    seeds = []
    for path in _inside(scan, root, ""):
        seed = _SEED.fullmatch(path.name)
        if path.is_dir() and seed is not None:
            seeds.append((seed[1], path))
        elif path.is_dir() and _LOOKS_LIKE_SEED.match(path.name):
            scan.complain(path.name, f'a folder named "{path.name}"', _SEED_NAME, "unknown-name")
        else:
            _look_at(scan, path, seed=None, prefix="")
    if seeds and scan.generations:
        scan.complain("", "generations both beside and inside seed_<s>/ folders", "either", "seeds-mixed")
    for name, folder in seeds:
        before = len(scan.generations)
        for path in _inside(scan, folder, f"{folder.name}/"):
            _look_at(scan, path, seed=name, prefix=f"{folder.name}/")
        if len(scan.generations) == before and not scan.problems:
            scan.complain(folder.name, "no generation", "gen_<k>.* or gen_<k>/texts.*", "no-generation")
    if not (scan.generations or scan.reference or scan.problems):
        others = [path.name for path in _sorted(root) if split_name(path.name) is not None]
        found = "no corpus" + (f" by name (only {', '.join(others[:5])})" if others else "")
        scan.complain("", found, f"{MANIFEST}, or reference.*, {NAMES}, ending in {ALLOWED}", "no-corpus")
    return _as_manifest(scan), scan.problems


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
    return _GENERATION.fullmatch(name) is not None or _SEED.fullmatch(name) is not None


def _look_at(scan: _Scan, path: Path, *, seed: str | None, prefix: str) -> None:
    """One file or folder beside which the generations stand."""
    name = prefix + path.name
    if path.is_dir():
        match = _GENERATION.fullmatch(path.name)
        if match is not None:
            _look_into(scan, path, scan.generation(seed, int(match[1])), prefix=f"{name}/")
        elif _FOLDER_LOOKS_MEANT.match(path.name):
            scan.complain(name, f'a folder named "{path.name}"', "gen_<k>, with a number", "unknown-name")
        elif path.name.lower() == "reference":
            scan.complain(name, f'a folder named "{path.name}"', "a file: reference.*", "unknown-name")
        return
    parts = split_name(path.name)
    stem, role = (None, "") if parts is None else _role(parts[0])
    match = None if stem is None else _GENERATION.fullmatch(stem)
    if stem == "reference" and role != "control":
        if seed is not None:
            expected = "one reference for all seeds, beside the seed_<s> folders"
            scan.complain(name, "a reference inside a seed's folder", expected, "seeds-mixed")
        scan.claim(scan.reference, role, name)
    elif match is not None:
        scan.claim(scan.generation(seed, int(match[1])), role, name)
    elif _looks_meant(path.name):
        hint = f"reference.*, {NAMES}, ending in {ALLOWED}"
        scan.complain(name, f'a file named "{path.name}"', hint, "unknown-name")


def _look_into(scan: _Scan, folder: Path, roles: dict[str, str], *, prefix: str) -> None:
    """The inside of a ``gen_<k>`` folder."""
    for path in _inside(scan, folder, prefix):
        parts = split_name(path.name)
        if path.is_dir():
            continue
        if parts is not None and parts[0] in ("texts", *_ROLES):
            scan.claim(roles, parts[0], prefix + path.name)
        elif _LOOKS_LIKE_TEXTS.match(path.name) and _may_hold_texts(path.name):
            hint = f"texts.*, holdout.* or control.*, ending in {ALLOWED}"
            scan.complain(prefix + path.name, f'a file named "{path.name}"', hint, "unknown-name")


def _role(stem: str) -> tuple[str, str]:
    base, _, role = stem.rpartition(".")
    return (base, role) if base and role in _ROLES else (stem, "texts")


def _looks_meant(name: str) -> bool:
    if split_name(name.lower()) is not None:
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
        folder = f"gen_{index}" if seed is None else f"seed_{seed}/gen_{index}"
        if "texts" not in roles:
            found = f"generation {index} without texts" + (f" (only {next(iter(roles.values()))})" if roles else "")
            expected = f"{folder}/texts.* or {folder}.*, ending in {ALLOWED}"
            scan.complain(folder, found, expected, "no-texts")
            continue
        yield {"index": index, **roles} if seed is None else {"seed": seed, "index": index, **roles}
