"""MCP servers of the operator's, and the browser: what agents get, what is judged, what they are told.

The last test uses pages in a real browser: it needs Chromium and @playwright/mcp, as docs/browser.md says.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import pytest
import uvicorn

from harness_core import config
from harness_core.agent import browser
from harness_core.agent.mcp_servers import BROWSER, McpServer, Servers, gather, secrets
from harness_core.errors import Mistake
from harness_core.guards import GuardContext, ToolCall
from harness_core.guards.order import GUARDS
from harness_core.layout import RunDir
from harness_core.prompting import system_prompt
from harness_core.rehearsal.habits import deliver_verdict
from harness_core.rehearsal.scenario import Scenario
from harness_core.rehearsal.scenarios import tiny
from harness_core.rehearsal.server import make_app
from harness_core.rehearsal.wire import Pace
from harness_core.rehearsal.words import Brief, Call, Outcome, Step, app, bash, claim, put, read
from tests.harness import Stage, named, open_stage, text_of, until

ECHO = Path(__file__).with_name("mcp_echo.py")
B = "mcp__browser__browser_"


@contextlib.contextmanager
def playing(stage: Stage, scenario: Scenario) -> Iterator[None]:
    """Lets a scenario of the test's own play the model for `stage`."""
    listener = socket.create_server(("127.0.0.1", 0))
    record = stage.scratch / "bodies"
    record.mkdir()
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(scenario, Pace.FAST, None, record),
            log_level="critical",
            access_log=False,
            lifespan="off",
        )
    )
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    stage.env |= {
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "ANTHROPIC_API_KEY": "not-a-key-rehearsal-only",
    }
    try:
        yield
    finally:
        stage.end_everything()
        server.should_exit = server.force_exit = True
        thread.join()


# --- What is found ------------------------------------------------------------------------------------


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return path


def script(path: Path) -> Path:
    return program(path / "node_modules" / browser.PACKAGE / "cli.js")


def test_a_browser_is_found_by_its_parts_and_what_is_missing_is_said(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}
    nothing = browser.find(environ)
    assert nothing.node is None and "Node.js" in nothing.missing
    if nothing.chromium is None:
        assert "Chromium is not installed" in nothing.missing
    chromium, node = program(tmp_path / "bin" / "chromium"), program(tmp_path / "bin" / "node")
    cached = script(tmp_path / "home" / ".npm" / "_npx" / "0a1b")
    assert browser.find(environ) == browser.Browser(chromium, node, cached)
    globally = script(tmp_path / "lib")
    assert browser.find(environ).package == globally
    assert browser.find(environ).missing == ""


def test_nothing_that_agents_could_have_put_there_is_started(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    for folder in (run, outside):
        program(folder / "bin" / "chromium")
        program(folder / "bin" / "node")
    planted = script(run)
    (run / "bin" / "playwright-mcp").symlink_to(planted)
    (outside / "bin" / "playwright-mcp").symlink_to(planted)
    path = f"{run / 'bin'}:{outside / 'bin'}"
    found = browser.find({"PATH": path, "HOME": str(tmp_path)}, closed=run)
    assert all(part is None or not part.is_relative_to(run) for part in (found.chromium, found.node))
    assert found.package is None or not found.package.is_relative_to(run)
    assert browser.find({"PATH": str(outside / "bin"), "HOME": str(tmp_path)}).package == planted


def test_pages_speak_of_the_browser_only_where_there_is_one(tmp_path: Path) -> None:
    run = RunDir.at(tmp_path)
    there = Servers({BROWSER: McpServer(command="node")})
    evaluators_only = Servers({BROWSER: McpServer(command="node", roles=("evaluator",))})

    def page(servers: Servers, role: str) -> str:
        return system_prompt(run, role, role, servers.as_told(config.RunConfig(), role))

    for role in ("generator", "evaluator"):
        assert "browser_console_messages" in page(there, role)
        assert "browser_network_requests" in page(there, role)
        assert "mcp__browser__" not in page(Servers(absent={BROWSER: "no"}), role)
        assert "<!--" not in page(there, role)
    assert "mcp__browser__" not in page(evaluators_only, "generator")


# --- What is configured -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[mcp.x]", "mcp: give it either a `command` or a `url`"),
        ('[mcp.x]\ncommand = "a"\nurl = "http://b"', "give it either"),
        ('[mcp.x]\nurl = "b"', "begins with http://"),
        ('[mcp.x]\ncommand = "a"\nrole = "b"', "unknown key `role` in [mcp]"),
        ('[mcp.x]\ncommand = "a"\nroles = ["b"]', "mcp.roles: choose planner or"),
        ('[mcp.longwatch]\ncommand = "a"', "other than longwatch"),
        ('[mcp.a__b]\ncommand = "a"', "write it as letters"),
        ("mcp = 1", "mcp: give a section"),
    ],
)
def test_a_table_that_means_nothing_gets_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "longwatch.toml"
    path.write_text(text)
    with pytest.raises(Mistake, match=re.escape(says)):
        config.load_file(path)


