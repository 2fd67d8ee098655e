"""`[tool.ssot]` in `pyproject.toml`: what is checked, how strictly, and what is allowed. Works without any of it."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from .contracts import Depends, ForbiddenImports, Independent, Layers, read

ScopeName = Literal["core", "tests", "scripts"]
SCOPES: tuple[ScopeName, ...] = ("core", "tests", "scripts")


DEFAULT_BASELINE = ".ssot_baseline.jsonl"
"""The file of the baseline, when it is there and none is configured."""


class ConfigError(Exception):
    """The configuration cannot be used; the message says which key and what to write instead."""


class Canonical(Struct, frozen=True):
    """Where a concept lives: `name` at `path` (a dotted module); `aliases` are allowed further names."""

    name: str
    path: str
    aliases: tuple[str, ...] = ()


class FactoryConfig(Struct, frozen=True):
    """A class that is made by its factories only; `allowed` are modules (patterns) that may call it directly."""

    class_: str
    factories: tuple[str, ...]
    allowed: tuple[str, ...] = ()


class Allowed(Struct, frozen=True):
    """A name that may be defined twice, and why."""

    name: str
    reason: str


class Served(Struct, frozen=True):
    """Modules that exist when the program runs and not among its files, since an import hook serves them or an
    installation adds them: dotted names, with `*` for one component and `**` for any number but one; and why."""

    modules: tuple[str, ...]
    reason: str


class Config(Struct, frozen=True):
    """See the module. Paths are relative to the root of the code base; patterns are those of a shell."""

    source_roots: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    scopes: dict[ScopeName, tuple[str, ...]] = field(default_factory=dict)
    """Patterns of paths by scope (`core`, `tests`, `scripts`), before what is found out by name."""
    services: tuple[str, ...] | None = None
    """Directories that are deployed apart; None: found out by their manifests."""
    shared: tuple[str, ...] = ()
    """Directories that all services use."""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    per_scope: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Rules (prefixes) that are not looked for in a scope."""
    per_file: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Rules (prefixes) that are not reported in files that match a pattern."""
    severity: dict[str, str] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    baseline: str = ""
    history: str = ""
    """A file that gets a line for each check, for the trend."""
    min_score: float | None = None
    max_new: int | None = None
    cache_dir: str = ".ssot_cache"
    jobs: int = 0
    canonical: tuple[Canonical, ...] = ()
    factory: tuple[FactoryConfig, ...] = ()
    layers: tuple[Layers, ...] = ()
    forbidden: tuple[ForbiddenImports, ...] = ()
    independent: tuple[Independent, ...] = ()
    depends: tuple[Depends, ...] = ()
    allow_duplicate: tuple[Allowed, ...] = ()
    served_modules: tuple[Served, ...] = ()
    real_services: tuple[str, ...] = ()
    """Patterns of paths where mocks are errors."""
    max_file_lines: tuple[int, int] = (1000, 2000)
    max_function_lines: tuple[int, int] = (100, 300)


TESTS = frozenset({"test", "tests", "testing", "test_framework", "conftest.py"})
_SCRIPTS = frozenset(
    {
        "scripts", "script", "tools", "tool", "bin", "examples", "example", "docs", "doc", "benchmarks", "setup.py",
    }
)  # fmt: skip


def scope_by_name(path: str) -> ScopeName:
    """Whether a file belongs to the product, its tests or its scripts, by the names on its path."""
    parts = path.split("/")
    name = parts[-1]
    if not TESTS.isdisjoint(parts) or name.startswith("test_") or name.endswith("_test.py"):
        return "tests"
    return "core" if _SCRIPTS.isdisjoint(parts) else "scripts"


def matches(path: str, pattern: str) -> bool:
    """Whether a pattern of the configuration means a path, or a directory above it."""
    pattern = pattern.rstrip("/")
    return fnmatchcase(path, pattern) or path.startswith(f"{pattern}/") or fnmatchcase(path, f"{pattern}/*")


DEFAULT_WEIGHTS = {"error": 1.0, "warning": 0.3, "info": 0.05}


def load(root: Path) -> Config:
    """The configuration of a code base: its `pyproject.toml`, with the contracts import-linter and tach have there.

    Raises:
        ConfigError: it cannot be used.
    """
    path = root / "pyproject.toml"
    if not path.is_file():
        return _with_contracts(Config(), root, {})
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read: {error}") from error
    tool = document.get("tool", {})
    return _with_contracts(parse(tool.get("ssot", {}) if isinstance(tool, dict) else {}), root, document)


def _with_contracts(config: Config, root: Path, document: dict[str, Any]) -> Config:
    found = read(root, document)
    return replace(
        config,
        layers=config.layers + found.layers,
        forbidden=config.forbidden + found.forbidden,
        independent=config.independent + found.independent,
        depends=config.depends + found.depends,
    )


def parse(table: dict[str, Any]) -> Config:
    """A configuration from the table `[tool.ssot]`.

    Raises:
        ConfigError: an unknown key, or a value of the wrong kind; says which, and what was perhaps meant.
    """
    known = {each.replace("_", "-"): each for each in Config.__struct_fields__}
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = known.get(key)
        if name is None:
            raise ConfigError(f"[tool.ssot] has no {key!r}.{_meant(key, known)}")
        values[name] = _READ[name](f"[tool.ssot] {key}", value)
    return Config(**values)


def _meant(key: str, known: Any) -> str:
    import difflib

    close = difflib.get_close_matches(key, list(known), 1)
    return f" Did you mean {close[0]!r}?" if close else f" It knows: {', '.join(sorted(known))}."


def _strings(where: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise ConfigError(f"{where} must be a list of strings.")


def _string(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{where} must be a string.")
    return value


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{where} must be a number.")
    return value


def _count(where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{where} must be a whole number, 0 or more.")
    return value


def _limits(where: str, value: Any) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(each, int) for each in value):
        return value[0], value[1]
    raise ConfigError(f"{where} must be two whole numbers: from which on it warns, and from which on it is an error.")


def _lists(where: str, value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be a table of lists.")
    return {key: _strings(f"{where}.{key}", each) for key, each in value.items()}


def _scopes(where: str, value: Any) -> dict[str, tuple[str, ...]]:
    found = _lists(where, value)
    for key in found:
        if key not in SCOPES:
            raise ConfigError(f"{where} has no {key!r}.{_meant(key, SCOPES)}")
    return found


def _severities(where: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or any(each not in (*DEFAULT_WEIGHTS, "off") for each in value.values()):
        raise ConfigError(f"{where} must be a table of error, warning, info or off by rule.")
    return dict(value)


def _weights(where: str, value: Any) -> dict[str, float]:
    if not isinstance(value, dict) or any(key not in DEFAULT_WEIGHTS for key in value):
        raise ConfigError(f"{where} must be a table of numbers for error, warning and info.")
    return {key: _number(f"{where}.{key}", each) for key, each in value.items()}


def _rows(where: str, value: Any, keys: dict[str, str], required: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = value if isinstance(value, list) else [value]
    found = []
    for row in rows:
        if not isinstance(row, dict):
            raise ConfigError(f"{where} must be a table, or several ([[{where.strip('[]')}]]).")
        for key in row:
            if key not in keys:
                raise ConfigError(f"{where} has no {key!r}.{_meant(key, keys)}")
        for key in required:
            if key not in row:
                raise ConfigError(f"{where} needs {key!r}.")
        found.append({keys[key]: each for key, each in row.items()})
    return found


def _canonical(where: str, value: Any) -> tuple[Canonical, ...]:
    keys = {"name": "name", "path": "path", "aliases": "aliases"}
    return tuple(
        Canonical(_string(where, row["name"]), _string(where, row["path"]), _strings(where, row.get("aliases", [])))
        for row in _rows(where, value, keys, ("name", "path"))
    )


def _factory(where: str, value: Any) -> tuple[FactoryConfig, ...]:
    keys = {"class": "class_", "factories": "factories", "allowed": "allowed"}
    return tuple(
        FactoryConfig(
            _string(where, row["class_"]), _strings(where, row["factories"]), _strings(where, row.get("allowed", []))
        )
        for row in _rows(where, value, keys, ("class", "factories"))
    )


def _pairs(where: str, value: Any) -> tuple[tuple[str, str], ...]:
    pairs = []
    for each in _strings(where, value):
        source, arrow, target = each.partition("->")
        if not arrow:
            raise ConfigError(f"{where}: {each!r} must be written as 'importer -> imported'.")
        pairs.append((source.strip(), target.strip()))
    return tuple(pairs)


def _layers(where: str, value: Any) -> tuple[Layers, ...]:
    keys = {key: key for key in ("name", "layers", "containers", "exhaustive", "ignore")}
    keys["exhaustive-ignore"] = "exhaustive_ignore"
    return tuple(
        Layers(
            _string(where, row.get("name", "layers")),
            tuple(tuple(part.strip() for part in each.split("|")) for each in _strings(where, row["layers"])),
            _strings(where, row.get("containers", [])),
            bool(row.get("exhaustive", False)),
            _pairs(where, row.get("ignore", [])),
            _strings(where, row.get("exhaustive_ignore", [])),
        )
        for row in _rows(where, value, keys, ("layers",))
    )


def _forbidden(where: str, value: Any) -> tuple[ForbiddenImports, ...]:
    keys = {"name": "name", "source": "source", "target": "target", "direct-only": "direct_only", "ignore": "ignore"}
    return tuple(
        ForbiddenImports(
            _string(where, row.get("name", "forbidden")),
            _strings(where, row["source"]),
            _strings(where, row["target"]),
            bool(row.get("direct_only", False)),
            _pairs(where, row.get("ignore", [])),
        )
        for row in _rows(where, value, keys, ("source", "target"))
    )


def _independent(where: str, value: Any) -> tuple[Independent, ...]:
    keys = {key: key for key in ("name", "modules", "ignore")}
    return tuple(
        Independent(
            _string(where, row.get("name", "independent")),
            _strings(where, row["modules"]),
            _pairs(where, row.get("ignore", [])),
        )
        for row in _rows(where, value, keys, ("modules",))
    )


def _depends(where: str, value: Any) -> tuple[Depends, ...]:
    rows = _rows(where, value, {"module": "module", "on": "on"}, ("module", "on"))
    declared = tuple(_string(where, row["module"]) for row in rows)
    return tuple(
        Depends(module, _strings(where, row["on"]), declared) for module, row in zip(declared, rows, strict=True)
    )


def _allowed(where: str, value: Any) -> tuple[Allowed, ...]:
    rows = _rows(where, value, {"name": "name", "reason": "reason"}, ("name", "reason"))
    if any(not _string(where, row["reason"]).strip() for row in rows):
        raise ConfigError(f"{where}: say why the name may be defined twice (reason).")
    return tuple(Allowed(_string(where, row["name"]), row["reason"]) for row in rows)


def _served(where: str, value: Any) -> tuple[Served, ...]:
    rows = _rows(where, value, {"modules": "modules", "reason": "reason"}, ("modules", "reason"))
    if any(not _string(where, row["reason"]).strip() for row in rows):
        raise ConfigError(f"{where}: say what serves the modules (reason).")
    return tuple(Served(_strings(where, row["modules"]), row["reason"]) for row in rows)


_READ: dict[str, Any] = {
    **dict.fromkeys(
        (
            "source_roots",
            "include",
            "exclude",
            "services",
            "shared",
            "select",
            "ignore",
            "extend_select",
            "real_services",
        ),
        _strings,
    ),
    **dict.fromkeys(("scopes", "per_scope"), _scopes),
    "per_file": _lists,
    **dict.fromkeys(("baseline", "cache_dir", "history"), _string),
    **dict.fromkeys(("max_new", "jobs"), _count),
    **dict.fromkeys(("max_file_lines", "max_function_lines"), _limits),
    "severity": _severities,
    "weights": _weights,
    "min_score": _number,
    "canonical": _canonical,
    "factory": _factory,
    "layers": _layers,
    "forbidden": _forbidden,
    "independent": _independent,
    "depends": _depends,
    "allow_duplicate": _allowed,
    "served_modules": _served,
}
