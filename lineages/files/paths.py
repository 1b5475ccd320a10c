"""Names in a lineage become files, and never files outside its folder: not by ``..``, not absolutely, not by a link."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from collapse_audit.lineages.files.broken import Broken
from collapse_audit.lineages.files.urls import is_url, shown_url

_INSIDE = "a path inside the lineage folder"


def locate(root: Path, name: str) -> Path | Broken:
    """The file or folder called ``name`` in the folder ``root`` (which must be resolved), links resolved.

    A Broken where it leads outside or to something that is not there, or is neither a regular file nor a folder.
    """
    if "\0" in name:
        return Broken(found="a path with a NUL character", expected=_INSIDE, slug="bad-path")
    if is_url(name):
        expected = f"{_INSIDE}; only who starts the audit may name a URL: collapse-audit --generations URL URL …"
        return Broken(found=f'the URL "{shown_url(name)}"', expected=expected, slug="url-in-lineage")
    if Path(name).is_absolute() or Path(name).drive:
        return Broken(found=f'the absolute path "{name}"', expected=_INSIDE, slug="absolute-path")
    try:
        path = (root / name).resolve()
        if not path.is_relative_to(root):
            return _outside(root, name)
        mode = path.stat().st_mode
    except FileNotFoundError:
        return Broken(found=f'no file "{name}"', expected="a file inside the lineage folder", slug="missing-file")
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.errno != errno.ELOOP else "a loop of links"
        return Broken(found=f'"{name}", which cannot be followed ({reason})', expected=_INSIDE, slug="bad-path")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return Broken(found=f'"{name}", neither a file nor a folder', expected="a regular file", slug="not-a-file")
    return path


def shown_name(name: str) -> str:
    """One spelling for names of the same file: ``./gen_0//texts.jsonl`` is ``gen_0/texts.jsonl``."""
    return os.path.normpath(name).replace(os.sep, "/")


def _outside(root: Path, name: str) -> Broken:
    lexical = Path(os.path.normpath(root / name))
    if lexical.is_relative_to(root):
        return Broken(found=f'"{name}", a link to a place outside', expected=_INSIDE, slug="link-outside")
    return Broken(found=f'"{name}", a path that leaves the folder', expected=_INSIDE, slug="path-outside")
