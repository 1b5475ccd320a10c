"""The smoke profiles that lineages of this repository carry: trained for real, and audited."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from toy_training import edit, generations_of, texts_of, train

from collapse_audit import audit, load_lineage
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.lineages.training.run import start_run
from collapse_audit.reports.document import Verdict

for _name in ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")

LINEAGES = Path(__file__).resolve().parents[2] / "lineages"


def test_two_generations_of_the_smoke_profile_are_trained_and_judged(tmp_path: Path) -> None:
    root = tmp_path / "smoke"
    start_run(LINEAGES / "mistral_recursive", root, profile="smoke")
    edit(root, "generations = 5", "generations = 2")  # five take a minute; two show all that can go wrong
    assert train(root) == 0
    assert generations_of(root) == [(0, 0), (0, 1)]
    report = audit(root)
    assert report.verdict in (Verdict.COLLAPSE, Verdict.INCONCLUSIVE, Verdict.PASS)
    assert {finding.generation for finding in report.findings if finding.gating} == {1}
    assert report.lineage["labels"] == "eu-tirads"


def test_a_lineage_of_a_large_base_has_a_smoke_profile_of_a_tiny_opt(tmp_path: Path) -> None:
    root = tmp_path / "smoke"
    start_run(LINEAGES / "smollm2_preserve", root, profile="smoke")
    for name in ("reference.jsonl.gz", "reference.holdout.jsonl.gz"):  # a quarter of the texts show as much
        lines = gzip.decompress((root / name).read_bytes()).splitlines(keepends=True)
        (root / name).write_bytes(gzip.compress(b"".join(lines[::4])))
    assert train(root) == 0
    assert json.loads((root / "base" / "config.json").read_text("utf-8"))["model_type"] == "opt"
    first, second = load_lineage(root).generations
    shares = {source["corpus"]: source["share"] for source in second.details["trained_on"]}
    assert shares == {"reference": 0.1, texts_of(0): 0.9}
    assert first.details["model"]["health"]["sample"] == "holdout"
    for entry in (first, second):
        assert entry.adapter is not None
        assert file_digest(entry.adapter / "adapter_model.safetensors") == entry.details["model"]["adapter_digest"]
        for name in ("texts", "holdout"):  # a block is continued by a block
            written = gzip.decompress((root / f"seed_0/gen_{entry.index}/{name}.jsonl.gz").read_bytes())
            assert {json.loads(line)["n_tokens"] for line in written.splitlines()} == {64}
    assert {finding.generation for finding in audit(root).findings if finding.gating} == {1}
