"""What a report says, section by section."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness_core.operator.bounds import named, parted
from harness_core.reading import costs
from harness_core.reading.burnup import clock
from harness_core.reading.components import Component
from harness_core.report.document import (
    Block,
    Bullets,
    Document,
    Heading,
    Mark,
    Paragraph,
    Table,
    Words,
    code,
    muted,
    status,
    strong,
)
from harness_core.report.features import features
from harness_core.report.gather import KEPT, Found, Moment, RoleCost
from harness_core.report.outcome import attention, outcome

NOTHING = "None."


def document(found: Found) -> Document:
    """The report on a run."""
    return Document(
        found.run.root.name,
        [
            *_head(found),
            *_attention(found),
            *features(found),
            *_sprints(found),
            *_iterations(found),
            *_costs(found),
            *_timeline(found),
            *_denials(found),
            *_operator(found),
            *_commits(found),
        ],
    )


def when(ts: str) -> str:
    """A time as a report writes it: UTC, to the second."""
    return ts[:19].replace("T", " ")


def _head(found: Found) -> Iterator[Block]:
    state, report = found.state, found.report
    yield Paragraph([strong(outcome(found))])
    if not state.last_seq:
        yield Paragraph(["There is no journal, or nothing in it."])
        return
    facts: list[Words] = []
    if state.run_id:
        facts.append(["run ", code(state.run_id), f", preset {state.preset}"])
    facts += [
        [f"began {when(state.started) or 'unseen'}, last event {when(state.last_ts)}"],
        [
            f"{clock(report.elapsed_s)} of work, {report.sessions} session{'s' * (report.sessions != 1)}, "
            f"{report.turns:,} turns, {report.tokens:,} tokens, ${report.cost_usd:,.2f}"
        ],
    ]
    limits = ", ".join(f"{named(*parted(key))} {value:,g}" for key, value in state.limits.items())
    if limits:
        facts.append([f"limits: {limits}"])
    yield Bullets(facts)
    yield Paragraph([muted("Times are UTC.")])


def _attention(found: Found) -> Iterator[Block]:
    yield Heading("What to look at")
    items = list(attention(found))
    yield Bullets(items) if items else Paragraph(["Nothing asks for your attention."])


# --- Costs --------------------------------------------------------------------------------------------


def _costs(found: Found) -> Iterator[Block]:
    yield Heading("Costs")
    if not found.state.phases:
        yield Paragraph(["No phase has begun, so there is nothing to count."])
        return
    table = costs.table(found.state)
    yield Table(costs.HEADS, [_cells(row) for row in table.rows], costs.LEFT, _cells(table.total))
    yield Bullets([[line] for line in costs.below(found.report)])
    roles = found.gathered.roles
    if roles:
        yield Heading("By role", 3)
        heads = ("role", "sessions", "time", "turns", "tokens", "cost")
        yield Table(heads, [_role(name, role) for name, role in roles.items()])
    parts = found.report.components
    if parts:
        yield Heading("What each part cost and caught", 3)
        heads = ("part", "caught", "time", "turns", "tokens", "cost")
        yield Table(heads, [_part(part) for part in parts])


def _cells(row: Sequence[str]) -> list[Words]:
    return [[cell] for cell in row]


def _role(name: str, role: RoleCost) -> list[Words]:
    figures = (str(role.sessions), clock(role.ms / 1000), f"{role.turns:,}", f"{role.tokens:,}")
    return _cells([name, *figures, f"${role.usd:,.2f}"])


def _part(part: Component) -> list[Words]:
    caught = "" if part.caught is None else str(part.caught)
    figures = (clock(part.ms / 1000), f"{part.turns:,}", f"{part.tokens:,}", f"${part.usd:,.2f}")
    spent = figures if part.turns or part.ms else ("",) * len(figures)
    return _cells([part.name.replace("_", " "), caught, *spent])


# --- Sprints and iterations ---------------------------------------------------------------------------


def _sprints(found: Found) -> Iterator[Block]:
    sprints = found.gathered.sprints
    if not sprints:
        return
    yield Heading("Sprints")
    rows: list[Sequence[Words]] = [
        [
            [str(number)],
            ["over" if sprint.over else "under way"],
            [f"{sprint.criteria} criteria, by {sprint.by}" if sprint.by else "none"],
            [", ".join(sprint.features)],
        ]
        for number, sprint in sprints.items()
    ]
    yield Table(("sprint", "state", "contract", "features"), rows, 4)


def _iterations(found: Found) -> Iterator[Block]:
    state = found.state
    if not state.iterations:
        return
    yield Heading("Iterations")
    rows: list[Sequence[Words]] = [
        [
            [str(one.number)],
            [status("stands" if one.number == state.chosen else "passed" if one.passed else "")],
            [code((one.commit or "")[:10])],
            [f"{one.total:.1f}"],
        ]
        for one in state.iterations[-KEPT:]
    ]
    yield Table(("iteration", "", "commit", "score of 10"), rows, 3)


# --- What happened ------------------------------------------------------------------------------------


def _timeline(found: Found) -> Iterator[Block]:
    yield Heading("Timeline")
    timeline = found.gathered.timeline
    if not timeline.first:
        yield Paragraph(["The journal is empty or isn't there."])
        return
    rows = _moments(timeline.first)
    if timeline.left_out:
        rows.append([[""], [muted(f"{timeline.left_out:,} more, which `longwatch trace` shows")]])
    yield Table(("time", "what"), [*rows, *_moments(timeline.last)], 2)
    if found.state.damaged:
        yield Paragraph([f"{found.state.damaged} damaged lines of the journal could not be read."])


def _moments(moments: Sequence[Moment]) -> list[Sequence[Words]]:
    return [[[when(moment.ts)], [moment.text]] for moment in moments]


def _denials(found: Found) -> Iterator[Block]:
    yield Heading("What the guards denied")
    denials = found.gathered.denials
    if not denials:
        yield Paragraph([NOTHING])
    for guard, kept in sorted(denials.items(), key=lambda item: -item[1].count):
        times = "once" if kept.count == 1 else f"{kept.count} times"
        yield Heading(f"{guard}: {times}", 3)
        yield Bullets(
            [
                [
                    *([f"session {one.session}: "] if one.session else []),
                    code(f"{one.tool.rpartition('__')[2]} {one.about}".strip()[:300]),
                    f": {one.reason[:600]}",
                ]
                for one in kept.examples
            ]
        )


def _operator(found: Found) -> Iterator[Block]:
    gathered = found.gathered
    yield Heading("What the operator said")
    if not (gathered.decisions or gathered.messages or gathered.operator):
        yield Paragraph([NOTHING])
        return
    if gathered.decisions:
        yield Heading("Decisions", 3)
        yield Bullets([_decision(found, place) for place in range(len(gathered.decisions))])
    if gathered.messages:
        yield Heading("Steering", 3)
        heads = ("message", "mode", "how far it came", "text")
        rows: list[Sequence[Words]] = [
            [
                [one.id],
                [one.mode],
                [
                    f"acknowledged {when(one.acknowledged)}"
                    if one.acknowledged
                    else f"delivered {when(one.delivered)}"
                    if one.delivered
                    else f"queued {when(one.queued)}"
                ],
                [one.text[:1000]],
            ]
            for one in gathered.messages.values()
        ]
        yield Table(heads, rows, 4)
    if gathered.operator:
        yield Heading("Stops and changes", 3)
        yield Table(("time", "what"), _moments(list(gathered.operator)), 2)


def _decision(found: Found, place: int) -> list[str | Mark]:
    one = found.gathered.decisions[place]
    asked = found.gathered.asked.get(one.id)
    words: list[str | Mark] = [f"{when(one.ts)}: checkpoint {one.id}"]
    if asked is not None:
        words.append(f" ({asked.kind}), “{asked.summary}”")
    words += [": ", status(one.decision), f" by {one.by}"]
    if one.note:
        words.append(f": “{one.note[:1000]}”")
    if one.overrides:
        words.append(f"; the evaluator was overridden by {', '.join(one.overrides)}")
    return words


def _commits(found: Found) -> Iterator[Block]:
    yield Heading("Commits")
    gathered = found.gathered
    if not gathered.commits:
        yield Paragraph([NOTHING])
        return
    if gathered.commit_count > len(gathered.commits):
        yield Paragraph([f"The newest {len(gathered.commits)} of {gathered.commit_count:,}."])
    yield Table(
        ("commit", "session", "by", "subject"),
        [
            [[code(one.sha[:10])], [str(one.session or "")], [one.by], [one.subject[:200]]]
            for one in reversed(gathered.commits)
        ],
        4,
    )
