"""What hooks remember from call to call, in `.longwatch/hooks/`: of the run, and of each session.

Read and written whole under the run's lock. What can't be read raises Broken, and that denies.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from harness_core.layout import RunDir

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,79}")
T = TypeVar("T", bound="Common | Session")


class Broken(Exception):
    """A file of the hooks can't be read. The message says which, and how to mend it."""


@dataclass
class Waiting:
    """A steering message that was handed over and isn't acknowledged yet."""

    id: str
    session: str
    tool_use_id: str | None
    transcript: str


@dataclass
class Common:
    """What holds for the whole directory."""

    contract: str = ""
    """The name of the frozen contract; "" while there is none."""
    marks: list[list[int] | None] = field(default_factory=list)
    """How the agents' file and the contract of record lay on disk when they last were as they should be."""
    edits: dict[str, str] = field(default_factory=dict)
    """By tool_use_id, the sha256 of the contract that an edit on its way will leave behind."""
    pictures: dict[str, list[int]] = field(default_factory=dict)
    """The evidence that is known, with time and size."""
    head: str = ""
    steer_taken: int = 0
    """The highest number of a steering message that was queued."""
    due: list[str] = field(default_factory=list)
    """When the messages that wait are due: `now` is the next tool boundary, `next` the next session."""
    waiting: list[Waiting] = field(default_factory=list)
    stopping: bool = False
    """Whether AGENT_STOP was told."""
    guards: dict[str, Any] = field(default_factory=dict)
    """The shell guard's settings, and of which longwatch.toml."""


@dataclass
class Running:
    """A call between its two hooks. `quiet`: it fills no file that could count as evidence."""

    since: float
    cwd: str
    quiet: bool = True
    edit: str = ""
    """For an edit of the contract: what it does, `claim` or `step back`, and the features."""
    features: list[str] = field(default_factory=list)


@dataclass
class Session:
    """One session of Claude Code. `number` is 0 in a run that an engine drives: there it isn't a session."""

    id: str
    number: int
    started_ns: int
    open: bool = True
    calls: int = 0
    last: float = 0.0
    """When it last called, in seconds since the epoch."""
    running: dict[str, Running] = field(default_factory=dict)


class Shelf:
    """The files of all hooks of one run."""

    def __init__(self, run: RunDir) -> None:
        self.folder = run.private / "hooks"
        self.folder.mkdir(exist_ok=True)

    def common(self) -> Common:
        found = self._read(self.folder / "common.json")
        if found is None:
            return Common()
        return self._made(Common, {**found, "waiting": [Waiting(**item) for item in found["waiting"]]})

    def session(self, session_id: str) -> Session | None:
        """None for a session that never called before."""
        found = self._read(self.session_file(session_id))
        if found is None:
            return None
        running = {name: Running(**item) for name, item in found["running"].items()}
        return self._made(Session, {**found, "running": running})

    def save(self, value: Common | Session) -> None:
        name = self.folder / "common.json" if isinstance(value, Common) else self.session_file(value.id)
        replace(name, json.dumps(asdict(value), separators=(",", ":")).encode("utf-8", "replace"))

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

    def _made(self, kind: type[T], found: Mapping[str, Any]) -> T:
        known = {item.name for item in fields(kind)}
        return kind(**{name: value for name, value in found.items() if name in known})


def _broken(path: Path, why: object) -> Broken:
    return Broken(f"{path} can't be read ({why}): have the operator move it away")


def replace(path: Path, data: bytes) -> None:
    """Write a file whole. The lock is held, so the name beside it is nobody else's."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(data)
    os.replace(new, path)
