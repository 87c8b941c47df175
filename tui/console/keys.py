"""Every key of the console, once: bindings, hints, help, the palette and the docs come from here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Key:
    """What a key does. `id` is the name under which users give it another key."""

    id: str
    keys: str
    """As Textual names them, several separated by commas."""
    action: str
    label: str
    """One or two words, for the hints at the bottom."""
    help: str
    """A sentence, for the help page and the palette."""
    hint: bool = False
    """Whether it stands among the hints."""
    shown_as: str = ""

    def binding(self) -> Binding:
        return Binding(
            self.keys,
            self.action,
            self.label,
            show=self.hint,
            key_display=self.shown_as or None,
            tooltip=self.help,
            id=self.id,
        )


RUN = (
    Key("steer", "s", "steer", "steer", "Write to the agent; it reads you at its next tool call.", hint=True),
    Key("pause", "p", "pause", "pause", "Pause the run (AGENT_STOP), or go on with a paused one.", hint=True),
    Key(
        "stop",
        "K",
        "stop",
        "stop",
        "Choose how to stop: after this feature, now, or end everything.",
        hint=True,
    ),
    Key("approve", "a", "approve", "approve", "Agree with what waits for you.", hint=True),
    Key("reject", "r", "reject", "send back", "Send back what waits for you, with a reason.", hint=True),
    Key("override", "o", "override", "override", "Say that the evaluator is wrong by one criterion."),
    Key("review", "v", "review", "review", "All that the open question rests on: verdict, evidence, diff."),
    Key("iterations", "i", "iterations", "iterations", "Choose which iteration of a design is to stand."),
    Key("reword", "w", "reword", "reword", "Change the text of a feature: under the cursor, or in question."),
    Key("skip", "x", "skip", "skip", "Give up the feature in question, or under the cursor, for now."),
    Key("costs", "c", "costs", "costs", "Costs by phase: time, turns, tokens, dollars."),
    Key("limits", "L", "limits", "limits", "The run's limits: see what is used, change them."),
    Key("brief", "b", "brief", "brief", "What happened since you last looked."),
    Key("trace", "t", "trace", "trace", "The whole journal, with search."),
    Key("edit", "e", "edit", "edit", "Open what the pane shows in your editor ($EDITOR)."),
    Key("copy", "y", "copy", "copy", "Copy what is selected to the clipboard."),
    Key("zoom", "z", "zoom", "zoom", "Give the pane the whole screen, or take it back.", hint=True),
    Key("stream", "1", "pane('stream')", "stream", "Go to the stream."),
    Key("features", "2", "pane('features')", "features", "Go to the features."),
    Key("progress", "3", "pane('progress')", "progress", "Go to the progress notes."),
    Key("git", "4", "pane('git')", "git", "Go to the git log."),
    Key("evidence", "5", "pane('evidence')", "evidence", "Go to the evidence."),
    Key("next_pane", "tab", "next_pane(1)", "next pane", "Go to the next pane."),
    Key("previous_pane", "shift+tab", "next_pane(-1)", "previous pane", "Go to the pane before."),
    Key("help", "question_mark,f1", "help", "help", "All keys.", hint=True, shown_as="?"),
    Key(
        "leave",
        "q,ctrl+q",
        "leave",
        "leave",
        "Leave the console; a run that is alive goes on if you say so.",
        hint=True,
        shown_as="q",
    ),
)
"""On a run."""

LINES = (
    Key("up", "up,k", "move(-1)", "up", "A line up."),
    Key("down", "down,j", "move(1)", "down", "A line down."),
    Key("page_up", "pageup,ctrl+u", "page(-1)", "page up", "A page up."),
    Key("page_down", "pagedown,ctrl+d", "page(1)", "page down", "A page down."),
    Key("first", "home,g", "first", "top", "To the beginning."),
    Key("last", "end,G", "last", "end", "To the end."),
    Key("open", "enter", "open", "open", "Open what is under the cursor."),
    Key("search", "slash", "search", "search", "Search.", shown_as="/"),
    Key("next_match", "n", "match(1)", "next match", "The next match."),
    Key("previous_match", "N", "match(-1)", "previous match", "The match before."),
    Key("filter", "f", "filter", "filter", "Show only some."),
)
"""In every pane of lines."""

STREAM = (
    Key("give_up", "escape", "give_up", "give up", "Give up a search; then take its marks away."),
    Key(
        "next_trouble",
        "right_square_bracket",
        "trouble(1)",
        "next trouble",
        "The next error, denial, failed call or tampering.",
        shown_as="]",
    ),
    Key(
        "previous_trouble",
        "left_square_bracket",
        "trouble(-1)",
        "trouble before",
        "The error, denial, failed call or tampering before.",
        shown_as="[",
    ),
)
"""In the stream."""

PROGRESS = (
    Key(
        "next_heading",
        "right_square_bracket",
        "heading(1)",
        "next heading",
        "The next heading.",
        shown_as="]",
    ),
    Key(
        "previous_heading",
        "left_square_bracket",
        "heading(-1)",
        "heading before",
        "The heading before.",
        shown_as="[",
    ),
    Key("follow", "F", "follow", "follow", "Follow what changes in the notes, or stay."),
)
"""In the progress notes."""

DIFF = (
    Key(
        "close_diff",
        "escape,q",
        "dismiss",
        "back",
        "Back to where the diff was opened.",
        hint=True,
        shown_as="esc",
    ),
    Key(
        "next_file",
        "right_square_bracket",
        "file(1)",
        "next file",
        "The next file.",
        hint=True,
        shown_as="]",
    ),
    Key(
        "previous_file",
        "left_square_bracket",
        "file(-1)",
        "file before",
        "The file before.",
        hint=True,
        shown_as="[",
    ),
    Key("copy_line", "y", "copy", "copy", "Copy the line under the cursor.", hint=True),
)
"""In a diff."""

EVIDENCE = (
    Key("outside", "o", "outside", "outside", "Open the file with the desktop's own program.", hint=True),
    Key("compare", "m", "compare", "compare", "Before and after of the same feature, side by side."),
)
"""In the evidence."""

PICTURE = (
    Key(
        "close_picture",
        "escape,q",
        "close",
        "back",
        "Back to where the picture was opened.",
        hint=True,
        shown_as="esc",
    ),
    Key("newer_picture", "left,h", "step(-1)", "newer", "The piece above it in the list.", hint=True),
    Key("older_picture", "right,l", "step(1)", "older", "The piece below it in the list.", hint=True),
    Key("edit_piece", "e", "edit", "edit", "Says how to open it: evidence isn't edited here."),
    Key("copy_path", "y", "copy", "copy path", "Copy the path of what is shown.", hint=True),
)
"""Where one piece of evidence fills the screen."""

LIST = tuple(key for key in LINES if key.id not in ("search", "next_match", "previous_match"))
"""In a list too short to be searched."""

MOVES = tuple(key for key in LIST if key.id not in ("open", "filter"))
"""In a text that has no cursor."""

PAGE = (
    Key("close_page", "escape,q", "close", "back", "Back to the run.", hint=True, shown_as="esc"),
    Key("copy_page", "y", "copy", "copy", "Copy all of it, as it goes into a report.", hint=True),
)
"""On a page over the panes: a feature, the costs, the brief."""

START = (
    Key("new", "n", "new", "new run", "Say what to build, and start.", hint=True),
    Key("demo", "d", "demo", "demo", "Watch a rehearsal: no key, no cost.", hint=True),
    Key("doctor", "c", "doctor", "doctor", "Check what a run needs: Python, git, CLI, login.", hint=True),
    Key("again", "R", "again", "look again", "Look for runs anew."),
    Key("keys", "question_mark,f1", "help", "help", "All keys.", hint=True, shown_as="?"),
    Key("quit", "q,ctrl+q", "leave", "leave", "Leave.", hint=True, shown_as="q"),
)
"""On the start screen."""

LOOKING = tuple(
    key
    for key in RUN
    if key.action.startswith("pane(")
    or key.id in ("next_pane", "previous_pane", "zoom", "costs", "trace", "copy", "help", "leave")
)
"""Those on a run that do nothing but look."""

REPLAY = (
    Key("play", "space,p", "play", "play", "Pause the replay, or go on.", hint=True, shown_as="space"),
    Key("faster", "plus,equals_sign", "speed(2)", "faster", "Twice as fast.", hint=True, shown_as="+"),
    Key("slower", "minus", "speed(0.5)", "slower", "Half as fast.", shown_as="-"),
    Key("jump_session", "S", "jump('session')", "session", "To the next session, and pause.", hint=True),
    Key("jump_denial", "D", "jump('denial')", "denial", "To the next denial, and pause.", hint=True),
    Key("jump_verdict", "V", "jump('verdict')", "verdict", "To the next verdict, and pause.", hint=True),
    Key(
        "jump_error",
        "E",
        "jump('error')",
        "error",
        "To the next error, stall, loop, reached limit or tampering, and pause.",
        hint=True,
    ),
)
"""In a replay, where the keys that would change the run do nothing."""

GROUPS = {
    "The run": RUN,
    "In a pane": LINES,
    "In the stream": STREAM,
    "In the notes": PROGRESS,
    "In a diff": DIFF,
    "In the evidence": EVIDENCE,
    "On a picture": PICTURE,
    "On a page": PAGE,
    "On the start screen": START,
    "In a replay": REPLAY,
}
"""All of them, by where they count."""


def bindings(*groups: Iterable[Key]) -> list[BindingType]:
    """Bindings for a class's BINDINGS."""
    return [key.binding() for group in groups for key in group]
