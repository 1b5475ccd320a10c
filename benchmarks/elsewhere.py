"""What a file costs that a URL names, beside the same file on the disk.

    python -m benchmarks.elsewhere [--records N]

Records of 40 words, as JSON lines and as Parquet, served over loopback by the standard library in a process of its own.
Printed are processor seconds (and in brackets wall-clock seconds) of the digest and of the reading.
The connection costs nothing here: whatever yours takes comes on top, twice.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from collapse_audit.lineages.corpora.named import open_named
from collapse_audit.lineages.files.remote import fetching

_WORDS = [f"word{number}" for number in range(5000)]
_SERVE = """
import http.server, sys
quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: quiet(*given, directory=sys.argv[1]))
print(server.server_port, flush=True)
server.serve_forever()
"""


def make(folder: Path, records: int) -> list[Path]:
    """The same records in two formats."""
    rng = random.Random(0)
    made = [{"id": str(number), "text": " ".join(rng.choices(_WORDS, k=40))} for number in range(records)]
    lines, table = folder / "texts.jsonl", folder / "texts.parquet"
    with lines.open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(record)}\n" for record in made)
    pq.write_table(pa.Table.from_pylist(made), table)
    return [lines, table]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL under which the folder is served."""
    server = subprocess.Popen([sys.executable, "-c", _SERVE, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()


def measure(name: str) -> str:
    """One line of the table."""
    with fetching():
        wall, cpu = time.perf_counter(), time.process_time()
        corpus = open_named(name)
        opened_wall, opened_cpu = time.perf_counter(), time.process_time()
        count = sum(len(batch) for batch in corpus.batches())
        read_wall, read_cpu = time.perf_counter(), time.process_time()
    digest = f"{opened_cpu - cpu:.2f} s ({opened_wall - wall:.2f})"
    return f"| {name} | {count:,} | {digest} | {read_cpu - opened_cpu:.2f} s ({read_wall - opened_wall:.2f}) |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=300_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        files = make(Path(place), options.records)
        print("| file | records | digest, processor (wall clock) | reading |\n|---|---|---|---|")
        with served(Path(place)) as url:
            for file in files:
                for name in (str(file), f"{url}/{file.name}"):
                    print(measure(name).replace(f"{place}/", ""))


if __name__ == "__main__":
    main()
