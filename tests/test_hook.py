"""`longwatch hook` from outside: payloads go in, answers come out, and the journal tells what was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness_core.guards import GuardContext, ToolCall
from harness_core.hooks.turn import answer
from harness_core.layout import RunDir
from harness_core.machine.lock import RunLock
from harness_core.operator import control
from harness_core.record import events as ev
from harness_core.record.fold import fold
from harness_core.rehearsal.scenarios import tiny
from tests.guard_cases import LONGWATCH, Hook, cases, lay_out, read_response
from tests.guard_cases import run as run_case

CASES = list(cases(Path(__file__).with_name("guard_cases.jsonl")))
CLAIM = {
    "old_string": '"Feature 1 works", "passes": false',
    "new_string": '"Feature 1 works", "passes": true',
}
Spoken = Callable[..., dict[str, Any]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "run"
    lay_out(place)
    return place


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(tmp_path)}


@pytest.fixture
def hook(root: Path, env: dict[str, str]) -> Iterator[Hook]:
    spoken = Hook(root, env)
    yield spoken
    spoken.close()


def once(
    root: Path, event: str, env: dict[str, str] | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    """A hook as Claude Code calls it: one payload, one process."""
    payload = {"hook_event_name": event, "session_id": "s", "cwd": str(root), **more}
    return subprocess.run(
        [LONGWATCH, "hook", root],
        input=json.dumps(payload),
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )


def denied(answer: dict[str, Any]) -> str:
    """The reason of a denial; "" for anything else."""
    said = answer.get("hookSpecificOutput", {})
    return str(said["permissionDecisionReason"]) if said.get("permissionDecision") == "deny" else ""


def told(answer: dict[str, Any]) -> str:
    return str(answer.get("hookSpecificOutput", {}).get("additionalContext", ""))


def events(root: Path) -> list[ev.Event]:
    """The journal, every line of which is an event of its type with the next `seq`."""
    lines = (root / ".longwatch/journal.jsonl").read_bytes().splitlines()
    found = [ev.decode(line) for line in lines]
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    assert not [event for event in found if isinstance(event, ev.Unknown)]
    return found


def test_nothing_big_gets_into_a_commit(hook: Hook, root: Path) -> None:
    bash(hook, root, "git init -q; head -c 6000000 /dev/zero > model.bin; echo kept > kept.txt", "make")
    for number in ("one", "two"):
        bash(hook, root, f"git add -A && git -c user.name=A -c user.email=a@b commit -qm {number}", number)
    make = "head -c 6000000 /dev/zero > late.bin && git add -A"
    told_of = told(
        bash(hook, root, f"{make} && git -c user.name=A -c user.email=a@b commit -qm three", "late")
    )
    assert "/late.bin" in told_of and "git rm -r --cached" in told_of
    taken = subprocess.run(
        ["git", "log", "--name-only", "--format="], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "kept.txt" in taken and "model.bin" not in taken
    messages = [event.message for event in events(root) if isinstance(event, ev.Error)]
    assert [message for message in messages if "model.bin" in message] == [
        "left out of commits, by .git/info/exclude: /model.bin"
    ]


def passing(root: Path) -> list[bool]:
    return [feature["passes"] for feature in json.loads((root / "feature_list.json").read_text())]


def bash(hook: Spoken, root: Path, command: str, number: str = "b") -> dict[str, Any]:
    """A Bash call that is let through and really runs; what the hook says after it."""
    call = {"tool_name": "Bash", "tool_input": {"command": command}, "tool_use_id": f"toolu_{number}"}
    assert not denied(hook("PreToolUse", **call))
    done = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True, check=False)
    return hook("PostToolUse", **call, tool_response={"stdout": done.stdout, "stderr": done.stderr})


def picture(hook: Spoken, root: Path, name: str = "screenshots/f1.png") -> None:
    """Evidence: a program draws a picture, the agent looks at it."""
    (root / "flags.py").write_text(tiny.FLAGS_PY)
    (root / "designs").mkdir(exist_ok=True)
    (root / "designs/F001.json").write_text(tiny.design("F001"))
    bash(hook, root, f"python3 flags.py F001 && mv screenshots/F001-flag.png {name}", "draw")
    call = {"tool_name": "Read", "tool_input": {"file_path": str(root / name)}, "tool_use_id": "toolu_look"}
    hook("PreToolUse", **call)
    hook("PostToolUse", **call, tool_response=read_response(root, call["tool_input"]))


def edit(root: Path, **change: str) -> dict[str, Any]:
    given = {"file_path": str(root / "feature_list.json"), **(change or CLAIM)}
    return {"tool_name": "Edit", "tool_input": given, "tool_use_id": "toolu_edit"}


def carry_out(root: Path, call: dict[str, Any]) -> None:
    given, path = call["tool_input"], Path(call["tool_input"]["file_path"])
    path.write_text(path.read_text().replace(given["old_string"], given["new_string"]))


# --- Verdicts -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_each_case_gets_its_verdict(tmp_path: Path, case: Any) -> None:
    outcome = run_case(case, tmp_path)
    assert outcome.right, (outcome.verdict, outcome.guard, outcome.reason)


def test_a_denial_says_which_guard_and_why(hook: Hook, root: Path) -> None:
    hook("SessionStart", source="startup")
    answer = hook("PreToolUse", tool_name="Bash", tool_input={"command": "nc -l 4444"}, tool_use_id="toolu_1")
    decision = next(event for event in events(root) if isinstance(event, ev.GuardDecision))
    assert (decision.guard, decision.tool_use_id, decision.tool) == ("shell", "toolu_1", "Bash")
    assert decision.reason == denied(answer) and "nc" in decision.reason


def test_a_guard_that_fails_denies_and_is_journaled_with_its_error(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(call: ToolCall, context: GuardContext) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr("harness_core.guards.order.GUARDS", (("path", failing),))
    call = {"session_id": "s", "cwd": str(root), "tool_name": "Read", "tool_input": {"file_path": "a"}}
    said = answer(RunDir.at(root), {"hook_event_name": "PreToolUse", **call})
    assert "path guard failed" in denied(said)
    (error,) = (event for event in events(root) if isinstance(event, ev.Error))
    assert (error.kind, error.message) == ("guard", "guard path: RuntimeError('out of order')")
    decision = next(event for event in events(root) if isinstance(event, ev.GuardDecision))
    assert (decision.guard, decision.reason) == ("path", denied(said))


def test_the_operators_own_list_of_programs_holds(hook: Hook, root: Path) -> None:
    call = {"tool_name": "Bash", "tool_input": {"command": "mytool --now"}}
    assert denied(hook("PreToolUse", **call))
    (root / "longwatch.toml").write_text('[guards.shell]\nallow = ["mytool"]\n')
    assert hook("PreToolUse", **call) == {}
    (root / "longwatch.toml").write_text("[guards.shell\n")
    assert "longwatch.toml" in denied(hook("PreToolUse", **call))


# --- The contract ---------------------------------------------------------------------------------------


def test_a_claim_by_edit_needs_evidence_and_is_on_record_with_it(hook: Hook, root: Path) -> None:
    hook("SessionStart", source="startup")
    assert "needs evidence" in denied(hook("PreToolUse", **edit(root)))
    picture(hook, root)
    assert hook("PreToolUse", **edit(root)) == {}
    carry_out(root, edit(root))
    assert hook("PostToolUse", **edit(root), tool_response={}) == {}
    claimed = next(event for event in events(root) if isinstance(event, ev.FeatureChanged))
    assert (claimed.feature, claimed.to) == ("1", "claimed")
    assert [piece.path for piece in claimed.evidence] == ["screenshots/f1.png"]
    assert passing(root) == [True, False, False]
    assert not [event for event in events(root) if isinstance(event, ev.ContractTampered)]


def test_what_was_typed_is_no_evidence(hook: Hook, root: Path) -> None:
    hook("SessionStart", source="startup")
    given = {"file_path": str(root / "f1-result.txt"), "content": "PASS\n"}
    for event in ("PreToolUse", "PostToolUse"):
        if event == "PostToolUse":
            (root / "f1-result.txt").write_text("PASS\n")
        hook(event, tool_name="Write", tool_input=given, tool_use_id="toolu_w", tool_response={})
    bash(hook, root, "cp f1-result.txt f1-copy.txt")
    for name in ("f1-result.txt", "f1-copy.txt"):
        look = {
            "tool_name": "Read",
            "tool_input": {"file_path": str(root / name)},
            "tool_use_id": f"toolu_{name}",
        }
        hook("PreToolUse", **look)
        hook("PostToolUse", **look, tool_response=read_response(root, look["tool_input"]))
        assert "typed by you" in denied(hook("PreToolUse", **edit(root))), name


def test_evidence_of_another_session_counts_for_none(hook: Hook, root: Path) -> None:
    picture(hook, root)
    assert "needs evidence" in denied(hook("PreToolUse", session="another", **edit(root)))
    assert not denied(hook("PreToolUse", **edit(root)))


@pytest.mark.parametrize(
    "tamper",
    [
        "sed -i s/false/true/ feature_list.json",
        "rm feature_list.json",
        "echo '[' > feature_list.json",
        "ln -sf /dev/null feature_list.json",
        "echo {} > .longwatch/contract.json && sed -i s/false/true/ feature_list.json",
    ],
)
def test_the_contract_is_put_back_whatever_changed_it(hook: Hook, root: Path, tamper: str) -> None:
    hook("SessionStart", source="startup")
    before = (root / "feature_list.json").read_text()
    call = {"tool_name": "Bash", "tool_input": {"command": "make all"}, "tool_use_id": "toolu_make"}
    hook("PreToolUse", **call)
    subprocess.run(["sh", "-c", tamper], cwd=root, check=True)
    hook("PostToolUse", **call, tool_response={"stdout": ""})
    if "contract.json &&" in tamper:
        # Without its record nothing is known of the contract: then nothing may run.
        assert "contract of record" in denied(hook("PreToolUse", **edit(root)))
        return
    assert json.loads((root / "feature_list.json").read_text()) == json.loads(before)
    assert not (root / "feature_list.json").is_symlink()
    tampered = [event for event in events(root) if isinstance(event, ev.ContractTampered)]
    assert [event.tool_use_id for event in tampered] == ["toolu_make"]


def test_a_step_back_is_free_and_a_contract_found_passing_is_adopted(hook: Hook, root: Path) -> None:
    path = root / "feature_list.json"
    path.write_text(path.read_text().replace("false", "true", 1))
    hook("SessionStart", source="startup")
    back = edit(root, old_string=CLAIM["new_string"], new_string=CLAIM["old_string"])
    assert hook("PreToolUse", **back) == {}
    carry_out(root, back)
    hook("PostToolUse", **back, tool_response={})
    assert fold(RunDir.at(root)).features["1"].status == "regressed"


def test_a_claim_whose_second_hook_was_killed_counts(root: Path, env: dict[str, str]) -> None:
    hook = Hook(root, env)
    picture(hook, root)
    assert hook("PreToolUse", **edit(root)) == {}
    hook.close()
    carry_out(root, edit(root))
    assert (
        once(root, "PreToolUse", env, session_id="case-session", tool_name="Read", tool_input={}).returncode
        == 0
    )
    assert fold(RunDir.at(root)).features["1"].status == "claimed"
    assert passing(root) == [True, False, False]


# --- Steering and the brake -----------------------------------------------------------------------------


def test_the_operators_words_reach_the_main_agent_once(hook: Hook, root: Path) -> None:
    hook("SessionStart", source="startup")
    (root / "STEER.md").write_text("use warmer colours")
    call = {"tool_name": "Read", "tool_input": {"file_path": "src/a.js"}, "tool_use_id": "toolu_1"}
    assert told(hook("PreToolUse", **call, agent_id="sub-1")) == ""
    answers = [hook("PreToolUse", **call), hook("PostToolUse", **call, tool_response={}), hook("Stop")]
    assert ["use warmer colours" in told(answer) for answer in answers] == [True, False, False]
    assert not denied(answers[0])
    delivered = [event for event in events(root) if isinstance(event, ev.SteerDelivered)]
    assert [(event.id, event.tool_use_id) for event in delivered] == [("001", "toolu_1")]
    assert not (root / "STEER.md").exists()


def test_words_are_acknowledged_when_the_transcript_has_an_answer(
    hook: Hook, root: Path, tmp_path: Path
) -> None:
    transcript = tmp_path / "transcript.jsonl"
    call = {"tool_name": "Read", "tool_input": {"file_path": "src/a.js"}, "transcript_path": str(transcript)}
    hook("SessionStart", source="startup")
    control.steer(RunDir.at(root), "one thing")
    words = told(hook("PostToolUse", **call, tool_use_id="toolu_1", tool_response={}))
    transcript.write_text(json.dumps({"type": "attachment", "content": words}, separators=(",", ":")) + "\n")
    hook("PreToolUse", **call, tool_use_id="toolu_2")
    assert fold(RunDir.at(root)).steer_acknowledged == 0
    with transcript.open("a") as stream:
        stream.write('{"type":"assistant","message":"Noted."}\n')
    hook("PreToolUse", **call, tool_use_id="toolu_3")
    assert fold(RunDir.at(root)).steer_acknowledged == 1


def test_words_that_never_reached_the_conversation_are_said_again(
    hook: Hook, root: Path, tmp_path: Path
) -> None:
    transcript = tmp_path / "transcript.jsonl"
    call = {"tool_name": "Read", "tool_input": {"file_path": "src/a.js"}, "transcript_path": str(transcript)}
    hook("SessionStart", source="startup")
    control.steer(RunDir.at(root), "one thing")
    assert "one thing" in told(hook("PostToolUse", **call, tool_use_id="toolu_1", tool_response={}))
    transcript.write_text('{"type":"user","result":"toolu_1"}\n{"type":"assistant","message":"On."}\n')
    assert "one thing" in told(hook("PreToolUse", **call, tool_use_id="toolu_2"))


def test_words_for_the_next_session_open_it(hook: Hook, root: Path) -> None:
    hook("SessionStart", source="startup")
    control.steer(RunDir.at(root), "begin with the tests", "next")
    assert told(hook("PostToolUse", tool_name="Read", tool_input={}, tool_response={})) == ""
    hook("SessionEnd", reason="other")
    assert "begin with the tests" in told(hook("SessionStart", session="second", source="startup"))


def test_nothing_runs_while_the_brake_is_on(hook: Hook, root: Path) -> None:
    hook("SessionStart", source="startup")
    (root / "AGENT_STOP").touch()
    for tool, given in (("Read", {"file_path": "src/a.js"}), ("mcp__x__y", {}), ("Bash", {"command": "ls"})):
        answer = hook("PreToolUse", tool_name=tool, tool_input=given)
        assert "AGENT_STOP" in denied(answer) and answer["continue"] is False
    (root / "AGENT_STOP").unlink()
    assert hook("PreToolUse", tool_name="Bash", tool_input={"command": "ls"}) == {}
    kinds = [type(event) for event in events(root)]
    assert kinds.count(ev.StopRequested) == kinds.count(ev.StopCleared) == 1


# --- What goes wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{", "[]", '{"hook_event_name": 5}', "\x00"])
def test_what_is_no_payload_blocks_with_one_sentence(root: Path, text: str) -> None:
    done = subprocess.run([LONGWATCH, "hook", root], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("longwatch: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "payload",
    [
        {"tool_name": "Bash"},
        {"session_id": "s", "tool_name": 5, "tool_input": {}},
        {"session_id": "s", "tool_name": "Bash", "tool_input": "ls"},
        {"session_id": "s", "tool_name": "Bash", "tool_input": {"command": 5}},
    ],
)
def test_a_call_that_can_not_be_read_is_denied(root: Path, payload: dict[str, Any]) -> None:
    done = subprocess.run(
        [LONGWATCH, "hook", root, "--jsonl"],
        input=json.dumps({"hook_event_name": "PreToolUse", **payload}) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert denied(json.loads(done.stdout)) and done.stderr == ""


@pytest.mark.parametrize("text", ["{", '{"a": 1}'])
@pytest.mark.parametrize("name", ["common.json", "session-s.json"])
def test_a_damaged_state_denies_and_names_the_file(
    root: Path, env: dict[str, str], name: str, text: str
) -> None:
    once(root, "SessionStart", env, source="startup")
    (root / ".longwatch/hooks" / name).write_text(text)
    done = once(root, "PreToolUse", env, tool_name="Bash", tool_input={"command": "ls"})
    assert name in denied(json.loads(done.stdout)) and done.stderr == ""


@pytest.mark.slow
def test_a_lock_that_is_never_given_back_denies(
    root: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    once(root, "SessionStart", env, source="startup")
    holder = subprocess.Popen(["flock", root / ".longwatch/lock", "sleep", "60"], start_new_session=True)
    try:
        while once_locked(root):
            time.sleep(0.02)
        done = once(root, "PreToolUse", env, tool_name="Bash", tool_input={"command": "ls"})
        assert "was held" in denied(json.loads(done.stdout))
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()


def once_locked(root: Path) -> bool:
    """Whether the run's lock is free."""
    done = subprocess.run(["flock", "-n", root / ".longwatch/lock", "true"], check=False)
    return done.returncode == 0


