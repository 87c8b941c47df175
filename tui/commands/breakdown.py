"""What is said of a mistake of ours that nobody foresaw, and what is kept of it for who mends Longwatch."""

from __future__ import annotations

import tempfile
import traceback

from harness_core.safe import one_line

_LONGEST = 200
"""Characters of what an exception says that are said on."""


def sentence(what: str, error: BaseException) -> str:
    """That `what` broke down, by what, and where the traceback was kept."""
    why = one_line(f"{type(error).__name__}: {error}", _LONGEST)
    try:
        return f"{what} broke down ({why}): see {_kept(error)}"
    except OSError as refusal:
        return f"{what} broke down ({why}), and its traceback can't be kept ({refusal.strerror})"


def _kept(error: BaseException) -> str:
    """A file with the traceback."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="longwatch-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as log:
        traceback.print_exception(error, file=log)
    return log.name
