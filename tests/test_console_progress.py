"""The notes on the console: cut into blocks, made into lines where they are seen, following what changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot

from harness_core.layout import RunDir
from harness_core.machine.files import write_whole
from tui.console.app import Console
from tui.console.markdown_lines import rendered
from tui.console.notes import read_notes
from tui.console.panes.progress import NotesView
from tui.console.paper import Paper, first_look, newest, split
from tui.console.spans import Line, marked, wrapped


def plain(line: Line) -> str:
    return "".join(text for text, _ in line)


def shown(text: str, width: int = 40) -> list[str]:
    return [plain(line).rstrip() for line in rendered(text, width)]


def sessions(count: int) -> str:
    return "# Progress\n\n" + "".join(
        f"## Session {n}\n\n- built F{n:03}\n- it **works**\n\n" for n in range(1, count + 1)
    )


# --- Lines ------------------------------------------------------------------------------------------


def test_markdown_becomes_lines_without_its_signs() -> None:
    text = "# Notes\n\n- one **bold** `x`\n  - two\n\n1. first\n2. second\n\n> said\n\n```py\na = 1\n```\n"
    assert shown(text) == [
        "Notes",
        "",
        "• one bold x",
        "  • two",
        "",
        "1. first",
        "2. second",
        "",
        "▎ said",
        "",
        "  a = 1",
        "",
    ]


def test_each_piece_of_text_says_what_it_is() -> None:
    (line,) = rendered("a **b *c*** `d` [e](http://f)", 40)
    kinds = {text.strip(): kind for text, kind in line if text.strip()}
    assert kinds == {"a": "", "b": "strong", "c": "strong em", "d": "code", "e": "link"}


def test_a_table_keeps_to_the_width() -> None:
    text = "| Name | What it is |\n|--|--|\n| a | " + "word " * 20 + "|\n"
    lines = shown(text, 30)
    assert lines[0] == "Name  What it is"
    assert set(lines[1]) == {"─"}
    assert max(map(len, lines)) <= 30
    assert " ".join(lines).count("word") == 20


@pytest.mark.parametrize("text", ["漢字" * 60, "word " * 60, "x" * 200, "- 漢字 word " * 9, "a\u0301" * 90])
@pytest.mark.parametrize("width", [1, 7, 40])
def test_no_line_is_wider_than_the_screen_and_no_text_is_lost(text: str, width: int) -> None:
    lines = list(wrapped([(text, "")], width))
    assert "".join(map(plain, lines)) == text
    widest = max(cell_len(plain(line).rstrip()) for line in lines)
    assert widest <= max(width, 2)


@pytest.mark.parametrize("text", ["[" * 9000, "*a" * 5000, "> " * 3000, "- " * 3000, "|" * 9000, "<a" * 5000])
def test_odd_text_is_shown_somehow(text: str) -> None:
    blocks = split(text)
    paper = Paper(blocks, 40)
    paper.look(0, 50)
    assert paper.height >= 1


def test_what_is_searched_for_is_marked_across_pieces() -> None:
    line = marked((("say He", ""), ("llo", "strong"), (" again", "")), "hello")
    assert [text for text, kinds in line if "found" in kinds.split()] == ["He", "llo"]
    assert plain(line) == "say Hello again"


# --- Blocks -------------------------------------------------------------------------------------------


def test_blocks_hold_the_whole_text_and_stay_small() -> None:
    text = sessions(200)
    blocks = split(text)
    assert "\n".join(block.text for block in blocks) == text
    assert [block.heading for block in blocks if block.heading][:3] == ["Progress", "Session 1", "Session 2"]
    listed = split("\n".join(f"- item {n} of a long list" for n in range(2000)))
    assert max(len(block.text) for block in listed) < 2000


def test_a_long_code_block_stays_code_in_all_its_parts() -> None:
    code = "\n".join(f"# line {n}" for n in range(600))
    paper = Paper(split(f"before\n\n```\n{code}\n```\n\nafter **it**\n"), 40)
    paper.look(0, 5000)
    lines = [paper.line(y) for y in range(paper.height)]
    assert sum(line[0][1] == "code" for line in lines if line) == 600
    assert plain(lines[-2]) == "after it"


def test_the_section_that_changed_last_is_found() -> None:
    before = split(sessions(30))
    at_end = split(sessions(31))
    assert at_end[newest(before, at_end) or 0].heading == "Session 31"
    on_top = split("# Progress\n\n## Session 31\n\n- new\n\n" + sessions(30).removeprefix("# Progress\n\n"))
    assert on_top[newest(before, on_top) or 0].heading == "Session 31"
    inside = split(sessions(30).replace("built F012", "mended F012"))
    assert inside[newest(before, inside) or 0].heading == "Session 12"
    assert newest(before, list(before)) is None


def test_a_first_look_goes_where_the_headings_count_to() -> None:
    rising = split(sessions(12))
    assert rising[first_look(rising)].heading == "Session 12"
    falling = split("# P\n\n## 2026-03-02\n\nb\n\n## 2026-03-01\n\na\n")
    assert first_look(falling) == 0
    assert first_look(split("just text")) == 0


def test_only_what_is_looked_at_is_made() -> None:
    paper = Paper(split(sessions(500)), 40)
    y = paper.look(paper.top(250), 20)
    assert 0 < len(paper.made) < 20
    place, _ = paper.at(y)
    assert paper.blocks[place].heading == "Session 250"
    again = Paper(split(sessions(501)), 40, paper)
    assert set(again.made) == set(paper.made)


def test_a_search_finds_what_was_never_made_and_goes_round() -> None:
    paper = Paper(split(sessions(300)), 40)
    y = paper.find("F280", 0, 1)
    assert y is not None and "F280" in plain(paper.line(y))
    assert paper.find("F280", y + 1, 1) == y
    assert paper.find("F280", y - 1, -1) is not None
    assert paper.find("nowhere", 0, 1) is None


# --- Files ----------------------------------------------------------------------------------------------


def test_notes_are_read_once_a_version(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    nothing = read_notes(run, None)
    assert nothing is not None and nothing.mark is None
    (tmp_path / "claude-progress.txt").write_bytes(b"\xff\x1b]52;c;aGk=\x07ok\r\n")
    notes = read_notes(run, None)
    assert notes is not None and notes.remark == "not UTF-8"
    assert "\x1b" not in notes.blocks[0].text and "ok" in notes.blocks[0].text
    assert read_notes(run, notes.mark) is None


def test_huge_notes_are_cut_with_a_word(tmp_path: Path) -> None:
    (tmp_path / "PROGRESS.md").write_text("# First\n\n" + "a line of notes\n" * 700_000 + "\n## Last\n")
    notes = read_notes(RunDir.at(tmp_path), None)
    assert notes is not None
    texts = [block.text for block in notes.blocks]
    assert texts[0].startswith("# First") and texts[-1].startswith("## Last")
    assert sum(map(len, texts)) < 2 << 20
    assert any("MB are left out" in text for text in texts)


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "PROGRESS.md").mkdir()
    notes = read_notes(RunDir.at(tmp_path), None)
    assert notes is not None and notes.mark is None and notes.remark


# --- The pane ---------------------------------------------------------------------------------------------


def console(
    root: Path, test: Callable[[Pilot[int], NotesView], Coroutine[None, None, None]], size: tuple[int, int]
) -> None:
    async def main() -> None:
        async with Console(RunDir.at(root)).run_test(size=size) as pilot:
            await pilot.press("3")
            view = pilot.app.screen.query_one(NotesView)
            await test(pilot, view)

    asyncio.run(main())


def lines(view: NotesView) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.size.height)]


async def until(pilot: Pilot[int], view: NotesView, fits: Callable[[list[str]], bool]) -> None:
    async with asyncio.timeout(20):
        while not fits(lines(view)):
            await pilot.pause(0.01)


def test_without_notes_a_sentence_stands_there(tmp_path: Path) -> None:
    async def test(pilot: Pilot[int], view: NotesView) -> None:
        await until(pilot, view, lambda found: found[0].startswith("No notes yet."))
        write_whole(tmp_path / "PROGRESS.md", b"# Here\n")
        await until(pilot, view, lambda found: found[0] == "Here")

    console(tmp_path, test, (80, 24))


def test_the_view_follows_what_changes_until_the_reader_moves(tmp_path: Path) -> None:
    notes = tmp_path / "PROGRESS.md"
    notes.write_text(sessions(60))

    async def test(pilot: Pilot[int], view: NotesView) -> None:
        await until(pilot, view, lambda found: "Session 60" in found)
        write_whole(notes, sessions(60).replace("built F007", "mended F007").encode())
        await until(pilot, view, lambda found: found[0] == "Session 7" and "• mended F007" in found)
        await pilot.press("g")
        assert lines(view)[0] == "Progress"
        write_whole(notes, sessions(61).encode())
        await until(pilot, view, lambda _: view.paper.blocks[-1].heading == "Session 61")
        assert lines(view)[0] == "Progress"
        await pilot.press("F")
        await until(pilot, view, lambda found: "Session 61" in found)

    console(tmp_path, test, (120, 40))


def test_what_stands_on_top_stays_there_while_notes_are_added_above(tmp_path: Path) -> None:
    notes = tmp_path / "PROGRESS.md"
    notes.write_text(sessions(60))

    async def test(pilot: Pilot[int], view: NotesView) -> None:
        await until(pilot, view, lambda found: "Session 60" in found)
        await pilot.press("g", *["right_square_bracket"] * 30)
        assert lines(view)[0] == "Session 30"
        write_whole(notes, b"# New\n\nabove\n\n" + sessions(60).encode())
        await until(pilot, view, lambda _: view.paper.blocks[0].heading == "New")
        assert lines(view)[0] == "Session 30"

    console(tmp_path, test, (120, 40))


def test_the_keys_of_the_notes(tmp_path: Path) -> None:
    (tmp_path / "PROGRESS.md").write_text(sessions(60))

    async def test(pilot: Pilot[int], view: NotesView) -> None:
        await until(pilot, view, lambda found: "Session 60" in found)
        await pilot.press("g", "right_square_bracket")
        assert lines(view)[0] == "Session 1"
        await pilot.press("right_square_bracket", "right_square_bracket", "left_square_bracket")
        assert lines(view)[0] == "Session 2"
        await pilot.press("j")
        assert lines(view)[1] == "• built F002"
        await pilot.press("k", "pagedown", "pageup")
        assert lines(view)[0] == "Session 2"
        await pilot.press("G")
        assert "Session 60" in lines(view)
        await pilot.press("slash", *"F033", "enter")
        await until(pilot, view, lambda found: found[0] == "• built F033")
        await pilot.press("slash", *"works", "enter")
        await until(pilot, view, lambda found: found[0] == "• it works")
        before = view.scroll_offset.y
        await pilot.press("n")
        assert view.scroll_offset.y > before
        await pilot.press("N")
        assert view.scroll_offset.y == before
        await pilot.press("y")
        assert pilot.app.clipboard.startswith("## Session 33")

    console(tmp_path, test, (80, 24))


def test_links_and_markup_in_notes_are_only_text(tmp_path: Path) -> None:
    (tmp_path / "PROGRESS.md").write_text("see [/foo] [@click=app.exit]x[/] [l](http://evil) \x1b[31mred\n")

    async def test(pilot: Pilot[int], view: NotesView) -> None:
        await until(pilot, view, lambda found: "see [/foo]" in found[0])
        strip = view.render_line(0)
        assert strip.text.rstrip() == "see [/foo] [@click=app.exit]x[/] l [31mred"
        assert all(segment.style is None or segment.style.link is None for segment in strip)
        await pilot.click(NotesView, offset=(13, 0))
        assert pilot.app.is_running

    console(tmp_path, test, (80, 24))
