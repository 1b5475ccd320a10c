"""pyarrow without pandas: a quarter of a second less for a command that has no frame to read.

pyarrow imports pandas, where it is installed, with the first array that it makes of Python's objects, to be ready for a
Series among them. A command reads files; only a probe of the user's own may hold a frame.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder


class _NoPandas(MetaPathFinder):
    """Says of pandas that it is not installed, and nothing of anything else."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> None:  # noqa: ARG002
        if fullname == "pandas":
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def do_without_pandas() -> None:
    """Let pyarrow look for pandas now, and not find it; whoever imports pandas afterwards gets it as always."""
    if "pandas" in sys.modules:
        return
    absent = _NoPandas()
    sys.meta_path.insert(0, absent)
    try:
        import pyarrow as pa

        pa.array([])
    finally:
        sys.meta_path.remove(absent)
