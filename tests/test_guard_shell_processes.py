"""The shell guard: signals reach only what the session itself started, however it is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_core.guards import GuardContext, Process
from tests.shell_judging import judge, laid_out, nobodys_home


@pytest.fixture(scope="module", autouse=True)
def home() -> Iterator[None]:
    yield from nobodys_home()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return laid_out(tmp_path_factory.mktemp("run"))


OWN = Process(4001, "node server.js")
OTHERS = Process(17, "node /opt/neighbour/app.js")


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("kill 4001", True),
        ("kill -9 4001", True),
        ("kill -s TERM 4001", True),
        ("kill 17", False),
        ("kill 4001 17", False),
        ("pkill -f 'node server.js'", True),
        ("pkill node", False),
        ("pkill -x node", False),
        ("pkill -f server", True),
        ("killall node", False),
        ("killall vite", True),
    ],
)
def test_signals_reach_only_own_processes(command: str, allowed: bool, root: Path) -> None:
    ctx = GuardContext(root, own_processes=lambda: (OWN,), all_processes=lambda: (OWN, OTHERS))
    assert (judge(command, ctx) is None) == allowed


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("lsof -ti:3000 | xargs kill", True),
        ("lsof -ti:4000 | xargs kill -9", False),
        ("lsof -ti:5000 | xargs -r kill", True),
        ("kill $(lsof -t -i:4000)", False),
        ("PID=$(lsof -ti tcp:4000); kill $PID", False),
        ("kill $(lsof -ti:3000,4000)", False),
        ("lsof -i:3000 | awk '{print $2}' | xargs kill", False),
        ("fuser -k 3000/tcp", True),
        ("fuser -k 4000/tcp", False),
        ("fuser -k -n tcp 4000", False),
        ("fuser -k 3000", False),
        ("fuser -k src", False),
        ("kill $(pgrep -f 'node server.js')", True),
        ("kill $(pgrep node)", False),
        ("pgrep node | xargs kill", False),
        ("pgrep -a node | xargs kill", False),
        ("rm $(lsof -ti:3000) feature_list.json", False),
        ("$(pgrep -f 'node server.js')", False),
    ],
)
def test_what_a_port_or_a_pattern_names_must_be_own(command: str, allowed: bool, root: Path) -> None:
    ports = {3000: frozenset({OWN.pid}), 4000: frozenset({OTHERS.pid})}
    ctx = GuardContext(
        root,
        own_processes=lambda: (OWN,),
        all_processes=lambda: (OWN, OTHERS),
        port_holders=lambda port: ports.get(port, frozenset()),
    )
    assert (judge(command, ctx) is None) == allowed
