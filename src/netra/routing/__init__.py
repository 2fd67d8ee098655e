"""Message type to handler: the one registry of everything a client can ask for over a socket."""

from .router import MessageRouter

__all__ = ["MessageRouter"]
