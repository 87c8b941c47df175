"""The doctor: what it says of a machine and a run, that it ends in time and leaves nothing behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness_core.agent.mcp_servers import McpServer
from harness_core.layout import RunDir
from harness_core.record import events as ev
from tests import scenes
from tests.commands import longwatch
from tests.harness import until
from tui.doctor import agent, directory, examination, machine, surroundings, tools
from tui.doctor.check import Check, Mark, Patient
from tui.doctor.examination import examine

HOME = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
SERVER = """
import json, sys
hello = json.loads(sys.stdin.readline())
print("a word that isn't for the client", flush=True)
info = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
print(json.dumps({"jsonrpc": "2.0", "id": hello["id"], "result": info}), flush=True)
sys.stdin.read()
"""


def marks(found: Iterator[Check]) -> dict[str, Mark]:
    return {check.name: check.mark for check in found}


def only(found: Iterator[Check]) -> Check:
    (check,) = found
    return check


def patient(run: Path | None = None, **environ: str) -> Patient:
    return Patient({**HOME, **environ}, RunDir.at(run) if run else None)


@contextlib.contextmanager
def answering(status: int) -> Iterator[str]:
    """An address that answers everything so."""

    class Answers(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.send_response(status)
            self.end_headers()

        do_HEAD = do_POST = _answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """An address where somebody listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


Seen = Iterator[Check]


def lacking_python(bench: pytest.MonkeyPatch, _: Path) -> Seen:
    bench.setattr(machine, "PYTHON", (99, 0))
    return machine.python(patient())


def lacking_git(_: pytest.MonkeyPatch, folder: Path) -> Seen:
    return machine.git(Patient({"PATH": str(folder)}))


def broken_git(_: pytest.MonkeyPatch, folder: Path) -> Seen:
    program(folder / "git", "echo no; exit 3")
    return machine.git(Patient({"PATH": f"{folder}:/usr/bin:/bin"}))


def lacking_sdk(bench: pytest.MonkeyPatch, _: Path) -> Seen:
    bench.setattr(agent, "SDK", "no-such-agent-sdk")
    return agent.sdk(patient())


def lacking_cli(bench: pytest.MonkeyPatch, _: Path) -> Seen:
    bench.setattr(agent, "SDK", "no-such-agent-sdk")
    return agent.cli(patient())


def broken_cli(bench: pytest.MonkeyPatch, folder: Path) -> Seen:
    (folder / "broken_agent_sdk/_bundled").mkdir(parents=True)
    (folder / "broken_agent_sdk/__init__.py").touch()
    program(folder / "broken_agent_sdk/_bundled/claude", "echo wrong kind of machine >&2; exit 126")
    bench.syspath_prepend(folder)
    bench.setattr(agent, "SDK", "broken-agent-sdk")
    return agent.cli(patient())


def lacking_browser(_: pytest.MonkeyPatch, folder: Path) -> Seen:
    return tools.a_browser(Patient({"PATH": str(folder), "HOME": str(folder)}))


def lacking_npx(_: pytest.MonkeyPatch, folder: Path) -> Seen:
    return tools.npx(Patient({"PATH": str(folder)}))


def little_room(bench: pytest.MonkeyPatch, folder: Path) -> Seen:
    bench.setattr(machine, "FEW_BYTES", 1 << 70)
    return machine.disk(patient(folder))


def far_disk(bench: pytest.MonkeyPatch, folder: Path) -> Seen:
    bench.setattr(machine, "MOUNTS", folder / "mountinfo")
    (folder / "mountinfo").write_text(
        f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / {folder} rw - nfs4 host:/a rw\n"
    )
    return machine.file_system(patient(folder))


def of_another(_: pytest.MonkeyPatch, folder: Path) -> Seen:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(folder, 54321, 54321)
    return directory.place(patient(folder))


def on_a_file(_: pytest.MonkeyPatch, folder: Path) -> Seen:
    (folder / "file").touch()
    return directory.place(patient(folder / "file/run"))


def old_encoding(bench: pytest.MonkeyPatch, _: Path) -> Seen:
    bench.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "latin-1"))
    return surroundings.terminal(patient(TERM="xterm"))


