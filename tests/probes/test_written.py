"""Only what the model wrote is judged: prompts and chat markers as people's files hold them."""

from __future__ import annotations

import pytest
from builders import sample
from hypothesis import given
from hypothesis import strategies as st

from collapse_audit.probes.text.sample import Sample, with_prompts_of
from collapse_audit.probes.text.tokens import WORDS
from collapse_audit.probes.text.transcripts import last_turns

CHATS = {
    "ChatML": "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n{q}<|im_end|>\n"
    "<|im_start|>assistant\n{a}<|im_end|>",
    "Llama 3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{q}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n{a}<|eot_id|>",
    "Llama 4": "<|header_start|>user<|header_end|>\n\n{q}<|eot|><|header_start|>assistant<|header_end|>\n\n{a}<|eot|>",
    "Llama 2": "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\n{q} [/INST] {a} </s>",
    "Mistral": "<s>[INST] Hello [/INST] Hi there</s>[INST] {q} [/INST] {a}</s>",
    "Gemma": "<bos><start_of_turn>user\n{q}<end_of_turn>\n<start_of_turn>model\n{a}<end_of_turn>\n",
    "Phi": "<|user|>\n{q}<|end|>\n<|assistant|>\n{a}<|end|>",
    "Zephyr": "<|system|>\nBe kind.</s>\n<|user|>\n{q}</s>\n<|assistant|>\n{a}</s>",
    "DeepSeek": "<｜User｜>{q}<｜Assistant｜>{a}<｜end▁of▁sentence｜>",
    "Alpaca": "Below is an instruction.\n\n### Instruction:\n{q}\n\n### Response:\n{a}</s>",
    "Guanaco": "### Human: {q}\n### Assistant: {a}",
    "Vicuna": "A chat between a user and an assistant. USER: {q} ASSISTANT: {a}</s>",
    "Anthropic": "\n\nHuman: {q}\n\nAssistant: {a}",
    "names": "User: Hello\nAssistant: Hi\nUser: {q}\nAssistant: {a}\nUser: and then?",
    "harmony": "<|start|>user<|message|>{q}<|end|><|start|>assistant<|channel|>final<|message|>{a}<|return|>",
}
QUESTIONS = [f"What is the number {number} good for, my friend?" for number in range(8)]
ANSWERS = [f"It is good for counting {number} sheep.\n\nAnd: for more." for number in range(8)]


def chats(name: str) -> list[str]:
    return [CHATS[name].format(q=q, a=a) for q, a in zip(QUESTIONS, ANSWERS, strict=True)]


def texts(read: Sample) -> list[str]:
    return [text.strip() for text in read.texts.to_pylist()]


@pytest.mark.parametrize("name", CHATS)
def test_of_a_transcript_the_last_turn_of_the_assistant_is_judged(name: str) -> None:
    read = sample(chats(name))
    assert texts(read) == ANSWERS
    assert read.prompts is not None
    assert all(q in prompt for q, prompt in zip(QUESTIONS, read.prompts.to_pylist(), strict=True))
    assert read.notes == ("100% of the texts are chat transcripts; their last assistant turn is judged",)


@pytest.mark.parametrize("name", CHATS)
def test_a_prompt_that_the_record_gives_stays(name: str) -> None:
    read = sample(chats(name), prompts=QUESTIONS)
    assert texts(read) == ANSWERS
    assert read.prompts is not None
    assert read.prompts.to_pylist() == QUESTIONS


@pytest.mark.parametrize("name", CHATS)
def test_a_few_texts_with_markers_are_texts_about_markers(name: str) -> None:
    plain = [f"Plain text number {number}." for number in range(20)]
    read = sample([*plain, *chats(name)])
    assert read.texts.to_pylist() == [*plain, *chats(name)]
    assert read.prompts is None
    assert read.notes == ()


def test_a_transcript_without_an_answer_is_an_empty_text() -> None:
    asked = "<|im_start|>user\nWhy?<|im_end|>\n"
    assert texts(sample([*chats("ChatML"), asked, asked + "<|im_start|>assistant\n"])) == [*ANSWERS, "", ""]


@pytest.mark.parametrize(
    "text",
    [
        "The assistant: a short history. Its output: little.",
        "Assistant: nobody asked before.",
        "Use `a << b` and `c >> d`, then <b>bold</b>.",
        "Dear user: your order was shipped.",
        "",
    ],
)
def test_ordinary_text_is_no_transcript(text: str) -> None:
    assert last_turns([text] * 3) == [None] * 3


