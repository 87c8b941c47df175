"""An HTTP API with a route that another one shadows; the evaluator sees it by what the server answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness_core.rehearsal.crew import Piece, Program, staged
from harness_core.rehearsal.habits import Finding
from harness_core.rehearsal.scenario import Scenario

TITLE = "An API whose /items/reorder never gets its requests at first; api:unfixed never mends that."
_PROJECT = Path(__file__).parent / "project"
_LAST = "tour done"
_INIT_SH = """\
#!/bin/sh
# Starts the server, sends it one request of each kind, and keeps it running.
cd "$(dirname "$0")"
rm -f server.port
python3 server.py &
python3 tour.py
wait
"""


def _text(name: str) -> str:
    return (_PROJECT / f"{name}.in").read_text(encoding="utf-8")


def _judge(feature: str, said: str, pictures: Sequence[bytes]) -> Finding | None:
    path, due = {
        "F001": ("/items/1", '200 "pears"'),
        "F002": ("/items/reorder", '200 ["cheese", "pears", "bread"]'),
    }[feature]
    answers = [line.partition(" -> ")[2] for line in said.splitlines() if line.startswith(f"POST {path} -> ")]
    if answers == [due]:
        return None
    return {
        "feature": feature,
        "criterion": "functionality",
        "where": f"POST {path} is answered with {answers[0] if answers else 'nothing'}; due is {due}",
        "reproduce": f"start the server and send it POST {path}",
        "severity": "critical",
    }


def scenario(parameter: str | None) -> Scenario:
    pieces = {
        "F001": Piece(
            "POST /items/<id> gives an item another name",
            ["Start the server", "Send POST /items/1 with a name", "See it in GET /items"],
            {"routes.py": _text("flawed/no_reorder.py"), "test_f001.py": _text("test_f001.py")},
            "python3 check.py F001",
            "screenshots/F001-test.log",
        ),
        "F002": Piece(
            "POST /items/reorder puts the items into another order",
            ["Start the server", "Send POST /items/reorder with [3, 1, 2]", "See the third item first"],
            {"routes.py": _text("flawed/routes.py"), "test_f002.py": _text("flawed/test_f002.py")},
            "python3 check.py F002",
            "screenshots/F002-test.log",
            {"routes.py": _text("routes.py"), "test_f002.py": _text("test_f002.py")},
        ),
    }
    ground = {
        "server.py": _text("server.py"),
        "items.py": _text("items.py"),
        "tour.py": _text("tour.py"),
        "check.py": _text("check.py"),
        "routes.py": '"""Which request is answered by what."""\n\nROUTES = []\n',
        "init.sh": _INIT_SH,
        ".gitignore": "__pycache__/\nserver.port\n",
        "PROGRESS.md": "# Progress\n\n`routes.py` names the routes; `tour.py` tries each of them.\n",
    }
    spec = "# Items\n\nAn HTTP API for a list of items: list, rename, reorder.\n"
    return staged(Program("api", TITLE, spec, ground, pieces, _LAST, _judge), parameter)
