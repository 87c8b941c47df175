"""The drill: whether hooks are asked and hold, and whether a sandbox closes what it should and nothing else.

Sessions of the real SDK and CLI in a folder of their own, against Longwatch's own rehearsal server: nothing
is paid for, nothing of the run is touched. What came out is kept, and holds until the CLI, what it is started
with, or the machine's sandbox is another.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import selectors
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from harness_core.agent import sdk, tools
from harness_core.answer import Answer
from harness_core.box import reviews, sandbox
from harness_core.box.sandbox import Sandbox
from harness_core.config import RunConfig
from harness_core.layout import RunDir
from harness_core.machine import processes
from harness_core.machine.aside import beside
from harness_core.machine.files import read_bounded, write_whole
from harness_core.machine.gitrepo import GitRepo
from harness_core.record.fold import fold
from harness_core.record.journal import Journal, now_iso
from harness_core.run import Run
from harness_core.secrets.redact import Redactor

WITHIN = 60.0
"""Seconds that all of it may take."""
_SERVER_WITHIN = 20.0
_KEPT = 7
"""Older findings that are kept beside a new one: with a sandbox and without, of a few versions."""
_DENIED, _BROKEN = "held-by-verdict", "held-by-failure"
_REACH = (
    "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'HEAD /api/hello HTTP/1.0\\r\\n\\r\\n' >&3 && "
    'read -r -t 10 said <&3 && echo "$said"; echo tried'
)
_COMMITTED = "work.txt"
_COMMIT = f"git add -A && git commit -q -m drill && git ls-tree --name-only HEAD {_COMMITTED}"
_LEAVE = "touch {root}/../outside"
_TRY = "touch tried"
_SPOIL = "touch {root}/spoilt"


class Found(msgspec.Struct, frozen=True):
    """What a drill has found."""

    hooks: str = ""
    """What is wrong with the guards' hooks, in words; "" when they hold."""
    sandbox: str = ""
    """Why a sandbox can't be used, in words; "" when it can, or when none was asked for."""
    untried: str = ""
    """Why the hooks couldn't be tried at all, in words."""
    at: str = ""


class _Failed(Exception):
    """Says in words why a drill did not come to its end."""


# --- What is known ------------------------------------------------------------------------------------


def known(boxed: bool, environ: Mapping[str, str] = os.environ) -> Found | None:
    """What an earlier drill has found that still holds; None where there was none. Starts nothing."""
    return _kept().get(_key(boxed, environ))


def find(boxed: bool, environ: Mapping[str, str] = os.environ) -> Found:
    """What is known, or else what a drill finds now, which takes some seconds."""
    found = known(boxed, environ)
    if found is None:
        found = _hold(boxed)
        if found == Found(at=found.at):
            # What didn't hold may be mended by the next start.
            _keep(_key(boxed, environ), found)
    return found


def _kept() -> dict[str, Found]:
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(read_bounded(_file()) or b"{}", type=dict[str, Found])
    return {}


def _keep(key: str, found: Found) -> None:
    # It saves time alone: where it can't be kept, the next start tries again.
    with contextlib.suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        latest = dict(list(_kept().items())[-_KEPT:])
        write_whole(_file(), msgspec.json.encode({**latest, key: found}))


def _file() -> Path:
    """Where findings are kept. `LONGWATCH_DRILL` names another file."""
    named = os.environ.get("LONGWATCH_DRILL")
    return Path(named) if named else platformdirs.user_state_path("longwatch") / "drill.json"


def _key(boxed: bool, environ: Mapping[str, str]) -> str:
    """Names all that a finding depends on: the CLI, the options that it gets, the sandbox's programs."""
    digest = hashlib.sha256()
    for module in (sdk, sandbox, sys.modules[__name__]):
        digest.update(Path(str(module.__file__)).read_bytes())
    parts = [metadata.version("claude-agent-sdk"), platform.release(), str(os.geteuid()), str(boxed)]
    for name in sandbox.PACKAGES if boxed else ():
        program = shutil.which(name, path=environ.get("PATH", os.defpath))
        parts.append(f"{program} {os.stat(program).st_mtime_ns if program else 0}")
    digest.update("\n".join(parts).encode())
    return digest.hexdigest()[:32]


