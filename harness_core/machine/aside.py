"""Runs a program beside the work: with an end to its time, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MARK = "LONGWATCH_ASIDE"
"""By which a program's children are found, wherever they went."""
_SAID = 1 << 16
"""Characters of what a program said that are kept."""


@dataclass(frozen=True)
class Ran:
    """How a program ended: its status and what it said, or in words why there is neither."""

    status: int | None
    out: str = ""
    trouble: str = ""

    @property
    def well(self) -> bool:
        return self.status == 0

    @property
    def why(self) -> str:
        """What was wrong with it, in a few words; "" where nothing was."""
        if self.well:
            return ""
        return self.trouble or self.out.partition("\n")[0] or f"it ended with status {self.status}"


@contextlib.contextmanager
def beside(
    program: Sequence[str], environ: Mapping[str, str], cwd: Path = Path("/")
) -> Iterator[subprocess.Popen[bytes]]:
    """A program with pipes to its input and output, for as long as the block lasts. Raises OSError or
    ValueError where it can't be started."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=cwd,
        env={**environ, MARK: mark},
    )
    try:
        yield process
    finally:
        process.kill()
        # Whoever reads settings has this module, and psutil costs 10 ms.
        from harness_core.machine import processes  # noqa: PLC0415

        processes.kill(processes.marked(MARK, mark))
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def run(
    program: Sequence[str],
    environ: Mapping[str, str],
    within: float,
    data: bytes = b"",
    cwd: Path = Path("/"),
) -> Ran:
    """Run a program to its end, for `within` seconds at most.

    It is over when its output is, too: a child that keeps that open has the same time.
    """
    try:
        with beside(program, environ, cwd) as process:
            try:
                out, _ = process.communicate(data, timeout=within)
            except subprocess.TimeoutExpired:
                return Ran(None, trouble=f"it took over {within:g} s and was ended")
            return Ran(process.returncode, out[:_SAID].decode(errors="replace").strip())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return Ran(None, trouble=f"{program[0]} can't be started ({why})")
