"""Each thing that can be wrong with a generation's model, in a lineage in which exactly that is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models_on_disk import WEIGHTS, Folder, layer, tensors, write_adapter, write_texts
from safetensors.numpy import load_file, save_file

from collapse_audit import audit, load_lineage
from collapse_audit.errors import InputError
from collapse_audit.lineages.checks.provenance import Provenance
from collapse_audit.lineages.files.digest import file_digest
from collapse_audit.probes.models.model_facts import Fact
from collapse_audit.reports.document import AuditReport, Finding, Outcome

KINDS = (
    *("adapter-finite", "adapter-trained", "adapter-distinct", "adapter-shape", "adapter-digest", "base"),
    *("training-digest", "human-share", "decoding"),
)
"""Everything that is asked of a later generation."""


def facts(root: Path, index: int) -> dict[str, Fact]:
    lineage = load_lineage(root)
    return {fact.kind: fact for fact in Provenance(lineage).facts(lineage.generations[index])}


def wrong(root: Path) -> list[tuple[int, str, str]]:
    """Generation, kind and status of every fact that does not simply hold."""
    lineage = load_lineage(root)
    provenance = Provenance(lineage)
    found = [(entry.index, fact) for entry in lineage.generations for fact in provenance.facts(entry)]
    return [(index, fact.kind, fact.status) for index, fact in found if fact.status != "holds"]


def outcomes(report: AuditReport) -> dict[tuple[str, str, int], Outcome]:
    return {(one.probe, one.statistic, one.generation): one.outcome for one in report.findings}


def unchanged(report: AuditReport, index: int) -> Finding:
    [finding] = [one for one in report.findings if one.statistic == "unchanged" and one.generation == index]
    return finding


def test_in_a_whole_lineage_every_fact_holds(folder: Folder) -> None:
    root = folder.save()
    assert wrong(root) == []
    assert tuple(facts(root, 2)) == KINDS
    report = audit(root)
    for index in (1, 2):
        assert unchanged(report, index).outcome is Outcome.PASS
        assert unchanged(report, index).raw["facts"] == len(KINDS)


def nan(folder: Folder) -> None:
    folder.rewrite(1, lambda found: found[f"{layer(0)}.lora_A.weight"].__setitem__((0, 0), np.nan))


def infinite(folder: Folder) -> None:
    folder.rewrite(1, lambda found: found[f"{layer(2)}.lora_B.weight"].__setitem__((1, 1), -np.inf))


def zeros(folder: Folder) -> None:
    folder.rewrite(1, lambda found: found.update({name: value * 0 for name, value in found.items()}))


def untrained(folder: Folder) -> None:
    """As peft makes it: A is random, B is zero."""
    fresh = {name: value * ("lora_A" in name) for name, value in tensors(77).items()}
    folder.rewrite(1, lambda found: found.update(fresh))


def the_parents(folder: Folder) -> None:
    shutil.copytree(folder.adapter(0), folder.adapter(1), dirs_exist_ok=True)
    folder.record(1)


def the_parents_in_another_file(folder: Folder) -> None:
    """The same numbers under another metadata: other bytes, no other model."""
    save_file(load_file(folder.adapter(0) / WEIGHTS), folder.adapter(1) / WEIGHTS, metadata={"format": "pt"})
    folder.record(1)
    assert file_digest(folder.adapter(0) / WEIGHTS) != file_digest(folder.adapter(1) / WEIGHTS)


def other_shape(folder: Folder) -> None:
    name = f"{layer(1)}.lora_B.weight"
    folder.rewrite(1, lambda found: found.update({name: np.ones((5, 2), np.float32)}))


def other_rank(folder: Folder) -> None:
    write_adapter(folder.adapter(1), tensors(1), r=8)


def other_base(folder: Folder) -> None:
    folder.generations[1]["model"]["base_digest"] = "sha256:" + "a" * 64


def exchanged(folder: Folder) -> None:
    """Another adapter than the one that was recorded."""
    write_adapter(folder.adapter(1), tensors(99))


def parents_texts_changed(folder: Folder) -> None:
    folder.generations[1]["trained_on"][1]["digest"] = "sha256:" + "b" * 64


def more_human_than_declared(folder: Folder) -> None:
    """Four of forty records are declared human; ten are."""
    lines = (folder.root / "reference.jsonl").read_text().splitlines()[:10]
    rest = (folder.root / "gen_0" / "texts.jsonl").read_text().splitlines()[10:]
    path = folder.root / "gen_1" / "training.jsonl"
    path.write_text("\n".join([*lines, *rest]) + "\n")
    folder.generations[1]["training_digest"] = file_digest(path)


def records_of_nobody(folder: Folder) -> None:
    path = folder.root / "gen_1" / "training.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], '{"text": "from nowhere"}']) + "\n")
    folder.generations[1]["training_digest"] = file_digest(path)


def no_alpha(folder: Folder) -> None:
    write_adapter(folder.adapter(1), tensors(101), lora_alpha=0)
    folder.record(1)


def products_are_zero(folder: Folder) -> None:
    """No matrix is zero: of the first rank B is, of the second A."""
    keep = {"lora_A": np.array([[1], [0]], np.float32), "lora_B": np.array([[0, 1]], np.float32)}
    folder.rewrite(1, lambda found: found.update({n: v * keep[n.split(".")[-2]] for n, v in found.items()}))


def too_small(folder: Folder) -> None:
    small = np.float32(1e-30)
    folder.rewrite(1, lambda found: found.update({n: v * small for n, v in found.items() if "lora_B" in n}))


def the_parents_by_other_names(folder: Folder) -> None:
    found = {name.replace("model.model.", "model.language_model."): one for name, one in tensors(0).items()}
    save_file(found, folder.adapter(1) / WEIGHTS)
    folder.record(1)


def nearly_the_parents(folder: Folder) -> None:
    found = load_file(folder.adapter(0) / WEIGHTS)
    next(iter(found.values())).flat[0] *= 1.0001
    save_file(found, folder.adapter(1) / WEIGHTS)
    folder.record(1)


def the_parents_factored_otherwise(folder: Folder) -> None:
    found = load_file(folder.adapter(0) / WEIGHTS)
    save_file(
        {n: v * (3 if "lora_A" in n else np.float32(1 / 3)) for n, v in found.items()}, folder.adapter(1) / WEIGHTS
    )
    folder.record(1)


def of_no_layer_of_the_base(folder: Folder) -> None:
    folder.rewrite(1, lambda found: rename(found, ("layers", "blocks")))


def half_of_it_of_no_layer_of_the_base(folder: Folder) -> None:
    """As an adapter of a base with more layers."""
    folder.rewrite(1, lambda found: found.update({n.replace("rs.0", "rs.7"): v for n, v in tensors(1).items()}))


def rename(found: dict[str, Any], words: tuple[str, str]) -> None:
    for name in list(found):
        found[name.replace(*words)] = found.pop(name)


def one_half_missing(folder: Folder) -> None:
    folder.rewrite(1, lambda found: found.pop(f"{layer(1)}.lora_B.weight"))


def one_record_again_and_again(folder: Folder) -> None:
    """Half is declared human, and half is one record of forty, twenty times."""
    lines = (folder.root / "reference.jsonl").read_text().splitlines()[:1] * 20
    rest = (folder.root / "gen_0" / "texts.jsonl").read_text().splitlines()[20:]
    train_on(folder, [*lines, *rest], 0.5)


def train_on(folder: Folder, lines: list[str], share: float) -> None:
    path = folder.root / "gen_1" / "training.jsonl"
    path.write_text("\n".join(lines) + "\n")
    entry = folder.generations[1]
    entry["training_digest"] = file_digest(path)
    entry["trained_on"] = [entry["trained_on"][0] | {"share": share}, entry["trained_on"][1] | {"share": 1 - share}]


SHORT = "a" * 12
BROKEN = [
    (nan, "adapter-finite", "1 of 6 tensors of gen_1/adapter hold NaN or infinity, " + layer(0)),
    (infinite, "adapter-finite", "1 of 6 tensors of gen_1/adapter hold NaN or infinity, " + layer(2)),
    (zeros, "adapter-trained", "gen_1/adapter changes nothing: every product B·A is zero"),
    (untrained, "adapter-trained", "gen_1/adapter changes nothing: every product B·A is zero"),
    (the_parents, "adapter-distinct", "gen_1/adapter holds the numbers of gen_0/adapter, one for one"),
    (the_parents_in_another_file, "adapter-distinct", "gen_1/adapter holds the numbers of gen_0/adapter"),
    (no_alpha, "adapter-trained", "every product B·A is zero, by lora_alpha = 0 in adapter_config.json"),
    (products_are_zero, "adapter-trained", "gen_1/adapter changes nothing: every product B·A is zero, as before any"),
    (too_small, "adapter-trained", "every product B·A is zero, or too small to change a weight (largest norm"),
    (the_parents_by_other_names, "adapter-distinct", "gen_1/adapter holds the numbers of gen_0/adapter, one for one"),
    (nearly_the_parents, "adapter-distinct", "gen_1/adapter changes the base as gen_0/adapter does but for rounding"),
    (the_parents_factored_otherwise, "adapter-distinct", "changes the base as gen_0/adapter does but for rounding"),
    (one_half_missing, "adapter-shape", f"{layer(1)}.lora_A.weight stands alone, where a pair A, B is needed"),
    (of_no_layer_of_the_base, "adapter-shape", f"{layer(0).replace('layers', 'blocks')} is no layer of the base base"),
    (half_of_it_of_no_layer_of_the_base, "adapter-shape", f"does not fit: {layer(7)} is no layer of the base base"),
    (one_record_again_and_again, "human-share", "20 are the reference's, but only 1 distinct ones, of 40"),
    (other_shape, "adapter-shape", f"gen_1/adapter does not fit: {layer(1)} changes 5x6 numbers, of 4x6 in the base"),
    (other_rank, "adapter-shape", f"gen_1/adapter does not fit: {layer(0)} has rank 2, and its configuration says 8"),
    (other_base, "base", f"made from another base ({SHORT}) than generation 0 ("),
    (exchanged, "adapter-digest", "gen_1/adapter/adapter_model.safetensors has the digest "),
    (parents_texts_changed, "training-digest", "on gen_0/texts.jsonl with the digest bbbbbbbbbbbb, and that"),
    (more_human_than_declared, "human-share", "0.1 of 40 records declared human; by their digests 10 are the refer"),
    (records_of_nobody, "human-share", "4 are the reference's, and 1 stand in none of the corpora named in trained_on"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "kind", "sentence"), BROKEN, ids=[case[0].__name__ for case in BROKEN])
def test_a_broken_fact_fails_the_generation_and_nothing_else(
    folder: Folder, damage: Callable[[Folder], None], kind: str, sentence: str
) -> None:
    before = outcomes(audit(folder.save()))
    damage(folder)
    report = audit(folder.save())
    assert {kind} == {found for _, found, _ in wrong(folder.root)}
    finding = unchanged(report, 1)
    assert finding.outcome is Outcome.FAIL
    assert sentence in finding.reason
    [piece] = [piece for piece in finding.evidence if piece["status"] == "broken"]
    assert (piece["kind"], sentence in piece["found"]) == (kind, True)
    changed = {key for key, outcome in outcomes(report).items() if outcome is not before[key]}
    descends = {("integrity", "unchanged", 2)} if kind == "training-digest" else set()
    assert changed == {("integrity", "unchanged", 1)} | descends


def test_a_generation_without_its_adapter_is_named_and_does_not_pass(folder: Folder) -> None:
    before = outcomes(audit(folder.save()))
    shutil.rmtree(folder.adapter(1))
    report = audit(folder.save())
    assert wrong(folder.root) == [(1, "adapter-present", "unknown")]
    finding = unchanged(report, 1)
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert "generation 1 has no adapter, where generations 0, 2 have one" in finding.reason
    assert {key for key, outcome in outcomes(report).items() if outcome is not before[key]} == {
        ("integrity", "unchanged", 1)
    }


def test_an_adapter_that_git_lfs_did_not_fetch_is_not_there(folder: Folder) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n"
    (folder.adapter(1) / WEIGHTS).write_text(pointer)
    report = audit(folder.save())
    assert unchanged(report, 1).outcome is Outcome.INCONCLUSIVE
    assert "a git-lfs pointer and not the adapter: git lfs pull" in unchanged(report, 1).reason


def test_what_is_wrong_with_generation_0_is_told_where_it_is_the_baseline(folder: Folder) -> None:
    """Generation 0 against the reference is context and gates nothing."""
    nan_at_0 = f"{layer(0)}.lora_A.weight"
    folder.rewrite(0, lambda found: found[nan_at_0].fill(np.nan))
    report = audit(folder.save())
    for index in (1, 2):
        assert unchanged(report, index).outcome is Outcome.FAIL
        assert "gen_0/adapter hold NaN" in unchanged(report, index).reason


def test_another_decoding_is_noted_with_what_changed_and_nothing_fails(folder: Folder) -> None:
    before = outcomes(audit(folder.save()))
    folder.generations[2]["decoding"] = {"do_sample": True, "temperature": 0.6, "top_k": 40, "top_p": 1.0}
    report = audit(folder.save())
    told = (
        "generation 2 was decoded otherwise than generation 0 (temperature 1.0 -> 0.6, top_k not said -> 40): what "
        "changed in its texts may be decoding alone"
    )
    assert outcomes(report) == before
    assert unchanged(report, 2).notes == ("decoding",)
    assert told in unchanged(report, 2).reason
    assert any(told in note for note in report.notes)
    assert wrong(folder.root) == [(2, "decoding", "noted")]


def test_a_decoding_that_is_not_recorded_is_noted(folder: Folder) -> None:
    del folder.generations[1]["decoding"]
    assert wrong(folder.save()) == [(1, "decoding", "noted"), (2, "decoding", "noted")]
    assert facts(folder.root, 1)["decoding"].sentence.startswith("the decoding of generation 1 is not recorded")


def test_a_layer_that_did_not_move_is_noted(folder: Folder) -> None:
    name = f"{layer(1)}.lora_B.weight"
    folder.rewrite(1, lambda found: found.update({name: found[name] * 0}))
    assert wrong(folder.save()) == [(1, "adapter-trained", "noted")]
    assert f"not in 1 of 3 layers ({layer(1)}" in facts(folder.root, 1)["adapter-trained"].sentence


SHARES = [(0.1, 4, True), (0.11, 4, True), (0.124, 4, True), (0.125, 4, False), (0.12, 5, True), (0.075, 4, False)]


@pytest.mark.parametrize(("share", "people", "ok"), SHARES)
def test_a_declared_share_may_be_rounded_to_a_whole_number_of_records(
    folder: Folder, share: float, people: int, ok: bool
) -> None:
    """Of 40 records: |count - 40 share| must be below 1 (4.96 is 4 or 5; 5.0 is not 4; 3.0 is not 4)."""
    reference = (folder.root / "reference.jsonl").read_text().splitlines()[:people]
    rest = (folder.root / "gen_0" / "texts.jsonl").read_text().splitlines()[people:]
    path = folder.root / "gen_1" / "training.jsonl"
    path.write_text("\n".join([*reference, *rest]) + "\n")
    entry = folder.generations[1]
    entry["training_digest"] = file_digest(path)
    entry["trained_on"] = [entry["trained_on"][0] | {"share": share}, entry["trained_on"][1] | {"share": 1 - share}]
    assert facts(folder.save(), 1)["human-share"].ok is ok


def test_a_record_that_people_and_the_model_both_wrote_may_be_either_ones(folder: Folder) -> None:
    """Ten records stand in both: between 4 and 14 of the training records are people's."""
    shared = (folder.root / "reference.jsonl").read_text().splitlines()
    own = (folder.root / "gen_0" / "texts.jsonl").read_text().splitlines()
    texts = [*own[:30], *shared[30:]]
    for name, lines in (("gen_0/texts.jsonl", texts), ("gen_1/training.jsonl", [*shared[:4], *texts[4:]])):
        (folder.root / name).write_text("\n".join(lines) + "\n")
    digest = file_digest(folder.root / "gen_0" / "texts.jsonl")
    folder.generations[0]["texts_digest"] = digest
    folder.generations[1]["trained_on"][1]["digest"] = digest
    folder.generations[1]["training_digest"] = file_digest(folder.root / "gen_1" / "training.jsonl")
    fact = facts(folder.save(), 1)["human-share"]
    assert (fact.ok, fact.details["least"], fact.details["most"]) == (True, 4, 14)


