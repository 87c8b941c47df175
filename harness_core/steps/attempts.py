"""Breadcrumbs: what each builder's session tried on a feature, and what became of it.

An attempt is written when its session ends, and brought up to date when a verdict or a change of the feature
comes. All of it follows from the journal, so writing one again is harmless, and a kill loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from harness_core.contract.record import Status
from harness_core.evidence.fingerprint import relative_to
from harness_core.guards.tools import WRITERS, target
from harness_core.layout import NOTES_NAMES, RunDir
from harness_core.machine.files import read_bounded, write_whole
from harness_core.reading.sieve import Sieve
from harness_core.record import events as ev
from harness_core.run import Logbook

WORDS = 1500
"""Characters that are kept of what somebody said."""
MOST = 20
"""Files, commits, refusals and findings that are kept of one attempt: the last ones."""
TOLD = 3
"""Attempts at a feature that its next session is told of."""
TOLD_CHARACTERS = 8000
"""Characters of all that a session is told."""
_HANDED_OVER = {*NOTES_NAMES, "ARCHITECTURE.md"}
"""What is written between a claim and the commit of what was claimed."""
_LOOKED_BACK = 64 << 20
"""Bytes of a journal's end in which a start looks for the newest build."""
_OF_SESSION = (ev.Text, ev.ToolUse, ev.GuardDecision, ev.Commit, ev.FeatureChanged, ev.SessionEnded)
_OF_BUILDS = (ev.SessionStarted, ev.SessionEnded, ev.Verdict, ev.FeatureChanged)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One session's work on one feature, `attempts/NNN-FEATURE.json`."""

    session: int
    feature: str
    started: str
    ended: str
    reason: str
    """How the session ended."""
    tried: str = ""
    """The last that its builder said."""
    files: list[str] = []
    commits: list[str] = []
    """`sha subject` of each."""
    refused: list[str] = []
    """Why claims were refused."""
    claimed: bool = False
    findings: list[ev.Finding] = []
    """What evaluators found in it afterwards."""
    held: bool | None = None
    """Whether its claim held; None while nobody has said."""
    state: str = ""
    """The feature's newest status that follows from this attempt."""
    note: str = ""


def attempts_at(run: RunDir, feature: str) -> list[Attempt]:
    """What was tried on a feature, the newest first; what can't be read is left out."""
    try:
        names = os.listdir(run.attempts)
    except OSError:
        return []
    wanted = f"-{_file_word(feature)}.json"
    found = [name for name in names if re.fullmatch(rf"\d+{re.escape(wanted)}", name)]
    read = (_read(run.attempts / name) for name in sorted(found, key=_number, reverse=True))
    return [attempt for attempt in read if attempt is not None and attempt.feature == feature]


class Attempts:
    """Listens to a run and keeps its attempts."""

    def __init__(self, run: Logbook) -> None:
        self._run = run
        self._build: ev.SessionStarted | None = None
        """The build under way, and where its journal begins."""
        self._offset = 0

    def listen(self) -> None:
        """Write what the last engine couldn't, and go on with what happens from now on."""
        for event, offset in _since_newest_build(self._run.dir.journal):
            self._hear(event, offset)
        self._run.listeners.append(lambda event: self._hear(event, self._run.journal.size))

    def _hear(self, event: ev.Event, offset: int) -> None:
        # Breadcrumbs help the next session; a disk that has no room for them is no reason to stop.
        with contextlib.suppress(OSError):
            match event:
                case ev.SessionStarted() if begins_build(event):
                    self._build, self._offset = event, offset
                case ev.SessionEnded() if self._build is not None and self._build.session == event.session:
                    self._keep(self._build)
                    self._build = None
                case ev.Verdict():
                    self._judge(event)
                case ev.FeatureChanged() if event.to is not Status.CLAIMED:
                    self._change(event)

    def _keep(self, build: ev.SessionStarted) -> None:
        root, git = self._run.dir.root, self._run.git
        events = Sieve(self._run.dir.journal, *_OF_SESSION, offset=self._offset).read()
        for attempt in tried_in(build, events, root):
            shas = [commit.partition(" ")[0] for commit in attempt.commits]
            files = [*dict.fromkeys([*attempt.files, *git.files_of(shas)])]
            state = self._run.state.features.get(attempt.feature)
            status = state.status.value if state is not None else ""
            self._write(msgspec.structs.replace(attempt, files=files[-MOST:], state=status))

    def _judge(self, verdict: ev.Verdict) -> None:
        alone = verdict.scope[0] if len(verdict.scope) == 1 else None
        about: dict[str, list[ev.Finding]] = {}
        for finding in verdict.findings:
            if (feature := finding.feature or alone) is not None:
                about.setdefault(feature, []).append(finding)
        for feature, findings in about.items():
            for attempt in attempts_at(self._run.dir, feature)[:1]:
                known = [*attempt.findings, *(item for item in findings if item not in attempt.findings)]
                self._write(msgspec.structs.replace(attempt, findings=known[-MOST:]))

    def _change(self, change: ev.FeatureChanged) -> None:
        for attempt in attempts_at(self._run.dir, change.feature)[:1]:
            held = _HELD.get(change.to, attempt.held) if attempt.claimed else False
            self._write(
                msgspec.structs.replace(attempt, held=held, state=change.to.value, note=_cut(change.note))
            )

    def _write(self, attempt: Attempt) -> None:
        name = f"{attempt.session:03d}-{_file_word(attempt.feature)}.json"
        data = msgspec.json.format(msgspec.json.encode(attempt), indent=1) + b"\n"
        write_whole(self._run.dir.attempts / name, data, durable=False)


