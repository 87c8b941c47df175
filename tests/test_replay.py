"""A replay: what is shown at each moment, the keys that move in it, and that nothing reaches the run."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from harness_core.errors import Mistake
from harness_core.operator import control
from harness_core.reading import contract_view
from harness_core.reading.evidence_list import scan
from harness_core.record import events as ev
from harness_core.record.fold import fold
from tests import scenes
from tests.commands import longwatch, sentence
from tests.scenes import Scene
from tui.console import keymap
from tui.console.app import Console
from tui.console.cards.card import Card
from tui.console.cards.checkpoint import CheckpointCard
from tui.console.cards.iterations import Iterations
from tui.console.git_log import Repository
from tui.console.head import Head
from tui.console.replay import FASTEST, Replay
from tui.console.screens.replay import ReplayScreen
from tui.settings import Settings

Story = Callable[[Pilot[int], Replay], Awaitable[None]]


@contextlib.contextmanager
def played(scene: Scene, speed: float = 1.0) -> Iterator[Replay]:
    """A replay that begins paused."""
    replay = Replay(scene.run, speed)
    replay.toggle()
    replay.start()
    try:
        yield replay
    finally:
        replay.close()


def wait(holds: Callable[[], object], within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def shown(replay: Replay) -> bytes:
    return replay.run.journal.read_bytes()


def prints(root: Path) -> dict[str, str]:
    """All files of a directory, by what is in them."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def story(scene: Scene) -> Scene:
    """Two commits with notes of their own, evidence in the second, a denial, a verdict, an error."""
    scene = scenes.waiting(scene.root)
    scene.session, scene.role = 5, "generator"
    (scene.root / "PROGRESS.md").write_text("# Later\n\nWritten at the end.\n")
    scene.commit("Write at the end")
    scene.add(ev.Error(message="the last thing that happens"))
    return scene


# --- What is shown at each moment ---------------------------------------------------------------------


def test_a_jump_goes_to_the_next_of_its_sort_and_pauses(tmp_path: Path) -> None:
    with played(story(scenes.empty(tmp_path / "run"))) as replay:
        for what, last in (
            ("session", b'"type":"session_started"'),
            ("denial", b'"type":"guard_decision"'),
            ("verdict", b'"type":"verdict"'),
            ("error", b'"type":"error"'),
        ):
            before = replay.past.seq
            replay.jump(what)
            wait(lambda before=before: replay.past.seq > before)
            assert last in shown(replay).splitlines()[-1]
            assert not replay.past.playing
            assert len(shown(replay).splitlines()) == replay.past.seq == fold(replay.run).last_seq
        replay.jump("verdict")
        wait(lambda: replay.past.note == "no verdict comes after this")


def test_files_git_and_evidence_are_as_they_were(tmp_path: Path) -> None:
    scene = story(scenes.empty(tmp_path / "run"))
    with played(scene) as replay:
        replay.jump("session")
        wait(lambda: replay.past.seq)
        assert contract_view.read(replay.run).features == ()
        assert not replay.run.notes.exists()
        replay.jump("denial")
        wait(lambda: b"guard_decision" in shown(replay))
        assert [commit.subject for commit in Repository(replay.run.root).log(9)] == ["Lay out the flags"]
        assert replay.run.notes.read_text() == scenes.NOTES
        assert scan(replay.run.root)[0] == []
        replay.jump("verdict")
        wait(lambda: b'"verdict"' in shown(replay))
        repository = Repository(replay.run.root)
        assert repository.log(9)[0].subject == "Draw the second flag"
        assert repository.changed() == 0
        files, _, _ = scan(replay.run.root)
        assert [file.path for file in files] == ["screenshots/F002-flag.png", "screenshots/F001-flag.png"]
        assert all(file.mtime_ns / 1e9 <= scene.second for file in files)
        assert replay.run.notes.read_text() == scenes.NOTES
        replay.jump("error")
        wait(lambda: b"the last thing" in shown(replay))
        assert "Written at the end." in replay.run.notes.read_text()


