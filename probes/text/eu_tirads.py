"""Which EU-TIRADS categories a text names, however doctors and models write them, in Russian and English.

The European Thyroid Association's system has five categories, 1 to 5 (Russ G. et al., European Thyroid Association
Guidelines for Ultrasound Malignancy Risk Stratification of Thyroid Nodules in Adults: The EU-TIRADS.
Eur Thyroid J 2017;6:225-237, doi 10.1159/000478927).

>>> eu_tirads("Узловой зоб (EU-TIRADS 3-4), 0,9*0,5*0,9 см")
('EU-TIRADS 3', 'EU-TIRADS 4')
>>> eu_tirads("Признаки узлового зоба, EU-TIRADS")
('EU-TIRADS without category',)

What is read, decided once and kept:

* The name: EU-TIRADS, TI-RADS, TIRADS, ТИРАДС, ТАЙРАДС, the long English name; any dash, space or line break inside,
  any case, Cyrillic letters inside the Latin word and the other way round. TI-RADS without a country counts.
* Another system named as such is not this one, neither a label nor a mention: ACR TI-RADS, K-TIRADS, C-TIRADS, Kwak,
  Korean, Chinese.
* The number: 1-5 or I-V right after the name, or after words such as "категория" and "score", or before it as in
  "категория 4 по EU-TIRADS". A letter after it ("4a") names a subgroup of the same category.
* Several numbers: "3-4", "2,3", "3 и 4", "4/5" give those that are written; nothing is filled in ("2-4" is 2 and 4).
* Never a label: a size ("4 мм", "0,9*0,5 см", "4-5 мм"), a date, a span of time, a phone number, an item number on
  the next line, a number that is not a category (0, 6, 45), a number in the next sentence ("EU-TIRADS. 5 узлов").
* A mention without a category counts only in a text that names no category at all: then it is the text's one label.
"""

from __future__ import annotations

import re
import unicodedata

CATEGORIES: tuple[str, ...] = tuple(f"EU-TIRADS {number}" for number in range(1, 6))
UNLABELLED_MENTION = "EU-TIRADS without category"

# Every quantifier below is bounded, so the time is linear in the text whatever the text is.

