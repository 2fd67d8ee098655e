"""Objects that all requests share although they change: SSOT411; SSOT412 when what they keep is one user's.

A singleton is the one object of a class, which a module makes when it is imported or a function keeps in a global. It
is looked at when its methods change its state for what they are called with, and when code that requests run through
uses it: modules with routes, views or functions that take a request, and what these import, up to two imports far.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netra.compliance.config import Config
from netra.compliance.facts import MODULE, FileFacts, How
from netra.compliance.glance import glance
from netra.compliance.graph import graph
from netra.compliance.importers import imports_by_name
from netra.compliance.naming import words
from netra.compliance.project import File, Project, Symbol
from netra.compliance.rule import Finding, Place, Rule, Severity

from .factories import is_product, made, made_in

MOST_WRITES = 5
"""Changed attributes that are named."""
FARTHEST = 2
"""Imports between a module that serves requests and one that is still said to be reached by them. Behind more of them
lies everything."""
_ROUTES = frozenset(
    {"get", "post", "put", "patch", "delete", "route", "websocket", "api_route", "websocket_route", "api_view"}
)
_VIEWS = frozenset(
    {
        "APIView", "BaseHTTPMiddleware", "CreateView", "DeleteView", "DetailView", "FormView", "GenericAPIView",
        "GenericViewSet", "HTTPEndpoint", "ListView", "MethodView", "ModelViewSet", "ReadOnlyModelViewSet",
        "RequestHandler", "TemplateView", "UpdateView", "View", "ViewSet", "WebSocketEndpoint", "WebSocketHandler",
    }
)  # fmt: skip
_REQUESTS = frozenset({"Request", "HttpRequest", "WebSocket", "HTTPConnection", "ServicerContext"})
_OF_THE_PROCESS = frozenset(
    {
        "app", "application", "blueprint", "cache", "caches", "catalog", "cli", "command", "config", "configuration",
        "console", "counter", "dispatcher", "docs", "env", "environment", "factory", "hook", "hooks", "instrumentation",
        "instrumentor", "lazy", "library", "limiter", "loader", "locator", "log", "logger", "logging", "memo",
        "metric", "metrics", "namespace", "parser", "patcher", "plugin", "plugins", "pool", "printer", "proxy",
        "registrar", "registries", "registry", "router", "schema", "setting", "settings", "signal", "stats",
        "telemetry", "tracer",
    }
)  # fmt: skip
"""Words of names of what a process has one of on purpose."""
_WHEN_IT_STARTS = frozenset(
    {
        "add", "attach", "autodiscover", "bind", "boot", "bootstrap", "close", "config", "configure", "connect",
        "disable", "disconnect", "discover", "enable", "enter", "exit", "finalize", "init", "initialise", "initialize",
        "inject", "install", "load", "mock", "open", "override", "patch", "prepare", "refresh", "register", "reload",
        "reset", "restore", "setup", "setattr", "setstate", "setitem", "shutdown", "start", "stop", "subscribe", "swap",
        "teardown", "uninstall", "unregister", "with", "use", "call", "getattr", "build", "new", "compile", "ensure",
        "sync", "update", "warm", "warmup", "report",
    }
)  # fmt: skip
"""First words of names of methods that arrange an object for the process."""
_LOCALS = frozenset({"local", "Local", "ContextVar", "LocalProxy", "LocalStack", "WeakKeyDictionary"})
_ID = re.compile(r"(?:^|_)(?:id|uuid)$", re.IGNORECASE)
_PARTS = frozenset(
    {
        "deployment", "device", "guardrail", "host", "kernel", "model", "node", "partition", "plugin", "provider",
        "server", "shard", "worker", "workspace",
    }
)  # fmt: skip
"""Words of keys that name a part of the system: what is kept by them is of no request."""
_USER = re.compile(
    r"^_?(?:(?:current|active|authenticated|logged_in|chat|web|client|http|socket)_)?"
    r"(?:user|session|tenant|account|customer|member|websocket)(?:_?(?:id|key|name|uuid|email|pk|token))?$"
    r"|^_?(?:sid|uid|user_?info|userid|sessionid)$|^_?(?:http_)?request$"
    r"|^(?:access|auth|bearer|session|refresh)_token$"
)
"""Names of keys and parameters that are of one user, session or request."""

Write = tuple[str, str, str, str]
"""See `facts.Class.writes`."""


@dataclass(frozen=True, slots=True)
class Singleton:
    """One object for the whole process.

    Args:
        writes: what its methods change.
        through: the file by which requests come to it.
    """

    file: File
    name: str
    line: int
    class_: Symbol
    writes: tuple[Write, ...]
    through: str

    @property
    def of_a_user(self) -> tuple[Write, ...]:
        """The changes that are about one user, session or request."""
        return tuple(each for each in self.writes if any(_USER.match(key) for key in each[2].split(",")))


def singletons(project: Project) -> list[Singleton]:
    """Those that change and that requests reach; found once."""
    return project.once(_found)


def _found(project: Project) -> list[Singleton]:
    return list(_find(project))


_Found = tuple[File, str, int, Symbol, tuple[Write, ...]]


def _find(project: Project) -> Iterator[Singleton]:
    found: dict[tuple[str, str], _Found] = {}
    for _, every in project.by_file(_in):
        for each in every:
            if _is_the_only_one(project, each[3], each[0], each[1]):
                found.setdefault((each[0].path, each[1]), each)
    if not found:
        return
    reached = _reached_by_requests(project)
    users = _users(project, set(found))
    for key, (file, name, line, class_, writes) in found.items():
        by = sorted(path for path in users[key] if path in reached)
        if by:
            yield Singleton(file, name, line, class_, writes, by[0])


def _in(project: Project, file: File) -> list[_Found]:
    found: list[_Found] = []
    if not is_product(file):
        return found
    for row in file.facts.assignments:
        if row.kind != "call" or row.how & (How.TYPE_CHECKING | How.FALLBACK) or not row.value:
            continue
        symbol = project.lookup(file, row.value, row.function).symbol
        if symbol.kind != "class" or symbol.file is None:
            continue
        writes = _writes(project, symbol)
        if writes:
            found.append((file, row.name, row.line, symbol, writes))
    return found


def _writes(project: Project, symbol: Symbol) -> tuple[Write, ...]:
    """What a class and its bases change of themselves for a caller; nothing when each thread has its own."""
    found: dict[Write, None] = {}
    for each in project.ancestry(symbol).classes:
        row = each.class_
        if any(base.rpartition(".")[2] in _LOCALS for base in row.bases):
            return ()
        local = {member.name for member in row.members if member.type.rpartition(":")[2].rpartition(".")[2] in _LOCALS}
        found.update(
            dict.fromkeys(
                write
                for write in row.writes
                if write[0] not in local and _is_for_a_caller(write) and not _is_setter(each, write[3])
            )
        )
    return tuple(found)


def _is_setter(class_: Symbol, method: str) -> bool:
    """Whether a method is what an assignment to a property calls."""
    return any(
        row.name == method and row.owner == class_.index and any(each.endswith(".setter") for each in row.decorators)
        for row in class_.home.facts.functions
    )


def _is_for_a_caller(write: Write) -> bool:
    attribute, how, key, method = write
    name = words(method)
    if not name or not _WHEN_IT_STARTS.isdisjoint(name[:1]) or "__" in attribute or method.startswith("__"):
        return False
    if method == f"set_{attribute.lstrip('_')}" or method == attribute:
        return bool(_USER.match(key))  # a setter, which whoever sets the program up calls
    if how == "set":
        return name[0] != "set" or bool(_USER.match(key))
    keys = [each for each in key.split(",") if _PARTS.isdisjoint(words(each))]
    return any(_ID.search(each) or _USER.match(each) for each in keys)


def _is_the_only_one(project: Project, symbol: Symbol, file: File, name: str) -> bool:
    """Whether nothing else makes objects of a class, so that what its methods change is the state of this one."""
    calls = made(project)[1].get(symbol.key, ())
    own = {(row.line, row.function) for row in file.facts.assignments if row.name == name}
    return all(each.file is file and (each.call.line, each.call.function) in own for each in calls)


# What requests reach


def _reached_by_requests(project: Project) -> set[str]:
    """Paths of modules that serve requests, and of what they import, some modules far."""
    waiting = deque((file, 0) for file, serves in project.by_file(_serves) if serves)
    found = {file.path for file, _ in waiting}
    links = graph(project)
    while waiting:
        file, far = waiting.popleft()
        for link in links.of(file) if far < FARTHEST else ():
            imported = link.imported
            if imported is not None and not link.typing and imported.path not in found:
                found.add(imported.path)
                waiting.append((imported, far + 1))
    return found


def _serves(project: Project, file: File) -> bool:
    return is_product(file) and _serves_requests(file)


@glance("functions")
def _serves_requests(facts: FileFacts) -> bool:
    """Whether a module has a route, a view, or a function that takes a request of a web framework."""
    for row in facts.functions:
        for decorator in row.decorators:
            head, _, last = decorator.rpartition(".")
            if last in _ROUTES and (head or last == "api_view"):
                return True
        if any(annotation.rpartition(".")[2] in _REQUESTS for _, _, annotation in row.parameters):
            return True
    return any(base.rpartition(".")[2] in _VIEWS for each in facts.classes for base in each.bases)


def _users(project: Project, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], set[str]]:
    """The files that use each of some module's names: they import it or what gives it, or read it in a function."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    by_path: dict[str, set[str]] = defaultdict(set)
    givers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path, name in wanted:
        by_path[path].add(name)
        facts = project.by_path[path].facts
        if any(row.receiver == name and row.function != MODULE for row in facts.reads):
            found[path, name].add(path)
        for row in facts.assignments:
            if row.name == name and row.function != MODULE:
                found[path, name].add(path)
                givers[path, facts.functions[row.function].name].add(name)
    names = {name for _, name in wanted} | {name for _, name in givers}
    imports = project.table(imports_by_name)
    for file, index in (row for name in names for row in imports.get(name)):
        each = file.facts.imports[index]
        if each.how & How.TYPE_CHECKING or not is_product(file):
            continue
        symbol = project.imported(file, each).symbol
        if symbol.file is None:
            continue
        path = symbol.file.path
        if symbol.kind == "value" and each.name in by_path.get(path, ()):
            found[path, each.name].add(file.path)
        elif symbol.kind == "function":
            for name in givers.get((path, each.name), ()):
                found[path, name].add(file.path)
    return found


