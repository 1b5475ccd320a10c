"""From records to tokens and batches: by hand on a tokenizer of single letters, and the loss computed a second way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_training import recipe_of, write_jsonl

from collapse_audit.lineages.corpora.corpus import Corpus, open_corpus
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.examples import (
    Encoder,
    Example,
    collate,
    in_batches_by_length,
    on_device,
    training_order,
)

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

BOS, EOS, PAD = 0, 1, 2
LETTERS = {letter: number for number, letter in enumerate("abcdefgh:\n", start=3)}
"""a is 3, b is 4, …, h is 10, the colon 11, the line end 12."""


@pytest.fixture(scope="module")
def letters() -> Any:
    """A token a letter."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<s>": BOS, "</s>": EOS, "<pad>": PAD, **LETTERS}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>")


def corpus_of(folder: Path, *records: dict[str, Any]) -> Corpus:
    return open_corpus(write_jsonl(folder / "texts.jsonl", records))


def plain(example: Example) -> tuple[list[int], int]:
    return example.ids.tolist(), example.start


def test_a_completion_is_prompt_text_and_end_and_only_the_last_two_are_learned(letters: Any, tmp_path: Path) -> None:
    encoder = Encoder(letters, recipe_of(text={"template": "{prompt}:", "context": 48}))
    corpus = corpus_of(tmp_path, {"prompt": "ab", "text": "cd"}, {"prompt": "h", "text": ""})
    first, second = encoder.human(corpus)
    assert plain(first) == ([BOS, 3, 4, 11, 5, 6, EOS], 4)
    assert plain(second) == ([BOS, 10, 11, EOS], 3)
    batch = collate([first, second], PAD)
    # By hand: four columns are kept, the last of the prompt and the three learned ones.
    assert batch["labels"].tolist() == [[-100, 5, 6, EOS], [-100, -100, -100, EOS]]
    assert batch["logits_to_keep"] == 4


def test_what_a_model_is_asked_is_what_stands_before_the_text(letters: Any, tmp_path: Path) -> None:
    encoder = Encoder(letters, recipe_of(text={"template": "{prompt}:", "context": 48}))
    corpus = corpus_of(tmp_path, {"id": "x", "group": "g", "prompt": "ab", "text": "cd"}, {"prompt": "h", "text": ""})
    first, second = encoder.prompts(corpus)
    assert (first.id, first.group, first.shown, first.ids.tolist()) == ("x", "g", "ab", [BOS, 3, 4, 11])
    assert (second.id, second.group, second.ids.tolist()) == ("1", None, [BOS, 10, 11])


def test_a_prompt_is_tokenized_once_however_many_generations_answer_it(letters: Any, tmp_path: Path) -> None:
    encoded: list[str] = []

    class Counting:
        bos_token_id, eos_token_id, pad_token_id = BOS, EOS, PAD

        def __call__(self, texts: list[str], **settings: Any) -> Any:
            encoded.extend(texts)
            return letters(texts, **settings)

    encoder = Encoder(Counting(), recipe_of(text={"template": "{prompt}:", "context": 48}))
    corpus = corpus_of(
        tmp_path, {"prompt": "ab", "text": "c"}, {"prompt": "h", "text": "d"}, {"prompt": "ab", "text": "e"}
    )
    first = encoder.human(corpus)
    assert [plain(example) for example in encoder.human(corpus)] == [plain(example) for example in first]
    assert [prompt.ids.tolist() for prompt in encoder.prompts(corpus)] == [
        [BOS, 3, 4, 11],
        [BOS, 10, 11],
        [BOS, 3, 4, 11],
    ]
    assert [text for text in encoded if text.endswith(":")] == ["ab:", "h:"]


def test_a_template_with_braces_in_the_prompt_is_filled_once(letters: Any, tmp_path: Path) -> None:
    encoder = Encoder(letters, recipe_of(text={"template": "a{prompt}\n", "context": 48}))
    (example,) = encoder.human(corpus_of(tmp_path, {"prompt": "b:b", "text": "c"}))
    assert plain(example) == ([BOS, 3, 4, 11, 4, 12, 5, EOS], 6)


def test_a_record_without_a_prompt_is_refused(letters: Any, tmp_path: Path) -> None:
    encoder = Encoder(letters, recipe_of())
    for record, name in (({"id": "x", "text": "a"}, "x"), ({"text": "a"}, "(without id)")):
        with pytest.raises(TrainingError) as caught:
            encoder.human(corpus_of(tmp_path, record))
        assert str(caught.value) == f"record {name} has no prompt; the task completion needs one in each"


def blocks_recipe(block: int = 4) -> Any:
    return recipe_of(task="blocks", text={"block": block, "context": 48})


