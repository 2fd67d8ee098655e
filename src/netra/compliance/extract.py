"""Facts of a file, by the standard library's parser. The reference; `native` must find the same, faster.

`extract` never raises: a file that does not parse is read statement by statement, and what cannot be read is said.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from msgspec import structs

from . import text as source_text
from .facts import (
    MODULE,
    Assignment,
    Call,
    Class,
    FileFacts,
    Function,
    Guard,
    How,
    Import,
    Member,
    Read,
    Trouble,
)

MOST_BYTES = 4 * 1024 * 1024
"""A larger file is data with a Python name: it is counted and not read."""

_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
_CACHING = frozenset({"cache", "lru_cache", "cached", "singleton", "alru_cache"})
_PROPERTIES = frozenset({"property", "cached_property", "hybrid_property", "abstractproperty"})
_ITERATORS = frozenset(
    f"{kind}{name}" for kind in ("", "Async") for name in ("Iterator", "Generator", "Iterable", "ContextManager")
) | {"AbstractContextManager", "AbstractAsyncContextManager"}
_TRANSPARENT = frozenset(
    ("Optional", "Annotated", "Final", "ClassVar", "Required", "NotRequired", "ReadOnly", "Mapped")
)
_LITERAL_CHARS = 60
_TOP = re.compile(r"^(?!(?:else|elif|except|finally)\b)(?=[^\s#)\]}])", re.MULTILINE)
_MOST_JOINED = 40


def extract(data: bytes) -> FileFacts:
    """The facts of a file from its bytes. Raises nothing."""
    if len(data) > MOST_BYTES:
        return _nothing(data.count(b"\n") + 1, f"larger than {MOST_BYTES // 1024 // 1024} MiB")
    text = source_text.decode(data).replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", " ")
    try:
        trees, trouble = _parse(text)
        return _Extractor(text, trouble).run(trees)
    except (RecursionError, MemoryError) as error:
        return _nothing(text.count("\n") + 1, f"nested too deeply ({type(error).__name__})")


def _nothing(lines: int, why: str) -> FileFacts:
    return FileFacts(lines, [], [], [], [], [], [], [], None, False, [], [Trouble(1, why)], "", [])


def _parse(text: str) -> tuple[list[ast.stmt], list[Trouble]]:
    """The statements of a file, and where it could not be parsed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of invalid escapes and the like, which are not ours to tell
        try:
            return ast.parse(text).body, []
        except (SyntaxError, ValueError) as error:
            if "\0" in text:
                return _parse_again(text.replace("\0", " "), Trouble(1, "has NUL bytes"))
            line = getattr(error, "lineno", None) or 1
            return _parse_again(text, Trouble(line, getattr(error, "msg", None) or str(error)))


def _parse_again(text: str, first: Trouble) -> tuple[list[ast.stmt], list[Trouble]]:
    """Parse each statement at the top level for itself, and leave out those that do not parse."""
    body: list[ast.stmt] = []
    starts = [found.start() for found in _TOP.finditer(text)]
    line = 1 + text.count("\n", 0, starts[0]) if starts else 1
    broken: list[str] = []  # pieces that do not parse: a decorator, or a string with lines at the margin, goes on
    for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
        piece = text[start:end]
        began = line - sum(each.count("\n") for each in broken)
        decorated = bool(broken) and broken[0].startswith("@")
        parsed = _statements("".join([*broken, piece]), began) if decorated else _statements(piece, line)
        if parsed is None and broken and len(broken) < _MOST_JOINED:
            parsed = _statements(piece, line) if decorated else _statements("".join([*broken, piece]), began)
        if parsed is not None:
            body.extend(parsed)
            broken = []
        elif len(broken) < _MOST_JOINED and (decorated or not piece.startswith("@")):
            broken.append(piece)
        else:
            broken = [piece]
        line += piece.count("\n")
    return body, [first]


def _statements(piece: str, line: int) -> list[ast.stmt] | None:
    try:
        return ast.parse("\n" * (line - 1) + piece).body
    except (SyntaxError, ValueError):
        return None


@dataclass(slots=True, eq=False)
class _Scope:
    """The module, or a function: what its names are bound to, and what is read from them."""

    index: int
    outer: _Scope | None
    name: str = ""
    into: _ClassScope | None = None
    """The class whose method this is."""
    self_name: str = ""
    parameters: frozenset[str] = frozenset()
    bindings: dict[str, list[str]] = field(default_factory=dict)
    """From a name to the sources of its values; `` for one that is not known, `import` and `symbol` for names that mean
    the same everywhere."""
    globals: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    """Names, and `name.attribute`, that a test says more about than we understand."""
    reads: list[tuple[str, str, int, bool]] = field(default_factory=list)
    calls: list[tuple[str, int, int, list[str]]] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    is_generator: bool = False
    caches: bool = False

    def bind(self, name: str, source: str) -> None:
        self.bindings.setdefault(name, []).append(source)


