"""What an operator reads of each event: one line that says it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from harness_core.reading.rows import _TOLD, lines
from harness_core.record import events as ev
from harness_core.record.journal import Tail
from tests import scenes

UNTOLD = (ev.Cost, ev.EvidenceRead, ev.PhaseEnded)
"""What goes into sums, or stands elsewhere."""


def test_every_kind_of_event_is_told() -> None:
    assert set(get_args(ev.AnyEvent)) - _TOLD == set(UNTOLD)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "sprint",
            [
                "◆ specification: app_spec.txt (by planner)",
                "▸ sprint 1: F001, F002",
                "▸ sprint 1: contract proposed, round 2 (sprints/01.md)",
                "⚖ the evaluator wants changes in proposal 1 of sprint 1: 1 criterion",
                "⚖ the evaluator agrees to proposal 2 of sprint 1: 1 criterion",
                "◆ sprint 1: contract agreed, 1 criterion (by generator and evaluator)",
                "━━ session 2 · generator · F001, F002 · sonnet",
                "▸ conversation summarised: 167,000 to 21,000 tokens",
                "⚖ PASS on F001, F002 · 7.5 of 10",
                "▸ sprint 1 is over",
                "◆ contract grown by 1 feature",
                "? checkpoint 001 (sprint): F001, F002",
            ],
        ),
        (
            "design",
            [
                "⚖ PASS on the whole · iteration 2 · 7.25 of 10",
                "⚖ NEEDS_WORK on the whole · iteration 3 · 6 of 10",
                "⚖ the goal is not yet met: the page has no footer",
                "? checkpoint 001 (end): Iteration 2 of 3 scored best (7.2): keep it?",
            ],
        ),
    ],
)
def test_each_says_in_a_line_what_happened(tmp_path: Path, name: str, told: list[str]) -> None:
    scene = scenes.SCENES[name](tmp_path / "run")
    shown = [text.strip() for event in Tail(scene.run.journal).read_all() for _, text in lines(event)]
    assert [line for line in told if line not in shown] == []


def test_how_long_a_usage_limit_lasts_is_told_as_seen_then() -> None:
    told = ev.RateLimited(
        status="rejected", ts="2026-01-01T10:00:00.000Z", resets_at="2026-01-01T12:05:00+00:00"
    )
    ((_, text),) = lines(told)
    assert text.strip() == "◷ rate limit rejected, resets in 2:05:00, at 2026-01-01T12:05:00+00:00"
    ((_, text),) = lines(ev.RateLimited(status="rejected", resets_at="soon"))
    assert text.strip() == "◷ rate limit rejected, resets at soon"


def test_whose_choice_stands_is_told() -> None:
    chosen = ev.IterationChosen(iteration=2, by="operator", commit="0" * 40)
    assert [text.strip() for _, text in lines(chosen)] == [
        "◆ iteration 2 is the one that stands (by operator)"
    ]
