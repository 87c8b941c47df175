"""Sprint contracts: proposed by the generator, answered by the evaluator under the proposal, then frozen."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness_core import tasks
from harness_core.agent.session import Casting, Outcome
from harness_core.brake import EndOfRun
from harness_core.contract.ledger import Ledger
from harness_core.contract.record import Feature
from harness_core.errors import Exit
from harness_core.grading.evaluation import REVIEW_SCHEMA, Reviewed
from harness_core.layout import SPRINTS_DIR
from harness_core.machine.files import read_text, write_whole
from harness_core.record import events as ev
from harness_core.record.state import SprintState, schema_path
from harness_core.run import Run
from harness_core.sessions import Assignment, Sessions
from harness_core.steps.judgement import EVALUATORS_AT_MOST

ANSWER = "## The evaluator's answer"
AGREED = "## Agreed"
_CRITERIA = re.compile(
    r"^(?:(?P<level>#{1,6}) +|\*\*)[^\n]*\bcriteri[^\n]*\n(?P<text>.*)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
"""A proposal's section of criteria, and all that follows it."""
_ITEM = r"^ {0,3}(?:%s)\s+(\S.*(?:\n[ \t]+\S.*)*)"
_NUMBERED, _BULLETED = (re.compile(_ITEM % mark, re.MULTILINE) for mark in (r"\d+[.)]", "[-*]"))
_TESTED = re.compile(r"(.+?)(?:\s*\(tested by: (.*)\)\.?)?", re.IGNORECASE)
_ANSWERED = re.compile(r"^- C\d+: (.+)$", re.MULTILINE)
PROPOSER = Casting("generator", "generator-contract")
REVIEWER = Casting("evaluator", "evaluator-contract", REVIEW_SCHEMA)


class Negotiation:
    """What a sprint owes, agreed on before anything of it is built."""

    def __init__(self, run: Run, ledger: Ledger, sessions: Sessions) -> None:
        self._run = run
        self._ledger = ledger
        self._sessions = sessions

    def start(self, number: int, features: Sequence[str]) -> None:
        """Begin a sprint; its contract's file gets a name of its own."""
        path = ""
        if self._run.config.switches.sprint_contracts:
            first = self._ledger.feature(features[0])
            words = re.sub(r"[^a-z0-9]+", "-", (first.description if first else "").lower())[:40].strip("-")
            path = f"{SPRINTS_DIR}/{number:02d}-{words or 'sprint'}.md"
        self._run.emit(ev.SprintStarted(sprint=number, features=list(features), path=path))

    # --- Proposing ----------------------------------------------------------------------------------

    async def propose(self, sprint: SprintState) -> None:
        """A generator writes the proposal, or mends it by the evaluator's answer."""
        number, known = sprint.proposed + 1, sprint.sha256
        path = self._file(sprint)
        answer = _part(read_text(path) or "", ANSWER) if sprint.reviewed else ""

        async def take(outcome: Outcome) -> str | None:
            proposal = _proposal(read_text(path) or "").strip()
            if not proposal:
                return f"{sprint.path} isn't there: write the proposal to exactly that path."
            if (sha256 := _digest(proposal)) == known:
                return f"{sprint.path} says what it said before: mend it by the evaluator's answer."
            self._run.emit(
                ev.ContractProposed(sprint=sprint.number, round=number, path=sprint.path, sha256=sha256)
            )
            return None

        outcome = await self._sessions.hold_until(
            lambda: sprint.proposed == number,
            Assignment(
                casting=PROPOSER,
                phase="negotiate",
                features=sprint.features,
                round=sprint.number,
                task=lambda session: tasks.proposal_task(
                    session, sprint.path, self._features(sprint), answer
                ),
                check=take,
            ),
        )
        if sprint.proposed == number:
            return
        proposal = _proposal(read_text(path) or "").strip()
        if not proposal:
            raise EndOfRun(Exit.FAILED, f"no generator proposed a contract: {outcome.detail}")
        # Whoever doesn't mend it, stands by it.
        self._run.emit(
            ev.ContractProposed(
                sprint=sprint.number, round=number, path=sprint.path, sha256=_digest(proposal)
            )
        )

    # --- Answering ----------------------------------------------------------------------------------

    async def review(self, sprint: SprintState) -> None:
        """An evaluator agrees to the proposal, or says what the contract should be; one that gives no answer
        is followed by another."""
        number = sprint.reviewed + 1
        proposal = _proposal(read_text(self._file(sprint)) or "")

        async def take(outcome: Outcome) -> str | None:
            if outcome.answer is not None:
                self._answered(sprint, number, proposal, _read(outcome.answer))
            return None

        assignment = Assignment(
            casting=REVIEWER,
            phase="negotiate",
            features=sprint.features,
            round=sprint.number,
            task=lambda _: tasks.review_task(
                self._run.dir, sprint.path, proposal, self._features(sprint), sprint.objections
            ),
            check=take,
        )
        for _ in range(EVALUATORS_AT_MOST):
            outcome = await self._sessions.hold(assignment)
            if sprint.reviewed == number:
                return
        raise EndOfRun(Exit.FAILED, f"no evaluator answered the proposed contract: {outcome.detail}")

    def _answered(self, sprint: SprintState, number: int, proposal: str, answer: Reviewed) -> None:
        criteria = _numbered([(item.criterion, item.check) for item in answer.criteria])
        self._write(sprint, proposal, answer, criteria)
        self._sessions.commit_own(f"the evaluator's answer, round {number}, in {sprint.path}", sprint.path)
        self._run.emit(
            ev.ContractReviewed(
                sprint=sprint.number,
                round=number,
                verdict=answer.verdict,
                criteria=criteria or criteria_in(proposal),
                findings=answer.findings,
            )
        )

    def _write(
        self, sprint: SprintState, proposal: str, answer: Reviewed, criteria: Sequence[ev.Agreed]
    ) -> None:
        says = "Agreed." if answer.verdict == "PASS" else "Not yet."
        lines = [proposal.rstrip(), "", ANSWER, "", says, ""]
        lines += [f"- {item.where}" for item in answer.findings]
        if criteria:
            lines += ["", "The contract as the evaluator would have it:", ""]
            lines += [f"- {item.id}: {item.text} (tested by: {item.check or 'use'})" for item in criteria]
        write_whole(self._file(sprint), ("\n".join(lines).rstrip() + "\n").encode())

    # --- Agreeing -----------------------------------------------------------------------------------

    def agree(self, sprint: SprintState, by: str) -> None:
        """Freeze the contract: the prose with its hash, and the criteria in a schema next to it."""
        path = self._file(sprint)
        text = read_text(path) or ""
        written = criteria_of(text) if by == "operator" else ()
        criteria = list(written or sprint.criteria) or criteria_in(_proposal(text))
        whose = {"both": "as both agree", "operator": "as the operator decided"}
        agreed = f"{AGREED}\n\nHolds {whose.get(by, f'as the {by} has it')}.\n"
        data = f"{text.partition(AGREED)[0].rstrip()}\n\n{agreed}".encode()
        sha256 = self._ledger.agreements.keep(path, data)
        schema = {
            "sprint": sprint.number,
            "features": sprint.features,
            "sha256": sha256,
            "by": by,
            "criteria": criteria,
        }
        beside = schema_path(sprint.path)
        described = self._ledger.agreements.keep(
            self._run.dir.root / beside, msgspec.json.format(msgspec.json.encode(schema)) + b"\n"
        )
        self._sessions.commit_own(f"{sprint.path} holds", sprint.path, beside)
        self._run.emit(
            ev.ContractAgreed(
                sprint=sprint.number,
                path=sprint.path,
                sha256=sha256,
                criteria=criteria,
                by=by,
                schema_sha256=described,
            )
        )

    def _file(self, sprint: SprintState) -> Path:
        return self._run.dir.root / sprint.path

    def _features(self, sprint: SprintState) -> list[Feature]:
        return [found for name in sprint.features if (found := self._ledger.feature(name)) is not None]


