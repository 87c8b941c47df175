"""Rules for package managers, task runners and containers: install and run, but publish nothing."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness_core.guards import GuardContext
from harness_core.guards.patterns import lazy
from harness_core.guards.shell_code import is_secret_name
from harness_core.guards.shell_options import operands_after
from harness_core.guards.shell_profiles import CHECKING, TESTING
from harness_core.guards.shell_script import Command
from harness_core.guards.shell_targets import target_problem
from harness_core.guards.shell_unwrap import Nested, program
from harness_core.guards.shell_words import ANY, is_exact, name_set, shown

PUBLISH = "it publishes or signs in. The operator publishes; commit what you have."
PUBLISHING: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        ("npm", "pnpm", "yarn", "bun"),
        name_set(
            "publish unpublish login logout adduser add-user owner access token team org "
            "deprecate dist-tag hook profile"
            " star unstar sign stage trust"
        ),
    ),
    "cargo": name_set("publish login logout yank owner"),
    "gem": name_set("push yank owner signin signout"),
    **dict.fromkeys(("poetry", "uv", "hatch", "flit", "pdm", "rye"), frozenset({"publish"})),
    **dict.fromkeys(("docker", "podman", "docker-compose"), name_set("push login logout")),
    **dict.fromkeys(
        ("mvn", "sbt", "gradle", "gradlew", "mvnw", "lein"),
        name_set("deploy publish release:perform site:deploy uploadArchives"),
    ),
    **dict.fromkeys(("dart", "flutter"), frozenset({"pub publish"})),
    "mix": frozenset({"hex.publish"}),
    "dotnet": frozenset({"nuget push"}),
    "swift": frozenset({"package-registry publish"}),
    "composer": frozenset({"login"}),
    "lerna": frozenset({"publish"}),
    "changeset": frozenset({"publish"}),
    "jfrog": frozenset({"rt"}),
    "stack": frozenset({"upload"}),
    "cabal": frozenset({"upload"}),
    "opam": frozenset({"publish"}),
    "twine": frozenset({"upload"}),
}
"""By program, the subcommands that reach out of the run."""
NPX_TOOLS = (
    CHECKING
    | TESTING
    | name_set(
        "typescript tsc tsx ts-node vite vue-tsc svelte-check next nuxt astro remix "
        "gatsby webpack rollup parcel esbuild swc babel sass"
        " postcss tailwindcss @tailwindcss/cli prisma drizzle-kit knex sequelize "
        "sequelize-cli typeorm typedoc jsdoc storybook"
        " sb serve http-server live-server json-server nodemon concurrently cross-env "
        "dotenv dotenv-cli wait-on rimraf mkdirp"
        " npm-run-all run-s run-p npm-check-updates ncu create-vite create-next-app "
        "create-react-app create-svelte create-astro"
        " create-remix create-vue shadcn shadcn-ui sv msw turbo nx lerna tsup unbuild "
        "rspack rsbuild vitepress"
        " docusaurus eslint-config-prettier @playwright/test playwright-core "
        "@biomejs/biome husky lint-staged commitlint nyc c8"
        " tape jsonlint ajv ajv-cli openapi-typescript graphql-codegen "
        "@graphql-codegen/cli expo react-native ng"
        " @angular/cli @nestjs/cli nest vue @vue/cli electron electron-builder pm2 "
        "autocannon puppeteer lighthouse depcheck"
        " madge license-checker size-limit bundlesize source-map-explorer "
        "markdown-link-check sharp-cli svgo pa11y axe"
        " svelte-kit vike vite-node ts-node-dev tsc-watch sort-package-json patch-package only-allow"
        " del-cli cpx copyfiles ncp cpy-cli sass-embedded uglify-js terser html-minifier-terser workbox-cli"
        " microbundle elm elm-test gulp grunt @redocly/cli react-router @react-router/dev hardhat cap ionic"
        " html-validate stylelint-config-standard tailwind jscodeshift ts-jest ts-prune knip"
    )
)
"""Packages that `npx` may fetch: well known, and no other way to run any program."""
NPM_VALUED = name_set(
    "--prefix -C -w --workspace --filter --dir --cwd --registry --loglevel --cache --userconfig"
)
NPM_SCRIPTED = frozenset({"--script-shell", "--node-options", "--userconfig", "--globalconfig", "--registry"})
INSTALLERS = name_set("pip pip3 uv pipenv poetry pdm rye conda mamba gem cargo deno composer")
PYTHONS = name_set("python python2 python3")
INSTALLING = name_set("install add sync i in run download wheel require upgrade inject")
REMOVING = name_set("remove purge autoremove erase uninstall del")
INDEX_OPTIONS = name_set(
    "--index-url --extra-index-url --find-links --default-index --index --source --clear-sources --git"
)
INTO_OPTIONS = name_set("--target --prefix --root --install-dir")
FILE_OPTIONS = name_set("-r --requirement -c --constraint --cache-dir --log --config --manifest-path")
ADDRESS = lazy(
    r"(?i)(?:[\w.\[\]/@-]*@\s*)?(?:git\+|hg\+|https?:|ssh:|git:|git@|ftp:|github:|gitlab:|bitbucket:)"
)
"""A package given by the address of its code."""
DOCKER_CLOSED = lazy(
    r"--privileged|--pid=host|--cap-add.*|--security-opt.*|--userns=host|--ipc=host|--device.*|--uts=host"
)


def package_problem(command: Command, ctx: GuardContext) -> str | None:
    """Why a package manager, task runner or container command may not run, or None."""
    name = program(command)
    args = list(command.argv[1:])
    problem = _publishes(name, args)
    if problem:
        return problem
    if name in ("npx", "bunx", "pnpx"):
        return _npx(args, command, ctx)
    if name in ("npm", "pnpm", "yarn", "bun"):
        return _npm(name, args, command, ctx)
    if name in ("uvx", "pipx"):
        return _tool(name, args) or _sources(name, args, command, ctx)
    if name == "deno" and any(_foreign_script(word) for word in args):
        return "`deno` would fetch and run a package that isn't well known. Add it to the project first."
    if name in INSTALLERS or (name in PYTHONS and args[:2] == ["-m", "pip"]):
        return _sources(name, args, command, ctx)
    if name in ("docker", "podman", "docker-compose"):
        return _docker(args, command, ctx)
    if name in ("make", "gmake"):
        return _make(args, command, ctx)
    if name in ("apt", "apt-get", "yum", "dnf", "apk", "brew") and REMOVING & set(args):
        return f"`{name}` would take programs away from the machine. Leave what is installed."
    return None


def _publishes(name: str, args: list[str]) -> str | None:
    closed = PUBLISHING.get(name, frozenset())
    _, rest = operands_after(
        args, NPM_VALUED | {"-f", "-p", "--project-name", "--profile", "--manifest-path"}
    )
    for length in (1, 2):
        verb = " ".join(rest[:length])
        if verb in closed:
            return f"`{name} {verb}`: {PUBLISH}"
    if name in PYTHONS and rest[:1] == ["setup.py"] and {"upload", "register"} & set(rest):
        return f"`python setup.py upload`: {PUBLISH}"
    later = [word for word in rest if word in closed]
    goals = name in ("mvn", "mvnw", "gradle", "gradlew", "sbt", "lein")
    if (goals and later) or (name == "yarn" and rest[:2] == ["npm", "publish"]):
        return f"`{name} {' '.join(map(shown, rest))}`: {PUBLISH}"
    if name == "docker" and ("--push" in args or rest[:2] in (["image", "push"], ["compose", "push"])):
        return f"`docker {' '.join(map(shown, rest[:2]))}`: {PUBLISH}"
    return None


def _bare(package: str) -> str:
    """A package's name without its version."""
    return re.sub(r"(?<=.)@[^/@]*$", "", package)


