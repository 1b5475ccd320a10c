"""[recipe] of lineage.toml: its keys and defaults, everything that is refused and with which words, its identity."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pytest
from toy_training import RECIPE, changed, manifest_of, recipe_of

from collapse_audit.errors import InputError, UsageError
from collapse_audit.lineages.disk.manifest import parse_manifest
from collapse_audit.lineages.training.recipe import (
    Base,
    Decoding,
    Lora,
    Pretraining,
    Recipe,
    Text,
    Training,
    read_recipe,
    recipe_table,
)

SCHEMA = json.loads(files("collapse_audit.lineages.training").joinpath("recipe.schema.json").read_text("utf-8"))
PROPERTIES = SCHEMA["properties"]
TABLES: dict[str, tuple[type[Any], Mapping[str, Any]]] = {
    "": (Recipe, PROPERTIES),
    "base": (Base, PROPERTIES["base"]["properties"]),
    "base__pretrain": (Pretraining, PROPERTIES["base"]["properties"]["pretrain"]["properties"]),
    "lora": (Lora, PROPERTIES["lora"]["properties"]),
    "training": (Training, PROPERTIES["training"]["properties"]),
    "text": (Text, PROPERTIES["text"]["properties"]),
    "decoding": (Decoding, PROPERTIES["decoding"]["properties"]),
}
NOT_FIELDS = {"profile", "notes"}  # read before the recipe is built, and by people
HUB = {"task": "completion", "base": {"hub": "owner/name"}}


def refused(recipe: Mapping[str, Any], *, scheme: Any = "recursive", profile: str | None = None) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_recipe(manifest_of(recipe, scheme=scheme), profile=profile)
    assert caught.value.exit_code == 4
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("table", TABLES)
def test_every_key_that_the_schema_allows_is_a_field_and_every_field_is_allowed(table: str) -> None:
    record, properties = TABLES[table]
    assert {field.name for field in dataclasses.fields(record)} == set(properties) - NOT_FIELDS


@pytest.mark.parametrize("table", TABLES)
def test_the_choices_of_a_field_are_those_of_the_schema(table: str) -> None:
    record, properties = TABLES[table]
    hints = typing.get_type_hints(record)
    for name, schema in properties.items():
        if "enum" in schema:
            literals = [hints[name], *typing.get_args(hints[name])]
            choices = next(typing.get_args(one) for one in literals if typing.get_origin(one) is typing.Literal)
            assert list(choices) == schema["enum"], name


def test_a_recipe_in_which_every_default_is_written_out_is_the_recipe_without_them() -> None:
    """So every default lies within what the schema allows."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if inner is not None}
        return list(value) if isinstance(value, tuple) else value

    built_in = {**RECIPE, "base": {"architecture": "opt", "pretrain": {"texts": "a.jsonl"}}, "text": {}}
    for short in (HUB, {key: built_in[key] for key in ("task", "base")}):
        recipe = read_recipe(manifest_of(short))
        written = plain(dataclasses.asdict(recipe))
        if short is HUB:
            assert written["base"].keys() > {"hub", "hidden"}
        assert read_recipe(manifest_of(written)) == recipe


def test_the_defaults_are_the_published_qlora_settings() -> None:
    """arXiv 2305.14314: NF4, all linear layers, dropout .05 and learning rate 2e-4 (7B, 13B), gradient norm .3."""
    recipe = read_recipe(manifest_of(HUB))
    assert recipe.quantization == "nf4"
    assert (recipe.lora.target_modules, recipe.lora.dropout) == ("all-linear", 0.05)
    assert (recipe.training.learning_rate, recipe.training.max_grad_norm) == (2e-4, 0.3)
    assert (recipe.task, recipe.init_from, recipe.partner, recipe.seeds) == ("completion", "base", None, (0,))


def test_lists_become_tuples_and_tables_records() -> None:
    recipe = recipe_of(seeds=[3, 1], lora__target_modules=["q_proj", "v_proj"])
    assert recipe.seeds == (3, 1)
    assert recipe.lora == Lora(r=4, target_modules=("q_proj", "v_proj"))
    assert recipe.base.pretrain == Pretraining(
        texts="pretrain.jsonl", epochs=4, block=16, batch_size=8, learning_rate=0.01
    )
    assert hash(recipe) == hash(recipe_of(seeds=[3, 1], lora__target_modules=["q_proj", "v_proj"]))