def test_beside_an_engine_the_guards_hold_and_nothing_is_written(root: Path, env: dict[str, str]) -> None:
    with RunLock(RunDir.at(root)):
        ls = once(root, "PreToolUse", env, tool_name="Bash", tool_input={"command": "ls"})
        nc = once(root, "PreToolUse", env, tool_name="Bash", tool_input={"command": "nc -l 1"})
        claim = once(root, "PreToolUse", env, **edit(root))
        once(root, "PostToolUse", env, **edit(root), tool_response={})
    assert json.loads(ls.stdout) == {}
    assert denied(json.loads(nc.stdout)) and "engine" in denied(json.loads(claim.stdout))
    assert not (root / ".longwatch/journal.jsonl").exists()


def test_a_snapshot_that_a_hook_takes_is_what_the_journal_tells(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness_core.run.SNAPSHOT_EVERY", 1)
    run = RunDir.at(root)
    for session in ("first", "second"):
        answer(run, {"hook_event_name": "SessionStart", "session_id": session, "cwd": str(root)})
    run.stop_file.touch()
    call = {"tool_name": "Read", "tool_input": {"file_path": "src/a.js"}, "cwd": str(root)}
    answer(run, {"hook_event_name": "PreToolUse", "session_id": "first", **call})
    assert events(root)[-1].session == 1
    shot = fold(run)
    run.snapshot.unlink()
    assert shot == fold(run)


def test_calls_at_once_lose_nothing(root: Path, env: dict[str, str]) -> None:
    once(root, "SessionStart", env, source="startup")

    def call(number: int) -> None:
        given = {
            "tool_name": "Read",
            "tool_input": {"file_path": "src/a.js"},
            "tool_use_id": f"toolu_{number}",
        }
        session = f"s{number % 3}"
        assert once(root, "PreToolUse", env, **{**given, "session_id": session}).stdout == "{}\n"
        assert once(root, "PostToolUse", env, **given, session_id=session, tool_response={}).stdout == "{}\n"

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(call, range(12)))
    found = events(root)
    wanted = {f"toolu_{number}" for number in range(12)}
    assert {event.tool_use_id for event in found if isinstance(event, ev.ToolUse)} == wanted
    assert {event.tool_use_id for event in found if isinstance(event, ev.ToolResult)} == wanted
    started = [event for event in found if isinstance(event, ev.SessionStarted)]
    assert sorted(event.session or 0 for event in started) == [1, 2, 3, 4]


