"""Processor time of an audit by stage and by function, sampled in the process that audits.

    python -m benchmarks.sampled OUT.json [ARGUMENT…]      as collapse-audit ARGUMENT…

Every 5 ms of processor time (``SIGPROF``; not on Windows) the time since the last look is put down to where the process
stands. A long call into a library is looked at when it returns, and gets all of its time. What all threads spend is
counted. ``OUT.json`` holds seconds by stage and by function of ours, and in all.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY = 0.005
PACKAGE = "collapse_audit."
_STAGES = {
    "importlib._bootstrap": "imports",
    "lineages.files": "digests",
    "lineages.corpora": "reading",
    "probes.text.tokens": "tokenizing",
    "probes.text.census": "counting all documents",
    "probes.text.draw": "drawing documents",
    "probes.statistics.relabelling": "relabelling",
    "reports": "writing reports",
}
"""Stages by the modules that they lie in, the innermost first; a module of ``probes`` itself is a stage of its own."""


def stage(names: list[str]) -> str:
    """The stage of a stack of modules, the innermost first."""
    for name in names:
        inside = name.removeprefix(PACKAGE)
        for prefix, called in _STAGES.items():
            if inside == prefix or inside.startswith(f"{prefix}."):
                return called
        folder, _, module = inside.partition(".")
        if folder == "probes" and module and "." not in module and module not in ("types", "registry"):
            return f"probe {module.replace('_', '-')}"
    return "the rest"


class Sampler:
    """Processor seconds so far, by stage and by function."""

    def __init__(self) -> None:
        self.stages: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self._last = time.process_time()
        self.stages["start of Python"] = self._last

    def look(self, _signal: int, frame: FrameType | None) -> None:
        """Put the time since the last look down to ``frame``."""
        now = time.process_time()
        names, function = [], ""
        while frame is not None:
            name = str(frame.f_globals.get("__name__", ""))
            names.append(name)
            if not function and name.startswith(PACKAGE):
                function = f"{name.removeprefix(PACKAGE)}.{frame.f_code.co_name}"
            frame = frame.f_back
        self.stages[stage(names)] += now - self._last
        self.functions[function] += now - self._last
        self._last = now


def main(out: Path, arguments: list[str]) -> int:
    """Audit, and write down where the time went; the exit code is the audit's."""
    sampler = Sampler()
    signal.signal(signal.SIGPROF, sampler.look)
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
    from collapse_audit.cli import main as audit

    try:
        code = int(audit(arguments) or 0)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 3
    signal.setitimer(signal.ITIMER_PROF, 0)
    sampler.look(0, None)
    found = {"stages": sampler.stages, "functions": sampler.functions, "cpu": time.process_time(), "code": code}
    out.write_text(json.dumps(found), "utf-8")
    return code


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
