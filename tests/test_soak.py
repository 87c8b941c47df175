"""The soak's own judgement: what it takes for a leak, and that a small one comes to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak import Life, Sample

ROOT = Path(__file__).resolve().parents[1]


def life(*rss: float, descriptors: int = 20) -> Life:
    return Life([Sample(memory, descriptors) for memory in rss])


def test_what_is_loaded_in_the_first_tenth_is_no_growth() -> None:
    seen = life(*[30.0] * 20, *[70.0] * 180)
    assert seen.growth == 0
    assert seen.good


def test_memory_that_grows_by_a_tenth_after_the_first_tenth_is_a_leak() -> None:
    assert life(*(70 + place * 0.03 for place in range(200))).good
    leak = life(*(70 + place * 0.05 for place in range(200)))
    assert leak.growth > 0.1
    assert not leak.good


def test_descriptors_that_stay_open_are_a_leak() -> None:
    seen = life(*[70.0] * 190)
    seen.samples += life(*[70.0] * 10, descriptors=40).samples
    assert seen.growth == 0
    assert not seen.good


@pytest.mark.slow
def test_a_small_soak_tells_what_it_has_seen(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--features", "2", "--seed", "3", "--minutes", "5"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    told = dict(line.split(None, 1) for line in done.stdout.splitlines() if " " in line)
    assert "2 of 2" in done.stdout, done.stdout + done.stderr
    assert told["exit"] == "0"
    assert "0 gaps, 0 damaged" in told["events"]
