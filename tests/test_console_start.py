"""The ways into the console: commands in a terminal, the start screen, recent runs, new ones, settings."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static, TextArea

from harness_core.config import RunConfig, RunInfo, save_info
from harness_core.errors import Mistake
from harness_core.layout import RunDir
from tests import scenes
from tests.commands import ROOT, longwatch, said, sentence
from tests.harness import environment, named, open_stage
from tests.terminal import open_terminal
from tui import new_run, recent, settings
from tui.console import keymap, keys
from tui.console.app import Console
from tui.console.line_list import LineList
from tui.console.screens.doctor import DoctorScreen
from tui.console.screens.help import HelpScreen
from tui.console.screens.new_run import NewRunScreen
from tui.console.screens.run import RunScreen
from tui.console.screens.start import StartScreen
from tui.new_run import Form

LIST = '[{"description": "a", "passes": true}, {"description": "b", "passes": false}]'
LOGINS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, home and state of this test's own; nothing that could pay for a model."""
    place = tmp_path / "here"
    for folder in (place, tmp_path / "home"):
        folder.mkdir()
    monkeypatch.chdir(place)
    for name in LOGINS:
        monkeypatch.delenv(name, raising=False)
    for name, value in (("HOME", "home"), ("LONGWATCH_STATE", "state"), ("CLAUDE_CONFIG_DIR", "claude")):
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.setenv("LONGWATCH_CONFIG", str(tmp_path / "config.toml"))
    return place


def ours(root: Path) -> RunDir:
    scene = scenes.running(root)
    save_info(scene.run, RunInfo(1, "test", "two-agent", "now", RunConfig()))
    return scene.run


def foreign(root: Path, contract: str = "feature_list.json", notes: str = "claude-progress.txt") -> RunDir:
    root.mkdir(parents=True)
    (root / contract).write_text(LIST)
    (root / notes).write_text("notes\n")
    return RunDir.at(root)


# --- Recent runs ----------------------------------------------------------------


def test_runs_below_a_folder_are_found_and_nothing_is_looked_for_in_vain(here: Path) -> None:
    ours(here / "a")
    foreign(here / "b" / "c")
    foreign(here / "b" / "d" / "e", "test-results.json", "PROGRESS.md")
    for passed_over in ("x/y/z/too-deep", "node_modules/p", ".hidden", "a/inside"):
        foreign(here / passed_over)
    (here / "only-contract").mkdir()
    (here / "only-contract" / "feature_list.json").write_text(LIST)
    (here / "link").symlink_to(here / "a")
    found = [str(run.root.relative_to(here)) for run in recent.found(here)]
    assert found == ["a", "b/c", "b/d/e"]
    assert recent.found(here / "a")[0].root == here / "a"
    assert recent.found(here / "nowhere") == []


def test_a_look_at_a_giant_tree_ends(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST_FOLDERS", 10)
    for number in range(30):
        foreign(here / f"{number:02d}")
    assert len(recent.found(here)) == 9


def test_opened_runs_are_kept_newest_first_once_and_not_for_ever(tmp_path: Path) -> None:
    runs = [foreign(tmp_path / "runs" / str(number)) for number in range(recent.MOST + 2)]
    for run in [*runs, runs[5]]:
        recent.note(run)
    listed = [item.root for item in recent.opened()]
    assert listed[:2] == [str(runs[5].root), str(runs[-1].root)]
    assert len(listed) == recent.MOST == len(set(listed))
    (runs[5].root / "feature_list.json").unlink()
    assert recent.candidates(tmp_path / "here")[0].root == runs[-1].root


@pytest.mark.parametrize("content", [b"", b"{", b"[5]", b"\xff", b'[{"root": 5}]', b"[" * 100_000])
def test_a_damaged_list_is_an_empty_one(content: bytes, here: Path) -> None:
    recent.folder().mkdir()
    (recent.folder() / "recent.json").write_bytes(content)
    assert recent.opened() == []
    recent.note(foreign(here / "a"))
    assert len(recent.opened()) == 1


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path, here: Path) -> None:
    (tmp_path / "state").write_text("a file")
    recent.note(foreign(here / "a"))
    recent.note(RunDir(Path(os.fsdecode(b"caf\xe9"))))
    assert recent.opened() == []


