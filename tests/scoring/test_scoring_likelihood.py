"""Likelihoods against a loop by hand, against lm-eval, and against themselves in other batches."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.lineages.scoring import likelihood
from collapse_audit.lineages.scoring.likelihood import Window, predict, windows
from collapse_audit.lineages.training.examples import Example, collate
from collapse_audit.lineages.training.progress import Silent

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

LONGEST = 48
ARCHITECTURES = ["mistral", "llama", "opt"]


def load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """Random sequences of 1 to 130 tokens, longer than the model reads, each scored from another place on."""
    rng = np.random.default_rng(0)
    lengths = [1, 2, 3, 48, 49, 50, 96, 97, 98, 130, *rng.integers(2, 40, size=15)]
    sequences = [rng.integers(3, 259, size=length) for length in lengths]
    starts = [1 if number % 2 else int(rng.integers(1, max(len(ids), 2))) for number, ids in enumerate(sequences)]
    return [Example(ids, start) for ids, start in zip(sequences, starts, strict=True)]


def by_hand(model: Any, example: Example) -> list[tuple[float, float, float]]:
    """One token at a time: the window that predicts token ``at`` holds what lm-eval documents for its rolling
    log-likelihood. The first predicts the first L tokens, each further one the next L, and the last reaches back so
    far that L tokens go in. Surprise, entropy and largest probability."""
    found = []
    for at in range(example.start, len(example.ids)):
        end = min(1 + LONGEST * math.ceil(at / LONGEST), len(example.ids))
        begin = max(0, end - 1 - LONGEST)
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(example.ids[begin : end - 1])[None]).logits[0, at - 1 - begin]
        logp = torch.log_softmax(logits.double(), dim=-1)
        entropy = -float((logp.exp() * logp).sum())
        found.append((-float(logp[example.ids[at]]), entropy, float(logp.exp().max())))
    return found


@given(length=st.integers(1, 300), start=st.integers(1, 40), longest=st.integers(1, 60))
def test_every_token_is_predicted_once_and_never_from_more_than_the_model_reads(
    length: int, start: int, longest: int
) -> None:
    predicted = []
    for window in windows(0, length, start, longest):
        assert 0 <= window.begin < window.first <= window.end < length
        assert window.end - window.begin <= longest
        predicted += range(window.first, window.end + 1)
    assert predicted == list(range(start, length))


def test_windows_are_those_of_the_harness() -> None:
    utils = pytest.importorskip("lm_eval.utils")
    for count in (1, 7, 8, 9, 16, 17, 23):
        ids = list(range(100, 101 + count))  # the first stands for the beginning of the text
        theirs = [
            (context, tokens)
            for context, tokens in map(
                utils.make_disjoint_window, utils.get_rolling_token_windows(ids[1:], ids[0], 8, 1)
            )
        ]
        ours = [(ids[w.begin : w.first], ids[w.first : w.end + 1]) for w in windows(0, len(ids), 1, 8)]
        assert ours == theirs


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sums_are_those_of_a_loop_by_hand_whatever_the_batch(
    models: dict[str, Path], examples: list[Example], architecture: str
) -> None:
    model = load(models[architecture])
    rows = [by_hand(model, example) for example in examples]
    expected = np.array([np.sum(row, axis=0) if row else np.zeros(3) for row in rows]).T
    assert np.ptp(expected[0]) > 10
    order = np.random.default_rng(1).permutation(len(examples))
    for batch_size, places in ((1, order), (2, order), (7, np.arange(len(examples))), (100, order)):
        found = predict(
            model,
            [examples[i] for i in places],
            longest=LONGEST,
            batch_size=batch_size,
            spread=True,
            progress=Silent(),
        )
        sums = np.array([found.nll, found.entropy, found.top1])
        assert np.abs(sums - expected[:, places]).max() < 1e-4 * 1.3  # 1e-6 a token, and 130 tokens
        assert found.count.tolist() == [len(rows[i]) for i in places]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_padding_on_the_left_with_a_mask_says_the_same(
    models: dict[str, Path], examples: list[Example], architecture: str
) -> None:
    model = load(models[architecture])
    fitting = [example for example in examples if example.start < len(example.ids) <= LONGEST]
    batch = collate(fitting, 2)
    labels = batch.pop("labels")[:, 1:]
    with torch.no_grad():
        logits = model(**batch).logits[:, :-1].double()
    logp = torch.log_softmax(logits, dim=-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    left = -torch.where(labels >= 0, logp, 0.0).sum(dim=1).numpy()
    right = predict(model, fitting, longest=LONGEST, batch_size=100, progress=Silent()).nll
    assert np.abs(left - right).max() < 1e-4


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_in_pieces_are_the_logits(
    models: dict[str, Path], examples: list[Example], architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one text's logits alone would be too many, they are made a few positions at a time."""
    model = load(models[architecture])
    whole = predict(model, examples, longest=LONGEST, batch_size=8, spread=True, progress=Silent())
    widest = []
    real = likelihood._summed

    def watched(logits: Any, *rest: Any, **more: Any) -> Any:
        widest.append(logits.numel())
        return real(logits, *rest, **more)

    monkeypatch.setattr(likelihood, "_LOGITS", 7 * 300)
    monkeypatch.setattr(likelihood, "_summed", watched)
    pieces = predict(model, examples, longest=LONGEST, batch_size=8, spread=True, progress=Silent())
    assert max(widest) <= 7 * 300
    for name in ("nll", "entropy", "top1"):
        assert np.abs(getattr(whole, name) - getattr(pieces, name)).max() < 1e-4


