"""Reference packs: what stands in the file and what does not, and that it comes back."""

from __future__ import annotations

import json
import os
import random
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_examples import FIELD, NAMES, contents, holds, numbers, order_of, pack_of, rich, rows, texts

from collapse_audit.calibration.two_samples import sample_of
from collapse_audit.errors import UsageError
from collapse_audit.lineages.disk.pack import read_pack, write_pack
from collapse_audit.lineages.disk.pack_format import FORMAT, KIND
from collapse_audit.probes.packs.pack import COMMON, rule_key, tokens_key
from collapse_audit.probes.packs.sketch import NLL_STEP
from collapse_audit.probes.text.labels import EU_TIRADS, label_rule

# What is not in it.


def test_no_word_of_fewer_than_five_documents_is_in_any_byte(tmp_path: Path) -> None:
    corpus = texts(200, 1, types=2000)
    write_pack(tmp_path / "p.npz", pack_of(sample_of(corpus)))
    everything = contents(tmp_path / "p.npz")
    frequency = Counter(word for text in corpus for word in set(text.split()))
    rare = [word for word, documents in frequency.items() if documents < COMMON]
    assert len(rare) > 300
    assert [word for word in rare if holds(everything, word)] == []
    pack = read_pack(tmp_path / "p.npz")
    assert len(pack.words) > 20  # else nothing was shown
    assert all(holds(everything, word) for word in pack.words)


def test_common_words_are_those_in_five_of_the_documents_set_aside() -> None:
    corpus = texts(200, 1, types=2000)
    pack = pack_of(sample_of(corpus))
    aside = [corpus[d] for d in order_of(200)[100:]]
    frequency = Counter(word for text in aside for word in set(text.split()))
    assert pack.words == tuple(sorted(word for word, documents in frequency.items() if documents >= COMMON))
    counts = Counter(word for text in aside for word in text.split())
    assert (pack.aside.tolist(), pack.aside_tokens) == ([counts[word] for word in pack.words], counts.total())
    blocks = [corpus[d : d + 1] for d in order_of(200)[:100]]
    expected = [
        [sum(text[0].split().count(word) for text in blocks[start : start + 5]) for word in pack.words]
        for start in range(0, 100, 5)
    ]
    assert pack.counts.toarray().tolist() == expected


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_other_spellings_of_words_that_are_not_common_change_no_byte(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """So no dictionary, however large, tells which they were: the pack is the same for every choice of them."""
    folder = tmp_path_factory.mktemp("renamed")
    corpus = rows(120, seed, types=800)
    first = pack_of(sample_of([" ".join(NAMES[k] for k in row) for row in corpus]), seed)
    common = set(first.words)
    hidden = [k for k in range(800) if NAMES[k] not in common]
    other = dict(zip(hidden, random.Random(seed).sample(range(800, 5000), len(hidden)), strict=True))
    renamed = [" ".join(NAMES[other.get(k, k)] for k in row) for row in corpus]
    write_pack(folder / "first.npz", first)
    write_pack(folder / "second.npz", pack_of(sample_of(renamed), seed))
    assert (folder / "first.npz").read_bytes() == (folder / "second.npz").read_bytes()


def test_the_order_of_words_is_in_it_nowhere(tmp_path: Path) -> None:
    """Common words of every text turned round, which reverses the pairs: only numbers of pairs could tell."""
    corpus = [text.split() for text in texts(120, 3)]
    for name, spelt in (("a", corpus), ("b", [row[::-1] for row in corpus])):
        write_pack(tmp_path / f"{name}.npz", pack_of(sample_of([" ".join(row) for row in spelt])))
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        moved = [name for name in a.files if not np.array_equal(a[name], b[name])]
    # Cut texts begin elsewhere; uncut they have as many distinct pairs, words, collisions, in every block.
    assert set(moved) <= {
        "header",
        "tokens",
        "repeated",
        *(f"distinct_{k}{part}" for k in ("words", "pairs") for part in ("", "_spread", "_runs")),
    }
    whole, turned = (pack_of(sample_of([" ".join(row) for row in c])) for c in (corpus, [row[::-1] for row in corpus]))
    assert [*numbers(whole.sketch.at[-1])] == [*numbers(turned.sketch.at[-1])]


def test_groups_count_once_so_that_five_documents_are_five_patients() -> None:
    """A name in ten reports of two patients is in two independent documents."""
    corpus = texts(300, 4)
    corpus[:10] = [f"{text} Ivanov" for text in corpus[:10]]
    groups = [f"patient {0 if d < 5 else 1}" if d < 10 else f"patient {d}" for d in range(300)]
    assert "Ivanov" in pack_of(sample_of(corpus), seed=3).words
    assert "Ivanov" not in pack_of(sample_of(corpus, groups=groups), seed=3).words


def test_labels_of_fewer_than_five_documents_are_counted_and_not_named(tmp_path: Path) -> None:
    labels = [["common"]] * 140 + [["secretly-rare"]] * 4 + [[]] * 6
    pack = pack_of(sample_of(texts(150, 1), labels=labels), rule=FIELD)
    write_pack(tmp_path / "p.npz", pack)
    assert pack.labels is not None
    assert (dict(pack.labels.totals), pack.labels.scarce) == ({"common": 140}, 1)
    assert holds(contents(tmp_path / "p.npz"), "common")
    assert not holds(contents(tmp_path / "p.npz"), "secretly-rare")


def test_a_label_is_named_in_the_blocks_only_if_five_documents_set_aside_carry_it() -> None:
    labels = [[f"k{int(d % 40 == 0)}"] for d in range(300)]
    pack = pack_of(sample_of(texts(300, 1), labels=labels), rule=FIELD)
    aside = Counter(labels[d][0] for d in order_of(300)[150:])
    assert pack.labels is not None
    assert pack.labels.names == tuple(sorted(name for name, n in aside.items() if n >= 5))
    assert dict(pack.labels.totals) == {"k0": 292, "k1": 8}


def test_likelihoods_are_in_steps_and_in_no_order() -> None:
    nll = np.random.default_rng(0).normal(3.4, 0.5, 150)
    pack = pack_of(sample_of(texts(150, 1), nll=list(nll)))
    assert pack.sketch.nll is not None
    expected = [sorted(round(nll[d] / NLL_STEP) for d in order_of(150)[k : k + 5]) for k in range(0, 150, 5)]
    assert pack.sketch.nll.tolist() == expected


@pytest.mark.parametrize("size", [1, 4])
def test_blocks_of_fewer_than_five_documents_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match="at least 5"):
        pack_of(sample_of(texts(150, 1)), size=size)


