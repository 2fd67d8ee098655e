"""The use cases: threads, messages, runs, approvals, files, feedback. Every method takes a `Scope` first."""

from .approvals import Approvals
from .feedback import Feedback, Rating
from .files import Files, StoredFile
from .messages import Messages, Sent
from .runs import Run, Runs
from .threads import Thread, Threads

__all__ = [
    "Approvals",
    "Feedback",
    "Files",
    "Messages",
    "Rating",
    "Run",
    "Runs",
    "Sent",
    "StoredFile",
    "Thread",
    "Threads",
]
