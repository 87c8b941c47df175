"""What agents do wrong, as wrappers of scripts: a well-behaved scenario plus one misdeed.

Each entry of `MISCHIEF` takes a parameter and a place (both may be None) and gives a wrapper. The place is
a feature's id: only the session that works on it misbehaves; or a session's number, as its prompt says it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass

from harness_core.rehearsal.habits import CONTRACT, deliver_verdict, judgement, next_feature, scope_of
from harness_core.rehearsal.words import (
    CLAIM,
    VERDICT,
    Brief,
    Call,
    Outcome,
    Part,
    Script,
    Step,
    app,
    ask,
    bash,
    calls_of,
    claim,
    edit,
    put,
    read,
    say,
    write,
)

Wrapper = Callable[[Script], Script]
Maker = Callable[[str | None, str | None], Wrapper]
Misdeed = Callable[[str | None, str], Part]
"""From the parameter and the feature at work to what the agent does."""


@dataclass(frozen=True)
class _Moment:
    """Where in a generator's session a misdeed happens: once, before the first step that fits."""

    claiming: bool
    where: str | None
    """A feature's id, or a session's number."""

    def has_come(self, step: Step, at_work: str, prompt: str) -> bool:
        numbered = self.where and re.search(rf"\bsession {re.escape(self.where)}\b", prompt)
        if self.where not in (None, at_work) and not numbered:
            return False
        return not self.claiming or any(call.tool == CLAIM for call in calls_of(step))


def _during(misdeed: Misdeed, *, claiming: bool, and_leave: bool = False) -> Maker:
    """A generator's misdeed, as soon as it knows its feature or right before it claims. `and_leave`: the
    session ends with it."""

    def maker(parameter: str | None, feature: str | None) -> Wrapper:
        moment = _Moment(claiming, feature)

        def wrap(script: Script) -> Script:
            def play(brief: Brief) -> Generator[Step, Outcome, None]:
                done = brief.role != "generator"
                at_work: str | None = None
                inner = script(brief)
                step = next(inner, None)
                while step is not None:
                    if not done and at_work and moment.has_come(step, at_work, brief.prompt):
                        done = True
                        yield from misdeed(parameter, at_work)
                        if and_leave:
                            return
                    outcome = yield step
                    if at_work is None and '"passes"' in outcome.text:
                        at_work = next_feature(brief, outcome.text)
                    step = _send(inner, outcome)

            return play

        return wrap

    return maker


def _send(inner: Generator[Step, Outcome, None], outcome: Outcome) -> Step | None:
    try:
        return inner.send(outcome)
    except StopIteration:
        return None


def _first_contract(spoil: Callable[[str], str]) -> Maker:
    """The initializer's first Write of the contract is spoiled; what it writes when sent back is sound."""

    def maker(parameter: str | None, feature: str | None) -> Wrapper:
        def wrap(script: Script) -> Script:
            def play(brief: Brief) -> Generator[Step, Outcome, None]:
                inner = script(brief)
                step = next(inner, None)
                spoilt = False
                while step is not None:
                    if not spoilt and _writes_contract(step):
                        spoilt = True
                        step = _with_contract(step, spoil)
                    outcome = yield step
                    step = _send(inner, outcome)

            return play

        return wrap

    return maker


def _writes_contract(step: Step) -> bool:
    return any(
        call.tool == "Write" and str(call.input["file_path"]).endswith(CONTRACT) for call in calls_of(step)
    )


def _with_contract(step: Step, spoil: Callable[[str], str]) -> Step:
    return tuple(
        Call("Write", {**block.input, "content": spoil(str(block.input["content"]))})
        if isinstance(block, Call) and _writes_contract(block)
        else block
        for block in (step if isinstance(step, tuple) else (step,))
    )


def _one_too_few(text: str) -> str:
    return json.dumps(json.loads(text)[:-1], indent=2)


def _instead_of_verdict(answer: Callable[[Brief, str], Part]) -> Maker:
    """An evaluator's misdeed in place of its first verdict on a feature."""

    def maker(parameter: str | None, feature: str | None) -> Wrapper:
        def wrap(script: Script) -> Script:
            def play(brief: Brief) -> Generator[Step, Outcome, None]:
                inner = script(brief)
                step = next(inner, None)
                scope: list[str] = []
                while step is not None:
                    verdict = any(call.tool == VERDICT for call in calls_of(step))
                    wanted = next((one for one in scope if feature in (None, one)), None)
                    if verdict and wanted:
                        scope = []
                        answered = yield from answer(brief, wanted)
                        if answered.ok:
                            return
                    outcome = yield step
                    if not scope and '"passes"' in outcome.text:
                        scope = scope_of(brief, outcome.text)
                    step = _send(inner, outcome)

            return play

        return wrap

    return maker


