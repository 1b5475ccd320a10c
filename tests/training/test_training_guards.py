"""Each guard against the failure it is there for, made on purpose on real 4-bit models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_models import base_of, four_bit, with_adapter
from toy_training import recipe_of

from collapse_audit.lineages.training import guards
from collapse_audit.lineages.training.base import load_base
from collapse_audit.lineages.training.errors import TrainingError
from collapse_audit.lineages.training.examples import Example, collate

torch = pytest.importorskip("torch")
bitsandbytes = pytest.importorskip("bitsandbytes")
for _name in ("transformers", "peft", "accelerate"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")

ARCHITECTURES = ("mistral", "llama", "opt")
BATCH = collate([Example(np.arange(3, 19), 4), Example(np.arange(40, 50), 6)], 2)


def break_off(layer: Any) -> None:
    """What the packed path of bitsandbytes does: the right numbers, and no way back for the gradient."""
    forward = layer.forward
    layer.forward = lambda *args, **rest: forward(*args, **rest).detach()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_gradients_reach_every_adapter_also_after_an_evaluation(
    bases: dict[str, Path], architecture: str, quantization: str
) -> None:
    model = with_adapter(bases[architecture], quantization=quantization)
    assert bool(four_bit(model)) == (quantization == "nf4")
    model.eval()
    with torch.no_grad():
        model(**BATCH)
    guards.check_gradients(model, BATCH)
    guards.check_gradients(model, BATCH)


def test_gradients_flow_with_checkpointing(bases: dict[str, Path]) -> None:
    for quantization in ("nf4", "none"):
        model = with_adapter(bases["llama"], quantization=quantization, training__gradient_checkpointing=True)
        guards.check_gradients(model, BATCH)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_layer_that_passes_no_gradient_on_is_found_and_named(bases: dict[str, Path], architecture: str) -> None:
    """The value projection's adapters lie behind the output projection of the attention and before the MLP."""
    model = with_adapter(bases[architecture])
    names = [name for name in four_bit(model) if "q_proj" in name]
    layer = dict(model.named_modules())[names[0].removesuffix(".base_layer")]
    break_off(layer)
    count = sum("lora_B" in name for name, _ in model.named_parameters())
    named = names[0].removeprefix("base_model.model.").removesuffix(".base_layer")
    with pytest.raises(TrainingError) as caught:
        guards.check_gradients(model, BATCH)
    assert str(caught.value) == (
        f"1 of {count} adapter matrices receive no gradient, {named} among them: training would leave them as they "
        'are, and the generation would look healthy because nothing was learned; try quantization = "none", or '
        "another version of bitsandbytes"
    )
    assert (caught.value.slug, caught.value.exit_code) == ("no-gradient", 4)


def test_four_bit_layers_that_pass_no_gradient_on_cut_off_what_lies_before_them(bases: dict[str, Path]) -> None:
    """By hand for two layers: after the packing only adapters whose output reaches the loss past every 4-bit layer."""
    model = with_adapter(bases["llama"])
    for layer in four_bit(model).values():
        break_off(layer)
    adapters = [name for name, _ in model.named_parameters() if "lora_B" in name]
    # The residual stream still carries gradients to o_proj and down_proj; q, k, v and up, gate reach it only through
    # the adapters of o_proj and down_proj, whose B is zero at the start.
    expected = [name for name in adapters if not ("o_proj" in name or "down_proj" in name)]
    with pytest.raises(TrainingError, match=f"^{len(expected)} of {len(adapters)} adapter matrices"):
        guards.check_gradients(model, BATCH)


