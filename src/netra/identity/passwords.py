"""Passwords: the rules for new ones, and argon2id in a bounded pool of threads.

A hash takes tens of milliseconds and 19 MiB on purpose. The pool keeps that off the event loop, and `turn` lets only as
many sign-ins in as there are threads and only so many wait, so that a storm of them costs other users nothing.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from netra.errors import InvalidInput, RateLimited
from netra.text import clean_text

T = TypeVar("T")

MIN_CHARS = 12
MAX_CHARS = 1024
WAITING = 256
"""Sign-ins that may wait for a thread; more are told to come back."""

# The first choice of OWASP's password storage cheat sheet for argon2id.
MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
SALT_BYTES = 16
HASH_BYTES = 32

# Those of the usual lists of leaked passwords that are long enough to pass the rule of length.
# fmt: off
_COMMON = frozenset({
    "000000000000", "0123456789012", "012345678910", "111111111111", "112233445566", "121212121212", "123123123123",
    "123456789012", "1234567890123", "12345678901234", "123456789012345", "1234567890123456", "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u", "1qaz1qaz1qaz", "1qaz2wsx3edc", "987654321098", "aaaaaaaaaaaa", "abc123abc123",
    "abcabcabcabc", "abcd12345678", "abcdefghijkl", "abcdefghijklm", "admin1234567", "admin12345678",
    "adminadminadmin", "administrator", "administrator1", "asdfasdfasdf", "asdfghjkl123", "baseball1234",
    "basketball12", "changeme1234", "changeme12345", "changemechangeme", "correcthorsebatterystaple",
    "dragon123456", "football1234", "hello1234567", "ilovemyfamily", "iloveyou1234", "iloveyouiloveyou",
    "letmein12345", "letmeinletmein", "liverpoolfc1", "manchesterunited", "master123456", "monkey123456",
    "mypassword123", "netranetranetra", "p@ssw0rd1234", "p@ssword1234", "passw0rd1234", "password1234",
    "password12345", "password123456", "password@123", "passwordpassword", "princess1234", "qazwsxedcrfv",
    "qwerty123456", "qwertyqwerty", "qwertyuiop12", "qwertyuiop123", "qwertyuiop[]", "qwertyuiopas",
    "qwertyuiopasdfghjkl", "rootrootroot", "sunshine1234", "superman1234", "test12345678", "testtesttest",
    "trustno1trustno1", "unbelievable", "welcome12345", "welcome123456", "welcomewelcome", "zxcvbnm12345",
})
# fmt: on


def _normalised(password: str) -> str:
    # The same password typed on another keyboard may come composed differently (NIST SP 800-63B, 3.1.1.2).
    return unicodedata.normalize("NFKC", password)


def check_new_password(password: str, email: str, *, field: str = "password") -> str:
    """`password`, when it may be chosen by the user with this email.

    Raises:
        InvalidInput: shorter than 12 or longer than 1024 characters, the email itself, or a password everybody tries.
    """
    clean_text(password, field=field, min_chars=MIN_CHARS, max_chars=MAX_CHARS)
    folded = _normalised(password).casefold().strip()
    if folded in (email.casefold(), email.casefold().partition("@")[0]):
        raise InvalidInput("The password must not be the email address.", field=field)
    if folded in _COMMON or len(set(folded)) < 3:
        raise InvalidInput(
            "This password is one of the first that are tried.", field=field, hint="Use four or more random words."
        )
    return password


def _hash_of_nothing() -> str:
    """A hash that no password fits, made up in no time. Checking against it takes as long as against any other."""
    sizes = (SALT_BYTES, HASH_BYTES)
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in sizes)
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"


class Passwords:
    """Hashes and verifies. Usable in an `async with` block; `start` and `stop` are the same two steps.

    Args:
        workers: threads, which is also how many sign-ins are worked on at once.
    """

    def __init__(self, workers: int = 2) -> None:
        self._workers = workers
        self._hasher = PasswordHasher(PASSES, MEMORY_KIB, LANES, HASH_BYTES, SALT_BYTES)
        self._pool: ThreadPoolExecutor | None = None
        self._turns = asyncio.Semaphore(workers)
        self._waiting = 0
        self._dummy = ""

    async def start(self) -> None:
        """Start the pool and make up the hash that unknown users are checked against."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="netra-password")
            self._dummy = _hash_of_nothing()

    async def stop(self) -> None:
        """End the threads after the hashes they are at."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    async def __aenter__(self) -> Passwords:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a thread, first come first served, and keep it for the block.

        Raises:
            RateLimited: too many wait already.
        """
        if self._waiting >= WAITING:
            raise RateLimited("Too many people are signing in.", retry_after=5, hint="Try again in a few seconds.")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def hash(self, password: str) -> str:
        """The hash to store, with its parameters and salt (PHC string format)."""
        return await self._run(lambda: self._hasher.hash(_normalised(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one behind `stored`; None, for a user who does not exist, costs the same time."""
        against = self._dummy if stored is None else stored

        def work() -> bool:
            try:
                return self._hasher.verify(against, _normalised(password))
            except (VerificationError, InvalidHashError):
                return False

        return await self._run(work) and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a stored hash was made with other parameters than today's and should be replaced."""
        return self._hasher.check_needs_rehash(stored)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._pool is None:
            raise RuntimeError("Passwords are not started")
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
