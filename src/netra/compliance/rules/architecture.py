"""Contracts about who may import whom: layers (SSOT501), forbidden imports (SSOT502), independence (SSOT503).

Each direct import that breaks a contract is a finding. Where a contract is broken only through modules that it does not
name, the shortest such chain between two of its parts is one finding. Imports inside functions break a contract too,
but weaker: the finding is then a warning. What only type checkers see breaks none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from netra.compliance.config import Config
from netra.compliance.contracts import Depends, ForbiddenImports, Independent, Layers
from netra.compliance.graph import Graph, Link, below, exactly, graph, places
from netra.compliance.project import File, Project
from netra.compliance.rule import Finding, Place, Rule, Severity

Part = tuple[int, str]
"""A layer's number from the top, and the modules of it that may import each other."""


def _layers(project: Project, config: Config) -> Iterator[Finding]:
    imports = graph(project)
    for contract in config.layers:
        ignored = _ignored(contract.ignore)
        for container in _containers(imports, contract):
            parts = _parts(imports, contract, container)
            yield from _upwards(imports, contract, parts, ignored)
            if contract.exhaustive and container:
                yield from _left_out(imports, contract, container, parts)


def _containers(imports: Graph, contract: Layers) -> Iterator[str]:
    for pattern in contract.containers or ("",):
        if "*" in pattern:
            yield from sorted({file.module for file in imports.files if exactly(pattern)(file.module)})
        else:
            yield pattern


def _parts(imports: Graph, contract: Layers, container: str) -> dict[File, Part]:
    """The part each module belongs to; the longest name decides."""
    named = [
        (name.strip(), (number, slot))
        for number, layer in enumerate(contract.layers)
        for slot in layer
        for name in slot.split(":")
    ]
    found: dict[File, Part] = {}
    for name, part in sorted(named, key=lambda each: (each[0].count("."), each[0])):
        found.update(dict.fromkeys(imports.modules(f"{container}.{name}" if container else name), part))
    return found


def _upwards(
    imports: Graph, contract: Layers, parts: dict[File, Part], ignored: Callable[[Link], bool]
) -> Iterator[Finding]:
    def breaks(one: Part, other: Part) -> bool:
        return other[0] < one[0] or (other[0] == one[0] and other[1] != one[1])

    def said(one: Part, other: Part) -> str:
        if one[0] == other[0]:
            return f"`{one[1]}` and `{other[1]}` are independent"
        return f"layer `{one[1]}` is below `{other[1]}`"

    for link in _direct(imports, parts, ignored):
        one, other = parts[link.importer], parts.get(link.imported)  # type: ignore[arg-type]
        if other is not None and breaks(one, other):
            yield _finding("SSOT501", contract.name, (link,), said(one, other))
    every = sorted(set(parts.values()))
    members: dict[Part, list[File]] = {part: [] for part in every}
    for file, part in parts.items():
        members[part].append(file)
    for one in every:
        for other in every:
            if breaks(one, other):
                chain = _indirect(imports, members[one], set(members[other]), parts, ignored)
                if chain:
                    yield _finding("SSOT501", contract.name, chain, said(one, other))


def _left_out(imports: Graph, contract: Layers, container: str, parts: dict[File, Part]) -> Iterator[Finding]:
    depth = container.count(".") + 1
    for file in imports.modules(container):
        if file.module.count(".") != depth or file in parts:
            continue
        if file.module.rpartition(".")[2] in contract.exhaustive_ignore or any(
            below(file.module)(each.module) for each in parts
        ):
            continue
        yield Finding(
            "SSOT501",
            Severity.ERROR,
            Place(file.path, 1),
            f"`{file.module}` is in no layer of `{container}` (contract {contract.name!r} is exhaustive).",
            (contract.name, file.module),
            hint="Name it in the contract, where it belongs.",
        )


def _forbidden(project: Project, config: Config) -> Iterator[Finding]:
    imports = graph(project)
    for contract in config.forbidden:
        yield from _forbidden_by(imports, contract)
    yield from _undeclared(imports, config.depends)


def _forbidden_by(imports: Graph, contract: ForbiddenImports) -> Iterator[Finding]:
    ignored = _ignored(contract.ignore)
    targets = [(pattern, below(pattern)) for pattern in contract.target]
    sources = {file: pattern for pattern in contract.source for file in imports.modules(pattern)}
    inside = {file for file in imports.files if any(matches(file.module) for _, matches in targets)}
    starts = {file: pattern for file, pattern in sources.items() if file not in inside}
    for link in _direct(imports, starts, ignored):
        for pattern, matches in targets:
            if matches(link.name):
                why = f"`{starts[link.importer]}` may not import `{pattern}`"
                yield _finding("SSOT502", contract.name, (link,), why)
                break
    if contract.direct_only:
        return
    for source in contract.source:
        files = [file for file in imports.modules(source) if file in starts]
        for pattern, matches in targets:
            chain = _chain(
                imports,
                files,
                lambda link, matches=matches: link.importer not in sources and matches(link.name),  # type: ignore[misc]
                lambda file: file not in sources and file not in inside,
                ignored,
            )
            if chain:
                yield _finding("SSOT502", contract.name, chain, f"`{source}` may not import `{pattern}`")