class PackedOnEvaluation(torch.nn.Module):
    """A 4-bit layer that is healthy until it is first evaluated, as bitsandbytes' is on avx512_bf16."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner, self.packed = inner, False

    def forward(self, x: Any) -> Any:
        self.packed = self.packed or not torch.is_grad_enabled()
        return self.inner(x).detach() if self.packed else self.inner(x)


def test_a_layer_that_breaks_only_once_it_is_evaluated_is_found(bases: dict[str, Path]) -> None:
    model = with_adapter(bases["llama"])
    attention = model.base_model.model.model.layers[0].self_attn
    attention.o_proj = PackedOnEvaluation(attention.o_proj)
    with pytest.raises(TrainingError, match="adapter matrices receive no gradient"):
        guards.check_gradients(model, BATCH)


def test_a_gradient_that_is_not_a_number_is_none(bases: dict[str, Path]) -> None:
    model = with_adapter(bases["llama"])
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if "lora_A" in name).fill_(float("nan"))
    with pytest.raises(TrainingError, match="receive no gradient"):
        guards.check_gradients(model, BATCH)


def test_a_model_without_a_trainable_adapter_is_refused(bases: dict[str, Path]) -> None:
    model = with_adapter(bases["llama"])
    model.requires_grad_(False)
    with pytest.raises(TrainingError, match=r"^no adapter matrix is trainable: the adapter was not attached$"):
        guards.check_gradients(model, BATCH)


def test_checking_gradients_changes_neither_random_numbers_nor_mode_nor_gradients(bases: dict[str, Path]) -> None:
    model = with_adapter(bases["llama"])
    for training in (True, False):
        model.train(training)
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        guards.check_gradients(model, BATCH)
        assert torch.equal(torch.rand(3), expected)
        assert model.training is training
        assert all(parameter.grad is None for parameter in model.parameters())


def test_packing_is_switched_off_in_every_four_bit_layer(
    bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a processor that has avx512_bf16, where bitsandbytes has it on."""
    monkeypatch.setattr(bitsandbytes.nn.modules, "has_avx512bf16", lambda: True)
    assert bitsandbytes.nn.Linear4bit(8, 8).support_avx512bf16_for_cpu
    for architecture in ARCHITECTURES:
        model, _ = load_base(base_of(bases[architecture]), recipe_of())
        layers = four_bit(model)
        assert len(layers) >= 6
        assert not any(layer.support_avx512bf16_for_cpu for layer in layers.values())


