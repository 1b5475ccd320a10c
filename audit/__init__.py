"""collapse-audit: an evaluation harness and pytest-style audit for model collapse.

::

    from collapse_audit import audit, load_lineage, probe

    report = audit("runs/latest")
    print(report.verdict, report.summary)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collapse_audit.api import audit
    from collapse_audit.lineages.lineage import load_lineage
    from collapse_audit.probes.types import Gate, NotMeasured, probe

__version__ = "0.1.0"
__all__ = ["Gate", "NotMeasured", "audit", "load_lineage", "probe"]

# Loaded on first use (PEP 562): every import of a submodule runs this file, and ``--help`` must stay fast.
_HOMES = {
    "audit": "collapse_audit.api",
    "load_lineage": "collapse_audit.lineages.lineage",
    "Gate": "collapse_audit.probes.types",
    "NotMeasured": "collapse_audit.probes.types",
    "probe": "collapse_audit.probes.types",
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
