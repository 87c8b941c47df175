"""The evidence pane: what is listed and said, how it is drawn, and what its keys do."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import struct
import subprocess
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PIL import Image
from rich.segment import Segment
from textual.pilot import Pilot
from textual.widget import Widget

from harness_core.contract.record import Status
from harness_core.evidence.files import Kind
from harness_core.layout import RunDir
from harness_core.reading.evidence_content import Unseen, content, text_lines
from harness_core.reading.evidence_journal import Chronicle
from harness_core.reading.evidence_list import Evidence, File, Item, Listing
from harness_core.record import events as ev
from harness_core.record.journal import Journal
from tui.console import evidence_words, pictures
from tui.console.app import Console
from tui.console.panes.evidence import EvidencePane
from tui.console.pictures import Drawing, Undrawable, Way
from tui.console.preview import Lines, Note, Preview
from tui.console.screens.picture import PictureScreen

MINUTE = 60 * 1_000_000_000


def png(colour: str = "navy", size: tuple[int, int] = (64, 40), mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    picture = Image.new(mode, size, colour)
    picture.paste("white" if mode != "RGBA" else (255, 255, 255, 255), (4, 4, 20, 20))
    picture.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "screenshots").mkdir()
    return RunDir.at(tmp_path)


def put(run: RunDir, name: str, data: bytes, minutes_ago: int = 0) -> str:
    """Write a piece of evidence; its sha256."""
    path = run.evidence / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    then = path.stat().st_mtime_ns - minutes_ago * MINUTE
    os.utime(path, ns=(then, then))
    return hashlib.sha256(data).hexdigest()


def bound(run: RunDir, name: str, sha256: str, commit: str | None = None) -> ev.BoundPiece:
    found = (run.evidence / name).stat()
    return ev.BoundPiece(
        path=f"screenshots/{name}",
        sha256=sha256,
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        kind=Kind.PICTURE,
        commit=commit,
    )


def claim(feature: str, *pieces: ev.BoundPiece) -> ev.FeatureChanged:
    return ev.FeatureChanged(
        session=2,
        role="generator",
        feature=feature,
        from_=Status.FAILING,
        to=Status.CLAIMED,
        by="generator",
        evidence=list(pieces),
    )


def write_journal(run: RunDir, *events: ev.Event) -> None:
    journal = Journal(run.journal)
    for event in events:
        journal.append(event)
    journal.close()


def listing(run: RunDir, features: tuple[str, ...] = (), near: tuple[str, ...] = ()) -> Listing:
    return Evidence(run).look(features, [f"screenshots/{name}" for name in near])


# --- What there is --------------------------------------------------------------------------------------


def test_newest_comes_first_and_folders_below_count(run: RunDir) -> None:
    put(run, "old.png", png(), 5)
    put(run, "deep/down/new.log", b"ok\n")
    put(run, "middle.png", png(), 2)
    put(run, ".half.png.tmp", b"")
    names = [item.file.path for item in listing(run).items]
    assert names == ["screenshots/deep/down/new.log", "screenshots/middle.png", "screenshots/old.png"]


def test_a_run_without_evidence_or_with_something_else_in_its_place(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    assert listing(run) == Listing()
    (tmp_path / "elsewhere").mkdir()
    run.evidence.symlink_to(tmp_path / "elsewhere")
    assert "link" in listing(run).trouble


def test_what_the_journal_says_is_joined_by_content(run: RunDir) -> None:
    shown, unseen = put(run, "a.png", png("navy")), put(run, "b.png", png("red"), 1)
    put(run, "F007-later.png", png("green"), 2)
    write_journal(
        run,
        ev.EvidenceCaptured(session=2, path="screenshots/a.png", sha256=shown, size=1),
        ev.EvidenceRead(session=2, role="generator", path="screenshots/a.png", sha256=shown, tool_use_id="1"),
        ev.EvidenceRead(session=3, role="evaluator", path="screenshots/a.png", sha256=shown, tool_use_id="2"),
        claim("F001", bound(run, "a.png", shown)),
    )
    found = listing(run, ("F001", "F007", "F070"), ("a.png", "b.png"))
    first, second, third = found.items
    assert (first.features, first.claimed, first.session) == (("F001",), True, 2)
    assert first.opened == ("generator", "evaluator")
    assert (second.sha256, second.opened, second.features) == (unseen, (), ())
    assert (third.features, third.claimed, third.sha256) == (("F007",), False, "")


def test_another_content_at_a_claimed_path_carries_no_claim(run: RunDir) -> None:
    old = put(run, "a.png", png("navy"), 3)
    write_journal(run, claim("F001", bound(run, "a.png", old)))
    put(run, "a.png", png("red"))
    (item,) = listing(run, near=("a.png",)).items
    assert not item.claimed and item.opened == ()


def test_a_file_belongs_to_the_session_of_its_time(run: RunDir) -> None:
    write_journal(run, ev.SessionStarted(session=4, role="generator", sdk_session="s", model="m"))
    put(run, "during.png", png())
    put(run, "before.png", png(), 10)
    assert [item.session for item in listing(run).items] == [4, None]
    write_journal(run, ev.SessionEnded(session=4, reason="done", ms=1, turns=1, usd=0))
    put(run, "after.png", png(), -10)
    assert [item.session for item in listing(run).items] == [None, 4, None]


def test_the_journal_is_read_on_and_begun_anew_when_it_is_another(run: RunDir) -> None:
    chronicle = Chronicle(run.journal)
    assert chronicle.read() and not chronicle.opened
    read = ev.EvidenceRead(role="evaluator", path="p", sha256="1", tool_use_id="t")
    write_journal(run, ev.Text(text='\n{"type":"evidence_read"'), read)
    chronicle.read()
    assert chronicle.opened == {"1": ("evaluator",)}
    with run.journal.open("ab") as stream:
        stream.write(b'{"type":"evidence_read","seq":3,"path":"p","sha256":"2","tool')
    chronicle.read()
    assert "2" not in chronicle.opened
    with run.journal.open("ab") as stream:
        stream.write(b'_use_id":"t"}\n')
    chronicle.read()
    assert "2" in chronicle.opened
    run.journal.unlink()
    write_journal(run, read)
    chronicle.read()
    assert list(chronicle.opened) == ["1"]


def test_a_line_longer_than_a_chunk_is_passed_over(run: RunDir) -> None:
    read = ev.EvidenceRead(role="r", path="p", sha256="1", tool_use_id="t")
    write_journal(run, ev.Text(text="x" * 3_000_000), read)
    chronicle = Chronicle(run.journal)
    assert chronicle.read() and chronicle.opened == {"1": ("r",)}


# --- Before and after -----------------------------------------------------------------------------------


def git(run: RunDir, *arguments: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    done = subprocess.run(["git", *who, *arguments], cwd=run.root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_what_a_path_held_at_an_earlier_claim_comes_from_git(run: RunDir) -> None:
    git(run, "init", "-q")
    (run.root / "x").write_text("x")
    git(run, "add", "x")
    git(run, "commit", "-qm", "before the piece")
    head = git(run, "rev-parse", "HEAD")
    first = png("navy")
    sha256 = put(run, "a.png", first, 3)
    write_journal(run, claim("F001", bound(run, "a.png", sha256, head)))
    git(run, "add", "screenshots")
    git(run, "commit", "-qm", "with the piece")
    put(run, "a.png", png("red"))
    found = listing(run, near=("a.png",))
    before = found.before(found.items[0])
    assert before is not None and before.sha256 == sha256
    assert content(run, before) == first


def test_what_git_does_not_have_is_said(run: RunDir) -> None:
    file = File("screenshots/a.png", 3, 1, commit="0" * 40)
    with pytest.raises(Unseen, match="git"):
        content(run, Item(file, sha256="1"))


def test_else_the_older_file_of_the_same_feature_with_a_like_name_is_before(run: RunDir) -> None:
    for name, minutes in (("F001-menu-2.png", 0), ("F001-other.png", 1), ("F001-menu-1.png", 2)):
        put(run, name, png(), minutes)
    put(run, "F002-menu-1.png", png(), 1)
    put(run, "F001-menu-0.log", b"ok", 1)
    found = listing(run, ("F001", "F002"))
    before = found.before(found.items[0])
    assert before is not None and before.file.name == "F001-menu-1.png"
    assert found.before(before) is None


# --- What can't be shown --------------------------------------------------------------------------------


def truncated() -> bytes:
    noise = Image.effect_noise((300, 300), 90)
    stream = io.BytesIO()
    noise.save(stream, "PNG")
    return stream.getvalue()[:2000]


def bomb() -> bytes:
    """A PNG that says that it has 20,000 by 20,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"<html>", "not a picture"),
        (truncated(), "truncated|damaged"),
        (bomb(), "too large"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "picture|damaged|truncated"),
        (png()[:-30] + b"\xff" * 30, "damaged|truncated"),
    ],
)
def test_what_is_no_whole_picture_is_refused_with_a_reason(data: bytes, why: str) -> None:
    with pytest.raises(Undrawable, match=why):
        pictures.draw(data, 20, 10)


