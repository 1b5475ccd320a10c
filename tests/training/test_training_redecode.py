"""``collapse-lineage redecode``: generation 0's texts under a later generation's decoding."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_training import Copy, contents, read_toml, records_of, texts_of

from collapse_audit import audit
from collapse_audit.lineage_cli import main
from collapse_audit.lineages.disk.load import load_lineage

for _name in ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")

CONTROL = "seed_0/gen_1/control.jsonl.gz"


def decoded_otherwise(root: Path) -> Path:
    """Generation 1 says that it was decoded greedily; generation 0 was sampled."""
    text = (root / "lineage.toml").read_text()
    head, mark, last = text.rpartition("[generation.decoding]\n")
    assert "do_sample = true" in last
    (root / "lineage.toml").write_text(head + mark + last.replace("do_sample = true", "do_sample = false", 1))
    return root


def redecode(root: Path, *more: str) -> int:
    return main(["redecode", "--quiet", str(root), *more])


def test_a_lineage_of_one_decoding_needs_no_control(
    short: Path, copy_of: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_of(short)
    before = contents(root)
    assert redecode(root) == 0
    assert "no generation needs a control" in capsys.readouterr().out
    assert contents(root) == before


def test_the_control_is_what_generation_0_writes_under_that_decoding(short: Path, copy_of: Copy) -> None:
    """Greedy text has no chance in it: written anew by hand from generation 0's model, it is the same."""
    from collapse_audit.lineages.training.base import prepare_base
    from collapse_audit.lineages.training.models import load_generation
    from collapse_audit.lineages.training.progress import Silent
    from collapse_audit.lineages.training.run import open_run

    root = decoded_otherwise(copy_of(short))
    texts = {name: data for name, data in contents(root).items() if name != "lineage.toml"}
    assert redecode(root) == 0
    assert {name: data for name, data in contents(root).items() if name in texts} == texts  # nothing else has changed
    records = records_of(root / CONTROL)
    holdout = records_of(root / "seed_0/gen_1/holdout.jsonl.gz")
    assert [one["id"] for one in records] == [one["id"] for one in holdout]  # the prompts that an audit compares

    run = open_run(root)
    adapter = root / "seed_0/gen_0/adapter"
    model, tokenizer = load_generation(
        prepare_base(root, run.recipe, Silent()), run.recipe, writer=adapter, scorer=adapter
    )
    for one in records[:3]:
        prompt = tokenizer(f"{one['prompt']}\n", return_tensors="pt", add_special_tokens=False)
        ids = prompt["input_ids"]
        for _ in range(16):  # the most likely next token, one at a time
            logits = model(input_ids=ids).logits[0, -1]
            logits[[token for token in (tokenizer.bos_token_id, tokenizer.pad_token_id) if token is not None]] = -1e9
            best = logits.argmax()
            if best == tokenizer.eos_token_id:
                break
            ids = __import__("torch").cat([ids, best.view(1, 1)], dim=1)
        assert tokenizer.decode(ids[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True) == one["text"]


def test_the_manifest_names_it_and_a_second_run_keeps_it(
    short: Path, copy_of: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    root = decoded_otherwise(copy_of(short))
    before = (root / "lineage.toml").read_text()
    digest = load_lineage(root).digest
    assert redecode(root) == 0
    entry = read_toml(root)["generation"][1]
    assert entry["control"] == CONTROL
    lines = (root / "lineage.toml").read_text().splitlines()
    assert [line for line in lines if not line.startswith("control")] == before.splitlines()
    assert load_lineage(root).digest != digest
    whole = contents(root)
    assert redecode(root) == 0
    assert "no generation needs a control" in capsys.readouterr().out
    assert redecode(root, "--anew") == 0
    assert contents(root) == whole
    (root / CONTROL).write_bytes((root / texts_of(0)).read_bytes())
    assert main(["validate", str(root)]) == 4
    assert "digest" in capsys.readouterr().err


def test_an_audit_splits_the_change(short: Path, copy_of: Copy) -> None:
    root = decoded_otherwise(copy_of(short))
    assert redecode(root) == 0
    report = audit(root)
    rows = {row["statistic"]: row for row in report.decoding}
    assert all(row["generation"] == 1 for row in rows.values())
    row = rows["log-perplexity"]
    assert row["decoding"]["value"] + row["training"]["value"] == pytest.approx(row["total"]["value"])
    samples = {
        name: [one["nll"] for one in records_of(root / f"seed_0/{path}.jsonl.gz")]
        for name, path in (("first", "gen_0/holdout"), ("control", "gen_1/control"))
    }
    means = {name: sum(values) / len(values) for name, values in samples.items()}
    assert row["decoding"]["value"] == pytest.approx(means["control"] - means["first"], abs=1e-9)
    assert not audit(short).decoding


def test_what_cannot_be_repeated_is_refused(short: Path, copy_of: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    root = decoded_otherwise(copy_of(short))
    text = (root / "lineage.toml").read_text()
    (root / "lineage.toml").write_text(text.replace("do_sample = false", "do_sample = false\npenalty_alpha = 0.6"))
    assert redecode(root) == 4
    message = capsys.readouterr().err
    assert "penalty_alpha" in message
    assert "repetition_penalty" in message  # one of those that are known
    assert not (root / CONTROL).exists()


def test_another_adapter_than_the_manifests_is_refused(
    short: Path, copy_of: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    root = decoded_otherwise(copy_of(short))
    weights = "adapter/adapter_model.safetensors"
    (root / "seed_0/gen_0" / weights).write_bytes((root / "seed_0/gen_1" / weights).read_bytes())
    assert redecode(root) == 4
    assert "adapter of generation 0" in capsys.readouterr().err
    assert not (root / CONTROL).exists()
