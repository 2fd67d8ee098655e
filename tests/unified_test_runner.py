"""Chooses tests and hands them to pytest: `python tests/unified_test_runner.py --category unit --pattern "*events*"`.

A pattern chooses files by their path below `tests/` or by their name, as a shell does (`*` also matches `/`). When no
file matches, it chooses test functions by name (`test_…` or `TestClass::test_…`). Whatever stands after `--` goes to
pytest as it is. The exit code is pytest's; 5 when nothing matched. Works from any directory; paths after `--` are
those of the checkout.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from support import interpreter
from support.categories import CATEGORIES, TESTS, Category
from support.services import AUTHENTICATED, MEANINGS, REAL_SERVICES

ROOT = TESTS.parent
NOTHING_MATCHED = 5


def main() -> None:
    """Run what the command line chooses. Does not return: pytest takes this process over."""
    own, further = _split(sys.argv[1:])
    options = parser().parse_args(own)
    if options.list_categories:
        print(_table())
        return
    interpreter.ensure("pytest", "netra", "httpx")
    arguments = pytest_arguments(options)
    if arguments is None:
        print(f"no tests match: {' '.join(own)}", file=sys.stderr)
        sys.exit(NOTHING_MATCHED)
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments, *further])


def pytest_arguments(options: argparse.Namespace) -> list[str] | None:
    """What pytest is told, for what `parser` read; None when no file and no test matches."""
    chosen = [CATEGORIES[name] for name in dict.fromkeys([*options.category, *options.categories])]
    arguments: list[str] = []
    if chosen or options.pattern:
        arguments += _targets(chosen, options.pattern)
        if not arguments:
            return None
    if chosen:
        arguments += ["-m", " or ".join(category.name for category in chosen)]
    arguments += ["-x"] if options.fast_fail else []
    return arguments + [flag for flag in MEANINGS if getattr(options, flag.strip("-").replace("-", "_"))]


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Choose tests and run them with pytest.",
        epilog="Arguments after -- go to pytest: -- -n 2 -k log",
    )
    names = list(CATEGORIES)
    parser.add_argument("--category", action="append", choices=names, default=[], help="one category; may be repeated")
    parser.add_argument("--categories", nargs="+", choices=names, default=[], help="several categories")
    parser.add_argument("--pattern", metavar="GLOB", help="files by path or name; when none matches, tests by name")
    parser.add_argument(REAL_SERVICES, action="store_true", help=MEANINGS[REAL_SERVICES])
    parser.add_argument(AUTHENTICATED, action="store_true", help=MEANINGS[AUTHENTICATED])
    parser.add_argument("--fast-fail", action="store_true", help="stop at the first failure")
    parser.add_argument("--list-categories", action="store_true", help="print the categories and end")
    return parser


def _table() -> str:
    rows = [(c.name, f"tests/{c.folder}" if c.folder else f"-m {c.name}", c.meaning) for c in CATEGORIES.values()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:<{widths[0]}}  {where:<{widths[1]}}  {meaning}" for name, where, meaning in rows)


def _targets(chosen: Sequence[Category], pattern: str | None) -> Iterator[str]:
    """What pytest is to collect: folders, or the files or tests that match. A marker may be anywhere."""
    everywhere = not chosen or any(category.folder is None for category in chosen)
    folders = [TESTS] if everywhere else [TESTS / str(category.folder) for category in chosen]
    folders = [folder for folder in folders if folder.is_dir()]
    if pattern is None:
        yield from map(str, folders)
        return
    files = sorted(path for folder in folders for path in folder.rglob("test_*.py"))
    matching = [path for path in files if _matches(path, pattern)]
    if matching:
        yield from map(str, matching)
        return
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name in _tests(tree):
            if fnmatchcase(name, pattern) or fnmatchcase(name.rpartition("::")[2], pattern):
                yield f"{path}::{name}"


def _matches(path: Path, pattern: str) -> bool:
    return fnmatchcase(path.relative_to(TESTS).as_posix(), pattern) or fnmatchcase(path.name, pattern)


def _tests(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield node.name
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            for member in node.body:
                if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and member.name.startswith("test"):
                    yield f"{node.name}::{member.name}"


if __name__ == "__main__":
    main()