def test_links_pipes_and_other_kinds_are_not_looked_into(run: RunDir) -> None:
    (run.evidence / "link.png").symlink_to("/etc/hostname")
    os.mkfifo(run.evidence / "pipe.png")
    put(run, "page.html", b"<html>")
    reasons = {}
    for item in listing(run, near=("link.png", "pipe.png", "page.html")).items:
        with pytest.raises(Unseen) as caught:
            content(run, item)
        reasons[item.file.name] = str(caught.value)
    assert "link" in reasons["link.png"]
    assert "regular" in reasons["pipe.png"]
    assert "neither" in reasons["page.html"]


def test_a_file_that_has_become_a_link_since_is_not_followed(run: RunDir) -> None:
    put(run, "a.png", png())
    (item,) = listing(run).items
    (run.evidence / "a.png").unlink()
    (run.evidence / "a.png").symlink_to("/etc/hostname")
    with pytest.raises(Unseen):
        content(run, item)


def test_a_huge_file_is_refused_by_its_size(run: RunDir) -> None:
    path = run.evidence / "huge.png"
    path.touch()
    os.truncate(path, 100 << 20)
    (item,) = listing(run, near=("huge.png",)).items
    with pytest.raises(Unseen, match="too large"):
        content(run, item)
    assert evidence_words.placeholder(item.file, "too large") == "▨ huge.png: too large, 100 MB"


