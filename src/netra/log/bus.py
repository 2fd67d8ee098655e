"""Tells readers that something was stored. It may lose or repeat anything: every reader can ask the log again.

`ThreadLog` publishes after each commit, in commit order, on the event loop; listeners are plain functions that must
not block and must not raise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from netra.events import ThreadChanged


@dataclass(frozen=True, slots=True)
class Published:
    """Events of one thread that one commit stored.

    Args:
        thread_id: whose log.
        events: `(seq, prev, wire)` in order; `wire` is the complete JSON of the event. Empty: the thread was deleted.
    """

    thread_id: str
    events: tuple[tuple[int, int, bytes], ...]


L = TypeVar("L")
Listener = Callable[[Published], None]
NoticeListener = Callable[[ThreadChanged], None]


class Bus:
    """Listeners by thread and by user, within one process."""

    def __init__(self) -> None:
        self._threads: defaultdict[str, list[Listener]] = defaultdict(list)
        self._users: defaultdict[str, list[NoticeListener]] = defaultdict(list)

    def listen(self, thread_id: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with everything stored in a thread from now on. Returns the function that ends it."""
        return _add(self._threads, thread_id, listener)

    def listen_user(self, user_id: str, listener: NoticeListener) -> Callable[[], None]:
        """Call `listener` when a thread of this user changes. Returns the function that ends it."""
        return _add(self._users, user_id, listener)

    def publish(self, published: Published) -> None:
        """Tell the listeners of a thread."""
        for listener in tuple(self._threads.get(published.thread_id, ())):
            listener(published)

    def notify(self, user_id: str, notice: ThreadChanged) -> None:
        """Tell the listeners of a user."""
        for listener in tuple(self._users.get(user_id, ())):
            listener(notice)


def _add(listeners: dict[str, list[L]], key: str, listener: L) -> Callable[[], None]:
    listeners[key].append(listener)

    def remove() -> None:
        try:
            listeners[key].remove(listener)
        except (KeyError, ValueError):
            return  # removed before
        if not listeners[key]:
            del listeners[key]

    return remove
