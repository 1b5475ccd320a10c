"""An audit from Python: everything the command line does, without printing, writing or exiting."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Unpack

from collapse_audit.engines.engine import LOCAL, Engine, engine_of
from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.named import is_pattern
from collapse_audit.lineages.corpora.readers.fields import FIELDS, Reading
from collapse_audit.lineages.disk.listed import listed_lineage
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.disk.pack import is_pack, open_baseline
from collapse_audit.lineages.files.digest import json_digest
from collapse_audit.lineages.files.remote import fetching
from collapse_audit.lineages.files.schema import near
from collapse_audit.lineages.files.urls import is_url
from collapse_audit.lineages.model.lineage import Lineage
from collapse_audit.probes.registry import BUILTIN, DATA, NUMERIC, all_probes
from collapse_audit.probes.text.labels import label_rule
from collapse_audit.probes.types import Probe
from collapse_audit.reports.document import AuditReport
from collapse_audit.run.data_plan import NO_REFERENCE, DataFiles, data_plan
from collapse_audit.run.plan import Plan, baseline_path, described, fits, fitting, id_part, named, plan
from collapse_audit.run.runner import run
from collapse_audit.run.seed_texts import Progress
from collapse_audit.run.taken import corpora_of, taken_as_text
from collapse_audit.settings.config import AuditConfig, Settings, load_config
from collapse_audit.settings.keyword import keyword, known_names, names_in
from collapse_audit.settings.schema import setting_names
from collapse_audit.verdicts.history import Look, OpenHistory, entries_of, open_history
from collapse_audit.verdicts.sequential import alpha_for, bound, number_of
from collapse_audit.version import __version__

_ROUNDING = 1e-9
_OF_DATA = {"max_documents": 100_000}
"""Settings of an audit of training data where nobody says otherwise: what is counted is counted over all texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A lineage that has been found, with the settings in force and everything that will be compared."""

    lineage: Lineage
    config: AuditConfig
    probes: tuple[Probe, ...]
    plan: Plan
    asked_for: frozenset[str]
    """Names and codes, in lower case, of probes that the user named: one that cannot run is then an error."""

    @property
    def look(self) -> str:
        """Digest of all that p-values depend on: what has the same one is the same evidence."""
        settings = ("alpha", "tokens", "labels", "permutations", "max_documents", "unit", "independent", "seed")
        facts = {name: getattr(self.config, name) for name in settings}
        facts |= {"tool": __version__, "lineage": self.lineage.digest}
        facts["comparisons"] = [
            {
                "name": each.name,
                "gating": each.gating,
                "trained_on_baseline": each.trained_on_baseline,
                "corpora": [[side.corpus.digest, side.corpus.split] for side in (each.baseline, each.current)],
                "probes": sorted(probe.code for probe in each.probes),
            }
            for each in self.plan.comparisons
        ]
        return json_digest(facts)

    def run(
        self,
        *,
        history: OpenHistory | None = None,
        today: date | None = None,
        stop_at_first: bool = False,
        progress: Progress = lambda _: None,
        engine: Engine | None = None,
    ) -> AuditReport:
        """Read and measure (by ``engine``; None: here), judge; what was found is added to ``history``.

        Waivers are held against ``today`` (in UTC).

        Raises UsageError where the setting ``anytime`` finds no history.
        """
        now = datetime.now(UTC)
        config, notes = self._at_this_look(history)
        report = run(
            self.plan,
            config,
            self.probes,
            today=today or now.date(),
            asked_for=self.asked_for,
            stop_at_first=stop_at_first,
            progress=progress,
            engine=engine,
        )
        if history is not None:
            look = Look(
                look=self.look,
                time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                tool=__version__,
                lineage=self.lineage.name,
                digest=self.lineage.digest,
                alpha=config.alpha * config.families,
            )
            history.add(entries_of(look, report.findings))
        return replace(report, notes=(*report.notes, *notes))

    def _at_this_look(self, history: OpenHistory | None) -> tuple[AuditConfig, list[str]]:
        """The settings with the alpha that this audit may spend, and what to say of it."""
        if history is None:
            if self.config.anytime:
                raise UsageError("anytime shares alpha out over the audits of a history; name its file: --history FILE")
            return self.config, []
        stored = history.history
        notes = ["the history ended in a piece of a line, which was dropped"] if stored.torn else []
        if not self.config.anytime:
            return self.config, notes
        alpha = alpha_for(stored.looks, self.look, self.config.alpha)
        number = number_of(stored.looks, self.look)
        whole = bound(stored.spent, self.config.alpha)
        notes.append(f"look {number} of the history: alpha = {alpha:.3g} in this one, {whole:.3g} in all together")
        if whole > self.config.alpha * (1 + _ROUNDING):
            notes.append(
                f"earlier looks spent more than anytime would have given them of {self.config.alpha:.3g}; start a new "
                "history, with anytime from its first look on"
            )
        return replace(self.config, alpha=alpha / self.config.families), notes


def prepare(
    path: str | os.PathLike[str] | None = None,
    *,
    before: Any = None,
    after: Any = None,
    probe_files: Iterable[str | os.PathLike[str]] = (),
    probes: Iterable[Probe] = (),
    select: str | None = None,
    generation: str | None = None,
    generations: str | Sequence[Any] | None = None,
    config_file: str | os.PathLike[str] | None = None,
    sets: Iterable[str] = (),
    engine: Engine | None = None,
    **settings: Unpack[Settings],
) -> Prepared:
    """Find the lineage and lay out its audit; see :func:`audit` for the arguments."""
    if isinstance(generations, str):
        generation, generations = generations, None
    keep = keyword(select) if select is not None else lambda _: True
    known = (*all_probes(Path(file) for file in probe_files), *NUMERIC, *_own(probes))
    source = _Source.of(path, before, after, generations)
    opened = source.open(Reading(), engine)
    config = load_config(
        opened,
        (*known, *DATA),
        config_file=None if config_file is None else Path(config_file),
        overrides=_overrides(settings),
        sets=sets,
    )
    if config.labels != "auto":
        label_rule(config.labels, classes=opened.label_classes)  # a rule that makes no sense is refused here, not later
    if config.reading != Reading():
        opened = source.open(config.reading, engine)
    elsewhere = baseline_path(config)
    beside = None if elsewhere is None else replace(open_baseline(elsewhere, engine), reading=config.reading)
    opened = replace(opened, independent=config.independent)
    if elsewhere is None and opened.reference is None and len({entry.index for entry in opened.generations}) == 1:
        source.complain_of_one()
    laid_out = plan(
        opened,
        config,
        known,
        generations=generation,
        keep=keep,
        baseline_corpus=beside,
    )
    if select is not None:
        known_names(select, described(opened, known))
    taken = taken_as_text(corpora_of(laid_out))
    laid_out = replace(laid_out, text=taken.text_is, notes=(*opened.notes, *taken.notes, *laid_out.notes))
    if taken.numbers and beside is not None and is_pack(beside.path):
        raise UsageError(
            f"--baseline {elsewhere}: a pack holds counts of words, and the generations hold numbers",
            slug="pack-numbers",
        )
    asked_for = frozenset() if select is None else frozenset(names_in(select))
    laid_out = fitting(laid_out, numbers=taken.numbers, asked_for=asked_for)
    fit = tuple(probe for probe in known if fits(probe, taken.numbers) or named(probe, asked_for))
    return Prepared(lineage=opened, config=config, probes=fit, plan=laid_out, asked_for=asked_for)


def prepare_data(
    files: DataFiles,
    *,
    probe_files: Iterable[str | os.PathLike[str]] = (),
    probes: Iterable[Probe] = (),
    select: str | None = None,
    config_file: str | os.PathLike[str] | None = None,
    sets: Iterable[str] = (),
    engine: Engine | None = None,
    **settings: Unpack[Settings],
) -> Prepared:
    """Open training data and what they are held against, and lay out their audit; see :func:`audit`."""
    keep = keyword(select) if select is not None else lambda _: True
    known = (*all_probes(Path(file) for file in probe_files), *_own(probes))
    asked = (*DATA, *(each for each in known if each not in BUILTIN))
    corpora = files.open(Reading(), engine)
    config = load_config(
        corpora.lineage,
        (*known, *DATA),
        config_file=None if config_file is None else Path(config_file),
        overrides=_overrides(settings),
        sets=sets,
        defaults=_OF_DATA,
    )
    if config.reading != Reading():
        corpora = files.open(config.reading, engine)
    config = replace(config, baseline=NO_REFERENCE if corpora.reference is None else "reference", labels="none")
    found = corpora.lineage
    laid_out = data_plan(corpora, found, config, asked, keep=keep)
    if select is not None:
        known_names(select, described(found, asked))
    asked_for = frozenset() if select is None else frozenset(names_in(select))
    return Prepared(lineage=found, config=config, probes=asked, plan=laid_out, asked_for=asked_for)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where a lineage comes from: a folder, or corpora that are named in their order."""

    path: str | os.PathLike[str] | None = None
    listed: Sequence[Any] = ()
    names: Sequence[str] | None = None

    @classmethod
    def of(cls, path: Any, before: Any, after: Any, generations: Sequence[Any] | None) -> _Source:
        """Raises UsageError where the arguments name no lineage, or two."""
        pair = before is not None or after is not None
        if (path is not None) + pair + (generations is not None) != 1:
            raise UsageError("name one of: a lineage's folder, before and after, or generations")
        if generations is not None:
            return cls(listed=list(generations))
        if not pair:
            elsewhere = isinstance(path, str) and (is_url(path) or is_pattern(path))
            return cls(listed=[path]) if elsewhere else cls(path=path)
        if before is None or after is None:
            missing = "before" if before is None else "after"
            raise UsageError(f"{missing} is not given; before and after are compared with each other")
        return cls(listed=[before, after], names=("before", "after"))

    def open(self, reading: Reading, engine: Engine | None = None) -> Lineage:
        """Raises InputError where it cannot be read. ``engine``: who reads URLs for their digests (None: here)."""
        if self.path is None:
            return listed_lineage(self.listed, names=self.names, reading=reading, engine=engine)
        lineage = load_lineage(self.path, needs_comparison=False)
        return lineage if reading == Reading() else lineage.read_as(reading)

    def complain_of_one(self) -> None:
        """Raise what says that the one generation has nothing to be compared with."""
        if self.path is not None:
            load_lineage(self.path)  # raises, and says what is missing
        raise UsageError("one corpus and nothing to compare it with; name a second one, or --baseline FILE")


