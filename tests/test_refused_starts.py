"""A start that is refused says why in one line, ends with 2, and leaves everything as it was."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from harness_core import config
from harness_core.config import Options
from harness_core.layout import RunDir
from harness_core.machine.lock import RunLock
from harness_core.request import Request
from tests.commands import Done, engine_alone, environment, longwatch, sentence
from tests.harness import LONGWATCH

TWICE = '[{"id": "F1", "description": "a"}, {"id": "F1", "description": "b"}]'
LIST = '[{"id": "F1", "description": "a", "passes": false}]'


@dataclass
class Place:
    """Where a start is tried: `root` is DIR, `spec` a sound specification beside it."""

    scratch: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.scratch / "run"

    @property
    def spec(self) -> Path:
        return self.scratch / "spec.txt"

    def put(self, name: str, text: str) -> None:
        """A file below DIR, as its owner left it there."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_json(self, **changes: object) -> None:
        """A run of Longwatch's own."""
        info = config.RunInfo(1, "test", "two-agent", "now", config.RunConfig())
        (self.root / ".longwatch").mkdir(parents=True)
        config.save_info(RunDir.at(self.root), msgspec.structs.replace(info, **changes))

    def tree(self) -> dict[str, tuple[object, ...]]:
        """Everything there is, with mode, time of change and content."""
        found: dict[str, tuple[object, ...]] = {}
        for path in [self.scratch, *self.scratch.rglob("*")]:
            facts = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(facts.st_mode) else None
            found[str(path)] = (facts.st_mode, facts.st_mtime_ns, content)
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    scratch = tmp_path / "place"
    scratch.mkdir()
    home = tmp_path / "home"
    home.mkdir()
    (scratch / "spec.txt").write_text("Build it.\n")
    return Place(scratch, {"HOME": str(home), "ANTHROPIC_API_KEY": "no-key"})


@dataclass(frozen=True)
class Case:
    """A request that can't be met: what is wrong, and what the sentence has to hold."""

    name: str
    expected: str
    prepare: Callable[[Place], object] = lambda place: None
    directory: str = "run"
    spec: str | None = "spec.txt"
    options: Options = field(default_factory=Options)
    typed: tuple[str, ...] = ()
    """`options` as a person types them."""
    needs_dir: bool = False
    """Whether DIR is there already in this case."""


def option(name: str, expected: str, options: Options, *typed: str) -> Case:
    return Case(name, expected, options=options, typed=typed)


def file(name: str, expected: str, path: str, text: str, spec: str | None = "spec.txt") -> Case:
    return Case(name, expected, lambda place: place.put(path, text), spec=spec, needs_dir=True)


def a_file(place: Place) -> None:
    (place.scratch / "file").write_text("mine\n")


def without_git(place: Place) -> None:
    place.environ["PATH"] = "/nonexistent"


def without_login(place: Place) -> None:
    del place.environ["ANTHROPIC_API_KEY"]


def broken_git(place: Place) -> None:
    subprocess.run(["git", "init", "-q", place.root], check=True)
    (place.root / ".git" / "config").write_text("[core\n")


def newer_journal(place: Place) -> None:
    place.run_json()
    place.put(
        ".longwatch/journal.jsonl", '{"type":"run_started","seq":1,"format":2,"preset":"x","run_id":"y"}\n'
    )


def an_empty_file(place: Place) -> None:
    (place.scratch / "empty").write_text(" \n")


def a_picture(place: Place) -> None:
    (place.scratch / "picture").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")