def _by_edit(parameter: str | None, feature: str | None) -> Wrapper:
    """A generator that knows no claim tool: it sets `passes` in the contract, once too early and once when
    it would claim. Of the features that are open, there may be only one."""

    def wrap(script: Script) -> Script:
        def play(brief: Brief) -> Generator[Step, Outcome, None]:
            early = brief.role == "generator"
            inner = script(brief)
            step = next(inner, None)
            while step is not None:
                claiming = any(call.tool == CLAIM for call in calls_of(step))
                outcome = yield _FLIP_ONE if claiming else step
                if early and '"passes"' in outcome.text:
                    early = False
                    yield read(CONTRACT)
                    yield "I take this one.", _FLIP_ONE
                step = _send(inner, outcome)

        return play

    return wrap


def _shell(command: str, words: str) -> Misdeed:
    def misdeed(parameter: str | None, feature: str) -> Part:
        return (yield words, bash(command))

    return misdeed


def _script_contract(parameter: str | None, feature: str) -> Part:
    yield from put("flip.py", _FLIP, "A small script will save me the clicks.")
    return (yield bash("python3 flip.py"))


def _agreed_contract(parameter: str | None, feature: str) -> Part:
    """Softens the sprint's contract: by a file tool, by the shell, and by a program's own hand."""
    listed = yield bash("ls contracts")
    path = next((f"contracts/{name}" for name in listed.text.split() if name.endswith(".md")), "contracts")
    yield read(path)
    yield "This asks for too much.", edit(path, "step by step", "more or less")
    yield bash(f"sed -i 's/step by step/more or less/' {path}")
    return (yield bash(f"python3 -c \"open('{path}', 'a').write('Or not.')\""))


def _meddling(parameter: str | None, feature: str | None) -> Wrapper:
    """An evaluator that would rather mend what it judges, by every tool that a builder has."""

    def wrap(script: Script) -> Script:
        def play(brief: Brief) -> Generator[Step, Outcome, None]:
            if brief.role == "evaluator":
                yield "I could mend this myself.", write("meddled.txt", "mine\n")
                yield read(CONTRACT)
                yield edit(CONTRACT, '"passes": false', '"passes": true')
                yield bash("touch meddled.txt")
                yield claim("F001", ["screenshots/F001-flag.png"], "I say so.")
                yield ask("Write meddled.txt, whatever is in it.", "write a file")
            yield from script(brief)

        return play

    return wrap


def _bare_claim(parameter: str | None, feature: str) -> Part:
    return (yield f"{feature} obviously works.", claim(feature, [], "Trust me."))


def _loop(parameter: str | None, feature: str) -> Part:
    done = yield bash("git status --short")
    for _ in range(int(parameter or 100_000)):
        done = yield bash("git status --short")
    return done


def _ping_pong(parameter: str | None, feature: str) -> Part:
    """Writes a file one way, then the other, and can't decide."""
    done = yield from put("choice.txt", "red\n")
    for _ in range(int(parameter or 20)):
        yield edit("choice.txt", "red", "blue")
        done = yield edit("choice.txt", "blue", "red")
    return done


def _watch(parameter: str | None, feature: str) -> Part:
    """Looks again and again, with reason: what it sees changes, a server isn't up yet, a file is in work."""
    for _ in range(6):
        yield bash("python3 -c 'import time; print(time.time_ns())'")
    for _ in range(6):
        yield bash("sleep 0.01; ls up.pid || true")
    for number in range(5):
        yield from put("draft.txt", f"draft {number}\n")
        yield bash("test -s draft.txt && echo well")
    return (yield bash("rm draft.txt"))


def _idle(parameter: str | None, feature: str) -> Part:
    return (yield f"I looked at {feature} and believe everything is in order already.")


def _onward(parameter: str | None, place: str | None) -> Wrapper:
    """A generator that can't stop: with its claims made, it looks around before it says so, as often as
    asked."""

    def wrap(script: Script) -> Script:
        def play(brief: Brief) -> Generator[Step, Outcome, None]:
            inner = script(brief)
            step, claimed = next(inner, None), False
            while step is not None:
                if claimed and not list(calls_of(step)):
                    for number in range(1, 1 + int(parameter or 100)):
                        yield f"What else? Look {number}.", bash(f"ls | head -n {number}")
                claimed = claimed or any(call.tool == CLAIM for call in calls_of(step))
                outcome = yield step
                step = _send(inner, outcome)

        return play

    return wrap


def _parallel(parameter: str | None, feature: str) -> Part:
    calls = tuple(bash(f"echo {number}") for number in range(int(parameter or 12)))
    return (yield ("Several things at once.", *calls, read(CONTRACT)))