def no_login(_: pytest.MonkeyPatch, folder: Path) -> Seen:
    return agent.login(patient(CLAUDE_CONFIG_DIR=str(folder)))


def odd_address(_: pytest.MonkeyPatch, __: Path) -> Seen:
    return agent.login(patient(ANTHROPIC_API_KEY="k", ANTHROPIC_BASE_URL="api.example.org"))


def kept(folder: Path, text: str) -> Seen:
    (folder / ".credentials.json").write_text(text)
    return agent.login(patient(CLAUDE_CONFIG_DIR=str(folder)))


def login_over(_: pytest.MonkeyPatch, folder: Path) -> Seen:
    return kept(folder, '{"claudeAiOauth": {"accessToken": "s3cret", "expiresAt": 1700000000000}}')


def login_damaged(_: pytest.MonkeyPatch, folder: Path) -> Seen:
    return kept(folder, '{"claudeAiOauth": {"accessToken": "s3c')


def program(path: Path, does: str) -> None:
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("look", "mark", "says", "mend"),
    [
        (lacking_python, "fail", "3.", "install Python 3.11 or newer"),
        (lacking_git, "fail", "not installed or not on PATH", "install git"),
        (broken_git, "fail", "no", "make `git --version` work"),
        (lacking_sdk, "fail", "is missing", "install Longwatch again"),
        (lacking_cli, "fail", "none comes with the SDK", "install Longwatch again"),
        (broken_cli, "fail", "wrong kind of machine", "for this kind of machine"),
        (lacking_browser, "warn", "agents use no page", "install what is missing"),
        (lacking_npx, "warn", "not installed", "install Node.js"),
        (little_room, "warn", "GiB free", "make room"),
        (far_disk, "warn", "is on nfs4", "a disk of this machine"),
        (of_another, "warn", "belongs to user 54321", "chown"),
        (on_a_file, "fail", "is no directory", "name a directory"),
        (old_encoding, "warn", "latin", "UTF-8 locale"),
        (no_login, "fail", "no way to reach a model", "ANTHROPIC_API_KEY"),
        (odd_address, "fail", "ANTHROPIC_BASE_URL", "begins with http"),
        (login_over, "fail", "ended at 2023-11-14 22:13 UTC", "log in again"),
        (login_damaged, "fail", "can't be read", "log in again"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_lacking_or_broken_is_told_with_its_mend(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    look: Callable[[pytest.MonkeyPatch, Path], Seen],
    mark: str,
    says: str,
    mend: str,
) -> None:
    found = only(look(monkeypatch, tmp_path))
    assert found.mark == mark and says in found.says and mend in found.mend
    assert "s3cret" not in found.says


# --- All of it ----------------------------------------------------------------------------------------


def test_every_look_is_told_in_order_with_a_mend_for_what_is_wrong(tmp_path: Path) -> None:
    found = list(examine(RunDir.at(tmp_path / "new"), {**HOME, "ANTHROPIC_BASE_URL": closed()}))
    names = [check.name for check in found]
    order = [name for name, _ in examination.LOOKS if name in names]
    assert [name for name in names if name in order] == order
    assert {"Python", "git", "Claude CLI", "login", "API", "sandbox", "disk", "DIR"} <= set(names)
    assert all(check.says for check in found)
    assert all(bool(check.mend) == (check.mark is not Mark.OK) for check in found)
    assert not (tmp_path / "new").exists(), "looking makes nothing"


def test_looks_that_hang_or_break_do_not_hold_the_others_up(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def hangs(_: Patient) -> Iterator[Check]:
        let_go.wait()
        yield from ()

    def breaks(_: Patient) -> Iterator[Check]:
        raise RuntimeError("oh")
        yield

    looks = (("first", hangs), ("second", hangs), ("third", breaks), ("Python", machine.python))
    monkeypatch.setattr(examination, "LOOKS", looks)
    monkeypatch.setattr(examination, "WITHIN", 0.3)
    begun = time.monotonic()
    found = {check.name: check for check in examine(None, HOME)}
    let_go.set()
    assert time.monotonic() - begun < 2 * 0.3 + 1, "their times don't add up"
    assert [check.mark for check in found.values()] == [Mark.WARN] * 3 + [Mark.OK]
    assert "no end within" in found["second"].says and "oh" in found["third"].says


def test_the_command_ends_with_1_where_something_fails(tmp_path: Path) -> None:
    scene = scenes.SCENES["running"](tmp_path / "run")
    there = longwatch("doctor", str(scene.run.root), "--json", ANTHROPIC_BASE_URL=closed())
    found = {check["name"]: check for check in json.loads(there.stdout)}
    assert there.returncode == 1 and there.stderr == b""
    assert found["login"]["mark"] == "fail" and "ANTHROPIC_API_KEY" in found["login"]["mend"]
    assert found["API"]["mark"] == "warn", "being offline is no failure of the machine"
    well = longwatch("doctor", ANTHROPIC_BASE_URL=closed(), ANTHROPIC_API_KEY="k3y-of-somebody")
    said = well.stdout.decode()
    assert well.returncode == 0, said
    assert "ok    login           ANTHROPIC_API_KEY is set" in said and "k3y" not in said
    assert "warn  API" in said and "→ look at the network" in said


# --- The machine --------------------------------------------------------------------------------------


def test_git_is_looked_for_and_its_identity(tmp_path: Path) -> None:
    assert only(machine.git(Patient({"PATH": str(tmp_path)}))).mark is Mark.FAIL
    unknown = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    assert marks(machine.git(patient(tmp_path, **unknown))) == {"git": Mark.OK, "git identity": Mark.WARN}
    config = tmp_path / "gitconfig"
    config.write_text("[user]\nname = Ada\nemail = ada@localhost\n")
    known = list(machine.git(patient(tmp_path, GIT_CONFIG_GLOBAL=str(config))))
    assert [check.says for check in known][1] == "Ada <ada@localhost>"


def test_a_disk_without_room_is_a_failure(small_disk: Path) -> None:
    assert only(machine.disk(patient(small_disk / "not" / "yet"))).mark is Mark.FAIL


def test_the_kind_of_a_file_system_is_that_of_the_innermost_mount() -> None:
    mounts = r"""1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/a rw
2 1 0:9 / /mnt/far\040away rw,relatime - cifs //host/a rw
3 2 8:2 / /mnt/far\040away/near rw - xfs /dev/b rw
4 1 8:3 / /top rw - ext4 /dev/c rw
5 4 0:7 / /top rw - fuse.sshfs host: rw
no mount"""
    asked = ("/home/a", "/mnt/far away/run", "/mnt/far away/near/run", "/mnt/far", "/top/run")
    kinds = [machine.kind_of(Path(path), mounts) for path in asked]
    assert kinds == ["ext4", "cifs", "xfs", "ext4", "fuse.sshfs"]
    assert machine.kind_of(Path("/a"), "") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="it has watchers of another kind")
def test_a_watcher_is_really_tried(tmp_path: Path) -> None:
    assert only(machine.inotify(patient(tmp_path))).mark is Mark.OK
    use_up = "echo 0 > /proc/sys/user/max_inotify_instances"
    alone = ["unshare", "-Ur", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*alone, use_up], check=False).returncode:
        pytest.skip("no user namespaces here, in which alone inotify can be used up")
    look = (
        "from tui.doctor import check, machine; import os;"
        "print(next(machine.inotify(check.Patient(os.environ))))"
    )
    command = f'{use_up} && exec "$@"'
    done = subprocess.run(
        [*alone, command, "sh", sys.executable, "-c", look], capture_output=True, text=True, check=True
    )
    assert "all instances are taken" in done.stdout and "max_user_instances=" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"claudeAiOauth": {"expiresAt": 99999999999999}}',
        '{"claudeAiOauth": {"expiresAt": 1700000000000, "refreshToken": "s3cret"}}',
    ],
)
def test_a_login_that_holds_or_renews_itself_is_well(tmp_path: Path, text: str) -> None:
    found = only(kept(tmp_path, text))
    assert found.mark is Mark.OK and "s3cret" not in found.says


