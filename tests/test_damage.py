"""Damaged files of a run: what can be read is read, the rest gets a sentence, nothing vanishes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness_core import config
from harness_core.config import Options, RunConfig
from harness_core.contract.ledger import Ledger
from harness_core.errors import LongwatchError
from harness_core.layout import RunDir
from harness_core.machine.gitrepo import GitRepo
from harness_core.operator import checkpoints, control, limit_requests, rewordings, skips
from harness_core.operator.steering import Steering
from harness_core.record import events as ev
from harness_core.record.fold import fold, save_snapshot
from harness_core.record.journal import Journal, Tail
from harness_core.record.status import status
from harness_core.report import as_html, as_markdown
from harness_core.request import Request
from harness_core.run import Run
from harness_core.secrets.redact import Redactor
from harness_core.steps.flow import next_step
from tests.commands import engine_alone, longwatch
from tests.test_checkpoints import CLAIM, piece
from tests.test_flow import JUDGED

FILES = (
    *("feature_list.json", "longwatch.toml", ".longwatch/contract.json", ".longwatch/run.json"),
    *(".longwatch/journal.jsonl", ".longwatch/owner.json", ".longwatch/snapshot.json"),
    *(".longwatch/steering/001.json", ".longwatch/steering/002.json", ".longwatch/limits/001.json"),
    *(".longwatch/checkpoints/001.json", ".longwatch/checkpoints/001.decision.json", "STEER.md"),
)
Mutation = Callable[[bytes], bytes]
values = st.sampled_from(
    [None, True, -1, 0, 1 << 70, 1.5e300, "", "F1", "\x00", "\ud83d", [], [[]], {}, {"a": 1}]
)


@st.composite
def mutations(draw: st.DrawFn) -> Mutation:
    """One thing that happens to a file: cut, overwritten, spliced, holes of NULs, or sound but senseless."""
    kind = draw(st.sampled_from(["cut", "nul", "overwrite", "splice", "twice", "value", "drop", "line"]))
    where, length = draw(st.floats(0, 1)), draw(st.integers(1, 300))
    noise, value = draw(st.binary(min_size=1, max_size=40)), draw(values)

    def mutate(data: bytes) -> bytes:
        at = int(where * len(data))
        match kind:
            case "cut":
                return data[:at]
            case "nul":
                return data[:at] + bytes(length) + data[at + length :]
            case "overwrite":
                return data[:at] + noise + data[at + len(noise) :]
            case "splice":
                return data[:at] + noise + data[at:]
            case "twice":
                return data[:at] + data[max(0, at - length) :]
            case "line":
                return data[:at] + b"\n" + data[at:]
        return _senseless(data, where, value, drop=kind == "drop")

    return mutate


def _senseless(data: bytes, where: float, value: object, *, drop: bool) -> bytes:
    """JSON with one value replaced or taken out; in a journal, of one line."""
    lines = data.splitlines(keepends=True) if data.count(b'\n{"type"') else [data]
    if not lines:
        return data
    number = min(int(where * len(lines)), len(lines) - 1)
    try:
        document = json.loads(lines[number])
    except ValueError:
        return data
    places: list[tuple[object, object]] = []
    _collect(document, places)
    if places:
        holder, key = places[int(where * 997) % len(places)]
        if drop:
            del holder[key]  # type: ignore[attr-defined]
        else:
            holder[key] = value  # type: ignore[index]
    lines[number] = json.dumps(document).encode() + (b"\n" if lines[number].endswith(b"\n") else b"")
    return b"".join(lines)


def _collect(value: object, places: list[tuple[object, object]]) -> None:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        places.append((value, key))
        _collect(item, places)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that waits for an answer which is there, with steering, a limit asked for and one given up."""
    root = tmp_path_factory.mktemp("whole") / "run"
    directory = RunDir.at(root)
    directory.root.mkdir()
    directory.private.mkdir()
    run = _open(directory)
    directory.evidence.mkdir()
    features = [{"id": name, "description": name, "steps": [], "passes": False} for name in ("F1", "F2")]
    directory.contract.write_text(json.dumps(features))
    directory.config_file.write_text("[limits]\nmax_usd = 5\n")
    (directory.root / "init.sh").write_text("#!/bin/sh\n")
    (directory.root / "app_spec.txt").write_text("Build it.\n")
    (directory.evidence / "f1.log").write_text("1 passed\n")
    run.git.commit_all("work")
    run.emit(ev.RunStarted(format=1, run_id="whole", preset="two-agent"))
    ledger = Ledger(run)
    assert ledger.freeze(None) is None
    run.emit(
        ev.SessionStarted(
            session=1, role="generator", sdk_session="s", model="m", phase="build", feature="F1"
        )
    )
    run.emit(ev.Text(text="Here I go. \x1b[2J"))
    run.emit(ev.Cost(usd=0.5, tokens=10, turns=1, phase="build"))
    run.emit(msgspec.structs.replace(CLAIM, evidence=[piece(run, "screenshots/f1.log")]))
    run.emit(ev.SessionEnded(reason="done", ms=1, turns=1, usd=0.5, passing=1, total=2))
    control.steer(directory, "first")
    Steering(run).collect()
    control.steer(directory, "second")
    control.change_limits(directory, {"max_usd": 50.0})
    control.decide(directory, checkpoints.open_checkpoint(run, "end", ["F1"], "good?"), "reject", "no")
    save_snapshot(directory, run.state, run.journal.size)
    run.journal.close()
    info = config.RunInfo(1, "whole", "two-agent", "now", RunConfig(), Options(), "tiny")
    config.save_info(directory, info)
    directory.owner.write_text('{"pid":1,"started":0,"epoch":1}')
    directory.steer_file.write_text("third\n")
    assert all((root / name).exists() for name in FILES)
    return root


