"""`Scope`: whose data a call may touch. Made by the doors from proven credentials, passed explicitly, never ambient."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Scope:
    """One user's view of the data.

    Args:
        user_id: whose data; `usr_…`.
        roles: what the user is, such as `user`, `admin`. A role never widens whose data a use case sees.
    """

    user_id: str
    roles: frozenset[str] = field(default_factory=lambda: frozenset({"user"}))

    def __post_init__(self) -> None:
        if not self.user_id or not self.user_id.strip():
            raise ValueError("a scope needs a user_id")
