"""A watch on the engine itself: when it is gone, for whatever reason, nothing of its run stays behind.

A process of its own that waits for the end of a pipe from the engine. The kernel closes the pipe even
on a SIGKILL; then everything that carries this engine's mark is ended at once. Without it an orphaned
CLI works on for seconds and a detached child for ever.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from harness_core.machine import processes

_FAREWELL = b"\n"
"""What an engine says that ends by itself."""


class Guardian:
    """The guardian of the processes marked with `mark`. Where the engine doesn't take its leave, it carries
    out the will: a farewell in one line, or nothing."""

    def __init__(self, mark: str, will: bytes = b"") -> None:
        read_end, self._lifeline = os.pipe()
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
        self._say(will)

    def leave(self) -> None:
        """The engine ends by itself, and has told what there was to tell."""
        self._say(_FAREWELL)
        os.close(self._lifeline)

    def _say(self, data: bytes) -> None:
        # Whoever has killed the guardian does without what it would have done.
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._lifeline, data) :]


def main(descriptor: int, mark: str) -> None:
    heard = b""
    while piece := os.read(descriptor, 1 << 16):
        heard += piece
    # First the CLIs: one that sees its command die would write that down as the call's outcome, and the
    # session would go on believing it.
    processes.kill(item for item in processes.marked(processes.RUN_MARK, mark) if processes.is_cli(item))
    while left := processes.marked(processes.RUN_MARK, mark):
        processes.terminate(left, grace=0.2)
    if heard and not heard.endswith(_FAREWELL):
        from harness_core.notify import farewell  # noqa: PLC0415  (an engine that ends well has no need of it)

        farewell.carry_out(heard)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
