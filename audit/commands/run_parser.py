"""The options of ``collapse-audit run``."""

from __future__ import annotations

from argparse import SUPPRESS, RawDescriptionHelpFormatter

from collapse_audit.commands.console import Parser
from collapse_audit.version import __version__

_EPILOG = """\
commands:
  collapse-audit [run] LINEAGE…     audit lineages (run is the default)
  collapse-audit BEFORE AFTER       the same for two files, or folders, of texts
  collapse-audit --data FILE        data that a model is going to be trained on
  collapse-audit list               the probes, their statistics and margins
  collapse-audit explain PROBE      what a probe asks, how, and when it misleads
  collapse-audit compare A B        two reports, or two lineages: what is worse, and by how much
  collapse-audit calibrate LINEAGE  false alarms, power and margins on text of yours
  collapse-audit new-probe NAME     a probe of yours, to begin with
  collapse-audit render REPORT      a stored report as a page, Markdown, JUnit XML or text
  collapse-audit completion SHELL   a script with which a shell completes all of this

exit codes:
  0 every probe passed    1 collapse    2 interrupted    3 internal error
  4 bad usage or input    5 nothing was measured         6 inconclusive
  7 changed, with --fail-on-change (else 0, with a warning: moved, and nothing lost)
"""


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
    text = "a folder: generations and what they wrote; or two or more files of texts (also patterns and URLs), in order"
    parser.add_argument("lineages", nargs="*", metavar="LINEAGE", help=text)
    parser.add_argument("--version", action="version", version=f"collapse-audit {__version__}")
    _what_to_audit(parser)
    _training_data(parser)
    _how_to_read(parser)
    _how_to_judge(parser)
    _what_to_show(parser)
    return parser


def _what_to_audit(parser: Parser) -> None:
    what = parser.add_argument_group("what to audit")
    what.add_argument("-k", dest="select", metavar="EXPR", help="only probes (or generations) that match, as in pytest")
    what.add_argument("--generation", metavar="3 | 1-4 | last", help="only these generations")
    what.add_argument(
        "--generations", nargs="+", default=[], metavar="PATH", help="the corpora of one lineage, from generation 0 on"
    )
    what.add_argument(
        "--baseline",
        metavar="BASE",
        help="generation-0 (default), reference, previous, a corpus (a file, a pattern, a URL) or a reference pack",
    )
    what.add_argument("--labels", metavar="RULE", help="auto (default), eu-tirads, field, regex:PATTERN or none")
    what.add_argument("--tokens", metavar="TOKENS", help="words (default) or hf:FILE, a Hugging Face tokenizer.json")
    text = "a sentence-embedding model, for what texts mean: a folder, or an installed package that carries one"
    what.add_argument("--embed", metavar="MODEL", help=text)
    what.add_argument(
        "--unit",
        choices=("auto", "group", "prompt", "run", "document"),
        help="what is relabelled and resampled (default: group or prompt where records have one, runs of neighbouring "
        "records where they depend on each other, else documents)",
    )
    what.add_argument("--independent", action="store_true", default=None, help="no corpus was trained on another")
    what.add_argument(
        "--probes", action="append", default=[], metavar="FILE", help="a Python file with probes of yours"
    )


def _training_data(parser: Parser) -> None:
    data = parser.add_argument_group("training data, before anything is trained on them")
    data.add_argument("--data", metavar="FILE", help="judge these data instead of a lineage")
    data.add_argument("--reference", metavar="FILE", help="texts that people wrote")
    data.add_argument("--evaluation", metavar="FILE", help="texts that models will be evaluated on")
    data.add_argument("--labelled", metavar="FILE", help="texts whose label is human or machine")
    data.add_argument(
        "--phrases", metavar="FILE", help="phrases that give a chat model away, one a line (default: a built-in list)"
    )


def _how_to_read(parser: Parser) -> None:
    reads = parser.add_argument_group("how to read")
    fields = {"text": "what the model wrote", "prompt": "what it was given", "label": "its class", "group": "its unit"}
    fields |= {"numeric": "numbers in place of a text", "embedding": "the text's sentence embedding"}
    fields["score"] = "how right the text is as an answer"
    for name, meaning in fields.items():
        text = f"the field that holds {meaning}, such as response.{name}; again: where the first is not there"
        reads.add_argument(f"--{name}", action="append", default=[], metavar="FIELD", help=text)
    text = (
        "who reads and measures: local (default, this process), dask (this machine's cores) or dask://HOST:PORT (a "
        "cluster); the report is the same"
    )
    reads.add_argument("--engine", default="local", metavar="ENGINE", help=text)
    text = "the score from which on an answer is right (default: scores are 0 and 1)"
    reads.add_argument("--solved-at", type=float, metavar="VALUE", help=text)
    text = "what is a document of a plain text file (default: a line)"
    reads.add_argument("--documents", choices=("lines", "paragraphs", "files"), help=text)


def _how_to_judge(parser: Parser) -> None:
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
    how.add_argument(
        "--margins",
        choices=("default", "auto"),
        help="auto: margins that no setting names are settled on the baseline's own text, and any real change fails",
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
    how.add_argument(
        "--gate-trend",
        action="store_true",
        default=None,
        help="fail, too, where damage grows along the generations and may have crossed a margin by the last of them",
    )
    how.add_argument("--history", metavar="FILE", help="append what was found to this file of JSON lines")
    how.add_argument(
        "--anytime", action="store_true", default=None, help="share alpha out over all audits of the --history"
    )
    how.add_argument("-x", "--exitfirst", action="store_true", help="stop after the first generation that fails")


def _what_to_show(parser: Parser) -> None:
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
