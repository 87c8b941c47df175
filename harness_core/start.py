"""From a request to a running engine: everything is checked first, then taken, then told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness_core import __version__, config
from harness_core.agent import mcp_servers
from harness_core.agent.mcp_servers import McpServer
from harness_core.box import sandbox
from harness_core.box.sandbox import Sandbox
from harness_core.contract import record as ct
from harness_core.engine import Engine
from harness_core.errors import ContractError, Exit, LongwatchError, Mistake
from harness_core.grading import rubric
from harness_core.layout import FORMAT, OPERATOR_NAMES, SPEC_NAMES, RunDir
from harness_core.machine import processes
from harness_core.machine.files import MAX_TEXT, read_bounded, write_whole
from harness_core.machine.gitrepo import GitRepo
from harness_core.machine.guardian import Guardian
from harness_core.machine.lock import Owner, RunLock
from harness_core.notify import farewell
from harness_core.notify.channels import channels
from harness_core.notify.notifier import Notifier
from harness_core.notify.settings import Notify, of_user
from harness_core.operator import control, limit_requests
from harness_core.operator.control import LimitsRequest
from harness_core.output import tell
from harness_core.record import events as ev
from harness_core.record.fold import fold
from harness_core.record.journal import Journal, Tail, check_format, now_iso
from harness_core.request import Request
from harness_core.run import Run
from harness_core.secrets.redact import Redactor, known_values

_FOREIGN_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
"""Set where git itself starts a run, as in a hook: they would lead to that repository."""
Listener = Callable[[ev.Event], None]


@dataclass(frozen=True)
class _Plan:
    """A request that holds: nothing of it was written yet, and nothing of it is a mistake."""

    request: Request
    directory: RunDir
    info: config.RunInfo | None
    """Of the run that is there already."""
    options: config.Options
    settings: config.RunConfig
    spec: bytes | None
    """The specification, where it has to be put in place."""
    notify: Notify
    servers: Mapping[str, McpServer]
    limits: Sequence[LimitsRequest]
    """What the operator asked to be changed of the limits while no engine was there; `options` have it."""


def run(request: Request, listeners: list[Listener]) -> Exit:
    """Run an engine in this process until its run ends.

    Raises LongwatchError where it can't start; then nothing was changed.
    """
    for name in _FOREIGN_GIT:
        os.environ.pop(name, None)
    plan = _checked(request)
    lacking = _box_lacks(plan)
    with RunLock(plan.directory) as owner:
        box = _box(plan, lacking)
        for note in _kept(plan):
            tell(note)
        made = _open_run(plan, owner, box)
        made.listeners.extend(listeners)
        try:
            root = plan.directory.root
            with Notifier(root.name, channels(plan.notify, str(root))) as notifier:
                made.listeners.append(notifier.hear)
                code = _drive(made, plan, notifier)
            notifier.tell_failures(made.emit)
            return code
        finally:
            made.journal.close()


# --- What is checked ----------------------------------------------------------------------------------


def _checked(request: Request) -> _Plan:
    """Look at all that can be wrong, and touch nothing. Raises LongwatchError."""
    request.encoded()
    directory = _directory(request.directory)
    info = config.load_info(directory)
    _check_written(directory)
    _check_rehearsal(directory, request.rehearsal, info)
    asked = limit_requests.pending(directory)
    options = request.options.over(limit_requests.on_top(info.options, asked)) if info else request.options
    file = config.load_file(directory.config_file)
    settings = config.resolve(file, options, os.environ)
    rubric.load(directory, settings.switches.rubric)
    spec = _spec(directory, request.spec, settings, known=info is not None)
    config.check_login(os.environ)
    if info is None and directory.contract.exists():
        _check_contract(directory)
    _check_git(directory)
    notify = file.notify.over(of_user())
    return _Plan(request, directory, info, options, settings, spec, notify, file.mcp, asked)


def _directory(text: str) -> RunDir:
    if not text.strip():
        raise Mistake("DIR is empty: name a directory for the run")
    directory = RunDir.at(text)
    path = directory.root
    if path.exists() and not path.is_dir():
        raise Mistake(f"{path} is a file: name a directory for the run")
    if not path.parent.is_dir():
        raise Mistake(f"{path} can't be made because {path.parent} isn't a directory: make that first")
    if directory.private.exists() and not directory.private.is_dir():
        raise Mistake(f"{directory.private} is a file: move it away")
    if not os.access(path if path.exists() else path.parent, os.W_OK | os.X_OK):
        raise Mistake(f"{path} can't be written: choose a directory of your own")
    return directory


def _check_written(directory: RunDir) -> None:
    """Refuse a journal that a newer Longwatch has begun, and one that has lost all that happened."""
    first = next(Tail(directory.journal).read(), None)
    if first is None and directory.record.exists():
        raise Mistake(f"{directory.journal} tells nothing of the run that was here: {ct.RESTORE}")
    if isinstance(first, ev.RunStarted):
        check_format(first.format, FORMAT)


def _check_rehearsal(directory: RunDir, asked: str | None, info: config.RunInfo | None) -> None:
    """A rehearsal plays in a directory of its own: never in somebody's project, never with a real model."""
    root = directory.root
    if info is not None:
        if asked is not None and info.rehearsal is None:
            raise Mistake(f"{root} holds a run that is no rehearsal: name another directory for this one")
        if info.rehearsal is not None and asked != info.rehearsal:
            raise Mistake(f"{root} holds a rehearsal: go on with `longwatch run {root}`")
    elif asked is not None and root.exists():
        ours = {*OPERATOR_NAMES, *SPEC_NAMES}
        foreign = [name for name in sorted(os.listdir(root)) if name not in ours and not name.startswith(".")]
        if foreign:
            raise Mistake(f"{root} isn't empty ({foreign[0]}): name a new directory for the rehearsal")


