"""Models of numbers against closed forms: Theorem 3.1 of Shumailov et al. 2024, and what follows from it."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from math import exp, lgamma, log, sqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import psi
from scipy.stats import norm

from collapse_audit import audit
from collapse_audit.errors import UsageError
from collapse_audit.lineage_cli import main
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.simulation.autoencoder import autoencoder, digits
from collapse_audit.lineages.simulation.numbers import (
    Gaussian,
    Mix,
    States,
    clipped,
    gaussian,
    generations,
    mixture,
    states,
)
from collapse_audit.lineages.simulation.wright_fisher import zipf
from collapse_audit.probes.registry import NUMERIC

N, ROUNDS, PATHS = 20, 10, 2000
C4 = sqrt(2 / (N - 1)) * exp(lgamma(N / 2) - lgamma((N - 1) / 2))
"""E of the sample standard deviation of N numbers from N(0, 1)."""


@cache
def paths() -> npt.NDArray[np.float64]:
    """Mean and standard deviation of every model of every path, shape (PATHS, ROUNDS + 1, 2)."""
    found = []
    for seed in range(PATHS):
        rng = np.random.default_rng(seed)
        models = generations(rng.normal(size=N), gaussian, ROUNDS, rng)
        found.append([(model.mean, model.deviation) for model in models if isinstance(model, Gaussian)])
    return np.array(found)


def agrees(values: npt.NDArray[np.float64], expected: float) -> bool:
    """Whether the mean of the paths is as expected, to four standard errors."""
    return bool(abs(values.mean() - expected) <= 4 * values.std() / sqrt(len(values)))


@pytest.mark.parametrize("model", [0, 1, 4, 10])
def test_the_variance_goes_to_zero_at_the_rate_of_its_logarithm(model: int) -> None:
    """Model k has been fitted k + 1 times: E ln var = (k + 1) (psi((N - 1) / 2) - ln((N - 1) / 2)), below 0."""
    rate = psi((N - 1) / 2) - log((N - 1) / 2)
    assert rate < 0
    assert agrees(2 * np.log(paths()[:, model, 1]), (model + 1) * rate)


@pytest.mark.parametrize("model", [0, 1, 4, 10])
def test_the_distance_from_the_first_law_grows(model: int) -> None:
    """W2^2 of normal laws is (difference of means)^2 + (difference of deviations)^2."""
    mean, deviation = paths()[:, model].T
    fits = model + 1
    assert agrees(deviation, C4**fits)
    assert agrees(mean, 0)
    assert agrees(mean**2, fits / N)
    assert agrees(mean**2 + (1 - deviation) ** 2, fits / N + 2 * (1 - C4**fits))


def test_the_expected_variance_stays_though_nearly_every_path_of_it_falls() -> None:
    variance = paths()[:, ROUNDS, 1] ** 2
    assert agrees(variance, 1)
    assert np.median(variance) < 0.7


def test_with_the_first_numbers_alone_nothing_is_ever_lost() -> None:
    first = np.random.default_rng(1).normal(size=N)
    models = list(generations(first, gaussian, 5, np.random.default_rng(2), mix=Mix(original=1, newest=0)))
    assert {round(model.mean, 12) for model in models} == {round(float(first.mean()), 12)}  # type: ignore[attr-defined]


def test_human_numbers_keep_the_variance_and_earlier_ones_slow_its_loss() -> None:
    """Mean logarithm of the variance after ten rounds, 300 paths: alone, half earlier, half human."""

    def left(mix: Mix) -> float:
        found = []
        for seed in range(300):
            rng = np.random.default_rng(seed)
            *_, last = generations(rng.normal(size=N), gaussian, ROUNDS, rng, mix=mix)
            assert isinstance(last, Gaussian)
            found.append(2 * log(last.deviation))
        return float(np.mean(found))

    alone, earlier, human = map(left, (Mix(), Mix(earlier=0.5, newest=0.5), Mix(original=0.5, newest=0.5)))
    assert alone < earlier < human


@pytest.mark.parametrize("shares", [(0.5, 0.6, 0.0), (-0.1, 0.1, 1.0), (0.0, 0.0, 0.0)])
def test_shares_that_do_not_sum_to_one_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="1 together"):
        Mix(original=shares[0], earlier=shares[1], newest=shares[2])


def test_a_mixture_of_one_is_the_normal_law_of_most_likelihood_and_of_two_finds_both_modes() -> None:
    rng = np.random.default_rng(0)
    numbers = np.concatenate((rng.normal(-3, 1, 500), rng.normal(3, 0.5, 1500)))
    one = mixture(1)(numbers)(100_000, rng)
    assert (one.mean(), one.std()) == pytest.approx((numbers.mean(), numbers.std()), abs=0.03)
    two = mixture(2)(numbers)(100_000, rng)
    right = two > 0.5
    assert right.mean() == pytest.approx(0.75, abs=0.01)
    assert (two[right].mean(), two[right].std()) == pytest.approx((3, 0.5), abs=0.05)
    assert (two[~right].mean(), two[~right].std()) == pytest.approx((-3, 1), abs=0.1)


def test_the_blogs_first_round_is_a_truncated_normal_and_its_noise() -> None:
    """var = 1 - 2 c phi(c) / (2 Phi(c) - 1) + noise^2 for a cut at c = 2."""
    rng = np.random.default_rng(0)
    after = clipped(rng.normal(size=400_000), rng)
    inside = 2 * norm.cdf(2) - 1
    assert after.size / 400_000 == pytest.approx(inside, abs=0.002)
    assert after.var() == pytest.approx(1 - 4 * norm.pdf(2) / inside + 0.15**2, abs=0.005)


def test_the_blogs_variance_settles_far_from_zero_while_its_numbers_run_out() -> None:
    rng = np.random.default_rng(0)
    sizes, variances, numbers = [], [], rng.normal(size=400_000)
    for _ in range(60):
        numbers = clipped(numbers, rng)
        sizes.append(numbers.size)
        variances.append(float(numbers.var()))
    assert all(after <= before for before, after in pairwise(sizes))
    assert variances[-1] == pytest.approx(variances[-20], rel=0.02)
    assert variances[-1] > 0.5


@pytest.mark.parametrize("kind", ["discrete", "gaussian", "mixture"])
def test_a_lineage_of_numbers_is_whole_and_repeatable(kind: str, tmp_path: Path) -> None:
    for name, more in (("a", ()), ("b", ()), ("mixed", ("--human", "0.25", "--earlier", "0.25"))):
        assert (
            main(["simulate", kind, "--generations", "2", "--refits", "3", "--out", str(tmp_path / name), *more]) == 0
        )
    for file in ("reference.jsonl", "gen_2/texts.jsonl", "gen_2/holdout.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / "gen_2" / "texts.jsonl").read_bytes() != (
        tmp_path / "mixed" / "gen_2" / "texts.jsonl"
    ).read_bytes()
    lineage = load_lineage(tmp_path / "mixed")
    assert [entry.trained_on for entry in lineage.generations] == [
        ("reference",),
        ("reference", "gen_0/texts.jsonl"),
        ("reference", "gen_0/texts.jsonl", "gen_1/texts.jsonl"),
    ]
    held = [
        json.loads(line)["numeric"] for line in (tmp_path / "a/gen_1/holdout.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(held) == 1000
    assert np.isfinite(held).all()


def test_sizes_that_cannot_be_fitted_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "gaussian", "--samples", "2", "--out", str(tmp_path / "a")]) == 4
    assert "allowed: 3 samples or more" in capsys.readouterr().err
    assert main(["simulate", "gaussian", "--human", "1.5", "--out", str(tmp_path / "a")]) == 4
    assert not (tmp_path / "a").exists()


def test_what_is_held_out_is_drawn_anew_also_where_it_is_as_many(tmp_path: Path) -> None:
    assert main(["simulate", "gaussian", "--samples", "30", "--holdout", "30", "--out", str(tmp_path / "a")]) == 0
    texts, held = ((tmp_path / "a" / "gen_0" / f"{name}.jsonl").read_text("utf-8") for name in ("texts", "holdout"))
    assert not set(texts.splitlines()) & set(held.splitlines())


def test_shares_that_leave_nothing_to_the_newest_are_allowed(tmp_path: Path) -> None:
    argv = ["simulate", "gaussian", "--human", "0.9", "--earlier", "0.1", "--out", str(tmp_path / "a")]
    assert main(argv) == 0  # 1 - 0.9 - 0.1 is -2.8e-17 to a computer


# States: statistics of Wright and Fisher's process, in closed form


def test_states_that_no_sample_caught_are_gone_and_one_alone_is_absorbing() -> None:
    rng = np.random.default_rng(3)
    models = list(generations(rng.choice(5.0 + np.arange(6), 20), states, 200, rng))
    alive = [set(model.values.tolist()) for model in models if isinstance(model, States)]
    assert all(after <= before for before, after in pairwise(alive))
    assert len(alive[-1]) == 1
    assert set(models[-1](10, rng).tolist()) == alive[-1]


def test_states_and_their_diversity_die_out_as_in_closed_form() -> None:
    """E states = sum 1 - (1 - p)^N after one sample; E(1 - sum q^2) = (1 - 1/N)^k (1 - sum p^2) after k; E q = p."""
    p, size, rounds, count = zipf(8), 15, 6, 3000
    rng = np.random.default_rng(4)
    seen, diversity, first = [], [], []
    for _ in range(count):
        start = rng.choice(np.arange(8.0), size, p=p)
        models = [model for model in generations(start, states, rounds, rng) if isinstance(model, States)]
        seen.append(len(models[0].values))
        diversity.append(1 - (models[-1].shares ** 2).sum())
        first.append(float(models[-1].shares[models[-1].values == 0].sum()))
    assert agrees(np.array(seen), float((1 - (1 - p) ** size).sum()))
    assert agrees(np.array(diversity), (1 - 1 / size) ** (rounds + 1) * (1 - (p**2).sum()))
    assert agrees(np.array(first), float(p[0]))


# Autoencoder


def test_an_autoencoder_draws_pictures_that_look_like_what_it_learned() -> None:
    """Two kinds of pictures, one dark above and one below: what is drawn is of both, and nearly nothing else."""
    rng = np.random.default_rng(0)
    top = np.repeat([[1.0, 0.0]], 32, axis=1)
    pictures = np.concatenate((np.repeat(top, 150, axis=0), np.repeat(1 - top, 150, axis=0)))
    drawn = autoencoder(0)(pictures)(400, rng)
    assert drawn.shape == (400, 64)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    upper = drawn[:, :32].mean(axis=1)
    assert (np.abs(upper - 0.5) > 0.4).mean() > 0.5
    assert 0.2 < (upper > 0.5).mean() < 0.8
    again = autoencoder(0)(pictures)(400, np.random.default_rng(0))
    assert again == pytest.approx(drawn)


def test_peoples_digits_come_with_the_library() -> None:
    assert digits().shape == (1797, 64)
    assert (digits().min(), digits().max()) == (0, 1)


def test_more_digits_than_there_are_cannot_be_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "vae", "--samples", "1798", "--out", str(tmp_path / "a")]) == 4
    assert "1798 samples; there are 1,797 digits" in capsys.readouterr().err


# Audited


@pytest.mark.parametrize(
    ("kind", "stage", "failing", "options"),
    [
        ("discrete", "early", {"numeric-tails", "numeric-modes"}, ()),
        ("gaussian", "late", {"numeric-spread"}, ("--refits", "60")),
        ("mixture", "late", {"numeric-spread"}, ()),
        ("vae", "late", {"numeric-spread"}, ("--samples", "200", "--holdout", "300")),
        ("clipped", "early", {"numeric-tails"}, ("--refits", "5", "--holdout", "2000")),
    ],
)
def test_the_five_lineages_are_red_and_of_the_right_stage(
    kind: str, stage: str, failing: set[str], options: tuple[str, ...], tmp_path: Path
) -> None:
    assert main(["simulate", kind, "--generations", "1", "--out", str(tmp_path / kind), *options]) == 0
    report = audit(tmp_path / kind)
    assert (report.verdict.value, report.stage.value) == ("collapse", stage)
    assert failing <= {finding.probe for finding in report.findings if finding.outcome.value == "fail"}
    assert {finding.probe for finding in report.findings} == {*(probe.name for probe in NUMERIC), "integrity"}


@pytest.mark.parametrize("kind", ["discrete", "gaussian"])
def test_models_of_the_first_numbers_alone_do_not_collapse(kind: str, tmp_path: Path) -> None:
    argv = ["--human", "1", "--generations", "1", "--holdout", "2000", "--out", str(tmp_path / kind)]
    assert main(["simulate", kind, *argv]) == 0
    assert not [finding for finding in audit(tmp_path / kind).findings if finding.outcome.value in ("fail", "changed")]
