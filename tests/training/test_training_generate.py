"""What a model writes: against loops by hand, and after every kind of interruption."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collapse_audit.lineages.training import generate as generation
from collapse_audit.lineages.training.examples import Prompt
from collapse_audit.lineages.training.generate import Sample, generate, generation_config, read_parts, write_batch
from collapse_audit.lineages.training.progress import Silent
from collapse_audit.lineages.training.randomness import derived_seed
from collapse_audit.lineages.training.ranks import Ranks
from collapse_audit.lineages.training.recipe import Decoding

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

BOS, EOS, PAD = 0, 1, 2
SAMPLED = Decoding(max_new_tokens=12, batch_size=4)
GREEDY = Decoding(max_new_tokens=12, batch_size=4, do_sample=False)


def load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def model(untrained: Path) -> Any:
    """The toy's base: it knows reports, and was never told to stop after one."""
    return load(untrained / "base")


@pytest.fixture(scope="module")
def prompts(tokenizer: Any) -> list[Prompt]:
    """Ten prompts of different lengths: three batches of four, four and two."""
    texts = [f"left {size} mm\n" for size in (1, 3, 12, 14)] + [f"right {size} mm\n" for size in (2, 15, 7)]
    texts += ["left\n", "2", "right left right 5 mm\n"]
    return [
        Prompt(id=str(i), shown=text, group=None, ids=np.array([BOS, *tokenizer(text)["input_ids"]]))
        for i, text in enumerate(texts)
    ]


def sample_of(folder: Path, *, seed: int = 0, index: int = 0, purpose: int = 3) -> Sample:
    return Sample(seed=seed, index=index, purpose=purpose, what="writing", part=folder / "texts")


def draw(
    model: Any, tokenizer: Any, prompts: list[Prompt], folder: Path, decoding: Decoding = SAMPLED, **which: int
) -> list[dict[str, Any]]:
    sample = sample_of(folder, **which)
    return generate(model, tokenizer, prompts, decoding, sample, ranks=Ranks(), progress=Silent())


def test_the_same_seed_writes_the_same_and_any_other_seed_generation_or_purpose_does_not(
    model: Any, tokenizer: Any, prompts: list[Prompt], tmp_path: Path
) -> None:
    first = draw(model, tokenizer, prompts, tmp_path / "a")
    torch.manual_seed(99)  # what happened before does not matter
    assert draw(model, tokenizer, prompts, tmp_path / "b") == first
    for number, other in enumerate(({"seed": 1}, {"index": 1}, {"purpose": 4})):
        assert draw(model, tokenizer, prompts, tmp_path / str(number), **other) != first


def test_every_batch_has_a_seed_of_its_own(model: Any, tokenizer: Any, prompts: list[Prompt], tmp_path: Path) -> None:
    same = [dataclasses.replace(prompts[0], id=str(i)) for i in range(8)]
    records = draw(model, tokenizer, same, tmp_path)
    assert records[:4] != records[4:]


def part_of(folder: Path) -> Path:
    return folder / ".texts.0.part"


def places(whole: bytes) -> dict[str, int]:
    first, second = whole.index(b"\n") + 1, whole.index(b"\n", whole.index(b"\n") + 1) + 1
    return {
        "nothing": 0,
        "one byte": 1,
        "middle of the first line": first // 2,
        "all of the first line but its end": first - 1,
        "one line": first,
        "one line and a byte": first + 1,
        "middle of the second line": (first + second) // 2,
        "two lines": second,
        "all but the last byte": len(whole) - 1,
        "everything": len(whole),
    }


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    calls: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(
            generation, "write_batch", lambda *args, **rest: calls.append(len(args[2])) or write_batch(*args, **rest)
        )
        yield calls


