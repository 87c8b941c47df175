"""The loopback server: the Messages API's surface over a scenario's player."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from harness_core.rehearsal.conversation import Conversation, understand
from harness_core.rehearsal.faults import WireFault, WireFaultKind
from harness_core.rehearsal.scenario import PlacedCall, Reply, Scenario, reply_to
from harness_core.rehearsal.wire import Pace, as_body, as_events, input_tokens, usage_of
from harness_core.rehearsal.words import Think

_FOREVER = 24 * 3600.0


class _Broken(Exception):
    """Raised inside a stream to break its connection off."""


@dataclass
class _Stage:
    """One server's scenario and its diary; the count of requests serves the wire's faults alone."""

    scenario: Scenario
    pace: Pace
    log: Path | None
    record: Path | None
    requests: int = 0
    by_role: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.time)

    def fault(self, role: str) -> WireFault | None:
        self.requests += 1
        self.by_role[role] += 1
        counts = {"": self.requests, role: self.by_role[role]}
        return next((item for item in self.scenario.faults if item.hits(counts.get(item.role, 0))), None)

    def note(
        self, request: Request, body: Mapping[str, object], talk: Conversation, reply: Reply, fault: str
    ) -> None:
        """Appends the request to the diary, and its whole body where that is asked for."""
        if self.record is not None:
            name = f"{self.requests:05d}-{talk.brief.role}.json"
            (self.record / name).write_bytes(msgspec.json.format(msgspec.json.encode(body)))
        if self.log is None:
            return
        messages = body.get("messages")
        entry = {
            "n": self.requests,
            "at": round(time.time() - self.started, 3),
            "session": request.headers.get("x-claude-code-session-id", ""),
            "agent": request.headers.get("x-claude-code-agent-id", ""),
            "role": talk.brief.role,
            "model": body.get("model"),
            "tools": sorted(talk.brief.tools),
            "n_messages": len(messages) if isinstance(messages, list) else 0,
            "last_user_text": talk.last_user_text[-400:],
            "fault": fault,
            "reply": [
                {"tool": block.call.tool, "step": block.step}
                if isinstance(block, PlacedCall)
                else {"think" if isinstance(block, Think) else "say": block.text[:200]}
                for block in reply.blocks
            ],
        }
        with self.log.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")


def make_app(
    scenario: Scenario, pace: Pace, log: Path | None = None, record: Path | None = None
) -> Starlette:
    """The server as an ASGI application. `log` gets a JSON line for each request, the directory
    `record` the bodies."""
    stage = _Stage(scenario, pace, log, record)

    async def messages(request: Request) -> Response:
        body: dict[str, object] = msgspec.json.decode(await request.body(), type=dict)
        talk = understand(body)
        reply = reply_to(stage.scenario, talk)
        fault = stage.fault(talk.brief.role)
        stage.note(request, body, talk, reply, fault.kind.value if fault else "")
        if fault:
            refusal = await _refusal(fault.kind)
            if refusal:
                return refusal
        await asyncio.sleep(stage.scenario.think_ms / 1000)
        usage, model = usage_of(body, reply), str(body.get("model"))
        if not body.get("stream"):
            return JSONResponse(as_body(reply, model, usage))
        events = as_events(reply, model, usage, stage.pace)
        return StreamingResponse(
            _paced(events, fault.kind if fault else None), media_type="text/event-stream"
        )

    async def count_tokens(request: Request) -> Response:
        return JSONResponse({"input_tokens": input_tokens(msgspec.json.decode(await request.body()))})

    async def hello(request: Request) -> Response:
        return Response()

    return Starlette(
        routes=[
            Route("/v1/messages", messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
            Route("/api/hello", hello, methods=["GET", "HEAD"]),
        ]
    )


async def _paced(events: Iterator[tuple[float, bytes]], fault: WireFaultKind | None) -> AsyncIterator[bytes]:
    if fault in (WireFaultKind.CUT, WireFaultKind.STALL):
        whole = [event for _, event in events]
        for event in whole[: len(whole) // 2]:
            yield event
        if fault is WireFaultKind.STALL:
            await asyncio.sleep(_FOREVER)
        raise _Broken
    for wait, event in events:
        if wait:
            await asyncio.sleep(wait)
        yield event


async def _refusal(kind: WireFaultKind) -> Response | None:
    """The error response of a fault, or None where the fault lies in the stream."""
    match kind:
        case WireFaultKind.RATE_LIMITED:
            return _error(429, "rate_limit_error", "Too many requests.", {"retry-after": "1"})
        case WireFaultKind.USAGE_LIMIT | WireFaultKind.SHORT_USAGE_LIMIT:
            wait = 3600 if kind is WireFaultKind.USAGE_LIMIT else 3
            reset = int(time.time()) + wait
            headers = {
                "retry-after": str(wait),
                **({"x-should-retry": "false"} if kind is WireFaultKind.SHORT_USAGE_LIMIT else {}),
                "anthropic-ratelimit-unified-status": "rejected",
                "anthropic-ratelimit-unified-reset": str(reset),
                "anthropic-ratelimit-unified-representative-claim": "five_hour",
            }
            return _error(429, "rate_limit_error", "This request would exceed your limit.", headers)
        case WireFaultKind.SERVER_ERROR:
            return _error(500, "api_error", "Internal server error", {})
        case WireFaultKind.OVERLOADED:
            return _error(529, "overloaded_error", "Overloaded", {})
        case WireFaultKind.UNAUTHORIZED:
            return _error(401, "authentication_error", "invalid x-api-key", {})
        case WireFaultKind.NO_MODEL:
            return _error(404, "not_found_error", "model: not known here", {})
        case WireFaultKind.TOO_LONG:
            too_long = "prompt is too long: 204857 tokens > 200000 maximum"
            return _error(400, "invalid_request_error", too_long, {})
        case WireFaultKind.TOO_LARGE:
            return _error(413, "request_too_large", "Request exceeds the maximum size", {})
        case WireFaultKind.TOO_MANY_PICTURES:
            too_many = (
                "messages.9.content.1.image.source.base64.data: At least one of the image dimensions exceed "
                "max allowed size for many-image requests: 2000 pixels"
            )
            return _error(400, "invalid_request_error", too_many, {})
        case WireFaultKind.SILENT:
            await asyncio.sleep(_FOREVER)
    return None


def _error(status: int, kind: str, message: str, headers: Mapping[str, str]) -> Response:
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return JSONResponse(body, status_code=status, headers=headers)


__all__ = ["make_app"]
