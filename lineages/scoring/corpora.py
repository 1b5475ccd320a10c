"""Scores of whole corpora: beside the texts, resumable, and from there into new files or into the corpora themselves.

A corpus is read and scored in portions of a fixed number of records, each written down when it is done. What an
interrupted run left is gone on with if corpus and scorer are the same (by digest), and begun anew if not; portions are
the same either way, and so are the numbers.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.atomic import atomic_folder, write_bytes
from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.corpora.readers.formats import read_blocks
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.disk.manifest import MANIFEST, read_manifest
from collapse_audit.lineages.disk.write import write_corpus, write_manifest
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.files.door import Refused, limits, parse_json, read_json, stay_inside
from collapse_audit.lineages.files.failures import Unreadable
from collapse_audit.lineages.files.locks import locked
from collapse_audit.lineages.files.opening import open_bytes
from collapse_audit.lineages.measured.scores import Identity, Scores, header, read_scores
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.lineages.scoring.likelihood import predict
from collapse_audit.lineages.scoring.scorer import Scorer
from collapse_audit.lineages.training.progress import Progress

PORTION = 4096
"""Records that are scored, and written down, together."""
_DIGITS = 6
_JOURNAL = ".score.json"
_SCORED = ".scored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What was done with one corpus."""

    corpus: Corpus
    path: Path
    """Where its scores lie."""
    n: int
    unscored: int
    """Texts without a token: they have no likelihood."""
    kept: bool
    """Whether the scores were there already."""


@contextmanager
def scoring(folder: Path, where: str) -> Iterator[None]:
    """No other process scores the same folder meanwhile; the lock falls with the process, however it ends."""
    with locked(folder / ".score.lock", busy=f"another process is scoring {where}"):
        yield


def inside(path: Path, lineage: Lineage) -> Path:
    """``path``, to be written to. Raises UsageError where a link on the way to it leads out of the lineage."""
    if not path.parent.resolve().is_relative_to(lineage.root.resolve()):
        raise UsageError(f"{path.parent} leads outside of the lineage; remove it", slug="score")
    return path


def corpora_of(lineage: Lineage, seed: str | None) -> list[Corpus]:
    """Every corpus that a seed's generations may be compared by: human text first."""
    corpora: list[Corpus | None] = [lineage.reference, lineage.reference_holdout]
    for entry in lineage.of_seed(seed):
        corpora += _corpora(entry)
    return [corpus for corpus in corpora if corpus is not None]


def _corpora(entry: GenerationEntry) -> list[Corpus | None]:
    return [entry.texts, entry.holdout, entry.control]


