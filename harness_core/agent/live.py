"""What an agent is typing right now, in `.longwatch/live`: for eyes only, gone when it is said."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from harness_core.machine.files import write_whole

if TYPE_CHECKING:
    from harness_core.run import Run

EVERY = 0.05
"""Seconds between two writes; what is typed quicker than that is said before anybody could read it."""
TAIL = 4000
_FEATURE = re.compile(r'"passes\\?"\s*:')
"""What each feature of a contract has once, as it is typed into a tool's input."""


class Live(msgspec.Struct, frozen=True):
    """What the file holds: the block that an agent is typing."""

    session: int
    role: str
    kind: str
    """`text`, `thinking`, or the tool whose input is being written."""
    text: str
    written: int | None = None
    """Features in a contract that is being written, and how many were asked for."""
    of: int | None = None


class LiveText:
    """Keeps the file for one session."""

    def __init__(self, run: Run, role: str) -> None:
        self._run = run
        self._role = role
        session = run.state.open_session
        self._session = session.number if session else 0
        self._kind = ""
        self._typed: list[str] = []
        self._shown_at = 0.0
        self._shows = False

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take in one event of the API's stream."""
        match event.get("type"):
            case "content_block_start":
                block = event.get("content_block") or {}
                self._kind = str(block.get("name") or block.get("type") or "text")
                self._typed = []
                self._shown_at = time.monotonic()
            case "content_block_delta":
                delta = event.get("delta") or {}
                piece = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
                self._typed.append(str(piece))
                if time.monotonic() - self._shown_at >= EVERY:
                    self._show("".join(self._typed))

    def clear(self) -> None:
        """What was typed has been said."""
        if self._shows:
            self._show("")

    def close(self) -> None:
        session = self._run.state.open_session
        if session is None or session.number == self._session:
            self._run.dir.live.unlink(missing_ok=True)

    def _show(self, text: str) -> None:
        self._shown_at = time.monotonic()
        self._shows = bool(text)
        writes_contract = self._kind == "Write" and self._run.dir.contract.name in text[:400]
        live = Live(
            session=self._session,
            role=self._role,
            kind=self._kind if text else "",
            # With what stands before it: half of a secret isn't known as one.
            text=self._run.redact.text(text[-2 * TAIL :])[-TAIL:],
            written=len(_FEATURE.findall(text)) if writes_contract else None,
            of=self._run.config.features if writes_contract else None,
        )
        # For eyes only: where it has no room, the work goes on.
        with contextlib.suppress(OSError):
            write_whole(self._run.dir.live, msgspec.json.encode(live), durable=False)
