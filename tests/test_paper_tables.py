"""The tables of docs/papers.md, on tiny made-up lineages whose numbers are known by hand."""

from __future__ import annotations

import gzip
import json
import math
import random
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from benchmarks import nature_tables, paper_tables
from benchmarks.pages import filled
from benchmarks.paper_tables import Measured, Published, expected_findings, finding_counts, measure, spread
from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.errors import UsageError
from collapse_audit.lineages.corpora.corpus import open_corpus
from collapse_audit.lineages.simulation.thyroid import reports
from collapse_audit.lineages.simulation.thyroid_truth import thyroid_truth

PAPER_KL = {
    # Bobrova et al., table: M1 to M2, M3, M4, M5; transcribed from the paper a second time, for this test.
    "mistral_recursive": (2, ["0.35", "0.55", "0.80", "1.30"]),
    "llama_recursive": (3, ["0.45", "0.75", "1.20", "2.00"]),
    "mistral_cross": (5, ["0.30", "0.46", "0.61", "0.83"]),
    "llama_cross": (6, ["0.37", "0.69", "0.86", "1.20"]),
}
PAPER_UNIQUE = {"mistral_recursive": "8", "llama_recursive": "1"}  # percent at M5; its text on figure 4

Texts = Sequence[str]


def rows(table: str) -> list[dict[str, str]]:
    """A Markdown table as a record a row."""
    lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def write(path: Path, texts: Texts, nll: Sequence[float] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scores = [{}] * len(texts) if nll is None else [{"nll": value} for value in nll]
    records = ({"text": text, **score} for text, score in zip(texts, scores, strict=True))
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


@pytest.fixture
def lineage(tmp_path: Path) -> Callable[..., Measured]:
    """Writes a lineage and measures it; every training text is a text of its own, so that only held-out ones count."""

    def make(
        *seeds: Sequence[Texts],
        human: Texts = ("человек",),
        nll: Sequence[Sequence[Sequence[float]]] | None = None,
        name: str = "mistral_recursive",
        truth: Mapping[str, object] | None = None,
    ) -> Measured:
        folder = tmp_path / name
        write(folder / "reference.jsonl", ["нигде больше"])
        write(folder / "reference.holdout.jsonl", human)
        if truth is not None:
            (folder / "truth.json").write_text(json.dumps(truth), "utf-8")
        for s, generations in enumerate(seeds):
            for k, texts in enumerate(generations):
                write(folder / f"seed_{s}" / f"gen_{k}" / "texts.jsonl", [f"обучение {s} {k} {i}" for i in range(3)])
                write(folder / f"seed_{s}" / f"gen_{k}" / "holdout.jsonl", texts, None if nll is None else nll[s][k])
        return measure(folder)

    return make


def test_a_cell_is_the_mean_and_of_several_seeds_the_range() -> None:
    assert spread([], 1) == "–"
    assert spread([0.25], 2) == "0.25"
    assert spread([1.0, 2.0, 6.0], 1) == "3.0 (1.0 to 6.0)"


def test_unique_texts_and_patterns_are_shares_of_the_held_out_texts(lineage: Callable[..., Measured]) -> None:
    # Seed 0: 3 of 4 texts differ, 2 of 4 without their numbers. Seed 1: 1 of 4 either way.
    first = ["узел 1,5 см", "узел 2 см", "узел  2 см", "зоб"]
    run = lineage([first], [["зоб"] * 4], human=["а 1", "а 2"])
    people, model = rows(paper_tables.unique_table([run]))
    assert (people["texts, %"], people["patterns, %"], people["n"]) == ("100.0", "50.0", "2")
    assert model["texts, %"] == "50.0 (25.0 to 75.0)"
    assert model["patterns, %"] == "37.5 (25.0 to 50.0)"
    assert (model["model"], model["n"], model["seeds"], model["paper, %"]) == ("M1", "4", "2", "–")


def test_the_published_share_stands_beside_the_fifth_model_only(lineage: Callable[..., Measured]) -> None:
    run = lineage([["зоб", "узел"]] * 5)
    _, *models = rows(paper_tables.unique_table([run]))
    assert [row["paper, %"] for row in models] == ["–", "–", "–", "–", PAPER_UNIQUE["mistral_recursive"]]


def mixed(texts: list[str]) -> list[str]:
    """In no order: neighbours that resemble each other are no independent texts."""
    return random.Random(0).sample(texts, len(texts))


def kl(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize(
    ("texts", "columns"),
    [
        (("зоб", "узел"), {"words, KL(M1‖Mk)": 1, "words, KL(Mk‖M1)": -1}),
        (("EU-TIRADS 3", "EU-TIRADS 5"), {"labels, KL(M1‖Mk)": 1}),
    ],
)
def test_kl_is_in_nats_from_the_first_model_and_without_bias(
    lineage: Callable[..., Measured], texts: tuple[str, str], columns: Mapping[str, int]
) -> None:
    # Shares .9 and .1 become .5 and .5; 0.53 ln 1.8 … by hand: 0.368 one way, 0.511 the other.
    def corpus(share: float) -> list[str]:
        return mixed([texts[0]] * round(400 * share) + [texts[1]] * round(400 * (1 - share)))

    run = lineage([corpus(0.9), corpus(0.5)])
    step, *_ = rows(paper_tables.kl_table([run]))
    for column, way in columns.items():
        pair = ((0.9, 0.1), (0.5, 0.5))[::way]
        assert float(step[column]) == pytest.approx(kl(*pair), abs=0.02), column
    assert step["seeds"] == "1"


def test_kl_of_two_samples_of_one_distribution_is_about_nought(lineage: Callable[..., Measured]) -> None:
    rng = np.random.default_rng(0)
    words = [f"слово{i}" for i in range(40)]
    run = lineage([[" ".join(rng.choice(words, 3)) for _ in range(100)] for _ in range(2)])
    step, *_ = rows(paper_tables.kl_table([run]))
    # The raw KL is near (K - 1)/2 (1/m + 1/n) = 39/2 · 2/300 = 0.13 nats: the bias that must be gone.
    assert abs(float(step["words, KL(M1‖Mk)"])) < 0.06


def test_steps_that_no_seed_has_reached_are_left_open(lineage: Callable[..., Measured]) -> None:
    found = rows(paper_tables.kl_table([lineage([["зоб", "узел"]])]))
    assert [row["seeds"] for row in found] == ["0"] * 4
    assert {row["words, KL(M1‖Mk)"] for row in found} == {"–"}


def test_categories_are_counted_over_texts_that_name_them(lineage: Callable[..., Measured]) -> None:
    texts = ["зоб (EU-TIRADS 3)", "EU-TIRADS 3-4", "без узлов", "TI-RADS 5"]
    truth = {"categories": {"EU-TIRADS 3": 0.5}, "unlabelled": 0.25}
    run = lineage([texts], [["EU-TIRADS 3"] * 4], human=["EU-TIRADS 1", "зоб"], truth=truth)
    exact, people, model = rows(paper_tables.categories_table([run]))
    shares = ("1", "2", "3", "4", "5", "none")
    assert [exact[c] for c in shares] == ["0.0", "0.0", "50.0", "0.0", "0.0", "25.0"]
    assert [people[c] for c in shares] == ["50.0", "0.0", "0.0", "0.0", "0.0", "50.0"]
    assert [model[c] for c in shares] == ["0.0", "0.0", "75.0", "12.5", "12.5", "12.5"]  # mean of two seeds
    assert (exact["categories"], people["categories"], model["categories"]) == ("1", "1", "2.0 (1.0 to 3.0)")


def test_categories_that_are_lost_or_depleted_are_named_with_the_number_of_seeds(
    lineage: Callable[..., Measured],
) -> None:
    both = mixed(["EU-TIRADS 3"] * 100 + ["EU-TIRADS 5"] * 100)
    few = mixed(["EU-TIRADS 3"] * 190 + ["EU-TIRADS 5"] * 10)
    run = lineage([both, ["EU-TIRADS 3"] * 200], [both, few], [both, both])
    *_, model = rows(paper_tables.categories_table([run]))
    assert model["lost or depleted"] == "5 (2)"


def test_findings_are_read_from_conclusions_as_the_grammar_drew_them() -> None:
    records = list(reports(3000, np.random.default_rng(7)))
    names = thyroid_truth()["findings"]
    drawn = Counter(str(record["finding"]) for record in records)
    assert finding_counts(sample_of([str(r["text"]) for r in records]), names) == {name: drawn[name] for name in names}


def test_the_expected_number_of_findings_is_that_of_all_outcomes_enumerated() -> None:
    # Three reports, each with finding a (.3), b (.2) or none (.5): all 27 outcomes with their probabilities.
    law = {"a": 0.3, "b": 0.2, "": 0.5}
    outcomes = product(law, repeat=3)
    exact = sum(math.prod(law[x] for x in outcome) * len(set(outcome) - {""}) for outcome in outcomes)
    assert expected_findings({"a": 0.3, "b": 0.2}, 3) == pytest.approx(exact, rel=1e-12)


def test_the_table_of_findings_shows_truth_people_and_models(lineage: Callable[..., Measured]) -> None:
    gone = "Узлов не обнаружено"
    held = [f"{gone}. Смещение трахеи", f"{gone}, компрессия трахеи.", f"{gone}. Лимфаденопатия", gone]
    truth = {"findings": {"trachea": 0.5, "lymph_nodes": 0.25}}
    run = lineage([held, [gone] * 4], human=[gone, f"{gone}. Смещение трахеи"], truth=truth)
    exact, people, first, second = rows(paper_tables.findings_table([run]))
    assert (exact["findings, of 2"], exact["mentions per 100 texts"]) == ("1.19", "75.0")  # 1 - .25 + 1 - .5625; 1.1875
    assert (people["findings, of 2"], people["mentions per 100 texts"]) == ("1", "50.0")
    assert (first["findings, of 2"], first["mentions per 100 texts"]) == ("2.0", "75.0")
    assert (second["findings, of 2"], second["mentions per 100 texts"]) == ("0.0", "0.0")
    trachea, nodes = rows(paper_tables.each_finding_table([run]))
    assert (trachea["expected in 2"], trachea["people"]) == ("1.0", "1")
    assert trachea["mistral_recursive, M1 → M2"] == "2.0 → 0.0"
    assert nodes["mistral_recursive, M1 → M2"] == "1.0 → 0.0"


def test_perplexity_is_exp_of_each_texts_own_nll(lineage: Callable[..., Measured]) -> None:
    # 2 and 8: mean 5, standard deviation sqrt(18), geometric mean 4. 1 and 1: 1, 0, 1.
    two, one = [math.log(2), math.log(8)], [0.0, 0.0]
    run = lineage([["а", "б"]] * 2, [["а", "б"]], nll=[[two, one], [one]])
    first, second = rows(paper_tables.perplexity_table([run]))
    assert (first["seed 0"], first["seed 1"]) == ("5.00 ± 4.24", "1.00 ± 0.00")
    assert first["mean, over seeds"] == "3.00 (1.00 to 5.00)"
    assert first["exp(mean nll), over seeds"] == "2.50 (1.00 to 4.00)"
    assert (second["generation"], second["seed 0"], second["seed 1"]) == ("1", "1.00 ± 0.00", "–")
    tails, _ = rows(paper_tables.tails_table([run]))
    assert tails["50%"] == "3.00 (1.00 to 5.00)"  # the median of 2 and 8, and of 1 and 1
    assert tails["5%"] == "1.65 (1.00 to 2.30)"  # 2 + .05 · 6


def test_changes_are_ratios_seed_by_seed(lineage: Callable[..., Measured]) -> None:
    def flat(perplexity: float) -> list[float]:
        return [math.log(perplexity)] * 2

    texts = [["а", "б"]] * 2
    replace = lineage(texts, texts, nll=[[flat(4), flat(2)], [flat(8), flat(2)]], name="smollm2_replace")
    penalty = lineage(texts, nll=[[flat(4), flat(6)]], name="smollm2_repetition_penalty")
    start, later = rows(paper_tables.changes_table([replace, penalty]))
    assert start["smollm2_replace over its generation 0"] == "1.00 (1.00 to 1.00)"
    assert later["smollm2_replace over its generation 0"] == "0.38 (0.25 to 0.50)"  # 2/4 and 2/8: 0.375
    assert later["smollm2_repetition_penalty over its generation 0"] == "1.50"
    assert later["smollm2_repetition_penalty over smollm2_replace"] == "3.00"  # seed 0 alone


def test_the_verdict_counts_the_gating_findings_of_the_audit(lineage: Callable[..., Measured]) -> None:
    run = lineage([[f"слово{i % 50} и слово{i}" for i in range(200)], ["одно и то же"] * 200])
    (row,) = rows(paper_tables.verdict_table([run]))
    assert run.report is not None
    gating = [f for f in run.report.findings if f.gating]
    counted = sum(int(row[c]) for c in ("fail", "changed", "inconclusive", "pass", "not measured", "error"))
    assert counted == len(gating)
    assert row["verdict, stage"].startswith("collapse, ")
    assert (row["first in generation"], row["seeds"]) == ("1", "1")
    assert sum(int(n) for n in re.findall(r" (\d+)", row["failed"])) == int(row["fail"])


def test_a_generation_without_held_out_texts_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "reference.jsonl", ["человек"])
    write(tmp_path / "gen_0.jsonl", ["модель"])
    with pytest.raises(UsageError, match="no held-out texts"):
        measure(tmp_path)


PAGE = "до\n<!-- generated: paper_tables kl -->\nold\n<!-- end of generated -->\nпосле\n"


def test_a_page_is_filled_between_its_marks_and_nowhere_else() -> None:
    page = filled(PAGE, {"kl": "| a |"}, by="paper_tables")
    assert page == PAGE.replace("old", "\n| a |\n")
    assert filled(page, {"kl": "| a |"}, by="paper_tables") == page


@pytest.mark.parametrize("made", [{}, {"kl": "", "unique": ""}])
def test_a_page_whose_places_do_not_fit_is_refused(made: Mapping[str, str]) -> None:
    with pytest.raises(UsageError, match="the page has places for kl"):
        filled(PAGE, made, by="paper_tables")


def test_check_tells_an_old_page_from_a_fresh_one(
    lineage: Callable[..., Measured],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lineage([["зоб", "узел"]] * 2)
    lineage([["а", "б"]] * 2, nll=[[[0.1, 0.2]] * 2], name="smollm2_replace")
    page = tmp_path / "papers.md"
    names = re.findall(r"paper_tables (\S+) -->", paper_tables.PAGE.read_text("utf-8"))
    page.write_text("".join(PAGE.replace(" kl ", f" {name} ") for name in names), "utf-8")
    monkeypatch.setattr(paper_tables, "PAGE", page)
    monkeypatch.setattr(paper_tables, "LINEAGES", tmp_path)
    monkeypatch.setattr(
        paper_tables, "PUBLISHED", {"mistral_recursive": Published(table=2, kl=(0.35,), unique_at_m5=8)}
    )
    monkeypatch.setattr(paper_tables, "NATURE", ("smollm2_replace",))
    monkeypatch.setattr(paper_tables, "UNLIKE", ())
    for arguments, code in ((["--check"], 1), ([], 0), (["--check"], 0)):
        monkeypatch.setattr("sys.argv", ["paper_tables.py", *arguments])
        assert paper_tables.main() == code, arguments
    assert "up to date" in capsys.readouterr().out
    assert "M1→M2" in page.read_text("utf-8")


def test_human_text_is_in_bits_a_byte_and_what_was_lost_is_counted_seed_by_seed() -> None:
    def loss(bits: float, word: float) -> dict[str, float]:
        return {"bits_per_byte": bits, "byte_perplexity": 2**bits, "word_perplexity": word}

    run = Measured(
        name="x", report=None, samples={}, human=None, truth={},
        human_text={
            0: {"0": loss(1, 50), "1": loss(2, 70)},
            1: {"0": loss(2, 90), "1": loss(3.5, 110)},
            2: {"2": loss(3, 90)},
        },
    )  # fmt: skip
    first, second, third = rows(nature_tables.human_text_table([run]))
    assert (first["bits a byte"], first["more than generation 0"]) == ("1.50 (1.00 to 2.00)", "0.00 (0.00 to 0.00)")
    assert second["more than generation 0"] == "1.25 (1.00 to 1.50)"  # 2 - 1 and 3.5 - 2
    assert second["perplexity a byte"] == "7.66 (4.00 to 11.31)"  # 2^2 and 2^3.5
    assert (first["perplexity a word"], second["perplexity a word"]) == ("60.0 (50.0 to 70.0)", "100.0 (90.0 to 110.0)")
    assert (third["more than generation 0"], third["bits a byte"], third["seeds"]) == ("–", "3.00", "1")


def test_a_lineage_that_was_not_evaluated_has_no_row(lineage: Callable[..., Measured]) -> None:
    assert rows(nature_tables.human_text_table([lineage([["зоб", "узел"]])])) == []


def test_the_cases_of_held_out_prompts_are_read_from_packed_files_too(tmp_path: Path) -> None:
    cases = [{"text": f"t{i}", "prompt": f"p{i}", "extent": "one_left"} for i in range(3)]
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    write(tmp_path / "reference.jsonl", ["a", "b"])
    write(tmp_path / "gen_0" / "texts.jsonl", ["c", "d"])
    write(tmp_path / "gen_0" / "holdout.jsonl", ["e", "f"])
    (tmp_path / "reference.holdout.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert measure(tmp_path).cases == {case["prompt"]: case for case in cases}


def test_texts_stand_beside_the_blocks_that_they_continue(tmp_path: Path) -> None:
    people = [f"a{i} b{i} c{i}" for i in range(4)]  # two pairs each, all different: 8
    written = ["so so so", "x y z", "x y z", "x y z"]  # pairs: so so (twice), x y, y z: 3 of 8
    for name, role in (("reference.jsonl", None), ("gen_0/texts.jsonl", None), ("gen_0/holdout.jsonl", written)):
        texts = role or [f"{name} {i}" for i in range(4)]
        records = [{"text": text, "prompt": prompt} for text, prompt in zip(texts, people, strict=True)]
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    (row,) = rows(nature_tables.beside_people_table([measure(tmp_path)]))
    assert (row["texts that loop, %"], row["people's, %"]) == ("25.0", "0.0")
    assert row["distinct-2 over people's"] == "0.38"  # 3/8


def test_the_published_numbers_are_those_of_the_paper() -> None:
    kept = {name: (p.table, [f"{kl:.2f}" for kl in p.kl]) for name, p in paper_tables.PUBLISHED.items()}
    assert kept == PAPER_KL
    shares = {name: f"{p.unique_at_m5:g}" for name, p in paper_tables.PUBLISHED.items() if p.unique_at_m5 is not None}
    assert shares == PAPER_UNIQUE


def test_the_published_numbers_on_the_page_are_those_of_the_paper() -> None:
    page = paper_tables.PAGE.read_text("utf-8")
    blocks = re.findall(r"<!-- generated: paper_tables (\S+) -->\n(.*?)<!-- end of generated -->", page, re.DOTALL)
    tables = {name: rows(text.strip()) for name, text in blocks}
    for name, (table, numbers) in PAPER_KL.items():
        shown = [(row["step"], row["paper"]) for row in tables["kl"] if row["lineage"] == name]
        assert shown == [(f"M1→M{k}", f"{number} (table {table})") for k, number in enumerate(numbers, start=2)]
    published = {row["lineage"]: row["paper, %"] for row in tables["unique"] if row["paper, %"] != "–"}
    assert published == PAPER_UNIQUE
    assert "8% for Mistral and 1% for LLaMA" in page


def test_the_sizes_on_the_page_are_those_of_the_lineages() -> None:
    def records(name: str, corpus: str) -> str:
        return f"{sum(batch.num_rows for batch in open_corpus(paper_tables.LINEAGES / name / corpus).batches()):,}"

    def thousands_of_weights(name: str) -> str:
        root = paper_tables.LINEAGES / name
        base = tomllib.loads((root / "lineage.toml").read_text("utf-8"))["recipe"]["base"].get("folder", "base")
        about = json.loads((root / base / "base.json").read_text("utf-8"))
        return f"{about['parameters'] / 1000:.0f} thousand"

    page = " ".join(paper_tables.PAGE.read_text("utf-8").split())
    for name in paper_tables.PUBLISHED:
        assert (
            f"{records(name, 'reference.jsonl.gz')} to train on, {records(name, 'reference.holdout.jsonl.gz')} held out"
            in page
        )
        assert f"{records(name, 'background.jsonl.gz')} background texts" in page
    for name in paper_tables.NATURE:
        blocks = records(name, "seed_0/gen_0/texts.jsonl.gz")
        held_out = records(name, "seed_0/gen_0/holdout.jsonl.gz")
        assert f"{records(name, 'reference.jsonl.gz')} of the validation file to train on ({blocks} blocks" in page
        assert f"{records(name, 'reference.holdout.jsonl.gz')} of the test file held out ({held_out} blocks" in page
    assert f"tiny Mistral ({thousands_of_weights('mistral_recursive')} weights)" in page
    assert f"Llama ({thousands_of_weights('llama_recursive')})" in page