def _open(directory: RunDir) -> Run:
    git = GitRepo(directory)
    git.prepare()
    for folder in (directory.checkpoints, directory.steering):
        folder.mkdir(parents=True, exist_ok=True)
    return Run(
        dir=directory,
        id="whole",
        epoch=2,
        config=RunConfig(),
        journal=Journal(directory.journal),
        state=fold(directory),
        git=git,
        redact=Redactor({}),
    )


def damaged(whole: Path, place: Path, name: str, mutate: Mutation) -> RunDir:
    """A copy of the run in which that has happened to that file."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(whole, place, symlinks=True)
    path = place / name
    path.write_bytes(mutate(path.read_bytes()))
    return RunDir.at(place)


def look(directory: RunDir) -> None:
    for reader in (status, as_markdown, as_html, config.load_info):
        with suppress(LongwatchError):
            reader(directory)
    with suppress(LongwatchError):
        config.resolve(config.load_file(directory.config_file), Options(), {})


def go_on(directory: RunDir) -> None:
    """What an engine does with these files before its next session."""
    run = _open(directory)
    try:
        with suppress(LongwatchError):
            ledger = Ledger(run)
            ledger.load()
            steering = Steering(run, settled=0)
            steering.collect()
            steering.hand_over(None, session_start=True)
            limit_requests.take_up(run)
            skips.take_up(run, ledger)
            rewordings.take_up(run, ledger)
            checkpoints.follow_decision(run, ledger)
            next_step(run.state, JUDGED)
            ledger.inspect(None)
    finally:
        run.journal.close()


def check(whole: Path, place: Path, name: str, mutate: Mutation) -> None:
    directory = damaged(whole, place, name, mutate)
    look(directory)
    _nothing_unsaid(directory, (whole / ".longwatch/journal.jsonl").read_bytes())
    go_on(directory)
    look(directory)
    seqs = [event.seq for event in Tail(directory.journal).read_all()]
    if name != ".longwatch/journal.jsonl":
        assert seqs == list(range(1, len(seqs) + 1))


def _nothing_unsaid(directory: RunDir, before: bytes) -> None:
    """Every line that wasn't touched is read, and every other one is counted."""
    lines = directory.journal.read_bytes().split(b"\n")[:-1]
    tail = Tail(directory.journal)
    read = list(tail.read_all())
    assert len(read) + tail.damaged == len(lines)
    untouched = {line for line in before.split(b"\n") if line} & set(lines)
    found = {event.seq for event in read}
    assert {json.loads(line)["seq"] for line in untouched} <= found


OPTIONS = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=25, **OPTIONS)
@given(st.sampled_from(FILES), mutations())
def test_any_damage_is_read_past_or_told(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, name: str, mutate: Mutation
) -> None:
    check(whole, tmp_path_factory.getbasetemp() / f"damaged-{os.getpid()}", name, mutate)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=1500, **OPTIONS)
@given(st.sampled_from(FILES), mutations())
def test_much_more_damage_is_read_past_or_told(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, name: str, mutate: Mutation
) -> None:
    check(whole, tmp_path_factory.getbasetemp() / f"damaged-{os.getpid()}", name, mutate)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "mutate", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"\x00" * 99]
)
def test_commands_and_an_engine_end_with_a_sentence(
    whole: Path, tmp_path: Path, name: str, mutate: Mutation
) -> None:
    directory = damaged(whole, tmp_path / "run", name, mutate)
    directory.stop_file.touch()
    root = str(directory.root)
    request = Request(directory=root, rehearsal="tiny").encoded()
    environ = {"HOME": str(tmp_path), "ANTHROPIC_API_KEY": "no-key"}
    for done in (
        longwatch("status", root, **environ),
        longwatch("report", root, **environ),
        engine_alone(request, **environ),
        longwatch("status", root, **environ),
    ):
        said = (done.stdout + done.stderr).decode(errors="replace")
        assert "Traceback" not in said and "broke down" not in said, said
        assert done.returncode in (0, 2, 3, 5), said


@pytest.mark.parametrize("lost", [b"", bytes(500)])
def test_a_journal_that_has_lost_all_is_not_begun_anew(whole: Path, tmp_path: Path, lost: bytes) -> None:
    directory = damaged(whole, tmp_path / "run", ".longwatch/journal.jsonl", lambda data: lost)
    request = Request(directory=str(directory.root), rehearsal="tiny").encoded()
    done = engine_alone(request, HOME=str(tmp_path), ANTHROPIC_API_KEY="no-key")
    assert done.returncode == 2
    assert b"tells nothing of the run that was here" in done.stderr
    assert directory.journal.read_bytes() == lost


@pytest.mark.parametrize("name", [".longwatch/steering/001.json", ".longwatch/checkpoints/001.json"])
def test_a_file_that_calls_itself_by_another_number_is_damaged(
    whole: Path, tmp_path: Path, name: str
) -> None:
    check(whole, tmp_path / "run", name, lambda data: data.replace(b'"001"', b'""'))
