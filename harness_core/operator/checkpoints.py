"""Checkpoints: questions to the operator. No timeout answers one; a decision is bound to what was shown."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from harness_core.contract.ledger import Ledger
from harness_core.contract.record import Status
from harness_core.evidence.claim import fingerprint
from harness_core.grading import calibration
from harness_core.grading.verdicts import overruled
from harness_core.machine.files import write_whole
from harness_core.operator import control
from harness_core.operator.control import Checkpoint, DecisionFile
from harness_core.record import events as ev
from harness_core.record.journal import now_iso
from harness_core.record.state import PASSING, OpenCheckpoint
from harness_core.run import Run
from harness_core.steps.iterations import Iteration


@dataclass(frozen=True)
class Subject:
    """What a decision is about. Whatever changes in it makes an earlier decision void."""

    kind: str
    features: Sequence[str]
    commit: str | None
    verdict: ev.Verdict | None
    evidence: Sequence[str]
    """`path sha256` of each piece as it lies there, `path gone` where it doesn't."""
    texts: Sequence[int]
    """By which event each feature got its text."""
    iterations: Sequence[Iteration] = ()
    """At the end of a design: those of which one is to stand."""

    @property
    def hash(self) -> str:
        verdict = None if self.verdict is None else (self.verdict.verdict, self.verdict.findings)
        texts = list(self.texts)
        about = (self.kind, list(self.features), self.commit, verdict, list(self.evidence), texts)
        shown = (*about, list(self.iterations)) if self.iterations else about
        return hashlib.sha256(msgspec.json.encode(shown, order="deterministic")).hexdigest()


def subject_of(run: Run, kind: str, features: Sequence[str]) -> Subject:
    """The subject as it stands now."""
    verdict = run.state.verdict
    judged = verdict is not None and (set(verdict.scope) & set(features) or not (verdict.scope or features))
    about = verdict if judged else None
    pieces = [piece for feature in features for piece in run.state.features[feature].evidence]
    shown = [*(piece.path for piece in pieces), *_contract_shown(run, kind)]
    evidence = [f"{path} {_digest(run, path)}" for path in shown]
    texts = [run.state.features[feature].reworded for feature in features]
    iterations = run.state.iterations if kind == "end" else ()
    return Subject(kind, features, run.git.head(), about, evidence, texts, iterations)


def _contract_shown(run: Run, kind: str) -> list[str]:
    sprint = run.state.sprint
    return [sprint.path] if kind == "contract" and sprint is not None else []


def _digest(run: Run, path: str) -> str:
    found = fingerprint(run.dir.root / path)
    return found.sha256 if found else "gone"


def open_checkpoint(run: Run, kind: str, features: Sequence[str], summary: str) -> Checkpoint:
    """Ask the operator, and journal that it was asked."""
    subject = subject_of(run, kind, features)
    findings = subject.verdict.findings if subject.verdict else []
    checkpoint = Checkpoint(
        id=f"{run.state.checkpoints + 1:03d}",
        kind=kind,
        opened=now_iso(),
        summary=summary,
        features=list(features),
        subject_hash=subject.hash,
        commit=subject.commit,
        verdict=subject.verdict.verdict if subject.verdict else "",
        findings=[f"{finding.feature or 'the whole'}: {finding.where}" for finding in findings],
        evidence=list(subject.evidence),
        iterations=list(subject.iterations),
    )
    control.save_checkpoint(run.dir, checkpoint)
    run.emit(
        ev.CheckpointOpened(
            id=checkpoint.id,
            kind=kind,
            subject_hash=checkpoint.subject_hash,
            summary=summary,
            features=list(features),
        )
    )
    return checkpoint