CASES = [
    Case("spec-missing", "nowhere doesn't exist: name an existing file with --spec", spec="nowhere"),
    Case("spec-empty", "empty is empty: say in it what", an_empty_file, spec="empty"),
    Case("spec-picture", "picture isn't text: write it as", a_picture, spec="picture"),
    Case("spec-directory", "can't be read: Is a directory", spec="."),
    Case("spec-endless", "over 4 MiB", spec="/dev/zero"),
    Case("no-spec", "give a specification with --spec FILE", spec=None),
    option("preset", "--preset magic: there is no such preset", Options(preset="magic"), "--preset", "magic"),
    option("switch", "unknown switch `x`; the switches are", Options(sets=["x=1"]), "--set", "x=1"),
    option("set", "--set evaluator=x: choose off", Options(sets=["evaluator=x"]), "--set", "evaluator=x"),
    option("role", "`tester` is no role", Options(models=["tester=m"]), "--model", "tester=m"),
    option("max-usd", "--max-usd -1: give a number", Options(limits={"max_usd": -1}), "--max-usd", "-1"),
    option("max-tokens", "--max-tokens -5", Options(limits={"max_tokens": -5}), "--max-tokens", "-5"),
    option("max-turns", "--max-turns 0: give a whole", Options(limits={"max_turns": 0}), "--max-turns", "0"),
    option("max-sessions", "--max-sessions 0", Options(limits={"max_sessions": 0}), "--max-sessions", "0"),
    option("max-hours", "--max-hours -0.5", Options(limits={"max_hours": -0.5}), "--max-hours", "-.5"),
    option("session-timeout", "--session-timeout 0", Options(session_timeout=0), "--session-timeout", "0"),
    option("stall-timeout", "--stall-timeout -3", Options(stall_timeout=-3), "--stall-timeout", "-3"),
    file("toml-key", "longwatch.toml: unknown key `wrong`", "longwatch.toml", "wrong = 1\n"),
    file("toml", "longwatch.toml is not valid TOML", "longwatch.toml", "a = \n"),
    file("contract", "line 1, column 2", "feature_list.json", "{"),
    file("contract-without-spec", "line 1, column 2", "feature_list.json", "{", spec=None),
    file("contract-twice", 'has the same id "F1"', "feature_list.json", TWICE),
    file("contract-twice-without-spec", 'has the same id "F1"', "test-results.json", TWICE, spec=None),
    file("contract-empty", "0 features", "feature_list.json", "[]"),
    file("other-spec", "leave --spec away to build from the one", "app_spec.txt", "Something else.\n"),
    file("private-file", ".longwatch is a file: move it away", ".longwatch", "mine"),
    file("damaged-run", "run.json can't be read", ".longwatch/run.json", "{"),
    file("newer-run", "update Longwatch", ".longwatch/run.json", '{"format": 2}'),
    Case("newer-journal", "update Longwatch", newer_journal, needs_dir=True),
    Case("no-login", "set ANTHROPIC_API_KEY", without_login),
    Case("no-git", "git is not installed or not on PATH", without_git),
    Case("broken-git", "mend what it names", broken_git, needs_dir=True),
    Case("a-file", "is a file: name a directory", a_file, directory="file"),
    Case("no-parent", "make that first", directory="nowhere/run"),
    Case("no-name", "DIR is empty", directory=""),
    Case("unwritable", "can't be written", directory="/proc/longwatch"),
    Case("unwritable-there", "can't be written", directory="/proc"),
]  # fmt: skip


def refused(done: Done) -> str:
    """The one line of an engine that was started without `longwatch`."""
    said = done.stderr.decode()
    assert done.returncode == 2, said
    assert said.count("\n") == 1 and "Traceback" not in said, said
    return said


def start(place: Place, case: Case, *more: str) -> Done:
    """The start as a person types it."""
    spec = ["--spec", str(place.scratch / case.spec)] if case.spec else []
    return longwatch("run", where(place, case), *spec, *case.typed, *more, **place.environ)


def where(place: Place, case: Case) -> str:
    return str(place.scratch / case.directory) if case.directory else ""


def request(place: Place, case: Case) -> str:
    spec = str(place.scratch / case.spec) if case.spec else None
    return Request(directory=where(place, case), spec=spec, options=case.options).encoded()


