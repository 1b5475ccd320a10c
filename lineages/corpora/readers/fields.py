"""From a record as a program wrote it to the plain form: what is taken as the text, and how it is said.

Which shape a file has is decided once, by its first records; every later record has to have it too.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collapse_audit.lineages.corpora.readers.blocks import Block
from collapse_audit.lineages.corpora.readers.own_fields import own_of_each
from collapse_audit.lineages.corpora.readers.paths import at, spelled
from collapse_audit.lineages.corpora.readers.records import as_score, is_numeric
from collapse_audit.lineages.corpora.readers.shapes import (
    INSTEAD_OF,
    PROMPTS,
    SHAPES,
    Shape,
    is_gold,
)
from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.failures import Unreadable
from collapse_audit.lineages.files.problems import shorten

FIELDS = ("text", "prompt", "label", "group", "numeric", "embedding", "score")
"""What a user may name a field for."""
_LOOKED_AT = 100
_KEPT = ("group", "nll", "n_tokens", "split", "embedding")
_ASSISTANT = frozenset({"assistant", "gpt", "model", "bot", "chatgpt", "ai"})
_TOOLS = frozenset({"tool", "function", "observation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a user says of how a corpus is to be read; what is left empty is told from the file."""

    text: tuple[str, ...] = ()
    """Paths; of several, the first that the records of a file have counts."""
    prompt: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    """Of numbers in place of a text."""
    embedding: tuple[str, ...] = ()
    """Of a text's sentence embedding."""
    score: tuple[str, ...] = ()
    """Of how right a text is as an answer."""
    documents: str = ""
    """Of plain text: ``lines``, ``paragraphs`` or ``files``."""

    @property
    def names_fields(self) -> bool:
        """Whether any field is named."""
        return any(getattr(self, name) for name in FIELDS)


