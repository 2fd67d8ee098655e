"""Statements: imports, classes, functions, and under which circumstances they run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence

from msgspec import structs

from netra.compliance import text as source_text
from netra.compliance.facts import MODULE, Class, FileFacts, Function, How, Import, ImportGuard, Member, Trouble

from .bodies import EXPECTING, IMPORT_ERRORS, caught_by, guard_of, has_imports, is_nothing, is_type_checking, stub
from .names import ITERATORS, annotation_of, base, decorator, dotted, parameters_of, signature
from .scopes import ClassScope, NameScope, Scene, at, value_of
from .targets import Targets

_CACHING = frozenset({"cache", "lru_cache", "cached", "singleton", "alru_cache"})
_PROPERTIES = frozenset({"property", "cached_property", "hybrid_property", "abstractproperty"})


class Statements(Targets):
    """Reads a file from its top to its end; `run` gives the facts."""

    def __init__(self, text: str, trouble: list[Trouble]) -> None:
        super().__init__()
        self._text = text
        self._trouble = trouble
        self._imports: list[Import] = []
        self._guards: list[ImportGuard] = []
        self._classes: list[Class | None] = []
        self._functions: list[Function | None] = []
        self._docstrings: list[tuple[int, int]] = []
        self._unfinished: list[Callable[[source_text.Lines], None]] = []

    def run(self, body: list[ast.stmt]) -> FileFacts:
        module = NameScope(MODULE, None)
        self._scopes.append(module)
        self._docstring(body)
        self._body(body, Scene(module, None, "", 0))
        text = self._text
        lines = source_text.Lines(text, self._docstrings)
        for into, member, scope in self._later:
            source = value_of(member.type.partition(":")[2], scope)
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
            generated=source_text.is_generated(text),
            given=sorted(self._given | (self._keys if self._makes_classes else set())),
        )

    def _body(self, body: Iterable[ast.stmt], place: Scene) -> None:
        for statement in body:
            visit = _STATEMENTS.get(type(statement))
            if visit is not None:
                visit(self, statement, place)

    def _docstring(self, body: Sequence[ast.stmt]) -> None:
        first = body[0] if body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            self._docstrings.append((first.lineno, first.end_lineno or first.lineno))

    def _import(self, node: ast.Import, place: Scene) -> None:
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            self._imported(bound, alias.name, "", 0, node, place)

    def _import_from(self, node: ast.ImportFrom, place: Scene) -> None:
        for alias in node.names:
            bound = "" if alias.name == "*" else alias.asname or alias.name
            self._imported(bound, node.module or "", alias.name, node.level, node, place)

    def _imported(
        self, bound: str, module: str, name: str, level: int, node: ast.Import | ast.ImportFrom, place: Scene
    ) -> None:
        how = place.how | (How.IN_CLASS if place.into is not None else 0)
        end = node.end_lineno or node.lineno
        self._imports.append(
            Import(bound, module, name, level, node.lineno, how, place.scope.index, place.guard, end, node.col_offset)
        )
        if place.into is not None:
            if bound:
                place.into.add(Member(bound, "attribute", node.lineno, "", "", ""))
            else:
                place.into.dynamic = True
        elif bound:
            place.scope.bind(bound, "import")

    def _class(self, node: ast.ClassDef, place: Scene) -> None:
        index = len(self._classes)
        self._classes.append(None)
        into = ClassScope(index)
        qualname = f"{place.qualname}{node.name}"
        for each in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self._expression(each, place)
        if place.into is not None:
            place.into.add(Member(node.name, "class", node.lineno, "", "", ""))
        else:
            place.scope.bind(node.name, "symbol")
        self._docstring(node.body)
        inner = Scene(place.scope, into, f"{qualname}.", place.how)
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
                [base(each) for each in node.bases],
                [
                    f"metaclass={dotted(each.value) or '?'}" if each.arg == "metaclass" else each.arg or "**"
                    for each in node.keywords
                ],
                [decorator(each) for each in node.decorator_list],
                [
                    structs.replace(each, type="") if each.kind == "instance" and each.name in into.doubted else each
                    for each in into.members.values()
                ],
                how,
                function,
                outer,
                into.dynamic,
                all(is_nothing(each) for each in node.body),
                source_text.digest(lines.of(first, node.end_lineno or node.lineno)),
                list(into.writes),
            )

        self._unfinished.append(finish)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, place: Scene) -> None:
        index = len(self._functions)
        self._functions.append(None)
        decorators = [decorator(each) for each in node.decorator_list]
        owner = place.into.index if place.into is not None else MODULE
        parameters = parameters_of(node.args)
        named = frozenset(name for name, _, _ in parameters)
        scope = NameScope(index, place.scope, node.name, place.into, parameters=named)
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
            plain = annotation and "*" not in kind and annotation.partition("[")[0] not in ITERATORS
            scope.bind(name, f"ann:{annotation}" if plain else "")
        if scope.self_name:
            scope.bindings[scope.self_name] = ["self"]
        defaults = [*node.args.defaults, *(each for each in node.args.kw_defaults if each is not None)]
        for each in (*node.decorator_list, *defaults):
            self._expression(each, place)
        self._docstring(node.body)
        qualname = f"{place.qualname}{node.name}"
        how = (place.how & ~(How.GUARDED | How.FALLBACK)) | How.IN_FUNCTION
        self._body(node.body, Scene(scope, None, f"{qualname}.", how))
        if any(each.rpartition(".")[2] in _CACHING for each in decorators):
            scope.caches = True
        is_method_how = place.how | (How.IN_CLASS if place.into is not None else 0)
        first_line = min([node.lineno, *(each.lineno for each in node.decorator_list)])

        def finish(lines: source_text.Lines) -> None:
            own = lines.of(first_line, node.end_lineno or node.lineno)
            kind = stub(node.body)
            self._functions[index] = Function(
                node.name,
                qualname,
                node.lineno,
                node.end_lineno or node.lineno,
                owner,
                place.scope.index,
                parameters,
                annotation_of(node.returns),
                decorators,
                is_method_how,
                isinstance(node, ast.AsyncFunctionDef),
                scope.is_generator,
                kind,
                scope.caches,
                self._makes(scope),
                source_text.digest(own),
                source_text.sketch(own),
                lines.admission(node.lineno, node.end_lineno or node.lineno) if kind else "",
            )

        self._unfinished.append(finish)

    def _method(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef,
        decorators: list[str],
        parameters: list[tuple[str, str, str]],
        into: ClassScope,
    ) -> None:
        is_property = any(each.rpartition(".")[2] in _PROPERTIES for each in decorators)
        if node.name in ("__getattr__", "__getattribute__"):
            into.dynamic = True
        if is_property:
            returns = annotation_of(node.returns)
            member = Member(node.name, "property", node.lineno, "", f"ann:{returns}" if returns else "", "")
        else:
            member = Member(node.name, "method", node.lineno, signature(parameters), "", "")
        into.add(member)

    def _return(self, node: ast.Return, place: Scene) -> None:
        if node.value is None:
            return
        self._expression(node.value, place)
        source = self._source(node.value, place)
        if source:
            place.scope.returned.append(source)

    def _expr(self, node: ast.Expr, place: Scene) -> None:
        self._expression(node.value, place)

    def _if(self, node: ast.If, place: Scene) -> None:
        self._expression(node.test, place)
        typing = is_type_checking(node.test)
        how = place.how | How.CONDITIONAL
        self._body(node.body, at(place, how | How.TYPE_CHECKING if typing else how))
        self._body(node.orelse, at(place, how))

    def _while(self, node: ast.While, place: Scene) -> None:
        self._expression(node.test, place)
        inner = at(place, place.how | How.CONDITIONAL)
        self._body(node.body, inner)
        self._body(node.orelse, inner)

    def _for(self, node: ast.For | ast.AsyncFor, place: Scene) -> None:
        self._expression(node.iter, place)
        self._target(node.target, None, place, node.lineno)
        inner = at(place, place.how | How.CONDITIONAL)
        self._body(node.body, inner)
        self._body(node.orelse, inner)

    def _with(self, node: ast.With | ast.AsyncWith, place: Scene) -> None:
        kind = "awith" if isinstance(node, ast.AsyncWith) else "with"
        inner = place
        for item in node.items:
            manager = item.context_expr
            self._expression(manager, place)
            called = dotted(manager.func) if isinstance(manager, ast.Call) else ""
            kind_of = called.rpartition(".")[2]
            if kind_of in EXPECTING and isinstance(manager, ast.Call):
                caught = {dotted(each).rpartition(".")[2] for each in manager.args}
                if kind_of != "suppress" and caught & IMPORT_ERRORS:
                    inner = at(inner, inner.how | How.GUARDED | How.CONDITIONAL, guard=-1)  # it is to fail
                elif caught & IMPORT_ERRORS and has_imports(node.body):
                    self._guards.append(ImportGuard(node.lineno, [], False))
                    inner = at(inner, inner.how | How.GUARDED | How.CONDITIONAL, guard=len(self._guards) - 1)
                if "AttributeError" in caught:
                    inner = at(inner, inner.how, attribute_errors=True)
            target = item.optional_vars
            if isinstance(target, ast.Name) and place.into is None:
                place.scope.bind(target.id, f"{kind}:{called}" if called and called != "closing" else "")
                if place.scope.index == MODULE:
                    self._names[target.id] = None
            elif target is not None:
                self._target(target, None, place, node.lineno)
        self._body(node.body, inner)

    def _try(self, node: ast.Try, place: Scene) -> None:
        caught = [caught_by(handler) for handler in node.handlers]
        every = {name for names in caught for name in names}
        body = place
        fallback = place.guard
        guarded = bool(every & IMPORT_ERRORS) and has_imports(node.body)
        if guarded:
            fallback = len(self._guards)
            handlers = [each for each, names in zip(node.handlers, caught, strict=True) if names & IMPORT_ERRORS]
            self._guards.append(guard_of(node, handlers))
            body = at(body, body.how | How.GUARDED | How.CONDITIONAL, guard=fallback)
        if "AttributeError" in every:
            body = at(body, body.how, attribute_errors=True)
        self._body(node.body, body)
        for handler, names in zip(node.handlers, caught, strict=True):
            if handler.type is not None:
                self._expression(handler.type, place)
            if handler.name and place.into is None:
                place.scope.bind(handler.name, "")
            how = place.how | How.CONDITIONAL
            if guarded and names & IMPORT_ERRORS:
                inner = at(place, how | How.FALLBACK, guard=fallback, error_path=True)
            else:
                inner = at(place, how, error_path=True)
            self._body(handler.body, inner)
        # What stands in `else` runs when the import has succeeded.
        self._body(node.orelse, at(place, place.how | How.CONDITIONAL))
        self._body(node.finalbody, at(place, place.how, error_path=True))

    def _match(self, node: ast.Match, place: Scene) -> None:
        self._expression(node.subject, place)
        self._narrow(node.subject, place.scope)
        inner = at(place, place.how | How.CONDITIONAL)
        for case in node.cases:
            for each in ast.walk(case.pattern):
                for name in (getattr(each, "name", None), getattr(each, "rest", None)):
                    if isinstance(name, str) and place.into is None:
                        place.scope.bind(name, "")
            if case.guard is not None:
                self._expression(case.guard, place)
            self._body(case.body, inner)

    def _global(self, node: ast.Global, place: Scene) -> None:
        place.scope.globals.update(node.names)

    def _nonlocal(self, node: ast.Nonlocal, place: Scene) -> None:
        for name in node.names:
            outer = place.scope.outer
            while outer is not None:
                if name in outer.bindings:
                    outer.bind(name, "")
                outer = outer.outer
            place.scope.bind(name, "")

    def _raise(self, node: ast.Raise, place: Scene) -> None:
        for each in (node.exc, node.cause):
            if each is not None:
                self._expression(each, place)

    def _assert(self, node: ast.Assert, place: Scene) -> None:
        self._expression(node.test, place)
        if node.msg is not None:
            self._expression(node.msg, place)

    def _type_alias(self, node: ast.stmt, place: Scene) -> None:
        name = getattr(node, "name", None)
        if isinstance(name, ast.Name) and place.into is None:
            place.scope.bind(name.id, "")
            if place.scope.index == MODULE:
                self._names[name.id] = None


_STATEMENTS: dict[type[ast.AST], Callable[..., None]] = {
    ast.Import: Statements._import,
    ast.ImportFrom: Statements._import_from,
    ast.ClassDef: Statements._class,
    ast.FunctionDef: Statements._function,
    ast.AsyncFunctionDef: Statements._function,
    ast.Assign: Statements._assign,
    ast.AnnAssign: Statements._annotated,
    ast.AugAssign: Statements._augmented,
    ast.Delete: Statements._delete,
    ast.Return: Statements._return,
    ast.Expr: Statements._expr,
    ast.If: Statements._if,
    ast.While: Statements._while,
    ast.For: Statements._for,
    ast.AsyncFor: Statements._for,
    ast.With: Statements._with,
    ast.AsyncWith: Statements._with,
    ast.Try: Statements._try,
    ast.Match: Statements._match,
    ast.Global: Statements._global,
    ast.Nonlocal: Statements._nonlocal,
    ast.Raise: Statements._raise,
    ast.Assert: Statements._assert,
}
if (_try_star := getattr(ast, "TryStar", None)) is not None:
    _STATEMENTS[_try_star] = Statements._try
if (_alias := getattr(ast, "TypeAlias", None)) is not None:
    _STATEMENTS[_alias] = Statements._type_alias
