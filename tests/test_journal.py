"""The journal: whole after every way of being cut off, the same for every reader."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_core.errors import NewerFormat
from harness_core.record import events as ev
from harness_core.record.journal import Journal, Tail, check_format

Spawn = Callable[..., BaseProcess]


def written(path: Path, *texts: str) -> Journal:
    """An open journal at `path` with one event for each text added."""
    journal = Journal(path)
    for text in texts:
        journal.append(ev.Text(text=text))
    return journal


def read(path: Path) -> list[ev.Event]:
    return list(Tail(path).read_all())


def texts(path: Path) -> list[str]:
    return [event.text for event in read(path) if isinstance(event, ev.Text)]


def seqs(path: Path) -> list[int]:
    return [event.seq for event in read(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".longwatch" / "journal.jsonl"


# --- Appending ------------------------------------------------------------------------------------------


def test_seq_counts_from_one_without_a_gap_over_reopening(path: Path) -> None:
    for number in range(3):
        written(path, f"{number} a", f"{number} b").close()
    assert seqs(path) == [1, 2, 3, 4, 5, 6]


def test_append_returns_the_event_as_it_was_written(path: Path) -> None:
    event = written(path).append(ev.Error(message="half a pair: \ud800", kind="test"))
    assert read(path) == [event]
    assert event.message == "half a pair: ?"


# --- Torn ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filling", [b"", b"\0" * 7, b"\0" * 70_000])
def test_a_record_torn_at_any_byte_costs_at_most_itself(path: Path, filling: bytes) -> None:
    written(path, "one", "two", "the last: ünïcode \n \U0001f680").close()
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(start, len(whole) if len(filling) < 100 else start + 3):
        path.write_bytes(whole[:cut] + filling)
        journal = Journal(path)
        kept = 3 if cut == len(whole) - 1 and not filling else 2
        assert journal.last_seq == kept
        journal.append(ev.Text(text="after"))
        journal.close()
        assert seqs(path) == list(range(1, kept + 2))
        assert texts(path)[-1] == "after"
        assert all(json.loads(line) for line in path.read_bytes().splitlines())


def test_a_whole_last_record_without_its_newline_is_kept(path: Path) -> None:
    written(path, "one", "two").close()
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert written(path, "three").last_seq == 3
    assert texts(path) == ["one", "two", "three"]


@pytest.mark.parametrize("size", [1, 4096, 200_000])
def test_a_run_of_nul_at_the_end_is_cut_off(path: Path, size: int) -> None:
    written(path, "one").close()
    before = path.read_bytes()
    path.write_bytes(before + b"\0" * size)
    Journal(path).close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b'{"type":"te', b"\0\n"])
def test_a_journal_without_a_single_whole_record_starts_anew(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    written(path, "first").close()
    assert seqs(path) == [1]


def test_a_record_longer_than_a_block_is_found_whole_or_cut_whole(path: Path) -> None:
    written(path, "one", "x" * 300_000).close()
    whole = path.read_bytes()
    assert Journal(path).last_seq == 2
    path.write_bytes(whole[:-1000])
    assert Journal(path).last_seq == 1


# --- Damage ---------------------------------------------------------------------------------------------

DAMAGED = [
    b"garbage",
    b"",
    b"[1, 2]",
    b'{"type":"text","text":"no seq"}',
    b'{"type":"text","seq":2,"te{"type":"text","seq":3,"ts":"","text":"spliced"}',
    b'{"type":"text","seq":2,"text":"\xff\xfe"}',
    b'{"type":"text","seq":2,"text":"\\ud800"}',
    b'{"type":"new","seq":2,"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b"\x1b[2J\x07",
]


@pytest.mark.parametrize("bad", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_line_in_the_middle_costs_itself_alone_and_is_counted(path: Path, bad: bytes) -> None:
    written(path, "one", "two", "three").close()
    first, _, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + bad + b"\n" + third)
    tail = Tail(path)
    assert [event.seq for event in tail.read_all()] == [1, 3]
    assert tail.damaged == 1
    assert written(path, "four").last_seq == 4


@pytest.mark.parametrize("bad", DAMAGED, ids=range(len(DAMAGED)))
@pytest.mark.parametrize("torn", [b"", b'{"type":"text","seq":5,"te', b"\0\0\0"])
def test_damaged_lines_before_the_end_keep_their_seq_and_stay_counted(
    path: Path, bad: bytes, torn: bytes
) -> None:
    written(path, "one", "two", "three").close()
    first = path.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(first + (bad + b"\n") * 2 + torn)
    written(path, "four").close()
    tail = Tail(path)
    assert [event.seq for event in tail.read_all()] == [1, 4]
    assert tail.damaged == 2


def test_a_giant_line_costs_itself_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness_core.record.journal.MAX_LINE", 2000)
    written(path, "one", "x" * 9000, "three").close()
    tail = Tail(path)
    assert [event.seq for event in tail.read_all()] == [1, 3]
    assert tail.damaged == 1


# --- A disk that refuses ----------------------------------------------------------------------------------


def _append_until_refused(path: Path) -> None:
    journal = written(path, "one", "two")
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.size + 50, resource.RLIM_INFINITY))
    try:
        journal.append(ev.Text(text="too much " * 100))
    except OSError as error:
        refused = (error.errno, error.filename) == (errno.EFBIG, str(path))
    else:
        refused = False
    whole = path.stat().st_size == journal.size
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.append(ev.Text(text="there is room again"))
    os._exit(0 if refused and whole else 1)


def test_a_refused_write_leaves_nothing_and_the_next_one_goes_on(path: Path, spawn: Spawn) -> None:
    process = spawn(_append_until_refused, path)
    process.join(30)
    assert process.exitcode == 0
    assert texts(path) == ["one", "two", "there is room again"]
    assert seqs(path) == [1, 2, 3]


def test_a_full_disk_takes_no_half_event_and_goes_on_when_there_is_room(small_disk: Path) -> None:
    journal = Journal(small_disk / "journal.jsonl")
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 100_000)
    acknowledged = 0
    with pytest.raises(OSError, match="No space left on device"):
        while True:
            acknowledged = journal.append(ev.Text(text="x" * 3000)).seq
    with pytest.raises(OSError, match="No space left on device"):
        journal.append(ev.Text(text="x" * 9000))
    assert seqs(journal.path) == list(range(1, acknowledged + 1))
    ballast.unlink()
    assert journal.append(ev.Text(text="room")).seq == acknowledged + 1
    journal.close()
    assert seqs(journal.path) == list(range(1, acknowledged + 2))
    assert Tail(journal.path).damaged == 0


SYNC_FAILS = """
import sys
from pathlib import Path
from harness_core.record import events as ev
from harness_core.record.journal import Journal

