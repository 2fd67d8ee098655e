"""Which files of a product exist for tests: pytest plugins, fixtures, doubles that a library offers its users."""

from __future__ import annotations

import re
from functools import lru_cache

_WORDS = re.compile(
    r"(?:^|[_/.])(?:conftest|doubles?|dummy|fakes?|fixtures?|mocks?|mocked|mocking|pytest|simulators?|stubs?|testing"
    r"|testcases?|tests?|testutils?|testlib|unittests?|unittest2?|testbench|testsuite|testsupport|sandbox|demo)"
    r"(?=$|[_/.])|(?:^|/)(?:test|mock|fake)[a-z]*\.py$|(?:tests?|mocks?|fakes?)\.py$"
)


@lru_cache(maxsize=65536)
def is_for_tests(path: str) -> bool:
    """Whether the path of a file says that it serves tests."""
    return _WORDS.search(path.lower().replace("-", "_")) is not None