# --- attach without DIR, where there is no terminal ----------------------------------------------


def attach(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return longwatch("attach", *arguments, **{name: os.environ[name] for name in ("HOME", "LONGWATCH_STATE")})


def test_attach_takes_the_only_run_and_lists_several(here: Path) -> None:
    assert "no run is below this directory" in sentence(attach())
    foreign(here / "a")
    assert said(attach()).startswith("idle")
    recent.note(foreign(here.parent / "elsewhere"))
    assert said(attach()).startswith("idle")
    ours(here / "b")
    done = attach()
    assert "more than one run" in sentence(done)
    listed = done.stdout.decode().splitlines()
    assert [line.split() for line in listed] == [
        ["idle", "1/2", str(here / "a")],
        ["lost", "1/4", str(here / "b")],
        ["idle", "1/2", str(here.parent / "elsewhere")],
    ]


def test_a_complete_run_is_not_to_be_resumed(tmp_path: Path) -> None:
    run = scenes.complete(tmp_path / "run").run
    for command in ("attach", "status"):
        told = said(longwatch(command, str(run.root)))
        assert told.startswith("complete") and "resume" not in told


# --- Commands in a terminal ----------------------------------------------------------------


def env(tmp_path: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("LONGWATCH_STATE", "LONGWATCH_CONFIG")}
    return environment(tmp_path / "home", tmp_path / "claude") | kept


def test_attach_opens_the_console_and_q_leaves_it(tmp_path: Path, here: Path) -> None:
    run = ours(here / "a")
    with open_terminal("attach", str(run.root), env=env(tmp_path), cwd=here) as terminal:
        terminal.wait_for("engine lost")
        terminal.press("q")
        assert terminal.wait() == 0
    assert [item.root for item in recent.opened()] == [str(run.root)]
    assert b"\x1b[?1049l" in terminal.bytes, "the terminal is as it was"


def test_attach_shows_a_run_of_another_harness_and_leaves_no_trace(tmp_path: Path, here: Path) -> None:
    run = foreign(here / "a")
    with open_terminal("attach", "a", env=env(tmp_path), cwd=here) as terminal:
        terminal.wait_for("1/2")
        terminal.press("p")
        terminal.wait_for("AGENT_STOP is there")
        terminal.press("q")
        assert terminal.wait() == 0
    names = sorted(path.name for path in run.root.iterdir())
    assert names == ["AGENT_STOP", "claude-progress.txt", "feature_list.json"]


@pytest.mark.parametrize(("more", "term"), [(["--plain"], "xterm"), ([], "dumb")])
def test_the_stream_can_be_had_in_a_terminal(tmp_path: Path, here: Path, more: list[str], term: str) -> None:
    run = ours(here / "a")
    shell = f'TERM={term} exec "$0" attach {run.root} {" ".join(more)}'
    with open_terminal("--version", env=env(tmp_path), cwd=here) as known:
        known.wait()
        program = known.process.args[0]  # type: ignore[index]
    done = subprocess.run(
        ["script", "-qec", f"bash -c '{shell}' {program}", "/dev/null"],
        env=env(tmp_path), capture_output=True, timeout=60, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.stdout.startswith(b"lost") and b"\x1b[?1049h" not in done.stdout


def test_a_refused_start_is_one_line_and_opens_nothing(tmp_path: Path, here: Path) -> None:
    with open_terminal("run", "new", env=env(tmp_path), cwd=here) as terminal:
        assert terminal.wait() == 2
    told = terminal.bytes.decode().strip()
    assert told.startswith("longwatch: nothing says what to build") and "\n" not in told
    assert not (here / "new").exists()


def test_settings_that_can_not_be_are_told_before_anything_starts(tmp_path: Path, here: Path) -> None:
    (here / "spec.txt").write_text("a thing\n")
    settings.path().write_text('[keys]\npause = "s"\n')
    for arguments in (["run", "new", "--spec", "spec.txt"], ["demo"], ["attach"]):
        with open_terminal(*arguments, env=env(tmp_path), cwd=here) as terminal:
            assert terminal.wait() == 2
        assert "`s` is for steer and pause" in terminal.text
    assert sorted(path.name for path in here.iterdir()) == ["spec.txt"]


@pytest.mark.slow
def test_a_run_s_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    with open_stage(tmp_path / "stage") as stage:
        stage.lay_out()
        arguments = ("run", str(stage.root), "--set", "checkpoints=never")
        with open_terminal(*arguments, "--max-turns", "1", env=stage.env, cwd=tmp_path) as terminal:
            assert stage.wait_for(named("run_ended"), 60)["exit"] == 4
            terminal.wait_for("stopped")
            terminal.press("q")
            assert terminal.wait() == 4
        assert "To go on, raise the limit" in terminal.text
        with open_terminal(*arguments, "--max-turns", "500", env=stage.env, cwd=tmp_path) as terminal:
            assert stage.wait_for(named("run_ended"), 60, count=2)["exit"] == 0
            terminal.wait_for("complete")
            terminal.press("q")
            assert terminal.wait() == 0


def test_longwatch_alone_opens_the_start_screen(tmp_path: Path, here: Path) -> None:
    ours(here / "a")
    for arguments in ([], ["attach"]):
        with open_terminal(*arguments, env=env(tmp_path), cwd=here, size=(80, 24)) as terminal:
            terminal.wait_for("engine lost")
            terminal.press("q")
            assert terminal.wait() == 0


def test_the_console_loads_neither_the_sdk_nor_the_engine() -> None:
    load = "from tui.console import launching; launching.load_run()"
    code = f"import json, sys; {load}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=True)
    heavy = {"claude_agent_sdk", "mcp", "harness_core.engine", "harness_core.start", "tree_sitter_bash"}
    assert heavy.isdisjoint(json.loads(done.stdout))


# --- The start screen ----------------------------------------------------------------

Tale = Callable[[Pilot[int]], Awaitable[None]]


async def until(pilot: Pilot[int], holds: Callable[[], object]) -> None:
    """Wait for a condition. Fails after a while."""
    for _ in range(1500):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError("it never came")


def on_start(tale: Tale, size: tuple[int, int] = (120, 40)) -> None:
    """Tell a tale to the start screen, once it has looked for runs."""

    async def told() -> None:
        app = Console(None)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: isinstance(app.screen, StartScreen))
            await until(pilot, lambda: "looking" not in runs(pilot).empty)
            await tale(pilot)

    asyncio.run(told())


def runs(pilot: Pilot[int]) -> LineList:
    return pilot.app.screen.query_one(LineList)


def rows(pilot: Pilot[int]) -> list[str]:
    return [row.content.plain for row in runs(pilot).rows]


def says(pilot: Pilot[int]) -> str:
    shown = pilot.app.screen.query_one("#says", Static)
    return str(shown.content) if shown.display else ""


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
def test_runs_are_listed_with_where_they_stand(here: Path, size: tuple[int, int]) -> None:
    ours(here / "a")
    foreign(here / "b" / "\x1b[2J[@click=app.exit]x[/]")
    recent.note(foreign(here.parent / "c"))
    damaged = ours(here / "damaged")
    damaged.run_json.write_text("{")

    async def tale(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: len(rows(pilot)) == 4 and not any("…" in row for row in rows(pilot)))
        lost, broken, other, lately = rows(pilot)
        assert "† engine lost" in lost and "1/4" in lost and lost.endswith("  a")
        assert broken.startswith("✗ unreadable")
        assert "○ idle" in other and "1/2" in other and "[@click=app.exit]x[/]" in other
        assert "\x1b" not in "".join(rows(pilot))
        assert lately.endswith(str(here.parent / "c"))
        await pilot.press("j", "enter")
        await until(pilot, lambda: "restore it" in says(pilot))
        await pilot.press("g", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        assert recent.opened()[0].root == str(here / "a")

    on_start(tale, size)


def test_no_run_is_no_wall(here: Path) -> None:
    async def tale(pilot: Pilot[int]) -> None:
        assert rows(pilot) == [] and "n starts one" in runs(pilot).empty
        await pilot.press("enter", "question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await pilot.press("escape")
        foreign(here / "a")
        await pilot.press("R")
        await until(pilot, lambda: rows(pilot))
        (here / "a" / "feature_list.json").unlink()
        await pilot.press("enter")
        await until(pilot, lambda: "holds no run any more" in says(pilot) and not rows(pilot))
        await pilot.press("q")

    on_start(tale)


def test_a_new_run_is_refused_in_the_form_with_all_that_was_typed(here: Path) -> None:
    async def tale(pilot: Pilot[int]) -> None:
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "the directory is empty" in says(pilot))
        await pilot.press(*"new", "enter")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "say it, or name a file" in says(pilot))
        await pilot.press(*"shop.md")
        taken = pilot.app.screen.query_one("#taken", Static)
        await until(pilot, lambda: "isn't there" in str(taken.content))
        await pilot.press(*" for flowers")
        await until(pilot, lambda: "go to the planner" in str(taken.content))
        pilot.app.screen.query_one("#preset", Input).value = "two-agent"
        await until(pilot, lambda: "become the specification" in str(taken.content))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "no way to reach a model" in says(pilot))
        assert pilot.app.screen.query_one("#directory", Input).value == "new"
        assert pilot.app.screen.query_one(TextArea).text == "shop.md for flowers"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, StartScreen))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen))
        assert pilot.app.screen.query_one("#preset", Input).value == "two-agent"
        assert pilot.app.screen.query_one(TextArea).text == "shop.md for flowers"

    on_start(tale)
    assert list(here.iterdir()) == []


