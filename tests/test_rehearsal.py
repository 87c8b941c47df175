"""The rehearsal against the real SDK and the real CLI, and its player as a function."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from claude_agent_sdk import (
    AssistantMessage,
    ClaudeAgentOptions,
    ClaudeSDKClient,
    ClaudeSDKError,
    HookMatcher,
    ResultMessage,
    SdkMcpTool,
    TextBlock,
    create_sdk_mcp_server,
)
from PIL import Image

from harness_core.errors import Mistake
from harness_core.rehearsal import Rehearsal, start
from harness_core.rehearsal.conversation import ACKNOWLEDGED, call_id
from harness_core.rehearsal.mischief import MISCHIEF
from harness_core.rehearsal.scenario import NOTHING_LEFT, PlacedCall, Reply, Scenario, next_reply
from harness_core.rehearsal.scenarios import load, tiny, titles
from harness_core.rehearsal.scenarios.demo import plan, story
from harness_core.rehearsal.schema import fit
from harness_core.rehearsal.wire import Pace, as_events, usage_of
from harness_core.rehearsal.words import Say

TOOLS = ["Bash", "Read", "Edit", "Write", "Grep", "Glob"]
VERDICT = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "enum": ["PASS", "NEEDS_WORK"]},
        "scores": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "criterion": {"type": "string", "enum": ["functionality", "craft"]},
                    "score": {"type": "number", "minimum": 0, "maximum": 10},
                    "reason": {"type": "string"},
                },
                "required": ["criterion", "score", "reason"],
            },
        },
        "findings": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["verdict", "scores", "findings"],
    "additionalProperties": False,
}


@dataclass
class Stage:
    """A project directory, a server, and sessions of the real CLI between them."""

    project: Path
    config: Path
    server: Rehearsal
    claims: list[dict[str, Any]] = field(default_factory=list)
    on_claim: list[Callable[[], None]] = field(default_factory=list)
    """What happens to the world during the next claims, one each."""

    def options(self, role: str, **more: Any) -> ClaudeAgentOptions:
        async def claim(given: dict[str, Any]) -> dict[str, Any]:
            self.claims.append(given)
            if self.on_claim:
                self.on_claim.pop(0)()
            contract = self.contract()
            for feature in contract:
                if feature["id"] == given["feature"]:
                    feature["passes"] = True
            (self.project / "feature_list.json").write_text(json.dumps(contract))
            return {"content": [{"type": "text", "text": "Accepted."}]}

        schema = {
            "type": "object",
            "properties": {
                "feature": {"type": "string"},
                "evidence": {"type": "array", "items": {"type": "string"}},
                "note": {"type": "string"},
            },
        }
        tools = [SdkMcpTool("claim_feature", "Claim a feature.", schema, claim)]
        return ClaudeAgentOptions(
            cwd=self.project,
            model="claude-sonnet-4-5",
            setting_sources=[],
            strict_mcp_config=True,
            tools=TOOLS,
            allowed_tools=[*TOOLS, "mcp__longwatch"],
            mcp_servers={"longwatch": create_sdk_mcp_server("longwatch", tools=tools)},
            permission_mode="dontAsk",
            system_prompt=f"You build flags.\n# Role: {role}\n",
            max_buffer_size=64 << 20,
            env={**self.server.env(), "CLAUDE_CONFIG_DIR": str(self.config)},
            **more,
        )

    def contract(self) -> list[dict[str, Any]]:
        read: list[dict[str, Any]] = json.loads((self.project / "feature_list.json").read_text())
        return read

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.project, check=True, capture_output=True, text=True
        )
        return done.stdout

    def flags_laid_out(self) -> None:
        """What tiny's initializer leaves behind, without a session."""
        (self.project / "feature_list.json").write_text(tiny.contract(3))
        (self.project / "flags.py").write_text(tiny.FLAGS_PY)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "Lay out the flags")

    async def session(self, role: str, prompt: str = "Go.", **more: Any) -> ResultMessage:
        client = ClaudeSDKClient(self.options(role, **more))
        try:
            await client.connect()
            await client.query(prompt)
            return await result(client)
        finally:
            await client.disconnect()


async def result(client: ClaudeSDKClient) -> ResultMessage:
    async for message in client.receive_response():
        if isinstance(message, ResultMessage):
            return message
    raise AssertionError("the session ended without a result")


