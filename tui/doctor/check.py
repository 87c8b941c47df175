"""What a look at one thing has found."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from harness_core.layout import RunDir
from harness_core.machine.aside import Ran, run

WITHIN = 8.0
"""Seconds that a program has."""


class Mark(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """A run can do without."""
    FAIL = "fail"
    """No run starts, or none should."""


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at: what is so, and how to mend it where that is wrong."""

    name: str
    mark: Mark
    says: str
    mend: str = ""


class Patient(msgspec.Struct, frozen=True):
    """What is looked at: a machine as its environment shows it, and a run's directory where one is named."""

    environ: Mapping[str, str]
    run: RunDir | None = None

    @property
    def path(self) -> str:
        return self.environ.get("PATH", os.defpath)

    def try_out(self, *program: str, **more: str) -> Ran:
        """Run a program as it would run here, for a while."""
        return run(program, {**self.environ, **more}, WITHIN)

    @property
    def place(self) -> Path:
        """Where files would come."""
        return self.run.root if self.run is not None else Path.cwd()


def ok(name: str, says: str) -> Check:
    return Check(name, Mark.OK, says)


def warn(name: str, says: str, mend: str) -> Check:
    return Check(name, Mark.WARN, says, mend)


def fail(name: str, says: str, mend: str) -> Check:
    return Check(name, Mark.FAIL, says, mend)


def failed(checks: Iterable[Check]) -> bool:
    return any(check.mark is Mark.FAIL for check in checks)
