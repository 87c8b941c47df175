"""The app under work: `init.sh` run by the engine in a process group of its own, for builder and evaluator.

It lives across sessions and is ended at the run's end, so a shell without a network of its own can
still use it.
"""

from __future__ import annotations

import asyncio
import os
import re
import time

from harness_core.answer import Answer
from harness_core.box import sandbox
from harness_core.machine import processes
from harness_core.machine.files import read_end, read_text
from harness_core.record import events as ev
from harness_core.run import Run

READY_WITHIN = 15.0
"""Seconds that a start waits for the script to end or for a port to be listened on."""
LOG_TAIL = 4000
"""Characters of the log's end that an agent is shown."""
_IN_USE = re.compile(r"address already in use|EADDRINUSE|\bport\b.{0,40}\b(?:in use|taken)\b", re.IGNORECASE)
_PORT = re.compile(r"(?<!\d)\d{2,5}(?!\d)")
_PORTS_TOLD = 3
_READ = 64 << 10
"""Bytes of it that are searched for secrets: half of one, where a text was cut, isn't known as one."""


class App:
    """At most one running instance. `mark` is added to its environment so that all of it is found again."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._process: asyncio.subprocess.Process | None = None
        self._acting = asyncio.Lock()

    async def act(self, action: str) -> Answer:
        """Start, stop, restart, ask for status or logs; one at a time. An unknown action is told so."""
        async with self._acting:
            return await self._act(action)

    async def _act(self, action: str) -> Answer:
        match action:
            case "start":
                return await self.start()
            case "stop":
                return await self.stop()
            case "restart":
                await self.stop()
                return await self.start()
            case "status":
                return self.status()
            case "logs":
                return Answer(True, self.log() or "The log is empty.")
        return Answer(False, f"There is no action `{action}`: use start, stop, restart, status or logs.")

    async def start(self) -> Answer:
        script = self._run.dir.init_script
        if self._members():
            return Answer(True, f"It is already running. {self.status().text}")
        if not script.is_file():
            return Answer(False, "There is no init.sh at the project's root: write it first.")
        command = [str(script)] if os.access(script, os.X_OK) else ["bash", str(script)]
        environment = self._environment()
        if self._run.sandbox.on:
            scratch = sandbox.scratch(self._run.id)
            (scratch / "cache").mkdir(parents=True, exist_ok=True)
            command = sandbox.boxed(command, self._run.dir, scratch)
            environment |= sandbox.caches(scratch)
        with self._run.dir.app_log.open("wb") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *command,
                    cwd=self._run.dir.root,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    env=environment,
                )
            except OSError as error:
                return self._journal("start", False, f"init.sh can't be run: {error.strerror}.")
        await self._settle(self._process)
        code, printed = self._process.returncode, self.log()
        taken = "".join(f" {said}" for said in self._taken(printed))
        if code:
            return self._journal(
                "start", False, f"init.sh ended with exit status {code}.{taken} Its log:\n{printed}"
            )
        what = "init.sh has ended well" if code == 0 else "init.sh is running"
        return self._journal("start", True, f"{what}. {self._listening()}{taken} Its log:\n{printed}")

    async def _settle(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the script has ended or something listens."""
        deadline = time.monotonic() + READY_WITHIN
        ended = asyncio.create_task(process.wait())
        while not ended.done() and time.monotonic() < deadline and not self.ports():
            await asyncio.wait({ended}, timeout=0.1)
        ended.cancel()

    async def stop(self) -> Answer:
        members = self._members()
        if not members:
            return Answer(True, "It is not running.")
        survivors = await asyncio.to_thread(processes.terminate, members)
        if self._process is not None and not survivors:
            await self._process.wait()
        if survivors:
            return self._journal(
                "stop", False, f"Some of it is still alive: {', '.join(map(str, survivors))}."
            )
        return self._journal("stop", True, "It is stopped.")

    def status(self) -> Answer:
        members = self._members()
        if not members:
            return Answer(True, "It is not running.")
        return Answer(True, f"Running: {'; '.join(map(str, members[:5]))}. {self._listening()}")

    def log(self) -> str:
        """The end of what the app has printed."""
        data = read_end(self._run.dir.app_log, _READ)
        return self._run.redact.text(data.decode("utf-8", errors="replace"))[-LOG_TAIL:]

    def _environment(self) -> dict[str, str]:
        environment = sandbox.app_environment(os.environ, self._run.config.sandbox.keep)
        return {**environment, processes.RUN_MARK: self._run.mark, processes.APP_MARK: self._run.mark}

    def _members(self) -> list[processes.Found]:
        return processes.marked(processes.APP_MARK, self._run.mark) if self._process is not None else []

    def ports(self) -> list[int]:
        """What it listens on."""
        return sorted({port for member in self._members() for port in processes.listening(member.pid)})

    def _taken(self, log: str) -> list[str]:
        """Where the log speaks of a port in use: who holds which of the ports that log and script name."""
        if not _IN_USE.search(log):
            return []
        named = _PORT.findall(log + (read_text(self._run.dir.init_script) or ""))
        held = processes.listeners()
        own = {member.pid for member in self._members()}
        ours = {item.pid for item in processes.marked(processes.RUN_MARK, self._run.mark)}
        said = []
        for port in [*dict.fromkeys(int(text) for text in named if int(text) in held)][:_PORTS_TOLD]:
            holder = held[port]
            if holder is None:
                said.append(f"Port {port} is held by a process that can't be seen: take another port.")
            elif holder.pid in ours - own:
                said.append(
                    f"Port {port} is held by {holder}, left by a shell of this run: end it by its pid."
                )
            elif holder.pid not in own:
                said.append(f"Port {port} is held by {holder}, none of this run's: take another port.")
        return [self._run.redact.text(one) for one in said]

    def _listening(self) -> str:
        ports = self.ports()
        if not ports:
            return "It listens on no port."
        return f"It listens on {', '.join(f'http://127.0.0.1:{port}' for port in ports)}."

    def _journal(self, action: str, ok: bool, text: str) -> Answer:
        self._run.emit(ev.AppChanged(action=action, ok=ok, detail=self._run.redact.text(text)[:2000]))
        return Answer(ok, text)
