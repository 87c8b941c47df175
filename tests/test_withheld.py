"""What the engine commits by itself holds no credential: such a file stays as it is, and it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness_core import tasks
from harness_core.secrets.redact import known_values
from harness_core.tasks import Hints
from tests.harness import named, open_stage
from tests.test_attempts import first_message
from tests.test_gitrepo import commit, git, no_identity, prepared, root

__all__ = ["no_identity", "root"]

KEY = "AKIA" + "Q3EGRTZ7LMXV2WPN"
LINE = f'key = "{KEY}"\n'


def committed(root: Path) -> set[str]:
    return set(git(root, "show", "--name-only", "--format=", "-z", "HEAD").strip("\0").split("\0"))


def test_a_file_with_a_credential_stays_uncommitted_until_it_is_mended(root: Path) -> None:
    repo = prepared(root)
    commit(repo)
    (root / "good.py").write_text("x = 1\n")
    (root / "bad.py").write_text(f"# about\n{LINE}")
    assert repo.commit_all("all of it")
    assert committed(root) == {"good.py"}
    assert [str(found) for found in repo.withheld] == ["bad.py, line 2 (access key)"]
    assert git(root, "status", "--porcelain") == "?? bad.py"
    assert repo.commit_all("again") is None and len(repo.withheld) == 1
    (root / "bad.py").write_text("import os\n")
    assert repo.commit_all("mended") and committed(root) == {"bad.py"} and repo.withheld == []


def test_a_tracked_file_keeps_its_content_and_an_agents_own_staging_is_looked_through(root: Path) -> None:
    repo = prepared(root)
    commit(repo)
    (root / "a.txt").write_text(LINE)
    git(root, "add", "-A")
    assert repo.commit_all("all of it") is None
    assert (root / "a.txt").read_text() == LINE and KEY not in git(root, "log", "-p", "--all")


def test_it_holds_before_the_first_commit(root: Path) -> None:
    repo = prepared(root)
    (root / "bad.py").write_text(LINE)
    assert repo.commit_all("first") is None
    (root / "good.py").write_text("x = 1\n")
    assert repo.commit_all("first") and committed(root) == {"good.py"}


def test_a_commit_of_some_paths_goes_without_those_that_hold_one(root: Path) -> None:
    repo = prepared(root)
    commit(repo)
    for name in ("notes.md", "older.md", "other.md"):
        (root / name).write_text("words\n")
    (root / "notes.md").write_text(LINE)
    assert repo.commit_all("notes", "notes.md", "older.md")
    assert committed(root) == {"older.md"}
    assert repo.commit_all("notes", "notes.md") is None


@pytest.mark.parametrize(
    "name", [b"two words.py", b'quo"te.py', b"line\nbreak.py", b"*.py", b"\xff.py", "gr\u00fcn.py".encode()]
)
def test_whatever_the_file_is_called(root: Path, name: bytes) -> None:
    repo = prepared(root)
    commit(repo)
    (root / "good.py").write_text("x = 1\n")
    Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_text(LINE)
    assert repo.commit_all("all of it")
    assert committed(root) == {"good.py"}
    str(repo.withheld[0]).encode()


def test_a_line_that_looks_like_a_diffs_own_hides_nothing(root: Path) -> None:
    repo = prepared(root)
    commit(repo)
    (root / "bad.py").write_text(f"++ b/a.txt\n@@ -1 +1 @@\n{LINE}")
    assert repo.commit_all("all of it") is None
    assert [str(found) for found in repo.withheld] == ["bad.py, line 3 (access key)"]


def test_what_the_operators_settings_hold_is_known(root: Path) -> None:
    repo = prepared(root)
    address = "ntfy://plain-words-that-name-a-topic"
    repo.known_secrets = known_values({"URL_SECRET": address})
    (root / "longwatch.toml").write_text(f'[notify]\nurl = "{address}"\n')
    assert repo.commit_all("all of it") is None
    assert [str(found) for found in repo.withheld] == [
        "longwatch.toml, line 2 (a credential of the environment)"
    ]


def test_nothing_is_lost_when_an_earlier_state_comes_back(root: Path) -> None:
    repo = prepared(root)
    first = commit(repo)
    commit(repo)
    (root / "a.txt").write_text(LINE)
    repo.bring_back(first, "back")
    assert (root / "a.txt").read_text() == "more\n"
    assert (root / ".longwatch" / "withheld" / "a.txt").read_text() == LINE
    assert KEY not in git(root, "log", "-p", "--all")


def test_the_next_builder_is_told() -> None:
    hints = Hints(withheld=["config.py, line 3 (access key)"])
    told = tasks.generator_task(2, [], 0, hints)
    assert "config.py, line 3 (access key)" in told and ".gitignore" in told


@pytest.mark.slow
def test_in_a_run_it_is_told_once_by_place_and_never_by_value(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        stage.lay_out(2)
        (stage.root / "config.py").write_text(f"# about\n{LINE}")
        engine = stage.run(features=2)
        assert engine.wait(90) == 0, engine.err
        told = [event["message"] for event in stage.journal(named("error")) if event["kind"] == "secret"]
        assert told == [
            "left uncommitted, since it holds what looks like a credential: config.py, line 2 (access key)"
        ]
        assert KEY not in (stage.private / "journal.jsonl").read_text()
        assert KEY not in stage.git("log", "-p", "--all")
        assert "config.py, line 2" not in first_message(stage, 1)
        assert "config.py, line 2" in first_message(stage, 2)


@pytest.mark.slow
def test_settings_that_a_program_wrote_are_told_before_the_next_start_obeys_them(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+hold@F001") as stage:
        stage.lay_out(1)
        engine = stage.run()
        stage.wait_for(named("tool_use", tool="Bash"))
        (stage.root / "longwatch.toml").write_text("features = 3\n")
        stage.release()
        assert engine.wait(90) == 0, engine.err
        told = [event for event in stage.journal(named("error")) if event["kind"] == "settings"]
        assert len(told) == 1 and "longwatch.toml" in told[0]["message"]
