"""Steering: the operator's words reach the main agent once, in order, with a receipt.

STEER.md is an inbox that anything may append to while it is being read. So it is claimed by a rename,
and the claimed file is read on for a second: bytes of a writer that had it open are not lost. A message
carries its id in the conversation; a resumed session is searched for it, and the message is given
again only when it isn't there.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

import msgspec

from harness_core import control
from harness_core import events as ev
from harness_core.control import SteerMessage, SteerMode
from harness_core.journal import Tail, now_iso
from harness_core.run import Run

LATE = 1.0
"""Seconds for which a claimed inbox is read on."""
_AT_ONCE = 1 << 20
"""Bytes of an inbox that make one message at most."""


def heading(message_id: str) -> str:
    """The words by which a message is known in a conversation."""
    return f"[steering message {message_id} from the operator]"


def _age(claimed: Path) -> int:
    return int(claimed.name.split("-")[2])


def _by_age(inboxes: Iterable[Path]) -> list[Path]:
    return sorted(inboxes, key=_age)


class Steering:
    """The engine's side of steering: collects, hands out, keeps receipts."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._taken = 0
        self._pending: list[SteerMessage] = []
        self._unacknowledged: list[SteerMessage] = []
        self._upto: dict[str, int] = {}
        self._claimed: dict[str, float] = {}
        """When this engine claimed each inbox, by the monotonic clock; an earlier one's aren't here."""
        self._newest = 0
        run.dir.steering.mkdir(parents=True, exist_ok=True)
        self._recover()

    def _recover(self) -> None:
        """Take up what an earlier engine left: messages under way, inboxes claimed and not used up."""
        for message_id, known in sorted(self._run.state.steering.items(), key=lambda item: int(item[0])):
            message = control.read_steer(self._run.dir, int(message_id)) or self._journaled(message_id)
            if message is not None:
                (self._unacknowledged if known.delivered else self._pending).append(message)
        self._taken = self._run.state.steer_queued
        claimed = _by_age(self._run.dir.steering.glob("inbox-*"))
        self._newest = max(map(_age, claimed), default=0)
        for number in range(1, control.highest(self._run.dir.steering) + 1) if claimed else ():
            message = control.read_steer(self._run.dir, number)
            if message is not None and message.source:
                self._upto[message.source] = message.upto
        for path in claimed:
            self._use_up(path)

    def _journaled(self, message_id: str) -> SteerMessage | None:
        """A message whose file was damaged after it had been queued; None for one that never was whole."""
        for event in Tail(self._run.dir.journal).read_all():
            if isinstance(event, ev.SteerQueued) and event.id == message_id and event.text:
                mode: SteerMode = "next" if event.mode == "next" else "now"
                return SteerMessage(id=message_id, mode=mode, text=event.text, by="", queued=event.ts)
        return None

    def collect(self) -> None:
        """Take in what the operator has written since the last call."""
        self._collect_inboxes()
        for number in range(self._taken + 1, control.highest(self._run.dir.steering) + 1):
            message = control.read_steer(self._run.dir, number)
            if message is None:
                self._leave_out(number)
            else:
                self._run.emit(ev.SteerQueued(id=message.id, mode=message.mode, text=message.text))
                self._pending.append(message)
            self._taken = number

    def _leave_out(self, number: int) -> None:
        """Tell that a message is lost. It counts as queued and stays undelivered, so that the next engine
        knows where to go on."""
        path = control.numbered(self._run.dir.steering, number)
        self._run.emit(
            ev.Error(message=f"a steering message can't be read and is left out: {path}", kind="steering")
        )
        self._run.emit(ev.SteerQueued(id=path.stem, mode="now", text=""))

    def _collect_inboxes(self) -> None:
        """Claim what lies there, then queue what all claimed files hold, the oldest first.

        A writer that had an older file open wrote its line before it opened a newer one, so reading the
        older ones after the newest is claimed keeps its lines in order.
        """
        self._claim(self._run.dir.steer_file, "now")
        self._claim(self._run.dir.steer_next_file, "next")
        now = time.monotonic()
        for mode in ("now", "next"):
            for claimed in _by_age(self._run.dir.steering.glob(f"inbox-{mode}-*")):
                if now - self._claimed.get(claimed.name, -LATE) > LATE:
                    self._use_up(claimed)
                elif self._queue_rest(claimed, finished_lines=True):
                    # Its last line is still being written; what came later waits for it.
                    break

    def _claim(self, path: Path, mode: SteerMode) -> None:
        self._newest = max(time.time_ns(), self._newest + 1)
        claimed = self._run.dir.steering / f"inbox-{mode}-{self._newest:020d}-{uuid.uuid4().hex[:8]}"
        try:
            if not path.is_file() or path.is_symlink() or path.stat().st_size == 0:
                return
            os.rename(path, claimed)
        except FileNotFoundError:
            return
        self._claimed[claimed.name] = time.monotonic()

    def _use_up(self, claimed: Path) -> None:
        self._queue_rest(claimed, finished_lines=False)
        claimed.unlink(missing_ok=True)
        self._upto.pop(claimed.name, None)
        self._claimed.pop(claimed.name, None)

    def _queue_rest(self, claimed: Path, *, finished_lines: bool) -> bool:
        """Queue what a claimed inbox holds beyond what was queued before; True when something is left."""
        mode: SteerMode = "next" if claimed.name.split("-")[1] == "next" else "now"
        with claimed.open("rb") as stream:
            while True:
                done = self._upto.get(claimed.name, 0)
                stream.seek(done)
                data = stream.read(_AT_ONCE)
                lines = data[: data.rfind(b"\n") + 1]
                data = lines if finished_lines or (len(data) == _AT_ONCE and lines) else data
                if not data:
                    return os.fstat(stream.fileno()).st_size > done
                text = data.decode("utf-8", errors="replace").strip("\n")
                upto = done + len(data)
                if text.strip():
                    control.steer(self._run.dir, text, mode, source=claimed.name, upto=upto)
                self._upto[claimed.name] = upto

    @property
    def waiting(self) -> bool:
        """Whether a message waits for the next tool boundary."""
        return any(message.mode == "now" for message in self._pending)

    def hand_over(self, tool_use_id: str | None, *, session_start: bool = False) -> str:
        """The text of all messages due now, each journaled as delivered; empty when there are none.

        At a session's start the messages for the next session are due too.
        """
        due = [message for message in self._pending if session_start or message.mode == "now"]
        session = self._run.state.open_session
        parts = []
        for message in due:
            receipt = msgspec.structs.replace(
                message,
                session=session.number if session else None,
                tool_use_id=tool_use_id,
                delivered=now_iso(),
            )
            self._run.emit(
                ev.SteerDelivered(
                    id=message.id,
                    tool_use_id=tool_use_id,
                    sdk_session=session.sdk_session if session else "",
                )
            )
            control.save_receipt(self._run.dir, receipt)
            self._pending.remove(message)
            self._unacknowledged.append(receipt)
            parts.append(
                f"{heading(message.id)}\n{message.text}\n[end of message {message.id}: it outranks your "
                "present plan; say in your next words how you take it up]"
            )
        return "\n\n".join(parts)

    def acknowledge(self) -> None:
        """The agent has spoken since the delivery: every delivered message has reached it."""
        for message in self._unacknowledged:
            self._run.emit(ev.SteerAcknowledged(id=message.id))
            control.save_receipt(self._run.dir, msgspec.structs.replace(message, acknowledged=now_iso()))
        self._unacknowledged.clear()

    def check_arrival(self, transcript: Iterable[bytes]) -> None:
        """Give again, at the next chance, what a resumed conversation doesn't hold."""
        if not self._unacknowledged:
            return
        missing = {heading(message.id).encode(): message for message in self._unacknowledged}
        for line in transcript:
            for mark in [mark for mark in missing if mark in line]:
                del missing[mark]
        self.return_to_queue(missing.values())

    def return_to_queue(self, messages: Iterable[SteerMessage] | None = None) -> None:
        """Queue messages again (all unacknowledged ones by default): their session ended without a word."""
        again = list(self._unacknowledged if messages is None else messages)
        self._unacknowledged = [message for message in self._unacknowledged if message not in again]
        self._pending = sorted([*again, *self._pending], key=lambda message: int(message.id))