def follow_decision(run: Run, ledger: Ledger) -> bool:
    """Do what the operator's answer to the open checkpoint says; False while there is none that counts.

    The answer is journaled after all that it means is done, and doing that twice is harmless: a kill
    in between loses nothing. When what was shown has changed since, the answer is journaled as `stale`
    and the question is put again about what there is now.
    """
    asked = run.state.checkpoint
    if asked is not None and _reworded(run, asked):
        run.emit(ev.CheckpointDecided(id=asked.id, decision="stale", by="engine", note=_ANOTHER_TEXT))
        return True
    answer = control.read_decision(run.dir, asked.id) if asked else None
    if asked is None or answer is None:
        return False
    now = subject_of(run, asked.kind, asked.features)
    unknown = answer.choice is not None and answer.choice not in {one.number for one in now.iterations}
    if unknown or answer.subject_hash != asked.subject_hash or now.hash != asked.subject_hash:
        run.emit(ev.CheckpointDecided(id=asked.id, decision="stale", by=answer.by, note=answer.note))
        open_checkpoint(run, asked.kind, asked.features, asked.summary)
        return False
    _follow(run, ledger, asked, answer)
    run.emit(
        ev.CheckpointDecided(
            id=asked.id,
            decision=answer.decision,
            by=answer.by,
            note=answer.note,
            overrides=answer.overrides,
            iterations=list(now.iterations),
            choice=answer.choice if answer.decision == "approve" else None,
        )
    )
    return True


_ANOTHER_TEXT = "the contract's text was changed meanwhile"


def _reworded(run: Run, asked: OpenCheckpoint) -> bool:
    """Whether a feature has another text than when the question was put. Then that question is over: what is
    to be asked now may be another one, or none before the feature is built anew."""
    features = (run.state.features.get(name) for name in asked.features)
    return any(found is not None and found.reworded > run.state.asked_seq for found in features)


def _follow(run: Run, ledger: Ledger, asked: OpenCheckpoint, answer: DecisionFile) -> None:
    """Approving agrees with what was shown: good work is approved, findings go to the builder, but for those
    that the operator overrode; where that leaves none, the work is approved.
    Sending back opens what was asked about again, with the operator's words; the whole is sent back whole."""
    source = f"checkpoint-{asked.id}"
    verdict = run.state.verdict
    cleared = False
    if answer.overrides and verdict is not None:
        left = overruled(verdict, answer.overrides)
        cleared = left.verdict == "PASS"
        calibration.keep(run.dir, verdict, answer)
        write_findings(run, left)
    if answer.note and answer.decision != "skip" and not control.is_queued(run.dir, source):
        said = f"The operator on {', '.join(asked.features) or 'the whole'}: {answer.note}"
        control.steer(run.dir, said, "next", answer.by, source)
    if asked.kind in _ABOUT_NO_STATUS and answer.decision != "skip":
        return
    agreed = answer.decision == "approve" and asked.kind == "needs-work" and not cleared
    if agreed or (answer.decision == "reject" and asked.kind == "end"):
        return
    to = _MEANING[answer.decision]
    for feature in asked.features:
        if cleared or to is Status.SKIPPED or ledger.status(feature) in PASSING:
            ledger.change(feature, to, by="operator", note=answer.note)


_ABOUT_NO_STATUS = frozenset(("contract", "hours"))
_MEANING = {"approve": Status.APPROVED, "skip": Status.SKIPPED, "reject": Status.REGRESSED}


def write_findings(run: Run, verdict: ev.Verdict) -> None:
    """Put a verdict's findings where the next build looks for them."""
    if verdict.findings or run.dir.findings.exists():
        write_whole(run.dir.findings, findings_page(verdict).encode())


def findings_page(verdict: ev.Verdict) -> str:
    """`findings.md`: what a verdict found, for the next build."""
    if not verdict.findings:
        return "# Findings\n\nNone are open.\n"
    where = f" in iteration {verdict.iteration}" if verdict.iteration else ""
    again = "; then claim the feature again" if any(item.feature for item in verdict.findings) else ""
    lines = ["# Findings", "", f"What the evaluator found{where}. Mend these first{again}.", ""]
    for item in verdict.findings:
        lines.append(f"## {item.feature or 'The whole'}: {item.criterion} ({item.severity})")
        lines.extend(["", f"- Where: {item.where}"])
        lines.extend([f"- To see it: {item.reproduce}", ""] if item.reproduce else [""])
    return "\n".join(lines)
