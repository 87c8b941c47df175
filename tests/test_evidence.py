"""Evidence: what a session knows, what counts, and every rule that a claim can break."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness_core.evidence import claim as evidence
from harness_core.evidence.claim import Fingerprint, Kind, Refusal, SessionEvidence, SourceFile
from harness_core.evidence.content import failing_line, flaw
from harness_core.evidence.files import is_source, walk_files

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
MADE = START + 60 * SECOND
NOW = START + 100 * SECOND
LOG = b"> test\n\n  3 passed, 0 failed (1.2s)\n"


def picture(seed: int = 1, size: tuple[int, int] = (24, 16), form: str = "PNG", mode: str = "RGB") -> bytes:
    noise = Image.frombytes("RGB", size, random.Random(seed).randbytes(size[0] * size[1] * 3))
    out = io.BytesIO()
    noise.convert(mode).save(out, form)
    return out.getvalue()


def blank(mode: str, colour: object, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (20, 20), colour).save(out, form)  # type: ignore[arg-type]
    return out.getvalue()


def shown(start: int = 1, count: int = 1, total: int = 1, content: str | None = None) -> dict[str, object]:
    file: dict[str, object] = {"numLines": count, "startLine": start, "totalLines": total}
    if content is not None:
        file["content"] = content
    return {"type": "text", "file": file}


IMAGE = {"type": "image", "file": {"base64": "", "type": "image/png"}}


@dataclass
class Run:
    """A run with a session in it, in which a valid claim is two steps: `make`, `see`."""

    root: Path
    session: SessionEvidence = field(default_factory=lambda: SessionEvidence(START))
    spent: dict[str, frozenset[str]] = field(default_factory=dict)
    newest: SourceFile | None = field(default_factory=lambda: SourceFile("src/a.js", START + 30 * SECOND))

    def make(self, path: str, data: bytes, mtime: int = MADE) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        os.utime(target, ns=(mtime, mtime))
        return target

    def sha(self, path: str) -> str:
        found = evidence.fingerprint(self.root / path)
        assert found is not None
        return found.sha256

    def see(self, path: str, response: object = None) -> None:
        if response is None:
            lines = (self.root / path).read_bytes().count(b"\n") + 1
            text = evidence.evidence_kind(path) is not Kind.PICTURE
            response = shown(1, lines, lines) if text else IMAGE
        self.session.note_read(path, self.sha(path), response)

    def given(self, path: str, data: bytes) -> str:
        self.make(path, data)
        self.see(path)
        return path

    def claim(self, *paths: str, feature: str = "1", also_for: tuple[str, ...] = ()) -> list[str] | str:
        """The accepted paths, or the sentence of the refusal."""
        found = evidence.check(
            self.root,
            feature,
            paths,
            self.session,
            spent=self.spent,
            newest=self.newest,
            also_for=also_for,
            now_ns=NOW,
        )
        return found.reason if isinstance(found, Refusal) else [piece.path for piece in found]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path.resolve())


def test_a_picture_and_a_log_made_and_seen_in_this_session_count(run: Run):
    shot = run.given("screenshots/f1.png", picture())
    log = run.given("f1.log", LOG)
    assert run.claim(shot, log, f"./{shot}", str(run.root / log)) == [shot, log]


def outside(run: Run) -> str:
    other = run.root.parent / f"{run.root.name}-outside.png"
    other.write_bytes(picture())
    return str(other)


def linked_outside(run: Run) -> str:
    (run.root / "in.png").symlink_to(outside(run))
    return "in.png"


def no_file(run: Run) -> str:
    return "screenshots/none.png"


def folder(run: Run) -> str:
    (run.root / "shots.png").mkdir()
    return "shots.png"


def pipe(run: Run) -> str:
    os.mkfifo(run.root / "pipe.log")
    return "pipe.log"


def hidden_link(run: Run) -> str:
    path = run.given("screenshots/real.png", picture())
    (run.root / ".cache").mkdir()
    (run.root / ".cache/x.png").symlink_to(run.root / path)
    return ".cache/x.png"


def placed(path: str, data: bytes = b"") -> Callable[[Run], str]:
    return lambda run: run.given(path, data or picture())


def old(run: Run) -> str:
    path = run.given("a.png", picture())
    os.utime(run.root / path, ns=(START - SECOND, START - SECOND))
    return path


def future(run: Run) -> str:
    path = run.given("a.png", picture())
    os.utime(run.root / path, ns=(NOW + 60 * SECOND, NOW + 60 * SECOND))
    return path


def before_source(run: Run) -> str:
    run.newest = SourceFile("src/a.js", MADE + 1)
    return run.given("a.png", picture())


def typed(run: Run) -> str:
    path = run.given("a.log", LOG)
    run.session.note_typed(path, evidence.fingerprint(run.root / path))
    return path


def typed_unknown(run: Run) -> str:
    run.session.note_typed("a.log", None)
    return run.given("a.log", LOG)


def typed_elsewhere(run: Run) -> str:
    run.session.note_typed("notes.txt", Fingerprint(evidence.hashlib.sha256(LOG).hexdigest(), len(LOG)))
    return run.given("a.log", LOG)


def typed_then_added_to(run: Run) -> str:
    run.session.note_typed("a.log", Fingerprint(evidence.hashlib.sha256(LOG).hexdigest(), len(LOG)))
    return run.given("a.log", LOG + b"done\n")


def copied(run: Run) -> str:
    path = run.given("a.log", LOG)
    evidence.note_copied(run.root, path, run.session)
    return path


def copied_then_moved(run: Run) -> str:
    os.rename(run.root / copied(run), run.root / "b.log")
    run.see("b.log")
    return "b.log"


def unseen(run: Run) -> str:
    run.make("a.png", picture())
    return "a.png"


def seen_before_change(run: Run) -> str:
    path = run.given("a.png", picture())
    run.make(path, picture(2))
    return path


def seen_as(path: str, data: bytes, response: object) -> Callable[[Run], str]:
    def make(run: Run) -> str:
        run.make(path, data)
        run.see(path, response)
        return path

    return make


def spent_already(run: Run) -> str:
    path = run.given("a.png", picture())
    run.spent = {run.sha(path): frozenset({"2"})}
    return path


LINES = b"line\n" * 50
BROKEN: dict[str, tuple[Callable[[Run], str], str]] = {
    "outside": (outside, "is outside the run"),
    "link outside": (linked_outside, "is outside the run"),
    "above": (lambda run: "../x.png", "is outside the run"),
    "empty path": (lambda run: " ", "is empty"),
    "nul": (lambda run: "a\0.png", "NUL"),
    "no file": (no_file, "isn't there"),
    "folder": (folder, "isn't a regular file|can't be read"),
    "pipe": (pipe, "isn't a regular file"),
    "dependency": (placed("node_modules/x/a.png"), "dependency, build or hidden"),
    "build": (placed("dist/a.png"), "dependency, build or hidden"),
    "hidden": (placed(".hidden/a.png"), "dependency, build or hidden"),
    "hidden link": (hidden_link, "dependency, build or hidden"),
    "markdown": (placed("screenshots/notes.md", b"# ok"), "isn't a kind of evidence"),
    "source": (placed("src/test.js", b"ok()"), "isn't a kind of evidence"),
    "project json": (placed("package.json", b"{}"), "isn't a kind of evidence"),
    "contract": (placed("test-results.json", b'{"a": {}}'), "isn't a kind of evidence"),
    "old": (old, "before this session"),
    "future": (future, "in the future"),
    "before source": (before_source, "older than the last change of src/a.js"),
    "typed": (typed, "was typed by you"),
    "typed, content unknown": (typed_unknown, "was typed by you"),
    "typed elsewhere": (typed_elsewhere, "was typed by you"),
    "typed then added to": (typed_then_added_to, "was typed by you"),
    "copied": (copied, "copied from what proves nothing"),
    "copied then moved": (copied_then_moved, "copied from what proves nothing"),
    "unseen": (unseen, "hasn't been opened"),
    "changed since seen": (seen_before_change, "has changed since you opened it"),
    "nothing shown": (seen_as("a.log", LINES, shown(1, 0, 50, "")), "to its end"),
    "past the end": (seen_as("a.log", LINES, shown(100000, 1, 50, "")), "to its end"),
    "first lines": (seen_as("a.log", LINES, shown(1, 49, 50)), "to its end"),
    "short content": (seen_as("a.log", LINES, shown(1, 50, 50, "line\nline")), "to its end"),
    "no answer": (seen_as("a.log", LINES, {}), "to its end"),
    "picture seen as text": (seen_as("a.png", picture(), shown(1, 9, 9)), "to its end"),
    "empty": (placed("a.png", b"\n"), "isn't a picture"),
    "empty file": (seen_as("a.png", b"", IMAGE), "is empty"),
    "text as picture": (placed("a.png", b"hello"), "isn't a picture"),
    "cut picture": (placed("a.png", picture()[:-200]), "doesn't decode"),
    "blank picture": (placed("a.png", blank("RGB", "white")), "is blank"),
    "white space log": (placed("a.log", b" \n\t\n"), "has nothing in it"),
    "binary log": (placed("a.log", b"ok\0\0"), "isn't text"),
    "failing log": (placed("a.log", b"1 failed, 3 passed\n"), "ends in failure"),
    "spent": (spent_already, "already spent on feature 2"),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_no_claim_is_accepted_with_one_rule_broken(run: Run, rule: str):
    good = run.given("good.png", picture(7))
    make, said = BROKEN[rule]
    bad = make(run)
    if rule != "before source":
        assert run.claim(good) == [good]
    verdict = run.claim(good, bad)
    assert isinstance(verdict, str)
    assert any(part in verdict for part in said.split("|"))


def test_a_claim_needs_a_piece_and_not_too_many(run: Run):
    assert "needs evidence" in str(run.claim())
    assert "may have 32" in str(run.claim(*["a.png"] * 33))


def test_a_piece_may_serve_two_features_if_the_claim_says_so(run: Run):
    path = spent_already(run)
    assert run.claim(path, also_for=("2",)) == [path]
    assert run.claim(path, feature="2") == [path]
    pieces = evidence.check(
        run.root, "2", [path], run.session, spent=run.spent, newest=run.newest, now_ns=NOW
    )
    assert isinstance(pieces, tuple)


def test_a_typed_file_that_a_program_made_anew_counts(run: Run):
    run.session.note_typed("a.log", Fingerprint("0" * 64, 4))
    run.session.note_typed("empty.log", Fingerprint(evidence.hashlib.sha256(b"").hexdigest(), 0))
    assert run.claim(run.given("a.log", LOG), run.given("empty.log", LOG)) == ["a.log", "empty.log"]


def test_what_was_copied_counts_when_a_program_writes_the_same_anew(run: Run):
    path = copied(run)
    run.make(path, LOG, MADE + 1)
    assert run.claim(path) == [path]


def test_only_what_a_program_made_in_this_session_is_worth_a_copy(run: Run):
    run.make("made.log", LOG)
    run.make("old.log", LOG, START - SECOND)
    run.make("mine.log", b"mine\n")
    run.session.note_typed("mine.log", evidence.fingerprint(run.root / "mine.log"))
    names = ("made.log", "old.log", "mine.log", "none.log", ".")
    assert [name for name in names if evidence.is_made(run.root, name, run.session)] == ["made.log"]


def test_file_times_may_lag_a_tick(run: Run):
    run.newest = None
    run.make("a.png", picture(), START - 5_000_000)
    run.see("a.png")
    assert run.claim("a.png") == ["a.png"]


def test_partial_reads_add_up_until_the_content_changes(run: Run):
    run.make("a.log", LINES)
    run.see("a.log", shown(1, 20, 51))
    assert "to its end" in str(run.claim("a.log"))
    run.see("a.log", shown(21, 30, 51))
    assert run.claim("a.log") == ["a.log"]
    assert run.session.reads["a.log"].lines == ((1, 50),)
    run.see("a.log", {"type": "file_unchanged", "file": {"filePath": "a.log"}})
    assert run.claim("a.log") == ["a.log"]
    run.make("a.log", LINES + b"more\n")
    run.see("a.log", shown(1, 1, 51))
    assert run.session.reads["a.log"].lines == ((1, 1),)


def test_a_read_without_its_numbers_goes_by_its_content(run: Run):
    run.make("a.log", LOG)
    run.see("a.log", {"type": "text", "file": {"content": LOG.decode()}})
    assert run.claim("a.log") == ["a.log"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["type", "file", "numLines", "startLine", "totalLines", "content"]), inner
            )
        ),
    )
)
def test_no_response_makes_a_session_fail(response: object):
    session = SessionEvidence(START)
    session.note_read("a.png", "0" * 64, response)
    session.note_read("a.log", "0" * 64, response)
    assert set(session.reads) == {"a.png", "a.log"}


def test_a_session_survives_a_restart(run: Run):
    shot, log = run.given("a.png", picture()), run.given("a.log", LOG)
    run.session.note_typed("b.log", evidence.fingerprint(run.root / log))
    run.session.note_typed("c.log", None)
    again = msgspec.json.decode(msgspec.json.encode(run.session), type=SessionEvidence)
    assert again == run.session
    assert list(again.reads) == [shot, log]


def edit_claim(run: Run, feature: str = "1") -> list[str] | str:
    found = evidence.check_edit(
        run.root, feature, run.session, spent=run.spent, newest=run.newest, now_ns=NOW
    )
    return found.reason if isinstance(found, Refusal) else [piece.path for piece in found]


def test_a_claim_by_edit_takes_the_pieces_named_for_it_else_the_oldest(run: Run):
    assert "needs evidence" in str(edit_claim(run))
    first = run.given("z.png", picture(1))
    second = run.given("a.png", picture(2))
    assert edit_claim(run) == [first]
    named = run.given("screenshots/feature_1.png", picture(3))
    other = run.given("screenshots/f1-after.log", LOG)
    run.given("screenshots/f10.png", picture(4))
    assert edit_claim(run) == [named, other]
    run.spent = {run.sha(path): frozenset({"1"}) for path in (first, named, other)}
    assert edit_claim(run) == [second]


def test_a_stale_piece_does_not_stand_in_the_way_of_a_fresh_one(run: Run):
    run.make("f1-before.png", picture(1), START + SECOND)
    run.see("f1-before.png")
    run.given("other.png", picture(3))
    assert "older than the last change" in str(edit_claim(run))
    fresh = run.given("f1-after.png", picture(2))
    assert edit_claim(run) == [fresh]


@pytest.mark.parametrize(
    ("name", "feature", "carried"),
    [
        ("feature_1.png", "1", True),
        ("screenshots/f1-x.png", "1", True),
        ("feature-001.png", "1", True),
        ("feature10.png", "1", False),
        ("10.png", "1", False),
        ("f11-1x.png", "1", False),
        ("F001.png", "F001", True),
        ("f1.log", "F001", True),
        ("f010.log", "F001", False),
        ("user_login-ok.png", "user-login", True),
        ("login-user.png", "user-login", False),
        ("user-logins.png", "user-login", False),
        ("1/other.png", "1", False),
        ("a.png", "", False),
        ("a.png", "--", False),
    ],
)
def test_a_name_carries_an_id_only_as_a_word(name: str, feature: str, carried: bool):
    assert evidence.carries(name, feature) is carried


@given(st.from_regex(r"[a-z]{1,5}-?[0-9]{1,3}", fullmatch=True))
def test_a_name_carries_its_own_id(feature: str):
    assert evidence.carries(f"shots/x_{feature}_y.png", feature)
    assert not evidence.carries(f"shots/x_{feature}7_y.png", feature)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_every_kind_of_picture_is_read(form: str):
    assert flaw(picture(form=form), "a.png", Kind.PICTURE) is None


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_pictures_that_show_something_are_whole(mode: str):
    assert flaw(picture(mode=mode), "a.png", Kind.PICTURE) is None


@pytest.mark.parametrize(
    "data",
    [
        blank("RGB", "white"),
        blank("L", 7),
        blank("P", 3),
        blank("RGBA", (9, 9, 9, 0)),
        blank("1", 1),
        blank("I;16", 700),
        blank("RGB", "black", "JPEG"),
    ],
)
def test_blank_pictures_are_refused(data: bytes):
    assert "is blank" in str(flaw(data, "a.png", Kind.PICTURE))


def test_an_invisible_picture_is_blank():
    noise = Image.open(io.BytesIO(picture())).convert("RGBA")
    noise.putalpha(0)
    out = io.BytesIO()
    noise.save(out, "PNG")
    assert "is blank" in str(flaw(out.getvalue(), "a.png", Kind.PICTURE))


def test_a_bomb_is_refused_by_its_header():
    out = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(out, "PNG")
    assert "40 million" in str(flaw(out.getvalue(), "a.png", Kind.PICTURE))


@given(st.integers(1, 500), st.integers(0, 255))
@settings(max_examples=60)
def test_damaged_pictures_never_raise(at: int, byte: int):
    data = bytearray(picture())
    data[at % len(data)] = byte
    flaw(bytes(data), "a.png", Kind.PICTURE)
    flaw(bytes(data[:at]), "a.png", Kind.PICTURE)


@given(st.binary(max_size=80))
def test_any_bytes_can_be_judged(data: bytes):
    for path in ("a.png", "a.log", "a-result.json", "a-result.xml"):
        kind = evidence.evidence_kind(path)
        assert kind is not None
        flaw(data, path, kind)


FAILURES = [
    "exit status: 1",
    "exit status 2",
    "exit code 2",
    "Process exited with code 127",
    "exited with exit code: 3",
    "EXIT=1",
    "FAILED tests/test_a.py::test_b - assert 1 == 2",
    "=========== 1 failed, 2 passed in 0.12s ===========",
    "========== 1 error in 0.10s ==========",
    "FAILED (failures=1, errors=2)",
    "10 failed",
    "  1 failing",
    "Tests:       1 failed, 5 passed, 6 total",
    "Test Suites: 1 failed, 2 passed, 3 total\nTests:       5 passed, 5 total",
    " Test Files  1 failed (1)\n      Tests  1 failed | 3 passed (4)",
    "npm ERR! code 1",
    "npm error Lifecycle script `test` failed",
    'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: no',
    "ValueError: no",
    "AssertionError",
    "AssertionError [ERR_ASSERTION]: 1 == 2",
    "error: could not compile `x`",
    "error[E0308]: mismatched types",
    "Error: Cannot find module 'x'",
    "src/a.ts(3,5): error TS2322: Type",
    "main.c:3:5: error: expected ;",
    "[ERROR] Failed to execute goal",
    "not ok 3 - adds",
    "FAIL",
    "FAIL\tgithub.com/x/y\t0.01s",
    "--- FAIL: TestX (0.00s)",
    " FAIL  src/a.test.ts > adds",
    "BUILD FAILED in 3s",
    "Build failed with 2 errors",
    "test result: FAILED. 3 passed; 1 failed; 0 ignored",
    "test a::b ... FAILED",
    "# fail 1",
    "Failures: 2",
    "2 tests failed",
    "3 examples, 1 failure",
    "Found 2 errors in 1 file",
    "✖ 3 problems (2 errors, 1 warning)",
    "✗ adds",
    "❌ login",
    "panic: runtime error",
    "thread 'main' panicked at src/main.rs:2:5",
    "make: *** [Makefile:3: test] Error 2",
    "Segmentation fault (core dumped)",
    "sh: 1: vitest: not found",
    "bash: foo: command not found",
    "Uncaught TypeError: x is not a function",
    "\x1b[31mFAILED\x1b[0m",
    "PASS: 3 FAIL: 1",
    "ok 3/5, 2 failed",
    "Killed",
]
FINE = [
    "3 passed",
    "0 failed",
    "3 passed, 0 failed",
    "no errors",
    "0 errors, 0 warnings",
    "No errors found",
    "Found 0 errors",
    "Success: no issues found in 5 source files",
    "exit status: 0",
    "exit code 0",
    "step one exit code 1\nexit code 0",
    "test result: ok. 3 passed; 0 failed; 0 ignored; finished in 0.01s",
    "Tests:       5 passed, 5 total",
    "# tests 5\n# pass 5\n# fail 0",
    "# PASS: 5\n# FAIL: 0\n# ERROR: 0",
    "FAILED: 0",
    "Failed: 0",
    "failures=0",
    "Failures: 0, Errors: 0",
    "ok  \tgithub.com/x/y\t0.01s",
    "PASS",
    "BUILD SUCCESSFUL in 3s",
    "✓ shows error: when the input is bad",
    "ok 3 - fails with 2 errors",
    "not ok 4 - later # TODO",
    "tests/test_a.py::test_error_is_shown PASSED [100%]",
    "GET /errors 200",
    "the errors page was rendered",
    "Compiled successfully without errors",
    "Listening on port 3000",
    "12 passing (40ms)\n2 pending",
    "failover works",
    "test errors::are_shown ... ok",
    "Errors 0",
    "Tests run: 5, Failures: 0, Errors: 0, Skipped: 0",
    "login 200 OK\nlogout 200 OK",
    "status: terminated normally",
]


@pytest.mark.parametrize("text", FAILURES)
def test_a_log_that_ends_in_failure_is_refused(text: str):
    assert flaw(f"start\n\n{text}\n\n".encode(), "a.log", Kind.TEXT)


@pytest.mark.parametrize("text", FINE)
def test_a_log_that_ends_well_is_accepted(text: str):
    assert flaw(f"start\n\n{text}\n\n".encode(), "a.log", Kind.TEXT) is None


def test_only_the_end_of_a_log_tells():
    assert failing_line("1 failed\n" + "fine\n" * 50) is None


def test_a_long_line_is_judged_quickly():
    assert failing_line("a" * 1_000_000) is None
    assert failing_line("error " * 200_000) is None


@pytest.mark.parametrize(
    ("name", "text", "whole"),
    [
        ("result.json", '{"numFailedTests": 0, "success": true}', True),
        ("result.json", '{"numFailedTests": 2}', False),
        ("result.json", '{"success": false}', False),
        ("result.json", '{"status": "failed"}', False),
        ("result.json", '{"a": ', False),
        ("junit.xml", '<testsuite failures="0" errors="0"><testcase name="a"/></testsuite>', True),
        ("junit.xml", '<testsuite failures="1"></testsuite>', False),
    ],
)
def test_results_are_judged_by_their_fields(name: str, text: str, whole: bool):
    assert (flaw(text.encode(), name, Kind.TEXT) is None) is whole


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("screenshots/a.PNG", Kind.PICTURE),
        ("a.webp", Kind.PICTURE),
        ("f1-result.txt", Kind.TEXT),
        ("test.tap", Kind.TEXT),
        ("test-results/junit.xml", Kind.TEXT),
        ("packages/web/test-results.json", Kind.TEXT),
        ("requirements.txt", None),
        ("app_spec.txt", None),
        ("claude-progress.txt", None),
        ("feature_list.json", None),
        ("src/data.json", None),
        ("screenshots/notes.md", None),
        ("report.html", None),
        ("screenshots/a", None),
        ("icon.svg", None),
    ],
)
def test_which_files_can_be_evidence(path: str, kind: Kind | None):
    assert evidence.evidence_kind(path) is kind


SOURCES = [
    "src/a.js",
    "init.sh",
    "index.html",
    "package.json",
    "requirements.txt",
    "CMakeLists.txt",
    "Makefile",
    "src/log/logger.ts",
    "cache/cache.go",
    "authors.ts",
    "docs/conf.py",
    ".env",
    "src/icon.svg",
    "a.mdx",
]
OTHERS = [
    "README.md",
    "PROGRESS.md",
    "claude-progress.txt",
    "LICENSE",
    "LICENSE-MIT",
    "docs/a.rst",
    "feature_list.json",
    "test-results.json",
    "screenshots/a.png",
    "src/logo.png",
    "npm.log",
    "a.out",
    "findings.md",
    "longwatch.toml",
    "AGENT_STOP",
    "data.db",
    "app.sqlite3",
    "app.db-wal",
    "server.pid",
    "x.pyc",
    "node_modules/a/i.js",
    "dist/a.js",
    ".git/x",
    ".next/a.js",
    "target/debug/x.rs",
    "venv/lib/a.py",
    "package-lock.json",
    "yarn.lock",
    "a.tmp",
    "coverage/lcov-report/a.js",
    "screenshots/shot.py",
    "logs/app.json",
    "spec.md",
    "notes.txt",
]


@pytest.mark.parametrize("path", SOURCES)
def test_sources_count(path: str):
    assert is_source(path)


@pytest.mark.parametrize("path", OTHERS)
def test_what_is_not_source_does_not_count(path: str):
    assert not is_source(path)


def test_the_newest_source_is_found(run: Run):
    run.make("src/a.js", b"1", START)
    run.make("src/b.js", b"1", START + 2)
    run.make("README.md", b"1", START + 9)
    run.make("node_modules/x.js", b"1", START + 9)
    run.make("screenshots/a.png", b"1", START + 9)
    (run.root / "gone.js").symlink_to("nowhere")
    (run.root / "loop").symlink_to(run.root)
    files = sorted(walk_files(run.root))
    assert files == ["README.md", "gone.js", "loop", "screenshots/a.png", "src/a.js", "src/b.js"]
    assert evidence.newest_source(run.root, files) == SourceFile("src/b.js", START + 2)
    assert evidence.newest_source(run.root, ["deleted.js", "README.md", "nul\0"]) is None


def test_paths_are_known_by_one_name(run: Run):
    run.make("screenshots/a.png", picture())
    (run.root / "link").symlink_to("screenshots")
    for text in (
        "link/a.png",
        "./screenshots/a.png",
        "x/../screenshots/a.png",
        str(run.root / "screenshots/a.png"),
    ):
        assert evidence.relative_to(run.root, text) == "screenshots/a.png"
    assert evidence.relative_to(run.root, "/etc/passwd") is None
    assert evidence.fingerprint(run.root / "none") is None
