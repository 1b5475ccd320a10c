"""Personal data that a rule can tell: columns by their names and values, and spans of free text.

What is found is certain to look like personal data; what is not found may still be. A name without a patronymic or
initials, a nickname, an address in words: no rule here knows them, and a person has to look.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

KINDS: Mapping[str, re.Pattern[str]] = {
    "e-mail": re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{2,63}){1,4}"),
    "phone": re.compile(r"(?<![\w+])(?:\+7|8)[\s(-]{0,3}\d{3}[\s)-]{0,3}\d{3}[\s-]?\d{2}[\s-]?\d{2}(?!\d)"),
    "insurance number": re.compile(r"(?<![\d-])\d{3}-\d{3}-\d{3}[ -]\d{2}(?!\d)"),
    "policy or card": re.compile(r"(?<!\d)\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}(?!\d)"),
    "passport": re.compile(r"(?:паспорт|passport)\D{0,12}\d{2} ?\d{2} ?\d{6}(?!\d)", re.IGNORECASE),
    "date of birth": re.compile(
        r"\d{1,2}[./]\d{1,2}[./](?:19|20)\d{2} ?(?:г\. ?р\.|года? рожд)"
        r"|(?:дата рождения|\bд\. ?р\.|\bborn(?: on)?|date of birth|\bDOB)\W{0,5}\d{1,4}[./-]\d{1,2}[./-]\d{1,4}",
        re.IGNORECASE,
    ),
    "name": re.compile(
        r"\b[А-ЯЁ][а-яё]{1,30}(?:-[А-ЯЁ][а-яё]{1,30})? [А-ЯЁ][а-яё]{1,30} "
        r"[А-ЯЁ][а-яё]{1,30}(?:вич|вна|чна)(?:а|у|ем|ы|е|ой)?\b"  # with a patronymic
        r"|\b[А-ЯЁ][а-яё]{1,30}(?:ов|ев|ёв|ин|ын|ский|цкий|ко|ук|юк|ян|дзе|швили)(?:а|у|ым|ой|ая|ого|ому)? ?"
        r"[А-ЯЁ]\. ?[А-ЯЁ]\."  # with initials
        r"|\b(?:Mr|Mrs|Ms|Patient)\.?:? [A-Z][a-z]{1,30} [A-Z][a-z]{1,30}\b"
    ),
}
"""What it is called -> how it is written. Every quantifier is bounded, so the time is linear in the text."""

_COLUMN = re.compile(
    r"фио|ф\.\s?и\.\s?о|фамили|^имя|отчеств|рожден|^др$|^д\.\s?р\.?$|полис|\bомс\b|снилс|паспорт|телефон|адрес|почта"
    r"|\b(?:first|last|full|patient|sur)[ _-]?name\b|^name$|birth|^dob$|policy|insurance|passport|phone|address|e-?mail"
    r"|\bssn\b",
    re.IGNORECASE,
)
_SHARE = 0.5
"""A column is personal from this share of its values on that are wholly a name, a number or an address."""


def personal_columns(columns: Mapping[str, Iterable[str | None]]) -> dict[str, str]:
    """Column -> why it looks personal, of those that do."""
    personal = {}
    for name, cells in columns.items():
        if _COLUMN.search(name):
            personal[name] = "its name says so"
            continue
        values = [value for value in cells if value is not None]
        for kind, pattern in KINDS.items():
            alike = sum(pattern.fullmatch(value.strip()) is not None for value in values)
            if values and alike >= _SHARE * len(values):
                personal[name] = f"{alike:,} of {len(values):,} values look like a {kind}"
                break
    return personal


def personal_kinds(text: str) -> tuple[str, ...]:
    """Which kinds of personal data stand in a text, as far as a rule can tell."""
    return tuple(kind for kind, pattern in KINDS.items() if pattern.search(text))


def masked(text: str) -> str:
    """The text with ``[phone]`` and the like in the place of what was found."""
    for kind, pattern in KINDS.items():
        text = pattern.sub(f"[{kind}]", text)
    return text
