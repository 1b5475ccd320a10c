"""The dry run: what it counts, against published sizes and closed forms, for every profile that ships."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from collapse_audit.lineage_cli import main
from collapse_audit.lineages.disk.manifest import read_manifest
from collapse_audit.lineages.training.dry_run import Size, Tokens, describe, measure, memory
from collapse_audit.lineages.training.recipe import Base, Recipe, read_recipe

pytestmark = pytest.mark.filterwarnings("ignore")
LINEAGES = Path(__file__).parents[2] / "lineages"
THYROID = ("mistral_recursive", "llama_recursive", "mistral_cross", "llama_cross")
NATURE = ("smollm2_replace", "smollm2_preserve", "smollm2_accumulate", "smollm2_repetition_penalty")
RECIPES = [*product(THYROID, (None, "paper", "smoke")), *product(NATURE, ("paper", "smoke"))]
"""Not those of NATURE without a profile: their GGUF file is not kept, and it alone says how large the model is."""
PUBLISHED = {
    # Parameters by the models' own pages on the hub (safetensors metadata).
    "mistralai/Mistral-7B-v0.1": 7_241_732_096,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
    "facebook/opt-125m": 125_239_296,
}


def gated(base: Base) -> tuple[int, int, int]:
    """(in linear layers, everything else, sum of in + out over linear layers) of a Llama or Mistral, by hand."""
    head = base.hidden // base.heads
    kv = (base.kv_heads or base.heads) * head
    shapes = [(base.hidden, base.hidden)] * 2 + [(base.hidden, kv)] * 2 + [(base.hidden, base.feed_forward)] * 3
    linear = base.layers * sum(a * b for a, b in shapes)
    plain = 2 * base.vocabulary * base.hidden + (2 * base.layers + 1) * base.hidden
    return linear, plain, base.layers * sum(a + b for a, b in shapes)


@pytest.mark.parametrize(("name", "total"), PUBLISHED.items())
def test_the_papers_models_have_their_published_sizes(name: str, total: int, tmp_path: Path) -> None:
    size = measure(Recipe(task="completion", base=Base(hub=name)), tmp_path)
    assert size.base == total


@pytest.mark.parametrize("kv_heads", [None, 2])
@pytest.mark.parametrize("architecture", ["mistral", "llama"])
def test_a_tiny_model_is_counted_as_by_hand(architecture: str, kv_heads: int | None, tmp_path: Path) -> None:
    base = Base(architecture=architecture, hidden=128, layers=3, heads=4, kv_heads=kv_heads, vocabulary=500)  # type: ignore[arg-type]
    linear, plain, sides = gated(base)
    recipe = Recipe(task="completion", base=base)
    assert measure(recipe, tmp_path) == Size(
        quantized=linear, plain=plain, trained=recipe.lora.r * sides, hidden=128, layers=3, vocabulary=500
    )


def test_the_memory_of_the_weights_is_that_of_nf4_with_double_quantization(tmp_path: Path) -> None:
    """QLoRA, section 3: .127 bits a parameter for the constants beside the 4 bits."""
    size = measure(Recipe(task="completion", base=Base(hub="mistralai/Mistral-7B-v0.1")), tmp_path)
    tokens = Tokens(exact=True, examples=1, tokens=1, longest=1, learned=1, prompts=1)
    recipe = Recipe(task="completion", base=Base(hub="mistralai/Mistral-7B-v0.1"))
    weights = memory(recipe, size, tokens)["weights"]
    assert weights == pytest.approx(size.quantized * 4.127 / 8 + size.plain * 4, rel=1e-4)
    assert memory(recipe, size, tokens)["adapter and optimizer"] == size.trained * 16


@pytest.mark.parametrize(("name", "profile"), RECIPES)
def test_every_recipe_that_ships_has_a_plan(name: str, profile: str | None, tmp_path: Path) -> None:
    folder = shutil.copytree(LINEAGES / name, tmp_path / name, ignore=shutil.ignore_patterns(".*"))
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*"))
    text = describe(folder, profile=profile)
    recipe = read_recipe(read_manifest(folder / "lineage.toml"), profile=profile)
    total = PUBLISHED.get(recipe.base.hub or "")
    if profile == "paper":
        assert total is not None
        assert f"{total:,} frozen" in text
    seeds = ", ".join(map(str, recipe.seeds))
    assert f"{recipe.generations} generations x seeds {seeds}: {recipe.generations * len(recipe.seeds)} models" in text
    assert "nothing was trained, loaded or written" in text
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob("*")) == before


def test_the_command_prints_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(LINEAGES / "mistral_recursive"), "--dry-run", "--seed", "1"]) == 0
    out = capsys.readouterr().out
    assert "5 generations x seeds 1: 5 models" in out
    assert "1,500 examples" in out
    assert "2,250 texts a generation" in out


def test_a_profile_without_a_folder_of_its_own_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(LINEAGES / "mistral_recursive"), "--profile", "smoke"]) == 4
    assert "a profile makes another lineage: name its folder with --out" in capsys.readouterr().err


def test_a_profile_that_is_not_there_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(LINEAGES / "mistral_recursive"), "--profile", "papers", "--dry-run"]) == 4
    assert 'has no profile "papers"; it has: paper, smoke' in capsys.readouterr().err