def test_the_cli_runs() -> None:
    found = only(agent.cli(patient()))
    assert found.mark is Mark.OK and "runs" in found.says


def test_a_sandbox_that_does_not_start_is_a_warning(tmp_path: Path) -> None:
    lacking = only(tools.sandbox(Patient({"PATH": str(tmp_path)})))
    assert lacking.mark is Mark.WARN and "bubblewrap and socat" in lacking.mend
    for name, does in (("bwrap", "echo no namespaces here; exit 1"), ("socat", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    broken = only(tools.sandbox(Patient({"PATH": str(tmp_path)})))
    assert broken.mark is Mark.WARN and "no namespaces here" in broken.says


# --- The way to a model -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 302, 401, 404, 500])
def test_any_answer_of_the_api_will_do(status: int) -> None:
    with answering(status) as url:
        found = only(agent.api(patient(ANTHROPIC_BASE_URL=url)))
        assert (found.mark, found.says) == (Mark.OK, f"{url} answers")


def test_an_api_that_is_silent_or_not_there_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "API_WITHIN", 0.3)
    with silent() as url:
        assert "no answer within 0.3 s" in only(agent.api(patient(ANTHROPIC_BASE_URL=url))).says
    for url in (closed(), "http://[nonsense", "http://no.such.host.invalid"):
        found = only(agent.api(patient(ANTHROPIC_BASE_URL=url)))
        assert found.mark is Mark.WARN and found.mend


def test_an_address_is_shown_without_its_secrets() -> None:
    url = closed().replace("//", "//me:s3cret@") + "/v1?key=s3cret"
    assert "s3cret" not in only(agent.api(patient(ANTHROPIC_BASE_URL=url))).says


# --- MCP servers --------------------------------------------------------------------------------------


def python(code: str) -> McpServer:
    return McpServer(command=sys.executable, args=["-c", code])


def test_a_server_that_answers_is_well(tmp_path: Path) -> None:
    assert tools.a_server(patient(tmp_path), "x", python(SERVER)).mark is Mark.OK


@pytest.mark.parametrize(
    ("server", "word"),
    [
        (McpServer(command="/no/such/program"), "can't be started"),
        (python("import sys; sys.exit(4)"), "ended with status 4"),
        (python("print('hello', flush=True)"), "ended with status 0"),
        (python("import time; time.sleep(600)"), "doesn't answer within 0.5 s"),
        (python("while True: print('x' * 100)"), "doesn't answer"),
    ],
)
def test_a_server_that_does_not_answer_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: McpServer, word: str
) -> None:
    monkeypatch.setattr(tools, "MCP_WITHIN", 0.5)
    found = tools.a_server(patient(tmp_path), "x", server)
    assert found.mark is Mark.WARN and word in found.says and "a run goes on without it" in found.mend