WAYS: dict[str, Callable[[Place, Case], Done]] = {
    "headless": lambda place, case: start(place, case, "--headless"),
    "json": lambda place, case: start(place, case, "--headless", "--json"),
    "alone": lambda place, case: engine_alone(request(place, case), **place.environ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_refused_start_says_why_and_touches_nothing(place: Place, case: Case, way: str) -> None:
    case.prepare(place)
    if way == "json" and not case.needs_dir and case.name != "a-file":
        place.put("notes.txt", "mine\n")
    before = place.tree()
    done = WAYS[way](place, case)
    said = refused(done) if way == "alone" else sentence(done)
    assert case.expected in said
    assert done.stdout == b""
    assert place.tree() == before


SOME = (
    "spec-missing",
    "max-usd",
    "toml-key",
    "contract",
    "newer-journal",
    "no-login",
    "no-git",
    "unwritable",
)


@pytest.mark.parametrize("case", [case for case in CASES if case.name in SOME], ids=lambda case: case.name)
def test_an_engine_of_its_own_that_refuses_is_heard_and_leaves_nothing(place: Place, case: Case) -> None:
    case.prepare(place)
    before = place.tree()
    done = start(place, case)
    assert case.expected in sentence(done)
    assert done.stdout == b""
    assert place.tree() == before


# --- The demo ---------------------------------------------------------------------

DEMOS = [
    Case("a-file", "is a file: name a directory", a_file, directory="file"),
    Case("no-parent", "make that first", directory="nowhere/run"),
    Case("no-git", "git is not installed or not on PATH", without_git),
    Case("unwritable", "can't be written", directory="/proc/longwatch"),
    Case("a-project", "isn't empty (main.py)", lambda place: place.put("main.py", "print()\n")),
    Case("a-run", "holds a run that is no rehearsal", lambda place: place.run_json()),
]


@pytest.mark.parametrize("more", [["--headless"], []], ids=["headless", "detached"])
@pytest.mark.parametrize("case", DEMOS, ids=lambda case: case.name)
def test_a_demo_stays_out_of_what_is_not_its_own(place: Place, case: Case, more: list[str]) -> None:
    without_login(place)
    case.prepare(place)
    before = place.tree()
    assert case.expected in sentence(longwatch("demo", where(place, case), *more, **place.environ))
    assert place.tree() == before


def test_a_rehearsal_never_goes_on_with_a_real_model(place: Place) -> None:
    place.run_json(rehearsal="demo")
    before = place.tree()
    plain = Request(directory=str(place.root)).encoded()
    assert "go on with `longwatch run" in refused(engine_alone(plain, **place.environ))
    assert place.tree() == before


# --- What only some starts can get wrong ----------------------------------------------


@pytest.mark.parametrize("more", [["--headless"], []], ids=["headless", "detached"])
def test_a_second_engine_is_refused_with_the_pid_of_the_first(place: Place, more: list[str]) -> None:
    place.run_json()
    with RunLock(RunDir.at(place.root)):
        before = place.tree()
        assert f"(pid {os.getpid()})" in sentence(start(place, Case("", ""), *more))
        assert place.tree() == before


@pytest.fixture
def immutable(place: Place) -> Iterator[Path]:
    """A directory that not even root can write."""
    place.root.mkdir()
    if not shutil.which("chattr") or subprocess.run(["chattr", "+i", place.root], check=False).returncode:
        pytest.skip("this user or file system can't make a directory immutable")
    yield place.root
    subprocess.run(["chattr", "-i", place.root], check=True)


def test_a_directory_that_nobody_can_write_is_told(place: Place, immutable: Path) -> None:
    before = place.tree()
    assert f"{immutable} can't be written" in sentence(start(place, Case("", ""), "--headless"))
    assert place.tree() == before


@pytest.mark.parametrize("directory", ["run", "run/below"])
def test_a_directory_of_somebody_else_is_told(place: Place, directory: str) -> None:
    place.root.mkdir(mode=0o500)
    if os.access(place.root, os.W_OK):
        pytest.skip("this user may write anywhere")
    before = place.tree()
    done = start(place, Case("", "", directory=directory), "--headless")
    assert "can't be written" in sentence(done)
    assert place.tree() == before


@pytest.mark.parametrize("more", [["--headless"], []], ids=["headless", "detached"])
def test_names_that_are_not_utf_8_are_told(place: Place, more: list[str]) -> None:
    before = place.tree()
    directory = bytes(place.scratch) + b"/caf\xe9"
    done = longwatch("run", directory, "--spec", str(place.spec), *more, **place.environ)
    assert "isn't UTF-8" in sentence(done)
    assert place.tree() == before


@pytest.mark.parametrize("command", ["run", "demo"])
def test_code_that_lies_where_a_command_is_typed_is_not_run(place: Place, command: str) -> None:
    for name in ("msgspec", "tui", "harness_core", "uvicorn", "json"):
        place.put(f"{name}.py", "open('ran', 'w').close()\n")
    without_login(place)
    before = place.tree()
    spec = ["--spec", str(place.spec)] if command == "run" else []
    given = [LONGWATCH, command, ".", *spec]
    environ = environment(place.environ)
    done = subprocess.run(given, cwd=place.root, env=environ, capture_output=True, check=False)
    assert ("set ANTHROPIC_API_KEY" if command == "run" else "isn't empty") in sentence(done)
    assert place.tree() == before


@pytest.mark.parametrize("command", ["run", "demo"])
def test_json_is_for_headless_runs(place: Place, command: str) -> None:
    before = place.tree()
    spec = ["--spec", str(place.spec)] if command == "run" else []
    done = longwatch(command, str(place.root), *spec, "--json", **place.environ)
    assert "--json needs --headless" in sentence(done)
    assert place.tree() == before


@pytest.mark.parametrize("text", ["", "{", "{}", '{"directory": 3}', "[" * 5000, "\udcff"], ids=range(6))
def test_a_request_that_is_none_gets_a_sentence(text: str) -> None:
    assert "the request can't be read" in refused(engine_alone(text))


@pytest.mark.parametrize("port", ["taken", "70000"])
def test_a_rehearsal_says_that_its_port_can_not_be_had(port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1]) if port == "taken" else port
        command = [sys.executable, "-m", "harness_core.rehearsal", "tiny", "--port", number]
        done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert f"127.0.0.1:{number}" in refused(done) and "choose another --port" in refused(done)


@pytest.mark.parametrize("more", [["--headless"], []], ids=["headless", "detached"])
def test_a_run_whose_folders_are_damaged_ends_with_one_line(place: Place, more: list[str]) -> None:
    place.run_json()
    place.put(".longwatch/sessions", "no folder\n")
    said = sentence(longwatch("run", str(place.root), *more, **place.environ), code=1)
    assert f"the system refused {place.root}/.longwatch/sessions: File exists" in said


def test_a_resume_that_is_refused_leaves_the_stop(place: Place) -> None:
    place.run_json()
    place.put("AGENT_STOP", "")
    without_login(place)
    before = place.tree()
    for more in (["--headless"], []):
        done = longwatch("resume", str(place.root), *more, **place.environ)
        assert "set ANTHROPIC_API_KEY" in sentence(done)
        assert place.tree() == before