def criteria_in(proposal: str) -> list[ev.Agreed]:
    """The criteria that a proposal names: the numbered items, else the bulleted ones, of its section of
    criteria where it has one, else of the whole."""
    section = _section_of_criteria(proposal)
    return _numbered([_tested(item) for item in _NUMBERED.findall(section) or _BULLETED.findall(section)])


def _section_of_criteria(proposal: str) -> str:
    """Up to the next heading of its level or above; the whole where no heading says `criteria`."""
    found = _CRITERIA.search(proposal)
    if found is None:
        return proposal
    level = len(found["level"] or "")
    ends = rf"^#{{1,{level}}} " if level else r"^(?:#{1,6} |\*\*)"
    return re.split(ends, found["text"], maxsplit=1, flags=re.MULTILINE)[0]


def _tested(item: str) -> tuple[str, str]:
    """What must be true, and how it is tested where that is said: `… (tested by: …)`."""
    found = _TESTED.fullmatch(" ".join(item.split()))
    return (found[1], found[2] or "") if found is not None else ("", "")


def criteria_of(contract: str) -> list[ev.Agreed]:
    """The evaluator's criteria as they stand in a contract's text, which the operator may have changed."""
    return _numbered([_tested(item) for item in _ANSWERED.findall(_part(contract, ANSWER))])


def _numbered(criteria: Sequence[tuple[str, str]]) -> list[ev.Agreed]:
    return [ev.Agreed(f"C{place}", text, check) for place, (text, check) in enumerate(criteria, 1)]


def _read(answer: Any) -> Reviewed:
    try:
        return msgspec.convert(answer, Reviewed)
    except msgspec.ValidationError as error:
        unread = ev.Finding(None, "contract", f"the evaluator's answer can't be read: {error}", "", "major")
        return Reviewed("NEEDS_WORK", findings=[unread])


def _digest(proposal: str) -> str:
    return hashlib.sha256(proposal.encode()).hexdigest()


def _proposal(text: str) -> str:
    return text.partition(ANSWER)[0].partition(AGREED)[0]


def _part(text: str, heading: str) -> str:
    return text.partition(heading)[2].strip()
