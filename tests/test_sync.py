"""What is on disk when, as the kernel saw it: no event that something follows from is acknowledged before."""

from __future__ import annotations

import shutil
import subprocess
import sys
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


def test_control_events_and_files_are_on_disk_before_they_are_acknowledged(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-y", "-o", str(trace), "-e", CALLS]
    if not shutil.which("strace") or subprocess.run([*strace, "true"], check=False).returncode:
        pytest.skip("needs strace and the right to trace")
    subprocess.run([*strace, sys.executable, "-c", APPENDS, str(tmp_path)], check=True, capture_output=True)
    assert seen(trace, tmp_path) == [
        *("append", "sync", "ACK steer_queued"),
        *("append", "ACK text"),
        *("append", "sync", "ACK stop_requested"),
        *("write file", "sync file", "rename", "sync folder", "ACK file"),
    ]


def seen(trace: Path, folder: Path) -> list[str]:
    """The traced calls that are about the journal, the file and the acknowledgements, in order."""
    found = []
    for line in trace.read_text().splitlines():
        call, _, rest = line.split(maxsplit=1)[1].partition("(")
        if "ACK " in rest and call == "write":
            found.append("ACK " + rest.split("ACK ")[1].split("\\n")[0])
        elif "journal.jsonl" in rest:
            found.append({"write": "append", "fdatasync": "sync"}.get(call, call))
        elif "contract.json" in rest:
            found.append({"write": "write file", "fsync": "sync file"}.get(call, "rename"))
        elif call == "fsync" and f"<{folder}>" in rest:
            found.append("sync folder")
    return found
