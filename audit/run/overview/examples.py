"""The same prompts, and what every corpus of a seed has under them: whole texts, so only where they may be quoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.probes.text.sample import Sample
from collapse_audit.run.plan import Comparison

_PROMPTS = 3
_CORPORA = 8
_LONGEST = 2000
"""Characters of a prompt or text that are kept."""


def examples(comparisons: Sequence[Comparison], samples: Mapping[Corpus, Sample]) -> list[dict[str, Any]]:
    """The first prompts that all corpora of one seed share, in the order of the first corpus, and their texts.

    By position, so that nobody chose them; of a prompt that stands twice in a corpus, the first text. Of more than 8
    corpora as many, evenly spread. Empty where a corpus has no prompts, or none that all share.
    """
    sides = {each.corpus: each.name for c in comparisons for each in (c.baseline, c.current)}
    known = [(name, samples[corpus]) for corpus, name in sides.items() if corpus in samples]
    written = [(name, texts) for name, sample in _spread(known) if (texts := _by_prompt(sample))]
    if len(written) < 2:
        return []
    shared = set.intersection(*(set(texts) for _, texts in written))
    prompts = [prompt for prompt in written[0][1] if prompt in shared][:_PROMPTS]
    return [
        {
            "seed": comparisons[0].seed,
            "prompt": _cut(prompt),
            "texts": [{"name": name, "text": _cut(texts[prompt])} for name, texts in written],
        }
        for prompt in prompts
    ]


def _spread(known: Sequence[tuple[str, Sample]]) -> Sequence[tuple[str, Sample]]:
    if len(known) <= _CORPORA:
        return known
    return [known[round(step * (len(known) - 1) / (_CORPORA - 1))] for step in range(_CORPORA)]


def _by_prompt(sample: Sample) -> dict[str, str]:
    if sample.prompts is None:
        return {}
    texts: dict[str, str] = {}
    for prompt, text in zip(sample.prompts.to_pylist(), sample.texts.to_pylist(), strict=True):
        if prompt is not None:
            texts.setdefault(prompt, text)
    return texts


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... [+{len(text) - _LONGEST:,} characters]"