_NAME = re.compile(
    r"""
    (?<![^\W_])                                           # not in the middle of a word
    (?:
        (?:[EЕ][UУЮ])?                                    # EUTIRADS; with a dash or a space this part needs no match
        [TТ] (?:[IІИl1] | [AА][ЙI])                      # TI, ТИ, ТАЙ
        [\s\-_.]{0,3}
        [RРP] [AА] [DД] [SЅСC]                            # RADS, РАДС
        (?![^\W\d_])                                      # then no letter; a digit may be glued on: TIRADS4
      |
        Thyroid \s{1,4} Imaging [\s,]{1,4} Reporting \s{1,4} (?:and|&) \s{1,4} Data \s{1,4} Systems? (?![^\W\d_])
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OTHER_SYSTEM = re.compile(
    r"(?:\b(?:ACR|АКР|AI|Kwak|Korean|Chinese|American\s{1,3}College\s{1,3}of\s{1,3}Radiology)[\s\-]{1,3}|\b[KКCС]-)\Z",
    re.IGNORECASE,
)

# Between the name and its number. A full stop, a comma and a semicolon end the mention, unless a word goes on with it.
_FILL = r"[\s\-:=№#*_|()\[\]«»\"'“”„`]{0,20}"
_EDITION = r"(?:\s{0,2}\((?:19|20)[0-9]{2}(?:\s?г\.?)?\))?"  # "EU-TIRADS (2017): 4"
_WORD = (
    r"(?:категор(?:[а-я]{1,4}|\.)|кат\.?|класс(?:а|у|ом|ификац[а-я]{1,3})?|групп[аы]|степен[ьи]|балл[ыа]?|шкал[аеы]|систем[аы]"
    r"|соответствует|номер|categor(?:y|ies)|cat\.?|class(?:ification)?|grade|group|score|scale|system|level|no\.?|is|was|of)"
)
_BEFORE_NUMBER = re.compile(rf"{_EDITION}(?:{_FILL}[.,;]?\s{{0,2}}\b{_WORD}(?![^\W\d_])){{0,3}}{_FILL}", re.IGNORECASE)

_ROMAN = r"(?:III?|IV|[IІ]{2,3}|ІV|(?-i:[IІV]))(?![^\W_])"  # a lone i or v must be a capital
_PART = rf"(?:[0-9]+(?:[abcабвс](?![^\W\d_]))?|{_ROMAN})"
_RUN = re.compile(rf"{_PART}(?:[-,/+&.:x×х*]{_PART}){{0,8}}", re.IGNORECASE)
_GLUE = re.compile(r"[-,/+&.:x×х*]", re.IGNORECASE)
_SPAN = ("-", "до", "to")
_JOINER = re.compile(r"\s{0,2}(?:[-,/+&]|\b(?:и|или|либо|до|and|or|to)\b)\s{0,2}", re.IGNORECASE)

_UNITS = (
    "% ° мм см дм мл мкм мг г mm cm ml cc mg лет год года году мес месяц месяца месяцев недели недель дня дней "
    "year years yr yrs month months week weeks day days "
    "января февраля марта апреля мая июня июля августа сентября октября ноября декабря"
)
_SIZE_OR_TIME = re.compile(
    rf"""
    \s{{0,3}} (?:{"|".join(_UNITS.split())}) (?![^\W\d_])
    | \s{{0,2}} [x×х*] \s{{0,2}} [0-9]                     # 4 x 5
    | [.,:/] [0-9]                                        # a decimal, a date, a time that the run did not swallow
    | -? [xх] (?![^\W\d_])                                # 4x; "4-х узлов", of four nodes
    | \s? \(? [0-9]{{3}} \)? [\s\-] [0-9]{{2}}            # a phone number
    | [^\W_] (?<=[0-9][a-z])                              # 3D, 4K: a Latin letter that is no subgroup
    """,
    re.VERBOSE | re.IGNORECASE,
)
_COUNTED = re.compile(r"\s{1,3}(?:узел|узла|узлов|очаг|очага|очагов|образований|кист)(?![^\W_])", re.IGNORECASE)
_ITEM = re.compile(r"[.)]\s{0,3}[^\W\d_]")
_PRONOUN = re.compile(r"I\s{1,3}[A-Za-z]")

_BACKWARD = re.compile(
    rf"""
    (?:
        (?:категор[а-я]{{1,4}}|класс[ау]?|category|class|grade)
        [\s\-:№]{{0,3}} (?P<after>{_PART}(?:[-,/]{_PART}){{0,4}})                                 # категория 4 по
      | (?<![\w.,]) (?P<before>[1-5](?:[-,/][1-5]){{0,4}}) (?:-?(?:й|я|ая|ой|ю|ую))?
        \s{{1,3}} (?:категори[яиюей]{{1,2}}|класс[ау]?)                                            # 4-я категория по
    )
    \s{{0,3}} [(\[,]? \s{{0,2}} (?:(?:по|согласно|of|on|in|by|per|according\s{{1,2}}to|under|the)\s{{1,3}}){{0,2}}
    (?:(?:шкале|системе|классификации|European)\s{{1,3}})? [(\[«"]? (?:[EЕ][UУЮ][\s\-_.]{{0,3}})? \Z
    """,
    re.VERBOSE | re.IGNORECASE,
)
_BACKWARD_REACH = 90
"""Characters before a name that are looked at: longer than anything that _BACKWARD or _OTHER_SYSTEM can match."""

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u2e3b"
_SAME = {
    **dict.fromkeys("\r\u2028\u2029", "\n"),
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
    **dict.fromkeys(_DASHES, "-"),
}
# str.translate looks up every letter of a text, these find the few that are replaced.
_REPLACED, _DASH = re.compile(f"[{''.join(_SAME)}]"), re.compile(f"[{_DASHES}]")
_VALUES = {"1": 1, "2": 2, "3": 3, "4": 4, "5": 5, "I": 1, "II": 2, "III": 3, "IV": 4, "V": 5}


def eu_tirads(text: str) -> tuple[str, ...]:
    """Return the EU-TIRADS categories that ``text`` names, sorted and distinct.

    Returns () if the system is not mentioned, (UNLABELLED_MENTION,) if it is mentioned and no mention has a category.
    """
    text = _normalise(text)
    numbers: set[int] = set()
    mentioned = False
    for name in _NAME.finditer(text):
        before = text[max(0, name.start() - _BACKWARD_REACH) : name.start()]
        if _OTHER_SYSTEM.search(before):
            continue
        mentioned = True
        bracketed = before.rstrip("EUЕУЮeuеую -").endswith("(")
        numbers |= _forward(text, name.end(), bracketed=bracketed) or _backward(before)
    if numbers:
        return tuple(CATEGORIES[number - 1] for number in sorted(numbers))
    return (UNLABELLED_MENTION,) if mentioned else ()


def _normalise(text: str) -> str:
    """Full-width and single-character forms to plain ones, every dash to "-", nothing invisible, one line break."""
    if text.isascii():
        return text.replace("\r\n", "\n").replace("\r", "\n")
    plain = _REPLACED.sub(lambda match: _SAME[match[0]], text.replace("\r\n", "\n"))
    return _DASH.sub("-", unicodedata.normalize("NFKC", plain))


def _forward(text: str, start: int, *, bracketed: bool) -> set[int]:
    """The categories in the list of numbers that begins at ``start``, right after a name."""
    runs: list[set[int]] = []
    between = _BEFORE_NUMBER.match(text, start)
    while between is not None:
        run = _RUN.match(text, between.end())
        if run is None or _PRONOUN.match(text, run.start()):
            break
        if _SIZE_OR_TIME.match(text, run.end()):
            if between.group().strip() in _SPAN and runs:
                runs.pop()  # "4 - 5 мм": the number before the dash belongs to the size too
            break
        lines = between.group().count("\n")
        if lines > 1 or (lines and _is_item(text, run.end(), bracketed=bracketed)):
            break
        categories = _categories(run.group())
        if not categories or (runs and _COUNTED.match(text, run.end())):
            break
        runs.append(categories)
        between = _JOINER.match(text, run.end())
    return set().union(*runs)


def _backward(before: str) -> set[int]:
    """The categories of "категория 4 по", the text that ends where a name begins."""
    match = _BACKWARD.search(before)
    return _categories(match["after"] or match["before"]) if match else set()


def _is_item(text: str, end: int, *, bracketed: bool) -> bool:
    """Is the number that ends here, the first on its line, "2. Узел" or "2) узел"? "(TI-RADS 4) узел" is not."""
    return _ITEM.match(text, end) is not None and not (bracketed and text[end] == ")")


def _categories(run: str) -> set[int]:
    """Numbers glued together without a space: all of them categories, or none (a size, a date, a phone number)."""
    if any(mark in ".:xXхХ×*" for mark in _GLUE.findall(run)):
        return set()
    parts = (part.upper().replace("І", "I").rstrip("ABCАБВС") for part in _GLUE.split(run))
    values = {_VALUES.get(part, 0) for part in parts}
    return set() if 0 in values else values
