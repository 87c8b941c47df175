"""Steering: nothing lost, nothing twice, in order, whoever writes meanwhile and whenever it crashes."""

from __future__ import annotations

import json
import random
import re
import shutil
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.operator import control
from harness_core.operator.control import SteerMessage
from harness_core.operator.steering import LATE, Steering, heading
from harness_core.record import events as ev
from harness_core.record.fold import Follower
from harness_core.record.journal import Tail
from harness_core.run import Run
from tests.conftest import OpenRun

Spawn = Callable[..., BaseProcess]


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path) -> Run:
    return open_run(tmp_path / "run")


def append(run: Run, text: str | bytes, name: str = "STEER.md") -> None:
    with (run.dir.root / name).open("ab") as stream:
        stream.write(text if isinstance(text, bytes) else text.encode())


def queued(run: Run) -> list[str]:
    """The texts that were journaled as queued, in order."""
    return [event.text for event in Tail(run.dir.journal).read_all() if isinstance(event, ev.SteerQueued)]


def messages(run: Run) -> list[SteerMessage]:
    numbers = range(1, control.highest(run.dir.steering) + 1)
    return [message for number in numbers if (message := control.read_steer(run.dir, number))]


def collect_until(steering: Steering, enough: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not enough():
        assert time.monotonic() < deadline, "the messages didn't arrive"
        steering.collect()
        time.sleep(0.002)


def begin_session(run: Run, number: int = 1) -> None:
    run.emit(ev.SessionStarted(session=number, role="generator", sdk_session=f"sdk-{number}", model="m"))


# --- Writers at the same time ----------------------------------------------------------------


def _append_lines(path: Path, writer: int, count: int) -> None:
    chance = random.Random(writer)
    for number in range(count):
        with path.open("a") as stream:
            # A gap between open and write is what makes a rename under a writer's feet matter.
            if chance.random() < 0.2:
                time.sleep(chance.random() * LATE * 0.3)
            stream.write(f"{writer} {number}\n")


def test_racing_writers_lose_nothing_and_repeat_nothing_in_their_order(run: Run, spawn: Spawn) -> None:
    steering = Steering(run)
    writers = [spawn(_append_lines, run.dir.steer_file, writer, 60) for writer in range(3)]
    expected = [[f"{writer} {number}" for number in range(60)] for writer in range(3)]

    def lines() -> list[str]:
        return [line for text in queued(run) for line in text.split("\n")]

    collect_until(steering, lambda: not any(writer.is_alive() for writer in writers))
    collect_until(steering, lambda: len(lines()) >= 180 and not list(run.dir.steering.glob("inbox-*")))
    assert [[line for line in lines() if line.startswith(f"{writer} ")] for writer in range(3)] == expected
    assert not run.dir.steer_file.exists()


def _steer_many(root: Path, writer: int, count: int) -> None:
    for number in range(count):
        control.steer(RunDir.at(root), f"{writer} {number}")


def test_commands_at_the_same_time_get_contiguous_ids_and_lose_none(run: Run, spawn: Spawn) -> None:
    steering = Steering(run)
    writers = [spawn(_steer_many, run.dir.root, writer, 40) for writer in range(3)]
    collect_until(steering, lambda: len(queued(run)) == 120)
    for writer in writers:
        writer.join()
    assert [message.id for message in messages(run)] == [f"{number:03d}" for number in range(1, 121)]
    assert [message.text for message in messages(run)] == queued(run)
    for writer in range(3):
        mine = [text for text in queued(run) if text.startswith(f"{writer} ")]
        assert mine == [f"{writer} {number}" for number in range(40)]
    assert not [path for path in run.dir.steering.iterdir() if path.suffix != ".json"]


def test_a_late_line_of_an_older_file_comes_before_those_of_a_newer_one(run: Run) -> None:
    steering = Steering(run)
    append(run, "first\n")
    with run.dir.steer_file.open("a") as slow:
        steering.collect()
        slow.write("late\n")
        slow.flush()
        append(run, "newer\n")
        steering.collect()
    assert queued(run) == ["first", "late", "newer"]


# --- What an inbox may hold ----------------------------------------------------------------


def test_the_lines_of_one_look_are_one_message(run: Run) -> None:
    append(run, "one\n\n  two\n")
    Steering(run).collect()
    assert queued(run) == ["one\n\n  two"]


def test_a_line_without_its_end_comes_after_the_grace_second_and_whole(run: Run) -> None:
    steering = Steering(run)
    append(run, "done\nno newline")
    steering.collect()
    assert queued(run) == ["done"]
    collect_until(steering, lambda: len(queued(run)) == 2)
    assert queued(run) == ["done", "no newline"]
    assert list(run.dir.steering.glob("inbox-*")) == []


def test_bytes_that_are_no_utf_8_are_replaced_and_the_rest_arrives(run: Run) -> None:
    append(run, b"caf\xe9 \xff\xfe ok\n")
    Steering(run).collect()
    assert queued(run) == ["caf\ufffd \ufffd\ufffd ok"]


@pytest.mark.parametrize(
    "line", [b"x" * 99 + b"\n", b'"\\\x01\t' * 25 + b"\n", b"\xff" * 99 + b"\n"], ids="xcf"
)
@pytest.mark.parametrize("size", [100_000, 5_000_000])
def test_a_large_file_arrives_whole_and_holds_nothing_up(run: Run, line: bytes, size: int) -> None:
    steering = Steering(run)
    append(run, line * (size // len(line)))
    steering.collect()
    append(run, "after\n")
    steering.collect()
    *parts, last = queued(run)
    assert "\n".join(parts) == (line * (size // len(line))).decode("utf-8", "replace").rstrip("\n")
    assert last == "after"


@pytest.mark.parametrize("content", ["", "\n", " \n\t\n\n"])
def test_an_empty_file_is_no_message(run: Run, content: str) -> None:
    steering = Steering(run)
    append(run, content)
    steering.collect()
    append(run, "real\n")
    steering.collect()
    assert queued(run) == ["real"]


def test_a_link_or_a_folder_in_the_inbox_place_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("not for us\n")
    run.dir.steer_file.symlink_to(tmp_path / "elsewhere")
    run.dir.steer_next_file.mkdir()
    Steering(run).collect()
    assert queued(run) == []
    assert (tmp_path / "elsewhere").read_text() == "not for us\n"


@pytest.mark.parametrize("text", ["", "  \n ", "x" * (5 << 20)])
def test_an_empty_or_giant_message_is_refused_with_a_sentence(run: Run, text: str) -> None:
    with pytest.raises(Mistake, match="steering message"):
        control.steer(run.dir, text)
    assert messages(run) == []


def test_a_command_line_that_is_no_utf_8_still_arrives(run: Run) -> None:
    control.steer(run.dir, "caf\udce9")
    Steering(run).collect()
    assert queued(run) == ["caf?"]


# --- Damage ----------------------------------------------------------------


def errors(run: Run) -> list[str]:
    return [event.message for event in Tail(run.dir.journal).read_all() if isinstance(event, ev.Error)]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"id": 2}', None])
def test_a_message_that_can_not_be_read_holds_no_later_one_up(
    run: Run, open_run: OpenRun, damage: bytes | None
) -> None:
    for text in ("one", "two", "three"):
        control.steer(run.dir, text)
    path = control.numbered(run.dir.steering, 2)
    path.unlink() if damage is None else path.write_bytes(damage)
    steering = Steering(run)
    steering.collect()
    steering.collect()
    assert [text for text in queued(run) if text] == ["one", "three"]
    expected = "002 is missing" if damage is None else "message 002 can't be read"
    assert len(errors(run)) == 1 and expected in errors(run)[0]
    kept = path.with_suffix(".damaged")
    assert (kept.read_bytes() if kept.exists() else None) == damage
    assert "\none\n" in (given := steering.hand_over("tool-1")) and "\nthree\n" in given

    later_run = open_run(run.dir.root)
    later = Steering(later_run)
    control.steer(run.dir, "four")
    later.collect()
    assert [text for text in queued(run) if text] == ["one", "three", "four"]
    assert len(errors(run)) == 1


@pytest.mark.parametrize("delivered", [False, True])
def test_a_message_that_is_damaged_after_it_was_queued_is_known_from_the_journal(
    run: Run, open_run: OpenRun, delivered: bool
) -> None:
    begin_session(run)
    steering = Steering(run)
    control.steer(run.dir, "hold on to this")
    steering.collect()
    if delivered:
        steering.hand_over("tool-1")
    control.numbered(run.dir.steering, 1).write_bytes(b"\0" * 40)
    later = Steering(open_run(run.dir.root))
    later.check_arrival([])
    assert "\nhold on to this\n" in later.hand_over("tool-2")
    later.reply_begins()
    later.acknowledge()
    receipt = control.read_steer(run.dir, 1)
    assert receipt is not None and receipt.acknowledged


# --- Handing over ----------------------------------------------------------------


def test_messages_for_the_next_session_wait_for_its_start(run: Run) -> None:
    steering = Steering(run)
    append(run, "now\n")
    append(run, "later\n", "STEER.next.md")
    control.steer(run.dir, "later too", "next")
    steering.collect()
    given = steering.hand_over("tool-1")
    assert "now" in given and "later" not in given
    assert steering.hand_over("tool-2") == ""
    given = steering.hand_over(None, session_start=True)
    assert "\nlater\n" in given and "\nlater too\n" in given


def test_a_message_is_delivered_once_with_its_receipt_and_acknowledged_once(run: Run) -> None:
    begin_session(run)
    steering = Steering(run)
    number = int(control.steer(run.dir, "be brief"))
    steering.collect()
    assert heading("001") in steering.hand_over("tool-7")
    steering.reply_begins()
    steering.acknowledge()
    steering.reply_begins()
    steering.acknowledge()
    assert steering.hand_over("tool-8") == ""
    told = [event for event in Tail(run.dir.journal).read_all() if type(event).__name__.startswith("Steer")]
    assert [type(event) for event in told] == [ev.SteerQueued, ev.SteerDelivered, ev.SteerAcknowledged]
    receipt = control.read_steer(run.dir, number)
    assert receipt is not None
    assert (receipt.session, receipt.tool_use_id) == (1, "tool-7")
    assert receipt.delivered and receipt.acknowledged


def transcript(*texts: str) -> list[bytes]:
    return [json.dumps({"type": "user", "content": text}).encode() for text in texts]


@pytest.mark.parametrize("arrived", [0, 1, 2])
def test_a_resumed_conversation_gets_again_only_what_it_does_not_hold(
    run: Run, open_run: OpenRun, arrived: int
) -> None:
    begin_session(run)
    steering = Steering(run)
    for text in ("first", "second"):
        control.steer(run.dir, text)
    steering.collect()
    given = [f"{heading(f'{number:03d}')}\ntext" for number in (1, 2)]
    steering.hand_over("tool-1")

    later = Steering(open_run(run.dir.root))
    later.check_arrival(transcript("hello", *given[:arrived]))
    again = later.hand_over("tool-2")
    assert [number for number in (1, 2) if heading(f"{number:03d}") in again] == [1, 2][arrived:]
    later.reply_begins()
    later.acknowledge()
    assert later.hand_over("tool-3") == ""


def test_what_was_acknowledged_is_never_searched_for_again(run: Run, open_run: OpenRun) -> None:
    steering = Steering(run)
    control.steer(run.dir, "done with")
    steering.collect()
    steering.hand_over("tool-1")
    steering.reply_begins()
    steering.acknowledge()
    later = Steering(open_run(run.dir.root))
    later.check_arrival([])
    later.return_to_queue()
    assert later.hand_over(None, session_start=True) == ""


def test_a_session_that_ended_without_a_word_gives_its_messages_back_in_order(run: Run) -> None:
    steering = Steering(run)
    control.steer(run.dir, "old")
    steering.collect()
    steering.hand_over("tool-1")
    control.steer(run.dir, "new")
    steering.collect()
    steering.return_to_queue()
    given = steering.hand_over(None, session_start=True)
    assert given.index(heading("001")) < given.index(heading("002"))


# --- Crashes ----------------------------------------------------------------


class Crash(BaseException):
    """Ends an engine at one of its steps."""


def crash_at(monkeypatch: pytest.MonkeyPatch, run: Run, step: int) -> None:
    """Make the `step`-th write-like step of this engine its last; it may be done before the crash, or not."""
    count = 0

    def breaking(original: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count == step:
                raise Crash
            result = original(*arguments, **named)
            count += 1
            if count == step:
                raise Crash
            return result

        return wrapped

    monkeypatch.setattr("harness_core.operator.steering.os.rename", breaking(__import__("os").rename))
    monkeypatch.setattr(control, "steer", breaking(control.steer))
    monkeypatch.setattr(control, "save_receipt", breaking(control.save_receipt))
    monkeypatch.setattr(run, "emit", breaking(run.emit))
    monkeypatch.setattr(Path, "unlink", breaking(Path.unlink))


def one_round(steering: Steering, conversation: list[str]) -> None:
    """Collect, deliver, acknowledge, as an engine does; the conversation keeps what it was given."""
    steering.collect()
    if given := steering.hand_over("tool-1"):
        conversation.append(given)
        steering.reply_begins()
        steering.acknowledge()


def test_a_crash_at_any_step_loses_no_message_and_gives_none_twice(
    open_run: OpenRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness_core.operator.steering.LATE", 0.0)
    step, crashed = 0, True
    while crashed:
        step += 1
        root = tmp_path / f"run{step}"
        first = open_run(root)
        append(first, "from the file\nand its second line\n")
        control.steer(first.dir, "from the command")
        conversation: list[str] = []
        with monkeypatch.context() as broken:
            crash_at(broken, first, step)
            try:
                one_round(Steering(first), conversation)
                one_round(Steering(first), conversation)
                crashed = False
            except Crash:
                crashed = True
        second = open_run(root)
        steering = Steering(second)
        steering.check_arrival(transcript(*conversation))
        for _ in range(2):
            one_round(steering, conversation)
        steering.reply_begins()
        steering.acknowledge()
        said = "\n".join(conversation)
        for text in ("from the file", "and its second line", "from the command"):
            assert said.count(text) == 1, (step, text, said)
        state = Follower(second.dir).catch_up()
        assert (state.steer_queued, state.steer_delivered, state.steer_acknowledged) == (2, 2, 2), step
        assert not list(second.dir.steering.glob("inbox-*"))
        shutil.rmtree(root)
    assert step > 15


def test_a_new_engine_takes_up_a_claimed_file_where_the_last_one_stopped(run: Run, open_run: OpenRun) -> None:
    steering = Steering(run)
    append(run, "queued\nnot yet")
    steering.collect()
    claimed = next(run.dir.steering.glob("inbox-*"))
    with claimed.open("a") as stream:
        stream.write(" but now\n")
    later_run = open_run(run.dir.root)
    later = Steering(later_run)
    later.collect()
    assert queued(later_run) == ["queued", "not yet but now"]
    assert not claimed.exists()


def test_what_others_lay_beside_the_messages_stops_nobody(run: Run, open_run: OpenRun) -> None:
    append(run, "go\n")
    run.dir.steering.mkdir(exist_ok=True)
    for name in ("inbox-", "inbox-mine", "inbox-1-mine", "mine.json", "-1.json"):
        (run.dir.steering / name).write_text("mine\n")
    run.emit(ev.SteerQueued(id="mine", mode="now", text="whose?"))
    later_run = open_run(run.dir.root)
    later = Steering(later_run)
    collect_until(later, lambda: "go" in queued(later_run))
    assert "mine" not in queued(later_run)
    assert (run.dir.steering / "inbox-mine").read_text() == "mine\n"


@pytest.mark.parametrize("shift", [-86_400, 86_400])
def test_a_clock_that_jumps_a_day_changes_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, shift: int
) -> None:
    steering = Steering(run)
    append(run, "one\ntwo")
    steering.collect()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + shift * 10**9)
    append(run, "three\n")
    collect_until(steering, lambda: len(queued(run)) == 3)
    assert queued(run) == ["one", "two", "three"]


def test_a_number_far_ahead_neither_floods_the_run_nor_is_taken_twice(run: Run, open_run: OpenRun) -> None:
    control.steer(run.dir, "first")
    forged = control.numbered(run.dir.steering, 20_000)
    forged.write_bytes(control.numbered(run.dir.steering, 1).read_bytes().replace(b'"001"', b'"20000"'))
    Steering(run).collect()
    control.steer(run.dir, "last")
    later = open_run(run.dir.root)
    Steering(later).collect()
    events = list(Tail(run.dir.journal).read_all())
    assert [event.id for event in events if isinstance(event, ev.SteerQueued)] == ["001", "20000", "20001"]
    assert len([event for event in events if isinstance(event, ev.Error)]) == 1


# --- Whatever happens, in whatever order ----------------------------------------------------------------


CHANNELS = ("file now", "file next", "command now", "command next")
WRITES = st.tuples(st.sampled_from(CHANNELS), st.text("aé\u2028 \n", max_size=4))
HAPPENINGS = st.sampled_from(
    ("look", "boundary", "session", "reply", "crash, held", "crash, lost", "no word")
)


class Conversation:
    """An engine's steering and what the agent has got of it, over crashes."""

    def __init__(self, open_run: OpenRun, root: Path) -> None:
        self._open = lambda: open_run(root)
        self.run = self._open()
        self.steering = Steering(self.run)
        self.answered: list[str] = []
        self._held: list[str] = []
        """What the conversation holds unanswered."""
        self._under_way: list[str] = []

    def write(self, channel: str, text: str) -> None:
        way, mode = channel.split()
        if way == "file":
            append(self.run, f"{text}\n", "STEER.md" if mode == "now" else "STEER.next.md")
        else:
            control.steer(self.run.dir, text, "now" if mode == "now" else "next")

    def happen(self, what: str) -> None:
        if what == "look":
            self.steering.collect()
        elif what in ("boundary", "session"):
            self.steering.collect()
            self._under_way.append(self.steering.hand_over("tool", session_start=what == "session"))
        elif what == "reply":
            self.answered += [*self._held, *self._under_way]
            self._held, self._under_way = [], []
            self.steering.reply_begins()
            self.steering.acknowledge()
        elif what == "no word":
            self._held, self._under_way = [], []
            self.steering.return_to_queue()
        else:
            self._held += self._under_way if what == "crash, held" else []
            self._under_way = []
            self.run = self._open()
            self.steering = Steering(self.run)
            self.steering.check_arrival(transcript(*self.answered, *self._held))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WRITES | HAPPENINGS, min_size=8, max_size=30))
def test_every_message_reaches_the_agent_once_and_in_order(
    open_run: OpenRun, tmp_path_factory: pytest.TempPathFactory, story: list[tuple[str, str] | str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness_core.operator.steering.LATE", 0.0)
        talk = Conversation(open_run, tmp_path_factory.mktemp("talk"))
        written: dict[str, list[str]] = {channel: [] for channel in CHANNELS}
        for number, step in enumerate(story):
            if isinstance(step, str):
                talk.happen(step)
            else:
                channel, text = step
                mark = f"<{channel} {number}>"
                written[channel].append(mark)
                talk.write(channel, f"{mark}{text}")
        for step in ("look", "session", "reply"):
            talk.happen(step)
    said = "".join(talk.answered)
    for channel, marks in written.items():
        assert re.findall(f"<{channel} [0-9]+>", said) == marks
    state = Follower(talk.run.dir).catch_up()
    assert state.steer_queued == state.steer_delivered == state.steer_acknowledged