@dataclass(slots=True, eq=False)
class _ClassScope:
    """A class statement under construction."""

    index: int
    members: dict[str, Member] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    """Attributes of instances that are also given values of unknown origin."""
    dynamic: bool = False
    writes: dict[tuple[str, str, str], None] = field(default_factory=dict)

    def add(self, member: Member) -> None:
        """Keep the first of a name, but a type that a later one knows."""
        known = self.members.get(member.name)
        if known is None:
            self.members[member.name] = member
        elif not known.type and member.type and known.kind in ("instance", "attribute", "field", "slot"):
            self.members[member.name] = structs.replace(known, type=member.type)
        elif known.type and known.kind == "instance" and member.kind == "instance" and member.type != known.type:
            # Two different origins: neither is the truth.
            self.members[member.name] = structs.replace(known, type="")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a statement stands."""

    scope: _Scope
    into: _ClassScope | None
    qualname: str
    how: int
    guard: int = -1
    error_path: bool = False
    attribute_errors: bool = False
    """In a `try` that catches AttributeError: a missing attribute is expected there."""


class _Extractor:
    def __init__(self, text: str, trouble: list[Trouble]) -> None:
        self._text = text
        self._trouble = trouble
        self._imports: list[Import] = []
        self._guards: list[Guard] = []
        self._classes: list[Class | None] = []
        self._functions: list[Function | None] = []
        self._assignments: list[Assignment] = []
        self._scopes: list[_Scope] = []
        self._docstrings: list[tuple[int, int]] = []
        self._exports: list[str] | None = None
        self._dynamic = False
        self._names: dict[str, None] = {}
        self._later: list[tuple[_ClassScope, Member, _Scope]] = []
        self._unfinished: list[Callable[[source_text.Lines], None]] = []

    def run(self, body: list[ast.stmt]) -> FileFacts:
        module = _Scope(MODULE, None)
        self._scopes.append(module)
        self._docstring(body)
        self._body(body, _Place(module, None, "", 0))
        text = self._text
        lines = source_text.Lines(text, self._docstrings)
        for into, member, scope in self._later:
            source = _value_of(member.type.partition(":")[2], scope)
            if not source:
                into.doubted.add(member.name)
            into.add(structs.replace(member, type=source))
        for finish in self._unfinished:
            finish(lines)
        calls, reads = self._resolve()
        return FileFacts(
            lines=text.count("\n") + (not text.endswith("\n") and text != ""),
            imports=self._imports,
            guards=self._guards,
            classes=[each for each in self._classes if each is not None],
            functions=[each for each in self._functions if each is not None],
            assignments=self._assignments,
            calls=calls,
            reads=reads,
            exports=self._exports,
            dynamic=self._dynamic,
            suppressions=source_text.suppressions(text),
            trouble=self._trouble,
            digest=source_text.digest(lines.everything()),
            names=list(self._names),
        )

    # Statements

    def _body(self, body: Iterable[ast.stmt], place: _Place) -> None:
        for statement in body:
            visit = _STATEMENTS.get(type(statement))
            if visit is not None:
                visit(self, statement, place)

    def _docstring(self, body: Sequence[ast.stmt]) -> None:
        first = body[0] if body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            self._docstrings.append((first.lineno, first.end_lineno or first.lineno))

    def _import(self, node: ast.Import, place: _Place) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            self._imported(bound, alias.name, "", 0, node, place)

    def _import_from(self, node: ast.ImportFrom, place: _Place) -> None:
        for alias in node.names:
            bound = "" if alias.name == "*" else alias.asname or alias.name
            self._imported(bound, node.module or "", alias.name, node.level, node, place)

    def _imported(
        self, bound: str, module: str, name: str, level: int, node: ast.Import | ast.ImportFrom, place: _Place
    ) -> None:
        how = place.how | (How.IN_CLASS if place.into is not None else 0)
        self._imports.append(Import(bound, module, name, level, node.lineno, how, place.scope.index, place.guard))
        if place.into is not None:
            if bound:
                place.into.add(Member(bound, "attribute", node.lineno, "", "", ""))
            else:
                place.into.dynamic = True
        elif bound:
            place.scope.bind(bound, "import")

    def _class(self, node: ast.ClassDef, place: _Place) -> None:
        index = len(self._classes)
        self._classes.append(None)
        into = _ClassScope(index)
        qualname = f"{place.qualname}{node.name}"
        for each in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self._expression(each, place)
        if place.into is not None:
            place.into.add(Member(node.name, "class", node.lineno, "", "", ""))
        else:
            place.scope.bind(node.name, "symbol")
        self._docstring(node.body)
        inner = _Place(place.scope, into, f"{qualname}.", place.how)
        self._body(node.body, inner)
        function = place.scope.index
        outer = MODULE if place.into is None else place.into.index
        how = place.how | (How.IN_CLASS if place.into is not None else 0)
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])

        def finish(lines: source_text.Lines) -> None:
            self._classes[index] = Class(
                node.name,
                qualname,
                node.lineno,
                node.end_lineno or node.lineno,
                [_base(each) for each in node.bases],
                [
                    f"metaclass={_dotted(each.value) or '?'}" if each.arg == "metaclass" else each.arg or "**"
                    for each in node.keywords
                ],
                [_decorator(each) for each in node.decorator_list],
                [
                    structs.replace(each, type="") if each.kind == "instance" and each.name in into.doubted else each
                    for each in into.members.values()
                ],
                how,
                function,
                outer,
                into.dynamic,
                all(_is_nothing(each) for each in node.body),
                source_text.digest(lines.of(first, node.end_lineno or node.lineno)),
                list(into.writes),
            )

        self._unfinished.append(finish)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, place: _Place) -> None:
        index = len(self._functions)
        self._functions.append(None)
        decorators = [_decorator(each) for each in node.decorator_list]
        owner = place.into.index if place.into is not None else MODULE
        parameters = _parameters(node.args)
        named = frozenset(name for name, _, _ in parameters)
        scope = _Scope(index, place.scope, node.name, place.into, parameters=named)
        self._scopes.append(scope)
        if place.into is not None:
            self._method(node, decorators, parameters, place.into)
            first = node.args.posonlyargs + node.args.args
            if first and "staticmethod" not in decorators and "classmethod" not in decorators:
                scope.self_name = first[0].arg
        else:
            place.scope.bind(node.name, "symbol")
            if place.scope.index == MODULE and node.name == "__getattr__":
                self._dynamic = True
        for name, kind, annotation in parameters:
            plain = annotation and "*" not in kind and annotation.partition("[")[0] not in _ITERATORS
            scope.bind(name, f"ann:{annotation}" if plain else "")
        if scope.self_name:
            scope.bindings[scope.self_name] = ["self"]
        defaults = [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]
        for each in (*node.decorator_list, *defaults):
            self._expression(each, place)
        self._docstring(node.body)
        qualname = f"{place.qualname}{node.name}"
        how = (place.how & ~(How.GUARDED | How.FALLBACK)) | How.IN_FUNCTION
        self._body(node.body, _Place(scope, None, f"{qualname}.", how))
        if any(each.rpartition(".")[2] in _CACHING for each in decorators):
            scope.caches = True
        is_method_how = place.how | (How.IN_CLASS if place.into is not None else 0)
        first_line = min([node.lineno, *(each.lineno for each in node.decorator_list)])

        def finish(lines: source_text.Lines) -> None:
            own = lines.of(first_line, node.end_lineno or node.lineno)
            self._functions[index] = Function(
                node.name,
                qualname,
                node.lineno,
                node.end_lineno or node.lineno,
                owner,
                place.scope.index,
                parameters,
                _annotation(node.returns),
                decorators,
                is_method_how,
                isinstance(node, ast.AsyncFunctionDef),
                scope.is_generator,
                _stub(node.body),
                scope.caches,
                self._makes(scope),
                source_text.digest(own),
                source_text.sketch(own),
            )

        self._unfinished.append(finish)

    def _method(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef,
        decorators: list[str],
        parameters: list[tuple[str, str, str]],
        into: _ClassScope,
    ) -> None:
        is_property = any(each.rpartition(".")[2] in _PROPERTIES for each in decorators)
        if node.name in ("__getattr__", "__getattribute__"):
            into.dynamic = True
        if is_property:
            returns = _annotation(node.returns)
            member = Member(node.name, "property", node.lineno, "", f"ann:{returns}" if returns else "", "")
        else:
            member = Member(node.name, "method", node.lineno, _signature(parameters), "", "")
        into.add(member)

    def _assign(self, node: ast.Assign, place: _Place) -> None:
        self._expression(node.value, place)
        for target in node.targets:
            self._target(target, node.value, place, node.lineno)

    def _annotated(self, node: ast.AnnAssign, place: _Place) -> None:
        if node.value is not None:
            self._expression(node.value, place)
        annotation = _annotation(node.annotation)
        source = f"ann:{annotation}" if annotation else ""
        target = node.target
        if isinstance(target, ast.Name):
            if place.into is not None:
                value = _literal(node.value) if node.value is not None else ""
                place.into.add(Member(target.id, "field", node.lineno, "", source, value))
                return
            place.scope.bind(target.id, source)
            if place.scope.index == MODULE:
                self._module_assignment(target.id, node.value, node.lineno, place)
        elif isinstance(target, ast.Attribute):
            self._attribute_target(target, source, node.value, place, node.lineno)

    def _augmented(self, node: ast.AugAssign, place: _Place) -> None:
        self._expression(node.value, place)
        target = node.target
        if isinstance(target, ast.Name):
            if place.into is None and target.id != "__all__":
                place.scope.bind(target.id, "")
            elif target.id == "__all__" and place.scope.index == MODULE:
                more = _strings(node.value)
                if more is None or self._exports is None:
                    self._dynamic = True
                else:
                    self._exports.extend(more)
        elif isinstance(target, ast.Attribute):
            self._read_target(target, place)
        else:
            self._expression(target, place)

    def _delete(self, node: ast.Delete, place: _Place) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                if place.into is None:
                    place.scope.bind(target.id, "")
            else:
                self._expression(target, place)

    def _target(self, target: ast.expr, value: ast.expr | None, place: _Place, line: int) -> None:
        if isinstance(target, ast.Name):
            self._name_target(target.id, value, place, line)
        elif isinstance(target, ast.Attribute):
            self._attribute_target(target, self._source(value, place) if value is not None else "", value, place, line)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for each in target.elts:
                self._target(each, None, place, line)
        elif isinstance(target, ast.Starred):
            self._target(target.value, None, place, line)
        elif isinstance(target, ast.Subscript):
            self._item_target(target, place)
            self._expression(target.value, place)
            self._expression(target.slice, place)

    def _name_target(self, name: str, value: ast.expr | None, place: _Place, line: int) -> None:
        if place.into is not None:
            if name == "__slots__" and value is not None:
                for slot in _strings(value) or ():
                    place.into.add(Member(slot, "slot", line, "", "", ""))
            dotted = "" if value is None else _dotted(value)
            source = self._source(value, place) if value is not None and isinstance(value, ast.Call) else ""
            place.into.add(Member(name, "attribute", line, "", source, dotted or _literal(value)))
            return
        scope = place.scope
        if name in scope.globals:
            self._assignments.append(self._assignment(name, value, line, place.how, scope.index))
            self._scopes[0].bind(name, self._source(value, place) if value is not None else "")
            scope.caches = True
            return
        scope.bind(name, self._source(value, place) if value is not None else "")
        if scope.index == MODULE:
            self._module_assignment(name, value, line, place)

    def _module_assignment(self, name: str, value: ast.expr | None, line: int, place: _Place) -> None:
        if name == "__all__":
            exports = None if value is None else _strings(value)
            if exports is None:
                self._dynamic = True
            else:
                self._exports = exports
        if value is None:
            self._names[name] = None
        else:
            self._assignments.append(self._assignment(name, value, line, place.how, MODULE))

    @staticmethod
    def _assignment(name: str, value: ast.expr | None, line: int, how: int, function: int) -> Assignment:
        kind, text = "other", ""
        if isinstance(value, (ast.Name, ast.Attribute)) and (text := _dotted(value)):
            kind = "alias"
        elif isinstance(value, ast.Call) and (text := _dotted(value.func)):
            kind = "call"
        elif isinstance(value, ast.Constant):
            kind, text = "literal", _literal(value)
        elif isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)):
            kind = "mutable"
        return Assignment(name, line, kind, text, how, function)

    def _attribute_target(
        self, target: ast.Attribute, source: str, value: ast.expr | None, place: _Place, line: int
    ) -> None:
        holder = target.value
        scope = place.scope
        if isinstance(holder, ast.Name):
            method = _method_of(scope, holder.id)
            if method is not None and method.into is not None:
                member = Member(target.attr, "instance", line, "", source, "")
                if source.startswith("name:"):  # known once the whole method has been seen
                    self._later.append((method.into, member, scope))
                    member = structs.replace(member, type="")
                elif source == "none":
                    member = structs.replace(member, type="")
                elif not source:
                    method.into.doubted.add(target.attr)
                method.into.add(member)
                if isinstance(value, ast.Name) and value.id in method.parameters and method.name != "__init__":
                    method.into.writes[target.attr, "set", value.id] = None
                return
            scope.unsure.add(f"{holder.id}.{target.attr}")
        elif isinstance(holder, ast.Attribute) and (text := _dotted(holder)):
            scope.unsure.add(f"{text}.{target.attr}")
        self._expression(holder, place)

    def _read_target(self, target: ast.Attribute, place: _Place) -> None:
        """`holder.attr += …`: it must exist already."""
        self._attribute(target, place)

    def _item_target(self, target: ast.Subscript, place: _Place) -> None:
        """`self.attr[key] = …` outside `__init__` is state that grows."""
        holder = target.value
        if not (isinstance(holder, ast.Attribute) and isinstance(holder.value, ast.Name)):
            return
        method = _method_of(place.scope, holder.value.id)
        if method is not None and method.into is not None and method.name != "__init__":
            method.into.writes[holder.attr, "item", _last_name(target.slice)] = None

    def _return(self, node: ast.Return, place: _Place) -> None:
        if node.value is None:
            return
        self._expression(node.value, place)
        source = self._source(node.value, place)
        if source:
            place.scope.returned.append(source)

    def _expr(self, node: ast.Expr, place: _Place) -> None:
        self._expression(node.value, place)

    def _if(self, node: ast.If, place: _Place) -> None:
        self._expression(node.test, place)
        typing = _is_type_checking(node.test)
        how = place.how | How.CONDITIONAL
        self._body(node.body, _at(place, how | How.TYPE_CHECKING if typing else how))
        self._body(node.orelse, _at(place, how))

    def _while(self, node: ast.While, place: _Place) -> None:
        self._expression(node.test, place)
        inner = _at(place, place.how | How.CONDITIONAL)
        self._body(node.body, inner)
        self._body(node.orelse, inner)

    def _for(self, node: ast.For | ast.AsyncFor, place: _Place) -> None:
        self._expression(node.iter, place)
        self._target(node.target, None, place, node.lineno)
        inner = _at(place, place.how | How.CONDITIONAL)
        self._body(node.body, inner)
        self._body(node.orelse, inner)

    def _with(self, node: ast.With | ast.AsyncWith, place: _Place) -> None:
        kind = "awith" if isinstance(node, ast.AsyncWith) else "with"
        inner = place
        for item in node.items:
            manager = item.context_expr
            self._expression(manager, place)
            called = _dotted(manager.func) if isinstance(manager, ast.Call) else ""
            if called.rpartition(".")[2] == "suppress" and isinstance(manager, ast.Call):
                caught = {_dotted(each).rpartition(".")[2] for each in manager.args}
                if caught & _IMPORT_ERRORS and _has_imports(node.body):
                    self._guards.append(Guard(node.lineno, [], False))
                    inner = _at(inner, inner.how | How.GUARDED | How.CONDITIONAL, guard=len(self._guards) - 1)
                if "AttributeError" in caught:
                    inner = _at(inner, inner.how, attribute_errors=True)
            target = item.optional_vars
            if isinstance(target, ast.Name) and place.into is None:
                place.scope.bind(target.id, f"{kind}:{called}" if called and called != "closing" else "")
                if place.scope.index == MODULE:
                    self._names[target.id] = None
            elif target is not None:
                self._target(target, None, place, node.lineno)
        self._body(node.body, inner)

    def _try(self, node: ast.Try, place: _Place) -> None:
        caught = [_caught(handler) for handler in node.handlers]
        every = {name for names in caught for name in names}
        body = place
        fallback = place.guard
        guarded = bool(every & _IMPORT_ERRORS) and _has_imports(node.body)
        if guarded:
            fallback = len(self._guards)
            handlers = [each for each, names in zip(node.handlers, caught, strict=True) if names & _IMPORT_ERRORS]
            self._guards.append(_guard(node, handlers))
            body = _at(body, body.how | How.GUARDED | How.CONDITIONAL, guard=fallback)
        if "AttributeError" in every:
            body = _at(body, body.how, attribute_errors=True)
        self._body(node.body, body)
        for handler, names in zip(node.handlers, caught, strict=True):
            if handler.type is not None:
                self._expression(handler.type, place)
            if handler.name and place.into is None:
                place.scope.bind(handler.name, "")
            how = place.how | How.CONDITIONAL
            if guarded and names & _IMPORT_ERRORS:
                inner = _at(place, how | How.FALLBACK, guard=fallback, error_path=True)
            else:
                inner = _at(place, how, error_path=True)
            self._body(handler.body, inner)
        # What stands in `else` runs when the import has succeeded.
        self._body(node.orelse, _at(place, place.how | How.CONDITIONAL))
        self._body(node.finalbody, _at(place, place.how, error_path=True))

    def _match(self, node: ast.Match, place: _Place) -> None:
        self._expression(node.subject, place)
        self._narrow(node.subject, place.scope)
        inner = _at(place, place.how | How.CONDITIONAL)
        for case in node.cases:
            for each in ast.walk(case.pattern):
                for name in (getattr(each, "name", None), getattr(each, "rest", None)):
                    if isinstance(name, str) and place.into is None:
                        place.scope.bind(name, "")
            if case.guard is not None:
                self._expression(case.guard, place)
            self._body(case.body, inner)

    def _global(self, node: ast.Global, place: _Place) -> None:
        place.scope.globals.update(node.names)

    def _nonlocal(self, node: ast.Nonlocal, place: _Place) -> None:
        for name in node.names:
            outer = place.scope.outer
            while outer is not None:
                if name in outer.bindings:
                    outer.bind(name, "")
                outer = outer.outer
            place.scope.bind(name, "")

    def _raise(self, node: ast.Raise, place: _Place) -> None:
        for each in (node.exc, node.cause):
            if each is not None:
                self._expression(each, place)

    def _assert(self, node: ast.Assert, place: _Place) -> None:
        self._expression(node.test, place)
        if node.msg is not None:
            self._expression(node.msg, place)

    def _type_alias(self, node: ast.stmt, place: _Place) -> None:
        name = getattr(node, "name", None)
        if isinstance(name, ast.Name) and place.into is None:
            place.scope.bind(name.id, "")
            if place.scope.index == MODULE:
                self._names[name.id] = None

    # Expressions

    def _expression(self, node: ast.expr, place: _Place) -> None:
        """Reads, calls, tests and names bound in an expression."""
        kind = type(node)
        if kind is ast.Name or kind is ast.Constant:
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
            for child_node in ast.iter_child_nodes(node):
                if isinstance(child_node, ast.expr):
                    self._expression(child_node, place)

    def _comprehension(self, node: ast.expr, place: _Place) -> None:
        for generator in node.generators:  # type: ignore[attr-defined]
            self._expression(generator.iter, place)
            self._target_names(generator.target, place.scope)
            for test in generator.ifs:
                self._expression(test, place)
        for child in ("elt", "key", "value"):
            if (inner := getattr(node, child, None)) is not None:
                self._expression(inner, place)

    def _attribute(self, node: ast.Attribute, place: _Place) -> None:
        receiver = _dotted(node.value)
        if node.attr == "__dict__" and (method := _method_of(place.scope, receiver)) and method.into is not None:
            method.into.dynamic = True
        if receiver and not place.attribute_errors and receiver.count(".") <= 1:
            place.scope.reads.append((receiver, node.attr, node.end_lineno or node.lineno, place.error_path))
        if not receiver or receiver.count(".") >= 1:
            self._expression(node.value, place)

    def _call(self, node: ast.Call, place: _Place) -> None:
        name = _dotted(node.func)
        if name:
            last = name.rpartition(".")[2]
            if last in _TESTS:
                self._test(last, node, place)
            if last.lstrip("_")[:1].isupper():
                positional = -1 if any(isinstance(each, ast.Starred) for each in node.args) else len(node.args)
                keywords = [each.arg or "**" for each in node.keywords]
                place.scope.calls.append((name, node.lineno, positional, keywords))
            if name == "globals" and place.scope.index == MODULE:
                self._dynamic = True
            if "." in name:
                self._attribute(node.func, place)  # type: ignore[arg-type]
        else:
            self._expression(node.func, place)
        for each in node.args:
            self._expression(each, place)
        for keyword in node.keywords:
            self._expression(keyword.value, place)

    def _test(self, name: str, node: ast.Call, place: _Place) -> None:
        """`isinstance`, `hasattr` and their like say more about a name than we follow."""
        if not node.args:
            return
        subject = node.args[0]
        if name == "setattr":
            if isinstance(subject, ast.Name) and (method := _method_of(place.scope, subject.id)) and method.into:
                method.into.dynamic = True
            self._narrow(subject, place.scope)
        elif name in ("hasattr", "getattr") and len(node.args) > 1:
            attribute = node.args[1]
            text = _dotted(subject)
            if text and isinstance(attribute, ast.Constant) and isinstance(attribute.value, str):
                place.scope.unsure.add(f"{text}.{attribute.value}")
            elif name == "hasattr":
                self._narrow(subject, place.scope)
        elif name != "getattr":
            self._narrow(subject, place.scope)

    def _compare(self, node: ast.Compare, place: _Place) -> None:
        left = node.left
        if isinstance(left, ast.Call) and _dotted(left.func) == "type" and left.args:
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

    def _narrow(self, subject: ast.expr, scope: _Scope) -> None:
        if text := _dotted(subject):
            scope.unsure.add(text)

    def _lambda(self, node: ast.Lambda, place: _Place) -> None:
        for name, _, _ in _parameters(node.args):
            place.scope.bind(name, "")
        self._expression(node.body, place)

    def _target_names(self, target: ast.expr, scope: _Scope) -> None:
        for each in ast.walk(target):
            if isinstance(each, ast.Name):
                scope.bind(each.id, "")

    def _source(self, value: ast.expr, place: _Place) -> str:
        """Where a value comes from, see `Read.source`; `none` for None, `name:x` for another name's value."""
        if isinstance(value, ast.Constant):
            return "none" if value.value is None else ""
        if isinstance(value, ast.Call):
            name = _dotted(value.func)
            return f"call:{name}" if name else ""
        if isinstance(value, ast.Await):
            inner = value.value
            name = _dotted(inner.func) if isinstance(inner, ast.Call) else ""
            return f"await:{name}" if name else ""
        if isinstance(value, ast.Name):
            return f"name:{value.id}"
        holder = value.value if isinstance(value, ast.Attribute) else None
        if isinstance(holder, ast.Name) and _method_of(place.scope, holder.id) is not None:
            return f"attr:{value.attr}"  # type: ignore[attr-defined]
        return ""

    # What names mean, once everything is known

    def _resolve(self) -> tuple[list[Call], list[Read]]:
        calls, reads = [], []
        for scope in self._scopes:
            for name, line, positional, keywords in scope.calls:
                if _means_same(name.partition(".")[0], scope):
                    calls.append(Call(name, line, scope.index, positional, keywords))
            for receiver, attribute, line, error_path in scope.reads:
                source = self._receiver(receiver, attribute, scope)
                if source:
                    reads.append(Read(attribute, line, scope.index, receiver, source, error_path))
        return calls, reads

    def _receiver(self, receiver: str, attribute: str, scope: _Scope) -> str:
        head, _, rest = receiver.partition(".")
        at: _Scope | None = scope
        while at is not None:
            if receiver in at.unsure or f"{receiver}.{attribute}" in at.unsure or head in at.unsure:
                return ""
            if head in at.bindings:
                break
            at = at.outer
        source = _value_of(head, scope)
        if not rest:
            return source
        return f"attr:{rest}" if source == "self" else ""

    def _makes(self, scope: _Scope) -> list[str]:
        found: dict[str, None] = {}
        for source in scope.returned:
            if source.startswith("name:"):
                source = _value_of(source[5:], scope)
            kind, _, name = source.partition(":")
            if kind == "call" and _means_same(name.partition(".")[0], scope):
                found[name] = None
        return list(found)


