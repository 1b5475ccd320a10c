"""Five corpora, all of whose documents are counted, audited by the workers of a Dask cluster: minutes and memory.

    python -m benchmarks.workers [--documents 1000000] [--words 40] [--workers 2 1] [--files 8] [--texts FOLDER]

For each number of workers a cluster of this machine (one thread a worker) and an audit of all generations against the
first; memory is what all processes hold together, looked at twice a second (Linux), at its most. The reports of all
runs must be equal but for seconds. The corpora take 1.3 GB; ``--texts`` keeps them for the next time. At most 10
minutes, 4 GB and 1.7 times as fast with two workers as with one are this project's targets; they hold while as many
cores are free, so the load of the machine is printed with each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import describe

GENERATIONS = 5
_PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Write the corpora, audit them with each number of workers, print; 1 where two reports differ."""
    options = _options()
    print(describe(("collapse-audit", "distributed", "numpy", "pyarrow")))
    reports, walls = [], {}
    with tempfile.TemporaryDirectory(prefix="collapse-audit-") as home:
        folder = options.texts or Path(home) / "runs"
        for k in range(GENERATIONS):
            if (folder / f"gen_{k}").is_dir():
                continue
            made = [sys.executable, "-m", "benchmarks.many_texts", str(folder / f"gen_{k}"), str(options.documents)]
            subprocess.run([*made, f"--words={options.words}", f"--files={options.files}", f"--seed={k}"], check=True)
        print(f"{GENERATIONS} x {options.documents:,} documents of {options.words} words written", flush=True)
        for workers in options.workers:
            out = Path(home) / f"report_{workers}"
            before, began = os.getloadavg()[0], time.monotonic()
            command = [sys.executable, "-m", "benchmarks.workers", "--one", str(folder), str(workers), str(out)]
            process = subprocess.Popen(command)
            most = 0
            while process.poll() is None:
                most = max(most, _resident(process.pid))
                time.sleep(0.5)
            walls[workers] = time.monotonic() - began
            if process.returncode:
                sys.exit(f"{workers} workers: ended with {process.returncode}")
            print(
                f"{workers} workers: {walls[workers] / 60:.2f} minutes, {most / 1e9:.2f} GB at most; load "
                f"{before:.1f} before, {os.getloadavg()[0]:.1f} after",
                flush=True,
            )
            reports.append(_stored(out))
    if {1, 2} <= walls.keys():
        print(f"two workers are {walls[1] / walls[2]:.2f} times as fast as one")
    same = all(report == reports[0] for report in reports)
    print(f"reports of {len(reports)} runs: {'equal' if same else 'DIFFERENT'}")
    return int(not same)


def one(folder: Path, workers: int, out: Path) -> None:
    """An audit by so many workers."""
    import distributed

    from collapse_audit import audit
    from collapse_audit.engines.on_dask import Dask, local_cluster
    from collapse_audit.reports.write import write_report

    with (
        local_cluster(workers) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
        Dask(client=client) as engine,
    ):
        report = audit(folder, engine=engine, independent=True)
    write_report(report, out)


def _resident(root: int) -> int:
    """Bytes that a process and all that descend from it hold in memory; shared pages count in each."""
    parents, held = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text("ascii", "replace").rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        parents[int(status.parent.name)], held[int(status.parent.name)] = int(fields[1]), int(fields[21]) * _PAGE
    family = {root}
    while more := {process for process, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(held.get(process, 0) for process in family)


def _stored(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    report.pop("environment", None)
    for finding in report["findings"]:
        finding.pop("seconds", None)
    return report


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000, help="documents a corpus")
    parser.add_argument("--words", type=int, default=40, help="words a document, on average")
    parser.add_argument("--files", type=int, default=8, help="files a corpus")
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 1], metavar="N")
    parser.add_argument("--texts", type=Path, help="where the corpora lie, or are put and left")
    options = parser.parse_args()
    if min(options.documents, options.words, options.files, *options.workers) < 1:
        parser.error("every number: at least 1")
    return options


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    else:
        raise SystemExit(main())