def test_a_table_of_the_operator_s_replaces_the_browser_and_no_server_gets_the_model_s_key(
    tmp_path: Path,
) -> None:
    own = McpServer(url="http://127.0.0.1:1/mcp", headers={"Authorization": "Bearer of-something"})
    servers = gather(
        {BROWSER: own, "x": McpServer(command="a", env={"A": "b"})},
        RunDir.at(tmp_path),
        {"ANTHROPIC_API_KEY": "k", "GITHUB_TOKEN": "t"},
        with_browser=True,
    )
    assert servers.of("generator")[BROWSER]["url"] == own.url
    assert servers.of("evaluator")["x"]["env"] == {"A": "b", "ANTHROPIC_API_KEY": ""}
    assert servers.of("planner") == {} and servers.absent_for("planner") == {}
    assert "Bearer of-something" in secrets({BROWSER: own}).values()


# --- What is judged -----------------------------------------------------------------------------------


def denied_by(root: Path, tool: str, given: dict[str, object], *, read_only: bool = False) -> str | None:
    call, context = ToolCall(tool, given), GuardContext(root=root.resolve(), read_only=read_only)
    denials = (check(call, context) for _, check in GUARDS)
    return next((denial.guard for denial in denials if denial), None)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/a", "http://localhost", "localhost:3000", "https://[::1]/", "about:blank"]
)
def test_pages_of_this_machine_are_opened(tmp_path: Path, url: str) -> None:
    assert denied_by(tmp_path, f"{B}navigate", {"url": url}) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://outside.invalid/",
        "http://127.0.0.1@outside.invalid/",
        "http://outside.invalid#@127.0.0.1",
        "http://169.254.169.254/latest",
        "http:\\\\outside.invalid",
        "//outside.invalid",
        "http://localhost.outside.invalid",
        "file:///etc/passwd",
        "data:text/html,<p>",
        "javascript:fetch('//outside.invalid')",
        7,
    ],
)
def test_no_other_address_is_opened(tmp_path: Path, url: object) -> None:
    assert denied_by(tmp_path, f"{B}navigate", {"url": url}) is not None
    assert denied_by(tmp_path, f"{B}tabs", {"action": "new", "url": url}) is not None


def test_a_browser_writes_where_its_role_may(tmp_path: Path) -> None:
    (tmp_path / "screenshots").mkdir()
    (tmp_path / "screenshots" / "there.png").touch()
    shoot, snap = f"{B}take_screenshot", f"{B}snapshot"
    for name in ("screenshots/a.png", "out/a.png"):
        assert denied_by(tmp_path, shoot, {"filename": name}) is None
    for name in ("feature_list.json", "AGENT_STOP", "longwatch.toml", ".git/hooks/pre-commit", "../a.png"):
        for tool in (shoot, snap, f"{B}find", "mcp__playwright__browser_find"):
            assert denied_by(tmp_path, tool, {"filename": name}) is not None, (tool, name)
    assert denied_by(tmp_path, shoot, {"filename": "screenshots/a.png"}, read_only=True) is None
    assert denied_by(tmp_path, shoot, {}, read_only=True) is None
    assert denied_by(tmp_path, snap, {}, read_only=True) is None
    refused = ("a.png", "init.sh", "screenshots/there.png", "screenshots/a.js", "screenshots/../a.png")
    for name in refused:
        assert denied_by(tmp_path, shoot, {"filename": name}, read_only=True) == "browser", name
    for tool in (snap, f"{B}find", f"{B}console_messages"):
        assert denied_by(tmp_path, tool, {"filename": "screenshots/a.png"}, read_only=True) == "browser", tool


