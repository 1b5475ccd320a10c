"""Everything that can be wrong with a manifest: said in whole, all at once, with the line it stands on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from collapse_audit.errors import InputError
from collapse_audit.lineages.corpora.readers.formats import ALLOWED
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.files.digest import file_digest

NAMES = ["reference.jsonl", "reference.holdout.jsonl", "gen_0/texts.jsonl", "gen_0/holdout.jsonl", "gen_1/texts.jsonl"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with corpora and no manifest yet."""
    folder = tmp_path / "L"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f'{{"text": "{name}", "label": "3"}}\n', "utf-8")
    return folder


def refusal(root: Path, manifest: str) -> list[str]:
    (root / "lineage.toml").write_text(manifest, "utf-8")
    with pytest.raises(InputError) as caught:
        load_lineage(root)
    return [str(problem).replace(str(root), "L") for problem in caught.value.problems]


HEAD = 'format = 1\nname = "x"\n'
TWO = """
[[generation]]
index = 0
texts = "gen_0/texts.jsonl"

[[generation]]
index = 1
texts = "gen_1/texts.jsonl"
"""
TWO_HELD_OUT = """
[[generation]]
seed = "other"
index = 0
texts = "reference.jsonl"
holdout = "gen_0/holdout.jsonl"
"""


BAD = [
    pytest.param(
        "format = \n", ["L/lineage.toml:1: found broken TOML (Invalid value); expected TOML [broken-toml]"], id="TOML"
    ),
    pytest.param(
        "a = " + "[" * 5000,
        ["L/lineage.toml: found TOML with tables nested too deep; expected TOML [broken-toml]"],
        id="deep",
    ),
    pytest.param(
        "format = 2\nname = 4\n",
        [
            "L/lineage.toml:1: found format 2;"
            " expected format 1; a newer collapse-audit wrote this file [manifest-format]"
        ],
        id="a newer format",
    ),
    pytest.param(
        "",
        [
            'L/lineage.toml: found no "format" in the manifest; expected format: 1, the only format there is so far'
            " [missing-key]",
            'L/lineage.toml: found no "name" in the manifest;'
            " expected name: the lineage's name, a string that is not empty"
            " [missing-key]",
        ],
        id="empty",
    ),
    pytest.param(
        'format = 1\nname = ""\nlicence = "MIT"\nshceme = "cross"\nzzz = 1\n',
        [
            "L/lineage.toml:2: found name = ''; expected the lineage's name, a string that is not empty [manifest]",
            'L/lineage.toml:3: found the unknown key "licence" in the manifest; expected "license" (did you mean that?)'
            " [unknown-key]",
            'L/lineage.toml:4: found the unknown key "shceme" in the manifest; expected "scheme" (did you mean that?)'
            " [unknown-key]",
            'L/lineage.toml:5: found the unknown key "zzz" in the manifest; expected one of format, name, description,'
            " license, attribution, scheme, recipe, labels, audit, fields, reference, generation [unknown-key]",
        ],
        id="unknown keys",
    ),
    pytest.param(
        HEAD + 'scheme = "recursiv"\nlabels = "field:"\n[reference]\ntexts = 4\ndigest = "sha256:x"\n',
        [
            "L/lineage.toml:3: found scheme = 'recursiv'; expected recursive, cross, preserve, accumulate, blend,"
            " or a table of shares [manifest]",
            "L/lineage.toml:4: found labels = 'field:'; expected auto, eu-tirads, field, none or regex:… [manifest]",
            "L/lineage.toml:6: found reference, texts = 4; expected a corpus file, named relative to the lineage folder"
            " [manifest]",
            "L/lineage.toml:7: found reference, digest = 'sha256:x';"
            " expected sha256: and 64 lower-case hexadecimal digits"
            " [manifest]",
        ],
        id="values of another kind",
    ),
    pytest.param(
        HEAD
        + '[[generation]]\nindex = -1\ntexts = "a.txt"\n\n[[generation]]\nindex = true\nholdout_digest = "sha256:'
        + "0" * 64
        + '"\ndecodng = {}\n[generation.model]\nx = 1\n',
        [
            "L/lineage.toml:4: found generation (entry 1), index = -1;"
            " expected the generation's number: an integer, 0 or more"
            " [manifest]",
            'L/lineage.toml:7: found no "texts" in generation (entry 2);'
            " expected texts: a corpus file, named relative to the"
            " lineage folder [missing-key]",
            'L/lineage.toml:7: found no "holdout" in generation (entry 2);'
            " expected holdout: a corpus file, named relative to"
            " the lineage folder [missing-key]",
            "L/lineage.toml:8: found generation (entry 2), index = true; expected the generation's number: an integer,"
            " 0 or more [manifest]",
            'L/lineage.toml:10: found the unknown key "decodng" in generation (entry 2); expected "decoding"'
            " (did you mean that?) [unknown-key]",
        ],
        id="generations",
    ),
    pytest.param(
        HEAD + '[generation]\nindex = 0\ntexts = "a.txt"\n',
        [
            "L/lineage.toml:3: found generation = {'index': 0, 'texts': 'a.txt'};"
            " expected one [[generation]] table an entry"
            " [manifest]"
        ],
        id="one table where several may stand",
    ),
    pytest.param(
        HEAD + "[scheme]\nreference = 0.1\nprevious = 0.8\n",
        ["L/lineage.toml:3: found shares in scheme that sum to 0.9; expected shares that sum to 1 [shares]"],
        id="shares of the scheme",
    ),
    pytest.param(
        HEAD + "[scheme]\nreference = nan\nprevious = 1\n",
        ["L/lineage.toml:4: found scheme, reference = nan; expected a share between 0 and 1 [manifest]"],
        id="a share that is no number",
    ),
    pytest.param(
        HEAD
        + '[[generation]]\nseed = 1\nindex = 0\ntexts = "gen_0/texts.jsonl"\n'
        + 'trained_on = [\n  {corpus = "reference", share = 0.5},\n  {corpus = "reference", share = 0.6},\n]\n'
        + '[[generation]]\nseed = "1"\nindex = 0\ntexts = "gen_1/texts.jsonl"\n',
        [
            "L/lineage.toml:7: found shares in generation (entry 1), trained_on that sum to 1.1;"
            " expected shares that sum to 1"
            " [shares]",
            "L/lineage.toml:11: found generation 0 of seed 1 a second time; expected each (seed, index) once"
            " [duplicate-generation]",
        ],
        id="shares of an entry, and an entry twice",
    ),
    pytest.param(
        HEAD,
        ["L/lineage.toml: found no [[generation]]; expected one for every generation [no-generation]"],
        id="no generation",
    ),
    pytest.param(
        HEAD + TWO.partition("[[generation]]\nindex = 1")[0],
        [
            "L: found generation 0 and nothing to compare it with; expected another generation or a reference"
            " [nothing-to-compare]"
        ],
        id="one generation and no reference",
    ),
    pytest.param(
        HEAD + TWO.replace("gen_1/texts.jsonl", "gen_2/texts.jsonl").replace("gen_0/texts.jsonl", "gen_0"),
        [
            "L/lineage.toml:6: found a folder of several corpora (holdout.jsonl, texts.jsonl);"
            " expected one of them: gen_0/texts.jsonl [several-corpora]",
            'L/lineage.toml:10: found no file "gen_2/texts.jsonl";'
            " expected a file inside the lineage folder [missing-file]",
        ],
        id="files that are not there",
    ),
    pytest.param(
        HEAD
        + TWO
        + 'holdout = "gen_0/texts.jsonl"\ntrained_on = [{corpus = "gen_1/texts.jsonl", share = 0.5},'
        + ' {corpus = "gen_O/texts.jsonl", share = 0.5}]\n',
        [
            'L/lineage.toml:11: found "gen_0/texts.jsonl" both as texts and as held-out texts;'
            " expected a file of its own for held-out texts [holdout-is-texts]",
        ],
        id="held-out texts that something is trained on",
    ),
    pytest.param(
        HEAD
        + TWO
        + 'trained_on = [{corpus = "gen_1/texts.jsonl", share = 0.5}, {corpus = "gen_O/texts.jsonl", share = 0.25},'
        + ' {lineage = "y", corpus = "gen_0/texts.jsonl", share = 0.25, descends_from = ["human"]}]\n',
        [
            'L/lineage.toml:11: found "gen_1/texts.jsonl", which this entry itself wrote;'
            " expected texts that were there before this generation [trained-on-itself]",
            'L/lineage.toml:11: found "gen_O/texts.jsonl", which no entry wrote;'
            ' expected "reference" or the texts of an entry'
            ' (did you mean "gen_0/texts.jsonl"?) [unknown-source]',
            'L/lineage.toml:11: found "human", which no entry wrote; expected "reference" or the texts of an entry'
            " [unknown-source]",
        ],
        id="sources that are not there",
    ),
    pytest.param(
        HEAD + TWO + 'trained_on = [{corpus = "gen_0/holdout.jsonl", share = 1}]\n' + TWO_HELD_OUT,
        [
            'L/lineage.toml:11: found "gen_0/holdout.jsonl", which is held out; expected texts that are not held out'
            " [trained-on-holdout]",
        ],
        id="a held-out source",
    ),
]


