"""Statements: imports, classes, functions, and under which circumstances they run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence

from msgspec import structs

from netra.compliance import text as source_text
from netra.compliance.facts import (
    ANY_NAME,
    MODULE,
    Class,
    FileFacts,
    Function,
    How,
    Import,
    ImportGuard,
    Member,
    Trouble,
)

from .bodies import (
    EXPECTING,
    IMPORT_ERRORS,
    caught_by,
    docstring_lines,
    guard_of,
    has_imports,
    is_nothing,
    is_type_checking,
    stub,
)
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
        self._classes: list[tuple[ast.ClassDef, str, Scene, ClassScope]] = []
        self._functions: list[
            tuple[ast.FunctionDef | ast.AsyncFunctionDef, str, Scene, NameScope, list[tuple[str, str, str]], list[str]]
        ] = []
        self._lines = source_text.Lines(text)

    def run(self, body: list[ast.stmt]) -> FileFacts:
        module = NameScope(MODULE, None)
        self._scopes.append(module)
        self._docstring(body)
        self._body(body, Scene(module, None, "", 0))
        text = self._text
        for into, member, scope in self._later:
            source = value_of(member.type.partition(":")[2], scope)
            if not source:
                into.doubted.add(member.name)
            into.add(structs.replace(member, type=source))
        self._lines.seal()
        classes = [self._finished_class(*each) for each in self._classes]
        functions = [self._finished_function(*each) for each in self._functions]
        calls, reads = self._resolve()
        return FileFacts(
            lines=text.count("\n") + (not text.endswith("\n") and text != ""),
            imports=self._imports,
            guards=self._guards,
            classes=classes,
            functions=functions,
            assignments=self._assignments,
            calls=calls,
            reads=reads,
            exports=self._exports if self._all_exports_read else None,
            # What a module sets on itself by names that only running tells may be anything.
            dynamic=self._dynamic or (self._finds_itself and ANY_NAME in self._given) or self._is_left_to_a_call(),
            suppressions=source_text.suppressions(text),
            trouble=self._trouble,
            digest=self._lines.digest_of_all(),
            names=list(self._names),
            generated=source_text.is_generated(text),
            given=sorted(self._given | (self._keys if self._makes_classes else set())),
            puts=sorted(self._put),
        )

    def _is_left_to_a_call(self) -> bool:
        """Whether all that a module does is to call the one thing it imports: that may make it another module."""
        if self._classes or self._functions or self._assignments or len(self._imports) != 1:
            return False
        return self._imports[0].bound in {name.partition(".")[0] for name in self._called_at_top}

    def _body(self, body: Iterable[ast.stmt], place: Scene) -> None:
        for statement in body:
            visit = _STATEMENTS.get(type(statement))
            if visit is not None:
                visit(self, statement, place)

    def _docstring(self, body: Sequence[ast.stmt]) -> None:
        first = body[0] if body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            self._lines.leave_out(first.lineno, first.end_lineno or first.lineno)

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
        into = ClassScope(len(self._classes))
        qualname = f"{place.qualname}{node.name}"
        self._classes.append((node, qualname, place, into))
        for each in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self._expression(each, place)
        if place.into is not None:
            place.into.add(Member(node.name, "class", node.lineno, "", "", ""))
        else:
            place.scope.bind(node.name, "symbol")
        self._docstring(node.body)
        self._body(node.body, Scene(place.scope, into, f"{qualname}.", place.how))

    def _finished_class(self, node: ast.ClassDef, qualname: str, place: Scene, into: ClassScope) -> Class:
        """A class, once the whole file has been seen."""
        end = node.end_lineno or node.lineno
        return Class(
            node.name,
            qualname,
            node.lineno,
            end,
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
            place.how | (How.IN_CLASS if place.into is not None else 0),
            place.scope.index,
            MODULE if place.into is None else place.into.index,
            into.dynamic,
            all(is_nothing(each) for each in node.body),
            self._lines.digest(_first_line(node), end),
            list(into.writes),
            list(into.asks_above),
        )

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, place: Scene) -> None:
        decorators = [decorator(each) for each in node.decorator_list]
        parameters = parameters_of(node.args)
        scope = NameScope(len(self._functions), place.scope, node.name, place.into)
        scope.parameters = frozenset([name for name, _, _ in parameters])
        qualname = f"{place.qualname}{node.name}"
        self._functions.append((node, qualname, place, scope, parameters, decorators))
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
            scope.bindings[name] = [f"ann:{annotation}" if plain else ""]
        if scope.self_name:
            scope.bindings[scope.self_name] = ["self"]
        for each in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if each is not None:
                self._expression(each, place)
        self._docstring(node.body)
        how = (place.how & ~(How.GUARDED | How.FALLBACK)) | How.IN_FUNCTION
        self._body(node.body, Scene(scope, None, f"{qualname}.", how))
        if decorators and any(each.rpartition(".")[2] in _CACHING for each in decorators):
            scope.caches = True

    def _finished_function(
        self,
        node: ast.FunctionDef | ast.AsyncFunctionDef,
        qualname: str,
        place: Scene,
        scope: NameScope,
        parameters: list[tuple[str, str, str]],
        decorators: list[str],
    ) -> Function:
        """A function, once the whole file has been seen."""
        end = node.end_lineno or node.lineno
        first = _first_line(node)
        kind = stub(node.body)
        into = place.into
        return Function(
            node.name,
            qualname,
            node.lineno,
            end,
            MODULE if into is None else into.index,
            place.scope.index,
            parameters,
            annotation_of(node.returns),
            decorators,
            place.how if into is None else place.how | How.IN_CLASS,
            type(node) is ast.AsyncFunctionDef,
            scope.is_generator,
            kind,
            scope.caches,
            self._makes(scope) if scope.returned else [],
            self._lines.digest(first, end),
            self._lines.sketch(first, end),
            self._lines.admission(node.lineno, end) if kind else "",
            docstring_lines(node.body),
        )

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
        if place.scope.index == MODULE and place.into is None and isinstance(node.value, ast.Call):
            self._called_at_top.add(dotted(node.value.func))
            if any(isinstance(each, ast.Name) and each.id == "__name__" for each in node.value.args):
                self._dynamic = True  # who is told which module this is may fill it
        self._expression(node.value, place)

    def _if(self, node: ast.If, place: Scene) -> None:
        self._expression(node.test, place)
        inner = at(place, place.how | How.CONDITIONAL | How.BRANCHED)
        typing = is_type_checking(node.test)
        self._body(node.body, at(inner, inner.how | How.TYPE_CHECKING) if typing else inner)
        if node.orelse:
            self._body(node.orelse, inner)

    def _while(self, node: ast.While, place: Scene) -> None:
        self._expression(node.test, place)
        inner = at(place, place.how | How.CONDITIONAL | How.BRANCHED)
        self._body(node.body, inner)
        self._body(node.orelse, inner)

    def _for(self, node: ast.For | ast.AsyncFor, place: Scene) -> None:
        self._expression(node.iter, place)
        self._target(node.target, None, place, node.lineno)
        inner = at(place, place.how | How.CONDITIONAL | How.BRANCHED)
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
        if node.orelse:
            self._body(node.orelse, at(place, place.how | How.CONDITIONAL))
        if node.finalbody:
            self._body(node.finalbody, at(place, place.how, error_path=True))

    def _match(self, node: ast.Match, place: Scene) -> None:
        self._expression(node.subject, place)
        self._narrow(node.subject, place.scope)
        inner = at(place, place.how | How.CONDITIONAL | How.BRANCHED)
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


def _first_line(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *[each.lineno for each in node.decorator_list]]) if node.decorator_list else node.lineno


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
