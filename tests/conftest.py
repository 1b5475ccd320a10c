"""Options of our own tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # how long an example takes depends on what else the machine does
settings.load_profile("untimed")

pytest_plugins = ["pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--reduced``: a tenth of the repetitions of the calibration suite, with limits as strict for their number."""
    parser.addoption("--reduced", action="store_true", help="a tenth of the calibration suite's repetitions")
