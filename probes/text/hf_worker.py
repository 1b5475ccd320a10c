"""Cuts texts with a Hugging Face tokenizer, in a process of its own: ``tokens.py`` runs this file by its path.

Standard input is an Arrow stream with one column of texts. Standard output is three streams of one column each: the ids
of every text, the ids that were used in ascending order, and their spellings. Without a text only the file is read.
"""

from __future__ import annotations

import json
import sys


def confine(settings: str) -> None:
    """Take the parent's import path, and never more than the parent's limit of memory."""
    limits = json.loads(settings)
    sys.path[:] = limits["path"]
    try:
        import resource
    except ImportError:  # Windows: time is limited, memory is not
        return
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory"], limits["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(file: str) -> None:
    """Read texts, write ids and the vocabulary that they use."""
    import pyarrow as pa
    from tokenizers import Tokenizer

    with open(file, encoding="utf-8") as opened:  # noqa: PTH123 - no pathlib before the limits hold
        fast = Tokenizer.from_str(opened.read())
    fast.no_truncation()
    fast.no_padding()
    ids: list[list[int]] = []
    for batch in pa.ipc.open_stream(sys.stdin.buffer):
        texts = batch.column(0).to_pylist()
        # Only ids: encode_batch_fast leaves the encodings' own strings and offsets empty.
        ids += [encoding.ids for encoding in fast.encode_batch_fast(texts, add_special_tokens=False)]
    used = sorted({i for row in ids for i in row})
    for name, column in (
        ("ids", pa.array(ids, pa.large_list(pa.int64()))),
        ("used", pa.array(used, pa.int64())),
        ("vocabulary", pa.array([fast.id_to_token(i) or f"<{i}>" for i in used], pa.large_string())),
    ):
        batch = pa.RecordBatch.from_arrays([column], names=[name])
        with pa.ipc.new_stream(sys.stdout.buffer, batch.schema) as stream:
            stream.write_batch(batch)


if __name__ == "__main__":
    confine(sys.argv[1])
    main(sys.argv[2])
