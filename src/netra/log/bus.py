"""Tells readers that something was stored. It may lose or repeat anything: every reader can ask the log again.

`ThreadLog` publishes after each commit, in commit order, on the event loop; listeners are plain functions that must
not block. One that raises is a fault of ours: it is logged, and the others hear all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from netra.events import ThreadChanged

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """Events of one thread that one commit stored.

    Args:
        thread_id: whose log.
        events: `(seq, prev, wire)` in order; `wire` is the complete JSON of the event. Empty: look at the log again,
            because the thread was deleted or it is not known whether a commit succeeded.
    """

    thread_id: str
    events: tuple[tuple[int, int, bytes], ...]


L = TypeVar("L")
T = TypeVar("T")
Listener = Callable[[Published], None]
NoticeListener = Callable[[ThreadChanged], None]


class Bus:
    """Listeners by thread and by user, within one process."""

    def __init__(self) -> None:
        self._threads: dict[str, list[Listener]] = {}
        self._users: dict[str, list[NoticeListener]] = {}

    def listen(self, thread_id: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with everything stored in a thread from now on. Returns the function that ends it."""
        return _add(self._threads, thread_id, listener)

    def listen_user(self, user_id: str, listener: NoticeListener) -> Callable[[], None]:
        """Call `listener` when a thread of this user changes. Returns the function that ends it."""
        return _add(self._users, user_id, listener)

    def publish(self, published: Published) -> None:
        """Tell the listeners of a thread."""
        _tell(self._threads.get(published.thread_id, ()), published)

    def notify(self, user_id: str, notice: ThreadChanged) -> None:
        """Tell the listeners of a user."""
        _tell(self._users.get(user_id, ()), notice)


def _tell(listeners: Iterable[Callable[[T], None]], news: T) -> None:
    for listener in tuple(listeners):
        try:
            listener(news)
        except Exception:
            log.exception("listener failed")


def _add(listeners: dict[str, list[L]], key: str, listener: L) -> Callable[[], None]:
    listeners.setdefault(key, []).append(listener)
    listening = True

    def remove() -> None:
        nonlocal listening
        if not listening:
            return
        listening = False
        listeners[key].remove(listener)
        if not listeners[key]:
            del listeners[key]

    return remove
