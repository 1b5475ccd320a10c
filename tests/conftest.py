"""Options of our own tests."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--reduced``: a tenth of the repetitions of the calibration suite, with limits as strict for their number."""
    parser.addoption("--reduced", action="store_true", help="a tenth of the calibration suite's repetitions")
