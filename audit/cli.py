"""``collapse-audit``: arguments in, calls out, an exit code back."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from collapse_audit.commands.console import Parser, exit_with, stderr, stdout, write
from collapse_audit.commands.github_runner import guarded, inert
from collapse_audit.commands.suggestions import with_commands
from collapse_audit.errors import CollapseAuditError, UsageError
from collapse_audit.verdicts.exit_codes import ExitCode
from collapse_audit.version import __version__

if TYPE_CHECKING:
    from collapse_audit.api import Prepared
    from collapse_audit.reports.document import AuditReport
    from collapse_audit.verdicts.history import OpenHistory

_COMMANDS = ("run", "list", "explain", "compare", "calibrate", "render", "new-probe")
_EPILOG = """\
commands:
  collapse-audit [run] LINEAGE…     audit lineages (run is the default)
  collapse-audit BEFORE AFTER       the same for two files, or folders, of texts
  collapse-audit list               the probes, their statistics and margins
  collapse-audit explain PROBE      what a probe asks, how, and when it misleads
  collapse-audit compare A B        two reports, or two lineages: what is worse, and by how much
  collapse-audit calibrate LINEAGE  false alarms, power and margins on text of yours
  collapse-audit new-probe NAME     a probe of yours, to begin with
  collapse-audit render REPORT      a stored report as a page, Markdown, JUnit XML or text

exit codes:
  0 every probe passed    1 collapse    2 interrupted    3 internal error
  4 bad usage or input    5 nothing was measured         6 inconclusive
  7 changed, with --fail-on-change (else 0, with a warning: moved, and nothing lost)
