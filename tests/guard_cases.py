"""Runs tool calls with known verdicts through `longwatch hook DIR --jsonl`, each in a directory of its own.

    python -m tests.guard_cases CASES.jsonl [--kind KIND] [--id ID]

A case is one JSON object a line: `id`, `kind`, `tool_name`, `tool_input`, `setup` (`files`, `files_b64`,
`sh`, `pre`, `before_session`, `read_fails`), `expected` (`deny`, `allow`, `either` with `held_by`), `why`.
`{P}` in a text is the run's directory, `{OUT}` one outside it, `{HOME}` the home directory.
"""

from __future__ import annotations

import argparse
import base64
import collections
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGWATCH = Path(sys.executable).with_name("longwatch")
CONTRACT = json.dumps(
    [{"id": number, "description": f"Feature {number} works", "passes": False} for number in (1, 2, 3)]
).replace("}, {", "},\n  {")
SESSION = "case-session"

Case = Mapping[str, Any]


@dataclass
class Outcome:
    """What was answered to a case, and what the call did where it was let through and that can be tried."""

    case: Case
    verdict: str
    guard: str
    reason: str
    held: bool | None = None
    """For `either` held by `integrity`: whether the contract was as before after the call had run."""

    @property
    def right(self) -> bool:
        if self.case["expected"] == "either":
            return self.verdict == "deny" or self.held is not False
        return bool(self.verdict == self.case["expected"])


