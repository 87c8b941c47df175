"""Takes up what the operator asks to be changed of the limits: at once where an engine works, else at the
next start."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness_core import config
from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.operator import control
from harness_core.operator.bounds import Limits, limited
from harness_core.operator.control import LimitsRequest
from harness_core.operator.requests import set_aside
from harness_core.record import events as ev
from harness_core.record.fold import fold
from harness_core.run import Run


def pending(run: RunDir) -> list[LimitsRequest]:
    """The requests that no engine has taken up, the oldest first; those that can't be read aside."""
    if not control.numbers(run.limits):
        return []
    return [request for _, request in _numbered(run, fold(run).limits_newest) if request is not None]


def on_top(options: config.Options, requests: Sequence[LimitsRequest]) -> config.Options:
    """A run's options with what was asked for since."""
    for request in requests:
        options = config.Options(limits=request.changed).over(options)
    return options


def note(run: Run, request: LimitsRequest) -> None:
    """Journal that a request holds."""
    limits = run.config.limits.given()
    run.emit(ev.LimitsChanged(id=request.id, by=request.by, changed=request.changed, limits=limits))


def take_up(run: Run) -> None:
    """Let what was asked for since the last look hold from now on, for this engine and later ones."""
    for number, request in _numbered(run.dir, run.state.limits_newest):
        if request is None:
            path = control.numbered(run.dir.limits, number)
            set_aside(run, path, f"the change of limits {path.stem} can't be read", "limits")
            continue
        info = config.load_info(run.dir)
        limits = limited(run.config.limits, request.changed)
        run.config = msgspec.structs.replace(run.config, limits=limits)
        if info is not None:
            options = on_top(info.options, [request])
            config.save_info(run.dir, msgspec.structs.replace(info, options=options, config=run.config))
        note(run, request)


def _numbered(run: RunDir, newest: int) -> list[tuple[int, LimitsRequest | None]]:
    """The requests above `newest`, by number; None for one that can't be read or asks for no limit."""
    return [(number, _read(run, number)) for number in control.numbers(run.limits) if number > newest]


def _read(run: RunDir, number: int) -> LimitsRequest | None:
    request = control.read_limits(run, number)
    if request is None or request.id != f"{number:03d}":
        return None
    try:
        limited(Limits(), request.changed)
    except Mistake:
        return None
    return request
