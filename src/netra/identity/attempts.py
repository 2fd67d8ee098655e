"""How often somebody may fail: failed attempts are counted per account and per address, in this process.

`begin` counts an attempt before its password is looked at, so that a thousand sent at once are not a thousand free
guesses. Only failures stay counted. Memory is bounded: of more than `CAPACITY` accounts and addresses, the one that
failed longest ago is forgotten. Keys are hashes; nothing here could be read as a list of users.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from types import TracebackType

from netra.clock import Clock
from netra.errors import RateLimited, Unavailable

WINDOW_SECONDS = 15 * 60.0
CAPACITY = 50_000
PER_ADDRESS = 5
"""An address may fail this many times as often as an account: a whole office can share one."""


@dataclass(frozen=True, slots=True)
class Key:
    """What failures are counted by."""

    digest: bytes
    limit: int
    forgiven: bool  # a success clears it


@dataclass(slots=True)
class _Record:
    failures: list[float] = field(default_factory=list)
    running: int = 0


class Attempts:
    """The counters.

    Args:
        clock: its monotonic time is used; setting the time of day changes nothing.
        limit: failures per account in 15 minutes.
    """

    def __init__(self, clock: Clock, limit: int, *, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._limit = limit
        self._capacity = capacity
        self._records: OrderedDict[bytes, _Record] = OrderedDict()

    def account(self, name: str) -> Key:
        """The key of an account: an email (whether it exists or not) or a user id."""
        return Key(_digest("account", name), self._limit, forgiven=True)

    def address(self, address: str) -> Key:
        """The key of a client's address; of IPv6 the /64, which one client commonly has to itself."""
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            network = address
        else:
            if isinstance(parsed, ipaddress.IPv6Address):
                mapped = parsed.ipv4_mapped
                network = str(mapped or ipaddress.IPv6Network((parsed, 64), strict=False))
            else:
                network = str(parsed)
        return Key(_digest("address", network), self._limit * PER_ADDRESS, forgiven=False)

    def check(self, *keys: Key) -> None:
        """Refuse early, before anything costly.

        Raises:
            RateLimited: one of the keys has failed too often; says when to come back.
        """
        now = self._clock.monotonic()
        for key in keys:
            record = self._records.get(key.digest)
            if record is None:
                continue
            record.failures = [moment for moment in record.failures if moment > now - WINDOW_SECONDS]
            if len(record.failures) >= key.limit:
                raise RateLimited(
                    "Too many failed attempts.",
                    retry_after=max(1.0, record.failures[-key.limit] + WINDOW_SECONDS - now),
                    hint="Wait, then try again.",
                )
            if len(record.failures) + record.running >= key.limit:
                raise RateLimited("Too many attempts at once.", retry_after=1.0, hint="Wait, then try again.")

    def begin(self, *keys: Key) -> Attempt:
        """Count an attempt until its `with` block ends; it has failed unless `succeeded` was called.

        Raises:
            RateLimited: see `check`.
        """
        self.check(*keys)
        for key in keys:
            self._records.setdefault(key.digest, _Record()).running += 1
            self._records.move_to_end(key.digest)
        self._forget()
        return Attempt(self, keys)

    def end(self, keys: tuple[Key, ...], *, failed: bool, succeeded: bool) -> None:
        """Settle what `begin` counted. Called by `Attempt`."""
        for key in keys:
            record = self._records.setdefault(key.digest, _Record())
            record.running = max(0, record.running - 1)
            if failed:
                record.failures.append(self._clock.monotonic())
            elif succeeded and key.forgiven:
                record.failures.clear()
            if not record.failures and not record.running:
                del self._records[key.digest]

    def _forget(self) -> None:
        while len(self._records) > self._capacity:
            oldest = next(iter(self._records))
            if self._records[oldest].running:  # being tried now; there are no more of these than password threads
                self._records.move_to_end(oldest)
                continue
            del self._records[oldest]

    def __len__(self) -> int:
        return len(self._records)


class Attempt:
    """One attempt that is under way."""

    __slots__ = ("_attempts", "_keys", "_succeeded")

    def __init__(self, attempts: Attempts, keys: tuple[Key, ...]) -> None:
        self._attempts = attempts
        self._keys = keys
        self._succeeded = False

    def succeeded(self) -> None:
        """The credentials were right."""
        self._succeeded = True

    def __enter__(self) -> Attempt:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # Our own failure is not the caller's. Giving up half-way is: it must not be a way to guess uncounted.
        failed = not self._succeeded and not isinstance(error, Unavailable)
        self._attempts.end(self._keys, failed=failed, succeeded=self._succeeded)


def _digest(kind: str, value: str) -> bytes:
    return hashlib.blake2b(f"{kind}:{value}".encode(errors="surrogatepass"), digest_size=16).digest()
