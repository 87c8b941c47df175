"""The report on a run: what it says of each state, that it stands alone, and that nothing in it acts."""

from __future__ import annotations

import base64
import io
import re
import tracemalloc
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from PIL import Image

from harness_core.contract.record import Status
from harness_core.layout import RunDir
from harness_core.machine.lock import RunLock
from harness_core.record import events as ev
from harness_core.report import as_html, as_markdown
from harness_core.report.album import SIDE, Album
from harness_core.report.document import Door
from harness_core.report.gather import gather
from harness_core.report.html import page
from harness_core.report.sections import document
from harness_core.secrets.redact import Redactor
from tests import scenes
from tests.commands import longwatch, said, sentence
from tests.scenes import Scene

ACTS = (
    '<script>alert(1)</script> <img src=x onerror=alert(1)> "><a href="javascript:x">y</a> '
    "![p](http://evil.example/p.png) [l](http://evil.example) http://evil.example www.evil.example "
    "<http://evil.example> | a | b | `code` ``` *x* __y__ ~~z~~ # h\n# Heading\n- item\n> quote\n---\n| a |\n"
)


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def hostile(root: Path) -> Scene:
    """A run in which whatever comes from outside tries to act on a page."""
    features = scenes.contract(3, f"{ACTS.replace('{', '(')} {{n}}")
    features[0]["steps"] = ["# Heading", "- item", "1. one", "2) two", "> quote", "+ plus", "* star", "---"]
    scene = scenes.running(root, features)
    scene.claim("F002", [scene.picture("F002-](http___evil)<b>.png")])
    scene.add(ev.Error(message=ACTS), ev.SteerQueued(id="002", mode="now", text=ACTS))
    scene.deny("Bash", {"command": ACTS}, "shell", ACTS)
    scene.add(ev.ContractTampered(what=ACTS))
    finding = ev.Finding("F001", ACTS, ACTS, ACTS, ACTS)
    scene.add(ev.Verdict(verdict="NEEDS_WORK", scope=["F001"], findings=[finding]))
    scene.add(ev.CheckpointOpened(id="001", kind=ACTS, subject_hash="1", summary=ACTS))
    scene.add(ev.CheckpointDecided(id="001", decision=ACTS, by=ACTS, note=ACTS, overrides=[ACTS]))
    scene.commit("x\n\ny" + ACTS)
    scene.add(ev.Commit(sha="a|b|c", subject=ACTS + scenes.HOSTILE, by=ACTS))
    return scene


# --- What it says -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty", "Nothing has run here yet."),
        ("running", "The run's engine is gone in the middle of its work: 1 of 4 features pass"),
        ("waiting", "The run waits for you at checkpoint 001 (needs-work): 2 of 4 features pass"),
        ("stopped", "The run was stopped: 1 of 4 features pass"),
        ("complete", "The run is complete: all 4 features pass"),
        ("failed", "The run failed (the API refuses the key: set another one): 1 of 4 features pass"),
        ("no-git", "there is no contract"),
        ("many", "1 of 200 features pass"),
        ("wide", "1 of 6 features pass"),
    ],
)
def test_the_first_sentence_says_what_came_of_the_run(tmp_path: Path, name: str, says: str) -> None:
    run = scenes.SCENES[name](tmp_path / "run").run
    assert as_markdown(run).split("\n\n")[1].strip("*").startswith(says) or says in as_markdown(run)
    shown = Page(as_html(run))
    assert says in shown.text
    assert {"meta", "main", "h1"} <= {tag for tag, _ in shown.tags}


def test_a_wait_for_a_usage_limit_says_until_when(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path / "run")
    scene.add(ev.RateLimited(status="rejected", resets_at="2099-01-01T00:00:00+00:00"))
    with RunLock(scene.run):
        said = as_markdown(scene.run)
    assert re.search(r"waits for a limit to reset \(at 2099-01-01T00:00:00\+00:00, in \d+:\d\d:\d\d\)", said)


