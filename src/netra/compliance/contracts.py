"""Contracts about architecture: what they say, and those a code base already has for import-linter or tach.

import-linter: `[tool.importlinter]` in `pyproject.toml`, `.importlinter`, or `setup.cfg`; its contracts of the types
layers, forbidden and independence. tach: `tach.toml`; its modules with what they depend on, and its layers. What they
have beyond that (contracts of other types, public interfaces) is left to them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct


class Layers(Struct, frozen=True):
    """Modules, the highest first; each may import those below it. Names on one line are independent of each other
    (`a | b`) or may import each other (`a : b`). `exhaustive`: whatever lies in a container is in a layer."""

    name: str
    layers: tuple[tuple[str, ...], ...]
    containers: tuple[str, ...] = ()
    exhaustive: bool = False
    ignore: tuple[tuple[str, str], ...] = ()
    exhaustive_ignore: tuple[str, ...] = ()


class ForbiddenImports(Struct, frozen=True):
    """`source` may not import `target`, directly or (unless `direct_only`) through others."""

    name: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    direct_only: bool = False
    ignore: tuple[tuple[str, str], ...] = ()


class Independent(Struct, frozen=True):
    """None of these modules imports another of them."""

    name: str
    modules: tuple[str, ...]
    ignore: tuple[tuple[str, str], ...] = ()


class Depends(Struct, frozen=True):
    """Of the modules that are `declared`, `module` may import those `on` the list only; each file belongs to the
    declared module whose name is the longest above it."""

    module: str
    on: tuple[str, ...]
    declared: tuple[str, ...] = ()


class Contracts(Struct, frozen=True):
    """What was found, in the order of the files."""

    layers: tuple[Layers, ...] = ()
    forbidden: tuple[ForbiddenImports, ...] = ()
    independent: tuple[Independent, ...] = ()
    depends: tuple[Depends, ...] = ()

    def __add__(self, other: Contracts) -> Contracts:
        return Contracts(
            self.layers + other.layers,
            self.forbidden + other.forbidden,
            self.independent + other.independent,
            self.depends + other.depends,
        )


def read(root: Path, pyproject: Mapping[str, Any]) -> Contracts:
    """The contracts of a code base. A file that cannot be read has none: its own tool will say so.

    Args:
        pyproject: what `pyproject.toml` holds.
    """
    found = _import_linter(root, pyproject)
    with suppress(OSError, ValueError):
        found += _tach(tomllib.loads((root / "tach.toml").read_text("utf-8")))
    return found


def _import_linter(root: Path, pyproject: Mapping[str, Any]) -> Contracts:
    """import-linter looks into these files in this order and takes the first that has its section."""
    for name in ("setup.cfg", ".importlinter"):
        if not (root / name).is_file():
            continue
        import configparser

        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string((root / name).read_text("utf-8"))
        except (OSError, ValueError, configparser.Error):
            continue
        if parser.has_section("importlinter"):
            sections = [dict(parser[each]) for each in parser.sections() if each.startswith("importlinter:contract")]
            return _contracts(sections)
    tool = pyproject.get("tool")
    section = tool.get("importlinter") if isinstance(tool, dict) else None
    rows = section.get("contracts") if isinstance(section, dict) else None
    return _contracts(each for each in rows if isinstance(each, dict)) if isinstance(rows, list) else Contracts()


def _contracts(rows: Iterable[Mapping[str, Any]]) -> Contracts:
    found = Contracts()
    for row in rows:
        kind = row.get("type")
        name = str(row.get("name") or kind)
        ignore = tuple(
            (source.strip(), target.strip())
            for source, arrow, target in (each.partition("->") for each in _list(row, "ignore_imports"))
            if arrow
        )
        if kind == "layers":
            layers = tuple(_layer(each) for each in _list(row, "layers"))
            exhaustive = _flag(row, "exhaustive")
            left_out = _list(row, "exhaustive_ignores")
            found += Contracts((Layers(name, layers, _list(row, "containers"), exhaustive, ignore, left_out),))
        elif kind == "forbidden":
            source, target = _list(row, "source_modules"), _list(row, "forbidden_modules")
            direct_only = _flag(row, "allow_indirect_imports")
            found += Contracts(forbidden=(ForbiddenImports(name, source, target, direct_only, ignore),))
        elif kind == "independence":
            found += Contracts(independent=(Independent(name, _list(row, "modules"), ignore),))
    return found


def _layer(text: str) -> tuple[str, ...]:
    """`(a) | b`: names in brackets need not exist."""
    return tuple(part for each in text.split("|") if (part := each.replace("(", "").replace(")", "").strip()))


def _list(row: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of TOML, or lines of an INI file."""
    value = row.get(key)
    if isinstance(value, str):
        value = value.splitlines()
    if not isinstance(value, list):
        return ()
    return tuple(text for each in value if (text := str(each).partition("#")[0].strip()))


def _flag(row: Mapping[str, Any], key: str) -> bool:
    value = row.get(key)
    return value is True or str(value).lower() in ("true", "yes", "1", "on")


def _tach(document: Mapping[str, Any]) -> Contracts:
    rows = [row for row in document.get("modules") or () if isinstance(row, dict)]
    named = [(path, row) for row in rows for path in (row.get("paths") or [row.get("path")]) if _is_module(path)]
    order = [each["name"] if isinstance(each, dict) else str(each) for each in document.get("layers") or ()]
    by_layer: dict[str, list[str]] = {}
    for path, row in named:
        if row.get("layer") in order:
            by_layer.setdefault(str(row["layer"]), []).append(path)
    layers = tuple((" : ".join(by_layer[each]),) for each in order if each in by_layer)
    free = {path for path, row in named if row.get("utility")}
    depends = []
    for path, row in named:
        if not isinstance(row.get("depends_on"), list):
            continue  # tach takes this for "anything"
        on = {each.get("path") if isinstance(each, dict) else each for each in row["depends_on"]} | free
        if row.get("layer") in order:
            lower = order[order.index(row["layer"]) + 1 :]
            on |= {each for layer in lower for each in by_layer.get(layer, ())}
        depends.append(Depends(path, tuple(sorted(str(each) for each in on if each))))
    declared = tuple(path for path, _ in named)
    return Contracts(
        layers=(Layers("tach", layers),) if len(layers) > 1 else (),
        depends=tuple(Depends(each.module, each.on, declared) for each in depends),
    )


def _is_module(path: Any) -> bool:
    return isinstance(path, str) and bool(path) and not path.startswith("<")
