"""`python -m harness_core.rehearsal SCENARIO`: serves one scenario until its parent is gone."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from pathlib import Path

import uvicorn

from harness_core.errors import LongwatchError, Mistake
from harness_core.rehearsal.scenarios import load, titles
from harness_core.rehearsal.server import make_app
from harness_core.rehearsal.wire import Pace

_PARENT_CHECK_S = 0.25
"""How often the parent is looked for. A parent-death signal would follow the thread that started this
process, not the parent."""


def main(arguments: list[str] | None = None) -> int:
    choices = "\n".join(f"  {name:<10} {title}" for name, title in titles().items())
    parser = argparse.ArgumentParser(
        prog="python -m harness_core.rehearsal",
        description="A loopback Messages API that plays scripted agents.",
        epilog=f"scenarios:\n{choices}\n\nFaults are added by +: tiny+529:3, tiny+rm-contract@F002.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pace", choices=[pace.value for pace in Pace], default=Pace.FAST.value)
    parser.add_argument("--ready-file", type=Path, help="gets the URL once the server listens")
    parser.add_argument("--log", type=Path, help="gets one JSON line for each request")
    parser.add_argument("--record", type=Path, help="a directory that gets each request's body")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="end when this is gone")
    given = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(given))
    except LongwatchError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 130
    return 0


async def _serve(given: argparse.Namespace) -> None:
    scenario = load(given.scenario)
    if given.record:
        given.record.mkdir(parents=True, exist_ok=True)
    listener = _listen(given.port)
    app = make_app(scenario, Pace(given.pace), given.log, given.record)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off", timeout_keep_alive=60)
    )
    watch = asyncio.create_task(_end_without(given.parent))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(url, flush=True)
    if given.ready_file:
        given.ready_file.write_text(url + "\n")
    await server.serve(sockets=[listener])
    watch.cancel()


def _listen(port: int) -> socket.socket:
    """A listening socket: connections are accepted by the kernel from here on."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise Mistake(
            f"The rehearsal can't listen on 127.0.0.1:{port} ({error}): choose another --port, or 0 for any."
        ) from error
    return listener


async def _end_without(parent: int) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT_CHECK_S)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
