"""What may be an email, a name, a password; and the hashes."""

from __future__ import annotations

import asyncio
import unicodedata

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from hypothesis import given
from hypothesis import strategies as st

from netra.errors import InvalidInput, RateLimited
from netra.identity import passwords as module
from netra.identity.passwords import Passwords, check_new_password
from netra.identity.users import check_email, check_name, normalise_email


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada.Lovelace+netra@Example.COM\t", "ada.lovelace+netra@example.com"),
        ("admin@localhost", "admin@localhost"),
        ("ＡＤＡ@example.com", "ada@example.com"),
        ("o'brien@sub.example.co.uk", "o'brien@sub.example.co.uk"),
        ("jörg@bücher.example", "jörg@bücher.example"),
    ],
)
def test_emails_are_stored_in_one_form(typed: str, stored: str) -> None:
    assert check_email(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@@example.com",
        "ada@example..com",
        "ada@.example.com",
        "ada@example.com.",
        "ada@-example.com",
        ".ada@example.com",
        "ada.@example.com",
        "a..da@example.com",
        "ada lovelace@example.com",
        "ada@exam ple.com",
        "ada@example.com\n.evil.com",
        "ada\u200b@example.com",
        "ada\u202e@example.com",
        '"ada"@example.com',
        "ada@[127.0.0.1]",
        "ada,eve@example.com",
        "<ada@example.com>",
        "ada\0@example.com",
        "ada\ud800@example.com",
        "a" * 65 + "@example.com",
        "ada@" + "x" * 250 + ".com",
    ],
)
def test_other_text_is_no_email(typed: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_email(typed)
    assert refusal.value.field == "email"


@given(st.text(max_size=60))
def test_one_person_has_one_form(text: str) -> None:
    form = normalise_email(text)
    assert normalise_email(form) == form
    assert normalise_email(unicodedata.normalize("NFKC", text)) == form


def test_names_stay_on_one_line() -> None:
    assert check_name("  Ada \n Lovelace ", "a@b.c") == "Ada Lovelace"
    assert check_name(None, "ada@example.com") == "ada"
    assert check_name("  ", "ada@example.com") == "ada"
    for name in ("x" * 101, "bell\a", "right-to-left \u202e", "\0"):
        with pytest.raises(InvalidInput):
            check_name(name, "a@b.c")


@pytest.mark.parametrize(
    "password", ["twelve chars", "🙂🙃🙂😀😃😄😁😆😅🤣😂🙂", "correct horse battery staple", "x1" * 512]
)
def test_long_enough_passwords_may_be_chosen(password: str) -> None:
    if len(set(password)) < 3:
        password = "abc" + password[3:]
    assert check_new_password(password, "ada@example.com") == password


@pytest.mark.parametrize(
    "password",
    [
        "eleven char",
        "a long enough one but with \0",
        "half of a surrogate \ud800",
        "ADA.lovelace@example.com",
        "ada.lovelace",
        " ada.lovelace@example.com ",
        "password1234",
        "PassWord1234",
        "ｐａｓｓｗｏｒｄ１２３４",
        "111111111111",
        "121212121212",
        "x" * 1025,
    ],
)
def test_passwords_that_are_guessed_first_may_not(password: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        check_new_password(password, "ada.lovelace@example.com", field="new")
    assert refusal.value.field == "new"
    assert password.strip() not in refusal.value.message


async def test_hashes_are_argon2id_salted_and_strong_enough() -> None:
    async with Passwords(1) as passwords:
        one, two = await passwords.hash("correct horse"), await passwords.hash("correct horse")
        assert one != two
        kind, _, parameters = one.split("$")[1:4]
        assert kind == "argon2id"
        values = dict(part.split("=") for part in parameters.split(","))
        assert int(values["m"]) >= 19 * 1024
        assert int(values["t"]) >= 2
        assert not passwords.outdated(one)
        assert await passwords.verify(one, "correct horse")
        assert not await passwords.verify(one, "correct horse ")
        assert not await passwords.verify("not a hash", "correct horse")


async def test_no_password_fits_the_hash_of_unknown_users() -> None:
    async with Passwords(1) as passwords:
        for guess in ("", "None", passwords._dummy):
            assert not await passwords.verify(None, guess)
        with pytest.raises(VerifyMismatchError):  # found out by hashing, not by looking at it
            PasswordHasher().verify(passwords._dummy, "None")


async def test_a_password_composed_on_another_keyboard_is_the_same() -> None:
    async with Passwords(1) as passwords:
        stored = await passwords.hash("caf\u00e9 au lait, s'il vous plait")
        assert await passwords.verify(stored, "cafe\u0301 au lait, s'il vous plait")


async def test_turns_are_as_many_as_threads_and_few_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 3)
    passwords = Passwords(2)
    let_go = asyncio.Event()
    inside = 0
    most = 0

    async def take() -> None:
        nonlocal inside, most
        async with passwords.turn():
            inside += 1
            most = max(most, inside)
            await let_go.wait()
            inside -= 1

    holders = [asyncio.create_task(take()) for _ in range(2)]
    await asyncio.sleep(0)
    waiters = [asyncio.create_task(take()) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await take()
    waiters[0].cancel()
    await asyncio.gather(waiters[0], return_exceptions=True)
    late = asyncio.create_task(take())  # the place of the one who gave up is free again
    await asyncio.sleep(0)
    let_go.set()
    await asyncio.gather(*holders, *waiters[1:], late)
    assert (most, inside) == (2, 0)