Opener = Callable[..., Stage]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Opener]:
    servers: list[Rehearsal] = []

    def open_stage(scenario: str, **more: Any) -> Stage:
        project, config = tmp_path / "project", tmp_path / "config"
        project.mkdir()
        config.mkdir()
        servers.append(start(scenario, **more))
        made = Stage(project, config, servers[-1])
        made.git("init", "-q", "-b", "main")
        made.git("config", "user.name", "Rehearsal")
        made.git("config", "user.email", "rehearsal@localhost")
        return made

    yield open_stage
    for server in servers:
        server.close()


# With the real SDK and CLI


def test_tiny_builds_its_first_flag(stage: Opener) -> None:
    made = stage("tiny")

    async def run() -> None:
        await made.session("initializer", "Write exactly 4 features.")
        assert len(made.contract()) == 4
        done = await made.session("generator")
        assert not done.is_error, done
        assert (done.total_cost_usd or 0) > 0

    asyncio.run(run())
    assert made.claims == [
        {"feature": "F001", "evidence": ["screenshots/F001-flag.png"], "note": "The stripes are there."}
    ]
    assert [feature["passes"] for feature in made.contract()] == [True, False, False, False]
    assert (made.project / "screenshots/F001-flag.png").read_bytes().startswith(b"\x89PNG")
    assert made.git("log", "--format=%s").splitlines() == ["Draw F001", "Lay out the flags"]
    assert {seen.role for seen in made.server.requests} == {"initializer", "generator"}


def test_a_broken_contract_is_mended_when_sent_back(stage: Opener) -> None:
    made = stage("tiny+broken-json")

    async def run() -> None:
        async with ClaudeSDKClient(made.options("initializer")) as client:
            await client.query("Write exactly 3 features.")
            await result(client)
            with pytest.raises(json.JSONDecodeError):
                made.contract()
            await client.query("feature_list.json doesn't parse.")
            await result(client)

    asyncio.run(run())
    assert len(made.contract()) == 3


def test_a_server_that_restarts_in_mid_session_goes_on(stage: Opener) -> None:
    made = stage("tiny")
    made.flags_laid_out()
    second: list[Rehearsal] = []

    def restart() -> None:
        made.server.kill()
        second.append(start("tiny", port=made.server.port))

    made.on_claim.append(restart)
    try:
        done = asyncio.run(made.session("generator"))
        assert not done.is_error, done
        assert len(second[0].requests) == 2
    finally:
        for server in second:
            server.close()
    assert len(made.claims) == 1
    assert made.git("log", "-1", "--format=%s").strip() == "Draw F001"


def test_a_session_whose_cli_was_killed_is_resumed(stage: Opener) -> None:
    made = stage("tiny")
    made.flags_laid_out()
    made.on_claim.append(kill_clis)

    async def run() -> ResultMessage:
        with pytest.raises(ClaudeSDKError):
            await made.session("generator")
        session = made.server.requests[0].session
        return await made.session("generator", "Continue where you left off.", resume=session)

    done = asyncio.run(run())
    assert not done.is_error, done
    assert [given["feature"] for given in made.claims] == ["F001", "F001"]
    steps = [block["step"] for seen in made.server.requests for block in seen.reply if "tool" in block]
    assert steps[:5] == [0, 1, 2, 3, 4]
    assert steps[-2:] == [4, 5]


def test_faults_of_the_wire_are_survived(stage: Opener) -> None:
    made = stage("tiny+529:1:2+cut:1:4")
    made.flags_laid_out()
    done = asyncio.run(made.session("generator"))
    assert not done.is_error, done
    assert [seen.fault for seen in made.server.requests if seen.fault] == ["529", "cut"]
    assert len(made.claims) == 1


def test_an_evaluator_answers_in_its_schema(stage: Opener) -> None:
    made = stage("tiny+needs-work@F002")
    made.flags_laid_out()
    schema = {"output_format": {"type": "json_schema", "schema": VERDICT}}

    async def run() -> list[Any]:
        first, second = await asyncio.gather(
            made.session("evaluator", "The scope is F001.", **schema),
            made.session("evaluator", "The scope is F002.", **schema),
        )
        return [first.structured_output, second.structured_output]

    passed, failed = asyncio.run(run())
    assert passed["verdict"] == "PASS"
    assert [score["criterion"] for score in passed["scores"]] == ["functionality", "craft"]
    assert failed["verdict"] == "NEEDS_WORK"
    assert failed["findings"][0]["feature"] == "F002"


