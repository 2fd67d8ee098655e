"""Who asks: users, passwords, logins, tokens, and the `Scope` every use case takes first.

`Identity` is the one door for the gateway. Its names are loaded when they are first asked for, so that a part which
only needs `Scope` does not load the database and the cryptography.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .scope import Scope

if TYPE_CHECKING:
    from .principal import Principal, User
    from .service import Identity, SignedIn

__all__ = ["Identity", "Principal", "Scope", "SignedIn", "User"]

_HOMES = {"Identity": ".service", "SignedIn": ".service", "Principal": ".principal", "User": ".principal"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'netra.identity' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value
