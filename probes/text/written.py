"""Only what the model wrote is judged: prompts are taken out of texts that begin with them, before anything is counted.

A text that is its prompt and an answer to it is mostly prompt. The prompts of two generations are the same whatever
became of the answers, so that answers from a tenth of what there was look healthy: each such text is distinct.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collapse_audit.probes.text.folding import fold, visible
from collapse_audit.probes.text.transcripts import HINT, MOST, last_turns

_BEGINNING = re.compile(r"\A(?:\s|<s>|<bos>|<\|begin_of_text\|>|<\|startoftext\|>|<\|endoftext\|>|\[CLS\])+")
"""What a tokenizer puts before a text."""
_NOT_PLAIN = bytes(code for code in range(128) if not chr(code).isalnum())
_LONG = 8
"""Characters of a prompt that is looked for behind a heading: a shorter one stands there by chance."""
_MARKERS = (
    r"(?i)^(?: ?(?:</?s>|<(?:eos|bos|pad|end_of_text|end_of_turn|start_of_turn)>"
    r"|<\|[a-z0-9_▁]{1,40}\|>|\[(?:eos|pad|sep|cls)\]))+ ?$"
)
"""Special tokens as tokenizers spell them, where they were not taken out of a text."""
MOST_BEGIN = 0.5
"""Share of a corpus' texts that must hold their prompts behind the same heading, or begin with another corpus' ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the model wrote of N texts."""

    texts: pa.LargeStringArray
    """Shape (N,)."""
    prompts: pa.Array | None
    """Shape (N,), nulls where there are none; white space and invisible characters folded."""
    notes: tuple[str, ...] = ()
    """What was taken away, for the report."""


def written(texts: pa.LargeStringArray, prompts: pa.Array | None) -> Written:
    """Take from every text what stands there that the model did not write; ``prompts`` as the records give them."""
    texts, asked, notes = _answers(texts, prompts)
    if asked is None:
        return Written(texts=texts, prompts=None, notes=notes)
    rest, note = without_prompts(texts, asked.to_pylist())
    return Written(texts=rest, prompts=fold(asked.cast(pa.large_string())).cast(pa.string()), notes=(*notes, *note))


def _answers(
    texts: pa.LargeStringArray, prompts: pa.Array | None
) -> tuple[pa.LargeStringArray, pa.Array | None, tuple[str, ...]]:
    """Transcripts cut to their last assistant's turn; what precedes it is the prompt of a record without one."""
    if not len(texts) or pc.sum(pc.match_substring_regex(texts, HINT)).as_py() < MOST * len(texts):
        return texts, prompts, ()
    rows = texts.to_pylist()
    turns = last_turns(rows)
    answered = sum(turn is not None for turn in turns)
    if not answered:
        return texts, prompts, ()
    given = [None] * len(rows) if prompts is None else prompts.to_pylist()
    asked = [
        prompt if turn is None or prompt is not None else turn.before for prompt, turn in zip(given, turns, strict=True)
    ]
    answers = [text if turn is None else turn.answer for text, turn in zip(rows, turns, strict=True)]
    note = f"{answered / len(rows):.0%} of the texts are chat transcripts; their last assistant turn is judged"
    return pa.array(answers, pa.large_string()), pa.array(asked, pa.large_string()), (note,)


def without_prompts(
    texts: pa.LargeStringArray, prompts: Sequence[str | None]
) -> tuple[pa.LargeStringArray, tuple[str, ...]]:
    """Texts without the prompts that they begin with, and what to say of it; white space may differ."""
    rows = texts.to_pylist()
    rest = _after(rows, prompts)
    cut = sum(answer is not None for answer in rest)
    notes = [f"{cut / len(rows):.0%} of the texts begin with their prompt, which was taken away"] if cut else []
    heading, behind = _behind_heading(rows, prompts, rest)
    if behind:
        notes.append(
            f"{len(behind) / len(rows):.0%} of the texts hold their prompt behind the same {len(heading):,} "
            "characters; both were taken away"
        )
        for at, answer in behind.items():
            rest[at] = answer
    if not notes:
        return texts, ()
    left = [text if answer is None else answer for text, answer in zip(rows, rest, strict=True)]
    return pa.array(left, pa.large_string()), tuple(notes)