def test_a_new_run_is_started_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_stage(tmp_path / "stage") as stage:
        for name, value in stage.env.items():
            monkeypatch.setenv(name, value)

        async def tale(pilot: Pilot[int]) -> None:
            await pilot.press("n")
            await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen))
            pilot.app.screen.query_one("#directory", Input).value = str(stage.root)
            pilot.app.screen.query_one(TextArea).text = "Flags.\nAll of them.\n"
            pilot.app.screen.query_one("#preset", Input).value = "two-agent"
            pilot.app.screen.query_one("#features", Input).value = "1"
            pilot.app.screen.query_one("#dollars", Input).value = "7.5"
            await pilot.press("ctrl+s")
            await until(pilot, lambda: getattr(pilot.app.screen, "facts", None) is not None)
            assert isinstance(pilot.app.screen, RunScreen)

        on_start(tale)
        assert stage.engine_alive()
        assert (stage.root / "app_spec.txt").read_text() == "Flags.\nAll of them.\n"
        info = json.loads((stage.private / "run.json").read_text())
        assert (info["config"]["features"], info["config"]["limits"]["max_usd"]) == (1, 7.5)


def test_the_demo_is_a_key_away(here: Path) -> None:
    (here / new_run.DEMO).write_text("in the way")

    async def tale(pilot: Pilot[int]) -> None:
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        await until(pilot, lambda: pilot.app.screen.facts is not None)  # type: ignore[attr-defined]

    try:
        on_start(tale)
        assert json.loads((here / f"{new_run.DEMO}-2/.longwatch/run.json").read_text())["rehearsal"] == "demo"
    finally:
        longwatch("stop", str(here / f"{new_run.DEMO}-2"), "--now")


