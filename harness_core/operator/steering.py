"""Steering: the operator's words reach the main agent once, in order, with a receipt.

STEER.md is an inbox that anything may append to while it is being read. So it is claimed by a rename,
and the claimed file is read on for a second: bytes of a writer that had it open are not lost. A message
carries its id in the conversation; a resumed session is searched for it, and the message is given
again only when it isn't there.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import msgspec

from harness_core.operator import control
from harness_core.operator.control import SteerMessage, SteerMode
from harness_core.operator.requests import set_aside
from harness_core.operator.transcript import SAID, kind_of
from harness_core.record import events as ev
from harness_core.record.journal import Tail, now_iso
from harness_core.run import Logbook

LATE = 1.0
"""Seconds for which a claimed inbox is read on."""
HOOK_ROOM = 9000
"""Characters that a hook's answer may have: of a longer one (over 10,000) the CLI shows the agent only the
beginning, with the name of a file that has all of it."""
_LONG = (
    "[This message is too long to be shown whole. All of it is in the file that is named here: read that to "
    "its end before you do anything else. It outranks your present plan.]"
)
_AT_ONCE = 1 << 20
"""Bytes of an inbox that make one message at most."""
_CLAIMED = re.compile(r"inbox-[0-9]+-(now|next)")
"""What a claimed inbox is called; what lies beside it under another name is somebody else's."""


def heading(message_id: str) -> str:
    """The words by which a message is known in a conversation."""
    return f"[steering message {message_id} from the operator]"


def _mode(inbox: str) -> SteerMode:
    return "next" if inbox.endswith("-next") else "now"


def _told(message: SteerMessage, room: float) -> str:
    part = (
        f"{heading(message.id)}\n{message.text}\n[end of message {message.id}: it outranks your "
        "present plan; say in your next words how you take it up]"
    )
    if _length(part) <= room:
        return part
    return f"{heading(message.id)}\n{_LONG}\n{part.partition(chr(10))[2]}"