def score_corpus(
    corpus: Corpus, scorer: Scorer, path: Path, *, batch_size: int, what: str, progress: Progress
) -> Scored:  # fmt: skip
    """Score ``corpus`` into ``path`` unless it is there. Raises InputError where the corpus cannot be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first = header(scorer.identity, corpus)
    if _first_line(path) == first:
        known = read_scores(path, str(path))
        unscored = int(np.isnan(known.nll).sum())
        return Scored(corpus=corpus, path=path, n=known.nll.size, unscored=unscored, kept=True)
    total = sum(batch.num_rows for batch in corpus.batches())  # and all of it can be read
    part = path.with_name(f".{path.name}.part")
    done = _resume(part, first)
    progress.start(what, total)
    with part.open("ab") as file:
        for number, records in enumerate(_portions(corpus)):
            if number * PORTION < done:
                continue
            rows = _score(scorer, records, batch_size=batch_size, progress=progress, done=number * PORTION)
            file.write(b"".join(_line(row) for row in rows))
            file.flush()
            os.fsync(file.fileno())
    part.replace(path)
    known = read_scores(path, str(path))
    return Scored(corpus=corpus, path=path, n=total, unscored=int(np.isnan(known.nll).sum()), kept=False)


def _score(
    scorer: Scorer, records: Sequence[Mapping[str, Any]], *, batch_size: int, progress: Progress, done: int
) -> Iterator[dict[str, Any]]:
    examples = scorer.examples(records)
    predicted = predict(
        scorer.model, examples, longest=scorer.longest, batch_size=batch_size, progress=progress, done=done
    )  # fmt: skip
    for total, count, record in zip(predicted.nll.tolist(), predicted.count.tolist(), records, strict=True):
        end = 1 if scorer.reader.ends and count else 0
        if not np.isfinite(total):
            name = record["id"] or "(without id)"
            message = f"{scorer.identity.name} gives record {name} the log-likelihood {-total}; the model is broken"
            raise UsageError(message, slug="scorer-nan")
        yield {**({"nll": round(total / count, _DIGITS)} if count else {}), "n_tokens": count - end}


def _portions(corpus: Corpus) -> Iterator[list[dict[str, Any]]]:
    records = (record for batch in corpus.batches() for record in batch.to_pylist())
    while portion := list(islice(records, PORTION)):
        yield portion


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8") + b"\n"


def _first_line(path: Path) -> Any:
    try:
        with open_bytes(path) as file:
            return parse_json(file.readline(limits().line))
    except (OSError, ValueError, Refused, Unreadable):
        return None


def _resume(part: Path, first: Mapping[str, Any]) -> int:
    """Leave in ``part`` the whole portions that an interrupted run of the same scorer wrote; how many records."""
    done = 0
    if _first_line(part) == first:
        lines = part.read_bytes().split(b"\n")[1:-1]  # what has no line end is not whole
        done = len(lines) // PORTION * PORTION
        kept = [part.read_bytes().split(b"\n")[0], *lines[:done]]
        write_bytes(part, b"\n".join(kept) + b"\n")
    else:
        write_bytes(part, _line(first))
    return done


# Into records: a new file, a new folder, or the lineage's own files.


def with_likelihoods(corpus: Corpus, scores: Scores) -> Iterator[dict[str, Any]]:
    """Every record of the corpus' file as it stands there, with the scorer's ``nll`` and ``n_tokens``; no other change.

    Raises InputError where there are not as many scores as records.
    """
    rows = iter(zip(scores.nll.tolist(), scores.n_tokens.tolist(), strict=True))
    for block in read_blocks(corpus.path, corpus.shown):
        for record in block.records:
            assert isinstance(record, dict)  # it has been read before it was scored
            if corpus.split is not None and record["split"] != corpus.split:
                yield record
                continue
            nll, count = next(rows)
            kept = {key: value for key, value in record.items() if key not in ("nll", "n_tokens") and value is not None}
            yield {**kept, "n_tokens": count, **({} if np.isnan(nll) else {"nll": nll})}


def write_scored(corpus: Corpus, scores: Scores, path: Path) -> str:
    """The corpus with its likelihoods as a new file; returns its digest. Raises UsageError where it is there."""
    if path.exists():
        raise UsageError(f"{path} is there already; name a new file", slug="out")
    _jsonl(path)
    return write_corpus(path, with_likelihoods(corpus, scores))


def _jsonl(path: Path) -> None:
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise UsageError(f"{path.name}: scored texts are written as .jsonl or .jsonl.gz", slug="out")


def write_lineage(lineage: Lineage, scored: Mapping[Corpus, Scores], out: Path) -> None:
    """The lineage with likelihoods in its records, as a new folder: manifest and corpora, without adapters and logs.

    Raises UsageError where ``out`` is there already, or a corpus is no JSONL. It appears whole or not at all.
    """
    if out.exists():
        raise UsageError(f"{out} is there already; name a new folder", slug="out")
    refuse_split(scored)
    with atomic_folder(out) as temporary:
        digests = {}
        for corpus in dict.fromkeys(corpus_of for seed in lineage.seeds for corpus_of in corpora_of(lineage, seed)):
            path = temporary / corpus.shown
            path.parent.mkdir(parents=True, exist_ok=True)
            if corpus in scored:
                digests[corpus.digest] = write_corpus(path, with_likelihoods(corpus, scored[corpus]))
            else:
                shutil.copyfile(corpus.path, path)
        if lineage.has_manifest:
            data = dict(read_manifest(lineage.root / MANIFEST).data)
            data["generation"] = [
                {key: value for key, value in entry.items() if key not in _LEFT_BEHIND} for entry in data["generation"]
            ]
            write_manifest(temporary, json.loads(_with_digests(json.dumps(data), digests)))
        load_lineage(temporary)


_LEFT_BEHIND = frozenset(
    {"adapter", "train_log", "lm_eval", "concentration", "concentration_digest", "training", "training_digest"}
)


def _with_digests(text: str, digests: Mapping[str, str]) -> str:
    for old, new in digests.items():
        text = text.replace(old, new)
    return text


def refuse_split(corpora: Iterable[Corpus]) -> None:
    """Raises UsageError where a corpus cannot be written anew: no JSONL, or a part of a file."""
    for corpus in corpora:
        _jsonl(Path(corpus.shown))
        if corpus.split is not None:
            message = f"{corpus.where}: its records carry a split, so one file is two corpora; write them apart first"
            raise UsageError(message, slug="out")


def refuse_in_place(lineage: Lineage, where: str) -> None:
    """Raises UsageError where other files depend on the bytes of these."""
    partner = lineage.recipe.get("partner")
    if partner is not None:
        message = f"{where} exchanges texts with {partner}, whose manifest holds their digests; use --out"
        raise UsageError(message, slug="in-place")


def write_in_place(lineage: Lineage, scored: Mapping[Corpus, Scores]) -> None:
    """Put likelihoods into the lineage's own records, and the new digests into its manifest, all or nothing.

    New files are written beside the old ones; then a journal says what takes whose place, and a run that is interrupted
    after that is finished by the next (:func:`finish_in_place`).
    """
    refuse_split(scored)
    moves, digests = {}, {}
    for corpus, scores in scored.items():
        new = corpus.path.with_name(f"{_SCORED}.{corpus.path.name}")
        digests[corpus.digest] = write_corpus(new, with_likelihoods(corpus, scores))
        moves[new.relative_to(lineage.root).as_posix()] = corpus.path.relative_to(lineage.root).as_posix()
    if lineage.has_manifest:
        manifest = lineage.root / MANIFEST
        text = _with_digests(manifest.read_text("utf-8"), digests)
        write_bytes(manifest.with_name(f"{_SCORED}.{MANIFEST}"), text.encode("utf-8"))
        moves[f"{_SCORED}.{MANIFEST}"] = MANIFEST
    write_bytes(lineage.root / _JOURNAL, json.dumps(moves).encode("utf-8"))
    finish_in_place(lineage.root)


def finish_in_place(root: Path) -> None:
    """Bring to an end what a journal says was begun; nothing where there is none.

    Raises UsageError for a journal that says anything but what :func:`write_in_place` writes.
    """
    journal = root / _JOURNAL
    if not journal.is_file():
        return
    for new, old in _begun(journal, root):
        if new.is_file():
            new.replace(old)
    journal.unlink()


def _begun(journal: Path, root: Path) -> list[tuple[Path, Path]]:
    """New file and old one of each, all in the lineage, the new one beside the old and called after it."""
    try:
        stay_inside(journal, root)
        moves = [(root / str(new), root / str(old)) for new, old in read_json(journal).items()]
        homes = [path.parent.resolve() for pair in moves for path in pair]
        ours = all(new == old.with_name(f"{_SCORED}.{old.name}") for new, old in moves)
    except (Refused, OSError, ValueError, AttributeError):
        ours, homes, moves = False, [], []
    if not ours or not all(home.is_relative_to(root.resolve()) for home in homes):
        raise UsageError(
            f"{journal} is no journal of score, or leads outside of the lineage; remove it", slug="in-place"
        )
    return moves


def rescored(scores: Scores, corpus: Corpus, path: Path, scorer: Identity) -> None:
    """Scores of a corpus whose file now holds them too: the same numbers, under the file's new digest."""
    new = header(scorer, corpus) | {"corpus_digest": file_digest(corpus.path)}
    rows = [
        {**({} if np.isnan(nll) else {"nll": nll}), "n_tokens": count}
        for nll, count in zip(scores.nll.tolist(), scores.n_tokens.tolist(), strict=True)
    ]
    write_bytes(path, b"".join(map(_line, [new, *rows])))
