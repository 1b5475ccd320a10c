"""Cures: the same base, text, seeds and compute, and one thing done otherwise; what the table says of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from toy_training import QUICK, Copy, read_toml, texts_made_up, train, write_jsonl, write_toy

from collapse_audit.comparison.cures import Figure
from collapse_audit.errors import UsageError
from collapse_audit.lineage_cli import main
from collapse_audit.lineages.training.cures import Cure, Patient, read_cures, start
from collapse_audit.lineages.training.progress import Silent
from collapse_audit.lineages.training.recipe import read_recipe

for _name in ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "filelock"):
    pytest.importorskip(_name)
pytestmark = pytest.mark.filterwarnings("ignore")


def cures(*arguments: object) -> int:
    """The command's exit code."""
    return main(["cures", "--quiet", *map(str, arguments)])


@pytest.fixture
def patient(untrained: Path, copy_of: Copy) -> Path:
    """A toy with its base, two epochs, one seed and two generations; fresh human text beside it."""
    root = copy_of(untrained, "patient")
    training = {"epochs": 2, "learning_rate": 0.01, "batch_size": 8}
    write_toy(root, seeds=[0], generations=2, training=training)
    write_jsonl(root / "people.jsonl", [{"prompt": f"north {n} mm", "text": f"people {n}"} for n in range(24)])
    return root


# ------------------------------------------------------------------------------------------------------- what is tried


def test_every_cure_that_comes_along_is_a_recipe_that_can_be_read(patient: Path, tmp_path: Path) -> None:
    own = read_cures()
    assert next(iter(own)) == "none"
    partner = Patient(folder=patient, partner=patient, fresh="people.jsonl")
    for cure in own.values():
        runs = start(partner, tmp_path / "out", cure, (), Silent())
        assert [run.root.name for run in runs] == [cure.name] + [f"{cure.name}_partner"] * (cure.needs == "partner")
        assert all(run.scheme == cure.scheme for run in runs)


def test_all_read_as_many_examples_as_the_lineage_itself_does(patient: Path, tmp_path: Path) -> None:
    for name, cure in read_cures().items():
        if cure.needs is None:
            (run,) = start(Patient(folder=patient), tmp_path, cure, (), Silent())
            assert run.recipe.training.examples == 48, name  # 24 reports of people, two epochs


def test_a_cure_changes_what_it_says_and_nothing_else(patient: Path, tmp_path: Path) -> None:
    own = read_cures()
    runs = {
        name: start(Patient(folder=patient), tmp_path, own[name], (), Silent())[0] for name in ("none", "no_duplicates")
    }
    tables = {name: read_toml(run.root) for name, run in runs.items()}
    tables["no_duplicates"]["recipe"].pop("selection")
    for table in tables.values():
        table.pop("name")
    assert tables["none"] == tables["no_duplicates"]
    assert runs["no_duplicates"].recipe.selection.drop_duplicates


def test_two_writers_name_each_other(patient: Path, tmp_path: Path) -> None:
    both = start(Patient(folder=patient, partner=patient), tmp_path, read_cures()["two_writers"], (), Silent())
    assert [run.recipe.partner for run in both] == ["../two_writers_partner", "../two_writers"]


def test_a_file_of_ones_own_says_where_it_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('[half]\nsays = "half human"\nscheme = {reference = 0.5, previous = 0.5}\n')
    assert read_cures(tmp_path / "mine.toml") == {
        "half": Cure(name="half", says="half human", scheme={"reference": 0.5, "previous": 0.5}, recipe={})
    }
    (tmp_path / "bad.toml").write_text('[half]\nscheme = "recursive"\nneed = "fresh"\n')
    with pytest.raises(UsageError, match=r"bad\.toml: half"):
        read_cures(tmp_path / "bad.toml")
    with pytest.raises(UsageError, match=r"none\.toml cannot be read"):
        read_cures(tmp_path / "none.toml")


