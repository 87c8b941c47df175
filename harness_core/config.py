"""A run's configuration: presets as data, `longwatch.toml`, and what the command line sets on top.

Later ones win: preset, longwatch.toml, the options that the run was started with, those of this command.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from harness_core.agent.mcp_servers import McpServer, ServerName
from harness_core.box.sandbox import MODES as SANDBOX_MODES
from harness_core.box.sandbox import SandboxTable
from harness_core.config_errors import advice, choices, described, explain
from harness_core.errors import Mistake
from harness_core.layout import CONFIG_NAME, FORMAT, RunDir
from harness_core.machine.cli_home import kept_login
from harness_core.machine.files import MAX_TEXT, read_bounded, write_whole
from harness_core.notify.settings import Notify
from harness_core.operator.bounds import Count, Limits, Positive, counted, limited
from harness_core.record.journal import check_format

ROLES = ("planner", "initializer", "generator", "evaluator", "judge")
DEFAULT_MODEL = "sonnet"
JUDGE_MODEL = "haiku"
"""A small one: it is asked after each turn."""
DEFAULT_FEATURES = 200
DEFAULT_RETRIES = 3
KEY_MAX_USD = 50.0
"""The limit that holds when an API key pays and nobody set one, in US dollars."""

_S = TypeVar("_S", bound=msgspec.Struct)

Evaluator = Literal["off", "feature", "sprint", "end"]
Mode = Literal["build", "enhancement", "bugfix"]
MODES: tuple[Mode, ...] = ("build", "enhancement", "bugfix")
_WHEN = r"(never|on-needs-work|on-pass|per-sprint|end|every \d+(\.\d+)?h)"
_Checkpoints = Annotated[
    str,
    msgspec.Meta(
        pattern=f"^{_WHEN}(, *{_WHEN})*$",
        description="never|on-needs-work|on-pass|per-sprint|end|every Nh, or several with commas",
    ),
]
_Rounds = Annotated[int, msgspec.Meta(ge=1, le=100, description="N")]
_Iterations = Annotated[int, msgspec.Meta(ge=0, le=100, description="N")]
_APPROVING = ("end", "per-sprint")
"""Checkpoints at which the operator can approve features that no evaluator has judged."""
_Rubric = Annotated[str, msgspec.Meta(min_length=1, description="off|app|design|NAME")]


class Switches(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The scaffolding of a run, each piece of which can be switched."""

    planner: bool = False
    """Whether a planner makes a specification of a prompt."""
    initializer: bool = True
    """Whether there is a contract of features: an initializer writes one where none is there."""
    sprint_contracts: bool = False
    """Whether generator and evaluator agree on what a sprint owes before it is built."""
    context: Literal["fresh", "continuous"] = "fresh"
    """Whether each feature has a session of its own, or one session builds all with its context compacted."""
    evaluator: Evaluator = "off"
    """When a fresh evaluator judges: never, after each claimed feature, after each sprint, or at the end."""
    rubric: _Rubric = "off"
    """The rubric that work is graded by: `app`, `design`, one of the operator's, or `off`."""
    calibration: bool = True
    """Whether the evaluator gets the rubric's examples."""
    rounds: _Rounds = 3
    """Verdicts in a row that may want more work, on a sprint or at the end."""
    contract_rounds: _Rounds = 3
    """Rounds in which generator and evaluator may disagree about a sprint's contract."""
    sprint_features: _Rounds = 5
    """Features of one sprint."""
    min_iterations: _Iterations = 0
    max_iterations: _Iterations = 0
    """How often the whole is built and judged anew; 0 is no such loop."""
    checkpoints: _Checkpoints | None = None
    """When the operator is asked, one or several of never, on-needs-work, on-pass, per-sprint, end, every Nh;
    None: `on-needs-work` and `end` with a console, `never` headless."""
    browser: bool = True
    """Whether agents get a browser, where the machine has one."""
    breadcrumbs: bool = True
    """Whether a session is told what was tried on its feature before."""
    regression_checks: bool = True
    """Whether a generator first uses what passes already."""
    handoff_notes: bool = True
    """Whether sessions hand over through notes, which are kept short."""
    evidence_gate: bool = True
    """Whether a claim needs evidence."""
    commit_on_stop: bool = True
    """Whether the engine commits what a session left uncommitted."""
    passes_from: Literal["claimed", "verified"] = "claimed"
    """The status from which on `passes` is true in the agents' file."""


