"""``description.html``: one corpus, or two side by side, as one page that needs nothing but itself.

As report.html: no script, one style sheet allowed by its digest, all text inert and escaped. Words stand in bars, not
in a cloud: the length of a bar can be read and compared, the size of a word in a cloud cannot.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

from collapse_audit.reports._format import count, inert, number
from collapse_audit.reports.pictures.drawing import Line, Panel, Styles, drawn, ticks

Corpus = Mapping[str, Any]
"""One entry of ``corpora`` in ``description.json``."""
Bar = tuple[str, float, str]
"""What it is of, its length, and the number as it is written."""


def render(corpora: Sequence[Corpus]) -> str:
    """One or two corpora as a page. The same corpora give the same bytes."""
    import jinja2
    from markupsafe import Markup  # only for what was made here: styles and drawings

    styles = Styles()
    sections = [_lengths(corpora, styles, Markup), *(_bars(corpora, styles, *each) for each in _SECTIONS)]
    css = f"\n{_data('report.css')}\n{_data('description.css')}\n{styles.css}\n"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_data("description.html.jinja")).render(
        css=Markup(css),
        digest=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        title=" and ".join(inert(corpus["name"]) for corpus in corpora),
        sides=[_side(corpus) for corpus in corpora],
        sections=sections,
    )


def _side(corpus: Corpus) -> dict[str, Any]:
    length = corpus["length"]["characters"]
    facts = [("records", count(corpus["records"])), ("empty", count(corpus["empty"]))]
    if corpus["unreadable"]:
        facts += [("unreadable rows", count(corpus["unreadable"]))]
    facts += [("different texts", count(corpus["distinct"]))]
    if length is not None:
        facts += [("mean characters", number(length["mean"])), ("longest", count(length["max"]))]
    return {"name": inert(corpus["name"]), "digest": corpus["digest"], "facts": facts}


def _lengths(corpora: Sequence[Corpus], styles: Styles, markup: Callable[[str], Any]) -> dict[str, Any]:
    lengths = [corpus["length"]["words"] for corpus in corpora]
    panels = [_histogram(each) for each in lengths if each is not None]
    drawings = iter(drawn(panels, styles, "l"))
    return {
        "title": "Length",
        "about": "How many texts have so many words.",
        "what": "",
        "unit": "",
        "parts": [
            {
                "drawing": None if each is None else markup(next(drawings)),
                "note": "no text" if each is None else _said_of(each),
                "bars": [],
            }
            for each in lengths
        ],
    }


def _said_of(length: Mapping[str, Any]) -> str:
    quantiles = length["quantiles"]
    return (
        f"{number(length['mean'])} words on average, half of the texts between {number(quantiles['0.25'])} and "
        f"{number(quantiles['0.75'])}, {number(quantiles['0.5'])} in the middle, at most {count(length['max'])}."
    )


def _histogram(length: Mapping[str, Any]) -> Panel:
    edges, counts = length["histogram"]["edges"], length["histogram"]["counts"]
    top = max([*counts, 1]) * 1.08
    return Panel(
        title="words",
        about=_said_of(length),
        unit="texts",
        lines=(Line(x=edges, y=counts, steps=True, base=0.0),),
        x_label="words a text",
        x_range=(edges[0], edges[-1]),
        y_range=(0, top),
        x_ticks={at: f"{at:g}" for at in ticks(edges[0], edges[-1], whole=True)},
        y_ticks={at: f"{at:g}" for at in ticks(0, top, most=4, whole=True)},
        width=420,
    )


def _missing(corpus: Corpus) -> tuple[list[Bar], str]:
    gaps = {name: missing for name, missing in corpus["missing"].items() if missing}
    bars = [(name, float(missing), _of(missing, corpus["records"])) for name, missing in gaps.items()]
    return bars, "" if bars else "no gap in any column"


def _labels(corpus: Corpus) -> tuple[list[Bar], str]:
    labels = corpus["labels"]
    if labels["rule"] == "none":
        return [], labels["reason"]
    bars = [(label, float(carried), _of(carried, corpus["records"])) for label, carried in labels["counts"].items()]
    bars.append(("none", float(labels["without"]), _of(labels["without"], corpus["records"])))
    several = sum(texts for many, texts in labels["labels_a_text"].items() if int(many) > 1)
    note = f"{count(labels['occurrences'])} labels in {count(corpus['records'])} texts; {count(several)} carry several"
    return bars, f"{note} (rule {labels['rule']})"


def _ngrams(order: str) -> Callable[[Corpus], tuple[list[Bar], str]]:
    def bars(corpus: Corpus) -> tuple[list[Bar], str]:
        grams = corpus["ngrams"][order]
        return [(gram["words"], float(gram["count"]), count(gram["count"])) for gram in grams], "" if grams else "none"

    return bars


def _topics(corpus: Corpus) -> tuple[list[Bar], str]:
    topics = corpus["topics"]
    bars = [(", ".join(topic["words"]), topic["share"], f"{topic['share']:.1%}") for topic in topics.get("topics", ())]
    return bars, topics.get("reason", topics.get("method", ""))


def _sentiment(corpus: Corpus) -> tuple[list[Bar], str]:
    sentiment = corpus["sentiment"]
    if "reason" in sentiment:
        return [], sentiment["reason"]
    bars = [(sign, sentiment[sign], f"{sentiment[sign]:.1%}") for sign in ("positive", "negative")]
    return bars, f"mean compound score {number(sentiment['mean'])} of -1 to 1, by {sentiment['method']}"


_SECTIONS: tuple[tuple[str, str, str, str, Callable[[Corpus], tuple[list[Bar], str]]], ...] = (
    ("Missing", "Records that say nothing in a column.", "column", "records", _missing),
    ("Labels", "Texts that carry each label.", "label", "texts", _labels),
    ("Words", "The most frequent, without those of grammar.", "word", "times", _ngrams("1")),
    ("Pairs of words", "The most frequent.", "words", "times", _ngrams("2")),
    ("Three words", "The most frequent.", "words", "times", _ngrams("3")),
    ("Topics", "Words that come together, and each topic's share of an average text.", "topic", "share", _topics),
    ("Sentiment", "Where VADER's English lexicon applies.", "sign", "texts", _sentiment),
)


def _bars(
    corpora: Sequence[Corpus],
    styles: Styles,
    title: str,
    about: str,
    what: str,
    unit: str,
    of: Callable[[Corpus], tuple[list[Bar], str]],
) -> dict[str, Any]:
    parts = []
    for bars, note in map(of, corpora):
        longest = max((length for _, length, _ in bars), default=0) or 1
        shown = [(inert(name), label, styles.name(f"width:{100 * n / longest:.1f}%")) for name, n, label in bars]
        parts.append({"drawing": None, "note": inert(note), "bars": shown})
    return {"title": title, "about": about, "what": what, "unit": unit, "parts": parts}


def _of(part: int, whole: int) -> str:
    return f"{count(part)} ({part / whole:.1%})" if whole else count(part)


def _data(name: str) -> str:
    return resources.files("collapse_audit.reports").joinpath("templates", name).read_text(encoding="utf-8")
