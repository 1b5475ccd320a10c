"""``collapse-lineage score`` on a small trained lineage: every corpus, resumed, into new files and in place."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.scoring import corpora

pytest.importorskip("torch")
pytest.importorskip("peft")
pytestmark = pytest.mark.filterwarnings("ignore")

Run = Callable[..., tuple[int, str, str]]


def records(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.splitlines()]


def scores(root: Path, scorer: str = "generation-0.seed_0") -> dict[str, list[dict[str, Any]]]:
    folder = root / "scores" / scorer
    return {path.relative_to(folder).as_posix(): records(path) for path in sorted(folder.rglob("*.jsonl"))}


def other_files(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")
    named = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in named.items() if not name.startswith("scores/")}


def test_every_corpus_gets_what_training_gave_it_and_no_text_is_touched(toy: Path, collapse_lineage: Run) -> None:
    before = other_files(toy)
    code, out, _ = collapse_lineage("score", toy, "-q")
    assert code == 0
    assert out.startswith(f"{toy}: scored")
    assert other_files(toy) == before
    for seed in (0, 1):
        found = scores(toy, f"generation-0.seed_{seed}")
        generations = [f"seed_{seed}/gen_{k}/{role}.jsonl" for k in (0, 1) for role in ("holdout", "texts")]
        assert sorted(found) == sorted(["reference.jsonl", "reference.holdout.jsonl", *generations])
        for name in generations:
            by_training = records(toy / f"{name}.gz")
            assert len(found[name]) == 1 + len(by_training)
            for made, kept in zip(found[name][1:], by_training, strict=True):
                assert made["nll"] == pytest.approx(kept["nll"], abs=1e-4)


def test_a_second_run_computes_nothing(toy: Path, collapse_lineage: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    collapse_lineage("score", toy, "--seed", 0, "-q")
    first = scores(toy)
    monkeypatch.setattr(corpora, "predict", None)
    code, _, err = collapse_lineage("score", toy, "--seed", 0)
    assert code == 0
    assert "there already" in err
    assert scores(toy) == first


def test_an_interrupted_run_goes_on_and_arrives_at_the_same_bytes(
    toy: Path, tmp_path: Path, collapse_lineage: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within a corpus, after its second portion of five records; what was written is not computed again."""
    monkeypatch.setattr(corpora, "PORTION", 5)
    whole = shutil.copytree(toy, tmp_path / "whole")
    collapse_lineage("score", whole, "--seed", 0, "-q")
    real, calls = corpora.predict, []

    def interrupted(*arguments: Any, **more: Any) -> Any:
        calls.append(len(arguments[1]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **more)

    monkeypatch.setattr(corpora, "predict", interrupted)
    code, _, err = collapse_lineage("score", toy, "--seed", 0, "-q")
    assert code == 2
    assert "run the same command again to go on" in err
    assert not list((toy / "scores").rglob("reference.jsonl"))
    part = next((toy / "scores").rglob(".reference.jsonl.part"))
    part.write_bytes(part.read_bytes() + b'{"nll": 9.0, "n_tok')  # a line that the interruption cut
    calls.clear()
    monkeypatch.setattr(corpora, "predict", lambda *a, **k: (calls.append(len(a[1])), real(*a, **k))[1])
    assert collapse_lineage("score", toy, "--seed", 0, "-q")[0] == 0
    assert sum(calls) == sum(len(rows) - 1 for rows in scores(toy).values()) - 10
    assert scores(toy) == scores(whole)
    assert not list(toy.rglob("*.part"))


def test_what_another_scorer_left_half_done_is_begun_anew(toy: Path, collapse_lineage: Run) -> None:
    part = toy / "scores" / "generation-0.seed_0" / ".reference.jsonl.part"
    part.parent.mkdir(parents=True)
    part.write_text('{"format": 1, "scorer": "another"}\n' + '{"nll": 99.0, "n_tokens": 3}\n' * 24)
    collapse_lineage("score", toy, "--seed", 0, "-q")
    assert max(row["nll"] for row in scores(toy)["reference.jsonl"][1:]) < 99


def test_a_lineage_in_a_new_folder_has_likelihoods_in_its_records(
    toy: Path, tmp_path: Path, collapse_lineage: Run
) -> None:
    out = tmp_path / "scored"
    assert collapse_lineage("score", toy, "--seed", 0, "--seed", 1, "--out", out, "-q")[0] == 0
    lineage, before = load_lineage(out), load_lineage(toy)
    assert len(lineage.generations) == 4
    beside = scores(toy)
    for entry, old in zip(lineage.generations, before.generations, strict=True):
        assert entry.trained_on == old.trained_on
        for new, kept in zip(records(entry.texts.path), records(old.texts.path), strict=True):
            assert {k: v for k, v in new.items() if k != "nll"} == {k: v for k, v in kept.items() if k != "nll"} | {
                "n_tokens": new["n_tokens"]
            }
    made = [row["nll"] for row in records(lineage.of_seed("0")[1].texts.path)]
    assert made == [row["nll"] for row in beside["seed_0/gen_1/texts.jsonl"][1:]]
    assert all("nll" not in row for row in records(out / "reference.jsonl"))  # of two seeds, whose would it be?
    code, _, err = collapse_lineage("score", toy, "--out", out, "-q")
    assert (code, "is there already; name a new folder" in err) == (4, True)


def without_nll(root: Path) -> None:
    """The lineage as a pipeline writes it that does not score: no nll, and digests that fit."""
    lineage = load_lineage(root)
    text = (root / "lineage.toml").read_text()
    from collapse_audit.lineages.disk.write import write_corpus

    for entry in lineage.generations:
        for corpus in (entry.texts, entry.holdout):
            assert corpus is not None
            rows = [{k: v for k, v in row.items() if k != "nll"} for row in records(corpus.path)]
            text = text.replace(corpus.digest, write_corpus(corpus.path, rows))
    (root / "lineage.toml").write_text("# a comment that stays\n" + text)


def test_in_place_records_and_digests_change_together(toy: Path, collapse_lineage: Run) -> None:
    before = load_lineage(toy)
    without_nll(toy)
    assert collapse_lineage("score", toy, "--in-place", "-q")[0] == 0
    after = load_lineage(toy)  # which compares every digest
    assert (toy / "lineage.toml").read_text().startswith("# a comment that stays\n")
    for old, new in zip(before.generations, after.generations, strict=True):
        assert old.texts.digest != new.texts.digest or records(old.texts.path) == records(new.texts.path)
        assert all("nll" in row for row in records(new.texts.path))
        assert new.adapter is not None
    assert not [path for path in toy.rglob("*") if "scored" in path.name or path.name == ".score.json"]
    # The scores beside them are of the new files, and a second time nothing changes.
    again = other_files(toy)
    code, _, err = collapse_lineage("score", toy, "--in-place")
    assert (code, other_files(toy)) == (0, again)
    assert "there already" in err


def test_in_place_is_finished_by_the_next_run_where_it_was_interrupted(
    toy: Path, collapse_lineage: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the first of the new files has taken its place: digests and files disagree until the next run."""
    without_nll(toy)
    real, moved = Path.replace, []

    def killed(self: Path, target: Any) -> Path:
        if self.name.startswith(".scored.") and moved:
            raise KeyboardInterrupt
        moved.extend([self] if self.name.startswith(".scored.") and (toy / ".score.json").exists() else [])
        return real(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    assert collapse_lineage("score", toy, "--in-place", "-q")[0] == 2
    monkeypatch.setattr(Path, "replace", real)
    assert collapse_lineage("validate", toy)[0] == 4
    assert collapse_lineage("score", toy, "--in-place", "-q")[0] == 0
    assert collapse_lineage("validate", toy)[0] == 0
    assert all("nll" in row for row in records(load_lineage(toy).generations[-1].texts.path))


def test_a_journal_that_leads_outside_is_refused(toy: Path, tmp_path: Path, collapse_lineage: Run) -> None:
    (toy / ".score.json").write_text(json.dumps({"reference.jsonl": "../stolen.jsonl"}))
    code, _, err = collapse_lineage("score", toy, "-q")
    assert (code, "leads outside of the lineage" in err) == (4, True)
    assert not (tmp_path / "stolen.jsonl").exists()


def test_an_independent_model_scores_beside_and_never_inside(
    toy: Path, models: dict[str, Path], collapse_lineage: Run
) -> None:
    """OPT on texts of a Llama lineage, after the framed prompt: against a loop by hand."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert collapse_lineage("score", toy, "--scorer", models["opt"], "--seed", 0, "-q")[0] == 0
    found = scores(toy, "opt")["seed_0/gen_1/holdout.jsonl"]
    assert found[0]["scorer"]["about"]["longest"] == 48
    model = AutoModelForCausalLM.from_pretrained(models["opt"]).eval()
    tokenizer = AutoTokenizer.from_pretrained(models["opt"])
    for made, record in zip(found[1:], records(toy / "seed_0/gen_1/holdout.jsonl.gz"), strict=True):
        prompt = [0, *tokenizer(f"{record['prompt']}\n", add_special_tokens=False)["input_ids"]]
        text = tokenizer(record["text"], add_special_tokens=False)["input_ids"]
        assert made["n_tokens"] == len(text)
        if not text or len(prompt) + len(text) > 48:
            continue
        with torch.no_grad():
            logp = torch.log_softmax(model(input_ids=torch.tensor([prompt + text])).logits[0].double(), -1)
        taken = [-float(logp[len(prompt) + at - 1, token]) for at, token in enumerate(text)]
        assert made["nll"] == pytest.approx(np.mean(taken), abs=1e-4)
    for how in (["--in-place"], ["--out", toy.parent / "out"]):
        code, _, err = collapse_lineage("score", toy, "--scorer", models["opt"], *how, "-q")
        assert (code, "stays beside them" in err) == (4, True)


def test_a_file_is_scored_by_a_lineages_generation_0(toy: Path, tmp_path: Path, collapse_lineage: Run) -> None:
    """The same numbers as within the lineage; what a record holds besides stays."""
    source = tmp_path / "new.jsonl"
    rows = records(toy / "seed_0/gen_1/holdout.jsonl.gz")
    source.write_text("".join(json.dumps({**row, "nll": 77.0, "note": [1, {"a": "б"}]}) + "\n" for row in rows))
    out = tmp_path / "new.scored.jsonl"
    assert collapse_lineage("score", source, "--scorer", toy, "--seed", 0, "--out", out, "-q")[0] == 0
    for made, row in zip(records(out), rows, strict=True):
        assert made["nll"] == pytest.approx(row["nll"], abs=1e-4)
        assert (made["text"], made["note"]) == (row["text"], [1, {"a": "б"}])
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".jsonl") == ["new.jsonl", out.name]


def test_empty_texts_have_no_likelihood_and_are_counted(
    tmp_path: Path, models: dict[str, Path], collapse_lineage: Run
) -> None:
    source, out = tmp_path / "some.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "left."}\n{"text": ""}\n{"text": "node right."}\n')
    code, told, _ = collapse_lineage("score", source, "--scorer", models["llama"], "--out", out, "-q")
    assert (code, told) == (0, f"{out}: 3 texts scored, 1 without a token and so without nll\n")
    made = records(out)
    assert made[1] == {"text": "", "n_tokens": 0}
    assert all(row["nll"] > 0 for row in (made[0], made[2]))


def damage_adapter(root: Path) -> str:
    with (root / "seed_0/gen_0/adapter/adapter_model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\0\0\0")
    return "is not the adapter that the manifest has the digest of"


def remove_adapter(root: Path) -> str:
    shutil.rmtree(root / "seed_0/gen_0/adapter")
    text = (root / "lineage.toml").read_text()
    lines = [line for line in text.split("\n") if line != 'adapter = "seed_0/gen_0/adapter"']
    (root / "lineage.toml").write_text("\n".join(lines))
    return "generation 0 of seed 0 has no adapter"


def change_tokenizer(root: Path) -> str:
    path = root / "base/tokenizer.json"
    path.write_text(path.read_text() + " ")
    return "is not what was trained: its weights have changed"


def remove_base(root: Path) -> str:
    shutil.rmtree(root / "base")
    return "base is not there"


def remove_recipe(root: Path) -> str:
    (root / "lineage.toml").unlink()
    shutil.rmtree(root / "base")
    for file in root.rglob("adapter_config.json"):
        file.write_text("{}", "utf-8")
    return "has no [recipe] in a lineage.toml and no folder base/, and no adapter names a base; name it: --base FOLDER"


@pytest.mark.parametrize("damage", [damage_adapter, remove_adapter, change_tokenizer, remove_base, remove_recipe])
def test_a_scorer_that_is_not_generation_0_is_refused(
    toy: Path, collapse_lineage: Run, damage: Callable[[Path], str]
) -> None:
    expected = damage(toy)
    code, _, err = collapse_lineage("score", toy, "--seed", 0, "-q")
    assert code != 0
    assert expected in err
    assert not list(toy.rglob("scores/*/*.jsonl"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["{toy}", "--scorer", "{toy}/nowhere"], "cannot be loaded"),
        (["{toy}", "--seed", "7"], "--seed 7: the lineage has no such seed; it has 0, 1"),
        (["{toy}", "--batch-size", "0"], "--batch-size 0: must be 1 or more"),
        (["{toy}", "--contexts", "0"], "--contexts 0: must be 1 or more"),
        (["{toy}", "--contexts", "--scorer", "x"], "--contexts asks each generation's own model"),
        (["{toy}/reference.jsonl"], "is a file: name the model with --scorer and a new file with --out"),
        (["{toy}/reference.jsonl", "--scorer", "{toy}", "--out", "{toy}/lineage.toml"], "is there already"),
        (["{toy}/none.jsonl", "--scorer", "{toy}", "--out", "{toy}/x.jsonl"], "no such file"),
        (["{toy}", "--in-place", "--out", "x"], "not allowed with argument"),
    ],
)
def test_what_makes_no_sense_is_refused(trained: Path, collapse_lineage: Run, argv: list[str], message: str) -> None:
    code, _, err = collapse_lineage("score", *(one.format(toy=trained) for one in argv), "-q")
    assert code == 4
    assert message in err


def test_a_scorer_with_another_models_tokenizer_is_refused(
    toy: Path, models: dict[str, Path], tmp_path: Path, collapse_lineage: Run
) -> None:
    from collapse_audit.lineages.training.base import train_tokenizer

    odd = shutil.copytree(models["llama"], tmp_path / "odd")
    larger = [f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx"]
    train_tokenizer(larger * 3, 500, 48).save_pretrained(odd)
    code, _, err = collapse_lineage("score", toy, "--scorer", odd, "-q")
    assert code == 4
    assert "they do not belong together" in err


def test_a_lineage_with_a_partner_is_not_changed_in_place(toy: Path, collapse_lineage: Run) -> None:
    text = (toy / "lineage.toml").read_text()
    text = text.replace("[recipe]\n", '[recipe]\npartner = "../elsewhere"\n').replace(
        'scheme = "recursive"', 'scheme = "cross"'
    )
    (toy / "lineage.toml").write_text(text)
    before = other_files(toy)
    code, _, err = collapse_lineage("score", toy, "--in-place", "-q")
    assert (code, "use --out" in err, other_files(toy)) == (4, True, before)
