"""An audit from Python: everything the command line does, without printing, writing or exiting."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from collapse_audit.config import AuditConfig, load_config
from collapse_audit.keyword import keyword, names_in
from collapse_audit.lineages.corpus import open_corpus
from collapse_audit.lineages.lineage import Lineage, load_lineage
from collapse_audit.plan import Plan, baseline_path, id_part, plan
from collapse_audit.probes.labels import label_rule
from collapse_audit.probes.registry import all_probes
from collapse_audit.probes.types import Probe
from collapse_audit.reports.document import AuditReport
from collapse_audit.runner import Progress, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A lineage that has been found, with the settings in force and everything that will be compared."""

    lineage: Lineage
    config: AuditConfig
    probes: tuple[Probe, ...]
    plan: Plan
    asked_for: frozenset[str]
    """Names and codes, in lower case, of probes that the user named: one that cannot run is then an error."""

    def run(self, *, stop_at_first: bool = False, progress: Progress = lambda _: None) -> AuditReport:
        """Read, measure, judge."""
        return run(
            self.plan,
            self.config,
            self.probes,
            asked_for=self.asked_for,
            stop_at_first=stop_at_first,
            progress=progress,
        )


def prepare(
    path: str | os.PathLike[str],
    *,
    probe_files: Iterable[str | os.PathLike[str]] = (),
    probes: Iterable[Probe] = (),
    select: str | None = None,
    generations: str | None = None,
    config_file: str | os.PathLike[str] | None = None,
    sets: Iterable[str] = (),
    **settings: Any,
) -> Prepared:
    """Load the lineage at ``path`` and lay out its audit; see :func:`audit` for the arguments."""
    keep = keyword(select) if select is not None else lambda _: True
    known = (*all_probes(Path(file) for file in probe_files), *probes)
    found = load_lineage(path, needs_comparison=False)
    config = load_config(
        found, known, config_file=None if config_file is None else Path(config_file), overrides=settings, sets=sets
    )
    if config.labels != "auto":
        label_rule(config.labels, classes=found.label_classes)  # a rule that makes no sense is refused here, not later
    elsewhere = baseline_path(config)
    found = replace(found, independent=config.independent)
    if elsewhere is None and found.reference is None and len({entry.index for entry in found.generations}) == 1:
        load_lineage(path)  # raises, and says what is missing to compare the one generation with
    laid_out = plan(
        found,
        config,
        known,
        generations=generations,
        keep=keep,
        baseline_corpus=None if elsewhere is None else open_corpus(elsewhere),
    )
    asked_for = frozenset() if select is None else frozenset(names_in(select))
    return Prepared(lineage=found, config=config, probes=known, plan=laid_out, asked_for=asked_for)


def names(prepared: Sequence[Prepared]) -> tuple[str, ...]:
    """What lineages are called beside each other: each its folder's name, with a number where it is taken already."""
    taken: list[str] = []
    for one in prepared:
        folder = id_part(one.lineage.root.name) or "lineage"
        name, number = folder, 1
        while name in taken:
            number += 1
            name = f"{folder}-{number}"
        taken.append(name)
    return tuple(taken)


def audit(path: str | os.PathLike[str], **arguments: Any) -> AuditReport:
    """Audit the lineage in the folder ``path``.

    Keyword arguments:

    * settings by the names of :class:`~collapse_audit.config.AuditConfig` (``baseline``, ``labels``, ``alpha``,
      ``seed``, ``evidence``, …);
    * ``sets``: strings such as ``"token-divergence.margin=0.02"``;
    * ``select``: a ``-k`` expression; ``generations``: ``"3"``, ``"1-4"`` or ``"last"``;
    * ``probes``: more :class:`~collapse_audit.probes.types.Probe` objects; ``probe_files``: Python files of such;
    * ``config_file``: a TOML file of settings.

    Raises InputError (files that cannot be read), UsageError (settings that make no sense).
    """
    return prepare(path, **arguments).run()
