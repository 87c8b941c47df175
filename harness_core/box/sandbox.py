"""The operating system's sandbox: what it closes for the agents' shell and for the app under work.

The shell is boxed by the CLI (bubblewrap, socat); the settings for that are made here. It has a network of
its own, which ends at a proxy. What listens on this machine is brought in port by port, so that any client
reaches it under its usual address. The app is boxed by bubblewrap alone, on the host's network.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import platformdirs

from harness_core.layout import RunDir
from harness_core.machine.cli_home import kept_login
from harness_core.machine.files import read_bounded
from harness_core.secrets.redact import credentials

Mode = Literal["auto", "require", "off"]
MODES: tuple[Mode, ...] = ("auto", "require", "off")
PACKAGES = {"bwrap": "bubblewrap", "socat": "socat"}
"""Programs that it takes, and the packages that have them."""
MASKED = (
    *("/.bash_profile", "/.bashrc", "/.profile", "/.zprofile", "/.zshrc", "/.gitconfig", "/.gitmodules"),
    *("/.mcp.json", "/.ripgreprc", "/.idea", "/.vscode", "/.claude/"),
)
"""Names at the root that the CLI's sandbox covers with devices while a command runs: git must pass over them,
or `git add -A` fails."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
REGISTRIES = (
    *("registry.npmjs.org", "registry.yarnpkg.com", "pypi.org", "files.pythonhosted.org"),
    *("crates.io", "index.crates.io", "static.crates.io", "proxy.golang.org", "sum.golang.org"),
    *("rubygems.org", "index.rubygems.org", "repo.maven.apache.org", "repo1.maven.org", "plugins.gradle.org"),
    *("repo.packagist.org", "api.nuget.org"),
)
"""Hosts that a boxed shell reaches besides this machine, so that package managers work."""
_INDEX_NAMES = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "GOPROXY"),
    *("NPM_CONFIG_REGISTRY", "npm_config_registry", "YARN_NPM_REGISTRY_SERVER"),
)
_INDEX_FILES = (
    *("/etc/pip.conf", ".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml"),
    *(".npmrc", ".yarnrc.yml", ".cargo/config.toml"),
)
"""Where a machine's own package indexes are named: variables, and files of the home folder."""
_ADDRESS = re.compile(r"https?://(?:[^/@\s]*@)?([A-Za-z0-9.-]+)")
_SECRET_PLACES = (
    *(".ssh", ".aws", ".gnupg", ".azure", ".kube", ".docker", ".password-store", ".netrc", ".pgpass"),
    *(".git-credentials", ".claude.json", ".vault-token", ".config/gh", ".config/gcloud"),
)
"""What nothing in a box can read of the home folder. `.npmrc` and its like are left: package managers need
them."""
_CACHES = {"XDG_CACHE_HOME": "", "npm_config_cache": "npm", "GOMODCACHE": "go", "CARGO_HOME": "cargo"}
"""Variables by which package managers find their caches, each with its folder in the run's own."""
_START_WITHIN = 8.0
_LOCKED_FOR = 1.0
"""Seconds that a git at work may need to write into its lock."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PRIVATE = re.compile(r"ANTHROPIC_|CLAUDE|SSH_AUTH_SOCK$|SSH_AGENT_PID$|DBUS_|GNUPGHOME$|LONGWATCH_")

_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
_Host = Annotated[str, msgspec.Meta(pattern=r"^(\*\.)?[A-Za-z0-9.:-]+$", description="a host's name")]


class SandboxTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[sandbox]` table."""

    mode: Mode = "auto"
    hosts: list[_Host] = []
    """Hosts that the shell reaches on top of the usual package registries."""
    ports: list[_Port] = []
    """Ports of this machine that the shell reaches on top of those of the app: a database's, say."""
    keep: list[str] = []
    """Variables that shell and app keep though they look like a credential, in a sandbox and without."""


@dataclass(frozen=True)
class Sandbox:
    """What a run has of it."""

    on: bool = False
    why: str = ""
    """Why it is off, in words; "" when it is on, or when nobody wanted it."""
    table: SandboxTable = field(default_factory=SandboxTable)

    def __str__(self) -> str:
        if self.on:
            return "the agents' shell and the app run in a sandbox"
        return f"no sandbox: {self.why}" if self.why else "no sandbox, as asked"


def lacks(environ: Mapping[str, str] = os.environ) -> str:
    """Why this machine can have none at all, in words; "" where a process starts in one."""
    if sys.platform != "linux":
        return "Longwatch knows how to use one on Linux alone"
    path = environ.get("PATH", os.defpath)
    missing = [package for name, package in PACKAGES.items() if not shutil.which(name, path=path)]
    if missing:
        return f"{' and '.join(missing)} not installed"
    walls = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--unshare-net"]
    from harness_core.machine.aside import run  # noqa: PLC0415  (who only reads settings runs nothing)

    tried = run([shutil.which("bwrap", path=path) or "bwrap", *walls, "--", "true"], environ, _START_WITHIN)
    return f"no process starts in one: {tried.why}" if tried.why else ""


def scratch(run_id: str) -> Path:
    """A run's own folder outside of it: caches of package managers, clones for evaluators."""
    return platformdirs.user_cache_path("longwatch") / run_id


# --- The shell ----------------------------------------------------------------------------------------


