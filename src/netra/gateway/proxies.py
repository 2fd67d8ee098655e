"""Trusted proxies: who is one, and whose request one of them passes on."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from netra.errors import ConfigurationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Proxies:
    """The addresses and networks of `trusted_proxies`.

    Raises:
        ConfigurationError: one of them is neither.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = tuple(_network(proxy) for proxy in trusted)

    def trusts(self, address: str) -> bool:
        """Whether what this peer says of its client is believed. A Unix socket has no address and is not."""
        parsed = _address(address)
        return parsed is not None and any(parsed in network for network in self._networks)

    def client(self, peer: str, forwarded: Iterable[str]) -> str:
        """The client's address: the peer's, or what trusted proxies say of it.

        Args:
            forwarded: the X-Forwarded-For headers, in order; read from the right.
        """
        if not self.trusts(peer):
            return peer
        hops = [hop.strip() for header in forwarded for hop in header.split(",")]
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:  # what stands left of it was written by whoever wrote this
                return peer
            peer = str(address)
            if not self.trusts(peer):
                return peer
        return peer


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ConfigurationError(
            f"trusted_proxies: {text!r} is no address.", hint="Write addresses or networks, such as 10.0.0.0/8."
        ) from None


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
