"""``collapse-audit calibrate LINEAGE``: error rates on the user's own text, and the margins that it supports."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from collapse_audit.commands.console import Parser, count, finite, status, stdout, write
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

if TYPE_CHECKING:
    from collapse_audit.calibration.report import Calibration
    from collapse_audit.calibration.settled import Gates, Trial
    from collapse_audit.calibration.trials import Kept, Setup
    from collapse_audit.lineages.corpora.corpus import Corpus
    from collapse_audit.lineages.model.lineage import Lineage
    from collapse_audit.probes.types import Probe
    from collapse_audit.run.plan import Plan, Side
    from collapse_audit.settings.config import AuditConfig

_EPILOG = """\
The baseline's documents are split at random into two halves, again and again. Nothing is planted (false alarms), or
damage of a stated strength in one half (power). Finished trials are kept beside the output: killed and started again,
it goes on where it stopped, and started again with more minutes, it adds to them.

example:
  collapse-audit calibrate runs/latest --minutes 5 --write settings.toml
"""


def calibrate(argv: Sequence[str]) -> int:
    """Run ``collapse-audit calibrate`` and return its exit code."""
    start = time.monotonic()
    options = calibrate_parser().parse_args(argv)
    _check_outputs(options)
    with status("collapse-audit calibrate") as progress:
        job = _job(options, progress)
        kept = _kept(job, options)
        trials = _run(job, kept, options, start + 60 * options.minutes, progress)
    from collapse_audit.calibration.report import numbers, settings
    from collapse_audit.calibration.text import render
    from collapse_audit.reports.write import write_file

    calibration = _calibration(job, trials, options)
    written = []
    if options.json is not None:
        write_file(options.json, json.dumps(numbers(calibration), indent=2, allow_nan=False) + "\n")
        written.append(options.json)
    if options.write is not None and calibration.proposed:
        write_file(options.write, settings(calibration))
        written.append(options.write)
    text = render(calibration, width=stdout().width, verbose=options.verbose)
    if kept.trials:
        text += f"{kept.path}: {len(kept.trials):,} trials were finished earlier; without the file all are made anew\n"
    write(text + "".join(f"{path}: written\n" for path in written))
    return ExitCode.PASS if calibration.proposed else ExitCode.NOTHING_MEASURED


def calibrate_parser() -> Parser:
    """The parser of ``collapse-audit calibrate``."""
    parser = Parser(
        prog="collapse-audit calibrate",
        description="Measure false alarms and power on a lineage's own baseline, and propose margins that it supports.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("lineage", metavar="LINEAGE", help="a folder: generation 0 or a reference is enough")
    text = "share of healthy generations that may fail to pass, all findings together (default %(default)s)"
    add("--false-alarms", metavar="SHARE", type=_inside, default=0.05, help=text)
    text = "stop after so many minutes with the trials that are finished (default %(default)s)"
    add("--minutes", metavar="M", type=_positive, default=1.0, help=text)
    text = "stop after N trials of each damage, and four times as many without (default %(default)s)"
    add("--trials", metavar="N", type=count, default=50, help=text)
    add("-v", "--verbose", action="store_true", help="print the rates of every finding, too")
    add("--processes", metavar="N", type=count, default=2, help="run so many trials at a time (default %(default)s)")

    plant = parser.add_argument_group("what is planted")
    for flag, kind, text in (
        ("--gamma", _positive, "word probabilities to this power"),
        ("--top-p", _share, "words are drawn from the most probable ones that hold this share"),
        ("--drift", _positive, "a model's training documents, as a share of n"),
        ("--loops", _share, "share of texts that loop"),
        ("--duplicates", _inside, "share of texts that become copies"),
        ("--shift", finite, "added to every nll, nats per token"),
    ):
        name = flag.removeprefix("--").replace("-", "_")
        plant.add_argument(flag, metavar="X", type=kind, default=_DEFAULTS[name], help=f"{text} (default %(default)s)")

    where = parser.add_argument_group("what to write")
    where.add_argument("--write", metavar="FILE", type=Path, help="the margins, as settings for --config FILE")
    where.add_argument("--force", action="store_true", help="--write may replace a file")
    where.add_argument("--json", metavar="FILE", type=Path, help="all numbers")
    text = "finished trials (default: beside the file of --write or --json, with .trials.jsonl added)"
    where.add_argument("--state", metavar="FILE", type=Path, help=text)

    what = parser.add_argument_group("as for an audit")
    what.add_argument("--baseline", metavar="BASE", help="generation-0 (default), reference or a corpus file")
    what.add_argument("--labels", metavar="RULE", help="auto (default), eu-tirads, field, regex:PATTERN or none")
    what.add_argument("--tokens", metavar="TOKENS", help="words (default) or hf:FILE, a Hugging Face tokenizer.json")
    what.add_argument("--independent", action="store_true", default=None, help="no corpus was trained on another")
    text = "a Python file with probes of yours"
    what.add_argument("--probes", action="append", default=[], type=Path, metavar="FILE", help=text)
    what.add_argument("--config", metavar="FILE", type=Path, help="a TOML file of settings")
    what.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE", help="one setting")
    what.add_argument("--seed", type=int, metavar="N", help="seed of every random draw (default 0)")
    return parser


_DEFAULTS: Mapping[str, float] = {
    "gamma": 1.2,
    "top_p": 0.9,
    "drift": 0.5,
    "loops": 0.1,
    "duplicates": 0.2,
    "shift": 0.2,
}


def _positive(text: str) -> float:
    number = finite(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text}; allowed is a number above 0")
    return number


def _share(text: str) -> float:
    number = finite(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{text}; allowed is a number above 0 and at most 1")
    return number


def _inside(text: str) -> float:
    number = finite(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text}; allowed is a number between 0 and 1")
    return number


def _check_outputs(options: argparse.Namespace) -> None:
    """Say before the trials, not after them, that their results have nowhere to go."""
    for flag in ("write", "json", "state"):
        path: Path | None = getattr(options, flag)
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise UsageError(f"--{flag} {path}: a file in an existing folder is needed")
    paths = [path.absolute() for path in (options.write, options.json, options.state) if path is not None]
    if len(set(paths)) < len(paths):
        raise UsageError("--write, --json and --state name the same file; each needs one of its own")
    if options.write is not None and options.write.exists() and not options.force:
        raise UsageError(f"--write {options.write}: exists already; --force replaces all that it holds")


# --------------------------------------------------------------------------------------------------- what is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What is calibrated."""

    lineage: str
    setup: Setup
    config: AuditConfig
    gates: Gates
    scenarios: Mapping[str, str]
    audited: int
    """Documents a side that an audit of the lineage compares."""


