"""A pytest session that audits lineages: what it collects, what its audits come to, and what is said at the end."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from collapse_audit.api import names, prepare
from collapse_audit.errors import CollapseAuditError
from collapse_audit.lineages.files.problems import printable
from collapse_audit.pytest_plugin import fixtures as pytest_fixtures
from collapse_audit.pytest_plugin.fixtures import LINEAGES, Audit, AuditedLineage
from collapse_audit.pytest_plugin.items import Check, Lineage
from collapse_audit.settings.keyword import names_in
from collapse_audit.verdicts.exit_codes import ExitCode

_WORKER_OUTPUT = "collapse-audit"


def register(config: pytest.Config) -> None:
    """Find the lineages, plan their audits, and register what runs them. Raises pytest.UsageError."""
    option = config.option
    try:
        prepared = [
            prepare(
                path,
                probe_files=option.collapse_audit_probes,
                config_file=option.collapse_audit_config,
                allow_inconclusive=option.collapse_audit_allow_inconclusive,
                fail_on_change=_names(option.collapse_audit_fail_on_change),
                gate_trend=option.collapse_audit_gate_trend,
            )
            for path in option.collapse_audit
        ]
    except CollapseAuditError as error:
        raise pytest.UsageError(str(error)) from None
    asked_for = names_in(option.keyword)
    lineages = tuple(
        AuditedLineage(name, replace(job, asked_for=asked_for), option.collapse_audit_history)
        for name, job in zip(names(prepared), prepared, strict=True)
    )
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args = []  # nobody asked for the project's own tests
    config.stash[LINEAGES] = lineages
    config.pluginmanager.register(_fixtures(config), "collapse-audit-fixtures")
    config.pluginmanager.register(Session(config, lineages), "collapse-audit-session")


def _names(option: str | None) -> list[str] | bool | None:
    """What ``--fail-on-change`` says: nothing, all probes, or names between commas."""
    if option is None:
        return None
    return [name.strip() for name in option.split(",") if name.strip()] or True


def _fixtures(config: pytest.Config) -> ModuleType:
    """Our fixtures, less what a plugin calls the same; conftest.py files and test modules win without our help."""
    plugins = [plugin for name, plugin in config.pluginmanager.list_name_plugin() if not name.endswith("conftest.py")]
    module = ModuleType(pytest_fixtures.__name__)
    for name, value in vars(pytest_fixtures).items():
        if name not in pytest_fixtures.NAMES or not any(hasattr(plugin, name) for plugin in plugins):
            setattr(module, name, value)
    return module


class Session:
    """The hooks of a session that audits ``lineages``."""

    def __init__(self, config: pytest.Config, lineages: tuple[AuditedLineage, ...]) -> None:
        self.config = config
        self.lineages = lineages
        self.said: dict[str, tuple[str, int]] = {}
        """Name of a lineage -> the last line of its audit, and the exit code that this line stands for."""

    @pytest.hookimpl(tryfirst=True)  # before -k, --deselect and their like look at the items
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the items of all lineages behind the project's own."""
        for lineage in self.lineages:
            node = Lineage.from_parent(session, name=lineage.name, nodeid=lineage.name, lineage=lineage)
            items.extend(session.genitems(node))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Audit what has been selected, and no more."""
        for lineage in self.lineages:
            items = [item for item in session.items if isinstance(item, Check) and item.lineage is lineage]
            lineage.select({(item.comparison.name, item.probe.name) for item in items})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A skipped item is skipped where its lineage lies, not in a file of ours."""
        report = yield
        if isinstance(item, Check) and report.skipped and isinstance(report.longrepr, tuple):
            report.longrepr = (str(item.path), 1, report.longrepr[2])
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Never let a session end well that could not read a lineage, or measured nothing of it."""
        for lineage in self.lineages:
            if lineage.selected.started:
                self.said[lineage.name] = _last_line(lineage.selected)
            elif lineage.whole.error is not None:  # only fixtures asked for it
                self.said[lineage.name] = _last_line(lineage.whole)
        if hasattr(self.config, "workeroutput"):  # a worker of pytest-xdist: its controller decides
            self.config.workeroutput[_WORKER_OUTPUT] = self.said
            return
        codes = {code for _, code in self.said.values()}
        if ExitCode.USAGE in codes and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif ExitCode.NOTHING_MEASURED in codes and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist is done: take over what its audits came to."""
        self.said |= getattr(node, "workeroutput", {}).get(_WORKER_OUTPUT, {})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The last line of every audit, as the command line prints it."""
        if not self.said:
            return
        terminalreporter.ensure_newline()
        terminalreporter.section("collapse-audit")
        for name, (line, code) in sorted(self.said.items()):
            if len(self.lineages) > 1:
                terminalreporter.write_line(name)
            terminalreporter.write_line(line, red=code == ExitCode.COLLAPSE, green=code == ExitCode.PASS)


def _last_line(audit: Audit) -> tuple[str, int]:
    try:
        report = audit.report()
    except CollapseAuditError as error:
        return f"error: {str(error).splitlines()[0]}", int(error.exit_code)
    except Exception as error:  # a defect of ours; its traceback stands with the first item
        return printable(f"error: {type(error).__name__}: {error}"), int(ExitCode.INTERNAL_ERROR)
    return printable(report.summary), report.exit_code
