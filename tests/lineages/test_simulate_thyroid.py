"""The thyroid grammar: what it writes against what its tables say, and that its labels can be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest, chisquare

from collapse_audit.lineages.simulation import thyroid
from collapse_audit.lineages.simulation.thyroid_cases import all_cases
from collapse_audit.lineages.simulation.thyroid_grammar import Grammar, thyroid_data, thyroid_grammar
from collapse_audit.lineages.simulation.thyroid_likelihood import ConclusionLaw, thyroid_conclusions
from collapse_audit.lineages.simulation.thyroid_truth import expected_counts, thyroid_truth
from collapse_audit.probes.text.eu_tirads import eu_tirads
from collapse_audit.probes.text.tokens import WORDS

N = 20_000
GRAMMAR = thyroid_grammar()
SETS = {"1", "2", "3", "4", "5", "23", "24", "25", "34", "35", "45", "234", "235", "245", "345"}
LABELS = sorted({case.features["labels"] for case, _ in all_cases()} - {"none"})


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return list(thyroid.reports(N, np.random.default_rng(20)))


def names_of(labels: str) -> tuple[str, ...]:
    return tuple(f"EU-TIRADS {number}" for number in labels)


def fits(found: Counter[Any], law: dict[Any, float], n: int = N) -> bool:
    """A chi-square test at one in 10,000; cells of which fewer than 5 are expected are thrown together."""
    assert set(found) <= set(law)
    cells = sorted(law, key=lambda cell: law[cell])
    rare = [cell for cell in cells if n * law[cell] < 5]
    common = [cell for cell in cells if n * law[cell] >= 5]
    observed, expected = [found[cell] for cell in common], [n * law[cell] for cell in common]
    if rare:
        observed.append(sum(found[cell] for cell in rare))
        expected.append(n * sum(law[cell] for cell in rare))
    return bool(chisquare(observed, expected).pvalue > 1e-4)


# What was drawn, and what its closed form says


def test_label_sets_and_missing_labels_are_drawn_as_the_truth_says(records: list[dict[str, Any]]) -> None:
    found = Counter(" + ".join(eu_tirads(record["text"])) for record in records)
    assert fits(found, {**thyroid_truth()["labels"], "": thyroid_truth()["unlabelled"]})
    assert sum(thyroid_truth()["labels"].values()) + thyroid_truth()["unlabelled"] == pytest.approx(1, abs=1e-10)


def test_the_probability_that_a_category_is_named_is_the_binomial_by_hand() -> None:
    """One of n independent nodules is of category c with 1 - (1 - p)^n; the conclusion names it in 90 of 100."""
    law = thyroid_data()["law"]
    for category, p in law["category"].items():
        named = sum(q * (1 - (1 - p) ** int(n)) for n, q in law["nodules"].items()) * law["labelled"]["nodules"]
        assert thyroid_truth()["categories"][f"EU-TIRADS {category}"] == pytest.approx(named, abs=1e-10)
    assert thyroid_truth()["categories"]["EU-TIRADS 1"] == pytest.approx(0.10 * 0.60)
    assert thyroid_truth()["unlabelled"] == pytest.approx(0.10 * 0.40 + 0.90 * 0.10)


def test_categories_are_named_as_often_as_the_truth_says(records: list[dict[str, Any]]) -> None:
    found = Counter(label for record in records for label in eu_tirads(record["text"]))
    for label, share in thyroid_truth()["categories"].items():
        assert binomtest(found[label], N, share).pvalue > 1e-4, label


def test_findings_backgrounds_extents_and_numbers_of_nodules_follow_their_laws(records: list[dict[str, Any]]) -> None:
    none = 1 - sum(thyroid_truth()["findings"].values())
    assert fits(Counter(record["finding"] for record in records), {**thyroid_truth()["findings"], "none": none})
    assert fits(Counter(record["background"] for record in records), thyroid_truth()["backgrounds"])
    assert fits(Counter(record["extent"] for record in records), thyroid_truth()["extents"])
    assert fits(Counter(str(len(record["categories"])) for record in records), thyroid_truth()["nodules"])
    nodules = Counter(str(category) for record in records for category in record["categories"])
    assert fits(nodules, thyroid_truth()["category_of_a_nodule"], nodules.total())


def test_sizes_follow_their_law(records: list[dict[str, Any]]) -> None:
    sizes = [re.findall(r"размерами (\d,\d)[x*]\d,\d[x*]\d,\d ?см\.", record["prompt"]) for record in records]
    assert [len(found) for found in sizes] == [len(record["categories"]) for record in records]
    counts = Counter(size.replace(",", ".") for found in sizes for size in found)
    assert fits(counts, thyroid_truth()["sizes"], counts.total())
    # Half of the nodules are small, a tenth of these is 0,4.
    assert thyroid_truth()["sizes"]["0.4"] == pytest.approx(0.5 * 0.1)


def test_the_tail_reaches_down_to_two_in_a_thousand() -> None:
    truth = thyroid_truth()
    rare = {**truth["findings"], **{name: p for name, p in truth["backgrounds"].items() if p < 0.02}}
    assert min(rare.values()) == pytest.approx(0.002)
    assert sorted(rare.values())[-1] < 0.03
    assert sum(p < 0.005 for p in rare.values()) >= 6


def test_a_finding_is_as_rare_as_what_it_needs_makes_it() -> None:
    """By hand: extrathyroidal extension in 4 of 100 reports with a nodule of category 5."""
    with_five = 0.64 * 0.11 + 0.19 * (1 - 0.89**2) + 0.07 * (1 - 0.89**3)
    assert thyroid_truth()["findings"]["extrathyroidal_extension"] == pytest.approx(0.04 * with_five, abs=1e-10)
    assert thyroid_truth()["findings"]["calcified_capsule"] == pytest.approx(0.01 * 0.9)
    assert thyroid_truth()["findings"]["lymph_nodes"] == pytest.approx(0.015)


def test_any_of_the_nodules_can_have_the_finding_that_needs_its_category(records: list[dict[str, Any]]) -> None:
    for finding, category, share in (("extrathyroidal_extension", 5, 0.04), ("haemorrhage", 2, 0.045)):
        able = [record for record in records if category in record["categories"]]
        later = [record for record in able if record["categories"][0] != category]
        found = Counter(record["finding"] for record in later)[finding]
        assert binomtest(found, len(later), share).pvalue > 1e-4
        assert all(record in able for record in records if record["finding"] == finding)


def test_words_are_as_frequent_as_the_truth_says(records: list[dict[str, Any]]) -> None:
    """Each word's mean number in a conclusion, within 5 standard errors: by chance once in 7,000 runs of 250 words."""
    tokens = WORDS(pa.array([record["text"] for record in records]))
    words = tokens.vocabulary.to_pylist()
    assert set(words) <= set(thyroid_truth()["expected_counts"])
    counts = np.zeros((N, len(words)))
    np.add.at(counts, (np.repeat(np.arange(N), tokens.lengths), tokens.ids), 1)
    expected = np.array([thyroid_truth()["expected_counts"][word] for word in words])
    error = np.sqrt(np.maximum(counts.var(axis=0), expected) / N)  # a rare word's own variance is hardly an estimate
    assert (np.abs(counts.mean(axis=0) - expected) < 5 * error).all()
    unseen = set(thyroid_truth()["expected_counts"]) - set(words)
    assert all(thyroid_truth()["expected_counts"][word] < 12 / N for word in unseen)  # e^-12 for each
    near = pytest.approx(thyroid_truth()["expected_words"], abs=5 * tokens.lengths.std() / N**0.5)
    assert tokens.lengths.mean() == near


