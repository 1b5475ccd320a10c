"""When two texts are the same text: equal to a reader, whatever code points they are written with.

One key for all that asks it (empty, duplicate, copied, unchanged, and the words that are counted): code points that
show nothing are left out, letters are composed (NFC), and white space is folded. A generation that writes its accents
as separate marks has lost nothing; one that writes U+200B twelve times in a hundred texts has written nothing there.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

DEFAULT_IGNORABLE: Final = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
"""First and last of every run of code points that show nothing where a font does not know them: the property
Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties.txt (the same in versions 12 to 16)."""

_INVISIBLE = "[" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in DEFAULT_IGNORABLE) + "]+"
# RE2's \s is ASCII without the vertical tab; these are what str.split and the tokeniser hold for white space.
_SPACE = r"[\s\v\x{1c}-\x{1f}\x{85}\p{Z}]"
# Runs of it that are not one blank already: most of a text's blanks need no work. \p{Z} without U+0020 is spelled out.
_UNEVEN = (
    rf"(?: {_SPACE}|[\t\n\f\r\v\x{{1c}}-\x{{1f}}\x{{85}}\x{{a0}}\x{{1680}}\x{{2000}}-\x{{200a}}"
    rf"\x{{2028}}\x{{2029}}\x{{202f}}\x{{205f}}\x{{3000}}]){_SPACE}*"
)
_TOLD = 0.01
"""Share of a corpus' texts from which it is said that they are written with invisible or decomposed characters."""


def visible(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """The texts without what shows nothing, letters composed (NFC); white space as it stands. Nulls stay null."""
    if pc.all(pc.string_is_ascii(texts)).as_py() is not False:
        return texts
    shown = pc.replace_substring_regex(texts, pattern=_INVISIBLE, replacement="")
    return shown if _composed(shown) else pc.utf8_normalize(shown, form="NFC")


def fold(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """What makes two texts the same text: :func:`visible`, every run of white space one space, the ends stripped."""
    return fold_space(visible(texts))


def fold_space(texts: pa.LargeStringArray) -> pa.LargeStringArray:
    """Every run of white space one space, the ends stripped."""
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, pattern=_UNEVEN, replacement=" "))


def _composed(texts: pa.LargeStringArray) -> bool:
    """Whether all are NFC already: asking is ten times as fast as composing, and most text is."""
    return all(unicodedata.is_normalized("NFC", text.as_py() or "") for text in texts)


def differences(raw: pa.LargeStringArray, seen: pa.LargeStringArray) -> tuple[str, ...]:
    """What to say of texts that differ from what a reader sees (``seen``: :func:`visible` of them); shapes (N,)."""
    if not len(raw) or raw is seen or raw.equals(seen):
        return ()
    before, after = fold_space(raw), fold_space(seen)
    notes = []
    only = pc.and_(pc.equal(after, ""), pc.not_equal(before, ""))
    if share := _share(only):
        notes.append(f"{share:.1%} of the texts hold only invisible characters, and count as empty")
    hidden = pc.count_distinct(before).as_py() - pc.count_distinct(after).as_py()
    if hidden / len(raw) >= _TOLD and not share:
        notes.append(f"{hidden:,} texts are copies of others but for characters that no reader sees, and count as such")
    composed = _share(pc.not_equal(raw, pc.utf8_normalize(raw, form="NFC")))
    if composed >= _TOLD:
        notes.append(f"{composed:.0%} of the texts are written with decomposed letters (NFD); compared after NFC")
    invisible = _share(pc.match_substring_regex(raw, _INVISIBLE))
    if invisible >= _TOLD and not share:
        notes.append(f"{invisible:.0%} of the texts hold characters that no reader sees; compared without them")
    return tuple(notes)


def _share(hits: pa.BooleanArray) -> float:
    return float(pc.mean(pc.cast(hits, pa.float64())).as_py() or 0.0)
