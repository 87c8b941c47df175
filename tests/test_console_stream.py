"""The stream and the trace: a window of the journal, what stands in it, and the keys that move it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.reading.rows import Look, is_told
from harness_core.record import events as ev
from harness_core.record.journal import Journal
from tui.console.app import Console
from tui.console.cards.prompt import PromptCard
from tui.console.journal_entries import DAMAGED, TOO_LONG, Entry
from tui.console.journal_filter import parse_filter
from tui.console.journal_layout import Laid, Layout
from tui.console.journal_lines import Step, offset_of
from tui.console.journal_place import Place
from tui.console.journal_search import find, said, trouble
from tui.console.journal_window import JournalWindow
from tui.console.panes.stream import StreamPane, StreamView
from tui.console.screens.trace import TraceScreen
from tui.console.wrapping import cut, wrap


def call(number: int, tool: str = "Bash", **values: Any) -> ev.ToolUse:
    return ev.ToolUse(session=1, role="generator", tool_use_id=f"t{number}", tool=tool, input=values)


def result(number: int, *, ok: bool = True, output: str = "", **more: Any) -> ev.ToolResult:
    return ev.ToolResult(
        session=1, role="generator", tool_use_id=f"t{number}", ok=ok, ms=12, output=output, **more
    )


def denial(number: int, reason: str) -> ev.GuardDecision:
    return ev.GuardDecision(session=1, tool_use_id=f"t{number}", tool="Bash", guard="shell", reason=reason)


def write(run: RunDir, *events: ev.Event) -> None:
    journal = Journal(run.journal)
    for event in events:
        journal.append(event)
    journal.close()


def texts(count: int, start: int = 0) -> list[ev.Event]:
    return [
        ev.Text(session=1, role="generator", text=f"word {number}") for number in range(start, start + count)
    ]


def numbers(entries: list[Entry]) -> list[int]:
    return [entry.event.seq for entry in entries]


class Plain:
    """Draws an entry as its number, on as many lines as its text has words."""

    def lay(self, entry: Entry, width: int) -> list[Laid]:
        words = entry.event.text.split() if isinstance(entry.event, ev.Text) else ["?"]
        return [((Look.PLAIN, f"{entry.event.seq} {word}"),) for word in words]

    def laid_by(self, entry: Entry) -> object:
        return None


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.at(tmp_path / "run")


# --- The window --------------------------------------------------------------------------------------


def test_it_opens_at_the_end_and_reads_back_to_the_beginning(run: RunDir) -> None:
    write(run, *texts(3000))
    window = JournalWindow(run.journal)
    window.to_end()
    assert numbers(window.entries)[-1] == 3000
    assert not window.at_start
    while window.extend(-1):
        pass
    assert numbers(window.entries) == [*range(1, 3001)]


def test_it_holds_so_many_entries_wherever_it_goes(run: RunDir) -> None:
    write(run, *texts(2000))
    window = JournalWindow(run.journal, room=200, chunk=1000)
    window.to_end()
    while window.extend(-1):
        assert len(window.entries) <= 200
    assert numbers(window.entries) == [*range(1, 201)]
    while window.extend(1):
        assert len(window.entries) <= 200
    assert numbers(window.entries) == [*range(1801, 2001)]


def test_what_came_of_a_call_is_told_on_its_line(run: RunDir) -> None:
    write(run, call(1, command="ls"), call(2, command="rm"), result(1), denial(2, "no"), result(2, ok=False))
    window = JournalWindow(run.journal)
    window.to_end()
    first, second = window.entries
    assert first.outcome is not None and first.outcome.ok
    assert second.denial is not None and second.denial.reason == "no"
    assert window.owner(offset_of(run.journal, 3) or 0) is first


def test_an_outcome_finds_its_call_when_that_is_read_later(run: RunDir) -> None:
    write(run, call(1, command="make"), *texts(20), result(1))
    window = JournalWindow(run.journal, chunk=600)
    window.to_end()
    assert isinstance(window.entries[-1].event, ev.ToolResult)
    while window.extend(-1):
        pass
    assert isinstance(window.entries[0].event, ev.ToolUse)
    assert window.entries[0].outcome is not None
    assert len(window.entries) == 21


def test_an_outcome_reaches_a_call_that_is_held_also_when_the_reader_is_elsewhere(run: RunDir) -> None:
    write(run, call(1, command="make"), *texts(5))
    window = JournalWindow(run.journal)
    window.to_end()
    write(run, *texts(3), result(1))
    assert window.advance(follow=False)
    assert window.entries[0].outcome is not None
    assert window.new == 3


def test_what_has_no_room_is_counted_and_read_when_the_reader_comes(run: RunDir) -> None:
    write(run, *texts(60))
    window = JournalWindow(run.journal, room=50)
    window.to_end()
    window.extend(-1)
    write(run, *texts(500, 60))
    while window.advance(follow=False):
        pass
    assert window.new == 500
    assert not window.at_end
    while window.extend(1):
        pass
    assert numbers(window.entries) == [*range(511, 561)]


def test_who_is_far_behind_and_follows_goes_to_the_end_at_once(run: RunDir) -> None:
    write(run, *texts(10))
    window = JournalWindow(run.journal)
    window.to_end()
    write(run, *texts(10_000, 10))
    assert window.advance(follow=True)
    assert numbers(window.entries)[-1] == 10_010
    assert not window.advance(follow=True)


def test_a_journal_that_isnt_there_yet_and_one_that_is_replaced(run: RunDir) -> None:
    window = JournalWindow(run.journal)
    window.to_end()
    assert window.entries == [] and not window.advance(follow=True)
    write(run, *texts(3))
    assert window.advance(follow=True)
    assert numbers(window.entries) == [1, 2, 3]
    run.journal.unlink()
    write(run, *texts(2))
    assert window.advance(follow=True)
    assert numbers(window.entries) == [1, 2]


def test_a_line_that_is_being_written_isnt_read_before_it_is_whole(run: RunDir) -> None:
    write(run, *texts(2))
    whole = run.journal.read_bytes()
    run.journal.write_bytes(whole[:-20])
    window = JournalWindow(run.journal)
    window.to_end()
    assert numbers(window.entries) == [1]
    with run.journal.open("ab") as stream:
        stream.write(whole[-20:])
    window.advance(follow=True)
    assert numbers(window.entries) == [1, 2]


def test_damage_costs_itself_alone_and_a_giant_line_is_only_named(run: RunDir) -> None:
    write(run, *texts(1), ev.Text(text="x" * (3 << 20)), *texts(1))
    lines = run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(b"".join([lines[0], b'{"seq": 1, \r nonsense\x00\n', *lines[1:]]))
    window = JournalWindow(run.journal)
    window.to_end()
    while window.extend(-1):
        pass
    kinds = [e.event.fields["type"] for e in window.entries if isinstance(e.event, ev.Unknown)]
    assert kinds == [DAMAGED, TOO_LONG]
    assert numbers(window.entries) == [1, 0, 2, 3]
    assert sum(len(str(entry.event)) for entry in window.entries) < 20_000


def test_an_event_is_found_by_its_number_past_damage(run: RunDir) -> None:
    write(run, *texts(500))
    lines = run.journal.read_bytes().splitlines(keepends=True)
    for place in (3, 100, 101):
        lines[place] = b"nonsense\n"
    run.journal.write_bytes(b"".join(lines))
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found = [offset_of(run.journal, seq) for seq in (1, 2, 50, 300, 499)]
    assert found == [starts[0], starts[1], starts[49], starts[299], starts[498]]
    assert offset_of(run.journal, 501) is None


# --- Laying out --------------------------------------------------------------------------------------


def test_walking_gives_every_line_once_in_both_directions(run: RunDir) -> None:
    chance = random.Random(7)
    write(run, *(ev.Text(text="w " * chance.randrange(1, 9)) for _ in range(400)))
    window = JournalWindow(run.journal, room=120, chunk=1500)
    layout = Layout(window, Plain())
    layout.height = 10
    window.to_end()
    window.to(0)
    pos = (0, 0)
    forwards: list[tuple[int, int]] = []
    while not forwards or forwards[-1] != pos:
        forwards.append(pos)
        pos = layout.walk(pos, 1)
    backwards: list[tuple[int, int]] = []
    while not backwards or backwards[-1] != pos:
        backwards.append(pos)
        pos = layout.walk(pos, -1)
    assert backwards[::-1] == forwards
    assert len({offset for offset, _ in forwards}) == 400
    for _ in range(60):
        start, by = chance.randrange(len(forwards)), chance.randrange(-300, 300)
        window.to(forwards[start][0])
        there = max(0, min(start + by, len(forwards) - 1))
        assert layout.walk(forwards[start], by) == forwards[there]
        shown = [at for at, _ in layout.page(layout.walk(forwards[start], by))]
        assert shown == forwards[there : there + 10]


class Five(Plain):
    """Has room for five lines."""

    size = (20, 5)

    def last_lines(self) -> list[Laid]:
        return []

    def nothing(self, *, looking: bool) -> str:
        return "looking" if looking else "nothing"

    def look_further(self, step: Step) -> None:
        raise AssertionError("there is enough near")


def test_a_place_follows_the_end_until_one_moves_up_and_again_from_the_last_line(run: RunDir) -> None:
    window = JournalWindow(run.journal)
    place = Place(window, Five())

    def seen() -> list[str]:
        place.renew()
        return ["".join(text for _, text in line).split()[-1] for _, line in place.page]

    assert seen() == ["nothing"]
    write(run, *(ev.Text(text=str(number)) for number in range(20)))
    window.advance(follow=place.follow)
    assert seen() == ["15", "16", "17", "18", "19"]
    assert not place.move(1)
    assert place.move(-1) and not place.follow
    write(run, ev.Text(text="20"))
    window.advance(follow=place.follow)
    assert seen() == ["15", "16", "17", "18", "19"] and window.new == 1
    assert place.scroll(-12) and seen() == ["3", "4", "5", "6", "7"]
    assert place.lines == [((Look.PLAIN, "8 7"),)]
    place.to_start()
    assert seen()[0] == "0" and place.share < 0.5
    assert place.to_row(2) and not place.to_row(5)
    assert place.entry is not None and place.entry.event.seq == 3
    place.to(window.entries[20].offset)
    assert seen()[-1] == "20" and not place.follow and place.share == 1
    assert place.move(1) and place.follow


@pytest.mark.parametrize(
    "text", ["plain words that go on and on", "日本語の文章がここにあります", "x" * 90, ""]
)
@pytest.mark.parametrize("width", [8, 13, 40])
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    from rich.cells import cell_len  # noqa: PLC0415

    rows = wrap(f"  ◆ {text}", width)
    assert all(cell_len(row) <= width for row in rows)
    assert "".join("".join(rows).split()) == "".join(f"◆{text}".split())
    assert cell_len(cut(text, width)) <= width


# --- Search and filter -------------------------------------------------------------------------------


def everything(entry: Entry) -> bool:
    return True


def test_search_goes_both_ways_wraps_and_says_when_there_is_nothing(run: RunDir) -> None:
    write(run, *texts(40), ev.Text(text='A "quoted" Größe'), *texts(40))
    at = offset_of(run.journal, 41) or 0
    for words in ('"QUOTED"', "größe", "QUOTED", "a "):
        assert find(run.journal, 0, 1, said(words, everything)) == at
    end = run.journal.stat().st_size
    assert find(run.journal, end, -1, said("quoted", everything)) == at
    assert find(run.journal, at, 1, said("quoted", everything)) is None
    assert find(run.journal, at, 1, said("quoted", everything), wraps=True) == at
    assert find(run.journal, at, -1, said("generator", everything), wraps=True) is None
    assert find(run.journal, 0, 1, said("quoted", everything), lambda: True) is None


@pytest.mark.parametrize(("text", "words"), [("273 \u212a", "k"), ("\u0130stanbul", "i")])
def test_letters_whose_lower_case_is_another_alphabets_are_found(run: RunDir, text: str, words: str) -> None:
    write(run, *texts(3), ev.Text(text=text))
    window = JournalWindow(run.journal, parse_filter(words).wants)
    window.reader.may_hold = parse_filter(words).may_hold
    window.to_end()
    assert numbers(window.entries) == [4]
    assert find(run.journal, 0, 1, said(words, everything)) == offset_of(run.journal, 4)


def test_trouble_is_an_error_a_denial_a_failed_call_or_tampering(run: RunDir) -> None:
    harmless = ev.Text(text='"type":"error" "ok":false')
    write(
        run,
        harmless,
        call(1),
        result(1, ok=False),
        harmless,
        denial(2, "no"),
        ev.Error(message="x"),
        ev.ContractTampered(what="y"),
        result(3),
    )
    found, at = [], 0
    while (next_at := find(run.journal, at, 1, trouble(everything))) is not None:
        at = next_at
        found.append(at)
    assert found == [offset_of(run.journal, seq) for seq in (3, 5, 6, 7)]


def test_a_filter_names_roles_sessions_kinds_and_words(run: RunDir) -> None:
    write(
        run,
        ev.Text(session=1, role="generator", text="Blue sky"),
        ev.Text(session=2, role="evaluator", text="blue"),
        call(1, command="paint it BLUE"),
        result(1),
        call(2, command="ls"),
        result(2, ok=False, output="blue failed"),
        ev.Verdict(session=2, role="evaluator", verdict="PASS", scope=["F001"]),
    )

    def wanted(text: str) -> list[int]:
        chosen = parse_filter(text)
        window = JournalWindow(run.journal, chosen.wants)
        window.reader.may_hold = chosen.may_hold
        window.to_end()
        return numbers(window.entries)

    assert wanted("") == [1, 2, 3, 5, 7]
    assert wanted("role:gen") == [1, 3, 5]
    assert wanted("session:2-9") == [2, 7]
    assert wanted("kind:tool,verdict") == [3, 5, 7]
    assert wanted("kind:failed") == [5]
    assert wanted("kind:verdict role:generator") == []
    assert wanted("blue") == [1, 2, 3, 5]
    assert wanted("role:generator kind:tool blue") == [3, 5]


@pytest.mark.parametrize("text", ["kind:nonsense", "session:x", "session:1-y"])
def test_a_filter_that_means_nothing_says_so(text: str) -> None:
    with pytest.raises(Mistake):
        parse_filter(text)


def test_a_call_that_fails_later_comes_into_a_filter_for_failed_ones(run: RunDir) -> None:
    write(run, *texts(1))
    window = JournalWindow(run.journal, parse_filter("kind:failed").wants)
    window.to_end()
    write(run, call(1), *texts(2))
    window.advance(follow=True)
    assert window.entries == []
    write(run, result(1, ok=False))
    window.advance(follow=True)
    assert numbers(window.entries) == [2]


# --- On the screen -----------------------------------------------------------------------------------


def shown(view: Any) -> list[str]:
    return ["".join(text for _, text in laid).rstrip() for _, laid in view.page]


def on_screen(
    run: RunDir, check: Callable[[Pilot[int], StreamView], Awaitable[None]], size: tuple[int, int] = (120, 40)
) -> None:
    async def go() -> None:
        async with Console(run).run_test(size=size) as pilot:
            await pilot.pause()
            view = pilot.app.screen.query_one(StreamPane).view
            await until(pilot, lambda: view.has_focus and view.size.height > 0)
            await check(pilot, view)

    asyncio.run(go())


async def until(pilot: Pilot[int], met: Callable[[], object]) -> None:
    for _ in range(500):
        if met():
            return
        await pilot.pause(0.01)
    raise AssertionError("it never came")


def test_each_kind_of_event_has_its_line(run: RunDir) -> None:
    write(
        run,
        ev.RunStarted(format=1, preset="demo", run_id="r1"),
        ev.SessionStarted(session=1, role="generator", sdk_session="s", model="sonnet", feature="F004"),
        ev.Text(session=1, role="generator", text="I look [b]first[/b]."),
        call(1, command="ls -la"),
        result(1),
        call(2, "mcp__longwatch__claim_feature", feature="F004"),
        denial(2, "look at it first"),
        result(2, ok=False),
        ev.ToolUse(session=1, tool_use_id="t3", tool="Read", input={"file_path": "a.py"}, agent="helper"),
        ev.ToolResult(session=1, tool_use_id="t3", ok=False, ms=7, output="no such file", agent="helper"),
        call(4, command="make"),
        ev.Cost(usd=1, tokens=1, phase="build"),
        ev.SteerQueued(id="7", mode="now", text="faster"),
        ev.SteerDelivered(id="7"),
        ev.StopRequested(mode="pause"),
        ev.StopConfirmed(mode="pause"),
        ev.LimitReached(limit="max_usd", value=5, cap=5),
    )

    async def check(pilot: Pilot[int], view: StreamView) -> None:
        rows = shown(view)
        width = view.size.width

        def right(text: str, took: str) -> str:
            return f"{text}{took:>{width - len(text)}}"

        assert rows[0] == "● run r1 · demo"
        assert rows[2].startswith("━━ session 1 · generator · F004 · sonnet ━━━")
        assert rows[3:] == [
            "  I look [b]first[/b].",
            right("  · Bash ls -la", "12 ms"),
            "  ⊘ claim_feature F004  denied (shell): look at it first",
            right("      ↳ ✗ Read a.py  no such file", "7 ms"),
            "  ⋯ Bash make  no result",
            "  ✎ steering 7 queued (now): faster",
            "  ✎ steering 7 delivered",
            "  □ stop requested (pause)",
            "  ■ stopped (pause), confirmed",
            "  ⚠ limit max-usd reached: 5 of 5",
        ]

    on_screen(run, check)


def test_a_result_whose_call_is_far_above_says_so(run: RunDir) -> None:
    write(run, call(1, command="make"), *texts(800), result(1, ok=False, output="it broke"))

    async def check(pilot: Pilot[int], view: StreamView) -> None:
        assert shown(view)[-1].startswith("  ✗ a call begun before ")
        assert "it broke" in shown(view)[-1]

    on_screen(run, check)


def test_a_call_whose_result_is_far_below_isnt_said_to_have_none(run: RunDir) -> None:
    write(run, call(1, command="make"), *texts(8000), result(1))

    async def check(pilot: Pilot[int], view: StreamView) -> None:
        view.go_to_seq(1)
        await until(pilot, lambda: shown(view)[0].startswith("  ⋯ Bash make"))
        assert "no result" not in shown(view)[0]

    on_screen(run, check)


def test_a_call_opens_to_what_was_asked_and_what_came(run: RunDir) -> None:
    sha = "ab" * 32
    run.blobs.mkdir(parents=True)
    (run.blobs / sha).write_text("the whole output\x1b[31m\nits second line")
    write(run, call(1, command="cat big"), result(1, output="the whole", blob=sha), call(2), denial(2, "no!"))

    async def check(pilot: Pilot[int], view: StreamView) -> None:
        await pilot.press("g", "enter")
        await until(pilot, lambda: "    │ its second line" in shown(view))
        assert '    │   "command": "cat big"' in shown(view)
        await pilot.press("enter")
        assert len(shown(view)) == 2
        await pilot.press("j", "enter")
        assert "    │ no!" in shown(view)
        await pilot.click(view, offset=(5, 0))
        await until(pilot, lambda: "    │ its second line" in shown(view))

    on_screen(run, check)


def test_an_upward_move_ends_following_and_end_returns(run: RunDir) -> None:
    write(run, *texts(300))

    async def check(pilot: Pilot[int], view: StreamView) -> None:
        pane = pilot.app.screen.query_one(StreamPane)
        assert view.place.follow and shown(view)[-1] == "  word 299"
        await pilot.press("k")
        assert not view.place.follow
        before = shown(view)
        write(run, *texts(7, 300))
        await until(pilot, lambda: "+7 new" in str(pane.border_subtitle))
        assert shown(view) == before
        await pilot.press("G")
        assert view.place.follow and shown(view)[-1] == "  word 306"
        await pilot.press("g")
        assert shown(view)[0] == "  word 0"
        await until(pilot, lambda: "%" in str(pane.border_subtitle))
        await pilot.click(pane, offset=(10, pane.outer_size.height - 1))
        assert view.place.follow
        write(run, *texts(1, 307))
        await until(pilot, lambda: shown(view)[-1] == "  word 307")
        for move in ("pageup", "ctrl+u"):
            await pilot.press(move)
            assert not view.place.follow
            await pilot.press("end")
            assert view.place.follow
        await pilot.press("up", "down", "down")
        assert view.place.follow

    on_screen(run, check)


def test_search_marks_and_goes_from_match_to_match(run: RunDir) -> None:
    marked = [ev.Text(text=f"needle {number}") for number in range(3)]
    write(run, *texts(200), marked[0], *texts(200), marked[1], *texts(200), marked[2], *texts(200))

    async def check(pilot: Pilot[int], view: StreamView) -> None:
        async def press(key: str, seq: int) -> None:
            await pilot.press(key)
            await until(pilot, lambda: view.entry is not None and view.entry.event.seq == seq)

        await pilot.press("slash")
        await until(pilot, lambda: pilot.app.screen.query(PromptCard))
        await pilot.press(*"needle")
        await press("enter", 603)
        assert view.has_focus
        await press("N", 402)
        await press("N", 201)
        await press("N", 603)
        await press("n", 201)
        strip = next(view.render_line(y) for y, row in enumerate(shown(view)) if "needle" in row)
        assert any(piece.text == "needle" for piece in strip)
        await pilot.press("slash")
        await until(pilot, lambda: pilot.app.screen.query(PromptCard))
        await pilot.press(*"absent", "enter")
        await until(pilot, lambda: "not found" in view.where())
        await pilot.press("escape")
        assert view.words == "" and "not found" not in view.where()

    on_screen(run, check)


def test_a_filter_shows_some_and_escape_shows_all(run: RunDir) -> None:
    write(run, *texts(2000), ev.Verdict(session=1, verdict="PASS", scope=["F001"]), *texts(2000))

    async def check(pilot: Pilot[int], view: StreamView) -> None:
        await pilot.press("f")
        await until(pilot, lambda: pilot.app.screen.query(PromptCard))
        await pilot.press(*"kind:verdict", "enter")
        await until(pilot, lambda: shown(view) == ["  ⚖ PASS on F001"])
        assert "kind:verdict" in str(pilot.app.screen.query_one(StreamPane).border_title)
        await pilot.press("escape")
        await until(pilot, lambda: shown(view)[-1] == "  word 1999")

    on_screen(run, check)


def test_trouble_is_gone_to_and_an_event_by_its_number(run: RunDir) -> None:
    write(run, *texts(300), call(1), result(1, ok=False), *texts(300), ev.Error(message="x"), *texts(300))

    async def check(pilot: Pilot[int], view: StreamView) -> None:
        async def press(key: str, seq: int) -> None:
            await pilot.press(key)
            await until(pilot, lambda: view.entry is not None and view.entry.event.seq == seq)

        await press("left_square_bracket", 603)
        await press("left_square_bracket", 301)
        await press("right_square_bracket", 603)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "no trouble" in view.where())
        pilot.app.screen.query_one(StreamPane).go_to_seq(150)
        assert view.entry is not None and view.entry.event.seq == 150

    on_screen(run, check)


def test_no_journal_is_one_calm_sentence(run: RunDir) -> None:
    run.root.mkdir()

    async def check(pilot: Pilot[int], view: StreamView) -> None:
        assert shown(view) == ["Nothing has happened here yet."]
        await pilot.press("j", "k", "g", "G", "enter", "n", "pageup", "right_square_bracket", "y", "e")
        write(run, *texts(2))
        await until(pilot, lambda: shown(view) == ["  word 0", "  word 1"])

    on_screen(run, check)


def test_the_place_is_kept_when_the_width_changes(run: RunDir) -> None:
    write(run, *(ev.Text(text=f"{number} " + "日本語 words " * 20) for number in range(200)))

    async def check(pilot: Pilot[int], view: StreamView) -> None:
        pilot.app.screen.query_one(StreamPane).go_to_seq(100)
        await pilot.pause()
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: view.size.width < 80 and view.size.height)
        assert view.entry is not None and view.entry.event.seq == 100
        assert any(row.startswith("  99 ") for row in shown(view))

    on_screen(run, check)


def test_the_trace_shows_every_event_and_searches_them(run: RunDir) -> None:
    write(run, *texts(50), call(1, command="ls"), result(1), ev.Cost(usd=1, tokens=2, phase="build"))

    async def go() -> None:
        async with Console(run).run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: pilot.app.screen.query_one(StreamPane).view.has_focus)
            await pilot.press("t")
            assert isinstance(pilot.app.screen, TraceScreen)
            view = pilot.app.screen.view
            await until(pilot, lambda: view.size.height)
            assert [entry.event.seq for entry in view.window.entries] == [*range(1, 54)]
            assert "cost" in shown(view)[-1] and '"tokens": 2' in shown(view)[-1]
            await pilot.press("k", "enter")
            assert any(json.dumps("tool_use_id") in row for row in shown(view))
            write(run, *texts(1, 50))
            await pilot.press("G")
            await until(pilot, lambda: "word 50" in shown(view)[-1])
            await pilot.press("q")
            assert not isinstance(pilot.app.screen, TraceScreen)

    asyncio.run(go())


def test_everything_that_is_told_has_a_form() -> None:
    assert not is_told(ev.Cost(usd=0, tokens=0, phase=""))
    assert not is_told(ev.Unknown())