def _own(probes: Iterable[Probe]) -> tuple[Probe, ...]:
    """The user's own probes. Raises UsageError for what is none, as a name."""
    given = tuple(probes)
    for each in given:
        if not isinstance(each, Probe):
            raise UsageError(f"probes: {each!r}; allowed: what @probe makes (select= takes names of probes)")
    return given


def _overrides(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the configuration has them: what names a field stands in a table."""
    known = {*setting_names(), *FIELDS}
    for name in settings:
        if name not in known:
            raise UsageError(f"unknown argument {name!r}{near(name, (*inspect.signature(audit).parameters, *known))}")
    fields = {name: settings[name] for name in FIELDS if settings.get(name)}
    rest = {name: value for name, value in settings.items() if name not in FIELDS}
    if fields:
        rest["fields"] = {**(rest.get("fields") or {}), **fields}
    return rest


def names(prepared: Sequence[Prepared]) -> tuple[str, ...]:
    """What lineages are called beside each other: each its folder's name, with a number where it is taken already."""
    taken: list[str] = []
    for job in prepared:
        folder = id_part(job.lineage.root.name if job.lineage.folder else job.lineage.name) or "lineage"
        name, number = folder, 1
        while name in taken:
            number += 1
            name = f"{folder}-{number}"
        taken.append(name)
    return tuple(taken)


def audit(
    path: str | os.PathLike[str] | None = None,
    *,
    before: Any = None,
    after: Any = None,
    generations: str | Sequence[Any] | None = None,
    generation: str | None = None,
    data: Any = None,
    reference: Any = None,
    evaluation: Any = None,
    labelled: Any = None,
    select: str | None = None,
    probes: Iterable[Probe] = (),
    probe_files: Iterable[str | os.PathLike[str]] = (),
    config_file: str | os.PathLike[str] | None = None,
    sets: Iterable[str] = (),
    history: str | os.PathLike[str] | None = None,
    today: date | None = None,
    engine: str | Engine = LOCAL,
    **settings: Unpack[Settings],
) -> AuditReport:
    """Audit a lineage: a folder, two corpora, or any number of them in their order; or training data.

    A corpus is a path (a file, or a folder of shards or documents), a pattern of files (``"gen_3/*.jsonl.gz"``), a URL
    (``https://``, ``s3://``, ``gs://``, ``hf://``; patterns of the last three), or texts in memory: a list of strings
    or of records, a pandas or polars frame, an Arrow table, a Hugging Face data set.

    ::

        from collapse_audit import audit

        report = audit("runs/latest")
        report = audit(before=["one text", "another"] * 50, after=["one text"] * 100)
        report = audit(data="train.jsonl", reference="human.jsonl")

    * ``path``: the folder of a lineage;
    * ``before``, ``after``: two corpora;
    * ``generations``: corpora from generation 0 on (a string chooses generations, as ``generation`` does);
    * ``generation``: ``"3"``, ``"1-4"`` or ``"last"``;
    * ``data``: a corpus that a model is going to be trained on, and beside it ``reference`` (texts of people),
      ``evaluation`` (an evaluation set) and ``labelled`` (texts whose label is ``human`` or ``machine``);
    * ``select``: a ``-k`` expression;
    * ``probes``: more :class:`~collapse_audit.probes.types.Probe` objects; ``probe_files``: Python files of such;
    * ``config_file``: a TOML file of settings; ``sets``: strings such as ``"token-divergence.margin=0.02"``;
    * ``history``: a file to which the findings are appended, needed by the setting ``anytime``;
    * ``today``: the day against which waivers are held (default: today in UTC);
    * ``engine``: ``"local"``, ``"dask"`` or ``"dask://HOST:PORT"``: who reads and measures, to the same report;
    * every setting by its name: :class:`~collapse_audit.settings.config.Settings`.

    Raises InputError (files that cannot be read), UsageError (settings that make no sense).
    """
    beside = {"reference": reference, "evaluation": evaluation, "labelled": labelled}
    common: dict[str, Any] = {"probe_files": probe_files, "probes": probes, "select": select}
    common |= {"config_file": config_file, "sets": sets, **settings}
    named = {"path": path, "before": before, "after": after, "generations": generations, "generation": generation}
    if data is not None and (taken := [name for name, value in named.items() if value is not None]):
        raise UsageError(f"data and {', '.join(taken)}; training data are no lineage, name the one or the other")
    if data is None and (alone := [name for name, value in beside.items() if value is not None]):
        raise UsageError(f"{', '.join(alone)} without data; name the training data, too")
    with ExitStack() as open_while_it_runs:
        open_while_it_runs.enter_context(fetching())
        common["engine"] = open_while_it_runs.enter_context(engine_of(engine))
        prepared = (
            prepare(**named, **common) if data is None else prepare_data(DataFiles(data=data, **beside), **common)
        )
        opened = None if history is None else open_while_it_runs.enter_context(open_history(Path(history)))
        return prepared.run(history=opened, today=today, engine=common["engine"])
