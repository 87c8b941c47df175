"""What a change has changed, as lines to read: file by file, with line numbers, cut where it is too long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from harness_core.safe import safe
from tui.console.git_log import Output, Repository

MOST_LINES = 5000
"""Lines of a diff that are shown."""
_MOST_BYTES = 4 << 20
_LINE = 1000
"""Characters of a line that are shown."""
_LISTED = 200
"""Files that are listed before the diff."""
_DIFF = ("--no-color", "--no-ext-diff", "--no-textconv", "--numstat", "--patch", "--submodule=short")
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)")
_SAID = {
    "new file mode": "new",
    "deleted file mode": "deleted",
    "old mode": "mode changed",
    "copy from ": "copied from",
    "rename from ": "renamed from",
}


class Kind(Enum):
    """What a line of a patch is."""

    TITLE = "title"
    WORDS = "words"
    COUNT = "count"
    FILE = "file"
    HUNK = "hunk"
    ADDED = "added"
    REMOVED = "removed"
    SAME = "same"
    REMARK = "remark"


@dataclass(frozen=True, slots=True)
class PatchLine:
    """A line, made safe to show. `number` is that of the new file."""

    kind: Kind
    text: str
    number: int = 0


def of_commit(repository: Repository, sha: str) -> list[PatchLine]:
    """A commit: its message, its files, its diff. A merge is compared with its first parent."""
    form = "--format=%an%x00%ci%x00%B%x00"
    first_parent = "--diff-merges=first-parent"
    output = _ask(repository, "show", form, "--encoding=UTF-8", first_parent, *_DIFF, sha, "--")
    author, _, rest = output.text.partition("\0")
    when, _, rest = rest.partition("\0")
    message, _, rest = rest.partition("\0")
    subject, _, body = message.strip("\n").partition("\n")
    head = [_line(Kind.TITLE, subject), _line(Kind.REMARK, f"{author} · {when}")]
    head += [_line(Kind.WORDS, text) for text in body.split("\n")[:_LISTED]] if body.strip() else []
    return [*head, *_body(output, rest, f"git show {sha[:10]}")]


def of_commits(repository: Repository, first: str, last: str) -> list[PatchLine]:
    """What the commits from `first` to `last` have changed together."""
    parent = repository.run("rev-parse", "-q", "--verify", f"{first}^").text.strip()
    base = parent or repository.empty_tree()
    output = _ask(repository, "diff", *_DIFF, base, last, "--")
    lines = list(_body(output, output.text, f"git diff {base[:10]} {last[:10]}"))
    return lines[1:] if not lines[0].text else lines


def of_uncommitted(repository: Repository) -> list[PatchLine]:
    """What differs from HEAD; of untracked files the names."""
    head = repository.run("rev-parse", "-q", "--verify", "HEAD").text.strip() or repository.empty_tree()
    with repository.own_index() as index:
        # Else files that were only touched count as changed.
        repository.run("update-index", "-q", "--refresh", index=index)
        output = _ask(repository, "diff", *_DIFF, "--ignore-submodules=dirty", head, "--", index=index)
    untracked = repository.untracked()
    lines = [] if untracked and not output.text else list(_body(output, output.text, "git diff HEAD"))
    if untracked:
        lines += [_line(Kind.REMARK, ""), _line(Kind.FILE, f"{len(untracked):,} untracked")]
        lines += [_line(Kind.ADDED, name) for name in untracked[:_LISTED]]
        lines += _and_more(len(untracked))
    return lines[1:] if lines and not lines[0].text else lines


def _ask(repository: Repository, *arguments: str, index: Path | None = None) -> Output:
    return repository.run(*arguments, most=_MOST_BYTES, index=index)


def _line(kind: Kind, text: str, number: int = 0) -> PatchLine:
    shown = text if len(text) <= _LINE else f"{text[:_LINE]}…"
    return PatchLine(kind, safe(shown).replace("\n", " ").expandtabs(4), number)


def _and_more(count: int) -> list[PatchLine]:
    return [_line(Kind.REMARK, f"and {count - _LISTED} more files")] if count > _LISTED else []


def _body(output: Output, text: str, command: str) -> Iterator[PatchLine]:
    lines = text.lstrip("\n").split("\n")
    start = next((n for n, line in enumerate(lines) if line.startswith("diff --git ")), len(lines))
    yield from _counts(lines[:start])
    shown = lines[start : start + MOST_LINES]
    yield from _Reader().read(shown)
    if output.cut or start + len(shown) < len(lines):
        yield _line(Kind.REMARK, "")
        yield _line(Kind.REMARK, f"cut after {len(shown):,} lines: `{command}` has all")
    elif output.status:
        yield _line(
            Kind.REMARK, f"git ended early: {output.error or 'it took too long'}; `{command}` has all"
        )
    elif not text.strip():
        yield _line(Kind.REMARK, "Nothing has changed.")


def _counts(lines: Iterable[str]) -> Iterator[PatchLine]:
    """The files, and how many lines came and went in each."""
    files = [parts for line in lines if len(parts := line.split("\t", 2)) == 3]
    if not files:
        return
    added = sum(int(came) for came, _, _ in files if came.isdigit())
    removed = sum(int(went) for _, went, _ in files if went.isdigit())
    some = "1 file" if len(files) == 1 else f"{len(files):,} files"
    yield _line(Kind.REMARK, "")
    yield _line(Kind.COUNT, f"{some} · +{added:,} -{removed:,}")
    for came, went, name in files[:_LISTED]:
        change = "binary" if came == "-" else f"+{came} -{went}"
        yield _line(Kind.COUNT, f"  {change:>12}  {name}")
    yield from _and_more(len(files))


@dataclass
class _Reader:
    """Goes through a diff once. Counts tell where a hunk ends, not looks: a removed line may say `-- a/x`."""

    old: int = 0
    new: int = 0
    """Lines of the hunk that are still to come."""
    number: int = 0
    name: str = ""
    said: list[str] = field(default_factory=list)
    """What is said of the file beside its name."""

    def read(self, lines: Iterable[str]) -> Iterator[PatchLine]:
        for text in lines:
            if self.old > 0 or self.new > 0 or text.startswith("\\"):
                yield self._inside(text)
                continue
            hunk = _HUNK.match(text)
            if hunk:
                yield from self._file()
                self.old, self.new = int(hunk[1] or 1), int(hunk[3] or 1)
                self.number = int(hunk[2])
                yield _line(Kind.HUNK, f"line {hunk[2]} {hunk[4]}".rstrip())
            elif text.startswith("diff --git "):
                yield from self._file()
                self.name = text.removeprefix("diff --git ").partition(" b/")[2] or text
            else:
                self._note(text)
        yield from self._file()

    def _inside(self, text: str) -> PatchLine:
        sign, rest = text[:1], text[1:].removesuffix("\r")
        if sign == "+":
            self.new -= 1
            self.number += 1
            return _line(Kind.ADDED, rest, self.number - 1)
        if sign == "-":
            self.old -= 1
            return _line(Kind.REMOVED, rest)
        if sign == "\\":
            return _line(Kind.REMARK, "no line break at the end")
        self.old -= 1
        self.new -= 1
        self.number += 1
        return _line(Kind.SAME, rest, self.number - 1)

    def _note(self, text: str) -> None:
        if text.startswith("Binary files "):
            self.said.append("binary")
        if text.startswith("+++ b/"):
            self.name = text.removeprefix("+++ b/").removesuffix("\t")
        for start, said in _SAID.items():
            if text.startswith(start):
                rest = text.removeprefix(start) if start.endswith("from ") else ""
                self.said.append(f"{said} {rest}".rstrip())

    def _file(self) -> Iterator[PatchLine]:
        """The file's heading, once all is known that comes before its first hunk."""
        if self.name:
            yield _line(Kind.REMARK, "")
            yield _line(Kind.FILE, " · ".join((self.name, *self.said)))
        self.name, self.said = "", []
