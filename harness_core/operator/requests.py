"""What the operator asks for in files of its own: taken up once, by the engine at work or by the next one.

A file that nothing can be made of is set aside, never deleted: the words in it are the operator's.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness_core.operator import control
from harness_core.operator.control import RewordRequest, SkipRequest
from harness_core.record import events as ev

if TYPE_CHECKING:
    from harness_core.contract.ledger import Ledger
    from harness_core.run import Logbook, Run

R = TypeVar("R", SkipRequest, RewordRequest)


def take_up(run: Run, ledger: Ledger, folder: Path, kind: type[R], do: Callable[[R, str], None]) -> None:
    """`do` what was asked for about features since the last look, the oldest first; the text is the request's
    number. `do` may come twice for one request: a kill between doing and forgetting loses nothing."""
    if not ledger.frozen:
        return
    for path in control.requests(folder):
        request = control.read_request(path, kind)
        if request is None:
            set_aside(run, path, f"the request {folder.name}/{path.name} can't be read", "control")
        elif request.feature not in run.state.features:
            unknown = f"{folder.name}/{path.name} asks for {request.feature}, which isn't in the contract"
            set_aside(run, path, unknown, "control")
        else:
            do(request, path.stem)
            path.unlink(missing_ok=True)


def set_aside(run: Logbook, path: Path, why: str, kind: str) -> None:
    """Leave an operator's file out, with a word in the journal and a name under which it is kept."""
    kept = path.with_suffix(".damaged")
    if os.path.lexists(kept):
        kept = path.with_suffix(f".{time.time_ns()}.damaged")
    run.emit(ev.Error(message=f"{why} and is left out: see {kept}", kind=kind))
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, kept)


def tell_builder(run: Run, feature: str, said: str, by: str, source: str) -> None:
    """Let the builder know, once for each source, whose work in hand this feature is."""
    session = run.state.open_session
    builds = session is not None and session.role == "generator" and feature in session.features
    if builds and not control.is_queued(run.dir, source):
        control.steer(run.dir, said, "now", by, source)
