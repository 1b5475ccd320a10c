"""The same bytes of report.json on every kernel of OpenBLAS that this machine offers.

    python -m benchmarks.kernels [LINEAGE]

A kernel sums in its own order, so last digits differ; what a report stores must not. Audits LINEAGE (default: one that
is made up, with likelihoods) once for each kernel (``OPENBLAS_CORETYPE``), each in a process of its own, and compares
what is there beside seconds and environment. Ends with 1 where two kernels disagree. A kernel that the processor cannot
run ends its process and is named as such; one that OpenBLAS does not know is the default again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

KERNELS = ("", "Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX", "Cooperlake")
_SECONDS = 600


def make(folder: Path) -> None:
    """Two generations of 200 documents with labels and likelihoods; the second is poorer."""
    for index in range(2):
        draw = random.Random(index)
        words, weights = [f"w{k}" for k in range(300)], [1 / (k + 1) ** (1 + index / 5) for k in range(300)]
        lines = (
            {"text": " ".join(draw.choices(words, weights, k=20)), "label": str(k % 5), "nll": draw.gauss(3, 1) ** 2}
            for k in range(200)
        )
        (folder / f"gen_{index}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def stored(lineage: Path, kernel: str, out: Path) -> dict[str, Any] | str:
    """The report of an audit under one kernel, without seconds and environment; or how its process ended."""
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernel, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "collapse_audit", str(lineage), "--independent", "--report", str(out), "-q"]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=_SECONDS, check=False
    )
    if not (out / "report.json").is_file():
        return f"ended with {done.returncode}"
    report: dict[str, Any] = json.loads((out / "report.json").read_text("utf-8"))
    report.pop("environment")
    for finding in report["findings"]:
        finding.pop("seconds", None)
    names = (f"{one['probe']}/{one['statistic']} of {one['generation']}" for one in report["findings"])
    report["findings"] = dict(zip(names, report["findings"], strict=True))
    return report


def differing(one: Any, other: Any, at: str = "") -> list[str]:
    """Where two values of JSON differ, as paths with both values."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [each for key in one for each in differing(one[key], other[key], f"{at}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [each for k, pair in enumerate(zip(one, other, strict=True)) for each in differing(*pair, f"{at}[{k}]")]
    return [] if one == other else [f"{at}: {one!r} and {other!r}"]


def main(lineage: Path | None) -> int:
    """Audit under every kernel; 1 where two disagree."""
    with tempfile.TemporaryDirectory() as home:
        if lineage is None:
            lineage = Path(home) / "runs"
            lineage.mkdir()
            make(lineage)
        found = {kernel: stored(lineage, kernel, Path(home) / f"report_{kernel}") for kernel in KERNELS}
    first, wrong = found[""], 0
    for kernel, report in found.items():
        if isinstance(report, str):
            print(f"{kernel or 'default'}: {report}")
            wrong += not kernel
            continue
        differ = differing(first, report)
        wrong += bool(differ)
        print(f"{kernel or 'default'}: {len(differ)} values differ", *differ[:8], sep="\n  ")
    return int(wrong > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lineage", nargs="?", type=Path, help="a lineage (default: one that is made up)")
    raise SystemExit(main(parser.parse_args().lineage))
