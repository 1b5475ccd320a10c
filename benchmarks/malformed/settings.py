"""Manifests and settings: keys of other types, numbers that nothing holds, nesting, and what no lineage may decide."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.malformed.case import AUDIT, READ_OR_REFUSED, Case, added, changed, put

VALUES = {
    "400 hexadecimal digits": f"0x{'f' * 400}",
    "5,000 digits": "9" * 5000,
    "65 bits": "18446744073709551616",
    "a negative number": "-1",
    "a fraction": "1.5",
    "infinity": "inf",
    "no number": "nan",
    "a date": "1970-01-01",
    "a boolean": "true",
    "a list 100 deep": "[" * 100 + "]" * 100,
    "a list 3,000 deep": "[" * 3000 + "]" * 3000,
    "a table 70 deep": "{a=" * 70 + "1" + "}" * 70,
    "half a surrogate pair": '"\\uD800"',
    "an empty string": '""',
    "a table": "{a = 1}",
    "a list": '[1, "a"]',
}
_NO_TYPE = frozenset({"a negative number", "an empty string"})
"""Values that are of the right type somewhere."""
_HEAD = ("format", "name", "scheme", "labels", "fields", "reference", "audit")
_ENTRY = (
    *("seed", "index", "texts", "holdout", "control", "training", "texts_digest", "trained_on", "init_from"),
    *("decoding", "model", "software", "adapter", "train_log", "lm_eval", "concentration"),
)
_FREE = frozenset({"decoding", "model", "software"})
"""Tables that may hold anything that TOML can."""
_FITS = {
    "seed": {"a negative number"},
    "audit": {"a table"},
    "fields": set[str](),
    "trained_on": set[str](),
    **{key: {"a table"} for key in _FREE},
}


def cases() -> Iterator[Case]:
    """Every case of this file."""
    yield from _manifest_keys()
    yield from _manifests()
    yield from _settings_keys()
    yield from _not_a_lineages()
    yield from _regexes()
    yield from _users_settings()


def _manifest_keys() -> Iterator[Case]:
    for number, key in enumerate((*_HEAD, *_ENTRY)):
        for place, (what, value) in enumerate(VALUES.items()):
            if what in _FITS.get(key, ()) or (place + number) % 2:  # every other one of this table is enough
                continue
            yield Case(
                name=f"lineage.toml: {key} is {what}",
                damage=changed("runs/lineage.toml", partial(_with_key, key=key, value=value)),
                says=("lineage.toml",),
            )


def _with_key(manifest: bytes, *, key: str, value: str) -> bytes:
    """The key with this value: in the head, or in the second generation."""
    line = f"{key} = {value}".encode()
    if key in _HEAD:
        kept = [each for each in manifest.split(b"\n") if not each.startswith(f"{key} =".encode())]
        return b"\n".join([line, *kept])
    entries = manifest.split(b"\n[[generation]]\n")
    lines = [each for each in entries[2].split(b"\n") if not each.startswith(f"{key} =".encode())]
    entries[2] = b"\n".join([line, *lines])
    return b"\n[[generation]]\n".join(entries)


def _manifests() -> Iterator[Case]:
    dotted = "".join(f"a{k}.b.c = 1\n" for k in range(70_000))
    entry = '[[generation]]\nindex = {}\ntexts = "gen_0/texts.jsonl"\n'
    for what, content in {
        "200,000 dotted keys": f'format = 1\nname = "x"\n{dotted}',
        "one key of 100,000 parts": f'format = 1\nname = "x"\n{"a." * 99_999}a = 1\n',
        "20,000 entries": 'format = 1\nname = "x"\n' + "".join(entry.format(k) for k in range(20_000)),
        "3,000 entries": 'format = 1\nname = "x"\n' + "".join(entry.format(k) for k in range(3000)),
        "2 MB": f'format = 1\nname = "{"x" * 2_000_000}"\n',
        "no entry": 'format = 1\nname = "x"\n',
        "nothing": "",
        "no TOML": "\0\1\2",
        "a key twice": 'format = 1\nformat = 1\nname = "x"\n',
        "a newer format": 'format = 2\nname = "x"\n',
        "an unknown key": 'format = 1\nname = "x"\nmargins = 1\n',
        "an entry twice": 'format = 1\nname = "x"\n' + entry.format(0) * 2,
        "3,000 tables nested by headers": 'format = 1\nname = "x"\n[' + ".".join("a" * 3000) + "]\n",
    }.items():
        yield Case(name=f"lineage.toml: {what}", damage=put("runs/lineage.toml", content), says=("lineage.toml",))
    for what, bad in {"bad UTF-8": b"\xff", "UTF-16": "x = 1".encode("utf-16"), "NUL": b"\0"}.items():
        yield Case(
            name=f"lineage.toml: ends in {what}",
            damage=added("runs/lineage.toml", bad),
            says=("lineage.toml",),
        )
    for path in ("../outside.jsonl", "/etc/passwd", "/dev/zero", "gen_0/../../x.jsonl", "C:\\\\x.jsonl", "nul"):
        yield Case(
            name=f"lineage.toml: texts lie at {path}",
            damage=changed("runs/lineage.toml", partial(_with_key, key="texts", value=f'"{path}"')),
            says=("lineage.toml",),
        )
    for key in ("adapter", "train_log", "lm_eval", "concentration", "holdout", "control", "training"):
        for path in ("../../outside", "/dev/zero"):
            yield Case(
                name=f"lineage.toml: {key} lies at {path}",
                damage=changed("runs/lineage.toml", partial(_with_key, key=key, value=f'"{path}"')),
                says=("lineage.toml",),
            )


def _settings_keys() -> Iterator[Case]:
    """What a lineage may set, set to what it cannot be."""
    for number, key in enumerate(("labels", "tokens", "unit", "documents", "fields", "fields.text")):
        for place, (what, value) in enumerate(VALUES.items()):
            if (place + number) % 2 or (key == "documents" and what == "an empty string"):
                continue
            yield Case(
                name=f"collapse-audit.toml: {key} is {what}",
                damage=put("runs/collapse-audit.toml", f"{key} = {value}\n"),
                says=("collapse-audit.toml",),
            )


def _not_a_lineages() -> Iterator[Case]:
    """What a lineage never decides, in the two places where it may describe itself."""
    settings = {
        "alpha": "0.5",
        "allow_inconclusive": "true",
        "max_documents": "1",
        "permutations": "999",
        "baseline": '"previous"',
        "independent": "true",
        "evidence": '"texts"',
        "anytime": "true",
        "gate_trend": "false",
        "fail_on_change": "false",
        "seed": "7",
        "labels": '"none"',
        "probes.length.enabled": "false",
        "probes.tail-mass.margin": "0.001",
        "waivers": "[]",
        "history": '"h.jsonl"',
    }
    for key, value in settings.items():
        yield Case(
            name=f"collapse-audit.toml decides {key}",
            damage=put("runs/collapse-audit.toml", f"{key} = {value}\n"),
            says=(f"collapse-audit.toml: {key.partition('.')[0]}",),
        )
        yield Case(
            name=f"lineage.toml decides {key}",
            damage=changed("runs/lineage.toml", partial(_with_key, key="audit", value=f"{{{key} = {value}}}")),
            says=(f"lineage.toml: {key.partition('.')[0]}",),
        )


def _regexes() -> Iterator[Case]:
    patterns = {
        "counts beyond any": "a{99999999999999999999}",
        "nests counts": "((((a{99}){99}){99}){99}){99}",
        "of 10 MB": "a" * 900_000,
        "of 20,000 characters": "(a|b)" * 4000,
        "is not closed": "(a",
        "looks back": "(?<=a)b",
        "refers back": "(a)\\\\1",
        "is empty": "",
        "is nothing but groups": "()" * 2000,
        "holds a bad class": "[z-a]",
        "repeats nothing": "*",
    }
    for what, pattern in patterns.items():
        yield Case(
            name=f"a pattern for labels that {what}",
            damage=put("runs/collapse-audit.toml", f'labels = "regex:{pattern}"\n'),
            says=("collapse-audit.toml",),
            codes=READ_OR_REFUSED if what in ("counts beyond any", "is empty") else frozenset({4}),
        )
    catastrophic = put("runs/collapse-audit.toml", 'labels = "regex:(?:(?:a+)+)+$"\n')

    def long_of_a(home: Path) -> None:
        catastrophic(home)
        path = home / "runs" / "gen_0" / "texts.jsonl"
        path.write_bytes(path.read_bytes() + b'{"text": "' + b"a" * 100_000 + b'!", "label": "1"}\n')

    yield Case(name="a pattern that others never finish", damage=long_of_a, codes=READ_OR_REFUSED)


def _users_settings() -> Iterator[Case]:
    """Settings of the user: a mistake, and no crash."""
    waiver = '[[waivers]]\nprobe = "length"\nowner = "x"\nreason = "x"\nexpires = '
    for what, content in {
        "alpha is 1e-5": "alpha = 0.00001\n",
        "alpha is 1e-300": "alpha = 1e-300\n",
        "permutations are too many": "permutations = 9223372036854775807\n",
        "permutations are 10^9": "permutations = 1000000000\n",
        "a margin is nan": "[probes.length]\nmargin = nan\n",
        "a margin is 0": "[probes.length]\nmargin = 0\n",
        "a probe is unknown": "[probes.lenght]\nmargin = 0.1\n",
        "waivers are no tables": "waivers = [1]\n",
        "a waiver has no owner": '[[waivers]]\nprobe = "length"\nreason = "x"\nexpires = 2099-01-01\n',
        "a waiver ends at no date": f"{waiver}2099-01-01T00:00:00Z\n",
        "a waiver ends in the year 0": f"{waiver}0000-01-01\n",
        "a waiver's generation is huge": f"{waiver}2099-01-01\ngeneration = {'9' * 400}\n",
        "nesting is deep": f"x = {'[' * 3000}{']' * 3000}\n",
    }.items():
        yield Case(
            name=f"settings.toml: {what}",
            damage=put("settings.toml", content),
            says=("settings.toml",),
            command=(*AUDIT, "--config", "settings.toml"),
            codes=READ_OR_REFUSED if what.startswith("alpha is") else frozenset({4}),
        )
