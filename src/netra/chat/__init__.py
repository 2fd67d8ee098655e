"""The use cases: threads, messages, runs, approvals, files. Every method takes a `Scope` (whose data) first."""

from .approvals import Approvals
from .files import Files, StoredFile
from .messages import Messages, Sent
from .runs import Run, Runs
from .threads import Thread, Threads

__all__ = ["Approvals", "Files", "Messages", "Run", "Runs", "Sent", "StoredFile", "Thread", "Threads"]