def test_more_human_text_than_declared_is_noted_where_models_texts_were_selected(folder: Folder) -> None:
    """Four of forty are declared; of the others half was left out, so four of 22 are people's, not 2.2."""
    reference = (folder.root / "reference.jsonl").read_text().splitlines()[:4]
    rest = (folder.root / "gen_0" / "texts.jsonl").read_text().splitlines()[4:22]
    path = folder.root / "gen_1" / "training.jsonl"
    path.write_text("\n".join([*reference, *rest]) + "\n")
    folder.generations[1]["training_digest"] = file_digest(path)
    assert facts(folder.save(), 1)["human-share"].ok is False
    folder.manifest["recipe"] = {"selection": {"drop_duplicates": True}}
    fact = facts(folder.save(), 1)["human-share"]
    assert (fact.status, fact.details["least"]) == ("noted", 4)
    assert fact.sentence.endswith("after some of what models wrote was left out (selection)")


def test_blocks_are_peoples_where_they_stand_anywhere_in_the_reference(folder: Folder) -> None:
    """Four blocks are cut across the records, white space aside; one that stands nowhere is noted, and no proof."""
    whole = " ".join(json.loads(line)["text"] for line in (folder.root / "reference.jsonl").read_text().splitlines())
    rest = (folder.root / "gen_0" / "texts.jsonl").read_text().splitlines()[4:]
    path = folder.root / "gen_1" / "training.jsonl"

    def trained_on(blocks: list[str]) -> Fact:
        path.write_text("\n".join([*(json.dumps({"text": block}) for block in blocks), *rest]) + "\n")
        folder.generations[1]["training_digest"] = file_digest(path)
        folder.manifest["recipe"] = {"task": "blocks"}
        return facts(folder.save(), 1)["human-share"]

    blocks = [whole[at : at + 60] for at in (10, 70, 130, 190)]
    fact = trained_on(blocks)
    assert (fact.status, fact.details["least"], fact.details["records"]) == ("holds", 4, 40)
    fact = trained_on([*blocks[:3], "<unk> of nobody"])
    assert (fact.status, fact.details["most"]) == ("noted", 3)
    assert trained_on([]).ok is False  # of 36 none is people's, and 3.6 are declared


