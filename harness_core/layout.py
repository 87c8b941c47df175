"""Where everything of a run lies on disk: the one place that knows the names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from harness_core.errors import Mistake

FORMAT = 1
"""Version of what is written below `.longwatch/`; a reader refuses a higher one."""

PRIVATE = ".longwatch"
CONTRACT_NAMES = ("feature_list.json", "test-results.json")
NOTES_NAMES = ("PROGRESS.md", "claude-progress.txt")
SPEC_NAMES = ("app_spec.txt", "spec.md")
FINDINGS_NAMES = ("findings.md", "NEXT_FINDINGS.md")
STOP_NAME = "AGENT_STOP"
FINISH_NAME = "AGENT_FINISH"
STEER_NAME = "STEER.md"
STEER_NEXT_NAME = "STEER.next.md"
CONFIG_NAME = "longwatch.toml"
EVIDENCE_DIR = "screenshots"
SPRINTS_DIR = "contracts"
"""Where the contracts of sprints are."""
PLANNED_NAME = "spec.md"
"""What a planner writes."""
ADDED_NAME = "features_to_add.json"
"""Where an initializer puts features that are to be added to a frozen contract."""
OPERATOR_NAMES = (STOP_NAME, FINISH_NAME, STEER_NAME, STEER_NEXT_NAME, CONFIG_NAME)
"""Files that only the operator writes."""
NEVER_COMMITTED = (f"{PRIVATE}/", "STEER*.md", STOP_NAME, FINISH_NAME)
"""What goes into `.git/info/exclude` before the first session."""


class RunDir:
    """The paths of one run. `root` is absolute, with symbolic links resolved."""

    # No dataclass, like all that a hook loads at every call: to load `dataclasses` takes as long as most of
    # the rest together.

    def __init__(self, root: Path) -> None:
        self.root: Final = root

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(self.root)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.root})"

    @staticmethod
    def at(directory: str | Path) -> RunDir:
        """Raises Mistake for what can't be a directory's path."""
        try:
            path = Path(directory).expanduser().resolve()
            path.exists()
        except (OSError, RuntimeError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise Mistake(f"{directory} can't be a directory ({why}): name another one") from None
        return RunDir(path)

    @property
    def workplace(self) -> Path:
        """Where the agents work, by the name that it has in their calls."""
        return self.root

    def _first(self, names: tuple[str, ...]) -> Path:
        found = (self.root / name for name in names if (self.root / name).exists())
        return next(found, self.root / names[0])

    @property
    def contract(self) -> Path:
        """The contract as agents see it: the first name that exists, else the default."""
        return self._first(CONTRACT_NAMES)

    @property
    def notes(self) -> Path:
        return self._first(NOTES_NAMES)

    @property
    def spec(self) -> Path:
        return self._first(SPEC_NAMES)

    @property
    def findings(self) -> Path:
        return self._first(FINDINGS_NAMES)

    @property
    def stop_file(self) -> Path:
        return self.root / STOP_NAME

    @property
    def stopping(self) -> bool:
        """Whether AGENT_STOP is there in any form, a dangling link included: then nothing may run."""
        return os.path.lexists(self.stop_file)

    @property
    def finish_file(self) -> Path:
        return self.root / FINISH_NAME

    @property
    def steer_file(self) -> Path:
        return self.root / STEER_NAME

    @property
    def steer_next_file(self) -> Path:
        return self.root / STEER_NEXT_NAME

    @property
    def config_file(self) -> Path:
        return self.root / CONFIG_NAME

    @property
    def init_script(self) -> Path:
        return self.root / "init.sh"

    @property
    def evidence(self) -> Path:
        return self.root / EVIDENCE_DIR

    @property
    def private(self) -> Path:
        return self.root / PRIVATE

    @property
    def run_json(self) -> Path:
        return self.private / "run.json"

    @property
    def lock(self) -> Path:
        return self.private / "lock"

    @property
    def owner(self) -> Path:
        """Who holds the lock: pid, process start time, boot id, epoch."""
        return self.private / "owner.json"

    @property
    def journal(self) -> Path:
        return self.private / "journal.jsonl"

    @property
    def snapshot(self) -> Path:
        """A fold of the journal's beginning: derived, safe to delete."""
        return self.private / "snapshot.json"

    @property
    def live(self) -> Path:
        return self.private / "live"

    @property
    def record(self) -> Path:
        """The contract of record."""
        return self.private / "contract.json"

    @property
    def checkpoints(self) -> Path:
        return self.private / "checkpoints"

    @property
    def steering(self) -> Path:
        return self.private / "steering"

    @property
    def limits(self) -> Path:
        """What the operator asked to be changed of the limits."""
        return self.private / "limits"

    @property
    def skips(self) -> Path:
        """Features that the operator asked to be given up for now."""
        return self.private / "skips"

    @property
    def rewordings(self) -> Path:
        """Features whose text the operator asked to be changed."""
        return self.private / "rewordings"

    @property
    def calibration(self) -> Path:
        """Verdicts that the operator overrode."""
        return self.private / "calibration"

    @property
    def attempts(self) -> Path:
        return self.private / "attempts"

    @property
    def sessions(self) -> Path:
        return self.private / "sessions"

    @property
    def blobs(self) -> Path:
        return self.private / "blobs"

    @property
    def app_log(self) -> Path:
        return self.private / "app.log"