def test_what_a_cure_lacks_is_said_and_the_others_are_tried(patient: Path, tmp_path: Path, capsys: Any) -> None:
    assert cures(patient, "--out", tmp_path / "out", "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "human_10" in out
    assert "two_writers" not in out
    assert "two_writers is left out: it needs --partner" in " ".join(err.split())
    assert "fresh_10 is left out: it needs --fresh" in " ".join(err.split())
    assert not (tmp_path / "out").exists()
    assert cures(patient, "--out", tmp_path / "out", "--cure", "homeopathy") == 4
    assert "there is no cure 'homeopathy'; there are: none, human_10" in " ".join(capsys.readouterr().err.split())


# ------------------------------------------------------------------------------------------------------- what it finds


def test_the_command_trains_measures_and_says_what_each_holds(
    patient: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    out = tmp_path / "out"
    chosen = ("--cure", "none", "--cure", "fresh_10", "--fresh", "people.jsonl")
    with texts_made_up(monkeypatch):
        assert cures(patient, "--out", out, *chosen) == 0
    document = json.loads((out / "cures.json").read_text("utf-8"))
    none, fresh = document["cures"]
    assert (none["name"], none["human_share"], none["models"]) == ("none", 0.0, 1)
    assert fresh["human_share"] == pytest.approx(0.1)
    human_text = next(figure for figure in none["figures"] if figure["name"] == "human text")
    assert human_text["by_seed"].keys() == {"0"}
    assert math.isfinite(human_text["mean"])
    assert "low" not in human_text  # one seed shows no spread
    table = (out / "cures.md").read_text("utf-8")
    assert table.count("\n| none |") == table.count("\n| fresh_10 |") == 1
    printed = capsys.readouterr().out
    assert f"human text {human_text['mean']:.2f}" in " ".join(printed.split())
    before = (out / "cures.json").read_bytes()
    with texts_made_up(monkeypatch):  # nothing is left to be trained, and the same is found
        assert cures(patient, "--out", out, *chosen) == 0
    assert (out / "cures.json").read_bytes() == before


def test_people_are_predicted_as_their_likelihood_has_it(patient: Path, quiet: Any) -> None:
    """Beside transformers' own loss, text by text without padding."""
    import torch
    from peft import PeftModel

    from collapse_audit.lineages.scoring.human_text import nats_per_token
    from collapse_audit.lineages.training.base import load_base, load_tokenizer, prepare_base
    from collapse_audit.lineages.training.examples import Encoder
    from collapse_audit.lineages.training.run import open_run

    write_toy(patient, **QUICK, generations=1)
    assert train(patient) == 0
    run = open_run(patient)
    base = prepare_base(run.root, run.recipe, quiet)
    model, _ = load_base(base, run.recipe)
    model = PeftModel.from_pretrained(model, str(run.folder(0, 0) / "adapter")).eval()
    nats = tokens = 0.0
    for example in Encoder(load_tokenizer(base), run.recipe).human(run.lineage().reference_holdout):  # type: ignore[arg-type]
        ids = torch.tensor(example.ids)[None]
        labels = ids.clone()
        labels[:, : example.start] = -100
        count = len(example.ids) - example.start
        with torch.no_grad():
            nats += float(model(input_ids=ids, labels=labels).loss) * count
        tokens += count
    assert nats_per_token(run, 0, 0, quiet) == pytest.approx(nats / tokens, rel=1e-5)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_an_interval_over_seeds_is_students(scale: Any) -> None:
    values = np.array([0.5, 0.8, 0.9])
    figure = Figure(name="x", unit="ratio", scale=scale, by_seed=dict(zip("012", values.tolist(), strict=True)))
    onto, back = (np.log, np.exp) if scale == "log" else (np.asarray, np.asarray)
    low, high = stats.t.interval(0.95, 2, loc=onto(values).mean(), scale=stats.sem(onto(values)))
    assert figure.interval == pytest.approx((float(back(low)), float(back(high))))
    assert figure.mean == pytest.approx(float(back(onto(values).mean())))


def test_the_recipe_of_a_cure_is_read_as_any_other(patient: Path, tmp_path: Path) -> None:
    from collapse_audit.lineages.disk.manifest import read_manifest

    (run,) = start(Patient(folder=patient), tmp_path, read_cures()["temperature_1"], (), Silent())
    assert read_recipe(read_manifest(run.root / "lineage.toml")).decoding.temperature == 1.0


def test_seeds_are_those_that_are_asked_for(untrained: Path, tmp_path: Path) -> None:
    (run,) = start(Patient(folder=untrained), tmp_path, read_cures()["none"], (1,), Silent())
    assert run.seeds == (1,)
