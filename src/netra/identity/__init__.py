"""Who asks: users, passwords, logins, tokens, and the `Scope` every use case takes first."""

from .scope import Scope

__all__ = ["Scope"]
