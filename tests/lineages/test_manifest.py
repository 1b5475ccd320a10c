"""The manifest: what it says reaches the lineage."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from collapse_audit.errors import InputError
from collapse_audit.lineages.disk.load import load_lineage
from collapse_audit.lineages.disk.manifest import parse_manifest
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


HEAD = 'format = 1\nname = "x"\n'
TWO = """
[[generation]]
index = 0
texts = "gen_0/texts.jsonl"

[[generation]]
index = 1
texts = "gen_1/texts.jsonl"
"""


def test_the_schema_is_a_schema_and_every_field_says_what_it_expects() -> None:
    schema = json.loads(files("collapse_audit.lineages.disk").joinpath("manifest.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    tables = [schema, *schema["$defs"].values(), schema["properties"]["reference"]]
    fields = [field for table in tables for field in table.get("properties", {}).values()]
    assert len(fields) > 30
    assert [field for field in fields if "description" not in field and "$ref" not in field] == []


def test_everything_that_the_manifest_says_reaches_the_lineage(root: Path) -> None:
    digests = {name: file_digest(root / name) for name in NAMES}
    (root / "gen_0" / "adapter").mkdir()
    (root / "results.json").write_text("{}", "utf-8")
    (root / "lineage.toml").write_text(
        f"""
# by hand
format = 1
name = "thyroid"
description = "made for a test"
scheme = {{reference = 0.1, previous = 0.9}}
recipe = {{epochs = 3, lora = {{rank = 16}}}}
audit = {{probe = {{margin = 0.2}}}}
labels = {{rule = "field", classes = ["3", "4"]}}

[reference]
texts = "reference.jsonl"
digest = "{digests["reference.jsonl"]}"
holdout = "reference.holdout.jsonl"
holdout_digest = "{digests["reference.holdout.jsonl"]}"

[[generation]]
seed = 7
index = 1
texts = "gen_1/texts.jsonl"
lm_eval = "results.json"
trained_on = [{{corpus = "reference", share = 0.1}}, {{corpus = "./gen_0/texts.jsonl", share = 0.9}}]

[[generation]]
seed = "7"
index = 0
texts = "gen_0/texts.jsonl"
texts_digest = "{digests["gen_0/texts.jsonl"]}"
holdout = "gen_0/holdout.jsonl"
holdout_digest = "{digests["gen_0/holdout.jsonl"]}"
init_from = "base"
[generation.decoding]
beams = 5
[generation.model]
base = "mistral"
""",
        "utf-8",
    )
    lineage = load_lineage(root)
    assert (lineage.name, lineage.scheme, lineage.shares) == ("thyroid", "blend", {"reference": 0.1, "previous": 0.9})
    assert (lineage.recipe, lineage.audit) == ({"epochs": 3, "lora": {"rank": 16}}, {"probe": {"margin": 0.2}})
    assert (lineage.label_rule, lineage.label_classes) == ("field", ("3", "4"))
    assert (lineage.has_manifest, lineage.seeds) == (True, ("7",))
    first, second = lineage.generations
    assert (first.seed, first.index, second.index) == ("7", 0, 1)
    assert first.details == {"init_from": "base", "decoding": {"beams": 5}, "model": {"base": "mistral"}}
    assert (first.trained_on, second.trained_on) == (None, ("reference", "gen_0/texts.jsonl"))
    assert (first.adapter, second.lm_eval) == (root / "gen_0" / "adapter", root / "results.json")
    corpora = [lineage.reference, lineage.reference_holdout, first.texts, first.holdout, second.texts]
    assert [corpus and (corpus.shown, corpus.digest, corpus.path) for corpus in corpora] == [
        (name, digests[name], root / name) for name in NAMES
    ]


def test_the_example_in_the_reference_is_a_manifest() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "lineage-format.md"
    (example,) = re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert [entry["index"] for entry in parse_manifest(example).data["generation"]] == [0, 1]


def test_labels_may_be_a_rule_alone(root: Path) -> None:
    (root / "lineage.toml").write_text(HEAD + 'labels = "eu-tirads"\n' + TWO, "utf-8")
    lineage = load_lineage(root)
    assert (lineage.label_rule, lineage.label_classes) == ("eu-tirads", None)


def test_labels_outside_the_declared_classes_are_refused_when_the_corpus_is_read(root: Path) -> None:
    (root / "lineage.toml").write_text(HEAD + '[labels]\nclasses = ["4", "5"]\n' + TWO, "utf-8")
    with pytest.raises(InputError) as caught:
        next(load_lineage(root).generations[0].texts.batches())
    assert str(caught.value).replace(str(root), "L") == (
        "L/gen_0/texts.jsonl:1: found the label '3'; expected one of 4, 5 (the manifest's classes) [unknown-label]"
    )


def test_declared_classes_of_a_rule_on_texts_say_nothing_about_label_fields(root: Path) -> None:
    (root / "lineage.toml").write_text(HEAD + '[labels]\nrule = "regex:x(.)"\nclasses = ["4", "5"]\n' + TWO, "utf-8")
    lineage = load_lineage(root)
    assert (lineage.label_rule, lineage.label_classes) == ("regex:x(.)", ("4", "5"))
    assert [batch.column("labels").to_pylist() for batch in lineage.generations[0].texts.batches()] == [[["3"]]]


def test_a_manifest_with_a_byte_order_mark_is_read(root: Path) -> None:
    (root / "lineage.toml").write_text("\ufeff" + HEAD + TWO, "utf-8")
    assert load_lineage(root).name == "x"


def test_the_digest_of_a_lineage_covers_decoding_and_ancestry_but_not_name_and_description(root: Path) -> None:
    def digest(manifest: str) -> str:
        (root / "lineage.toml").write_text(manifest, "utf-8")
        return load_lineage(root).digest

    plain = digest(HEAD + TWO)
    assert digest(HEAD.replace("x", "y") + 'description = "z"\n' + TWO) == plain
    changed = {
        digest(HEAD + TWO + "[generation.decoding]\nbeams = 5\n"),
        digest(HEAD + TWO + 'trained_on = [{corpus = "reference", share = 1}]\n'),
        digest(HEAD + TWO.replace("index = 1", "index = 2")),
        digest(HEAD + TWO.replace("index", "seed = 1\nindex")),
        digest(HEAD + 'scheme = "recursive"\n' + TWO),
    }
    assert len(changed | {plain}) == 6
