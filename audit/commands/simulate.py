"""``collapse-lineage simulate KIND``: one parser a kind. The work is in ``lineages.simulation.kinds``."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from collapse_audit.commands.console import Parser, count, finite, status, stdout
from collapse_audit.verdicts.exit_codes import ExitCode


def add_simulate(commands: Any) -> None:
    """Add ``simulate`` and its kinds to the subparsers of ``collapse-lineage``."""
    parser = commands.add_parser(
        "simulate",
        help="make a lineage whose truth is known",
        description="Make a lineage whose truth is known: to try the audit, to calibrate it, to see what damage does.",
        epilog="Options and an example of each kind: collapse-lineage simulate KIND --help",
    )
    kinds = parser.add_subparsers(title="kinds", metavar="KIND", dest="kind", required=True)
    for add in KINDS:
        add(kinds)


def _add_healthy(kinds: Any) -> None:
    add = _kind(kinds, "healthy", "the null: random parts of the source", "healthy texts.jsonl --generations 3")
    add("--documents", count, None, "documents a corpus (default: as many as there are)")
    add("--generations", count, 5, "generations after generation 0 (default %(default)s)")


def _add_label_loss(kinds: Any) -> None:
    example = 'label-loss reports.jsonl --label "EU-TIRADS 5" --keep 0.1'
    add = _kind(kinds, "label-loss", "one label all but vanishes", example)
    add("--label", str, None, "the label that is lost", required=True)
    add("--keep", finite, 0.0, "share of its texts that are kept (default %(default)s)")
    add("--labels", str, "auto", "how labels are read: auto, field, eu-tirads or regex:… (default %(default)s)")
    _add_size(add)


def _add_duplicate(kinds: Any) -> None:
    add = _kind(kinds, "duplicate", "texts are copies of one another", "duplicate texts.jsonl --share 0.2")
    add("--share", finite, 0.2, "share of texts that become copies (default %(default)s)")
    _add_size(add)


def _add_loop(kinds: Any) -> None:
    add = _kind(kinds, "loop", "texts repeat a span of words back to back", "loop texts.jsonl --share 0.1 --place end")
    add("--share", finite, 0.1, "share of texts that loop (default %(default)s)")
    add("--place", str, "any", "where (default %(default)s)", choices=("end", "middle", "any"))
    _add_size(add)


def _add_perplexity_shift(kinds: Any) -> None:
    example = "perplexity-shift scored.jsonl --shift -0.15 --scale 0.9 --tail 0.03"
    add = _kind(kinds, "perplexity-shift", "log-perplexities move and grow a right tail", example)
    add("--shift", finite, 0.0, "added to every nll, nats a token (default %(default)s)")
    add("--scale", finite, 1.0, "stretches them about their mean (default %(default)s)")
    add("--tail", finite, 0.0, "share of texts that move far right (default %(default)s)")
    add("--tail-size", finite, 2.0, "by how much on average, nats a token (default %(default)s)")
    _add_size(add)


def _add_sharpen(kinds: Any) -> None:
    add = _kind(kinds, "sharpen", "words drawn from p^gamma", "sharpen texts.jsonl --gamma 1.2 --order 2")
    add("--gamma", finite, 1.2, "above 1 sharpens, 1 changes nothing (default %(default)s)")
    _add_order(add)
    _add_size(add)


def _add_top_p(kinds: Any) -> None:
    add = _kind(kinds, "top-p", "words drawn from the most probable ones only", "top-p texts.jsonl --mass 0.9")
    add("--mass", finite, 0.9, "what the words that are kept hold together (default %(default)s)")
    _add_order(add)
    _add_size(add)


def _add_wright_fisher(kinds: Any) -> None:
    example = "wright-fisher --types 1000 --documents 1000"
    add = _kind(kinds, "wright-fisher", "resampling and nothing else, no source needed", example, source=False)
    add("--types", count, 1000, "different words (default %(default)s)")
    add("--exponent", finite, 1.0, "of Zipf's law; 0 is uniform (default %(default)s)")
    add("--documents", count, 1000, "documents a corpus (default %(default)s)")
    add("--words", count, 1, "words a document; 1 makes each document a whole pattern (default %(default)s)")
    add("--generations", count, 5, "generations after generation 0 (default %(default)s)")
    add("--seeds", count, 1, "independent lineages side by side (default %(default)s)")


def _add_ngram(kinds: Any) -> None:
    example = "ngram novel.txt --paragraphs --min-words 20"
    add = _kind(kinds, "ngram", "a real language model trained on its own output", example)
    add("--order", count, 3, "longest n-gram (default %(default)s)")
    add("--trust", _trust, 0.9, "weight of the longest context, 0 to 1, or witten-bell (default %(default)s)")
    schemes = ("recursive", "preserve", "accumulate")
    add("--scheme", str, "recursive", "what each model is trained on (default %(default)s)", choices=schemes)
    add("--human", finite, 0.1, "share of human text under --scheme preserve (default %(default)s)")
    add("--reference-holdout", finite, 0.5, "share of the source that nothing is trained on (default %(default)s)")
    add("--documents", count, None, "documents a corpus (default: as many as the reference has)")
    add("--generations", count, 5, "generations after generation 0 (default %(default)s)")
    add("--seeds", count, 1, "independent lineages side by side (default %(default)s)")


def _add_discrete(kinds: Any) -> None:
    summary = "numbers: states, each model the shares of what the one before drew"
    add = _kind(kinds, "discrete", summary, "discrete --states 16 --samples 200", source=False)
    add("--states", count, 16, "different numbers, their shares by Zipf's law (default %(default)s)")
    _add_numbers(add, samples=200, refits=20)


def _add_gaussian(kinds: Any) -> None:
    summary = "numbers: a Gaussian fitted to what the one before drew"
    add = _kind(kinds, "gaussian", summary, "gaussian --samples 20 --refits 20", source=False)
    _add_numbers(add, samples=20, refits=20)


def _add_mixture(kinds: Any) -> None:
    summary = "numbers: a mixture of two Gaussians fitted to what the one before drew (needs scikit-learn)"
    add = _kind(kinds, "mixture", summary, "mixture --samples 40 --refits 40", source=False)
    _add_numbers(add, samples=40, refits=40)


def _add_vae(kinds: Any) -> None:
    summary = "pictures of digits: a variational autoencoder of what the one before drew (needs PyTorch, scikit-learn)"
    add = _kind(kinds, "vae", summary, "vae --samples 600", source=False)
    _add_numbers(add, samples=600, refits=1)


def _add_clipped(kinds: Any) -> None:
    summary = "numbers: a blog's simulation, which drops what lies beyond 2 and adds noise, by hand"
    add = _kind(kinds, "clipped", summary, "clipped --samples 2000", source=False)
    _add_rounds(add, samples=2000, refits=1)


def _add_rounds(add: Callable[..., None], *, samples: int, refits: int) -> None:
    add("--samples", count, samples, "numbers that each model learns from (default %(default)s)")
    add("--holdout", count, 1000, "further numbers of each generation, to audit (default %(default)s)")
    add("--generations", count, 5, "generations after generation 0 (default %(default)s)")
    add("--refits", count, refits, "models from one generation to the next (default %(default)s)")


def _add_numbers(add: Callable[..., None], *, samples: int, refits: int) -> None:
    _add_rounds(add, samples=samples, refits=refits)
    add("--human", finite, 0.0, "alpha: share of the first numbers in what a model learns from (default %(default)s)")
    add("--earlier", finite, 0.0, "beta: share of what all models before the last drew (default %(default)s)")


def _add_thyroid(kinds: Any) -> None:
    summary = "made-up Russian thyroid reports to train a first model on, no generations"
    add = _kind(kinds, "thyroid", summary, "thyroid --background 12000 --gzip", source=False)
    add("--records", count, 7286, "reports, descriptions with their conclusions (default %(default)s)")
    add("--holdout", finite, 0.3, "share of them that nothing is to be trained on (default %(default)s)")
    add("--background", _whole, 0, "texts of other reports, to pretrain on (default %(default)s)")
    add("--whole", finite, 0.0, "share of these that are whole reports, not a part of one (default %(default)s)")


def _add_thyroid_table(kinds: Any) -> None:
    summary = "a clinic's table of made-up thyroid reports with all that can be wrong in one, to try prepare on"
    add = _kind(kinds, "thyroid-table", summary, "thyroid-table --records 2000", source=False)
    add("--records", count, 2000, "rows, copies and broken ones included (default %(default)s)")


def _add_size(add: Callable[..., None]) -> None:
    add("--documents", count, None, "documents a corpus (default: as many as there are)")
    add("--generations", count, 1, "generations after generation 0, each damaged once more (default %(default)s)")


def _add_order(add: Callable[..., None]) -> None:
    add("--order", int, 1, "1 draws single words, 2 words after words (default %(default)s)", choices=(1, 2))


KINDS: tuple[Callable[[Any], None], ...] = (
    _add_healthy,
    _add_label_loss,
    _add_duplicate,
    _add_loop,
    _add_perplexity_shift,
    _add_sharpen,
    _add_top_p,
    _add_wright_fisher,
    _add_ngram,
    _add_discrete,
    _add_gaussian,
    _add_mixture,
    _add_vae,
    _add_clipped,
    _add_thyroid,
    _add_thyroid_table,
)


def _kind(kinds: Any, name: str, summary: str, example: str, *, source: bool = True) -> Callable[..., None]:
    """Add the parser of one kind; returns how to add what its function takes: (flag, type, default, help, …)."""
    parser: Parser = kinds.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  collapse-lineage simulate {example} --out lineages/{name}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if source:
        text = "a corpus (.jsonl, .parquet, .csv, .txt; also .gz) or a folder of them"
        parser.add_argument("source", metavar="SOURCE", type=Path, help=text)
    parameters = parser.add_argument_group("what to make")
    taken: list[str] = []

    def add(flag: str, kind: Any, default: Any, text: str, **more: Any) -> None:
        action = parameters.add_argument(flag, type=kind, default=default, help=text, **more)
        taken.append(action.dest)

    if source:
        group = parser.add_argument_group("what to read")
        group.add_argument("--paragraphs", action="store_true", help="SOURCE is prose: a document a paragraph")
        text = "leave out documents with fewer words (default %(default)s)"
        group.add_argument("--min-words", metavar="N", type=count, default=1, help=text)
    _add_output(parser.add_argument_group("where to write"))
    parser.set_defaults(handler=_simulate, parameters=taken)
    return add


def _add_output(group: Any) -> None:
    group.add_argument("--out", metavar="DIR", type=Path, required=True, help="a folder that is new or empty")
    group.add_argument(
        "--seed", metavar="N", type=_whole, default=0, help="same seed, same files (default %(default)s)"
    )
    group.add_argument("--gzip", action="store_true", help="write .jsonl.gz")
    group.add_argument("--name", help="the lineage's name (default: the folder's)")
    for field in ("description", "license", "attribution"):
        group.add_argument(f"--{field}", metavar="TEXT", help=f"the manifest's {field}")


def _simulate(args: argparse.Namespace) -> int:
    from collapse_audit.lineages.simulation import kinds as simulate

    with status() as progress:
        output = simulate.Output(
            out=args.out,
            seed=args.seed,
            compress=args.gzip,
            name=args.name,
            description=args.description,
            license=args.license,
            attribution=args.attribution,
            command=shlex.join(args.argv),
            progress=progress,
        )
        parameters = {name: getattr(args, name) for name in args.parameters}
        inputs: tuple[object, ...] = (output,)
        if "source" in args:
            progress(f"reading {args.source}")
            inputs = (simulate.read_source(args.source, paragraphs=args.paragraphs, min_words=args.min_words), output)
        folder = {**simulate.KINDS, **simulate.REFERENCES}[args.kind](*inputs, **parameters)
    console = stdout()
    console.print(f"{folder}: written")
    if args.kind in simulate.KINDS:  # a reference alone has nothing to compare
        console.print(f"collapse-audit {shlex.quote(str(folder))}")
    return ExitCode.PASS


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text}; allowed is a whole number, 0 or more")
    return number


def _trust(text: str) -> float | None:
    return None if text == "witten-bell" else finite(text)
