"""What is read beside a lineage, damaged at random: packs, histories, stored reports, waivers, tokenizer files.

    python -m benchmarks.fuzz_beside [--minutes 60] [--cases N] [--seed 0] [--keep DIR]

As :mod:`benchmarks.fuzz`, which damages the lineage itself: whatever is damaged, the command ends with a documented
exit code other than 3, without a traceback, within --seconds, and what it was given stays as it was.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.fuzz import Outcome, damaged
from collapse_audit.cli import main as audit
from collapse_audit.lineage_cli import main as lineage

_QUICK = ("--independent", "-k", "length or divergence")
_WAIVERS = """\
[[waivers]]
probe = "length"
owner = "the team"
reason = "known"
expires = 2099-01-01
"""
_TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"?": 0, **{f"w{n}": n + 1 for n in range(30)}}, "unk_token": "?"},
}
COMMANDS = {
    "pack.npz": ("later", *_QUICK, "--baseline", "pack.npz"),
    "history.jsonl": ("runs", *_QUICK, "--history", "history.jsonl"),
    "report.json": (
        "render",
        "report.json",
        "--text",
        "--md",
        "page.md",
        "--html",
        "page.html",
        "--junitxml",
        "page.xml",
    ),
    "other.json": ("compare", "report.json", "other.json"),
    "settings.toml": ("runs", *_QUICK, "--config", "settings.toml"),
    "tokenizer.json": ("runs", *_QUICK, "--tokens", "hf:tokenizer.json"),
}
"""File that is damaged -> the command that reads it, run in the folder that holds it."""


def write_beside(folder: Path) -> None:
    """Two lineages, and a file of each kind that a command reads beside one."""
    for name, generations in (("runs", (0, 1)), ("later", (1,))):
        (folder / name).mkdir(parents=True)
        for index in generations:
            draw = random.Random(index)
            texts = (" ".join(f"w{draw.randrange(30)}" for _ in range(9)) for _ in range(220))
            lines = "".join(json.dumps({"text": text, "label": str(k % 3)}) + "\n" for k, text in enumerate(texts))
            (folder / name / f"gen_{index}.jsonl").write_text(lines, encoding="utf-8")
    (folder / "settings.toml").write_text(_WAIVERS, encoding="utf-8")
    (folder / "tokenizer.json").write_text(json.dumps(_TOKENIZER), encoding="utf-8")
    with contextlib.chdir(folder), contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
        lineage(["pack", "runs", "--out", "pack.npz", "--block-size", "5"])
        audit(["runs", *_QUICK, "--history", "history.jsonl", "--report", "reports"])
    shutil.copy(folder / "reports" / "report.json", folder / "report.json")
    shutil.move(folder / "reports" / "report.json", folder / "other.json")
    shutil.rmtree(folder / "reports")


def run_on(folder: Path, name: str) -> Outcome:
    """The command that reads the file called ``name``, in this process."""
    before, output, began = (folder / name).read_bytes(), io.StringIO(), time.monotonic()
    with contextlib.chdir(folder), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            code = audit(list(COMMANDS[name]))
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
    after = (folder / name).read_bytes()
    # A history is there to be written to, by an audit that ends well.
    changed = after != before and (name != "history.jsonl" or code == 4)
    return Outcome(code, output.getvalue(), time.monotonic() - began, changed)


def case(seed: int, whole: Path, folder: Path) -> tuple[str, Outcome]:
    """The damaged file of this seed, and what became of its command."""
    draw = random.Random(seed)
    shutil.copytree(whole, folder)
    name = draw.choice(sorted(COMMANDS))
    (folder / name).write_bytes(damaged((folder / name).read_bytes(), draw))
    return name, run_on(folder, name)


def _run(options: argparse.Namespace) -> int:
    counted: dict[tuple[str, int], int] = {}
    failed, seed, end = 0, options.seed, time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as home:
        write_beside(Path(home) / "whole")
        while time.monotonic() < end and (options.cases is None or seed - options.seed < options.cases):
            folder = Path(home) / "case"
            name, outcome = case(seed, Path(home) / "whole", folder)
            counted[name, outcome.code] = counted.get((name, outcome.code), 0) + 1
            if broken := outcome.broken(options.seconds):
                failed += 1
                print(f"seed {seed}: {broken} ({name}): {outcome.said.strip().splitlines()[-3:]}", flush=True)
                shutil.copytree(folder, options.keep / f"beside_{seed}", dirs_exist_ok=True)
            shutil.rmtree(folder)
            seed += 1
    codes = ", ".join(f"{name}: {count} x exit {code}" for (name, code), count in sorted(counted.items()))
    print(f"{seed - options.seed} cases ({codes}), {failed} broken")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="when to stop (default: 60)")
    parser.add_argument("--cases", type=int, help="how many, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--seconds", type=float, default=20.0, help="that one case may take")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-broken"), help="where broken cases are kept")
    raise SystemExit(_run(parser.parse_args()))
