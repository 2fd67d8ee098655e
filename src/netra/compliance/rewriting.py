"""Edits that rules propose, made from facts alone: imports from elsewhere, aliases and imports in place of classes.

Each function gives None where the facts do not say enough. What they cannot say — how a line is spelled, which comments
stand in it, what else is on it — `netra.compliance.fixes` looks up before it changes anything, and refuses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from .facts import MODULE, Call, Function, How, Import
from .project import File, Project, Symbol
from .rule import Edit, Fix

WIDTH = 100
"""Of a statement that is written anew; a longer one gets a line for each name."""
_NOT_PLAIN = How.TYPE_CHECKING | How.GUARDED | How.FALLBACK


def imported_from(file: File, moves: Mapping[int, tuple[str, str]]) -> tuple[Edit, ...] | None:
    """Edits after which some names are imported from other modules. Names that stay keep their statement.

    Args:
        moves: index of a row of the file's imports; the dotted module and the name there.
    """
    rows = file.facts.imports
    statements: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        statements[row.line, row.column].append(index)
    edits = []
    for index in dict.fromkeys(min(statements[rows[each].line, rows[each].column]) for each in moves):
        edit = _moved(file, [*statements[rows[index].line, rows[index].column]], moves)
        if edit is None:
            return None
        edits.append(edit)
    return tuple(edits)


def _moved(file: File, indexes: Sequence[int], moves: Mapping[int, tuple[str, str]]) -> Edit | None:
    rows = file.facts.imports
    first = rows[indexes[0]]
    if not first.end or any(rows[each].name in ("", "*") for each in indexes):
        return None
    before = "." * first.level + first.module
    targets = [moves.get(each, (before, rows[each].name)) for each in indexes]
    modules = list(dict.fromkeys(module for module, _ in targets))
    same_names = all(rows[each].name == name for each, (_, name) in zip(indexes, targets, strict=True))
    if len(modules) == 1 and same_names:
        return Edit(
            file.path, first.line, first.line, f"from {modules[0]} import", f"from {before} import", within=True
        )
    # What stays comes last, where a comment behind the statement stands.
    modules.sort(key=lambda module: module == before)
    indent = " " * first.column
    parts = [
        statement(
            module,
            [_named(name, rows[each].bound) for each, (at, name) in zip(indexes, targets, strict=True) if at == module],
            indent,
        )
        for module in modules
    ]
    if first.line == first.end:
        spelled = f"from {before} import {', '.join(_named(rows[each].name, rows[each].bound) for each in indexes)}"
        return Edit(file.path, first.line, first.line, f"\n{indent}".join(parts), spelled, within=True)
    text = "".join(f"{indent}{part}\n" for part in parts)
    return Edit(file.path, first.line, first.end, text, f"from {before} import")


def _named(name: str, bound: str) -> str:
    return name if bound in ("", name) else f"{name} as {bound}"


def statement(module: str, names: Sequence[str], indent: str = "") -> str:
    """`from module import names`, on several lines when it is long; the first line without its indentation."""
    line = f"from {module} import {', '.join(names)}"
    if len(indent) + len(line) <= WIDTH:
        return line
    inner = "".join(f"{indent}    {name},\n" for name in names)
    return f"from {module} import (\n{inner}{indent})"


def canonical_imports(file: File, moves: Mapping[int, Symbol]) -> Fix | None:
    """A fix after which names are imported from where they are defined.

    Args:
        moves: index of a row of the file's imports; the class, function or value it reaches.
    """
    targets: dict[int, tuple[str, str]] = {}
    for index, symbol in moves.items():
        if symbol.file is None or symbol.file is file or symbol.kind not in ("class", "function", "value"):
            return None
        name = symbol.qualified.removeprefix(f"{symbol.file.module}.")
        if "." in name:
            return None
        targets[index] = (symbol.file.module, name)
    edits = imported_from(file, targets)
    if not edits:
        return None
    pairs = tuple((file.path, symbol.file.path) for symbol in moves.values() if symbol.file is not None)
    return Fix("import from where it is defined", edits, imports=tuple(dict.fromkeys(pairs)))


def alias(file: File, index: int) -> Fix | None:
    """A fix that makes an empty subclass another name of its only base. It is another class to `isinstance` and pickles
    until then, so it is asked for."""
    row = file.facts.classes[index]
    if not row.passes or len(row.bases) != 1 or row.bases[0] == "?" or row.keywords or not _is_plain(file, index):
        return None
    if row.bases[0] == row.name:
        return None
    text = f"{row.name} = {row.bases[0]}\n"
    edit = Edit(file.path, row.line, row.end, text, f"class {row.name}({row.bases[0]}):")
    return Fix(f"make {row.name} another name of {row.bases[0]}", (edit,), safe=False)


def import_instead(file: File, index: int, canonical: Symbol) -> Fix | None:
    """A fix that imports a class in place of a copy of it. Asked for: names in the copy may mean other things there."""
    row = file.facts.classes[index]
    home = canonical.file
    if home is None or home is file or canonical.class_.qualname != row.name or not _is_plain(file, index):
        return None
    # What the class itself keeps would be shared by those who had their own.
    if any(each.kind == "attribute" and each.value[:1] in ("", "[", "{") for each in row.members):
        return None
    text = f"from {home.module} import {row.name}\n"
    edit = Edit(file.path, row.line, row.end, text, f"class {row.name}")
    return Fix(f"import {row.name} from {home.module}", (edit,), safe=False, imports=((file.path, home.path),))


def _is_plain(file: File, index: int) -> bool:
    """A class at the top of its module, under no condition, and without decorators."""
    row = file.facts.classes[index]
    return row.function == MODULE and row.outer == MODULE and row.how == How.PLAIN and not row.decorators


def factory_call(project: Project, file: File, call: Call, home: File, factory: Function) -> Fix | None:
    """A fix that calls a factory in place of a class, where neither takes arguments. Asked for: the object is shared
    from then on."""
    if call.positional or call.keywords or any(not kind.endswith("=") for _, kind, _ in factory.parameters):
        return None
    if factory.is_async or factory.owner != MODULE or factory.outer != MODULE:
        return None
    title = f"call {factory.name}()"
    head, dot, _ = call.name.rpartition(".")
    if dot:
        module = project.lookup(file, head, call.function).symbol
        if module.kind != "module" or module.file is not home:
            return None
        edit = Edit(file.path, call.line, call.line, f"{head}.{factory.name}()", f"{call.name}()", within=True)
        return Fix(title, (edit,), safe=False)
    edit = Edit(file.path, call.line, call.line, f"{factory.name}()", f"{call.name}()", within=True)
    bound = project.lookup(file, factory.name, call.function).symbol
    if bound.kind == "function" and bound.file is home and bound.function == factory:
        return Fix(title, (edit,), safe=False)
    row = _import_of(file, call)
    if row is None or bound.kind != "missing":
        return None
    text = f"{' ' * row.column}from {home.module} import {factory.name}\n"
    pairs = ((file.path, home.path),) if row.function == MODULE else ()
    return Fix(title, (Edit(file.path, row.end + 1, row.end, text), edit), safe=False, imports=pairs)


def _import_of(file: File, call: Call) -> Import | None:
    """The statement that brings the called class, in the same function or at the top."""
    for row in file.facts.imports:
        if row.bound == call.name and row.function in (call.function, MODULE) and row.end and not row.how & _NOT_PLAIN:
            return row
    return None
