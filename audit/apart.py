"""Native libraries on what strangers wrote: in a process of their own, with limits on memory and time.

A library in C or Rust may panic, be killed by the system or never end on a file that was made for it; whatever it does
in a process of its own is one exception here. The process gets bytes and gives bytes back; nothing is pickled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_SHOWN = 300
"""Characters of a dead process's last words that are kept."""


class Died(Exception):  # noqa: N818 - it is caught and worded, never shown as it is
    """The process did not end well; ``str`` of it says how, in a few words."""


def run_apart(script: Path, arguments: Sequence[str], data: bytes, *, memory: int, seconds: float) -> bytes:
    """What ``script`` writes to its standard output when ``data`` is its standard input.

    The script runs isolated (``python -I``) in the root folder, so that nothing in the working directory is imported.
    Its first argument is JSON: the ``path`` to import from and the ``memory`` (bytes of address space) that it must
    limit itself to before it reads anything; ``arguments`` follow. ``seconds`` are of wall-clock time. Raises Died.
    """
    home = os.path.realpath(Path.cwd()) if _here() else ""
    path = [entry for entry in sys.path if entry and os.path.realpath(entry) != home]
    command = [sys.executable, "-I", str(script), json.dumps({"path": path, "memory": memory}), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=seconds, cwd=os.sep, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise Died(f"it had not ended after {seconds:.0f} seconds") from None
    if done.returncode != 0:
        raise Died(_last_words(done.returncode, done.stderr, memory))
    return done.stdout


def _here() -> bool:
    """Whether there is a working directory at all."""
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _last_words(code: int, stderr: bytes, memory: int) -> str:
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if not line.startswith("note:")), "")
    if "MemoryError" in said or "memory allocation" in said or "bad_alloc" in stderr.decode("utf-8", "replace"):
        return f"it needed more than {memory / 2**30:.1f} GiB of memory"
    if code < 0:
        name = signal.Signals(-code).name if -code in [*map(int, signal.Signals)] else f"signal {-code}"
        return f"it was ended by {name}" + (f": {said[:_SHOWN]}" if said else "")
    return said[:_SHOWN] or f"it ended with code {code}"
