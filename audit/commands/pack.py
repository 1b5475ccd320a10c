"""``collapse-lineage pack``: a baseline as counts of blocks of documents, for places where its texts may not go."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse_audit.commands.console import stdout
from collapse_audit.errors import UsageError
from collapse_audit.verdicts.exit_codes import ExitCode

if TYPE_CHECKING:
    from collapse_audit.lineages.corpora.by_key import KeyedDraw
    from collapse_audit.lineages.corpora.corpus import Corpus
    from collapse_audit.lineages.disk.pack_part import About
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
_MERGE_EPILOG = """\
A part holds texts, sealed by the key: parts and key stay in the house, and the pack that is made of them may leave as
any other. A file is not cut: each file of the corpus is in one part, under its name.

examples:
  head -c 32 /dev/urandom > house.key
  collapse-lineage pack site_a -o a.part --part --key house.key
  collapse-lineage pack site_b -o b.part --part --key house.key
  collapse-lineage merge-packs a.part b.part -o baseline.npz --key house.key
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
    _how_to_pack(parser)
    text = "a file of 32 random bytes that decides who is in which block, in place of chance; needed for --part"
    parser.add_argument("--key", metavar="FILE", type=Path, help=text)
    text = "write one shard's part of a pack (FILE.part), sealed by the key, for collapse-lineage merge-packs"
    parser.add_argument("--part", action="store_true", help=text)
    parser.set_defaults(handler=_pack)


def add_merge_packs(commands: Any) -> None:
    """Add ``merge-packs`` to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "merge-packs",
        help="make one pack of the parts of several shards",
        description="Make the pack that all shards together would have made with this key, byte for byte.",
        epilog=_MERGE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", metavar="FILE.part", nargs="+", type=Path, help="what pack --part wrote of each shard")
    parser.add_argument("-o", "--out", metavar="FILE.npz", type=Path, required=True, help="the file to write")
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="the key that the parts were made with")
    _how_to_pack(parser)
    parser.set_defaults(handler=_merge_packs)


def _how_to_pack(parser: argparse.ArgumentParser) -> None:
    text = "documents that are added up before anything is written; at least 5 (default 10)"
    parser.add_argument("--block-size", metavar="N", type=int, help=text)
    parser.add_argument("--labels", metavar="RULE", help="auto (default), eu-tirads, field, regex:PATTERN or none")
    parser.add_argument("--tokens", metavar="TOKENS", default="words", help="words (default) or hf:FILE")


def _pack(args: argparse.Namespace) -> int:
    from collapse_audit.lineages.disk.load import load_lineage
    from collapse_audit.settings.config import AuditConfig

    if args.part and args.key is None:
        raise UsageError("--part needs --key FILE: shards agree on blocks by a key that they share", slug="pack-key")
    _check_name(args.out, part=args.part)
    lineage = load_lineage(args.lineage, needs_comparison=False, unfinished=True)
    corpus, held_out = _corpus(lineage, args.of, args.seed)
    if corpus.width():
        raise UsageError(
            f"{corpus.shown}: the records hold numbers; a pack holds counts of words, and sums of numbers say nothing "
            "of their tails",
            slug="pack-numbers",
        )
    shown, most = corpus.shown, AuditConfig().max_documents
    if args.key is None:
        return _by_chance(args, lineage, corpus, held_out)
    from collapse_audit.lineages.corpora.by_key import drawn_by_key
    from collapse_audit.lineages.disk.pack_part import About, read_key, write_part
    from collapse_audit.lineages.files.problems import printable

    key = read_key(args.key)
    about = About(
        of="reference" if corpus in (lineage.reference, lineage.reference_holdout) else "generation-0",
        held_out=held_out,
        label_rule=lineage.label_rule,
        label_classes=lineage.label_classes,
        most=most,
    )
    drawn = drawn_by_key(corpus, key, most=most)
    if not args.part:
        return _by_key(args, drawn, about, shown)
    with _writing(args.out):
        write_part(args.out, drawn, about, key)
    taken = f"{len(drawn.table):,} of {drawn.n_read:,} documents of {printable(shown)}"
    stdout().print(f"{args.out}: {taken}, sealed; texts are in it: it stays where the key is, until it is merged")
    return ExitCode.PASS


def _merge_packs(args: argparse.Namespace) -> int:
    from collapse_audit.lineages.disk.pack_part import read_key, read_parts

    _check_name(args.out, part=False)
    drawn, about = read_parts(args.parts, read_key(args.key))
    several = "1 part" if len(args.parts) == 1 else f"{len(args.parts)} parts"
    return _by_key(args, drawn, about, several)


def _by_chance(args: argparse.Namespace, lineage: Lineage, corpus: Corpus, held_out: bool) -> int:
    """Who is in which block must not follow from the order of the file: it comes from the system's entropy."""
    import numpy as np

    from collapse_audit.lineages.corpora.drawn import drawn_from
    from collapse_audit.probes.packs.pack import make_pack
    from collapse_audit.probes.text.sample import sample_of
    from collapse_audit.probes.text.tokens import tokenizer
    from collapse_audit.settings.config import AuditConfig

    rng = np.random.default_rng()
    most, seed = AuditConfig().max_documents, int(rng.integers(1 << 62))
    found = drawn_from(corpus, most=most, seed=seed, tokens=args.tokens)
    cutter = tokenizer(args.tokens)
    sample = sample_of(found.draw, name="", digest="", tokenizer=cutter)
    rule = _rule(args.labels or lineage.label_rule or "auto", lineage.label_classes, sample)
    pack = make_pack(sample, rng, tokens=cutter.name, held_out=held_out, rule=rule, size=_size(args))
    return _written(args.out, pack, sample, corpus.shown)


