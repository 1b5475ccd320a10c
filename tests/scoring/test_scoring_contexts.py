"""``collapse-lineage score --contexts``: what each model expects after the same human text, and what an audit says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collapse_audit import audit
from collapse_audit.errors import InputError
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.measured.concentration import NAME, asked_of, lines, read_concentration
from collapse_audit.lineages.scoring import contexts as scoring_contexts
from collapse_audit.probes.models.contexts import Contexts
from collapse_audit.reports.document import Finding, Outcome

pytest.importorskip("torch")
pytest.importorskip("peft")
pytestmark = pytest.mark.filterwarnings("ignore")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def asked(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lineage after its models were asked; only to be read."""
    from collapse_audit.lineage_cli import main

    root = shutil.copytree(trained, tmp_path_factory.mktemp("asked") / "toy")
    assert main(["score", str(root), "--contexts", "-q"]) == 0
    return root


def findings(root: Path, generation: int = 1) -> dict[str, Finding]:
    report = audit(root)
    return {
        f.statistic: f
        for f in report.findings
        if f.probe == "concentration" and f.generation == generation and f.seed == "0"
    }


def test_every_generation_is_asked_at_the_same_contexts(asked: Path) -> None:
    """Against a loop by hand: after each token of the held-out record's text, and before its first."""
    import torch
    from toy_training import HOLDOUT

    from collapse_audit.lineages.scoring.scorer import models_of

    lineage = load_lineage(asked)
    models = models_of(lineage, "toy")
    found = [read_concentration(asked / f"seed_0/gen_{k}" / NAME, "here") for k in (0, 1)]
    assert found[0].ids == found[1].ids == tuple(one["id"] for one in HOLDOUT)
    assert found[0].digest == found[1].digest
    assert found[0].adapter != found[1].adapter
    for entry, one in zip(lineage.of_seed("0"), found, strict=True):
        assert one.adapter == entry.details["model"]["adapter_digest"]
        model, tokenizer = models.load(entry)
        for record, entropy, top1, count in zip(HOLDOUT, one.entropy, one.top1, one.n_positions, strict=True):
            prompt = [0, *tokenizer(f"{record['prompt']}\n", add_special_tokens=False)["input_ids"]]
            text = [*tokenizer(record["text"], add_special_tokens=False)["input_ids"], 1]
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt + text])).logits[0].double()
            p = torch.softmax(logits[len(prompt) - 1 : -1], dim=-1)
            assert count == len(text) == len(p)
            assert entropy == pytest.approx(float(-(p * p.log()).sum(-1).mean()), rel=1e-4)
            assert top1 == pytest.approx(float(p.max(-1).values.mean()), rel=1e-4)


def test_the_manifest_names_the_files_and_their_digests(asked: Path, tmp_path: Path) -> None:
    entry = load_lineage(asked).of_seed("1")[1]
    assert entry.concentration == asked.resolve() / "seed_1/gen_1" / NAME
    broken = shutil.copytree(asked, tmp_path / "toy")
    with (broken / "seed_1/gen_1" / NAME).open("a") as file:
        file.write("\n")
    with pytest.raises(InputError) as refused:
        load_lineage(broken)
    assert [one.slug for one in refused.value.problems] == ["digest-mismatch"]


def test_a_second_run_asks_nobody(asked: Path, collapse_lineage: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.read_bytes() for path in asked.rglob(NAME)} | {0: (asked / "lineage.toml").read_bytes()}
    monkeypatch.setattr(scoring_contexts, "predict", None)
    assert collapse_lineage("score", asked, "--contexts", "-q")[0] == 0
    assert before == {path: path.read_bytes() for path in asked.rglob(NAME)} | {
        0: (asked / "lineage.toml").read_bytes()
    }


def test_fewer_contexts_are_spread_evenly(toy: Path, collapse_lineage: Run) -> None:
    from toy_training import HOLDOUT

    assert collapse_lineage("score", toy, "--contexts", 3, "--seed", 0, "-q")[0] == 0
    found = read_concentration(toy / "seed_0/gen_0" / NAME, "here")
    assert found.ids == (HOLDOUT[0]["id"], HOLDOUT[2]["id"], HOLDOUT[5]["id"])  # 0, 2.5 to even, 5
    assert not (toy / "seed_1/gen_0" / NAME).exists()


def test_without_held_out_human_text_there_is_no_fair_context(toy: Path, collapse_lineage: Run) -> None:
    text = (toy / "lineage.toml").read_text()
    (toy / "lineage.toml").write_text(text.replace('holdout = "reference.holdout.jsonl"\n', "", 1))
    code, _, err = collapse_lineage("score", toy, "--contexts", "-q")
    assert (code, "holds no human text back" in err) == (4, True)


def test_an_audit_compares_the_models_and_says_where_one_was_not_asked(asked: Path, tmp_path: Path) -> None:
    found = findings(asked)
    before, after = (read_concentration(asked / f"seed_0/gen_{k}" / NAME, "here") for k in (0, 1))
    assert found["entropy"].value == pytest.approx(after.entropy.mean() / before.entropy.mean())
    assert found["top-1"].value == pytest.approx(after.top1.mean() - before.top1.mean())
    one = shutil.copytree(asked, tmp_path / "one")
    (one / "seed_0/gen_0" / NAME).unlink()
    text = (one / "lineage.toml").read_text().split("\n")
    kept = [line for line in text if not (line.startswith("concentration") and ("gen_0" in line or "_digest" in line))]
    (one / "lineage.toml").write_text("\n".join(kept))
    for finding in findings(one).values():
        assert finding.outcome is Outcome.INCONCLUSIVE
        assert "only the generation's model was asked at fixed contexts" in finding.reason


