"""Work beside the screen that breaks down: the operator hears of it, nothing waits, the console goes on."""

from __future__ import annotations

import ast
import asyncio
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

import tui.console
from harness_core.reading import contract_view
from harness_core.reading.burnup import BurnUp
from harness_core.reading.evidence_list import Evidence
from harness_core.reading.feature_story import Story as FeatureStory
from harness_core.record import events as ev
from tests import scenes
from tests.console import ours, screen, text_on, until, watch
from tui import new_run, recent
from tui.console import journal_view, patch, preview, review, since
from tui.console.app import Console
from tui.console.cards.iterations import Iterations
from tui.console.chronicle import Chronicle
from tui.console.journal_entries import EntryReader
from tui.console.line_list import LineList
from tui.console.operator import Operator
from tui.console.panes import progress, stream
from tui.console.panes.features import FeaturesPane
from tui.console.rates import Rates
from tui.console.screens import doctor
from tui.console.screens import new_run as form
from tui.console.screens.run import RunScreen
from tui.console.screens.start import StartScreen

WAITING = re.compile(r"(reading|looking|starting)( \w+)* …")
SAID = re.compile(r"(.+) broke down \(RuntimeError: out of order\): see (\S+)")


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is kept of a mistake goes."""
    folder = tmp_path / "kept"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def breaks(*_: object, **__: object) -> Any:
    raise RuntimeError("out of order")


def told(pilot: Pilot[int]) -> list[tuple[str, Path]]:
    """What has broken down, as the operator was told, and where more is kept of it."""
    notes = (SAID.fullmatch(note.message) for note in pilot.app._notifications)
    return [(note[1], Path(note[2])) for note in notes if note]


def test_a_pane_whose_reading_breaks_down_says_so_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: {what for what, _ in told(pilot)} == wanted)
        for _, path in told(pilot):
            assert "Traceback" in path.read_text() and "out of order" in path.read_text()
        await until(pilot, lambda: not WAITING.search(text_on(pilot)))
        assert text_on(pilot).count("broke down") >= 3
        for pane in screen(pilot).panes:
            pane.files_changed(frozenset())
        await pilot.pause(0.2)
        assert len(told(pilot)) == len(wanted), "what stays broken isn't told again and again"

        monkeypatch.undo()
        scene.add(ev.Commit(sha="1" * 40, subject="news", by="generator"))
        scene.run.contract.touch()
        for pane in screen(pilot).panes:
            pane.files_changed(frozenset())
        await until(pilot, lambda: "F003" in text_on(pilot) and "Working notes" in text_on(pilot))
        await until(pilot, lambda: "broke down" not in text_on(pilot))

    scene = scenes.waiting(tmp_path / "run")
    (scene.root / "PROGRESS.md").write_text("# Working notes\n")
    for place, name in (
        (contract_view, "read"),
        (Evidence, "look"),
        (progress, "read_notes"),
        (Chronicle, "read_on"),
    ):
        monkeypatch.setattr(place, name, breaks)
    wanted = {
        "reading the contract",
        "looking at the evidence",
        "reading the notes",
        "reading the git log",
    }
    watch(scene, story, (200, 60))


def test_a_page_whose_reading_breaks_down_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: not WAITING.search(text_on(pilot)))
        for keys, what in (
            (("2", "enter"), "reading the feature's story"),
            (("b",), "reading the journal"),
            (("v",), "reading the changes"),
            (("4", "enter"), "reading the changes"),
        ):
            pilot.app.clear_notifications()
            await pilot.press(*keys)
            await until(pilot, lambda: not isinstance(pilot.app.screen, RunScreen))
            await until(pilot, lambda what=what: [name for name, _ in told(pilot)] == [what])
            await until(pilot, lambda: "broke down" in text_on(pilot))
            assert not WAITING.search(text_on(pilot)), what
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))

    for place, name in (
        (FeatureStory, "read_on"),
        (since, "brief"),
        (review, "diff"),
        (patch, "of_commit"),
        (patch, "of_commits"),
        (patch, "of_uncommitted"),
    ):
        monkeypatch.setattr(place, name, breaks)
    watch(scenes.waiting(tmp_path / "run"), story)


def test_an_iteration_that_can_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(pilot.app.focused, Iterations))
        await pilot.press("enter")
        await until(pilot, lambda: "reading the iteration broke down" in text_on(pilot))
        assert not WAITING.search(text_on(pilot))

    monkeypatch.setattr(review, "iteration", breaks)
    watch(scenes.design(tmp_path / "run"), story)


def test_a_search_or_a_filter_that_breaks_down_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("t", "slash", *"flag", "enter")
        await until(pilot, lambda: "the search broke down" in text_on(pilot))
        assert not WAITING.search(text_on(pilot))
        await pilot.press("f", *"kind:error", "enter")
        await until(pilot, lambda: "the filter" in [what for what, _ in told(pilot)])
        await until(pilot, lambda: "the filter broke down" in text_on(pilot))
        assert not WAITING.search(text_on(pilot))

    read = EntryReader.read

    def reads(*given: Any, pieces: int = 1, **more: Any) -> Any:
        return breaks() if pieces < 0 else read(*given, pieces=pieces, **more)

    monkeypatch.setattr(journal_view, "find", breaks)
    monkeypatch.setattr(EntryReader, "read", reads)
    scene = scenes.running(tmp_path / "run")
    # More than is read at once: a thread has to.
    scene.add(*(ev.Text(text="word " * 800) for _ in range(300)))
    watch(scene, story)


def test_a_picture_that_can_not_be_drawn_gives_way_to_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: screen(pilot).query_one("#evidence").query_one(LineList).rows)
        await pilot.press("5", "enter")
        await until(pilot, lambda: "drawing the evidence broke down" in text_on(pilot))

    monkeypatch.setattr(preview, "fulfil", breaks)
    watch(scenes.waiting(tmp_path / "run"), story)


def test_a_whole_output_that_can_not_be_read_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "It is made" in text_on(pilot))
        await pilot.press("up", "enter", *["down"] * 9)
        await until(pilot, lambda: "reading the whole output broke down" in text_on(pilot))
        assert "is being read" not in text_on(pilot)

    scene = scenes.running(tmp_path / "run")
    scene.add(ev.ToolUse(tool_use_id="toolu_1", tool="Bash", input={"command": "make all"}))
    scene.add(ev.ToolResult(tool_use_id="toolu_1", ok=True, ms=9, output="begins", blob="a" * 64))
    scene.add(ev.Text(text="It is made."))
    scene.run.blobs.mkdir(parents=True)
    (scene.run.blobs / ("a" * 64)).write_text("begins and ends")
    monkeypatch.setattr(stream, "BLOB", type("Size", (), {"__index__": breaks})())
    watch(scene, story)


def test_a_plot_whose_reading_breaks_down_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("2", "z")
        await until(pilot, lambda: [what for what, _ in told(pilot)] == ["reading how the features grew"])
        monkeypatch.undo()
        scene.claim("F003")
        await until(pilot, lambda: screen(pilot).query_one(Rates).points)

    scene = scenes.waiting(tmp_path / "run")
    monkeypatch.setattr(BurnUp, "read_on", breaks)
    watch(scene, story)


def test_what_a_key_asks_for_is_told_each_time_that_it_breaks_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        for count in (1, 2):
            await pilot.press("p")
            await until(pilot, lambda count=count: len(told(pilot)) == count)
        assert {what for what, _ in told(pilot)} == {"going on"}
        await pilot.press("K", "n", "n")
        await until(pilot, lambda: "ending the run" in [what for what, _ in told(pilot)])
        await pilot.press("2")
        await until(pilot, lambda: screen(pilot).pane.NAME == "features")

    monkeypatch.setattr(Operator, "go_on", breaks)
    monkeypatch.setattr(Operator, "end", breaks)
    watch(ours(scenes.stopped(tmp_path / "run")), story)


def test_files_are_watched_again_after_a_pane_broke_down_by_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: told(pilot))
        monkeypatch.undo()
        (scene.root / "PROGRESS.md").write_text("# Working notes\n")
        await until(pilot, lambda: "Working notes" in text_on(pilot))

    scene = scenes.running(tmp_path / "run")
    monkeypatch.setattr(FeaturesPane, "files_changed", breaks)
    watch(scene, story, (200, 60))


def test_the_start_screen_never_waits_for_what_broke_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        app = Console(None)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: isinstance(app.screen, StartScreen))
            await until(pilot, lambda: "looking for runs broke down" in text_on(pilot))
            monkeypatch.setattr(recent, "candidates", lambda _: [run])
            await pilot.press("R")
            await until(pilot, lambda: "looking where the runs stand" in [what for what, _ in told(pilot)])
            await until(pilot, lambda: "…" not in text_on(pilot) and str(run.root.name) in text_on(pilot))
            await pilot.press("c")
            await until(pilot, lambda: "the doctor broke down" in text_on(pilot))
            await pilot.press("escape", "d")
            await until(pilot, lambda: "starting the demo broke down" in text_on(pilot))
            await pilot.press("n", "ctrl+s")
            await until(pilot, lambda: "starting the run broke down" in text_on(pilot))
            await pilot.press("escape", "q")
            await until(pilot, lambda: app._exit)

    run = scenes.running(tmp_path / "run").run
    monkeypatch.chdir(tmp_path)
    for place, name in (
        (recent, "candidates"),
        (recent, "look"),
        (doctor, "examine"),
        (new_run, "demo_directory"),
        (form, "request"),
    ):
        monkeypatch.setattr(place, name, breaks)
    asyncio.run(story())


def test_where_nothing_can_be_kept_of_a_mistake_it_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: Path
) -> None:
    async def story(pilot: Pilot[int]) -> None:
        await pilot.press("b")
        await until(pilot, lambda: "(No such file or directory)" in text_on(pilot))

    monkeypatch.setattr(since, "brief", breaks)
    kept.rmdir()
    watch(scenes.running(tmp_path / "run"), story)


def test_nothing_is_done_beside_the_screen_without_that() -> None:
    for path in Path(tui.console.__file__).parent.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        assert path.name == "aside.py" or not {"work", "run_worker"} & used, path.name