def test_blocks_are_cut_from_all_text_end_to_end_and_the_remainder_is_dropped(letters: Any, tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, {"text": "abc"}, {"text": "defg"}, {"text": ""}, {"text": "ha"}, {"text": "b"})
    examples = Encoder(letters, blocks_recipe()).human(corpus)
    # abcdefghab: two blocks of four, and "ab" is left over. All but the start token is learned, and nothing ends.
    assert [plain(example) for example in examples] == [([BOS, 3, 4, 5, 6], 1), ([BOS, 7, 8, 9, 10], 1)]
    assert collate(examples, PAD)["labels"].tolist() == [[-100, 3, 4, 5, 6], [-100, 7, 8, 9, 10]]
    prompts = Encoder(letters, blocks_recipe()).prompts(corpus)
    assert [(one.id, one.shown, one.ids.tolist()) for one in prompts] == [
        ("block-00000", "abcd", [BOS, 3, 4, 5, 6]),
        ("block-00001", "efgh", [BOS, 7, 8, 9, 10]),
    ]


def test_a_written_block_has_no_end_of_text(letters: Any) -> None:
    first, second = Encoder(letters, blocks_recipe()).of([{"text": "abcd"}, {"text": ""}])
    assert plain(first) == ([BOS, 3, 4, 5, 6], 1)
    assert plain(second) == ([BOS], 1)


def test_too_little_text_for_one_block_is_refused(letters: Any, tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, {"text": "abc"})
    for call in (Encoder(letters, blocks_recipe()).human, Encoder(letters, blocks_recipe()).prompts):
        with pytest.raises(TrainingError) as caught:
            call(corpus)
        assert str(caught.value) == f"{tmp_path}/texts.jsonl holds 3 tokens; one block alone takes 4"


def test_human_text_longer_than_the_context_is_refused_and_exactly_as_long_is_not(letters: Any, tmp_path: Path) -> None:
    encoder = Encoder(letters, recipe_of(text={"template": "{prompt}:", "context": 20}, decoding__max_new_tokens=9))
    fits = {"prompt": "ab", "text": "c" * 15}  # with start, colon and end 20 tokens
    assert len(encoder.human(corpus_of(tmp_path, fits))[0].ids) == 20
    corpus = corpus_of(tmp_path, fits, {"prompt": "ab", "text": "c" * 17}, {"prompt": "ab", "text": "c" * 16})
    with pytest.raises(TrainingError) as caught:
        encoder.human(corpus)
    assert str(caught.value) == (
        f"{tmp_path}/texts.jsonl: 2 of 3 records do not fit the context of 20 tokens (the first is record 2, the "
        "longest has 22 tokens); raise recipe.text.context, lower recipe.decoding.max_new_tokens, or shorten the "
        "prompts"
    )


def test_a_prompt_that_leaves_no_room_to_answer_is_refused(letters: Any, tmp_path: Path) -> None:
    encoder = Encoder(letters, recipe_of(text={"template": "{prompt}:", "context": 20}, decoding__max_new_tokens=9))
    fits = {"prompt": "a" * 9, "text": "b"}  # start, nine letters, the colon: 11 and 9 new ones
    assert len(encoder.prompts(corpus_of(tmp_path, fits))[0].ids) == 11
    with pytest.raises(TrainingError) as caught:
        encoder.prompts(corpus_of(tmp_path, fits, {"prompt": "a" * 10, "text": "b"}))
    assert str(caught.value) == (
        f"{tmp_path}/texts.jsonl: 1 of 2 records do not fit the context of 20 tokens and 9 new tokens (the first is "
        "record 2, the longest has 12 tokens); raise recipe.text.context, lower recipe.decoding.max_new_tokens, or "
        "shorten the prompts"
    )


def test_a_written_text_that_grew_is_cut_where_the_context_ends(letters: Any) -> None:
    encoder = Encoder(letters, recipe_of(text={"template": "{prompt}:", "context": 20}, decoding__max_new_tokens=9))
    (example,) = encoder.of([{"id": None, "prompt": "a", "text": "b" * 30}])
    assert plain(example) == ([BOS, 3, 11, *[4] * 17], 3)


def test_padding_is_masked_by_position_even_where_it_is_the_end_of_text_token() -> None:
    """The real end keeps its label in the short row, and no padding has one."""
    short, long = Example(np.array([BOS, 5, 6, EOS]), 2), Example(np.array([BOS, 5, 5, 5, 6, 7, EOS]), 4)
    batch = collate([short, long], EOS)
    assert batch["input_ids"].tolist() == [[EOS, EOS, EOS, BOS, 5, 6, EOS], [BOS, 5, 5, 5, 6, 7, EOS]]
    assert batch["attention_mask"].tolist() == [[0, 0, 0, 1, 1, 1, 1], [1] * 7]
    assert batch["position_ids"].tolist() == [[0, 0, 0, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6]]
    assert batch["labels"].tolist() == [[-100, -100, 6, EOS], [-100, 6, 7, EOS]]
    assert batch["logits_to_keep"] == 4