PRESETS: Mapping[str, Switches] = {
    "continuous": Switches(planner=True, context="continuous", evaluator="end", rubric="app"),
    "sprints": Switches(
        planner=True, sprint_contracts=True, context="continuous", evaluator="sprint", rubric="app"
    ),
    "two-agent": Switches(),
    "design": Switches(
        initializer=False, evaluator="end", rubric="design", min_iterations=5, max_iterations=15
    ),
    "solo": Switches(
        initializer=False,
        breadcrumbs=False,
        regression_checks=False,
        handoff_notes=False,
        context="continuous",
    ),
}
DEFAULT_PRESET = "continuous"


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a session, a silence, a tool call may last, in minutes."""

    session: Positive = 120.0
    stall: Positive = 10.0
    tool: Positive = 15.0


class ShellGuard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    profile: Literal["quickstart", "developer", "open"] = "developer"
    allow: list[str] = []
    deny: list[str] = []


class Guards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shell: ShellGuard = ShellGuard()


class FileConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `longwatch.toml` may hold."""

    preset: str | None = None
    features: Count | None = None
    model: str | None = None
    models: dict[Literal["planner", "initializer", "generator", "evaluator", "judge"], str] = {}
    max_retries: Count | None = None
    mode: Mode | None = None
    goal: str | None = None
    set: dict[str, str | bool | int] = {}
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    guards: Guards = Guards()
    sandbox: SandboxTable | None = None
    notify: Notify = Notify()
    mcp: dict[ServerName, McpServer] = {}
    """Read at each start, like `notify` and for the same reason."""