@pytest.mark.parametrize(("manifest", "expected"), BAD)
def test_a_manifest_that_is_wrong(root: Path, manifest: str, expected: list[str]) -> None:
    assert refusal(root, manifest) == expected


def test_a_manifest_that_is_not_utf8(root: Path) -> None:
    (root / "lineage.toml").write_bytes(b'format = 1\nname = "\xff"\n')
    with pytest.raises(InputError) as caught:
        load_lineage(root)
    assert str(caught.value).replace(str(root), "L") == (
        "L/lineage.toml:2: found bad UTF-8 (byte 0xff); expected UTF-8 text [bad-utf8]"
    )


def test_digests_that_do_not_match_are_refused_all_of_them_before_anything_is_read(root: Path) -> None:
    zero = "sha256:" + "0" * 64
    (root / "gen_0/texts.jsonl").write_bytes(b"\xff not even text")
    found = {name: file_digest(root / name) for name in ("gen_0/texts.jsonl", "gen_1/texts.jsonl")}
    manifest = HEAD + TWO.replace('texts.jsonl"', f'texts.jsonl"\ntexts_digest = "{zero}"')
    assert refusal(root, manifest) == [
        f"L/{name}: found {digest}; expected {zero} (as L/lineage.toml says) [digest-mismatch]"
        for name, digest in found.items()
    ]


