"""Labels by the thousand: refused while that is cheap, with what would do instead."""

from __future__ import annotations

import pyarrow as pa
import pytest

from collapse_audit.errors import UsageError
from collapse_audit.probes.text import labels
from collapse_audit.probes.text.labels import label_rule


def test_a_table_of_too_many_labels_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "MOST_CELLS", 99)
    rule = label_rule("field")
    assert rule is not None
    field = pa.array([[f"L{number}"] for number in range(10)])
    with pytest.raises(UsageError) as refused:
        rule.apply(pa.array(["a text"] * 10), field)
    assert "10 texts carry 10 different labels by the rule 'field'" in str(refused.value)
    assert "--labels none" in str(refused.value)
    assert refused.value.slug == "too-many-labels"
    assert rule.apply(pa.array(["a text"] * 9), field[:9]).carried.shape == (9, 9)
