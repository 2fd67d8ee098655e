"""Names and literals as they are written in expressions: dotted names, annotations, parameters, short values."""

from __future__ import annotations

import ast
from keyword import iskeyword

ITERATORS = frozenset(
    f"{kind}{name}" for kind in ("", "Async") for name in ("Iterator", "Generator", "Iterable", "ContextManager")
) | {"AbstractContextManager", "AbstractAsyncContextManager"}
_TRANSPARENT = frozenset(
    ("Optional", "Annotated", "Final", "ClassVar", "Required", "NotRequired", "ReadOnly", "Mapped")
)
_LITERAL_CHARS = 60
_ANNOTATION_CHARS = 1000
"""Of an annotation in quotes; nobody has written a longer one by hand."""


def dotted(node: ast.expr) -> str:
    """`a.b.c`, or empty."""
    kind = type(node)
    if kind is ast.Name:
        return node.id  # type: ignore[attr-defined, no-any-return]
    if kind is ast.Attribute:
        holder = node.value  # type: ignore[attr-defined]
        head = holder.id if type(holder) is ast.Name else dotted(holder)
        return f"{head}.{node.attr}" if head else ""  # type: ignore[attr-defined]
    return ""


def base(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        node = node.value
    return dotted(node) or "?"


def decorator(node: ast.expr) -> str:
    return dotted(node.func if isinstance(node, ast.Call) else node) or "?"


def annotation_of(node: ast.expr | None) -> str:
    """The class an annotation names: `X` for X, "X", Optional[X], X | None; `Iterator[X]` keeps its argument."""
    if node is None:
        return ""
    if type(node) is ast.Name:
        return node.id
    if isinstance(node, ast.Constant):
        return _quoted(node.value) if isinstance(node.value, str) else ""
    if isinstance(node, (ast.Name, ast.Attribute)):
        return dotted(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [each for each in (node.left, node.right) if not is_none(each)]
        return annotation_of(sides[0]) if len(sides) == 1 else ""
    if isinstance(node, ast.Subscript):
        head = dotted(node.value)
        last = head.rpartition(".")[2]
        arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if last in _TRANSPARENT and arguments:
            return annotation_of(arguments[0])
        if last == "Union":
            sides = [each for each in arguments if not is_none(each)]
            return annotation_of(sides[0]) if len(sides) == 1 else ""
        if last in ITERATORS and arguments:
            inner = annotation_of(arguments[0])
            return f"{head}[{inner}]" if inner else ""
        return head
    return ""


def _quoted(text: str) -> str:
    if len(text) > _ANNOTATION_CHARS:
        return ""
    text = text.strip()
    if text.isidentifier() and text.isascii() and not iskeyword(text):
        return text
    try:
        return annotation_of(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError):
        return ""


def is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def parameters_of(arguments: ast.arguments) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    without = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    for kind, group in (("pos", arguments.posonlyargs), ("any", arguments.args)):
        for each in group:
            found.append((each.arg, kind if len(found) < without else kind + "=", annotation_of(each.annotation)))
    if arguments.vararg is not None:
        found.append((arguments.vararg.arg, "*", annotation_of(arguments.vararg.annotation)))
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append((each.arg, "key" + ("" if default is None else "="), annotation_of(each.annotation)))
    if arguments.kwarg is not None:
        found.append((arguments.kwarg.arg, "**", annotation_of(arguments.kwarg.annotation)))
    return found


def signature(parameters: list[tuple[str, str, str]]) -> str:
    parts: list[str] = []
    starred = False
    for name, kind, _ in parameters:
        if kind in ("*", "**"):
            starred = starred or kind == "*"
            parts.append(kind + name)
            continue
        if kind.startswith("key") and not starred:
            parts.append("*")
            starred = True
        parts.append(name + ("=" if kind.endswith("=") else ""))
    return ", ".join(parts)


def literal(node: ast.expr | None) -> str:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        inner = literal(node.operand)
        return f"-{inner}" if inner else ""
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, (str, bytes)):
            return repr(value) if len(value) <= _LITERAL_CHARS else ""
        if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
            return ""
        return repr(value)
    return ""


def strings(node: ast.expr) -> list[str] | None:
    """The members of a display of strings, or of a sum of such."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        if all(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in node.elts):
            return [str(each.value) for each in node.elts]  # type: ignore[attr-defined]
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = strings(node.left), strings(node.right)
        return left + right if left is not None and right is not None else None
    return None


def last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, (ast.Tuple, ast.JoinedStr)):
        names = [last_name(each) for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
        return ",".join(each for each in names if each)
    if isinstance(node, ast.FormattedValue):
        return last_name(node.value)
    return ""