def test_what_to_look_at_comes_before_all_else(tmp_path: Path) -> None:
    scene = scenes.waiting(tmp_path / "run")
    scene.session = 4
    scene.add(ev.ContractTampered(what="F003 was removed"))
    change = {"feature": "F001", "from_": Status.CLAIMED, "by": "evaluator"}
    scene.add(ev.FeatureChanged(to=Status.REGRESSED, note="it no longer draws", **change))
    scene.add(ev.FeatureChanged(to=Status.SKIPPED, note="needs a plotter", **change | {"feature": "F004"}))
    scene.add(
        ev.CheckpointDecided(id="000", decision="approve", by="ada", note="it is fine", overrides=["craft"])
    )
    for _ in range(2):
        scene.deny("mcp__longwatch__claim_feature", {"feature": "F002"}, "evidence", "F002.png is blank")
    scene.add(ev.StopConfirmed(mode="now", survivors=["4711 node server.js"]))
    for session in (2, 4):
        scene.session = session
        scene.add(ev.LimitReached(limit="max_turns", value=90, cap=90, scope="session"))
    scene.add(ev.StallDetected(what="no word", seconds=600))
    scene.add(ev.LoopDetected(what="git status again and again", times=5))
    scene.session = None
    scene.add(ev.ServerMissing(name="paint", why="it ended with status 1"))
    section = as_markdown(scene.run).split("## What to look at")[1].split("## Features")[0]
    for says in (
        "Checkpoint 001 (needs-work) waits for your decision",
        "`4711 node server.js`",
        "tampered with and put back (session 4): F003 was removed",
        "overridden at checkpoint 000 by craft (ada): it is fine",
        "refused 2 times for `F002`",
        "The limit max-turns of a session, 90, was reached, 2 times (session 4)",
        "Work stood still: no word (session 4)",
        "Work went round in circles: git status again and again (session 4)",
        "The MCP server paint wasn't there: it ended with status 1",
        "`F001` is **regressed**: it no longer draws",
        "`F004` is **skipped**: needs a plotter",
    ):
        assert says in section


def test_a_feature_is_told_with_its_evidence_its_attempts_and_what_was_found(tmp_path: Path) -> None:
    told = as_markdown(scenes.waiting(tmp_path / "run").run)
    feature = told.split("### `F002`")[1].split("###")[0]
    assert "1 attempt that didn't hold" in feature
    assert "**major** craft, session 4: the right edge is ragged" in feature
    assert "opened by generator" in feature
    assert "![F002-flag.png](screenshots/F002-flag.png)" in feature
    assert re.search(r"sha256 [0-9a-f]{64}", feature)


def test_costs_denials_and_the_operator_have_their_tables(tmp_path: Path) -> None:
    told = as_markdown(scenes.waiting(tmp_path / "run").run)
    assert "| build | generator | 1 | 0:00:30 | 14 | 120,000 | $0.48 | 70% |" in told
    assert "| generator | 2 | 0:02:02 | 14 | 120,000 | $0.48 |" in told
    assert "- session 2: `Bash rm -rf /`: rm outside the run's directory is closed" in told
    assert "| 001 | now | acknowledged" in told and "Use a darker blue" in told
    assert "Draw the second flag" in told


def test_sprints_and_iterations_are_told_where_there_are_any(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path / "run")
    agreed = [ev.Agreed(id="1", text="it draws"), ev.Agreed(id="2", text="it is straight")]
    scene.add(ev.SprintStarted(sprint=1, features=["F001", "F002"], path="contracts/01-flags.md"))
    scene.add(ev.ContractAgreed(sprint=1, path="x", sha256="0", criteria=agreed, by="both"))
    scene.add(ev.SprintEnded(sprint=1), ev.SprintStarted(sprint=2, features=["F003"]))
    scene.add(ev.Verdict(verdict="NEEDS_WORK", scope=[], total=6.5, iteration=1, commit="a" * 40))
    scene.add(ev.Verdict(verdict="PASS", scope=[], total=8.0, iteration=2, commit="b" * 40))
    scene.add(ev.IterationChosen(iteration=2, by="engine"))
    told = as_markdown(scene.run)
    assert "| 1 | over | 2 criteria, by both | F001, F002 |" in told
    assert "| 2 | under way | none | F003 |" in told
    assert "| 1 |  | `aaaaaaaaaa` | 6.5 |" in told
    assert "| 2 | **stands** | `bbbbbbbbbb` | 8.0 |" in told


