"""What an audit found, as one frozen document, and how it looks.

``document`` is the result; every ``as_<format>.py`` turns it into one format and knows nothing of the others. To add a
format, write one more such file and one more line below (and in ``write.FILES``, if it belongs into a report folder).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from collapse_audit.reports import as_html, as_json, as_junit, as_markdown, as_text
from collapse_audit.reports.document import AuditReport

RENDERERS: Mapping[str, Callable[[AuditReport], str]] = {
    "html": as_html.render,
    "json": as_json.render,
    "junit": as_junit.render,
    "markdown": as_markdown.render,
    "text": as_text.render,
}
"""Format -> pure function from a report to text, with the format's defaults."""