PROMPT = "The quick brown fox, they say, jumps ov"
ANSWER = "er the lazy dog."


@pytest.mark.parametrize(
    "text",
    [
        PROMPT + ANSWER,  # in the middle of a word
        "  " + PROMPT + ANSWER,
        "<s>" + PROMPT + ANSWER,
        "<|begin_of_text|> " + PROMPT + ANSWER,
        PROMPT.replace(" ", "\n  ") + ANSWER,
        PROMPT.replace("o", "\u200bo") + ANSWER,
    ],
)
def test_a_text_that_begins_with_its_prompt_loses_it(text: str) -> None:
    read = sample([text, "Something else."], prompts=[PROMPT, PROMPT])
    assert read.texts.to_pylist() == [ANSWER, "Something else."]
    assert read.notes[0] == "50% of the texts begin with their prompt, which was taken away"


def test_letters_of_a_prompt_may_be_composed_otherwise_in_the_text() -> None:
    read = sample(["cafe\u0301 au lait, please"], prompts=["caf\u00e9 au lait,"])
    assert read.texts.to_pylist() == [" please"]


@pytest.mark.parametrize(
    ("text", "prompt"),
    [("Answer.", "Question?"), ("The cat", "The cats sat"), ("A text.", ""), ("A text.", " "), ("", "x")],
)
def test_a_text_that_does_not_begin_with_its_prompt_stays(text: str, prompt: str) -> None:
    assert sample([text], prompts=[prompt]).texts.to_pylist() == [text]


def test_a_prompt_and_nothing_more_is_an_empty_text() -> None:
    assert sample([PROMPT], prompts=[PROMPT]).empty.tolist() == [True]


def test_a_heading_before_the_prompt_goes_with_it() -> None:
    """Few-shot examples before every question: the same in all texts."""
    shots = "Q: What is one and one?\nA: Two.\n\nQ: "
    rows = [f"{shots}{q}\nA: {a}" for q, a in zip(QUESTIONS, ANSWERS, strict=True)]
    assert texts(sample(rows, prompts=QUESTIONS)) == [f"A: {answer}" for answer in ANSWERS]


def test_an_answer_that_quotes_its_question_is_kept_where_others_do_not() -> None:
    rows = [f"You asked: {QUESTIONS[0]} {ANSWERS[0]}", *ANSWERS[1:]]
    assert sample(rows, prompts=QUESTIONS).texts.to_pylist() == rows


@given(st.text("ab \n\u200b\u00e9", max_size=12), st.text("ab \n\u200b\u00e9", min_size=1, max_size=12))
def test_what_is_left_is_the_end_of_the_text(answer: str, prompt: str) -> None:
    """Squeezed of white space and of what nobody sees, prompt and rest are the text again."""

    def squeezed(text: str) -> str:
        return "".join(text.replace("\u200b", "").split())

    (rest,) = sample([prompt + answer], prompts=[prompt]).texts.to_pylist()
    wanted = answer if squeezed(prompt) else prompt + answer
    assert squeezed(rest) == squeezed(wanted)


def test_prompts_that_differ_in_white_space_only_are_the_same_prompt() -> None:
    read = sample(["a", "b"], prompts=["Why  not?", "Why\nnot?\u200b"])
    assert read.prompts is not None
    assert read.prompts.to_pylist() == ["Why not?"] * 2


def test_prompts_that_only_the_other_side_names_are_taken_away_too() -> None:
    """One side is prompt and completion in two fields, the other one string without a field."""
    told = sample(ANSWERS, prompts=QUESTIONS, name="told")
    silent = sample([f"{q}\n {a}" for q, a in zip(QUESTIONS, reversed(ANSWERS), strict=True)])
    read = with_prompts_of(silent, told, WORDS)
    assert texts(read) == ANSWERS[::-1]
    assert read.prompts is not None
    assert read.prompts.to_pylist() == QUESTIONS
    assert read.tokens.lengths.tolist() == sample(ANSWERS[::-1]).tokens.lengths.tolist()
    assert with_prompts_of(sample(ANSWERS), told, WORDS).prompts is None
    assert with_prompts_of(told, silent, WORDS) is told
