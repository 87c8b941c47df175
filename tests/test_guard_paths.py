"""The stop and path guards: which files the file tools may touch."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness_core.guards import GuardContext, ToolCall, paths, stop
from harness_core.guards.paths import Unresolvable, canonical, resolve
from harness_core.guards.tools import target
from harness_core.layout import CONTRACT_NAMES


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run").resolve()
    for name in ("feature_list.json", "project/feature_list.json", "project/src/a.js", "neighbour/a.txt"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("[]\n")
    run = place / "project"
    (run / "outside").symlink_to(place / "neighbour")
    (run / "alias.json").symlink_to("feature_list.json")
    (run / "loop").symlink_to("loop")
    (run / "hidden").symlink_to(".git")
    return run


def denied(tool: str, text: str, ctx: GuardContext, key: str = "file_path") -> bool:
    return paths.check(ToolCall(tool, {key: text, "content": ""}), ctx) is not None


def test_stop_denies_everything_while_it_lasts(root: Path) -> None:
    for tool in ("Read", "Bash", "mcp__longwatch__claim_feature", "StructuredOutput"):
        assert stop.check(ToolCall(tool, {}), GuardContext(root, stopping=True)) is not None
        assert stop.check(ToolCall(tool, {}), GuardContext(root)) is None


WRITABLE = (
    "src/new.ts",
    "./src/../src/new.ts",
    "deep/er/than/there/is.txt",
    ".gitignore",
    ".github/workflows/ci.yml",
    ".env.example",
    "docs/STEER.md.example",
    "docs/AGENT_STOP",
    "packages/web/test-results.json",
    "packages/web/feature_list.json",
    "junit-test-results.json",
    "feature_list.json",
    "steering.py",
    "agent_server.py",
    "src/.claude/notes.md",
    "my.git/x",
)
CLOSED = (
    "../x",
    "src/../../x",
    "/etc/hosts",
    "~/x",
    "outside/x",
    "outside/new/x",
    "loop/x",
    "~nobody-has-this-name/x",
    "nul\0byte",
    "",
    ".git/hooks/pre-commit",
    ".GIT/config",
    ".git /config",
    "hidden/config",
    ".g\u200bit/config",
    ".claude/settings.json",
    ".Claude/hooks/x.sh",
    ".longwatch/contract.json",
    "src/../.longwatch/run.json",
    ".mcp.json",
    "longwatch.toml",
    "LONGWATCH.TOML",
    "AGENT_STOP",
    "agent_stop",
    "AGENT_ANYTHING",
    "STEER.md",
    "steer.md",
    "Steer.next.md",
    "STEER-2.md",
    "STEER.md.",
    "\uff33TEER.md",
    "FEATURE_LIST.JSON",
    "feature_list.json ",
    "feature_list.json.",
    "Test-Results.json",
    "src\\..\\feature_list.json",
    ".git\\config",
)


@pytest.mark.parametrize("text", WRITABLE)
@pytest.mark.parametrize("tool", ["Write", "Edit", "MultiEdit"])
def test_a_run_may_be_written(tool: str, text: str, root: Path) -> None:
    assert not denied(tool, text, GuardContext(root))
    assert not denied(tool, str(root / text), GuardContext(root))
    assert denied(tool, text, GuardContext(root, read_only=True))


@pytest.mark.parametrize("text", CLOSED)
@pytest.mark.parametrize("tool", ["Write", "Edit", "MultiEdit"])
def test_closed_names_and_other_places_may_not(tool: str, text: str, root: Path) -> None:
    assert denied(tool, text, GuardContext(root))


def test_notebooks_are_files_too(root: Path) -> None:
    assert denied("NotebookEdit", "../x.ipynb", GuardContext(root), "notebook_path")
    assert not denied("NotebookEdit", "x.ipynb", GuardContext(root), "notebook_path")
    assert denied("NotebookRead", ".longwatch/x.ipynb", GuardContext(root), "notebook_path")


@pytest.mark.parametrize(
    "text",
    [
        "src/a.js",
        "/etc/hosts",
        "/usr/include/stdio.h",
        "feature_list.json",
        ".git/config",
        "certs/dev.pem",
        ".env",
    ],
)
def test_reading_is_open(text: str, root: Path) -> None:
    assert not denied("Read", text, GuardContext(root))
    assert not denied("Read", text, GuardContext(root, read_only=True))


@pytest.mark.parametrize(
    "text",
    [
        "~/.ssh/id_ed25519",
        "~/.ssh/config",
        "~/.aws/credentials",
        "~/.claude/.credentials.json",
        "~/.netrc",
        "/home/someone/.ssh/id_rsa",
        "/etc/shadow",
        "/proc/self/environ",
        "/proc/1/environ",
        "/srv/keys/server.pem",
        ".longwatch/contract.json",
        ".LONGWATCH/journal.jsonl",
        "src/../.longwatch/run.json",
        "loop",
    ],
)
def test_credentials_and_the_harness_are_closed_to_reading(text: str, root: Path) -> None:
    assert denied("Read", text, GuardContext(root))


@pytest.mark.parametrize(
    ("tool", "given_input", "allowed"),
    [
        ("Glob", {"pattern": "**/*.ts"}, True),
        ("Glob", {"pattern": "*.ts", "path": "/usr/lib"}, True),
        ("Glob", {"pattern": ".longwatch/**"}, False),
        ("Glob", {"pattern": "{src,.longwatch}/**"}, False),
        ("Glob", {"pattern": "*", "path": "~/.ssh"}, False),
        ("Glob", {"pattern": "~/.ssh/*"}, False),
        ("Grep", {"pattern": "x"}, True),
        ("Grep", {"pattern": ".longwatch", "path": "docs"}, True),
        ("Grep", {"pattern": "x", "path": ".longwatch"}, False),
        ("Grep", {"pattern": "x", "glob": ".longwatch/*"}, False),
        ("Grep", {"pattern": "x", "glob": "!.longwatch/*"}, True),
        ("LS", {"path": ".longwatch"}, False),
        ("mcp__filesystem__read_file", {"path": "src/a.js"}, True),
        ("mcp__filesystem__read_file", {"path": "/proc/self/environ"}, False),
        ("mcp__filesystem__read_multiple_files", {"paths": ["src/a.js", ".longwatch/run.json"]}, False),
        ("mcp__filesystem__list_directory", {"path": "/usr"}, True),
        ("mcp__filesystem__write_file", {"path": "src/b.js", "content": ""}, True),
        ("mcp__filesystem__write_file", {"path": "../b.js", "content": ""}, False),
        ("mcp__filesystem__edit_file", {"path": "feature_list.json", "edits": []}, False),
        ("mcp__filesystem__move_file", {"source": "src/a.js", "destination": "STEER.md"}, False),
        ("mcp__filesystem__move_file", {"source": "feature_list.json", "destination": "x.json"}, False),
        ("mcp__filesystem__find_and_truncate", {"path": "feature_list.json"}, False),
        ("mcp__filesystem__getAndOverwrite", {"path": "feature_list.json"}, False),
        ("mcp__filesystem__get_file_info", {"path": "feature_list.json"}, True),
        ("mcp__other__searchAndReplace", {"filePath": ".git/config"}, False),
        ("mcp__other__do", {"options": {"output_file": "/etc/x"}}, False),
        ("mcp__other__do", {"uri": "file:///etc/x"}, False),
        ("mcp__browser__navigate", {"url": "http://localhost/.git/"}, True),
        ("mcp__browser__take_screenshot", {"filename": "one.png"}, True),
        ("mcp__browser__take_screenshot", {"filename": "../one.png"}, False),
        ("mcp__puppeteer__screenshot", {"name": "home"}, True),
        ("mcp__longwatch__claim_feature", {"evidence": ["x"], "path": "/etc"}, True),
        ("WebSearch", {"path": "/etc/shadow"}, True),
    ],
)
def test_searches_and_servers(tool: str, given_input: dict[str, object], allowed: bool, root: Path) -> None:
    assert (paths.check(ToolCall(tool, given_input), GuardContext(root)) is None) == allowed


def test_a_denial_says_what_to_do(root: Path) -> None:
    denial = paths.check(ToolCall("Write", {"file_path": "/etc/x"}), GuardContext(root))
    assert denial is not None
    assert denial.guard == "path"
    assert "inside" in denial.reason


def test_aliases_resolve_to_the_contract(root: Path) -> None:
    contract = root / "feature_list.json"
    for text in ("feature_list.json", "./src/../feature_list.json", str(contract), "alias.json"):
        assert resolve(root, text) == contract
    (root / "hard.json").hardlink_to(contract)
    assert resolve(root, "hard.json") == contract
    assert resolve(root, "packages/feature_list.json") != contract
    with pytest.raises(Unresolvable):
        resolve(root, "loop")


QUIET = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUIET
@given(text=st.text(max_size=60), tool=st.sampled_from(["Read", "Write", "Glob", "mcp__x__put_file"]))
def test_any_path_gets_an_answer(text: str, tool: str, root: Path) -> None:
    paths.check(ToolCall(tool, {"file_path": text, "path": text, "pattern": text}), GuardContext(root))


@QUIET
@given(
    data=st.data(),
    name=st.sampled_from([*CONTRACT_NAMES, "STEER.md", "AGENT_STOP", ".git/config", ".longwatch/x"]),
)
def test_no_spelling_of_a_closed_name_is_written(data: st.DataObject, name: str, root: Path) -> None:
    spelt = "".join(data.draw(st.sampled_from([letter, letter.upper(), letter.lower()])) for letter in name)
    spelt = data.draw(st.sampled_from(["", "./", "src/../", "src/.././"])) + spelt
    spelt += data.draw(st.sampled_from(["", " ", ".", " ."])) if "/" not in name else ""
    exact = resolve(root, spelt).name in CONTRACT_NAMES
    assert exact or denied("Write", spelt, GuardContext(root))


@given(name=st.text(min_size=1, max_size=30))
def test_canonical_names_settle(name: str) -> None:
    assert canonical(canonical(name)) == canonical(name)


def test_what_a_tool_writes_is_said_by_the_input_that_it_goes_by() -> None:
    both = {"file_path": "a.py", "notebook_path": "b.ipynb"}
    assert (target("Write", both), target("NotebookEdit", both)) == ("a.py", "b.ipynb")
    assert target("Edit", {"notebook_path": "b.ipynb"}) == target("Edit", {"file_path": 1}) == ""
