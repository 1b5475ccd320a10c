"""The callback leaves the training as it would be without it, stops one that collapses, and hides no error."""

from __future__ import annotations

import json
import logging
import os
import random
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from models_on_disk import documents, write_texts

os.environ["HF_HUB_OFFLINE"] = "1"
torch = pytest.importorskip("torch")
for _name in ("transformers", "peft", "accelerate", "bitsandbytes"):
    pytest.importorskip(_name)

from collapse_audit.calibration.two_samples import sample_of  # noqa: E402
from collapse_audit.errors import InputError, UsageError  # noqa: E402
from collapse_audit.in_training import callback as training_callback  # noqa: E402
from collapse_audit.in_training.callback import AuditError, CollapseAuditCallback, undisturbed  # noqa: E402
from collapse_audit.lineages.training.base import build, train_tokenizer  # noqa: E402
from collapse_audit.lineages.training.recipe import Base  # noqa: E402
from collapse_audit.reports.document import Verdict  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
TEXTS = documents(1, 24)
STEPS = 6


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(TEXTS, 280, 64)


def model_of(tokenizer: Any) -> Any:
    """A tiny OPT: its dropout draws random numbers in every step."""
    torch.manual_seed(0)
    return build(Base(architecture="opt", hidden=32, layers=1, heads=2, feed_forward=32), tokenizer, 64)