journal = Journal(Path(sys.argv[1]))
for reason in ("first", "second", "third"):
    try:
        print(journal.append(ev.RunEnded(reason=reason, exit=0)).seq)
    except OSError as error:
        print(error)
"""


def test_an_event_that_could_not_be_synced_is_not_acknowledged(path: Path) -> None:
    strace = ["strace", "-o", os.devnull, "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=2"]
    if not shutil.which("strace") or subprocess.run([*strace, "true"], check=False).returncode:
        pytest.skip("needs strace and the right to trace, to have the kernel refuse a sync")
    said = subprocess.run(
        [*strace, sys.executable, "-c", SYNC_FAILS, str(path)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert (said[0], said[2]) == ("1", "2")
    assert "Input/output error" in said[1] and str(path) in said[1]
    assert [(event.seq, event.reason) for event in read(path) if isinstance(event, ev.RunEnded)] == [
        (1, "first"),
        (2, "third"),
    ]


# --- What others do to the file ----------------------------------------------------------------------------


def test_an_untouched_journal_is_left_as_it_is(path: Path) -> None:
    journal = written(path, "one")
    before = path.stat().st_ino, path.read_bytes()
    assert journal.put_back() is None
    assert (path.stat().st_ino, path.read_bytes()) == before


@pytest.mark.parametrize("how", ["removed", "replaced", "a link", "a folder", "its folder too"])
def test_a_journal_that_is_gone_is_put_back_whole(path: Path, tmp_path: Path, how: str) -> None:
    journal = written(path, "one", "x" * 3_000_000)
    path.unlink()
    match how:
        case "replaced":
            path.write_text('{"type":"text","seq":1,"text":"forged"}\n')
        case "a link":
            (tmp_path / "elsewhere").write_text("not ours\n")
            path.symlink_to(tmp_path / "elsewhere")
        case "a folder":
            (path / "full").mkdir(parents=True)
        case "its folder too":
            path.parent.rmdir()
    said = journal.put_back()
    assert said is not None and "removed or replaced" in said
    assert journal.put_back() is None
    journal.append(ev.Text(text="after"))
    assert [text[:5] for text in texts(path)] == ["one", "xxxxx", "after"]
    assert seqs(path) == [1, 2, 3]
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_forged_lines_are_taken_out(path: Path) -> None:
    journal = written(path, "one")
    with path.open("a") as stream:
        stream.write('{"type":"feature_changed","seq":2,"feature":"F001","from":"failing","to":"claimed"}\n')
    said = journal.put_back()
    assert said is not None and "didn't write" in said
    journal.append(ev.Text(text="two"))
    assert texts(path) == ["one", "two"] and seqs(path) == [1, 2]


@pytest.mark.parametrize("left", [0, 10, -1, -10])
def test_after_a_cut_what_follows_is_whole_and_shows_the_gap(path: Path, left: int) -> None:
    journal = written(path, "one", "two", "three")
    os.truncate(path, left if left >= 0 else journal.size + left)
    said = journal.put_back()
    assert said is not None and "cut short" in said
    journal.append(ev.Text(text="four"))
    kept = {0: [], 10: [], -1: ["one", "two", "three"], -10: ["one", "two"]}[left]
    assert texts(path) == [*kept, "four"]
    assert seqs(path)[-1] == 4


# --- Readers beside a writer ------------------------------------------------------------------------------


def _append_many(path: Path, count: int) -> None:
    journal = Journal(path)
    for number in range(count):
        journal.append(ev.Text(text=f"{number} " + "x" * (number * 37 % 5000)))
    journal.close()


def test_readers_beside_a_writer_see_every_event_once_and_in_order(path: Path, spawn: Spawn) -> None:
    written(path).close()
    process = spawn(_append_many, path, 2000)
    tails, seen = (Tail(path), Tail(path)), ([], [])
    limits = (4 << 20, 1000)
    while (before := (len(seen[0]), len(seen[1]))) != (2000, 2000):
        finished = not process.is_alive()
        for tail, found, limit in zip(tails, seen, limits, strict=True):
            found.extend(event.seq for event in tail.read(limit))
        assert not finished or (len(seen[0]), len(seen[1])) != before, (
            "the writer is done, events are missing"
        )
    assert seen[0] == seen[1] == list(range(1, 2001))
    assert tails[0].offset == tails[1].offset == path.stat().st_size


def test_a_reader_never_takes_half_a_line(path: Path) -> None:
    written(path, "one", "two").close()
    whole = path.read_bytes()
    tail = Tail(path)
    found: list[int] = []
    with path.open("wb", buffering=0) as stream:
        for byte in whole:
            stream.write(bytes([byte]))
            found.extend(event.seq for event in tail.read())
    assert found == [1, 2]
    assert tail.damaged == 0


def test_a_journal_that_is_not_there_yet_is_empty(path: Path) -> None:
    tail = Tail(path)
    assert list(tail.read_all()) == []
    written(path, "one").close()
    assert [event.seq for event in tail.read_all()] == [1]


def _append_and_tell(path: Path, told: int) -> None:
    journal = Journal(path)
    while True:
        event = journal.append(ev.Text(text="x" * random.randrange(3000)))
        os.write(told, event.seq.to_bytes(4, "big"))


def test_what_was_acknowledged_before_a_kill_is_there_after_it(path: Path, spawn: Spawn) -> None:
    random.seed(5)
    for _ in range(12):
        heard, told = os.pipe()
        process = spawn(_append_and_tell, path, told)
        os.close(told)
        acknowledged = b"".join(os.read(heard, 4) for _ in range(random.randrange(1, 60)))
        process.kill()
        process.join()
        while more := os.read(heard, 4096):
            acknowledged += more
        os.close(heard)
        last = int.from_bytes(acknowledged[-4:], "big")
        journal = Journal(path)
        assert last <= journal.last_seq <= last + 1
        journal.close()
        assert seqs(path) == list(range(1, journal.last_seq + 1))


# --- Versions ---------------------------------------------------------------------------------------------


def test_an_event_of_a_newer_version_passes_through_as_it_came(path: Path) -> None:
    lines = [
        b'{"type":"holograph","seq":1,"ts":"t","session":3,"role":"generator","rays":[1,{"a":null}]}',
        b'{"type":"feature_changed","seq":2,"feature":"F1","from":"failing","to":"transcended","by":"x"}',
    ]
    path.parent.mkdir()
    path.write_bytes(b"\n".join(lines) + b"\n")
    found = read(path)
    assert all(isinstance(event, ev.Unknown) for event in found)
    assert [(found[0].session, found[0].role)] == [(3, "generator")]
    assert json.loads(ev.encode(found[0])) == json.loads(lines[0])
    assert json.loads(lines[1]).items() <= json.loads(ev.encode(found[1])).items()
    assert written(path, "one of ours").last_seq == 3


def test_fields_of_a_newer_version_are_skipped() -> None:
    event = ev.decode(b'{"type":"text","seq":1,"text":"hello","tone":"warm"}')
    assert event == ev.Text(seq=1, text="hello")


def test_a_newer_format_is_refused_with_a_sentence() -> None:
    check_format(1, 1)
    with pytest.raises(NewerFormat, match=r"newer Longwatch \(format 2.*update Longwatch"):
        check_format(2, 1)


# --- Any content --------------------------------------------------------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs"]) | st.characters(categories=["Cs"]), max_size=40)
inputs: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
any_event = st.one_of(
    st.builds(ev.Text, text=text),
    st.builds(ev.Error, message=text, kind=text),
    st.builds(ev.ToolUse, tool_use_id=text, tool=text, input=st.dictionaries(text, inputs, max_size=4)),
    st.builds(ev.SteerQueued, id=text, mode=st.sampled_from(["now", "next"]), text=text),
    st.builds(ev.Commit, sha=text, subject=text, by=text),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(any_event, max_size=6))
def test_any_content_comes_back_as_it_was_appended(
    tmp_path_factory: pytest.TempPathFactory, events: list[ev.Event]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(path)
    appended = [journal.append(event) for event in events]
    journal.close()
    assert read(path) == appended
    assert path.read_bytes().count(b"\n") == len(events)
    for event, back in zip(events, appended, strict=True):
        assert ev.encode(event).split(b'"session"', 1)[1] == ev.encode(back).split(b'"session"', 1)[1]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | inputs.map(lambda value: json.dumps(value).encode()))
def test_no_line_makes_the_reader_fail(line: bytes) -> None:
    try:
        event = ev.decode(line)
    except ev.BadEvent:
        return
    assert type(event.seq) is int
