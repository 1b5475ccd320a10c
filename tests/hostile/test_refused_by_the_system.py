"""What the system refuses (a full disk, a right, a file that has gone) is a message and no defect, in every command."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

import pytest

from collapse_audit.commands.console import exit_with


def _main(error: OSError) -> int:
    def refused(_: Sequence[str]) -> int:
        raise error

    return exit_with(refused, [], prog="collapse-audit")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOENT, errno.EMFILE])
def test_what_the_system_refuses_is_a_message_with_the_file(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(OSError(number, os.strerror(number), "/some/\x1b[31mtrials.jsonl")) == 4
    said = capsys.readouterr().err
    assert said.startswith(f"collapse-audit: error: /some/\\x1b[31mtrials.jsonl: {os.strerror(number)}; ")
    assert "Traceback" not in said
    assert said.count("\n") == 1


def test_what_is_refused_without_a_file_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) == 4
    assert capsys.readouterr().err.startswith(f"collapse-audit: error: {os.strerror(errno.ENOSPC)}; make space")


@pytest.mark.parametrize("error", [OSError("something else"), OSError(errno.EINVAL, os.strerror(errno.EINVAL))])
def test_any_other_error_of_the_system_is_a_defect(error: OSError, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(error) == 3
    assert "Traceback" in capsys.readouterr().err