def test_no_code_runs_outside_of_the_page(tmp_path: Path) -> None:
    for server in ("browser", "playwright"):
        tool = f"mcp__{server}__browser_run_code_unsafe"
        assert denied_by(tmp_path, tool, {"code": "async () => 1"}) == "browser"
    assert denied_by(tmp_path, f"{B}evaluate", {"function": "() => 1"}) is None


# --- Through the CLI ----------------------------------------------------------------------------------

TABLES = f"""
[mcp.notes]
command = "{sys.executable}"
args = ["{ECHO}"]
env = {{ NOTES_TOKEN = "notes-4711-quite-secret" }}

[mcp.private]
command = "{sys.executable}"
args = ["{ECHO}"]
roles = ["evaluator"]

[mcp.gone]
command = "no-such-program-anywhere"

[mcp.mute]
command = "sleep"
args = ["600"]
"""


def noting(brief: Brief) -> Generator[Step, Outcome, None]:
    """What both roles try with the operator's servers before they work."""
    yield Call("mcp__notes__echo", {"text": f"the {brief.role}"})
    yield Call("mcp__notes__write_note", {"path": ".longwatch/note"})
    yield Call("mcp__notes__write_note", {"path": "note.txt"})
    yield Call("mcp__notes__environment", {"name": "NOTES_TOKEN"})
    yield Call("mcp__notes__environment", {"name": "ANTHROPIC_API_KEY"})
    yield from (tiny.generator if brief.role == "generator" else tiny.evaluator)(brief)


def test_servers_serve_their_roles_are_guarded_and_never_hold_a_run_up(tmp_path: Path) -> None:
    scenario = Scenario("notes", "", {"generator": noting, "evaluator": noting})
    with open_stage(tmp_path, None) as stage, playing(stage, scenario):
        stage.lay_out()
        (stage.root / "longwatch.toml").write_text(TABLES)
        stage.env["MCP_TIMEOUT"] = "1500"
        engine = stage.run("--set", "evaluator=feature", "--set", "browser=off")
        assert engine.wait() == 0, engine.err
        # What is on the wire
        offered = {
            role: {tool["name"] for tool in stage.bodies(role)[0]["tools"]}
            for role in ("generator", "evaluator")
        }
        assert "mcp__notes__echo" in offered["generator"] & offered["evaluator"]
        assert "mcp__private__echo" in offered["evaluator"] - offered["generator"]
        # What came of the calls
        calls = {event["tool_use_id"]: event for event in stage.journal(named("tool_use"))}
        results = [
            (calls[event["tool_use_id"]], event)
            for event in stage.journal(named("tool_result"))
            if calls[event["tool_use_id"]]["tool"].startswith("mcp__notes__")
        ]
        said = [(call["role"], result["output"]) for call, result in results if result["ok"]]
        for role in ("generator", "evaluator"):
            assert (role, f"heard the {role}") in said
            assert (role, "[redacted]") in said and (role, "nothing") in said
        assert ("generator", "heard note.txt") in said
        denials = [
            (event["role"], calls[event["tool_use_id"]]["input"]["path"], event["guard"])
            for event in stage.journal(named("guard_decision"))
        ]
        assert denials == [
            ("generator", ".longwatch/note", "path"),
            ("evaluator", ".longwatch/note", "path"),
            ("evaluator", "note.txt", "path"),
        ]
        # What isn't there
        missing = {event["name"]: event["why"] for event in stage.journal(named("server_missing"))}
        assert len(stage.journal(named("server_missing"))) == 2
        assert missing["gone"] == "`no-such-program-anywhere` can't be found"
        assert missing["mute"] == "it doesn't answer within 1.5 s"
        for role in ("generator", "evaluator"):
            first = text_of(stage.bodies(role)[0]["messages"])
            assert "mcp__gone__* are not available" in first and "mcp__mute__* are not" in first
            assert "mcp__notes__* are not" not in first


