"""Rules for code given inline to an interpreter: what it names, and whether it writes or runs things."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from harness_core.guards.patterns import lazy
from harness_core.guards.shell_script import Command
from harness_core.guards.shell_unwrap import program
from harness_core.guards.shell_words import is_exact, name_set

INLINE: Mapping[str, re.Pattern[str]] = {
    "python": lazy(r"-[bBdEiIOqsSuvx]*c"),
    "node": lazy(r"-e|--eval|-p|--print|-pe|-ep"),
    "perl": lazy(r"-\w*[eE]"),
    "ruby": lazy(r"-\w*e"),
    "php": lazy(r"-[rRB]"),
    "deno": lazy(r"eval"),
    "bun": lazy(r"-e|--eval|-p|--print"),
    "tsx": lazy(r"-e|--eval|-p|--print"),
    "lua": lazy(r"-e"),
    "R": lazy(r"-e"),
    "julia": lazy(r"-e|--eval|-E"),
    "elixir": lazy(r"-e|--eval"),
    "erl": lazy(r"-eval"),
    "psql": lazy(r"-c|--command"),
    "mysql": lazy(r"-e|--execute"),
    "mongosh": lazy(r"--eval"),
}
"""By interpreter, the option whose value is code."""
ALIASES = (
    (lazy(r"python[\d.]*|ipython\d?|pypy\d?|uv"), "python"),
    (lazy(r"node(js)?"), "node"),
    (lazy(r"ts-node|tsx"), "tsx"),
    (lazy(r"luajit|lua[\d.]*"), "lua"),
    (lazy(r"Rscript|R"), "R"),
    (lazy(r"mariadb|mysql"), "mysql"),
    (lazy(r"mongo(sh)?"), "mongosh"),
    (lazy(r"ruby[\d.]*|irb"), "ruby"),
)
WHOLE = frozenset({"sqlite3", "duckdb", "awk", "gawk", "mawk", "nawk", "redis-cli"})
"""Programs whose operands may themselves be code."""

CLOSED = lazy(
    r"(?i)feature_list\.json|(?<![\w/.-])(?:\./)?test-results\.json|\bAGENT_(STOP|FINISH)"
    r"|\bSTEER(\.next)?(\.md)?\b|\.longwatch"
    r"|longwatch\.toml|\.mcp\.json|(?<![\w-])\.claude\b|(?<![\w-])\.git(?![\w-]|hub)"
)
WRITES = lazy(
    r"open\s*\([^)]*,\s*(?:mode\s*=\s*)?['\"][rbt]*[wax+]|['\"]>{1,2}|\.write|write_(text"
    r"|bytes)|writefile|appendfile|createwritestream"
    r"|unlink|\bremove\w*\s*\(|\.rm(sync|tree|dir)?\b|rename"
    r"|\.replace\s*\(\s*['\"]?[^,)]*\)|truncate|chmod|symlink|\blink(sync)?\s*\(|shutil"
    r"|copyfile|\bcp(sync)?\s*\(|json\.dump\s*\(|\bdump\s*\(|touch|mkdir|spit\b"
    r"|file_put_contents|fopen|IO\.write|File\.(write|delete|open)"
    r"|subprocess|os\.system|popen|exec\w*\s*\(|spawn|system\s*\(|\bqx\b|\.output\b"
    r"|\.once\b|\.save\b|\.backup\b|\\o\b|into outfile|\bcopy\b.*\bto\b"
    r"|print\s*>|printf[^;]*>|open\s*\(?\s*\w+\s*,\s*['\"]\+?>|File\.rename|FileUtils"
    r"|Deno\.(write|remove|rename)|Bun\.write|utime"
    r"|inplace|os\.(remove|replace|rename|unlink|link)|\w+\.(unlink|rename|replace)\(|-i\b",
    re.IGNORECASE,
)
SECRET_CODE = lazy(
    r"(?i)/proc/[\w*$]+/environ|\.ssh/|id_rsa|id_ed25519|\.aws/|\.credentials\.json"
    r"|\.netrc|/etc/shadow|\.git-credentials|['\"]\.(?:ssh|aws|gnupg|kube|docker|claude\.json)['\"]"
)
ENVIRONMENT = lazy(
    r"(?<!\.\.\.)process\.env\s*(?=[;,)\]}\n]|$)|(?:JSON\.stringify|console\.\w+"
    r"|Object\.\w+)\s*\(\s*(?:\{\s*\.\.\.)?process\.env\s*[),}]"
    r"|\bin\s+process\.env\b|(?<!\*\*)(?:\bos|\))\.environ\s*(?=[;,)\]}\n]|$)|\benviron\.(?:items|values|copy)"
    r"|\.environb\b|(?:dict|print|str|repr|list|dumps)\s*\(\s*(?:dict\s*\()?(?:\{\s*\*\*\s*)?os\.environ\s*[)}]"
    r"|for\s+\w+(?:\s*,\s*\w+)?\s+in\s+os\.environ|%ENV\b|\bENV\.(?:each|to_h|to_a|inspect"
    r"|map)|\bp(?:uts|rint)?\s+ENV\s*$|getenv\(\s*\)|\$_(?:ENV|SERVER)\b(?!\[)|phpinfo\s*\(|\bBun\.env\s*(?=[;,)\]}\n]|$)"
    r"|(?<!import )(?<![\w.])environ\s*(?=[;,)\]}\n]|$)"
    r"|\{[^}]*\benv\b[^}]*\}\s*=\s*process\s*[;\n][\s\S]*\benv\s*(?=[;,)\]\n]|$)"
    r"|\bENVIRON\b(?!\[)|Deno\.env\.toObject"
)
PASSED_ON = lazy(
    r"\b(\w+)\s*=\s*(?:dict\(\s*)?os\.environ(?:\.copy\(\))?(?=[\s;)])(?=[\s\S]*\benv\s*=\s*\1\b)(?![\s\S]*print\(\s*\1\s*\))"
    r"|\benv\s*=\s*(?:dict\(\s*)?os\.environ\b(?:\.copy\(\))?|\benv:\s*process\.env(?=\s*[,}])"
    r"|\b(?:const|let|var)\s*\{[^{}]*\}\s*=\s*process\.env(?=\s*(?:[;\n]|$))"
)
"""The environment handed to a child, or single variables taken from it: that shows nothing by itself."""
NAMED_ENVIRONMENT = lazy(
    r"(?:process\.env(?:\.|\[\s*['\"]?)|\.environ(?:\.get\(|\[)\s*['\"]|getenv\(\s*['\"]"
    r"|\$?ENV[\[{.]\s*(?:fetch\()?['\"]?|ENVIRON\[\s*['\"]|Deno\.env\.get\(\s*['\"])(\w+)"
)
SIGNALS = lazy(
    r"process\.kill\s*\(|\bpsutil\b[\s\S]*\.(?:kill|terminate|suspend|send_signal)\s*\("
    r"|os\.kill(pg)?\s*\(|Process\.kill\b|posix_kill|\bkill\s+['\"]?(KILL|TERM|9)\b"
)
RUNS = lazy(
    r"(?:os\.system|os\.popen|execSync|subprocess\.(?:run|call|check_output|check_call"
    r"|Popen|getoutput)|child_process['\"]?\)?\.exec"
    r"|\bsystem|\bshell_exec|passthru|os\.execute|io\.popen|os:cmd)\s*\(\s*[frb]?(?P<quote>['\"`])(?P<script>.*?)(?<!\\)(?P=quote)",
    re.DOTALL,
)
RUNS_BARE = lazy(
    r"(?:\b(?:system|exec|popen"
    r"|spawn)\b\s*\(?\s*(?P<quote>['\"])(?P<script>.*?)(?<!\\)(?P=quote)|(?:`"
    r"|(?:\bqx|%x)\s*[{(/\[|!])(?P<ticked>[^`})/\]|!]*)"
    r"|\bopen\b[^;\n]*?,\s*['\"](?P<piped>[^'\"]*\|)\s*['\"]|\bopen\b[^;\n]*?,\s*['\"]\|(?P<into>[^'\"]*)"
    r"|\bopen\b[^;\n]*?,\s*['\"](?:-\||\|-)['\"]\s*,\s*['\"](?P<listed>[^'\"]*))",
    re.DOTALL,
)
"""How Perl, Ruby and PHP start commands."""
RUNS_LIST = lazy(
    r"(?:subprocess\.(?:run|call|check_output|check_call|Popen)|os\.exec\w+|spawn(?:Sync)?"
    r"|execFile(?:Sync)?|System\.cmd)\s*\(\s*\[?\s*['\"](?P<script>[\w./-]+)['\"]"
)
RUNS_IMPORTED = lazy(
    r"\b(?:run|call|Popen|check_output|check_call|getoutput|getstatusoutput)"
    r"\s*\(\s*\[?\s*[frb]?(['\"])(?P<script>.*?)(?<!\\)\1",
    re.DOTALL,
)
"""Functions of `subprocess` under names of their own; code that never names it has other ones."""
SECRET_PARTS = name_set(
    "TOKEN SECRET SECRETS PASSWORD PASSWD PASSPHRASE CREDENTIAL CREDENTIALS APIKEY KEY PAT BEARER COOKIE"
)

ARGUMENTS = lazy(r"\bargv\b|\bARGV\b|\$ARGV|@ARGV|Deno\.args|\barg\[|\bfileinput\b|\bshift\b")
"""How code asks for the words after it."""

READ_PLAINLY = "Read it with cat, jq or Read; write only your own files."


def is_secret_name(name: str) -> bool:
    """Whether an environment variable of that name holds a credential."""
    parts = [part.upper() for part in re.split(r"_|(?<=[a-z])(?=[A-Z])", name) if part]
    return not SECRET_PARTS.isdisjoint(parts) and parts[:1] != ["NEXT"]


def inline_code(command: Command) -> Iterator[str]:
    """The code that a command carries: option values, operands that are programs, standard input."""
    name = program(command)
    kind = next((alias for pattern, alias in ALIASES if pattern.fullmatch(name)), name)
    args = list(command.argv[1:])
    option = INLINE.get(kind)
    coded = False
    if option:
        for index, word in enumerate(args):
            if option.fullmatch(word) and index + 1 < len(args):
                coded = True
                yield args[index + 1]
            elif word.startswith(("--eval=", "--print=", "--command=", "--execute=")):
                coded = True
                yield word.partition("=")[2]
    if args[:2] == ["-m", "timeit"]:
        yield "\n".join(args[2:])
    if name in WHOLE:
        yield from (word for word in args if re.search(r"[\s({;.]", word))
    if (option or name in WHOLE) and not coded and command.input.text is not None:
        yield command.input.text
    if option and not coded and command.input.piped and all(not word or word == "-" for word in args):
        yield "\n".join(command.input.feeds)


def with_arguments(code: str, command: Command) -> str:
    """The code, and the words that it is given if it asks for them: it may write the files that they name."""
    rest = [word for word in command.argv[1:] if word not in code]
    return "\n".join((code, *rest)) if ARGUMENTS.search(code) else code


def without_joins(code: str) -> str:
    """Code in which texts that are put together from pieces stand whole."""
    return re.sub(r"(['\"`])\s*[+.]?\s*\1", "", code)


def code_problem(code: str) -> str | None:
    """Why inline code may not run, or None."""
    joined = without_joins(code)
    if SECRET_CODE.search(joined):
        return "the code names credentials, which no agent reads. Use a placeholder or ask the operator."
    if ENVIRONMENT.search(PASSED_ON.sub(_names_taken, joined)):
        return (
            "the code shows the whole environment, and the credentials in it. Ask for the one "
            "variable that you need."
        )
    for found in NAMED_ENVIRONMENT.finditer(joined):
        if is_secret_name(found[1]):
            return f"the code reads {found[1]}, a credential. Check only whether it is set, with `[ -n … ]`."
    if SIGNALS.search(joined):
        return "the code sends signals. Use `kill %1` or `kill $!` for what this shell started."
    closed = CLOSED.search(joined)
    if closed and (WRITES.search(joined) or not is_exact(joined)):
        return (
            f"the code names {closed[0]}, which agents don't write, and it writes or runs "
            f"something. {READ_PLAINLY}"
        )
    return None


def _names_taken(found: re.Match[str]) -> str:
    """What stays of a passage that hands the environment on: the names that it takes, for the next rule."""
    names = re.search(r"\{([^{}]*)\}", found[0])
    secret = names and any(is_secret_name(name) for name in re.findall(r"\w+", names[1]))
    return "process.env;" if secret else ""


def started(code: str, name: str) -> Iterator[str]:
    """The commands that inline code starts through a shell or by name, where they stand in it literally."""
    if "subprocess" in code:
        yield from (found["script"] for found in RUNS_IMPORTED.finditer(code))
    if name in ("perl", "ruby", "php", "julia"):
        for found in RUNS_BARE.finditer(code):
            piped = (found["piped"] or "").rstrip("|")
            yield found["script"] or found["ticked"] or piped or found["into"] or found["listed"] or ""
    for found in RUNS.finditer(code):
        script = found["script"]
        if found["quote"] != "`" or "${" not in script:
            yield script.replace("\\n", "\n").replace('\\"', '"').replace("\\'", "'")
    for found in RUNS_LIST.finditer(code):
        yield found["script"]
