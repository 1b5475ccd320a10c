"""CA701: shares by hand, what chance and templates leave open, and references that can show nothing."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest
from builders import estimate, readings, reason, sample
from data_builders import data, drawn

from collapse_audit.probes.human_share import human_share
from collapse_audit.probes.statistics.readings import NotMeasured
from collapse_audit.verdicts.rule import judge

REPORTS = Path(__file__).parents[2] / "lineages" / "mistral_recursive"
PEOPLE, MACHINE = drawn(100, 1), drawn(300, 2)
(GATE,) = human_share.gates


def outcome(texts: list[str], reference: list[str]) -> str:
    return judge(estimate(human_share, data(texts, reference)), GATE, p_adjusted=None, alpha=0.05).outcome.value


@pytest.mark.parametrize("human", [0, 5, 15, 50, 100])
def test_the_share_is_that_of_the_texts_that_stand_in_the_reference(human: int) -> None:
    found = estimate(human_share, data(PEOPLE[:human] + MACHINE[: 100 - human], PEOPLE))
    assert found.value == pytest.approx(human / 100)
    assert found.high == found.value
    # No two texts of the reference are alike: of 50 pairs none, so up to 1 - .025^(1/50) match by chance, and vary as
    # a draw of those that are not people's; solved for the root of the share that is not (tests/probes/test_marked.py).
    chance = 1 - 0.025 ** (1 / 50)
    b = 1.959963984540054 * math.sqrt(chance * (1 - chance) / 100)
    rest = (b + math.sqrt(b * b + 4 * (1 - chance) * (1 - human / 100))) / (2 * (1 - chance))
    assert found.low == pytest.approx(max(0, 1 - rest**2))


def test_none_is_red_and_half_is_green() -> None:
    assert outcome(MACHINE[:100], PEOPLE) == "fail"
    assert outcome(PEOPLE[:50] + MACHINE[:50], PEOPLE) == "pass"


def test_a_human_text_that_stands_there_a_hundred_times_is_one() -> None:
    found = estimate(human_share, data(PEOPLE[:1] * 50 + MACHINE[:50], PEOPLE))
    assert found.value == pytest.approx(1 / 100)
    assert found.raw["repeated"] == pytest.approx(49 / 100)
    assert "49 more repeat texts of the reference" in found.explanation


def test_white_space_and_invisible_characters_make_no_other_text() -> None:
    spaced = [text.replace(" ", "  \u200b") for text in PEOPLE]
    assert estimate(human_share, data(spaced, PEOPLE)).value == 1


def test_a_text_with_a_few_words_changed_is_a_near_copy_and_counts() -> None:
    changed = [text.replace(text.split()[9], "another", 1) for text in PEOPLE[:60]]
    found = estimate(human_share, data(changed + MACHINE[:40], PEOPLE))
    assert (found.raw["copies"], found.raw["near_copies"]) == (0, pytest.approx(0.6))
    assert found.value == pytest.approx(0.6)
    assert found.low > 0.5


FORM = "the left lobe measures {} mm and holds no node of any kind that could be seen in {} today at all"


def filled(kind: str, count: int) -> list[str]:
    """Fillings of one form: near-copies of each other, none word for word."""
    return [FORM.format(f"{kind}{k}", f"{kind}{k}{k}") for k in range(count)]


def test_templates_that_anybody_fills_in_are_no_evidence_and_the_other_texts_tell() -> None:
    """Half of the reference are fillings of one form, and so are all of the data. Of 4 texts out of 100 none is one of
    the 50 others with a chance of C(50, 4)/C(100, 4) = .059, of 5 with .028."""
    found = estimate(human_share, data(filled("a", 100), filled("c", 50) + PEOPLE[:50]))
    assert found.raw["near_copies"] == pytest.approx(0.5)  # each of 50 is matched once
    assert (found.low, found.value, found.high) == (0, 0, pytest.approx(0.04))
    assert judge(found, GATE, p_adjusted=None, alpha=0.05).outcome.value == "fail"
    assert "templates" in found.explanation


def test_human_texts_beside_fillings_of_a_template_are_seen() -> None:
    """Every second human text is a filling, and so are all of the machine's: what is seen is doubled."""
    theirs = filled("c", 50) + PEOPLE[:50]
    mine = filled("a", 50) + filled("c", 25) + PEOPLE[:25]
    found = estimate(human_share, data(mine, theirs))
    assert found.value == pytest.approx(0.5)
    assert found.low > GATE.margin