# --- What is tried ------------------------------------------------------------------------------------


def _hold(boxed: bool) -> Found:
    try:
        return asyncio.run(asyncio.wait_for(_drill(boxed), WITHIN))
    except TimeoutError:
        why = f"the drill took over {WITHIN:g} s"
    except _Failed as error:
        why = str(error)
    except Exception as error:
        why = str(error).partition("\n")[0] or type(error).__name__
    if not boxed:
        return Found(untried=why, at=now_iso())
    # A CLI that won't start in a sandbox says nothing of its hooks.
    return msgspec.structs.replace(_hold(False), sandbox=why)


async def _drill(boxed: bool) -> Found:
    with tempfile.TemporaryDirectory(prefix="longwatch-drill-") as folder, _server(Path(folder)) as url:
        run = _run(Path(folder).resolve() / "run", boxed)
        try:
            sdk.load()
            builder = _Session(run, "generator", url)
            evaluator = _Session(run, "evaluator", url) if boxed else None
            await asyncio.gather(*(session.play() for session in (builder, evaluator) if session))
            trouble = _box_trouble(run, builder, evaluator) if evaluator is not None else ""
            return Found(_hook_trouble(run, builder), trouble, at=now_iso())
        finally:
            run.journal.close()
            processes.terminate(processes.marked(processes.RUN_MARK, run.mark), grace=0.2)
            shutil.rmtree(sandbox.scratch(run.id), ignore_errors=True)


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    """A rehearsal server in a process of its own; gives its address."""
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    program = [sys.executable, "-P", "-m", "harness_core.rehearsal", "drill", "--parent", str(os.getpid())]
    with beside(program, {**os.environ, "PYTHONPATH": paths}, folder) as process:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(_SERVER_WITHIN) else b""
        if not line.startswith(b"http://"):
            raise _Failed("the rehearsal server doesn't start")
        yield line.decode().strip()


def _run(root: Path, boxed: bool) -> Run:
    directory = RunDir.at(root)
    root.mkdir()
    directory.private.mkdir()
    git = GitRepo(directory)
    git.prepare()
    git.keep_out(sandbox.MASKED)
    (root / _COMMITTED).write_text("work\n")
    return Run(
        dir=directory,
        id=f"drill-{uuid.uuid4().hex[:12]}",
        epoch=1,
        config=RunConfig(),
        journal=Journal(directory.journal),
        state=fold(directory),
        git=git,
        redact=Redactor({}),
        sandbox=Sandbox(on=boxed),
    )