def test_without_any_it_is_neutral(trained: Path) -> None:
    for finding in findings(trained).values():
        assert finding.outcome is Outcome.NOT_MEASURED
        assert finding.reason == "no model was asked at fixed contexts (collapse-lineage score --contexts does it)"


def test_against_human_text_no_model_stands_to_be_compared(asked: Path) -> None:
    for finding in findings(asked, 0).values():
        assert finding.outcome is Outcome.NOT_MEASURED
        assert "the baseline is none" in finding.reason


def test_expectations_of_another_adapter_are_refused(asked: Path, tmp_path: Path) -> None:
    root = shutil.copytree(asked, tmp_path / "toy")
    shutil.copyfile(root / "seed_1/gen_1" / NAME, root / "seed_0/gen_1" / NAME)
    text = (root / "lineage.toml").read_text().split("\n")
    (root / "lineage.toml").write_text("\n".join(one for one in text if not one.startswith("concentration")))
    with pytest.raises(InputError) as refused:
        audit(root)
    assert refused.value.slug == "contexts-of-another"


@pytest.fixture
def bare(asked: Path, tmp_path: Path) -> Path:
    """Texts, adapters and expectations of one seed, without a manifest."""
    for index in (0, 1):
        shutil.copytree(asked / f"seed_0/gen_{index}", tmp_path / f"bare/gen_{index}")
    return tmp_path / "bare"


def test_in_a_bare_folder_the_adapter_itself_tells_whose_expectations_they_are(bare: Path) -> None:
    entry = load_lineage(bare).generations[1]
    assert "model" not in entry.details
    assert asked_of(entry, bare.resolve()) is not None
    path = bare / "gen_1" / NAME
    shutil.copyfile(bare / "gen_0" / NAME, path)
    with pytest.raises(InputError) as refused:
        audit(bare)
    assert refused.value.slug == "contexts-of-another"
    assert str(refused.value).startswith(f"gen_1/{NAME}: found expectations of the adapter sha256:")
    weights = bare / "gen_1" / "adapter" / "adapter_model.safetensors"
    weights.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert asked_of(load_lineage(bare).generations[1], bare.resolve()) is not None  # not at hand: integrity tells it
    found = {one.statistic: one for one in audit(bare).findings if one.probe == "concentration"}
    assert all(one.outcome is Outcome.INCONCLUSIVE for one in found.values())
    assert all("both files are of the same adapter" in one.reason for one in found.values())


GOOD = Contexts(
    ids=("a", "b"),
    entropy=np.array([1.234567, 0.0]),
    top1=np.array([0.5, 1.0]),
    n_positions=np.array([3, 4]),
    digest="sha256:c",
    model="sha256:m",
    adapter="sha256:a",
)


def test_five_digits_are_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(lines(GOOD))
    found = read_concentration(path, "here")
    assert (found.ids, found.digest, found.model, found.adapter) == (GOOD.ids, GOOD.digest, GOOD.model, GOOD.adapter)
    assert found.entropy.tolist() == [1.2346, 0.0]
    assert found.n_positions.tolist() == [3, 4]


def test_a_file_that_does_not_count_its_contexts_is_read(tmp_path: Path) -> None:
    path = tmp_path / NAME
    before = lines(GOOD).decode()
    path.write_text(before.replace(', "rows": 2', ""))
    assert path.read_text() != before
    assert read_concentration(path, "here").ids == GOOD.ids


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: "", "here:1: found an empty file"),
        (lambda text: text.replace('"format": 1', '"format": 9'), "here:1: found"),
        (lambda text: text.replace('"adapter": "sha256:a"', '"adapter": 7'), "here:1: found"),
        (lambda text: text.replace('"b"', '"a"'), "found an id twice"),
        (lambda text: text.replace('"entropy": 0.0', '"entropy": -0.1'), "here:3: found"),
        (lambda text: text.replace('"top1": 0.5', '"top1": 1.5'), "here:2: found"),
        (lambda text: text.replace('"top1": 0.5', '"top1": NaN'), "here:2: found"),
        (lambda text: text.replace('"n_positions": 3', '"n_positions": 0'), "here:2: found"),
        (lambda text: text + "[]\n", "here:4: found"),
        (lambda text: text.split("\n")[0] + "\n", "found no context"),
        (lambda text: "\n".join(text.split("\n")[:2]) + "\n", "found 1 contexts; expected 2, as its first line says"),
        (lambda text: text.replace('"rows": 2', '"rows": "two"'), "found 2 contexts; expected 'two'"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: Callable[[str], str], message: str) -> None:
    path = tmp_path / NAME
    before = lines(GOOD).decode()
    path.write_text(change(before))
    assert path.read_text() != before
    with pytest.raises(InputError) as refused:
        read_concentration(path, "here")
    assert message in str(refused.value)


def test_blocks_of_held_out_text_are_contexts_too(tmp_path: Path, collapse_lineage: Run) -> None:
    from toy_training import QUICK, train, write_toy

    root = write_toy(
        tmp_path / "toy",
        **QUICK,
        generations=1,
        task="blocks",
        text={"block": 4, "context": 24},
        decoding={"max_new_tokens": 8, "batch_size": 8},
    )
    assert train(root) == 0
    assert collapse_lineage("score", root, "--contexts", 4, "-q")[0] == 0
    found = read_concentration(root / "seed_0/gen_0" / NAME, "here")
    assert found.ids[0] == "block-00000"
    assert len(found.ids) == 4
    assert found.n_positions.tolist() == [4] * 4  # after the beginning-of-text token, every token of a block
    first: dict[str, Any] = json.loads((root / "seed_0/gen_0" / NAME).read_text().split("\n")[1])
    assert set(first) == {"id", "entropy", "top1", "n_positions"}