def test_steering_is_acknowledged_and_compaction_survived(stage: Opener) -> None:
    made = stage("tiny")
    made.flags_laid_out()
    notes = ["Message 7 from the operator: use warmer colours."]

    async def steer(event: Any, tool_use_id: Any, context: Any) -> Any:
        if not notes:
            return {}
        return {"hookSpecificOutput": {"hookEventName": "PostToolBatch", "additionalContext": notes.pop()}}

    hooks: Any = {"PostToolBatch": [HookMatcher(hooks=[steer])]}
    said: list[str] = []

    async def run() -> None:
        async with ClaudeSDKClient(made.options("generator", hooks=hooks)) as client:
            for prompt in ("Build one feature.", "/compact", "Build one more."):
                await client.query(prompt)
                async for message in client.receive_response():
                    if isinstance(message, AssistantMessage):
                        said.extend(block.text for block in message.content if isinstance(block, TextBlock))

    asyncio.run(run())
    acknowledged = [text for text in said if text.startswith(ACKNOWLEDGED)]
    assert len(acknowledged) == 1
    assert "use warmer colours" in acknowledged[0]
    assert [given["feature"] for given in made.claims] == ["F001", "F002"]


def kill_clis() -> None:
    for one in psutil.Process().children(recursive=True):
        if "_bundled" in " ".join(one.cmdline()):
            one.kill()


# The process


def test_a_mistake_gets_a_sentence() -> None:
    with pytest.raises(Mistake, match="no scenario 'nope'"):
        load("nope")
    with pytest.raises(Mistake, match="no fault 'nope'"):
        load("tiny+nope")
    with start("tiny") as server, pytest.raises(Mistake, match="choose another --port"):
        start("tiny", port=server.port)