# --- In a real browser --------------------------------------------------------------------------------

CONTRACT = """[{"id": "F001", "category": "functional", "description": "A note that is added is listed",
 "steps": ["Type milk into Note", "Press Add", "milk is in the list"], "passes": false}]
"""
PAGE = """<!doctype html><title>Notes</title><h1>Notes</h1>
<label>Note <input id="note"></label> <button id="add">Add</button><ul id="notes"></ul>
<img alt="" src="http://outside.invalid/pixel.png"><script src="app.js"></script>
"""
BROKEN = 'document.getElementById("add").onclick = () => list.append("");\n'
SOUND = """document.getElementById("add").onclick = () => {
  const item = document.createElement("li");
  item.textContent = document.getElementById("note").value;
  document.getElementById("notes").append(item);
};
"""
INIT = "#!/bin/sh\nexec python3 -m http.server 0 --bind 127.0.0.1\n"
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
REF = r'{} "{}"[^\n]*?\[ref=(\w+)\]'


def add_a_note(started: Outcome, note: str) -> Generator[Step, Outcome, str]:
    """Opens the page, types a note, presses Add; returns what the page says then."""
    found = ADDRESS.search(started.text)
    yield Call(f"{B}navigate", {"url": found[0] if found else "about:blank"})
    page = yield Call(f"{B}snapshot", {})
    field, button = (
        re.search(REF.format(*what), page.text) for what in (("textbox", "Note"), ("button", "Add"))
    )
    if field and button:
        yield Call(f"{B}type", {"element": "the field", "target": field[1], "text": note})
        yield Call(f"{B}click", {"element": "the button", "target": button[1]})
    after = yield Call(f"{B}snapshot", {})
    return after.text


def builder(brief: Brief) -> Generator[Step, Outcome, None]:
    """Builds it wrong, and right once it was found."""
    again = "unlisted" in brief.prompt
    yield from put("app.js", SOUND if again else BROKEN)
    started = yield app("restart")
    yield from add_a_note(started, "bread")
    picture = f"screenshots/F001-{'mended' if again else 'notes'}.png"
    yield Call(f"{B}take_screenshot", {"filename": picture, "type": "png"})
    yield read(picture)
    yield claim("F001", [picture], "The page has a field and a button.")
    yield bash("git add -A && git commit -q -m 'List notes'")
    yield "The notes are listed."


def judge(brief: Brief) -> Generator[Step, Outcome, None]:
    """Believes only what the page and its console say."""
    started = yield app("restart")
    yield Call(f"{B}navigate", {"url": "http://outside.invalid/"})
    shown = yield from add_a_note(started, "milk")
    errors = yield Call(f"{B}console_messages", {"level": "error"})
    yield Call(f"{B}network_requests", {"static": True})
    yield Call(f"{B}take_screenshot", {"type": "png"})
    yield Call(f"{B}snapshot", {"filename": "app.js"})
    listed = re.search(r"listitem[^\n]*milk", shown) is not None
    thrown = re.search(r"\w+Error: [^\n]+", errors.text)
    where = f"milk stays unlisted; the console says: {thrown[0] if thrown else 'nothing'}"
    finding = {"feature": "F001", "criterion": "functionality", "where": where, "reproduce": "add milk"}
    verdict = {
        "verdict": "PASS" if listed else "NEEDS_WORK",
        "scores": {"": (9 if listed else 2, "as the page shows")},
        "findings": [] if listed else [{**finding, "severity": "high"}],
    }
    yield from deliver_verdict(brief, verdict)
    yield "That is my verdict."


