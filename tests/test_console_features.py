"""The features in the console: rates, burn-up, list, one feature, costs, the brief; and the list widget."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import Input, Static

from harness_core.contract import record as ct
from harness_core.contract.record import Status
from harness_core.evidence.claim import Kind
from harness_core.layout import RunDir
from harness_core.reading import burnup, contract_view, costs
from harness_core.reading.burnup import BurnUp, Point
from harness_core.reading.contract_view import Standing
from harness_core.reading.feature_story import Story
from harness_core.reading.sieve import Sieve
from harness_core.record import events as ev
from harness_core.record.fold import fold
from harness_core.record.status import status
from tests import scenes
from tests.scenes import Scene
from tui.console import ages, since
from tui.console.app import Console
from tui.console.head import Head
from tui.console.line_list import LineList, Row
from tui.console.panes.features import FeatureList, FeaturesPane, Rates
from tui.console.screens.brief import BriefScreen
from tui.console.screens.costs import CostsScreen
from tui.console.screens.feature import FeatureScreen
from tui.console.screens.run import RunScreen

Tale = Callable[[Pilot[int]], Awaitable[None]]


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGWATCH_STATE", str(tmp_path / "state"))


async def until(pilot: Pilot[object] | Pilot[int], holds: Callable[[], object]) -> None:
    """Wait for a condition. Fails after a while."""
    for _ in range(250):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError("it never came")


def watch(scene: Scene, tale: Tale, size: tuple[int, int] = (120, 40)) -> None:
    """Tell a tale to a console on that run, whose features pane is shown."""

    async def told() -> None:
        app = Console(scene.run)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen.facts is not None)
            await pilot.press("2")
            await until(pilot, lambda: pane(pilot)._view is not None)
            await tale(pilot)

    asyncio.run(told())


def pane(pilot: Pilot[int]) -> FeaturesPane:
    return next(one for one in pilot.app.screen_stack if isinstance(one, RunScreen)).query_one(FeaturesPane)


def features(pilot: Pilot[int]) -> FeatureList:
    return pane(pilot).query_one(FeatureList)


def rates(pilot: Pilot[int]) -> str:
    return pane(pilot).query_one(Rates).render().plain


def frozen(scene: Scene) -> None:
    """Put a contract of record beside the agents' file, as an engine does."""
    record = ct.freeze(ct.read(scene.run.contract), "2026-01-01T00:00:00Z")
    scene.run.record.write_bytes(ct.encode(record))


# --- Reading ------------------------------------------------------------------------------------------


def test_a_sieve_gives_only_the_wanted_events_and_reads_on(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path)
    sieve = Sieve(scene.run.journal, ev.Commit, ev.FeatureChanged)
    assert [type(event).__name__ for event in sieve.read()] == ["Commit", "FeatureChanged", "Commit"]
    assert not sieve.behind and not list(sieve.read())
    with scene.run.journal.open("ab") as journal:
        journal.write(b'{"type":"commit","seq":\n{"type":"commit","seq":99,"sha":"a"')
    assert sieve.behind and not list(sieve.read())
    with scene.run.journal.open("ab") as journal:
        journal.write(b',"subject":"later","by":"outside"}\n')
    (event,) = sieve.read()
    assert isinstance(event, ev.Commit) and event.subject == "later"


def test_a_sieve_of_no_journal_gives_nothing(tmp_path: Path) -> None:
    assert not list(Sieve(tmp_path / "none", ev.Commit).read())


def test_the_burn_up_counts_what_passes_and_forgets_what_no_longer_does(tmp_path: Path) -> None:
    scene = scenes.begun(tmp_path)
    plot = BurnUp(scene.run)
    plot.read_on()
    assert [point[1:] for point in plot.points] == [(0, 4)]
    scene.claim("F001")
    scene.claim("F002", to=Status.VERIFIED)
    scene.claim("F001", to=Status.REGRESSED)
    assert plot.behind
    plot.read_on()
    assert [point[1:] for point in plot.points] == [(0, 4), (1, 4), (2, 4), (1, 4)]


