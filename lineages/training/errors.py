"""What stops a training that a person can act on. Whatever was finished before stays finished."""

from __future__ import annotations

from collapse_audit.errors import CollapseAuditError


class TrainingError(CollapseAuditError):
    """The base, the data, the machine or the model that came out is not what a lineage can be made of."""

    exit_code = 4
    slug = "training"
