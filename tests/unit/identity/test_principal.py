"""Principals and scopes cannot be made wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from netra.identity import Principal, Scope, User

USER = User("usr_1", "ada@example.com", "Ada", frozenset({"user"}), datetime(2030, 1, 1, tzinfo=UTC))


def test_a_principal_has_one_credential_and_its_own_scope() -> None:
    assert (
        len({Principal(USER, USER.scope, "ses_1", None, None), Principal(USER, USER.scope, "ses_1", None, None)}) == 1
    )
    for login_id, token_id in ((None, None), ("ses_1", "pat_1")):
        with pytest.raises(ValueError, match="one of them"):
            Principal(USER, USER.scope, login_id, token_id, None)
    with pytest.raises(ValueError, match="its own"):
        Principal(USER, Scope("usr_2"), "ses_1", None, None)


@pytest.mark.parametrize("user_id", ["", "  "])
def test_a_scope_needs_a_user(user_id: str) -> None:
    with pytest.raises(ValueError, match="user_id"):
        Scope(user_id)
