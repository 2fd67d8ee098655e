"""`import netra` is cheap, and every public name is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import netra

_TIMED = """
import sys, time
began = time.perf_counter()
import netra
print(time.perf_counter() - began)
heavy = {"fastapi", "pydantic", "sqlalchemy", "dbos", "duckdb", "msgspec", "typer"} & set(sys.modules)
assert not heavy, heavy
"""


def test_import_takes_at_most_150_ms_and_loads_nothing_heavy() -> None:
    seconds = [
        float(subprocess.run([sys.executable, "-c", _TIMED], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(seconds) <= 0.15


@pytest.mark.parametrize("name", netra.__all__)
def test_each_public_name_can_be_had_and_is_listed(name: str) -> None:
    assert getattr(netra, name) is not None
    assert name in dir(netra)


def test_all_is_sorted_and_names_everything_that_is_loaded_lazily() -> None:
    assert list(netra.__all__) == sorted(netra.__all__)
    assert set(netra._HOMES) == set(netra.__all__) - {"__version__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = netra.nothing_like_it
