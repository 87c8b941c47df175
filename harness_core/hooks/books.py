"""The whole run, opened by a call that needs it: the contract, a claim, steering, a session's beginning.

What is loaded here takes longer than the rest of a hook, so `turn` comes here only with a reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from harness_core import config
from harness_core.contract.ledger import Ledger
from harness_core.evidence import claim as evd
from harness_core.guards import Denial, ToolCall
from harness_core.guards.contract import ContractCall, Kind, is_contract
from harness_core.guards.paths import resolve
from harness_core.guards.tools import target
from harness_core.hooks.inbox import SETTLED, Receipts, let_settle
from harness_core.hooks.marks import marks_of
from harness_core.hooks.shelf import Common, Running, Session, Shelf, Waiting, replace
from harness_core.layout import NEVER_COMMITTED, RunDir
from harness_core.machine.gitfiles import GitFiles
from harness_core.operator.steering import Steering
from harness_core.record import events as ev
from harness_core.record.fold import fold
from harness_core.record.history import History
from harness_core.record.journal import Journal
from harness_core.record.shorten import shortened
from harness_core.record.state import OpenSession
from harness_core.run import Logbook
from harness_core.secrets.redact import Redactor

ROLE = "agent"


class _Spoken(Logbook):
    """What one session journals. Several may be open at once, so which one it is the fold can't say."""

    speaker: OpenSession | None = None

    @property
    def session(self) -> OpenSession | None:
        return self.speaker


