"""Text to tokens: words of any script, unspaced scripts by character, symbol runs, and nothing lost on the way."""

from __future__ import annotations

import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collapse_audit.errors import UsageError
from collapse_audit.probes.text.tokens import WORDS, Tokens, in_one_case, tokenizer, uncased

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


def documents(tokens: Tokens) -> list[list[str]]:
    """Every document's tokens as strings."""
    spelled = [tokens.vocabulary[int(number)].as_py() for number in tokens.ids]
    return [spelled[a:b] for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]


def cut(text: str) -> list[str]:
    [tokens] = documents(WORDS(pa.array([text])))
    return tokens


# Each line read by hand: a text and the tokens a reader would find in it.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat sat.", "The cat sat ."),
        ("Cat CAT cat", "Cat CAT cat"),
        ("naïve Ångström", "naïve Ångström"),
        ("Узловой зоб, 4 мм", "Узловой зоб , 4 мм"),
        ("Ελληνικά και", "Ελληνικά και"),
        ("שלום עולם", "שלום עולם"),
        ("العربية كتاب", "العربية كتاب"),
        ("हिन्दी में", "हिन्दी में"),
        ("한국어 문장", "한국어 문장"),
        ("我爱你", "我 爱 你"),
        ("ひらカタ", "ひ ら カ タ"),
        ("東京Tokyo2020", "東 京 Tokyo2020"),
        ("snake_case __init__", "snake_case __init__"),
        ("x = y+1", "x = y + 1"),
        ("what?! ... ok", "what ?! ... ok"),
        ("a==b", "a == b"),
        ("(nested [brackets])", "( nested [ brackets ])"),
        ("😀😀 smile", "😀😀 smile"),
        ("café 3½", "café 3½"),
        ("e-mail", "e - mail"),
    ],
)
def test_a_text_is_cut_as_a_reader_would_cut_it(text: str, expected: str) -> None:
    assert cut(text) == expected.split()


def test_thai_is_cut_by_character_and_marks_stay_with_their_letter() -> None:
    assert cut("กิน") == ["กิ", "น"]  # KO KAI + SARA I (a mark), NO NU
    assert cut("ကို") == ["ကို"]  # one Myanmar letter with two vowel signs


def test_a_combining_mark_stays_in_its_word() -> None:
    assert cut("e\u0301te\u0301 x") == ["e\u0301te\u0301", "x"]


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\r\n", "\v", "\f", "\x85", "\u00a0", "\u2003", "\u2028", "\u3000"])
def test_every_unicode_space_separates_words(space: str) -> None:
    assert cut(f"one{space}two") == ["one", "two"]


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u00a0\u2003\u3000", "\v\f\x85"])
def test_a_text_of_nothing_but_white_space_has_no_token(text: str) -> None:
    tokens = WORDS(pa.array([text, "a", text]))
    assert tokens.lengths.tolist() == [0, 1, 0]


def test_no_text_at_all_gives_no_token() -> None:
    tokens = WORDS(pa.array([""]))
    assert tokens.ids.size == 0
    assert tokens.offsets.tolist() == [0, 0]
    assert len(tokens.vocabulary) == 0


def test_an_emoji_of_several_code_points_is_one_token() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert cut(f"a {family} b") == ["a", family, "b"]


def test_three_emoji_with_variation_selectors_are_one_run_of_symbols() -> None:
    hearts = "\u2764\ufe0f" * 3
    assert cut(hearts) == [hearts]


@pytest.mark.parametrize("word", ["می\u200cخواهم", "क्\u200dष", "co\u00adoperate"])
def test_an_invisible_joiner_does_not_cut_a_word(word: str) -> None:
    assert cut(word) == [word]


@given(st.lists(TEXT, max_size=5))
@example(["\x1c\x1d\x1e\x1f", "a\x85b", "_\u200b_", "\u0301", "\U0010ffff\ue000"])
def test_the_tokens_of_a_text_hold_its_visible_characters_in_their_order(texts: list[str]) -> None:
    """White space here is what Python calls white space: an implementation independent of Arrow's and RE2's."""
    tokens = WORDS(pa.array(texts, pa.large_string()))
    for text, words in zip(texts, documents(tokens), strict=True):
        assert "".join(words) == "".join(text.split())
        assert all(word and not any(character.isspace() for character in word) for word in words)


@settings(max_examples=40)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_documents_are_cut_independently_of_their_neighbours(texts: list[str]) -> None:
    together = documents(WORDS(pa.array(texts, pa.large_string())))
    assert together == [cut(text) for text in texts]


@given(TEXT)
def test_letters_and_symbols_never_share_a_token(text: str) -> None:
    """Only marks and the underscore may stand beside either; categories from Python's own Unicode table."""
    for word in cut(text):
        kinds = {unicodedata.category(character)[0] for character in word if character != "_"}
        assert not (kinds & {"L", "N"} and kinds & {"P", "S"}), word


@given(st.text("abcXYZйЖ", min_size=1, max_size=20))
def test_letters_of_a_spaced_script_are_never_cut(word: str) -> None:
    assert cut(word) == [word]


def test_ids_and_vocabulary_are_consistent() -> None:
    tokens = WORDS(pa.array(["b a b", "", "c a"]))
    assert tokens.offsets.tolist() == [0, 3, 3, 5]
    assert tokens.lengths.tolist() == [3, 0, 2]
    assert sorted(tokens.vocabulary.to_pylist()) == ["a", "b", "c"]
    assert sorted(np.unique(tokens.ids).tolist()) == [0, 1, 2]