def test_the_doctor_says_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tale(pilot: Pilot[int]) -> None:
        await pilot.press("c")
        await until(pilot, lambda: isinstance(pilot.app.screen, DoctorScreen))
        shown = pilot.app.screen.query_one("#page", Static)
        await until(pilot, lambda: "messages" in str(shown.content))
        assert "✗ login" in str(shown.content) and "✓ git" in str(shown.content)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(pilot.app.screen, StartScreen))

    on_start(tale)


# --- What was typed ----------------------------------------------------------------


def test_a_specification_is_words_or_a_file(here: Path) -> None:
    (here / "shop.md").write_text("A shop.\n")
    with new_run.request(Form("new", " shop.md ")) as asked:
        assert asked.spec == str(here / "shop.md")
    with new_run.request(Form("new", "A shop.\nWith a cart.", preset="two-agent")) as asked:
        assert asked.spec is not None
        typed = Path(asked.spec)
        assert typed.read_text() == "A shop.\nWith a cart.\n"
        assert not typed.is_relative_to(here)
    assert not typed.exists()
    ours(here / "old")
    with new_run.request(Form("old", "", "12", "$3.50")) as asked:
        assert (asked.spec, asked.options.features, asked.options.limits) == (None, 12, {"max_usd": 3.5})


@pytest.mark.parametrize(
    ("preset", "mode", "is_prompt"),
    [
        ("", "", True),
        ("sprints", "", True),
        ("two-agent", "", False),
        ("two-agent", "bugfix", True),
        ("design", "", False),
    ],
)
def test_words_go_to_who_can_do_something_with_them(preset: str, mode: str, is_prompt: bool) -> None:
    with new_run.request(Form("new", "A shop.", preset=preset, mode=mode)) as asked:
        assert (asked.options.prompt, asked.spec is None) == (
            ("A shop.", True) if is_prompt else (None, False)
        )
        assert (asked.options.preset, asked.options.mode) == (preset or None, mode or None)


