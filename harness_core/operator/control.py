"""The operator's side: what commands and consoles write into a run, and nothing else may.

All of it is files, so that a shell script has the same powers as a console, and a hung console can't
take the brake away.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from harness_core.errors import Mistake
from harness_core.layout import RunDir
from harness_core.machine.files import MAX_TEXT, clear_way, create_once, read_bounded, write_whole
from harness_core.record.journal import now_iso
from harness_core.steps.iterations import Iteration

SteerMode = Literal["now", "next"]
Decision = Literal["approve", "reject", "skip"]
T = TypeVar("T")
R = TypeVar("R", "SkipRequest", "RewordRequest")
N = TypeVar("N", "SteerMessage", "Checkpoint", "LimitsRequest")
_STEER_LIMIT = 7 * MAX_TEXT
"""Bytes of the largest message's file: JSON takes six for a control character."""


class SteerMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A steering message, `steering/NNN.json`: what was said and, in time, its receipt."""

    id: str
    mode: SteerMode
    text: str
    by: str
    queued: str
    source: str = ""
    """The claimed file that it was read from, and how far it had been read by then."""
    upto: int = 0
    session: int | None = None
    tool_use_id: str | None = None
    delivered: str = ""
    acknowledged: str = ""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A question to the operator, `checkpoints/NNN.json`: what was shown, and its hash."""

    id: str
    kind: str
    opened: str
    summary: str
    features: list[str]
    subject_hash: str
    commit: str | None = None
    verdict: str = ""
    findings: list[str] = []
    evidence: list[str] = []
    iterations: list[Iteration] = []
    """At the end of a design: those of which one is to stand."""


