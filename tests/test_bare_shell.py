"""Without a sandbox too, what an agent runs finds no credential of the user's in its environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness_core.box import sandbox
from harness_core.secrets.redact import credentials
from tests.harness import open_stage, text_of

SECRET = "wJalrXUtnFEMI" + "/K7MDENG/bPxRfiCY"


@pytest.mark.parametrize(
    ("name", "value", "gone"),
    [
        ("AWS_SECRET_ACCESS_KEY", "anything", True),
        ("ANTHROPIC_API_KEY", "anything", True),
        ("CLAUDE_CODE_OAUTH_TOKEN", "anything", True),
        ("github_token", "anything", True),
        ("DATABASE_URL", "postgres://app:longer@db.example.org/app", True),
        ("DATABASE_URL", "postgres://app:longer@localhost:5432/app", False),
        ("DATABASE_URL", "postgres://db.example.org/app", False),
        ("REDIS", "redis://:longer@127.0.0.1/0", False),
        ("MINE", "ghp_" + "a1B2" * 9, True),
        ("HTTPS_PROXY", "http://me:longer@proxy.example.org:3128", False),
        ("PIP_INDEX_URL", "https://me:longer@pypi.example.org/simple", False),
        ("PATH", "/usr/bin:/bin", False),
        ("TOKENIZERS_PARALLELISM", "false", False),
    ],
)
def test_what_counts_as_a_credential_of_the_environment(name: str, value: str, gone: bool) -> None:
    assert credentials({name: value}) == ([name] if gone else [])
    assert credentials({name: value}, keep=[name]) == []
    assert (name in sandbox.app_environment({name: value})) is not gone or name.startswith("ANTHROPIC_")


@pytest.mark.parametrize("command", ["env", "# a word\nenv", "(env)", "env | cat; true", "A_TOKEN=mine env"])
def test_a_command_and_what_it_starts_are_without_them(command: str) -> None:
    environ = {"A_TOKEN": SECRET, "odd-TOKEN": "odd", "PATH": "/usr/bin:/bin"}
    bare = sandbox.bared(command, credentials(environ))
    done = subprocess.run(["bash", "-c", bare], env=environ, capture_output=True, text=True, check=True)
    assert SECRET not in done.stdout and done.stderr == ""
    assert ("A_TOKEN=mine" in done.stdout) is command.startswith("A_TOKEN")


def test_a_program_of_an_agents_own_finds_none_but_what_the_operator_lets_through(tmp_path: Path) -> None:
    with open_stage(tmp_path, "tiny+peek@F001") as stage:
        stage.lay_out()
        kept = "postgres://app:" + "kept-for-it@db.example.org/app"
        stage.env |= {"AWS_SECRET_ACCESS_KEY": SECRET, "DATABASE_URL": kept}
        stage.env |= {"OTHER_URL": kept.replace("app:", "other:")}
        (stage.root / "longwatch.toml").write_text('[sandbox]\nkeep = ["DATABASE_URL"]\n')
        engine = stage.run()
        assert engine.wait(90) == 0, engine.err
        seen = "\n".join(
            text_of(message["content"]) for body in stage.bodies() for message in body["messages"]
        )
        assert "\nHOME=" in seen and f"DATABASE_URL={kept}" in seen
        for name in ("AWS_SECRET_ACCESS_KEY", "OTHER_URL", "ANTHROPIC_API_KEY"):
            assert name in stage.env and f"{name}=" not in seen
        assert SECRET not in seen
        # What it commits outlives a loss of power, as the engine's commits do.
        assert "GIT_CONFIG_KEY_0=core.fsync" in seen
