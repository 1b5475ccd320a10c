"""Damaged Parquet and Arrow files on which the library ended the process: read, or refused in a message.

Each file in ``native/`` is a table of three texts with one byte changed. Looked at as the library offers it, the
statistics abort (SIGABRT) and the offsets lead out of memory (SIGSEGV, SIGBUS), so a process of their own reads them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import open_corpus

FILES = sorted((Path(__file__).parent / "native").iterdir())
READ = """\
import sys
from pathlib import Path
from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.corpus import open_corpus
try:
    list(open_corpus(Path(sys.argv[1])).batches())
except InputError as refused:
    print("refused", refused)
"""


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_a_file_that_ended_the_process_is_read_or_refused_in_a_message(file: Path) -> None:
    done = subprocess.run([sys.executable, "-c", READ, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"refused {file}: found a damaged ")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_text_of_arrow_that_is_no_utf8_is_told_by_its_row(tmp_path: Path, kind: pa.DataType) -> None:
    good = pa.array(["aa", "bb", "cc"], kind)
    file = tmp_path / "a.arrow"
    with pa.ipc.new_stream(file, pa.schema([("text", kind)])) as stream:
        stream.write_batch(pa.record_batch([good], names=["text"]))
    file.write_bytes(file.read_bytes().replace(b"aabbcc", b"aa\xffbcc"))
    with pytest.raises(InputError, match=r"a\.arrow:2: found bad UTF-8"):
        list(open_corpus(file).batches())