@pytest.mark.slow
def test_an_evaluator_judges_a_page_by_what_the_browser_shows(tmp_path: Path) -> None:
    if lacks := browser.find().missing:
        pytest.skip(lacks)
    scenario = Scenario("page", "", {"generator": builder, "evaluator": judge})
    with open_stage(tmp_path, None) as stage, playing(stage, scenario):
        stage.lay_out()
        for name, text in (("feature_list.json", CONTRACT), ("index.html", PAGE), ("init.sh", INIT)):
            (stage.root / name).write_text(text)
        stage.git("commit", "-qam", "Lay out the page")
        engine = stage.run("--set", "evaluator=feature")
        assert engine.wait(120) == 0, engine.err
        assert stage.journal(named("server_missing")) == []
        first, second = stage.journal(named("verdict"))
        assert (first["verdict"], second["verdict"]) == ("NEEDS_WORK", "PASS")
        assert "ReferenceError: list is not defined" in first["findings"][0]["where"]
        # Nothing but this machine was reached, and the agent heard why.
        denials = [
            (event["role"], event["tool"], event["guard"]) for event in stage.journal(named("guard_decision"))
        ]
        assert (
            denials
            == [
                ("evaluator", f"{B}navigate", "browser"),
                ("evaluator", f"{B}snapshot", "browser"),
            ]
            * 2
        )
        asked = {
            event["tool_use_id"] for event in stage.journal(named("tool_use", tool=f"{B}network_requests"))
        }
        answers = [event for event in stage.journal(named("tool_result")) if event["tool_use_id"] in asked]
        assert len(answers) == 2
        assert all("ERR_PROXY_CONNECTION_FAILED" in event["output"] for event in answers)
        # What the browser made is evidence, and only that is committed.
        assert stage.passing() == [True]
        committed = stage.git("ls-files", "screenshots").split()
        assert {"screenshots/F001-notes.png", "screenshots/F001-mended.png"} <= set(committed)
        assert all(name.endswith(".png") for name in committed)
        assert (stage.root / "app.js").read_text() == SOUND
        # Both roles have the same tools of it, and none that leaves the page.
        offered = [
            {tool["name"] for tool in stage.bodies(role)[0]["tools"] if tool["name"].startswith(B)}
            for role in ("generator", "evaluator")
        ]
        assert offered[0] == offered[1] and f"{B}click" in offered[0]
        assert f"{B}run_code_unsafe" not in offered[0]
        assert stage.alive() == []


def lingering(brief: Brief) -> Generator[Step, Outcome, None]:
    """Has a page open while a command runs."""
    yield from put("app.js", SOUND)
    started = yield app("restart")
    yield from add_a_note(started, "bread")
    yield bash("until [ -e go ]; do sleep 0.1; done")
    yield "The notes are listed."


def browsers(stage: Stage) -> list[psutil.Process]:
    """The processes of this run's browser and of its server, by what they are called with."""
    server = [item for item in psutil.process_iter() if str(stage.private / "browser.json") in _called(item)]
    return [*server, *(child for item in server for child in item.children(recursive=True))]


def _called(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pause", "kill"])
def test_no_browser_outlives_a_pause_or_a_killed_engine(tmp_path: Path, how: str) -> None:
    if lacks := browser.find().missing:
        pytest.skip(lacks)
    with open_stage(tmp_path, None) as stage, playing(stage, Scenario("page", "", {"generator": lingering})):
        stage.lay_out()
        for name, text in (("feature_list.json", CONTRACT), ("index.html", PAGE), ("init.sh", INIT)):
            (stage.root / name).write_text(text)
        stage.git("commit", "-qam", "Lay out the page")
        engine = stage.run()
        stage.wait_for(named("tool_use", tool="Bash"))
        open_now = browsers(stage)
        assert any("chrom" in process.name() for process in open_now)
        if how == "pause":
            stage.stop_file.touch()
            assert engine.wait() == 3
            assert stage.journal(named("stop_confirmed"))[-1]["survivors"] == []
        else:
            engine.kill()
        until(lambda: not any(is_alive(process) for process in open_now), 10, "the browser has gone")


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
