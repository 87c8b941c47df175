"""The console in a real terminal: a whole run by keys, and what never reaches the terminal."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from harness_core.operator import control
from tests import scenes
from tests.harness import environment, named, open_stage, until
from tests.terminal import open_terminal


@pytest.mark.parametrize("to_its_end", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_demo_is_steered_stopped_resumed_approved_left_and_found_again_by_keys(
    tmp_path: Path, to_its_end: bool
) -> None:
    with open_stage(tmp_path, None) as stage:
        arguments = ("demo", str(stage.root), "--fast")
        with open_terminal(*arguments, env=stage.env, cwd=tmp_path) as terminal:
            stage.wait_for(named("contract_frozen"), 60)

            terminal.press("s")
            terminal.wait_for("Steer the agent")
            terminal.type("Use a darker blue")
            terminal.press("enter")
            assert stage.wait_for(named("steer_queued"))["text"] == "Use a darker blue"
            delivered = stage.wait_for(named("steer_delivered"))
            assert delivered["id"] == stage.wait_for(named("steer_acknowledged"))["id"]

            terminal.press("p")
            stage.wait_for(named("stop_confirmed"))
            assert stage.stop_file.exists()
            terminal.wait_for("confirmed")
            terminal.press("p")
            stage.wait_for(named("stop_cleared"))
            assert not stage.stop_file.exists()

            asked = stage.wait_for(named("checkpoint_opened"), 90)
            terminal.wait_for(f"checkpoint {asked['id']}")
            # The terminal's title, its own notification and its bell call an operator who looks elsewhere.
            assert b"\x1b]0;" in terminal.bytes and b"\x1b]9;" in terminal.bytes
            terminal.press("enter", "a")
            decided = stage.wait_for(named("checkpoint_decided"))
            assert (decided["id"], decided["decision"]) == (asked["id"], "approve")

            terminal.press("q")
            terminal.wait_for("Leave? The run is alive.")
            terminal.press("d")
            assert terminal.wait() == 0
            assert "The run goes on" in terminal.text
            # The title that the terminal had comes back at the end.
            assert terminal.bytes.index(b"\x1b[22;0t") < terminal.bytes.index(b"\x1b]0;")
            assert terminal.bytes.rindex(b"\x1b]0;") < terminal.bytes.index(b"\x1b[23;0t")
        assert stage.engine_alive()

        with open_terminal("attach", str(stage.root), env=stage.env, cwd=tmp_path, size=(80, 24)) as terminal:
            terminal.wait_for("running")
            if not to_its_end:
                return
            ended = stage.wait_for(named("run_ended"), 120)
            assert ended["exit"] == 0
            terminal.wait_for("complete")
            terminal.press("q")
            assert terminal.wait() == 0
        assert all(stage.passing())


def test_no_key_comes_out_of_what_is_pasted(tmp_path: Path) -> None:
    scene = scenes.waiting(tmp_path / "run")
    (tmp_path / "home").mkdir()
    env = environment(tmp_path / "home", tmp_path / "claude")
    with open_terminal("attach", str(scene.root), env=env, cwd=tmp_path) as terminal:
        terminal.wait_for("checkpoint 001")
        terminal.type("\x1b[200~\x1b[2Ja\x1b[31m a \x1bK\x1b[201~")
        terminal.press("s")
        terminal.wait_for("Steer the agent")
        terminal.type("\x1b[200~first \x1b[31mred\x1b[0m\n\x1b")
        time.sleep(0.3)
        terminal.type("last\x1b[201~")
        terminal.press("enter")
        until(scene.run.steer_file.exists, 10, "the message is written")
        assert scene.run.steer_file.read_text() == "first [31mred[0m\nlast\n"
        assert not control.decision_path(scene.run, "001").exists() and not scene.run.stop_file.exists()
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_killed_console_leaves_the_run_alone(tmp_path: Path) -> None:
    with open_stage(tmp_path, None) as stage:
        with open_terminal("demo", str(stage.root), "--fast", env=stage.env, cwd=tmp_path) as terminal:
            stage.wait_for(named("contract_frozen"), 60)
            terminal.process.kill()
            terminal.process.wait()
        before = len(stage.journal())
        until(lambda: len(stage.journal()) > before + 5, 30, "the run goes on")
        assert stage.engine_alive()


ACTS = [
    b"\x1b]52",
    b"\x1b]0;owned",
    b"\x9b",
    b"\xc2\x9b",
    "\u202e".encode(),
    "\u202c".encode(),
    b"\x1b[2Jgnp",
]


@pytest.mark.parametrize("size", [pytest.param((80, 24), marks=pytest.mark.slow), (200, 60)])
def test_nothing_but_visible_characters_reaches_the_terminal(tmp_path: Path, size: tuple[int, int]) -> None:
    scene = scenes.hostile(tmp_path / "run")
    (tmp_path / "home").mkdir()
    env = environment(tmp_path / "home", tmp_path / "claude")
    with open_terminal("attach", str(scene.root), env=env, cwd=tmp_path, size=size) as terminal:
        terminal.wait_for("engine lost")
        for pane in ("1", "2", "3", "4", "5"):
            terminal.press(pane, "g", "enter", "escape", "escape")
        terminal.press("1", "t", "escape", "b", "escape", "c", "escape", "?", "escape")
        assert terminal.process.poll() is None, "markup from outside has broken or ended it"
        terminal.press("q")
        assert terminal.wait() == 0
    said = bytes(terminal.bytes)
    assert "gnp.exe" in terminal.text, "the hostile text was shown, as text"
    assert not [act for act in ACTS if act in said]
    # Textual and the title have sequences of their own; none of them carries a word from outside.
    assert not re.search(rb"\x1b\][^\x07\x1b]*(?:owned|aGVsbG8|gnp)", said)
