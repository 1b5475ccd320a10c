"""What one command costs in a process of its own: wall-clock and processor seconds, and peak resident memory.

Whoever imports this to measure must stay small: on Linux a child's peak memory starts at that of the process that
started it. So nothing here, and nothing that is imported before a measurement, needs more than the standard library.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

JUDGED = (0, 1, 6)
"""Exit codes of an audit that reached a verdict: pass, collapse, inconclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One run of one command."""

    wall: float
    """Seconds from start to end."""
    cpu: float
    """Processor seconds, user and system, of all its threads."""
    peak: float
    """Largest resident memory, MiB."""
    others: float | None
    """Cores that other work kept busy meanwhile, on average; None where /proc/stat does not tell."""
    output: str
    """Standard output and standard error."""


def cost(command: Sequence[str], *, accept: Collection[int] = (0,)) -> Cost:
    """Run ``command`` to its end and measure it. Ends the benchmark if its exit code is not one of ``accept``."""
    with tempfile.TemporaryFile() as output:
        busy, start = _busy(), time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        now_busy = _busy()
        process.returncode = os.waitstatus_to_exitcode(status)  # Popen must not wait for it again
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    if process.returncode not in accept:
        sys.exit(f"{said}\nended with {process.returncode}, so there is nothing to measure: {' '.join(command)}")
    cpu = used.ru_utime + used.ru_stime
    return Cost(
        wall=wall,
        cpu=cpu,
        peak=used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10),  # bytes there, KiB elsewhere
        others=None if busy is None or now_busy is None else max(0.0, (now_busy - busy - cpu) / wall),
        output=said,
    )


def middle(costs: Sequence[Cost]) -> int:
    """Which run has the median wall-clock time (the lower one of two): its figures belong together."""
    return sorted(range(len(costs)), key=lambda run: costs[run].wall)[(len(costs) - 1) // 2]


def _busy() -> float | None:
    """Processor seconds that the machine has spent on anything since it started."""
    try:
        fields = Path("/proc/stat").read_text("ascii").splitlines()[0].split()
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq = (int(field) for field in fields[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