def test_records_of_text_that_the_lineage_does_not_hold_are_no_strays(folder: Folder) -> None:
    """Fresh human text is named, and lies outside of the corpora that are compared."""
    records_of_nobody(folder)
    entry = folder.generations[1]
    named = [one | {"share": one["share"] - 0.025 * (one is entry["trained_on"][1])} for one in entry["trained_on"]]
    entry["trained_on"] = [*named, {"corpus": "fresh", "share": 0.025}]
    assert facts(folder.save(), 1)["human-share"].ok is True


def test_adapters_of_other_seeds_are_looked_at_too(folder: Folder) -> None:
    for entry in folder.generations:
        entry["seed"] = 0
    copy = {**folder.generations[2], "seed": 1, "index": 0, "texts": "x.jsonl", "adapter": "gen_2/adapter"}
    del copy["holdout"], copy["training"], copy["training_digest"]
    copy["texts_digest"] = write_texts(folder.root / "x.jsonl", ["one", "two"])
    folder.manifest["generation"].append(copy)
    assert wrong(folder.save()) == [(0, "adapter-distinct", "broken"), (0, "human-share", "noted")]


def test_a_bare_folder_of_texts_has_no_facts_and_passes_as_before(tmp_path: Path) -> None:
    for index in range(2):
        write_texts(tmp_path / f"gen_{index}" / "texts.jsonl", [f"text {index} {k}" for k in range(20)])
    lineage = load_lineage(tmp_path)
    assert [Provenance(lineage).facts(entry) for entry in lineage.generations] == [(), ()]
    assert unchanged(audit(tmp_path), 1).outcome is Outcome.PASS


