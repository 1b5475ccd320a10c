"""An audit from Python: everything the command line does, without printing, writing or exiting."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse_audit.config import AuditConfig, load_config
from collapse_audit.keyword import keyword, names_in
from collapse_audit.lineages.corpus import open_corpus
from collapse_audit.lineages.lineage import Lineage, load_lineage
from collapse_audit.plan import Plan, baseline_path, plan
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
    known = (*all_probes(Path(file) for file in probe_files), *probes)
    found = load_lineage(path, independent=bool(settings.get("independent")), needs_comparison=False)
    config = load_config(
        found, known, config_file=None if config_file is None else Path(config_file), overrides=settings, sets=sets
    )
    elsewhere = baseline_path(config)
    found = load_lineage(path, independent=config.independent, needs_comparison=elsewhere is None)
    laid_out = plan(
        found,
        config,
        known,
        generations=generations,
        keep=keyword(select) if select is not None else lambda _: True,
        baseline_corpus=None if elsewhere is None else open_corpus(elsewhere),
    )
    asked_for = frozenset() if select is None else frozenset(names_in(select))
    return Prepared(lineage=found, config=config, probes=known, plan=laid_out, asked_for=asked_for)


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
