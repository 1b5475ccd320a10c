"""collapse-audit: an evaluation harness and pytest-style audit for model collapse.

::

    from collapse_audit import audit, compare, load_lineage, probe

    report = audit("runs/latest")
    report = audit(before=["…", "…"], after=["…", "…"])
    print(report.verdict, report.summary)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collapse_audit.version import __version__

if TYPE_CHECKING:
    from collapse_audit.api import audit
    from collapse_audit.comparison.compare import compare
    from collapse_audit.in_training.callback import CollapseAuditCallback
    from collapse_audit.lineages.disk.load import load_lineage
    from collapse_audit.probes.statistics.readings import Gate, NotMeasured
    from collapse_audit.probes.types import probe, text_probe

__all__ = [
    "CollapseAuditCallback",
    "Gate",
    "NotMeasured",
    "__version__",
    "audit",
    "compare",
    "load_lineage",
    "probe",
    "text_probe",
]

# Loaded on first use (PEP 562): every import of a submodule runs this file, and ``--help`` must stay fast.
_HOMES = {
    "audit": "collapse_audit.api",
    "compare": "collapse_audit.comparison.compare",
    "CollapseAuditCallback": "collapse_audit.in_training.callback",
    "load_lineage": "collapse_audit.lineages.disk.load",
    "Gate": "collapse_audit.probes.statistics.readings",
    "NotMeasured": "collapse_audit.probes.statistics.readings",
    "probe": "collapse_audit.probes.types",
    "text_probe": "collapse_audit.probes.types",
}


def __getattr__(name: str) -> Any:
    """Find a public name in its home module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names too, before they are first used."""
    return sorted({*globals(), *__all__})
