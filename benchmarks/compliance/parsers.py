"""Compare the facts of whole trees with what another parser sees in them.

    python benchmarks/compliance/parsers.py TREE … [--show 20]

`netra check` reads source with the standard library's `ast`. `ast_serialize`, the parser of mypy, shares no code with
it, and mypy's own decoder makes nodes of its answer. Imports, classes with their bases and functions with their
parameters are taken from those nodes here, and compared with the facts, file by file. Files that one of the two cannot
read are counted and left out. Exits with 1 when anything differs.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from mypy.errors import Errors
from mypy.nativeparse import native_parse
from mypy.nodes import (
    ARG_NAMED,
    ARG_NAMED_OPT,
    ARG_OPT,
    ARG_POS,
    ARG_STAR,
    ARG_STAR2,
    Block,
    ClassDef,
    Decorator,
    Expression,
    ForStmt,
    FuncDef,
    IfStmt,
    Import,
    ImportAll,
    ImportFrom,
    IndexExpr,
    MatchStmt,
    MemberExpr,
    NameExpr,
    OverloadedFuncDef,
    Statement,
    TryStmt,
    WhileStmt,
    WithStmt,
)
from mypy.options import Options
from mypy.parse import load_from_raw

from netra.compliance.extract import extract
from netra.compliance.facts import FileFacts
from netra.compliance.walk import find

Row = tuple[str, ...]
"""What it is, where, and what was seen of it."""
_KINDS: Final = {ARG_POS: "", ARG_OPT: "=", ARG_STAR: "*", ARG_STAR2: "**", ARG_NAMED: "key", ARG_NAMED_OPT: "key="}


class Seen:
    """Rows of one file, from the nodes of mypy."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def look(self, body: Iterable[Statement], scope: str) -> None:
        """At statements and at what stands in them."""
        for node in body:
            match node:
                case Import():
                    for module, alias in node.ids:
                        self._import(node.line, module, "", 0, alias or module.partition(".")[0])
                case ImportFrom():
                    for name, alias in node.names:
                        self._import(node.line, node.id, name, node.relative, alias or name)
                case ImportAll():
                    self._import(node.line, node.id, "*", node.relative, "")
                case ClassDef():
                    bases = map(dotted, node.base_type_exprs)
                    self.rows.append(("class", str(node.line), f"{scope}{node.name}", *bases))
                    self.look(node.defs.body, f"{scope}{node.name}.")
                case FuncDef():
                    self._function(node, scope)
                case Decorator():
                    self._function(node.func, scope)
                case OverloadedFuncDef():
                    self.look(node.items, scope)
                case _:
                    for block in blocks(node):
                        self.look(block.body, scope)

    def _import(self, line: int, module: str, name: str, level: int, bound: str) -> None:
        self.rows.append(("import", str(line), module, name, str(level), bound))

    def _function(self, node: FuncDef, scope: str) -> None:
        parameters = [f"{each.variable.name}:{_KINDS[each.kind]}" for each in node.arguments]
        is_async = "async" if node.is_coroutine or node.is_async_generator else ""
        self.rows.append(("function", str(node.line), f"{scope}{node.name}", is_async, *parameters))
        self.look(node.body.body, f"{scope}{node.name}.")


def blocks(node: Statement) -> Iterable[Block]:
    """Of a statement that is made of others."""
    found: list[Block | None] = []
    match node:
        case IfStmt():
            found = [*node.body, node.else_body]
        case MatchStmt():
            found = [*node.bodies]
        case WhileStmt() | ForStmt():
            found = [node.body, node.else_body]
        case WithStmt():
            found = [node.body]
        case TryStmt():
            found = [node.body, *node.handlers, node.else_body, node.finally_body]
    return [each for each in found if each is not None]


def dotted(node: Expression) -> str:
    """As facts have it: without subscripts, `?` for an expression that is no name."""
    if isinstance(node, IndexExpr):
        node = node.base
    parts: list[str] = []
    while isinstance(node, MemberExpr):
        parts.append(node.name)
        node = node.expr
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, NameExpr) else "?"


def seen(path: Path, data: bytes, options: Options) -> Counter[Row] | None:
    """Rows of a file by the other parser; None when it refuses it."""
    try:
        tree, errors, _ = native_parse(str(path), options, data)
        if errors or tree.raw_data is None:
            return None
        found = Seen()
        found.look(load_from_raw(str(path), None, tree.raw_data, Errors(options), options).defs, "")
    except (ValueError, RecursionError, AssertionError):
        return None
    return Counter(found.rows)


def known(facts: FileFacts) -> Counter[Row]:
    """Rows of a file by its facts."""
    rows: list[Row] = [
        ("import", str(each.line), each.module, each.name, str(each.level), each.bound) for each in facts.imports
    ]
    rows += [("class", str(each.line), each.qualname, *each.bases) for each in facts.classes]
    for function in facts.functions:
        parameters = [f"{name}:{kind.replace('pos', '').replace('any', '')}" for name, kind, _ in function.parameters]
        is_async = "async" if function.is_async else ""
        rows.append(("function", str(function.line), function.qualname, is_async, *parameters))
    return Counter(rows)


def main() -> int:
    """Compare, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", type=Path)
    parser.add_argument("--show", type=int, default=20, help="differing rows to print for each tree")
    asked = parser.parse_args()
    options = Options()
    options.python_version = sys.version_info[:2]
    different = 0
    for tree in asked.trees:
        files = rows = refused = 0
        differing: list[str] = []
        contents: set[bytes] = set()
        found = find(tree.resolve())
        for name in found.python:
            path = found.root / name
            data = path.read_bytes()
            if data in contents:
                continue
            contents.add(data)
            # mypy leaves out files that begin with this comment; in other letters it is one like any other.
            facts, other = extract(data), seen(path, data.replace(b"# type: ignore", b"# TYPE: ignore"), options)
            if facts.trouble or other is None:
                refused += 1
                continue
            files += 1
            ours = known(facts)
            rows += ours.total()
            differing += [f"{name}: facts only: {' '.join(row)}" for row in ours - other]
            differing += [f"{name}: parser only: {' '.join(row)}" for row in other - ours]
        print(f"{tree.name}: {files} files, {rows} rows, {len(differing)} differ; {refused} files not read by both")
        print("".join(f"  {line}\n" for line in differing[: asked.show]), end="")
        different += len(differing)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
