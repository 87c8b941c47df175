"""A Messages API of somebody else: it knows the role's line, the design's file names, the tools offered."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.harness import gapless, named, open_stage

ROLE = re.compile(r"^# Role: (\w+)", re.MULTILINE)
DRAW = """\
import struct
import sys
import zlib


def part(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


rows = b"".join(b"\\0" + bytes((x * y * int(sys.argv[2])) % 251 for x in range(64)) for y in range(64))
with open(sys.argv[1], "wb") as file:
    file.write(b"\\x89PNG\\r\\n\\x1a\\n" + part(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)))
    file.write(part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))
"""
Content = list[dict[str, Any]]


class Model:
    """Plays each role by what its conversation shows: as many tool results, as many steps are done."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.roles: list[str] = []
        self.ids = itertools.count(1)

    def answer(self, body: Mapping[str, Any]) -> Content:
        found = ROLE.search(flat(body.get("system")) + flat(body["messages"][0]["content"]))
        assert found is not None, "no role line"
        self.roles.append(found[1])
        tools = {tool["name"]: tool["input_schema"] for tool in body["tools"]}
        results = [
            flat(block["content"])
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
            if block.get("type") == "tool_result"
        ]
        steps = {"initializer": self.initialize, "generator": self.build, "evaluator": self.judge}[found[1]]
        step = steps(results, tools)
        if isinstance(step, str):
            return [{"type": "text", "text": step}]
        name, given = step
        assert name in tools, f"{name} isn't offered: {sorted(tools)}"
        return [{"type": "tool_use", "id": f"toolu_{next(self.ids):08d}", "name": name, "input": given}]

    def initialize(self, results: list[str], tools: Mapping[str, Any]) -> str | tuple[str, Any]:
        features = [
            {
                "category": "functional",
                "description": f"Picture {n}",
                "steps": ["Look at it"],
                "passes": False,
            }
            for n in (1, 2)
        ]
        return (
            self.write("feature_list.json", json.dumps({"features": features})),
            self.write("draw.py", DRAW),
            self.write("init.sh", "#!/bin/sh\ntrue\n"),
            self.write("PROGRESS.md", "# Progress\n"),
            ("Bash", {"command": "chmod +x init.sh; git add -A; git commit -qm 'Start'"}),
            "The ground is laid.",
        )[len(results)]

    def build(self, results: list[str], tools: Mapping[str, Any]) -> str | tuple[str, Any]:
        if not results:
            return "Bash", {"command": "cat feature_list.json"}
        features = json.loads(results[0])["features"]
        number = next(place for place, feature in enumerate(features, 1) if not feature["passes"])
        name = f"F{number:03d}"
        picture = f"screenshots/{name}.png"
        return (
            ("Bash", {"command": f"mkdir -p screenshots && python3 draw.py {picture} {number}"}),
            ("Read", {"file_path": str(self.root / picture)}),
            ("mcp__longwatch__claim_feature", {"feature": name, "evidence": [picture], "note": "Seen."}),
            ("Bash", {"command": f"git add -A && git commit -qm 'Draw {name}'"}),
            "Done.",
        )[len(results) - 1]

    def judge(self, results: list[str], tools: Mapping[str, Any]) -> str | tuple[str, Any]:
        if not results:
            return "Read", {"file_path": str(self.root / "feature_list.json")}
        if len(results) > 1:
            return "That is my verdict."
        criterion = tools["StructuredOutput"]["properties"]["scores"]["items"]["properties"]["criterion"]
        scores = [{"criterion": name, "score": 8, "reason": "It holds."} for name in criterion["enum"]]
        return "StructuredOutput", {"verdict": "PASS", "scores": scores, "findings": []}

    def write(self, name: str, text: str) -> tuple[str, Any]:
        return "Write", {"file_path": str(self.root / name), "content": text}


def flat(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(block.get("text", "")) for block in content or [])


@contextmanager
def serving(model: Model) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.send(b"", "text/plain")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if "count_tokens" in self.path:
                self.send(b'{"input_tokens": 1000}', "application/json")
            elif body.get("stream"):
                self.send(stream(model.answer(body), body["model"]), "text/event-stream")
            else:
                message = {**opening(body["model"]), "content": model.answer(body), "stop_reason": "end_turn"}
                self.send(json.dumps(message).encode(), "application/json")

        def send(self, data: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *values: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def opening(model: str) -> dict[str, Any]:
    usage = {"input_tokens": 900, "output_tokens": 40}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "usage": usage}
    return {**head, "content": [], "stop_reason": None, "stop_sequence": None}


def stream(content: Content, model: str) -> bytes:
    events: list[dict[str, Any]] = [{"type": "message_start", "message": opening(model)}]
    for index, block in enumerate(content):
        if block["type"] == "text":
            start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    reason = "tool_use" if content[-1]["type"] == "tool_use" else "end_turn"
    ending = {"delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 40}}
    events += [{"type": "message_delta", **ending}, {"type": "message_stop"}]
    return b"".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in events)


@pytest.mark.slow
def test_somebody_elses_model_can_play_the_agents(tmp_path: Path) -> None:
    with open_stage(tmp_path, None) as stage:
        model = Model(stage.root)
        with serving(model) as url:
            stage.env |= {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "any"}
            engine = stage.run("--set", "evaluator=feature", features=2)
            assert engine.wait(90) == 0, engine.err
        assert set(model.roles) == {"initializer", "generator", "evaluator"}
        contract = json.loads(stage.contract_file.read_text())
        assert [feature["passes"] for feature in contract["features"]] == [True, True]
        assert gapless(stage.journal())
        started = [event["role"] for event in stage.journal(named("session_started"))]
        assert started == ["initializer", "generator", "evaluator", "generator", "evaluator"]
        assert stage.subjects()[:1] == ["Start"] and "Draw F002" in stage.subjects()
        assert stage.status()["features"]["verified"] == 2
        assert stage.alive() == []