def test_a_pickle_stops_the_audit_and_is_not_opened(folder: Folder) -> None:
    (folder.adapter(1) / WEIGHTS).unlink()
    (folder.adapter(1) / "adapter_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/opened'\ntR.")
    with pytest.raises(InputError) as caught:
        audit(folder.save())
    assert str(caught.value) == (
        "whole/gen_1/adapter: found adapter_model.bin, a pickle, which could run any code and is never opened; "
        "expected adapter_model.safetensors: save it anew with safe_serialization=True [adapter-pickle]"
    )


def test_training_records_are_opened_and_held_against_their_digest(folder: Folder) -> None:
    entry = folder.generations[1]
    entry["training_digest"] = "sha256:" + "c" * 64
    with pytest.raises(InputError, match=r"whole/gen_1/training\.jsonl: found sha256:.*expected sha256:cccc"):
        load_lineage(folder.save())
    del entry["training"]
    with pytest.raises(InputError, match="training"):
        load_lineage(folder.save())
    del entry["training_digest"]
    assert load_lineage(folder.save()).generations[1].training is None
    fact = facts(folder.root, 1)["human-share"]
    assert (fact.status, fact.details) == ("noted", {"declared": 0.1})
    assert fact.sentence == (
        "0.1 human text declared for generation 1, not measured: the records that it was trained on are not at hand"
    )
    report = audit(folder.root)
    assert unchanged(report, 1).outcome is Outcome.PASS
    assert fact.sentence in unchanged(report, 1).reason
    assert unchanged(report, 1).notes == ("human-share",)