def test_the_server_ends_with_its_parent() -> None:
    program = (
        "import os; from harness_core.rehearsal import start; "
        "print(start('tiny').pid, flush=True); os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    pid = int(done.stdout)
    if psutil.pid_exists(pid):
        psutil.wait_procs([psutil.Process(pid)], timeout=10)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_without_streaming_the_answer_is_one_message(tmp_path: Path) -> None:
    with start("tiny", record=tmp_path / "bodies") as server:
        ask = {"model": "m", "system": "# Role: generator", "messages": [user("Go.")]}
        request = urllib.request.Request(f"{server.url}/v1/messages?beta=true", json.dumps(ask).encode())
        with urllib.request.urlopen(request) as response:
            body = json.load(response)
        assert len(list((tmp_path / "bodies").iterdir())) == 1
    assert body["stop_reason"] == "tool_use"
    assert body["content"][1]["name"] == "Bash"
    assert body["usage"]["output_tokens"] > 0


# The demo's project


def studio(place: Path, works: Sequence[plan.Work]) -> Path:
    """The project as it is once `works` are built."""
    files = {"studio.py": plan.text_of("studio.py"), "check.py": plan.text_of("check.py")}
    files |= {"names.json": plan.names(len(works)), "tests/__init__.py": ""}
    for work in works:
        files |= work.files()
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def check(project: Path, feature: str) -> bool:
    done = subprocess.run(
        [sys.executable, "check.py", feature], cwd=project, capture_output=True, check=False
    )
    return done.returncode == 0


def test_the_studio_paints_every_scene(tmp_path: Path) -> None:
    works = plan.works(11)
    project = studio(tmp_path, works)
    with ThreadPoolExecutor(2) as both:
        assert all(both.map(lambda work: check(project, work.id), works))
    for work in works:
        assert (project / work.log).read_text().endswith("OK\n")
        with Image.open(project / work.picture) as picture:
            assert picture.width >= 768
            assert len(picture.convert("RGB").getcolors(100_000) or []) > 5


def test_the_accidents_are_real(tmp_path: Path) -> None:
    project = studio(tmp_path, plan.works(3))
    line = project / "pixel/line.py"
    tidied = line.read_text().replace(story.SOUND_LOOP, story.TIDIED_LOOP)
    assert tidied != line.read_text()
    line.write_text(tidied)
    assert not check(project, story.BROKEN)
    for name, text in story.flawed_files().items():
        (project / name).write_text(text)
    assert check(project, story.FLAWED)
    assert story.judge(story.FLAWED, (project / "pixel/rectangle.py").read_text())
    assert story.judge(story.FLAWED, plan.text_of("pixel/rectangle.py")) is None


# The player


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def as_message(reply: Reply) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for block in reply.blocks:
        if isinstance(block, PlacedCall):
            identity = call_id(block.step, block.place, "x")
            call = {"id": identity, "name": block.call.tool, "input": dict(block.call.input)}
            content.append({"type": "tool_use", **call})
        elif isinstance(block, Say):
            content.append({"type": "text", "text": block.text})
    return {"role": "assistant", "content": content}


def result_of(step: int, text: str, *, call: int = 0, failed: bool = False) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    identity = call_id(step, call, "x")
    return {"type": "tool_result", "tool_use_id": identity, "content": content, "is_error": failed}


def request(role: str, messages: Sequence[Mapping[str, Any]], system: str = "") -> dict[str, Any]:
    return {
        "model": "m",
        "system": f"{system}\n# Role: {role}",
        "messages": list(messages),
        "tools": [{"name": name, "input_schema": {}} for name in ("Bash", "Agent", "StructuredOutput")],
    }


def play(scenario: Scenario, role: str, prompt: str = "Go.", most: int = 60) -> list[Reply]:
    """A whole session in which the contract is always tiny's and every other call answers `fine`."""
    messages: list[dict[str, Any]] = [user(prompt)]
    replies: list[Reply] = []
    while len(replies) < most:
        reply = next_reply(scenario, request(role, messages))
        replies.append(reply)
        if reply.ends_turn:
            break
        results = []
        for block in reply.blocks:
            if isinstance(block, PlacedCall):
                shows = "feature_list.json" in str(block.call.input)
                text = tiny.contract(3) if shows else "fine"
                results.append(result_of(block.step, text, call=block.place))
        messages += [as_message(reply), {"role": "user", "content": results}]
    return replies


def calls(replies: Sequence[Reply]) -> list[str]:
    return [block.call.tool for reply in replies for block in reply.blocks if isinstance(block, PlacedCall)]


def first_call(reply: Reply) -> PlacedCall:
    return next(block for block in reply.blocks if isinstance(block, PlacedCall))


def test_an_interrupted_step_is_played_again_and_a_refused_one_is_not() -> None:
    scenario = load("tiny")
    opening = next_reply(scenario, request("generator", [user("Go.")]))
    before = [user("Go."), as_message(opening)]

    def after(text: str, failed: bool, *more: dict[str, Any]) -> PlacedCall:
        answer = {"role": "user", "content": [result_of(0, text, failed=failed), *more]}
        return first_call(next_reply(scenario, request("generator", [*before, answer])))

    words = {"type": "text", "text": "Continue."}
    assert after("[Tool call interrupted: … outcome is unknown …]", True, words).step == 0
    assert after("The user doesn't want to proceed with this tool use.", True, words).step == 0
    assert after("PreToolUse:Bash hook error: AGENT_STOP is there", True, words).step == 0
    assert after(tiny.contract(3), False).step == 1


def test_a_stop_is_answered_with_words_until_somebody_speaks() -> None:
    scenario = load("tiny")
    opening = next_reply(scenario, request("generator", [user("Go.")]))
    denial = {"role": "user", "content": [result_of(0, "hook error: AGENT_STOP is there", failed=True)]}
    messages = [user("Go."), as_message(opening), denial]
    stopping = next_reply(scenario, request("generator", messages))
    assert stopping.ends_turn
    messages += [as_message(stopping), user("Go on.")]
    assert first_call(next_reply(scenario, request("generator", messages))).step == 0


def test_only_the_missing_calls_of_a_parallel_step_are_made_again() -> None:
    scenario = load("tiny+parallel:3")
    seen = {"role": "user", "content": [result_of(0, tiny.contract(3))]}
    opening = next_reply(scenario, request("generator", [user("Go.")]))
    messages = [user("Go."), as_message(opening), seen]
    several = next_reply(scenario, request("generator", messages))
    assert len(calls([several])) == 4
    half = {"role": "user", "content": [result_of(1, "0", call=0), result_of(1, "2", call=2)]}
    missing = next_reply(scenario, request("generator", [*messages, as_message(several), half]))
    places = [block.place for block in missing.blocks if isinstance(block, PlacedCall)]
    assert places == [1, 3]


def test_the_number_of_features_is_the_asked_one() -> None:
    for prompt, count in (("exactly 10 features", 10), ("Number of features: 25", 25), ("Go.", 3)):
        write = first_call(play(load("tiny"), "initializer", prompt)[0])
        assert len(json.loads(str(write.call.input["content"]))) == count
    assert [work.id for work in plan.works(12)][-1] == "F012"
    assert len(json.loads(plan.contract(12))) == 12


@pytest.mark.parametrize("name", sorted(titles()))
def test_every_scenario_plays_every_role_to_its_end(name: str) -> None:
    for role in ("planner", "initializer", "generator", "evaluator"):
        last = play(load(name), role)[-1]
        assert last.ends_turn
        assert last.blocks != (Say(NOTHING_LEFT),)


def test_a_session_of_overhead_has_twelve_calls() -> None:
    assert load("overhead:300").think_ms == 300
    assert len(calls(play(load("overhead:300"), "generator"))) == 12


def test_a_session_of_chatter_says_much_and_makes_no_call_twice() -> None:
    for role in ("generator", "evaluator"):
        replies = play(load("chatter"), role)
        made = [
            repr(block.call) for reply in replies for block in reply.blocks if isinstance(block, PlacedCall)
        ]
        assert len(made) == len(set(made)) > 40
        assert sum(len(reply.blocks) for reply in replies) > 200


def test_no_flag_of_chatter_comes_twice() -> None:
    """The colours of tiny's come round after 128; a picture twice would be no evidence."""
    drawn = set()
    for feature in ("F001", "F129", "F257"):
        replies = play(load("chatter"), "generator", f"Your feature is {feature}.")
        blocks = [block for reply in replies for block in reply.blocks if isinstance(block, PlacedCall)]
        drawn |= {str(block.call.input["content"]) for block in blocks if block.call.tool == "Write"}
    assert len(drawn) == 3


@pytest.mark.parametrize("name", sorted(MISCHIEF))
def test_every_mischief_changes_exactly_one_role(name: str) -> None:
    good, bad = load("tiny"), load(f"tiny+{name}")
    changed = [
        role
        for role in ("planner", "initializer", "generator", "evaluator")
        if play(good, role) != play(bad, role)
    ]
    assert len(changed) == 1


def test_a_mischief_can_be_kept_for_one_feature() -> None:
    good = play(load("tiny"), "generator")
    assert play(load("tiny+rm-contract@F002"), "generator") == good
    assert play(load("tiny+rm-contract@F001"), "generator") != good


def test_the_operators_words_are_told_from_what_surrounds_them() -> None:
    steering = (
        "[steering message 004 from the operator]\nUse a darker sky.\n[end of message 004: it outranks]"
    )
    reply = next_reply(load("tiny"), request("generator", [user(f"Build F001.\n\n{steering}")]))
    assert reply.blocks[0] == Say(f"{ACKNOWLEDGED}: “Use a darker sky.” I'll keep to that from here on.")


def test_a_generator_takes_the_feature_that_its_prompt_names() -> None:
    def built(prompt: str) -> object:
        write = next(reply for reply in play(load("tiny"), "generator", prompt) if "Write" in calls([reply]))
        return first_call(write).call.input["file_path"]

    assert built("Your feature is F002.") == "designs/F002.json"
    assert built("Given up for now: F001, F002.") == "designs/F003.json"


def test_a_role_without_a_line_is_a_subagent() -> None:
    ask = {"messages": [user("Look around.")], "tools": [{"name": "Bash", "input_schema": {}}]}
    assert next_reply(load("tiny"), ask).role == "subagent"


def test_a_verdict_fits_the_schema_that_asks_for_it() -> None:
    schema = {
        "type": "object",
        "properties": {
            "agreed": {"type": "boolean"},
            "feature": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "score": {"$ref": "#/$defs/score"},
            "severity": {"enum": ["low", "high"]},
        },
        "required": ["agreed", "feature", "score"],
        "$defs": {"score": {"type": "integer", "minimum": 0, "maximum": 10}},
    }
    assert fit(schema, {"score": 14.5, "severity": "major", "surprise": 1}) == {
        "agreed": True,
        "feature": None,
        "score": 10,
        "severity": "low",
    }


def test_the_stream_carries_the_reply_at_both_paces() -> None:
    ask = request("generator", [user("Go.")])
    reply = next_reply(load("tiny"), ask)
    for pace in Pace:
        events = list(as_events(reply, "m", usage_of(ask, reply), pace))
        data = [json.loads(event.split(b"data: ")[1]) for _, event in events]
        assert [data[0]["type"], data[-2]["type"], data[-1]["type"]] == [
            "message_start",
            "message_delta",
            "message_stop",
        ]
        typed = "".join(one["delta"].get("partial_json", "") for one in data if "partial_json" in str(one))
        assert json.loads(typed) == first_call(reply).call.input
        assert (sum(wait for wait, _ in events) > 0) == (pace is Pace.HUMAN)
