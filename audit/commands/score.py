"""``collapse-lineage score``: the command line of ``lineages.scoring``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse_audit.commands.console import stderr, stdout
from collapse_audit.commands.progress_bars import progress
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

if TYPE_CHECKING:
    from collapse_audit.lineages.corpora.corpus import Corpus
    from collapse_audit.lineages.measured.scores import Scores
    from collapse_audit.lineages.model.lineage import Lineage
    from collapse_audit.lineages.scoring.corpora import Scored
    from collapse_audit.lineages.scoring.scorer import Scorer

_EPILOG = """\
Scores lie beside the texts, in LINEAGE/scores/, and texts are never touched. An audit takes generation 0's where the
records carry no nll, and those of other models as a second opinion only. What is there is kept: an interrupted run goes
on where it stopped when the same command is run again.

examples:
  collapse-lineage score runs/mine                            every corpus under generation 0 of its own seed
  collapse-lineage score runs/mine --scorer gpt2              the same texts under an independent model
  collapse-lineage score runs/mine --out runs/mine_scored     a copy of the corpora with nll in the records
  collapse-lineage score new.jsonl --scorer runs/mine --seed 0 --out new.scored.jsonl
  collapse-lineage score runs/mine --contexts                 how sure each generation is of the next word of human text
"""
_CONTEXTS = 300


def add_score(commands: Any) -> None:
    """Add ``score`` to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "score",
        help="score texts under generation 0 or another model, or ask models at fixed contexts",
        description="Compute the mean negative log-likelihood (nats per token) of every text, without changing any.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="TARGET", type=Path, help="a lineage folder, or a corpus file")
    text = "another model: a folder, a hub id, or a lineage, whose generation 0 it is then"
    parser.add_argument("--scorer", metavar="MODEL", help=text)
    text = "only this seed; may be given several times (of a lineage that is the scorer: which one)"
    parser.add_argument("--seed", metavar="S", action="append", default=[], help=text)
    where = parser.add_mutually_exclusive_group()
    text = "write texts and likelihoods to a new file (of a file) or folder (of a lineage)"
    where.add_argument("--out", metavar="PATH", type=Path, help=text)
    text = "put likelihoods into the lineage's own records, and the new digests into its manifest"
    where.add_argument("--in-place", action="store_true", help=text)
    text = f"instead: ask each generation's model at N contexts of held-out human text (default {_CONTEXTS})"
    where.add_argument("--contexts", metavar="N", type=int, nargs="?", const=_CONTEXTS, help=text)
    text = "the base of a lineage without a recipe: a folder or a hub id (default: LINEAGE/base, or what adapters name)"
    parser.add_argument("--base", metavar="MODEL", help=text)
    parser.add_argument("--batch-size", metavar="N", type=int, default=32, help="texts at a time (default 32)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.set_defaults(handler=_score)


def _score(args: argparse.Namespace) -> int:
    for name, value in (("--batch-size", args.batch_size), ("--contexts", args.contexts)):
        if value is not None and value < 1:
            raise UsageError(f"{name} {value}: must be 1 or more", slug="score")
    from collapse_audit.lineages.training.missing import require_training_stack

    require_training_stack()
    with progress(quiet=args.quiet) as shown:
        try:
            if not args.target.is_dir():
                return _file(args, shown)
            return _contexts(args, shown) if args.contexts is not None else _lineage(args, shown)
        except KeyboardInterrupt:
            stderr().print("what was finished is kept: run the same command again to go on")
            raise


def _file(args: argparse.Namespace, shown: Any) -> int:
    from collapse_audit.lineages.corpora.corpus import open_corpus
    from collapse_audit.lineages.measured.scores import read_scores
    from collapse_audit.lineages.scoring.corpora import score_corpus, scoring, write_scored

    corpus = open_corpus(args.target)
    if args.scorer is None or args.out is None:
        message = f"{args.target} is a file: name the model with --scorer and a new file with --out"
        raise UsageError(message, slug="score")
    if args.out.exists():
        raise UsageError(f"{args.out} is there already; name a new file", slug="out")
    scorer = _named(args.scorer, args.seed, None, "")
    beside = args.out.with_name(f".{args.out.name}.scores")
    args.out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with scoring(args.out.absolute().parent, str(args.target)):
        done = score_corpus(
            corpus, scorer, beside, batch_size=args.batch_size, what=f"scoring {args.target}", progress=shown
        )
        write_scored(corpus, read_scores(beside, str(beside)), args.out)
        beside.unlink()
    stdout().print(f"{args.out}: {_counts(done)}")
    return ExitCode.PASS


def _lineage(args: argparse.Namespace, shown: Any) -> int:
    from collapse_audit.lineages.disk.load import load_lineage
    from collapse_audit.lineages.measured.scores import path_of, read_scores
    from collapse_audit.lineages.scoring import corpora

    where = str(args.target)
    if args.scorer is not None and (args.out is not None or args.in_place):
        message = "nll in records is generation 0's; what another model gives stays beside them, in scores/"
        raise UsageError(f"--scorer with --out or --in-place: {message}", slug="score")
    with corpora.scoring(args.target, where):
        corpora.finish_in_place(args.target)
        lineage = load_lineage(args.target, needs_comparison=False)
        if args.in_place:
            corpora.refuse_in_place(lineage, where)
        embedded: dict[Corpus, Scores] = {}
        scorers: dict[Corpus, Scorer] = {}
        another = None if args.scorer is None else _named(args.scorer, args.seed, lineage, where)
        for seed in _seeds(lineage, args.seed if args.scorer is None or not _is_lineage(args.scorer) else []):
            scorer = another or _generation_0(lineage, where, seed, args.base)
            for corpus in corpora.corpora_of(lineage, seed):
                path = corpora.inside(path_of(lineage.root, scorer.identity.name, corpus), lineage)
                what = f"{corpus.where}: scoring under {scorer.identity.name}"
                done = corpora.score_corpus(corpus, scorer, path, batch_size=args.batch_size, what=what, progress=shown)
                shown.say(f"{corpus.where}: {_counts(done)}")
                human = corpus in (lineage.reference, lineage.reference_holdout)
                if not human or len(lineage.seeds) == 1:  # human text has no seed of its own
                    embedded[corpus], scorers[corpus] = read_scores(path, str(path)), scorer
        if args.in_place:
            corpora.write_in_place(lineage, embedded)
            for corpus, scores in embedded.items():
                identity = scorers[corpus].identity
                corpora.rescored(scores, corpus, path_of(lineage.root, identity.name, corpus), identity)
        elif args.out is not None:
            corpora.write_lineage(lineage, embedded, args.out)
    target = args.out if args.out is not None else args.target
    stdout().print(f"{target}: scored; collapse-audit {target}")
    return ExitCode.PASS


def _contexts(args: argparse.Namespace, shown: Any) -> int:
    from collapse_audit.lineages.disk.load import load_lineage
    from collapse_audit.lineages.scoring.contexts import concentrate, fixed_contexts
    from collapse_audit.lineages.scoring.corpora import scoring
    from collapse_audit.lineages.scoring.scorer import models_of

    if args.scorer is not None:
        raise UsageError("--contexts asks each generation's own model; --scorer has no place there", slug="score")
    where = str(args.target)
    console = stdout()
    with scoring(args.target, where):
        lineage = load_lineage(args.target, needs_comparison=False)
        models = models_of(lineage, where, base=args.base)
        fixed = fixed_contexts(models, args.contexts)
        for seed in _seeds(lineage, args.seed):
            for entry in lineage.of_seed(seed):
                name = f"{where}: generation {entry.index}" + ("" if seed is None else f" of seed {seed}")
                shown.start(f"{name}: {len(fixed.ids)} contexts", len(fixed.ids))
                path, written = concentrate(models, entry, fixed, batch_size=args.batch_size, progress=shown)
                shown.say(f"{name}: {len(fixed.ids)} contexts{'' if written else ', there already'}")
                console.print(f"{path.relative_to(lineage.root)}")
    return ExitCode.PASS


def _named(name: str, seeds: Sequence[str], target: Lineage | None, where: str) -> Scorer:
    """The model of ``--scorer``: generation 0 of a lineage, or any causal language model."""
    import dataclasses

    from collapse_audit.lineages.disk.load import load_lineage
    from collapse_audit.lineages.scoring.scorer import generation_0, independent, models_of

    if not _is_lineage(name):
        return independent(name, target, where)
    lineage = load_lineage(name, needs_comparison=False)
    scorer = generation_0(models_of(lineage, name), _seeds(lineage, seeds)[0])
    called = f"{Path(name).resolve().name}.{scorer.identity.name}"
    return dataclasses.replace(scorer, identity=dataclasses.replace(scorer.identity, name=called))


def _is_lineage(name: str) -> bool:
    return (Path(name) / "lineage.toml").is_file()


def _generation_0(lineage: Lineage, where: str, seed: str | None, base: str | None) -> Scorer:
    from collapse_audit.lineages.scoring.scorer import generation_0, models_of

    return generation_0(models_of(lineage, where, base=base), seed)


def _seeds(lineage: Lineage, asked: Sequence[str]) -> list[str | None]:
    """The seeds asked for, or all. Raises UsageError for one that the lineage has not."""
    unknown = [seed for seed in asked if seed not in lineage.seeds]
    if unknown:
        has = ", ".join(str(seed) for seed in lineage.seeds if seed is not None) or "none"
        raise UsageError(f"--seed {unknown[0]}: the lineage has no such seed; it has {has}", slug="unknown-seed")
    return list(asked) or list(lineage.seeds)


def _counts(done: Scored) -> str:
    kept = ", there already" if done.kept else ""
    none = "" if not done.unscored else f", {done.unscored:,} without a token and so without nll"
    return f"{done.n:,} texts scored{none}{kept}"