def test_a_share_of_everything_or_nothing_is_no_mixture_to_be_measured(folder: Folder) -> None:
    entry = folder.generations[1]
    del entry["training"], entry["training_digest"]
    for share in (1.0, 0.0):
        entry["trained_on"] = [
            entry["trained_on"][0] | {"share": share},
            entry["trained_on"][-1] | {"share": 1 - share},
        ]
        assert "human-share" not in facts(folder.save(), 1)


def test_records_drawn_with_replacement_are_noted(folder: Folder) -> None:
    """Twenty draws from forty: 15.9 distinct ones are expected, and 40 (1 - q) - 4 sqrt(40 q (1 - q)) = 3.5 allowed."""
    reference = (folder.root / "reference.jsonl").read_text().splitlines()
    rest = (folder.root / "gen_0" / "texts.jsonl").read_text().splitlines()[20:]
    q = (39 / 40) ** 20
    assert 3 < 40 * (1 - q) - 4 * (40 * q * (1 - q)) ** 0.5 < 4
    for distinct, status in ((20, "holds"), (16, "noted"), (4, "noted"), (3, "broken")):
        train_on(folder, [*(reference[k % distinct] for k in range(20)), *rest], 0.5)
        fact = facts(folder.save(), 1)["human-share"]
        assert (fact.status, fact.details["distinct"], fact.details["most"]) == (status, distinct, 20)


