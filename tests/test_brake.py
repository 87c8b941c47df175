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


@pytest.mark.parametrize(
    ("readings", "looks"),
    [
        pytest.param([(0, 0), (50, 50), (99, 99), (100, 100)], 4, id="as long as it takes"),
        pytest.param([(0, 0), (1, 1), (2, 9000)], 3, id="the machine slept"),
        pytest.param([(0, 0), (1, -86400), (99, -86302), (101, -86300)], 4, id="set back"),
        pytest.param([(0, 0), (1, 86400)], 2, id="set forward"),
    ],
)
def test_a_wait_ends_by_whichever_clock_comes_first(
    tmp_path: Path, open_run: Callable[..., Run], readings: list[tuple[float, float]], looks: int
) -> None:
    left = list(readings)
    brake = Brake(open_run(tmp_path / "run"), clocks=lambda: left.pop(0))
    asyncio.run(brake.sleep(100))
    assert len(readings) - len(left) == looks
