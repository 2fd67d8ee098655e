"""Expressions: what is read, called and tested in them, and what that means once the whole file is known."""

from __future__ import annotations

import ast
from collections.abc import Callable

from netra.compliance.facts import ANY_NAME, MODULE, Call, Read

from .names import dotted, parameters_of
from .scopes import NameScope, Scene, at, class_around, means_same, method_of, value_of

_TESTS = frozenset({"isinstance", "issubclass", "hasattr", "getattr", "setattr", "callable", "is_dataclass", "cast"})
_OWN_NAMES = frozenset({"exec", "locals", "vars"})
_OF_MODULES = frozenset({"exec", "globals", "current_module", "find_current_module", "get_current_module"})
"""Calls, at the top of a module, of what gives it itself, to be filled."""
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
        self._finds_itself = False
        self._all_exports_read = True
        self._called_at_top: set[str] = set()

    def _expression(self, node: ast.expr, place: Scene) -> None:
        """Reads, calls, tests and names bound in an expression."""
        if (visit := _EXPRESSIONS.get(type(node))) is not None:
            visit(self, node, place)

    def _parts(self, node: ast.expr, place: Scene) -> None:
        """What stands in an expression of which nothing else is to be said."""
        kind = type(node)
        for name in _INNER.get(kind, kind._fields):
            inner = getattr(node, name)
            for each in inner if type(inner) is list else (inner,):
                if (visit := _EXPRESSIONS.get(type(each))) is not None:
                    visit(self, each, place)

    def _pair(self, node: ast.BinOp, place: Scene) -> None:
        for each in (node.left, node.right):
            if (visit := _EXPRESSIONS.get(type(each))) is not None:
                visit(self, each, place)

    def _several(self, node: ast.BoolOp | ast.JoinedStr, place: Scene) -> None:
        for each in node.values:
            if (visit := _EXPRESSIONS.get(type(each))) is not None:
                visit(self, each, place)

    def _display(self, node: ast.List | ast.Tuple | ast.Set, place: Scene) -> None:
        for each in node.elts:
            if (visit := _EXPRESSIONS.get(type(each))) is not None:
                visit(self, each, place)

    def _dict(self, node: ast.Dict, place: Scene) -> None:
        for key in node.keys:
            if type(key) is ast.Constant:
                if isinstance(key.value, str):
                    self._keys.add(key.value)
            elif key is not None:
                if isinstance(said := getattr(key, "value", None), str):
                    self._keys.add(said)
                self._expression(key, place)
        for each in node.values:
            if (visit := _EXPRESSIONS.get(type(each))) is not None:
                visit(self, each, place)

    def _inner_value(self, node: ast.FormattedValue | ast.Starred | ast.Await, place: Scene) -> None:
        self._expression(node.value, place)
        if (spec := getattr(node, "format_spec", None)) is not None:
            self._expression(spec, place)

    def _subscript(self, node: ast.Subscript, place: Scene) -> None:
        if type(node.slice) is ast.Name and node.slice.id == "__name__" and dotted(node.value) == "sys.modules":
            self._finds_itself = True
        self._expression(node.value, place)
        self._expression(node.slice, place)

    def _yield(self, node: ast.Yield | ast.YieldFrom, place: Scene) -> None:
        place.scope.is_generator = True
        if node.value is not None:
            self._expression(node.value, place)

    def _named(self, node: ast.NamedExpr, place: Scene) -> None:
        self._expression(node.value, place)
        name = node.target.id
        place.scope.bind(name, self._source(node.value, place))
        if place.scope.index == MODULE:
            self._names[name] = None

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
        holder = node.value
        is_short = type(holder) is ast.Name
        receiver: str = holder.id if is_short else dotted(holder)  # type: ignore[attr-defined]
        if node.attr == "__dict__" and (method := method_of(place.scope, receiver)) and method.into is not None:
            method.into.dynamic = True
        elif receiver == "__path__" and place.scope.index == MODULE:
            self._names[receiver] = None  # `__path__.extend(…)`, as good as an assignment
        elif receiver == "__all__":
            self._exports_more()  # `__all__.append(…)`
        elif type(holder) is ast.Call and type(holder.func) is ast.Name and holder.func.id == "super":
            class_around(place.scope).asks_above[node.attr] = None
        if receiver and not place.attribute_errors and (is_short or receiver.count(".") == 1):
            place.scope.reads.append((receiver, node.attr, node.end_lineno or node.lineno, place.error_path))
        if not is_short and (visit := _EXPRESSIONS.get(type(holder))) is not None:
            visit(self, holder, place)

    def _exports_more(self) -> None:
        """The module exports names that cannot be read."""
        self._dynamic = True
        self._all_exports_read = False

    def _call(self, node: ast.Call, place: Scene) -> None:
        called, arguments = node.func, node.args
        if name := dotted(called):
            last: str = called.attr if type(called) is ast.Attribute else name
            if last in _TESTS:
                self._test(last, node, place)
            first = last[0]
            if first.isupper() or (first == "_" and last.lstrip("_")[:1].isupper()):
                positional = -1 if any(type(each) is ast.Starred for each in arguments) else len(arguments)
                keywords = [each.arg or "**" for each in node.keywords]
                place.scope.calls.append((name, node.lineno, positional, keywords))
            if type(called) is ast.Name:
                self._bare_call(name, node, place)
            else:
                self._attribute(called, place)  # type: ignore[arg-type]
        else:
            self._expression(called, place)
        if not place.attribute_errors:
            for each in arguments:
                if type(each) is ast.Name and each.id == "AttributeError":
                    place = at(place, place.how, attribute_errors=True)  # `raises(AttributeError, lambda: …)`
                    break
        for each in arguments:
            if (visit := _EXPRESSIONS.get(type(each))) is not None:
                visit(self, each, place)
        for keyword in node.keywords:
            if (visit := _EXPRESSIONS.get(type(keyword.value))) is not None:
                visit(self, keyword.value, place)

    def _bare_call(self, name: str, node: ast.Call, place: Scene) -> None:
        """Calls of builtins that change what a module or a class has."""
        if name == "type":
            if len(node.args) == 3:
                self._makes_classes = True
        elif name in _OWN_NAMES and place.into is not None:
            place.into.dynamic = True  # a class body that writes its own names
        elif place.scope.index == MODULE and (name in _OF_MODULES or (name in _OWN_NAMES and not node.args)):
            self._dynamic = True

    def _test(self, name: str, node: ast.Call, place: Scene) -> None:
        """`isinstance`, `hasattr` and their like say more about a name than we follow."""
        if not node.args:
            return
        subject = node.args[0]
        if name == "setattr":
            own = isinstance(subject, ast.Name) and (method := method_of(place.scope, subject.id)) and method.into
            if own:
                own.dynamic = True
            attribute = node.args[1] if len(node.args) > 1 else None
            if isinstance(attribute, ast.Constant) and isinstance(attribute.value, str):
                self._given.add(attribute.value)
            elif attribute is not None and not own:
                self._given.add(ANY_NAME)
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
        kind = type(left)
        if kind is ast.Name:
            if left.id in place.scope.globals and _is_compared_with_none(node):  # type: ignore[attr-defined]
                place.scope.caches = True
        elif kind is not ast.Constant:
            if isinstance(left, ast.Call):
                if left.args and type(left.func) is ast.Name and left.func.id == "type":
                    self._narrow(left.args[0], place.scope)
            elif isinstance(left, ast.Attribute) and left.attr == "__class__":
                self._narrow(left.value, place.scope)
            self._expression(left, place)
        for each in node.comparators:
            if (visit := _EXPRESSIONS.get(type(each))) is not None:
                visit(self, each, place)

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
        kind = type(value)
        if kind is ast.Call:
            name = dotted(value.func)  # type: ignore[attr-defined]
            return f"call:{name}" if name else ""
        if kind is ast.Constant:
            return "none" if value.value is None else ""  # type: ignore[attr-defined]
        if kind is ast.Name:
            return f"name:{value.id}"  # type: ignore[attr-defined]
        if kind is ast.Attribute:
            holder = value.value  # type: ignore[attr-defined]
            if type(holder) is ast.Name and method_of(place.scope, holder.id) is not None:
                return f"attr:{value.attr}"  # type: ignore[attr-defined]
        elif kind is ast.Await:
            inner = value.value  # type: ignore[attr-defined]
            name = dotted(inner.func) if isinstance(inner, ast.Call) else ""
            return f"await:{name}" if name else ""
        return ""

    # What names mean, once everything is known

    def _resolve(self) -> tuple[list[Call], list[Read]]:
        calls, reads = [], []
        for scope in self._scopes:
            index = scope.index
            same: dict[str, bool] = {}
            for name, line, positional, keywords in scope.calls:
                head = name.partition(".")[0]
                if head not in same:
                    same[head] = means_same(head, scope)
                if same[head]:
                    calls.append(Call(name, line, index, positional, keywords))
            known: dict[str, tuple[str, set[str] | None]] = {}
            for receiver, attribute, line, error_path in scope.reads:
                if (found := known.get(receiver)) is None:
                    known[receiver] = found = self._receiver(receiver, scope)
                source, unsure = found
                if source and (unsure is None or f"{receiver}.{attribute}" not in unsure):
                    reads.append(Read(attribute, line, index, receiver, source, error_path))
        return calls, reads

    @staticmethod
    def _receiver(receiver: str, scope: NameScope) -> tuple[str, set[str] | None]:
        """The source of a receiver's class, empty for none; and what is in doubt where it is bound."""
        head, _, rest = receiver.partition(".")
        source = value_of(head, scope)
        if not source or (rest and source != "self"):
            return "", None
        unsure: set[str] | None = None
        at: NameScope | None = scope
        while at is not None:
            if at.unsure:
                unsure = at.unsure if unsure is None else unsure | at.unsure
            if head in at.bindings:
                break
            at = at.outer
        if unsure is not None and (head in unsure or receiver in unsure):
            return "", None
        return f"attr:{rest}" if rest else source, unsure

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