def _at(
    place: _Place, how: int, *, guard: int | None = None, error_path: bool = False, attribute_errors: bool = False
) -> _Place:
    return _Place(
        place.scope,
        place.into,
        place.qualname,
        how,
        place.guard if guard is None else guard,
        place.error_path or error_path,
        place.attribute_errors or attribute_errors,
    )


def _method_of(scope: _Scope, name: str) -> _Scope | None:
    """The method whose `self` a name is, seen from a scope; None when it is something else."""
    at: _Scope | None = scope
    while at is not None:
        if name in at.bindings:
            return at if at.self_name == name and at.bindings[name] == ["self"] else None
        at = at.outer
    return None


def _value_of(name: str, scope: _Scope, depth: int = 4) -> str:
    """The one source of a name's value, seen from a scope; empty when there are several or none is known."""
    at: _Scope | None = scope
    while at is not None and name not in at.bindings:
        at = at.outer
    if at is None or depth == 0:
        return ""
    sources = {each for each in at.bindings[name] if each != "none"}
    if len(sources) != 1:
        return ""
    (source,) = sources
    if source.startswith("name:"):
        return _value_of(source[5:], at, depth - 1) if source[5:] != name else ""
    if source in ("import", "symbol"):
        return ""
    if source == "self" or source.startswith("attr:"):
        return source
    _, _, dotted = source.partition(":")
    return source if _means_same(dotted.partition(".")[0].partition("[")[0], at) else ""