def trained(folder: Path, tokenizer: Any, *callbacks: Any, steps: int = STEPS, resume: Any = None, **more: Any) -> Any:
    """A trainer after its training: dropout, shuffled examples."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    def collate(batch: list[str]) -> dict[str, Any]:
        found = tokenizer(batch, return_tensors="pt", padding=True, truncation=True, max_length=48)
        return {**found, "labels": found["input_ids"].masked_fill(found["attention_mask"] == 0, -100)}

    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=4, learning_rate=0.01, use_cpu=True,
        report_to="none", disable_tqdm=True, logging_strategy="no", remove_unused_columns=False,
        **({"save_strategy": "no"} | more),
    )  # fmt: skip
    trainer = Trainer(
        model=model_of(tokenizer), args=arguments, train_dataset=TEXTS, data_collator=collate, callbacks=list(callbacks)
    )
    trainer.remove_callback(PrinterCallback)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def after(trainer: Any) -> tuple[dict[str, Any], list[Any]]:
    """Weights, and what each source of chance would give next."""
    weights = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    return weights, [random.random(), np.random.random(), torch.rand(3).tolist()]  # noqa: NPY002


def callback(tokenizer: Any, baseline: Any = TEXTS, **changes: Any) -> CollapseAuditCallback:
    settings: dict[str, Any] = {"every_steps": 2, "samples": 6, "batch_size": 4, "decoding": {"max_new_tokens": 5}}
    return CollapseAuditCallback(baseline, tokenizer=tokenizer, **(settings | changes))


def same(one: tuple[dict[str, Any], list[Any]], other: tuple[dict[str, Any], list[Any]]) -> bool:
    return one[1] == other[1] and all(torch.equal(value, other[0][name]) for name, value in one[0].items())


def test_training_is_the_same_bit_for_bit_and_would_not_be_without_care(
    tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = after(trained(tmp_path, tokenizer))
    audited = callback(tokenizer, stop=False)
    assert same(after(trained(tmp_path, tokenizer, audited)), plain)
    assert [look.number for look in audited.looks] == [1, 2, 3]
    monkeypatch.setattr(training_callback, "undisturbed", lambda _: nullcontext())
    assert not same(after(trained(tmp_path, tokenizer, callback(tokenizer, stop=False))), plain)


def test_every_module_gets_its_own_mode_back_and_no_gradient_is_lost(tokenizer: Any) -> None:
    model = model_of(tokenizer).train()
    frozen = model.model.decoder.layers[0].eval()
    model(torch.tensor([[3, 4, 5]]), labels=torch.tensor([[3, 4, 5]])).loss.backward()
    before = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}

    def crash() -> None:
        with undisturbed(model):
            assert not any(module.training for module in model.modules())
            assert not torch.is_grad_enabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()
    assert torch.is_grad_enabled()
    inside = set(frozen.modules())
    assert all(module.training == (module not in inside) for module in model.modules())
    assert all(torch.equal(before[name], parameter.grad) for name, parameter in model.named_parameters())


def test_four_bit_layers_keep_their_gradients() -> None:
    """On some CPUs bitsandbytes packs them in the first evaluation, and gradients are dropped from then on."""
    import bitsandbytes

    layer = bitsandbytes.nn.Linear4bit(64, 64)
    with undisturbed(torch.nn.Sequential(layer)):
        assert layer.support_avx512bf16_for_cpu is False


class Writes(CollapseAuditCallback):
    """Writes what it is told, and not what the model would."""

    texts: Any = ()

    def _write(self, _model: Any, _tokenizer: Any, number: int) -> Any:
        return sample_of(self.texts(number), name=f"look {number}")


def writes(tokenizer: Any, texts: Any, **changes: Any) -> Writes:
    made = Writes(documents(1, 100), tokenizer=tokenizer, **({"every_steps": 2} | changes))
    made.texts = texts
    return made


def healthy_then_collapsed(number: int) -> list[str]:
    return documents(50 + number, 100) if number < 2 else [" ".join(["round and"] * 10)] * 100


def test_a_collapse_stops_the_training_at_that_step_and_is_logged(
    tmp_path: Path, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    audited = writes(tokenizer, healthy_then_collapsed)
    with caplog.at_level(logging.INFO, "collapse_audit"):
        trainer = trained(tmp_path, tokenizer, audited)
    assert trainer.state.global_step == 4
    assert [look.verdict is Verdict.COLLAPSE for look in audited.looks] == [False, True]
    entries = [entry for entry in trainer.state.log_history if "collapse_audit_look" in entry]
    assert [(entry["step"], entry["collapse_audit_verdict"] == "collapse") for entry in entries] == [
        (2, False), (4, True)
    ]  # fmt: skip
    assert entries[1]["collapse_audit_failed"] == len(audited.looks[1].failed) > 0
    assert entries[1]["collapse_audit_integrity_constant"] == 1.0
    assert json.loads(json.dumps(entries)) == entries
    assert [record.levelno for record in caplog.records if "look" in record.message] == [logging.INFO, logging.WARNING]
    assert "step 4: look 2: collapse (" in caplog.text


def test_a_collapse_is_only_logged_where_it_is_not_to_stop_anything(tmp_path: Path, tokenizer: Any) -> None:
    audited = writes(tokenizer, healthy_then_collapsed, stop=False)
    assert trained(tmp_path, tokenizer, audited).state.global_step == STEPS
    assert [look.verdict is Verdict.COLLAPSE for look in audited.looks] == [False, True, True]


def test_looks_are_counted_on_where_training_goes_on_from_a_checkpoint(tmp_path: Path, tokenizer: Any) -> None:
    trained(tmp_path, tokenizer, writes(tokenizer, lambda k: documents(60 + k, 100)), steps=4, save_strategy="steps",
            save_steps=4)  # fmt: skip
    again = writes(tokenizer, lambda k: documents(60 + k, 100))
    trained(tmp_path, tokenizer, again, steps=6, resume=str(tmp_path / "checkpoint-4"))
    assert [look.number for look in again.looks] == [3]


def test_an_audit_that_fails_ends_no_training_and_is_not_forgotten(
    tmp_path: Path, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    def crash(number: int) -> list[str]:
        seen.append(number)
        if len(seen) == 2:
            raise ZeroDivisionError("no such luck")
        return documents(70 + len(seen), 100)

    audited = writes(tokenizer, crash)
    with pytest.raises(AuditError) as caught:
        trained(tmp_path, tokenizer, audited)
    assert str(caught.value) == (
        "1 of 3 audits during this training could not be made, the first because of ZeroDivisionError: no such luck"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert seen == [1, 2, 2]  # to the end, at steps 2, 4 and 6; a look that was not taken has spent nothing
    assert "step 4: the audit could not be made; training goes on" in caplog.text


def test_a_training_in_which_nobody_looked_does_not_end_in_silence(
    tmp_path: Path, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    audited = callback(tokenizer, every_steps=500)
    trained(tmp_path, tokenizer, audited, steps=2)
    assert audited.looks == []
    [record] = [one for one in caplog.records if one.name == "collapse_audit"]
    assert (record.levelno, record.getMessage()) == (
        logging.WARNING,
        "training ended at step 2 and was never audited: every_steps = 500; nothing is known of collapse",
    )
    caplog.clear()
    trained(tmp_path, tokenizer, writes(tokenizer, lambda k: documents(60 + k, 100)), steps=2)
    assert "never audited" not in caplog.text


def test_a_prompt_without_a_token_is_the_start_of_a_text(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer that adds no beginning: its own token of it, or the end's where it has none."""

    class Plain:
        bos_token_id, eos_token_id = 7, 8

        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": [5] * len(text)}

    plain = Plain()
    audited = callback(tokenizer, prompts=["", "ab"], samples=2)
    assert [audited._ids(plain, one) for one in ("", "ab", None)] == [[7], [5, 5], [7]]
    monkeypatch.setattr(Plain, "bos_token_id", None)
    assert [audited._ids(plain, one) for one in ("", None)] == [[8], [8]]
    assert len(audited._write(model_of(tokenizer).eval(), tokenizer, 1)) == 2


def test_prompts_longer_than_the_context_are_refused_before_the_first_step(tmp_path: Path, tokenizer: Any) -> None:
    """The model holds 64 tokens: 63 leave room for one, 64 for none."""
    lengths = {n: len(tokenizer(" ".join(["w1"] * n))["input_ids"]) for n in range(1, 65)}
    fits, not_fits = max(n for n, k in lengths.items() if k < 64), min(n for n, k in lengths.items() if k >= 64)
    trained(tmp_path, tokenizer, callback(tokenizer, prompts=[" ".join(["w1"] * fits)], decoding={"max_new_tokens": 1}))
    with pytest.raises(UsageError) as caught:
        trained(tmp_path, tokenizer, callback(tokenizer, prompts=["w1", " ".join(["w1"] * not_fits)], samples=5))
    assert str(caught.value) == (
        f"2 of 5 prompts leave no room to answer: the longest has {lengths[not_fits]} tokens, and the model holds 64; "
        "shorten or leave out such prompts"
    )
    assert caught.value.slug == "context"


