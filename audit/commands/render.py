"""``collapse-audit render REPORT``: a stored report in other formats, without auditing again."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from pathlib import Path

from collapse_audit.commands.console import Parser, count, stdout, write
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

_EPILOG = """\
Without an option the report is shown as text.

exit codes:
  0 rendered, whatever the verdict    2 interrupted    4 bad usage or input
"""


def render_parser() -> Parser:
    """The parser of ``collapse-audit render``."""
    parser = Parser(
        prog="collapse-audit render",
        description="Show a stored report, or write it in other formats.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("report", metavar="REPORT", help="a report.json, or the folder it is in")
    parser.add_argument("--html", metavar="FILE", help="write the page there")
    parser.add_argument("--history", metavar="FILE", help="a history: the page shows how it went run over run")
    parser.add_argument("--md", metavar="FILE", help="write Markdown there")
    parser.add_argument("--longest", metavar="BYTES", type=count, help="leave out of the Markdown what does not fit")
    parser.add_argument("--junitxml", metavar="FILE", help="write JUnit XML there")
    parser.add_argument("--text", action="store_true", help="show it as text, too")
    parser.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="with text: intervals, p-values, evidence; -vv: every finding",
    )
    return parser


def render(argv: Sequence[str]) -> int:
    """Run the command; the exit code. Raises UsageError and InputError, as the other commands do."""
    options = render_parser().parse_args(argv)
    if options.history and not options.html:
        raise UsageError("--history is for the page; name its file: --html FILE")
    if options.longest and not options.md:
        raise UsageError("--longest is for Markdown; name its file: --md FILE")
    from collapse_audit.reports import as_html, as_junit, as_markdown, as_text
    from collapse_audit.reports.from_json import read
    from collapse_audit.reports.write import write_file
    from collapse_audit.verdicts.history import read_history

    path = Path(options.report)
    source = path / "report.json" if path.is_dir() else path
    wanted = {"--html": options.html, "--md": options.md, "--junitxml": options.junitxml}
    outputs = {flag: Path(file) for flag, file in wanted.items() if file is not None}
    _check_outputs(outputs, {"REPORT": source} | ({"--history": Path(options.history)} if options.history else {}))
    if options.verbose and outputs and not options.text:
        raise UsageError("-v is for the text, and none is shown; add --text, or leave -v out")
    report = read(source)
    past = read_history(Path(options.history)).entries if options.history else ()
    texts = {}
    if "--html" in outputs:
        texts[outputs["--html"]] = as_html.render(report, past=past)
    if "--md" in outputs:
        texts[outputs["--md"]] = as_markdown.render(report, **({"longest": options.longest} if options.longest else {}))
    if "--junitxml" in outputs:
        texts[outputs["--junitxml"]] = as_junit.render(report)
    for file, text in texts.items():
        write_file(file, text)
    if options.text or not texts:
        console = stdout()
        color = console.is_terminal and not console.no_color
        write(as_text.render(report, width=console.width, color=color, verbosity=options.verbose))
    return ExitCode.PASS


def _check_outputs(outputs: Mapping[str, Path], inputs: Mapping[str, Path]) -> None:
    """Refuse, before anything is read, an output that is a folder, an input, or another output."""
    taken = dict(inputs)
    for flag, file in outputs.items():
        if not file.name or file.is_dir():
            raise UsageError(f"{flag}: {str(file)!r} is a folder, and a file is needed; name the file in it")
        for other, path in taken.items():
            if _is_same(file, path):
                what = "the file that is read" if other in inputs else "the file of another format"
                raise UsageError(f"{flag}: {str(file)!r} is also {other}, {what}; name another file")
        taken[flag] = file


def _is_same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)
    return path.resolve() == other.resolve()