def test_evidence_is_there_before_a_commit_has_it(tmp_path: Path) -> None:
    scene = scenes.begun(tmp_path / "run")
    scene.begin(2, "generator", "F001")
    scene.claim("F001", [scene.picture("F001.png")])
    scene.add(ev.EvidenceCaptured(path="../outside.png", sha256="0" * 64, size=1))
    (tmp_path / "outside.png").write_bytes(b"x")
    scene.add(ev.Error(message="here"))
    with played(scene) as replay:
        replay.jump("error")
        wait(lambda: replay.past.seq == scene.seq)
        assert (
            replay.run.root.joinpath("screenshots/F001.png").read_bytes()
            == (scene.root / "screenshots/F001.png").read_bytes()
        )
        assert not replay.run.root.parent.joinpath("outside.png").exists()


def test_a_link_in_a_commit_leads_nowhere(tmp_path: Path) -> None:
    scene = scenes.begun(tmp_path / "run")
    (tmp_path / "secret").write_text("a secret")
    (scene.root / "PROGRESS.md").unlink()
    (scene.root / "PROGRESS.md").symlink_to(tmp_path / "secret")
    scene.commit("Link the notes")
    scene.add(ev.Error(message="here"))
    with played(scene) as replay:
        replay.jump("error")
        wait(lambda: replay.past.seq == scene.seq)
        assert "a secret" not in replay.run.notes.read_text()


def test_it_plays_to_the_end_and_waits_for_nothing_long(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path / "run")
    scene.add(ev.Text(text="after a day"), after=86_400)
    scene.add(ev.Text(text="from a clock that went back"), after=-86_000)
    with scene.run.journal.open("ab") as journal:
        journal.write(b"damaged\n")
    with played(scene, FASTEST) as replay:
        replay.toggle()
        wait(lambda: replay.past.ended)
        assert shown(replay) == scene.run.journal.read_bytes()
        assert replay.past.share == 1
        assert fold(replay.run).damaged == 1
        # A run that goes on is played on.
        scene.add(ev.Text(text="and then"))
        wait(lambda: b"and then" in shown(replay))


def test_speed_is_the_clock_s_own(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path / "run")
    with played(scene, 8) as replay:
        replay.toggle()
        wait(lambda: replay.past.seq >= 4)
        replay.faster(1000)
        replay.faster(1000)
        wait(lambda: replay.past.speed == FASTEST)
        wait(lambda: replay.past.ended)
        replay.faster(1e-9)
        wait(lambda: replay.past.speed < 1)


def test_nothing_of_it_reaches_the_run(tmp_path: Path) -> None:
    scene = story(scenes.empty(tmp_path / "run"))
    before = prints(scene.root)
    with played(scene, FASTEST) as replay:
        replay.toggle()
        wait(lambda: replay.past.ended)
        place = replay.run.root
        assert not os.path.samefile(place, scene.root)
    assert not place.exists()
    assert prints(scene.root) == before


# --- On the screen ------------------------------------------------------------------------------------


def watch(scene: Scene, tell: Story) -> None:
    async def told() -> None:
        replay = Replay(scene.run, 1)
        replay.toggle()
        app = Console(replay.run, Settings(), replay)
        async with app.run_test(size=(140, 40)) as pilot:
            await until(pilot, lambda: isinstance(app.screen, ReplayScreen) and app.screen.facts is not None)
            await tell(pilot, replay)
        replay.close()

    asyncio.run(told())


async def until(pilot: Pilot[int], holds: Callable[[], object]) -> None:
    for _ in range(400):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError("it never came")


def head(pilot: Pilot[int]) -> str:
    return str(pilot.app.screen.query_one(Head).render())