def greedy(model: Any, tokenizer: Any, text: str, count: int) -> str:
    """One text by hand, a token at a time, without padding or cache."""
    ids = list(tokenizer(text)["input_ids"])
    start = len(ids)
    for _ in range(count):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == tokenizer.eos_token_id:
            break
    return str(tokenizer.decode(ids[start:], skip_special_tokens=True))


def test_prompts_of_any_length_are_continued_as_each_would_be_alone(tokenizer: Any) -> None:
    """Batches are padded on the left and masked; the samples come in the order of the prompts."""
    model = model_of(tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)  # so that its words differ
    model.eval()
    prompts = ["w1", "w2 w3 w4 w5 w6 w7", "w8 w9", "w10 w11 w12"]
    audited = callback(
        tokenizer, prompts=prompts, samples=5, template="say {prompt}:", batch_size=2,
        decoding={"do_sample": False, "max_new_tokens": 6, "temperature": None, "top_p": None, "top_k": None},
    )  # fmt: skip
    written = audited._write(model, tokenizer, 1)
    asked = [*prompts, prompts[0]]
    assert written.texts.to_pylist() == [greedy(model, tokenizer, f"say {one}:", 6) for one in asked]
    assert written.prompts is None


def test_the_baselines_own_prompts_are_asked_and_pair_the_samples(tmp_path: Path, tokenizer: Any) -> None:
    path = tmp_path / "baseline.jsonl"
    path.write_text("".join(json.dumps({"text": f"answer {k}", "prompt": f"w{k}"}) + "\n" for k in range(9)))
    audited = callback(tokenizer, path, samples=5)
    written = audited._write(model_of(tokenizer).eval(), tokenizer, 1)
    prompts = written.prompts.to_pylist()
    assert len(set(prompts)) == 5
    assert set(prompts) < {f"w{k}" for k in range(9)}
    from_nothing = callback(tokenizer, TEXTS, samples=5)._write(model_of(tokenizer).eval(), tokenizer, 1)
    assert from_nothing.prompts is None


def test_samples_are_other_ones_at_every_look_and_the_same_when_repeated(tokenizer: Any) -> None:
    model = model_of(tokenizer).eval()
    first, again, second = (callback(tokenizer)._write(model, tokenizer, number) for number in (1, 1, 2))
    assert first.texts == again.texts
    assert first.texts != second.texts
    assert len(first) == 6


def test_the_tokenizer_of_the_trainer_is_used_where_none_is_given(tokenizer: Any) -> None:
    audited = callback(None)
    with pytest.raises(UsageError, match="has no tokenizer"):
        audited.on_train_begin(SimpleNamespace(), None, None, processing_class=None)
    audited.on_train_begin(SimpleNamespace(), None, None, processing_class=tokenizer)


@pytest.mark.parametrize("sharded", ["fsdp", "deepspeed"])
def test_a_model_in_pieces_is_refused_before_the_first_step(tokenizer: Any, sharded: str) -> None:
    with pytest.raises(UsageError, match="no process has the whole model"):
        callback(tokenizer).on_train_begin(SimpleNamespace(**{sharded: "full_shard"}), None, None)


def test_only_the_first_process_writes_and_all_stop_together(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes by turns, over a stub of the broadcast: what the first says, the second does."""
    sent: list[bool] = []

    def broadcast(found: list[bool], src: int) -> None:
        assert src == 0
        found[0] = sent.append(found[0]) or found[0] if not sent else sent[0]

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", broadcast)
    stopped = []
    for first in (True, False):
        audited = writes(tokenizer, lambda _: ["the same"] * 100)
        state = SimpleNamespace(global_step=2, is_world_process_zero=first, log_history=[], epoch=0.1)
        control = SimpleNamespace(should_training_stop=False)
        audited.on_step_end(None, state, control, model=model_of(tokenizer))
        stopped.append((len(audited.looks), control.should_training_stop))
    assert stopped == [(1, True), (0, True)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"every_steps": 0}, "every_steps = 0: a whole number"), ({"samples": 0}, "samples = 0"),
     ({"alpha": 1.5}, "alpha = 1.5: a number"), ({"prompts": []}, "prompts is empty"),
     *(({"template": one}, "it must hold {prompt}") for one in ("no place", "{prompt} {other}", "{prompt"))],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(tokenizer: Any, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        callback(tokenizer, **changes)


def test_a_baseline_that_is_not_there_or_empty_is_refused(tmp_path: Path, tokenizer: Any) -> None:
    with pytest.raises(InputError, match="no such file"):
        callback(tokenizer, tmp_path / "nothing.jsonl")
    write_texts(tmp_path / "empty.jsonl", [])
    with pytest.raises(InputError, match="no record"):
        callback(tokenizer, tmp_path / "empty.jsonl")
    with pytest.raises(UsageError, match="the baseline holds no text"):
        callback(tokenizer, [])
