"""Checks against failures that training hides: each has cost somebody a lineage that looked healthy.

=========================  ===========================================================================================
keep_gradients             bitsandbytes (0.50) on CPUs with avx512_bf16 packs a 4-bit layer in the first evaluation;
                           from then on no gradient passes through it, and nothing but one warning says so
check_gradients            the same, and anything like it, measured: every adapter matrix receives a gradient
refuse_random_weights      weights that a checkpoint lacks are filled with random numbers by the loading code
check_adapter              adapters that hold NaN, or did not move (getainode/ainode#186, unslothai/unsloth#869)
check_active               an adapter that is loaded and not applied (huggingface/peft#1294)
check_stops                a model that never learned its end-of-text token runs on, and running on looks like collapse
check_wrote                a generation that wrote nothing at all: there is nothing left to learn from
(health.py)                a generation 0 that stammers from the start: marked, in the manifest and loudly
=========================  ===========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collapse_audit.lineages.training.errors import TrainingError

FEWEST_STOPS = 0.5
"""Of the texts of generation 0, the share that must end by themselves under the task ``completion``."""


def keep_gradients(model: Any) -> None:
    """Switch off the packing that drops gradients. To be called after loading, before anything is computed."""
    import bitsandbytes

    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.support_avx512bf16_for_cpu = False


def check_gradients(model: Any, batch: Mapping[str, Any]) -> None:
    """One evaluation, then one training step without the step: every adapter matrix B must receive a gradient.

    (At the start B is zero, so A receives none; B's is zero only where nothing flows.) Gradients, mode and random
    state are left as they were. Raises TrainingError naming the layers.
    """
    import torch

    adapters = {name: p for name, p in model.named_parameters() if "lora_B" in name and p.requires_grad}
    if not adapters:
        raise TrainingError("no adapter matrix is trainable: the adapter was not attached", slug="no-adapter")
    training = model.training
    with torch.random.fork_rng():
        model.eval()
        with torch.no_grad():
            model(**batch)
        model.train()
        model.zero_grad(set_to_none=True)
        model(**batch).loss.backward()
    norms = {name: 0.0 if p.grad is None else float(p.grad.norm()) for name, p in adapters.items()}
    model.zero_grad(set_to_none=True)
    model.train(training)
    without = [name for name, norm in norms.items() if not norm > 0]  # NaN counts as none
    if without:
        message = (
            f"{len(without)} of {len(adapters)} adapter matrices receive no gradient, {_layer(without[0])} among them: "
            "training would leave them as they are, and the generation would look healthy because nothing was learned; "
            'try quantization = "none", or another version of bitsandbytes'
        )
        raise TrainingError(message, slug="no-gradient")


def refuse_random_weights(loading_info: Mapping[str, Any], where: str) -> None:
    """``loading_info`` as ``from_pretrained(…, output_loading_info=True)`` returns it. Raises TrainingError."""
    missing = sorted(loading_info.get("missing_keys", ()))
    mismatched = sorted(str(key) for key in loading_info.get("mismatched_keys", ()))
    if missing or mismatched:
        names = [*missing, *mismatched]
        message = (
            f"{where}: {len(names)} weights are missing or of another shape ({', '.join(names[:3])}"
            f"{', …' if len(names) > 3 else ''}); they would be random numbers. The base must be complete: "
            "download or copy it again"
        )
        raise TrainingError(message, slug="random-weights")


def check_adapter(after: Mapping[str, Any], before: Mapping[str, Any] | None, where: str) -> None:
    """Adapter tensors after training and, where it started from a parent's adapter, before. Raises TrainingError.

    Without ``before`` the start is a fresh adapter, whose matrices B are all zero.
    """
    import torch

    broken = sorted(name for name, tensor in after.items() if not torch.isfinite(tensor).all())
    if broken:
        message = f"{where}: {len(broken)} adapter matrices hold NaN or infinity, {_layer(broken[0])} among them; "
        raise TrainingError(message + "lower the learning rate; nothing was written", slug="adapter-nan")
    matrices = {name: tensor for name, tensor in after.items() if "lora_B" in name}
    start = before or {name: torch.zeros_like(tensor) for name, tensor in matrices.items()}
    still = sorted(name for name, tensor in matrices.items() if torch.equal(tensor, start[name]))
    if still or not matrices:
        message = (
            f"{where}: {len(still)} of {len(matrices)} adapter matrices did not move in training"
            f"{', ' + _layer(still[0]) + ' among them' if still else ''}: this would be its parent under another "
            "name; train longer or with a higher learning rate; nothing was written"
        )
        raise TrainingError(message, slug="adapter-unmoved")


def check_active(model: Any, batch: Mapping[str, Any], where: str) -> None:
    """The model with its adapter answers differently from the model without. Raises TrainingError."""
    import torch

    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        adapted = model(**inputs).logits
        with model.disable_adapter():
            plain = model(**inputs).logits
    if torch.equal(adapted, plain):
        raise TrainingError(
            f"{where}: the adapter is loaded and changes nothing: it is not applied", slug="adapter-off"
        )


def check_stops(ended: Sequence[bool], longest: int, where: str) -> None:
    """Generation 0 must end its texts by itself. (A later one that runs on has collapsed: that is for the audit.)

    ``ended``: for each text, whether the end-of-text token came. Raises TrainingError.
    """
    share = sum(ended) / len(ended)
    if share < FEWEST_STOPS:
        message = (
            f"{where}: only {share:.0%} of the texts end by themselves within {longest} tokens; the model has not "
            "learned to stop, and texts that run on repeat themselves and look like collapse. Train longer, or raise "
            "recipe.decoding.max_new_tokens if people's texts are longer than that; nothing was written"
        )
        raise TrainingError(message, slug="no-stop")


def check_wrote(texts: Sequence[str], where: str) -> None:
    """At least one text must not be empty. Raises TrainingError; the texts stay on disk for the audit to judge."""
    if not any(text.strip() for text in texts):
        message = (
            f"{where}: all {len(texts)} texts are empty: the model wrote nothing but its end-of-text token. The texts "
            "stand on disk and in the manifest, so the audit can judge them; there is nothing to train a successor on"
        )
        raise TrainingError(message, slug="nothing-written")


def _layer(name: str) -> str:
    """The layer, without what peft puts around its name."""
    return name.removeprefix("base_model.model.").partition(".lora_")[0]
