"""The words hold as far as a machine can tell: commands, options, keys, names, links and pictures exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
from PIL import Image

from harness_core import __version__, config
from harness_core.errors import Exit
from harness_core.record import events
from tui.cli import cli
from tui.console import keys

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text()
CONSOLE = (ROOT / "docs" / "console.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
LARGEST_PICTURE = 300_000
COMMANDS = {name: found for name in cli.list_commands(None) if (found := cli.get_command(None, name))}
ELSEWHERE = {"--no-verify"}
"""Options that a page names and that belong to other programs."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def code(text: str) -> Iterator[str]:
    """What a page sets as code: spans, lines of fenced and of indented blocks."""
    fenced = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    for block in fenced.findall(text):
        yield from block.splitlines()[1:-1]
    rest = fenced.sub("", text)
    yield from re.findall(r"^ {4}(.+)$", rest, re.MULTILINE)
    yield from re.findall(r"`([^`]+)`", rest)


def options(command: click.Command) -> set[str]:
    return {name for parameter in command.params for name in parameter.opts} | {"--help"}


def section(text: str, title: str) -> str:
    return text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_column(text: str) -> list[str]:
    """The first cell of each row of the tables in `text`, head and rule aside."""
    cells = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    heads = {at for at, cell in enumerate(cells[1:]) if set(cell) == {"-"}}
    return [cell for at, cell in enumerate(cells) if at not in heads and set(cell) != {"-"}]


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# --- Commands and configuration -----------------------------------------------------------------------


@each_page
def test_commands_and_options_exist(page: Path) -> None:
    known = set().union(*(options(command) for command in COMMANDS.values())) | ELSEWHERE
    for line in code(page.read_text()):
        called = re.search(r"\blongwatch ([a-z]\S*)(.*)", line)
        if called:
            assert called[1] in COMMANDS, line
        allowed = options(COMMANDS[called[1]]) if called else known
        assert set(re.findall(r"(?<!\S)--[a-z][a-z-]*", line)) <= allowed | ELSEWHERE, line


def test_every_command_is_told() -> None:
    told = set(re.findall(r"\blongwatch ([a-z]+)", "\n".join(code(README))))
    assert told | {"demo"} == set(COMMANDS)


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = {match[1] for line in code(page.read_text()) if (match := re.match(r"make ([a-z]+)", line))}
        assert named <= targets, page.name


def test_the_configuration_shown_loads_and_has_every_key(tmp_path: Path) -> None:
    shown = section(README, "longwatch.toml").split("```toml\n")[1].split("```")[0]
    path = tmp_path / "longwatch.toml"
    path.write_text(shown)
    found = config.load_file(path)
    config.resolve(found, config.Options(), {})
    for struct in (found, found.limits, found.timeouts, found.guards.shell):
        for field in msgspec.structs.fields(struct):
            value = getattr(struct, field.name)
            commented = f"\n# {field.name} = " in shown
            assert commented or value not in (None, {}, []), f"{field.name} isn't shown"


def test_switches_and_presets_are_told() -> None:
    about = section(README, "Presets and switches")
    named = spans("\n".join(first_column(about[about.index("| switch |") :])))
    assert named == [field.name for field in msgspec.structs.fields(config.Switches)]
    for preset in config.PRESETS:
        assert f"`{preset}`" in about


def test_exit_codes_are_told() -> None:
    assert [int(cell) for cell in first_column(section(README, "Exit codes"))] == sorted(Exit)


def test_signs_are_those_of_the_stream() -> None:
    names = ("tui/stream.py", "harness_core/reading/rows.py")
    source = "".join((ROOT / name).read_text() for name in names)
    signs = spans("\n".join(first_column(section(README, "What you see"))))
    assert signs
    assert [sign for sign in signs if sign not in source] == []


# --- Names --------------------------------------------------------------------------------------------


def test_the_journal_s_types_are_told() -> None:
    told = spans(section(RELIABILITY, "The journal").split("| about | types |")[1].split("\n\n")[0])
    assert sorted(told) == sorted(kind.__struct_config__.tag for kind in events.AnyEvent.__args__)


def test_tests_that_prove_promises_exist() -> None:
    defined = set()
    for path in (ROOT / "tests").glob("test_*.py"):
        defined.update(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    named = [name for name in spans(RELIABILITY) if name.startswith("test_")]
    assert named
    assert [name for name in named if name not in defined] == []


def test_the_architecture_names_every_module_and_no_other() -> None:
    core, console = section(ARCHITECTURE, "Where things are").split("| in `tui/` |")
    for package, text in (("harness_core", core), ("tui", console)):
        named = {name.rstrip("/") for name in spans("\n".join(first_column(text)))} - {package}
        there = {
            path.stem
            for path in (ROOT / package).iterdir()
            if path.suffix == ".py" or (path / "__init__.py").exists()
        }
        assert named == there - {"__init__", "__main__"}


def test_paths_in_the_architecture_exist() -> None:
    for name in spans(ARCHITECTURE):
        if re.fullmatch(r"[\w/]+\.(py|md)|[\w/]+/", name):
            places = (ROOT, ROOT / "tui", ROOT / "harness_core", ROOT / "harness_core" / "rehearsal")
            assert any((place / name).exists() for place in places), name


def test_the_console_page_has_every_key() -> None:
    told = section(CONSOLE, "Keys")
    for group, listed in keys.GROUPS.items():
        rows = told.split(f"### {group}\n")[1].split("###")[0]
        assert re.findall(r"^\|[^|]+\| `(\w+)` \| (.+) \|$", rows, re.MULTILINE) == [
            (key.id, key.help) for key in listed
        ]


def test_the_changelog_knows_this_version() -> None:
    newest = re.search(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__


# --- Links, pictures, places --------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        assert "://" not in target, "pages stand on their own"
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_pictures_are_whole_small_and_shown() -> None:
    pictures = sorted((ROOT / "screenshots").glob("*.png"))
    assert pictures
    for path in pictures:
        assert f"screenshots/{path.name}" in README
        assert path.stat().st_size < LARGEST_PICTURE
        with Image.open(path) as picture:
            picture.load()


@each_page
def test_no_page_names_a_machine_or_an_index(page: Path) -> None:
    found = re.search(r"/(root|home|tmp|usr|opt|Users)/|pypi|index-url", page.read_text())
    assert found is None, found and found[0]