def test_words_go_to_the_planner_that_a_directory_s_own_settings_name(here: Path) -> None:
    (here / "new").mkdir()
    (here / "new" / "longwatch.toml").write_text('preset = "solo"\n')
    with new_run.request(Form("new", "A shop.")) as asked:
        assert asked.options.prompt is None and asked.spec is not None


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (Form("", "a thing"), "the directory is empty"),
        (Form("new", " "), "nothing says what to build"),
        (Form("new", "docs/shop"), "docs/shop isn't there"),
        (Form("new", "shop.txt"), "shop.txt isn't there"),
        (Form("new", "a thing", features="many"), "features: many is no number"),
        (Form("new", "a thing", dollars="1,5"), "dollars: 1,5 is no number"),
        (Form("~nobody-of-this-name/x", "a thing"), "can't be a directory"),
    ],
)
def test_a_form_that_can_not_be_is_refused(form: Form, why: str) -> None:
    with pytest.raises(Mistake, match=why), new_run.request(form):
        pass


# --- Settings ----------------------------------------------------------------


def test_settings_are_read_and_none_is_fine() -> None:
    assert settings.load() == settings.Settings()
    settings.path().write_text(
        'theme = "light"\nbell = false\nimages = "blocks"\n[keys]\npause = "space"\ntrace = "ctrl+t,f5"\n'
    )
    read = settings.load()
    assert (read.theme, read.bell, read.title, read.images) == ("light", False, True, "blocks")
    keymap.check(read.keys, "x")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("theme = 'pink'", "theme = 'pink': choose of dark, light, contrast, none"),
        ("bell = 'no'", "bell"),
        ("images = 'all'", "images"),
        ("colour = 1", "colour"),
        ("= 1", "can't be read"),
        ("keys = 5", "keys"),
    ],
)
def test_settings_that_can_not_be_are_refused(text: str, why: str) -> None:
    settings.path().write_text(text)
    with pytest.raises(Mistake, match=why):
        settings.load()


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"fly": "x"}, "keys.fly: no such action"),
        ({"pause": "nokey"}, "`nokey` is no key"),
        ({"pause": "ctrl+P"}, "is no key"),
        ({"pause": ""}, "is no key"),
        ({"approve": "enter"}, "`enter` can't be had"),
        ({"approve": "ctrl+m"}, "`ctrl+m` can't be had"),
        ({"pause": "ctrl+c"}, "`ctrl+c` can't be had"),
        ({"pause": "hyper+"}, "is no key"),
        ({"pause": "s"}, "`s` is for steer and pause"),
        ({"pause": "j"}, "`j` is for pause and down"),
        ({"pause": "]"}, "`right_square_bracket` is for pause and next_trouble"),
        ({"demo": "n"}, "`n` is for new and demo"),
        ({"pause": "f5", "stop": "f5"}, "`f5` is for pause and stop"),
    ],
)
def test_keys_that_can_not_be_are_refused(chosen: dict[str, str], why: str) -> None:
    with pytest.raises(Mistake) as refused:
        keymap.check(chosen, "config.toml")
    assert why in str(refused.value)


def test_keys_may_change_places() -> None:
    keymap.check({"pause": "s", "steer": "p"}, "x")
    keymap.check({key.id: key.keys for group in keys.GROUPS.values() for key in group}, "x")


def test_a_chosen_key_counts(here: Path) -> None:
    async def told() -> None:
        app = Console(None, settings.Settings(keys={"doctor": "f5"}))
        async with app.run_test() as pilot:
            await until(pilot, lambda: isinstance(app.screen, StartScreen))
            await pilot.press("c")
            assert isinstance(app.screen, StartScreen)
            await pilot.press("f5")
            await until(pilot, lambda: isinstance(app.screen, DoctorScreen))

    asyncio.run(told())
