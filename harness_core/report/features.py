"""The features: where each stands, and what that rests on."""

from __future__ import annotations

from collections.abc import Iterator

from harness_core.contract.record import Feature, Status
from harness_core.reading import contract_view
from harness_core.reading.burnup import clock, seconds
from harness_core.reading.contract_view import Standing
from harness_core.reading.feature_story import Story, findings_on
from harness_core.report.document import (
    Block,
    Bullets,
    Curve,
    Exhibit,
    Fold,
    Heading,
    Mark,
    Paragraph,
    Table,
    Words,
    code,
    count,
    muted,
    status,
)
from harness_core.report.gather import Found

FINDINGS = 10
EXHIBITS = 6
SESSIONS = 10
"""Of each feature, so many of the newest."""
FEW = 12
"""Of so many features, all can be shown with all that there is on them."""
_OPEN = frozenset((Status.REGRESSED, Status.FAILING, Status.SKIPPED))


def features(found: Found) -> Iterator[Block]:
    """The section on features."""
    yield Heading("Features")
    standings = contract_view.standings(found.view, found.state)
    if not standings:
        yield Paragraph(["There is no contract that can be read."])
        return
    yield Paragraph(_counts(standings))
    start, end = seconds(found.state.started), seconds(found.state.last_ts)
    points = found.gathered.burn_up.points
    if points and start is not None and end is not None and end > start:
        yield Curve(points, start, end)
    tallies = contract_view.tallies(standings)
    if len(tallies) > 1:
        rows: list[list[Words]] = [
            [
                [tally.category],
                [str(tally.passing)],
                [str(tally.total)],
                [f"{tally.passing / tally.total:.0%}"],
            ]
            for tally in tallies
        ]
        yield Table(("category", "pass", "of", "share"), rows)
    texts = {feature.id: feature for feature in found.view.features}
    few = len(standings) <= FEW
    for standing in standings:
        yield _feature(found, standing, texts.get(standing.id), few)


def _counts(standings: list[Standing]) -> list[str | Mark]:
    words: list[str | Mark] = []
    for one, number in contract_view.counts(standings):
        words += [f"{', ' if words else ''}{number} ", status(one.value)]
    return words


def _feature(found: Found, standing: Standing, text: Feature | None, few: bool) -> Fold:
    story = found.gathered.stories.get(standing.id)
    head: list[str | Mark] = [code(standing.id), " ", status(standing.status.value), " "]
    head.append(standing.description or "its text can't be read")
    blocks: list[Block] = []
    steps = text.steps if text else ()
    if steps:
        blocks.append(Bullets([[step[:600]] for step in steps[:30]]))
    if standing.note:
        blocks.append(Paragraph([muted("Note: "), standing.note[:1000]]))
    if story is not None:
        blocks += _work(standing, story)
        blocks += _findings(story)
        blocks += _exhibits(found, standing)
    attempted = standing.attempts > 0 or bool(story and story.verdicts and not standing.passes)
    return Fold(head, blocks, few or (standing.status in _OPEN and attempted))


def _work(standing: Standing, story: Story) -> Iterator[Block]:
    attempts = f"{count(standing.attempts, 'attempt')} that didn't hold" if standing.attempts else ""
    sessions = story.sessions[-SESSIONS:]
    told = [
        f"session {one.number} ({one.role}): {one.reason or 'open'}, {clock(one.ms / 1000)}, "
        f"{one.turns} turns, ${one.usd:,.2f}"
        for one in sessions
    ]
    parts = [part for part in (attempts, *told) if part]
    if parts:
        yield Paragraph([muted("Work: "), "; ".join(parts)])


def _findings(story: Story) -> Iterator[Block]:
    found = [
        (verdict, finding) for verdict in story.verdicts for finding in findings_on(verdict, story.feature)
    ]
    items: list[Words] = [
        [
            status(finding.severity),
            f" {finding.criterion}, session {verdict.session}: {finding.where[:600]}",
            muted(" To see it: ") if finding.reproduce else "",
            finding.reproduce[:600],
        ]
        for verdict, finding in found[-FINDINGS:]
    ]
    if items:
        yield Paragraph([muted("What evaluators found:")])
        yield Bullets(items)


def _exhibits(found: Found, standing: Standing) -> Iterator[Block]:
    story = found.gathered.stories[standing.id]
    kept = found.state.features.get(standing.id)
    bound = {(piece.path, piece.sha256) for piece in kept.evidence} if kept else set()
    opened = found.gathered.evidence.opened
    evidence = [one for one in story.evidence if (one.piece.path, one.piece.sha256) in bound]
    evidence = evidence or story.evidence
    for one in evidence[-EXHIBITS:]:
        roles = opened.get(one.piece.sha256, ())
        words: list[str | Mark] = [
            f"opened by {', '.join(roles)}"
            if roles
            else "not opened by an agent, as far as the journal tells",
            muted(f", sha256 {one.piece.sha256}"),
        ]
        if one.claimed_by != standing.id:
            words.append(f", claimed for {one.claimed_by}")
        yield Exhibit(one.piece, words)
    if len(evidence) > EXHIBITS:
        yield Paragraph([muted(f"{len(evidence) - EXHIBITS} older pieces are left out.")])
