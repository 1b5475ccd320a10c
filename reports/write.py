"""Write a report folder: every file whole, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from collapse_audit.atomic import write_together
from collapse_audit.errors import UsageError
from collapse_audit.reports import RENDERERS, as_html
from collapse_audit.reports.document import AuditReport
from collapse_audit.reports.pictures.runs import Past

FILES: Mapping[str, str] = {"json": "report.json", "html": "report.html", "markdown": "report.md", "junit": "junit.xml"}
"""What a report folder holds: name of the renderer -> name of the file."""


def write_report(report: AuditReport, folder: Path, *, past: Sequence[Past] = ()) -> tuple[Path, ...]:
    """Render ``report`` into ``folder``, which is created; returns the files, in the order of :data:`FILES`.

    The page shows how it went run over run where ``past`` holds the findings of earlier runs.

    Everything is rendered before anything is written, and everything is written before anything takes the place of an
    older file, so that a full disk leaves the folder as it was: four files of one run, or of the one before. Raises
    UsageError if the folder cannot be written to, and ProbeError, with nothing written, if the report holds a number
    that is not finite.
    """
    texts = {
        folder / file: as_html.render(report, past=past) if name == "html" else RENDERERS[name](report)
        for name, file in FILES.items()
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"cannot write the report to {folder}: {_culprit(folder)} is a file, and a folder is needed there; "
            "name another folder with --report, or move the file away",
            slug="report-folder",
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        write_together({path: text.encode("utf-8") for path, text in texts.items()})
    except OSError as error:
        raise _unwritable(Path(error.filename) if error.filename else folder, error) from error
    return tuple(texts)


def write_file(path: Path, text: str) -> None:
    """Put ``text`` (UTF-8) at ``path`` in one step.

    Raises UsageError if that is not possible; an older file at ``path`` is then as it was.
    """
    try:
        write_together({path: text.encode("utf-8")})
    except OSError as error:
        raise _unwritable(path, error) from error


def _culprit(folder: Path) -> Path:
    """The file that stands where ``folder`` or a folder above it should be."""
    return next(path for path in (folder, *folder.parents) if path.exists() and not path.is_dir())


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"cannot write the report to {path}: {error.strerror or error}; name a folder that you may write to",
        slug="report-folder",
    )