class _Session:
    """One scripted session: which calls its hook was asked about, and what came of each."""

    def __init__(self, run: Run, role: str, url: str) -> None:
        self._run = run
        self._role = role
        self._url = url
        self._id = str(uuid.uuid4())
        self._port = int(url.rpartition(":")[2])
        self.review = reviews.place(sandbox.scratch(run.id), self._id) if role == "evaluator" else None
        self.asked: list[str] = []
        self.came: dict[str, str] = {}
        """What each command said."""

    @property
    def commands(self) -> list[str]:
        if self.review is not None:
            return [self.filled(_TRY), self.filled(_SPOIL)]
        calls = [f"touch {_DENIED}", f"touch {_BROKEN}"]
        if self._run.sandbox.on:
            calls += [self.filled(_REACH), self.filled(_COMMIT), self.filled(_LEAVE)]
        return calls

    def filled(self, command: str) -> str:
        return command.format(port=self._port, root=self._run.dir.root)

    async def play(self) -> None:
        from claude_agent_sdk import ClaudeSDKClient  # noqa: PLC0415

        if self.review is not None:
            self.review.mkdir(parents=True)
        async with ClaudeSDKClient(self._options()) as client:
            await client.query("\n".join(f"call: {command}" for command in self.commands))
            await self._follow(client)

    async def _follow(self, client: Any) -> None:
        from claude_agent_sdk import ResultMessage, ToolResultBlock, ToolUseBlock  # noqa: PLC0415

        made: dict[str, str] = {}
        async for message in client.receive_response():
            content = getattr(message, "content", None)
            for block in content if isinstance(content, list) else ():
                if isinstance(block, ToolUseBlock):
                    made[block.id] = str(block.input.get("command"))
                elif isinstance(block, ToolResultBlock):
                    self.came[made.get(block.tool_use_id, "")] = str(block.content)
            if isinstance(message, ResultMessage) and message.is_error:
                raise _Failed(str(message.result or message.subtype))
        if missing := [command for command in self.commands if command not in self.came]:
            raise _Failed(f"the CLI made no call of `{missing[0].split()[0]}`")

    def _options(self) -> Any:
        async def no_app(action: str) -> Answer:
            return Answer(False, "A drill has no app.")

        setup = sdk.Setup(
            role=self._role,
            model="sonnet",
            system_prompt=f"# Role: {self._role}\n",
            sdk_session=self._id,
            resume=False,
            schema=None,
            review=self.review,
        )
        hooks = sdk.Hooks(self._pre_tool, _silent, _silent, _silent)
        options = sdk.options(
            self._run, setup, hooks, tools.server(tools.Handlers(app=no_app)), lambda _: None
        )
        options.env = {**options.env, **_nobody(os.environ), **self._login()}
        return options

    def _login(self) -> dict[str, str]:
        return {
            "ANTHROPIC_BASE_URL": self._url,
            "ANTHROPIC_API_KEY": "not-a-key-drill-only",
            "CLAUDE_CONFIG_DIR": str(self._run.dir.root.parent / "config"),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    async def _pre_tool(self, payload: Any, _: str | None, __: Any) -> Any:
        command = str(payload["tool_input"].get("command"))
        self.asked.append(command)
        if _BROKEN in command:
            raise RuntimeError("a hook that fails, as a drill")
        answer: dict[str, Any] = {"hookEventName": "PreToolUse"}
        if _DENIED in command:
            answer |= {"permissionDecision": "deny", "permissionDecisionReason": "a denial, as a drill"}
        elif self._run.sandbox.on:
            changed = sandbox.linked(command, [self._port], self.review)
            answer |= {"updatedInput": {**payload["tool_input"], "command": changed}}
        return {"hookSpecificOutput": answer}


async def _silent(payload: Any, tool_use_id: str | None, context: Any) -> Any:
    return {}


def _nobody(environ: Mapping[str, str]) -> dict[str, str]:
    """Nothing in the place of each variable that pays for a model or leads to another one."""
    return {name: "" for name in environ if name.startswith(("ANTHROPIC_", "CLAUDE_CODE_"))}


# --- What it means ------------------------------------------------------------------------------------


def _hook_trouble(run: Run, builder: _Session) -> str:
    root = run.dir.root
    if (root / _DENIED).exists():
        return "a call that its hook denied was run all the same"
    if (root / _BROKEN).exists():
        return "a call whose hook failed was run all the same"
    if missing := [command for command in builder.commands if command not in builder.asked]:
        return f"the hook was not asked about a call ({missing[0].split()[0]})"
    return ""


def _box_trouble(run: Run, builder: _Session, evaluator: _Session) -> str:
    assert evaluator.review is not None
    root = run.dir.root
    # By what was said: not every exit status counts as a failure for the CLI.
    for command, answer, what in (
        (_REACH, "HTTP/1", "what listens on this machine can't be reached from inside it"),
        (_COMMIT, _COMMITTED, "`git add -A` fails in it"),
    ):
        said = builder.came[builder.filled(command)]
        if answer not in said:
            return f"{what} ({' '.join(said.split())[:120]})"
    if (root.parent / "outside").exists():
        return "a command in it could write outside of the project"
    if not (evaluator.review / "tried").exists():
        return "an evaluator's clone can't be written in it"
    if (root / "spoilt").exists():
        return "an evaluator's command could change the project in it"
    return ""