_HELD = {
    Status.VERIFIED: True,
    Status.APPROVED: True,
    Status.FAILING: False,
    Status.REGRESSED: False,
}


def begins_build(event: ev.SessionStarted) -> bool:
    """Whether a builder begins here, not one that goes on or that only negotiates."""
    return event.role == "generator" and event.phase != "negotiate" and not event.resumed


# --- What a session tried ---------------------------------------------------------------------------------


@dataclass
class _Work:
    """What a session did up to a claim, or from its last claim to its end."""

    started: str
    words: str = ""
    files: dict[str, str] = field(default_factory=dict)
    """Paths by the call that wrote them."""
    commits: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def take(self, event: ev.Event, root: Path) -> None:
        match event:
            case ev.Text(text=text, agent=None):
                self.words = text
            case ev.ToolUse(tool=tool, input=given) if tool in WRITERS:
                path = relative_to(root, target(tool, given))
                self.files |= {event.tool_use_id: path} if path not in (None, ".") else {}
            case ev.GuardDecision(guard="evidence", reason=reason):
                self.refused.append(_cut(reason))
            case ev.GuardDecision(tool_use_id=call):
                self.files.pop(call, None)
            case ev.Commit(sha=sha, subject=subject, by=by):
                what = "what was left uncommitted" if by == "engine" else subject[:200]
                self.commits.append(f"{sha[:10]} {what}")

    @property
    def changes_sources(self) -> bool:
        """Whether anything was written besides what a session hands over."""
        return any(path not in _HANDED_OVER for path in self.files.values())

    def committed(self, attempt: Attempt, commit: ev.Commit) -> Attempt:
        """An attempt whose feature was claimed, with what was committed and handed over since."""
        self.take(commit, Path())
        files = [*dict.fromkeys([*attempt.files, *self.files.values()])][-MOST:]
        commits = [*attempt.commits, *self.commits][-MOST:]
        self.files, self.commits = {}, []
        return msgspec.structs.replace(attempt, files=files, commits=commits)

    def attempt(self, build: ev.SessionStarted, feature: str, ended: str, reason: str) -> Attempt:
        return Attempt(
            session=build.session or 0,
            feature=feature,
            started=self.started,
            ended=ended,
            reason=reason,
            tried=_cut(self.words),
            files=[*dict.fromkeys(self.files.values())][-MOST:],
            commits=self.commits[-MOST:],
            refused=self.refused[-MOST:],
        )


