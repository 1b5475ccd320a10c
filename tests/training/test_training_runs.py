"""What is refused, with which words, and what is left behind."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_training import (
    HOLDOUT,
    QUICK,
    REFERENCE,
    Copy,
    edit,
    generations_of,
    texts_made_up,
    train,
    write_jsonl,
    write_toy,
)

from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.training import loop
from collapse_audit.lineages.training.base import BaseModel
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.failures import explained
from collapse_audit.lineages.training.run import open_run

for _name in ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_changed_recipe_is_refused(short: Path, copy_of: Copy, refusal: Callable[..., str]) -> None:
    root = copy_of(short)
    edit(root, "epochs = 8", "epochs = 9")
    assert refusal(root) == (
        f"{root}: generation 0 of seed 0 was made by another recipe than the manifest's [recipe]; put it back, or "
        "start a new lineage with --out"
    )


def test_more_generations_go_on_with_what_is_there(short: Path, finished: Path, copy_of: Copy) -> None:
    root = copy_of(short)
    edit(root, "generations = 2", "generations = 3")
    assert train(root) == 0
    texts = "seed_0/gen_2/texts.jsonl.gz"
    assert (root / texts).read_bytes() == (finished / texts).read_bytes()


def test_a_changed_scheme_is_refused(short: Path, copy_of: Copy, refusal: Callable[..., str]) -> None:
    root = copy_of(short)
    edit(root, 'scheme = "recursive"', 'scheme = "preserve"')
    edit(root, "generations = 2", "generations = 3")
    assert "scheme" in refusal(root)


def test_a_changed_reference_is_refused(short: Path, copy_of: Copy, refusal: Callable[..., str]) -> None:
    root = copy_of(short)
    write_jsonl(root / "reference.jsonl", [{**one, "text": "none."} for one in REFERENCE])
    edit(root, "generations = 2", "generations = 3")
    assert "reference" in refusal(root)


def test_a_held_out_part_that_was_edited_since_is_refused(
    short: Path, copy_of: Copy, refusal: Callable[..., str]
) -> None:
    """Its prompts are what every generation's held-out sample answers: others make another sample."""
    root = copy_of(short)
    write_jsonl(root / "reference.holdout.jsonl", [{**one, "prompt": f"{one['prompt']}!"} for one in HOLDOUT])
    edit(root, "generations = 2", "generations = 3")
    assert refusal(root) == (
        f"{root}: generation 0 of seed 0 was made by another reference holdout than the manifest's; put it back, or "
        "start a new lineage with --out"
    )
    assert generations_of(root) == [(0, 0), (0, 1)]