def test_an_end_of_text_token_in_the_middle_of_what_is_learned_keeps_its_label() -> None:
    batch = collate([Example(np.array([BOS, 5, EOS, 6, EOS]), 1)], EOS)
    assert batch["labels"].tolist() == [[-100, 5, EOS, 6, EOS]]


EXAMPLES = st.lists(
    st.lists(st.integers(0, 258), min_size=2, max_size=20).flatmap(
        lambda ids: st.builds(Example, st.just(np.array(ids)), st.integers(1, len(ids) - 1))
    ),
    min_size=1,
    max_size=6,
)


def plain_loss(model: Any, examples: list[Example], *, pad: int) -> float:
    """Padded on the right, logits of everything, PyTorch's cross entropy over what is learned: a second way."""
    width = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), width), pad)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for row, example in enumerate(examples):
        size = len(example.ids)
        ids[row, :size] = torch.from_numpy(example.ids)
        mask[row, :size] = 1
        labels[row, example.start : size] = ids[row, example.start : size]
    logits = model(input_ids=ids, attention_mask=mask).logits
    return float(
        torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
    )


@pytest.fixture(scope="module")
def models(bases: dict[str, Path]) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM

    return {name: AutoModelForCausalLM.from_pretrained(folder).eval() for name, folder in bases.items()}


@pytest.mark.parametrize("architecture", ["mistral", "llama", "opt"])
@pytest.mark.parametrize("pad", [EOS, PAD])
def test_the_loss_is_that_of_the_plain_computation(models: dict[str, Any], architecture: str, pad: int) -> None:
    model = models[architecture]

    @settings(max_examples=15, deadline=None)
    @given(EXAMPLES)
    def holds(examples: list[Example]) -> None:
        with torch.no_grad():
            batch = on_device(model, collate(examples, pad))
            assert float(model(**batch).loss) == pytest.approx(plain_loss(model, examples, pad=pad), abs=1e-6, rel=1e-6)

    holds()


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=200),
    epochs=st.integers(1, 4),
    batch_size=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_every_epoch_is_a_permutation_of_all_examples(
    lengths: list[int], epochs: int, batch_size: int, seed: int
) -> None:
    order = training_order(lengths, epochs, batch_size, np.random.default_rng(seed))
    assert Counter(order.tolist()) == dict.fromkeys(range(len(lengths)), epochs)
    again = training_order(lengths, epochs, batch_size, np.random.default_rng(seed))
    assert order.tolist() == again.tolist()


def test_an_epoch_begins_only_when_the_one_before_has_read_every_example() -> None:
    """Where a stretch of 32 batches is just one epoch, each epoch by itself is a permutation."""
    lengths = list(range(64))
    order = training_order(lengths, 3, 2, np.random.default_rng(0))
    for epoch in order.reshape(3, 64):
        assert sorted(epoch.tolist()) == lengths
    assert order[:64].tolist() != order[64:128].tolist()


@given(st.integers(1, 50), st.floats(0.01, 4), st.integers(1, 8))
def test_a_part_of_an_epoch_reads_that_share_of_the_examples_and_none_twice(n: int, epochs: float, size: int) -> None:
    order = training_order([5] * n, epochs, size, np.random.default_rng(0))
    assert len(order) == max(1, round(epochs * n))
    counts = Counter(order.tolist())
    assert max(counts.values()) - min(counts.get(example, 0) for example in range(n)) <= 1


def test_another_generator_gives_another_order() -> None:
    orders = {tuple(training_order([5] * 40, 1, 4, np.random.default_rng(seed)).tolist()) for seed in range(20)}
    assert len(orders) == 20


def test_batches_hold_examples_of_similar_length_and_stand_in_random_order() -> None:
    """Within a stretch of 32 batches sorting is complete: ranges of the batches' lengths do not overlap."""
    lengths = np.random.default_rng(0).permutation(256)
    order = training_order(lengths.tolist(), 1, 8, np.random.default_rng(1))
    batches = lengths[order].reshape(32, 8)
    ranges = sorted((int(batch.min()), int(batch.max())) for batch in batches)
    assert ranges == [(8 * i, 8 * i + 7) for i in range(32)]
    firsts = batches.min(axis=1).tolist()
    assert firsts not in (sorted(firsts), sorted(firsts, reverse=True))


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 10))
def test_batches_for_reading_hold_every_index_once_by_length(lengths: list[int], size: int) -> None:
    batches = in_batches_by_length(lengths, size)
    assert [lengths[i] for batch in batches for i in batch] == sorted(lengths)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in batches[:-1])
    assert batches == in_batches_by_length(lengths, size)
