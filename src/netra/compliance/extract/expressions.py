"""Expressions: what is read, called and tested in them, and what that means once the whole file is known."""

from __future__ import annotations

import ast

from netra.compliance.facts import MODULE, Call, Read

from .names import dotted, parameters_of
from .scopes import NameScope, Scene, at, means_same, method_of, value_of

_TESTS = frozenset({"isinstance", "issubclass", "hasattr", "getattr", "setattr", "callable", "is_dataclass", "cast"})
_COMPREHENSIONS = frozenset({ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp})
_LEAVES: frozenset[type] = frozenset({ast.Name, ast.Constant})
"""In which there is nothing to find."""
_INNER: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in ("ctx", "op", "ops", "conversion"))
    for kind in ast.expr.__subclasses__()
}


class Expressions:
    """See the module."""

    def __init__(self) -> None:
        self._scopes: list[NameScope] = []
        self._names: dict[str, None] = {}
        self._dynamic = False
        self._given: set[str] = set()
        self._keys: set[str] = set()
        self._makes_classes = False

    def _expression(self, node: ast.expr, place: Scene) -> None:
        """Reads, calls, tests and names bound in an expression."""
        kind = type(node)
        if kind in _LEAVES:
            return
        if kind is ast.Attribute:
            self._attribute(node, place)  # type: ignore[arg-type]
        elif kind is ast.Call:
            self._call(node, place)  # type: ignore[arg-type]
        elif kind is ast.Lambda:
            self._lambda(node, place)  # type: ignore[arg-type]
        elif kind in _COMPREHENSIONS:
            self._comprehension(node, place)
        elif kind is ast.NamedExpr:
            self._expression(node.value, place)  # type: ignore[attr-defined]
            name = node.target.id  # type: ignore[attr-defined]
            place.scope.bind(name, self._source(node.value, place))  # type: ignore[attr-defined]
            if place.scope.index == MODULE:
                self._names[name] = None
        else:
            if kind is ast.Yield or kind is ast.YieldFrom:
                place.scope.is_generator = True
            elif kind is ast.Compare:
                self._compare(node, place)  # type: ignore[arg-type]
            elif kind is ast.Dict:
                keys = (getattr(each, "value", None) for each in node.keys)  # type: ignore[attr-defined]
                self._keys.update(each for each in keys if isinstance(each, str))
            for name in _INNER.get(kind, kind._fields):
                inner = getattr(node, name)
                for each in inner if type(inner) is list else (inner,):
                    if type(each) not in _LEAVES and isinstance(each, ast.expr):
                        self._expression(each, place)

    def _comprehension(self, node: ast.expr, place: Scene) -> None:
        for generator in node.generators:  # type: ignore[attr-defined]
            self._expression(generator.iter, place)
            self._target_names(generator.target, place.scope)
            for test in generator.ifs:
                self._expression(test, place)
        for child in ("elt", "key", "value"):
            if (inner := getattr(node, child, None)) is not None:
                self._expression(inner, place)

    def _attribute(self, node: ast.Attribute, place: Scene) -> None:
        receiver = dotted(node.value)
        if node.attr == "__dict__" and (method := method_of(place.scope, receiver)) and method.into is not None:
            method.into.dynamic = True
        if receiver and not place.attribute_errors and receiver.count(".") <= 1:
            place.scope.reads.append((receiver, node.attr, node.end_lineno or node.lineno, place.error_path))
        if not receiver or receiver.count(".") >= 1:
            self._expression(node.value, place)

    def _call(self, node: ast.Call, place: Scene) -> None:
        name = dotted(node.func)
        if name:
            last = name.rpartition(".")[2]
            if last in _TESTS:
                self._test(last, node, place)
            if last.lstrip("_")[:1].isupper():
                positional = -1 if any(isinstance(each, ast.Starred) for each in node.args) else len(node.args)
                keywords = [each.arg or "**" for each in node.keywords]
                place.scope.calls.append((name, node.lineno, positional, keywords))
            if name == "type" and len(node.args) == 3:
                self._makes_classes = True
            if name == "globals" and place.scope.index == MODULE:
                self._dynamic = True
            if name in ("exec", "locals", "vars") and place.into is not None:
                place.into.dynamic = True  # a class body that writes its own names
            if "." in name:
                self._attribute(node.func, place)  # type: ignore[arg-type]
        else:
            self._expression(node.func, place)
        if not place.attribute_errors and any(dotted(each) == "AttributeError" for each in node.args):
            place = at(place, place.how, attribute_errors=True)  # `raises(AttributeError, lambda: …)`
        for each in node.args:
            if type(each) not in _LEAVES:
                self._expression(each, place)
        for keyword in node.keywords:
            if type(keyword.value) not in _LEAVES:
                self._expression(keyword.value, place)

    def _test(self, name: str, node: ast.Call, place: Scene) -> None:
        """`isinstance`, `hasattr` and their like say more about a name than we follow."""
        if not node.args:
            return
        subject = node.args[0]
        if name == "setattr":
            if isinstance(subject, ast.Name) and (method := method_of(place.scope, subject.id)) and method.into:
                method.into.dynamic = True
            attribute = node.args[1] if len(node.args) > 1 else None
            if isinstance(attribute, ast.Constant) and isinstance(attribute.value, str):
                self._given.add(attribute.value)
            self._narrow(subject, place.scope)
        elif name in ("hasattr", "getattr") and len(node.args) > 1:
            attribute = node.args[1]
            text = dotted(subject)
            if text and isinstance(attribute, ast.Constant) and isinstance(attribute.value, str):
                place.scope.unsure.add(f"{text}.{attribute.value}")
            elif name == "hasattr":
                self._narrow(subject, place.scope)
        elif name != "getattr":
            self._narrow(subject, place.scope)

    def _compare(self, node: ast.Compare, place: Scene) -> None:
        left = node.left
        if isinstance(left, ast.Call) and dotted(left.func) == "type" and left.args:
            self._narrow(left.args[0], place.scope)
        elif isinstance(left, ast.Attribute) and left.attr == "__class__":
            self._narrow(left.value, place.scope)
        elif (
            isinstance(left, ast.Name)
            and isinstance(node.ops[0], (ast.Is, ast.IsNot, ast.Eq))
            and isinstance(node.comparators[0], ast.Constant)
            and node.comparators[0].value is None
            and left.id in place.scope.globals
        ):
            place.scope.caches = True

    def _narrow(self, subject: ast.expr, scope: NameScope) -> None:
        if text := dotted(subject):
            scope.unsure.add(text)

    def _lambda(self, node: ast.Lambda, place: Scene) -> None:
        for name, _, _ in parameters_of(node.args):
            place.scope.bind(name, "")
        self._expression(node.body, place)

    def _target_names(self, target: ast.expr, scope: NameScope) -> None:
        for each in ast.walk(target):
            if isinstance(each, ast.Name):
                scope.bind(each.id, "")

    def _source(self, value: ast.expr, place: Scene) -> str:
        """Where a value comes from, see `Read.source`; `none` for None, `name:x` for another name's value."""
        if isinstance(value, ast.Constant):
            return "none" if value.value is None else ""
        if isinstance(value, ast.Call):
            name = dotted(value.func)
            return f"call:{name}" if name else ""
        if isinstance(value, ast.Await):
            inner = value.value
            name = dotted(inner.func) if isinstance(inner, ast.Call) else ""
            return f"await:{name}" if name else ""
        if isinstance(value, ast.Name):
            return f"name:{value.id}"
        holder = value.value if isinstance(value, ast.Attribute) else None
        if isinstance(holder, ast.Name) and method_of(place.scope, holder.id) is not None:
            return f"attr:{value.attr}"  # type: ignore[attr-defined]
        return ""

    # What names mean, once everything is known

    def _resolve(self) -> tuple[list[Call], list[Read]]:
        calls, reads = [], []
        for scope in self._scopes:
            same: dict[str, bool] = {}
            values: dict[str, str] = {}
            for name, line, positional, keywords in scope.calls:
                head = name.partition(".")[0]
                if head not in same:
                    same[head] = means_same(head, scope)
                if same[head]:
                    calls.append(Call(name, line, scope.index, positional, keywords))
            for receiver, attribute, line, error_path in scope.reads:
                source = self._receiver(receiver, attribute, scope, values)
                if source:
                    reads.append(Read(attribute, line, scope.index, receiver, source, error_path))
        return calls, reads

    def _receiver(self, receiver: str, attribute: str, scope: NameScope, values: dict[str, str]) -> str:
        """The source of a receiver's class; `values` remembers those of names in the scope."""
        head, _, rest = receiver.partition(".")
        if head not in values:
            values[head] = value_of(head, scope)
        source = values[head]
        if not source or (rest and source != "self"):
            return ""
        at: NameScope | None = scope
        while at is not None:
            if at.unsure and not at.unsure.isdisjoint((head, receiver, f"{receiver}.{attribute}")):
                return ""
            if head in at.bindings:
                break
            at = at.outer
        return f"attr:{rest}" if rest else source

    def _makes(self, scope: NameScope) -> list[str]:
        found: dict[str, None] = {}
        for source in scope.returned:
            if source.startswith("name:"):
                source = value_of(source[5:], scope)
            kind, _, name = source.partition(":")
            if kind == "self":
                found["self"] = None
            elif kind == "call" and means_same(name.partition(".")[0], scope):
                found[name] = None
        return list(found)
