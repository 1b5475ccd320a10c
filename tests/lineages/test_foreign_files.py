"""Every kind of file that programs write is read as it is, and what was taken as the text is said."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collapse_audit.cli import main
from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import Corpus, open_corpus
from collapse_audit.lineages.corpora.readers.fields import Reading
from collapse_audit.lineages.corpora.readers.shapes import GOLD
from tests.lineages.foreign_files import KINDS, PROMPT, lines

TEXTS = [f"Узел {number}, “so”; said 3,5 mm\tthen" for number in range(30)]


def rows(corpus: Corpus) -> list[dict[str, Any]]:
    return [row for batch in corpus.batches() for row in batch.to_pylist()]


def refusal(path: Path, reading: Reading | None = None) -> str:
    with pytest.raises(InputError) as caught:
        open_corpus(path, reading=reading).taken()
    return str(caught.value).replace(str(path.parent), "…")


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_read_as_its_program_writes_it(tmp_path: Path, kind: str) -> None:
    write, taken = KINDS[kind]
    corpus = open_corpus(write(tmp_path, TEXTS))
    read = rows(corpus)
    assert [row["text"] for row in read] == TEXTS
    assert corpus.taken() == (taken, "")
    assert not any("GOLD" in str(row) for row in read)
    if "prompt" in taken or "assistant" in taken:
        asked = {"Describe\nit."} if kind == "alpaca" else {PROMPT, f"Be brief.\n{PROMPT}"}
        assert {row["prompt"] for row in read} <= asked


@pytest.mark.parametrize("kind", KINDS)
def test_one_command_compares_two_of_them(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    write, taken = KINDS[kind]
    for side in ("before", "after"):
        (tmp_path / side).mkdir()
    paths = [str(write(tmp_path / side, [f"{side} {text}" for text in TEXTS])) for side in ("before", "after")]
    code = main([*paths, "--allow-inconclusive", "--independent", "-k", "repetition"])
    out = capsys.readouterr().out
    said = " ".join(out.split())
    assert code in (0, 1)
    assert taken == "text" or f"text = {taken}" in said
    assert out.splitlines()[-1].endswith(f"[exit {code}]")


PROMISED = {
    "JSONL": ["plain"],
    "JSON array": ["JSON array", "JSON object", "Transformers pipeline"],
    "Parquet": ["Parquet of one file", "TRL completions"],
    "sharded Parquet": ["Parquet shards", "Parquet's first shard"],
    "save_to_disk": ["save_to_disk"],
    "CSV": ["CSV"],
    "TSV": ["TSV"],
    "CSV with semicolons and a byte order mark": ["CSV of a European Excel"],
    "text lines": ["text lines"],
    "folder of text or Markdown": ["folder of text files", "folder of Markdown"],
    "packed": ["gzip", "zstd", "xz"],
    "chat messages": ["chat messages"],
    "OpenAI batch": ["OpenAI batch"],
    "ShareGPT": ["ShareGPT", "Axolotl and Unsloth, rows of a chat template"],
    "alpaca": ["alpaca"],
    "prompt and completion": ["prompt and completion", "generated_text"],
    "trainers and servers": ["vLLM RequestOutput", "TRL, conversational", "TRL, standard", "LLaMA-Factory"],
    "lm-eval samples": ["lm-eval samples"],
}
"""The eighteen kinds of files that are promised, and how each is tried here; preference pairs are refused, below."""


def test_every_promised_kind_is_tried_and_every_trial_belongs_to_one() -> None:
    tried = [kind for kinds in PROMISED.values() for kind in kinds]
    assert len(PROMISED) == 18
    assert sorted(tried) == sorted(KINDS)


def test_several_answers_to_a_prompt_are_documents_of_their_own(tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", [{"prompt": "p", "outputs": [{"text": "a"}, {"text": "b"}]}])
    assert [(row["prompt"], row["text"]) for row in rows(open_corpus(path))] == [("p", "a"), ("p", "b")]


def test_the_last_turn_of_the_assistant_is_the_text_and_all_before_it_the_prompt(tmp_path: Path) -> None:
    turns = [("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4"), ("tool", "5")]
    path = lines(tmp_path / "n.jsonl", [{"messages": [{"role": role, "content": said} for role, said in turns]}])
    (row,) = rows(open_corpus(path))
    assert (row["prompt"], row["text"]) == ("1\n2\n3", "4")


def test_a_field_may_be_named_and_of_several_names_the_first_that_is_there_counts(tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", [{"a": {"b": [{"c": "x"}]}, "kind": 3, "who": 7, "q": "p"}])
    reading = Reading(text=("zzz", "a.b[0].c"), label=("kind",), group=("who",), prompt=("q",))
    (row,) = rows(open_corpus(path, reading=reading))
    assert (row["text"], row["labels"], row["group"], row["prompt"]) == ("x", ["3"], "7", "p")


def test_a_named_column_is_read_from_a_table(tmp_path: Path) -> None:
    pq.write_table(pa.table({"mine": ["x"], "other": ["y"]}), tmp_path / "n.parquet")
    assert [row["text"] for row in rows(open_corpus(tmp_path / "n.parquet", reading=Reading(text=("mine",))))] == ["x"]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        pytest.param(
            {"prompt": "p", "chosen": "a", "rejected": "b"},
            "found preference pairs (chosen, rejected); expected the one that holds what the model wrote:"
            " --text chosen or --text rejected [ambiguous-text]",
            id="preference pairs",
        ),
        pytest.param(
            {"instruction": "p", "output": "a", "response": "b"},
            "found several fields that could be the text (output, response); expected the one that holds what the"
            " model wrote: --text output or --text response [ambiguous-text]",
            id="two fields of answers",
        ),
    ],
)
def test_two_possible_texts_are_refused_with_the_options_that_choose(
    tmp_path: Path, record: dict[str, str], said: str
) -> None:
    assert refusal(lines(tmp_path / "n.jsonl", [record])) == f"…/n.jsonl: {said}"


def test_the_refusal_prints_the_whole_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(lines(tmp_path / "n.jsonl", [{"chosen": "a", "rejected": "b"}]))
    other = str(lines(tmp_path / "m.jsonl", [{"chosen": "a", "rejected": "b"}]))
    assert main([path, other, "--seed", "3"]) == 4
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert "as in 1 more file" in said[0]
    assert said[1:] == [f"    collapse-audit {path} {other} --seed 3 --text {name}" for name in ("chosen", "rejected")]


def test_a_field_that_no_record_has_is_refused_with_a_near_one(tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", [{"respons": "a", "target": "b"}])
    assert refusal(path, Reading(text=("response",))) == (
        "…/n.jsonl: found no field response (fields: respons, target); expected a field of the records for --text;"
        " did you mean --text respons? [no-field]"
    )


@pytest.mark.parametrize("name", sorted(GOLD))
def test_no_hint_leads_to_the_right_answer(tmp_path: Path, name: str) -> None:
    path = lines(tmp_path / "n.jsonl", [{name: "a", "id": "1"}])
    with pytest.raises(InputError) as caught:
        list(open_corpus(path).batches())
    assert all(
        "--text" not in problem.expected and "rename" not in problem.expected for problem in caught.value.problems
    )
    assert "--text " + name not in refusal(path, Reading(text=(name + "x",)))


def test_a_right_answer_that_is_named_is_read_with_a_warning(tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", [{"target": "a"}])
    taken, doubt = open_corpus(path, reading=Reading(text=("target",))).taken()
    assert (taken, doubt) == ("target", '"target" is taken as the text, and is called like the right answer')


def test_likelihoods_of_choices_are_no_text(tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", [{"doc": {}, "target": 0, "resps": [[[-1.5, False]]]}])
    with pytest.raises(InputError) as caught:
        list(open_corpus(path).batches())
    assert [problem.slug for problem in caught.value.problems] == ["missing-text"]


PROSE = (
    "It was a bright cold day in the spring, and the clocks were\nstriking thirteen while he went on towards the old\n"
)


@pytest.mark.parametrize(
    ("text", "against"),
    [
        pytest.param("# One\n\nwords\n\n## Two\n\nwords\n" * 5, "headings", id="headings"),
        pytest.param("a paragraph of words.\n\n" * 20, "blank lines between paragraphs", id="blank lines"),
        pytest.param(PROSE * 20, "lines that are wrapped at one width", id="wrapped"),
        pytest.param("A sentence is here. It ends.\nShort one.\n" * 20, "", id="a sentence a line"),
        pytest.param("a\n\n\n\n\n\nb\n" * 10, "", id="empty documents"),
    ],
)
def test_lines_that_are_no_documents_are_doubted(tmp_path: Path, text: str, against: str) -> None:
    (tmp_path / "n.txt").write_text(text, "utf-8")
    doubt = open_corpus(tmp_path / "n.txt").taken()[1]
    wanted = f"each line is taken as a document, but there are {against}: see --documents" if against else ""
    assert doubt == wanted


def test_documents_may_be_paragraphs_or_whole_files(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("a\nb\n\n\nc \n", "utf-8")

    def read(documents: str) -> list[str]:
        return [row["text"] for row in rows(open_corpus(tmp_path / "n.txt", reading=Reading(documents=documents)))]

    assert read("lines") == ["a", "b", "", "", "c "]
    assert read("paragraphs") == ["a b", "c"]
    assert read("files") == ["a\nb\n\n\nc "]


def test_an_answer_that_lm_eval_lists_under_every_filter_is_one_document(tmp_path: Path) -> None:
    """Two filters over two documents make four records; the answers are two."""
    sample = {"doc": {}, "target": "g", "arguments": {"gen_args_0": {"arg_0": "p"}}}
    records = [{**sample, "resps": [[text]], "filter": name} for name in ("strict", "flexible") for text in ("a", "b")]
    corpus = open_corpus(lines(tmp_path / "n.jsonl", records))
    assert [row["text"] for row in rows(corpus)] == ["a", "b"]
    assert corpus.taken()[0].endswith(", of the filter 'strict'")


def test_a_batch_of_openai_responses_is_read(tmp_path: Path) -> None:
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
    output = [{"type": "reasoning", "id": "r", "summary": []}, message]
    record = {"custom_id": "1", "response": {"status_code": 200, "body": {"object": "response", "output": output}}}
    corpus = open_corpus(lines(tmp_path / "n.jsonl", [record]))
    assert [row["text"] for row in rows(corpus)] == ["x"]
    assert corpus.taken() == ("response.body.output[*].content", "")


def test_a_failed_request_of_a_batch_is_called_one(tmp_path: Path) -> None:
    answer = {"message": {"role": "assistant", "content": "x"}}
    good = {"response": {"status_code": 200, "body": {"choices": [answer]}}, "error": None}
    bad = {"response": {"status_code": 429, "body": {"error": {"message": "slow down"}}}, "error": {"code": "rate"}}
    with pytest.raises(InputError) as caught:
        list(open_corpus(lines(tmp_path / "n.jsonl", [good, bad])).batches())
    (problem,) = caught.value.problems
    assert (problem.line, problem.found) == (2, "a failed request (status 429)")


def test_where_no_name_tells_the_fields_that_hold_words_are_named_the_longest_first(tmp_path: Path) -> None:
    record = {
        "id": "a long name of the record",
        "q": "short",
        "befund": "what the model wrote",
        "answer": "gold gold gold gold",
    }
    with pytest.raises(InputError) as caught:
        list(open_corpus(lines(tmp_path / "n.jsonl", [record])).batches())
    assert caught.value.problems[0].expected == 'a "text", or the name of what is one: --text befund or --text q'


def test_a_table_without_names_of_columns_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text('"A text that stands where the name of a column should stand",1\n"another",2\n')
    with pytest.raises(InputError) as caught:
        list(open_corpus(tmp_path / "n.csv").batches())
    assert caught.value.problems[0].expected == 'a "text", and in a table the names of its columns in the first row'


@pytest.mark.parametrize("name", ["n.JSONL", "n.Jsonl.GZ"])
def test_the_end_of_a_name_may_be_written_in_capitals(tmp_path: Path, name: str) -> None:
    data = b'{"text": "x"}\n'
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("GZ") else data)
    assert [row["text"] for row in rows(open_corpus(tmp_path / name))] == ["x"]


def test_one_wrong_encoding_is_one_message(tmp_path: Path) -> None:
    """The same byte at other places of other lines."""
    (tmp_path / "n.txt").write_bytes(b"".join(b"x" * n + "Описание узла\n".encode("cp1251") for n in range(50)))
    with pytest.raises(InputError) as caught:
        list(open_corpus(tmp_path / "n.txt").batches())
    (problem,) = caught.value.problems
    assert "and 49 more like it (line 2, 3, 4, …)" in problem.found


def test_a_data_set_lies_as_on_a_hub(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text("# about it")
    for part in (0, 1):
        pq.write_table(pa.table({"text": [f"{part}"]}), tmp_path / "data" / f"train-{part:05}-of-00002.parquet")
    assert [row["text"] for row in rows(open_corpus(tmp_path))] == ["0", "1"]