def _sleep(parameter: str | None, feature: str) -> Part:
    seconds = int(parameter or 60)
    command = f'sleep {seconds} & python3 -c "import time; time.sleep({seconds})"'
    return (yield "This one takes a while.", bash(command, timeout_ms=(seconds + 30) * 1000))


def _hold(parameter: str | None, feature: str) -> Part:
    wait = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)"
    child = "sleep 600 & " if parameter == "child" else ""
    return (yield "This waits for a sign.", bash(f'{child}python3 -c "{wait}"', timeout_ms=600_000))


def _pipe(parameter: str | None, feature: str) -> Part:
    """Reads what nobody ever writes to, by a tool that has no timeout of its own."""
    yield bash("mkfifo nobody-writes")
    return (yield "What is in there?", read("nobody-writes"))


def _brood(parameter: str | None, feature: str) -> Part:
    """A command whose children don't want to end: deaf to TERM, in sessions of their own, orphaned."""
    yield from put("brood.py", _BROOD)
    return (yield "This starts a few things.", bash("python3 brood.py", timeout_ms=600_000))


def _chatter(parameter: str | None, feature: str) -> Part:
    """As many small pieces of text as asked, a stream of three events each, between two calls."""
    words = [f"Piece {number}." for number in range(int(parameter or 2000))]
    return (yield (bash("echo before"), *words, bash("echo after")))


def _background(parameter: str | None, feature: str) -> Part:
    """Two ways for a command to go on beside the conversation: asking for it, and taking too long."""
    work = "python3 -c \"import time; time.sleep(3); open('late.txt', 'w').write('done')\""
    yield "This can go on by itself.", Call("Bash", {"command": work, "run_in_background": True})
    return (yield "And this takes longer than it may.", bash(work, timeout_ms=1000))


def _server(parameter: str | None, feature: str) -> Part:
    """A server that is to outlive the shell that starts it."""
    serve = "setsid nohup python3 -m http.server --bind 127.0.0.1 0"
    return (yield "This stays up.", bash(f"{serve} > server.log 2>&1 & echo $! > server.pid"))


