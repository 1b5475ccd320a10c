"""CA703: do texts that models are evaluated on stand in the training data?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.pairs.copying import recited, recited_among
from collapse_audit.probes.pairs.training_data import TrainingData, whole
from collapse_audit.probes.statistics.counted import beyond_chance, bounds
from collapse_audit.probes.statistics.design import BoolArray
from collapse_audit.probes.statistics.readings import Estimate, Gate, NotMeasured, Reading
from collapse_audit.probes.text.folding import fold
from collapse_audit.probes.types import data_probe

_SEEN = 0.7
"""Share of a text's 8-grams that stand in the training data, from which it has been seen."""


@data_probe(
    name="contamination",
    code="CA703",
    needs=("text", "evaluation"),
    gates=(
        Gate(
            statistic="contamination",
            unit="share of documents",
            worse="higher",
            margin=0.01,
            because="one evaluation text in a hundred moves a score by up to a point, which is what models are told "
            "apart by",
            plain="evaluation texts in the training data",
            says="{value} of the evaluation texts stand in the training data",
        ),
    ),
    source="Chowdhery et al. 2022, arXiv:2204.02311 (70% of 8-grams)",
    since="0.2",
)
def contamination(data: TrainingData) -> Reading:
    """Do texts that models are evaluated on stand in the training data?

    What it measures
        The share of evaluation texts (prompt and text together) that a model trained on these data has seen.

    Formula and unit
        A text of the evaluation set was seen if the data hold it word for word, or hold 70% of its runs of 8 words
        (Chowdhery et al. 2022). Texts of fewer than 8 words count where they stand there word for word. c of all texts
        were seen; a share m of them would be in the other texts of the evaluation set, so common are its phrases. The
        share is (c - m)/(1 - m), and at most c. Where m is not 0, it is at least that with the 95% bounds of both.

    Why it signals collapse
        It does not: it makes ``task-score`` blind. A model that has read the answers keeps its score while it loses
        all else.

    When it misleads
        Translations and rewritings are not found. Where the evaluation set is made of templates, a range is all that
        can be told. Texts that stand in both by right (a licence, an instruction) count as seen.

    Needs
        Text, and an evaluation set (``--evaluation``).
    """
    assert data.evaluation is not None, "an audit without an evaluation set asks for no contamination"
    (asked, asked_words), (read, read_words) = whole(data.evaluation), whole(data.generation)
    asked, read = fold(asked), fold(read)
    written = np.asarray(pc.not_equal(asked, ""))
    n = int(written.sum())
    if not n:
        return NotMeasured(reason="all texts of the evaluation set are empty", neutral=False)
    same = np.asarray(pc.is_in(asked, value_set=read))
    covered, grams = recited(asked_words, read_words)
    enough = np.maximum(_SEEN * grams, 1)
    hits = int(((same | (covered >= enough)) & written).sum())
    common = int(((_repeated(asked) | (recited_among(asked_words) >= enough)) & written).sum())
    complete = data.generation.n_read == len(data.generation)
    share = beyond_chance(hits / n, common / n)
    # Where no phrase is common nothing is left to chance: what was found stands there.
    least = beyond_chance(bounds(hits, n)[0], bounds(common, n)[1]) if common else share
    remarks = (
        [] if complete else ["only a part of the data was looked through (max_documents), so more may stand in them"]
    )
    if common:
        remarks.append(f"{common / n:.1%} would be found in the other evaluation texts, so common are their phrases")
    return Estimate(
        value=share,
        low=least,
        high=hits / n if complete else 1.0,
        method="counted over all texts, chance from the evaluation set's own phrases",
        p_value=None,
        n_baseline=n,
        n_generation=len(data.generation),
        raw={"word_for_word": float((same & written).sum()) / n, "seen": hits / n, "by_chance": common / n},
        notes=("range",) if remarks else (),
        explanation="; ".join(remarks),
    )


def _repeated(texts: pa.Array) -> BoolArray:
    """Where a text is another's copy; shape (N,)."""
    code = texts.dictionary_encode().indices.to_numpy()
    return np.asarray(np.bincount(code)[code] > 1)
