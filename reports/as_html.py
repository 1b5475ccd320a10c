"""``report.html``: one page that needs nothing but itself, for people who were not there when the audit ran.

It has no script and asks for nothing: its Content-Security-Policy allows one style sheet, by its digest, and no more.
Nothing that a corpus, a lineage or a probe says may act as markup: all text goes through :func:`_format.inert`, then
through Jinja's escaping, and what may run from right to left stands in an element of its own.
"""

from __future__ import annotations

import base64
import collections
import functools
import hashlib
import itertools
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from collapse_audit.reports._page import page
from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.from_json import from_dict
from collapse_audit.reports.pictures import pictures
from collapse_audit.reports.pictures.common import Picture
from collapse_audit.reports.pictures.drawing import MARKERS, Styles, drawn
from collapse_audit.reports.pictures.runs import Past, runs
from collapse_audit.reports.plain import to_dict

if TYPE_CHECKING:
    import jinja2


def render(report: AuditReport, *, past: Sequence[Past] = ()) -> str:
    """``report`` as one HTML page; with the findings of earlier runs in ``past`` also how it went run over run.

    The same report gives the same bytes, stored in between or not: no date, no random id. Raises ProbeError, naming
    the finding, for a number that is not finite.
    """
    report = from_dict(_ordered(to_dict(report)))  # refuses, by name, what no report may hold
    from markupsafe import Markup  # only for what was made here: styles and drawings

    styles = Styles()
    shelf = pictures(report)
    made = drawn([panel for picture in shelf for panel in picture.panels], styles, "p")
    drawings = iter(made)
    # One picture a symptom stands beside its sentence, too: the first panel of that name is the statistic's own.
    names = [panel.title for picture in shelf if picture.slug == "statistics" for panel in picture.panels]
    symptoms = {panel.title: panel for picture in shelf if picture.slug == "statistics" for panel in picture.panels}
    beside = dict(zip(names, drawn(list(symptoms.values()), styles, "s"), strict=True))
    history = runs(report, past)
    lines = drawn([run.panel for run in history], styles, "h")
    css = f"\n{_data('report.css')}\n{styles.css}\n"
    return _template("report.html.jinja").render(
        css=Markup(css),
        digest=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        page=page(report),
        drawn=collections.defaultdict(str, {name: Markup(svg) for name, svg in beside.items()}),
        pictures=[_shelved(picture, list(itertools.islice(drawings, len(picture.panels)))) for picture in shelf],
        runs=[(run, Markup(line)) for run, line in zip(history, lines, strict=True)],
    )


def _ordered(value: Any) -> Any:
    """Mappings in the order of their keys, as ``report.json`` has them."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(each) for each in value] if isinstance(value, list) else value


@functools.cache
def _data(name: str) -> str:
    return resources.files("collapse_audit.reports").joinpath("templates", name).read_text(encoding="utf-8")


@functools.cache
def _template(name: str) -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_data),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["transposed"] = lambda columns: list(zip(*columns, strict=True))
    return environment.get_template(name)


def _shelved(picture: Picture, drawings: Sequence[str]) -> dict[str, Any]:
    """A picture with its drawings, which are markup: they were made here, and all text in them was escaped."""
    from markupsafe import Markup

    return {
        "slug": picture.slug,
        "title": picture.title,
        "caption": picture.caption,
        "panels": [(panel, Markup(svg)) for panel, svg in zip(picture.panels, drawings, strict=True)],
        "legend": [(key, MARKERS.index(key.marker) if key.marker else -1, key.dash) for key in picture.keys],
        "wide": max(panel.width for panel in picture.panels) > 360,
    }
