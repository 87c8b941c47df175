"""A feature's text in the contract, to be changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static, TextArea

from harness_core.safe import safe
from tui.console.cards.card import Card
from tui.console.sinks import line, words


class RewordingCard(Card):
    """An editor. `save` is called with the text and returns what is wrong with it, or "" when it is on its
    way. However the card goes, `keep` gets what wasn't saved, "" for nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "save", show=True),
        Binding("ctrl+r", "take_back", "as it was", show=True),
    ]
    DEFAULT_CSS = """
    RewordingCard TextArea {
        height: auto; min-height: 4; max-height: 25vh;
        border: none; background: $surface; padding: 0;
    }
    """

    def __init__(
        self,
        feature: str,
        shown: str,
        draft: str,
        follows: str,
        save: Callable[[str], str],
        keep: Callable[[str], None],
    ) -> None:
        """`shown` is the text as the contract has it, `draft` one that was kept or "", `follows` says what
        comes of a change."""
        super().__init__()
        self.border_title = line(f"Text of {feature} in the contract{' · your draft' if draft else ''}")
        self._shown = shown
        self._draft = draft
        self._follows = follows
        self._save = save
        self._keep = keep
        self._saved = False

    def compose(self) -> ComposeResult:
        yield TextArea(self._draft or self._shown, soft_wrap=True, tab_behavior="focus", compact=True)
        yield Static(words(self._follows, "$warning"), id="follows")
        yield Static("ctrl+s saves · steps begin with - · ctrl+r as it was · esc keeps a draft", id="how")
        yield Static(id="wrong")

    @property
    def first(self) -> Widget:
        return self.query_one(TextArea)

    def action_take_back(self) -> None:
        area = self.query_one(TextArea)
        area.replace(self._shown, area.document.start, area.document.end)

    def action_save(self) -> None:
        if self.gone:
            return
        wrong = self._save(safe(self.query_one(TextArea).text))
        if wrong:
            self.say_wrong(wrong)
            return
        self._saved = True
        self.remove()

    def keep(self) -> None:
        for area in self.query(TextArea):
            self._keep("" if self._saved or area.text == self._shown else area.text)
