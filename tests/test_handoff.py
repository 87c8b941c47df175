"""Handover notes: kept short, with nothing lost, doubled or out of order, whatever is killed in between."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_core.grading import rubric
from harness_core.layout import RunDir
from harness_core.run import Run
from harness_core.steps import handoff
from harness_core.steps.handoff import (
    ARCHIVE_HEAD,
    MOST_BYTES,
    MOST_SECTIONS,
    archived,
    read_notes,
    shortened,
)
from tests.conftest import OpenRun
from tests.harness import named, open_stage, text_of

HEAD = b"# Progress\n\nWhat this is.\n\n"
LINES = st.sampled_from(
    [
        b"",
        b"text",
        b"### deeper",
        b"```",
        b"~~~~",
        b"```\n## in code\n```",
        b"\xff\x00",
        b"#no heading",
        b"- x\r",
    ]
)
SECTIONS = st.lists(LINES, max_size=6).map(
    lambda lines: b"\n".join(lines).replace(b"```", b"```\n#\n```") + b"\n"
)


def section(number: int, body: bytes = b"done\n") -> bytes:
    return b"## Session %d\n\n" % number + body


def many(count: int) -> bytes:
    return HEAD + b"".join(section(number) for number in range(count, 0, -1))


@settings(deadline=None)
@given(st.lists(SECTIONS, max_size=120), st.integers(1, 8), st.sampled_from([1, 300]))
def test_no_section_is_lost_or_doubled_and_the_order_stays(
    bodies: list[bytes], at_once: int, times: int
) -> None:
    """Sections come in on top, a few each time, and the notes are shortened each time."""
    notes, archive, written = HEAD, b"", list[bytes]()
    for number, body in enumerate(bodies):
        new = section(number, body * times)
        written.insert(0, new)
        notes = HEAD + new + notes.removeprefix(HEAD)
        if number % at_once == 0:
            notes, moved = shortened(notes)
            archive = archived(archive, moved) if moved else archive
    assert notes.startswith(HEAD)
    assert notes.removeprefix(HEAD) + archive.removeprefix(ARCHIVE_HEAD) == b"".join(written)


@settings(deadline=None)
@given(st.binary(max_size=2000), st.integers(1, 60))
def test_any_bytes_stay_what_they_were(data: bytes, times: int) -> None:
    whole = data * times + b"\n## a\n" * 2
    assert read_notes(whole).whole == whole
    kept, moved = shortened(whole)
    assert kept + moved == whole


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 9000))
def test_what_is_kept_is_within_bounds_and_has_the_newest(count: int, length: int) -> None:
    whole = HEAD + b"".join(section(number, b"x" * length + b"\n") for number in range(count, 0, -1))
    kept, _ = shortened(whole)
    assert len(kept) <= max(MOST_BYTES, length + 200)
    assert len(read_notes(kept).sections) <= MOST_SECTIONS
    assert count == 0 or b"## Session %d\n" % count in kept


def test_a_heading_in_code_is_no_section() -> None:
    code = b"```sh\n## not one\n```\n"
    notes = read_notes(HEAD + section(3, code) + section(2) + section(1))
    assert [part.splitlines()[0] for part in notes.sections] == [
        b"## Session 3",
        b"## Session 2",
        b"## Session 1",
    ]


def test_notes_with_titles_of_the_first_level_have_sections_too() -> None:
    data = b"".join(b"# Session %d\n\n## How\n\ntext\n\n" % number for number in (4, 3, 2, 1))
    assert len(read_notes(data).sections) == 4


def test_a_text_without_sections_stays_whole() -> None:
    data = b"one long tale\n" * 5000
    assert shortened(data) == (data, b"")


# --- In a run -----------------------------------------------------------------------------------------


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path) -> Run:
    made = open_run(tmp_path / "run")
    made.dir.notes.write_bytes(many(40))
    made.git.commit_all("notes")
    return made


def archive(run: Run) -> Path:
    return handoff.archive_of(run.dir.notes)


def all_sections(run: Run) -> bytes:
    return run.dir.notes.read_bytes() + archive(run).read_bytes().removeprefix(ARCHIVE_HEAD)


def test_older_notes_are_moved_and_committed_and_the_rest_is_not(run: Run) -> None:
    (run.dir.root / "half.py").write_text("not done\n")
    handoff.keep_short(run.dir, run.git)
    assert all_sections(run) == many(40)
    assert len(read_notes(run.dir.notes.read_bytes()).sections) == MOST_SECTIONS // 2
    assert archive(run).name == "PROGRESS.archive.md"
    head = run.git.head()
    assert head and sorted(run.git.files_of([head])) == ["PROGRESS.archive.md", "PROGRESS.md"]
    handoff.keep_short(run.dir, run.git)
    assert run.git.head() == head


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_kill_between_any_two_writes_is_mended_by_the_next_engine(run: Run, done: int) -> None:
    before = run.dir.notes.read_bytes()
    handoff.keep_short(run.dir, run.git)
    kept, moved = run.dir.notes.read_bytes(), archive(run).read_bytes()
    run.dir.notes.write_bytes(before)
    archive(run).unlink()
    run.git.commit_all("as it was")
    intent = run.dir.private / "handoff.json"
    left = handoff.Move(
        "PROGRESS.md", handoff.digest(before), handoff.digest(b""), kept, moved.removeprefix(ARCHIVE_HEAD)
    )
    intent.write_bytes(msgspec.json.encode(left))
    for path, data in ((archive(run), moved), (run.dir.notes, kept))[:done]:
        path.write_bytes(data)
    for _ in range(2):
        handoff.finish(run.dir, run.git)
        assert (run.dir.notes.read_bytes(), archive(run).read_bytes()) == (kept, moved)
        assert not intent.exists()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_intent_moves_nothing(run: Run, text: bytes) -> None:
    (run.dir.private / "handoff.json").write_bytes(text)
    handoff.finish(run.dir, run.git)
    assert run.dir.notes.read_bytes() == many(40)
    assert not (run.dir.private / "handoff.json").exists()


def test_a_link_in_the_place_of_the_notes_is_left_alone(run: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.md"
    elsewhere.write_bytes(many(50))
    run.dir.notes.unlink()
    run.dir.notes.symlink_to(elsewhere)
    handoff.keep_short(run.dir, run.git)
    assert elsewhere.read_bytes() == many(50) and not archive(run).exists()


def test_a_session_s_end_shortens_the_notes(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out()
        (stage.root / "PROGRESS.md").write_bytes(many(40))
        assert stage.run().wait() == 0
        sections = read_notes((stage.root / "PROGRESS.md").read_bytes()).sections
        assert len(sections) == MOST_SECTIONS // 2 and sections[0].startswith(b"## Session 40")
        assert b"## Session 1\n" in (stage.root / "PROGRESS.archive.md").read_bytes()
        assert stage.git("status", "--porcelain") == ""
        moved = [
            event
            for event in stage.journal(named("commit", by="engine"))
            if "older notes" in event["subject"]
        ]
        assert len(moved) == 1


@pytest.mark.slow
def test_what_is_switched_off_is_neither_done_nor_told(tmp_path: Path) -> None:
    off = ["breadcrumbs=off", "handoff_notes=off", "calibration=off", "evaluator=feature", "rubric=app"]
    with open_stage(tmp_path, "tiny+idle@1") as stage:
        stage.lay_out()
        (stage.root / "PROGRESS.md").write_bytes(many(40))
        assert stage.run(*(word for item in off for word in ("--set", item))).wait() == 0
        assert (stage.root / "PROGRESS.md").read_bytes() == many(40)
        assert not (stage.root / "PROGRESS.archive.md").exists()
        told = "\n".join(text_of(body["messages"][0]["content"]) for body in stage.bodies("generator"))
        assert "This is session 2 " in told and "What was tried before" not in told
        graded = rubric.load(RunDir(tmp_path), "app")
        judged = text_of(stage.bodies("evaluator")[0]["messages"][0]["content"])
        assert graded.criteria[0].asks in judged
        assert not any(example.work in judged for example in graded.examples)