def _length(text: str) -> int:
    """Characters as the CLI counts them: in units of UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Steering:
    """The engine's side of steering: collects, hands out, keeps receipts."""

    def __init__(self, run: Logbook, settled: float | None = None) -> None:
        """`settled` is for who is gone after an instant and leaves claimed files to the next one like it:
        seconds without a change after which a last line without an end counts as whole."""
        self._run = run
        self._settled_after = settled
        self._taken = 0
        self._pending: list[SteerMessage] = []
        self._unacknowledged: list[SteerMessage] = []
        self._in_question: set[str] = set()
        """Ids of the delivered messages that the reply under way has in front of it."""
        self._upto: dict[str, int] = {}
        """Up to which byte each claimed inbox has been queued."""
        self._claimed: dict[str, float] = {}
        """When each inbox was claimed, by the monotonic clock, the oldest first."""
        self._newest = 0
        run.dir.steering.mkdir(parents=True, exist_ok=True)
        self._recover()

    def _recover(self) -> None:
        """Take up what an earlier engine left: messages under way, inboxes claimed and not used up."""
        ours = [item for item in self._run.state.steering.items() if item[0].isdecimal()]
        for message_id, delivered in sorted(ours, key=lambda item: int(item[0])):
            message = control.read_steer(self._run.dir, int(message_id)) or self._journaled(message_id)
            if message is not None and message.text:
                (self._unacknowledged if delivered else self._pending).append(message)
        self._taken = self._run.state.steer_newest
        found = (path.name for path in self._run.dir.steering.glob("inbox-*"))
        claimed = sorted(name for name in found if _CLAIMED.fullmatch(name))
        self._newest = int(claimed[-1].split("-")[1]) if claimed else 0
        for number in control.numbers(self._run.dir.steering) if claimed else ():
            message = control.read_steer(self._run.dir, number)
            if message is not None and message.source:
                self._upto[message.source] = message.upto
        for name in claimed:
            age = max(0.0, (time.time_ns() - int(name.split("-")[1])) / 1e9)
            if self._settled_after is None or age > LATE:
                self._use_up(name)
            else:
                self._claimed[name] = time.monotonic() - age

    def _journaled(self, message_id: str) -> SteerMessage | None:
        """A message whose file was damaged after it had been queued, as the journal has it."""
        for event in Tail(self._run.dir.journal).read_all():
            if isinstance(event, ev.SteerQueued) and event.id == message_id:
                mode: SteerMode = "next" if event.mode == "next" else "now"
                return SteerMessage(id=message_id, mode=mode, text=event.text, by="", queued=event.ts)
        return None

    @property
    def due(self) -> Collection[SteerMode]:
        """When the messages that wait are due: at the next tool boundary, at the next session."""
        return {message.mode for message in self._pending}

    @property
    def unacknowledged(self) -> Sequence[SteerMessage]:
        """What was handed over and not acknowledged."""
        return tuple(self._unacknowledged)

    def collect(self) -> None:
        """Take in what the operator has written since the last call."""
        self._collect_inboxes()
        for number in control.numbers(self._run.dir.steering):
            if number <= self._taken:
                continue
            self._tell_missing(self._taken + 1, number - 1)
            message = control.read_steer(self._run.dir, number)
            if message is None:
                self._leave_out(number)
            else:
                self._run.emit(ev.SteerQueued(id=message.id, mode=message.mode, text=message.text))
                self._pending.append(message)
            self._taken = number

    def _tell_missing(self, first: int, last: int) -> None:
        if first <= last:
            span = f"{first:03d}" if first == last else f"{first:03d} to {last:03d}"
            self._run.emit(ev.Error(message=f"steering {span} is missing: nobody got it", kind="steering"))

    def _leave_out(self, number: int) -> None:
        """Tell that a message is lost, and put an empty one in its place, which counts as queued and is
        never delivered."""
        path = control.numbered(self._run.dir.steering, number)
        set_aside(self._run, path, f"the steering message {path.stem} can't be read", "steering")
        empty = SteerMessage(id=path.stem, mode="now", text="", by="", queued=now_iso())
        control.save_receipt(self._run.dir, empty)
        self._run.emit(ev.SteerQueued(id=empty.id, mode=empty.mode, text=empty.text))

    def _collect_inboxes(self) -> None:
        """Claim what lies there, then queue what all claimed files hold, the oldest first.

        A writer that had an older file open wrote its line before it opened a newer one, so reading the
        older ones after the newest is claimed keeps its lines in order.
        """
        self._claim(self._run.dir.steer_file, "now")
        self._claim(self._run.dir.steer_next_file, "next")
        unfinished = set()
        for name, since in list(self._claimed.items()):
            if time.monotonic() - since > LATE:
                self._use_up(name)
            elif (mode := _mode(name)) not in unfinished and self._queue_rest(
                name, finished_lines=not self._settled(name)
            ):
                # Its last line is still being written; what came later waits for it.
                unfinished.add(mode)

    def _settled(self, name: str) -> bool:
        """Whether nobody has written to a claimed inbox for as long as a hook can wait."""
        if self._settled_after is None:
            return False
        try:
            written = (self._run.dir.steering / name).stat().st_mtime
        except FileNotFoundError:
            return True
        return time.time() - written > self._settled_after

    def _claim(self, path: Path, mode: SteerMode) -> None:
        self._newest = max(time.time_ns(), self._newest + 1)
        name = f"inbox-{self._newest:020d}-{mode}"
        try:
            if not path.is_file() or path.is_symlink() or path.stat().st_size == 0:
                return
            os.rename(path, self._run.dir.steering / name)
        except FileNotFoundError:
            return
        self._claimed[name] = time.monotonic()

    def _use_up(self, name: str) -> None:
        self._queue_rest(name, finished_lines=False)
        (self._run.dir.steering / name).unlink(missing_ok=True)
        self._upto.pop(name, None)
        self._claimed.pop(name, None)

    def _queue_rest(self, name: str, *, finished_lines: bool) -> bool:
        """Queue what a claimed inbox holds beyond what was queued before; True when something is left."""
        try:
            stream = (self._run.dir.steering / name).open("rb")
        except FileNotFoundError:
            return False
        with stream:
            while True:
                done = self._upto.get(name, 0)
                stream.seek(done)
                data = stream.read(_AT_ONCE)
                lines = data[: data.rfind(b"\n") + 1]
                data = lines if finished_lines or (len(data) == _AT_ONCE and lines) else data
                if not data:
                    return os.fstat(stream.fileno()).st_size > done
                text = data.decode("utf-8", errors="replace").strip("\n")
                upto = done + len(data)
                if text.strip():
                    control.steer(self._run.dir, text, _mode(name), source=name, upto=upto)
                self._upto[name] = upto

    def hand_over(
        self, tool_use_id: str | None, *, session_start: bool = False, room: float = HOOK_ROOM
    ) -> str:
        """The text of the messages due now, as many as have room, each journaled as delivered; empty when
        there are none.

        At a session's start the messages for the next session are due too. `room` is in characters; one
        message that has none goes alone, and tells the agent to read on in the file that the CLI makes of it.
        """
        due = [message for message in self._pending if session_start or message.mode == "now"]
        session = self._run.session
        parts: list[str] = []
        for message in due:
            part = _told(message, room)
            room -= _length(part)
            if parts and room < 0:
                break
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
            self._in_question.discard(message.id)
            parts.append(part)
        return "\n\n".join(parts)

    def reply_begins(self, reached: Iterable[str] | None = None) -> None:
        """The agent begins to answer: it has all that was delivered before, or these messages alone."""
        known = {message.id for message in self._unacknowledged}
        self._in_question = known if reached is None else known & set(reached)

    def acknowledge(self) -> None:
        """The agent has spoken: what was delivered before its reply began has reached it."""
        reached = [message for message in self._unacknowledged if message.id in self._in_question]
        for message in reached:
            self._run.emit(ev.SteerAcknowledged(id=message.id))
            control.save_receipt(self._run.dir, msgspec.structs.replace(message, acknowledged=now_iso()))
            self._unacknowledged.remove(message)

    def check_arrival(self, transcript: Iterable[bytes]) -> None:
        """Give again, at the next chance, what a resumed conversation doesn't hold."""
        if not self._unacknowledged:
            return
        missing = {heading(message.id).encode(): message for message in self._unacknowledged}
        for line in transcript:
            found = [mark for mark in missing if mark in line]
            for mark in found if found and kind_of(line) in SAID else ():
                del missing[mark]
        self.return_to_queue(missing.values())

    def return_to_queue(self, messages: Iterable[SteerMessage] | None = None) -> None:
        """Queue messages again (all unacknowledged ones by default): their session ended without a word."""
        again = list(self._unacknowledged if messages is None else messages)
        self._unacknowledged = [message for message in self._unacknowledged if message not in again]
        self._pending = sorted([*again, *self._pending], key=lambda message: int(message.id))
