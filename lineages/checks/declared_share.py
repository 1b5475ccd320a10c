"""The share of human text that a generation declares, against the records that it was trained on.

Records are equal by prompt and text. Under the task ``blocks`` human text is cut across its records, so there a record
without a prompt is people's where it stands anywhere in the reference, white space aside.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.lineages.corpora.corpus import Corpus
from collapse_audit.lineages.files.paths import shown_name
from collapse_audit.lineages.files.problems import printable
from collapse_audit.lineages.model.lineage import GenerationEntry, Lineage
from collapse_audit.probes.models.model_facts import Fact

_FEWEST_DRAWN = 4.0
"""Standard deviations below the expected number of distinct records, down to which records may be drawn with
replacement."""


def declared_share(lineage: Lineage, entry: GenerationEntry) -> Iterator[Fact]:
    """Declared against counted: which of the records it was trained on stand in the reference."""
    reference, sources = lineage.reference, entry.details.get("trained_on")
    if sources is None:
        return
    human = {"reference"} if reference is None else {"reference", reference.shown}
    own = [source for source in sources if "lineage" not in source]
    share = sum(source["share"] for source in own if shown_name(source["corpus"]) in human)
    if entry.training is None or reference is None:
        if 0 < share < 1:
            what = "records that it was trained on are" if entry.training is None else "reference is"
            sentence = f"{share:.4g} human text declared for {_named(entry)}, not measured: the {what} not at hand"
            yield Fact(kind="human-share", ok=True, sentence=sentence, noted=True, details={"declared": share})
        return
    names = {shown_name(source["corpus"]) for source in own} - human
    written = [_keys(generation.texts) for generation in lineage.generations if generation.texts.shown in names]
    blocks = lineage.recipe.get("task") == "blocks"
    records, people = _keys(entry.training), _keys(reference)
    by_people = _anywhere(records, reference) if blocks else pc.is_in(records, value_set=people)
    by_models = pc.is_in(records, value_set=pa.concat_arrays([*written, people.slice(0, 0)]))
    n = len(records)
    counted = int(pc.sum(by_people).as_py() or 0)
    least = int(pc.sum(pc.and_not(by_people, by_models)).as_py() or 0)
    strays = n - int(pc.sum(pc.or_(by_people, by_models)).as_py() or 0)
    measured = f"{counted:,}" if counted == least else f"{least:,} to {counted:,}"
    sentence = f"{share:.4g} of {n:,} records declared human; by their digests {measured} are the reference's"
    ok, noted = least < share * n + 1 and share * n - 1 < counted, False
    people_wrote = records.filter(by_people)
    # How often a block stands in the reference nobody can count without the tokenizer that cut it.
    distinct, most = (len(people_wrote.unique()), n) if blocks else _without_repeats(people_wrote, people, share * n)
    if lineage.recipe.get("selection") and least >= share * n + 1:
        sentence, ok, noted = f"{sentence}, after some of what models wrote was left out (selection)", True, True
    if ok and most <= share * n - 1:
        sentence = f"{sentence}, but only {distinct:,} distinct ones, of {len(people):,}"
        ok = noted = distinct >= _fewest_drawn(len(people.unique()), round(share * n))
        sentence += ": drawn with replacement, as it seems" if ok else ": the same few again and again"
    known = len(own) == len(sources) and names <= {generation.texts.shown for generation in lineage.generations}
    if strays and known and blocks:
        sentence, noted = f"{sentence}, and {strays:,} stand in none of the corpora letter by letter", True
        ok = ok or (least < share * n + 1 and share * n - 1 < counted + strays)
    elif strays and known:
        sentence, ok = f"{sentence}, and {strays:,} stand in none of the corpora named in trained_on", False
    details = {"least": least, "most": counted, "distinct": distinct, "records": n}
    said = f"{entry.training.shown}: {sentence}"
    yield Fact(kind="human-share", ok=ok, sentence=said, noted=noted and ok, details=details)


def _anywhere(records: pa.LargeStringArray, reference: Corpus) -> pa.BooleanArray:
    """Which records (prompt, NUL, text) have no prompt and stand anywhere in the reference's texts, end to end."""
    whole = "".join("".join(text.split()) for batch in reference.batches() for text in batch["text"].to_pylist())
    pairs = (key.split("\0", 1) for key in records.to_pylist())
    squeezed = ("" if prompt else "".join(text.split()) for prompt, text in pairs)
    return pa.array([bool(text) and text in whole for text in squeezed], pa.bool_())


def _without_repeats(records: pa.LargeStringArray, people: pa.LargeStringArray, declared: float) -> tuple[int, int]:
    """Distinct ones among ``records``, and how many remain where none counts more often than it stands in ``people``.

    Where more are declared than ``people`` holds, all of them must be repeated: each counts so many times more.
    """
    rounds = max(1, -(-round(declared) // max(1, len(people))))
    mine, theirs = records.value_counts(), people.value_counts()
    there = theirs.field("counts").take(pc.index_in(mine.field("values"), value_set=theirs.field("values")))
    capped = np.minimum(mine.field("counts").to_numpy(), rounds * there.to_numpy())
    return len(mine), int(capped.sum())


def _fewest_drawn(size: int, draws: int) -> float:
    """So many distinct ones, at least, has a sample of ``draws`` with replacement from ``size``.

    Mean size (1 - q), q = (1 - 1/size)^draws; that one is drawn makes others rarer, so the variance is at most
    size q (1 - q).
    """
    if not size:
        return 0.0
    q = (1 - 1 / size) ** draws
    return float(size * (1 - q) - _FEWEST_DRAWN * np.sqrt(size * q * (1 - q)))


def _keys(corpus: Corpus) -> pa.LargeStringArray:
    """What makes a record the same record: prompt and text, with NUL between them, which no corpus holds."""
    batches = [
        pc.binary_join_element_wise(
            pc.fill_null(batch.column("prompt").cast(pa.large_string()), ""),
            batch.column("text").cast(pa.large_string()),
            pa.scalar("\0", pa.large_string()),
        )
        for batch in corpus.batches()
    ]
    return pa.concat_arrays([*batches, pa.array([], pa.large_string())])


def _named(entry: GenerationEntry) -> str:
    return f"generation {entry.index}" + ("" if entry.seed is None else f" of seed {printable(entry.seed)}")