def reading_of(fields: Mapping[str, Any], documents: str = "") -> Reading:
    """Of a ``[fields]`` table: each a path, or a list of paths."""
    named = {name: (value,) if isinstance(value, str) else tuple(value) for name, value in fields.items()}
    return Reading(**named, documents=documents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """How the records of one file become records in the plain form."""

    text: str
    prompt: tuple[tuple[str, ...], ...] = ()
    label: str = ""
    group: str = ""
    numeric: str = ""
    """The path of numbers, which stand in place of a text."""
    embedding: str = ""
    """The path of embeddings, where one is named."""
    score: str = ""
    """The path of scores, where one is named."""
    labels: bool = True
    """Whether ``label`` and ``labels`` beside the text are taken, where no field is named."""
    plain: bool = False
    """The text stands in ``text``: every other field keeps its meaning."""
    only: str = ""
    """Records of lm-eval's other filters are left out: they hold the same answers once more."""
    spelled: str = ""
    """The text, and the prompt, as the report names them."""

    def apply(self, block: Block) -> Block:
        """The block's documents in the plain form; a record without a text becomes a Broken."""
        files: list[str] = []
        lines: list[int | None] = []
        records: list[Any] = []
        for file, line, record in block.places():
            if self.only and isinstance(record, dict) and _filter_of(record) not in ("", self.only):
                continue
            made = list(self._documents(record)) if isinstance(record, dict) else [record]
            files += [file or ""] * len(made)
            lines += [line] * len(made)
            records += made
        return Block(lines=lines, records=records, files=files if block.files is not None else None)

    def _documents(self, record: Mapping[str, Any]) -> Iterator[Any]:
        texts = list(at(record, self.numeric or self.text))
        if not texts:
            if (failed := _failed(record)) is not None:
                yield failed
                return
            keys = ", ".join(f'"{str(key)[:40]}"' for key in list(record)[:10]) or "none"
            path, what = (self.numeric, "a number, or a list of them,") if self.numeric else (self.text, "a text")
            slug = "missing-numeric" if self.numeric else "missing-text"
            yield Broken(found=f'no "{path}" (keys: {keys})', expected=f"{what} there", slug=slug)
            return
        shared = self._shared(record)
        if self.numeric:
            yield {**shared, "numeric": texts[0]}
            return
        documents = [document for value in texts for document in _read(value)]
        own = own_of_each(shared, len(documents))
        if isinstance(own, Broken):
            yield own
            return
        for place, document in enumerate(documents):
            if isinstance(document, Broken):
                yield document
                continue
            text, before = document
            prompt = shared.get("prompt", before)
            made = {**shared, **own[place], "text": text, **({} if prompt is None else {"prompt": prompt})}
            score = made.get("score") if self.score else None
            if score is not None and as_score(score) is None:
                yield Broken(
                    found=f"the score {shorten(score)}", expected="a number, true or false, or null", slug="bad-score"
                )
                continue
            yield made

    def _shared(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """What all documents of one record have in common."""
        if self.plain:
            made = {name: value for name, value in record.items() if name != "text"}
        else:
            made = {name: record[name] for name in _KEPT if record.get(name) is not None}
            for name in ("label", "labels") if self.labels and not self.label else ():
                if isinstance(record.get(name), str | list):
                    made[name] = record[name]
        prompt = _prompt(record, self.prompt)
        if prompt is not None:
            made["prompt"] = prompt
        if self.label:
            made.pop("labels", None)
            made.pop("label", None)
            value = next(at(record, self.label), None)
            made["labels" if isinstance(value, list) else "label"] = _as_label(value)
        if self.group:
            made["group"] = next(at(record, self.group), None)
        if self.embedding:
            made["embedding"] = next(at(record, self.embedding), None)
        if self.score:
            made["score"] = next(at(record, self.score), None)
        return made


def extraction(records: Sequence[Any], reading: Reading) -> Extraction | None:
    """How records such as these (the first of a file) are read; None where they have the plain form already.

    Raises Unreadable where the user names a field that they do not have, and where two texts are possible.
    """
    known = [record for record in records if isinstance(record, dict)][:_LOOKED_AT]
    if not known or not (reading.names_fields or "text" not in known[0]):
        return None
    made = _where(reading, known)
    return None if made is None else _completed(made, reading, known)


def _where(reading: Reading, known: Sequence[Mapping[str, Any]]) -> Extraction | None:
    """Where the text, or what stands in its place, is; None where nothing is known to be."""
    if reading.text and reading.numeric:
        raise Unreadable("both --text and --numeric", "one of them", "ambiguous-text")
    if numeric := _named("numeric", reading.numeric, known):
        return Extraction(text="", numeric=numeric, prompt=(("prompt",),))
    if text := _named("text", reading.text, known):
        return Extraction(text=text, prompt=PROMPTS, labels=text != "predict", plain=text == "text")
    if "text" in known[0]:
        return Extraction(text="text", plain=True, prompt=(("prompt",),))
    shape = _recognised(known)
    if shape is not None:
        return Extraction(text=shape.text, prompt=shape.prompt, labels=shape.labels)
    if is_numeric(known[0]) and reading.names_fields:
        return Extraction(text="", numeric="numeric", prompt=(("prompt",),))
    return None


def _completed(made: Extraction, reading: Reading, known: Sequence[Mapping[str, Any]]) -> Extraction:
    """With the other fields that the user names, and in words."""
    prompt = _named("prompt", reading.prompt, known)
    prompts = made.prompt if prompt is None else ((prompt,),)
    prompts = tuple(fitting for fitting in prompts if fitting[0].split(".")[0] != made.text.split(".")[0])
    words = _in_words(made.text, known) if made.text else spelled(made.numeric)
    used = next(
        (fitting for fitting in prompts if any(_prompt(record, (fitting,)) is not None for record in known)), None
    )
    if used is not None and not (made.plain and used == ("prompt",)):
        there = [path for path in used if any(True for record in known for _ in at(record, path))]
        words += f" (prompt = {' + '.join(map(spelled, there))})"
    only = next((name for record in known if (name := _filter_of(record))), "")
    if only:
        words += f", of the filter {shorten(only)}"
    return Extraction(
        text=made.text,
        prompt=() if used is None else (used,) if prompt is not None else prompts,
        label=_named("label", reading.label, known) or "",
        group=_named("group", reading.group, known) or "",
        embedding=_named("embedding", reading.embedding, known) or "",
        score=_named("score", reading.score, known) or "",
        numeric=made.numeric,
        labels=made.labels,
        plain=made.plain,
        only=only,
        spelled=words,
    )


def _filter_of(record: Mapping[str, Any]) -> str:
    """The filter that a record of lm-eval's samples was scored under; empty in any other record."""
    name = record.get("filter")
    return name if isinstance(name, str) and "doc" in record and "resps" in record else ""


def _failed(record: Mapping[str, Any]) -> Broken | None:
    """What a record of a batch says where the request failed and there is no answer."""
    status = next(at(record, "response.status_code"), None)
    places = ("error", "response.body.error", "result.error")
    error = any(value for place in places for value in at(record, place))
    if not error and not (isinstance(status, int) and status >= 400):
        return None
    said = f" (status {status})" if isinstance(status, int) and status >= 400 else ""
    return Broken(
        found=f"a failed request{said}",
        expected="an answer in every record: ask again, or leave out on both sides what failed",
        slug="missing-text",
    )


def _recognised(known: Sequence[Mapping[str, Any]]) -> Shape | None:
    """The one shape that fits some of the records. Raises Unreadable where shapes with different texts do."""
    fitting: dict[str, Shape] = {}
    for shape in SHAPES:
        if shape.text not in fitting and any(_fits(shape, record) for record in known):
            fitting[shape.text] = shape
    for text, other in INSTEAD_OF.items():
        if other in fitting:
            fitting.pop(text, None)
    if len(fitting) > 1:
        pairs = {"chosen", "rejected"} <= set(fitting)
        found = "preference pairs" if pairs and len(fitting) == 2 else "several fields that could be the text"
        options = " or ".join(f"--text {text}" for text in fitting)
        raise Unreadable(
            f"{found} ({', '.join(fitting)})",
            f"the one that holds what the model wrote: {options}",
            "ambiguous-text",
        )
    return next(iter(fitting.values()), None)


def _fits(shape: Shape, record: Mapping[str, Any]) -> bool:
    if not all(any(True for _ in at(record, key)) for key in shape.keys):
        return False
    value = next(at(record, shape.text), None)
    if isinstance(value, str):
        return True
    if not isinstance(value, list) or not value:
        return False
    if _is_conversation(value):
        turns = [turn for turn in value if _role(turn) not in _TOOLS]
        return bool(turns) and _role(turns[-1]) in _ASSISTANT
    return all(isinstance(part, str) for part in value) or _is_parts(value)


def _named(what: str, paths: Sequence[str], known: Sequence[Mapping[str, Any]]) -> str | None:
    """The first of the paths that any of the records has; None where none is named. Raises Unreadable otherwise."""
    for path in paths:
        if any(True for record in known for _ in at(record, path)):
            return path
    if not paths:
        return None
    have = sorted({field for record in known[:10] for field in _fields_of(record)})
    close = difflib.get_close_matches(paths[0], [name for name in have if what != "text" or not is_gold(name)], n=1)
    hint = f"; did you mean --{what} {close[0]}?" if close else ""
    shown = ", ".join(have[:12]) or "none"
    raise Unreadable(
        f"no field {' or '.join(paths)} (fields: {shown})", f"a field of the records for --{what}{hint}", "no-field"
    )


def _fields_of(record: Mapping[str, Any]) -> Iterator[str]:
    """The fields of a record, and one level below."""
    for key, value in list(record.items())[:50]:
        yield str(key)
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in list(value)[:10])


def _read(value: Any) -> Iterator[tuple[str, str | None] | Broken]:
    """The documents at a text's place, each with the prompt that precedes it in a conversation."""
    if isinstance(value, str):
        yield value, None
    elif isinstance(value, list) and _is_conversation(value):
        yield _answer(value)
    elif isinstance(value, list) and value and all(isinstance(text, str) for text in value):
        yield from ((text, None) for text in value)
    elif isinstance(value, list) and _is_parts(value):
        yield _content(value) or "", None
    else:
        said = "null" if value is None else shorten(value)
        yield Broken(found=f"{said} where the text should stand", expected="a string", slug="bad-text")


def _answer(turns: Sequence[Mapping[str, Any]]) -> tuple[str, str | None] | Broken:
    last = next((at for at in range(len(turns) - 1, -1, -1) if _role(turns[at]) in _ASSISTANT), None)
    if last is None:
        roles = ", ".join(dict.fromkeys(_role(turn) for turn in turns))
        found = f"a conversation without a turn of the assistant (roles: {roles})"
        return Broken(found=found, expected="an answer", slug="missing-text")
    text = _content(turns[last].get("content", turns[last].get("value")))
    if text is None:
        return Broken(found="a turn of the assistant without text", expected="a string", slug="bad-text")
    return text, _above(turns[:last])


def _above(turns: Sequence[Mapping[str, Any]]) -> str | None:
    said = [_content(turn.get("content", turn.get("value"))) or "" for turn in turns]
    return "\n".join(said) if said else None


def _is_conversation(value: Sequence[Any]) -> bool:
    return bool(value) and all(
        isinstance(turn, dict) and (("role" in turn and "content" in turn) or ("from" in turn and "value" in turn))
        for turn in value
    )


def _is_parts(value: Sequence[Any]) -> bool:
    """The parts of one message, some of which are text."""
    return all(isinstance(part, dict) for part in value) and any(isinstance(part.get("text"), str) for part in value)


def _content(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and _is_parts(value):
        return "".join(part["text"] for part in value if isinstance(part.get("text"), str))
    return None


def _role(turn: Mapping[str, Any]) -> str:
    return str(turn.get("role", turn.get("from"))).casefold()


def _prompt(record: Mapping[str, Any], alternatives: Sequence[tuple[str, ...]]) -> Any:
    """What the first alternative that the record has says, as one string; anything else as it stands."""
    for paths in alternatives:
        values = [next(at(record, path), None) for path in paths]
        said = [prompt for prompt in map(_as_prompt, values) if prompt not in (None, "")]
        if values[0] is not None and said:
            return "\n".join(said) if all(isinstance(prompt, str) for prompt in said) else said[0]
    return None


def _as_prompt(value: Any) -> Any:
    if isinstance(value, list) and _is_conversation(value):
        return _above(value)
    return value


def _as_label(value: Any) -> Any:
    """A class that is a number is called by its digits, where the user names the field of the classes."""
    if isinstance(value, list):
        return [_as_label(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else value


def _in_words(path: str, known: Sequence[Mapping[str, Any]]) -> str:
    value = next((value for record in known for value in at(record, path)), None)
    if isinstance(value, list) and _is_conversation(value):
        inner = "content" if "content" in value[0] else "value"
        return f"{spelled(path)}[-1].{inner} of the assistant"
    return spelled(path) + ("[*]" if isinstance(value, list) and not _is_parts(value) else "")
