"""The shapes of records that programs write, as one table: what a record is known by, and where its text stands.

A path goes down by names, ``*`` (every element: each a document of its own) and numbers. What stands at its end may be
a string, a list of strings (each a document), a conversation (the last turn of the assistant is the text, what
precedes it the prompt) or the parts of one message.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind of record."""

    name: str
    """What writes it."""
    keys: tuple[str, ...]
    """Paths that the record must have, besides a text at ``text``."""
    text: str
    prompt: tuple[tuple[str, ...], ...] = ()
    """Alternatives, the first that the record has counts; the values of one are put below each other."""
    labels: bool = True
    """Whether a field ``label`` or ``labels`` beside the text names classes; False where it is the right answer."""


PROMPTS = (("prompt",), ("instruction", "input"), ("instruction",), ("query",), ("question",), ("messages",))
"""Where programs put what the model was given."""

SHAPES = (
    Shape(name="chat messages", keys=("messages",), text="messages"),
    Shape(name="ShareGPT conversations", keys=("conversations",), text="conversations"),
    Shape(name="OpenAI batch output", keys=("response.body",), text="response.body.choices.*.message.content"),
    Shape(name="OpenAI batch output", keys=("response.body",), text="response.body.choices.*.text"),
    Shape(name="OpenAI batch output of responses", keys=("response.body",), text="response.body.output.*.content"),
    Shape(name="OpenAI chat completions", keys=("choices",), text="choices.*.message.content"),
    Shape(name="OpenAI completions", keys=("choices",), text="choices.*.text"),
    Shape(name="Anthropic batch output", keys=("result.message",), text="result.message.content"),
    Shape(name="Gemini batch output", keys=("response.candidates",), text="response.candidates.*.content.parts"),
    Shape(name="vLLM RequestOutput", keys=("outputs",), text="outputs.*.text", prompt=PROMPTS),
    Shape(
        name="lm-eval samples",
        keys=("doc", "resps"),
        text="resps.0.*",
        prompt=(("arguments.gen_args_0.arg_0",), ("arguments.0.0",)),
        labels=False,
    ),
    Shape(
        name="lm-eval samples",
        keys=("doc", "filtered_resps"),
        text="filtered_resps.*",
        prompt=(("arguments.gen_args_0.arg_0",), ("arguments.0.0",)),
        labels=False,
    ),
    Shape(name="alpaca", keys=("instruction", "output"), text="output", prompt=PROMPTS),
    Shape(name="prompts and outputs", keys=("output",), text="output", prompt=PROMPTS),
    Shape(name="prompts and outputs", keys=("outputs",), text="outputs.*", prompt=PROMPTS),
    Shape(name="prompts and completions", keys=("completion",), text="completion", prompt=PROMPTS),
    Shape(name="prompts and completions", keys=("completions",), text="completions", prompt=PROMPTS),
    Shape(name="prompts and responses", keys=("response",), text="response", prompt=PROMPTS),
    Shape(name="prompts and responses", keys=("responses",), text="responses", prompt=PROMPTS),
    Shape(name="Transformers pipeline", keys=("generated_text",), text="generated_text", prompt=PROMPTS),
    Shape(name="distilabel", keys=("generation",), text="generation", prompt=PROMPTS),
    Shape(name="distilabel", keys=("generations",), text="generations", prompt=PROMPTS),
    Shape(name="LLaMA-Factory predictions", keys=("predict",), text="predict", prompt=PROMPTS, labels=False),
    Shape(name="predictions", keys=("prediction",), text="prediction", prompt=PROMPTS, labels=False),
    Shape(name="preference pairs", keys=("chosen", "rejected"), text="chosen", prompt=PROMPTS),
    Shape(name="preference pairs", keys=("chosen", "rejected"), text="rejected", prompt=PROMPTS),
)
"""In a record that fits two of them with different texts the text is nobody's to guess (preference pairs always do)."""

INSTEAD_OF = {"filtered_resps.*": "resps.0.*"}
"""A text that is not looked at where the other one is there: the answer as it was cut for scoring, and the answer."""

GOLD = frozenset(
    {
        *("answer", "answers", "gold", "golden", "target", "targets", "label", "labels", "reference", "references"),
        *("ground_truth", "groundtruth", "truth", "solution", "solutions", "expected", "expected_output", "ideal"),
        *("correct", "correct_answer", "best_answer", "correct_answers", "doc", "gold_answer", "reference_answer"),
    }
)
"""Names of fields that hold what a model should have written: no hint ever leads to one."""

LIKELY = (
    *("content", "body", "document", "documents", "sentence", "generated", "model_output", "model_answer"),
    *("output_text", "article", "passage", "report", "story", "code", "summary", "result"),
)
"""Names of fields that often hold the text of a corpus, and too often something else: named in hints, never taken."""


def is_gold(field: str) -> bool:
    """Whether a field, or any part of a path to one, is called like the right answer."""
    return any(part.strip().casefold().replace("-", "_") in GOLD for part in field.split("."))


ROOTS = frozenset(
    path.split(".")[0]
    for shape in SHAPES
    for path in (*shape.keys, shape.text, *(choice for several in shape.prompt for choice in several))
)
"""The fields at the top of a record that any shape looks at: of a file in columns no others are read."""
