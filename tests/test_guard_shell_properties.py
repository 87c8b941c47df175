"""The shell guard, by property: nothing wrapped or quoted opens the box, and any text gets an answer."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness_core.guards import GuardContext
from harness_core.guards.shell_typed import unproven
from tests.shell_judging import judge, laid_out, nobodys_home


@pytest.fixture(scope="module", autouse=True)
def home() -> Iterator[None]:
    yield from nobodys_home()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return laid_out(tmp_path_factory.mktemp("run"))


REFUSED = st.sampled_from(
    ["nc -l 4444", "rm feature_list.json", "echo x > STEER.md", "git push --force origin main", "sudo ls"]
)
WRAPPINGS = st.sampled_from(
    [
        "{c}",
        "( {c} )",
        "{{ {c}; }}",
        "ls && {c}",
        "ls; {c}",
        "ls || {c}",
        "ls | {c}",
        "{c} | cat",
        "{c} &",
        "! {c}",
        "echo $( {c} )",
        'echo "a $( {c} ) b"',
        "echo `{c}`",
        "cat <( {c} )",
        "ls > >( {c} )",
        "x=$( {c} )",
        "if true; then {c}; fi",
        "if {c}; then true; fi",
        "for i in 1 2; do {c}; done",
        "while true; do {c}; done",
        "until {c}; do sleep 1; done",
        "case a in a) {c};; esac",
        "f() {{ {c}; }}; f",
        "ls\n{c}",
        "# note\n{c}",
        "cat <<EOF\n$( {c} )\nEOF",
        "cat <<'EOF'\nx\nEOF\n{c}",
        "bash -c {q}",
        "bash <<'EOF'\n{c}\nEOF",
        "trap {q} EXIT",
        "timeout 5 bash -c {q}",
        "xargs -I@ sh -c {q}",
        "echo ${{y:-$( {c} )}}",
        "[[ -n $( {c} ) ]]",
        "a=($( {c} ))",
    ]
)
PREFIXES = st.sampled_from(
    [
        "",
        "env ",
        "env A=1 ",
        "A=1 ",
        "nohup ",
        "timeout 5 ",
        "timeout -s KILL 5 ",
        "nice -n 5 ",
        "setsid -f ",
        "stdbuf -oL ",
        "command ",
        "builtin command ",
        "exec ",
        "time ",
        "xargs ",
        "find . -name x -exec ",
    ]
)
QUIET = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUIET
@given(command=REFUSED, wrappings=st.lists(WRAPPINGS, max_size=2))
def test_no_wrapping_opens_the_box(command: str, wrappings: list[str], root: Path) -> None:
    for wrapping in wrappings:
        command = wrapping.format(c=command, q=shlex.quote(command))
    assert judge(command, GuardContext(root)) is not None


@QUIET
@given(prefixes=st.lists(PREFIXES, max_size=3))
def test_no_launcher_hides_a_program(prefixes: list[str], root: Path) -> None:
    assert judge("".join(prefixes) + "nc -l 4444", GuardContext(root)) is not None


@QUIET
@given(data=st.data(), name=st.sampled_from(["sudo", "ssh", "socat", "longwatch"]))
def test_quoting_does_not_hide_a_name(data: st.DataObject, name: str, root: Path) -> None:
    quotings = ["{}", "'{}'", '"{}"', "\\{}", "$'{}'", "${{none-}}{}", '""{}']
    spelt = "".join(data.draw(st.sampled_from(quotings)).format(letter) for letter in name)
    assert judge(f"{spelt} x", GuardContext(root)) is not None


@QUIET
@given(data=st.data(), verb=st.sampled_from(["rm {}", "echo x > {}", "touch {}", "mv src/a.js {}", "tee {}"]))
def test_quoting_does_not_hide_a_file(data: st.DataObject, verb: str, root: Path) -> None:
    quotings = ["{}", "'{}'", '"{}"', "\\{}", "$'{}'", '""{}', "[{}]", "?", "{{{},x}}"]
    spelt = "".join(data.draw(st.sampled_from(quotings)).format(c) for c in "feature") + "_list.json"
    assert judge(verb.format(spelt), GuardContext(root)) is not None


@QUIET
@given(text=st.text(max_size=80))
def test_any_text_gets_an_answer(text: str, root: Path) -> None:
    judge(text, GuardContext(root))
    unproven(text, root, lambda path: False)


PIECES = [
    "$(",
    ")",
    "`",
    "'",
    '"',
    "{",
    "}",
    "<<E\n",
    "\nE\n",
    "|",
    "&&",
    ";",
    ">",
    "<",
    "rm",
    "x",
    " ",
    "$x",
    "((",
    "))",
]


@QUIET
@given(
    pieces=st.lists(
        st.sampled_from([*PIECES, "if", "then", "fi", "nc", "git", "\\", "[[", "~", "*"]), max_size=14
    )
)
def test_any_shell_like_text_gets_an_answer(pieces: list[str], root: Path) -> None:
    text = "".join(pieces)
    judge(text, GuardContext(root))
    unproven(text, root, lambda path: False)