def written_out(grammar: Grammar, features: dict[str, str]) -> dict[str, float]:
    """The expected counts once more: every conclusion there is, cut into words as a whole."""
    counts: Counter[str] = Counter()
    law = grammar.law("conclusion", features)
    tokens = WORDS(pa.array(list(law), pa.large_string()))
    words = tokens.vocabulary.to_pylist()
    for at, p in enumerate(law.values()):
        for word in tokens.ids[tokens.offsets[at] : tokens.offsets[at + 1]].tolist():
            counts[words[word]] += p
    return dict(counts)


@pytest.mark.parametrize(
    "changes",
    [
        {"extent": "one_isthmus", "labels": "4", "finding": "median_cyst"},
        {"background": "de_quervain", "labels": "245"},
        {"kind": "background", "extent": "none", "background": "toxic", "labels": "1", "finding": "parathyroid"},
        {"kind": "clear", "extent": "none", "labels": "1"},
    ],
)
def test_expected_counts_are_those_of_all_conclusions_written_out(changes: dict[str, str]) -> None:
    features = {"kind": "nodules", "extent": "many_both", "background": "none", "finding": "none", "labels": "none"}
    features |= changes
    assert expected_counts(GRAMMAR, [(features, 1.0)]) == pytest.approx(written_out(GRAMMAR, features), abs=1e-9)


