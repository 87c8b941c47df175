"""A run's configuration: presets as data, `longwatch.toml`, and what the command line sets on top.

Later ones win: preset, longwatch.toml, the options that the run was started with, those of this command.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from harness_core.errors import Mistake
from harness_core.files import MAX_TEXT, read_bounded, write_whole
from harness_core.journal import check_format
from harness_core.layout import CONFIG_NAME, FORMAT, RunDir

ROLES = ("planner", "initializer", "generator", "evaluator")
DEFAULT_MODEL = "sonnet"
DEFAULT_FEATURES = 200
KEY_MAX_USD = 50.0
"""The limit that holds when an API key pays and nobody set one, in US dollars."""

_Positive = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
_S = TypeVar("_S", bound=msgspec.Struct)

Evaluator = Literal["off", "feature"]
Checkpoints = Literal["never", "on-needs-work", "on-pass", "end"]


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The scaffolding of a run, each piece of which can be switched."""

    evaluator: Evaluator = "off"
    """When a fresh evaluator judges: never, or after each claimed feature."""
    checkpoints: Checkpoints | None = None
    """When the operator is asked; None: `on-needs-work` and `end` with a console, `never` headless."""
    evidence_gate: bool = True
    """Whether a claim needs evidence."""
    commit_on_stop: bool = True
    """Whether the engine commits what a session left uncommitted."""
    passes_from: Literal["claimed", "verified"] = "claimed"
    """The status from which on `passes` is true in the agents' file."""


PRESETS: Mapping[str, Switches] = {"two-agent": Switches()}
DEFAULT_PRESET = "two-agent"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of a whole run; None is no bound. Money is US dollars."""

    max_usd: _Positive | None = None
    max_tokens: _Count | None = None
    max_turns: _Count | None = None
    max_sessions: _Count | None = None
    max_hours: _Positive | None = None

    def given(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a session, a silence, a tool call may last, in minutes."""

    session: _Positive = 120.0
    stall: _Positive = 10.0
    tool: _Positive = 15.0


class ShellGuard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: Literal["quickstart", "developer", "open"] = "developer"
    allow: list[str] = []
    deny: list[str] = []


class Guards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shell: ShellGuard = ShellGuard()


class FileConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `longwatch.toml` may hold."""

    preset: str | None = None
    features: _Count | None = None
    model: str | None = None
    models: dict[Literal["planner", "initializer", "generator", "evaluator"], str] = {}
    max_retries: _Count | None = None
    set: dict[str, str | bool] = {}
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    guards: Guards = Guards()


class RunConfig(msgspec.Struct, frozen=True):
    """A run's configuration as resolved; kept in run.json."""

    preset: str = DEFAULT_PRESET
    features: int = DEFAULT_FEATURES
    model: str = DEFAULT_MODEL
    models: dict[str, str] = {}
    max_retries: int = 3
    """Sessions that may work on one feature before it is skipped."""
    switches: Switches = Switches()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    guards: Guards = Guards()

    def model_for(self, role: str) -> str:
        return self.models.get(role, self.model)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line asked for; None or empty is not asked."""

    preset: str | None = None
    features: int | None = None
    models: list[str] = []
    """`M` for all roles, `ROLE=M` for one."""
    sets: list[str] = []
    """`NAME=VALUE` each."""
    limits: dict[str, float] = {}
    session_timeout: float | None = None
    stall_timeout: float | None = None
    max_retries: int | None = None

    def over(self, before: Options) -> Options:
        """These options on top of those of an earlier command on the same run."""
        return Options(
            preset=self.preset or before.preset,
            features=self.features or before.features,
            models=[*before.models, *self.models],
            sets=[*before.sets, *self.sets],
            limits={**before.limits, **self.limits},
            session_timeout=self.session_timeout or before.session_timeout,
            stall_timeout=self.stall_timeout or before.stall_timeout,
            max_retries=self.max_retries or before.max_retries,
        )


def load_file(path: Path) -> FileConfig:
    """Read `longwatch.toml`; an absent file is an empty one. Raises Mistake."""
    data = read_bounded(path, MAX_TEXT)
    if data is None:
        return FileConfig()
    try:
        return msgspec.convert(tomllib.loads(data.decode()), FileConfig)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistake(f"{CONFIG_NAME} is not valid TOML: {error}") from None
    except RecursionError:
        raise Mistake(f"{CONFIG_NAME} is nested too deeply: write it flatter") from None
    except msgspec.ValidationError as error:
        raise Mistake(f"{CONFIG_NAME}: {_readable(error)}") from None


def _readable(error: msgspec.ValidationError) -> str:
    """A validation error in a reader's words: which key, what is wrong, what would do."""
    what, _, where = str(error).partition(" - at ")
    place = where.removeprefix("`key` in ").strip("`").removeprefix("$.")
    if "unknown field" in what:
        key = what.rpartition("unknown field ")[2].strip("`")
        section = f" in [{place}]" if place else ""
        known = _known_keys(place)
        return f"unknown key `{key}`{section}: known there are {', '.join(known)}"
    return f"{place or 'the file'}: {what[0].lower()}{what[1:]}"