def tried_in(build: ev.SessionStarted, events: Iterable[ev.Event], root: Path) -> list[Attempt]:
    """The attempts of one session, from its events up to its end.

    Where it is about several features, what comes before a claim belongs to the feature claimed, with the
    commits after it until other sources are written, and the rest to the first that it never claimed.
    """
    about = build.features or ([build.feature] if build.feature else [])
    work, made, reason, ended = _Work(build.ts), dict[str, Attempt](), "", build.ts
    claims: set[str] = set()
    newest = ""
    for event in events:
        if isinstance(event, ev.SessionEnded):
            reason, ended = event.reason, event.ts
            break
        if isinstance(event, ev.Commit) and newest in made and not work.changes_sources:
            made[newest] = work.committed(made[newest], event)
            continue
        work.take(event, root)
        if isinstance(event, ev.FeatureChanged) and event.by == "generator" and event.to is Status.CLAIMED:
            claims.add(event.feature)
            if len(about) > 1:
                newest = event.feature
                made[newest] = work.attempt(build, newest, event.ts, "claimed")
                work = _Work(event.ts)
    left = about[0] if len(about) == 1 else next((name for name in about if name not in claims), None)
    if left is not None:
        made[left] = work.attempt(build, left, ended, reason)
    return [msgspec.structs.replace(item, claimed=name in claims) for name, item in made.items()]


def _since_newest_build(journal: Path) -> Iterator[tuple[ev.Event, int]]:
    """The events from the newest builder's start on, each with the offset after it."""
    size = journal.stat().st_size
    window, begins = 256 << 10, None
    while begins is None and window <= _LOOKED_BACK:
        start = max(0, size - window)
        sieve = Sieve(journal, ev.SessionStarted, offset=start)
        for event in sieve.read():
            begins = event.seq if isinstance(event, ev.SessionStarted) and begins_build(event) else begins
        window = window * 4 if start else _LOOKED_BACK + 1
    sieve = Sieve(journal, *_OF_BUILDS, offset=start)
    for event in sieve.read():
        if begins is not None and event.seq >= begins:
            yield event, sieve.offset


# --- What the next session is told -------------------------------------------------------------------------


def told(run: RunDir, features: Sequence[str]) -> str:
    """What was tried on these features, for whoever builds them next: the newest first, within bounds."""
    each = TOLD if len(features) == 1 else 1
    parts: list[str] = []
    left = TOLD_CHARACTERS
    for feature in features:
        for attempt in attempts_at(run, feature)[:each]:
            part = _in_words(attempt)
            if len(part) > left:
                return "\n\n".join(parts)
            parts.append(part)
            left -= len(part)
    return "\n\n".join(parts)


def _in_words(attempt: Attempt) -> str:
    lines = [f"- {attempt.feature}, in session no. {attempt.session} ({_took(attempt)}): {_outcome(attempt)}"]
    if attempt.tried:
        lines.append(f"  Its builder's last words: {_line(attempt.tried)}")
    if attempt.files:
        lines.append(f"  It changed: {', '.join(attempt.files[-10:])}.")
    if attempt.commits:
        lines.append(f"  Commits: {'; '.join(attempt.commits[-5:])}.")
    lines += [f"  A claim was refused: {_line(reason, 400)}" for reason in attempt.refused[-3:]]
    for item in attempt.findings[-5:]:
        how = f" To see it: {_line(item.reproduce, 300)}" if item.reproduce else ""
        lines.append(f"  Found in it afterwards ({item.criterion}): {_line(item.where, 500)}{how}")
    return "\n".join(lines)


def _outcome(attempt: Attempt) -> str:
    note = f" ({_line(attempt.note, 300)})" if attempt.note else ""
    if not attempt.claimed:
        return f"no claim was accepted; the session ended with `{attempt.reason}`."
    if attempt.held is None:
        return "claimed."
    return "claimed, and it held." if attempt.held else f"claimed, and it did not hold{note}."


def _took(attempt: Attempt) -> str:
    with contextlib.suppress(ValueError):
        span = datetime.fromisoformat(attempt.ended) - datetime.fromisoformat(attempt.started)
        return f"{max(0, round(span.total_seconds() / 60))} min"
    return "time unknown"


def _line(text: str, most: int = WORDS) -> str:
    return _cut(" ".join(text.split()), most)


def _cut(text: str, most: int = WORDS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


# --- Files ---------------------------------------------------------------------------------------------


def _file_word(feature: str) -> str:
    """A feature's id as part of a file name; one that can't be that gets its hash, so that no two meet."""
    plain = re.sub(r"[^A-Za-z0-9_.]+", "_", feature)[:60]
    return plain if plain == feature else f"{plain}.{hashlib.sha256(feature.encode()).hexdigest()[:8]}"


def _number(name: str) -> int:
    return int(name.partition("-")[0])


def _read(path: Path) -> Attempt | None:
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(read_bounded(path) or b"", type=Attempt)
    return None
