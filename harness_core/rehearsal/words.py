"""The vocabulary of a scenario: what a scripted agent can say and do.

A script is a Python generator. Each `yield` is one message of the agent, and gives back what came of it:

    def generator(brief):
        yield "I'll look around first.", bash("pwd"), bash("git log --oneline -5")
        contract = yield bash("cat feature_list.json")
        shown = yield read("screenshots/F001.png")
        if not shown.ok:
            yield "That picture isn't there yet."

A message is a text, a block, or a tuple of them; several calls in one message run in parallel. A message
without a call ends the agent's turn, and gives back what the user said next.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

CLAIM = "mcp__longwatch__claim_feature"
REGRESSION = "mcp__longwatch__report_regression"
APP = "mcp__longwatch__app"
VERDICT = "StructuredOutput"


@dataclass(frozen=True)
class Say:
    """Text that the agent says."""

    text: str


@dataclass(frozen=True)
class Think:
    """What the agent thinks before it speaks; left out where the request doesn't ask for thinking."""

    text: str


@dataclass(frozen=True)
class Call:
    """One tool call. Relative paths in `file_path` and `path` are made absolute by the player."""

    tool: str
    input: Mapping[str, object]


Block = Say | Think | Call
Step = str | Block | tuple[str | Block, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of a step: the tool's output, or the user's next words."""

    text: str = ""
    ok: bool = True
    parts: tuple[Outcome, ...] = ()
    """One for each call, in the order of the script, where a step made several."""
    pictures: tuple[bytes, ...] = ()
    """The files of the pictures that it shows."""


@dataclass(frozen=True)
class Brief:
    """What a scripted agent has been told, as a real one would have been."""

    role: str
    system: str = ""
    prompt: str = ""
    """The session's first user message."""
    tools: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """Input schema by tool name."""
    root: str = ""
    """The working directory, or "" while the conversation doesn't show it."""

    @property
    def told(self) -> str:
        return f"{self.system}\n{self.prompt}"

    def offers(self, tool: str) -> bool:
        return tool in self.tools


Script = Callable[[Brief], Generator[Step, Outcome, None]]
Part = Generator[Step, Outcome, Outcome]
"""A piece of a script, played with `yield from`, that gives back its last outcome."""


def blocks_of(step: Step) -> tuple[Block, ...]:
    parts = step if isinstance(step, tuple) else (step,)
    return tuple(Say(part) if isinstance(part, str) else part for part in parts)


def calls_of(step: Step) -> tuple[Call, ...]:
    return tuple(block for block in blocks_of(step) if isinstance(block, Call))


def say(text: str) -> Say:
    return Say(text)


def think(text: str) -> Think:
    return Think(text)


def bash(command: str, why: str = "", timeout_ms: int | None = None) -> Call:
    return Call(
        "Bash",
        {"command": command}
        | ({"description": why} if why else {})
        | ({"timeout": timeout_ms} if timeout_ms else {}),
    )


def read(path: str) -> Call:
    return Call("Read", {"file_path": path})


def write(path: str, text: str) -> Call:
    return Call("Write", {"file_path": path, "content": text})


def edit(path: str, old: str, new: str) -> Call:
    return Call("Edit", {"file_path": path, "old_string": old, "new_string": new})


def grep(pattern: str, path: str = ".") -> Call:
    return Call("Grep", {"pattern": pattern, "path": path, "output_mode": "content"})


def glob(pattern: str) -> Call:
    return Call("Glob", {"pattern": pattern})


def app(action: str) -> Call:
    return Call(APP, {"action": action})


def claim(feature: str, evidence: list[str], note: str) -> Call:
    return Call(CLAIM, {"feature": feature, "evidence": evidence, "note": note})


def regression(feature: str, note: str) -> Call:
    return Call(REGRESSION, {"feature": feature, "note": note})


def ask(prompt: str, description: str) -> Call:
    """Hand something to a subagent and wait for its report."""
    return Call(
        "Agent",
        {
            "description": description,
            "prompt": prompt,
            "subagent_type": "general-purpose",
            "run_in_background": False,
        },
    )


def put(path: str, text: str, words: str = "") -> Part:
    """Write a file, new or not: Claude Code refuses to overwrite what hasn't been read."""
    call = write(path, text)
    done = yield (words, call) if words else call
    if not done.ok and "read" in done.text.lower():
        yield read(path)
        done = yield call
    return done


def put_all(files: Mapping[str, str], words: str = "") -> Part:
    """Write several files in one message, and again those that have to be read first."""
    calls = tuple(write(path, text) for path, text in files.items())
    done = yield (words, *calls) if words else calls
    for call, part in zip(calls, done.parts, strict=False):
        if not part.ok and "read" in part.text.lower():
            yield read(str(call.input["file_path"]))
            yield call
    return done


def change(path: str, old: str, new: str, words: str = "") -> Part:
    """Read a file, then edit it."""
    yield (words, read(path)) if words else read(path)
    return (yield edit(path, old, new))
