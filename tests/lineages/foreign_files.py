"""Files as other programs write them, each made here the way its program does: what they hold is known."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Write = Callable[[Path, Sequence[str]], Path]
"""Writes the texts into a folder as one program does; returns the path that a user would name."""

PROMPT = "Describe the finding."


def lines(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


def _jsonl(name: str, record: Callable[[int, str], Any]) -> Write:
    def write(folder: Path, texts: Sequence[str]) -> Path:
        return lines(folder / name, [record(number, text) for number, text in enumerate(texts)])

    return write


def _openai_batch(number: int, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    body = {"id": f"chatcmpl-{number}", "object": "chat.completion", "choices": [{"index": 0, "message": message}]}
    return {
        "id": f"batch_req_{number}",
        "custom_id": f"request-{number}",
        "response": {"status_code": 200, "request_id": f"r{number}", "body": body},
        "error": None,
    }


def _lm_eval(number: int, text: str) -> dict[str, Any]:
    return {
        "doc_id": number,
        "doc": {"question": PROMPT, "answer": "GOLD"},
        "target": "GOLD",
        "arguments": {"gen_args_0": {"arg_0": PROMPT, "arg_1": {"until": ["\n"]}}},
        "resps": [[text]],
        "filtered_resps": [text[:3]],
        "exact_match": 0.0,
    }


def _conversation(number: int, text: str) -> dict[str, Any]:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPT}]
    return {"messages": [*turns, {"role": "assistant", "content": text}], "source": number}


def _sharegpt(number: int, text: str) -> dict[str, Any]:
    return {"id": f"c{number}", "conversations": [{"from": "human", "value": PROMPT}, {"from": "gpt", "value": text}]}


def _vllm(number: int, text: str) -> dict[str, Any]:
    output = {"index": 0, "text": text, "token_ids": [1, 2], "finish_reason": "stop"}
    return {"request_id": str(number), "prompt": PROMPT, "prompt_token_ids": [5], "outputs": [output], "finished": True}


def _packed(pack: Callable[[bytes], bytes], suffix: str) -> Write:
    def write(folder: Path, texts: Sequence[str]) -> Path:
        path = folder / f"out.jsonl{suffix}"
        path.write_bytes(pack("".join(json.dumps({"text": text}) + "\n" for text in texts).encode()))
        return path

    return write


def _zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


def _array(folder: Path, texts: Sequence[str]) -> Path:
    path = folder / "out.json"
    path.write_text(json.dumps([{"prompt": PROMPT, "response": text} for text in texts], indent=2), "utf-8")
    return path


def _object(folder: Path, texts: Sequence[str]) -> Path:
    path = folder / "out.json"
    data = [{"instruction": PROMPT, "output": text, "generator": "m"} for text in texts]
    path.write_text(json.dumps({"version": 3, "tags": [], "data": data, "total": len(data)}), "utf-8")
    return path


def _pipeline(folder: Path, texts: Sequence[str]) -> Path:
    path = folder / "out.json"
    path.write_text(json.dumps([[{"generated_text": text}] for text in texts]), "utf-8")
    return path


def _table(texts: Sequence[str]) -> pa.Table:
    prompts = [[{"role": "user", "content": PROMPT}]] * len(texts)
    answers = [[{"role": "assistant", "content": text}] for text in texts]
    return pa.table({"step": [7] * len(texts), "prompt": prompts, "completion": answers, "reward": [0.5] * len(texts)})


def _parquet(folder: Path, texts: Sequence[str]) -> Path:
    pq.write_table(_table(texts), folder / "completions_00007.parquet")
    return folder / "completions_00007.parquet"


def _user() -> dict[str, str]:
    return {"role": "user", "content": PROMPT}


def _said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _sharegpt_table(folder: Path, texts: Sequence[str]) -> Path:
    """Axolotl's prepared rows, and what Unsloth's notebooks save: Parquet of lists of structs."""
    turns = [[{"from": "human", "value": PROMPT}, {"from": "gpt", "value": text}] for text in texts]
    pq.write_table(pa.table({"conversations": turns, "length": [7] * len(texts)}), folder / "rows.parquet")
    return folder / "rows.parquet"


def _one_table(folder: Path, texts: Sequence[str]) -> Path:
    pq.write_table(pa.table({"text": list(texts)}), folder / "out.parquet")
    return folder / "out.parquet"


def _shards(folder: Path, texts: Sequence[str]) -> Path:
    (folder / "shards").mkdir()
    for number in range(3):
        part = pa.table({"text": list(texts[number * len(texts) // 3 : (number + 1) * len(texts) // 3])})
        pq.write_table(part, folder / "shards" / f"train-{number:05}-of-00003.parquet")
    return folder / "shards"


def _first_shard(folder: Path, texts: Sequence[str]) -> Path:
    return _shards(folder, texts) / "train-00000-of-00003.parquet"


def _save_to_disk(folder: Path, texts: Sequence[str]) -> Path:
    home = folder / "saved"
    home.mkdir()
    half = len(texts) // 2
    names = []
    for number, part in enumerate((texts[:half], texts[half:])):
        names.append(f"data-{number:05}-of-00002.arrow")
        table = pa.table({"text": list(part)})
        with pa.OSFile(str(home / names[-1]), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    (home / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}), "utf-8")
    (home / "dataset_info.json").write_text("{}", "utf-8")
    return home


def _csv(name: str, delimiter: str, *, encoding: str = "utf-8", end: str = "\n") -> Write:
    def write(folder: Path, texts: Sequence[str]) -> Path:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
        writer.writerow(["id", "prompt", "response", "score"])
        writer.writerows([number, PROMPT, text, "1,5"] for number, text in enumerate(texts))
        (folder / name).write_bytes(out.getvalue().encode(encoding))
        return folder / name

    return write


def _txt(folder: Path, texts: Sequence[str]) -> Path:
    (folder / "out.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")
    return folder / "out.txt"


def _documents(suffix: str) -> Write:
    def write(folder: Path, texts: Sequence[str]) -> Path:
        home = folder / "essays"
        home.mkdir()
        for number, text in enumerate(texts):
            (home / f"essay-{number}{suffix}").write_text(f"{text}\n", "utf-8")
        return home

    return write


KINDS: dict[str, tuple[Write, str]] = {
    "plain": (_jsonl("out.jsonl", lambda _, text: {"text": text}), "text"),
    "chat messages": (_jsonl("chat.jsonl", _conversation), "messages[-1].content of the assistant"),
    "OpenAI batch": (_jsonl("batch_output.jsonl", _openai_batch), "response.body.choices[*].message.content"),
    "ShareGPT": (_jsonl("sharegpt.jsonl", _sharegpt), "conversations[-1].value of the assistant"),
    "alpaca": (
        _jsonl("alpaca.jsonl", lambda _, text: {"instruction": "Describe", "input": "it.", "output": text}),
        "output (prompt = instruction + input)",
    ),
    "prompt and completion": (
        _jsonl("sft.jsonl", lambda _, text: {"prompt": PROMPT, "completion": text}),
        "completion (prompt = prompt)",
    ),
    "generated_text": (
        _jsonl("vllm_offline.jsonl", lambda _, text: {"prompt": PROMPT, "generated_text": text}),
        "generated_text (prompt = prompt)",
    ),
    "vLLM RequestOutput": (_jsonl("requests.jsonl", _vllm), "outputs[*].text (prompt = prompt)"),
    "lm-eval samples": (
        _jsonl("samples_gsm8k.jsonl", _lm_eval),
        "resps[0][*] (prompt = arguments.gen_args_0.arg_0)",
    ),
    "LLaMA-Factory": (
        _jsonl("generated_predictions.jsonl", lambda _, text: {"prompt": PROMPT, "predict": text, "label": "GOLD"}),
        "predict (prompt = prompt)",
    ),
    "JSON array": (_array, "response (prompt = prompt)"),
    "JSON object": (_object, "output (prompt = instruction)"),
    "Transformers pipeline": (_pipeline, "generated_text"),
    "TRL completions": (_parquet, "completion[-1].content of the assistant (prompt = prompt)"),
    "Axolotl and Unsloth, rows of a chat template": (_sharegpt_table, "conversations[-1].value of the assistant"),
    "TRL, conversational": (
        _jsonl("trl.jsonl", lambda _, text: {"prompt": [_user()], "completion": [_said(text)]}),
        "completion[-1].content of the assistant (prompt = prompt)",
    ),
    "TRL, standard": (
        _jsonl("trl.jsonl", lambda _, text: {"prompt": PROMPT, "completion": text}),
        "completion (prompt = prompt)",
    ),
    "Parquet of one file": (_one_table, "text"),
    "Parquet shards": (_shards, "text"),
    "Parquet's first shard": (_first_shard, "text"),
    "save_to_disk": (_save_to_disk, "text"),
    "CSV": (_csv("out.csv", ","), "response (prompt = prompt)"),
    "CSV of a European Excel": (
        _csv("out.csv", ";", encoding="utf-8-sig", end="\r\n"),
        "response (prompt = prompt)",
    ),
    "TSV": (_csv("out.tsv", "\t"), "response (prompt = prompt)"),
    "text lines": (_txt, "each line"),
    "folder of text files": (_documents(".txt"), "each file"),
    "folder of Markdown": (_documents(".md"), "each file"),
    "gzip": (_packed(gzip.compress, ".gz"), "text"),
    "zstd": (_packed(_zstd, ".zst"), "text"),
    "xz": (_packed(lzma.compress, ".xz"), "text"),
}
"""What a program is called -> how it writes, and what is taken as the text."""
