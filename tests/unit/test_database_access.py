"""Every part gets its database from the session factory: nobody else opens engines or connections."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import netra

SOURCE = Path(netra.__file__).parent
ROOMS = ("storage", "sessions")
"""Where connections are made."""
ELSEWHERE = {
    "cli/checks.py": "netra doctor looks at a database that no server has opened",
    "engine/durable.py": "DBOS has a database of its own",
    "engine/ownership.py": "the lock of the engine is a connection that is held for as long as the process lives",
}
OPENING = {"create_engine", "create_async_engine", "sync_engine", "async_sessionmaker", "sessionmaker"}
TOLD_BY = re.compile("|".join([r"\bDatabase\b", *OPENING]))
"""Without any of these names there is nothing to find in a module."""


def named(tree: ast.AST) -> set[str]:
    """Names that a module imports from SQLAlchemy or from storage."""
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(("sqlalchemy", "netra.storage"))
        for alias in node.names
    }


def bare(tree: ast.AST) -> bool:
    """Whether a module has a `Database` that it does not hand to a factory at once."""
    made = {
        id(node.func)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.Call) and getattr(outer.func, "id", "") == "RequestScopedSessionFactory"
        for node in outer.args
        if isinstance(node, ast.Call)
    }
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "Database"]
    return any(id(node) not in made for node in uses)


@pytest.mark.spec("factory.server-uses-it")
def test_only_storage_and_sessions_open_engines_or_use_the_database_directly() -> None:
    guilty = []
    for path in sorted(SOURCE.rglob("*.py")):
        where = path.relative_to(SOURCE)
        if where.parts[0] in ROOMS or str(where) in ELSEWHERE:
            continue
        text = path.read_text()
        if not TOLD_BY.search(text):
            continue  # walking a tree takes far longer
        tree = ast.parse(text)
        guilty += [f"{where}: {name}" for name in sorted(named(tree) & OPENING)]
        if bare(tree):
            guilty.append(f"{where}: Database")
    assert guilty == []


def test_a_database_beside_a_factory_is_found() -> None:
    assert not bare(
        ast.parse("from netra.storage import Database\nd = RequestScopedSessionFactory(Database('x'), clock)")
    )
    assert bare(ast.parse("d = Database('x')"))
    assert bare(ast.parse("def f(database: Database) -> None: ..."))
