"""Kinds in which each generation learns from what the one before wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from collapse_audit.errors import UsageError
from collapse_audit.lineages.simulation import wright_fisher as wf
from collapse_audit.lineages.simulation.ngram import DEFAULT_ORDER, DEFAULT_TRUST, NGramModel
from collapse_audit.lineages.simulation.output import Draft, Output, as_records, new_lineage, require_some
from collapse_audit.lineages.simulation.source import Record, Source, split_at_random
from collapse_audit.lineages.simulation.words import IntArray

Scheme = Literal["recursive", "preserve", "accumulate"]


def simulate_wright_fisher(
    output: Output,
    *,
    types: int = 1000,
    exponent: float = 1.0,
    documents: int = 1000,
    words: int = 1,
    generations: int = 5,
    seeds: int = 1,
) -> Path:
    """Resampling and nothing else: model 0 is Zipf's law itself, model k the shares of what generation k - 1 wrote.

    ``types`` words by Zipf's law, ``words`` of them a document (1: every document is one whole pattern).
    """
    require_some(min(documents, words), generations)
    p = wf.zipf(types, exponent)
    n = documents * words
    paths = []

    def write(counts: IntArray, *stream: int) -> list[Record]:
        return as_records(wf.documents(counts, words, output.rng(*stream)))

    with new_lineage(output) as draft:
        reference, held_out = output.rng(0).multinomial(n, p, size=2)
        draft.add_reference(write(reference, 1, 0), write(held_out, 1, 1))
        for seed in range(seeds):
            written = wf.wright_fisher(p, n, generations, output.rng(2, seed))
            models = np.vstack((p, written[:-1] / n))
            paths.append(models)
            read = "reference"
            for index in range(generations + 1):
                output.progress(f"generation {index}")
                held_out = output.rng(3, seed, index).multinomial(n, models[index])
                read = draft.add_generation(
                    index,
                    write(written[index], 4, seed, index, 0),
                    write(held_out, 4, seed, index, 1),
                    trained_on={read: 1.0},
                    seed=seed if seeds > 1 else None,
                )
        truth = {
            "expected_heterozygosity": [wf.expected_heterozygosity(p, n, k) for k in range(generations + 1)],
            "expected_types_of_model_1": wf.expected_types(p, n),
        }
        names = wf.type_names(types)
        models_of = [models.tolist() for models in paths]
        draft.add_json("truth.json", {"types": names, "probabilities": p.tolist(), "models": models_of, **truth})
        parameters = {"types": types, "exponent": exponent, "documents": documents, "words": words, "seeds": seeds}
        draft.finish(output, kind="wright-fisher", parameters=parameters, truth=truth, scheme="recursive")
    return output.out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """How every model of an n-gram lineage is made."""

    order: int
    trust: float | None
    scheme: Scheme
    human: float
    documents: int
    generations: int

    def sources(self, written: Sequence[str]) -> dict[str, float]:
        """What the next model learns from: corpus to share. ``written``: the corpora so far, the reference first."""
        if self.scheme == "accumulate":
            return dict.fromkeys(written, 1 / len(written))
        if self.scheme == "preserve" and len(written) > 1 and self.human:
            return {"reference": self.human, written[-1]: 1 - self.human}
        return {written[-1]: 1.0}

    def mix(
        self, shares: Mapping[str, float], corpora: Mapping[str, Sequence[str]], rng: np.random.Generator
    ) -> list[str]:
        """The training texts: all of a single corpus, else documents of each in proportion, none of them twice."""
        if len(shares) == 1:
            return list(corpora[next(iter(shares))])
        if self.scheme == "accumulate":
            total = len(shares) * min(len(corpora[name]) for name in shares)
        else:
            total = self.documents
        mixed: list[str] = []
        for name, share in shares.items():
            count = round(share * total)
            if count > len(corpora[name]):
                raise UsageError(f"{count} documents of {name} are needed and it has {len(corpora[name])}")
            mixed.extend(corpora[name][index] for index in rng.choice(len(corpora[name]), count, replace=False))
        return mixed


def simulate_ngram(
    source: Source,
    output: Output,
    *,
    order: int = DEFAULT_ORDER,
    trust: float | None = DEFAULT_TRUST,
    scheme: Scheme = "recursive",
    human: float = 0.1,
    reference_holdout: float = 0.5,
    documents: int | None = None,
    generations: int = 5,
    seeds: int = 1,
) -> Path:
    """A language model (ngram.py) trained on what the one before wrote, generation after generation.

    ``reference_holdout``: the share of the source that is held out and never trained on (none of a single document).
    ``documents``: in each sample; as many as the reference has where it is None. ``human``: the share of human text
    under the scheme ``preserve``.
    Records carry ``nll`` under generation 0, nats a word, the end of the document being one.
    """
    if not 0 <= reference_holdout < 1:
        raise UsageError(f"a held-out share of {reference_holdout:g}; allowed: at least 0 and less than 1")
    if not 0 <= human <= 1:
        raise UsageError(f"a human share of {human:g}; allowed is a number from 0 to 1")
    reference, held_out = list(source.records), []
    if reference_holdout and len(reference) > 1:
        reference, held_out = split_at_random(reference, (1 - reference_holdout, reference_holdout), output.rng(0))
    size = len(reference) if documents is None else documents
    require_some(size, generations)
    training = _Training(order=order, trust=trust, scheme=scheme, human=human, documents=size, generations=generations)
    with new_lineage(output) as draft:
        draft.add_reference(reference, held_out)
        for seed in range(seeds):
            _train(draft, output, training, [record["text"] for record in reference], seed, named=seeds > 1)
        parameters = {"order": order, "smoothing": _smoothing(trust), "documents": size, "seeds": seeds}
        parameters |= {"reference_holdout": reference_holdout if held_out else 0.0}
        parameters |= {"human": human} if scheme == "preserve" else {}
        draft.finish(output, kind="ngram", parameters=parameters, source=source.facts, scheme=scheme)
    return output.out


def _train(
    draft: Draft, output: Output, training: _Training, reference: Sequence[str], seed: int, *, named: bool
) -> None:
    """One seed's generations."""
    corpora: dict[str, Sequence[str]] = {"reference": reference}
    details: dict[str, Any] = {
        "model": {"kind": "ngram", "order": training.order, "smoothing": _smoothing(training.trust)},
        "decoding": {"method": "sampling", "temperature": 1.0},
    }
    first: NGramModel | None = None
    for index in range(training.generations + 1):
        output.progress(f"generation {index}" + (f" of seed {seed}" if named else ""))
        shares = training.sources(list(corpora))
        texts = training.mix(shares, corpora, output.rng(1, seed, index))
        model = NGramModel.fit(texts, training.order, trust=training.trust)
        first = first or model
        samples = [model.sample(training.documents, output.rng(2, seed, index, role)) for role in (0, 1)]
        scored = [_scored(sample, first) for sample in samples]
        name = draft.add_generation(index, *scored, trained_on=shares, seed=seed if named else None, **details)
        corpora[name] = samples[0]


def _scored(texts: Sequence[str], first: NGramModel) -> list[Record]:
    nll, counts = first.nll(texts)
    return [
        {"text": text, "n_tokens": count} | ({"nll": round(value, 4)} if np.isfinite(value) else {})
        for text, value, count in zip(texts, nll.tolist(), counts.tolist(), strict=True)
    ]


def _smoothing(trust: float | None) -> str:
    return "witten-bell" if trust is None else f"jelinek-mercer {trust:g}"
