"""Quiet around the libraries of models, which say much at import that concerns nobody."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hushed() -> Iterator[None]:
    """The libraries' banners and notices stay off the user's terminal; errors still come through."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("bitsandbytes", "transformers", "peft", "accelerate", "torch"):
            logging.getLogger(name).setLevel(logging.ERROR)
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from transformers.utils import logging as transformers_logging

        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        yield
