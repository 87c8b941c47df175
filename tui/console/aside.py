"""What is done beside the screen, and what happens where it breaks down."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, overload
from weakref import WeakKeyDictionary

from textual import work
from textual.widget import Widget
from textual.worker import Worker, get_current_worker

from tui.commands import breakdown

P = ParamSpec("P")
W = TypeVar("W", bound=Widget)
Work: TypeAlias = Callable[Concatenate[W, P], Coroutine[Any, Any, None] | None]
Fault: TypeAlias = tuple[str, type[BaseException], str, int | None]
"""What broke down, by what, and at which line of which file."""

LONG = 15.0
"""Seconds for which such a sentence stays: it names a file."""
_said: WeakKeyDictionary[Widget, dict[Fault, str]] = WeakKeyDictionary()
"""What each widget's work broke down by, with the sentence that said so."""


@overload
def aside(
    what: str, *, group: str = "default", exclusive: bool = False
) -> Callable[[Callable[P, None]], Callable[P, Worker[None]]]: ...


@overload
def aside(
    what: str, *, group: str = "default", exclusive: bool = False, broke: Callable[[W, str], object]
) -> Callable[[Work[W, P]], Callable[Concatenate[W, P], Worker[None]]]: ...


def aside(
    what: str,
    *,
    group: str = "default",
    exclusive: bool = False,
    broke: Callable[[Any, str], object] | None = None,
) -> Callable[[Any], Any]:
    """Have a method run in a thread, or as a task if it is a coroutine.

    Where it raises what it shouldn't, the operator is told in a sentence that begins with `what`, and the
    console goes on. `broke` gets the sentence too, on the screen's own thread: it puts an end to what waits
    for the work. Then a fault that comes again isn't told again, since it can be read where it counts.
    """

    def decorate(method: Callable[..., Any]) -> Callable[..., Worker[None]]:
        @wraps(method)
        async def as_task(self: Widget, *args: Any, **kwargs: Any) -> None:
            with _told(self, what, broke):
                await method(self, *args, **kwargs)

        @wraps(method)
        def in_thread(self: Widget, *args: Any, **kwargs: Any) -> None:
            with _told(self, what, broke):
                method(self, *args, **kwargs)

        task = iscoroutinefunction(method)
        begin = work(thread=not task, group=group, exclusive=exclusive, exit_on_error=False)
        return begin(as_task if task else in_thread)

    return decorate


@contextlib.contextmanager
def _told(widget: Widget, what: str, broke: Callable[[Any, str], object] | None) -> Iterator[None]:
    """Tell the operator of what is raised within."""
    try:
        yield
    except Exception as error:
        if get_current_worker().is_cancelled or not widget.is_attached:
            # Nobody waits for it any more: what it would have shown it on may be gone.
            return
        known = _said.setdefault(widget, {})
        fault = _fault(what, error)
        again = fault in known
        if not again:
            known[fault] = breakdown.sentence(what, error)
        if broke is None or not again:
            widget.app.notify(known[fault], severity="error", timeout=LONG, markup=False)
        if broke is not None:
            widget.call_later(broke, widget, known[fault])


def _fault(what: str, error: BaseException) -> Fault:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return what, type(error), place.filename, place.lineno
