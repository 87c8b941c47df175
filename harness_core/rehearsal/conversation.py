"""Reads a Messages API request: who is asked, what was done, what was said since.

Nothing is remembered between requests. Each call of a script carries its place in the script in its
`tool_use` id, and a compaction summary carries the outcomes that the conversation loses, so the
conversation alone says where the agent is.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from harness_core.rehearsal.words import Brief, Outcome

ACKNOWLEDGED = "Noted, operator"
"""How a scripted agent's answer to the operator begins."""

SUBAGENT = "subagent"
"""The role of a conversation without a role line."""

_ROLE = re.compile(r"^# Role: *(\w+)", re.MULTILINE)
_CALL_ID = re.compile(r"^toolu_r(\d{5})(\d{2})")
_ROOT = re.compile(r"working directory: *(/.*)", re.IGNORECASE)
_REMINDER = re.compile(r"\s*<system-reminder>\n?(.*?)\n?</system-reminder>", re.DOTALL)
_MEMORY = re.compile(r"```rehearsal-memory\s+([A-Za-z0-9+/=\s]+?)```")
_STEERING = re.compile(r"\boperator\b|sent a new message while you were working", re.IGNORECASE)
_STEERING_AT_START = re.compile(
    r"\b(?:message|steering|notes?|words?)\b[^.\n]{0,20}\bfrom the operator", re.IGNORECASE
)
_QUOTED = re.compile(
    r"(?:operator|working)[^:\n]*[:\n]\s*(.+?)(?=\n\[end of message|\Z)", re.IGNORECASE | re.DOTALL
)
_INTERRUPTED = (
    "[Tool call interrupted",
    "[Request interrupted by user",
    "The user doesn't want to proceed with this tool use",
    "The user doesn't want to take this action right now",
)
_STOPPED = ("AGENT_STOP", "stopped by the operator", "operator has stopped", "run is stopped")


class _Memory(msgspec.Struct, frozen=True):
    """What a compaction summary keeps: the task, and each finished step's outcome, in order."""

    role: str
    prompt: str
    root: str
    outcomes: list[list[tuple[bool, str]]]


@dataclass(frozen=True)
class Turn:
    """A message of the agent without a tool call, and what the user said after it (None: nothing yet)."""

    text: str
    answer: str | None


@dataclass(frozen=True)
class Conversation:
    brief: Brief
    results: Mapping[tuple[int, int], Outcome]
    """Outcome by (step, call). Interrupted calls aren't in it: they are made again."""
    turns: tuple[Turn, ...]
    remembered: tuple[Outcome, ...]
    """Outcomes of the first steps, where the conversation was compacted."""
    steering: str | None
    """What the operator said and the agent hasn't answered yet."""
    stopped: bool
    """The last thing that happened is a call refused because the operator stopped the run."""
    wants_summary: bool
    thinking: bool
    last_user_text: str


@dataclass(frozen=True)
class _Message:
    role: str
    blocks: tuple[Mapping[str, object], ...]

    @property
    def text(self) -> str:
        """What was said, without the reminders that the CLI puts around it."""
        return _plain("\n".join(self.texts))

    @property
    def texts(self) -> list[str]:
        return [str(block.get("text", "")) for block in self.of_type("text")]

    @property
    def hook_notes(self) -> list[str]:
        """What hooks added: the CLI appends it to a tool's result or to the text, as a reminder."""
        results = [_text_of(block.get("content")) for block in self.of_type("tool_result")]
        notes = [note for text in (*results, *self.texts) for note in _REMINDER.findall(text)]
        return [note for note in notes if "hook additional context" in note]

    def of_type(self, kind: str) -> list[Mapping[str, object]]:
        return [block for block in self.blocks if block.get("type") == kind]


def call_id(step: int, call: int, nonce: str) -> str:
    """A `tool_use` id that says which call of which step it is."""
    return f"toolu_r{step:05d}{call:02d}{nonce}"


def understand(request: Mapping[str, object]) -> Conversation:
    """What the body of a `/v1/messages` request means to a scripted agent."""
    messages = _messages(request.get("messages"))
    system = _text_of(request.get("system"))
    users = [message for message in messages if message.role != "assistant"]
    prompt = users[0].text if users else ""
    memory = _memory(users)
    root = _root(f"{system}\n{_text_of(list(users[0].blocks)) if users else ''}", messages)
    if memory:
        prompt, root = memory.prompt, root or memory.root
    role = _ROLE.search(system) or _ROLE.search(prompt)
    return Conversation(
        brief=Brief(
            role=role[1].lower() if role else memory.role if memory else SUBAGENT,
            system=system,
            prompt=prompt,
            tools=_tools(request.get("tools")),
            root=root,
        ),
        results=dict(_results(messages)),
        turns=_turns(messages),
        remembered=tuple(_outcome(parts) for parts in memory.outcomes) if memory else (),
        steering=_steering(messages),
        stopped=_stopped(messages),
        wants_summary="CRITICAL: Respond with TEXT ONLY" in (users[-1].text if users else ""),
        thinking=_thinking(request.get("thinking")),
        last_user_text=users[-1].text if users else "",
    )


def remember(brief: Brief, outcomes: Sequence[Outcome]) -> str:
    """The block of a compaction summary from which `understand` finds the position again."""
    memory = _Memory(
        brief.role,
        brief.prompt,
        brief.root,
        [[(part.ok, part.text) for part in outcome.parts or (outcome,)] for outcome in outcomes],
    )
    packed = base64.b64encode(zlib.compress(msgspec.json.encode(memory), 9)).decode()
    return f"```rehearsal-memory\n{packed}\n```"


