"""What is on disk when, as the kernel saw it: no event that something follows from is acknowledged before."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

APPENDS = """
import os
import sys
from pathlib import Path
from harness_core.record import events as ev
from harness_core.machine.files import write_whole
from harness_core.record.journal import Journal

journal = Journal(Path(sys.argv[1]) / "journal.jsonl")
for event in (
    ev.SteerQueued(id="001", mode="now", text="hello"),
    ev.Text(text="one"),
    ev.StopRequested(mode="pause"),
):
    journal.append(event)
    os.write(1, f"ACK {event.__struct_config__.tag}\\n".encode())
write_whole(Path(sys.argv[1]) / "contract.json", b"{}")
os.write(1, b"ACK file\\n")
"""
CALLS = "trace=write,fsync,fdatasync,rename,renameat2"


COMMITS = """
import sys
from pathlib import Path
from harness_core.layout import RunDir
from harness_core.machine.gitrepo import GitRepo

repo = GitRepo(RunDir(Path(sys.argv[1])))
repo.prepare()
(repo.run.root / "work.txt").write_text("done")
repo.commit_all("work")
"""


def test_control_events_and_files_are_on_disk_before_they_are_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    assert seen(traced(APPENDS, folder), folder) == [
        *("append", "sync", "ACK steer_queued"),
        *("append", "ACK text"),
        *("append", "sync", "ACK stop_requested"),
        *("write file", "sync file", "rename", "sync folder", "ACK file"),
    ]


def test_a_commit_is_on_disk_before_the_branch_points_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    synced, moved = [], []
    for call, rest in traced(COMMITS, folder):
        if call == "fsync":
            synced.append(rest)
        elif call.startswith("rename") and "refs/heads/main" in rest:
            moved.append(list(synced))
    assert len(moved) == 1
    before = moved[0]
    # The file, the folder that holds it, and the commit.
    assert len([rest for rest in before if "/.git/objects/" in rest]) == 3
    assert any("refs/heads/main.lock" in rest for rest in before)


def traced(program: str, folder: Path) -> list[tuple[str, str]]:
    """The kernel's calls that `program` makes, and what it starts, in order: name and arguments."""
    trace = folder.parent / "trace"
    strace = ["strace", "-f", "-y", "-o", str(trace), "-e", CALLS]
    if not shutil.which("strace") or subprocess.run([*strace, "true"], check=False).returncode:
        pytest.skip("needs strace and the right to trace")
    subprocess.run([*strace, sys.executable, "-c", program, str(folder)], check=True, capture_output=True)
    lines = (line.split(maxsplit=1)[1].partition("(") for line in trace.read_text().splitlines())
    return [(call, rest) for call, _, rest in lines]


def seen(calls: Sequence[tuple[str, str]], folder: Path) -> list[str]:
    """Those of the calls that are about the journal, the file and the acknowledgements."""
    found = []
    for call, rest in calls:
        if "ACK " in rest and call == "write":
            found.append("ACK " + rest.split("ACK ")[1].split("\\n")[0])
        elif "journal.jsonl" in rest:
            found.append({"write": "append", "fdatasync": "sync"}.get(call, call))
        elif "contract.json" in rest:
            found.append({"write": "write file", "fsync": "sync file"}.get(call, "rename"))
        elif call == "fsync" and f"<{folder}>" in rest:
            found.append("sync folder")
    return found