def test_symbols_that_meet_are_counted_as_the_one_word_that_they_are() -> None:
    """By hand: "a)" or "a", then "" or ".", then "!": a .5, and one of ")!", ").!", "!", ".!" with 1/4 each."""
    table = {"by": "kind", "else": {"{first}{stop}{last}": 1.0}}
    rules = {"conclusion": table, "h": {"first": ["a)", "a"], "stop": ["", "."], "last": ["!"]}}
    counts = expected_counts(Grammar(rules, 0.0), [({"kind": "any"}, 1.0)])
    assert counts == pytest.approx({"a": 1.0, ")!": 0.25, ").!": 0.25, "!": 0.25, ".!": 0.25})


def test_the_probability_of_a_conclusion_is_that_of_all_ways_to_write_it() -> None:
    """Against every conclusion of a small grammar written out: "a", "a." and "ab" each come about in several ways."""
    rules = {
        "conclusion": {"by": "kind", "x": {"{head}{tail}{end}": 3, "{tail}a{tail}": 1}, "else": ["{head}{end}", "b"]},
        "words": {"head": ["a", "", "ab"], "end": [".", ""]},
        "tail": {"by": "side", "left": ["b", ""], "else": ["b", "bb."]},
    }
    grammar = Grammar(rules, 1.0)
    sides = {("x", "left"): 0.3, ("x", "right"): 0.2, ("y", "left"): 0.1, ("y", "up"): 0.4}
    cases = [({"kind": kind, "side": side}, p) for (kind, side), p in sides.items()]
    expected: Counter[str] = Counter()
    for features, p_case in cases:
        for text, p in grammar.law("conclusion", features).items():
            expected[text] += p_case * p
    law = ConclusionLaw(grammar, cases)
    assert sum(expected.values()) == pytest.approx(1)
    assert {text: law.probability(text) for text in expected} == pytest.approx(dict(expected))
    assert [law.probability(text) for text in ("c", "a..", "aba.", "abbbb.")] == [0, 0, 0, 0]


def test_a_part_that_depends_on_two_features_is_refused() -> None:
    rules = {"h": {"conclusion": ["{a}"]}, "a": {"by": "x", "else": ["{b}"]}, "b": {"by": "y", "else": [""]}}
    law = ConclusionLaw(Grammar(rules, 1.0), [])
    with pytest.raises(ValueError, match="a depends on several features: x, y"):
        law.probability("")