def test_strings_and_large_strings_are_cut_alike() -> None:
    texts = ["one two", "我 three!"]
    small, large = (documents(WORDS(pa.array(texts, kind))) for kind in (pa.string(), pa.large_string()))
    assert small == large


def test_a_line_of_ten_megabytes_is_cut_in_seconds() -> None:
    line = "the quick brown fox " * 500_000  # 10 MB, no line break
    start = time.perf_counter()
    tokens = WORDS(pa.array([line, "我" * 1000, "!" * 1_000_000]))
    assert time.perf_counter() - start < 30  # a second here; a slow machine gets thirty
    assert tokens.lengths.tolist() == [2_000_000, 1000, 1]
    assert sorted(tokens.vocabulary.to_pylist())[1:] == ["brown", "fox", "quick", "the", "我"]


# Hugging Face tokenizer files


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return ["the cat sat on the mat", "a cat and a dog", "dogs sit; cats sat!", "", "Über naïve 猫"]


def word_level(folder: Path, corpus: list[str]) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    model = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    model.train_from_iterator(corpus, trainers.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False))
    file = folder / "word-level.json"
    model.save(str(file))
    return file


def byte_pairs(folder: Path, corpus: list[str]) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
    )
    model.train_from_iterator(corpus, trainer)
    # What audits must not see: truncation, padding and special tokens that a file may ask for.
    model.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    model.enable_truncation(2)
    model.enable_padding(length=50, pad_token="<s>")
    file = folder / "bpe.json"
    model.save(str(file))
    return file


@pytest.mark.parametrize("train", [word_level, byte_pairs])
def test_a_tokenizer_file_gives_what_its_own_library_gives(train: object, tmp_path: Path, corpus: list[str]) -> None:
    fast_module = pytest.importorskip("tokenizers")
    file = train(tmp_path, corpus)  # type: ignore[operator]
    texts = [*corpus, "an unseen zebra", "   ", "cat " * 99 + "cat"]
    own = fast_module.Tokenizer.from_file(str(file))
    own.no_truncation()
    own.no_padding()
    expected = [own.encode(text, add_special_tokens=False).tokens for text in texts]
    ours = tokenizer(f"hf:{file}")
    assert documents(ours(pa.array(texts, pa.large_string()))) == expected
    assert len(expected[-1]) == 100  # neither truncated nor padded
    assert ours.name.startswith(f"hf:{file.name} (sha256 ")


def test_two_tokenizer_files_of_one_name_have_different_names_in_the_report(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    names = set()
    for folder, corpus in (("a", ["one two"]), ("b", ["three four"])):
        (tmp_path / folder).mkdir()
        names.add(tokenizer(f"hf:{word_level(tmp_path / folder, corpus)}").name)
    assert len(names) == 2


def test_a_tokenizer_file_that_changed_is_read_again(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    before = tokenizer(f"hf:{word_level(tmp_path, ['one two'])}").name
    after = tokenizer(f"hf:{word_level(tmp_path, ['three four'])}").name
    assert before != after


@pytest.mark.parametrize("content", [None, "", "{}", "not json", '{"model": 3}'])
def test_an_unreadable_tokenizer_file_is_a_usage_error_that_names_it(tmp_path: Path, content: str | None) -> None:
    pytest.importorskip("tokenizers")
    file = tmp_path / "broken.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=r"broken\.json.*not a readable tokenizer\.json"):
        tokenizer(f"hf:{file}")


def test_a_folder_and_bytes_that_are_no_text_are_refused_too(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "bytes.json"):
        with pytest.raises(UsageError, match=r"not a readable tokenizer\.json"):
            tokenizer(f"hf:{path}")


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UsageError, match=r'needs the tokenizers package: pip install "collapse-audit\[hf\]"'):
        tokenizer(f"hf:{tmp_path / 'any.json'}")


@pytest.mark.parametrize("name", ["", "word", "hf", "hf:", "Words", "bpe:x.json"])
def test_an_unknown_tokeniser_is_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(UsageError, match='allowed: "words" or "hf:FILE"'):
        tokenizer(name)


def test_words_is_the_default_tokeniser_by_name() -> None:
    assert tokenizer("words") is WORDS
    assert WORDS.name == "words"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all small letters", True),
        ("ALL CAPITALS", True),
        ("One capital", False),
        ("12 345 !", False),
        ("\u4e2d\u6587", False),  # Han has no case
        ("\u0434\u0430", True),
        ("\u0414\u0430", False),
        ("", False),
        ("stra\u00dfe", True),
        ("I", True),
    ],
)
def test_a_text_in_one_case_holds_letters_that_have_another(text: str, expected: bool) -> None:
    assert in_one_case(WORDS(pa.array([text, "A sentence."]))).tolist() == [expected, False]


@given(st.lists(TEXT, max_size=5))
def test_folding_case_is_lowering_every_token(texts: list[str]) -> None:
    tokens = WORDS(pa.array(texts, pa.large_string()))
    folded = uncased(tokens)
    assert folded.offsets.tolist() == tokens.offsets.tolist()
    lowered = pa.compute.utf8_lower(tokens.vocabulary)
    assert documents(folded) == documents(Tokens(tokens.ids, tokens.offsets, lowered))
    assert len(set(folded.vocabulary.to_pylist())) == len(folded.vocabulary)
