"""What a reference pack on disk may hold: its header, its members' types and shapes, and what no corpus can have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from collapse_audit.lineages.files.door import Refused, parse_json
from collapse_audit.probes.packs.pack import COMMON, LEAST_SIZE
from collapse_audit.probes.packs.sketch import NLL_STEP, UNCUT, run_lengths
from collapse_audit.probes.statistics.design import MIN_UNITS

KIND = "collapse-audit reference pack"
FORMAT = 1
"""Goes up when this code would misread a file of the new format. History: 1, first version."""
_MOST_DOCUMENTS = 20_000_000
"""Documents that the header of a pack may speak of: a place for each is kept in memory."""
Arrays = Mapping[str, npt.NDArray[Any]]
Shape = tuple[int, ...] | None

_WHOLE = {"type": "integer", "minimum": 0}
_KEYS = (
    *("kind", "format", "block", "blocks", "compared", "words", "cuts", "tokens"),
    *("held_out", "aside_tokens", "nll_step", "labels", "digest"),
)
_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": [*_KEYS],
    "properties": {
        "kind": {"const": KIND},
        "format": {"const": FORMAT},
        "block": {"type": "integer", "minimum": LEAST_SIZE},
        "blocks": {"type": "integer", "minimum": 2 * MIN_UNITS},
        "compared": {"type": "integer", "minimum": MIN_UNITS},
        "words": _WHOLE,
        "cuts": {"type": "array", "items": _WHOLE, "minItems": 1},
        "tokens": {"type": "string"},
        "held_out": {"type": "boolean"},
        "aside_tokens": _WHOLE,
        "nll_step": {"enum": [None, NLL_STEP]},
        "labels": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "required": ["rule", "names", "totals", "scarce"],
            "properties": {
                "rule": {"type": "string"},
                "names": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
                "totals": {"type": "object", "additionalProperties": {"type": "integer", "minimum": COMMON}},
                "scarce": _WHOLE,
            },
        },
        "digest": {"type": "string"},
    },
}


def good_header(header: Mapping[str, Any]) -> bool:
    """Whether this code could have written it."""
    from jsonschema import Draft202012Validator  # takes a tenth of a second, and not every audit has a pack

    if not Draft202012Validator(_SCHEMA).is_valid(header):
        return False
    cuts = header["cuts"]
    if header["block"] * header["blocks"] > _MOST_DOCUMENTS:
        return False
    return bool(cuts[-1] == UNCUT and all(a < b for a, b in pairwise([0, *cuts[:-1]])))


def expected_members(header: Mapping[str, Any]) -> dict[str, tuple[str, Shape]]:
    """Type and shape of every member; no shape where only the header of another member could tell."""
    blocks, compared, words = header["blocks"], header["compared"], header["words"]
    cuts, runs = len(header["cuts"]), sum(blocks // length for length in run_lengths(blocks))
    expected: dict[str, tuple[str, Shape]] = {
        "words": ("|u1", None),
        "aside": ("<i8", (words,)),
        "counts_ends": ("<i8", (compared + 1,)),
        "counts_word": ("<i8", None),
        "counts": ("<i8", None),
        "tokens": ("<i8", (cuts, blocks)),
        "repeated": ("<f8", (cuts, blocks)),
        "distinct_texts": ("<i8", (blocks,)),
        "distinct_texts_spread": ("<f8", (blocks,)),
        "same": ("<i8", (blocks,)),
        "same_variance": ("<f8", (blocks,)),
        "same_runs": ("<i8", (runs,)),
    }
    expected |= dict.fromkeys(("empty", "looping", "long_enough", "squared_lengths"), ("<i8", (blocks,)))
    for kind in ("words", "pairs"):
        expected[f"distinct_{kind}"] = ("<i8", (cuts, blocks))
        expected[f"distinct_{kind}_spread"] = ("<f8", (cuts, blocks))
        expected[f"distinct_{kind}_runs"] = ("<i8", (cuts, runs))
    if header["nll_step"] is not None:
        expected["nll"] = ("<i8", (blocks, header["block"]))
    if header["labels"] is not None:
        expected["label_carriers"] = ("<i8", (compared, len(header["labels"]["names"]) + 2))
    return expected


def impossible(header: Mapping[str, Any], arrays: Arrays) -> Iterator[str]:
    """What no corpus can have, and what later arithmetic would stumble on."""
    for name, values in arrays.items():
        if values.dtype.kind in "fi" and not (np.isfinite(values) & (values >= 0)).all():
            yield f"{name} with a negative number, or none"
    yield from _impossible_words(header, arrays)
    yield from _impossible_counts(header, arrays)
    yield from _impossible_blocks(header["block"], arrays)


def _impossible_words(header: Mapping[str, Any], arrays: Arrays) -> Iterator[str]:
    """The list of common words, and the words that stand aside."""
    words = read_json(arrays["words"])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        yield "words that are no list of words"
    elif len(words) != header["words"] or any(not a < b for a, b in pairwise(words)):
        yield "words that are not as many as the header says, each once, in order"
    if (arrays["aside"] < COMMON).any() or arrays["aside"].sum() > header["aside_tokens"]:
        yield "words that are not common"


def _impossible_counts(header: Mapping[str, Any], arrays: Arrays) -> Iterator[str]:
    """The counts of common words, block by block."""
    compared = header["compared"]
    ends, word, counts = arrays["counts_ends"], arrays["counts_word"], arrays["counts"]
    within = np.ones(word.size, dtype=np.bool_)
    within[ends[:-1][ends[:-1] < word.size]] = False
    if ends[0] != 0 or ends[-1] != word.size or word.shape != counts.shape or (np.diff(ends) < 0).any():
        yield "counts whose parts do not fit each other"
    elif (word >= header["words"]).any() or (np.diff(word)[within[1:]] <= 0).any() or (counts == 0).any():
        yield "counts of words that are not there"
    elif (
        np.add.reduceat(np.append(counts, 0), ends[:-1]) * (np.diff(ends) > 0) > arrays["tokens"][-1][:compared]
    ).any():
        yield "more common words in a block than words"


def _impossible_blocks(size: int, arrays: Arrays) -> Iterator[str]:
    """What is counted of each block of ``size`` texts."""
    if any((arrays[name] > size).any() for name in ("empty", "looping", "long_enough")):
        yield "more texts in a block than a block has"
    if any((np.diff(arrays[f"distinct_{kind}"]) < 0).any() for kind in ("words", "pairs", "texts")):
        yield "distinct types that become fewer"
    if "label_carriers" in arrays:
        carriers, labelled = arrays["label_carriers"][:, :-1], size - arrays["label_carriers"][:, -1:]
        if (carriers > labelled).any() or (carriers.sum(axis=1, keepdims=True) < labelled).any():
            yield "labels on more or fewer texts of a block than are labelled"


def read_json(values: npt.NDArray[Any]) -> Any:
    """JSON in a member of bytes; None where it is none."""
    try:
        return parse_json(values.tobytes())
    except (Refused, ValueError):
        return None