class Books:
    """A run's journal, contract and steering, for one call of one session."""

    def __init__(self, run: RunDir, common: Common, journal: Journal) -> None:
        info = config.load_info(run)
        settings = info.config if info else config.RunConfig()
        self._common = common
        self._log = _Spoken(
            dir=run,
            config=settings,
            journal=journal,
            state=fold(run),
            git=GitFiles(run.root),
            redact=Redactor(os.environ),
        )
        self.engine_run = info is not None
        """Whether this is a run that an engine drives, though none is alive now."""
        self._ledger = Ledger(self._log)

    def act_as(self, session: Session) -> None:
        """Let what is journaled from here on belong to `session`."""
        known = session.number != 0
        self._log.speaker = OpenSession(session.number, session.id, ROLE, "", "") if known else None

    # --- Sessions -----------------------------------------------------------------------------------

    def begin(self, session_id: str, started_ns: int, model: str) -> Session:
        """A session that calls for the first time."""
        number = 0 if self.engine_run else self._log.state.sessions + 1
        session = Session(session_id, number, started_ns)
        self._log.git.keep_out(NEVER_COMMITTED)
        self._common.head = self._common.head or self._log.git.head() or ""
        self._open(session, model, resumed=False)
        self._take_contract()
        return session

    def _open(self, session: Session, model: str, *, resumed: bool) -> None:
        session.open = True
        self.act_as(session)
        if session.number:
            self._log.emit(
                ev.SessionStarted(
                    sdk_session=session.id,
                    model=model,
                    session=session.number,
                    role=ROLE,
                    resumed=resumed,
                )
            )

    def reopen(self, session: Session, model: str) -> None:
        """A session that goes on after its end."""
        self._open(session, model, resumed=True)
        self._take_contract()

    def end(self, session: Session, reason: str, ms: int) -> None:
        session.open = False
        if session.number:
            counts = self._log.state.counts
            self._log.emit(
                ev.SessionEnded(
                    reason=reason,
                    ms=ms,
                    turns=0,
                    usd=0.0,
                    passing=counts["passing"],
                    total=counts["total"],
                    session=session.number,
                    role=ROLE,
                )
            )

    # --- The contract -------------------------------------------------------------------------------

    def _take_contract(self) -> None:
        """Freeze the contract that lies there, unless one is frozen."""
        self._ledger.load()
        if not self._ledger.frozen and self._log.dir.contract.is_file():
            wrong = self._ledger.freeze(None)
            if wrong is not None:
                self._log.emit(ev.Error(message=wrong, kind="contract"))
        self.mark()

    def mark(self) -> None:
        """Remember how the contract's files lie now, as they should be."""
        if self._ledger.frozen:
            self._common.contract = self._ledger.path.name
            self._common.marks = marks_of(self._log.dir, self._common.contract)

    def inspect(self, tool_use_id: str | None) -> None:
        """Put back what strayed from the contract of record."""
        self._ledger.take_up()
        self._ledger.inspect(tool_use_id)
        self.mark()

    def judge_edit(
        self, call: ToolCall, session: Session, shelf: Shelf
    ) -> tuple[Denial | None, ContractCall | None]:
        """A denial of a call that may edit the contract, or what it will come to."""
        self._ledger.take_up()
        if not is_contract(resolve(self._log.dir.root, target(call.tool, call.input)), self._ledger.path):
            return None, None
        return self._ledger.judge_edit(call, notes(shelf, session))

    def settle(self, running: Running, session: Session, shelf: Shelf) -> str:
        """Record what an edit that was let through has done; the refusal of a claim that no longer holds."""
        self._ledger.take_up()
        edit = ContractCall(Kind(running.edit), features=tuple(running.features))
        refused = self._ledger.settle_edit(edit, notes(shelf, session))
        self.mark()
        return refused.text if refused is not None and not refused.ok else ""

    def tell(self, kind: str, values: Mapping[str, Any]) -> None:
        """Journal an event of that type, as the diary does."""
        said = {"type": kind, "role": ROLE, **shortened(values, self._log.redact.text)}
        self._log.emit(msgspec.convert(said, ev.AnyEvent))

    # --- What else a call leaves behind -------------------------------------------------------------

    def note_commits(self) -> None:
        # What was there before the first session isn't any session's work.
        History(self._log, since=self._common.head).note(ROLE)

    def note_stop(self, requested: bool) -> None:
        """Journal that AGENT_STOP came or went."""
        if requested and self._log.state.stop_requested not in ("pause", "now"):
            self._log.emit(ev.StopRequested(mode="pause"))
        elif not requested and self._log.state.stop_requested is not None:
            self._log.emit(ev.StopCleared())

    # --- Steering -----------------------------------------------------------------------------------

    def steer(self, receipts: Receipts, *, session_start: bool) -> str:
        """What the operator has said and nobody was told yet, journaled as delivered."""
        let_settle(self._log.dir)
        steering = Steering(self._log, settled=SETTLED)
        steering.collect()
        steering.return_to_queue([item for item in steering.unacknowledged if item.id in receipts.lost])
        steering.reply_begins(receipts.arrived)
        steering.acknowledge()
        text = steering.hand_over(receipts.tool_use_id, session_start=session_start)
        done = {*receipts.arrived, *receipts.lost}
        before = [item for item in self._common.waiting if item.id not in done]
        known = {item.id for item in before}
        self._common.waiting = before + [
            Waiting(message.id, receipts.session, receipts.tool_use_id, receipts.transcript)
            for message in steering.unacknowledged
            if message.id not in known
        ]
        self._common.steer_taken = self._log.state.steer_newest
        self._common.due = sorted(steering.due)
        return text


# --- What a session knows of evidence --------------------------------------------------------------------


def notes(shelf: Shelf, session: Session) -> evd.SessionEvidence:
    """What a session has read and typed so far."""
    path = shelf.session_file(session.id, ".evidence")
    try:
        found = msgspec.json.decode(path.read_bytes(), type=evd.SessionEvidence)
    except FileNotFoundError:
        found = evd.SessionEvidence(started_ns=session.started_ns)
    for path_typed, content in typed_since(shelf, session):
        found.note_typed(path_typed, content)
    return found


def typed_since(shelf: Shelf, session: Session) -> Iterator[tuple[str, evd.Fingerprint | None]]:
    """The files that calls which loaded nothing have written down as typed."""
    try:
        lines = shelf.session_file(session.id, ".typed").read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        path, sha256, size = msgspec.json.decode(line, type=tuple[str, str, int])
        yield path, evd.Fingerprint(sha256, size) if sha256 else None


def save_notes(shelf: Shelf, session: Session, found: evd.SessionEvidence) -> None:
    replace(shelf.session_file(session.id, ".evidence"), msgspec.json.encode(found))
    shelf.session_file(session.id, ".typed").unlink(missing_ok=True)
