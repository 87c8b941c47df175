"""A watch on the engine itself: when it is gone, for whatever reason, nothing of its run stays behind.

A process of its own that waits for the end of a pipe from the engine. The kernel closes the pipe even
on a SIGKILL; then everything that carries this engine's mark is ended at once. Without it an orphaned
CLI works on for seconds and a detached child for ever.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness_core.machine import processes


def start(mark: str) -> int:
    """Start a guardian of the processes marked with `mark`; returns the descriptor whose closing wakes it."""
    read_end, write_end = os.pipe()
    subprocess.Popen(
        [sys.executable, "-m", "harness_core.machine.guardian", str(read_end), mark],
        pass_fds=(read_end,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    os.close(read_end)
    return write_end


def main(descriptor: int, mark: str) -> None:
    while os.read(descriptor, 1):
        pass
    # First the CLIs: one that sees its command die would write that down as the call's outcome, and the
    # session would go on believing it.
    processes.kill(item for item in processes.marked(processes.RUN_MARK, mark) if processes.is_cli(item))
    while left := processes.marked(processes.RUN_MARK, mark):
        processes.terminate(left, grace=0.2)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
