"""From a request to a running engine: everything is checked first, then taken, then told."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness_core import __version__, config, guardian, processes
from harness_core import contract as ct
from harness_core import events as ev
from harness_core.engine import Engine
from harness_core.errors import Exit, Mistake
from harness_core.files import MAX_TEXT, write_whole
from harness_core.gitrepo import GitRepo
from harness_core.journal import Journal, check_format, now_iso
from harness_core.layout import FORMAT, SPEC_NAMES, RunDir
from harness_core.lock import Owner, RunLock
from harness_core.redact import Redactor
from harness_core.run import Run
from harness_core.state import fold


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants an engine to do."""

    directory: str
    spec: str | None = None
    options: config.Options = config.Options()
    console: bool = False
    rehearsal: str | None = None


Listener = Callable[[ev.Event], None]


def run(request: Request, listeners: list[Listener]) -> Exit:
    """Run an engine in this process until its run ends. Raises LongwatchError where it can't start."""
    directory = _directory(request.directory)
    info = config.load_info(directory)
    if info is not None:
        check_format(info.format, FORMAT)
    spec = _spec(directory, request.spec, known=info is not None)
    options = request.options.over(info.options) if info else request.options
    settings = config.resolve(config.load_file(directory.config_file), options, os.environ)
    config.check_login(os.environ)
    if info is None and spec is None and directory.contract.exists():
        ct.read(directory.contract)
    with RunLock(directory) as owner:
        made = _open_run(directory, info, options, settings, owner, spec, request)
        made.listeners.extend(listeners)
        try:
            return _drive(made, info is not None)
        finally:
            made.journal.close()


def _directory(text: str) -> RunDir:
    path = RunDir.at(text).root
    if path.exists() and not path.is_dir():
        raise Mistake(f"{path} is a file: name a directory for the run")
    if not path.parent.is_dir():
        raise Mistake(f"{path} can't be made because {path.parent} isn't a directory: make that first")
    try:
        path.mkdir(exist_ok=True)
        directory = RunDir.at(path)
        directory.private.mkdir(exist_ok=True)
        write_whole(directory.private / ".probe", b"", durable=False)
        (directory.private / ".probe").unlink()
    except OSError as error:
        raise Mistake(f"{path} can't be written ({error.strerror}): choose a directory of your own") from None
    return directory


def _spec(directory: RunDir, given: str | None, *, known: bool) -> bytes | None:
    """The text to build from, when it has to be put in place. Raises Mistake when there is none."""
    if given is None:
        present = next((name for name in SPEC_NAMES if (directory.root / name).exists()), None)
        if present is None:
            if known or directory.contract.exists():
                return None
            raise Mistake("nothing says what to build: give a specification with --spec FILE")
        given = str(directory.root / present)
    path = Path(given)
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
    inside = path.resolve().parent == directory.root and path.name in SPEC_NAMES
    return None if known or inside else data


def _open_run(
    directory: RunDir,
    info: config.RunInfo | None,
    options: config.Options,
    settings: config.RunConfig,
    owner: Owner,
    spec: bytes | None,
    request: Request,
) -> Run:
    git = GitRepo(directory)
    git.prepare()
    for folder in (directory.sessions, directory.blobs, directory.checkpoints, directory.steering):
        folder.mkdir(parents=True, exist_ok=True)
    if spec is not None:
        write_whole(directory.root / SPEC_NAMES[0], spec)
    kept = config.RunInfo(
        format=FORMAT,
        run_id=info.run_id if info else uuid.uuid4().hex[:12],
        created=info.created if info else now_iso(),
        config=settings,
        options=options,
        rehearsal=request.rehearsal or (info.rehearsal if info else None),
        versions={"longwatch": __version__, "python": sys.version.split()[0]},
    )
    config.save_info(directory, kept)
    journal = Journal(directory.journal)
    return Run(
        dir=directory,
        id=kept.run_id,
        epoch=owner.epoch,
        config=settings,
        journal=journal,
        state=fold(directory),
        git=git,
        redact=Redactor(os.environ),
        console=request.console,
    )


def _drive(made: Run, known: bool) -> Exit:
    left = processes.marked(processes.RUN_MARK, f"{made.id}:") if known else []
    if left:
        processes.terminate(left, grace=0.2)
    if made.state.started:
        made.emit(ev.RunResumed(pid=os.getpid(), ended=[str(item) for item in left]))
    else:
        limits = made.config.limits.given()
        made.emit(ev.RunStarted(format=FORMAT, preset=made.config.preset, run_id=made.id, limits=limits))
    lifeline = guardian.start(made.mark)
    try:
        return asyncio.run(_with_signals(made))
    finally:
        os.close(lifeline)


async def _with_signals(made: Run) -> Exit:
    engine = Engine(made)
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if engine.ending is not None:
            # The guardian ends what is left; waiting for anything here could hang.
            os._exit(Exit.INTERRUPTED)
        engine.end_now(Exit.STOPPED, "pause")

    loop.add_signal_handler(signal.SIGINT, interrupted)
    loop.add_signal_handler(signal.SIGTERM, lambda: engine.end_now(Exit.STOPPED, "now"))
    return await engine.drive()
