"""``collapse-audit``: arguments in, calls out, an exit code back."""

from __future__ import annotations

import difflib
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse_audit.commands.console import Parser, exit_with, status, stderr, stdout, visible, write
from collapse_audit.commands.github_runner import guarded, inert
from collapse_audit.commands.run_parser import run_parser
from collapse_audit.commands.suggestions import with_commands
from collapse_audit.errors import CollapseAuditError, UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

if TYPE_CHECKING:
    from collapse_audit.api import Prepared
    from collapse_audit.engines.engine import Engine
    from collapse_audit.reports.document import AuditReport
    from collapse_audit.verdicts.history import OpenHistory

_COMMANDS = ("run", "list", "explain", "compare", "calibrate", "render", "new-probe", "completion")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``collapse-audit``."""
    return exit_with(_main, argv, prog="collapse-audit")


def _main(argv: Sequence[str]) -> int:
    if argv and argv[0] in _COMMANDS:
        command, rest = argv[0], argv[1:]
    else:
        command, rest = "run", argv
    commands = {
        "run": _run,
        "list": _list,
        "explain": _explain,
        "compare": _compare,
        "calibrate": _calibrate,
        "render": _render,
        "new-probe": _new_probe,
        "completion": _completion,
    }
    return commands[command](rest)


def _run(argv: Sequence[str]) -> int:
    parser = run_parser()
    if not argv:
        parser.print_help()
        return ExitCode.USAGE
    options = parser.parse_args(argv)
    if len(options.lineages) in (1, 2) and not options.data and not Path(options.lineages[0]).exists():
        meant = difflib.get_close_matches(options.lineages[0], _COMMANDS, n=1, cutoff=0.7)
        if meant:
            raise UsageError(f"{options.lineages[0]}: no such file, folder or command; did you mean {meant[0]}?")
    try:
        return _judge(options)
    except CollapseAuditError as error:
        message = with_commands(error, argv)
        if options.github_annotations:
            from collapse_audit.lineages.files.urls import redacted
            from collapse_audit.reports import as_annotations

            write(as_annotations.refusal(visible(redacted(str(message)))))
        raise message from error


def _judge(options: Namespace) -> int:
    """What ``run`` was asked for, once its arguments are known."""
    from collapse_audit.commands.arrow import do_without_pandas
    from collapse_audit.engines.engine import engine_of
    from collapse_audit.lineages.files.remote import fetching

    if not options.probes:  # whose code may be given frames
        do_without_pandas()
    with fetching(), engine_of(options.engine) as engine:
        return _judged(options, engine)


def _judged(options: Namespace, engine: Engine) -> int:
    from collapse_audit.commands.sources import of_data, sources

    with _fetching(options):
        if of_data(options):
            prepared = [_prepare_data(options, engine)]
        else:
            named = sources(options.lineages, options.generations)
            prepared = [_prepare(options, source, engine) for source in named]
    several = len(prepared)
    if options.collect_only:
        return _collect_only(prepared)
    _check_writable(options)
    # First all audits, then all reports, then what is shown: a lineage that turns out to be unreadable leaves nothing
    # behind, and a verdict is on the last line only if everything that was asked for has been done.
    reports: list[AuditReport] = []
    with _history(options) as history:
        for job in prepared:
            reports.append(_audited(job, options, history, engine))
            if options.exitfirst and reports[-1].exit_code == ExitCode.COLLAPSE:
                break
    prepared = prepared[: len(reports)]
    _write(reports, prepared, options)
    _log(reports, prepared, options)
    if options.github_annotations:
        _annotate(reports)
    for report in reports:
        _show(report, options)
    code = _exit_code([report.exit_code for report in reports])
    if several > 1:
        together = _together(reports, several, code)
        write(inert(together) if options.github_annotations else together)
    return code


def _fetching(options: Namespace) -> AbstractContextManager[object]:
    """Says that files elsewhere are read for their digests, where there are any: that may take a while."""
    from collapse_audit.lineages.files.urls import is_url

    named = [*options.lineages, *options.generations, options.baseline, options.data, options.reference]
    elsewhere = any(is_url(name) for name in named if name)
    return status("fetching, for digests") if elsewhere and not options.no_progress else nullcontext()


def _together(reports: Sequence[AuditReport], lineages: int, code: int) -> str:
    """The last line for several lineages: it says what the exit code says."""
    verdicts = [report.verdict.value for report in reports]
    counted = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    left = f", {lineages - len(reports)} not audited (-x)" if len(reports) < lineages else ""
    return f"{lineages} lineages: {counted}{left} [exit {int(code)}]\n"


def _check_writable(options: Namespace) -> None:
    """Say before the audit, not after it, that its report has nowhere to go."""
    if options.report and Path(options.report).exists() and not Path(options.report).is_dir():
        raise UsageError(f"--report {options.report}: is a file; a folder is needed there")
    if options.junitxml and (Path(options.junitxml).is_dir() or not Path(options.junitxml).absolute().parent.is_dir()):
        raise UsageError(f"--junitxml {options.junitxml}: a file in an existing folder is needed")
    if options.log_to:
        from collapse_audit.commands.trackers import require

        require(options.log_to)


def _prepare(options: Namespace, source: str | list[str], engine: Engine) -> Prepared:
    from collapse_audit.api import prepare

    return prepare(
        source if isinstance(source, str) else None,
        generations=None if isinstance(source, str) else source,
        generation=options.generation,
        baseline=options.baseline,
        labels=options.labels,
        embed=options.embed,
        independent=options.independent,
        gate_trend=options.gate_trend,
        engine=engine,
        **_common(options),
    )


def _prepare_data(options: Namespace, engine: Engine) -> Prepared:
    from collapse_audit.api import prepare_data
    from collapse_audit.run.data_plan import DataFiles

    files = DataFiles(
        data=options.data, reference=options.reference, evaluation=options.evaluation, labelled=options.labelled
    )
    return prepare_data(files, phrases=options.phrases, engine=engine, **_common(options))


def _common(options: Namespace) -> dict[str, Any]:
    """What is said of a lineage and of training data alike."""
    from collapse_audit.lineages.corpora.readers.fields import FIELDS

    return {
        "probe_files": options.probes,
        "select": options.select,
        **{name: getattr(options, name) for name in FIELDS},
        "solved_at": options.solved_at,
        "documents": options.documents,
        "config_file": options.config,
        "sets": options.sets,
        "tokens": options.tokens,
        "seed": options.seed,
        "allow_inconclusive": options.allow_inconclusive,
        "fail_on_change": options.fail_on_change or (None if options.fail_on_change is None else True),
        "unit": options.unit,
        "evidence": options.evidence,
        "anytime": options.anytime,
        "margins": options.margins,
    }


def _history(options: Namespace) -> AbstractContextManager[OpenHistory | None]:
    """The history, held while all lineages are audited: what they add is written once all of them could be read."""
    if options.history is None:
        return nullcontext()
    from collapse_audit.verdicts.history import open_history

    return open_history(Path(options.history))


def _audited(prepared: Prepared, options: Namespace, history: OpenHistory | None, engine: Engine) -> AuditReport:
    if options.quiet or options.no_progress:
        return prepared.run(history=history, stop_at_first=options.exitfirst, engine=engine)
    with status("collapse-audit") as progress:
        return prepared.run(history=history, stop_at_first=options.exitfirst, progress=progress, engine=engine)


def _show(report: AuditReport, options: Namespace) -> None:
    from collapse_audit.reports import as_text

    console = stdout()
    verbosity = options.verbose - options.quiet
    text = as_text.render(
        report, width=console.width, color=console.is_terminal and not console.no_color, verbosity=verbosity
    )
    if options.durations is not None:
        slowest = sorted(report.findings, key=lambda finding: -(finding.seconds or 0.0))
        lines = [
            f"{finding.seconds or 0.0:7.2f} s  generation {finding.generation}  {finding.probe}/{finding.statistic}"
            for finding in slowest[: options.durations or None]
        ]
        body, _, last = text.rstrip("\n").rpartition("\n")
        text = "\n".join((body, "slowest findings", *lines, last, ""))
    write(guarded(text) if options.github_annotations else text)


def _annotate(reports: Sequence[AuditReport]) -> None:
    from collapse_audit.reports import as_annotations

    write(as_annotations.render_all(reports))


def _write(reports: Sequence[AuditReport], prepared: Sequence[Prepared], options: Namespace) -> None:
    """The report folder (with several lineages a folder each inside it) and the JUnit file, where they are wanted."""
    if options.report:
        from collapse_audit.api import names
        from collapse_audit.reports.write import write_report
        from collapse_audit.verdicts.history import read_history

        past = read_history(Path(options.history)).entries if options.history else ()
        several = len(reports) > 1
        for report, name in zip(reports, names(prepared), strict=True):
            write_report(report, Path(options.report, name) if several else Path(options.report), past=past)
    if options.junitxml:
        from collapse_audit.reports import as_junit
        from collapse_audit.reports.write import write_file

        write_file(Path(options.junitxml), as_junit.render_all(reports))


def _log(reports: Sequence[AuditReport], prepared: Sequence[Prepared], options: Namespace) -> None:
    """The same reports, as runs of the trackers that are asked for."""
    if not options.log_to:
        return
    from collapse_audit.api import names
    from collapse_audit.commands.trackers import log_report

    for report, name in zip(reports, names(prepared), strict=True):
        folder = Path(options.report, name if len(reports) > 1 else "") if options.report else None
        for tracker in options.log_to:
            try:
                log_report(report, tracker, folder=folder)
            except CollapseAuditError as failed:  # a tracker that is down changes no verdict
                message = inert(str(failed)) if options.github_annotations else str(failed)
                stderr().print(f"collapse-audit: warning: {message}")


def _exit_code(codes: Sequence[int]) -> int:
    """Of several lineages: the first of collapse, error, inconclusive, nothing measured, changed, pass that occurs."""
    order = (
        ExitCode.COLLAPSE,
        ExitCode.INTERNAL_ERROR,
        ExitCode.INCONCLUSIVE,
        ExitCode.NOTHING_MEASURED,
        ExitCode.CHANGED,
        ExitCode.PASS,
    )
    return next(code for code in order if code in codes)


def _collect_only(prepared: Sequence[Prepared]) -> int:
    from collapse_audit.api import names
    from collapse_audit.run.plan import id_part

    checks: list[str] = []
    context: list[str] = []
    for job, name in zip(prepared, names(prepared), strict=True):
        for comparison in job.plan.comparisons:
            lines = [f"{name}::{comparison.name}::{id_part(probe.name)}" for probe in comparison.probes]
            (checks if comparison.gating else context).extend(lines)
    total = f"{len(checks)} checks collected" + (f", {len(context)} more as context" if context else "")
    write("".join(f"{line}\n" for line in (*checks, *(f"{line} (context)" for line in context), total)))
    return ExitCode.PASS if checks else ExitCode.NOTHING_MEASURED


def _new_probe(argv: Sequence[str]) -> int:
    from collapse_audit.commands.new_probe import new_probe

    return new_probe(argv)


def _list_parser() -> Parser:
    parser = Parser(prog="collapse-audit list", description="List the probes.", allow_abbrev=False)
    _add_probe_files(parser)
    return parser


def _add_probe_files(parser: Parser) -> None:
    text = "a Python file with probes of yours"
    parser.add_argument("--probes", action="append", default=[], metavar="FILE", help=text)


def _list(argv: Sequence[str]) -> int:
    options = _list_parser().parse_args(argv)
    from collapse_audit.commands.explain import overview
    from collapse_audit.probes.registry import DATA, NUMERIC, all_probes

    console = stdout()
    with console.capture() as captured:
        console.print(overview((*all_probes(Path(file) for file in options.probes), *NUMERIC, *DATA)))
    write(captured.get())
    return ExitCode.PASS


def _explain_parser() -> Parser:
    text = "Explain a probe, an error, or settings."
    parser = Parser(prog="collapse-audit explain", description=text, allow_abbrev=False)
    parser.add_argument("probe", metavar="PROBE", help="name or code of a probe, slug of an error, or settings")
    _add_probe_files(parser)
    return parser


def _explain(argv: Sequence[str]) -> int:
    options = _explain_parser().parse_args(argv)
    from collapse_audit.commands.explain import page
    from collapse_audit.commands.messages import message
    from collapse_audit.probes.registry import DATA, NUMERIC, all_probes, find
    from collapse_audit.settings.schema import EDITOR_SCHEMA

    known = (*all_probes(Path(file) for file in options.probes), *NUMERIC, *DATA)
    if options.probe in {probe.name for probe in known}:
        write(page(find(options.probe, known)))
    elif options.probe == "settings":
        write(EDITOR_SCHEMA.read_text("utf-8"))
    else:
        write(message(options.probe) or page(find(options.probe, known)))
    return ExitCode.PASS


def _completion(argv: Sequence[str]) -> int:
    from collapse_audit.commands.calibrate import calibrate_parser
    from collapse_audit.commands.compare import compare_parser
    from collapse_audit.commands.completion import completion
    from collapse_audit.commands.new_probe import new_probe_parser
    from collapse_audit.commands.render import render_parser

    commands = {
        "run": run_parser(),
        "list": _list_parser(),
        "explain": _explain_parser(),
        "compare": compare_parser(),
        "calibrate": calibrate_parser(),
        "render": render_parser(),
        "new-probe": new_probe_parser(),
    }
    return completion(argv, run_parser(), commands)


def _compare(argv: Sequence[str]) -> int:
    from collapse_audit.commands.compare import compare

    return compare(argv)


def _render(argv: Sequence[str]) -> int:
    from collapse_audit.commands.render import render

    return render(argv)


def _calibrate(argv: Sequence[str]) -> int:
    from collapse_audit.commands.calibrate import calibrate

    return calibrate(argv)


if __name__ == "__main__":
    sys.exit(main())
