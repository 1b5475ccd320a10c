"""Options of our own tests."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

# A gate must say the same of the same commit, so examples are drawn by the test, not by the clock; how long one takes
# depends on what else the machine does. To look for new ones: pytest --hypothesis-profile=explore
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("gate")

pytest_plugins = ["pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--reduced``: a tenth of the repetitions of the calibration suite, with limits as strict for their number."""
    parser.addoption("--reduced", action="store_true", help="a tenth of the calibration suite's repetitions")


def pytest_configure(config: pytest.Config) -> None:
    """One list of fonts for all processes that the tests start: each would make its own in the home it is given."""
    if "MPLCONFIGDIR" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="collapse-audit-tests-", ignore_cleanup_errors=True)
        config.add_cleanup(folder.cleanup)
        os.environ["MPLCONFIGDIR"] = folder.name  # xdist's workers inherit it


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected lives as long as the tests do, so the garbage collector need not visit it.

    The trainer collects garbage after each generation, and with six thousand tests and torch in memory each visit of
    all objects takes as long as training a toy.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests that share what takes long to make run in one process: those of a file, and all of the trainer's.

    A page of the docs shares nothing and takes long, so each is dealt out by itself; being alone they come last, which
    keeps every process busy to the end.
    """
    if config.getvalue("dist") != "load":
        return None  # the user chose
    from xdist.scheduler import LoadScopeScheduling

    class BySharedWork(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file.endswith("test_docs_blocks.py"):
                return nodeid
            return "trainer" if "tests/training/" in file else file

    return BySharedWork(config, log)