class RunConfig(msgspec.Struct, frozen=True):
    """A run's configuration as resolved; kept in run.json."""

    preset: str = DEFAULT_PRESET
    features: int = DEFAULT_FEATURES
    model: str = DEFAULT_MODEL
    models: dict[str, str] = {}
    max_retries: int = DEFAULT_RETRIES
    """Sessions that may work on one feature before it is skipped."""
    mode: Mode = "build"
    prompt: str = ""
    """What to build, to add or to mend, in the operator's sentences; "" where a specification says it."""
    goal: str = ""
    """The condition in words that ends a run without a contract."""
    switches: Switches = PRESETS[DEFAULT_PRESET]
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    guards: Guards = Guards()
    sandbox: SandboxTable = SandboxTable()

    def model_for(self, role: str) -> str:
        return self.models.get(role, JUDGE_MODEL if role == "judge" else self.model)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line asked for; None or empty is not asked."""

    preset: str | None = None
    features: int | None = None
    mode: str | None = None
    prompt: str | None = None
    goal: str | None = None
    models: list[str] = []
    """`M` for all roles, `ROLE=M` for one."""
    sets: list[str] = []
    """`NAME=VALUE` each."""
    limits: Mapping[str, float | None] = {}
    """By key; None takes one away that another source has set."""
    session_timeout: float | None = None
    stall_timeout: float | None = None
    max_retries: int | None = None
    sandbox: str | None = None

    def over(self, before: Options) -> Options:
        """These options on top of those of an earlier command on the same run."""
        earlier = msgspec.structs.asdict(before)
        asked = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        together = {
            "models": [*before.models, *self.models],
            "sets": [*before.sets, *self.sets],
            "limits": {**before.limits, **self.limits},
        }
        return Options(**{**earlier, **asked, **together})


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
        raise Mistake(f"{CONFIG_NAME}: {explain(error, FileConfig)}") from None


def resolve(file: FileConfig, options: Options, environ: Mapping[str, str]) -> RunConfig:
    """The configuration of a run from all its sources. Raises Mistake for what none of them may say."""
    preset = _preset(file.preset, f"{CONFIG_NAME}: preset: ", DEFAULT_PRESET)
    preset = _preset(options.preset, "--preset ", preset)
    model, models = _models(file, options.models, environ)
    switches = PRESETS[preset]
    for name, value in file.set.items():
        switches = _switched(switches, name, value, f"{CONFIG_NAME}: set.{name}")
    for item in options.sets:
        name, joint, word = item.partition("=")
        if not joint:
            raise Mistake(f"--set {item}: write it as NAME=VALUE")
        switches = _switched(switches, name, word, f"--set {item}")
    goal = (options.goal or file.goal or "").strip()
    _must_fit(switches, goal)
    counts = _changed(file, {"features": options.features, "max_retries": options.max_retries})
    timeouts = {"session": options.session_timeout, "stall": options.stall_timeout}
    return RunConfig(
        preset=preset,
        features=counts.features or DEFAULT_FEATURES,
        model=model,
        models=models,
        max_retries=counts.max_retries or DEFAULT_RETRIES,
        mode=_mode(options.mode, file.mode),
        prompt=(options.prompt or "").strip(),
        goal=goal,
        switches=switches,
        limits=limited(_default_limits(file.limits, environ), options.limits),
        timeouts=_changed(file.timeouts, timeouts, "-timeout"),
        guards=file.guards,
        sandbox=_sandbox(file.sandbox, options.sandbox, environ),
    )


def _preset(name: str | None, origin: str, default: str) -> str:
    if name is not None and name not in PRESETS:
        raise Mistake(f"{origin}{name}: there is no such preset; choose {' or '.join(PRESETS)}")
    return name or default


def _mode(asked: str | None, written: Mode | None) -> Mode:
    if asked is None:
        return written or "build"
    for mode in MODES:
        if mode == asked:
            return mode
    raise Mistake(f"--mode {asked}: choose {', '.join(MODES)}")


def _sandbox(table: SandboxTable | None, asked: str | None, environ: Mapping[str, str]) -> SandboxTable:
    if asked is None and table is not None:
        return table
    origin, word = (
        ("--sandbox", asked) if asked is not None else ("LONGWATCH_SANDBOX", environ.get("LONGWATCH_SANDBOX"))
    )
    for mode in SANDBOX_MODES:
        if mode == (word or "auto"):
            return msgspec.structs.replace(table or SandboxTable(), mode=mode)
    raise Mistake(f"{origin} {word}: choose {', '.join(SANDBOX_MODES)}")


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


def _changed(struct: _S, options: Mapping[str, float | None], suffix: str = "") -> _S:
    """`struct` with what options of the command line say. Raises Mistake that names the option."""
    for name, value in options.items():
        if value is None:
            continue
        number = counted(value)
        try:
            struct = msgspec.convert({**msgspec.structs.asdict(struct), name: number}, type(struct))
        except msgspec.ValidationError as error:
            option = f"--{name.replace('_', '-')}{suffix}"
            raise Mistake(f"{option} {number}: {advice(error, type(struct))}") from None
    return struct


def _switched(switches: Switches, name: str, value: str | bool | int, origin: str) -> Switches:
    """`switches` with one of them set. Raises Mistake that begins with `origin`."""
    values = msgspec.structs.asdict(switches)
    if name not in values:
        raise Mistake(f"{origin}: unknown switch `{name}`; the switches are {', '.join(sorted(values))}")
    if isinstance(values[name], bool):
        if str(value).lower() not in _FLAG_WORDS:
            raise Mistake(f"{origin}: give on or off")
        value = _FLAG_WORDS[str(value).lower()]
    try:
        return msgspec.convert({**values, name: value}, Switches, strict=False)
    except msgspec.ValidationError as error:
        raise Mistake(f"{origin}: {advice(error, Switches)}") from None


def _must_fit(switches: Switches, goal: str) -> None:
    """Raises Mistake for what together makes a run that can't come to an end, or to the one asked for."""
    if goal and switches.initializer:
        raise Mistake(
            "--goal: it ends a run that has no contract, and this one would end when its features pass; "
            "leave it out, or take --preset solo"
        )
    asked = {word.strip() for word in (switches.checkpoints or "").split(",")}
    verified = switches.evaluator != "off" or not asked.isdisjoint(_APPROVING)
    if switches.passes_from == "verified" and switches.initializer and not verified:
        raise Mistake(
            "passes_from=verified: nobody would verify anything, so that nothing would ever pass; "
            f"set evaluator to feature, sprint or end, or checkpoints to {' or '.join(_APPROVING)}"
        )


def switches_in_words() -> str:
    """The switches with what each can be set to, for a help text."""
    fields = msgspec.structs.fields(Switches)
    return ", ".join(
        f"{field.name}={'|'.join(choices(field.type)) or described(field.type) or 'on|off'}"
        for field in fields
    )


_FLAG_WORDS = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


class RunInfo(msgspec.Struct, frozen=True):
    """What run.json holds: who the run is and how it was set up."""

    format: int
    run_id: str
    preset: str
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
    NewerFormat when a newer Longwatch wrote it."""
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
    """Make sure that something can pay for a model, at an address that can be one.

    Raises Mistake with what to set.
    """
    base = environ.get("ANTHROPIC_BASE_URL", "")
    if base and not re.match(r"https?://[^/\s]+", base):
        raise Mistake(f"ANTHROPIC_BASE_URL is {base!r}: give an address that begins with http:// or https://")
    variables = (
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
    )
    if any(environ.get(name) for name in variables):
        return
    if kept_login(environ).is_file():
        return
    raise Mistake(
        "no way to reach a model: set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN (`claude setup-token` "
        "makes one), or log in once with `claude`; `longwatch demo` needs neither"
    )