def _by_key(args: argparse.Namespace, drawn: KeyedDraw, about: About, shown: str) -> int:
    """All that is decided by looking at the texts is decided here, where all of them are."""
    from collapse_audit.probes.packs.keyed import InOrder
    from collapse_audit.probes.packs.pack import make_pack
    from collapse_audit.probes.text.sample import sample_of
    from collapse_audit.probes.text.tokens import tokenizer

    cutter = tokenizer(args.tokens)
    sample = sample_of(drawn.as_draw(), name="", digest="", tokenizer=cutter)
    rule = _rule(args.labels or about.label_rule or "auto", about.label_classes, sample)
    pack = make_pack(sample, InOrder(), tokens=cutter.name, held_out=about.held_out, rule=rule, size=_size(args))
    return _written(args.out, pack, sample, shown)


def _size(args: argparse.Namespace) -> int:
    from collapse_audit.probes.packs.pack import SIZE

    return SIZE if args.block_size is None else int(args.block_size)


def _written(out: Path, pack: Pack, sample: Sample, shown: str) -> int:
    """Write the pack, and say what is in it."""
    from collapse_audit.lineages.disk.pack import write_pack

    with _writing(out):
        write_pack(out, pack)
    stdout().print("\n".join(_summary(out, shown, sample, pack)))
    return ExitCode.PASS


def _check_name(out: Path, *, part: bool) -> None:
    """Before the texts are read, not after."""
    from collapse_audit.lineages.disk import pack, pack_part

    suffix = pack_part.SUFFIX if part else pack.SUFFIX
    if out.suffix != suffix:
        raise UsageError(f"-o {out}: the name of a {'part' if part else 'pack'} ends in {suffix}", slug="pack-name")


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"-o {out}: cannot be written ({error.strerror})", slug="pack-name") from None


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


def _rule(name: str, classes: tuple[str, ...] | None, sample: Sample) -> LabelRule | None:
    """The label rule in force, chosen as an audit chooses it."""
    from collapse_audit.probes.text.labels import AUTO_SHARE, EU_TIRADS, label_rule

    if name != "auto":
        return label_rule(name, classes=classes)
    if sample.label_field is not None:
        return label_rule("field", classes=classes)
    mentions = sample.labels(EU_TIRADS).labelled
    return EU_TIRADS if mentions.mean() >= AUTO_SHARE else None


def _summary(out: Path, shown: str, sample: Sample, pack: Pack) -> list[str]:
    """What was packed, for whoever decides whether it may leave."""
    from collapse_audit.lineages.files.problems import printable
    from collapse_audit.probes.packs.pack import COMMON
    from collapse_audit.probes.packs.sketch import NLL_STEP

    taken = f"{pack.documents:,} of {sample.n_read:,} documents of {printable(shown)}"
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