def test_the_burn_up_of_a_long_run_is_bounded_and_ends_where_the_run_is(tmp_path: Path) -> None:
    scene = scenes.begun(tmp_path)
    for number in range(2 * burnup.MOST):
        scene.claim("F001", to=Status.CLAIMED if number % 2 else Status.REGRESSED)
    plot = BurnUp(scene.run)
    plot.read_on()
    assert len(plot.points) <= burnup.MOST
    assert plot.points[-1] == (scene.second, 1, 4)
    assert list(plot.points) == sorted(plot.points)


def test_a_plot_shows_each_stretch_as_it_ended() -> None:
    points = [Point(0, 0, 4), Point(10, 2, 4), Point(30, 4, 4)]
    shown = burnup.columns(points, 0, 40, 4)
    assert [point.passing for point in shown] == [2, 2, 4, 4]
    assert burnup.drawn(shown, 2) == ["╌╌██", "████"]
    assert burnup.drawn([Point(0, 1, 200)], 2) == ["╌", "▁"]
    assert burnup.drawn([], 2) == ["", ""]


def test_times_are_told_shortly() -> None:
    assert [burnup.clock(span) for span in (0, 61, 36_001, -5)] == [
        "0:00:00",
        "0:01:01",
        "10:00:01",
        "0:00:00",
    ]


@pytest.mark.parametrize(
    ("seconds", "short", "spoken", "ago"),
    [
        (-5, "now", "0 s", "just now"),
        (59, "now", "59 s", "just now"),
        (61, "1m", "61 s", "just now"),
        (5400, "1h", "90 min", "90 min ago"),
        (7200, "2h", "2 h", "2 h ago"),
        (200_000, "2d", "2 days", "2 days ago"),
        (86_400 * 15, "2w", "15 days", "15 days ago"),
        (86_400 * 2000, "5y", "2000 days", "2000 days ago"),
    ],
)
def test_ages_are_told_in_one_unit(seconds: float, short: str, spoken: str, ago: str) -> None:
    assert (ages.short(seconds), ages.spoken(seconds), ages.ago(seconds)) == (short, spoken, ago)


# --- Standings ----------------------------------------------------------------------------------------


def test_what_needs_work_comes_first_and_among_it_what_is_in_hand(tmp_path: Path) -> None:
    scene = scenes.begun(tmp_path, scenes.contract(7))
    for number, to in enumerate((Status.APPROVED, Status.VERIFIED, Status.CLAIMED, Status.REGRESSED), 1):
        scene.claim(f"F00{number}", to=to)
    scene.claim("F005", to=Status.SKIPPED)
    scene.begin(2, "generator", "F007")
    found = contract_view.standings(contract_view.read(scene.run), fold(scene.run))
    assert [item.id for item in found] == ["F004", "F007", "F006", "F003", "F002", "F001", "F005"]
    assert [item.id for item in found if item.in_hand] == ["F007"]
    assert contract_view.tallies(found) == [("style", 1, 3), ("functional", 1, 2), ("speed", 1, 2)]
    assert (Status.FAILING, 2) in contract_view.counts(found)


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("", True),
        ("flag", True),
        ("FLAG f001", True),
        ("status:fail", True),
        ("status:passing", False),
        ("status:claimed flag", False),
        ("category:style", True),
        ("category:speed", False),
        ("elephant", False),
        ("http://x", False),
    ],
)
def test_a_filter_takes_words_statuses_and_categories(wanted: str, fits: bool) -> None:
    item = Standing("F001", "style", "Draw a flag", Status.FAILING)
    assert contract_view.fits(item, wanted) is fits


def test_a_filter_by_passing_takes_all_that_passes() -> None:
    item = Standing("F001", "style", "Draw a flag", Status.VERIFIED)
    assert contract_view.fits(item, "status:passing")