def _undeclared(imports: Graph, contracts: Sequence[Depends]) -> Iterator[Finding]:
    """Imports between modules whose dependencies are declared one by one."""
    for declared in sorted({each.declared for each in contracts}):
        owners: dict[File, str] = {}
        for name in sorted(declared, key=lambda each: (each.count("."), each)):
            owners.update(dict.fromkeys(imports.modules(name), name))
        allowed = {each.module: each.on for each in contracts if each.declared == declared}
        for link in _direct(imports, owners, lambda link: False):
            one, other = owners[link.importer], owners.get(link.imported)  # type: ignore[arg-type]
            if other is None or other == one or one not in allowed:
                continue
            if not any(exactly(pattern)(other) for pattern in allowed[one]):
                yield _finding("SSOT502", "depends", (link,), f"`{one}` does not declare that it depends on `{other}`")


def _independent(project: Project, config: Config) -> Iterator[Finding]:
    imports = graph(project)
    for contract in config.independent:
        ignored = _ignored(contract.ignore)
        parts = _independent_parts(imports, contract)
        for link in _direct(imports, parts, ignored):
            one, other = parts[link.importer], parts.get(link.imported)  # type: ignore[arg-type]
            if other is not None and one != other:
                yield _finding("SSOT503", contract.name, (link,), f"`{one}` and `{other}` are independent")
        members: dict[str, list[File]] = {}
        for file, part in parts.items():
            members.setdefault(part, []).append(file)
        for one in sorted(members):
            for other in sorted(members):
                if one != other:
                    chain = _indirect(imports, members[one], set(members[other]), parts, ignored)
                    if chain:
                        yield _finding("SSOT503", contract.name, chain, f"`{one}` and `{other}` are independent")


def _independent_parts(imports: Graph, contract: Independent) -> dict[File, str]:
    """A pattern stands for several modules, each independent of the others."""
    found: dict[File, str] = {}
    for pattern in contract.modules:
        matches = exactly(pattern)
        names = {file.module for file in imports.files if matches(file.module)} if "*" in pattern else {pattern}
        for name in sorted(names):
            for file in imports.modules(name):
                found.setdefault(file, name)
    return found


def _direct(imports: Graph, sources: Iterable[File], ignored: Callable[[Link], bool]) -> Iterator[Link]:
    for file in sorted(sources, key=lambda each: each.path):
        for link in imports.of(file):
            if not link.typing and not ignored(link):
                yield link


def _indirect(
    imports: Graph, sources: list[File], targets: set[File], parts: Iterable[File], ignored: Callable[[Link], bool]
) -> tuple[Link, ...]:
    """The shortest chain from sources to targets by way of modules that are in no part."""
    named = parts if isinstance(parts, dict) else set(parts)
    return _chain(
        imports,
        sources,
        lambda link: link.importer not in named and link.imported in targets,
        lambda file: file not in named,
        ignored,
    )


def _chain(
    imports: Graph,
    sources: list[File],
    is_target: Callable[[Link], bool],
    passes: Callable[[File], bool],
    ignored: Callable[[Link], bool],
) -> tuple[Link, ...]:
    ordered = sorted(sources, key=lambda file: file.path)
    return imports.chain(ordered, is_target, passes, ignored=ignored) or imports.chain(
        ordered, is_target, passes, ignored=ignored, deferred=True
    )


def _ignored(pairs: Sequence[tuple[str, str]]) -> Callable[[Link], bool]:
    tests = [(exactly(importer), exactly(imported)) for importer, imported in pairs]
    return lambda link: any(one(link.importer.module) and other(link.name) for one, other in tests)


def _finding(rule: str, contract: str, chain: tuple[Link, ...], why: str) -> Finding:
    first, last = chain[0], chain[-1]
    place, *others = places(chain)
    through = f" through {len(chain) - 1} other{'s' if len(chain) > 2 else ''}" if len(chain) > 1 else ""
    deferred = any(link.deferred for link in chain)
    where = " inside a function" if deferred and len(chain) == 1 else ", inside functions" if deferred else ""
    return Finding(
        rule,
        Severity.WARNING if deferred else Severity.ERROR,
        place,
        f"`{first.importer.module}` imports `{last.name}`{through}{where}: {why} (contract {contract!r}).",
        (contract, first.importer.module, last.name),
        related=tuple(others),
        paths=(first.importer.path,),
        hint="Move what is needed to where both may import it, or hand it over as an argument.",
    )


RULES = (
    Rule(
        "SSOT501",
        "layer-violation",
        Severity.ERROR,
        "A module imports one of a layer above its own.",
        _layers,
        exposure="imports",
    ),
    Rule(
        "SSOT502",
        "forbidden-import",
        Severity.ERROR,
        "A module imports what a contract forbids it to import.",
        _forbidden,
        exposure="imports",
    ),
    Rule(
        "SSOT503",
        "independence",
        Severity.ERROR,
        "One of several modules that are to be independent imports another.",
        _independent,
        exposure="imports",
    ),
)
