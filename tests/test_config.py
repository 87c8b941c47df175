"""Configuration: later sources win, a run goes on as it began, and every mistake gets a sentence."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_core import config
from harness_core.config import FileConfig, Options, RunConfig, RunInfo
from harness_core.errors import LongwatchError, Mistake, NewerFormat
from harness_core.layout import RunDir
from harness_core.machine.files import read_end, read_text
from harness_core.operator.bounds import Limits
from harness_core.pricing import Usage, price
from tests.commands import longwatch, sentence

Spawn = Callable[..., BaseProcess]


def load(tmp_path: Path, text: str | bytes) -> FileConfig:
    path = tmp_path / "longwatch.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.load_file(path)


def resolved(
    file: FileConfig | None = None, environ: Mapping[str, str] | None = None, **options: Any
) -> RunConfig:
    return config.resolve(file or FileConfig(), Options(**options), environ or {})


def test_an_absent_file_is_an_empty_one(tmp_path: Path) -> None:
    assert config.load_file(tmp_path / "longwatch.toml") == FileConfig()
    assert resolved() == RunConfig()


def test_a_pipe_in_a_files_place_is_no_file_and_not_waited_for(tmp_path: Path, spawn: Spawn) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for reader in (config.load_file, read_text, lambda path: read_end(path, 10)):
        reading = spawn(reader, path)
        reading.join(10)
        assert reading.exitcode == 0
    assert config.load_file(path) == FileConfig()


def test_later_sources_win(tmp_path: Path) -> None:
    file = load(
        tmp_path,
        """
        features = 7
        model = "from-file"
        models = { evaluator = "judge" }
        max_retries = 2
        set = { evidence_gate = false, evaluator = "feature" }
        limits = { max_usd = 5, max_turns = 9 }
        timeouts = { session = 30 }
        guards = { shell = { profile = "open", deny = ["curl"] } }
        """,
    )
    found = resolved(file, {"ANTHROPIC_MODEL": "from-environment", "ANTHROPIC_API_KEY": "k"})
    assert (found.features, found.max_retries, found.timeouts.session) == (7, 2, 30.0)
    assert (found.model_for("generator"), found.model_for("evaluator")) == ("from-file", "judge")
    assert (found.switches.evidence_gate, found.switches.evaluator) == (False, "feature")
    assert found.limits == Limits(max_usd=5.0, max_turns=9)
    assert (found.guards.shell.profile, found.guards.shell.deny) == ("open", ["curl"])

    found = resolved(
        file,
        features=3,
        models=["all", "generator=builder"],
        sets=["evidence_gate=on", "evidence_gate=off", "evidence_gate=true"],
        limits={"max_usd": 1.5},
        stall_timeout=2.0,
    )
    assert (found.features, found.model) == (3, "all")
    assert (found.model_for("generator"), found.model_for("evaluator")) == ("builder", "judge")
    assert found.switches.evidence_gate
    assert found.limits == Limits(max_usd=1.5, max_turns=9)
    assert (found.timeouts.session, found.timeouts.stall) == (30.0, 2.0)


def test_a_key_that_pays_has_a_limit_unless_one_is_set() -> None:
    assert resolved(environ={"ANTHROPIC_API_KEY": "k"}).limits.max_usd == config.KEY_MAX_USD
    assert resolved(environ={"ANTHROPIC_API_KEY": "k"}, limits={"max_usd": 99.0}).limits.max_usd == 99.0
    assert resolved().limits.max_usd is None


@pytest.mark.parametrize("word", ["off", "OFF", "false", "no", "No"])
def test_a_switch_takes_the_words_for_off(word: str) -> None:
    assert not resolved(sets=[f"commit_on_stop={word}"]).switches.commit_on_stop


every_option = st.builds(
    Options,
    features=st.none() | st.integers(1, 99),
    models=st.lists(st.sampled_from(["a", "generator=b"]), max_size=2),
    sets=st.lists(st.sampled_from(["evaluator=off", "evaluator=feature", "evidence_gate=off"]), max_size=2),
    limits=st.fixed_dictionaries(
        {},
        optional={
            "max_usd": st.floats(0.01, 1e6),
            "max_tokens": st.integers(1, 10**12),
            "max_turns": st.integers(1, 999),
            "max_sessions": st.integers(1, 999),
            "max_hours": st.floats(0.01, 1e4),
        },
    ),
    session_timeout=st.none() | st.floats(0.1, 1e4),
    max_retries=st.none() | st.integers(1, 9),
)


@given(every_option, every_option)
def test_options_that_were_kept_mean_the_same_when_a_run_goes_on(first: Options, second: Options) -> None:
    kept = msgspec.json.decode(msgspec.json.encode(first), type=Options)
    assert config.resolve(FileConfig(), kept, {}) == config.resolve(FileConfig(), first, {})
    assert config.resolve(FileConfig(), Options().over(kept), {}) == config.resolve(FileConfig(), first, {})
    both = second.over(kept)
    found = config.resolve(FileConfig(), both, {})
    assert found.limits.given().items() >= config.resolve(FileConfig(), second, {}).limits.given().items()
    assert msgspec.json.decode(msgspec.json.encode(found), type=RunConfig) == found


# --- Mistakes ----------------------------------------------------------------

BAD_FILES = [
    ("a = ", "not valid TOML"),
    (b"\xff", "not valid TOML"),
    ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    ("wrong = 1", "unknown key `wrong`: known there are features, goal, guards"),
    ("[limits]\nmax = 1", "unknown key `max` in [limits]: known there are max_hours"),
    ("[limits.session]\nmax_sessions = 1", "unknown key `max_sessions` in [limits.session]: known there"),
    ("[limits.phase]\ntests = 1", "unknown key `tests` in [limits.phase]: known there are build, evaluate"),
    ("[limits.phase.build]\nmax_usd = 'x'", "limits.phase.build.max_usd: give a number"),
    ("[limits]\nsession = 3", "limits.session: give a section"),
    ("[guards.shell]\nx = 1", "unknown key `x` in [guards.shell]: known there are allow, deny, profile"),
    ("[guards.shell]\nprofile = 'root'", "guards.shell.profile: choose quickstart or developer or open"),
    ("features = 0", "longwatch.toml: features: give a whole number from 1"),
    ("features = 'many'", "features: give a whole number"),
    ("limits = 3", "limits: give a section"),
    ("[limits]\nmax_usd = -1", "limits.max_usd: give a number above 0"),
    ("[limits]\nmax_usd = nan", "limits.max_usd"),
    ("[limits]\nmax_usd = inf", "limits.max_usd"),
    ("[limits]\nmax_tokens = 99999999999999999999999", "limits.max_tokens"),
    ("[models]\ntester = 'x'", "models: choose planner or initializer or generator or evaluator"),
    ("max_retries = 1979-05-27", "max_retries"),
    ("[timeouts]\nstall = 0", "timeouts.stall"),
]


@pytest.mark.parametrize(("text", "said"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_mistake_in_the_file_gets_a_sentence(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(Mistake) as caught:
        load(tmp_path, text)
    assert "longwatch.toml" in str(caught.value) and said in str(caught.value)
    assert "\n" not in str(caught.value)


BAD_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"preset": "magic"}, "--preset magic: there is no such preset; choose continuous or sprints"),
    ({"sets": ["evaluator"]}, "write it as NAME=VALUE"),
    ({"sets": ["colour=red"]}, "--set colour=red: unknown switch `colour`; the switches are breadcrumbs"),
    ({"sets": ["evaluator=always"]}, "--set evaluator=always: choose off or feature"),
    ({"sets": ["evidence_gate=perhaps"]}, "--set evidence_gate=perhaps: give on or off"),
    ({"preset": "two-agent", "sets": ["passes_from=verified"]}, "nobody would verify anything"),
    (
        {"sets": ["passes_from=verified", "evaluator=off", "checkpoints=on-pass"]},
        "or checkpoints to end",
    ),
    ({"goal": "npm test passes"}, "leave it out, or take --preset solo"),
    ({"models": ["tester=x"]}, "`tester` is no role; the roles are planner"),
    ({"models": [""]}, "MODEL or ROLE=MODEL"),
    ({"models": ["generator="]}, "MODEL or ROLE=MODEL"),
    ({"limits": {"max_usd": -1.0}}, "--max-usd -1: give a number above 0"),
    ({"limits": {"max_usd": float("inf")}}, "--max-usd inf: give a number up to"),
    ({"limits": {"max_usd": float("nan")}}, "--max-usd nan: give a number above 0"),
    ({"limits": {"max_turns": 1.5}}, "--max-turns 1.5: give a whole number"),
    ({"limits": {"max_tokens": 10**15}}, "--max-tokens 1000000000000000: give a whole number up to"),
    ({"limits": {"max_wishes": 3}}, "max_wishes"),
    ({"session_timeout": 0.0}, "--session-timeout 0: give a number above 0"),
    ({"stall_timeout": float("inf")}, "--stall-timeout inf: give a number up to"),
    ({"features": 0}, "--features 0: give a whole number from 1"),
    ({"max_retries": -2}, "--max-retries -2: give a whole number from 1"),
]


@pytest.mark.parametrize(("options", "said"), BAD_OPTIONS, ids=range(len(BAD_OPTIONS)))
def test_a_mistake_in_the_options_gets_a_sentence(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Mistake) as caught:
        resolved(**options)
    assert said in str(caught.value)


@given(st.text(max_size=40) | st.sampled_from([text for text, _ in BAD_FILES if isinstance(text, str)]))
def test_no_file_makes_the_reader_fail_otherwise(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("config") / "longwatch.toml"
    path.write_text(text)
    try:
        found = config.load_file(path)
    except Mistake:
        return
    assert isinstance(found, FileConfig)
    assert set(tomllib.loads(text)) <= {field.name for field in msgspec.structs.fields(FileConfig)}


# --- run.json ----------------------------------------------------------------


def test_run_json_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    assert config.load_info(run) is None
    info = RunInfo(
        1, "id", "two-agent", "now", resolved(limits={"max_turns": 3}), Options(limits={"max_turns": 3})
    )
    config.save_info(run, info)
    assert config.load_info(run) == info


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"format":1}', b"[" * 100_000], ids=range(6)
)
def test_a_damaged_run_json_gets_a_sentence(tmp_path: Path, content: bytes) -> None:
    run = RunDir.at(tmp_path)
    run.private.mkdir()
    run.run_json.write_bytes(content)
    with pytest.raises(Mistake, match=r"run\.json can't be read .*restore it"):
        config.load_info(run)


def test_a_run_of_a_newer_version_is_told_as_such_whatever_else_it_holds(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    run.private.mkdir()
    run.run_json.write_text('{"format": 2, "config": {"switches": {"telepathy": true}}}')
    with pytest.raises(NewerFormat, match="newer Longwatch"):
        config.load_info(run)


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x", "x" * 300, "a\0b"])
def test_what_can_not_be_a_directory_gets_a_sentence(path: str) -> None:
    with pytest.raises(LongwatchError, match="can't be a directory"):
        RunDir.at(path)


def test_a_loop_of_links_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(Mistake, match="can't be a directory"):
        RunDir.at(tmp_path / "loop")


def test_without_a_login_it_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="set ANTHROPIC_API_KEY"):
        config.check_login({"CLAUDE_CONFIG_DIR": str(tmp_path)})
    config.check_login({"CLAUDE_CODE_OAUTH_TOKEN": "x"})
    (tmp_path / ".credentials.json").write_text("{}")
    config.check_login({"CLAUDE_CONFIG_DIR": str(tmp_path)})


def test_an_address_that_is_none_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "spec.txt").write_text("A program that draws flags.\n")
    start = ("run", str(tmp_path / "run"), "--spec", str(tmp_path / "spec.txt"), "--headless")
    said = sentence(longwatch(*start, ANTHROPIC_BASE_URL="localhost:8080", ANTHROPIC_API_KEY="any"))
    assert "ANTHROPIC_BASE_URL" in said and "'localhost:8080'" in said and "http://" in said
    assert not (tmp_path / "run").exists()
    for address in ("/gateway", "http://", "ftp://localhost", " "):
        with pytest.raises(Mistake, match="ANTHROPIC_BASE_URL"):
            config.check_login({"ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "any"})


def test_addresses_of_gateways_are_taken() -> None:
    for address in ("", "http://127.0.0.1:4000", "https://gateway.example.org/anthropic/"):
        config.check_login({"ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "any"})


# --- Prices --------------------------------------------------------------------


def test_a_reply_is_priced_by_model_and_kind_of_token() -> None:
    million = 10**6
    assert price("claude-sonnet-4-5", Usage(input=million, output=million)) == pytest.approx(18.0)
    assert price("claude-opus-5-5", Usage(output=million)) == pytest.approx(20.0)
    assert price("claude-haiku-4-5", Usage(cache_read=million, cache_write=million)) == pytest.approx(1.35)
    assert price("something-new", Usage(input=million)) > 0


def test_the_end_of_a_reply_corrects_its_start() -> None:
    usage = Usage.of(
        {"input_tokens": 9, "output_tokens": 1}, {"output_tokens": 40, "cache_read_input_tokens": None}
    )
    assert usage == Usage(input=9, output=40)
    assert (usage.total, usage.context) == (49, 9)