@pytest.mark.parametrize(
    ("name", "found", "slug"),
    [
        ("../../etc/passwd", '"../../etc/passwd", a path that leaves the folder', "path-outside"),
        ("gen_0/../../secret.jsonl", '"gen_0/../../secret.jsonl", a path that leaves the folder', "path-outside"),
        ("/etc/passwd", 'the absolute path "/etc/passwd"', "absolute-path"),
        ("link.jsonl", '"link.jsonl", a link to a place outside', "link-outside"),
        ("folder/secret.jsonl", '"folder/secret.jsonl", a link to a place outside', "link-outside"),
        ("a\\u0000b.jsonl", "a path with a NUL character", "bad-path"),
    ],
)
@pytest.mark.parametrize("key", ["texts", "holdout", "adapter", "train_log", "lm_eval"])
def test_a_manifest_that_points_outside_its_folder(root: Path, name: str, found: str, slug: str, key: str) -> None:
    (root.parent / "secret.jsonl").write_text('{"text": "secret"}\n', "utf-8")
    (root / "link.jsonl").symlink_to("../secret.jsonl")
    (root / "folder").symlink_to("..")
    first = f'[[generation]]\nindex = 0\ntexts = "gen_0/texts.jsonl"\n{key} = "{name}"\n'
    manifest = HEAD + (first.replace('texts = "gen_0/texts.jsonl"\n', "") if key == "texts" else first)
    line = 5 if key == "texts" else 6
    assert refusal(root, manifest) == [
        f"L/lineage.toml:{line}: found {found}; expected a path inside the lineage folder [{slug}]"
    ]


def test_a_folder_where_a_corpus_should_be_and_a_file_that_cannot_be_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "gen_2.txt").mkdir()

    def denied(path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("collapse_audit.lineages.disk.opener.file_digest", denied)
    manifest = HEAD + TWO.replace("gen_0/texts.jsonl", "gen_2.txt")
    assert refusal(root, manifest) == [
        f"L/lineage.toml:6: found an empty folder; expected files that end in {ALLOWED}, or .md [no-corpus]",
        "L/gen_1/texts.jsonl: found a file that cannot be read (Permission denied);"
        " expected a readable file [unreadable]",
    ]


def test_a_manifest_that_is_a_folder(root: Path) -> None:
    (root / "lineage.toml").mkdir()
    with pytest.raises(InputError) as caught:
        load_lineage(root)
    assert str(caught.value).replace(str(root), "L") == (
        "L/lineage.toml: found a file that cannot be read (Is a directory); expected a readable file [unreadable]"
    )


def test_a_manifest_that_is_a_link_to_a_place_outside(root: Path) -> None:
    (root.parent / "other.toml").write_text(HEAD + TWO, "utf-8")
    (root / "lineage.toml").symlink_to("../other.toml")
    with pytest.raises(InputError, match="link-outside"):
        load_lineage(root)