def test_before_the_freeze_a_contract_is_a_draft_everywhere(tmp_path: Path) -> None:
    async def tale(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "a draft of 4 features" in rates(pilot))
        assert "0/4" not in rates(pilot) and len(features(pilot).standings) == 4
        assert "no contract yet" in str(pilot.app.screen.query_one(Head).render())
        names = ["F001", "F002", "F003", "F004"]
        scene.add(ev.ContractFrozen(features=names, sha256="0" * 64, name="feature_list.json"))
        await until(pilot, lambda: "0/4" in rates(pilot))
        await until(pilot, lambda: "0/4" in str(pilot.app.screen.query_one(Head).render()))

    scene = scenes.no_git(tmp_path)
    watch(scene, tale)


def test_a_foreign_contract_is_read_as_it_is(tmp_path: Path) -> None:
    listed = {"features": [{"description": "a", "passes": True}, {"description": "b", "passes": False}]}
    (tmp_path / "test-results.json").write_text(json.dumps(listed))
    run = RunDir.at(tmp_path)
    found = contract_view.standings(contract_view.read(run), fold(run))
    assert [(item.description, item.status.value) for item in found] == [("b", "failing"), ("a", "claimed")]


def test_a_damaged_record_is_said_and_the_agents_file_read_instead(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path)
    scene.run.record.write_text("{}")
    view = contract_view.read(scene.run)
    assert "contract.json" in view.error and len(view.features) == 4 and not view.frozen
    frozen(scene)
    view = contract_view.read(scene.run)
    assert view.frozen and not view.error


def test_features_whose_text_is_lost_are_listed_by_name(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path)
    scene.run.contract.write_text("[")
    view = contract_view.read(scene.run)
    assert "line 1" in view.error
    found = contract_view.standings(view, fold(scene.run))
    assert {item.id for item in found} == {"F001", "F002", "F003", "F004"}


# --- One feature --------------------------------------------------------------------------------------


def test_a_feature_s_story_has_its_sessions_commits_verdicts_and_evidence(tmp_path: Path) -> None:
    scene = scenes.waiting(tmp_path)
    story = Story(scene.run, "F002")
    story.read_on()
    assert [(work.number, work.role) for work in story.sessions] == [(3, "generator"), (4, "evaluator")]
    assert [commit.subject for commit in story.commits] == ["Draw the second flag"]
    assert [verdict.verdict for verdict in story.verdicts] == ["NEEDS_WORK"]
    assert [bound.piece.path for bound in story.evidence] == ["screenshots/F002-flag.png"]
    assert not story.behind

    scene.begin(5, "generator", "F003")
    piece = ev.BoundPiece(
        path="screenshots/both.png", sha256="3" * 64, size=9, mtime_ns=1, kind=Kind.PICTURE, also_for=["F002"]
    )
    scene.add(
        ev.FeatureChanged(
            feature="F003", from_=Status.FAILING, to=Status.CLAIMED, by="generator", evidence=[piece]
        )
    )
    scene.commit("Draw the third")
    story.read_on()
    assert story.evidence[-1].piece == piece and story.evidence[-1].claimed_by == "F003"
    assert len(story.sessions) == 2 and len(story.commits) == 1


# --- Costs --------------------------------------------------------------------------------------------


def test_costs_are_a_table_with_a_sum_that_reads_as_markdown(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path)
    state, report = fold(scene.run), status(scene.run)
    table = costs.table(state)
    assert [row[0] for row in table.rows] == ["initialize", "build"]
    assert table.total[4:7] == ("20", "161,000", "$0.69")
    head, rule, *rows = [line for line in costs.markdown(state, report).splitlines() if line.startswith("|")]
    assert len({len(line) for line in (head, rule, *rows)}) == 1, "the columns stand in line"
    assert [cell.strip() for cell in rows[1].split("|")[1:-1]] == list(table.rows[1])
    assert "of the budget of $50.00" in costs.markdown(state, report)


