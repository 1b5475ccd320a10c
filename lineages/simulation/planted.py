"""Kinds that use the source's own documents: split at random, no two corpora share one, damaged from generation 1 on.

Nothing is trained on anything. Generation k has suffered the damage k times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation import damage
from collapse_audit.lineages.simulation.output import Output, new_lineage
from collapse_audit.lineages.simulation.source import Record, Source, split_at_random
from collapse_audit.probes.text.labels import label_rule

Plant = Callable[[list[Record], int, np.random.Generator], list[Record]]
"""(records, times, rng) to the records with the damage done that many times."""


def simulate_healthy(source: Source, output: Output, *, documents: int | None = None, generations: int = 5) -> Path:
    """The null: generations are random parts of the source, and nothing is wrong with any of them."""
    parts, _ = _split(source, output, documents, generations)
    return _write(source, output, parts, lambda records, *_: records, kind="healthy")


def simulate_duplicate(
    source: Source, output: Output, *, share: float = 0.2, documents: int | None = None, generations: int = 1
) -> Path:
    """A share of the texts are copies of others in the same corpus."""

    def plant(records: list[Record], times: int, rng: np.random.Generator) -> list[Record]:
        return damage.duplicate(records, compound(share, times), rng)

    parts, _ = _split(source, output, documents, generations)
    truth = {"share_of_copies": [compound(share, times) for times in range(generations + 1)]}
    return _write(source, output, parts, plant, kind="duplicate", parameters={"share": share}, truth=truth)


def simulate_loop(
    source: Source,
    output: Output,
    *,
    share: float = 0.1,
    place: damage.Place = "any",
    documents: int | None = None,
    generations: int = 1,
) -> Path:
    """A share of the texts repeat a span of words back to back, at the end or in the middle."""

    def plant(records: list[Record], times: int, rng: np.random.Generator) -> list[Record]:
        texts = damage.loop([record["text"] for record in records], compound(share, times), rng, place=place)
        return [_with_text(record, text) for record, text in zip(records, texts, strict=True)]

    parts, _ = _split(source, output, documents, generations)
    parameters = {"share": share, "place": place, "words": damage.LOOP_WORDS, "copies": damage.LOOP_COPIES}
    truth = {"share_that_loops": [compound(share, times) for times in range(generations + 1)]}
    return _write(source, output, parts, plant, kind="loop", parameters=parameters, truth=truth)


def simulate_perplexity_shift(
    source: Source,
    output: Output,
    *,
    shift: float = 0.0,
    scale: float = 1.0,
    tail: float = 0.0,
    tail_size: float = 2.0,
    documents: int | None = None,
    generations: int = 1,
) -> Path:
    """The ``nll`` of every text is moved, stretched about its mean and given a right tail.

    Where a document of the source has none, all are drawn from N(3.4, 0.45), nats a token.
    """
    has_nll = all("nll" in record for record in source.records)
    if not has_nll:
        drawn = output.rng(2).normal(3.4, 0.45, len(source.records)).clip(min=0).tolist()
        records = [{**record, "nll": value} for record, value in zip(source.records, drawn, strict=True)]
        source = Source(records=records, facts=source.facts)

    def plant(records: list[Record], times: int, rng: np.random.Generator) -> list[Record]:
        nll = np.array([record["nll"] for record in records])
        moved = damage.shift_perplexity(
            nll, rng, shift=shift * times, scale=scale**times, tail=compound(tail, times), tail_size=tail_size
        )
        return [{**record, "nll": value} for record, value in zip(records, moved.tolist(), strict=True)]

    parts, _ = _split(source, output, documents, generations)
    parameters = {"shift": shift, "scale": scale, "tail": tail, "tail_size": tail_size, "nll_of_source": has_nll}
    truth = {
        "shift": [shift * times for times in range(generations + 1)],
        "scale": [scale**times for times in range(generations + 1)],
        "tail": [compound(tail, times) for times in range(generations + 1)],
    }
    return _write(source, output, parts, plant, kind="perplexity-shift", parameters=parameters, truth=truth)


def simulate_label_loss(
    source: Source,
    output: Output,
    *,
    label: str,
    keep: float = 0.0,
    labels: str = "auto",
    documents: int | None = None,
    generations: int = 1,
) -> Path:
    """Texts that carry ``label`` are replaced by others until a share ``keep`` of them is left.

    ``labels``: how they are read: ``field``, ``eu-tirads``, ``regex:…`` (its group, or all that it matches, is the
    label), or ``auto``: the field if the records have one, else EU-TIRADS. The replacements are in no other corpus.
    """
    if not 0 <= keep <= 1:
        raise UsageError(f"keep {keep:g}; allowed is a number from 0 (all are lost) to 1 (none is)")
    if labels == "auto":
        labels = "field" if any("labels" in record for record in source.records) else "eu-tirads"
    read = label_reader(labels)
    carrying = sum(label in read(record) for record in source.records)
    if carrying == 0:
        known = sorted({each for record in source.records for each in read(record)})
        raise UsageError(f'no document carries the label "{label}"; there are: {", ".join(known) or "none"}')
    # The spare part in parts of ordinary size, with room for chance.
    lost = sum(2 * (1 - keep**times) for times in range(1, generations + 1)) * carrying / len(source.records)
    spare = 0.05 + 1.5 * lost / max(1 - carrying / len(source.records), 0.01)
    parts, rest = _split(source, output, documents, generations, spare=spare)
    spares = iter([record for record in rest if label not in read(record)])

    def plant(records: list[Record], times: int, rng: np.random.Generator) -> list[Record]:
        return damage.drop_label(records, [label in read(record) for record in records], keep**times, spares, rng)

    truth = {"label": label, "kept": [keep**times for times in range(generations + 1)]}
    parameters = {"label": label, "keep": keep}
    return _write(source, output, parts, plant, kind="label-loss", parameters=parameters, truth=truth, labels=labels)


def compound(share: float, times: int) -> float:
    """The share hit at least once when each of ``times`` steps hits ``share`` of all: 1 - (1 - share)^times."""
    return float(1 - (1 - share) ** times)


def label_reader(name: str) -> Callable[[Record], frozenset[str]]:
    """The labels of a record under a rule of the audit. Raises UsageError for one that it does not know, or none."""
    rule = label_rule(name)
    if rule is None:
        raise UsageError(f'labels "{name}": there is no label to lose; allowed: auto, field, eu-tirads, regex:PATTERN')
    extract = rule.extract
    if extract is None:
        return lambda record: frozenset(record.get("labels", ()))
    return lambda record: frozenset(extract(record["text"]))


def _with_text(record: Record, text: str) -> Record:
    """The record with another text; what was measured on the old one goes."""
    if text == record["text"]:
        return record
    return {**{key: value for key, value in record.items() if key not in ("nll", "n_tokens")}, "text": text}


def _split(
    source: Source, output: Output, documents: int | None, generations: int, *, spare: float = 0.0
) -> tuple[list[list[Record]], list[Record]]:
    """The reference and two corpora a generation, cut to ``documents`` if that is given; and a spare part."""
    if generations < 1:
        raise UsageError(f"{generations} generations; there must be one at least after generation 0")
    shares = [1.0] * (2 * generations + 3) + ([spare] if spare else [])
    parts = split_at_random(source.records, shares, output.rng(0))
    rest = parts.pop() if spare else []
    if documents is not None:
        fewest = min(map(len, parts))
        if not 1 <= documents <= fewest:
            raise UsageError(f"{documents} documents a corpus; the source has {fewest} for each of {len(parts)}")
        parts = [part[:documents] for part in parts]
    return parts, rest


def _write(
    source: Source,
    output: Output,
    parts: list[list[Record]],
    plant: Plant,
    *,
    kind: str,
    parameters: Mapping[str, Any] | None = None,
    truth: Mapping[str, Any] | None = None,
    labels: str | None = None,
) -> Path:
    with new_lineage(output) as draft:
        draft.add_reference(parts[0])
        for index in range((len(parts) - 1) // 2):
            output.progress(f"generation {index}")
            texts, holdout = (
                plant(part, index, output.rng(1, index, role)) if index else part
                for role, part in enumerate(parts[1 + 2 * index : 3 + 2 * index])
            )
            draft.add_generation(index, texts, holdout, trained_on={})
        draft.finish(output, kind=kind, parameters=parameters or {}, source=source.facts, truth=truth, labels=labels)
    return output.out