def test_the_head_says_that_it_is_a_replay_and_where_it_is(tmp_path: Path) -> None:
    async def tell(pilot: Pilot[int], replay: Replay) -> None:
        await until(pilot, lambda: "replay paused" in head(pilot))
        await pilot.press("V")
        await until(pilot, lambda: "went to the next verdict" in head(pilot))
        await until(pilot, lambda: f"event {replay.past.seq}" in head(pilot))
        assert "running" in head(pilot) and "2/4" in head(pilot)
        assert f"of {scene.seq}" in head(pilot)
        await pilot.press("plus", "space")
        await until(pilot, lambda: "replay 2×" in head(pilot))
        await pilot.press("minus", "minus", "space")
        await until(pilot, lambda: "replay paused" in head(pilot))
        assert replay.past.speed == 0.5

    scene = story(scenes.empty(tmp_path / "run"))
    watch(scene, tell)


@pytest.mark.parametrize("pause", ["p", "space"])
def test_whatever_key_pauses_a_run_p_pauses_a_replay(tmp_path: Path, pause: str) -> None:
    async def tell(pilot: Pilot[int], replay: Replay) -> None:
        pilot.app.set_keymap({"pause": pause})
        await until(pilot, lambda: "replay paused" in head(pilot))
        await pilot.press("p")
        await until(pilot, lambda: "replay 1×" in head(pilot))
        await pilot.press("p")
        await until(pilot, lambda: "replay paused" in head(pilot))
        assert not replay.run.stop_file.exists()

    keymap.check({"pause": pause}, "x")
    watch(story(scenes.empty(tmp_path / "run")), tell)


def test_keys_that_would_change_the_run_do_nothing(tmp_path: Path) -> None:
    async def tell(pilot: Pilot[int], replay: Replay) -> None:
        screen = pilot.app.screen
        replay.jump("error")
        await until(pilot, lambda: screen.query(CheckpointCard))
        files = prints(replay.run.root / ".longwatch")
        await pilot.press("s", "p", "K", "a", "r", "o", "x", "v", "b", "e", "L")
        await pilot.pause()
        assert [card for card in screen.query(Card) if not isinstance(card, CheckpointCard)] == []
        assert pilot.app.screen is screen
        assert prints(replay.run.root / ".longwatch") == files
        assert not replay.run.stop_file.exists()
        await pilot.press("question_mark")
        await until(pilot, lambda: pilot.app.screen is not screen)
        await pilot.press("escape", "q")
        await until(pilot, lambda: not pilot.app.is_running or pilot.app._exit)

    scene = story(scenes.empty(tmp_path / "run"))
    before = prints(scene.root)
    watch(scene, tell)
    assert prints(scene.root) == before


def test_in_a_replay_iterations_are_shown_and_not_chosen(tmp_path: Path) -> None:
    async def tell(pilot: Pilot[int], replay: Replay) -> None:
        replay.faster(FASTEST)
        replay.toggle()
        await until(pilot, lambda: pilot.app.screen.query(Iterations))
        listed = pilot.app.screen.query_one(Iterations)
        await pilot.press("i", "a", "w", "v")
        await pilot.pause()
        assert not listed.has_focus and isinstance(pilot.app.screen, ReplayScreen)
        listed.focus()
        await pilot.press("up", "enter", "a")
        await pilot.pause()
        assert isinstance(pilot.app.screen, ReplayScreen)
        assert not control.decision_path(scene.run, "001").exists()

    scene = scenes.design(tmp_path / "run")
    watch(scene, tell)


# --- The command --------------------------------------------------------------------------------------


def test_a_replay_that_can_t_be_gets_a_sentence(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path / "run")
    assert "needs a terminal" in sentence(longwatch("replay", str(scene.root)))
    for speed in ("0", "-1", "nan", "1e9"):
        assert "--speed" in sentence(longwatch("replay", str(scene.root), "--speed", speed))
    assert "holds no run" in sentence(longwatch("replay", str(tmp_path)))
    empty = scenes.no_git(tmp_path / "empty")
    empty.run.journal.write_bytes(b"")
    with pytest.raises(Mistake, match="no journal to play"):
        Replay(empty.run, 1)