def test_a_reference_of_templates_alone_leaves_a_range() -> None:
    found = estimate(human_share, data(filled("a", 100), filled("c", 100)))
    assert (found.low, found.value, found.high) == (0, 0, 1)
    assert judge(found, GATE, p_adjusted=None, alpha=0.05).outcome.value == "inconclusive"
    copied = estimate(human_share, data(filled("c", 50) + filled("a", 50), filled("c", 100)))
    assert copied.value == pytest.approx(0.5)  # word for word, what nobody else has filled in
    assert copied.low > GATE.margin


@pytest.mark.parametrize(
    ("generation", "human", "outcomes"),
    [(1, 0, {"fail", "inconclusive"}), (1, 0.5, {"pass"}), (4, 0, {"fail"}), (4, 0.5, {"pass"})],
)
def test_reports_that_are_near_copies_of_each_other_are_told(human: float, outcomes: set[str], generation: int) -> None:
    """Half of the reports are near-copies of other ones, whoever wrote them. Those of generation 1 are so like people's
    that chance alone may explain what matches; never may they pass."""
    people, machine = (
        [json.loads(line)["text"] for line in gzip.decompress((REPORTS / name).read_bytes()).splitlines()]
        for name in ("reference.jsonl.gz", f"seed_0/gen_{generation}/texts.jsonl.gz")
    )
    taken = round(human * 1000)
    assert outcome(people[:taken] + machine[: 1000 - taken], people) in outcomes


def test_short_answers_that_everybody_gives_are_no_evidence() -> None:
    """All of the reference says yes or no, so all of the data would match it whoever wrote them."""
    found = estimate(human_share, data(["yes", "no"] * 50, ["yes", "no"] * 50))
    assert (found.low, found.value, found.high) == (0, 0, 1)


def test_empty_texts_are_nobodys() -> None:
    assert estimate(human_share, data([""] * 50 + MACHINE[:50], ["", "", *PEOPLE])).value == 0


def test_a_reference_of_three_texts_tells_nothing_and_never_passes() -> None:
    comparison = data(MACHINE, PEOPLE[:3])
    assert reason(human_share, comparison) == "the reference holds 3 texts; 10 are the least that can show anything"
    (found,) = readings(human_share, comparison).values()
    assert isinstance(found, NotMeasured)
    assert not found.neutral


def test_a_reference_in_another_language_tells_nothing() -> None:
    elsewhere = [text.replace("w", "слово") for text in drawn(100, 3)]
    assert "of another subject or language" in reason(human_share, data(MACHINE, elsewhere))


def test_a_reference_of_the_same_words_that_holds_none_of_the_data_tells_that() -> None:
    """The words are known, so that nothing was found is a fact of the data."""
    assert estimate(human_share, data(MACHINE, drawn(300, 4))).high == 0


def test_a_part_of_the_data_is_a_sample_and_a_part_of_the_reference_leaves_the_top_open() -> None:
    texts = PEOPLE[:50] + MACHINE[:50]
    part = estimate(human_share, data(sample(texts, max_documents=60), PEOPLE))
    assert part.low < part.value < part.high < 1
    open_ = estimate(human_share, data(texts, sample(PEOPLE, max_documents=60)))
    assert open_.high == 1
    assert "only a part of the reference" in open_.explanation