def test_the_costs_of_nothing_are_no_division_by_zero(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    assert "total" in costs.markdown(fold(run), status(run))


# --- The brief ----------------------------------------------------------------------------------------


def test_a_brief_tells_what_came_after_the_last_look(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path)
    told = since.brief(scene.run, since.last_seen("0123456789ab"))
    assert told.changed == {"F001": (Status.FAILING, Status.CLAIMED)}
    assert told.commit_count == 2 and told.denials["shell"] == 1 and told.usd == pytest.approx(0.69)
    since.remember("0123456789ab", told.end)

    again = since.brief(scene.run, since.last_seen("0123456789ab"))
    assert again.end == again.start == told.end
    scene.add(ev.Error(message="out of luck"), ev.Cost(usd=0.1, tokens=5, phase="build"))
    later = since.brief(scene.run, since.last_seen("0123456789ab"))
    assert later.troubles == ["out of luck"] and later.commit_count == 0
    assert later.usd == pytest.approx(0.1)


def test_a_feature_that_came_back_to_where_it_was_is_no_news(tmp_path: Path) -> None:
    scene = scenes.begun(tmp_path)
    scene.claim("F001")
    scene.add(ev.FeatureChanged(feature="F001", from_=Status.CLAIMED, to=Status.FAILING, by="evaluator"))
    assert since.brief(scene.run, since.Seen()).changed == {}


def test_a_place_in_another_journal_is_not_trusted(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path)
    told = since.brief(scene.run, since.Seen())
    for wrong in (replace_offset(told.end, 10**9), replace_offset(told.end, 7)):
        scene.add(ev.Error(message="news"))
        assert "news" in since.brief(scene.run, wrong).troubles


def replace_offset(seen: since.Seen, offset: int) -> since.Seen:
    return since.Seen(seen.seq, seen.ts, offset)


def test_looking_never_goes_back_and_an_odd_run_id_is_no_file_name(tmp_path: Path) -> None:
    since.remember("abc", since.Seen(9, "t", 5))
    since.remember("abc", since.Seen(3, "t", 1))
    assert since.last_seen("abc").seq == 9
    since.remember("../evil", since.Seen(9))
    assert since.last_seen("../evil") == since.Seen()
    assert {path.name for path in tmp_path.rglob("*.json")} == {"abc.json"}
    next(tmp_path.rglob("abc.json")).write_text("[")
    assert since.last_seen("abc") == since.Seen()


# --- The list -----------------------------------------------------------------------------------------


class Lines(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.moved: list[str] = []

    def compose(self) -> ComposeResult:
        yield LineList(rows(50), empty="nothing here")

    def on_line_list_opened(self, message: LineList.Opened) -> None:
        self.opened.append(message.key)

    def on_line_list_moved(self, message: LineList.Moved) -> None:
        self.moved.append(message.key)


def rows(count: int, *before: str) -> list[Row]:
    names = [*before, *(str(number) for number in range(count))]
    return [Row(name, Content(f"row {name} ")) for name in names]


def try_list(tale: Callable[[Pilot[None], LineList], Awaitable[None]]) -> Lines:
    app = Lines()

    async def told() -> None:
        async with app.run_test(size=(30, 10)) as pilot:
            await tale(pilot, app.query_one(LineList))
            await pilot.pause()

    asyncio.run(told())
    return app


def shown(lines: LineList) -> list[str]:
    return [lines.render_line(y).text.strip() for y in range(lines.size.height)]


def test_keys_move_the_cursor_and_open() -> None:
    async def tale(pilot: Pilot[None], lines: LineList) -> None:
        for key, at in {
            "j": "1",
            "down": "2",
            "k": "1",
            "pagedown": "10",
            "ctrl+d": "19",
            "ctrl+u": "10",
            "G": "49",
            "enter": "49",
            "g": "0",
            "up": "0",
        }.items():
            await pilot.press(key)
            assert lines.cursor_key == at, key
            assert f"row {at}" in shown(lines), "the cursor is in sight"

    app = try_list(tale)
    assert app.opened == ["49"]
    assert app.moved[-1] == "0"


def test_the_cursor_stays_on_its_row_and_the_row_where_it_is_on_the_screen() -> None:
    async def tale(pilot: Pilot[None], lines: LineList) -> None:
        await pilot.press("G", "k")
        before = shown(lines)
        lines.show(rows(50, "new", "newer"))
        await pilot.pause()
        assert lines.cursor_key == "48" and shown(lines) == before
        lines.show(rows(20))
        assert lines.cursor_key == "19", "its row is gone: the last one is next"
        lines.show([])
        await pilot.pause()
        assert lines.cursor_key == "" and shown(lines)[0] == "nothing here"

    assert try_list(tale).moved[-1] == ""


def test_at_the_top_a_list_follows_what_is_new() -> None:
    async def tale(pilot: Pilot[None], lines: LineList) -> None:
        lines.show(rows(50, "new"))
        assert lines.cursor_key == "new" and shown(lines)[0] == "row new"
        await pilot.press("j", "k")

    try_list(tale)


def test_search_goes_round_and_marks() -> None:
    async def tale(pilot: Pilot[None], lines: LineList) -> None:
        await pilot.press("slash")
        pilot.app.query_one(Input).value = "ROW 4"
        await pilot.press("enter")
        assert lines.cursor_key == "4" and lines.note == "/ROW 4: 11"
        await pilot.press("n")
        assert lines.cursor_key == "40"
        await pilot.press("N", "N")
        assert lines.cursor_key == "49"
        await pilot.press("n")
        assert lines.cursor_key == "4"
        marked = [segment.text for segment in lines.render_line(shown(lines).index("row 4"))]
        assert marked[0] == "row 4"

    try_list(tale)


def test_a_filter_leaves_what_fits_and_goes_again() -> None:
    async def tale(pilot: Pilot[None], lines: LineList) -> None:
        await pilot.press("f")
        pilot.app.query_one(Input).value = "row 2"
        await pilot.press("enter")
        assert [row.key for row in lines.rows] == ["2", *(str(number) for number in range(20, 30))]
        lines.sift("nobody")
        assert shown(lines)[0] == "nothing fits the filter"
        lines.sift("")
        assert len(lines.rows) == 50 and lines.note == ""

    try_list(tale)


def test_a_click_chooses_and_a_double_click_opens() -> None:
    async def tale(pilot: Pilot[None], lines: LineList) -> None:
        await pilot.click(LineList, offset=(3, 4))
        assert lines.cursor_key == "4"
        await pilot.click(LineList, offset=(3, 6), times=2)
        await pilot.click(LineList, offset=(3, 9))

    assert try_list(tale).opened == ["6"]


# --- The pane -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "plotted"), [((80, 24), True), ((120, 40), False), ((200, 60), True)])
def test_the_pane_shows_rates_and_list_at_every_size(
    tmp_path: Path, size: tuple[int, int], plotted: bool
) -> None:
    async def tale(pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "1/4" in rates(pilot))
        assert "3 failing" in rates(pilot) and "1 claimed" in rates(pilot)
        await until(pilot, lambda: not plotted or "▕" in rates(pilot))
        assert ("▕" in rates(pilot)) is plotted
        width = features(pilot).size.width
        assert all(len(text) <= width for text in rates(pilot).splitlines())
        first = features(pilot).render_line(0).text
        assert first.startswith("▶○ F002") and "Draw a 2-pixel flag" in first

    watch(scenes.running(tmp_path), tale, size)


def test_what_happens_is_shown_and_the_cursor_stays(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path)

    async def tale(pilot: Pilot[int]) -> None:
        await pilot.press("j")
        assert features(pilot).cursor_key == "F003"
        scene.claim("F002")
        await until(pilot, lambda: "2/4" in rates(pilot))
        assert features(pilot).cursor_key == "F003"

    watch(scene, tale)


def test_a_feature_opens_to_all_that_is_known_of_it(tmp_path: Path) -> None:
    scene = scenes.waiting(tmp_path)

    async def tale(pilot: Pilot[int]) -> None:
        features(pilot).move_to("F002")
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, FeatureScreen) and pilot.app.screen.is_mounted
        )
        page = pilot.app.screen.query_one("#page", Static)
        await until(pilot, lambda: "Commits" in str(page.content))
        for text in (
            "Draw a 2-pixel flag",
            "Look at the picture",
            "screenshots/F002-flag.png",
            "NEEDS WORK",
            "the right edge is ragged",
            "Draw the second flag",
        ):
            assert text in str(page.content), text
        await pilot.press("y")
        assert "Draw a 2-pixel flag" in pilot.app.clipboard
        scene.claim("F002", to=Status.VERIFIED)
        await until(pilot, lambda: str(page.content).startswith("● verified"))
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, RunScreen)

    watch(scene, tale, (80, 24))


