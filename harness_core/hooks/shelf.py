"""What hooks remember from call to call, in `.longwatch/hooks/`: of the run, and of each session.

Read and written whole under the run's lock. What can't be read raises Broken, and that denies.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness_core.errors import LongwatchError
from harness_core.layout import RunDir

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,79}")


class Broken(LongwatchError):
    """A file of the hooks can't be read. The message says which, and how to mend it."""


# Plain classes: making these dataclasses would take a tenth of a hook's time.


class Waiting:
    """A steering message that was handed over and isn't acknowledged yet."""

    def __init__(self, id: str, session: str, tool_use_id: str | None, transcript: str) -> None:
        self.id = id
        self.session = session
        self.tool_use_id = tool_use_id
        self.transcript = transcript


class Common:
    """What holds for the whole directory."""

    def __init__(self) -> None:
        self.contract = ""
        """The name of the frozen contract; "" while there is none."""
        self.marks: list[list[int] | None] = []
        """How the contract of record and the agents' file lay on disk when they last were as they should."""
        self.edits: dict[str, str] = {}
        """By tool_use_id, the sha256 of the contract that an edit on its way will leave behind."""
        self.pictures: dict[str, list[int]] = {}
        """The evidence that is known, with time and size."""
        self.head = ""
        self.steer_taken = 0
        """The highest number of a steering message that was queued."""
        self.due: list[str] = []
        """When the messages that wait are due: `now` is the next tool boundary, `next` the next session."""
        self.waiting: list[Waiting] = []
        self.stopping = False
        """Whether AGENT_STOP was told."""
        self.guards: dict[str, Any] = {}
        """The shell guard's settings, and of which longwatch.toml."""


class Running:
    """A call between its two hooks."""

    def __init__(self, since: float, cwd: str) -> None:
        self.since = since
        self.cwd = cwd
        self.edit = ""
        """For an edit of the contract: what it does, `claim` or `step back`."""
        self.features: list[str] = []


class Session:
    """One session of Claude Code. `number` is 0 in a run that an engine drives: there it isn't a session."""

    def __init__(self, id: str, number: int, started_ns: int) -> None:
        self.id = id
        self.number = number
        self.started_ns = started_ns
        self.open = True
        self.running: dict[str, Running] = {}


def last_call(run: RunDir) -> float | None:
    """When a hook was last called (Unix time) where hooks work alone; None where a run has had an engine, or
    no hook was ever called."""
    if run.run_json.exists():
        return None
    try:
        return (run.private / "hooks" / "common.json").stat().st_mtime
    except OSError:
        return None


class Shelf:
    """The files of all hooks of one run."""

    def __init__(self, run: RunDir) -> None:
        self.folder = run.private / "hooks"
        self.folder.mkdir(exist_ok=True)

    def common(self) -> Common:
        made = Common()
        path = self.folder / "common.json"
        found = self._read(path)
        if found is not None:
            with _as_expected(path):
                vars(made).update(found)
                made.waiting = [Waiting(**item) for item in found["waiting"]]
        return made

    def session(self, session_id: str) -> Session | None:
        """None for a session that never called before."""
        path = self.session_file(session_id)
        found = self._read(path)
        if found is None:
            return None
        with _as_expected(path):
            made = Session(found["id"], found["number"], found["started_ns"])
            vars(made).update(found)
            made.running = {name: _running(item) for name, item in found["running"].items()}
        return made

    def save(self, value: Common | Session) -> None:
        name = self.folder / "common.json" if isinstance(value, Common) else self.session_file(value.id)
        replace(name, json.dumps(value, default=vars, separators=(",", ":")).encode("utf-8", "replace"))

    def session_file(self, session_id: str, suffix: str = ".json") -> Path:
        if _PLAIN.fullmatch(session_id):
            return self.folder / f"session-{session_id}{suffix}"
        import hashlib  # noqa: PLC0415  (the CLI's own ids are plain)

        name = hashlib.sha256(session_id.encode("utf-8", "replace")).hexdigest()
        return self.folder / f"session-{name}{suffix}"

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise _broken(path, error) from None
        if not isinstance(found, dict):
            raise _broken(path, "no object")
        return found


def _running(item: Mapping[str, Any]) -> Running:
    made = Running(item["since"], item["cwd"])
    vars(made).update(item)
    return made


@contextlib.contextmanager
def _as_expected(path: Path) -> Iterator[None]:
    """Raises Broken where what a file holds isn't what is written there."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise _broken(path, repr(error)) from None


def _broken(path: Path, why: object) -> Broken:
    return Broken(f"{path} can't be read ({why}): have the operator move it away")


def replace(path: Path, data: bytes) -> None:
    """Write a file whole. The lock is held, so the name beside it is nobody else's."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(data)
    os.replace(new, path)
