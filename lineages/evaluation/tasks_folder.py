"""Where the task files of this package are; lm-eval takes the folder as ``--include_path``."""

from __future__ import annotations

from pathlib import Path

TASKS = Path(__file__).with_name("tasks")