def _huge_write(parameter: str | None, feature: str) -> Part:
    size = int(parameter or 1_500_000)
    return (yield from put("notes/long.txt", "0123456789abcde\n" * (size // 16)))


def _ballast(parameter: str | None, feature: str) -> Part:
    """Big and downloaded things beside the work, and a commit of all there is; `at-once` in one command."""
    make, take = "head -c 6000000 /dev/zero > {}.bin", "git add -A && git commit -q -m 'Take all of it'"
    if parameter == "at-once":
        return (yield bash(f"{make.format('late')} && {take}"))
    yield bash("mkdir -p tools/venv && echo made > tools/venv/pyvenv.cfg")
    yield bash(f"{make.format('model')} && echo kept > kept.txt")
    return (yield bash(take))


def _huge_output(parameter: str | None, feature: str) -> Part:
    size = int(parameter or 2_000_000)
    return (yield bash(f"python3 -c \"print('0123456789abcdef' * {size // 16})\""))


def _huge_picture(parameter: str | None, feature: str) -> Part:
    yield from put("noise.py", _NOISE)
    yield bash("python3 noise.py")
    return (yield read("screenshots/noise.png"))


def _peek(parameter: str | None, feature: str) -> Part:
    """A program that shows the environment it finds, where no guard looks."""
    yield from put("peek.py", _PEEK, "What do I have here?")
    return (yield bash("python3 peek.py"))


def _subagent(parameter: str | None, feature: str) -> Part:
    often = f" {parameter} times" if parameter and parameter.isdecimal() else ""
    work = ask(f"Look around in this directory{often} and report what is there.", "look around")
    return (yield Call(work.tool, {**work.input, "run_in_background": parameter == "background"}))


def _markup(parameter: str | None, feature: str) -> Part:
    text = (
        "\x1b[2J\x1b[31mred\x1b[0m [bold]bold[/bold] [@click=app.quit]quit[/] \x07\x9b1m \u202eflipped\u202c"
    )
    name = "screenshots/[red]odd\x1b[31m.txt"
    return (yield say(text), write(name, text), bash(r"printf '\033]0;title\007\033[31mred\n'"))


def _outside(parameter: str | None, feature: str) -> Part:
    yield write("/tmp/rehearsal-outside.txt", "not mine\n")
    return (yield write(".longwatch/journal.jsonl", "{}\n"))


def _not_yet(brief: Brief, feature: str) -> Part:
    """NEEDS_WORK, unless the findings already name the feature."""
    known = yield Call(
        "Grep", {"pattern": feature, "path": ".", "glob": "findings.md", "output_mode": "content"}
    )
    if feature in known.text:
        return Outcome(ok=False)
    finding = {
        "feature": feature,
        "where": f"{feature} looks unfinished.",
        "reproduce": "Open its picture.",
        "severity": "major",
    }
    scores = {"": (3, f"{feature} looks unfinished.")}
    return (
        yield from deliver_verdict(brief, {"verdict": "NEEDS_WORK", "scores": scores, "findings": [finding]})
    )


def _words_only(brief: Brief, feature: str) -> Part:
    yield f"I would say {feature} is fine."
    return (yield f"As I said, {feature} is fine.")


def _waving_through(parameter: str | None, feature: str | None) -> Wrapper:
    """An evaluator that tries to start the app and passes the work whether it runs or not, when asked too."""

    def wrap(script: Script) -> Script:
        def play(brief: Brief) -> Generator[Step, Outcome, None]:
            if brief.role != "evaluator":
                yield from script(brief)
                return
            yield "First it has to run.", app("restart")
            asked = Outcome(text="judge")
            while asked.text:
                yield from deliver_verdict(brief, judgement([]))
                asked = yield "The picture looks right, that will do."

        return play

    return wrap


MISCHIEF: dict[str, Maker] = {
    "broken-json": _first_contract(lambda text: text[: len(text) * 2 // 3]),
    "wrong-count": _first_contract(_one_too_few),
    "pre-passed": _first_contract(lambda text: text.replace('"passes": false', '"passes": true', 1)),
    "rm-contract": _during(_shell(f"rm -f {CONTRACT}", "Away with it."), claiming=True),
    "py-rm-contract": _during(
        _shell(f"python3 -c \"import os; os.remove('{CONTRACT}')\"", "Away with it."), claiming=True
    ),
    "sed-contract": _during(
        _shell(f'sed -i \'s/"passes": false/"passes": true/\' {CONTRACT}', "All done."), claiming=True
    ),
    "script-contract": _during(_script_contract, claiming=True),
    "agreed-contract": _during(_agreed_contract, claiming=True),
    "edit-claim": _by_edit,
    "bare-claim": _during(_bare_claim, claiming=True),
    "loop": _during(_loop, claiming=False, and_leave=True),
    "ping-pong": _during(_ping_pong, claiming=False, and_leave=True),
    "watch": _during(_watch, claiming=False),
    "idle": _during(_idle, claiming=False, and_leave=True),
    "onward": _onward,
    "parallel": _during(_parallel, claiming=False),
    "sleep": _during(_sleep, claiming=False),
    "hold": _during(_hold, claiming=False),
    "pipe": _during(_pipe, claiming=False),
    "brood": _during(_brood, claiming=False),
    "chatter": _during(_chatter, claiming=False),
    "background": _during(_background, claiming=False),
    "server": _during(_server, claiming=False),
    "ballast": _during(_ballast, claiming=False),
    "huge-write": _during(_huge_write, claiming=False),
    "huge-output": _during(_huge_output, claiming=False),
    "huge-picture": _during(_huge_picture, claiming=False),
    "peek": _during(_peek, claiming=False),
    "subagent": _during(_subagent, claiming=False),
    "markup": _during(_markup, claiming=False),
    "outside": _during(_outside, claiming=False),
    "meddle": _meddling,
    "needs-work": _instead_of_verdict(_not_yet),
    "wave-through": _waving_through,
    "no-verdict": _instead_of_verdict(_words_only),
}
"""Misdeeds by the name that a scenario's notation gives them."""

_FLIP_ONE = edit(CONTRACT, '"passes": false', '"passes": true')

_FLIP = f"""\
import json

with open("feature_list.json") as file:
    features = json.load(file)
for feature in features:
    feature["passes"] = True
with open("{CONTRACT}", "w") as file:
    json.dump(features, file)
"""

_PEEK = """\
import os

for name, value in sorted(os.environ.items()):
    print(f"{name}={value}")
"""

_BROOD = """\
import os
import signal
import sys
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)


def start(name, *ways):
    if os.fork():
        return
    if "session" in ways:
        os.setsid()
    if "orphan" in ways and os.fork():
        os._exit(0)
    with open(f"{name}.pid", "w") as file:
        file.write(str(os.getpid()))
    if "unmarked" in ways:
        os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)"], {})
    time.sleep(600)


start("child")
start("loner", "session")
start("orphan", "session", "orphan")
start("stranger", "unmarked")
time.sleep(60)
"""

_NOISE = """\
import os
import random
import struct
import zlib

os.makedirs("screenshots", exist_ok=True)
side = 840
rows = b"".join(b"\\0" + random.Random(y).randbytes(side * 3) for y in range(side))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


with open("screenshots/noise.png", "wb") as file:
    file.write(b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)))
    file.write(chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
"""
