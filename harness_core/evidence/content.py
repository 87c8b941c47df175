"""Whether a piece of evidence is whole for its kind: a picture that shows something, a log that ends well.

`flaw(data, path, kind)` is None or what is wrong, as the end of a sentence that starts with the path.
"""

from __future__ import annotations

import io
import json
import os
import re
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from harness_core.evidence.files import Kind
from harness_core.evidence.nothing_ran import none_passed_in_json, none_passed_in_xml, nothing_tried

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 40_000_000
TAIL_LINES = 40
"""How many of a log's last lines that aren't blank are its end."""
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_MAX_FRAMES = 16


def flaw(data: bytes, path: str, kind: Kind) -> str | None:
    """What is wrong with the content of a piece, or None. Never raises on hostile bytes."""
    if not data:
        return "is empty"
    if kind is Kind.PICTURE:
        return picture_flaw(data)
    return text_flaw(data, os.path.splitext(path)[1].lower())


def picture_flaw(data: bytes) -> str | None:
    """What is wrong with a picture: not one, too large, cut off, or blank."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  (Pillow costs start-up time, and most processes check no picture)

    with warnings.catch_warnings():
        # The pixel limit below is stricter than the size at which Pillow warns.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    return f"has {width} by {height} pixels; {MAX_PIXELS // 1_000_000} million are allowed"
                picture.load()
                return "is blank: all its pixels have the same colour" if _blank_film(picture) else None
        except Image.DecompressionBombError:
            return f"has more than the {MAX_PIXELS // 1_000_000} million pixels allowed"
        except UnidentifiedImageError:
            return "isn't a picture, whatever its name says"
        except Exception as error:  # decoders raise nearly anything on damaged bytes, and doubt refuses
            return f"doesn't decode as a picture ({type(error).__name__}): it may be cut off"


def _blank_film(picture: Image) -> bool:
    """Whether every frame (of the first few) is blank."""
    for frame in range(min(getattr(picture, "n_frames", 1), _MAX_FRAMES)):
        if frame:
            picture.seek(frame)
        if not _blank(picture):
            return False
    return True


def _blank(picture: Image) -> bool:
    direct = picture.mode in {"1", "L", "RGB", "RGBA", "CMYK", "YCbCr"} or picture.mode[0] in "IF"
    if direct and "transparency" not in picture.info:
        bands = picture.getextrema()
    else:
        bands = picture.convert("RGBA").getextrema()
    ranges = [band if isinstance(band, tuple) else bands for band in bands]
    invisible = len(ranges) == 4 and picture.mode != "CMYK" and ranges[3][1] == 0
    return invisible or all(low == high for low, high in ranges)


@dataclass(frozen=True, slots=True)
class _Sign:
    """A pattern that tells of failure, and in how many of the last lines it counts."""

    expression: str
    reach: int = TAIL_LINES
    by_name: bool = False
    """True if the words may also be the name of a test that passed."""
    any_case: bool = True

    @property
    def pattern(self) -> re.Pattern[str]:
        return _compiled(self.expression, self.any_case)


@cache
def _compiled(expression: str, any_case: bool) -> re.Pattern[str]:
    # When first needed: all together take 10 ms, which a start doesn't have.
    return re.compile(expression, re.IGNORECASE if any_case else 0)


def _sign(expression: str, reach: int = TAIL_LINES, *, by_name: bool = False, any_case: bool = True) -> _Sign:
    return _Sign(expression, reach, by_name, any_case)


_NONZERO = r"0*[1-9]\d*"
_COUNT = r"(?<![\d.:/#-])0*[1-9]\d{0,5}"
_SIGNS = (
    # Counts: "2 failed", "1 failing", "3 errors", "failures=1", "Failed: 2", "# fail 1", "Errors  2".
    _sign(
        rf"{_COUNT}\s+(tests?\s+|specs?\s+|examples?\s+|suites?\s+|scenarios?\s+|checks?\s+)?(have\s+)?fail(ed|ing|ures?|s)?\b"
    ),
    _sign(
        rf"\bfail(ed|ing|ures?|s)?\b(\s+tests?)?\s*[:=]?\s+{_NONZERO}\b(?!\s*(ms|s|passed|%|/)\b)",
        by_name=True,
    ),
    _sign(rf"\b(?<!expected )(fail(ed|ing|ures?|s)?|errors?|errored)(\s+tests?)?\s*[:=]\s*{_NONZERO}\b"),
    _sign(rf"{_COUNT}\s+(\w+\s+)?error(s|ed)?\b", by_name=True),
    # Verdicts in capitals, as test runners and build tools write them.
    _sign(r"\bFAILED\b(?!\s*[:=]?\s*0\b)(?<!\b0 FAILED)", any_case=False),
    _sign(r"(^|[\s\[(|:*-])FAIL(URE)?\b(?!(S|ED)?\s*[:=]?\s*0\b)(?<!\b0 FAIL)", any_case=False),
    _sign(r"^\s*not ok\b(?!.*#\s*(todo|skip))"),
    _sign(r"\b(build|compilation|compile|tests?|test run|test suite|assertion|check) failed\b", by_name=True),
    _sign(
        r"^\s*failed\b(?!\s*[:=]?\s*0\b)|\bfailed to (compile|start|build|load|launch|connect)\b",
        by_name=True,
    ),
    _sign(r"^\s*[✗✘✖❌\u00d7]\s*(?!0\b)\S"),
    # Errors that end a program.
    _sign(r"^npm (ERR!|error\b)|\bELIFECYCLE\b|^error Command failed"),
    _sign(r"^Traceback \(most recent call last\)"),
    _sign(r"^\s*(E\s+)?([\w.]+\.)?[A-Z]\w*(Error|Exception)( \[\w+\])?(:|$)", any_case=False),
    _sign(
        r"^\s*([\w./\\-]+(:\d+|\(\d+)[\d:,)]*:?\s+)?(\[[\w :.-]+\]\s*)?"
        r"\[?(fatal )?error(\[\w+\]|\s+TS\d+)?\]?:",
        20,
    ),
    _sign(r"^\s*(\[(error|fatal)\]|(fatal|panic|uncaught)\b(?!\s*[:=]?\s*0\b))", 20),
    _sign(r"\bunhandled( promise)? rejection\b|\buncaught (exception|\w*error)\b", 20, by_name=True),
    _sign(r"^thread '.*' panicked at|\bpanicked at\b|^goroutine \d+ \[running\]"),
    _sign(
        r"\bsegmentation fault\b|\bcore dumped\b|^killed$|^aborted\b|\bout of memory\b|^terminated$",
        5,
        by_name=True,
    ),
    _sign(r": (command not found|no such file or directory|permission denied)$|: not found$", 5),
    _sign(r"^g?make(\[\d+\])?: \*\*\*"),
)
_EXIT = re.compile(
    r"\b(?:exit(?:ed)?(?:[ _-]?(?:status|code|value))?(?: with)?(?: (?:status|code))*"
    r"|return ?code|rc|exit_?code"
    r"|status code)\b\s*(?:was|is)?\s*[:=]?\s*(-?\d+)\b(?!\s*(?:ms|s)\b)",
    re.IGNORECASE,
)
_PASSED_BY_NAME = re.compile(
    r"^\s*([✓✔√☑✅]|ok \d+|\[?PASS(ED)?\b|--- PASS)|\b(PASSED|\.\.\. ok)\s*([\[(].*)?$", re.IGNORECASE
)
_TICK = re.compile(r"^\s*[✓✔√☑✅]")
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\-_])")
_NO_ERRORS = re.compile(r"\b(no|0|zero|without)( \w+)? (errors?|failures?|failed)\b", re.IGNORECASE)
_STRUCTURED = re.compile(
    rf'"(num_?failed\w*|failed|failures|failure_?count|errors|error_?count|unexpected)"\s*:\s*{_NONZERO}\b'
    r'|"(status|outcome|result|state|verdict|conclusion)"\s*:\s*"(failed|fail|failure|error|errored|broken|timed_?out)"'
    r'|"(success|succeeded|passed|ok|pass)"\s*:\s*false\b'
    rf'|"(exit_?code|exit_?status|return_?code)"\s*:\s*-?{_NONZERO}\b'
    rf'|\b(failures|errors|failed)\s*=\s*["\']{_NONZERO}["\']|<(failure|error)[\s>/]',
    re.IGNORECASE,
)


def text_flaw(data: bytes, suffix: str) -> str | None:
    """What is wrong with a log or a result file with this suffix: not text, nothing in it, or it failed."""
    if b"\0" in data:
        return "isn't text in UTF-8"
    text = _ESCAPES.sub("", data.decode("utf-8", errors="replace"))
    if not any(character.isalnum() for character in text):
        return "has nothing in it"
    if suffix == ".json":
        try:
            result = json.loads(text)
        except (ValueError, RecursionError):
            return "isn't whole JSON"
    if suffix in {".json", ".xml"}:
        if found := _STRUCTURED.search(text):
            return f"tells of a failure ({_cut(found.group())})"
        told = none_passed_in_json(result) if suffix == ".json" else none_passed_in_xml(text)
        return f"proves nothing: no test in it ran and passed ({_cut(told)})" if told else None
    lines = _lines_of(text)
    if line := _failing(lines):
        return f"ends in failure ({_cut(line)})"
    if hollow := nothing_tried(lines, TAIL_LINES):
        why, line = hollow
        return f"proves nothing: {why} ({_cut(line)})"
    return None


def failing_line(text: str) -> str | None:
    """The line near the end of a log by which it ends in failure, or None."""
    return _failing(_lines_of(text))


def _lines_of(text: str) -> list[str]:
    """The lines of the last quarter of a megabyte that aren't blank."""
    return [line.rstrip() for line in re.split(r"[\r\n]+", text[-256 * 1024 :]) if line.strip()]


def _failing(lines: list[str]) -> str | None:
    tail = lines[-TAIL_LINES:][::-1]
    exits = ((found.group(1), line) for line in tail for found in [_EXIT.search(line)] if found)
    code, line = next(exits, ("0", ""))
    if int(code):
        return line
    return next((line for place, line in enumerate(tail) if _fails(line, place)), None)


def _fails(line: str, place: int) -> bool:
    """Whether a line tells of failure; `place` counts from 0 at the log's last line."""
    if _TICK.match(line):
        return False
    passed = _PASSED_BY_NAME.search(line) is not None
    plain = _NO_ERRORS.sub("", line)[:2000]
    return any(
        place < sign.reach and not (passed and sign.by_name) and sign.pattern.search(plain) for sign in _SIGNS
    )


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return f"“{text if len(text) <= 80 else text[:80] + '…'}”"
