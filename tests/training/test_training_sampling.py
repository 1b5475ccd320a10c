"""Top-p without sorting and the adapter within the weights: the same texts, sooner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toy_models import with_adapter

torch = pytest.importorskip("torch")
for _name in ("transformers", "peft", "bitsandbytes", "accelerate"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0])  # nearly flat: all must be sorted; peaked: a few hold everything
def test_the_same_tokens_stay_as_in_transformers(top_p: float, spread: float) -> None:
    from transformers.generation.logits_process import TopPLogitsWarper

    from collapse_audit.lineages.training.sampling import TopP

    scores = spread * torch.randn(8, 6000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mine, theirs = TopP(top_p)(None, scores), TopPLogitsWarper(top_p)(None, scores)
    assert torch.equal(mine, theirs)


def test_one_token_always_stays() -> None:
    from collapse_audit.lineages.training.sampling import TopP

    scores = torch.tensor([[0.0, 9.0, 1.0], [2.0, 2.0, -5.0]])
    kept = TopP(0.01)(None, scores).isfinite()
    assert kept.tolist() == [[False, True, False], [True, True, False]]  # as likely as the last that stays


def test_settings_are_left_to_transformers_where_nothing_is_gained() -> None:
    from transformers import GenerationConfig

    from collapse_audit.lineages.training.sampling import in_place_of_sorting

    for settings in (
        GenerationConfig(do_sample=False, num_beams=5),
        GenerationConfig(do_sample=True, top_p=1.0, top_k=0),
        GenerationConfig(do_sample=True, top_p=0.9, top_k=50),
    ):
        assert in_place_of_sorting(settings) == (settings, {})


def test_texts_are_those_of_transformers(bases: dict[str, Path]) -> None:
    """Temperature, then top-p; the same random numbers meet the same probabilities."""
    from transformers import AutoModelForCausalLM, GenerationConfig

    from collapse_audit.lineages.training.sampling import in_place_of_sorting

    model = AutoModelForCausalLM.from_pretrained(bases["llama"])
    settings = GenerationConfig(
        do_sample=True, temperature=0.7, top_p=0.8, top_k=0, max_new_tokens=20, min_new_tokens=20, pad_token_id=2,
        repetition_penalty=1.3, eos_token_id=1,
    )  # fmt: skip
    ids = torch.tensor([[5, 6, 7], [8, 9, 10]])

    def write(config: Any, faster: dict[str, Any]) -> Any:
        torch.manual_seed(3)
        model.generation_config = config
        return model.generate(input_ids=ids, generation_config=config, **faster)

    assert torch.equal(write(*in_place_of_sorting(settings)), write(settings, {}))


@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_the_adapter_is_in_the_weights_while_writing_and_out_again(bases: dict[str, Path], quantization: str) -> None:
    from collapse_audit.lineages.training.sampling import merged

    model = with_adapter(bases["llama"], quantization=quantization)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    model.eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    layers = [module for module in model.modules() if hasattr(module, "merged_adapters")]

    def answer() -> Any:
        with torch.no_grad():
            return model(input_ids=ids).logits

    before = answer()
    with merged(model):
        assert all(bool(layer.merged_adapters) == (quantization == "none") for layer in layers)
        torch.testing.assert_close(answer(), before, rtol=1e-4, atol=1e-4)
    assert not any(layer.merged_adapters for layer in layers)
    torch.testing.assert_close(answer(), before, rtol=1e-5, atol=1e-5)


def test_a_model_without_adapters_is_left_alone(bases: dict[str, Path]) -> None:
    from transformers import AutoModelForCausalLM

    from collapse_audit.lineages.training.sampling import merged

    with merged(AutoModelForCausalLM.from_pretrained(bases["opt"])):
        pass
