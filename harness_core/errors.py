"""The exceptions that cross module borders; each becomes one sentence at the edge."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every Longwatch command."""

    DONE = 0
    FAILED = 1
    MISTAKE = 2
    STOPPED = 3
    LIMIT = 4
    WAITING = 5
    INTERRUPTED = 130


def refused_by_system(error: OSError) -> str:
    """What the operating system didn't let us do, as a sentence."""
    where = f" {error.filename}" if error.filename else ""
    return f"the system refused{where}: {error.strerror or error}"


class LongwatchError(Exception):
    """Anything Longwatch can name. `str(error)` is one sentence: what, where, how to mend it."""

    exit_code = Exit.FAILED


class Mistake(LongwatchError):
    """The caller asked for something that can't be done as asked."""

    exit_code = Exit.MISTAKE


class ContractError(Mistake):
    """A contract file that can't be taken as one; the sentence says where (line, column, feature)."""


class ContractMissing(ContractError):
    """There is no contract file."""


class RunLocked(Mistake):
    """Another engine is alive on this run."""


class NewerFormat(Mistake):
    """The run was written by a newer Longwatch."""
