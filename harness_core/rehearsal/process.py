"""Starts the rehearsal as a process of its own, for `longwatch demo` and for tests."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

import msgspec

from harness_core.errors import LongwatchError, Mistake

_READY_WITHIN_S = 20.0


class RequestSeen(msgspec.Struct, frozen=True):
    """One line of the server's diary."""

    n: int
    at: float
    """Seconds since the server started."""
    session: str
    """The CLI's own session id."""
    agent: str
    """A subagent's id, or ""."""
    role: str
    model: str | None
    tools: list[str]
    n_messages: int
    last_user_text: str
    fault: str
    reply: list[dict[str, str | int]]
    """`{"say": …}`, `{"think": …}` or `{"tool": …, "step": …}` for each block."""


class Rehearsal:
    """A running rehearsal server; a context manager that ends it."""

    def __init__(
        self, process: subprocess.Popen[bytes], url: str, scratch: tempfile.TemporaryDirectory[str]
    ) -> None:
        self.url = url
        self._process = process
        self._scratch = scratch

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def requests(self) -> list[RequestSeen]:
        """What was asked so far, the requests that ended in a fault included."""
        log = Path(self._scratch.name) / "requests.jsonl"
        lines = log.read_bytes().splitlines() if log.exists() else []
        return [msgspec.json.decode(line, type=RequestSeen) for line in lines]

    def env(self) -> dict[str, str]:
        """What a Claude Code CLI needs to talk to this server and to nothing else."""
        return {
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "not-a-key-rehearsal-only",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def kill(self) -> None:
        """Ends the server at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Rehearsal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(scenario: str, pace: str = "fast", port: int = 0, record: Path | None = None) -> Rehearsal:
    """Starts a server for `scenario` (`tiny`, `tiny+529:3`, …) and waits until it listens.

    Raises `Mistake` for an unknown scenario or a port in use.
    """
    scratch_dir = tempfile.TemporaryDirectory(prefix="rehearsal-")
    scratch = Path(scratch_dir.name)
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "harness_core.rehearsal", scenario),
            *("--pace", pace, "--port", str(port), "--parent", str(os.getpid())),
            *("--log", str(scratch / "requests.jsonl")),
            *(("--record", str(record)) if record else ()),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=(scratch / "stderr").open("wb"),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,
    )
    url = _first_line(process)
    if url.startswith("http://"):
        return Rehearsal(process, url, scratch_dir)
    process.kill()
    code = process.wait()
    reason = (scratch / "stderr").read_text().strip() or "The rehearsal server didn't start."
    raise (Mistake if code == Mistake.exit_code else LongwatchError)(reason.splitlines()[-1])


def _first_line(process: subprocess.Popen[bytes]) -> str:
    """The first line that the process prints, or "" if it ends or stays silent."""
    assert process.stdout is not None
    deadline = time.monotonic() + _READY_WITHIN_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if selector.select(max(0.0, deadline - time.monotonic())):
            return process.stdout.readline().decode().strip()
    return ""