def test_the_attribute_that_is_switched_off_is_the_one_that_bitsandbytes_reads(
    bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it on, an evaluation in 4 bit on the CPU asks to pack; with it off, it never does."""
    model, _ = load_base(base_of(bases["llama"]), recipe_of())
    packed: list[int] = []
    module = bitsandbytes.nn.modules

    def convert(weight: Any, state: Any) -> Any:
        packed.append(1)
        return weight, state

    monkeypatch.setattr(module, "_convert_weight_packed_for_cpu", convert)
    monkeypatch.setattr(module, "_convert_weight_packed_for_cpu_inverse", convert)
    with torch.inference_mode():
        model(input_ids=torch.arange(3, 9)[None])
    assert not packed
    for layer in four_bit(model).values():
        layer.support_avx512bf16_for_cpu = True
    with torch.inference_mode():
        model(input_ids=torch.arange(3, 9)[None])
    assert packed


def without_tensor(source: Path, target: Path, name: str) -> Path:
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, target)
    tensors = load_file(target / "model.safetensors")
    del tensors[name]
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_a_base_that_lacks_a_weight_is_refused_though_transformers_would_load_it(
    bases: dict[str, Path], tmp_path: Path, quantization: str
) -> None:
    from transformers import AutoModelForCausalLM

    lacking = "model.layers.0.mlp.up_proj.weight"
    folder = without_tensor(bases["llama"], tmp_path / "lacking", lacking)
    assert AutoModelForCausalLM.from_pretrained(folder) is not None
    with pytest.raises(TrainingError) as caught:
        load_base(base_of(folder), recipe_of(quantization=quantization))
    assert str(caught.value) == (
        f"{folder}: 1 weights are missing or of another shape ({lacking}); they would be random numbers. The base "
        "must be complete: download or copy it again"
    )
    assert (caught.value.slug, caught.value.exit_code) == ("random-weights", 4)


def test_missing_and_misshapen_weights_are_counted_and_the_first_three_named() -> None:
    guards.refuse_random_weights({"missing_keys": set(), "mismatched_keys": set(), "unexpected_keys": {"x"}}, "b")
    with pytest.raises(TrainingError) as caught:
        guards.refuse_random_weights({"missing_keys": {"d", "a", "c"}, "mismatched_keys": {("b", 1, 2)}}, "b")
    assert str(caught.value).startswith("b: 4 weights are missing or of another shape (a, c, d, …); they would be")


ZERO, ONE = torch.zeros(2, 3), torch.ones(2, 3)
LAYER = "base_model.model.model.layers.0.q_proj.lora_{}.default.weight"
A, B = LAYER.format("A"), LAYER.format("B")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_adapter_that_holds_no_numbers_is_refused(value: float) -> None:
    broken = ONE.clone()
    broken[1, 2] = value
    for tensors in ({A: broken, B: ONE}, {A: ONE, B: broken}):
        with pytest.raises(TrainingError) as caught:
            guards.check_adapter(tensors, None, "seed 0")
        assert str(caught.value) == (
            "seed 0: 1 adapter matrices hold NaN or infinity, model.layers.0.q_proj among them; lower the learning "
            "rate; nothing was written"
        )
        assert caught.value.slug == "adapter-nan"


def test_a_fresh_adapter_has_moved_where_b_is_no_longer_zero() -> None:
    guards.check_adapter({A: ONE, B: ONE}, None, "seed 0")
    with pytest.raises(TrainingError) as caught:
        guards.check_adapter({A: ONE, B: ZERO}, None, "seed 0")
    assert str(caught.value) == (
        "seed 0: 1 of 1 adapter matrices did not move in training, model.layers.0.q_proj among them: this would be "
        "its parent under another name; train longer or with a higher learning rate; nothing was written"
    )
    assert caught.value.slug == "adapter-unmoved"


def test_one_matrix_that_stands_still_among_many_is_found() -> None:
    other = B.replace("q_proj", "v_proj")
    with pytest.raises(TrainingError, match=r"1 of 2 adapter matrices did not move in training, model.layers.0.v_proj"):
        guards.check_adapter({A: ONE, B: ONE, other: ZERO}, None, "seed 0")


def test_an_adapter_that_went_on_from_its_parents_is_compared_with_that() -> None:
    with pytest.raises(TrainingError, match="1 of 1 adapter matrices did not move"):
        guards.check_adapter({A: ONE, B: ONE}, {A: ZERO, B: ONE}, "seed 0")
    guards.check_adapter({A: ONE, B: ONE}, {A: ONE, B: ZERO}, "seed 0")
    guards.check_adapter({A: ONE, B: ZERO}, {A: ONE, B: ONE}, "seed 0")  # back to zero is a move as well


def test_no_matrix_at_all_has_not_moved() -> None:
    with pytest.raises(TrainingError, match="0 of 0 adapter matrices did not move in training: this would be"):
        guards.check_adapter({A: ONE}, None, "seed 0")


def test_an_adapter_that_changes_nothing_is_not_active(bases: dict[str, Path]) -> None:
    model = with_adapter(bases["llama"]).eval()
    batch = {"input_ids": torch.arange(3, 9)[None], "attention_mask": torch.ones(1, 6, dtype=torch.long)}
    with pytest.raises(TrainingError) as caught:  # B is zero: the adapter is attached and does nothing
        guards.check_active(model, batch, "gen_1/adapter")
    assert str(caught.value) == "gen_1/adapter: the adapter is loaded and changes nothing: it is not applied"
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.add_(0.1)
    guards.check_active(model, batch, "gen_1/adapter")
    for layer in model.modules():
        if hasattr(layer, "enable_adapters") and hasattr(layer, "lora_B"):
            layer.enable_adapters(False)
    with pytest.raises(TrainingError, match="changes nothing"):
        guards.check_active(model, batch, "gen_1/adapter")


@pytest.mark.parametrize(("ended", "refused"), [([1, 1, 0, 0], False), ([1, 0, 0, 0], True), ([0], True), ([1], False)])
def test_half_of_the_first_texts_must_end_by_themselves(ended: list[int], refused: bool) -> None:
    flags = [bool(flag) for flag in ended]
    if not refused:
        guards.check_stops(flags, 16, "seed 0")
        return
    with pytest.raises(TrainingError) as caught:
        guards.check_stops(flags, 16, "seed 0")
    share = f"{100 * sum(ended) // len(ended)}%"
    assert str(caught.value) == (
        f"seed 0: only {share} of the texts end by themselves within 16 tokens; the model has not learned to stop, and "
        "texts that run on repeat themselves and look like collapse. Train longer, or raise "
        "recipe.decoding.max_new_tokens if people's texts are longer than that; nothing was written"
    )
    assert caught.value.slug == "no-stop"


def test_one_text_that_is_not_empty_is_something_to_learn_from() -> None:
    guards.check_wrote(["", " \n", "a"], "gen_1/texts.jsonl.gz")
    with pytest.raises(TrainingError) as caught:
        guards.check_wrote(["", " \n", "\t"], "gen_1/texts.jsonl.gz")
    assert str(caught.value) == (
        "gen_1/texts.jsonl.gz: all 3 texts are empty: the model wrote nothing but its end-of-text token. The texts "
        "stand on disk and in the manifest, so the audit can judge them; there is nothing to train a successor on"
    )
    assert caught.value.slug == "nothing-written"
