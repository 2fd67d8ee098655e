"""The kinds of ids, as distinct types: a signature that asks for a `UserID` is not given a `ThreadID` by mistake.

They are plain strings at run time (`netra.ids` makes them) and cost nothing.
"""

from __future__ import annotations

from typing import NewType

UserID = NewType("UserID", str)
SessionID = NewType("SessionID", str)
RequestID = NewType("RequestID", str)
ThreadID = NewType("ThreadID", str)
RunID = NewType("RunID", str)
