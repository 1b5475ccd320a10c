"""``--embed MODEL``: where the model is looked for, that nothing is fetched, and a whole audit with a tiny one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from collapse_audit import audit
from collapse_audit.errors import UsageError
from collapse_audit.lineages.measured.sentence_model import SentenceModel
from collapse_audit.reports.document import Outcome

for _name in ("sentence_transformers", "torch"):
    pytest.importorskip(_name)

WORDS = ["red", "green", "blue", "stone", "water", "tree", "runs", "sleeps", "sings", "falls"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer with random weights, in the files that sentence-transformers writes."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS) + 5, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 16, "do_lower_case": false}')
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def texts(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=6)) for _ in range(count)]


def test_a_text_is_embedded_once_and_every_embedding_has_length_1(model: Path) -> None:
    embed = SentenceModel(str(model))
    made = embed(pa.array(["red stone", "blue tree", "red stone"], pa.large_string()))
    assert made.shape == (3, 16)
    assert made.dtype == np.float32
    assert (made[0] == made[2]).all()
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.ones(3), abs=1e-6)
    assert (embed(pa.array(["blue tree"], pa.large_string()))[0] == made[1]).all()


def test_the_digest_is_of_what_the_folder_holds(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "renamed"
    shutil.copytree(model, other)
    assert SentenceModel(str(other)).digest == SentenceModel(str(model)).digest
    (other / "README.md").write_text("changed")
    assert SentenceModel(str(other)).digest != SentenceModel(str(model)).digest


def test_a_package_that_carries_a_model_is_named_like_a_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model, tmp_path / "tiny_sentences" / "model")
    information = tmp_path / "tiny_sentences-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-sentences\nVersion: 1.0\n")
    (information / "RECORD").write_text("tiny_sentences/model/modules.json,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert SentenceModel("tiny-sentences").folder == tmp_path / "tiny_sentences" / "model"


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("no/such/folder", "no such folder or package"),
        ("pytest", "the package carries no model"),
        (".", "there is no modules.json in it"),
    ],
)
def test_what_is_no_model_is_named(named: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=says) as refused:
        SentenceModel(named)
    assert "sentence-transformers" in str(refused.value)


def test_a_folder_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[]")
    with pytest.raises(UsageError, match="cannot be loaded"):
        SentenceModel(str(tmp_path))


def test_an_audit_with_a_model_measures_what_texts_mean_and_names_the_model(model: Path, tmp_path: Path) -> None:
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    before.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts(120, 1)))
    after.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts(4, 2) * 30))
    report = audit(before=str(before), after=str(after), embed=str(model))
    found = {f.statistic: f for f in report.findings if f.probe == "semantic-diversity"}
    assert found["mean-distance"].outcome is Outcome.FAIL
    assert any(note.startswith(f"meanings are those of {model} (sha256:") for note in report.notes)
    assert report.config["embed"] == str(model)
    without = audit(before=str(before), after=str(after))
    kinds = {f.outcome for f in without.findings if f.probe == "semantic-diversity"}
    assert kinds == {Outcome.NOT_MEASURED}


def test_a_lineage_cannot_name_a_model(tmp_path: Path) -> None:
    for name in ("gen_0", "gen_1"):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts(20, 1)))
    (tmp_path / "collapse-audit.toml").write_text('embed = "model"\n')
    with pytest.raises(UsageError, match="a lineage may describe its data"):
        audit(str(tmp_path))