def test_the_filter_and_its_note(tmp_path: Path) -> None:
    async def tale(pilot: Pilot[int]) -> None:
        await pilot.press("f")
        pilot.app.screen.query_one(Input).value = "status:failing category:style"
        await pilot.press("enter")
        await pilot.pause()
        assert [row.key for row in features(pilot).rows] == ["F004"]
        assert "1 of 4" in str(pane(pilot).border_subtitle)
        await pilot.press("y")
        assert pilot.app.clipboard == "F004 (failing): Draw a 4-pixel flag"

    watch(scenes.running(tmp_path), tale)


def test_a_broken_contract_is_said_with_its_place(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path)
    scene.run.contract.write_text('[\n {"id": "F001",}\n]')

    async def tale(pilot: Pilot[int]) -> None:
        wrong = pane(pilot).query_one("#wrong", Static)
        await until(pilot, lambda: "line 2" in str(wrong.content))
        assert wrong.display
        scene.run.contract.write_text(json.dumps(scenes.contract()))
        await until(pilot, lambda: not wrong.display)

    watch(scene, tale)


def test_without_a_contract_one_sentence_stands_there(tmp_path: Path) -> None:
    async def tale(pilot: Pilot[int]) -> None:
        await pilot.pause()
        assert features(pilot).render_line(0).text.strip() == "there is no contract yet"
        await pilot.press("enter", "y", "n", "G")

    watch(scenes.empty(tmp_path), tale, (80, 24))


