"""A corpus of several files: shards, the folder of ``save_to_disk``, a folder of documents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from collapse_audit.lineages.corpora.readers.blocks import Block
from collapse_audit.lineages.corpora.readers.fields import Reading
from collapse_audit.lineages.corpora.readers.formats import ALLOWED, DOCUMENTS, read_blocks, split_name
from collapse_audit.lineages.corpora.readers.read_txt import whole_file
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.digest import json_digest
from collapse_audit.lineages.files.door import Refused, read_json
from collapse_audit.lineages.files.failures import Unreadable
from collapse_audit.lineages.files.natural_order import natural_key
from collapse_audit.lineages.files.opening import split_packing
from collapse_audit.lineages.files.remote import Place, digest_of

_SHARD = re.compile(r"(.*)[-_.](\d{4,6})-of-(\d{4,6})")
_NOT_TEXTS = re.compile(
    r"(readme|license|licence|notice|changelog|requirements|merges|vocab|added_tokens)\b.*"
    r"|(\w+_)?config|tokenizer|special_tokens_map|tokenizer_config|trainer_state|state|dataset_info|dataset_dict"
    r"|\w*model.*\.index|lm_eval.*|results_.*|samples_.+_\d{4}-\d{2}-\d{2}t.*|train|train_log|log_history|metrics|all_results|\w+_results"
    r"|concentration|manifest|metadata|summary|report",
    re.IGNORECASE,
)
"""Files beside a model, or about a corpus, that are no corpus themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusFolder:
    """The files of one corpus, in the order in which they are read."""

    paths: tuple[Place, ...]
    names: tuple[str, ...]
    """As messages call them."""
    documents: bool = False
    """Each file is a document."""

    def blocks(self, block_bytes: int, reading: Reading) -> Iterator[Block]:
        """The records of all files, one after the other."""
        if self.documents:
            yield from self._documents()
            return
        for path, name in zip(self.paths, self.names, strict=True):
            for block in read_blocks(path, path.name, block_bytes=block_bytes, reading=reading):
                yield Block(lines=block.lines, records=block.records, files=[name] * len(block.records))

    def _documents(self) -> Iterator[Block]:
        for start in range(0, len(self.paths), _FILES_A_BLOCK):
            names = self.names[start : start + _FILES_A_BLOCK]
            records = []
            for path in self.paths[start : start + _FILES_A_BLOCK]:
                try:
                    records.append(whole_file(path, packing=split_packing(path.name)[1]))
                except Unreadable as failure:
                    records.append(failure.broken)
                except OSError as error:
                    found = f"a file that cannot be read ({error.strerror})"
                    records.append(Broken(found=found, expected="a readable file", slug="unreadable"))
            yield Block(lines=[None] * len(records), records=records, files=names)


_FILES_A_BLOCK = 256


def folder_digest(folder: CorpusFolder) -> str:
    """Of the names and contents of its files, wherever they are. Raises OSError."""
    return json_digest([[path.name, digest_of(path)] for path in folder.paths])


def corpus_folder(folder: Path, where: str, *, documents: str = "") -> CorpusFolder | Broken:
    """The one corpus that a folder holds; a Broken that names the files where it holds none, or more than one.

    Links to files elsewhere are not followed: a folder is read as it lies there. Raises OSError.
    """
    if (splits := several_splits(folder, where)) is not None:
        return splits
    if (folder / "state.json").is_file():
        saved = _saved_to_disk(folder, where)
        if saved is not None:
            return saved
    names = [path.name for path in folder.iterdir() if path.is_file() and _inside(path, folder)]
    names = sorted((name for name in names if not name.startswith((".", "_"))), key=natural_key)
    texts = [name for name in names if split_packing(name)[0].lower().endswith(DOCUMENTS) and not about(name)]
    corpora = [name for name in names if split_name(name) is not None and not about(name)]
    tables = [name for name in corpora if name not in texts]
    if texts and not tables and (documents in ("", "files")) and (len(texts) > 1 or documents == "files"):
        return _folder(folder, where, texts, documents=True)
    if len(tables) == 1 or (not tables and len(corpora) == 1):
        return _folder(folder, where, tables or corpora)
    if tables and _are_shards(tables):
        missing = _missing_shards(tables)
        return missing or _folder(folder, where, tables)
    shown = ", ".join((tables or names)[:6]) + (", …" if len(tables or names) > 6 else "")
    if not corpora and (folder / "data").is_dir() and _inside(folder / "data", folder):
        return corpus_folder(folder / "data", f"{where}/data", documents=documents)  # as a data set lies on a hub
    if not corpora:
        found = f"a folder without a corpus ({shown})" if names else "an empty folder"
        return Broken(found=found, expected=f"files that end in {ALLOWED}, or .md", slug="no-corpus")
    return Broken(
        found=f"a folder of several corpora ({shown})",
        expected=f"one of them: {where}/{max(tables or corpora, key=lambda name: name.startswith('texts'))}",
        slug="several-corpora",
    )