def test_a_server_and_its_children_are_gone_afterwards(tmp_path: Path) -> None:
    mark = str(tmp_path / "pids")
    tell = f"import os, time; child = os.fork(); open({mark!r}, 'a').write(f'{{os.getpid()}} ')\n"
    stay = "if not child: os.setsid(); time.sleep(600)\n"
    both = f"while len(open({mark!r}).read().split()) < 2: time.sleep(0.01)\n"
    assert tools.a_server(patient(tmp_path), "x", python(tell + stay + both + SERVER)).mark is Mark.OK
    pids = [int(word) for word in Path(mark).read_text().split()]

    def gone(pid: int) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        return True

    until(lambda: all(map(gone, pids)), 5, "they are gone")


def test_a_server_gets_nothing_that_pays_for_the_model(tmp_path: Path) -> None:
    tell = f"import os; open({str(tmp_path / 'env')!r}, 'w').write(str(dict(os.environ)))\n"
    tools.a_server(patient(tmp_path, ANTHROPIC_API_KEY="k3y", OTHER="0ther"), "x", python(tell + SERVER))
    told = (tmp_path / "env").read_text()
    assert "0ther" in told and "k3y" not in told


def test_a_browser_of_ones_own_stands_for_the_machines(tmp_path: Path) -> None:
    (tmp_path / "longwatch.toml").write_text('[mcp.browser]\ncommand = "x"\nroles = ["evaluator"]\n')
    (found,) = tools.a_browser(patient(tmp_path))
    assert (found.mark, found.says) == (Mark.OK, "that of longwatch.toml, for evaluator")


def test_a_server_with_an_address_is_asked_there() -> None:
    with answering(200) as good, answering(404) as bad:
        assert tools.a_server(patient(), "x", McpServer(url=good)).mark is Mark.OK
        assert "404" in tools.a_server(patient(), "x", McpServer(url=bad)).says
    assert "can't be reached" in tools.a_server(patient(), "x", McpServer(url=closed())).says