def test_a_log_is_shown_from_its_end_without_what_acts_on_a_terminal(run: RunDir) -> None:
    lines = text_lines(b"\x1b[31mred\x1b[0m\n10%\r100%\n\x1b]0;title\x07done\r\n\n")
    assert lines == ["red", "100%", "done"]
    put(run, "long.log", b"first\n" + b"x" * 100 * 10_000 + b"\nlast\n")
    (item,) = listing(run).items
    shown = text_lines(content(run, item))
    assert shown[0] == "…" and shown[-1] == "last"


# --- Drawing --------------------------------------------------------------------------------------------


def colours(drawing: Drawing) -> set[str]:
    return {
        segment.style.color.name
        for strip in drawing.strips
        for segment in strip
        if segment.style and segment.style.color
    }


def test_half_blocks_keep_proportions_and_colours() -> None:
    drawing = pictures.draw(png("#0000ff", (200, 100)), 40, 40)
    assert (drawing.width, len(drawing.strips)) == (40, 10)
    assert drawing.pixels == (200, 100)
    assert all(strip.cell_length == 40 for strip in drawing.strips)
    assert {character for strip in drawing.strips for character in strip.text} == {"▀"}
    assert "#0000fc" in colours(drawing) or "#0000ff" in colours(drawing)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (3, 5), (640, 480)])
def test_a_picture_of_any_shape_stays_inside(size: tuple[int, int]) -> None:
    drawing = pictures.draw(png(size=size), 30, 12)
    assert 1 <= drawing.width <= 30 and 1 <= len(drawing.strips) <= 12


def test_what_is_transparent_shows_the_background() -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(stream, "PNG")
    assert colours(pictures.draw(stream.getvalue(), 10, 5, (200, 100, 40))) == {"#c86428"}


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "I;16", "CMYK"])
def test_pictures_of_all_modes_are_drawn(mode: str) -> None:
    stream = io.BytesIO()
    Image.new(mode, (20, 20)).save(stream, "JPEG" if mode == "CMYK" else "PNG")
    assert pictures.draw(stream.getvalue(), 10, 5).width == 10


