"""Likelihoods beside the texts: what ``collapse-lineage score`` writes, and an audit reads without torch.

``scores/<scorer>/<corpus>.jsonl`` inside the lineage folder, a folder a scorer; texts are never touched. The first line
says who scored what, each further one is a record of the corpus, in its order::

    {"format": 1, "scorer": {"name": …, "digest": …, "about": {…}}, "corpus": "gen_1/texts.jsonl", "corpus_digest": …}
    {"nll": 3.141593, "n_tokens": 42}
    {"n_tokens": 0}

``nll`` is the mean negative log-likelihood a token, nats; absent where a text has no token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.corpora.readers.formats import split_name
from collapse_audit.lineages.corpora.readers.records import is_measurable
from collapse_audit.lineages.files.door import Refused, limits, parse_json, read_bytes
from collapse_audit.lineages.files.problems import problem, shorten
from collapse_audit.probes.text.draw import SCORES
from collapse_audit.probes.text.sample import GENERATION_0

__all__ = ["FOLDER", "GENERATION_0", "Identity", "Scores", "path_of", "read_scores", "scores_beside", "with_scores"]

FOLDER = "scores"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A scorer: what it is called and, exactly, what it is."""

    name: str
    """Also its folder: ``generation-0``, ``generation-0.seed_1``, or an independent model's name."""
    digest: str
    """Of weights, tokenizer, number format and the way records are read."""
    about: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Equal only where likelihoods may be compared."""
        return f"{self.name}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One scorer's likelihoods of one corpus of N records."""

    scorer: Identity
    corpus_digest: str
    nll: npt.NDArray[np.float64]
    """Shape (N,), nats per token; NaN where a text has no token."""
    n_tokens: npt.NDArray[np.int64]
    """Shape (N,)."""


def path_of(root: Path, scorer: str, corpus: Corpus) -> Path:
    """Where a scorer's likelihoods of a corpus lie."""
    stem = (split_name(corpus.shown) or (corpus.shown, ""))[0]
    split = "" if corpus.split is None else f".{corpus.split}"
    return root / FOLDER / scorer / f"{stem}{split}.jsonl"


def header(scorer: Identity, corpus: Corpus) -> dict[str, Any]:
    """The first line."""
    return {
        "format": FORMAT,
        "scorer": {"name": scorer.name, "digest": scorer.digest, "about": dict(scorer.about)},
        "corpus": corpus.shown,
        "corpus_digest": corpus.digest,
        **({} if corpus.split is None else {"split": corpus.split}),
    }


def scores_beside(root: Path, corpus: Corpus, seed: str | None) -> tuple[list[Scores], list[str]]:
    """What the seed's generation 0 and independent models gave the corpus, and a line on each file that is of no use.

    Scores of a file that has changed since are of no use. Raises InputError where a file cannot be read.
    """
    own = GENERATION_0 if seed is None else f"{GENERATION_0}.seed_{seed}"
    folder = root / FOLDER
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    fresh, stale = [], []
    for name in names:
        path = path_of(root, name, corpus)
        if (name != own and name.startswith(GENERATION_0)) or not path.is_file():
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            continue  # a corpus from elsewhere, or a link that leads there
        where = path.relative_to(root).as_posix()
        scores = read_scores(path, where)
        if scores.scorer.name != name:
            expected = f"scores by {name}, as its folder is called"
            raise InputError([problem(where, f"scores by {scores.scorer.name}", expected, "bad-scores")])
        if scores.corpus_digest == corpus.digest:
            fresh.append(scores)
        else:
            stale.append(f"{where} is left out: {corpus.shown} has changed since; run collapse-lineage score again")
    return fresh, stale


def read_scores(path: Path, where: str) -> Scores:
    """The file ``path``, named ``where`` in messages. Raises InputError for anything but what is described above."""
    try:
        lines = read_bytes(path, most=limits().json).decode("utf-8").splitlines()
        first = parse_json(lines[0])
        scorer = first["scorer"]
        identity = Identity(name=str(scorer["name"]), digest=str(scorer["digest"]), about=dict(scorer["about"]))
        digest = str(first["corpus_digest"])
    except (Refused, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        found = f"a first line that cannot be read ({type(error).__name__})"
        expected = "scores as collapse-lineage score writes them"
        raise InputError([problem(where, found, expected, "bad-scores")]) from None
    if first.get("format") != FORMAT:
        found = f"scores of format {shorten(first.get('format'))}"
        raise InputError([problem(where, found, f"format {FORMAT}", "bad-scores")])
    nll = np.full(len(lines) - 1, np.nan)
    n_tokens = np.zeros(len(lines) - 1, dtype=np.int64)
    for row, line in enumerate(lines[1:]):
        try:
            record = parse_json(line)
            value, count = record.get("nll"), record["n_tokens"]
        except (Refused, ValueError, LookupError, AttributeError, TypeError):
            value, count = "", ""
        if not (value is None or (is_measurable(value) and value >= 0)) or not (type(count) is int and count >= 0):
            found, expected = shorten(line), '{"nll": a number of 0 or more, "n_tokens": a whole number of 0 or more}'
            raise InputError([problem(where, found, expected, "bad-scores", line=row + 2)])
        nll[row] = np.nan if value is None else value
        n_tokens[row] = count
    return Scores(scorer=identity, corpus_digest=digest, nll=nll, n_tokens=n_tokens)


def with_scores(
    table: pa.Table, rows: npt.NDArray[np.int64], total: int, scores: Sequence[Scores], where: str
) -> pa.Table:
    """Records of a corpus with a column of likelihoods a scorer; generation 0's token counts where records have none.

    ``rows``, shape (N,): which of the corpus' ``total`` records they are. Raises InputError where there are not as many
    scores as records.
    """
    for scored in scores:
        if scored.nll.size != total:
            found = f"{scored.nll.size:,} scores by {scored.scorer.name} of {total:,} records"
            raise InputError([problem(where, found, "as many scores as records; score it again", "bad-scores")])
        nll = scored.nll[rows]
        table = table.append_column(f"{SCORES}{scored.scorer.key}", pa.array(nll, mask=np.isnan(nll)))
        if scored.scorer.name.startswith(GENERATION_0) and table["n_tokens"].null_count == len(table):
            place = table.schema.get_field_index("n_tokens")
            table = table.set_column(place, "n_tokens", pa.array(scored.n_tokens[rows]))
    return table