def gather(parts: Sequence[Outcome]) -> Outcome:
    """The outcome of a step from those of its calls."""
    if len(parts) == 1:
        return parts[0]
    text = "\n".join(part.text for part in parts)
    pictures = tuple(picture for part in parts for picture in part.pictures)
    return Outcome(text, all(part.ok for part in parts), tuple(parts), pictures)


def _outcome(parts: Sequence[tuple[bool, str]]) -> Outcome:
    return gather([Outcome(text, ok) for ok, text in parts])


def _messages(raw: object) -> list[_Message]:
    """The messages, with neighbours of one role joined."""
    joined: list[_Message] = []
    for entry in _mappings(raw):
        role = str(entry.get("role", "user"))
        message = _Message(role, tuple(_blocks(entry.get("content"))))
        if joined and joined[-1].role == role:
            joined[-1] = _Message(role, joined[-1].blocks + message.blocks)
        else:
            joined.append(message)
    return joined


def _mappings(raw: object) -> Iterator[Mapping[str, object]]:
    for entry in raw if isinstance(raw, list) else ():
        if isinstance(entry, Mapping):
            yield entry


def _blocks(content: object) -> Iterator[Mapping[str, object]]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    else:
        yield from _mappings(content)


def _text_of(content: object) -> str:
    return "\n".join(str(block["text"]) for block in _blocks(content) if "text" in block)


def _plain(text: str) -> str:
    return _REMINDER.sub("", text).strip()


def _tools(raw: object) -> dict[str, Mapping[str, object]]:
    tools: dict[str, Mapping[str, object]] = {}
    for tool in _mappings(raw):
        schema = tool.get("input_schema")
        tools[str(tool.get("name"))] = schema if isinstance(schema, Mapping) else {}
    return tools


def _thinking(raw: object) -> bool:
    return isinstance(raw, Mapping) and raw.get("type") in ("enabled", "adaptive")


def _memory(users: Sequence[_Message]) -> _Memory | None:
    for message in reversed(users):
        found = _MEMORY.findall(message.text)
        if found:
            return msgspec.json.decode(zlib.decompress(base64.b64decode(found[-1])), type=_Memory)
    return None


def _root(told: str, messages: Sequence[_Message]) -> str:
    stated = _ROOT.search(told)
    if stated:
        return stated[1].strip()
    asked = {
        str(block.get("id"))
        for message in messages
        for block in message.of_type("tool_use")
        if isinstance(given := block.get("input"), Mapping) and given.get("command") == "pwd"
    }
    answers = (
        _plain(_text_of(block.get("content")))
        for message in messages
        for block in message.of_type("tool_result")
        if block.get("tool_use_id") in asked and not block.get("is_error")
    )
    return next((answer for answer in answers if answer.startswith("/")), "")


def _results(messages: Sequence[_Message]) -> Iterator[tuple[tuple[int, int], Outcome]]:
    for message in messages:
        for block in message.of_type("tool_result"):
            place = _CALL_ID.match(str(block.get("tool_use_id")))
            text = _plain(_text_of(block.get("content")))
            failed = bool(block.get("is_error"))
            if place and not _undone(text, failed):
                shown = tuple(_pictures(block.get("content")))
                yield (int(place[1]), int(place[2])), Outcome(text, not failed, pictures=shown)


def _pictures(content: object) -> Iterator[bytes]:
    for block in _blocks(content):
        source = block.get("source")
        if block.get("type") == "image" and isinstance(source, Mapping):
            yield base64.b64decode(str(source.get("data", "")))


def _undone(text: str, failed: bool) -> bool:
    """Whether a tool result says that the call was cut off or held back, rather than done or refused."""
    return text.lstrip().startswith(_INTERRUPTED) or (
        failed and any(mark in text for mark in (*_INTERRUPTED, *_STOPPED))
    )


def _turns(messages: Sequence[_Message]) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    answers: list[str] | None = None
    text = ""
    for message in messages:
        if message.role != "assistant":
            if answers is not None:
                answers.append(message.text)
            continue
        if answers is not None:
            turns.append(Turn(text, "\n".join(answers) if answers else None))
        text, answers = message.text, None if message.of_type("tool_use") else []
    if answers is not None:
        turns.append(Turn(text, "\n".join(answers) if answers else None))
    return tuple(turns)


def _steering(messages: Sequence[_Message]) -> str | None:
    waiting: str | None = None
    for place, message in enumerate(messages):
        if message.role == "assistant":
            if ACKNOWLEDGED in message.text:
                waiting = None
            continue
        mark = _STEERING if any(one.role == "assistant" for one in messages[:place]) else _STEERING_AT_START
        for text in (*map(_plain, message.texts), *message.hook_notes):
            if mark.search(text) and not _MEMORY.search(text):
                waiting = _words(text)
    return waiting


def _words(text: str) -> str:
    """The operator's own words, as far as they can be told from what surrounds them; one line."""
    quoted = _QUOTED.search(text)
    plain = re.sub(r"<[^>]*>|\s+", " ", quoted[1] if quoted else text)
    return " ".join(plain.split())[:120]


def _stopped(messages: Sequence[_Message]) -> bool:
    if not messages or messages[-1].role == "assistant":
        return False
    failures = [block for block in messages[-1].of_type("tool_result") if block.get("is_error")]
    texts = [_text_of(block.get("content")) for block in failures]
    return any(mark in text for text in texts for mark in _STOPPED) and not messages[-1].text.strip()
