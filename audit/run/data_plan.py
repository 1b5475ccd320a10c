"""Training data as a plan of one comparison: the data beside the reference, or beside nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse_audit.engines.engine import Engine
from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.corpora.memory import InMemory
from collapse_audit.lineages.corpora.readers.fields import Reading
from collapse_audit.lineages.disk.listed import listed_lineage
from collapse_audit.lineages.files.digest import json_digest
from collapse_audit.lineages.files.door import Refused, read_bytes
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.probes.text.phrases import built_in, phrases_of
from collapse_audit.probes.types import Probe
from collapse_audit.run.plan import Comparison, DataSources, Plan, Side, described
from collapse_audit.run.taken import taken_as_text
from collapse_audit.settings.config import AuditConfig

NO_REFERENCE = "no reference"
"""What findings are against where there is none."""
JUDGED = "the data"
"""What findings call the data."""
_NONE = Corpus(path=Path(NO_REFERENCE), shown=NO_REFERENCE, digest="", memory=InMemory([]))
_LARGEST_LIST = 1 << 20
_MOST_PHRASES = 10_000
"""Bytes of a list of phrases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFiles:
    """What the user names: each a path or texts in memory, as ``in_memory`` takes them."""

    data: Any
    reference: Any = None
    evaluation: Any = None
    labelled: Any = None

    def open(self, reading: Reading, engine: Engine | None = None) -> DataCorpora:
        """``engine``: who reads URLs for their digests (None: here).

        Raises InputError with the problems of all files together, UsageError where two are one and the same."""
        named = {name: value for name in _NAMES if (value := getattr(self, name)) is not None}
        found = listed_lineage(list(named.values()), names=list(named), reading=reading, engine=engine)
        corpora = dict(zip(named, (entry.texts for entry in found.generations), strict=True))
        data, reference = corpora["data"], corpora.get("reference")
        if reference is not None and reference.digest == data.digest:
            raise UsageError(
                f"--data {data.shown} and --reference {reference.shown} hold the same bytes: beside themselves data "
                "are all human, whatever they are; name text that people wrote and that lies apart from the data"
            )
        return DataCorpora(**corpora)


_NAMES = tuple(field.name for field in dataclasses.fields(DataFiles))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCorpora:
    """The same, opened: nothing has been read yet."""

    data: Corpus
    reference: Corpus | None = None
    evaluation: Corpus | None = None
    labelled: Corpus | None = None

    @property
    def lineage(self) -> Lineage:
        """A lineage of one generation, the data, that was trained on nothing."""
        digests = {name: None if corpus is None else corpus.digest for name, corpus in self.named().items()}
        return Lineage(
            name=self.data.shown,
            root=Path.cwd(),
            digest=json_digest({"format": 1, **digests}),
            reference=self.reference,
            generations=(GenerationEntry(index=0, texts=self.data, trained_on=()),),
            independent=True,
            folder=False,
        )

    def named(self) -> dict[str, Corpus | None]:
        """Every corpus, or None, by its name."""
        return {name: getattr(self, name) for name in _NAMES}


def data_plan(
    corpora: DataCorpora,
    lineage: Lineage,
    config: AuditConfig,
    probes: tuple[Probe, ...],
    *,
    keep: Callable[[str], bool] = lambda _: True,
) -> Plan:
    """Lay out the audit; ``keep`` decides by "probe code statistics generation", as for a lineage.

    Raises InputError where it cannot be told what the text of a corpus is, UsageError where the list of phrases cannot
    be read.
    """
    sides = {
        name: None if corpus is None else Side(name=name, corpus=corpus) for name, corpus in corpora.named().items()
    }
    kept = tuple(p for p in probes if p.name not in config.disabled and keep(described(lineage, (p,))[0]))
    comparison = Comparison(
        seed=None,
        generation=0,
        current=Side(name=JUDGED, corpus=corpora.data),
        baseline=sides["reference"] or Side(name=NO_REFERENCE, corpus=_NONE),
        gating=True,
        trained_on_baseline=False,
        probes=kept,
    )
    taken = taken_as_text(corpus for corpus in corpora.named().values() if corpus is not None)
    if taken.numbers:
        raise UsageError(
            f"--data {corpora.data.shown}: the records hold numbers; training data are judged by their texts"
        )
    beside = DataSources(
        reference=sides["reference"],
        evaluation=sides["evaluation"],
        labelled=sides["labelled"],
        phrases=_phrases(config.phrases),
    )
    return Plan(
        lineage=lineage,
        comparisons=(comparison,) if kept else (),
        notes=taken.notes,
        text=taken.text_is,
        data=beside,
    )


def _phrases(file: str) -> tuple[str, ...]:
    """The phrases of a user's list, or the built-in ones. Raises UsageError."""
    if not file:
        return built_in()
    try:
        found = phrases_of(read_bytes(Path(file), most=_LARGEST_LIST).decode("utf-8"))
    except Refused as error:
        raise UsageError(f"phrases = {file!r}: {error}; a list of phrases, one a line") from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"phrases = {file!r}: cannot be read ({why}); a list of phrases, one a line") from None
    if len(found) > _MOST_PHRASES:
        raise UsageError(f"phrases = {file!r}: {len(found):,} phrases; at most {_MOST_PHRASES:,} are looked for")
    if not found:
        raise UsageError(f"phrases = {file!r}: holds no phrase; one a line, and lines that begin with # are left out")
    return found