def test_text_from_outside_is_shown_as_it_is(tmp_path: Path) -> None:
    async def tale(pilot: Pilot[int]) -> None:
        assert "[@click=app.exit]x[/]" in features(pilot).render_line(0).text
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, FeatureScreen) and pilot.app.screen.is_mounted
        )
        page = pilot.app.screen.query_one("#page", Static)
        await until(pilot, lambda: "Commits" in str(page.content))
        assert "[/foo]" in str(page.content)
        assert "\x1b" not in str(page.content) and "\u202e" not in str(page.content)

    watch(scenes.hostile(tmp_path), tale, (80, 24))


# --- Costs and brief on the screen ----------------------------------------------------------------------


def test_the_costs_are_live_and_copied_as_markdown(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path)

    async def tale(pilot: Pilot[int]) -> None:
        await pilot.press("c")
        await until(pilot, lambda: isinstance(pilot.app.screen, CostsScreen) and pilot.app.screen.is_mounted)
        costs_screen = pilot.app.screen
        table = costs_screen.query_one("#page", Static)
        assert "$0.69" in str(table.content)
        scene.add(ev.Cost(usd=1.0, tokens=10, phase="build"))
        await until(pilot, lambda: "$1.69" in str(table.content))
        await pilot.press("y")
        assert pilot.app.clipboard.startswith("| phase")
        await pilot.press("q")
        assert isinstance(pilot.app.screen, RunScreen)

    watch(scene, tale, (80, 24))


def test_the_brief_says_first_what_waits_and_is_remembered(tmp_path: Path) -> None:
    scene = scenes.waiting(tmp_path)

    async def tale(pilot: Pilot[int]) -> None:
        for expected in ("+2 pass", "Nothing has happened since you last looked."):
            await pilot.press("b")
            await until(
                pilot, lambda: isinstance(pilot.app.screen, BriefScreen) and pilot.app.screen.is_mounted
            )
            page = pilot.app.screen.query_one("#page", Static)
            await until(pilot, lambda text=expected, page=page: text in str(page.content))
            text = str(page.content)
            assert text.index("waits for a or r") < text.index(expected)
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))

    watch(scene, tale, (80, 24))
