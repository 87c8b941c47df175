"""Whole runs whose files are refused, locked or damaged by what happens around them."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tests.harness import Command, Stage, gapless, open_stage, until
from tests.test_run_faults import is_held


def ends_with_a_sentence(engine: Command) -> str:
    """The one line that a failed engine leaves on stderr."""
    assert engine.wait(30) == 1, engine.err
    assert "Traceback" not in engine.out + engine.err
    (line,) = engine.err.splitlines()
    return line


def wait_until_held(stage: Stage) -> None:
    stage.wait_for(is_held)
    until(lambda: any("os.path.exists" in line for line in stage.alive()), 10, "the held command runs")


def goes_on_to_its_end(stage: Stage) -> None:
    again = stage.run()
    assert again.wait(60) == 0, again.err
    assert gapless(stage.journal())
    assert stage.status()["damaged"] == 0
    assert stage.passing() == [True]


def test_a_full_disk_ends_a_run_with_a_sentence_and_room_lets_it_go_on(
    tmp_path: Path, small_disk: Path
) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.root = small_disk
        stage.lay_out()
        engine = stage.run()
        wait_until_held(stage)
        ballast = small_disk / ".longwatch" / "ballast"
        with ballast.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space"):
            while True:
                stream.write(b"x" * 4096)
        written = stage.journal()
        stage.release()
        said = ends_with_a_sentence(engine)
        assert "No space left on device" in said and str(small_disk) in said
        assert stage.alive() == []
        ballast.unlink()
        assert stage.journal()[: len(written)] == written
        goes_on_to_its_end(stage)


def test_a_journal_that_may_not_grow_ends_the_run_before_another_call(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        wait_until_held(stage)
        written = stage.journal()
        size = (stage.private / "journal.jsonl").stat().st_size
        resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        stage.release()
        said = ends_with_a_sentence(engine)
        assert "journal.jsonl" in said
        assert not (stage.root / "designs").exists()
        assert stage.journal() == written
        assert stage.alive() == []
        goes_on_to_its_end(stage)