def test_a_reference_smaller_than_its_share_is_repeated_as_a_whole(folder: Folder) -> None:
    """Eighty of a hundred records from forty: each counts twice, and a few of them forty times do not."""
    reference = (folder.root / "reference.jsonl").read_text().splitlines()
    rest = (folder.root / "gen_0" / "texts.jsonl").read_text().splitlines()[:20]
    for lines, status in ((reference * 2, "holds"), (reference[:2] * 40, "broken")):
        train_on(folder, [*lines, *rest], 0.8)
        assert facts(folder.save(), 1)["human-share"].status == status


def test_without_its_configuration_an_adapter_is_not_known(folder: Folder) -> None:
    (folder.adapter(1) / "adapter_config.json").unlink()
    report = audit(folder.save())
    assert wrong(folder.root) == [(1, "adapter-config", "unknown")]
    assert unchanged(report, 1).outcome is Outcome.INCONCLUSIVE
    assert "gen_1/adapter has no adapter_config.json" in unchanged(report, 1).reason


def test_only_a_product_that_is_not_zero_is_said_to_change_the_base(folder: Folder) -> None:
    assert "changes the base: 3 of its products" in facts(folder.save(), 1)["adapter-trained"].sentence
    beside = {"base_model.model.lm_head.weight": np.ones((2, 2), np.float32)}
    folder.rewrite(1, lambda found: found.update({n: v * 0 for n, v in found.items()} | beside))
    assert wrong(folder.save()) == [(1, "adapter-trained", "unknown")]
    assert "whether it changes the base is not known" in facts(folder.root, 1)["adapter-trained"].sentence
    save_file({"base_model.model.q.ia3_l": np.ones(4, np.float32)}, folder.adapter(1) / WEIGHTS)
    (folder.adapter(1) / "adapter_config.json").write_text('{"peft_type": "IA3"}')
    folder.record(1)
    assert wrong(folder.save()) == [(1, "adapter-trained", "noted")]
    only_a = {name: one for name, one in tensors(1).items() if "lora_A" in name}
    save_file(only_a, write_adapter(folder.adapter(1), {}) / WEIGHTS)
    folder.record(1)
    assert wrong(folder.save()) == [(1, "adapter-trained", "broken"), (1, "adapter-shape", "broken")]


def test_adapters_of_bases_with_other_names_are_noted_in_a_bare_folder(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    for index, base in enumerate(("base", "./base/", "other/base")):
        write_texts(tmp_path / f"gen_{index}" / "texts.jsonl", [f"text {index} {k}" for k in range(20)])
        write_adapter(tmp_path / f"gen_{index}" / "adapter", tensors(index), base_model_name_or_path=base)
    assert wrong(tmp_path) == [(2, "base", "noted")]
    assert "names the base other/base, and gen_0/adapter was made for base" in facts(tmp_path, 2)["base"].sentence


def test_the_texts_of_a_record_stay_out_of_the_facts(folder: Folder) -> None:
    records_of_nobody(folder)
    assert "nowhere" not in repr(facts(folder.save(), 1))