def test_servers_of_the_run_are_looked_at_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "MCP_WITHIN", 0.4)
    monkeypatch.setattr(examination, "LOOKS", ())
    sleeps = f'command = "{sys.executable}"\nargs = ["-c", "import time; time.sleep(600)"]\n'
    names = [f"s{number}" for number in range(6)]
    (tmp_path / "longwatch.toml").write_text("".join(f"[mcp.{name}]\n{sleeps}" for name in names))
    begun = time.monotonic()
    found = marks(examine(RunDir.at(tmp_path), HOME))
    assert found == {f"mcp.{name}": Mark.WARN for name in names}
    assert time.monotonic() - begun < 0.4 * len(names)


# --- A run's directory --------------------------------------------------------------------------------


def test_a_sound_run_is_well(tmp_path: Path) -> None:
    scene = scenes.SCENES["complete"](tmp_path)
    assert marks(directory.place(patient(tmp_path))) == {"DIR": Mark.OK}
    told = {check.name: check for check in directory.journal(patient(tmp_path))}
    assert told["journal"].mark is Mark.OK and "whole" in told["journal"].says
    assert scene.run.journal.exists()


def test_a_run_without_its_engine_is_told(tmp_path: Path) -> None:
    scenes.SCENES["running"](tmp_path)
    told = {check.name: check for check in directory.journal(patient(tmp_path))}
    assert told["engine"].mark is Mark.WARN and told["engine"].mend.startswith("longwatch resume")


def test_a_damaged_journal_is_counted(tmp_path: Path) -> None:
    scene = scenes.SCENES["complete"](tmp_path)
    lines = scene.run.journal.read_bytes().splitlines(keepends=True)
    lines[3] = b"\0\0\0 not an event\n"
    scene.run.journal.write_bytes(b"".join(lines))
    told = {check.name: check for check in directory.journal(patient(tmp_path))}
    assert told["journal"].mark is Mark.WARN and "1 damaged lines, 1 gaps" in told["journal"].says


def test_a_damaged_run_json_is_a_failure(tmp_path: Path) -> None:
    scene = scenes.SCENES["complete"](tmp_path)
    scene.run.run_json.write_text("{")
    told = {check.name: check for check in directory.journal(patient(tmp_path))}
    assert told["run"].mark is Mark.FAIL


def test_a_newer_run_is_a_failure_with_a_sentence(tmp_path: Path) -> None:
    scene = scenes.empty(tmp_path)
    scene.add(ev.RunStarted(format=99, preset="x", run_id="r"))
    told = {check.name: check for check in directory.journal(patient(tmp_path))}
    assert told["journal"].mark is Mark.FAIL


@pytest.mark.parametrize("text", ["= 1", "preset = 'magic'", "[limits]\nmax_usd = 'much'"])
def test_a_wrong_configuration_is_a_failure(tmp_path: Path, text: str) -> None:
    (tmp_path / "longwatch.toml").write_text(text)
    assert only(directory.configuration(patient(tmp_path))).mark is Mark.FAIL


def test_a_directory_that_can_not_be_is_a_failure(tmp_path: Path) -> None:
    assert only(directory.place(patient(tmp_path / "a" / "b" / "c"))).mark is Mark.FAIL


# --- What is around -----------------------------------------------------------------------------------


def test_what_the_terminal_can_show_is_told() -> None:
    assert only(surroundings.terminal(patient(TERM="dumb"))).mark is Mark.WARN
    tmux = surroundings.terminal(patient(TERM="tmux-256color", TMUX="x"))
    assert "multiplexer" in only(tmux).says or sys.stdout.encoding.lower() != "utf-8"


def test_wrong_settings_are_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "config.toml"
    monkeypatch.setenv("LONGWATCH_CONFIG", str(place))
    assert only(surroundings.own_settings(patient())).mark is Mark.OK
    place.write_text("[notify]\ncommand = 'true'\nurl = 'json://host/k3y'\n")
    assert only(surroundings.messages(patient())).says == "command, url"
    place.write_text("theme = 'pink'")
    assert only(surroundings.own_settings(patient())).mark is Mark.FAIL