def apart_from_prompts(texts: pa.LargeStringArray, prompts: pa.Array) -> pa.LargeStringArray:
    """Each text without the prompt of its record that it begins with: what can be told without looking at others."""
    if prompts.null_count == len(prompts):
        return texts
    rows = texts.to_pylist()
    rest = _after(rows, prompts.to_pylist())
    return pa.array([row if answer is None else answer for row, answer in zip(rows, rest, strict=True)], texts.type)


def only_markers(folded: pa.LargeStringArray) -> npt.NDArray[np.bool_]:
    """Where a text is nothing but markers of a text's end or beginning, such as ``</s>``; shape (N,)."""
    return np.asarray(pc.match_substring_regex(folded, _MARKERS))


def beginnings(texts: pa.LargeStringArray, prompts: pa.Array) -> list[str | None]:
    """Which of ``prompts`` each text begins with, the longest one, or None; white space and what hides may differ."""
    known = {
        _squeezed(prompt): prompt for prompt in pc.unique(fold(prompts.cast(pa.large_string()).drop_null())).to_pylist()
    }
    lengths = sorted({len(key) for key in known if len(key) >= _LONG}, reverse=True)
    heads = (_squeezed(_BEGINNING.sub("", text)) for text in visible(texts).to_pylist())
    return [
        next((known[head[:length]] for length in lengths if len(head) >= length and head[:length] in known), None)
        for head in heads
    ]


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _after(texts: Sequence[str], prompts: Sequence[str | None]) -> list[str | None]:
    """What follows each prompt at the beginning of its text, or None where it does not stand there."""
    rest: list[str | None] = [None] * len(texts)
    otherwise = []  # where the prompt may stand in other white space, or in other code points of the same letters
    for at, (text, prompt) in enumerate(zip(texts, prompts, strict=True)):
        if prompt and prompt.strip() and text.startswith(prompt):
            rest[at] = text[len(prompt) :]
        elif prompt and text and _may_begin(text, prompt):
            otherwise.append(at)
    pairs = ([column[at] for at in otherwise] for column in (texts, prompts))
    seen, asked = (visible(pa.array(column, pa.large_string())).to_pylist() for column in pairs)
    for at, text, prompt in zip(otherwise, seen, asked, strict=True):
        rest[at] = _behind(_BEGINNING.sub("", text), _squeezed(_BEGINNING.sub("", prompt)))
    return rest


def _behind(text: str, wanted: str) -> str | None:
    """What follows the letters ``wanted`` at the beginning of ``text``, whatever white space is among them."""
    if not wanted:
        return None
    at = 0
    for position, letter in enumerate(text):
        if letter.isspace():
            continue
        if letter != wanted[at]:
            return None
        at += 1
        if at == len(wanted):
            return text[position + 1 :]
    return None


def _may_begin(text: str, prompt: str) -> bool:
    """A cheap look at the first plain letters: nearly every text that does not begin with its prompt fails here."""
    first, second = _plain(text), _plain(prompt)
    shorter = min(len(first), len(second), 12)
    return first[:shorter] == second[:shorter]


def _plain(text: str) -> bytes:
    """The ASCII letters and digits among the first 200 characters; an accent is taken off its letter."""
    letters = unicodedata.normalize("NFD", _BEGINNING.sub("", text[:200]))
    return letters.encode("ascii", "ignore").translate(None, delete=_NOT_PLAIN)


def _behind_heading(
    rows: Sequence[str], prompts: Sequence[str | None], rest: Sequence[str | None]
) -> tuple[str, dict[int, str]]:
    """The heading behind which most texts hold their prompt (few-shot examples, a system prompt), and what follows."""
    places = {
        at: start
        for at, (text, prompt) in enumerate(zip(rows, prompts, strict=True))
        if rest[at] is None and prompt and len(key := prompt.strip()) >= _LONG and (start := text.find(key)) > 0
    }
    headings = Counter(rows[at][:start] for at, start in places.items())
    if not headings:
        return "", {}
    heading, count = headings.most_common(1)[0]
    if count < MOST_BEGIN * len(rows):
        return "", {}
    return heading, {
        at: rows[at][start + len((prompts[at] or "").strip()) :]
        for at, start in places.items()
        if rows[at][:start] == heading
    }