TOML = """\
format = 1
name = "toy"
scheme = "recursive"
[recipe]
task = "completion"
generation = 3
[recipe.base]
hub = "owner/name"
[recipe.training]
leraning_rate = 2e-4
zzz = 1
"""


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_known_one() -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(parse_manifest(TOML))
    known = ", ".join(field.name for field in dataclasses.fields(Training))
    assert sorted(map(str, caught.value.problems)) == sorted(
        [
            'lineage.toml:6: found the unknown key "generation" in recipe; '
            'expected "generations" (did you mean that?) [unknown-key]',
            'lineage.toml:10: found the unknown key "leraning_rate" in recipe, training; '
            'expected "learning_rate" (did you mean that?) [unknown-key]',
            f'lineage.toml:11: found the unknown key "zzz" in recipe, training; expected one of {known} [unknown-key]',
        ]
    )


BUILT_IN = {"architecture": "llama", "pretrain": {"texts": "a.jsonl"}}


@pytest.mark.parametrize(
    ("base", "found", "expected"),
    [
        ({}, "no origin of the base", "one of hub, folder, gguf and architecture"),
        ({"hub": "a/b", "folder": "c"}, "hub and folder of the base", "one of hub, folder, gguf and architecture"),
        (
            {"hub": "a/b", "folder": "c", **BUILT_IN},
            "hub and folder and architecture of the base",
            "one of hub, folder, gguf and architecture",
        ),
        (
            {"architecture": "opt"},
            "a built-in architecture without pretrain",
            "a [recipe.base.pretrain] table with texts",
        ),
        (
            {"hub": "a/b", "pretrain": {"texts": "a.jsonl"}},
            "pretrain for a base that has weights",
            "pretrain only beside architecture",
        ),
        ({**BUILT_IN, "heads": 3, "hidden": 64}, "3 heads", "a divisor of the hidden size"),
        ({**BUILT_IN, "heads": 4, "kv_heads": 3}, "3 kv_heads", "a divisor of heads = 4"),
        ({**BUILT_IN, "sliding_window": 8}, "a sliding window", "one only in the mistral architecture"),
    ],
)
def test_a_base_has_one_origin_and_fits_it(base: dict[str, Any], found: str, expected: str) -> None:
    (message,) = refused({"task": "completion", "base": base})
    place, _, rest = message.partition(": ")
    assert rest == f"found {found}; expected {expected} [base]"
    assert int(place.removeprefix("lineage.toml:")) >= 8  # [recipe.base] stands there


CROSS = changed(RECIPE, partner="../other")
ONE_ONLY = "one only where the scheme takes texts of it"


@pytest.mark.parametrize(
    ("recipe", "scheme", "problem"),
    [
        (RECIPE, "cross", 'found a scheme that needs a partner; expected partner = "../the_other_lineage"'),
        (
            RECIPE,
            {"previous": 0.5, "partner": 0.5},
            'found a scheme that needs a partner; expected partner = "../the_other_lineage"',
        ),
        (CROSS, "recursive", f"found a partner; expected {ONE_ONLY}"),
        (CROSS, {"previous": 1.0, "partner": 0.0}, f"found a partner; expected {ONE_ONLY}"),
    ],
)
def test_a_partner_stands_where_and_only_where_the_scheme_takes_texts_of_it(
    recipe: dict[str, Any], scheme: Any, problem: str
) -> None:
    (message,) = refused(recipe, scheme=scheme)
    assert message.partition(": ")[2] == f"{problem} [no-partner]"
    assert message.startswith("lineage.toml:")


def test_a_partner_is_right_with_cross_and_with_a_share_of_it() -> None:
    for scheme in ("cross", {"previous": 0.5, "partner": 0.5}):
        assert read_recipe(manifest_of(CROSS, scheme=scheme)).partner == "../other"