def test_a_journal_with_damage_is_told_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    scene = scenes.running(tmp_path / "run")
    lines = scene.run.journal.read_bytes().splitlines(keepends=True)
    lines[4] = b'{"type":"te\x00\xff\n'
    scene.run.journal.write_bytes(b"".join(lines) + b'{"type":"text","se')
    told = as_markdown(scene.run)
    assert "1 damaged line in the journal" in told
    assert "Draw the first flag" in told


def test_another_harness_s_run_is_told_by_what_can_be_seen(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.git("init", "-q")
    scene.git("commit", "-q", "--allow-empty", "-m", "Begin elsewhere")
    (tmp_path / "feature_list.json").write_text(
        '[{"description": "a", "passes": true}, {"description": "b"}]'
    )
    told = said(longwatch("report", str(tmp_path)))
    assert "Another harness drives this run; as its own file says, 1 of 2 features pass" in told
    assert "Begin elsewhere" in told
    assert "Begin elsewhere" in said(longwatch("trace", str(tmp_path)))
    assert not (tmp_path / ".longwatch").exists()


# --- Nothing acts -------------------------------------------------------------------------------------


def test_no_text_from_outside_acts_in_a_page(tmp_path: Path) -> None:
    shown = Page(as_html(hostile(tmp_path / "run").run))
    tags = {tag for tag, _ in shown.tags}
    assert tags.isdisjoint({"script", "a", "iframe", "object", "embed", "link", "form", "base", "b"})
    assert all(not name.startswith("on") for _, attributes in shown.tags for name in attributes)
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in shown.of("img"))
    policy = next(meta for meta in shown.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert (policy["content"] or "").startswith("default-src 'none'; img-src data:;")
    assert "<script>alert(1)</script>" in shown.text
    assert visible(shown.text)


def test_no_text_from_outside_acts_in_markdown(tmp_path: Path) -> None:
    scene = hostile(tmp_path / "run")
    told = as_markdown(scene.run)
    assert visible(told)
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(told)
    inner = [child for token in tokens for child in token.children or ()]
    found = {token.type for token in [*tokens, *inner]}
    assert found.isdisjoint({"html_block", "html_inline", "link_open", "s_open", "em_open", "hr", "fence"})
    pictures = [token.attrs["src"] for token in inner if token.type == "image"]
    assert pictures and all(str(src).startswith("screenshots/") for src in pictures)
    assert found.isdisjoint({"blockquote_open", "ordered_list_open"})
    assert "Heading" not in [
        tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"
    ]
    assert all(token.level == 0 for token in tokens if token.type == "bullet_list_open")
    assert not re.search(r"(?i)(?<!\\)(https?:|www\.)", re.sub(r"`[^`]*`", "", told))
    tables = [token for token in tokens if token.type == "tr_open"]
    rows = [line for line in told.splitlines() if line.startswith("| ") and not line.startswith("| :")]
    assert len(tables) == len(rows)


def visible(text: str) -> bool:
    return all(letter in "\n\t" or letter.isprintable() for letter in text)


def test_secrets_stay_out(tmp_path: Path) -> None:
    secret, shaped = "correct-horse-battery", "sk-ant-api03-abcdefghijklmnopqrstuvwx"
    hidden = shaped[:12] + "\u202e" + shaped[12:]
    scene = scenes.running(tmp_path / "run", scenes.contract(2, f"{secret} {hidden} {{n}}"))
    scene.add(ev.Error(message=f"401 for {secret}"))
    door = Door(Redactor({"MY_API_KEY": secret}))
    found = document(gather(scene.run))
    for told in (page(found, door, Album(scene.run)), as_html(scene.run)):
        assert shaped not in told
    assert secret not in page(found, door, Album(scene.run))


# --- Pictures -----------------------------------------------------------------------------------------


def pictures(html: str) -> list[Image.Image]:
    found = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", html)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def large(scene: Scene, name: str) -> Path:
    path = scene.picture(name)
    Image.effect_noise((1600, 1200), 60).save(path)
    return path


def test_a_page_holds_its_pictures_made_small(tmp_path: Path) -> None:
    scene = scenes.begun(tmp_path / "run")
    scene.begin(2, "generator", "F001")
    scene.claim("F001", [large(scene, "F001.png")])
    [picture] = pictures(as_html(scene.run))
    assert max(picture.size) == SIDE
    assert picture.size == (SIDE, SIDE * 3 // 4)


def test_a_page_leaves_pictures_out_before_it_grows_too_large(tmp_path: Path) -> None:
    scene = scenes.begun(tmp_path / "run")
    scene.begin(2, "generator", "F001")
    scene.claim("F001", [large(scene, f"F001-{number}.png") for number in range(4)])
    found = document(gather(scene.run))
    html = page(found, Door(Redactor({})), Album(scene.run, budget=1000))
    assert len(pictures(html)) == 1
    assert html.count("the page would grow too large") == 3


def test_a_picture_that_has_changed_is_shown_as_it_was_claimed(tmp_path: Path) -> None:
    scene = scenes.begun(tmp_path / "run")
    scene.begin(2, "generator", "F001")
    path = scene.picture("F001.png", "#ff0000")
    sha = scene.commit("Draw it red")
    scene.claim("F001", [path], commit=sha)
    scene.picture("F001.png", "#00ff00")
    [picture] = pictures(as_html(scene.run))
    red, green, _ = picture.convert("RGB").getpixel((20, 20))  # type: ignore[misc]
    assert red > 200 > green


def test_a_picture_that_is_gone_or_lies_elsewhere_costs_a_sentence(tmp_path: Path) -> None:
    scene = scenes.begun(tmp_path / "run")
    scene.begin(2, "generator", "F001")
    path = scene.picture("F001.png")
    scene.claim("F001", [path])
    outside = {"size": 1, "mtime_ns": 0, "kind": "picture", "sha256": "0" * 64}
    pieces = [ev.BoundPiece(path="../../secret.png", **outside)]  # type: ignore[arg-type]
    scene.add(
        ev.FeatureChanged(
            feature="F002", from_=Status.FAILING, to=Status.CLAIMED, by="generator", evidence=pieces
        )
    )
    path.unlink()
    html = as_html(scene.run)
    assert not pictures(html)
    assert "gone, or changed since it was claimed" in html
    assert "its path leads out of the run" in html
    assert "](../" not in as_markdown(scene.run)


# --- The command --------------------------------------------------------------------------------------


def test_the_command_writes_where_it_is_told(tmp_path: Path) -> None:
    scene = scenes.waiting(tmp_path / "run")
    out = tmp_path / "out"
    out.mkdir()
    assert said(longwatch("report", str(scene.root))).startswith("# Report: run\n")
    said(longwatch("report", str(scene.root), "-o", str(out / "x.html")))
    assert (out / "x.html").read_text().startswith("<!doctype html>")
    said(longwatch("report", str(scene.root), "-o", str(out / "x.md")))
    assert "](../run/screenshots/F002-flag.png)" in (out / "x.md").read_text()


@pytest.mark.parametrize(
    ("name", "says"), [("x.pdf", "x.html"), ("none/x.md", "is no directory"), ("folder.md", "is a directory")]
)
def test_a_place_that_can_t_be_written_gets_a_sentence(tmp_path: Path, name: str, says: str) -> None:
    scene = scenes.waiting(tmp_path / "run")
    (tmp_path / "folder.md").mkdir()
    assert says in sentence(longwatch("report", str(scene.root), "-o", str(tmp_path / name)))


def test_a_long_journal_takes_no_memory_in_proportion(tmp_path: Path) -> None:
    def peak(events: int) -> int:
        scene = scenes.running(tmp_path / f"run{events}")
        lines = b"".join(
            ev.encode(event)
            for number in range(events)
            for event in (
                ev.ToolUse(
                    seq=number + 100, tool_use_id=f"t{number}", tool="Bash", input={"command": "x" * 300}
                ),
                ev.GuardDecision(
                    seq=number + 100,
                    tool_use_id=f"t{number}",
                    tool="Bash",
                    guard="shell",
                    reason=f"no {number}",
                ),
                ev.Commit(seq=number + 100, sha=f"{number:040d}", subject="y" * 100, by="generator"),
                ev.Error(seq=number + 100, message=f"{number} " + "z" * 100),
            )
        )
        with scene.run.journal.open("ab") as journal:
            journal.write(lines)
        del lines
        tracemalloc.start()
        found = gather(RunDir.at(scene.root))
        assert found.gathered.denials["shell"].count == events + 1
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(6000) < 1.3 * peak(1500)
