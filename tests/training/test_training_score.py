"""How surprised a model is by texts: against a loop by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collapse_audit.lineages.training.examples import Example
from collapse_audit.lineages.training.progress import Silent
from collapse_audit.lineages.training.score import score

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

BOS, EOS, PAD = 0, 1, 2


def load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """Twenty random sequences of 2 to 20 tokens, each learned from another place on."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 21, size=20)
    return [Example(rng.integers(0, 259, size=length), int(rng.integers(1, length))) for length in lengths]


def scores(model: Any, examples: list[Example], batch_size: int, pad: int = PAD) -> Any:
    return score(model, examples, pad=pad, batch_size=batch_size, what="scoring", progress=Silent())


@pytest.mark.parametrize("architecture", ["mistral", "llama", "opt"])
def test_the_score_is_the_mean_surprise_of_the_learned_tokens(
    bases: dict[str, Path], examples: list[Example], architecture: str
) -> None:
    """A loop by hand: one text at a time, unpadded, log-softmax. In nats per token."""
    model = load(bases[architecture])
    expected = []
    for example in examples:
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(example.ids)[None]).logits[0]
        logp = torch.log_softmax(logits.double(), dim=-1)
        taken = [-float(logp[at - 1, example.ids[at]]) for at in range(example.start, len(example.ids))]
        expected.append(sum(taken) / len(taken))
    assert np.ptp(expected) > 0.1
    for batch_size in (1, 3, 7, 100):
        for pad in (PAD, EOS):
            assert scores(model, examples, batch_size, pad) == pytest.approx(expected, abs=1e-5)
    order = np.random.default_rng(1).permutation(len(examples))
    assert scores(model, [examples[i] for i in order], 4) == pytest.approx(np.array(expected)[order], abs=1e-5)


def test_an_example_with_nothing_to_score_has_no_number(bases: dict[str, Path], examples: list[Example]) -> None:
    model = load(bases["llama"])
    empty = Example(np.array([BOS]), 1)
    values = scores(model, [examples[0], empty, examples[1], empty], 3)
    assert np.isnan(values).tolist() == [False, True, False, True]
    assert np.isnan(scores(model, [empty, empty], 2)).all()


def test_an_example_without_any_token_has_no_number_either(bases: dict[str, Path]) -> None:
    """An empty block under a tokenizer without a start token."""
    assert np.isnan(scores(load(bases["llama"]), [Example(np.array([], dtype=np.int64), 1)], 2)).all()
