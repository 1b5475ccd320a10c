"""The training stack is an extra: what to say where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

from collapse_audit.errors import UsageError

_NEEDED = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "gguf", "filelock")


def require_training_stack() -> None:
    """Raises UsageError that names what is not installed and how to get it."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        message = f"training needs {', '.join(missing)}: pip install 'collapse-audit[train]'"
        raise UsageError(message, slug="no-training-stack")