def _npx(args: list[str], command: Command, ctx: GuardContext) -> str | None:
    valued = frozenset({"-p", "--package", "-c", "--call", "-w", "--workspace"})
    options, rest = operands_after(args, valued)
    if any(
        word in ("-y", "--yes") or re.fullmatch(r"-\w*y\w*", word) or word.startswith("--yes=")
        for word in options
    ):
        return (
            "`npx --yes` fetches and runs any package unasked. Install it with the package "
            "manager, then run it without -y."
        )
    packages = [options[i + 1] for i, w in enumerate(options[:-1]) if w in ("-p", "--package")]
    packages += [word.partition("=")[2] for word in options if word.startswith("--package=")]
    if not packages:
        packages = rest[:1]
    for package in packages:
        if not is_exact(package) or not (
            _bare(package) in NPX_TOOLS or _is_local(_bare(package), command, ctx)
        ):
            return (
                f"`npx {shown(package)}` would fetch and run a package that isn't among "
                "the well-known tools. "
                "Add it to the project with the package manager first."
            )
    return None


def _is_local(name: str, command: Command, ctx: GuardContext) -> bool:
    folders = [cwd for cwd in command.cwds if cwd] + [ctx.root]
    return "/" not in name and any((folder / "node_modules" / ".bin" / name).exists() for folder in folders)


