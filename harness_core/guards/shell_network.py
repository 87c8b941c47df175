"""Rules for programs that talk to hosts: loopback is open, everything else is closed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address

from harness_core.guards.patterns import lazy
from harness_core.guards.shell_options import split_options
from harness_core.guards.shell_script import Command
from harness_core.guards.shell_unwrap import program
from harness_core.guards.shell_words import exact_prefix, is_exact, name_set, shown
from harness_core.guards.shell_writes import CURL_VALUED

LOCAL = (
    "Only loopback (localhost, 127.0.0.1, [::1]) is open to the shell; "
    "dependencies come through a package manager."
)
CURL_CLOSED = name_set(
    "-x --proxy -K --config --resolve --connect-to --unix-socket --socks5 --socks4 "
    "--socks5-hostname --preproxy --doh-url"
    " --abstract-unix-socket --proxy-user -U --interface --dns-servers --variable"
    " -n --netrc --netrc-file --netrc-optional"
)
WGET_VALUED = (
    "-O --output-document -o --output-file -a -P --directory-prefix -T --timeout -t "
    "--tries --header --post-data --post-file"
    " --method --body-data -U --user-agent --user --password -w --wait -e -i --input-file --base -B"
)
ADDRESSED = name_set(
    "chromium chromium-browser google-chrome google-chrome-stable firefox k6 lighthouse pa11y newman"
)
"""Programs that go to each address among their arguments."""
LOAD_TESTERS = name_set("ab hey wrk siege oha autocannon")
HTTPIE_METHODS = name_set("GET POST PUT PATCH DELETE HEAD OPTIONS")
POSTGRES = name_set("psql pg_dump pg_restore pg_isready createdb dropdb createuser dropuser")
DATABASE_HOSTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(POSTGRES, ("-h", "--host")),
    **dict.fromkeys(("mysql", "mysqldump", "mysqladmin", "mariadb"), ("-h", "--host")),
    **dict.fromkeys(("redis-cli", "cqlsh"), ("-h", "-u")),
    **dict.fromkeys(("mongosh", "mongo", "mongodump"), ("--host",)),
    "clickhouse-client": ("-h", "--host"),
    "influx": ("--host",),
}
URL = lazy(r"(?i)^([a-z][a-z0-9+.-]*)://(?:[^/?#@\\]*@)?(\[[0-9a-f:]+\]|[^/:?#\\]*)")
REMOTE_PATH = lazy(r"^(?:[\w.-]+@)?[\w.-]+:(?!\\)|^rsync://")


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine, and nothing else can."""
    name = host.strip("[]").casefold().rstrip(".")
    if name in ("localhost", "0.0.0.0", "::", "") or name.endswith(".localhost"):
        return name != ""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def url_host(url: str) -> str:
    """The host of a URL as curl reads it, with or without a scheme. Unknown parts stay in it."""
    found = URL.match(url)
    if found:
        return found[2]
    authority = re.split(r"[/?#]", url, maxsplit=1)[0].rpartition("@")[2]
    bracketed = re.match(r"\[[^\]]*\]", authority)
    return bracketed[0] if bracketed else authority.partition(":")[0]


def network_problem(command: Command) -> str | None:
    """Why a command may not talk to the hosts that it names, or None."""
    name = program(command)
    args = list(command.argv[1:])
    if name == "curl":
        return _curl(args)
    if name == "wget":
        return _wget(args)
    if name in ("http", "https", "httpie", "xh"):
        if any(word.startswith("--proxy") for word in args):
            return f"`{name} --proxy` can lead elsewhere than the address says. {LOCAL}"
        operands = [word for word in args if not word.startswith("-") and word not in HTTPIE_METHODS]
        return _urls(name, [re.sub(r"^(?=[:/])", "localhost", word) for word in operands[:1]])
    if name in LOAD_TESTERS:
        addresses = [word for word in args if "://" in word] or args[-1:]
        return _urls(name, [*addresses, *(word for word in args if re.match(r"-[xX]|-f$|--proxy", word))])
    if name == "grpcurl":
        hosts = [word for word in args if re.fullmatch(r"[^-{/][^/{]*:\d+", word)]
        return _urls(name, hosts or ["…"])
    if name == "rsync":
        remote = next((word for word in args if not word.startswith("-") and REMOTE_PATH.match(word)), None)
        return f"`rsync {shown(remote)}` reaches another host. {LOCAL}" if remote else _rsync_shell(args)
    if name in ADDRESSED:
        return _urls(
            name, [word for word in args if word.startswith(("http:", "https:", "ws:", "wss:", "ftp:"))]
        )
    if name in DATABASE_HOSTS:
        return _database(name, args)
    if name == "openssl" and args[:1] in (["s_client"], ["s_server"], ["s_time"]):
        return f"`openssl {args[0]}` is a network client. {LOCAL}"
    return None


def _rsync_shell(args: list[str]) -> str | None:
    if any(re.match(r"-e|--rsh|--rsync-path", word) for word in args):
        return "`rsync` with a remote shell runs another program. Copy files with plain `rsync` or `cp`."
    return None


def _curl(args: list[str]) -> str | None:
    options, operands = split_options(args, CURL_VALUED)
    closed = CURL_CLOSED & set(options)
    if closed:
        return f"`curl {min(closed)}` can lead elsewhere than the address says. {LOCAL}"
    urls = operands + ([options["--url"]] if "--url" in options else [])
    return _urls("curl", urls)


def _wget(args: list[str]) -> str | None:
    options, operands = split_options(args, WGET_VALUED)
    if {"-e", "-i", "--input-file", "--use-askpass"} & set(options):
        return f"`wget` takes its addresses from elsewhere. {LOCAL}"
    return _urls("wget", operands)


def _urls(name: str, urls: list[str]) -> str | None:
    for url in urls:
        scheme = URL.match(url)
        if scheme and scheme[1].lower() not in ("http", "https", "ws", "wss"):
            return f"`{name} {scheme[1]}://…`: only http to loopback is open. Read files with Read or cat."
        known = re.match(r"(?:[a-z]+://)?(?:[^/?#@]*@)?[^/:?#]+[/:?#]", exact_prefix(url)) or is_exact(url)
        if not known or "\\" in url or not is_loopback(url_host(url)):
            return f"`{name} {shown(url)}` reaches another host, or one that isn't known beforehand. {LOCAL}"
    return None


def _database(name: str, args: list[str]) -> str | None:
    options, operands = split_options(args, " ".join((*DATABASE_HOSTS[name], "-p -U -d -c -f -u -P -e -D")))
    for option in DATABASE_HOSTS[name]:
        host = options.get(option, "")
        if "://" in host:
            host = url_host(host)
        if host and not host.startswith("/") and option != "-u" and not is_loopback(host):
            return f"`{name}` would connect to {shown(host)}. {LOCAL}"
    for word in (*operands, *options.values()):
        named = re.search(r"\bhost(?:addr)?\s*=\s*'?([^\s']+)", word) if name in POSTGRES else None
        host = url_host(word) if "://" in word else named[1] if named else ""
        if host and not host.startswith("/") and not is_loopback(host):
            return f"`{name}` would connect to {shown(host)}. {LOCAL}"
    return None