def test_secrets_stay_out_of_the_journal(root: Path, env: dict[str, str]) -> None:
    key = "sk-ant-" + "a1" * 20
    words = {"command": f"ls {key}", key: [key]}
    once(root, "PreToolUse", {**env, "MY_TOKEN": "swordfish-9"}, tool_name="Grep", tool_input=words)
    once(root, "PostToolUse", {**env, "MY_TOKEN": "swordfish-9"}, tool_name="Grep", tool_input={},
         tool_response={"stdout": "swordfish-9"})  # fmt: skip
    journal = (root / ".longwatch/journal.jsonl").read_text()
    assert key not in journal and "swordfish-9" not in journal and "[redacted]" in journal


def test_a_hook_loads_neither_the_sdk_nor_a_terminal_nor_msgspec(root: Path, env: dict[str, str]) -> None:
    once(root, "SessionStart", env, source="startup")
    payload = {
        "hook_event_name": "PreToolUse",
        "session_id": "s",
        "tool_name": "Bash",
        "tool_input": {"command": "ls"},
    }
    program = (
        "import sys; from harness_core.hooks.main import main; main(sys.argv[1:]); "
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, root],
        input=json.dumps(payload),
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {
        "claude_agent_sdk",
        "textual",
        "rich",
        "asyncio",
        "msgspec",
        "git",
        "click",
        "psutil",
        "detect_secrets",
    }
    assert set(done.stderr.split()).isdisjoint(heavy)
    assert msgspec.json.decode(done.stdout) == {}
