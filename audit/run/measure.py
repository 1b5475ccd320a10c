"""One probe on one pair: its readings, or what went wrong, so that one defect is one finding."""

from __future__ import annotations

import dataclasses
import traceback
from pathlib import Path

from collapse_audit.errors import CollapseAuditError, UsageError
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.readings import Estimate, NotMeasured, Reading
from collapse_audit.probes.types import Probe
from collapse_audit.reports.plain import plain


def measured_by(probe: Probe, pair: Pair, missing: NotMeasured | None) -> tuple[Reading | str, ...]:
    """A reading for each gate of ``probe``, or the error in words; ``missing``: why there is nothing to measure."""
    if missing is not None:
        return tuple(dataclasses.replace(missing, statistic=gate.statistic) for gate in probe.gates)
    try:
        readings = probe(pair)
        for reading in readings:
            if isinstance(reading, Estimate):
                plain([reading.raw, reading.evidence], "raw and evidence")  # refuses what no report can hold
    except UsageError:
        raise  # what the user can set otherwise, such as a rule that makes a label of every text
    except CollapseAuditError as error:
        return (str(error),) * len(probe.gates)
    except (Exception, SystemExit) as error:
        # One probe's defect is its own finding, and the others still count.
        return (f"{type(error).__name__}: {error} ({_place(probe, error)})",) * len(probe.gates)
    return readings


def _place(probe: Probe, error: BaseException) -> str:
    """Where the error came from: the last line of the probe's own file, or else the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(getattr(probe.measure, "__code__", None), "co_filename", None)
    frame = next((frame for frame in reversed(frames) if frame.filename == own), frames[-1])
    return f"{Path(frame.filename).name}, line {frame.lineno}"
