"""Agreed sprint contracts: no tool writes them, and what changes them anyway is undone and told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness_core.contract.agreements import Agreements
from harness_core.record import events as ev
from harness_core.record.journal import Tail
from harness_core.run import Run
from tests.conftest import OpenRun

PROSE, SCHEMA = "contracts/01-a.md", "contracts/01-a.json"


@pytest.fixture
def run(open_run: OpenRun, tmp_path: Path) -> Run:
    """A run with one agreed contract."""
    made = open_run(tmp_path / "run")
    agreements = Agreements(made)
    sha256 = agreements.keep(made.dir.root / PROSE, b"1. It works.\n")
    schema = agreements.keep(made.dir.root / SCHEMA, b"{}\n")
    made.emit(
        ev.ContractAgreed(sprint=1, path=PROSE, sha256=sha256, criteria=[], by="both", schema_sha256=schema)
    )
    return made


def undone(run: Run) -> list[tuple[str, bool]]:
    events = Tail(run.dir.journal).read_all()
    return [(event.what, event.restored) for event in events if isinstance(event, ev.ContractTampered)]


def rewrite(path: Path) -> None:
    path.write_text("1. It nearly works.\n")


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def hard_link(path: Path) -> None:
    os.link(path, path.with_suffix(".copy"))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def folder_gone(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("change", [rewrite, Path.unlink, link, hard_link, folder, folder_gone])
@pytest.mark.parametrize("fresh", [False, True])
def test_what_strays_is_put_back_and_told_once(run: Run, change: Callable[[Path], None], fresh: bool) -> None:
    agreements = Agreements(run)
    agreements.inspect(None)
    assert undone(run) == []
    change(run.dir.root / PROSE)
    if fresh:
        agreements = Agreements(run)
    agreements.inspect("toolu_1")
    assert (run.dir.root / PROSE).read_bytes() == b"1. It works.\n"
    assert (run.dir.root / SCHEMA).read_bytes() == b"{}\n"
    told = undone(run)
    assert told and all(PROSE in what or SCHEMA in what for what, _ in told)
    assert all(restored for _, restored in told)
    agreements.inspect("toolu_2")
    assert undone(run) == told


def test_what_cannot_be_put_back_is_told_so_and_once(run: Run) -> None:
    shutil.rmtree(run.dir.blobs)
    rewrite(run.dir.root / PROSE)
    agreements = Agreements(run)
    agreements.inspect(None)
    agreements.inspect(None)
    assert undone(run) == [(f"{PROSE} was changed after it was agreed on", False)]


def test_writing_one_is_denied_and_writing_beside_it_is_not(run: Run) -> None:
    root, agreements = run.dir.root, Agreements(run)
    for name in (PROSE, SCHEMA, PROSE.upper()):
        denial = agreements.judge(root / name)
        assert denial is not None and denial.guard == "contract" and "frozen" in denial.reason
    for name in ("contracts/02-b.md", "01-a.md"):
        assert agreements.judge(root / name) is None