def test_rolling_likelihoods_equal_the_harness(models: dict[str, Path]) -> None:
    """EleutherAI's lm-evaluation-harness on the same model and texts, short ones and some of several windows."""
    huggingface = pytest.importorskip("lm_eval.models.huggingface")
    from lm_eval.api.instance import Instance
    from toy_training import RECORDS
    from transformers import AutoTokenizer

    from collapse_audit.lineages.scoring.scorer import Reader

    model, tokenizer = load(models["mistral"]), AutoTokenizer.from_pretrained(models["mistral"])
    texts = [one["text"] for one in RECORDS[:8]] + [
        " ".join(one["prompt"] for one in (RECORDS * 2)[:n]) for n in (3, 9, 60)
    ]
    theirs = huggingface.HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4)
    requests = [Instance("loglikelihood_rolling", {}, (text,), number) for number, text in enumerate(texts)]
    expected = -np.array(theirs.loglikelihood_rolling(requests, disable_tqdm=True))
    records = [{"text": text, "prompt": None} for text in texts]
    examples = Reader(tokenizer=tokenizer).examples(records)
    assert max(len(example.ids) for example in examples) > 2 * LONGEST
    found = predict(model, examples, longest=theirs.max_length, batch_size=3, progress=Silent())
    assert np.abs(found.nll - expected).max() < 1e-4


class Stub:
    """A model whose logits are a table: what it says after each token."""

    device = "cpu"

    def __init__(self, table: Any) -> None:
        self.table = torch.as_tensor(table, dtype=torch.float32)
        text = SimpleNamespace(vocab_size=self.table.shape[1])
        self.config = SimpleNamespace(get_text_config=lambda: text)

    def forward(self, input_ids: Any, use_cache: bool = False) -> Any:  # noqa: ARG002
        return SimpleNamespace(logits=self.table[input_ids])

    __call__ = forward


def spread(table: Any, ids: list[int], start: int = 1) -> tuple[float, float, float]:
    example = Example(np.array(ids), start)
    found = predict(Stub(table), [example], longest=99, batch_size=1, spread=True, progress=Silent())
    assert found.entropy is not None
    assert found.top1 is not None
    return tuple(float(x[0]) / (len(ids) - start) for x in (found.nll, found.entropy, found.top1))  # type: ignore[return-value]


def test_a_uniform_model_has_the_entropy_of_its_vocabulary() -> None:
    assert spread(np.zeros((7, 7)), [0, 3, 5, 6]) == pytest.approx((math.log(7), math.log(7), 1 / 7), abs=1e-6)


@pytest.mark.parametrize("never", [-math.inf, -1e9])
def test_a_model_that_knows_what_comes_has_none(never: float) -> None:
    """Also where all other tokens have probability zero exactly: 0 ln 0 is 0."""
    table = np.full((4, 4), never)
    table[np.arange(4), [1, 2, 3, 0]] = 0.0
    assert spread(table, [0, 1, 2, 3, 0]) == (0.0, 0.0, 1.0)


def test_entropy_and_the_leading_token_of_logits_by_hand() -> None:
    """After 0: probabilities 1/2, 1/4, 1/4. After 1: 1/2, 1/2, 0. Both are asked, and the last token is not."""
    table = np.log([[0.5, 0.25, 0.25], [0.5, 0.5, 1e-30], [1.0, 1e-30, 1e-30]])
    ln2 = math.log(2)
    expected = ((2 * ln2 + ln2) / 2, (1.5 * ln2 + ln2) / 2, 0.5)
    assert spread(table, [0, 1, 0]) == pytest.approx(expected, abs=1e-6)
    assert spread(table, [0, 1, 0], start=2) == pytest.approx((ln2, ln2, 0.5), abs=1e-6)


def test_progress_counts_texts_and_ends_at_their_number(models: dict[str, Path], examples: list[Example]) -> None:
    told: list[int] = []
    listener = SimpleNamespace(start=None, say=None, update=told.append)
    predict(load(models["llama"]), examples, longest=LONGEST, batch_size=4, progress=listener, done=100)  # type: ignore[arg-type]
    assert told == sorted(told)
    assert told[-1] == 100 + len(examples)


def test_a_window_is_a_plain_record() -> None:
    assert list(windows(3, 5, 1, 2)) == [Window(3, 0, 2, 1), Window(3, 2, 4, 3)]
