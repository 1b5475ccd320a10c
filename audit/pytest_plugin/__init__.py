"""The pytest plugin: inert and silent, unless ``pytest --collapse-audit LINEAGE`` asks for an audit.

pytest loads this file in every project where collapse-audit is installed, so it imports nothing but pytest. What an
audit needs is in ``pytest_session`` and its kin, which are imported and registered only with the option.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Generator

import pytest

_LINEAGE = """\
audit this lineage, one item for each probe and generation (may be given several times). Without positional arguments
only lineages are audited and testpaths are left alone; `pytest tests --collapse-audit LINEAGE` runs both. The fixtures
lineage, generation and baseline give tests of your own the measured values"""
_INCONCLUSIVE = "skip instead of fail where the text cannot tell (setting allow_inconclusive)"
_CHANGE = """\
fail, instead of pass with a warning, where one of these probes (none named: any) moved beyond its margin (setting
fail_on_change); write it with =, or last"""
_FIXTURES = frozenset({"lineage", "generation", "baseline"})
_WITHOUT = """\
the fixtures lineage, generation and baseline exist where an audit was asked for: pytest --collapse-audit LINEAGE
"""
_TREND = """\
fail, too, where damage grows along the generations and may have crossed a margin by the last of them (setting
gate_trend)"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options; everything else is a setting, in a file or in [tool.collapse-audit] of pyproject.toml."""
    group = parser.getgroup("collapse-audit", "collapse-audit (model collapse)")
    group.addoption(
        "--collapse-audit", dest="collapse_audit", action="append", default=[], metavar="LINEAGE", help=_LINEAGE
    )
    group.addoption(
        "--collapse-audit-config",
        dest="collapse_audit_config",
        metavar="FILE",
        help="a TOML file of settings, as --config of the collapse-audit command",
    )
    group.addoption(
        "--collapse-audit-probes",
        dest="collapse_audit_probes",
        action="append",
        default=[],
        metavar="FILE",
        help="a Python file with probes of yours, as --probes of the collapse-audit command",
    )
    group.addoption(
        "--collapse-audit-history",
        dest="collapse_audit_history",
        metavar="FILE",
        help="a file that what was found is appended to, as --history of the collapse-audit command",
    )
    allow = {"dest": "collapse_audit_allow_inconclusive", "action": "store_true", "default": None}
    group.addoption("--collapse-audit-allow-inconclusive", help=_INCONCLUSIVE, **allow)
    change = {"dest": "collapse_audit_fail_on_change", "nargs": "?", "const": "", "metavar": "PROBE,…"}
    group.addoption("--collapse-audit-fail-on-change", help=_CHANGE, **change)
    group.addoption(
        "--collapse-audit-gate-trend", dest="collapse_audit_gate_trend", action="store_true", default=None, help=_TREND
    )
    # A name that another plugin may have taken. That must not end every pytest run, so the long one stands beside it.
    with contextlib.suppress(ValueError, argparse.ArgumentError):
        group.addoption("--allow-inconclusive", help="short for --collapse-audit-allow-inconclusive", **allow)
    with contextlib.suppress(ValueError, argparse.ArgumentError):
        group.addoption("--fail-on-change", help="short for --collapse-audit-fail-on-change", **change)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a test wants one of our fixtures and no audit was asked for: what to pass."""
    report = yield
    error = None if call.excinfo is None else call.excinfo.value
    if type(error).__name__ == "FixtureLookupError" and getattr(error, "argname", None) in _FIXTURES:
        report.sections.append(("collapse-audit", _WITHOUT))
    return report


def pytest_configure(config: pytest.Config) -> None:
    """Register the audit, if there is one. A lineage that cannot be read is bad usage: exit code 4."""
    if not config.getoption("collapse_audit"):
        return
    from collapse_audit.pytest_plugin.session import register

    register(config)