@pytest.mark.parametrize(
    ("environment", "hope"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, True),
        ({"TERM": "foot"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm", "TMUX": "/tmp/x"}, False),
        ({"TERM": "screen-256color", "KITTY_WINDOW_ID": "1"}, False),
        ({}, False),
    ],
)
def test_only_a_terminal_that_gives_hope_is_asked(environment: dict[str, str], hope: bool) -> None:
    assert pictures.may_have_graphics(environment) is hope


def test_the_setting_decides_without_asking() -> None:
    try:
        assert pictures.prepare("off", {"TERM": "xterm-kitty"}) is Way.OFF
        assert pictures.way() is Way.OFF
    finally:
        assert pictures.prepare("blocks") is Way.BLOCKS


# --- Words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [30, 39, 48, 55, 80])
@pytest.mark.parametrize(
    "name", ["a.png", "页面" * 30 + ".png", "x" * 300 + ".log", "a\x1b]0;t\x07\n[b].png"]
)
def test_a_row_is_as_wide_as_the_list_whatever_the_name(width: int, name: str) -> None:
    file = File(f"screenshots/{name}", 1, 0)
    item = Item(file, ("a-feature-with-a-long-id",), True, 123, "ab" * 32, ("generator",))
    row = evidence_words.row(item, width, MINUTE)
    assert row.cell_length == width
    assert "\x1b" not in row.plain and "\n" not in row.plain


# --- On the screen --------------------------------------------------------------------------------------

Driver = Callable[[Pilot[int], EvidencePane], Awaitable[None]]


def drive(run: RunDir, driver: Driver, size: tuple[int, int] = (80, 24)) -> None:
    async def main() -> None:
        app = Console(run)
        async with app.run_test(size=size) as pilot:
            await pilot.press("5")
            await driver(pilot, app.screen.query_one(EvidencePane))

    asyncio.run(main())


async def until(pilot: Pilot[int], condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError("it didn't come about")


def seen(pane: EvidencePane) -> object:
    return pane.query_one(Preview).shown


def picture(pilot: Pilot[int]) -> PictureScreen:
    assert isinstance(pilot.app.screen, PictureScreen)
    return pilot.app.screen


def test_the_pane_lists_draws_and_sees_what_is_new(run: RunDir) -> None:
    put(run, "a.png", png(), 5)

    async def driver(pilot: Pilot[int], pane: EvidencePane) -> None:
        await until(pilot, lambda: isinstance(seen(pane), Drawing))
        assert pane.copied() == "screenshots/a.png" and pane.subject() == run.evidence / "a.png"
        put(run, "b.log", b"all is well\n")
        await until(pilot, lambda: pane.copied() == "screenshots/b.log")
        await until(pilot, lambda: seen(pane) == Lines(("all is well",)))
        await pilot.press("j")
        await until(pilot, lambda: isinstance(seen(pane), Drawing))

    drive(run, driver)


def test_a_half_written_picture_is_drawn_when_it_is_whole(run: RunDir) -> None:
    put(run, "a.png", png()[:60])

    async def driver(pilot: Pilot[int], pane: EvidencePane) -> None:
        await until(pilot, lambda: isinstance(seen(pane), Note))
        put(run, "a.png", png())
        await until(pilot, lambda: isinstance(seen(pane), Drawing))

    drive(run, driver)


def test_hostile_names_and_contents_are_words(run: RunDir) -> None:
    names = ["[@click=app.exit]x.png", "[^a]+ [bold.log", "\x1b]52;c;aGk=\x07.png", "a\nb\u202e.png"]
    for place, name in enumerate(names):
        (run.evidence / name).write_bytes(b"\x1b]0;x\x07[/foo] [bold" * (place + 1))

    async def driver(pilot: Pilot[int], pane: EvidencePane) -> None:
        await until(pilot, lambda: len(pane.list.rows) == len(names))
        for _ in names:
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, PictureScreen))
            await pilot.press("m", "escape", "j")
        assert pilot.app.is_running
        strips = [strip for widget in pane.query(Widget) for strip in widget.render_lines(widget.size.region)]
        assert not any(character in strip.text for strip in strips for character in "\x1b\x07\u202e")

    drive(run, driver)


def test_the_picture_screen_walks_the_list_and_goes_back_to_where_it_is(run: RunDir) -> None:
    sha256 = put(run, "a.png", png())
    put(run, "b.png", png("red"), 1)
    put(run, "c.log", b"\n".join(b"line %d" % number for number in range(100)), 2)
    write_journal(
        run,
        ev.EvidenceRead(role="evaluator", path="screenshots/a.png", sha256=sha256, tool_use_id="t"),
    )

    async def driver(pilot: Pilot[int], pane: EvidencePane) -> None:
        await until(pilot, lambda: (item := pane.selected) and item.opened)
        await pilot.press("enter")
        head = picture(pilot).query_one("#picture-head").render
        await until(pilot, lambda: "64×40" in str(head()))
        assert all(said in str(head()) for said in ("1 of 3", sha256, "opened by evaluator", "no session"))
        await pilot.press("right")
        assert "b.png" in str(head())
        await until(pilot, lambda: "not opened" in str(head()))
        await pilot.press("right", "right")
        preview = picture(pilot).query_one("#after", Preview)
        await until(pilot, lambda: isinstance(preview.shown, Lines))
        await until(pilot, lambda: preview.scroll_offset.y > 0)
        await pilot.press("g")
        assert preview.scroll_offset.y == 0
        await pilot.press("pagedown", "k", "G", "left", "right", "q")
        await until(pilot, lambda: not isinstance(pilot.app.screen, PictureScreen))
        assert pane.copied() == "screenshots/c.log"

    drive(run, driver)


