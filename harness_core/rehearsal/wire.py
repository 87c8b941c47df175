"""A reply as bytes of the Messages API: server-sent events with their pace, or one JSON body."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import msgspec

from harness_core.rehearsal.conversation import call_id
from harness_core.rehearsal.scenario import PlacedCall, Reply
from harness_core.rehearsal.words import Say, Think

_CHARS_PER_TOKEN = 3.6
_IMAGE_TOKENS = 1200


class Pace(Enum):
    FAST = "fast"
    """No waiting, one delta a block."""
    HUMAN = "human"
    """Deltas over time, as from a real model; no reply takes much longer than two seconds."""


@dataclass(frozen=True)
class Tempo:
    """Seconds before the first byte, characters a second, and the longest a block may take."""

    first_byte: float
    think_rate: float
    say_rate: float
    write_rate: float
    longest: float
    delta: int


_TEMPO = {
    Pace.FAST: None,
    Pace.HUMAN: Tempo(first_byte=0.15, think_rate=240, say_rate=230, write_rate=1200, longest=1.9, delta=24),
}


@dataclass(frozen=True)
class Usage:
    """Tokens of one reply, as the API counts them."""

    fresh: int
    cache_write: int
    cache_read: int
    output: int

    def as_json(self, output: int) -> dict[str, object]:
        return {
            "input_tokens": self.fresh,
            "cache_creation_input_tokens": self.cache_write,
            "cache_read_input_tokens": self.cache_read,
            "output_tokens": output,
            "service_tier": "standard",
        }


def input_tokens(request: Mapping[str, object]) -> int:
    """About what the API would count for this request."""
    return sum(_tokens(request.get(part)) for part in ("system", "tools", "messages"))


def usage_of(request: Mapping[str, object], reply: Reply) -> Usage:
    """Plausible numbers: all before the agent's last message was cached, what came since is new."""
    messages = request.get("messages")
    entries = messages if isinstance(messages, list) else []
    new = 0
    for entry in reversed(entries):
        if isinstance(entry, Mapping) and entry.get("role") == "assistant":
            break
        new += _tokens(entry)
    new = min(new, total := input_tokens(request))
    output = sum(_tokens(_content(block, "x" * 20)) for block in reply.blocks)
    return Usage(fresh=4, cache_write=new, cache_read=total - new, output=max(output, 1))


def as_body(reply: Reply, model: str, usage: Usage) -> dict[str, object]:
    """The whole reply as one message, for `stream: false`."""
    content = [_content(block, secrets.token_hex(10)) for block in reply.blocks]
    return {
        **_message(model, usage.as_json(usage.output)),
        "content": content,
        "stop_reason": _stop_reason(reply),
    }


def as_events(reply: Reply, model: str, usage: Usage, pace: Pace) -> Iterator[tuple[float, bytes]]:
    """Server-sent events, each with the seconds to wait before it is sent."""
    tempo = _TEMPO[pace]
    message = _message(model, usage.as_json(1))
    yield tempo.first_byte if tempo else 0.0, _event("message_start", {"message": message})
    for index, block in enumerate(reply.blocks):
        content = _content(block, secrets.token_hex(10))
        text = _typed(block)
        start = {**content, **_EMPTY[str(content["type"])]}
        yield 0.0, _event("content_block_start", {"index": index, "content_block": start})
        size, wait = _rhythm(block, len(text), tempo)
        for at in range(0, len(text), size):
            delta = _delta(block, text[at : at + size])
            yield wait, _event("content_block_delta", {"index": index, "delta": delta})
        if isinstance(block, Think):
            signature = {"type": "signature_delta", "signature": content["signature"]}
            yield 0.0, _event("content_block_delta", {"index": index, "delta": signature})
        yield 0.0, _event("content_block_stop", {"index": index})
    ending = {"delta": {"stop_reason": _stop_reason(reply), "stop_sequence": None}}
    yield 0.0, _event("message_delta", {**ending, "usage": usage.as_json(usage.output)})
    yield 0.0, _event("message_stop", {})


_EMPTY: dict[str, dict[str, object]] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}


def _tokens(value: object) -> int:
    if isinstance(value, Mapping):
        if value.get("type") == "image":
            return _IMAGE_TOKENS
        return sum(_tokens(part) for part in value.values()) + 2 * len(value)
    if isinstance(value, list):
        return sum(_tokens(part) for part in value)
    return int(len(str(value)) / _CHARS_PER_TOKEN) + 1 if value else 0


def _content(block: Say | Think | PlacedCall, nonce: str) -> dict[str, object]:
    if isinstance(block, Say):
        return {"type": "text", "text": block.text}
    if isinstance(block, Think):
        return {"type": "thinking", "thinking": block.text, "signature": f"rehearsal{nonce}"}
    identity = call_id(block.step, block.place, nonce)
    return {"type": "tool_use", "id": identity, "name": block.call.tool, "input": dict(block.call.input)}


def _typed(block: Say | Think | PlacedCall) -> str:
    return msgspec.json.encode(block.call.input).decode() if isinstance(block, PlacedCall) else block.text


def _delta(block: Say | Think | PlacedCall, piece: str) -> dict[str, object]:
    if isinstance(block, Say):
        return {"type": "text_delta", "text": piece}
    if isinstance(block, Think):
        return {"type": "thinking_delta", "thinking": piece}
    return {"type": "input_json_delta", "partial_json": piece}


def _rhythm(block: Say | Think | PlacedCall, length: int, tempo: Tempo | None) -> tuple[int, float]:
    """Characters in a delta, and the seconds before each."""
    if tempo is None or length == 0:
        return max(length, 1), 0.0
    if isinstance(block, Think):
        rate = tempo.think_rate
    elif isinstance(block, Say):
        rate = tempo.say_rate
    else:
        rate = tempo.write_rate
    seconds = min(length / rate, tempo.longest)
    size = max(tempo.delta, length // 80)
    return size, seconds / -(-length // size)


def _message(model: str, usage: dict[str, object]) -> dict[str, object]:
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _stop_reason(reply: Reply) -> str:
    return "end_turn" if reply.ends_turn else "tool_use"


def _event(kind: str, fields: Mapping[str, object]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))