def test_too_few_documents_are_refused() -> None:
    with pytest.raises(UsageError, match=r"99 independent documents .* 20 blocks of 5, 100 documents"):
        pack_of(sample_of(texts(99, 1)))
    assert pack_of(sample_of(texts(104, 1))).documents == 100
    with pytest.raises(UsageError, match="50 independent documents"):
        pack_of(sample_of(texts(150, 1), groups=[f"g{d // 3}" for d in range(150)]))


def test_names_of_rules_and_tokenisers_say_no_more_than_they_must() -> None:
    assert rule_key(FIELD) == "field"
    assert rule_key(EU_TIRADS) == "eu-tirads"
    assert (
        rule_key(label_rule("regex:secret")) == rule_key(label_rule("regex:secret")) != rule_key(label_rule("regex:s"))
    )  # type: ignore[arg-type]
    assert "secret" not in rule_key(label_rule("regex:secret"))  # type: ignore[arg-type]
    assert tokens_key("hf:my file (1).json (sha256 0123)") == "hf (sha256 0123)"


# What comes back.


@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.integers(5, 7))
@settings(max_examples=15)
def test_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, seed: int, labelled: bool, scored: bool, size: int
) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(140, 240))
    sample = sample_of(
        texts(n, seed, types=int(rng.integers(2, 500)), length=float(rng.uniform(0.5, 30))),
        labels=[[f"l{k}" for k in range(3) if rng.random() < 0.3] for _ in range(n)] if labelled else None,
        nll=list(rng.gamma(3.0, 1.0, n)) if scored else None,
    )
    pack = pack_of(sample, seed, size=size, rule=FIELD if labelled else None, held_out=bool(seed % 2))
    path = tmp_path_factory.mktemp("packs") / "p.npz"
    write_pack(path, pack)
    again = read_pack(path)
    assert [*numbers(again)] == [*numbers(pack)]
    write_pack(path.with_name("q.npz"), again)
    assert path.read_bytes() == path.with_name("q.npz").read_bytes()


def test_texts_of_nothing_can_be_packed(tmp_path: Path) -> None:
    for degenerate in ([""] * 100, ["same"] * 100, ["a b c d"] * 100):
        write_pack(tmp_path / "p.npz", pack_of(sample_of(degenerate)))
        read_pack(tmp_path / "p.npz")


def test_the_file_carries_no_date_and_no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pack(tmp_path / "a.npz", rich())
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    write_pack(tmp_path / "b.npz", rich())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_numpy_opens_it_without_pickle(tmp_path: Path) -> None:
    write_pack(tmp_path / "p.npz", rich())
    with np.load(tmp_path / "p.npz", allow_pickle=False) as archive:
        header = json.loads(archive["header"].tobytes())
        words = json.loads(archive["words"].tobytes())
        assert all(archive[name].dtype.kind in "uif" for name in archive.files)
    assert (header["kind"], header["format"], header["words"]) == (KIND, FORMAT, len(words))


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.npz"
    write_pack(path, rich())
    before = path.read_bytes()
    monkeypatch.setattr(np.lib.format, "write_array", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_pack(path, rich(seed=2))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["p.npz"]  # noqa: PTH208
    with pytest.raises(UsageError, match=r"\.npz"):
        write_pack(tmp_path / "p.zip", rich())


def test_a_pack_takes_its_chance_from_the_generator_it_is_given() -> None:
    sample = sample_of(texts(150, 1))
    first, second = (pack_of(sample, s) for s in (1, 2))
    assert [*numbers(first)] != [*numbers(second)]
    assert [*numbers(first)] == [*numbers(pack_of(sample, 1))]
