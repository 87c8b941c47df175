"""The ledger: keeps the contract of record, judges claims, and puts the agents' file back when it strays.

The journal says what status each feature has, `.longwatch/contract.json` holds the frozen text and the
evidence, the file that agents see is a mirror of both. The order of writing is that order, so a crash
between two of them is mended from the first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness_core.answer import Answer
from harness_core.contract import record as ct
from harness_core.contract.agreements import Agreements
from harness_core.contract.files import ContractFiles
from harness_core.contract.record import Contract, Feature, FeatureRecord, Record, Status
from harness_core.errors import ContractError
from harness_core.evidence import claim as evd
from harness_core.evidence.keep import keep
from harness_core.guards import Denial, ToolCall
from harness_core.guards.contract import ContractCall, Kind, is_contract
from harness_core.guards.contract import check as check_call
from harness_core.guards.tools import path_values
from harness_core.machine.files import read_bounded, write_whole
from harness_core.operator import control
from harness_core.record import events as ev
from harness_core.record.cut_off import cut_off_calls
from harness_core.record.journal import now_iso
from harness_core.record.state import PASSING
from harness_core.run import Logbook

_GUARD = "evidence"


@dataclass
class _Frozen:
    """A contract after its freeze: the record, its text as agents see it, and the files of both."""

    record: Record
    document: Contract
    files: ContractFiles


class Ledger:
    """The engine's one writer of `passes`. Before the freeze it holds nothing and allows everything."""

    def __init__(self, run: Logbook) -> None:
        self._run = run
        self._held: _Frozen | None = None
        self.agreements = Agreements(run)

    # --- Start and freeze ---------------------------------------------------------------------------

    @property
    def frozen(self) -> bool:
        return self._held is not None

    @property
    def path(self) -> Path:
        """The contract as agents see it; once frozen, the file of that name and no other."""
        return self._held.files.shown if self._held else self._run.dir.contract

    def load(self) -> None:
        """Take up a frozen contract, and put the agents' file back where it strayed. Raises ContractError."""
        if self.take_up():
            self._catch_up()
            self.inspect(None)

    def take_up(self) -> bool:
        """Take up a frozen contract and leave the agents' file as it is; False where none is frozen.

        Raises ContractError when its record is lost.
        """
        record = ct.on_record(self._run.dir)
        if record is None:
            if self._run.state.features:
                raise ContractError(
                    f"{self._run.dir.record} is gone, and with it the contract's text: {ct.RESTORE}"
                )
            return False
        if not self._run.state.features:
            # A crash came between the record and its event: the freeze is made anew.
            self._run.dir.record.unlink()
            return False
        self._adopt(self._with_journal(record))
        return True

    def _catch_up(self) -> None:
        """Bring the agents' file to the record where a crash, and nobody's will, left them apart.

        It may lack the newest change of a status, and have an edit that was let through and whose outcome
        was never seen: such a call is told to its session as cut off.
        """
        assert self._held is not None
        try:
            change = ct.compare(self._held.document, self.passing, ct.read(self.path))
        except (ContractError, OSError):
            return
        if self._reword_cut_off(change):
            self._show()
            return
        apart = {*change.to_true, *change.to_false}
        states = self._run.state.features
        newest = max(states, key=lambda name: states[name].seq)
        lagging = apart == {newest} and states[newest].seq > 0
        if not change.touches_text and (lagging or (apart and self._edit_cut_off())):
            self._show()

    def _reword_cut_off(self, change: ct.Change) -> bool:
        """Whether the file only lacks a text that the operator asked for and that is on record already."""
        waiting = control.requests(self._run.dir.rewordings)
        requests = (control.read_request(path, control.RewordRequest) for path in waiting)
        asked = {request.feature for request in requests if request is not None}
        others = change.lost or change.added or change.reordered or change.form
        return bool(change.texts) and not others and {text.feature for text in change.texts} <= asked

    def _edit_cut_off(self) -> bool:
        calls = cut_off_calls(self._run.dir.journal)
        targets = (self._run.dir.root / text for call in calls for text in path_values(call.input))
        return any(is_contract(target, self.path) for target in targets)

    def _with_journal(self, record: Record) -> Record:
        """The record with the journal's word on every feature, which was written first."""
        features = []
        for feature in record.features:
            state = self._run.state.features.get(feature.id)
            if state is None:
                features.append(feature)
                continue
            known = {piece.sha256 for piece in feature.evidence}
            added = tuple(_plain(piece) for piece in state.evidence if piece.sha256 not in known)
            features.append(
                msgspec.structs.replace(
                    feature, status=state.status, note=state.note, evidence=(*feature.evidence, *added)
                )
            )
        return msgspec.structs.replace(record, features=tuple(features))

    def freeze(self, expected: int | None, *, fresh: bool = False) -> str | None:
        """Freeze the contract that lies there; returns what is wrong with it, in a sentence, or None.

        `expected` is the number of features that were asked for, None leaves it open. A `fresh` contract was
        just written: nothing of it may pass; what passes in one from outside is adopted as claimed.
        """
        path = self._run.dir.contract
        try:
            found = ct.read(path)
        except ContractError as error:
            return str(error)
        if (fresh or expected is not None) and (wrong := ct.check_fresh(found, expected)):
            return wrong
        record = ct.freeze(found, now_iso(), self._run.config.preset)
        self._run.dir.record.parent.mkdir(exist_ok=True)
        write_whole(self._run.dir.record, ct.encode(record))
        self._run.emit(
            ev.ContractFrozen(
                features=[feature.id for feature in record.features],
                sha256=record.sha256,
                name=record.name,
                adopted=sorted(ct.passing_ids(found)),
            )
        )
        self._adopt(record)
        return None

    def extend(self, path: Path, request: str) -> str | None:
        """Add the features in the file at `path` to the frozen contract; returns what is wrong with them, in
        a sentence, or None. `request` is the digest of what asked for them."""
        assert self._held is not None
        known = self._run.state.features
        if all(feature.id in known for feature in self._held.record.features):
            try:
                added = ct.read(path)
                if wrong := ct.check_fresh(added, None):
                    return wrong
                record = ct.extend(self._held.record, added)
            except ContractError as error:
                return str(error)
            write_whole(self._run.dir.record, ct.encode(record))
        else:
            # A crash came between the record and its event.
            record = self._held.record
        new = [feature.id for feature in record.features if feature.id not in known]
        self._run.emit(ev.FeaturesAdded(features=new, sha256=record.sha256, request=request))
        path.unlink(missing_ok=True)
        self._adopt(record)
        self._show()
        return None

    def reword(self, feature_id: str, description: str | None, steps: Sequence[str] | None, by: str) -> None:
        """Give a feature the text that the operator wants, and freeze the contract anew.

        None leaves a part as it is. What passed, or was given up, is to be built by that text. Doing it twice
        is harmless. Raises ContractError where the contract can't hold it.
        """
        assert self._held is not None
        record = ct.reword(self._held.record, feature_id, description, steps)
        if record.sha256 != self._held.record.sha256:
            self._adopt(record)
        if record.sha256 != self._run.state.contract_sha:
            what = [] if description is None else [f"description: {description}"]
            what += [] if steps is None else [f"steps: {' | '.join(steps)}"]
            self._run.emit(
                ev.ContractChanged(
                    feature=feature_id, by=by, what="; ".join(what)[:2000], sha256=record.sha256
                )
            )
        if self.status(feature_id) in (*PASSING, Status.SKIPPED):
            self.change(feature_id, Status.FAILING, by="operator", note="its text was changed")
        self._show()

    def _adopt(self, record: Record) -> None:
        files = ContractFiles(self._run.dir.record, self._run.dir.root / record.name)
        self._held = _Frozen(record, ct.document(record), files)
        files.store(record)

    def _show(self) -> None:
        """Make the agents' file what the record says, whatever lies in its place."""
        if self._held is not None:
            self._held.files.show(self._held.document, self.passing)

    # --- Reading ------------------------------------------------------------------------------------

    @property
    def features(self) -> Sequence[Feature]:
        return self._held.document.features if self._held else ()

    def feature(self, feature_id: str) -> Feature | None:
        return next((feature for feature in self.features if feature.id == feature_id), None)

    def status(self, feature_id: str) -> Status:
        return self._run.state.features[feature_id].status

    @property
    def passing(self) -> frozenset[str]:
        """The ids whose `passes` is true in the agents' file."""
        if self._held is None:
            return frozenset()
        return ct.passing_of(self._held.record, Status(self._run.config.switches.passes_from))

    # --- What agents ask for ------------------------------------------------------------------------

    def claim(
        self,
        feature_id: str,
        paths: Sequence[str],
        note: str,
        also_for: Collection[str],
        session: evd.SessionEvidence,
    ) -> Answer:
        """A claim by the tool: accepted and on record, or refused with what is missing."""
        refusal = self._not_claimable(feature_id)
        if refusal is not None:
            return refusal
        unknown = [name for name in also_for if self.feature(name) is None]
        if unknown:
            return Answer(False, f"also_for names {', '.join(unknown)}, which the contract doesn't have.")
        pieces = self._check(feature_id, paths, also_for, session)
        if isinstance(pieces, evd.Refusal):
            return Answer(False, pieces.reason)
        return self._accept(feature_id, pieces, note, also_for)

    def _not_claimable(self, feature_id: str) -> Answer | None:
        if not self.frozen:
            return Answer(
                False, "The contract isn't frozen yet: nothing can be claimed before the build starts."
            )
        if self.feature(feature_id) is None:
            known = ", ".join(feature.id for feature in self.features[:5])
            return Answer(False, f"The contract has no feature {feature_id}: its ids are {known}, …")
        if self.status(feature_id) in PASSING:
            already = f"{feature_id} is {self.status(feature_id).value} already: nothing to do."
            return Answer(True, already + self._hidden(feature_id))
        return None

    def _hidden(self, feature_id: str) -> str:
        """What an agent is told of a claim that its file doesn't show yet."""
        if feature_id in self.passing:
            return ""
        return f" In {self.path.name} it passes once it is verified: don't build it again, go on."

    def _check(
        self, feature_id: str, paths: Sequence[str], also_for: Collection[str], session: evd.SessionEvidence
    ) -> tuple[evd.Piece, ...] | evd.Refusal:
        if not self._run.config.switches.evidence_gate:
            return ()
        return evd.check(
            self._run.dir.root,
            feature_id,
            paths,
            session,
            spent=self._spent(),
            newest=self._newest_source(),
            also_for=also_for,
        )

    def _spent(self) -> evd.Spent:
        return ct.spent_of(self._held.record) if self._held else {}

    def _newest_source(self) -> evd.SourceFile | None:
        return evd.newest_source(self._run.dir.root, self._run.git.source_candidates())

    def _accept(
        self, feature_id: str, pieces: Sequence[evd.Piece], note: str, also_for: Collection[str]
    ) -> Answer:
        try:
            kept = [keep(self._run.dir.root, feature_id, piece) for piece in pieces]
        except OSError as error:
            return Answer(False, f"The evidence can't be kept ({error}): mend that and claim again.")
        commit = self._run.git.head()
        bound = [
            ev.BoundPiece(**msgspec.structs.asdict(piece), commit=commit, also_for=list(also_for))
            for piece in kept
        ]
        self.change(feature_id, Status.CLAIMED, by="generator", note=note, evidence=bound)
        counts = self._run.state.counts
        said = f"{feature_id} is claimed ({counts['passing']} of {counts['total']} features pass)."
        copies = [piece.path for piece in kept if piece not in pieces]
        where = f" Its evidence is kept as {', '.join(copies)}: commit that too." if copies else ""
        return Answer(True, said + where + self._hidden(feature_id))

    def report_regression(self, feature_id: str, note: str, by: str = "generator") -> Answer:
        """An honest step back: never refused for a feature that passes."""
        if self.feature(feature_id) is None:
            return Answer(False, f"The contract has no feature {feature_id}.")
        if self.status(feature_id) not in PASSING:
            return Answer(True, f"{feature_id} is {self.status(feature_id).value}: it doesn't pass anyway.")
        self.change(feature_id, Status.REGRESSED, by=by, note=note)
        return Answer(True, f"{feature_id} is regressed: mend it, see it work, and claim it again.")

    def change(
        self,
        feature_id: str,
        to: Status,
        *,
        by: str,
        note: str = "",
        evidence: Sequence[ev.BoundPiece] = (),
    ) -> None:
        """Put a feature's new status into the journal, the record and the agents' file."""
        assert self._held is not None
        before = self.status(feature_id)
        if before is to:
            return
        changed = self._run.emit(
            ev.FeatureChanged(
                feature=feature_id, from_=before, to=to, by=by, note=note, evidence=list(evidence)
            )
        )
        features = tuple(
            _after(changed, feature) if feature.id == feature_id else feature
            for feature in self._held.record.features
        )
        self._held.record = msgspec.structs.replace(self._held.record, features=features)
        self._held.files.store(self._held.record)
        self._show()

    # --- Edits of the file --------------------------------------------------------------------------

    def judge_edit(
        self, call: ToolCall, session: evd.SessionEvidence
    ) -> tuple[Denial | None, ContractCall | None]:
        """Judge a call that edits the agents' file: a denial, or what the edit will come to."""
        if self._held is None:
            return None, None
        current = read_bounded(self.path, ct.MAX_BYTES) or b""
        verdict = check_call(call, self._held.document, self.passing, current.decode("utf-8", "replace"))
        if verdict.denial is not None:
            return verdict.denial, None
        if verdict.kind is Kind.CLAIM and self._not_claimable(verdict.features[0]) is None:
            pieces = self._check_edit(verdict.features[0], session)
            if isinstance(pieces, evd.Refusal):
                return Denial(_GUARD, pieces.reason), None
        return None, verdict

    def _check_edit(
        self, feature_id: str, session: evd.SessionEvidence
    ) -> tuple[evd.Piece, ...] | evd.Refusal:
        if not self._run.config.switches.evidence_gate:
            return ()
        return evd.check_edit(
            self._run.dir.root, feature_id, session, spent=self._spent(), newest=self._newest_source()
        )

    def settle_edit(self, edit: ContractCall, session: evd.SessionEvidence) -> Answer | None:
        """Record what an edit that was let through has done; the answer to its claim, where it is one."""
        if edit.kind is Kind.STEP_BACK:
            for feature_id in edit.features:
                self.change(feature_id, Status.REGRESSED, by="generator", note="stepped back in the contract")
        if edit.kind is not Kind.CLAIM:
            return None
        answer = self._not_claimable(edit.features[0])
        if answer is None:
            pieces = self._check_edit(edit.features[0], session)
            if not isinstance(pieces, evd.Refusal):
                return self._accept(edit.features[0], pieces, "", ())
            answer = Answer(False, pieces.reason)
        self._show()
        return answer

    def inspect(self, tool_use_id: str | None) -> None:
        """Compare the contract's files with what the ledger knows, cheaply, and restore what strays."""
        if self._held is None:
            return
        self.agreements.inspect(tool_use_id)
        for what in self._held.files.strays(self._held.record, self._held.document, self.passing):
            self._run.emit(ev.ContractTampered(what=what, tool_use_id=tool_use_id))


def _plain(piece: evd.Piece) -> evd.Piece:
    return evd.Piece(
        path=piece.path, sha256=piece.sha256, size=piece.size, mtime_ns=piece.mtime_ns, kind=piece.kind
    )


def _after(change: ev.FeatureChanged, feature: FeatureRecord) -> FeatureRecord:
    evidence = (*feature.evidence, *map(_plain, change.evidence))
    return msgspec.structs.replace(feature, status=change.to, note=change.note, evidence=evidence)
