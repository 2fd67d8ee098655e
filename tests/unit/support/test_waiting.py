"""Waiting ends with the answer, or says what did not come."""

from __future__ import annotations

import asyncio

import pytest

from support.waiting import block_until, until


async def test_the_first_true_answer_is_given_whether_it_is_awaited_or_not() -> None:
    answers = iter([0, "", None, "there", "later"])

    async def awaited() -> object:
        return next(answers)

    assert await until(awaited, "an answer") == "there"
    assert await until(lambda: next(answers), "an answer") == "later"
    numbers = iter(range(9))
    assert block_until(lambda: next(numbers), "a number") == 1


async def test_what_did_not_come_is_named_with_what_was_seen_last() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.05 s for the train; last: \[\]"):
        await until(list, "the train", seconds=0.05)
    with pytest.raises(AssertionError, match=r"waited 0\.05 s for the train; last: \[\]"):
        block_until(list, "the train", seconds=0.05)
    with pytest.raises(AssertionError, match="last: rails"):
        block_until(list, "the train", seconds=0.05, seen=lambda: "rails")


async def test_a_condition_that_never_answers_is_given_up() -> None:
    async def never() -> bool:
        return await asyncio.get_running_loop().create_future()

    with pytest.raises(AssertionError, match="for the train"):
        await until(never, "the train", seconds=0.05)


async def test_a_condition_that_times_out_by_itself_is_not_taken_for_the_end_of_the_wait() -> None:
    async def impatient() -> bool:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await until(impatient, "the train")
