"""Chat transcripts in one string: which part of it did the model write last?

The markers are those that chat templates of published models put around turns: ChatML, Llama 2 to 4, Mistral, Gemma,
Phi, Zephyr, DeepSeek, Command-R, Granite, harmony; and the headings of Alpaca, Vicuna and their like. A marker counts
only where most texts of a corpus carry one: a text about chat templates is not a transcript.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

MOST = 0.5
"""Share of a corpus' texts that must be transcripts."""

_SPOKEN = re.compile(
    r"""
      <\|im_start\|>\s{0,3}(?:assistant|model|bot|ai|gpt)\b
    | <\|(?:start_header_id|header_start)\|>\s{0,3}assistant\s{0,3}<\|(?:end_header_id|header_end)\|>
    | \[/INST\]
    | <start_of_turn>\s{0,3}model\b
    | <\|assistant\|>
    | <\|start_of_role\|>\s{0,3}assistant\s{0,3}<\|end_of_role\|>
    | <\|CHATBOT_TOKEN\|>
    | <[|｜]Assistant[|｜]>
    | <\|start\|>assistant(?:<\|channel\|>\w{1,20})?<\|message\|>
    | ^[ ]{0,3}\#{2,3}[ ]{0,2}(?:Response|Assistant|Answer|Output)[ ]{0,2}:?
    """,
    re.VERBOSE | re.MULTILINE,
)
"""Where an assistant's turn begins, told by tokens or headings."""
_NEXT = re.compile(
    r"""
      <\|(?:im_end|im_start|eot_id|eot|eom_id|end_of_text|endoftext|end|user|system|assistant|tool|return|call|start
        |start_header_id|header_start|start_of_role|END_OF_TURN_TOKEN|START_OF_TURN_TOKEN|USER_TOKEN|SYSTEM_TOKEN)\|>
    | </?s> | <eos> | <end_of_turn> | <start_of_turn> | \[INST\]
    | <[|｜](?:User|Assistant|end▁of▁sentence)[|｜]>
    | ^[ ]{0,3}\#{2,3}[ ]{0,2}(?:Instruction|Input|Human|User|Question|System)[ ]{0,2}:
    """,
    re.VERBOSE | re.MULTILINE,
)
"""Where it ends."""
_ASKED = re.compile(
    r"<\|(?:im_start\|>\s{0,3}user|user\|)|<start_of_turn>\s{0,3}user|\[INST\]|user<\|(?:end_header_id)\|>"
)
"""Where a user's turn begins: a transcript that stops there holds no answer."""

_USER_SAYS = re.compile(r"(?:^[ *]{0,4}(?:Human|User|Instruct)|(?:^|(?<=\s))(?:USER|HUMAN))[ *]{0,3}:", re.MULTILINE)
_ASSISTANT_SAYS = re.compile(
    r"(?:^[ *]{0,4}(?:Assistant|AI|Bot|Output)|(?:^|(?<=\s))ASSISTANT)[ *]{0,3}:[ *]{0,3}", re.MULTILINE
)
_SAYS_NEXT = re.compile(rf"{_USER_SAYS.pattern}|</s>|<\|endoftext\|>", re.MULTILINE)


HINT = r"<\||<\x{ff5c}|\[/?INST\]|<start_of_turn>|##|(?i:assistant|output|bot|ai)[ *]{0,3}:"
"""In RE2's words: a text without this is no transcript."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The last turn of an assistant, and all that stands before it, both as they are spelt."""

    before: str
    answer: str


def last_turns(texts: Sequence[str]) -> list[Turn | None]:
    """The last assistant's turn of every text, or None where it is no transcript; all None unless most are."""
    for split in (_by_markers, _by_names):
        turns = [split(text) for text in texts]
        if texts and sum(turn is not None for turn in turns) >= MOST * len(texts):
            return turns
    return [None] * len(texts)


def _by_markers(text: str) -> Turn | None:
    if "<" not in text and "[/INST]" not in text and "##" not in text:
        return None
    last = _last(_SPOKEN, text)
    if last is None:
        return Turn(text, "") if _ASKED.search(text) else None
    return _turn(text, last, _NEXT)


def _by_names(text: str) -> Turn | None:
    """``Human: … Assistant: …``: counts only where somebody asked before."""
    if ":" not in text:
        return None
    last = _last(_ASSISTANT_SAYS, text)
    if last is None or not _USER_SAYS.search(text, 0, last.start()):
        return None
    return _turn(text, last, _SAYS_NEXT)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    matches = deque(pattern.finditer(text), maxlen=1)
    return matches[0] if matches else None


def _turn(text: str, opening: re.Match[str], closing: re.Pattern[str]) -> Turn:
    end = closing.search(text, opening.end())
    return Turn(text[: opening.start()], text[opening.end() : end.start() if end else len(text)].lstrip())
