"""Made-up Russian thyroid ultrasound reports, from a grammar whose distribution is known.

SYNTHETIC: no patient, no clinic, no measurement; not for medical use. The grammar is ``thyroid.toml`` and
``thyroid_conclusion.toml``. It stands in for the private reports of Bobrova et al., which no one else can train on: as
many records, of the same make, and of which it is known exactly what models can lose (thyroid_truth.py), and how
probable any conclusion is that they write (thyroid_likelihood.py).

A record: ``prompt`` is the description, with the additional data where there are any; ``text`` is the conclusion.
Labels stand in the texts, in many forms, as ``collapse_audit.probes.text.eu_tirads`` reads them; there is no label
field. Further keys say what was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from collapse_audit.atomic import atomic_file
from collapse_audit.errors import UsageError
from collapse_audit.lineages.disk.write import write_corpus
from collapse_audit.lineages.simulation.output import Draft, Output, new_lineage
from collapse_audit.lineages.simulation.source import Record
from collapse_audit.lineages.simulation.thyroid_cases import Case, draw_case, law_of_cases, sides
from collapse_audit.lineages.simulation.thyroid_grammar import thyroid_grammar
from collapse_audit.lineages.simulation.thyroid_truth import thyroid_truth
from collapse_audit.lineages.simulation.words import BoolArray

NOTICE = (
    "SYNTHETIC texts, written by a random grammar. They look like thyroid ultrasound reports and are none: "
    "no patient, no clinic, no doctor, no measurement. Not for medical use."
)
_README = f"""# Synthetic thyroid reports

**{NOTICE}**

Made by `collapse-lineage simulate thyroid` (collapse-audit); `lineage.toml` has the command and the seed.

* `reference`: records to train on. `reference.holdout`: more of the same that nothing is trained on.
* `background`, where it was asked for: further texts for pretraining, each of a report of its own: its description
  alone, its conclusion alone, or both (`part`).
* `truth.json`: the exact probabilities by which all of them were drawn.

`prompt` is the description (with the additional data, where there are any), `text` the conclusion. `categories` has the
EU-TIRADS category of each nodule, `labelled` says whether the conclusion names them, `described` whether the
description does.
"""


def simulate_thyroid(
    output: Output, *, records: int = 7286, holdout: float = 0.3, background: int = 0, whole: float = 0.0
) -> Path:
    """Write a reference of reports, a share ``holdout`` of them held out, and what is true of them; no generation.

    ``background``: so many texts more, of other reports, to pretrain on. A share ``whole`` of them are whole reports,
    from which a model can learn what a conclusion has to do with its description; the others are descriptions and
    conclusions of different reports.
    """
    if records < 1 or background < 0 or not 0 <= holdout < 1 or not 0 <= whole <= 1:
        found = (
            f"{records} records, {holdout:g} of them held out, {background} background texts, {whole:g} of them whole"
        )
        allowed = "1 record or more, a share of at least 0 and below 1, 0 texts or more, a share from 0 to 1"
        raise UsageError(f"{found}; allowed: {allowed}")
    kept = round(records * (1 - holdout))
    if kept < 1:
        raise UsageError(f"{holdout:g} of {records} records held out leaves none; allowed is a smaller share")
    truth = thyroid_truth()
    with new_lineage(output) as draft:
        output.progress(f"{records} records")
        written = list(reports(records, output.rng(0)))
        draft.add_reference(written[:kept], written[kept:])
        if background:
            output.progress(f"{background} background texts")
            write_corpus(
                draft.root / f"background{draft.suffix}", background_texts(background, output.rng(1), whole=whole)
            )
        draft.add_json("truth.json", {"notice": NOTICE, **truth})
        _write_readme(draft)
        shown = ("labels", "unlabelled", "findings", "additional_missing", "expected_words")
        draft.finish(
            replace(output, description=f"{NOTICE} {output.description or ''}".strip()),
            kind="thyroid",
            parameters={"records": records, "holdout": holdout, "background": background, "whole": whole},
            truth={name: truth[name] for name in shown},
            labels="eu-tirads",
        )
    return output.out


def _write_readme(draft: Draft) -> None:
    with atomic_file(draft.root / "README.md") as file:
        file.write(_README.encode("utf-8"))


def reports(count: int, rng: np.random.Generator) -> Iterator[Record]:
    """So many records. Exactly the law's share of them, at random places, has no additional data."""
    missing = _missing(count, rng)
    for number in range(count):
        case = draw_case(rng)
        described = bool(rng.random() < law_of_cases()["described"])
        description = write_description(case, rng, described=described, additional=not missing[number])
        yield {
            "id": f"synthetic-{number + 1:05d}",
            "prompt": description,
            "text": write_conclusion(case, rng),
            "synthetic": True,
            "categories": [int(category) for category in case.categories],
            "extent": case.extent,
            "background": case.background,
            "finding": case.finding,
            "labelled": case.labelled,
            "described": described,
            "additional_missing": bool(missing[number]),
        }


def background_texts(count: int, rng: np.random.Generator, *, whole: float = 0.0) -> Iterator[Record]:
    """So many texts, each of a report of its own, shuffled: a share ``whole`` of them whole reports, of the others half
    descriptions, half conclusions."""
    missing = _missing(count, rng)
    place = rng.permutation(count)
    reports_from = count - round(count * whole)
    for number in range(count):
        case = draw_case(rng)
        part = "report" if place[number] >= reports_from else ("conclusion" if place[number] % 2 else "description")
        written = []
        if part != "conclusion":
            described = bool(rng.random() < law_of_cases()["described"])
            written.append(write_description(case, rng, described=described, additional=not missing[number]))
        if part != "description":
            written.append(write_conclusion(case, rng))
        text = "\nЗаключение:\n".join(written)
        yield {"id": f"synthetic-background-{number + 1:05d}", "text": text, "synthetic": True, "part": part}


def write_description(case: Case, rng: np.random.Generator, *, described: bool, additional: bool) -> str:
    """What was seen, from which the case can be read; ``described``: with the category of each nodule."""
    grammar = thyroid_grammar()
    sentences = []
    for category, side in zip(case.categories, sides(case, rng), strict=True):
        sentence = grammar.write("nodule", {"category": category, "side": side}, rng)
        sentences.append(sentence + (" " + grammar.write("label", {"labels": category}, rng) if described else ""))
    features = case.features | {"nodules": " ".join(sentences)}
    text = grammar.write("description", features, rng)
    return f"{text} Дополнительные данные: {grammar.write('additional', {}, rng)}" if additional else text


def write_conclusion(case: Case, rng: np.random.Generator) -> str:
    """What the doctor makes of it."""
    return thyroid_grammar().write("conclusion", case.features, rng)


def _missing(count: int, rng: np.random.Generator) -> BoolArray:
    """Which reports have no additional data, shape (count,): a fixed number of them."""
    share = Fraction(*law_of_cases()["additional_missing"])
    return np.asarray(rng.permutation(count) < round(count * share), np.bool_)
