"""Looks at a run's directory: whether it can be written, is yours, and what was kept there is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator

from harness_core import config
from harness_core.errors import LongwatchError
from harness_core.hooks import settings
from harness_core.hooks.shelf import last_call
from harness_core.layout import RunDir
from harness_core.machine.lock import owner_of
from harness_core.record.fold import fold
from harness_core.record.journal import Tail
from tui.doctor.check import Check, Patient, fail, ok, warn


def place(patient: Patient) -> Iterator[Check]:
    if patient.run is None:
        return
    root = patient.run.root
    there = root if root.exists() else root.parent
    if not there.is_dir():
        yield fail("DIR", f"{there} is no directory", "name a directory")
    elif not os.access(there, os.W_OK | os.X_OK):
        yield fail("DIR", f"{there} can't be written", "choose a directory of your own")
    elif there.stat().st_uid != os.geteuid():
        owner = there.stat().st_uid
        yield warn("DIR", f"{there} belongs to user {owner}", "git refuses others' repositories: chown it")
    else:
        yield ok("DIR", f"{root}" if root.exists() else f"{root} will be made")


def configuration(patient: Patient) -> Iterator[Check]:
    if patient.run is None or not patient.run.config_file.exists():
        return
    try:
        file = config.load_file(patient.run.config_file)
        config.resolve(file, config.Options(), patient.environ)
    except LongwatchError as error:
        yield fail("longwatch.toml", str(error), "mend that line")
    else:
        yield ok("longwatch.toml", "can be read")


def hooks(patient: Patient) -> Iterator[Check]:
    """The hooks for plain Claude Code, which a run that has an engine does without."""
    run = patient.run
    if run is None or not run.root.is_dir():
        return
    mend = f"longwatch hooks install {run.root}"
    try:
        there = settings.holds(run)
    except LongwatchError as error:
        yield fail("hooks", str(error), "mend that file")
        return
    if there:
        yield ok("hooks", "installed for plain Claude Code")
    elif there is not None:
        yield warn("hooks", "not as this Longwatch installs them: it was moved, or they were changed", mend)
    elif last_call(run) is not None:
        yield warn("hooks", "taken out: plain Claude Code runs without guards here", mend)
    else:
        yield ok("hooks", "not installed; plain Claude Code would need them, a run doesn't")


def journal(patient: Patient) -> Iterator[Check]:
    run = patient.run
    if run is None or not run.private.is_dir():
        return
    try:
        if config.load_info(run) is None and last_call(run) is None:
            yield warn("run", "no run.json in .longwatch", "start the run again with the same command")
    except LongwatchError as error:
        yield fail("run", str(error), "restore it, or move .longwatch away to start over")
        return
    if not run.journal.exists():
        return
    yield from _journal(run)


def _journal(run: RunDir) -> Iterator[Check]:
    tail = Tail(run.journal)
    last, missing = 0, 0
    for event in tail.read_all():
        missing += event.seq != last + 1
        last = event.seq
    says = f"{last:,} events"
    engine = owner_of(run)
    try:
        state = fold(run)
    except LongwatchError as error:
        yield fail("journal", str(error), "use the Longwatch that wrote it, or a newer one")
        return
    if tail.damaged or missing:
        lost = f"{says}, {tail.damaged} damaged lines, {missing} gaps"
        yield warn("journal", lost, "look at the disk: each costs itself alone, and the run can go on")
    else:
        yield ok("journal", f"{says}, whole")
    if state.started and not state.ended and not (engine is not None and engine.alive):
        yield warn("engine", "the run's engine is gone", f"longwatch resume {run.root}")
    elif engine is not None and engine.alive:
        yield ok("engine", f"at work (pid {engine.pid})")