def test_an_interrupted_sample_goes_on_to_the_same_texts_wherever_it_stopped(
    model: Any, tokenizer: Any, prompts: list[Prompt], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = draw(model, tokenizer, prompts, tmp_path / "whole")
    whole = part_of(tmp_path / "whole").read_bytes()
    assert whole.count(b"\n") == 3
    for place, size in places(whole).items():
        folder = tmp_path / place
        folder.mkdir()
        part_of(folder).write_bytes(whole[:size])
        with counted(monkeypatch) as calls:
            assert draw(model, tokenizer, prompts, folder) == expected, place
        assert part_of(folder).read_bytes() == whole, place
        assert len(calls) == 3 - whole[:size].count(b"\n"), place  # what was finished is not written again


def test_a_tail_that_was_never_written_is_cut_off(tmp_path: Path) -> None:
    """After a power failure a file may end in zeros."""
    path = tmp_path / "part"
    line = json.dumps({"batch": 5, "rows": [["a}", 1, True]]}).encode() + b"\n"
    path.write_bytes(line + b"\0" * 40)
    assert read_parts(path) == {5: [["a}", 1, True]]}
    assert path.read_bytes() == line
    assert read_parts(tmp_path / "none") == {}


def test_two_processes_write_what_one_writes(model: Any, tokenizer: Any, prompts: list[Prompt], tmp_path: Path) -> None:
    """One after the other here: the second finds the first's file, and each reads all of them."""
    expected = draw(model, tokenizer, prompts, tmp_path / "one")
    sample = sample_of(tmp_path / "two")
    # The other's batches are not there yet; in earnest the processes wait for each other.
    incomplete = generate(model, tokenizer, prompts, SAMPLED, sample, ranks=Ranks(1, 2), progress=Silent())
    assert sum(record == {} for record in incomplete) == 6
    assert generate(model, tokenizer, prompts, SAMPLED, sample, ranks=Ranks(0, 2), progress=Silent()) == expected
    batches = [set(read_parts(tmp_path / "two" / f".texts.{rank}.part")) for rank in range(2)]
    assert batches == [{0, 2}, {1}]


class Scripted:
    """In place of a model: what it was given, and an answer made up beforehand."""

    device = torch.device("cpu")

    def __init__(self, answer: list[list[int]]) -> None:
        self.answer = answer
        self.given: dict[str, Any] = {}

    def generate(self, *, input_ids: Any, attention_mask: Any, generation_config: Any) -> Any:
        self.given = {"ids": input_ids.tolist(), "mask": attention_mask.tolist(), "config": generation_config}
        return torch.cat([input_ids, torch.tensor(self.answer)], dim=1)


def test_a_text_ends_at_its_first_end_of_text_token(tokenizer: Any) -> None:
    a, b, c = tokenizer("abc", add_special_tokens=False)["input_ids"]
    model = Scripted([[a, EOS, b, EOS], [a, b, c, EOS], [a, b, c, c], [EOS, a, a, a], [a, EOS, PAD, PAD]])
    prompts = [Prompt(id=str(i), shown=None, group=None, ids=np.array([BOS, a])) for i in range(5)]
    written = write_batch(model, tokenizer, prompts, None, 0)
    assert written == [("a", 1, True), ("abc", 3, True), ("abcc", 4, False), ("", 0, True), ("a", 1, True)]


def test_prompts_are_padded_on_the_left_and_masked_by_position(tokenizer: Any) -> None:
    """Also a prompt that holds the padding token itself."""
    model = Scripted([[EOS], [EOS]])
    rows = [[0, PAD], [0, 7, 8, 9]]
    prompts = [Prompt(id=str(i), shown=None, group=None, ids=np.array(row)) for i, row in enumerate(rows)]
    write_batch(model, tokenizer, prompts, None, 0)
    assert model.given["ids"] == [[PAD, PAD, 0, PAD], [0, 7, 8, 9]]
    assert model.given["mask"] == [[0, 0, 1, 1], [1, 1, 1, 1]]


@pytest.mark.parametrize("decoding", [SAMPLED, GREEDY], ids=["sampled", "greedy"])
def test_start_padding_and_nul_are_never_written(
    untrained: Path, tokenizer: Any, prompts: list[Prompt], tmp_path: Path, decoding: Decoding
) -> None:
    """A model that wants nothing else writes something else."""
    model = load(untrained / "base")
    (nul,) = tokenizer("\0", add_special_tokens=False)["input_ids"]
    banned = {BOS, PAD, nul}

    def want(_module: Any, _inputs: Any, output: Any) -> Any:
        output.logits[..., sorted(banned)] += 50
        return output

    model.register_forward_hook(want)
    rows: list[list[int]] = []
    inner = model.generate

    def watched(**given: Any) -> Any:
        output = inner(**given)
        rows.extend(output[:, given["input_ids"].shape[1] :].tolist())
        return output

    model.generate = watched
    records = draw(model, tokenizer, prompts, tmp_path, decoding)
    written = [row[: row.index(EOS)] if EOS in row else row for row in rows]
    assert sum(map(len, written)) > 20
    assert not banned & {token for row in written for token in row}
    assert not any("\0" in record["text"] for record in records)


DECODING: dict[str, Any] = {
    "do_sample": True,
    "temperature": 0.7,
    "top_p": 0.8,
    "top_k": 9,
    "num_beams": 3,
    "repetition_penalty": 1.3,
    "min_new_tokens": 4,
    "max_new_tokens": 23,
}


def test_every_decoding_setting_of_the_recipe_reaches_transformers(tokenizer: Any) -> None:
    assert set(DECODING) == {field.name for field in dataclasses.fields(Decoding)} - {"batch_size"}
    config = generation_config(tokenizer, Decoding(**DECODING))
    assert {name: getattr(config, name) for name in DECODING} == DECODING
    assert (config.pad_token_id, config.eos_token_id) == (PAD, EOS)


def test_sampling_without_limits_is_said_so_and_not_left_to_transformers(tokenizer: Any) -> None:
    """Left out, transformers would keep the 50 likeliest tokens."""
    config = generation_config(tokenizer, Decoding())
    assert (config.do_sample, config.temperature, config.top_p, config.top_k) == (True, 1.0, 1.0, 0)
    assert config.min_new_tokens is None


SILLY = {
    "temperature": 0.01,
    "top_k": 1,
    "top_p": 0.01,
    "num_beams": 3,
    "do_sample": False,
    "repetition_penalty": 9.0,
    "max_new_tokens": 2,
    "eos_token_id": 40,
    "no_repeat_ngram_size": 1,
    "min_new_tokens": 12,
    "min_length": 40,
    "bad_words_ids": [[token] for token in range(3, 60)],
    "forced_bos_token_id": 70,
    "forced_eos_token_id": 71,
    "suppress_tokens": list(range(60, 90)),
    "begin_suppress_tokens": list(range(60, 200)),
    "min_p": 0.99,
    "typical_p": 0.01,
    "epsilon_cutoff": 0.5,
    "length_penalty": -5.0,
    "early_stopping": True,
    "encoder_repetition_penalty": 3.0,
    "num_return_sequences": 2,
    "sequence_bias": [[[80], 30.0]],
    "exponential_decay_length_penalty": [1, 9.0],
    "stop_strings": ["t", "f"],
}


@pytest.mark.parametrize("setting", SILLY)
def test_nothing_of_a_models_own_generation_settings_leaks_in(
    untrained: Path, tokenizer: Any, prompts: list[Prompt], tmp_path: Path, setting: str
) -> None:
    model = load(untrained / "base")
    decodings = (SAMPLED, GREEDY, dataclasses.replace(GREEDY, num_beams=2))
    expected = [draw(model, tokenizer, prompts, tmp_path / f"a{i}", one) for i, one in enumerate(decodings)]
    setattr(model.generation_config, setting, SILLY[setting])
    for i, one in enumerate(decodings):
        assert draw(model, tokenizer, prompts, tmp_path / f"b{i}", one) == expected[i], one


def by_hand(model: Any, tokenizer: Any, prompt: Prompt, decoding: Decoding, banned: set[int]) -> tuple[str, int, bool]:
    """The likeliest token, one at a time, the whole text read anew for each."""
    ids = prompt.ids.tolist()
    written: list[int] = []
    while len(written) < decoding.max_new_tokens:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids + written])).logits[0, -1]
        logits[sorted(banned)] = -torch.inf
        token = int(logits.argmax())
        if token == EOS:
            return tokenizer.decode(written), len(written), True
        written.append(token)
    return tokenizer.decode(written), len(written), False


