"""CA102: has the distribution of labels moved?"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array, hstack
from scipy.special import entr

from collapse_audit.probes.packs import answers
from collapse_audit.probes.pairs.pair import Pair
from collapse_audit.probes.statistics.design import FloatArray
from collapse_audit.probes.statistics.estimates import estimate, permutation_p, rule_of_three
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, RawPanel, Reading, Z
from collapse_audit.probes.statistics.tables import sparse_side_sums
from collapse_audit.probes.text.labels import Labels, side_by_side, spelled_alike, told_alike
from collapse_audit.probes.types import probe

NO_LABEL = "∅"
_ALPHA = 0.5
_THIN = 3


@probe(
    name="label-divergence",
    code="CA102",
    needs=("labels",),
    gates=(
        Gate(
            statistic="KL-excess",
            unit="nats",
            worse="higher",
            margin=0.05,
            because="a 10% class halved and its share given to the others costs about 0.02 nats, lost almost 0.1",
            kind="move",
            panels=(
                RawPanel(
                    picture="divergence",
                    title="Labels, KL(baseline‖generation)",
                    unit="nats",
                    generation="kl_baseline_generation",
                ),
            ),
            plain="mix of labels",
            says="the labels of {generation} lie {value} from those of {baseline}",
        ),
        Gate(
            statistic="effective-labels",
            unit="ratio",
            worse="lower",
            margin=0.85,
            because="of three classes at 30% and one at 10%, losing the small one leaves 0.81, halving it 0.93",
            part="tail",
            held="effective labels",
            plain="variety of labels",
            says="the labels of {generation} are {value} as varied as those of {baseline}",
        ),
    ),
    source="Kullback & Leibler 1951, doi 10.1214/aoms/1177729694; bias removed by document permutation",
    since="0.1",
    packed=answers.named_labels,
)
def label_divergence(pair: Pair) -> Iterable[Reading]:
    """Has the distribution of labels moved, and how much of the move is loss?

    What it measures
        Kullback-Leibler divergence of the generation's label distribution from the baseline's, less its mean over
        document permutations. And of the move what is loss: how many labels there are in effect.

    Formula and unit
        KL(baseline||generation) = sum p ln(p/q), nats, counts plus 0.5. A text with several labels counts once for
        each; a text without any counts as ``∅``. Documents are permuted, never labels.

        Effective labels: exp(H(Q)) / exp(H(P)), with H the entropy over labels, ``∅`` left out. As many equally
        frequent labels would be as varied: a lost label, and two that became one, lower it, other names do not.

    Why it signals collapse
        Rare categories are the tail of the label distribution; the thyroid study measures its generations by this KL.

    When it misleads
        An extractor that fails on degraded text moves mass to ``∅``: that is a change too, and the raw counts show it.
        Effective labels leave it out, and fall too where what is asked for became more uniform.

    Needs
        Labels.

    Raw numbers
        KL both ways, and the counts.
    """
    labels = pair.labels()
    if labels is None:
        return _nothing("no labels", neutral=not pair.labels_on_one_side)
    names, carried = joined(*labels)
    if len(names) == 1:
        return _nothing("no text of either side carries a label")
    document, label = carried[pair.design.kept].nonzero()
    ones, at = np.ones(label.size), (label, pair.design.block[document])
    per_block = coo_array((ones, at), shape=(len(names), pair.design.side.size)).tocsr()
    return [_divergence(pair, labels, names, per_block), _effective(pair, per_block[:-1])]


def _nothing(reason: str, *, neutral: bool = True) -> list[Reading]:
    return [
        NotMeasured(statistic=statistic, reason=reason, neutral=neutral)
        for statistic in ("KL-excess", "effective-labels")
    ]


def _divergence(pair: Pair, labels: tuple[Labels, Labels], names: tuple[str, ...], per_block: csr_array) -> Estimate:
    forward, reverse = _divergences(per_block, pair.relabellings)
    counts = np.stack(_on_sides(per_block, pair.design.side))
    excess = float(forward[0] - forward[1:].mean())
    # Labels that nobody carries may still be 3 in n: no divergence below that is claimed.
    error = max(
        pair.design.standard_error(_influence(per_block, pair.design.side)),
        float(forward[1:].std()),
        rule_of_three(pair.design),
    )
    one_sided = pair.one_sided
    alike = spelled_alike(*labels)
    thin = [name for name, expected in zip(names, counts[0], strict=True) if 0 < expected < _THIN]
    return estimate(
        excess,
        error,
        scale="linear",
        worse="higher",
        statistic="KL-excess",
        p_value=permutation_p(forward, worse="higher"),
        design=pair.design,
        method="influence function or permutation spread, normal",
        high=float(forward[0]) + Z * error if one_sided else None,
        raw={
            "kl_baseline_generation": float(forward[0]),
            "kl_generation_baseline": float(reverse[0]),
            "kl_smoothing": _ALPHA,
            **(_shown(names, counts) if pair.evidence != "none" else {}),
        },
        notes=(*(("one-sided",) if one_sided else ()), *(("labels-spelled-alike",) if alike else ())),
        explanation="; ".join(
            filter(
                None,
                (
                    f"fewer than {_THIN} baseline texts carry {len(thin)} of the labels" if thin else "",
                    told_alike(alike, named=pair.evidence != "none"),
                ),
            )
        ),
    )


def _effective(pair: Pair, per_block: csr_array) -> Reading:
    """Ratio of exp(entropy) over labels; ``per_block`` (K labels, blocks) without ``∅``."""
    design = pair.design
    observed = _on_sides(per_block, design.side)
    carried = np.count_nonzero(observed[0])
    if carried < 2:
        what = "one label" if carried else "no label"
        return NotMeasured(statistic="effective-labels", reason=f"the texts of the baseline carry {what}")
    totals, entropy = np.empty((2, 2, len(pair.relabellings)))
    for part, counts in sparse_side_sums(per_block, pair.relabellings):
        totals[:, part] = np.maximum(counts.sum(axis=2), 1.0)
        entropy[:, part] = entr(counts / totals[:, part, None]).sum(axis=2)
    change = entropy[1] - entropy[0]
    influence = np.zeros(design.side.size)
    for which, sign, count, spread in (
        (~design.side, -1, observed[0], entropy[0, 0]),
        (design.side, 1, observed[1], entropy[1, 0]),
    ):
        share = count / max(count.sum(), 1.0)
        surprise = np.where(share > 0, -np.log(np.where(share > 0, share, 1.0)), 0.0)
        held = per_block[:, which]
        influence[which] = sign * (held.T @ surprise - spread * held.sum(axis=0)) / max(count.sum(), 1.0)
    # Labels that nobody carries may still be 3 in n, and -x ln x of entropy with them.
    floor = rule_of_three(design) * math.log(max(design.units, 2))
    error = max(design.standard_error(influence), float(change[1:].std()), floor)
    # A sample of a sample has less entropy without any loss: by (K - 1) / 2n.
    shared = (carried - 1) / (2 * totals[1, 0]) if pair.one_sided else 0.0
    return estimate(
        math.exp(change[0]),
        error,
        scale="log",
        worse="lower",
        p_value=permutation_p(change, worse="lower"),
        design=design,
        method="influence function or permutation spread of the entropy, normal",
        statistic="effective-labels",
        high=math.exp(change[0] + shared + Z * error),
        raw={
            "effective_labels_baseline": math.exp(entropy[0, 0]),
            "effective_labels_generation": math.exp(entropy[1, 0]),
        },
        notes=("one-sided",) if pair.one_sided else (),
    )


def _shown(names: tuple[str, ...], counts: FloatArray) -> dict[str, dict[str, int]]:
    return {
        f"labels_{side}": dict(zip(names, column.astype(int).tolist(), strict=True))
        for side, column in zip(("baseline", "generation"), counts, strict=True)
    }


def joined(baseline: Labels, generation: Labels) -> tuple[tuple[str, ...], csr_array]:
    """All label names that anybody carries, then ``∅``, and who carries them: ones, shape (n + m, K + 1)."""
    names, carried = side_by_side((baseline, generation))
    seen = np.bincount(carried.indices, minlength=len(names)) > 0
    nothing = (np.diff(carried.indptr) == 0).astype(np.int64)
    carried = csr_array(hstack((carried[:, seen], csr_array(nothing[:, None])), format="csr"))
    shown = [name for name, some in zip(names, seen, strict=True) if some]
    none = NO_LABEL
    while none in shown:  # somebody's label is called like the absence of one
        none += "'"
    return (*shown, none), carried


def _smoothed_log(counts: FloatArray) -> FloatArray:
    smoothed = counts + _ALPHA
    return np.asarray(np.log(smoothed / smoothed.sum(axis=0)))


def _on_sides(per_block: csr_array, side: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """How often each label stands on the baseline's side and on the generation's; two arrays of shape (K,)."""
    return per_block @ (~side).astype(np.float64), per_block @ side.astype(np.float64)


def _divergences(per_block: csr_array, relabellings: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """KL(baseline||generation) and its reverse under every relabelling; two arrays of shape (B + 1,)."""
    forward, reverse = np.empty((2, len(relabellings)))
    for part, sums in sparse_side_sums(per_block, relabellings):
        p, q = (_smoothed_log(counts.T) for counts in sums)
        forward[part], reverse[part] = (np.exp(p) * (p - q)).sum(axis=0), (np.exp(q) * (q - p)).sum(axis=0)
    return forward, reverse


def _influence(per_block: csr_array, side: npt.NDArray[np.bool_]) -> FloatArray:
    """First-order effect of every block on KL(P||Q): ln(P/Q) for baseline labels, -P/Q for the generation's."""
    counts = _on_sides(per_block, side)
    p, q = (_smoothed_log(count) for count in counts)
    influence = np.zeros(side.size)
    for which, score, count in ((~side, p - q, counts[0]), (side, -np.exp(p - q), counts[1])):
        carried = per_block[:, which]
        mean = (score * count).sum() / max(count.sum(), 1.0)
        influence[which] = (carried.T @ score - mean * carried.sum(axis=0)) / max(count.sum(), 1.0)
    return influence
