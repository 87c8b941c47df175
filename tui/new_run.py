"""A new run, from what a user types into a form."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from harness_core.config import DEFAULT_PRESET, PRESETS, FileConfig, Options, load_file
from harness_core.errors import LongwatchError, Mistake
from harness_core.layout import SPEC_NAMES, RunDir
from harness_core.record.state import Lifecycle
from harness_core.record.status import status
from harness_core.request import Request

N = TypeVar("N", int, float)
TYPED = "what-you-typed.txt"
DEMO = "longwatch-demo"
_DEMOS = 100


@dataclass(frozen=True)
class Form:
    """What was typed. Numbers may be left out."""

    directory: str = ""
    what: str = ""
    """A specification: its file, or words, which are a specification or what a planner makes one of."""
    features: str = ""
    dollars: str = ""
    preset: str = ""
    mode: str = ""


def spec_file(what: str) -> Path | None:
    """The file that `what` names; None where it is a specification itself.

    Raises Mistake for a name without a file: agents shouldn't build from a mistyped path.
    """
    named = what.strip()
    if not named or "\n" in named:
        return None
    path = Path(named)
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        path = path.expanduser()
        if path.is_file():
            return path
    if " " not in named and ("/" in named or path.suffix in (".md", ".txt")):
        raise Mistake(f"{named} isn't there: name a file, or say in a sentence what should be built")
    return None


def taken_as(form: Form) -> str:
    """How what is to be built would be understood, in a few words."""
    if not form.what.strip():
        return ""
    try:
        path = spec_file(form.what)
        planned = is_prompt(form)
    except Mistake as mistake:
        return str(mistake)
    if path is not None:
        return f"the specification is the file {path}"
    if planned and form.mode.strip() in ("", "build"):
        return "these words go to the planner, who writes the specification"
    if planned:
        return "these words say what is wanted"
    return f"these words become the specification, {SPEC_NAMES[0]}"


def is_prompt(form: Form) -> bool:
    """Whether words in the form are for a planner, as with `--prompt`. Raises Mistake for a bad
    `longwatch.toml`."""
    place = form.directory.strip()
    written = load_file(RunDir.at(place).config_file) if place else FileConfig()
    preset = form.preset.strip() or written.preset or DEFAULT_PRESET
    mode = form.mode.strip() or written.mode or "build"
    return mode != "build" or (preset in PRESETS and PRESETS[preset].planner)


@contextlib.contextmanager
def request(form: Form) -> Iterator[Request]:
    """The form as a request, good for as long as the block under `with` lasts. Raises Mistake."""
    if not form.directory.strip():
        raise Mistake("the directory is empty: name one for the run")
    directory = RunDir.at(form.directory.strip())
    path = spec_file(form.what)
    typed = form.what.strip() if path is None else ""
    prompt = typed if is_prompt(form) else ""
    options = Options(
        preset=form.preset.strip() or None,
        mode=form.mode.strip() or None,
        prompt=prompt or None,
        features=_number("features", form.features, int),
        limits=_limits(form.dollars),
    )
    known = (directory.spec, directory.contract, directory.run_json)
    if not form.what.strip() and not any(file.exists() for file in known):
        raise Mistake("nothing says what to build: say it, or name a file that does")
    with tempfile.TemporaryDirectory(prefix="longwatch-") as folder:
        if typed and not prompt:
            # The engine puts it in place when nothing else hinders the start.
            path = Path(folder) / TYPED
            path.write_text(form.what.rstrip() + "\n", encoding="utf-8", errors="replace")
        yield Request(
            directory=str(directory.root),
            spec=str(path.absolute()) if path else None,
            options=options,
            console=True,
        )


def _limits(dollars: str) -> dict[str, float]:
    most = _number("dollars", dollars, float)
    return {} if most is None else {"max_usd": most}


def _number(name: str, typed: str, kind: Callable[[str], N]) -> N | None:
    if not typed.strip():
        return None
    try:
        return kind(typed.strip().lstrip("$"))
    except ValueError:
        raise Mistake(f"{name}: {typed.strip()} is no number: give one, or nothing") from None


def demo_directory(below: Path) -> Path:
    """Where the demo is played: a directory that isn't there yet, or that of a demo that isn't over."""
    names = [DEMO, *(f"{DEMO}-{number}" for number in range(2, _DEMOS))]
    return next((below / name for name in names if _is_open(below / name)), below / DEMO)


def _is_open(path: Path) -> bool:
    if not path.exists():
        return True
    run = RunDir(path)
    try:
        return run.run_json.exists() and status(run).lifecycle != Lifecycle.COMPLETE
    except (LongwatchError, OSError):
        return False