def test_greedy_decoding_is_the_likeliest_token_one_at_a_time(
    model: Any, tokenizer: Any, prompts: list[Prompt], tmp_path: Path
) -> None:
    (nul,) = tokenizer("\0", add_special_tokens=False)["input_ids"]
    records = draw(model, tokenizer, prompts, tmp_path, GREEDY)
    expected = [by_hand(model, tokenizer, prompt, GREEDY, {BOS, PAD, nul}) for prompt in prompts]
    assert [(one["text"], one["n_tokens"], one["ended"]) for one in records] == expected
    assert len({one["text"] for one in records}) > 1


@pytest.mark.parametrize("beams", [1, 3])
def test_beam_search_is_that_of_transformers_called_by_hand(
    model: Any, tokenizer: Any, prompts: list[Prompt], tmp_path: Path, beams: int
) -> None:
    """Each prompt alone, unpadded."""
    (nul,) = tokenizer("\0", add_special_tokens=False)["input_ids"]
    records = draw(model, tokenizer, prompts, tmp_path, dataclasses.replace(GREEDY, num_beams=beams))
    for prompt, record in zip(prompts, records, strict=True):
        output = model.generate(
            torch.tensor([prompt.ids.tolist()]),
            do_sample=False,
            num_beams=beams,
            max_new_tokens=12,
            pad_token_id=PAD,
            eos_token_id=EOS,
            suppress_tokens=[BOS, PAD, nul],
        )[0, len(prompt.ids) :].tolist()
        written = output[: output.index(EOS)] if EOS in output else output
        assert (record["text"], record["n_tokens"], record["ended"]) == (
            tokenizer.decode(written),
            len(written),
            EOS in output,
        )


def test_the_first_weights_of_two_purposes_never_share_a_seed() -> None:
    seeds = {
        derived_seed(seed, index, purpose, *more)
        for seed in range(5)
        for index in range(5)
        for purpose in range(5)
        for more in ((), (0,), (1,), (2,))
    }
    # SeedSequence pads with zeros: a seed without a batch is that of batch 0, and no purpose is asked both ways.
    assert len(seeds) == 5 * 5 * 5 * 3
    assert all(0 <= seed < 2**32 for seed in seeds)
