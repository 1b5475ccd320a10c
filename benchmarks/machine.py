"""The machine that a benchmark ran on, in a few lines: figures without it mean nothing."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("collapse-audit", "numpy", "scipy", "pyarrow")


def describe(packages: Iterable[str] = PACKAGES) -> str:
    """When, on what and with which versions; how busy the machine is just now."""
    now = dt.datetime.now(dt.UTC)
    lines = [
        f"{now:%Y-%m-%d %H:%M} UTC, {_processor()}, {os.cpu_count()} cores, {_memory()}",
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {_version(name)}" for name in packages),
    ]
    if hasattr(os, "getloadavg"):
        lines.append(f"load average of the last minute: {os.getloadavg()[0]:.1f} (below 0.3 the machine is quiet)")
    return "\n".join(lines)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