def test_a_scheme_must_be_said_and_blend_said_in_shares() -> None:
    assert refused(RECIPE, scheme=None) == [
        "lineage.toml: found no scheme; expected recursive, cross, preserve, accumulate or a table of shares "
        "[no-scheme]"
    ]
    assert refused(RECIPE, scheme="blend") == [
        'lineage.toml:3: found scheme = "blend"; expected its shares, such as {reference = 0.2, previous = 0.8} '
        "[no-scheme]"
    ]


def test_shares_that_do_not_sum_to_one_are_refused_by_the_manifest() -> None:
    with pytest.raises(InputError) as caught:
        manifest_of(RECIPE, scheme={"reference": 0.2, "previous": 0.7})
    assert [problem.found for problem in caught.value.problems] == ["shares in scheme that sum to 0.9"]
    assert [problem.expected for problem in caught.value.problems] == ["shares that sum to 1"]


@pytest.mark.parametrize(
    ("task", "block", "new", "enough"), [("completion", 64, 16, 18), ("blocks", 20, 16, 37), ("blocks", 4, 20, 25)]
)
def test_a_context_holds_the_start_a_prompt_and_the_new_tokens(task: str, block: int, new: int, enough: int) -> None:
    """By hand: one start token, ``block`` tokens of prompt (a completion's prompt has one at least), the new ones."""
    recipe = changed(RECIPE, task=task, text={"block": block, "context": enough - 1}, decoding={"max_new_tokens": new})
    (message,) = refused(recipe)
    prompt = block if task == "blocks" else 1
    assert message.partition(": ")[2] == (
        f"found context = {enough - 1}, too short for {prompt} tokens of prompt and {new} new ones; "
        f"expected at least {enough} [context]"
    )
    assert read_recipe(manifest_of(changed(recipe, text__context=enough))).text.context == enough


@pytest.mark.parametrize(
    ("decoding", "problem"),
    [
        ({"num_beams": 5}, "found beams that are sampled; expected do_sample = false beside num_beams"),
        (
            {"num_beams": 5, "do_sample": False, "temperature": 0.7},
            "found temperature beside do_sample = false; expected none: they act on sampling only",
        ),
        (
            {"do_sample": False, "top_k": 5, "top_p": 0.5},
            "found top_p, top_k beside do_sample = false; expected none: they act on sampling only",
        ),
        (
            {"min_new_tokens": 17},
            "found min_new_tokens above max_new_tokens = 16; expected at most as many",
        ),
    ],
)
def test_decoding_settings_that_would_be_ignored_or_cannot_be_met_are_refused(
    decoding: dict[str, Any], problem: str
) -> None:
    (message,) = refused(changed(RECIPE, decoding={"max_new_tokens": 16, **decoding}))
    assert message.partition(": ")[2] == f"{problem} [decoding]"


def test_beams_without_sampling_and_sampling_settings_with_it_are_fine() -> None:
    beams = recipe_of(decoding={"max_new_tokens": 16, "do_sample": False, "num_beams": 5})
    assert beams.decoding == Decoding(max_new_tokens=16, do_sample=False, num_beams=5)
    sampled = {"max_new_tokens": 16, "temperature": 0.6, "top_p": 0.9, "top_k": 7}
    assert recipe_of(decoding=sampled).decoding == Decoding(max_new_tokens=16, temperature=0.6, top_p=0.9, top_k=7)


def test_all_problems_come_together() -> None:
    recipe = changed(RECIPE, training__epochs=0, lora__dropout=1, seeds=[], decoding__top_p=0)
    assert sorted(message.partition(": ")[2] for message in refused(recipe)) == [
        "found recipe, decoding, top_p = 0; expected a share above 0 and at most 1 [manifest]",
        "found recipe, lora, dropout = 1; expected a share of at least 0 and less than 1 [manifest]",
        "found recipe, seeds = []; expected a list of different integers, 0 or more [manifest]",
        "found recipe, training, epochs = 0; expected a number above 0 [manifest]",
    ]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({}, "lineage.toml: found no [recipe]; expected a recipe: what to train and how [no-recipe]"),
        (
            {"kind": "zipf"},
            "lineage.toml:5: found the recipe of a simulated lineage (zipf); expected the recipe of a trained one "
            "[no-recipe]",
        ),
    ],
)
def test_a_manifest_without_a_recipe_to_train_by_is_refused(recipe: dict[str, Any], message: str) -> None:
    head = 'format = 1\nname = "toy"\nscheme = "recursive"\n'
    text = head + "[recipe]\n" + "".join(f'{key} = "{value}"\n' for key, value in recipe.items())
    with pytest.raises(InputError) as caught:
        read_recipe(parse_manifest(text if recipe else head))
    assert str(caught.value) == message


