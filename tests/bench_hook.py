"""How long a hook takes as a whole process, beside a hook of bash and jq that does what these can.


Both answer the same calls in turns, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.guard_cases import LONGWATCH, lay_out

SHELL = Path(__file__).with_name("bench_hook.sh")
AT_MOST = 80
"""Milliseconds that half of the calls may take."""

CALLS: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = (
    ("Bash", {"command": "npm test"}, {"stdout": "ok\n", "stderr": ""}),
    ("Bash", {"command": "git status --short | head -5"}, {"stdout": "", "stderr": ""}),
    ("Read", {"file_path": "{P}/src/a.js"}, {"type": "text", "file": {"content": "x", "numLines": 1}}),
    ("Grep", {"file_path": "{P}/src", "pattern": "export"}, {"content": ""}),
    ("Write", {"file_path": "{P}/src/b.js", "content": "export const b = 2\n"}, {"type": "create"}),
    ("Edit", {"file_path": "{P}/src/a.js", "old_string": "1", "new_string": "2"}, {}),
)
"""A session's daily work: a tool, its input, what it answered."""


def payloads(root: Path, round_number: int) -> Iterator[tuple[str, bytes]]:
    """Each call's two hooks: what it is, and the payload."""
    for place, (tool, given, response) in enumerate(CALLS):
        filled = json.loads(json.dumps(given).replace("{P}", str(root)))
        call = {"tool_name": tool, "tool_input": filled, "tool_use_id": f"toolu_{round_number}_{place}"}
        for event, more in (("PreToolUse", {}), ("PostToolUse", {"tool_response": response})):
            payload = {"hook_event_name": event, "session_id": "bench", "cwd": str(root), **call, **more}
            yield f"{event} {tool}", json.dumps(payload).encode()


def took(command: Sequence[str | Path], payload: bytes, env: Mapping[str, str]) -> float:
    """Milliseconds from the start of the process to its end."""
    started = time.perf_counter()
    done = subprocess.run(command, input=payload, capture_output=True, env=dict(env), check=True)
    assert done.stdout == b"{}\n", done
    return (time.perf_counter() - started) * 1000


def run(rounds: int) -> None:
    """Print both sides by call, and the ratio."""
    with tempfile.TemporaryDirectory(prefix="bench-hook-") as place:
        root = Path(place).resolve() / "run"
        lay_out(root)
        # Compiled, as `make install` leaves it, also where the environment keeps Python from that.
        env = {**os.environ, "PYTHONPYCACHEPREFIX": f"{place}/pyc", "PYTHONDONTWRITEBYTECODE": ""}
        ours: dict[str, list[float]] = {}
        theirs: dict[str, list[float]] = {}
        has_jq = shutil.which("jq") is not None and shutil.which("bash") is not None
        print(f"\nA hook as a whole process, {rounds} rounds of {len(CALLS)} calls, milliseconds (median)")
        for number in range(-1, rounds):
            for name, payload in payloads(root, number):
                mine = took([LONGWATCH, "hook", root], payload, env)
                other = took([SHELL, root], payload, env) if has_jq else 0.0
                # The first round warms both up.
                if number >= 0:
                    ours.setdefault(name, []).append(mine)
                    theirs.setdefault(name, []).append(other)
        for name, times in ours.items():
            beside = f"   bash + jq {statistics.median(theirs[name]):4.0f}" if has_jq else ""
            print(f"  {name:17} {statistics.median(times):4.0f}{beside}")
        _sum_up(ours, theirs if has_jq else {})


def _sum_up(ours: Mapping[str, Sequence[float]], theirs: Mapping[str, Sequence[float]]) -> None:
    middle = statistics.median(value for times in ours.values() for value in times)
    print(f"  all of them: p50 {middle:.0f} ms (at most {AT_MOST})")
    if not theirs:
        print("  jq isn't installed, so there is nothing to compare with.")
        return
    other = statistics.median(value for times in theirs.values() for value in times)
    print(f"  bash + jq: p50 {other:.0f} ms; ratio {middle / other:.2f}")


if __name__ == "__main__":
    run(20)
