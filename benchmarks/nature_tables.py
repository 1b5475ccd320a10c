"""The tables of docs/papers.md beside Shumailov et al. 2024: perplexities, and how texts look beside people's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.paper_measured import Measured, markdown, rows_of, spread
from collapse_audit.lineages.files.natural_order import natural_key
from collapse_audit.lineages.training.health import examine
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.text.sample import Sample

QUANTILES = (0.05, 0.50, 0.95, 0.99)


def human_text_table(runs: Sequence[Measured], *, digits: int = 2) -> str:
    """How well each generation predicts the human text that nothing was trained on: Nature's own quantity. ``digits``
    of bits a byte behind the point."""
    rows = []
    for run in runs:
        for k, by_seed in run.human_text.items():
            values_of = {
                key: [values[key] for values in by_seed.values()] for key in ("bits_per_byte", "byte_perplexity")
            }
            words = [values["word_perplexity"] for values in by_seed.values()]
            first = run.human_text.get(0, {})
            gained = [
                values["bits_per_byte"] - first[seed]["bits_per_byte"]
                for seed, values in by_seed.items()
                if seed in first
            ]
            bits = (spread(values_of["bits_per_byte"], digits), spread(gained, digits))
            cells = (*bits, spread(values_of["byte_perplexity"], digits), spread(words, digits - 1))
            rows.append([run.name, str(k), *cells, str(len(by_seed))])
    header = ("lineage", "generation", "bits a byte", "more than generation 0", "perplexity a byte")
    return markdown((*header, "perplexity a word", "seeds"), rows)


def beside_people_table(runs: Sequence[Measured]) -> str:
    """Texts that loop, and distinct pairs of words over people's at equal n; people's text is what is continued."""

    def ours(run: Measured, k: int) -> Sequence[str]:
        examined = [examine(sample.texts.to_pylist(), _people(sample)) for sample in run.samples[k].values()]
        return (
            spread([100 * health.looping for health in examined], 1),
            spread([100 * health.looping_people for health in examined[:1]], 1),
            spread([health.distinct_2 for health in examined], 2),
        )

    header = ("lineage", "generation", "texts that loop, %", "people's, %", "distinct-2 over people's", "n", "seeds")
    return markdown(header, rows_of(runs, ours, from_one=False))


def _people(sample: Sample) -> list[str]:
    """Under the task ``blocks`` every prompt is a block of people's text, as long as the one that is written."""
    prompts: list[str] = [] if sample.prompts is None else sample.prompts.to_pylist()
    return prompts or sample.texts.to_pylist()


def perplexities(sample: Sample) -> FloatArray:
    """Perplexity of each text under generation 0: exp of its mean negative log-likelihood a token; shape (n,)."""
    nll = np.zeros(0) if sample.nll is None else sample.nll[~np.isnan(sample.nll)]
    return np.asarray(np.exp(nll), dtype=np.float64)


def overall(sample: Sample) -> float:
    """exp(mean nll): the geometric mean of the texts' perplexities, which a few wild texts do not carry away."""
    return float(np.exp(np.log(perplexities(sample)).mean()))


def perplexity_table(runs: Sequence[Measured]) -> str:
    """Perplexity of what each generation wrote, seed by seed: mean and standard deviation over texts."""
    seeds = sorted({seed for run in runs for by_seed in run.samples.values() for seed in by_seed}, key=natural_key)

    def ours(run: Measured, k: int) -> Sequence[str]:
        examined = {seed: perplexities(sample) for seed, sample in run.samples[k].items()}
        cells = {seed: f"{x.mean():.2f} ± {x.std(ddof=1):.2f}" for seed, x in examined.items() if x.size > 1}
        means = [float(x.mean()) for x in examined.values()], [overall(s) for s in run.samples[k].values()]
        return *(cells.get(seed, "–") for seed in seeds), *(spread(values, 2) for values in means)

    header = (*(f"seed {seed}" for seed in seeds), "mean, over seeds", "exp(mean nll), over seeds", "n", "seeds")
    return markdown(("lineage", "generation", *header), rows_of(runs, ours, from_one=False))


def tails_table(runs: Sequence[Measured]) -> str:
    """Where the histogram of perplexities lies: quantiles over texts, mean over seeds."""

    def ours(run: Measured, k: int) -> Sequence[str]:
        points = np.array([np.quantile(perplexities(sample), QUANTILES) for sample in run.samples[k].values()])
        return [spread(column, 2) for column in points.T.tolist()]

    header = ("lineage", "generation", *(f"{100 * q:g}%" for q in QUANTILES), "n", "seeds")
    return markdown(header, rows_of(runs, ours, from_one=False))


def ratios(run: Measured, generation: int, to: Measured, to_generation: int) -> list[float]:
    """exp(mean nll) of one generation over that of another, for every seed that has both."""
    mine, theirs = run.samples.get(generation, {}), to.samples.get(to_generation, {})
    return [overall(mine[seed]) / overall(theirs[seed]) for seed in mine if seed in theirs]


def changes_table(runs: Sequence[Measured]) -> str:
    """Each lineage over its own generation 0, and the other lineages over the first at the same generation."""
    (first, *others), rows = runs, []
    for k in sorted({k for run in runs for k in run.samples}):
        pairs = [*((run, k, run, 0) for run in runs), *((run, k, first, k) for run in others)]
        rows.append([str(k), *(spread(ratios(*pair), 2) for pair in pairs)])
    own = [f"{run.name} over its generation 0" for run in runs]
    return markdown(("generation", *own, *(f"{run.name} over {first.name}" for run in others)), rows)
