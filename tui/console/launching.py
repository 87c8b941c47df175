"""The way into the console for commands: what it opens on, and what is said after it."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from harness_core.errors import Exit, LongwatchError
from harness_core.layout import RunDir
from harness_core.machine.lock import engine_alive
from harness_core.record.fold import fold
from harness_core.request import Request
from tui import recent, settings
from tui.commands.common import say
from tui.launch import Detached


def start(request: Request, fast: bool) -> Exit | None:
    """Start an engine of its own and watch it in the console.

    Returns the run's exit code, or None for a run that goes on. Raises LongwatchError, with nothing opened,
    when the engine refuses; and when it broke down.
    """
    wanted = _settings()
    with ThreadPoolExecutor(1) as other:
        # Either takes half a second, and neither needs the other.
        starting = other.submit(Detached, request, fast)
        load_run()
        engine = starting.result()
    _open(engine.run, wanted)
    for note in engine.notes:
        say(note, err=True)
    state = fold(engine.run)
    if state.ended:
        return Exit(state.exit) if state.exit in set(Exit) else Exit.FAILED
    if engine_alive(engine.run):
        _say_way_back(engine.run)
        return None
    engine.wait()
    raise LongwatchError(f"the engine broke down: what it said is in {engine.log}")


def attach(run: RunDir) -> None:
    """Watch a run that is there."""
    _open(run, _settings())
    if engine_alive(run):
        _say_way_back(run)


def replay(run: RunDir, speed: float) -> None:
    """Play a past run. Raises Mistake where there is nothing to play."""
    from tui.console.app import Console  # noqa: PLC0415
    from tui.console.replay import Replay  # noqa: PLC0415

    wanted = _settings()
    played = Replay(run, speed)
    _prepare_pictures(wanted)
    console = Console(played.run, wanted, played)
    try:
        with _title_kept(wanted):
            console.run()
    finally:
        played.close()
    if console.broken is not None:
        raise console.broken


def begin() -> None:
    """Open the start screen; the run that was opened from there is told of when it goes on."""
    shown = _open(None, _settings())
    if shown is not None and engine_alive(shown):
        _say_way_back(shown)


def opened(run: RunDir) -> RunDir:
    """`run` as the console reads it, noted as opened."""
    recent.note(run)
    if run.run_json.exists():
        return run
    from tui.foreign import watchable  # noqa: PLC0415

    return watchable(run)


def _say_way_back(run: RunDir) -> None:
    say(f"The run goes on. Back: longwatch attach {run.root}", err=True)


def _settings() -> settings.Settings:
    """The user's settings. Raises Mistake for what isn't one."""
    wanted = settings.load()
    if wanted.keys:
        from tui.console import keymap  # noqa: PLC0415

        keymap.check(wanted.keys, str(settings.path()))
    return wanted


def _prepare_pictures(wanted: settings.Settings) -> None:
    from tui.console import pictures  # noqa: PLC0415

    way = pictures.prepare(wanted.images)
    if way is pictures.Way.BLOCKS and (wanted.theme == "none" or "NO_COLOR" in os.environ):
        # They are made of nothing but colours.
        pictures.prepare("off")


@contextlib.contextmanager
def _title_kept(wanted: settings.Settings) -> Iterator[None]:
    """Give the terminal its title back at the end, where it keeps a stack of them."""
    terminal = sys.__stderr__
    if not wanted.title or terminal is None or not terminal.isatty():
        yield
        return
    try:
        terminal.write("\x1b[22;0t")
        terminal.flush()
        yield
    finally:
        terminal.write("\x1b[23;0t")
        terminal.flush()


def load_run() -> None:
    """Load what shows a run: half a second's work that can be done while something else is waited for."""
    from tui.console import app  # noqa: F401, PLC0415
    from tui.console.screens import run  # noqa: F401, PLC0415


def _open(run: RunDir | None, wanted: settings.Settings) -> RunDir | None:
    """Show the console until it is left; returns the run that it showed last."""
    # All that is loaded now stays: the console has garbage looked for once its first picture stands.
    gc.disable()
    from tui.console.app import Console  # noqa: PLC0415

    _prepare_pictures(wanted)
    console = Console(opened(run) if run else None, wanted)
    with _title_kept(wanted):
        console.run()
    if console.broken is not None:
        if console.run_dir is not None and engine_alive(console.run_dir):
            _say_way_back(console.run_dir)
        raise console.broken
    return console.run_dir
