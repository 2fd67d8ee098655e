"""What kind of body a function, a handler or a guarded import has."""

from __future__ import annotations

import ast

from netra.compliance.facts import ImportGuard

from .names import dotted, is_none

IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
EXPECTING = frozenset({"suppress", "raises", "assertRaises", "assertRaisesRegex"})
"""Context managers that take the exceptions they are given."""


def is_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def docstring_lines(body: list[ast.stmt]) -> int:
    """How many lines the docstring of a body takes."""
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return (first.end_lineno or first.lineno) - first.lineno + 1
    return 0


def stub(body: list[ast.stmt]) -> str:
    rest = [each for each in body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
    if not rest:
        has_ellipsis = any(isinstance(each, ast.Expr) and each.value.value is ... for each in body)  # type: ignore[attr-defined]
        return "ellipsis" if has_ellipsis else "pass"
    if all(isinstance(each, ast.Pass) for each in rest):
        return "pass"
    if len(rest) > 1:
        return ""
    (only,) = rest
    if isinstance(only, ast.Return):
        value = only.value
        if value is None or isinstance(value, ast.Constant):
            return "constant"
        if isinstance(value, (ast.List, ast.Tuple, ast.Dict, ast.Set)):
            parts = [*getattr(value, "elts", ()), *getattr(value, "keys", ()), *getattr(value, "values", ())]
            return "constant" if all(isinstance(each, ast.Constant) for each in parts) else ""
        return ""
    if isinstance(only, ast.Raise) and only.exc is not None:
        raised = only.exc.func if isinstance(only.exc, ast.Call) else only.exc
        return "not implemented" if dotted(raised) == "NotImplementedError" else ""
    return ""


def is_type_checking(node: ast.expr) -> bool:
    return dotted(node).rpartition(".")[2] == "TYPE_CHECKING"


def caught_by(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {dotted(each).rpartition(".")[2] for each in types}


def has_imports(body: list[ast.stmt]) -> bool:
    return any(isinstance(each, (ast.Import, ast.ImportFrom)) for each in body)


def guard_of(node: ast.Try, handlers: list[ast.ExceptHandler]) -> ImportGuard:
    defines: list[tuple[str, str, int]] = []
    reraises = False
    for statement in (each for handler in handlers for each in handler.body):
        if isinstance(statement, ast.Raise):
            reraises = True
        elif isinstance(statement, ast.ClassDef):
            methods = [each for each in statement.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))]
            empty = all(stub(each.body) for each in methods)
            defines.append((statement.name, "constant" if empty else "class", statement.lineno))
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            kind = "constant" if stub(statement.body) else "function"
            defines.append((statement.name, kind, statement.lineno))
        elif isinstance(statement, ast.Assign):
            kind = "none" if is_none(statement.value) else "value"
            names = [each.id for each in statement.targets if isinstance(each, ast.Name)]
            defines.extend((name, kind, statement.lineno) for name in names)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            defines.extend((each.asname or each.name, "import", statement.lineno) for each in statement.names)
    return ImportGuard(node.lineno, defines, reraises)