"""


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
    }
    return commands[command](rest)


def run_parser() -> Parser:
    """The parser of ``collapse-audit run``."""
    parser = Parser(
        prog="collapse-audit",
        description=(
            "Audit lineages of language models for model collapse: pass, changed, collapse or inconclusive, and why."
        ),
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    text = "a folder: generations and what they wrote; or two or more files of texts, in their order"
    parser.add_argument("lineages", nargs="*", metavar="LINEAGE", help=text)
    parser.add_argument("--version", action="version", version=f"collapse-audit {__version__}")

    what = parser.add_argument_group("what to audit")
    what.add_argument("-k", dest="select", metavar="EXPR", help="only probes (or generations) that match, as in pytest")
    what.add_argument("--generation", metavar="3 | 1-4 | last", help="only these generations")
    what.add_argument(
        "--generations", nargs="+", default=[], metavar="PATH", help="the corpora of one lineage, from generation 0 on"
    )
    what.add_argument(
        "--baseline",
        metavar="BASE",
        help="generation-0 (default), reference, previous, a corpus file or a reference pack",
    )
    what.add_argument("--labels", metavar="RULE", help="auto (default), eu-tirads, field, regex:PATTERN or none")
    what.add_argument("--tokens", metavar="TOKENS", help="words (default) or hf:FILE, a Hugging Face tokenizer.json")
    what.add_argument("--independent", action="store_true", default=None, help="no corpus was trained on another")
    what.add_argument(
        "--probes", action="append", default=[], metavar="FILE", help="a Python file with probes of yours"
    )

    reads = parser.add_argument_group("how to read")
    fields = {"text": "what the model wrote", "prompt": "what it was given", "label": "its class", "group": "its unit"}
    for name, meaning in fields.items():
        text = f"the field that holds {meaning}, such as response.{name}; again: where the first is not there"
        reads.add_argument(f"--{name}", action="append", default=[], metavar="FIELD", help=text)
    text = "what is a document of a plain text file (default: a line)"
    reads.add_argument("--documents", choices=("lines", "paragraphs", "files"), help=text)

    how = parser.add_argument_group("how to judge")
    how.add_argument("--config", metavar="FILE", help="a TOML file of settings")
    how.add_argument(
        "--set",
        dest="sets",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one setting, such as token-divergence.margin=0.02",
    )
    how.add_argument("--seed", type=int, metavar="N", help="seed of every random draw (default 0)")
    how.add_argument(
        "--allow-inconclusive", action="store_true", default=None, help="exit 0 where the text cannot tell"
    )
    how.add_argument(
        "--fail-on-change",
        nargs="*",
        metavar="PROBE",
        help="exit 7 where one of these probes (none named: any) moved beyond its margin; behind the lineages",
    )
    how.add_argument("--history", metavar="FILE", help="append what was found to this file of JSON lines")
    how.add_argument(
        "--anytime", action="store_true", default=None, help="share alpha out over all audits of the --history"
    )
    how.add_argument("-x", "--exitfirst", action="store_true", help="stop after the first generation that fails")

    show = parser.add_argument_group("what to show")
    show.add_argument(
        "-v", "--verbose", action="count", default=0, help="intervals, p-values, evidence; -vv: every finding"
    )
    show.add_argument("-q", "--quiet", action="count", default=0, help="only what failed, and the verdict")
    show.add_argument("--collect-only", action="store_true", help="list what would be measured, and stop")
    show.add_argument("--durations", type=int, metavar="N", help="show the N slowest findings (0: all)")
    show.add_argument(
        "--evidence",
        choices=("none", "terms", "texts"),
        help="what reports may quote (default: terms in at least 5 documents)",
    )
    show.add_argument("--report", metavar="DIR", help="write report.json, report.html, report.md and junit.xml there")
    show.add_argument("--junitxml", metavar="FILE", help="write JUnit XML there")
    show.add_argument(
        "--github-annotations", action="store_true", help="in a GitHub workflow: findings as annotations of the job"
    )
    show.add_argument(
        "--log-to",
        action="append",
        default=[],
        choices=("mlflow", "wandb"),
        help="log verdict, values and report as a run of this tracker; needs its extra",
    )
    show.add_argument("--no-progress", action="store_true", help=SUPPRESS)
    return parser


def _run(argv: Sequence[str]) -> int:
    parser = run_parser()
    if not argv:
        parser.print_help()
        return ExitCode.USAGE
    options = parser.parse_args(argv)
    try:
        return _judge(options)
    except CollapseAuditError as error:
        told = with_commands(error, argv)
        if options.github_annotations:
            from collapse_audit.reports import as_annotations

            write(as_annotations.refusal(str(told)))
        raise told from error


def _judge(options: Namespace) -> int:
    """What ``run`` was asked for, once its arguments are known."""
    from collapse_audit.commands.sources import sources

    named = sources(options.lineages, options.generations)
    prepared = [_prepare(options, source) for source in named]
    if options.collect_only:
        return _collect_only(prepared)
    _check_writable(options)
    # First all audits, then all reports, then what is shown: a lineage that turns out to be unreadable leaves nothing
    # behind, and a verdict is on the last line only if everything that was asked for has been done.
    reports: list[AuditReport] = []
    with _history(options) as history:
        for one in prepared:
            reports.append(_audited(one, options, history))
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
    if len(named) > 1:
        together = _together(reports, len(named), code)
        write(inert(together) if options.github_annotations else together)
    return code


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


def _prepare(options: Namespace, source: str | list[str]) -> Prepared:
    from collapse_audit.api import prepare

    return prepare(
        source if isinstance(source, str) else None,
        generations=None if isinstance(source, str) else source,
        probe_files=options.probes,
        select=options.select,
        generation=options.generation,
        text=options.text,
        prompt=options.prompt,
        label=options.label,
        group=options.group,
        documents=options.documents,
        config_file=options.config,
        sets=options.sets,
        baseline=options.baseline,
        labels=options.labels,
        tokens=options.tokens,
        independent=options.independent,
        seed=options.seed,
        allow_inconclusive=options.allow_inconclusive,
        fail_on_change=options.fail_on_change or (None if options.fail_on_change is None else True),
        evidence=options.evidence,
        anytime=options.anytime,
    )


def _history(options: Namespace) -> AbstractContextManager[OpenHistory | None]:
    """The history, held while all lineages are audited: what they add is written once all of them could be read."""
    if options.history is None:
        return nullcontext()
    from collapse_audit.verdicts.history import open_history

    return open_history(Path(options.history))


def _audited(prepared: Prepared, options: Namespace, history: OpenHistory | None) -> AuditReport:
    console = stderr()
    if options.quiet or options.no_progress or not console.is_terminal:
        return prepared.run(history=history, stop_at_first=options.exitfirst)
    with console.status("collapse-audit", spinner="line") as status:
        return prepared.run(history=history, stop_at_first=options.exitfirst, progress=status.update)


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
            log_report(report, tracker, folder=folder)


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
    for one, name in zip(prepared, names(prepared), strict=True):
        for comparison in one.plan.comparisons:
            lines = [f"{name}::{comparison.name}::{id_part(probe.name)}" for probe in comparison.probes]
            (checks if comparison.gating else context).extend(lines)
    told = f"{len(checks)} checks collected" + (f", {len(context)} more as context" if context else "")
    write("".join(f"{line}\n" for line in (*checks, *(f"{line} (context)" for line in context), told)))
    return ExitCode.PASS if checks else ExitCode.NOTHING_MEASURED


def _new_probe(argv: Sequence[str]) -> int:
    from collapse_audit.commands.new_probe import new_probe

    return new_probe(argv)


def _list(argv: Sequence[str]) -> int:
    parser = Parser(prog="collapse-audit list", description="List the probes.", allow_abbrev=False)
    parser.add_argument(
        "--probes", action="append", default=[], metavar="FILE", help="a Python file with probes of yours"
    )
    options = parser.parse_args(argv)
    from collapse_audit.commands.explain import overview
    from collapse_audit.probes.registry import all_probes

    console = stdout()
    with console.capture() as captured:
        console.print(overview(all_probes(Path(file) for file in options.probes)))
    write(captured.get())
    return ExitCode.PASS


def _explain(argv: Sequence[str]) -> int:
    parser = Parser(prog="collapse-audit explain", description="Explain a probe, or an error.", allow_abbrev=False)
    parser.add_argument("probe", metavar="PROBE", help="name or code of a probe, or the slug of an error")
    parser.add_argument(
        "--probes", action="append", default=[], metavar="FILE", help="a Python file with probes of yours"
    )
    options = parser.parse_args(argv)
    from collapse_audit.commands.explain import page
    from collapse_audit.commands.messages import message
    from collapse_audit.probes.registry import all_probes, find

    known = all_probes(Path(file) for file in options.probes)
    told = None if options.probe in {probe.name for probe in known} else message(options.probe)
    write(told or page(find(options.probe, known)))
    return ExitCode.PASS


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
