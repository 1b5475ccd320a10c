"""From Python: two reports, or two lineages; what is worse, and by how much."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from collapse_audit.api import prepare
from collapse_audit.comparison.contrast import Contrasted, contrast
from collapse_audit.comparison.difference import Difference, difference
from collapse_audit.errors import UsageError
from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.from_json import read


def compare(
    a: AuditReport | str | os.PathLike[str],
    b: AuditReport | str | os.PathLike[str],
    *,
    generation: str | None = None,
    seed: int | None = None,
    sets: Iterable[str] = (),
) -> Difference | Contrasted:
    """Two reports (as :func:`collapse_audit.audit` returns them, or stored), or two lineages in folders.

    Of reports, what got worse, better, came and went (nothing is measured again). Of lineages, which of two recipes
    holds better at ``generation`` (``last`` by default); ``seed`` and ``sets`` are settings of their audits.

    Raises UsageError where one is a report and the other a lineage, InputError where one cannot be read.
    """
    reports = [_report(side) for side in (a, b)]
    if reports[0] is not None and reports[1] is not None:
        if seed is not None or tuple(sets):
            raise UsageError("seed and sets are for lineages: a report is read as it is, not audited again")
        return difference(reports[0], reports[1], generation=generation)
    if reports[0] is not None or reports[1] is not None or isinstance(a, AuditReport) or isinstance(b, AuditReport):
        raise UsageError("one of the two is a report, the other is none; compare two reports, or two lineages")
    first, second = (prepare(path, sets=sets, seed=seed, anytime=False) for path in (a, b))
    return contrast(first, second, generation="last" if generation is None else generation)


def _report(side: AuditReport | str | os.PathLike[str]) -> AuditReport | None:
    """The report that it is, or leads to; None for anything else."""
    if isinstance(side, AuditReport):
        return side
    path = Path(side)
    if path.is_file() and path.suffix == ".json":
        return read(path)
    held = path / "report.json"
    names = [] if not path.is_dir() else [entry.name for entry in path.iterdir()]
    lineage = any(name == "lineage.toml" or name.startswith(("gen_", "seed_", "reference.")) for name in names)
    return read(held) if held.is_file() and not lineage else None
