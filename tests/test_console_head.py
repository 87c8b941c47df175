"""The head of the console: what it says of a run."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot

from harness_core.layout import RunDir
from harness_core.machine.lock import RunLock
from harness_core.record import events as ev
from harness_core.record.status import status
from tests import scenes
from tests.commands import longwatch
from tests.console import head, ours, screen, until, watch


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty", "idle"),
        ("running", "engine lost"),
        ("waiting", "waiting for you"),
        ("stopped", "stopped"),
        ("complete", "complete"),
        ("failed", "failed"),
        ("tampered", "tampered"),
    ],
)
def test_the_head_says_how_a_run_stands_at_every_size(tmp_path: Path, name: str, says: str) -> None:
    async def story(pilot: Pilot[int]) -> None:
        for size in [(80, 24), (120, 40), (200, 60)]:
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: screen(pilot).size == size)
            await until(pilot, lambda: says in head(pilot))
            if name not in ("empty",):
                passing = {"waiting": "2/4", "complete": "4/4"}.get(name, "1/4")
                assert passing in head(pilot), size

    watch(scenes.SCENES[name](tmp_path / "run"), story)


def test_what_is_asked_and_what_is_done_are_never_the_same_picture(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "□ stop (pause) requested" in head(pilot))
        assert "confirmed" not in head(pilot)
        scene.add(scenes.ev.StopRequested(mode="pause"), scenes.ev.StopConfirmed(mode="pause"))
        await until(pilot, lambda: "stop (pause) confirmed" in head(pilot))

    scene = scenes.running(tmp_path / "run")
    with RunLock(scene.run):
        watch(scene, story)


def test_where_nothing_runs_any_more_a_stop_is_confirmed(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("K", "n", "n")
        await until(pilot, lambda: "■ stop (pause) confirmed" in head(pilot))

    watch(ours(scenes.waiting(tmp_path / "run")), story)


def test_another_harness_s_stop_is_only_known_to_be_asked_for(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "□ AGENT_STOP is there" in head(pilot))
        assert "confirmed" not in head(pilot)

    scene = scenes.empty(tmp_path / "run")
    scene.run.contract.write_text(json.dumps(scenes.contract()))
    watch(scene, story)


def test_the_head_tells_of_the_api_s_limits_while_that_is_news(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        scene.add(ev.Cost(usd=0.1, tokens=9_000, phase="build", turns=1, context=38_500))
        await until(pilot, lambda: "context 38.5k (19%)" in head(pilot))
        scene.add(ev.RateLimited(status="allowed", window="five_hour", utilization=0.87))
        scene.add(ev.Retry(attempt=2, max=10, delay_ms=500, status=529))
        await until(pilot, lambda: "↻ retry 2/10" in head(pilot) and "◷ 87% of five_hour" in head(pilot))
        again = ev.SessionStarted(session=3, role="generator", sdk_session="s", model="m", resumed=True)
        for event in (again, ev.StallDetected(what=ev.SILENCE, seconds=600)):
            scene.add(event)
        scene.add(ev.RateLimited(status="allowed", window="five_hour", utilization=0.88))
        await until(pilot, lambda: "◷ 88% of five_hour" in head(pilot))
        assert "↻ retry 2/10" in head(pilot), "nobody has answered yet"
        scene.add(ev.Text(text="It answers."))
        await until(pilot, lambda: "retry" not in head(pilot))
        assert "◷ 88% of five_hour" in head(pilot)

    scene = scenes.running(tmp_path / "run")
    with RunLock(scene.run):
        watch(scene, story, (200, 60))


def test_a_wait_for_a_usage_limit_is_counted_down(tmp_path: Path) -> None:
    def left(pilot: Pilot[int]) -> list[str]:
        return re.findall(r"limit resets in (1:01:\d\d)", head(pilot))

    async def story(pilot: Pilot[int]) -> None:
        end = datetime.now(UTC) + timedelta(hours=1, minutes=1, seconds=59)
        scene.add(ev.RateLimited(status="rejected", resets_at=end.isoformat()))
        await until(pilot, lambda: left(pilot) and "waiting for a limit" in head(pilot))
        (first,) = left(pilot)
        await until(pilot, lambda: left(pilot) < [first])
        said = longwatch("status", str(scene.run.root)).stdout.decode()
        assert re.search(rf"waiting +limit resets in 1:0\d:\d\d, at {re.escape(end.isoformat())}", said)

    scene = scenes.running(tmp_path / "run")
    with RunLock(scene.run):
        watch(scene, story)


def test_between_sessions_the_head_names_no_role(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "generator · session 3" in head(pilot))
        scene.end()
        await until(pilot, lambda: "after session 3" in head(pilot) and "generator" not in head(pilot))

    scene = scenes.running(tmp_path / "run")
    watch(scene, story)


# --- The contract of another harness ----------------------------------------------------------------------


def passes(run: RunDir) -> int:
    return status(run).features["passing"]


def test_a_contract_that_nobody_has_touched_is_read_once(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    run.contract.write_text('[{"description": "a", "passes": true }]')
    found = run.contract.stat()
    assert passes(run) == 1
    run.contract.write_text('[{"description": "a", "passes": false}]')
    os.utime(run.contract, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert passes(run) == 1, "its inode, size and time are the same: nothing was read"
    run.contract.touch()
    assert passes(run) == 0


def test_each_change_of_a_contract_is_seen(tmp_path: Path) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "0/4" in head(pilot))
        features = scenes.contract()
        for count, feature in enumerate(features[:2], 1):
            feature["passes"] = True
            scene.run.contract.write_text(json.dumps(features))
            await until(pilot, lambda count=count: f"{count}/4" in head(pilot))
        scene.run.contract.write_text(json.dumps(features)[:-9])
        await until(pilot, lambda: "✗ feature_list.json" in head(pilot))
        scene.run.contract.unlink()
        await until(pilot, lambda: "no contract yet" in head(pilot) and "✗" not in head(pilot))
        scene.run.contract.write_text(json.dumps(features))
        await until(pilot, lambda: "2/4" in head(pilot))

    scene = scenes.empty(tmp_path / "run")
    scene.run.contract.write_text(json.dumps(scenes.contract()))
    watch(scene, story)