def _job(options: argparse.Namespace, progress: Callable[[str], None]) -> _Job:
    from collapse_audit.calibration.bench import Strengths, gates_in_force
    from collapse_audit.calibration.trials import Setup
    from collapse_audit.lineages.disk.load import load_lineage
    from collapse_audit.probes.registry import NUMERIC, all_probes
    from collapse_audit.probes.text.tokens import tokenizer
    from collapse_audit.run.plan import fits
    from collapse_audit.run.reading import label_rule_of, read_side
    from collapse_audit.settings.config import load_config

    lineage = load_lineage(options.lineage, needs_comparison=False, unfinished=True)
    known = (*all_probes(options.probes), *NUMERIC)
    names = ("baseline", "labels", "tokens", "independent", "seed")
    overrides = {name: getattr(options, name) for name in names}
    config = load_config(lineage, known, config_file=options.config, overrides=overrides, sets=options.sets)
    # Halves of one corpus are no two models: what evaluates models has nothing to calibrate on.
    probes = tuple(probe for probe in known if probe.name not in config.disabled and "tasks" not in probe.needs)
    lineage = dataclasses.replace(lineage, independent=config.independent)
    plan = _plan(lineage, config, probes)
    side, others, trained_on = _baseline(plan)
    progress(f"reading {side.corpus.shown}")
    baseline = read_side(side, config, tokenizer(config.tokens))
    probes = tuple(probe for probe in probes if fits(probe, numbers=baseline.numeric is not None))
    rule = label_rule_of(config, plan, baseline)
    audited = min([len(baseline), *(_documents(corpus, config) for corpus in others)])
    setup = Setup(
        baseline=baseline,
        n=min(audited, len(baseline) // 2),
        config=dataclasses.replace(config, permutations=_permutations(probes, config), gates={}),
        rule=None if rule is None else rule.name,
        classes=lineage.label_classes,
        probe_files=tuple(options.probes),
        probe_names=tuple(probe.name for probe in probes),
        trained_on_baseline=trained_on,
        strengths=Strengths(**{name: getattr(options, name) for name in _DEFAULTS}),
    )
    scenarios = dict(setup.bench().scenarios)
    if audited == setup.n:
        scenarios.pop("null-half")
    return _Job(
        lineage=options.lineage,
        setup=setup,
        config=config,
        gates=gates_in_force(probes, config),
        scenarios=scenarios,
        audited=audited,
    )


def _permutations(probes: Sequence[Probe], config: AuditConfig) -> int:
    """The fewest with which all findings of one comparison can be significant after Holm."""
    findings = sum(len(probe.gates) for probe in probes)
    return max(20 * findings, math.ceil(findings / config.alpha))


def _plan(lineage: Lineage, config: AuditConfig, probes: tuple[Probe, ...]) -> Plan:
    from collapse_audit.lineages.corpora.named import open_named
    from collapse_audit.run.plan import baseline_path, plan

    elsewhere = baseline_path(config)
    corpus = None if elsewhere is None else open_named(elsewhere)
    return plan(lineage, config, probes, baseline_corpus=corpus)


def _baseline(plan: Plan) -> tuple[Side, list[Corpus], bool]:
    """The first baseline that decides, the corpora it is compared with, and whether the first of them descends from it.

    Where nothing is compared yet: what generation 0 wrote, or the reference.
    """
    from collapse_audit.run.plan import Side

    gating = [comparison for comparison in plan.comparisons if comparison.gating]
    if gating:
        side = gating[0].baseline
        same = [comparison for comparison in gating if comparison.baseline.corpus == side.corpus]
        return side, [comparison.current.corpus for comparison in same], gating[0].trained_on_baseline
    lineage = plan.lineage
    for entry in lineage.generations:
        if entry.index == 0:
            return Side(name="generation 0", corpus=entry.holdout or entry.texts), [], False
    corpus = lineage.reference_holdout or lineage.reference
    if corpus is None:
        raise UsageError(f"{lineage.name}: nothing to calibrate on; a generation 0 or a reference is needed")
    return Side(name="reference", corpus=corpus), [], False


def _documents(corpus: Corpus, config: AuditConfig) -> int:
    documents = sum(len(batch) for batch in corpus.batches())
    return min(documents, config.max_documents or documents)


def _kept(job: _Job, options: argparse.Namespace) -> Kept:
    from collapse_audit.calibration.trials import Kept

    output = options.write or options.json
    beside = None if output is None else output.with_name(f"{output.name}.trials.jsonl")
    return Kept(options.state or beside, job.setup.key())


def _run(
    job: _Job, kept: Kept, options: argparse.Namespace, deadline: float, progress: Callable[[str], None]
) -> list[Trial]:
    from collapse_audit.calibration.trials import run_trials, schedule

    places = schedule(job.scenarios, options.trials)
    return run_trials(
        job.setup,
        places,
        kept=kept,
        processes=options.processes,
        deadline=deadline,
        progress=lambda done: progress(f"{done:,} of {len(places):,} trials"),
    )


def _calibration(job: _Job, trials: Sequence[Trial], options: argparse.Namespace) -> Calibration:
    from collapse_audit.calibration.report import Calibration

    return Calibration(
        lineage=job.lineage,
        baseline=job.setup.baseline.name,
        documents=len(job.setup.baseline),
        n=job.setup.n,
        audited=job.audited,
        seed=job.config.seed,
        alpha=job.config.alpha,
        permutations=job.setup.config.permutations,
        one_sided=job.setup.trained_on_baseline,
        false_alarms=options.false_alarms,
        scenarios=job.scenarios,
        planned=options.trials,
        gates=job.gates,
        trials=tuple(trials),
    )