def _means_same(head: str, scope: _Scope) -> bool:
    """Whether a name is an import or a symbol of the module wherever this scope can see, and no local value."""
    at: _Scope | None = scope
    while at is not None:
        if head in at.bindings:
            if at.outer is None:
                return True  # what the module's name is, the project finds out
            return all(each in ("import", "symbol") for each in at.bindings[head])
        at = at.outer
    return True


def _dotted(node: ast.expr) -> str:
    """`a.b.c`, or empty."""
    if type(node) is ast.Name:
        return node.id
    if type(node) is ast.Attribute:
        head = _dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def _base(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        node = node.value
    return _dotted(node) or "?"


def _decorator(node: ast.expr) -> str:
    return _dotted(node.func if isinstance(node, ast.Call) else node) or "?"


def _annotation(node: ast.expr | None) -> str:
    """The class an annotation names: `X` for X, "X", Optional[X], X | None; `Iterator[X]` keeps its argument."""
    if node is None:
        return ""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            try:
                return _annotation(ast.parse(node.value.strip(), mode="eval").body)
            except (SyntaxError, ValueError):
                return ""
        return ""
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _dotted(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [each for each in (node.left, node.right) if not _is_none(each)]
        return _annotation(sides[0]) if len(sides) == 1 else ""
    if isinstance(node, ast.Subscript):
        head = _dotted(node.value)
        last = head.rpartition(".")[2]
        arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if last in _TRANSPARENT and arguments:
            return _annotation(arguments[0])
        if last == "Union":
            sides = [each for each in arguments if not _is_none(each)]
            return _annotation(sides[0]) if len(sides) == 1 else ""
        if last in _ITERATORS and arguments:
            inner = _annotation(arguments[0])
            return f"{head}[{inner}]" if inner else ""
        return head
    return ""


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _parameters(arguments: ast.arguments) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    positional = [*arguments.posonlyargs, *arguments.args]
    without = len(positional) - len(arguments.defaults)
    for at, each in enumerate(positional):
        kind = "pos" if at < len(arguments.posonlyargs) else "any"
        found.append((each.arg, kind + ("=" if at >= without else ""), _annotation(each.annotation)))
    if arguments.vararg is not None:
        found.append((arguments.vararg.arg, "*", _annotation(arguments.vararg.annotation)))
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append((each.arg, "key" + ("" if default is None else "="), _annotation(each.annotation)))
    if arguments.kwarg is not None:
        found.append((arguments.kwarg.arg, "**", _annotation(arguments.kwarg.annotation)))
    return found


def _signature(parameters: list[tuple[str, str, str]]) -> str:
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


def _literal(node: ast.expr | None) -> str:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        inner = _literal(node.operand)
        return f"-{inner}" if inner else ""
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, (str, bytes)):
            return repr(value) if len(value) <= _LITERAL_CHARS else ""
        if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
            return ""
        return repr(value)
    return ""


def _strings(node: ast.expr) -> list[str] | None:
    """The members of a display of strings, or of a sum of such."""
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        if all(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in node.elts):
            return [str(each.value) for each in node.elts]  # type: ignore[attr-defined]
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _strings(node.left), _strings(node.right)
        return left + right if left is not None and right is not None else None
    return None


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, (ast.Tuple, ast.JoinedStr)):
        names = [_last_name(each) for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
        return ",".join(each for each in names if each)
    if isinstance(node, ast.FormattedValue):
        return _last_name(node.value)
    return ""


def _is_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _stub(body: list[ast.stmt]) -> str:
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
        return "not implemented" if _dotted(raised) == "NotImplementedError" else ""
    return ""


def _is_type_checking(node: ast.expr) -> bool:
    return _dotted(node).rpartition(".")[2] == "TYPE_CHECKING"


def _caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {_dotted(each).rpartition(".")[2] for each in types}


def _has_imports(body: list[ast.stmt]) -> bool:
    return any(isinstance(each, (ast.Import, ast.ImportFrom)) for each in body)


def _guard(node: ast.Try, handlers: list[ast.ExceptHandler]) -> Guard:
    defines: list[tuple[str, str, int]] = []
    reraises = False
    for statement in (each for handler in handlers for each in handler.body):
        if isinstance(statement, ast.Raise):
            reraises = True
        elif isinstance(statement, ast.ClassDef):
            methods = [each for each in statement.body if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))]
            empty = all(_stub(each.body) for each in methods)
            defines.append((statement.name, "constant" if empty else "class", statement.lineno))
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            kind = "constant" if _stub(statement.body) else "function"
            defines.append((statement.name, kind, statement.lineno))
        elif isinstance(statement, ast.Assign):
            kind = "none" if _is_none(statement.value) else "value"
            names = [each.id for each in statement.targets if isinstance(each, ast.Name)]
            defines.extend((name, kind, statement.lineno) for name in names)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            defines.extend((each.asname or each.name, "import", statement.lineno) for each in statement.names)
    return Guard(node.lineno, defines, reraises)


