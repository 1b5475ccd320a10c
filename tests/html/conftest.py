"""Reports to show, and a browser to show them in."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import collapse_audit
from collapse_audit.reports.document import AuditReport

sys.path.append(str(Path(__file__).parents[1] / "reports"))  # examples.py, the reports made up by hand

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

LINEAGE = Path(__file__).parents[2] / "lineages" / "mistral_recursive"


def _missing(what: str) -> None:
    """No browser, no browser test; where one is promised, that is a failure."""
    if os.environ.get("COLLAPSE_AUDIT_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{what}, and COLLAPSE_AUDIT_REQUIRE_BROWSER=1 promises one")
    pytest.skip(what)


@pytest.fixture(scope="session")
def axe() -> Any:
    """The accessibility checker, to be run on a tab."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        _missing("axe-playwright-python is not installed")
    return Axe()


@pytest.fixture(scope="session")
def committed() -> AuditReport:
    """A committed lineage of 5 generations and 3 seeds, audited with all its evidence."""
    return collapse_audit.audit(LINEAGE, evidence="texts")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium of this machine's."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        _missing(f"none of {', '.join(BROWSERS)} is installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=flags)
        yield started
        started.close()