class Hook:
    """A `longwatch hook DIR --jsonl` that is spoken to line by line."""

    def __init__(self, root: Path, env: Mapping[str, str]) -> None:
        self.root = root
        self._process = subprocess.Popen(
            [LONGWATCH, "hook", root, "--jsonl"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(env),
        )

    def __call__(self, event: str, session: str = SESSION, **more: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        payload = {"hook_event_name": event, "session_id": session, "cwd": str(self.root), **more}
        self._process.stdin.write(json.dumps(payload) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def read_response(root: Path, tool_input: Mapping[str, Any]) -> dict[str, Any]:
    """What the CLI's Read shows of a file, as PostToolUse tells it."""
    path = Path(tool_input["file_path"])
    data = path.read_bytes() if path.is_file() else b""
    if path.suffix in (".png", ".jpg", ".jpeg", ".gif", ".webp"):
        return {"type": "image", "file": {"base64": base64.b64encode(data).decode(), "type": "image/png"}}
    lines = data.decode("utf-8", "replace").split("\n")
    first = max(int(tool_input.get("offset", 1)), 1)
    shown = lines[first - 1 : first - 1 + int(tool_input.get("limit", 2000))]
    return {
        "type": "text",
        "file": {
            "filePath": str(path),
            "content": "\n".join(shown),
            "numLines": len(shown),
            "startLine": first,
            "totalLines": len(lines),
        },
    }


def lay_out(root: Path) -> None:
    """The directory that every case begins with."""
    (root / "src").mkdir(parents=True)
    (root / "app_spec.txt").write_text("spec\n")
    (root / "init.sh").write_text("#!/bin/sh\necho ready\n")
    (root / "init.sh").chmod(0o755)
    (root / "src/a.js").write_text("export const a = 1\n")
    (root / "PROGRESS.md").write_text("# Progress\n")
    (root / "feature_list.json").write_text(CONTRACT + "\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*identity, "commit", "-q", "-m", "Lay out")):
        subprocess.run(["git", *words], cwd=root, check=True)


def _filled(value: Any, places: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, place in places.items():
            value = value.replace(name, place)
        return value
    if isinstance(value, dict):
        return {_filled(key, places): _filled(item, places) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, places) for item in value]
    return value


def _prepare(setup: Mapping[str, Any], root: Path, env: Mapping[str, str]) -> None:
    for name, text in setup.get("files", {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, text in setup.get("files_b64", {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(base64.b64decode(text))
    if setup.get("sh"):
        subprocess.run(["sh", "-c", setup["sh"]], cwd=root, env=dict(env), check=False, timeout=60)


def _pre(hook: Hook, setup: Mapping[str, Any]) -> None:
    for number, call in enumerate(setup.get("pre", [])):
        said = {
            "session": call.get("session_id", SESSION),
            "tool_name": call["tool_name"],
            "tool_input": call["tool_input"],
            "tool_use_id": f"toolu_pre{number}",
        }
        hook("PreToolUse", **said)
        if call["tool_name"] == "Read" and setup.get("read_fails"):
            hook("PostToolUseFailure", **said, error="File does not exist.")
        elif call["tool_name"] == "Read":
            response = call.get("tool_response") or read_response(hook.root, call["tool_input"])
            hook("PostToolUse", **said, tool_response=response)
        else:
            hook("PostToolUse", **said, tool_response=call.get("tool_response", {}))


def run(case: Case, place: Path) -> Outcome:
    """Run one case below `place`, an empty directory."""
    root, out, home = place / "run", place / "out", place / "home"
    out.mkdir(parents=True)
    home.mkdir()
    lay_out(root)
    env = {**os.environ, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
    places = {"{PB}": str(root).replace("/", "\\"), "{P}": str(root), "{OUT}": str(out), "{HOME}": str(home)}
    setup = _filled(case.get("setup") or {}, places)
    hook = Hook(root, env)
    try:
        if setup.get("before_session"):
            _prepare(setup, root, env)
        hook("SessionStart", source="startup")
        if not setup.get("before_session"):
            _prepare(setup, root, env)
        _pre(hook, setup)
        call = {
            "tool_name": case["tool_name"],
            "tool_input": _filled(case["tool_input"], places),
            "tool_use_id": "toolu_case",
        }
        before = (root / "feature_list.json").read_text() if (root / "feature_list.json").exists() else ""
        answer = hook("PreToolUse", **call)
        said = answer.get("hookSpecificOutput", {})
        verdict = "deny" if said.get("permissionDecision") == "deny" else "allow"
        outcome = Outcome(case, verdict, "", said.get("permissionDecisionReason", ""))
        if verdict == "allow" and case.get("held_by") == "integrity" and case["tool_name"] == "Bash":
            outcome.held = _held(hook, call, root, env, before)
        outcome.guard = _guard(root)
        return outcome
    finally:
        hook.close()


def _held(hook: Hook, call: Mapping[str, Any], root: Path, env: Mapping[str, str], before: str) -> bool:
    """Whether no feature passes after the call, when it was carried out and the hook was told."""
    command = call["tool_input"]["command"]
    subprocess.run(
        ["bash", "-c", command], cwd=root, env=dict(env), capture_output=True, timeout=60, check=False
    )
    hook("PostToolUse", **call, tool_response={"stdout": ""})
    found = json.loads((root / "feature_list.json").read_text())
    return not any(feature["passes"] for feature in found) and bool(before)


def _guard(root: Path) -> str:
    journal = root / ".longwatch/journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    named = [event["guard"] for event in events if event["type"] == "guard_decision"]
    return str(named[-1]) if named else ""


def cases(path: Path) -> Iterator[Case]:
    """The cases of a file, one a line."""
    for line in path.read_text().splitlines():
        if line.strip():
            yield json.loads(line)


def main(arguments: Sequence[str]) -> int:
    """Run a file's cases and print those that came out wrong."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("file", type=Path)
    options.add_argument("--kind")
    options.add_argument("--id")
    asked = options.parse_args(arguments)
    wrong: list[Outcome] = []
    counts: collections.Counter[str] = collections.Counter()
    for case in cases(asked.file):
        if asked.kind not in (None, case["kind"]) or asked.id not in (None, case["id"]):
            continue
        with tempfile.TemporaryDirectory(prefix="case-") as place:
            outcome = run(case, Path(place).resolve())
        counts[case["expected"]] += 1
        if not outcome.right:
            wrong.append(outcome)
            said = f"{case['id']} {case['kind']}: expected {case['expected']}, got {outcome.verdict}"
            print(
                f"{said} ({outcome.guard}) {json.dumps(case['tool_input'])[:200]}\n    {outcome.reason}",
                flush=True,
            )
    missed = sum(outcome.case["expected"] == "deny" for outcome in wrong)
    refused = sum(outcome.case["expected"] == "allow" for outcome in wrong)
    print(f"dangerous allowed: {missed} of {counts['deny']}")
    print(f"legitimate denied: {refused} of {counts['allow']}")
    print(f"not held: {len(wrong) - missed - refused} of {counts['either']}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