_TESTS = frozenset({"isinstance", "issubclass", "hasattr", "getattr", "setattr", "callable", "is_dataclass", "cast"})
_COMPREHENSIONS = frozenset({ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp})

_STATEMENTS: dict[type[ast.AST], Callable[..., None]] = {
    ast.Import: _Extractor._import,
    ast.ImportFrom: _Extractor._import_from,
    ast.ClassDef: _Extractor._class,
    ast.FunctionDef: _Extractor._function,
    ast.AsyncFunctionDef: _Extractor._function,
    ast.Assign: _Extractor._assign,
    ast.AnnAssign: _Extractor._annotated,
    ast.AugAssign: _Extractor._augmented,
    ast.Delete: _Extractor._delete,
    ast.Return: _Extractor._return,
    ast.Expr: _Extractor._expr,
    ast.If: _Extractor._if,
    ast.While: _Extractor._while,
    ast.For: _Extractor._for,
    ast.AsyncFor: _Extractor._for,
    ast.With: _Extractor._with,
    ast.AsyncWith: _Extractor._with,
    ast.Try: _Extractor._try,
    ast.Match: _Extractor._match,
    ast.Global: _Extractor._global,
    ast.Nonlocal: _Extractor._nonlocal,
    ast.Raise: _Extractor._raise,
    ast.Assert: _Extractor._assert,
}
if (_try_star := getattr(ast, "TryStar", None)) is not None:
    _STATEMENTS[_try_star] = _Extractor._try
if (_alias := getattr(ast, "TypeAlias", None)) is not None:
    _STATEMENTS[_alias] = _Extractor._type_alias