# The rules


def mutable_singletons(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT411: state that all requests share."""
    for each in singletons(project):
        if not each.of_a_user and not _is_of_the_process(each):
            kept = _listed(each.writes)
            yield _finding(
                each,
                "SSOT411",
                Severity.WARNING,
                f"All requests share {each.name}, and methods of {each.class_.class_.name} change it: {kept}.",
                "Make one for each request and pass it on, or keep the state in a store that is meant to be shared.",
            )


def _is_of_the_process(each: Singleton) -> bool:
    return not _OF_THE_PROCESS.isdisjoint((*words(each.class_.class_.name), *words(each.name)))


def users_in_singletons(project: Project, config: Config) -> Iterable[Finding]:
    """SSOT412: what is one user's, in an object that all share."""
    for each in singletons(project):
        if each.of_a_user:
            kept = _listed(each.of_a_user)
            yield _finding(
                each,
                "SSOT412",
                Severity.ERROR,
                f"All requests share {each.name}, in which {each.class_.class_.name} keeps what is one user's: {kept}.",
                "Keep it in an object of the request or session, or in a store that removes it when the session ends.",
            )


def _listed(writes: Iterable[Write]) -> str:
    kept = sorted(
        {
            f"self.{attribute}[{key}]" if how == "item" else f"self.{attribute} = {key}"
            for attribute, how, key, _ in writes
        }
    )
    return f"{', '.join(kept[:MOST_WRITES])}{', …' if len(kept) > MOST_WRITES else ''}"


def _finding(each: Singleton, rule: str, severity: Severity, message: str, hint: str) -> Finding:
    home = each.class_.file
    assert home is not None
    methods = sorted({method for _, _, _, method in (each.of_a_user or each.writes)})
    return Finding(
        rule,
        severity,
        Place(each.file.path, each.line, each.name),
        message,
        (f"{each.file.module}.{each.name}", each.class_.qualified),
        related=(Place(home.path, each.class_.class_.line, each.class_.class_.name),),
        paths=(each.file.path,),
        details=(
            f"changed by {', '.join(f'{method}()' for method in methods[:MOST_WRITES])}",
            f"reached by requests through {each.through}",
        ),
        hint=hint,
    )


RULES = (
    Rule(
        "SSOT411",
        "module-singleton-mutable",
        Severity.WARNING,
        "A module has one object for all requests, whose state changes.",
        mutable_singletons,
        exposure="modules",
        looks=(made_in,),
    ),
    Rule(
        "SSOT412",
        "user-data-in-singleton",
        Severity.ERROR,
        "An object that all requests share keeps what belongs to one user.",
        users_in_singletons,
        exposure="modules",
        looks=(made_in,),
    ),
)
