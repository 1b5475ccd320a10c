"""``collapse-audit compare A B``: two stored reports, old and new, or two lineages."""

from __future__ import annotations

import json
import re
from argparse import Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from collapse_audit.commands.console import Parser, status, stdout, write
from collapse_audit.errors import InputError, Problem, UsageError
from collapse_audit.version import __version__

if TYPE_CHECKING:
    from collapse_audit.reports.document import AuditReport

FORMAT_VERSION = 1
"""Of what ``--json`` writes."""
_EPILOG = """\
Two reports (report.json, or the folder it is in): A is the old one, B the new one.
Two lineages (folders with lineage.toml, gen_* or seed_*): which recipe holds better, A or B.

exit codes:
  0 nothing worse in B    1 something is worse in B    3 a probe crashed
  4 bad usage or input    5 nothing could be compared  6 inconclusive
"""

Kind = Literal["report", "lineage"]


def compare_parser() -> Parser:
    """The parser of ``collapse-audit compare``."""
    parser = Parser(
        prog="collapse-audit compare",
        description="Compare two reports (what got worse?) or two lineages (which recipe holds better?).",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("a", metavar="A", help="a report or a lineage; of two reports, the old one")
    parser.add_argument("b", metavar="B", help="another of the same kind; of two reports, the new one")
    parser.add_argument("--generation", metavar="K | last", help="lineages: judge this one (default: the last of both)")
    parser.add_argument("--json", metavar="FILE", help="write everything there as JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="lineages: the values of every generation, too")
    audits = parser.add_argument_group("lineages only: settings of both audits")
    audits.add_argument(
        "--set", dest="sets", action="append", default=[], metavar="KEY=VALUE", help="one setting, as in run"
    )
    audits.add_argument("--seed", type=int, metavar="N", help="seed of every random draw (default 0)")
    return parser


def compare(argv: Sequence[str]) -> int:
    """Run the command; the exit code. Raises UsageError and InputError, as the other commands do."""
    options = compare_parser().parse_args(argv)
    kinds = {name: kind_of(Path(path)) for name, path in (("A", options.a), ("B", options.b))}
    if len(set(kinds.values())) > 1:
        kinds_of_both = ", ".join(
            f"{name} ({path}) is a {kinds[name]}" for name, path in (("A", options.a), ("B", options.b))
        )
        raise UsageError(f"{kinds_of_both}; compare two reports, or two lineages")
    if options.json and (Path(options.json).is_dir() or not Path(options.json).absolute().parent.is_dir()):
        raise UsageError(f"--json {options.json}: a file in an existing folder is needed")
    return _reports(options) if kinds["A"] == "report" else _lineages(options)


def kind_of(path: Path) -> Kind:
    """What ``path`` is. A folder that is both is taken for the lineage: its report can be named as a file."""
    if path.is_file() and path.suffix == ".json":
        return "report"
    if path.is_dir():
        names = [entry.name for entry in path.iterdir()]
        if any(re.match(r"lineage\.toml$|(gen|seed)_\d|reference\.", name) for name in names):
            return "lineage"
        if "report.json" in names:
            return "report"
        from collapse_audit.lineages.disk.folder import scan_folder

        if scan_folder(path.resolve(), where=str(path))[0].get("generation"):
            return "lineage"
    kind = "a folder with neither" if path.is_dir() else "a file" if path.exists() else "nothing of that name"
    expected = (
        "a report (a .json file, or a folder with report.json) or a lineage (a folder with lineage.toml, or whose "
        "files are generations by their names)"
    )
    raise InputError([Problem(where=str(path), found=kind, expected=expected, slug="compare-kind")])


def _reports(options: Namespace) -> int:
    from collapse_audit.comparison.difference import difference
    from collapse_audit.comparison.text import difference_text

    if options.sets or options.seed is not None:
        raise UsageError("--set and --seed are for lineages: a stored report is read as it is, not audited again")
    paths = [Path(path, "report.json") if Path(path).is_dir() else Path(path) for path in (options.a, options.b)]
    changes = difference(_read(paths[0]), _read(paths[1]), generation=options.generation)
    _write_json(options, {"kind": "reports", **changes.summarised(str(paths[0]), str(paths[1]))})
    console = stdout()
    color = console.is_terminal and not console.no_color
    write(difference_text(changes, (str(paths[0]), str(paths[1])), width=console.width, color=color))
    return changes.exit_code


def _read(path: Path) -> AuditReport:
    """The report in ``path``; what is wrong with it in one line for each rule that it breaks."""
    from collapse_audit.reports.from_json import read

    try:
        return read(path)
    except InputError as error:
        rules: dict[tuple[str, str], list[Problem]] = {}
        for problem in error.problems:
            rules.setdefault((problem.expected, problem.slug), []).append(problem)
        raise InputError(
            replace(group[0], found=f"{group[0].found} (and {len(group) - 1} more)") if len(group) > 1 else group[0]
            for group in rules.values()
        ) from None


def _lineages(options: Namespace) -> int:
    from dataclasses import asdict

    from collapse_audit.api import prepare
    from collapse_audit.comparison.contrast import contrast
    from collapse_audit.comparison.text import contrast_text

    a, b = (prepare(path, sets=options.sets, seed=options.seed, anytime=False) for path in (options.a, options.b))
    asked = "last" if options.generation is None else options.generation
    with status("collapse-audit compare") as progress:
        contrasted = contrast(a, b, generation=asked, progress=progress)
    _write_json(options, {"kind": "lineages", **asdict(contrasted)})
    console = stdout()
    color = console.is_terminal and not console.no_color
    write(contrast_text(contrasted, width=console.width, color=color, verbose=options.verbose))
    return contrasted.exit_code


def _write_json(options: Namespace, data: Mapping[str, Any]) -> None:
    """Strict JSON, as a report's: sorted keys, ASCII, finite numbers, what is None absent."""
    from collapse_audit.reports.plain import plain
    from collapse_audit.reports.write import write_file

    if options.json:
        whole = {"format_version": FORMAT_VERSION, "tool": {"name": "collapse-audit", "version": __version__}, **data}
        text = json.dumps(plain(whole, "comparison"), allow_nan=False, ensure_ascii=True, indent=2, sort_keys=True)
        write_file(Path(options.json), text + "\n")
