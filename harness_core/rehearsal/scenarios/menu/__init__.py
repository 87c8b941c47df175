"""A game's menu in which the up arrow does nothing; the evaluator sees it by playing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from harness_core.rehearsal.crew import Piece, Program, staged
from harness_core.rehearsal.habits import Finding
from harness_core.rehearsal.scenario import Scenario

TITLE = "A menu whose up arrow does nothing at first; menu:unfixed never mends that."
_PROJECT = Path(__file__).parent / "project"
_LAST = "played"
_INIT_SH = '#!/bin/sh\nset -e\ncd "$(dirname "$0")"\npython3 play.py\n'


def _text(name: str) -> str:
    return (_PROJECT / f"{name}.in").read_text(encoding="utf-8")


def _frames(said: str) -> list[tuple[str, str]]:
    """Each key that was pressed, and what was chosen then."""
    lines = (line.partition(": > ") for line in said.splitlines())
    return [(key, chosen) for key, found, chosen in lines if found]


def _judge(feature: str, said: str, pictures: Sequence[bytes]) -> Finding | None:
    key = {"F001": "down", "F002": "up"}[feature]
    frames = _frames(said)
    dead = [
        before for (_, before), (pressed, after) in pairwise(frames) if pressed == key and before == after
    ]
    if frames and not dead:
        return None
    return {
        "feature": feature,
        "criterion": "functionality",
        "where": f"the {key} arrow does nothing: {dead[0] if dead else 'the menu'} stays as it was",
        "reproduce": f"python3 play.py, and look at the line that begins with {key}:",
        "severity": "critical",
    }


def scenario(parameter: str | None) -> Scenario:
    pieces = {
        "F001": Piece(
            "The down arrow chooses the next item, and the first after the last",
            ["Open the menu", "Press the down arrow until the first item is chosen again"],
            {"keys.py": _text("flawed/down_only.py"), "test_f001.py": _text("test_f001.py")},
            "python3 check.py F001",
            "screenshots/F001-test.log",
        ),
        "F002": Piece(
            "The up arrow chooses the item before",
            ["Open the menu", "Press the down arrow, then the up arrow", "See the first item chosen"],
            {"keys.py": _text("flawed/keys.py"), "test_f002.py": _text("flawed/test_f002.py")},
            "python3 check.py F002",
            "screenshots/F002-test.log",
            {"keys.py": _text("keys.py"), "test_f002.py": _text("test_f002.py")},
        ),
    }
    ground = {
        "menu.py": _text("menu.py"),
        "play.py": _text("play.py"),
        "check.py": _text("check.py"),
        "keys.py": '"""What each arrow key does."""\n\nMOVES = {}\n',
        "init.sh": _INIT_SH,
        ".gitignore": "__pycache__/\n",
        "PROGRESS.md": "# Progress\n\n`keys.py` says what a key does; `play.py` plays the menu.\n",
    }
    spec = "# A game's menu\n\nWorked with the up and the down arrow.\n"
    return staged(Program("menu", TITLE, spec, ground, pieces, _LAST, _judge), parameter)