def _known_keys(place: str) -> list[str]:
    struct: type[msgspec.Struct] = FileConfig
    sections: dict[str, type[msgspec.Struct]] = {
        "limits": Limits,
        "timeouts": Timeouts,
        "guards": Guards,
        "guards.shell": ShellGuard,
    }
    return sorted(field.encode_name for field in msgspec.structs.fields(sections.get(place, struct)))


def resolve(file: FileConfig, options: Options, environ: Mapping[str, str]) -> RunConfig:
    """The configuration of a run from all its sources. Raises Mistake for what none of them may say."""
    preset = options.preset or file.preset or DEFAULT_PRESET
    if preset not in PRESETS:
        raise Mistake(f"unknown preset `{preset}`: choose one of {', '.join(PRESETS)}")
    model, models = _models(file, options.models, environ)
    asked = [item.partition("=") for item in options.sets]
    for name, joint, _ in asked:
        if not joint:
            raise Mistake(f"--set {name}: write it as NAME=VALUE")
    given = {"session": options.session_timeout, "stall": options.stall_timeout}
    return RunConfig(
        preset=preset,
        features=options.features or file.features or DEFAULT_FEATURES,
        model=model,
        models=models,
        max_retries=options.max_retries or file.max_retries or 3,
        switches=_switched(_switched(PRESETS[preset], file.set), {name: value for name, _, value in asked}),
        limits=_changed(_default_limits(file.limits, environ), options.limits, "limits"),
        timeouts=_changed(file.timeouts, {k: v for k, v in given.items() if v is not None}, "timeouts"),
        guards=file.guards,
    )


def _default_limits(limits: Limits, environ: Mapping[str, str]) -> Limits:
    if limits.max_usd is None and environ.get("ANTHROPIC_API_KEY"):
        return msgspec.structs.replace(limits, max_usd=KEY_MAX_USD)
    return limits


def _models(file: FileConfig, asked: Sequence[str], environ: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    model = file.model or environ.get("ANTHROPIC_MODEL") or DEFAULT_MODEL
    models = {str(role): name for role, name in file.models.items()}
    for item in asked:
        role, joint, name = item.partition("=")
        if not (name if joint else item):
            raise Mistake(f"--model {item}: write it as MODEL or ROLE=MODEL")
        if not joint:
            model = item
        elif role not in ROLES:
            raise Mistake(f"--model {item}: `{role}` is no role; the roles are {', '.join(ROLES)}")
        else:
            models[role] = name
    return model, models


def _changed(struct: _S, changes: Mapping[str, object], name: str) -> _S:
    values = {**msgspec.structs.asdict(struct), **changes}
    # JSON has one kind of number: a count that was kept as one comes back as 1000.0.
    whole = {key: int(v) if isinstance(v, float) and v.is_integer() else v for key, v in values.items()}
    try:
        return msgspec.convert(whole, type(struct))
    except msgspec.ValidationError as error:
        raise Mistake(f"{name}: {_readable(error)}") from None


def _switched(switches: Switches, changes: Mapping[str, str | bool]) -> Switches:
    known = {field.name for field in msgspec.structs.fields(Switches)}
    for name in changes:
        if name not in known:
            raise Mistake(f"unknown switch `{name}`: the switches are {', '.join(sorted(known))}")
    words = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}
    values = msgspec.structs.asdict(switches)
    for name, value in changes.items():
        is_flag = isinstance(values[name], bool)
        values[name] = words.get(str(value).lower(), value) if is_flag else value
    try:
        return msgspec.convert(values, Switches)
    except msgspec.ValidationError as error:
        raise Mistake(f"--set {_readable(error)}") from None


class RunInfo(msgspec.Struct, frozen=True):
    """What run.json holds: who the run is and how it was set up."""

    format: int
    run_id: str
    created: str
    config: RunConfig
    options: Options = Options()
    """What command lines asked for, so that running again without them goes on the same way."""
    rehearsal: str | None = None
    """The scenario that plays the model, for a run that is a rehearsal."""
    versions: dict[str, str] = {}


class _Head(msgspec.Struct, frozen=True):
    """What run.json has in every format."""

    format: int


def load_info(run: RunDir) -> RunInfo | None:
    """The run's run.json, or None for a directory that holds no run. Raises Mistake when it is damaged,
    JournalError when a newer Longwatch wrote it."""
    data = read_bounded(run.run_json)
    if data is None:
        return None
    try:
        check_format(msgspec.json.decode(data, type=_Head).format, FORMAT)
        return msgspec.json.decode(data, type=RunInfo)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Mistake(
            f"{run.run_json} can't be read ({error}): restore it, or move `.longwatch` away to start over"
        ) from None


def save_info(run: RunDir, info: RunInfo) -> None:
    write_whole(run.run_json, msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n")


def check_login(environ: Mapping[str, str] = os.environ) -> None:
    """Make sure that something can pay for a model. Raises Mistake with what to set."""
    variables = (
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
    )
    if any(environ.get(name) for name in variables):
        return
    home = Path(environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    if (home / ".credentials.json").is_file():
        return
    raise Mistake(
        "no way to reach a model: set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token` "
        "makes one), or log in once with `claude`; `longwatch demo` needs neither"
    )