def _npm(name: str, args: list[str], command: Command, ctx: GuardContext) -> str | None:
    for word in args:
        if word.partition("=")[0] in NPM_SCRIPTED and "--" not in args[: args.index(word)]:
            return (
                f"`{name} {shown(word)}` changes what runs scripts, or where packages come "
                "from. Leave it out."
            )
    options, rest = operands_after(args, NPM_VALUED)
    for option, folder in itertools.pairwise(options):
        if option in ("--prefix", "-C", "--dir", "--cwd") and target_problem(folder, command.cwds, ctx.root):
            return f"`{name} {option} {shown(folder)}` works outside the run. Work in the run's directory."
    verb = rest[0] if rest else ""
    if not is_exact(verb):
        return f"which {name} command it is isn't known before it runs. Write it out."
    if verb in ("exec", "x") and name in ("npm", "bun"):
        return _npx([word for word in rest[1:] if word != "--"], command, ctx)
    if verb == "dlx":
        return _npx(rest[1:], command, ctx)
    if verb in ("create", "init", "innit") and len(rest) > 1 and not rest[1].startswith("-"):
        package = rest[1]
        made = f"create-{_bare(package)}"
        if made not in NPX_TOOLS and not package.startswith("@"):
            return (
                f"`{name} {verb} {shown(package)}` fetches and runs a package that isn't well "
                "known. Set the project up by hand."
            )
    if verb in INSTALLING - {"run"}:
        problem = _sources(name, [verb, *rest[1:]], command, ctx)
        if problem:
            return problem
    if verb in ("config", "c", "get") and any(re.search(r"(?i)_auth|token|password", w) for w in rest):
        return f"`{name} config` of a credential, which no agent reads. Ask the operator."
    in_project = "--location=project" in args or ["--location", "project"] in map(
        list, itertools.pairwise(args)
    )
    if not in_project and verb in ("config", "c", "set") and {"set", "edit", "delete"} & set(rest[:2]):
        return f"`{name} config set` writes the user's own settings. Use a .npmrc in the project."
    return None


def _tool(name: str, args: list[str]) -> str | None:
    _, rest = operands_after(args, frozenset({"--from", "--with", "--python", "-p", "--spec"}))
    if name == "pipx" and rest[:1] != ["run"]:
        return None
    tool = rest[1] if name == "pipx" and len(rest) > 1 else rest[0] if rest else ""
    if tool and _bare(tool) not in NPX_TOOLS | {"cookiecutter", "copier", "pytest", "ruff", "mypy", "black"}:
        return (
            f"`{name} {shown(tool)}` would fetch and run a package that isn't well known. Add "
            "it to the project first."
        )
    return None


def _foreign_script(word: str) -> bool:
    """Whether deno is given a package of a registry that isn't among the well-known tools."""
    found = re.match(r"(?:npm|jsr):/?(@?[^@]+)", word)
    return bool(found) and _bare(found[1] if found else "") not in NPX_TOOLS


def _sources(name: str, args: list[str], command: Command, ctx: GuardContext) -> str | None:
    """Packages come from the configured index or from the run, not from an address or another folder."""
    if not INSTALLING & set(args[:3]):
        return None
    for before, word in itertools.pairwise(("", *args)):
        option, _, value = word.partition("=")
        if option in INDEX_OPTIONS or (name.startswith(("pip", "python")) and re.match(r"-[if]$", word)):
            return f"`{name} {shown(word)}` takes packages from elsewhere. Use the index that is configured."
        folder = value if option in INTO_OPTIONS else word if before in INTO_OPTIONS else ""
        if folder and target_problem(folder, command.cwds, ctx.root):
            return f"`{name} {shown(word)}` installs outside the run. Use an environment inside it."
        if ADDRESS.match(word):
            return f"`{name} {shown(word)}` runs code from an address. Use a package of the index."
        if before not in FILE_OPTIONS and _elsewhere(word, command, ctx):
            return f"`{name} {shown(word)}` lies outside the run. Install what is inside it."
    return None


def _elsewhere(word: str, command: Command, ctx: GuardContext) -> bool:
    """Whether a package is given as a folder or file outside the run."""
    folder = re.sub(r"^(?:file|link|portal):(?://)?|^[\w-]+\s*@\s*file://", "", word)
    if not folder.startswith(("/", "..", "~")) or not is_exact(folder):
        return False
    return target_problem(folder, command.cwds, ctx.root) is not None


