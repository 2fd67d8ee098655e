"""The counters of failed attempts."""

from __future__ import annotations

import pytest

from netra.errors import InvalidCredentials, RateLimited, Unavailable
from netra.identity.attempts import PER_ADDRESS, WINDOW_SECONDS, Attempts, Key
from support.clock import ManualClock


def fail(attempts: Attempts, *keys: Key) -> None:
    with pytest.raises(InvalidCredentials), attempts.begin(*keys):
        raise InvalidCredentials("wrong")


def test_failures_leave_the_window_one_by_one() -> None:
    clock = ManualClock()
    attempts = Attempts(clock, 3)
    key = attempts.account("ada")
    for _ in range(2):
        fail(attempts, key)
        clock.advance(100)
    fail(attempts, key)
    with pytest.raises(RateLimited) as refusal:
        attempts.check(key)
    assert refusal.value.retry_after == WINDOW_SECONDS - 200
    clock.advance(WINDOW_SECONDS - 200)
    fail(attempts, key)
    with pytest.raises(RateLimited) as refusal:
        attempts.begin(key)
    assert refusal.value.retry_after == 100


def test_attempts_under_way_count() -> None:
    attempts = Attempts(ManualClock(), 2)
    key = attempts.account("ada")
    with attempts.begin(key) as one, attempts.begin(key) as two:
        with pytest.raises(RateLimited) as refusal:
            attempts.begin(key)
        assert refusal.value.retry_after == 1
        one.succeeded()
        two.succeeded()
    assert len(attempts) == 0


def test_giving_up_half_way_counts_and_our_own_failure_does_not() -> None:
    attempts = Attempts(ManualClock(), 1)
    key = attempts.account("ada")
    with pytest.raises(Unavailable), attempts.begin(key):
        raise Unavailable("away")
    attempts.check(key)
    with pytest.raises(KeyboardInterrupt), attempts.begin(key):
        raise KeyboardInterrupt
    with pytest.raises(RateLimited):
        attempts.check(key)


def test_a_success_clears_the_account_only() -> None:
    attempts = Attempts(ManualClock(), 2)
    account, address = attempts.account("ada"), attempts.address("198.51.100.1")
    for _ in range(PER_ADDRESS):
        for _ in range(1):
            fail(attempts, account, address)
        with attempts.begin(account, address) as attempt:
            attempt.succeeded()
    for number in range(PER_ADDRESS):
        fail(attempts, attempts.account(f"user{number}"), address)
    attempts.check(account)
    with pytest.raises(RateLimited):
        attempts.check(address)


def test_an_account_and_an_address_of_one_name_are_two() -> None:
    attempts = Attempts(ManualClock(), 1)
    fail(attempts, attempts.account("198.51.100.1"))
    attempts.check(attempts.address("198.51.100.1"))


def test_spellings_of_an_address_are_one() -> None:
    attempts = Attempts(ManualClock(), 1)
    assert attempts.address("::ffff:198.51.100.1") == attempts.address("198.51.100.1")
    assert attempts.address("2001:db8::1") == attempts.address("2001:DB8:0:0:ffff::2")
    assert attempts.address("fe80::1%eth0") == attempts.address("fe80::2")
    assert attempts.address("2001:db8::1") != attempts.address("2001:db8:0:1::1")
    assert attempts.address("") == attempts.address("")


def test_memory_is_bounded_and_the_oldest_is_forgotten_first() -> None:
    attempts = Attempts(ManualClock(), 1, capacity=100)
    running = attempts.account("under way")
    with attempts.begin(running):
        for number in range(1000):
            fail(attempts, attempts.account(f"user{number}"))
            assert len(attempts) <= 100
    with pytest.raises(RateLimited):
        attempts.check(running)
    with pytest.raises(RateLimited):
        attempts.check(attempts.account("user999"))
    attempts.check(attempts.account("user0"))


def test_nothing_in_memory_names_a_user() -> None:
    attempts = Attempts(ManualClock(), 1)
    fail(attempts, attempts.account("ada@example.com"), attempts.address("198.51.100.1"))
    assert "ada" not in repr(vars(attempts))
    assert "198" not in repr(list(attempts._records))