def shards_of(path: Path) -> list[Path] | None:
    """All files of the set that ``name-00000-of-00003.parquet`` begins; None where the name is no such one."""
    parts = split_name(path.name)
    match = None if parts is None else _SHARD.fullmatch(parts[0])
    if match is None or parts is None or int(match[2]) != 0:
        return None
    name = re.compile(rf"{re.escape(match[1])}[-_.]\d{{4,6}}-of-{match[3]}{re.escape(parts[1])}")
    return sorted(other for other in path.parent.iterdir() if name.fullmatch(other.name))


def shard_set(name: str) -> list[str]:
    """All names of the set that ``name-00000-of-00003.parquet`` begins; none where the name is no such one."""
    parts = split_name(name)
    match = None if parts is None else _SHARD.fullmatch(parts[0])
    if match is None or int(match[2]) != 0:
        return []
    first, rest = name[: match.start(2)], name[match.end(2) :]
    return [f"{first}{number:0{len(match[2])}}{rest}" for number in range(int(match[3]))]


def shard_stem(stem: str) -> tuple[str, int] | None:
    """``("gen_0", 2)`` of ``gen_0-00002-of-00003``; None where the name is no shard's."""
    match = _SHARD.fullmatch(stem)
    return None if match is None else (match[1], int(match[2]))


def shards(first: Path, shown: str) -> CorpusFolder | Broken | None:
    """The set that the file is the first of; None where its name is no shard's. Raises OSError."""
    paths = shards_of(first)
    if not paths:
        return None
    before = shown.rpartition("/")[0]
    names = tuple(f"{before}/{path.name}" if before else path.name for path in paths)
    return _missing_shards([path.name for path in paths]) or CorpusFolder(paths=tuple(paths), names=names)


def _folder(folder: Path, where: str, names: Sequence[str], *, documents: bool = False) -> CorpusFolder:
    return CorpusFolder(
        paths=tuple(folder / name for name in names),
        names=tuple(f"{where}/{name}" for name in names),
        documents=documents,
    )


def _inside(path: Path, folder: Path) -> bool:
    return not path.is_symlink() or path.resolve().is_relative_to(folder.resolve())


def about(name: str) -> bool:
    """Whether a file is called like something that lies beside a model or tells of a corpus."""
    stem = (split_name(name) or (split_packing(name)[0].rpartition(".")[0], ""))[0]
    return _NOT_TEXTS.fullmatch(stem) is not None


def _are_shards(names: Sequence[str]) -> bool:
    """Whether the names differ in their numbers alone, and each has one."""
    return len({re.sub(r"\d+", "0", name) for name in names}) == 1 and all(re.search(r"\d", name) for name in names)


def _missing_shards(names: Sequence[str]) -> Broken | None:
    matches = [_SHARD.fullmatch((split_name(name) or (name, ""))[0]) for name in names]
    if not all(matches):
        return None
    whole = {int(match[3]) for match in matches if match}
    have = {int(match[2]) for match in matches if match}
    lacking = [number for number in range(max(whole)) if number not in have]
    if len(whole) == 1 and not lacking:
        return None
    said = ", ".join(map(str, lacking[:5])) or "of sets of different sizes"
    return Broken(
        found=f"{len(names)} shards of {max(whole)} (missing: {said})",
        expected="all shards of one set",
        slug="shards-missing",
    )


def _saved_to_disk(folder: Path, where: str) -> CorpusFolder | Broken | None:
    """What ``save_to_disk`` of Hugging Face's datasets has written, in the order that it says."""
    try:
        state = read_json(folder / "state.json")
        names = [entry["filename"] for entry in state["_data_files"]]
    except (ValueError, KeyError, TypeError, OSError, Refused):
        return None
    wrong = [name for name in names if not isinstance(name, str) or not _is_there(folder, name)]
    if not wrong and len({*names}) < len(names):
        found = "state.json that names a file twice"
        return Broken(found=found, expected="the folder as save_to_disk wrote it", slug="shards-missing")
    if wrong or not names:
        found = f"state.json that names {wrong[0] if wrong else 'no file'}, which is not there"
        return Broken(found=found, expected="the folder as save_to_disk wrote it", slug="shards-missing")
    return _folder(folder, where, names)


def _is_there(folder: Path, name: str) -> bool:
    return "/" not in name and (folder / name).is_file() and _inside(folder / name, folder)


def several_splits(folder: Path, where: str) -> Broken | None:
    """A DatasetDict has a folder for every split, and which of them is meant is not ours to say. None: it is none."""
    if not (folder / "dataset_dict.json").is_file():
        return None
    splits = sorted(path.name for path in folder.iterdir() if path.is_dir())
    first = "train" if "train" in splits else splits[0] if splits else "SPLIT"
    return Broken(
        found=f"a DatasetDict (splits: {', '.join(splits[:6]) or 'none'})",
        expected=f"one of its splits: {where}/{first}",
        slug="several-corpora",
    )