def test_whole_conclusions_are_as_frequent_as_their_probability_says(records: list[dict[str, Any]]) -> None:
    law = thyroid_conclusions()
    found = Counter(record["text"] for record in records[::2])
    shares = {text: law.probability(text) for text in found}
    assert min(shares.values()) > 0
    common = {text: p for text, p in shares.items() if p > 0.001}
    assert len(common) > 20
    counts = Counter({text: found[text] for text in common})
    counts["other"] = N // 2 - counts.total()
    assert fits(counts, {**common, "other": 1 - sum(common.values())}, N // 2)
    # Good and Turing: what was seen once weighs as much as what was never seen.
    once = sum(count == 1 for count in found.values()) / (N // 2)
    assert 1 - sum(shares.values()) == pytest.approx(once, abs=0.02)


@pytest.mark.parametrize(
    "text", ["", "Признаки узлового зоба, EU-TIRADS", "Узловой зоб (EU-TIRADS 3-5).", "Узловой зоб,", "Узловой зоб.."]
)
def test_what_the_grammar_cannot_write_has_probability_zero(text: str) -> None:
    assert thyroid_conclusions().probability("Узловой зоб") > 0
    assert thyroid_conclusions().probability(text) == 0


def test_all_cases_have_probability_one_together_and_none_is_there_twice() -> None:
    cases = list(all_cases())
    assert sum(p for _, p in cases) == pytest.approx(1)
    assert len({case for case, _ in cases}) == len(cases)


# Grammars


def test_lists_follow_zipf_s_law_tables_their_weights_and_rules_their_feature() -> None:
    data = {"a": {"by": "side", "left": ["{b}x", "y"], "else": {"{side}": 3, "z": 1}}, "words": {"b": ["1", "2"]}}
    grammar = Grammar(data, 1.0)
    by_hand = {"1x": 2 / 3 * 2 / 3, "2x": 2 / 3 * 1 / 3, "y": 1 / 3}
    assert grammar.law("a", {"side": "left"}) == pytest.approx(by_hand)
    assert grammar.law("a", {"side": "up"}) == pytest.approx({"up": 0.75, "z": 0.25})
    assert grammar.depends_on("a") == {"side"}
    rng = np.random.default_rng(4)
    for side in ("left", "up"):
        law = dict(grammar.law("a", {"side": side}))
        assert fits(Counter(grammar.write("a", {"side": side}, rng) for _ in range(2000)), law, 2000)


def test_every_rule_is_used_and_every_name_is_a_rule_or_a_feature() -> None:
    rules = GRAMMAR.rules
    used, waiting = set(), ["description", "additional", "nodule", "label", "conclusion"]
    while waiting:
        name = waiting.pop()
        if name in used:
            continue
        used.add(name)
        tables = rules[name].tables.values() if name in rules else ()
        waiting += [part for table in tables for cut in table.alternatives for part in cut[1::2]]
    assert used - set(rules) == {"nodules"}
    assert set(rules) - used == set()


# Labels


def label_places() -> Iterator[tuple[str, str]]:
    """Labels, and every text that a conclusion can have in their place."""
    for labels in LABELS:
        for rule in ("label_within", "label_last"):
            yield from ((labels, text) for text in GRAMMAR.law(rule, {"labels": labels}))


def test_every_form_of_every_label_is_read_as_the_categories_that_it_means() -> None:
    places = list(label_places())
    assert {labels for labels, _ in places} == SETS
    for labels, text in places:
        for after in (
            "",
            ".",
            " на фоне АИТ.",
            ", киста с геморрагией",
            ". Кальцинат узла",
            " с фокальными изменениями",
        ):
            assert eu_tirads("Эхо-признаки узлового зоба" + text + after) == names_of(labels), text + after


def test_nothing_but_a_label_is_read_as_one() -> None:
    for name in GRAMMAR.rules:
        if name not in ("description", "conclusion", "nodule") and not name.startswith(("label", "number")):
            for table in GRAMMAR.rules[name].tables.values():
                assert all(eu_tirads(" 4 ".join(cut[::2])) == () for cut in table.alternatives), name


def test_a_conclusion_names_exactly_the_categories_of_the_nodules(records: list[dict[str, Any]]) -> None:
    for record in records:
        expected = names_of("".join(map(str, sorted(set(record["categories"] or [1])))))
        assert eu_tirads(record["text"]) == (expected if record["labelled"] else ()), record["text"]
        assert eu_tirads(record["prompt"]) == (expected if record["described"] and record["categories"] else ())


def category_of(sentence: str) -> int:
    """EU-TIRADS by its definition (Russ et al. 2017), read from a nodule's sentence."""
    non_oval = "вертикально ориентированное" in sentence or "неправильной формы" in sentence
    assert non_oval != ("овальн" in sentence)
    irregular, micro = "неровными" in sentence, "микрокальцинат" in sentence
    if non_oval or irregular or micro or "резко пониженной" in sentence or "выраженно гипоэхогенное" in sentence:
        return 5
    if "умеренно пониженной" in sentence or "умеренно гипоэхогенное" in sentence:
        return 4
    if "анэхогенное" in sentence or "губчатой" in sentence:
        return 2
    assert re.search("средней эхогенности|изоэхогенное|повышенной эхогенности", sentence)
    return 3


def test_the_description_determines_the_category_and_the_side_of_every_nodule(records: list[dict[str, Any]]) -> None:
    one = re.compile(r"В (правой доле|левой доле|перешейке)[^.]*образование.*?размерами [^.]*\.")
    for record in records:
        nodules = [(match[1], match[0]) for match in one.finditer(record["prompt"])]
        assert [category_of(sentence) for _, sentence in nodules] == record["categories"], record["prompt"]
        where = {place for place, _ in nodules}
        extents = {"right": {"правой доле"}, "left": {"левой доле"}, "isthmus": {"перешейке"}, "none": set()}
        assert where == extents.get(record["extent"].rpartition("_")[2], {"правой доле", "левой доле"})


def test_findings_and_backgrounds_show_in_the_description_and_in_the_conclusion() -> None:
    """No two of them are described, nor concluded, with the same words."""
    for rules in (("finding_seen", "finding"), ("tissue", "with_background")):
        for name in rules:
            texts = [text for table in GRAMMAR.rules[name].tables.values() for (text,) in table.alternatives]
            assert len(texts) == len(set(texts)), name
