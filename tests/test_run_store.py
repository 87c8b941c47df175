"""Whole runs whose files are refused, locked or damaged by what happens around them."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import Command, Stage, gapless, named, open_stage, until
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


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which `remount,abort` makes read-only as a fault of the disk does."""
    disk, image = tmp_path / "disk", tmp_path / "image"
    disk.mkdir()
    with image.open("wb") as stream:
        stream.truncate(32 << 20)
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("needs mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    if (mounted := mount(image, disk)).returncode:
        pytest.skip(f"needs the right to mount a file system ({mounted.stderr.strip()})")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def mount(image: Path, place: Path) -> subprocess.CompletedProcess[str]:
    command = ["mount", "-o", "loop,errors=remount-ro", str(image), str(place)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.slow
def test_a_disk_that_turns_read_only_ends_a_run_with_a_sentence(tmp_path: Path, failing_disk: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.root = failing_disk / "run"
        stage.lay_out()
        # The sign lies elsewhere: here none can be given later.
        (stage.root / "go").symlink_to(tmp_path / "go")
        engine = stage.run()
        wait_until_held(stage)
        written = stage.journal()
        # What isn't on the disk yet is lost by this; that is another fault.
        subprocess.run(["sync", "-f", str(stage.root)], check=True)
        subprocess.run(["mount", "-o", "remount,abort", str(failing_disk)], check=True)
        (tmp_path / "go").touch()
        assert "Read-only file system" in ends_with_a_sentence(engine)
        assert stage.alive() == []
        assert stage.journal()[: len(written)] == written
        assert stage.do("status", str(stage.root)).wait() == 0, "it can be looked at"
        refused = stage.run()
        assert refused.wait(30) == 2
        assert "can't be written (Read-only file system)" in refused.err
        subprocess.run(["umount", str(failing_disk)], check=True)
        assert mount(tmp_path / "image", failing_disk).returncode == 0
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


def test_the_engine_commits_in_spite_of_a_lock_that_a_killed_git_left(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        wait_until_held(stage)
        (stage.root / ".git" / "index.lock").touch()
        stage.release()
        assert engine.wait(60) == 0, engine.err
        assert stage.subjects()[-1].startswith("longwatch: uncommitted work")
        assert stage.git("status", "--porcelain", "--", "designs", "screenshots") == ""
        assert stage.journal(named("error")) == []


def test_a_git_that_holds_its_lock_is_told_and_waited_for_by_nobody(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        wait_until_held(stage)
        (stage.root / "PROGRESS.md").write_text("By hand.\n")
        editor = f"sh -c 'touch {tmp_path}/open; until [ -e {tmp_path}/closed ]; do sleep 0.05; done'"
        holder = subprocess.Popen(
            ["git", "commit", "-aq"], cwd=stage.root, env={**stage.env, "GIT_EDITOR": editor}
        )
        try:
            until((tmp_path / "open").exists, 10, "git waits for its editor")
            stage.release()
            assert engine.wait(60) == 0, engine.err
        finally:
            (tmp_path / "closed").touch()
            holder.wait()
        told = stage.journal(named("error"))
        # Neither what the session left nor what the engine wrote last can be committed.
        assert [event["kind"] for event in told] == ["git", "git"]
        assert all("could not commit" in one["message"] and "\n" not in one["message"] for one in told)
        assert stage.passing() == [True]


def test_a_repository_in_the_environment_is_not_taken_for_the_runs(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny") as stage:
        stage.lay_out()
        foreign = tmp_path / "foreign"
        subprocess.run(["git", "init", "-q", str(foreign)], env=stage.env, check=True)
        before = sorted(foreign.rglob("*"))
        clean = dict(stage.env)
        stage.env |= {
            "GIT_DIR": str(foreign / ".git"),
            "GIT_WORK_TREE": str(foreign),
            "GIT_INDEX_FILE": str(foreign / "index"),
        }
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        stage.env = clean
        assert stage.subjects() == ["Lay out the flags", "Draw F001"]
        journaled = [event["sha"] for event in stage.journal(named("commit"))]
        assert journaled == [stage.git("rev-parse", "HEAD").strip()]
        assert sorted(foreign.rglob("*")) == before


def test_no_text_is_cut_through_a_secret(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+huge-write:20000+huge-output:20000") as stage:
        # Where what the agent writes and what its command prints are cut, one of these begins before it.
        stage.env |= {"SHOP_TOKEN": "bcde\n0123", "SHOP_PASSWORD": "cdef0123"}
        stage.lay_out()
        engine = stage.run()
        assert engine.wait(60) == 0, engine.err
        written = [event["input"]["content"] for event in stage.journal(named("tool_use", tool="Write"))]
        (long,) = [text for text in written if "more characters" in text]
        assert "[redacted]" in long and "bcde" not in long
        (printed,) = [event for event in stage.journal(named("tool_result")) if event["blob"]]
        assert "[redacted]" in printed["output"] and "cdef" not in printed["output"]
        assert "cdef0123" not in (stage.private / "blobs" / printed["blob"]).read_text()


def test_what_others_do_to_the_journal_is_undone_and_told(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        wait_until_held(stage)
        written = stage.journal()
        path = stage.private / "journal.jsonl"
        path.unlink()
        path.write_text(
            '{"type":"feature_changed","seq":1,"feature":"F001","from":"failing","to":"claimed"}\n'
        )
        stage.release()
        assert engine.wait(60) == 0, engine.err
        assert stage.journal()[: len(written)] == written
        assert gapless(stage.journal())
        assert len([event for event in stage.journal(named("error")) if event["kind"] == "journal"]) == 1


def test_a_call_that_a_kill_cut_off_is_known_as_cut_off(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold") as stage:
        stage.lay_out()
        engine = stage.run()
        wait_until_held(stage)
        call = stage.journal(is_held)[0]["tool_use_id"]
        kept = Path(stage.env["CLAUDE_CONFIG_DIR"]) / "projects"
        until(lambda: any(call in path.read_text() for path in kept.rglob("*.jsonl")), 10, "the CLI kept it")
        engine.kill()
        until(lambda: not stage.alive(), 5, "the guardian has cleaned up")
        stage.release()
        goes_on_to_its_end(stage)
        said = json.dumps(stage.bodies("generator")[-1]["messages"])
        assert "Tool call interrupted" in said
        assert "Exit code 137" not in said
