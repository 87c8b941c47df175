"""Which files a simple command writes, by program: the words that the target rules then judge."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from harness_core.guards.patterns import lazy
from harness_core.guards.shell_options import split_options
from harness_core.guards.shell_produce import found
from harness_core.guards.shell_script import Command
from harness_core.guards.shell_unwrap import program
from harness_core.guards.shell_words import ANY, STAR, name_set


class Write(NamedTuple):
    """A file that a command writes.

    `whole`: it takes in what lies below, or removes or moves it. `source`: what lands there under its own
    name if the target is a folder.
    """

    target: str
    whole: bool = False
    source: str | None = None


Finder = Callable[[list[str]], Iterator[Write]]


def _recursive(options: Mapping[str, str]) -> bool:
    return not {"-r", "-R", "--recursive", "-a", "--archive"}.isdisjoint(options)


def _each(valued: str = "", whole: bool = False) -> Finder:
    def find(args: list[str]) -> Iterator[Write]:
        options, operands = split_options(args, valued)
        for word in operands:
            yield Write(word, whole or _recursive(options))

    return find


def _chmod(args: list[str]) -> Iterator[Write]:
    operands = [word for word in args if not word.startswith("-") or re.fullmatch(r"-[rwxst]+", word)]
    recursive = any(re.fullmatch(r"-\w*R\w*|--recursive", word) for word in args)
    yield from (Write(word, recursive) for word in operands[1:])


def _copying(valued: str, moves: bool = False, links: bool = False) -> Finder:
    def find(args: list[str]) -> Iterator[Write]:
        options, operands = split_options(args, valued)
        folder = options.get("-t") or options.get("--target-directory")
        sources, target = (
            (operands, folder) if folder else (operands[:-1], operands[-1] if operands else None)
        )
        if links and len(operands) == 1 and not folder:
            target, sources = ".", operands
        if "-d" in options and not moves and not sources and target:
            sources = [target]
        if target:
            yield Write(target, whole="-T" in options)
        for source in sources:
            yield Write(target or ".", source=source)
            if moves:
                yield Write(source, whole=True)

    return find


def _install(args: list[str]) -> Iterator[Write]:
    options, operands = split_options(args, "-m --mode -o --owner -g --group -t --target-directory -S")
    if "-d" in options:
        yield from map(Write, operands)
    else:
        yield from _copying("-m --mode -o --owner -g --group -t --target-directory -S")(args)


def _rsync(args: list[str]) -> Iterator[Write]:
    options, operands = split_options(
        args, "-e --rsh --exclude --include --filter -f --exclude-from --files-from --chmod"
    )
    for source in operands[:-1]:
        yield Write(operands[-1], source=f"{source}." if source.endswith("/") else source)
        if "--remove-source-files" in options:
            yield Write(source, whole=True)
    if any(name.startswith("--del") for name in options) and operands:
        yield Write(operands[-1], whole=True)
    for name in ("--log-file", "--backup-dir", "--partial-dir", "--temp-dir"):
        if name in options:
            yield Write(options[name])


def _dd(args: list[str]) -> Iterator[Write]:
    yield from (Write(word.partition("=")[2]) for word in args if word.startswith("of="))


def _sed(args: list[str]) -> Iterator[Write]:
    if any(re.match(r"-[nErsuz]*i|--in-place", word) for word in args):
        options, operands = split_options(
            [word for word in args if word != ""], "-e -f --expression --file -l"
        )
        scripted = not {"-e", "-f", "--expression", "--file"}.isdisjoint(options) or any(
            w == "-e" for w in args
        )
        yield from (Write(word) for word in operands[0 if scripted else 1 :])


def _awk(args: list[str]) -> Iterator[Write]:
    if any(args[i : i + 2] == ["-i", "inplace"] for i in range(len(args))) or "--include=inplace" in args:
        _, operands = split_options(args, "-i -F -v -f --include")
        yield from (Write(word) for word in operands[0 if "-f" in args else 1 :])


def _perl(args: list[str]) -> Iterator[Write]:
    if any(re.match(r"-[a-zA-Z0-9]*i", word) for word in args):
        index = next((i for i, w in enumerate(args) if re.fullmatch(r"-\w*[eE]", w)), -1)
        after = args[index + 2 :] if index >= 0 else args
        yield from (Write(word) for word in after if not word.startswith("-"))


def _tar(args: list[str]) -> Iterator[Write]:
    first = args[0] if args else ""
    words = [f"-{first}", *args[1:]] if first and not first.startswith("-") else args
    options, members = split_options(
        words, "-f --file -C --directory -T --exclude -X --transform -I --strip-components"
    )
    mode = {
        name
        for name in options
        if name in ("-x", "-c", "-r", "-u", "-A", "--extract", "--get", "--create", "--append")
    }
    if mode & {"-x", "--extract", "--get"}:
        yield from _extracted(options.get("-C") or options.get("--directory") or ".", members)
    elif mode:
        name = options.get("-f") or options.get("--file")
        if name and name != "-":
            yield Write(name)
        if "--remove-files" in options:
            yield from (Write(word, whole=True) for word in members)


def _extracted(folder: str, members: list[str]) -> Iterator[Write]:
    """What unpacking writes: the members that are named, else files that nobody knows the names of."""
    place = folder.rstrip("/") or "/"
    yield Write(f"{place}/{ANY}.extracted")
    yield from (Write(f"{place}/{word}", whole=True) for word in members)


def _unzip(args: list[str]) -> Iterator[Write]:
    options, operands = split_options(args, "-d -x -P")
    if not {"-l", "-t", "-p", "-v", "-Z"} & set(options):
        yield from _extracted(options.get("-d", "."), operands[1:])


def _zip(args: list[str]) -> Iterator[Write]:
    _, operands = split_options(args, "-x -i -b -P")
    yield from map(Write, operands[:1])
    if any(re.fullmatch(r"-\w*m\w*|--move", word) for word in args):
        yield from (Write(word, whole=True) for word in operands[1:])


def _find(args: list[str]) -> Iterator[Write]:
    for index, word in enumerate(args):
        if word == "-delete" and not _only_empty_folders(args):
            yield from (Write(path, whole=True) for path in found(args))
        elif word in ("-fprint", "-fprint0", "-fls", "-fprintf") and index + 1 < len(args):
            yield Write(args[index + 1])


def _only_empty_folders(args: list[str]) -> bool:
    return "-empty" in args and ("-type", "d") in itertools.pairwise(args) and "-o" not in args


def _options(names: str, valued: str = "") -> Finder:
    def find(args: list[str]) -> Iterator[Write]:
        options, _ = split_options(args, f"{names} {valued}")
        yield from (Write(options[name]) for name in names.split() if options.get(name, "-") not in ("", "-"))

    return find


def _curl(args: list[str]) -> Iterator[Write]:
    options, operands = split_options(args, f"{CURL_VALUED}")
    for name in (
        "-o",
        "--output",
        "-D",
        "--dump-header",
        "-c",
        "--cookie-jar",
        "--trace",
        "--trace-ascii",
        "--stderr",
        "--output-dir",
    ):
        if options.get(name, "-") not in ("", "-"):
            yield Write(options[name])
    if not {"-O", "--remote-name", "-J", "--remote-name-all"}.isdisjoint(options):
        yield from (Write(url.rstrip("/").rpartition("/")[2].partition("?")[0] or ANY) for url in operands)


CURL_VALUED = (
    "-o --output -D --dump-header -c --cookie-jar --trace --trace-ascii --stderr "
    "--output-dir -X --request -H --header"
    " -d --data --data-raw --data-binary --data-urlencode --data-ascii --json -F --form "
    "--form-string -u --user -A"
    " --user-agent -e --referer -b --cookie -w --write-out -m --max-time "
    "--connect-timeout --retry --retry-delay"
    " --retry-max-time -T --upload-file --url -x --proxy -K --config -E --cert --key "
    "--cacert --resolve --connect-to"
    " --interface --unix-socket -r --range -y -Y --limit-rate -z --time-cond -C "
    "--continue-at --max-redirs -P -t -U"
    " --proxy-user --socks5 --socks4 --socks5-hostname --preproxy --doh-url --dns-servers "
    "--variable --rate --oauth2-bearer"
)


def _wget(args: list[str]) -> Iterator[Write]:
    options, operands = split_options(
        args, "-O --output-document -o --output-file -a -P --directory-prefix -T -t --header --post-data -U"
    )
    named = options.get("-O") or options.get("--output-document")
    for name in ("-O", "--output-document", "-o", "--output-file", "-a"):
        if options.get(name, "-") not in ("", "-"):
            yield Write(options[name])
    folder = options.get("-P") or options.get("--directory-prefix") or "."
    if not named and "--spider" not in options:
        yield from (
            Write(f"{folder}/{url.rstrip('/').rpartition('/')[2] or 'index.html'}") for url in operands
        )


def _compressed(args: list[str]) -> Iterator[Write]:
    options, operands = split_options(args, "-S --suffix -T -o")
    if not {"-c", "--stdout", "-l", "-t", "--list", "--test"} & set(options):
        yield from (Write(word, whole=True) for word in operands)


def _last(args: list[str]) -> Iterator[Write]:
    _, operands = split_options(args)
    yield from map(Write, operands[-1:])


def _second(args: list[str]) -> Iterator[Write]:
    _, operands = split_options(args, "-s -c -g -w -l -p -n -b -i -f -k -d --delimiter")
    yield from map(Write, operands[1:2])


def _split(args: list[str]) -> Iterator[Write]:
    _, operands = split_options(args, "-b -l -n -a -C")
    if len(operands) < 2:
        yield Write("xaa")
        return
    yield Write(operands[1])
    yield Write(f"{operands[1]}{STAR}")


def _csplit(args: list[str]) -> Iterator[Write]:
    options, _ = split_options(args, "-f --prefix -b --suffix-format -n --digits")
    prefix = options.get("-f") or options.get("--prefix") or "xx"
    yield Write(prefix)
    yield Write(f"{prefix}{STAR}")


def _mktemp(args: list[str]) -> Iterator[Write]:
    options, operands = split_options(args, "-p --tmpdir --suffix")
    folder = options.get("-p") or options.get("--tmpdir")
    if operands and "-t" not in options:
        yield Write(f"{folder}/{operands[0]}" if folder else operands[0])
    elif folder:
        yield Write(f"{folder}/x")


def _patch(args: list[str]) -> Iterator[Write]:
    options, operands = split_options(args, "-p -i --input -d --directory -o --output -r -B -D -F -V -Y -z")
    yield from map(Write, operands[:1])
    yield from (
        Write(options[name]) for name in ("-o", "--output", "-r") if options.get(name, "-") not in ("", "-")
    )
    folder = options.get("-d") or options.get("--directory")
    if folder:
        yield Write(f"{folder}/x")


def _formatter(flags: str) -> Finder:
    def find(args: list[str]) -> Iterator[Write]:
        if not set(flags.split()).isdisjoint(args):
            _, operands = split_options(
                args, "-c --config --parser --ext -x -e -r --recipe --recipes --config-path --ignore-path"
            )
            yield from map(Write, (word for word in operands if "/" in word or "." in word))

    return find


def _yq(args: list[str]) -> Iterator[Write]:
    if any(re.fullmatch(r"-\w*i\w*|--in-?place", word) for word in args):
        yield from (Write(word) for word in args if not word.startswith("-") and "." in word)


def _pictured(args: list[str]) -> Iterator[Write]:
    if args[:1] in (["screenshot"], ["pdf"]):
        yield from map(Write, [word for word in args if not word.startswith("-")][-1:])


def _from_container(args: list[str]) -> Iterator[Write]:
    if "cp" in args[:2] and args and ":" not in args[-1]:
        yield Write(args[-1])
    if {"save", "export"} & set(args[:2]):
        yield from _options("-o --output")(args)


FINDERS: Mapping[str, Finder] = {
    "rm": _each(whole=True),
    "rmdir": _each(whole=True),
    "unlink": _each(whole=True),
    "shred": _each("-n -s", whole=True),
    "touch": _each("-d --date -r --reference -t"),
    "mkdir": _each("-m --mode"),
    "mkfifo": _each("-m --mode"),
    "truncate": _each("-s --size -r --reference"),
    "tee": _each(),
    "sponge": _each(),
    "chmod": _chmod,
    "dos2unix": _each(),
    "unix2dos": _each(),
    "rename": _each(),
    "cp": _copying("-t --target-directory -S --suffix"),
    "mv": _copying("-t --target-directory -S --suffix", moves=True),
    "ln": _copying("-t --target-directory -S --suffix", links=True),
    "install": _install,
    "rsync": _rsync,
    "dd": _dd,
    "sed": _sed,
    **dict.fromkeys(("awk", "gawk"), _awk),
    "perl": _perl,
    "ruby": _perl,
    "tar": _tar,
    "bsdtar": _tar,
    "unzip": _unzip,
    "zip": _zip,
    "7z": _options("-o"),
    "gzip": _compressed,
    "gunzip": _compressed,
    "bzip2": _compressed,
    "bunzip2": _compressed,
    "xz": _compressed,
    "unxz": _compressed,
    "zstd": _options("-o"),
    "find": _find,
    "curl": _curl,
    "wget": _wget,
    "sort": _options("-o --output", "-k -t -T -S"),
    "uniq": _second,
    "xxd": _second,
    "split": _split,
    "csplit": _csplit,
    "patch": _patch,
    "mktemp": _mktemp,
    "iconv": _options("-o --output", "-f -t"),
    "openssl": _options("-out -keyout"),
    "ffmpeg": _last,
    "convert": _last,
    "magick": _last,
    "compare": _last,
    "composite": _last,
    "yq": _yq,
    "playwright": _pictured,
    "docker": _from_container,
    "podman": _from_container,
    "prettier": _formatter("--write -w"),
    "biome": _formatter("--write --apply --fix"),
    "eslint": _formatter("--fix"),
    "dprint": _formatter("fmt"),
    "pg_dump": _options("-f --file", "-h -p -U -d -t -n -F"),
    "mkcert": _options("-cert-file -key-file"),
}
OUTPUT_OPTIONS = lazy(
    r"(?:-o|-MF|--(?:out|output|out-?[fF]ile|output-?[fF]ile|report|out-?[dD]ir|output-?[dD]ir|result-file"
    r"|junit-?xml|basetemp|log-?file|target-dir|dest|destination|reports?-dir|coverageDirectory))(?:=(.*))?",
    re.DOTALL,
)
NO_OUTPUT_OPTION = name_set(
    "grep egrep fgrep rg ag ps ls find lsof set shopt ssh bash sh od pgrep ss tar zip "
    "unzip echo printf docker test [ git sort chmod mount jq tr"
)


def writes(command: Command) -> Iterator[Write]:
    """Every file that the command itself writes, redirections aside, as far as its arguments tell."""
    name = program(command)
    args = list(command.argv[1:])
    finder = FINDERS.get(name)
    if finder:
        yield from finder(args)
    if name == "eslint" or not (finder or name in NO_OUTPUT_OPTION):
        yield from _named_outputs(args)
    if re.fullmatch(r"python[\d.]*", name) and args[:2] == ["-m", "json.tool"]:
        yield from _second(args[2:])


def _named_outputs(args: list[str]) -> Iterator[Write]:
    for index, word in enumerate(args):
        option = OUTPUT_OPTIONS.fullmatch(word)
        if option:
            value = option[1] if option[1] is not None else args[index + 1] if index + 1 < len(args) else ""
            if value and not value.startswith("-") and ("/" in value or "." in value):
                yield Write(value)
