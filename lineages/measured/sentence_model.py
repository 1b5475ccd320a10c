"""Sentence embeddings by a model on this machine: a folder, or an installed package that carries one."""

from __future__ import annotations

import hashlib
from functools import cached_property
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from collapse_audit.errors import UsageError
from collapse_audit.lineages.files.door import Refused, read_json
from collapse_audit.lineages.files.problems import printable, shorten
from collapse_audit.lineages.measured.hushed import hushed

_MARK = "modules.json"
"""Stands in every folder that sentence-transformers writes."""
_WHERE = "expected a folder that sentence-transformers can load, or an installed package that carries one"


class SentenceModel:
    """A sentence-embedding model; each text is embedded once. Nothing is fetched.

    Raises UsageError where ``named`` is neither a folder with such a model nor an installed package that carries one,
    and where sentence-transformers is not installed.
    """

    def __init__(self, named: str) -> None:
        self.named = named
        self.folder = _folder(named)
        self._known: dict[str, npt.NDArray[np.float32]] = {}
        self._model = self._loaded()

    @cached_property
    def digest(self) -> str:
        """Of the files of the model's folder, names and contents."""
        whole = hashlib.sha256()
        for file in sorted(path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            with file.open("rb") as stream:
                part = hashlib.file_digest(stream, "sha256").hexdigest()
            whole.update(f"{file.relative_to(self.folder).as_posix()} {part}\n".encode())
        return f"sha256:{whole.hexdigest()}"

    def __call__(self, texts: pa.Array) -> npt.NDArray[np.float32]:
        """Embeddings of N texts, shape (N, d), each of length 1."""
        spelled = texts.to_pylist()
        new = [text for text in dict.fromkeys(spelled) if text not in self._known]
        if new:
            made = self._model.encode(new, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True)
            self._known.update(zip(new, np.asarray(made, dtype=np.float32), strict=True))
        return np.stack([self._known[text] for text in spelled])

    def _loaded(self) -> Any:
        _refuse_code(self.named, self.folder / _MARK)
        try:
            with hushed():
                from sentence_transformers import SentenceTransformer

                return SentenceTransformer(str(self.folder), local_files_only=True, device="cpu")
        except ImportError:
            message = 'embed needs sentence-transformers: pip install "collapse-audit[embed]"'
            raise UsageError(message, slug="no-embed") from None
        except Exception as error:  # whatever a library says of files that were made to break it
            said = printable((str(error).splitlines() or [type(error).__name__])[0])
            message = f"embed = {self.named!r}: {self.folder} cannot be loaded ({said}); {_WHERE}"
            raise UsageError(message, slug="embed") from None


def _refuse_code(named: str, mark: Path) -> None:
    """Raises UsageError where a model's folder names code to be run that is not sentence-transformers' own."""
    try:
        kinds = [str(module["type"]) for module in read_json(mark)]
    except (Refused, OSError, ValueError, TypeError, KeyError) as error:
        said = printable(str(error) or type(error).__name__)
        raise UsageError(f"embed = {named!r}: {mark} cannot be read ({said}); {_WHERE}", slug="embed") from None
    for kind in kinds:
        if not kind.startswith("sentence_transformers."):
            message = f"embed = {named!r}: {mark} names {shorten(kind)}, code that is not run; {_WHERE}"
            raise UsageError(message, slug="embed")


def _folder(named: str) -> Path:
    folder = Path(named)
    if (folder / _MARK).is_file():
        return folder
    if folder.exists():
        raise UsageError(f"embed = {named!r}: there is no {_MARK} in it; {_WHERE}", slug="embed")
    try:
        files = distribution(named).files or ()
    except (PackageNotFoundError, ValueError):
        raise UsageError(f"embed = {named!r}: no such folder or package; {_WHERE}", slug="embed") from None
    for file in files:
        if file.name == _MARK:
            return Path(str(file.locate())).parent
    raise UsageError(f"embed = {named!r}: the package carries no model; {_WHERE}", slug="embed")
