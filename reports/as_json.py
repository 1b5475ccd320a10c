"""``report.json``: the whole report, strict and byte for byte repeatable."""

from __future__ import annotations

import json

from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.plain import to_dict


def render(report: AuditReport) -> str:
    """``report`` as JSON that ``report.schema.json`` accepts: sorted keys, ASCII only, no NaN, no null.

    ASCII because a report quotes untrusted text: escaped, it cannot steer a terminal that shows the file.
    Raises ProbeError, naming the finding, for a number that is not finite.
    """
    return json.dumps(to_dict(report), allow_nan=False, ensure_ascii=True, indent=2, sort_keys=True) + "\n"