def _is_compared_with_none(node: ast.Compare) -> bool:
    with_what = node.comparators[0]
    return (
        isinstance(node.ops[0], (ast.Is, ast.IsNot, ast.Eq))
        and isinstance(with_what, ast.Constant)
        and with_what.value is None
    )


# What reads each kind of expression. There is nothing to find in a name or a constant, so most are passed over where
# their parent is read, without a call.
_EXPRESSIONS: dict[type, Callable[..., None]] = {
    **{kind: Expressions._parts for kind in ast.expr.__subclasses__() if kind not in (ast.Name, ast.Constant)},
    ast.Attribute: Expressions._attribute,
    ast.Await: Expressions._inner_value,
    ast.BinOp: Expressions._pair,
    ast.BoolOp: Expressions._several,
    ast.Call: Expressions._call,
    ast.Compare: Expressions._compare,
    ast.Dict: Expressions._dict,
    ast.DictComp: Expressions._comprehension,
    ast.FormattedValue: Expressions._inner_value,
    ast.GeneratorExp: Expressions._comprehension,
    ast.JoinedStr: Expressions._several,
    ast.Lambda: Expressions._lambda,
    ast.List: Expressions._display,
    ast.ListComp: Expressions._comprehension,
    ast.NamedExpr: Expressions._named,
    ast.Set: Expressions._display,
    ast.SetComp: Expressions._comprehension,
    ast.Starred: Expressions._inner_value,
    ast.Subscript: Expressions._subscript,
    ast.Tuple: Expressions._display,
    ast.Yield: Expressions._yield,
    ast.YieldFrom: Expressions._yield,
}