PROFILES = changed(
    RECIPE,
    profile={
        "big": {"base": {"hub": "owner/name"}, "training": {"epochs": 1}, "seeds": [5]},
        "wide": {"base": {"hidden": 128}},
        "wrong": {"training": {"epoch": 1}},
    },
)


def test_a_profile_lies_over_the_recipe_key_by_key() -> None:
    plain, big = read_recipe(manifest_of(PROFILES)), read_recipe(manifest_of(PROFILES), profile="big")
    assert plain == recipe_of()
    assert big == dataclasses.replace(
        plain, base=Base(hub="owner/name"), training=dataclasses.replace(plain.training, epochs=1), seeds=(5,)
    )


def test_a_profile_that_changes_a_key_of_the_base_keeps_the_rest_of_it() -> None:
    plain, wide = read_recipe(manifest_of(PROFILES)), read_recipe(manifest_of(PROFILES), profile="wide")
    assert wide == dataclasses.replace(plain, base=dataclasses.replace(plain.base, hidden=128))


@pytest.mark.parametrize(
    ("recipe", "profile", "gone", "stays"),
    [
        ({"do_sample": True, "temperature": 0.7, "top_p": 0.9, "top_k": 5}, {"do_sample": False, "num_beams": 5},
         {"temperature": 1.0, "top_p": 1.0, "top_k": 0}, {"do_sample": False, "num_beams": 5}),
        ({"do_sample": False, "num_beams": 5}, {"do_sample": True, "top_p": 0.9},
         {"num_beams": 1}, {"do_sample": True, "top_p": 0.9}),
        ({"temperature": 0.7}, {"top_p": 0.9}, {}, {"temperature": 0.7, "top_p": 0.9}),
        ({"epochs": 2}, {"examples": 90}, {"epochs": 3.0}, {"examples": 90}),
        ({"examples": 90}, {"epochs": 2}, {"examples": None}, {"epochs": 2.0}),
    ],
)  # fmt: skip
def test_a_profile_takes_away_what_its_keys_rule_out(
    recipe: dict[str, Any], profile: dict[str, Any], gone: dict[str, Any], stays: dict[str, Any]
) -> None:
    part = "training" if {"epochs", "examples"} & {*recipe} else "decoding"
    table = {**RECIPE, "text": {"context": 200}, part: recipe, "profile": {"other": {part: profile}}}
    read = dataclasses.asdict(read_recipe(manifest_of(table), profile="other"))[part]
    assert {key: read[key] for key in (*gone, *stays)} == {**gone, **stays}


def test_a_profile_that_contradicts_itself_is_refused() -> None:
    decoding = {"do_sample": False, "temperature": 0.5}
    (message,) = refused({**RECIPE, "profile": {"wrong": {"decoding": decoding}}}, profile="wrong")
    assert "found temperature beside do_sample = false" in message


def test_reading_a_profile_leaves_the_manifest_as_it_was() -> None:
    manifest = manifest_of(PROFILES)
    before = json.dumps(manifest.data)
    assert "profile" not in recipe_table(manifest, profile="big")
    assert json.dumps(manifest.data) == before


def test_a_profile_is_checked_as_a_recipe_and_an_unknown_one_names_those_there_are() -> None:
    (message,) = refused(PROFILES, profile="wrong")
    assert message.endswith(
        'found the unknown key "epoch" in recipe, training; expected "epochs" (did you mean that?) [unknown-key]'
    )
    with pytest.raises(UsageError) as caught:
        read_recipe(manifest_of(PROFILES), profile="bigger")
    assert str(caught.value) == 'lineage.toml has no profile "bigger"; it has: big, wide, wrong'
    with pytest.raises(UsageError, match=r'^lineage\.toml has no profile "big"; it has: none$'):
        read_recipe(manifest_of(RECIPE), profile="big")
