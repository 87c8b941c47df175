"""A run that was killed in the middle, then each of its files damaged in turn, and the same command again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import Command, Stage, named, open_stage, until
from tests.test_run_faults import is_held

WAYS: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda data: b"",
    "halved": lambda data: data[: len(data) // 2],
    "zeroed": lambda data: bytes(len(data)),
    "another's": lambda data: b'{"id": [1], "seq": "x", "features": {}}\n',
}
PASSED_OVER = {"lock", "cli.sh", "engine.log", "app.log"}
"""What no engine reads, or makes anew each time."""


def begin(stage: Stage) -> Path:
    """Kill a run of sprints in the middle of its first; where its files are kept as they were then."""
    engine = run(stage)
    stage.wait_for(is_held, 120)
    (stage.root / "STEER.md").write_text("Mind the colour blue.\n")
    stage.wait_for(named("steer_queued"))
    engine.kill()
    until(lambda: not stage.alive(), 10, "nothing of the killed engine's run is alive")
    stage.release()
    kept = stage.scratch / "kept"
    shutil.copytree(stage.root, kept / "run", symlinks=True)
    shutil.copytree(stage.env["CLAUDE_CONFIG_DIR"], kept / "claude", symlinks=True)
    return kept


def run(stage: Stage) -> Command:
    return stage.start(
        *("run", str(stage.root), "--preset", "sprints", "--spec", str(stage.spec)),
        *("--features", "2", "--headless", "--set", "checkpoints=never"),
    )


def files(kept: Path) -> Iterator[Path]:
    """The files of the run that engine, agents' CLI and operator leave to the next engine."""
    private = kept / "run" / ".longwatch"
    found = [path for path in private.rglob("*") if path.is_file() and path.parent.name != "blobs"]
    found += [kept / "run" / name for name in ("feature_list.json", "PROGRESS.md", "init.sh")]
    found += (kept / "claude").glob("projects/*/*.jsonl")
    return (path.relative_to(kept) for path in sorted(found) if path.name not in PASSED_OVER)


def bring_back(stage: Stage, kept: Path) -> None:
    for name, place in (("run", stage.root), ("claude", Path(stage.env["CLAUDE_CONFIG_DIR"]))):
        shutil.rmtree(place)
        shutil.copytree(kept / name, place, symlinks=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("way", WAYS)
def test_an_engine_goes_on_over_any_damaged_file_or_says_which(tmp_path: Path, way: str) -> None:
    with open_stage(tmp_path, "sprints+hold", record=False) as stage:
        kept = begin(stage)
        for path in files(kept):
            place = stage.scratch / path
            place.write_bytes(WAYS[way](place.read_bytes()))
            engine = run(stage)
            code = engine.wait(180)
            print(way, path, code, engine.err.strip().splitlines()[-1:], flush=True)
            said = f"{path}, exit {code}: {engine.out}{engine.err}"
            assert "Traceback" not in said and "broke down" not in said, said
            assert code in (0, 2) and (code or stage.passing() == [True, True]), said
            bring_back(stage, kept)
            assert stage.alive() == [], path
