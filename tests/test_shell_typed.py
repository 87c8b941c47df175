"""What a command fills, and with what: its own words, copies of them, or what a program made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_core.guards.shell_typed import Origin, unproven
from tests.shell_judging import laid_out, nobodys_home

TYPED, COPIED = Origin.TYPED, Origin.COPIED


@pytest.fixture(scope="module", autouse=True)
def home() -> Iterator[None]:
    yield from nobodys_home()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return laid_out(tmp_path_factory.mktemp("run"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """With the agent's own words in `notes.txt` and what a program made in `made.log`, `build/out.png`."""
    root = tmp_path.resolve()
    for path in ("notes.txt", "made.log", "build/out.png", "screenshots/old.log"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text("x\n")
    return root


def fills(command: str, root: Path, cwd: Path | None = None) -> dict[str, Origin]:
    """What of the files that the command fills proves nothing, when it has left them there."""
    return unproven(command, root, lambda path: path in ("made.log", "build/out.png"), cwd)


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("echo PASS > out.txt", {"out.txt"}),
        ("printf 'ok\\n' >> logs/out.txt", {"logs/out.txt"}),
        ("cat > out.txt <<'EOF'\nPASS\nEOF", {"out.txt"}),
        ("cat <<EOF > out.txt\nPASS\nEOF", {"out.txt"}),
        ("tee out.txt <<< PASS", {"out.txt"}),
        ("echo PASS | tee out.txt", {"out.txt"}),
        ("echo PASS | tr a-z A-Z | tee out.txt > /dev/null", {"out.txt"}),
        ("env X=1 echo PASS > out.txt", {"out.txt"}),
        ("base64 -d <<< aGk= > shot.png", {"shot.png"}),
        ("touch a.txt b.txt", {"a.txt", "b.txt"}),
        (": > out.txt", {"out.txt"}),
        ("> out.txt", {"out.txt"}),
        ("{ echo a; echo b; } > out.txt", {"out.txt"}),
        ("{ sleep 0; echo b; } > out.txt", {"out.txt"}),
        ("for i in 1 2; do echo $i; done > out.txt", {"out.txt"}),
        ("cd web && echo x > out.txt", {"web/out.txt"}),
        ("f=out.txt; echo x > $f", {"out.txt"}),
        ("bash -c 'echo x > out.txt'", {"out.txt"}),
        ("bash -c 'echo x' > out.txt", {"out.txt"}),
        ("sed -i s/FAIL/PASS/ made.log", {"made.log"}),
        ("echo PASS > a.log; cp a.log out.log", {"a.log", "out.log"}),
        ("printf 'x\\nPASS\\n' > a.log && mv a.log out.log", {"a.log", "out.log"}),
    ],
)
def test_what_a_command_types_is_typed(command: str, paths: set[str], project: Path) -> None:
    assert fills(command, project) == dict.fromkeys(paths, TYPED)


@pytest.mark.parametrize(
    "command",
    [
        "cp /etc/hostname {}",
        "mv /tmp/elsewhere.log {}",
        "install -m 644 /etc/hostname {}",
        "ln /etc/hostname {}",
        "rsync -a /etc/hostname {}",
        "dd if=/etc/hostname of={}",
        "timeout 5 cp /etc/hostname {}",
        "curl -s file:///etc/hostname -o {}",
        "curl -s file:///etc/hostname > {}",
        "cat /etc/hostname | tee {}",
        "cp notes.txt {}",
        "head -5 notes.txt > {}",
        "sed -n 1,3p notes.txt > {}",
        "tail -n 2 notes.txt > {}",
        "cat notes.txt >> {}",
        "cat < notes.txt > {}",
        "grep . notes.txt > {}",
        "grep . *.txt > {}",
        "awk 1 notes.txt > {}",
        "sort notes.txt -o {}",
        "uniq notes.txt {}",
        "base64 -d notes.txt > {}",
        "pytest | cat notes.txt > {}",
        "{{ head -1; }} < notes.txt > {}",
        "bash -c 'cat notes.txt' > {}",
        "echo notes.txt | xargs cat > {}",
        "head -1 notes.txt | cut -c1-3 | nl > {}",
    ],
)
def test_a_copy_of_what_proves_nothing_proves_nothing(command: str, project: Path) -> None:
    path = "screenshots/F001.log"
    assert fills(command.format(path), project) == {path: COPIED}


def test_copies_into_a_folder_are_known_by_their_names(project: Path) -> None:
    copied = project / "screenshots" / "more"
    copied.mkdir()
    for path in (project / "screenshots" / "notes.txt", copied / "F001.log"):
        path.write_text("x")
    (project / "more").mkdir()
    assert fills("cp notes.txt screenshots/", project) == {"screenshots/notes.txt": COPIED}
    assert fills("cp *.txt screenshots", project) == {"screenshots/notes.txt": COPIED}
    assert fills("cp -t screenshots notes.txt made.log", project) == {"screenshots/notes.txt": COPIED}
    assert fills("cp -r more screenshots/", project) == {"screenshots/more/F001.log": COPIED}
    assert fills("cp missing.log screenshots/", project) == {"screenshots/missing.log": COPIED}


@pytest.mark.parametrize(
    "command",
    [
        "pytest > out.txt 2>&1",
        "npm test | tee out.txt",
        "pytest | tee screenshots/x.log",
        "make test 2>&1 | tail -40 > screenshots/x.log",
        "npm test 2>&1 | grep -v warn > out.txt",
        "pytest | grep -f notes.txt > out.txt",
        "timeout 60 pytest | head -3 > out.txt",
        "pytest | { head -3; } > out.txt",
        "bash -c 'pytest' > out.txt",
        "pytest | bash -c 'tail -3 > out.txt'",
        "tail -3 < <(pytest) > out.txt",
        "cat notes.txt <(pytest) > out.txt",
        "pytest | tee >(tail -3 > out.txt)",
        "{ echo start; pytest; } > out.txt",
        "echo start > out.txt; pytest >> out.txt",
        'echo "$(npm test)" > out.txt',
        "node -p 1+1 > out.txt",
        "curl -s http://localhost:3000/ -o out.txt",
        "python3 draw.py build/out.png && cp build/out.png screenshots/",
        "mv build/out.png screenshots/F001.png",
        "cp build/*.png screenshots/",
        "tail -40 made.log > screenshots/x.log",
        "pytest > all.log; tail -40 all.log > screenshots/x.log",
        "cat notes.txt made.log > out.txt",
        "echo x > /tmp/elsewhere.txt",
        "echo 'unclosed > out.txt",
    ],
)
def test_what_a_program_made_is_worth_as_much_in_a_copy(command: str, project: Path) -> None:
    (project / "all.log").write_text("3 passed\n")
    assert fills(command, project) == {}


def test_a_long_pipeline_is_followed_to_its_beginning(root: Path) -> None:
    cats = " | ".join(["cat"] * 1500)
    assert fills(f"echo PASS | {cats} > out.txt", root) == {"out.txt": TYPED}
    assert fills(f"pytest | {cats} > out.txt", root) == {}


@pytest.mark.parametrize(
    "command",
    ["echo ok > F001.log", "bash -c 'echo ok > F001.log'", "cd .. && echo ok > screenshots/F001.log"],
)
def test_paths_start_where_the_shell_stands(command: str, root: Path) -> None:
    folder = root / "screenshots"
    folder.mkdir(exist_ok=True)
    assert fills(command, root, folder) == {"screenshots/F001.log": TYPED}
    assert fills(f"cd screenshots && {command}", root) == {"screenshots/F001.log": TYPED}