def _docker(args: list[str], command: Command, ctx: GuardContext) -> str | None:
    if args[1:2] == ["prune"] and args[0] in ("system", "volume", "network", "container", "image"):
        return (
            f"`docker {args[0]} prune` removes what other projects own. Use `docker compose "
            "down`, or name what is yours."
        )
    verb = args[1:2] if args[:1] in (["volume"], ["network"], ["container"], ["image"]) else args[:1]
    if verb and verb[0] in ("rm", "kill", "stop", "rmi") and any(ANY in word for word in args):
        return f"`docker {verb[0]}` of what isn't named may end what others own. Name the containers."
    if (args[:1] == ["inspect"] or args[:2] == ["container", "inspect"]) and _shows_settings(args):
        return (
            "`docker inspect` shows what a container was given, credentials too. "
            "Ask for one part: `--format '{{json .State}}'`."
        )
    if {"build", "buildx"} & set(args[:2]) and any(ADDRESS.match(word) for word in args):
        return "`docker build` of an address runs code from there. Build from the run's directory."
    for option, folder in itertools.pairwise(args):
        if option in ("-f", "--file", "--env-file") and target_problem(folder, command.cwds, ctx.root):
            return f"`docker {option} {shown(folder)}` lies outside the run. Use a file inside it."
    for index, word in enumerate(args):
        if DOCKER_CLOSED.fullmatch(word) or (
            word in ("--pid", "--ipc", "--userns") and args[index + 1 : index + 2] == ["host"]
        ):
            return f"`docker {shown(word)}` opens the machine to the container. Run it without."
        mount = None
        if word in ("-v", "--volume", "--mount") and index + 1 < len(args):
            mount = args[index + 1]
        elif word.startswith(("--volume=", "--mount=")):
            mount = word.partition("=")[2]
        elif re.match(r"-v[=/.~]", word):
            mount = word[2:].removeprefix("=")
        handed = re.fullmatch(r"(?:-e|--env)=?(\w*)", word)
        if handed and is_secret_name(handed[1] or args[min(index + 1, len(args) - 1)]):
            return f"`docker {shown(word)}` hands a credential to a container. Use a placeholder."
        if index == 0 and (re.match(r"-H|--host|--context|-c$", word) or args[:2] == ["context", "use"]):
            return f"`docker {shown(word)}` talks to another daemon. Use the one of this machine."
        problem = _mount(mount, command, ctx) if mount else None
        if problem:
            return problem
    return None


def _shows_settings(args: list[str]) -> bool:
    """Whether an inspection prints a container's environment, as it does when no part is asked for."""
    asked = [
        after if word in ("-f", "--format") else word.partition("=")[2]
        for word, after in itertools.pairwise((*args, ""))
        if re.match(r"(-f|--format)(=|$)", word)
    ]
    return not asked or any(
        not is_exact(part) or re.search(r"Env|\.Config(?!\.)|(?<![\w.)])\.(?!\w)", part) for part in asked
    )


def _mount(text: str, command: Command, ctx: GuardContext) -> str | None:
    named = re.search(r"(?:source|src)=([^,]*)", text)
    source = named[1] if named else text.partition(":")[0]
    if not source.startswith(("/", ".", "~")) and is_exact(source):
        return None
    for cwd in command.cwds:
        path = ((cwd or Path("/")) / source).resolve() if is_exact(source) else Path("/")
        if not path.is_relative_to(ctx.root):
            return (
                f"`docker -v {shown(text)}` mounts a folder outside the run. Mount the project "
                "or a named volume."
            )
    return None


def _make(args: list[str], command: Command, ctx: GuardContext) -> str | None:
    for index, word in enumerate(args):
        after = args[index + 1] if index + 1 < len(args) else ""
        if word in ("-C", "--directory") and target_problem(after, command.cwds, ctx.root):
            return f"`make -C {shown(after)}`: its rules lie outside the run. Use the project's Makefile."
        joined = word.partition("=")[2] if word.startswith("--") else word[2:]
        file = after if word in ("-f", "--file", "--makefile") else joined
        if word.startswith(("-f", "--file", "--makefile")) and (
            file in ("-", "/dev/stdin") or file.startswith("/dev/fd")
        ):
            return "`make -f -` runs commands from its input. Put them in the project's Makefile."
        if re.match(r"-f|--(make)?file", word) and target_problem(file, command.cwds, ctx.root):
            return f"`make {word} {shown(file)}`: its rules lie outside the run. Use the project's Makefile."
        if word.startswith(("--eval", "SHELL=", ".SHELLFLAGS=")) or word == "-E":
            return f"`make {shown(word)}` makes it run something else. Put rules in the project's Makefile."
    return None


def carried(command: Command) -> Iterator[Command | Nested]:
    """The command or script that a package runner is asked to run."""
    name = program(command)
    args = list(command.argv[1:])
    if name in ("npm", "bun") and args[:1] in (["exec"], ["x"]):
        name, args = "npx", [word for word in args[1:] if word != "--"]
    if name in ("pnpm", "yarn") and args[:1] == ["dlx"]:
        name, args = "npx", args[1:]
    if name not in ("npx", "bunx", "pnpx"):
        return
    options, rest = operands_after(args, frozenset({"-p", "--package", "-c", "--call", "-w", "--workspace"}))
    for index, word in enumerate(options[:-1]):
        if word in ("-c", "--call"):
            yield Nested(options[index + 1], command)
    if rest and is_exact(rest[0]):
        tool = _bare(rest[0]).rpartition("/")[2]
        yield command._replace(argv=(f"node_modules/.bin/{tool}", *rest[1:]), redirects=())