def test_a_reference_that_is_edited_while_a_training_runs_is_refused(
    untrained: Path, copy_of: Copy, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_of(untrained)
    write_toy(root, **QUICK)
    append = loop.append_generation

    def then_edit(*args: Any) -> None:
        append(*args)
        write_jsonl(root / "reference.jsonl", [{**one, "text": "none."} for one in REFERENCE])

    monkeypatch.setattr(loop, "append_generation", then_edit)
    with texts_made_up(monkeypatch):
        assert "generation 0 of seed 0 was made by another reference than the manifest's" in refusal(root)
    assert generations_of(root) == [(0, 0)]


def test_an_interrupted_generation_is_begun_anew_where_the_prompts_were_edited(
    short: Path, copy_of: Copy, quiet: Any
) -> None:
    """What it has half done answers the prompts of before: it is not gone on with."""
    root = copy_of(short)
    run = open_run(root)
    generation = loop._Generation(run, 0, 2, None, None, quiet)  # type: ignore[arg-type]
    for text, kept in (("a", False), ("a", True), ("b", False)):
        generation.human = {"reference_digest": text}
        generation.base = BaseModel(name="base", revision=None, digest="sha256:0")
        generation._claim([])
        assert (generation.folder / "half").exists() is kept
        (generation.folder / "half").touch()


def test_another_adapter_in_place_of_generation_0s_is_refused(
    short: Path, copy_of: Copy, refusal: Callable[..., str]
) -> None:
    root = copy_of(short)
    name = "adapter/adapter_model.safetensors"
    shutil.copy(root / "seed_0/gen_1" / name, root / "seed_0/gen_0" / name)
    edit(root, "generations = 2", "generations = 3")
    assert "adapter" in refusal(root)


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_two_processes_do_not_train_one_seed(finished: Path, copy_of: Copy, refusal: Callable[..., str]) -> None:
    root = copy_of(finished)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root / ".seed_1.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    try:
        assert refusal(root) == f"another process is training seed 1 of {root}"
        assert train(root, more=("--seed", "0")) == 0
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
    assert train(root) == 0


def test_an_unknown_seed_and_a_folder_without_a_manifest_are_refused(
    untrained: Path, tmp_path: Path, refusal: Callable[..., str]
) -> None:
    assert refusal(untrained, more=("--seed", "7")) == f"{untrained} has no seed 7 in its recipe; it has 0, 1"
    assert refusal(tmp_path) == f"{tmp_path} has no lineage.toml: nothing says what to train"


def test_a_first_generation_that_never_stops_is_refused(
    untrained: Path, copy_of: Copy, refusal: Callable[..., str]
) -> None:
    """A text has two tokens at least: within one, none ends."""
    root = copy_of(untrained)
    write_toy(root, **QUICK, decoding={"max_new_tokens": 1, "batch_size": 8, "do_sample": False})
    assert refusal(root) == (
        f"{root}: seed 0, generation 0: only 0% of the texts end by themselves within 1 tokens; the model has not "
        "learned to stop, and texts that run on repeat themselves and look like collapse. Train longer, or raise "
        "recipe.decoding.max_new_tokens if people's texts are longer than that; nothing was written"
    )
    assert generations_of(root) == []
    assert not list(root.glob("seed_0/gen_0/*.jsonl.gz"))


def test_a_generation_that_wrote_nothing_stays_for_the_audit_and_ends_its_seed(
    untrained: Path, copy_of: Copy, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_of(untrained)
    write_toy(root, **{**QUICK, "seeds": [0, 1]})
    write = loop.generate

    def falls_silent(model: Any, tokenizer: Any, prompts: Any, decoding: Any, sample: Any, **rest: Any) -> Any:
        if (sample.seed, sample.index) == (0, 1):
            return [{"text": "", "n_tokens": 0, "ended": True} for _ in prompts]
        return write(model, tokenizer, prompts, decoding, sample, **rest)

    expected = (
        f"{root}/seed_0/gen_1/texts.jsonl.gz: all 24 texts are empty: the model wrote nothing but its end-of-text "
        "token. The texts stand on disk and in the manifest, so the audit can judge them; there is nothing to train a "
        "successor on"
    )
    with monkeypatch.context() as patch:
        patch.setattr(loop, "generate", falls_silent)
        assert refusal(root) == expected
    assert generations_of(root) == [(0, 0), (1, 0), (0, 1), (1, 1), (1, 2)]  # the other seed went on to its end
    assert load_lineage(root).of_seed("0")[1].texts.path.is_file()
    assert refusal(root) == expected
    assert len(generations_of(root)) == 5


def test_a_step_without_a_finite_loss_ends_the_training(
    untrained: Path, copy_of: Copy, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    root = copy_of(untrained)
    write_toy(root, **QUICK)
    inner = transformers.Trainer.training_step
    monkeypatch.setattr(
        transformers.Trainer, "training_step", lambda *args, **rest: inner(*args, **rest) * float("nan")
    )
    message = refusal(root)
    assert message.startswith(f"{root}: seed 0, generation 0: step 1 has loss nan and gradient norm ")
    assert message.endswith("; lower the learning rate; nothing was written but train.jsonl")
    assert not (root / "seed_0/gen_0/adapter").exists()


def test_a_training_that_moves_nothing_is_refused(untrained: Path, copy_of: Copy, refusal: Callable[..., str]) -> None:
    """One step alone is all warm-up: its learning rate is zero."""
    root = copy_of(untrained)
    write_toy(root, seeds=[0], training={"epochs": 1, "learning_rate": 0.01, "batch_size": 24})
    assert refusal(root) == (
        f"{root}: seed 0, generation 0: 7 of 7 adapter matrices did not move in training, "
        "model.layers.0.mlp.down_proj among them: this would be its parent under another name; train longer or with a "
        "higher learning rate; nothing was written"
    )
    assert not (root / "seed_0/gen_0/adapter").exists()


@pytest.mark.parametrize(
    ("error", "slug", "words"),
    [
        (MemoryError(), "memory", "seed 0: the memory is too small. Lower recipe.training.batch_size"),
        (RuntimeError("CUDA out of memory. Tried"), "memory", "seed 0: the memory is too small."),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory", "seed 0: the memory is too small."),
        (OSError(errno.ENOSPC, "No space left on device"), "disk", "seed 0: the disk is full ([Errno 28] No space"),
        (RuntimeError("io: No space left on device"), "disk", "seed 0: the disk is full"),
    ],
)
def test_a_machine_that_is_too_small_is_told_what_to_do(error: Exception, slug: str, words: str) -> None:
    with pytest.raises(TrainingError) as caught, explained("seed 0"):
        raise error
    assert caught.value.slug == slug
    assert str(caught.value).startswith(words)
    assert "What was finished is kept" in str(caught.value)


def test_other_errors_keep_their_name() -> None:
    for error in (ValueError("x"), KeyError("x"), TrainingError("out of memory", slug="own"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, explained("seed 0"):
            raise error
        assert caught.value is error
