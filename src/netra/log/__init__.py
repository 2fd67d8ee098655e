"""The thread log: the one place everything a client sees is read from."""

from .bus import Bus, Published
from .log import Entry, Fence, Fenced, Page, Placed, ThreadLog, Transaction

__all__ = ["Bus", "Entry", "Fence", "Fenced", "Page", "Placed", "Published", "ThreadLog", "Transaction"]
