"""What the records of a comparison do not carry, and a probe needs."""

from __future__ import annotations

from collections.abc import Sequence

from collapse_audit.probes.pairs.pair import NO_MODEL
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.probes.text.labels import LabelRule
from collapse_audit.probes.text.sample import Sample
from collapse_audit.probes.types import Probe
from collapse_audit.run.plan import fits


def not_carried(probe: Probe, baseline: Sample, current: Sample, rule: LabelRule | None) -> NotMeasured | None:
    """What the records of the two sides lack for ``probe``, or None. What only one side has is no absence: it leaves
    the finding open. ``rule`` is the label rule in force; None: there is none."""
    sides = (baseline, current)
    if not fits(probe, any(sample.numeric is not None for sample in sides)):
        held = "texts and no numbers (numeric)" if "numeric" in probe.needs else "numbers and no texts"
        return NotMeasured(reason=f"the records hold {held}")
    if "labels" in probe.needs:
        return _no_labels(baseline, current, rule)
    if "scores" in probe.needs and any(sample.score is None or sample.prompts is None for sample in sides):
        return NotMeasured(reason="the records of both sides do not carry prompts with scored answers")
    if "nll" in probe.needs:
        return _absent("nll", [sample.nll is not None for sample in sides])
    return None


def no_embeddings(baseline: Sample, current: Sample) -> NotMeasured | None:
    """What the records of the two sides lack where no model was named."""
    there = [sample.embeddings is not None for sample in (baseline, current)]
    return _absent("embedding", there) if any(there) else NotMeasured(reason=NO_MODEL)


def _no_labels(baseline: Sample, current: Sample, rule: LabelRule | None) -> NotMeasured | None:
    if rule is None:
        return NotMeasured(reason="the records carry no labels and no label rule applies")
    if rule.extract is None:
        absent = _absent("labels", [sample.label_field is not None for sample in (baseline, current)])
        if absent is not None:
            return absent
    if not baseline.labels(rule).labelled.any():
        return NotMeasured(reason=f"no text of the baseline carries a label (labels = {rule.name})")
    return None


def _absent(what: str, there: Sequence[bool]) -> NotMeasured | None:
    """What to say of a field that the records of both sides, of one, or of neither carry."""
    if all(there):
        return None
    if not any(there):
        return NotMeasured(reason=f"the records carry no {what}")
    side = "baseline" if there[1] else "generation"
    return NotMeasured(
        reason=f"the records of the {side} carry no {what}, and the other side's do: give it to both, or to neither",
        neutral=False,
    )
