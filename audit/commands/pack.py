"""``collapse-lineage pack``: a baseline as counts of blocks of documents, for places where its texts may not go."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse_audit.commands.console import stdout
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

if TYPE_CHECKING:
    from collapse_audit.lineages.corpora.corpus import Corpus
    from collapse_audit.lineages.model.lineage import Lineage
    from collapse_audit.probes.packs.pack import Pack
    from collapse_audit.probes.text.labels import LabelRule
    from collapse_audit.probes.text.sample import Sample

_EPILOG = """\
The file names words that stand in at least 5 documents, and labels that at least 5 carry; of everything else only
numbers of blocks of documents go in. What that protects, and what not: docs/reference/pack.md. Read it before the file
leaves the house, and publish one pack of a corpus, not several.

examples:
  collapse-lineage pack runs/clinic -o reference.npz --of reference
  collapse-audit runs/new --baseline reference.npz
"""


def add_pack(commands: Any) -> None:
    """Add ``pack`` to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "pack",
        help="write a baseline as numbers, without its texts",
        description="Write counts and block-level numbers of a baseline, enough to audit generations elsewhere.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "lineage", metavar="LINEAGE", type=Path, help="a folder with texts of people or of generation 0"
    )
    parser.add_argument("-o", "--out", metavar="FILE.npz", type=Path, required=True, help="the file to write")
    text = "whose texts: generation-0 or reference (default: generation 0, or else the reference)"
    parser.add_argument("--of", choices=("generation-0", "reference"), help=text)
    parser.add_argument("--seed", metavar="S", help="which seed's generation 0, where there are several")
    text = "documents that are added up before anything is written; at least 5 (default 10)"
    parser.add_argument("--block-size", metavar="N", type=int, help=text)
    parser.add_argument("--labels", metavar="RULE", help="auto (default), eu-tirads, field, regex:PATTERN or none")
    parser.add_argument("--tokens", metavar="TOKENS", default="words", help="words (default) or hf:FILE")
    parser.set_defaults(handler=_pack)


def _pack(args: argparse.Namespace) -> int:
    import numpy as np

    from collapse_audit.lineages.disk.load import load_lineage
    from collapse_audit.lineages.disk.pack import SUFFIX, write_pack
    from collapse_audit.probes.packs.pack import SIZE, make_pack
    from collapse_audit.probes.text.sample import read_sample
    from collapse_audit.probes.text.tokens import tokenizer
    from collapse_audit.settings.config import AuditConfig

    if args.out.suffix != SUFFIX:  # before the texts are read, not after
        raise UsageError(f"-o {args.out}: the name of a pack ends in {SUFFIX}", slug="pack-name")
    lineage = load_lineage(args.lineage, needs_comparison=False, unfinished=True)
    corpus, held_out = _corpus(lineage, args.of, args.seed)
    # From the system's entropy: who is in which block must not follow from the order of the file.
    rng = np.random.default_rng()
    cutter = tokenizer(args.tokens)
    sample = read_sample(
        corpus.batches(),
        name="",
        digest="",
        tokenizer=cutter,
        max_documents=AuditConfig().max_documents,
        seed=int(rng.integers(1 << 62)),
    )
    rule = _rule(args.labels or lineage.label_rule or "auto", lineage, sample)
    size = SIZE if args.block_size is None else args.block_size
    pack = make_pack(sample, rng, tokens=cutter.name, held_out=held_out, rule=rule, size=size)
    try:
        write_pack(args.out, pack)
    except OSError as error:
        raise UsageError(f"-o {args.out}: cannot be written ({error.strerror})", slug="pack-name") from None
    stdout().print("\n".join(_summary(args.out, corpus, sample, pack)))
    return ExitCode.PASS


def _corpus(lineage: Lineage, of: str | None, seed: str | None) -> tuple[Corpus, bool]:
    """The texts to pack, and whether they are held out: nothing is trained on them."""
    firsts = {entry.seed: entry for entry in lineage.generations if entry.index == 0}
    if of != "reference" and firsts:
        if seed is None and len(firsts) > 1:
            names = ", ".join(str(name) for name in lineage.seeds if name in firsts)
            raise UsageError(f"several seeds have a generation 0: choose one with --seed ({names})")
        if seed is not None and seed not in firsts:
            raise UsageError(f"--seed {seed}: no such seed has a generation 0")
        first = firsts[seed] if seed is not None else next(iter(firsts.values()))
        return (first.texts, False) if first.holdout is None else (first.holdout, True)
    if of == "generation-0":
        raise UsageError("--of generation-0: the lineage has no generation 0; use --of reference")
    if seed is not None:
        raise UsageError(f"--seed {seed}: people's texts belong to no seed")
    if lineage.reference_holdout is not None:
        return lineage.reference_holdout, True
    if lineage.reference is not None:
        return lineage.reference, False
    raise UsageError("the lineage has neither a generation 0 nor a reference: there is nothing to pack")


def _rule(name: str, lineage: Lineage, sample: Sample) -> LabelRule | None:
    """The label rule in force, chosen as an audit chooses it."""
    from collapse_audit.probes.text.labels import AUTO_SHARE, EU_TIRADS, label_rule

    if name != "auto":
        return label_rule(name, classes=lineage.label_classes)
    if sample.label_field is not None:
        return label_rule("field", classes=lineage.label_classes)
    mentions = sample.labels(EU_TIRADS).labelled
    return EU_TIRADS if mentions.mean() >= AUTO_SHARE else None


def _summary(out: Path, corpus: Corpus, sample: Sample, pack: Pack) -> list[str]:
    """What was packed, for whoever decides whether it may leave."""
    from collapse_audit.lineages.files.problems import printable
    from collapse_audit.probes.packs.pack import COMMON
    from collapse_audit.probes.packs.sketch import NLL_STEP

    taken = f"{pack.documents:,} of {sample.n_read:,} documents of {printable(corpus.shown)}"
    lines = [
        f"{printable(str(out))}: {taken}, in {pack.sketch.blocks} blocks of {pack.sketch.size}",
        f"  named: {len(pack.words):,} words in at least {COMMON} documents, {pack.named_share:.0%} of all tokens",
    ]
    if pack.labels is not None:
        scarce = f"; {pack.labels.scarce} of fewer than {COMMON} documents are not" if pack.labels.scarce else ""
        lines.append(f"  named: {len(pack.labels.totals)} categories ({pack.labels.rule}){scarce}")
    if sample.nll is not None:
        steps = f"in steps of {NLL_STEP} nats"
        lines.append(f"  log-perplexities {steps if pack.sketch.nll is not None else 'left out: some texts have none'}")
    if not pack.held_out:
        lines.append("  models are trained on these texts, so findings against them are one-sided: hold some out")
    return lines