def _spec(directory: RunDir, given: str | None, settings: config.RunConfig, *, known: bool) -> bytes | None:
    """The text to build from, when it has to be put in place. Raises Mistake when there is none."""
    own = directory.spec
    asked = settings.prompt or (settings.goal if not settings.switches.initializer else "")
    if given is not None and settings.prompt:
        raise Mistake("--spec and --prompt both say what to build: give one of them")
    if settings.mode != "build":
        if not asked:
            raise Mistake(f"--mode {settings.mode} needs --prompt: say in a few sentences what is wanted")
        return None
    if given is None:
        if known or (directory.contract.exists() and not own.exists()):
            return None
        if not own.exists() and asked:
            planned = settings.switches.planner and not directory.contract.exists()
            return None if planned else asked.encode()
        if not own.exists():
            raise Mistake(
                'nothing says what to build: give a specification with --spec FILE, or --prompt "…"'
            )
        _read_spec(own)
        return None
    data = _read_spec(Path(given))
    if known or data == read_bounded(own, MAX_TEXT):
        return None
    if own.name == SPEC_NAMES[0] and own.exists():
        raise Mistake(
            f"{own} says something else than {given}: leave --spec away to build from the one, "
            "or move it away to build from the other"
        )
    return data


def _read_spec(path: Path) -> bytes:
    try:
        path = path.expanduser()
        with path.open("rb") as stream:
            data = stream.read(MAX_TEXT + 1)
    except FileNotFoundError:
        raise Mistake(f"the specification {path} doesn't exist: name an existing file with --spec") from None
    except (OSError, RuntimeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Mistake(f"the specification {path} can't be read: {why}") from None
    if len(data) > MAX_TEXT:
        raise Mistake(f"the specification {path} is over 4 MiB: say in a few pages what should be built")
    if not data.strip():
        raise Mistake(f"the specification {path} is empty: say in it what should be built")
    if b"\0" in data:
        raise Mistake(f"the specification {path} isn't text: write it as plain text or Markdown")
    return data


def _check_contract(directory: RunDir) -> None:
    try:
        ct.read(directory.contract)
    except ContractError as error:
        raise ContractError(f"{error} Mend it, or move it away to have a new one written") from None


def _check_git(directory: RunDir) -> None:
    """Make sure that git is there and can work with what it finds. Raises Mistake."""
    root = directory.root
    there = (root / ".git").exists()
    question = ["-C", str(root), "rev-parse", "--git-dir"] if there else ["-C", "/", "config", "user.name"]
    try:
        done = subprocess.run(
            ["git", *question], capture_output=True, text=True, errors="replace", check=False
        )
    except OSError:
        raise Mistake("git is not installed or not on PATH: install git and run this again") from None
    # 1 is the answer "there is none".
    if done.returncode not in (0, 1):
        why = done.stderr.strip().partition("\n")[0]
        raise Mistake(f"git can't work in {root} ({why}): mend what it names, or choose another directory")


def _box_lacks(plan: _Plan) -> str:
    """Why this machine can't have the wanted sandbox, in words. Raises Mistake where it is required."""
    table = plan.settings.sandbox
    why = "" if table.mode == "off" or _rehearsed(plan) else sandbox.lacks()
    if why and table.mode == "require":
        raise _no_box(why)
    return why


def _rehearsed(plan: _Plan) -> bool:
    """Whether there is nothing to hold: a rehearsal's agents do what their script says."""
    return plan.request.rehearsal is not None and plan.settings.sandbox.mode != "require"


def _no_box(why: str) -> Mistake:
    return Mistake(f"a sandbox is required and can't be had: {why}; mend that, or start with --sandbox off")


def _box(plan: _Plan, why: str) -> Sandbox:
    """The sandbox that the run gets, if the machine doesn't lack it (`why`). Raises LongwatchError where the
    guards' hooks don't hold here, Mistake where a required sandbox fails its trial."""
    table = plan.settings.sandbox
    if _rehearsed(plan):
        return Sandbox(table=table)
    from harness_core.box import drill  # noqa: PLC0415  (loads the SDK)

    wanted = table.mode != "off" and not why
    if sys.stderr.isatty() and drill.known(wanted) is None:
        tell("trying out the guards' hooks and the sandbox, once: some seconds")
    found = drill.find(wanted)
    if found.hooks:
        raise LongwatchError(
            f"the guards can't be trusted here: {found.hooks}; install Longwatch again with the CLI that "
            "comes with it"
        )
    if found.untried:
        tell(f"the guards' hooks could not be tried out: {found.untried}")
    why = why or found.sandbox
    if why and table.mode == "require":
        raise _no_box(why)
    box = Sandbox(on=wanted and not why, why=why, table=table)
    if table.mode != "off":
        tell(str(box))
    return box


def _kept(plan: _Plan) -> Iterator[str]:
    """What the request asks for and a run that is there already can't change."""
    if plan.info is None:
        return
    spec, features = plan.request.spec, plan.request.options.features
    if spec is not None and read_bounded(Path(spec).expanduser()) != read_bounded(plan.directory.spec):
        yield f"the run keeps the specification that it began with: {spec} isn't read"
    if features not in (None, plan.info.config.features) and plan.directory.record.exists():
        yield f"the run keeps the contract that is frozen: --features {features} changes nothing"


# --- What is taken ------------------------------------------------------------------------------------


def _open_run(plan: _Plan, owner: Owner, box: Sandbox) -> Run:
    directory, info = plan.directory, plan.info
    git = GitRepo(directory)
    git.prepare()
    secret = {**os.environ, **plan.notify.secrets, **mcp_servers.secrets(plan.servers)}
    git.known_secrets = known_values(secret)
    if box.on:
        git.keep_out(sandbox.MASKED)
    for folder in (directory.sessions, directory.blobs, directory.checkpoints, directory.steering):
        folder.mkdir(parents=True, exist_ok=True)
    if plan.spec is not None:
        write_whole(directory.root / SPEC_NAMES[0], plan.spec)
    kept = config.RunInfo(
        format=FORMAT,
        run_id=info.run_id if info else uuid.uuid4().hex[:12],
        created=info.created if info else now_iso(),
        preset=plan.settings.preset,
        config=plan.settings,
        options=plan.options,
        rehearsal=plan.request.rehearsal,
        versions={"longwatch": __version__, "python": sys.version.split()[0]},
    )
    config.save_info(directory, kept)
    directory.live.unlink(missing_ok=True)
    if plan.request.clear_stop:
        control.clear_stop(directory)
    return Run(
        dir=directory,
        id=kept.run_id,
        epoch=owner.epoch,
        config=plan.settings,
        journal=Journal(directory.journal),
        state=fold(directory),
        git=git,
        redact=Redactor(secret),
        servers=mcp_servers.gather(
            plan.servers, directory, os.environ, with_browser=plan.settings.switches.browser
        ),
        sandbox=box,
        console=plan.request.console,
    )


# --- What runs ----------------------------------------------------------------------------------------


def _drive(made: Run, plan: _Plan, notifier: Notifier) -> Exit:
    left = processes.marked(processes.RUN_MARK, f"{made.id}:") if plan.info is not None else []
    if left:
        processes.terminate(left, grace=0.2)
    sandbox.sweep(made.dir)
    limits = made.config.limits.given()
    if made.state.started:
        stopped = made.state.stop_confirmed is not None
        ended = [str(item) for item in left]
        made.emit(ev.RunResumed(pid=os.getpid(), ended=ended, limits=limits, sandbox=str(made.sandbox)))
        if stopped and not made.dir.stopping:
            made.emit(ev.StopCleared())
    else:
        preset, head = made.config.preset, made.git.head()
        started = ev.RunStarted(
            format=FORMAT,
            preset=preset,
            run_id=made.id,
            limits=limits,
            head=head,
            sandbox=str(made.sandbox),
        )
        made.emit(started)
    _end_foreign_session(made)
    for request in plan.limits:
        limit_requests.note(made, request)
    root = made.dir.root
    guardian = Guardian(made.mark, farewell.will(root.name, str(root), plan.notify))
    try:
        return asyncio.run(_with_signals(made, notifier, guardian))
    finally:
        guardian.leave()
        if made.sandbox.on:
            sandbox.sweep(made.dir)


def _end_foreign_session(made: Run) -> None:
    """A session of plain Claude Code that left no word of its end isn't the engine's to resume."""
    known = made.state.open_session
    if known is not None and known.role not in config.ROLES:
        made.emit(ev.SessionEnded(reason="an engine took over", ms=0, turns=0, usd=0.0))


async def _with_signals(made: Run, notifier: Notifier, guardian: Guardian) -> Exit:
    engine = Engine(made)
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if engine.brake.ending is not None:
            with contextlib.suppress(OSError, LongwatchError):
                made.emit(ev.RunEnded(reason="interrupted", exit=int(Exit.INTERRUPTED)))
            # The guardian ends what is left; waiting for anything here could hang.
            guardian.leave()
            os._exit(Exit.INTERRUPTED)
        engine.end_now(Exit.STOPPED, "pause")

    loop.add_signal_handler(signal.SIGINT, interrupted)
    loop.add_signal_handler(signal.SIGTERM, lambda: engine.end_now(Exit.STOPPED, "now"))
    failures = asyncio.create_task(notifier.watch_failures(made.emit))
    try:
        return await engine.drive()
    finally:
        failures.cancel()