class DecisionFile(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's answer, `checkpoints/NNN.decision.json`."""

    id: str
    decision: Decision
    by: str
    note: str
    subject_hash: str
    decided: str
    overrides: list[str] = []
    """Criteria on which the operator disagrees with the evaluator."""
    choice: int | None = None
    """The iteration of a design that is to stand; None leaves the best one."""


class LimitsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator wants to be changed of the limits, `limits/NNN.json`; None takes one away."""

    id: str
    changed: dict[str, float | None]
    by: str
    asked: str


class FeatureRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the operator wants of one feature; its file is gone when an engine has taken it up."""

    feature: str
    by: str
    asked: str


class SkipRequest(FeatureRequest, frozen=True, kw_only=True):
    """A feature that is given up for now, `skips/*.json`."""

    note: str


class RewordRequest(FeatureRequest, frozen=True, kw_only=True):
    """A feature's text as it is to be, `rewordings/*.json`; None leaves a part as it is."""

    description: str | None
    steps: list[str] | None


def operator_name() -> str:
    """Who is answering: the login name, or the numeric user where there is none."""
    with contextlib.suppress(OSError, KeyError):
        return getpass.getuser()
    return f"uid {os.getuid()}"


def request_stop(run: RunDir) -> None:
    """Put AGENT_STOP in place: nothing runs while it is there."""
    run.stop_file.touch()


def request_finish(run: RunDir) -> None:
    """Put AGENT_FINISH in place: the feature in hand is finished, then the run stops."""
    run.finish_file.touch()


def clear_stop(run: RunDir) -> bool:
    """Take AGENT_STOP and AGENT_FINISH away; True when one was there."""
    there = [path for path in (run.stop_file, run.finish_file) if os.path.lexists(path)]
    for path in there:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
    return bool(there)


def _characters(text: str) -> str:
    """`text` as it can be written: bytes of a command line that aren't UTF-8 become `?`."""
    return text.encode("utf-8", "replace").decode()


def numbered(folder: Path, number: int) -> Path:
    """The file of that number in a folder of messages or checkpoints."""
    return folder / f"{number:03d}.json"


def numbers(folder: Path) -> list[int]:
    """The numbers of all `NNN.json` in `folder`, in order."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return sorted(int(number) for number in found if number.isdecimal())


def highest(folder: Path) -> int:
    """The highest number of a `NNN.json` in `folder`, 0 when there is none."""
    return max(numbers(folder), default=0)


def steer(
    run: RunDir, text: str, mode: SteerMode = "now", by: str = "", source: str = "", upto: int = 0
) -> str:
    """Queue a message for the agent and return its id. Raises Mistake for an empty or giant one."""
    text = _characters(text)
    check_words(text)
    number = highest(run.steering) + 1
    while True:
        message = SteerMessage(
            id=f"{number:03d}",
            mode=mode,
            text=text,
            by=_characters(by or operator_name()),
            queued=now_iso(),
            source=source,
            upto=upto,
        )
        if create_once(numbered(run.steering, number), msgspec.json.encode(message)):
            return message.id
        number += 1


def check_words(text: str) -> None:
    """Refuse a steering message that says nothing, or more than anybody can mean. Raises Mistake."""
    if not text.strip():
        raise Mistake("the steering message is empty: say what the agent should do")
    if len(text.encode("utf-8", "replace")) > MAX_TEXT:
        raise Mistake(
            "the steering message is over 4 MiB: put it into a file and name the file in the message"
        )


def leave_words(run: RunDir, text: str, mode: SteerMode = "now") -> Path:
    """Write a message where another harness looks for it; returns that file. Raises as `steer` does."""
    check_words(text)
    path = run.steer_next_file if mode == "next" else run.steer_file
    with path.open("a", encoding="utf-8", errors="replace") as stream:
        stream.write(text.rstrip("\n") + "\n")
    return path


def read_steer(run: RunDir, number: int) -> SteerMessage | None:
    """The message of that number, or None when there is none that can be read."""
    return _numbered(run.steering, number, SteerMessage, _STEER_LIMIT)


def is_queued(run: RunDir, source: str) -> bool:
    """Whether a message from that source was queued before."""
    known = (read_steer(run, number) for number in numbers(run.steering))
    return any(message is not None and message.source == source for message in known)


def read_checkpoint(run: RunDir, number: int) -> Checkpoint | None:
    return _numbered(run.checkpoints, number, Checkpoint)


def checkpoint_of(run: RunDir, checkpoint: str) -> Checkpoint | None:
    """The question of that id; None for one that no engine gives, and for a file that can't be read."""
    return read_checkpoint(run, int(checkpoint)) if checkpoint.isdecimal() else None


def decision_path(run: RunDir, checkpoint: str) -> Path:
    return run.checkpoints / f"{checkpoint}.decision.json"


def read_decision(run: RunDir, checkpoint: str) -> DecisionFile | None:
    return _read(decision_path(run, checkpoint), DecisionFile)


def decide(
    run: RunDir,
    checkpoint: Checkpoint,
    decision: Decision,
    note: str = "",
    overrides: Sequence[str] = (),
    choice: int | None = None,
) -> None:
    """Answer a checkpoint, once. `overrides` are criteria on which the evaluator was wrong, `choice` is the
    iteration of a design that is to stand.

    Raises Mistake when it has an answer, a needed note is missing or there is nothing like that to choose.
    """
    if choice is not None:
        _check_choice(checkpoint, choice)
    if decision != "approve" and not note.strip():
        raise Mistake(
            f"say why with --note: the agents work from it ({decision} of checkpoint {checkpoint.id})"
        )
    answer = DecisionFile(
        id=checkpoint.id,
        decision=decision,
        by=_characters(operator_name()),
        note=_characters(note),
        subject_hash=checkpoint.subject_hash,
        decided=now_iso(),
        overrides=[_characters(criterion) for criterion in overrides],
        choice=choice,
    )
    path, data = decision_path(run, checkpoint.id), msgspec.json.encode(answer)
    if create_once(path, data):
        return
    known = read_decision(run, checkpoint.id)
    if known is not None and known.subject_hash == checkpoint.subject_hash:
        raise Mistake(f"checkpoint {checkpoint.id} already has a decision")
    # What lies there answers nothing that was asked: somebody else's file must not lock the operator out.
    clear_way(path)
    write_whole(path, data)


def _check_choice(checkpoint: Checkpoint, choice: int) -> None:
    shown = ", ".join(f"{one.number} ({one.total:.1f})" for one in checkpoint.iterations)
    if not shown:
        raise Mistake(f"checkpoint {checkpoint.id} isn't the end of a design: nothing is there to choose")
    if all(one.number != choice for one in checkpoint.iterations):
        raise Mistake(f"there is no iteration {choice}: choose one of {shown}")


def change_limits(run: RunDir, changed: Mapping[str, float | None]) -> str:
    """Ask for other limits, and return the request's id: the engine at work takes it up, or the next one."""
    number = highest(run.limits) + 1
    while True:
        request = LimitsRequest(
            id=f"{number:03d}", changed=dict(changed), by=_characters(operator_name()), asked=now_iso()
        )
        if create_once(numbered(run.limits, number), msgspec.json.encode(request)):
            return request.id
        number += 1


def read_limits(run: RunDir, number: int) -> LimitsRequest | None:
    return _numbered(run.limits, number, LimitsRequest)


def skip(run: RunDir, feature: str, note: str) -> None:
    """Ask for a feature to be given up for now: the engine at work does it, or the next one.

    Raises Mistake without a note.
    """
    if not note.strip():
        raise Mistake(f"say why with --note: it stays with the feature (skip of {feature})")
    request = SkipRequest(
        feature=feature, note=_characters(note), by=_characters(operator_name()), asked=now_iso()
    )
    _ask(run.skips, request)


def reword(run: RunDir, feature: str, description: str | None, steps: Sequence[str] | None) -> None:
    """Ask for a feature's text to be changed: the engine at work does it, or the next one."""
    request = RewordRequest(
        feature=feature,
        description=None if description is None else _characters(description),
        steps=None if steps is None else [_characters(step) for step in steps],
        by=_characters(operator_name()),
        asked=now_iso(),
    )
    _ask(run.rewordings, request)


def _ask(folder: Path, request: FeatureRequest) -> None:
    """Put a request where an engine takes it up, after those that were made before."""
    while not create_once(numbered(folder, time.time_ns()), msgspec.json.encode(request)):
        pass


def requests(folder: Path) -> list[Path]:
    """The files of all requests that no engine has taken up, the oldest first."""
    found = (path for path in folder.glob("*.json") if path.stem.isdecimal())
    return sorted(found, key=lambda path: int(path.stem))


def read_request(path: Path, kind: type[R]) -> R | None:
    """What is asked for there; None for what can't be read."""
    return _read(path, kind)


def save_receipt(run: RunDir, message: SteerMessage) -> None:
    write_whole(numbered(run.steering, int(message.id)), msgspec.json.encode(message), durable=False)


def save_checkpoint(run: RunDir, checkpoint: Checkpoint) -> None:
    write_whole(
        numbered(run.checkpoints, int(checkpoint.id)),
        msgspec.json.format(msgspec.json.encode(checkpoint), indent=1) + b"\n",
    )


def _numbered(folder: Path, number: int, kind: type[N], limit: int = MAX_TEXT) -> N | None:
    """What is under that number; None for what calls itself by another, for it was damaged."""
    found = _read(numbered(folder, number), kind, limit)
    return found if found is not None and found.id == f"{number:03d}" else None


def _read(path: Path, kind: type[T], limit: int = MAX_TEXT) -> T | None:
    data = read_bounded(path, limit)
    if data is None:
        return None
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(data, type=kind)
    return None
