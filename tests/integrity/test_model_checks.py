"""``collapse-lineage validate --models``: what only models show, each in a lineage in which just that is wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models_on_disk import WEIGHTS, write_texts
from safetensors.numpy import load_file, save_file

from collapse_audit.lineage_cli import main
from collapse_audit.lineages.files.digest import file_digest

os.environ["HF_HUB_OFFLINE"] = "1"
torch = pytest.importorskip("torch")
for _name in ("transformers", "peft", "bitsandbytes", "accelerate"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")

TEXTS = [
    f"the {size} node lies on the {side} side" for size in ("small", "large", "soft") for side in ("left", "right")
]


@pytest.fixture(scope="session")
def whole_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three adapters with random matrices on a tiny Llama with random weights, the last one merged too."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from collapse_audit.lineages.training.base import build, train_tokenizer
    from collapse_audit.lineages.training.recipe import Base

    root = tmp_path_factory.mktemp("models") / "L"
    write_texts(root / "reference.jsonl", TEXTS)
    tokenizer = train_tokenizer(TEXTS, 280, 32)
    torch.manual_seed(0)
    base = build(Base(architecture="llama", hidden=32, layers=1, heads=2, feed_forward=32), tokenizer, 32)
    base.save_pretrained(root / "base")
    tokenizer.save_pretrained(root / "base")
    for index in range(3):
        write_texts(root / f"gen_{index}" / "texts.jsonl", [f"{text} {index}" for text in TEXTS])
        torch.manual_seed(index + 1)
        plain = AutoModelForCausalLM.from_pretrained(root / "base")
        model = get_peft_model(plain, LoraConfig(r=2, target_modules=["q_proj", "v_proj", "down_proj"]))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.5)
        model.save_pretrained(root / f"gen_{index}" / "adapter")
        config = root / f"gen_{index}" / "adapter" / "adapter_config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "base"}))
        if index == 2:
            model.merge_and_unload().save_pretrained(root / "gen_2" / "merged")
    return root


@pytest.fixture
def root(whole_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(whole_models, tmp_path / "L")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "L"


def validate() -> int:
    return main(["validate", "--models", "L"])


def test_a_whole_lineage_is_shown_as_a_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate() == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("generation")]
    assert [row[:2] for row in rows] == [["generation", str(index)] for index in range(3)]
    assert all(float(row[2]) > 0.01 for row in rows)
    assert [row[4] for row in rows[:2]] == ["-", "-"]
    assert float(rows[2][4]) < 1e-3
    assert {row[-1] for row in rows} == {str(root / "base")}


def test_the_change_is_that_of_log_probabilities_by_hand(root: Path) -> None:
    """A second implementation: one text at a time, unpadded, with cross-entropy."""
    from peft import PeftModel
    from torch.nn.functional import cross_entropy
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from collapse_audit import load_lineage
    from collapse_audit.lineages.training.model_checks import check_models

    tokenizer = AutoTokenizer.from_pretrained(root / "base")

    def losses(model: Any) -> Any:
        found = []
        for text in TEXTS:
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            with torch.no_grad():
                found.append(cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="none"))
        return torch.cat(found)

    plain = losses(AutoModelForCausalLM.from_pretrained(root / "base"))
    base = AutoModelForCausalLM.from_pretrained(root / "base")
    adapted = losses(PeftModel.from_pretrained(base, root / "gen_1" / "adapter"))
    rows, problems = check_models(load_lineage(root), where="L")
    assert problems == []
    assert rows[1].change == pytest.approx(float((adapted - plain).abs().max()), rel=1e-4)


def config(root: Path, index: int, **changes: Any) -> None:
    path = root / f"gen_{index}" / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def not_applied(root: Path) -> None:
    """The adapter is there and loaded, and is multiplied by nothing."""
    config(root, 1, lora_alpha=0)


def a_twin(root: Path) -> None:
    """Other numbers in the file, the same model: A is doubled and B halved."""
    stored = load_file(root / "gen_0" / "adapter" / WEIGHTS)
    save_file(
        {name: value * (2.0 if "lora_A" in name else 0.5) for name, value in stored.items()},
        root / "gen_1" / "adapter" / WEIGHTS,
    )


def nearly_a_twin(root: Path) -> None:
    """One number is a ten-thousandth larger."""
    stored = load_file(root / "gen_0" / "adapter" / WEIGHTS)
    stored[sorted(stored)[0]].flat[0] *= 1.0001
    save_file(stored, root / "gen_1" / "adapter" / WEIGHTS)


def a_base_of_the_hub(root: Path) -> None:
    config(root, 1, base_model_name_or_path="nobody/no-such-model")


def another_rank(root: Path) -> None:
    config(root, 1, r=3)


def a_matrix_missing(root: Path) -> None:
    path = root / "gen_1" / "adapter" / WEIGHTS
    stored = load_file(path)
    stored.pop(next(name for name in stored if "down_proj.lora_B" in name))
    save_file(stored, path)


def nan(root: Path) -> None:
    path = root / "gen_1" / "adapter" / WEIGHTS
    stored = load_file(path)
    next(iter(stored.values())).fill(float("nan"))
    save_file(stored, path)


def merged_is_the_base(root: Path) -> None:
    shutil.rmtree(root / "gen_2" / "merged")
    shutil.copytree(root / "base", root / "gen_2" / "merged")


def a_pickle(root: Path) -> None:
    (root / "gen_1" / "adapter" / WEIGHTS).rename(root / "gen_1" / "adapter" / "adapter_model.bin")


def no_base(root: Path) -> None:
    config(root, 1, base_model_name_or_path="")


def without_an_adapter(root: Path) -> None:
    shutil.rmtree(root / "gen_1" / "adapter")


BROKEN = [
    (
        not_applied,
        "gen_1/adapter: found an adapter that is loaded and changes nothing; expected answers",
        "adapter-off",
    ),
    (a_twin, "gen_1/adapter: found a model that answers exactly as generation 0 does", "adapter-twin"),
    (nearly_a_twin, "gen_1/adapter: found a model that answers as generation 0 does but for rounding", "adapter-twin"),
    (another_rank, "gen_1/adapter: found an adapter that cannot be put on ", "adapter-shape"),
    (a_matrix_missing, "gen_1/adapter: found 1 matrices that are not in the model", "adapter-not-loaded"),
    (nan, "gen_1/adapter: found a model that answers NaN", "adapter-nan"),
    (merged_is_the_base, "gen_2/adapter: found a merged model whose log-probabilities differ by", "merged-differs"),
    (a_pickle, "gen_1/adapter: found adapter_model.bin, a pickle", "adapter-pickle"),
    (no_base, "gen_1/adapter: found no base in [generation.model]", "base"),
    (without_an_adapter, "gen_1/texts.jsonl: found no adapter; expected an adapter", "adapter-missing"),
]


@pytest.mark.parametrize(("damage", "message", "slug"), BROKEN, ids=[case[0].__name__ for case in BROKEN])
def test_one_broken_model_is_named_and_the_others_are_still_checked(
    root: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], message: str, slug: str
) -> None:
    damage(root)
    assert validate() == 4
    shown = capsys.readouterr()
    [line] = shown.err.splitlines()
    assert f"L/{message}" in line
    assert line.endswith(f"[{slug}]")
    rows = [line for line in shown.out.splitlines() if line.strip().startswith("generation")]
    assert len(rows) == (3 if slug in ("adapter-off", "adapter-twin", "adapter-nan", "merged-differs") else 2)


def test_a_base_of_the_hub_is_looked_for_in_the_cache_alone(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the client was told before: no connection is opened, and nothing is printed but what to do."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was opened"))
    a_base_of_the_hub(root)
    assert validate() == 4
    [line] = capsys.readouterr().err.splitlines()
    assert "nobody/no-such-model: found a model that cannot be loaded (no such folder, and not whole in" in line
    assert line.endswith("a hub id whose files are here: hf download nobody/no-such-model [base]")
    assert constants.HF_HUB_OFFLINE is False


def test_all_problems_are_told_together(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    not_applied(root)
    merged_is_the_base(root)
    assert validate() == 4
    assert [line.rpartition("[")[2] for line in capsys.readouterr().err.splitlines()] == [
        "adapter-off]", "merged-differs]"
    ]  # fmt: skip


def test_merging_into_half_precision_is_allowed_what_rounding_costs(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM

    merged = AutoModelForCausalLM.from_pretrained(root / "gen_2" / "merged").to(torch.bfloat16)
    merged.save_pretrained(root / "gen_2" / "merged")
    assert validate() == 0
    [row] = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("generation 2")]
    assert 0 < float(row[4]) < 0.05


def test_a_lineage_without_models_has_none_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(2):
        write_texts(tmp_path / "bare" / f"gen_{index}" / "texts.jsonl", TEXTS[index:])
    assert main(["validate", "--models", str(tmp_path / "bare")]) == 4
    assert "found no generation with an adapter" in capsys.readouterr().err


def test_the_base_of_the_trainer_must_be_the_one_that_was_recorded(root: Path, capsys: Any) -> None:
    """The recipe's digest is of weights and tokenizer (the trainer's own)."""
    from collapse_audit.lineages.training.base import weights_digest

    generations = "".join(
        f'[[generation]]\nindex = {index}\ntexts = "gen_{index}/texts.jsonl"\nadapter = "gen_{index}/adapter"\n'
        f'[generation.model]\nbase_digest = "{weights_digest(root / "base")}"\n'
        for index in range(3)
    )
    recipe = (
        'scheme = "recursive"\n[recipe]\ntask = "completion"\nquantization = "none"\n[recipe.base]\nfolder = "base"\n'
    )
    (root / "lineage.toml").write_text(f'format = 1\nname = "L"\n{recipe}{generations}')
    assert validate() == 0
    stored = load_file(root / "base" / "model.safetensors")
    next(iter(stored.values()))[0] += 1
    save_file(stored, root / "base" / "model.safetensors", metadata={"format": "pt"})
    shutil.rmtree(root / "gen_2" / "merged")
    capsys.readouterr()
    assert validate() == 4
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.endswith("(as recorded) [base-other]") for line in lines)
    assert file_digest(root / "base" / "model.safetensors")
