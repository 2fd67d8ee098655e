"""The API does what its OpenAPI document says, whatever a generator of requests makes of that document."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from netra.app import create_app
from netra.config import Settings
from support.accounts import Account, set_up_admin
from support.server import ServerProcess

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# A generator that signs the account out, or changes its password, would find every other address refused.
ENDS_THE_LOGIN = r"/api/auth/(logout|password|refresh)"


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {"NETRA_ALLOW_REGISTRATION": "true", "NETRA_LOGIN_ATTEMPTS": "1000000"}
    with ServerProcess(tmp_path_factory.mktemp("openapi"), environment=environment) as server:
        yield server


@pytest.fixture(scope="module")
def account(fuzzed: ServerProcess) -> Account:
    return set_up_admin(fuzzed)


document = schemathesis.openapi.from_dict(create_app(Settings()).asgi.openapi()).exclude(path_regex=ENDS_THE_LOGIN)


@document.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
def test_every_operation_answers_as_declared(case: schemathesis.Case, fuzzed: ServerProcess, account: Account) -> None:
    case.call_and_validate(base_url=fuzzed.base_url, checks=CHECKS, headers=account.headers)