def test_before_and_after_stand_side_by_side(run: RunDir) -> None:
    put(run, "F001-after.png", png("red"))
    put(run, "F001-before.png", png("navy"), 3)
    write_journal(
        run, ev.ContractFrozen(sha256="1", name="feature_list.json", features=["F001"]), ev.Text(text="hi")
    )

    async def driver(pilot: Pilot[int], pane: EvidencePane) -> None:
        await until(pilot, lambda: (item := pane.selected) and item.features)
        await pilot.press("m")
        await until(pilot, lambda: isinstance(pilot.app.screen, PictureScreen))
        screen = picture(pilot)
        await until(pilot, lambda: all(isinstance(view.shown, Drawing) for view in screen.query(Preview)))
        left, right = screen.query(Preview)
        assert left.region.right <= right.region.x and left.size.width == right.size.width
        assert "before" in str(screen.query_one("#before-words").render())
        await pilot.press("m")
        await until(pilot, lambda: right.size.width > 70)

    drive(run, driver, (100, 30))


def test_opening_outside_without_a_desktop_is_a_sentence(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    put(run, "a.png", png())

    async def driver(pilot: Pilot[int], pane: EvidencePane) -> None:
        await until(pilot, lambda: pane.selected)
        await pilot.press("o")
        await until(pilot, lambda: any("no desktop" in note.message for note in pilot.app._notifications))

    drive(run, driver)


def test_opening_outside_starts_the_desktops_program(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    opener.chmod(0o755)
    monkeypatch.setenv("PATH", f"{opener.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":0")
    put(run, "a.png", png())

    async def driver(pilot: Pilot[int], pane: EvidencePane) -> None:
        await until(pilot, lambda: pane.selected)
        await pilot.press("o")
        opened = tmp_path / "opened"
        await until(pilot, lambda: opened.exists() and opened.read_text().strip())
        assert opened.read_text().strip() == str(run.evidence / "a.png")

    drive(run, driver)


def test_a_run_without_anything_says_so_calmly(tmp_path: Path) -> None:
    async def driver(pilot: Pilot[int], pane: EvidencePane) -> None:
        await until(pilot, lambda: "No evidence yet" in pane.list.render_line(0).text)
        await pilot.press("enter", "m", "o")
        assert not isinstance(pilot.app.screen, PictureScreen)

    drive(RunDir.at(tmp_path), driver)


@pytest.mark.parametrize(
    ("size", "layout"), [((80, 24), "-beside"), ((120, 40), "-plain"), ((200, 60), "-stacked")]
)
def test_each_size_has_its_layout(run: RunDir, size: tuple[int, int], layout: str) -> None:
    put(run, "a.png", png())

    async def driver(pilot: Pilot[int], pane: EvidencePane) -> None:
        await until(pilot, lambda: pane.selected)
        classes = {name for name in ("-beside", "-stacked") if pane.has_class(name)}
        assert classes == ({layout} - {"-plain"})
        assert bool(pane.query_one(Preview).size) is (layout != "-plain")

    drive(run, driver, size)


def test_the_terminals_own_picture_is_written_where_it_stands(run: RunDir) -> None:
    put(run, "a.png", png(size=(40, 64)))
    sixels = "\x1bPq#0~\x1b\\"

    async def driver(pilot: Pilot[int], pane: EvidencePane) -> None:
        await until(pilot, lambda: isinstance(seen(pane), Drawing))
        preview = pane.query_one(Preview)
        drawing = preview.shown
        assert isinstance(drawing, Drawing)
        preview._put(Drawing(drawing.strips, drawing.pixels, sixels))
        last = preview.render_lines(preview.size.region)[-1]
        assert last.cell_length == preview.size.width
        # Other widgets on the same lines make the compositor cut them.
        *_, end = last.divide([3, last.cell_length])
        assert any(isinstance(part, Segment) and part.text == sixels and part.control for part in end)

    drive(run, driver)
