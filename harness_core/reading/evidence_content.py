"""What is in a piece of evidence: a picture's bytes, a text's last lines."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess

from harness_core.evidence.claim import MAX_BYTES, evidence_kind
from harness_core.evidence.files import Kind
from harness_core.layout import EVIDENCE_DIR, RunDir
from harness_core.reading.evidence_list import File, Item

TEXT_END = 256 << 10
"""Bytes of a text's end that are shown."""
MOST_LINES = 2_000
LONGEST_LINE = 2_000
_GIT_SECONDS = 10
_MOST_COMMITS = 20
_MOST_PIECES = 30
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")


class Unseen(Exception):
    """A content can't be shown; the message says why, as a placeholder has it."""


def content(run: RunDir, item: Item) -> bytes:
    """A picture's whole content, or a text's last part. Raises Unseen."""
    file = item.file
    if file.flaw:
        raise Unseen(file.flaw)
    if file.kind is None:
        raise Unseen("neither a picture nor text")
    if file.kind is Kind.PICTURE and file.size > MAX_BYTES:
        raise Unseen("too large")
    return _committed(run, item) if file.commit else _on_disk(run, file)


def _on_disk(run: RunDir, file: File) -> bytes:
    try:
        descriptor = os.open(run.root / file.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise Unseen("not a regular file")
            if file.kind is Kind.TEXT:
                stream.seek(max(0, found.st_size - TEXT_END))
                return stream.read(TEXT_END)
            return stream.read(MAX_BYTES)
    except FileNotFoundError:
        raise Unseen("gone") from None
    except OSError as error:
        raise Unseen(f"can't be read ({error.strerror})") from None


def _committed(run: RunDir, item: Item) -> bytes:
    """The content that a claim has bound. A claim names the newest commit of its time, which mostly doesn't
    have the piece yet; so the commits that follow are asked too, and the sha256 says which has it."""
    file = item.file
    later = _git(run, "rev-list", "--reverse", f"{file.commit}..HEAD", "--", file.path).decode().split()
    for commit in (file.commit, *later[:_MOST_COMMITS]):
        # `cat-file` runs neither filters nor programs of the repository, whatever its settings say.
        data = _git(run, "cat-file", "blob", f"{commit}:{file.path}")
        if hashlib.sha256(data).hexdigest() == item.sha256:
            return data[-TEXT_END:] if file.kind is Kind.TEXT else data
    raise Unseen("git doesn't have it")


def at_commit(run: RunDir, commit: str) -> list[Item]:
    """The evidence that a commit has, the first few pieces of it by name."""
    when = _git(run, "show", "-s", "--format=%ct", commit, "--").decode().strip()
    listed = _git(run, "ls-tree", "-r", "-z", "--long", commit, "--", f"{EVIDENCE_DIR}/")
    found = []
    for entry in listed.decode(errors="replace").split("\0"):
        about, _, path = entry.partition("\t")
        mode, kind, blob, size = about.split() if about.count(" ") >= 3 else ("", "", "", "")
        if kind != "blob" or not size.isdigit() or evidence_kind(path) is None:
            continue
        flaw = "" if mode.startswith("100") else "a link, not followed"
        data = _git(run, "cat-file", "blob", blob) if int(size) <= MAX_BYTES else b""
        file = File(path, int(size), int(when or 0) * 10**9, flaw, commit)
        found.append(Item(file, sha256=hashlib.sha256(data).hexdigest()))
        if len(found) == _MOST_PIECES:
            break
    return found


def _git(run: RunDir, *arguments: str) -> bytes:
    """What git says, nothing where it refuses."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=run.root,
            env={**os.environ, "GIT_LITERAL_PATHSPECS": "1", "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return b""
    return done.stdout if done.returncode == 0 else b""


def text_lines(data: bytes) -> list[str]:
    """The last lines of a text, as a terminal would leave them: no colours, and of what a carriage return
    wrote over only the last."""
    text = _ESCAPES.sub("", data.decode("utf-8", errors="replace"))
    lines = [line.rstrip("\r").rpartition("\r")[2][:LONGEST_LINE] for line in text.rstrip().split("\n")]
    if len(data) >= TEXT_END:
        # The first one has most likely lost its beginning.
        lines[0] = "…"
    return lines[-MOST_LINES:]