def for_shell(
    box: Sandbox,
    place: RunDir,
    scratch_dir: Path,
    review: Path | None,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Any]:
    """The CLI's settings. `review` is the folder of a session that may change nothing else."""
    closed = (
        [place.root] if review is not None else [place.private, *filter(Path.exists, [place.config_file])]
    )
    hosts = dict.fromkeys((*LOOPBACK, *REGISTRIES, *_indexes(environ), *box.table.hosts))
    return {
        "enabled": True,
        # Without it, a CLI that lacks something goes on without a sandbox and says so to nobody.
        "failIfUnavailable": True,
        "allowUnsandboxedCommands": False,
        "filesystem": {
            "allowWrite": [str(scratch_dir / "cache"), *([str(review)] if review else [])],
            "denyWrite": [str(path) for path in closed],
            "denyRead": [str(place.private), *(str(path) for path in _secrets(environ))],
        },
        "network": {"allowedDomains": list(hosts)},
        "credentials": {
            "envVars": [{"name": name, "mode": "deny"} for name in credentials(environ, box.table.keep)]
        },
    }


def bared(command: str, names: Iterable[str]) -> str:
    """A shell command as it runs without a sandbox: these variables are gone for it and what it starts."""
    known = [name for name in names if _VARIABLE.fullmatch(name)]
    # On the same line, so that the shell counts lines as the agent does.
    return f"unset -v {' '.join(known)}; {command}" if known else command


def caches(scratch_dir: Path) -> dict[str, str]:
    """The variables that send package managers to a cache which a box may write."""
    return {name: str(scratch_dir / "cache" / folder) for name, folder in _CACHES.items()}


def linked(command: str, ports: Sequence[int], folder: Path | None = None) -> str:
    """A shell command as it runs in the sandbox: with these ports of the machine at their usual address, and
    in `folder` where one is named."""
    steps = [
        *([_LINK.replace("@PORTS@", " ".join(map(str, ports)))] if ports else []),
        *([f"cd {shlex.quote(str(folder))} || exit"] if folder is not None else []),
    ]
    return "\n".join([*steps, command])


_LINK = (
    # In a subshell, so that neither `wait` nor `jobs` nor a variable of the command knows of it.
    '(a=${http_proxy#*//}; for p in @PORTS@; do socat "TCP6-LISTEN:$p,ipv6only=0,fork,reuseaddr" '
    '"PROXY:127.0.0.1:127.0.0.1:$p,proxyport=3128,proxyauth=${a%@*}" </dev/null >/dev/null 2>&1 & '
    'n=0; until grep -q "$(printf \':%04X 0*:0000 0A\' "$p")" /proc/net/tcp6 /proc/net/tcp || '
    '[ "$n" -ge 100 ]; do n=$((n+1)); sleep 0.01; done; done)'
)
"""The CLI's proxy listens on port 3128 inside the box and takes CONNECT to the allowed hosts."""


def _indexes(environ: Mapping[str, str]) -> list[str]:
    """The hosts that package managers are sent to by the settings of this machine."""
    home = Path(environ.get("HOME") or Path.home())
    texts = [environ.get(name, "") for name in _INDEX_NAMES]
    for name in _INDEX_FILES:
        with contextlib.suppress(OSError):
            texts.append((read_bounded(home / name) or b"").decode(errors="replace"))
    return [host for text in texts for host in _ADDRESS.findall(text)]


def _secrets(environ: Mapping[str, str]) -> list[Path]:
    """The places with credentials that there are."""
    home = Path(environ.get("HOME") or Path.home())
    places = [*(home / name for name in _SECRET_PLACES), kept_login(environ)]
    return [place for place in places if place.exists()]


def sweep(place: RunDir) -> None:
    """Take away what a CLI that was killed has left of its covers: empty files that git doesn't know, and an
    empty lock that would keep git's configuration from being changed. Nothing of the run may be alive."""
    covers = [name.strip("/") for name in MASKED if _is_empty(place.root / name.strip("/"))]
    if covers:
        asked = ["git", "-C", str(place.root), "ls-files", "-z", "--", *covers]
        known = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False)
        for name in covers if known.returncode == 0 else ():
            if name not in known.stdout.split("\0"):
                (place.root / name).unlink(missing_ok=True)
    lock = place.root / ".git" / "config.lock"
    if _is_empty(lock) and time.time() - lock.stat().st_mtime > _LOCKED_FOR:
        lock.unlink(missing_ok=True)


def _is_empty(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size == 0


# --- The app ------------------------------------------------------------------------------------------


def app_environment(environ: Mapping[str, str], keep: Iterable[str] = ()) -> dict[str, str]:
    """What an app gets of an engine's environment: no credential, nothing of the model's or Longwatch's."""
    kept = set(keep)
    closed = {*credentials(environ), *filter(_PRIVATE.match, environ)} - kept
    return {name: value for name, value in environ.items() if name not in closed}


def boxed(command: Sequence[str], place: RunDir, scratch_dir: Path) -> list[str]:
    """`command` in a box that writes inside the run, its caches and a folder for temporary files of its own.

    The box lives as long as anything in it does, and the command's exit status is the box's.
    """
    cache = str(scratch_dir / "cache")
    hidden = [word for hiding in _secrets(os.environ) for word in _covered(hiding)]
    return [
        *("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),
        *("--bind", cache, cache, "--bind", str(place.root), str(place.root)),
        *("--ro-bind-try", str(place.root / ".git"), str(place.root / ".git"), "--tmpfs", str(place.private)),
        *("--ro-bind-try", str(place.config_file), str(place.config_file)),
        *hidden,
        *("--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL", "--chdir", str(place.root), "--"),
        *command,
    ]


def _covered(place: Path) -> tuple[str, ...]:
    return ("--tmpfs", str(place)) if place.is_dir() else ("--ro-bind", os.devnull, str(place))
