"""The same lineage after an interruption at every point: byte for byte."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_training import Copy, contents, read_toml, train, without_last, write_toy

from collapse_audit.lineages.training import finetune, generate, loop

transformers = pytest.importorskip("transformers")
for _name in ("torch", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")


class Killed(SystemExit):
    """The process is gone: nothing catches this."""


def at_call(patch: pytest.MonkeyPatch, owner: Any, name: str, number: int, *, after: bool = False) -> None:
    """The process dies in the given call of the function: before it has done anything, or when it is done."""
    function, calls = getattr(owner, name), [0]

    def dying(*args: Any, **rest: Any) -> Any:
        calls[0] += 1
        if calls[0] == number and not after:
            raise Killed
        result = function(*args, **rest)
        if calls[0] == number:
            raise Killed
        return result

    patch.setattr(owner, name, dying)


def removing_checkpoints(patch: pytest.MonkeyPatch) -> None:
    rmtree = shutil.rmtree

    def dying(path: Any, *args: Any, **rest: Any) -> None:
        if Path(path).name == "checkpoints":
            raise Killed
        rmtree(path, *args, **rest)

    patch.setattr(finetune.shutil, "rmtree", dying)


TRAINER = transformers.Trainer
POINTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "before the first step": lambda patch: at_call(patch, TRAINER, "training_step", 1),
    "before the first checkpoint": lambda patch: at_call(patch, TRAINER, "training_step", 4),
    "after the first checkpoint": lambda patch: at_call(patch, TRAINER, "training_step", 7),
    "in the middle of an epoch after the third checkpoint": lambda patch: at_call(patch, TRAINER, "training_step", 18),
    "at the last step": lambda patch: at_call(patch, TRAINER, "training_step", 24),
    "while the second checkpoint is written": lambda patch: at_call(patch, TRAINER, "_save_rng_state", 2),
    "while the adapter is written": lambda patch: at_call(patch, finetune, "_settle_config", 1),
    "before the checkpoints are removed": removing_checkpoints,
    "when the adapter is saved": lambda patch: at_call(patch, loop, "finetune", 1, after=True),
    "before the first batch of texts": lambda patch: at_call(patch, generate, "write_batch", 1),
    "after the second batch of texts": lambda patch: at_call(patch, generate, "write_batch", 3),
    "before the held-out texts": lambda patch: at_call(patch, generate, "write_batch", 4),
    "before the scores": lambda patch: at_call(patch, loop, "add_nll", 1),
    "between the scores": lambda patch: at_call(patch, loop, "add_nll", 2),
    "before the texts are written": lambda patch: at_call(patch, loop, "write_corpus", 1),
    "before the held-out texts are written": lambda patch: at_call(patch, loop, "write_corpus", 2),
    "before the manifest": lambda patch: at_call(patch, loop, "append_generation", 1),
    "after the manifest": lambda patch: at_call(patch, loop, "append_generation", 1, after=True),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_generation_killed_at_any_point_is_the_same_in_the_end(short: Path, tmp_path: Path, point: str) -> None:
    root = without_last(short, tmp_path / "toy")
    with pytest.MonkeyPatch.context() as patch:
        POINTS[point](patch)
        with pytest.raises(Killed):
            train(root)
    assert len(read_toml(root).get("generation", [])) == (2 if point == "after the manifest" else 1)
    assert train(root) == 0
    ours, theirs = contents(root), contents(short)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_what_was_done_before_an_interruption_is_not_done_again(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 steps, checkpoints after each 5: killed in step 18, it goes on with step 16, so 9 steps are left."""
    root = without_last(short, tmp_path / "toy")
    with monkeypatch.context() as patch:
        at_call(patch, TRAINER, "training_step", 18)
        with pytest.raises(Killed):
            train(root)
    steps: list[int] = []
    inner = TRAINER.training_step
    monkeypatch.setattr(TRAINER, "training_step", lambda *a, **k: steps.append(1) or inner(*a, **k))
    assert train(root) == 0
    assert len(steps) == 9


def test_a_checkpoint_whose_last_file_is_torn_is_not_gone_on_from(short: Path, tmp_path: Path) -> None:
    root = without_last(short, tmp_path / "toy")
    with pytest.MonkeyPatch.context() as patch:
        at_call(patch, TRAINER, "training_step", 7)
        with pytest.raises(Killed):
            train(root)
    (state,) = root.glob("seed_0/gen_1/checkpoints/checkpoint-5/trainer_state.json")
    state.write_text(state.read_text()[:40])
    assert train(root) == 0
    assert contents(root) == contents(short)


def test_ctrl_c_in_training_exits_with_2_and_the_same_command_goes_on(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = without_last(short, tmp_path / "toy")
    with monkeypatch.context() as patch:
        calls = iter(range(100))
        inner = TRAINER.training_step

        def interrupted(*args: Any, **rest: Any) -> Any:
            if next(calls) == 11:
                raise KeyboardInterrupt
            return inner(*args, **rest)

        patch.setattr(TRAINER, "training_step", interrupted)
        assert train(root) == 2
    assert capsys.readouterr().err == (
        "what was finished is kept: run the same command again to go on\ncollapse-lineage: interrupted\n"
    )
    assert train(root) == 0
    assert contents(root) == contents(short)


def test_a_process_that_is_killed_in_earnest_leaves_what_the_next_one_finishes(
    finished: Path, untrained: Path, copy_of: Copy
) -> None:
    root = copy_of(untrained)
    command = [sys.executable, "-m", "collapse_audit.lineage_cli", "train", "--quiet", str(root)]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    begun = time.monotonic()
    while not list(root.glob("seed_1/gen_0/checkpoints/checkpoint-*")):
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() - begun < 120
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert len(read_toml(root)["generation"]) == 1
    assert train(root) == 0  # the locks fell with the process
    ours, theirs = contents(root), contents(finished)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_another_recipe_begins_an_unfinished_generation_anew(untrained: Path, tmp_path: Path) -> None:
    roots = [tmp_path / "changed" / "toy", tmp_path / "straight" / "toy"]
    for root in roots:
        shutil.copytree(untrained, root)
        write_toy(root, seeds=[0], generations=1)
    with pytest.MonkeyPatch.context() as patch:
        at_call(patch, generate, "write_batch", 2)
        with pytest.raises(Killed):
            train(roots[0])
    assert (roots[0] / "seed_0" / "gen_0" / "adapter").is_dir()
    for root in roots:
        write_toy(root, seeds=[0], generations=1, training__epochs=4)
        assert train(root) == 0
    assert contents(roots[0]) == contents(roots[1])
    assert len((roots[0] / "seed_0/gen_0/train.jsonl").read_text().splitlines()) == 12
