"""The brake: what was asked and what is so, in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from harness_core.brake import Brake, EndOfRun
from harness_core.errors import Exit
from harness_core.run import Run


def test_an_end_that_is_asked_for_while_a_stop_holds_the_run_is_confirmed_too(
    tmp_path: Path, open_run: Callable[..., Run]
) -> None:
    run = open_run(tmp_path / "run")
    run.console = True
    brake = Brake(run)

    async def story() -> None:
        run.dir.stop_file.touch()
        brake.note_requests()
        held = asyncio.create_task(brake.hold())
        while run.state.stop_confirmed is None:
            await asyncio.sleep(0)
        brake.end(Exit.STOPPED, "now")
        with pytest.raises(EndOfRun):
            await held
        assert (run.state.stop_requested, run.state.stop_confirmed) == ("now", "now")

    asyncio.run(story())
