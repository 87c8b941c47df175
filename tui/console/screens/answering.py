"""A run's questions to its operator: each stays up until it is answered, and an answer counts only for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from textual.screen import Screen

from harness_core.contract.record import Status
from harness_core.errors import LongwatchError
from harness_core.layout import RunDir
from harness_core.operator import control
from harness_core.reading.rows import decided
from harness_core.safe import one_line
from tui.console import hints
from tui.console.cards.card import Card
from tui.console.cards.checkpoint import CheckpointCard
from tui.console.cards.choice import ChoiceCard, Option
from tui.console.facts import Facts
from tui.console.head import no_engine
from tui.console.operator import Operator
from tui.console.screens.iteration import IterationScreen
from tui.console.screens.review import ANSWERS, ReviewScreen

GONE = "what you answer waits no more"
WAYS = ("review", "approve", "reject", "override", "reword", "skip")
"""The keys that answer a question or lead to an answer."""


class AnsweringScreen(Screen[None]):
    """A screen on a run, with cards at its foot: the run's question, and what the operator is asked in turn.

    A subclass has `#cards`, and says `show_checkpoint` when it has new facts.
    """

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self.run_dir = run
        self.operator = Operator(run)
        self.facts: Facts | None = None
        self._asked: control.Checkpoint | None = None
        """The open question, as it is shown."""
        self._overrides: list[str] = []
        """Criteria on which the operator disagrees with the evaluator; they go with the answer."""
        self._drafts: dict[str, tuple[str, str]] = {}
        """By feature: the contract's text, and another one that was begun and not saved."""

    @property
    def answers(self) -> str:
        """How a question is answered, as its card says."""
        return hints.of(self)(*WAYS)

    def action_pane_again(self) -> None:
        """Give the keys back to what was looked at before a card took them."""

    # --- Asking -------------------------------------------------------------------------------------------

    async def ask(self, card: Card) -> None:
        """Put a card up, in the place of one that is there. When this returns it has the keys: what is typed
        ahead must not be taken for an answer to something else."""
        for other in self.query(Card):
            await other.remove()
        await self.query_one("#cards").mount(card)
        self.set_focus(card.first)

    async def ask_for_words(
        self, title: str, send: Callable[[str, str], str], modes: tuple[str, ...] = ()
    ) -> None:
        """Put a card up that takes a few lines; see Composer."""
        # To load it costs 15 ms, which the first picture doesn't have.
        from tui.console.cards.composer import Composer  # noqa: PLC0415

        await self.ask(Composer(title, send, modes))

    def say(self, text: str, *, wrong: bool = False) -> None:
        """A word that goes by itself."""
        self.notify(one_line(text), severity="error" if wrong else "information", markup=False)

    @property
    def _rests(self) -> str:
        """What to say behind something that waits for an engine, where there is none."""
        return "" if self.operator.alive else f" ({no_engine(hints.of(self))})"

    # --- What the run asks --------------------------------------------------------------------------------

    def show_checkpoint(self, facts: Facts) -> None:
        """Keep a card up as long as a question is open, and only then."""
        now = facts.state.checkpoint
        if (now.id if now else None) != (self._asked.id if self._asked else None):
            self._asked = control.checkpoint_of(self.run_dir, now.id) if now else None
            self._overrides = []
            self._put_away_checkpoint()
            if self._asked is not None:
                card = CheckpointCard(self._asked, facts.state.verdict, self.answers)
                self.query_one("#cards").mount(card, before=0 if self.query(Card) else None)
                if not self.query(Card):
                    self.call_after_refresh(self.action_iterations)
            self.refresh_bindings()
        for card in self.query(CheckpointCard):
            card.show(overrides=self._overrides, rests=facts.rests, answers=self.answers)

    def _put_away_checkpoint(self) -> None:
        for old in self.query(CheckpointCard):
            if old.iterations is not None and old.iterations.has_focus:
                self.action_pane_again()
            old.remove()

    def action_iterations(self) -> None:
        """Go to the iterations among which one is to be chosen."""
        for card in self.query(CheckpointCard):
            if card.iterations is not None and self.check_action("iterations", ()):
                self.set_focus(card.iterations)

    @property
    def feature(self) -> str:
        """The feature that `x` means where no question is open, "" for none."""
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "skip" and self.feature:
            return True
        if action == "reword":
            return bool(self._worded)
        if action == "iterations":
            return self._asked is not None and bool(self._asked.iterations)
        return action not in ("review", *ANSWERS) or self._asked is not None

    def _decide(self, asked: control.Checkpoint | None, decision: control.Decision, note: str = "") -> str:
        """Answer what was `asked`, as long as it is what waits; returns what is wrong with that, or ""."""
        if asked is None or asked is not self._asked:
            return GONE
        cards = self.query(CheckpointCard) if decision == "approve" else ()
        choice = next((card.choice for card in cards), None)
        try:
            self.operator.decide(asked, decision, note, self._overrides, choice)
        except LongwatchError as error:
            return str(error)
        stands = f", iteration {choice} stands" if choice is not None else ""
        self.say(f"checkpoint {asked.id}: {decided(decision)}{stands}{self._rests}")
        return ""

    def action_approve(self) -> None:
        if wrong := self._decide(self._asked, "approve"):
            self.say(wrong, wrong=True)

    async def action_reject(self) -> None:
        answer = partial(self._decide, self._asked, "reject")
        await self.ask_for_words(
            "Send back: what is wrong?",
            lambda note, _: answer(note) if note.strip() else "say what is wrong: the agents work from it",
        )

    async def action_skip(self) -> None:
        asked, feature = self._asked, self.feature
        skip = partial(self._decide, asked, "skip") if asked else partial(self._skip, feature)
        what = ", ".join(asked.features) if asked else feature
        await self.ask_for_words(
            f"Skip {one_line(what, 40) or 'it'}: why?",
            lambda note, _: skip(note) if note.strip() else "say why: it stays with the feature",
        )

    def _skip(self, feature: str, note: str) -> str:
        """Have a feature given up for now; returns what is wrong with that, or ""."""
        if self.facts is None:
            return "the run isn't read yet"
        try:
            self.operator.skip(self.facts.state, feature, note)
        except LongwatchError as error:
            return str(error)
        self.say(f"{feature}: skip{self._rests}")
        return ""

    # --- The contract's text ------------------------------------------------------------------------------

    @property
    def _worded(self) -> Sequence[str]:
        """The features whose text `w` may mean."""
        return [self.feature] if self.feature else self._asked.features if self._asked else []

    async def action_reword(self) -> None:
        await self._reword_one(self._worded)

    async def _reword_one(self, features: Sequence[str]) -> None:
        if len(features) == 1:
            await self._reword(features[0])
        elif features:
            options = [
                Option(str(number), one_line(feature, 60), partial(self.call_later, self._reword, feature))
                for number, feature in enumerate(features[:9], 1)
            ]
            await self.ask(ChoiceCard("Whose text? Others: in the features", options))

    async def _reword(self, feature: str) -> None:
        """Put up the editor with a feature's text, or with what was begun of another one."""
        from tui.console.cards.rewording import RewordingCard  # noqa: PLC0415  (as the composer)

        try:
            shown = self.operator.worded(feature)
        except LongwatchError as error:
            self.say(str(error), wrong=True)
            return

        def save(text: str) -> str:
            try:
                self.operator.reword(feature, shown, text)
            except LongwatchError as error:
                return str(error)
            self.say(f"{feature}: another text{self._rests}")
            return ""

        follows, keep = self._follows(feature), partial(self._keep_draft, feature, shown)
        before, draft = self._drafts[feature] if feature in self.drafts else ("", "")
        if draft and before != shown:
            follows = f"the contract has another text by now than your draft began with · {follows}"
        await self.ask(RewordingCard(feature, shown, draft, follows, save, keep))

    def _follows(self, feature: str) -> str:
        """What comes of another text."""
        known = self.facts.state.features.get(feature) if self.facts else None
        follows = ["who builds it is told"]
        if known is not None and known.status is not Status.FAILING:
            follows.append(f"it is {known.status.value}: it is to be built and proved again")
        if self._asked is not None and feature in self._asked.features:
            follows.append("the open question is over with that: you are asked anew")
        return " · ".join(follows)

    @property
    def drafts(self) -> Sequence[str]:
        """The features of which a text was begun and not saved."""
        for card in self.query(Card):
            card.keep()
        return list(self._drafts)

    def _keep_draft(self, feature: str, shown: str, text: str) -> None:
        if text:
            self._drafts[feature] = shown, text
        else:
            self._drafts.pop(feature, None)

    # --- The evaluator ------------------------------------------------------------------------------------

    async def action_override(self) -> None:
        verdict = self.facts.state.verdict if self.facts else None
        criteria = dict.fromkeys(finding.criterion for finding in verdict.findings) if verdict else {}
        options = [
            Option(
                str(number),
                f"by {criterion}: {'take that back' if criterion in self._overrides else 'its findings go'}",
                partial(self._override, self._asked, criterion),
            )
            for number, criterion in enumerate(criteria, 1)
        ]
        if options:
            await self.ask(ChoiceCard("Where is the evaluator wrong?", options[:9]))
        else:
            self.say("there is no finding to override")

    def _override(self, asked: control.Checkpoint | None, criterion: str) -> None:
        if asked is not self._asked:
            self.say(GONE, wrong=True)
            return
        chosen = criterion not in self._overrides
        self._overrides = [name for name in self._overrides if name != criterion]
        if chosen:
            self._overrides.append(criterion)
            self.say(f"{criterion} is overridden with your answer: now approve or send back")
        else:
            self.say(f"{criterion} isn't overridden any more")
        if self.facts is not None:
            self.show_checkpoint(self.facts)

    def action_review(self) -> None:
        asked = self._asked

        def answer(chosen: str | None) -> None:
            if chosen == "reword" and asked is not None and asked is self._asked:
                # Not of a feature under some cursor: of those that were reviewed.
                self.call_after_refresh(self._reword_one, asked.features)
            elif chosen and asked is self._asked:
                self.call_after_refresh(getattr(self, f"action_{chosen}"))
            elif chosen:
                self.say(GONE, wrong=True)

        if asked is None or self.facts is None:
            return
        verdict = self.facts.state.verdict
        choice = next((card.choice for card in self.query(CheckpointCard)), None)
        if choice is None:
            self.app.push_screen(ReviewScreen(self.run_dir, asked, verdict, self._overrides), answer)
        else:
            self.app.push_screen(IterationScreen(self.run_dir, asked, choice, self._overrides), answer)
