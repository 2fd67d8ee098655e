"""Diseases planted in real packages: each is found where it was planted, and nothing else is found that was not before.

The packages are those that are installed anyway. Which of their classes and modules fall ill is drawn by a seed.
"""

from __future__ import annotations

import ast
import random
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

from netra.compliance.rule import Finding
from netra.compliance.running import Request, check

PACKAGES = ("anyio", "httpx", "rich", "starlette", "typer")
SEEDS = (1, 2)
CONTRACTS = """
[[tool.ssot.layers]]
name = "layers"
layers = ["typer", "rich"]

[[tool.ssot.forbidden]]
name = "no client in the server"
source = ["anyio"]
target = ["starlette"]

[[tool.ssot.independent]]
name = "apart"
modules = ["rich", "httpx"]
"""


@dataclass
class Packages:
    """A tree of packages, what is found in it, and what is planted there.

    Args:
        before: fingerprints of what is found without anything planted, by path.
    """

    root: Path
    before: frozenset[tuple[str, str]] = frozenset()
    kept: dict[str, str | None] = field(default_factory=dict)
    parsed: dict[str, ast.Module] = field(default_factory=dict)

    def text(self, path: str) -> str:
        """Of a file."""
        return (self.root / path).read_text("utf-8")

    def write(self, path: str, text: str) -> None:
        """Plant something; `heal` takes it out again."""
        file = self.root / path
        self.kept.setdefault(path, self.text(path) if file.exists() else None)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")

    def heal(self) -> None:
        """Put everything back."""
        for path, text in self.kept.items():
            if text is None:
                (self.root / path).unlink()
            else:
                (self.root / path).write_text(text, "utf-8")
        self.kept.clear()

    def found(self) -> list[Finding]:
        """What is found now and was not before."""
        report = check(Request((self.root,), jobs=1)).report
        return [each for each in report.findings if (each.place.path, each.fingerprint) not in self.before]

    def beside(self, *paths: str) -> list[Finding]:
        """What is found now, but for copied methods between two files: what comes with a copied class."""
        return [
            each
            for each in self.found()
            if each.rule not in ("SSOT111", "SSOT112")
            or not {each.place.path, *(place.path for place in each.related)} <= set(paths)
        ]

    def modules(self) -> list[str]:
        """Files of modules that can be imported by everybody, sorted."""
        paths = (path.relative_to(self.root).as_posix() for path in self.root.rglob("*.py"))
        return sorted(
            path
            for path in paths
            if "/_" not in path and "test" not in path and path.removesuffix(".py").replace("/", "").isidentifier()
        )

    def trees(self) -> Iterable[tuple[str, ast.Module]]:
        """Those modules, parsed, as they are without what is planted."""
        if not self.parsed:
            self.parsed = {path: ast.parse(self.text(path)) for path in self.modules()}
        return self.parsed.items()


def dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    root = tmp_path_factory.mktemp("packages")
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None and spec.origin is not None
        shutil.copytree(Path(spec.origin).parent, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    (root / "pyproject.toml").write_text(CONTRACTS)
    found = Packages(root).found()
    return Packages(root, frozenset((each.place.path, each.fingerprint) for each in found))


@pytest.fixture
def packages(installed: Packages) -> Iterator[Packages]:
    yield installed
    installed.heal()


@pytest.fixture(params=SEEDS)
def chance(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


def test_nothing_is_found_where_nothing_was_planted(packages: Packages) -> None:
    assert packages.before
    assert packages.found() == []


@dataclass(frozen=True)
class Kind:
    """A class of a module that another module of the package imports."""

    path: str
    name: str
    node: ast.ClassDef
    methods: tuple[ast.FunctionDef, ...]

    @property
    def module(self) -> str:
        """Its dotted name."""
        return dotted(self.path)


def kinds(packages: Packages) -> list[Kind]:
    """Public classes without bases we cannot see, used by others, with methods."""
    imported: dict[tuple[str, str], int] = {}
    defined: dict[str, int] = {}
    found: list[Kind] = []
    for path, tree in packages.trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                base = "/".join(path.split("/")[: -node.level]).replace("/", ".") + "." if node.level else ""
                for each in node.names:
                    imported[f"{base}{node.module}", each.name] = 1 + imported.get(
                        (f"{base}{node.module}", each.name), 0
                    )
        for node in tree.body:
            if not isinstance(node, ast.ClassDef):
                continue
            defined[node.name] = defined.get(node.name, 0) + 1
            if node.name.startswith("_") or node.bases or node.keywords or node.decorator_list:
                continue
            methods = tuple(each for each in node.body if isinstance(each, ast.FunctionDef))
            if any((each.end_lineno or 0) - each.lineno > 90 for each in methods):
                continue  # a copy of it would also be too long
            if (node.end_lineno or 0) - node.lineno > 900:
                continue
            if len([each for each in methods if not each.name.startswith("_")]) >= 3:
                found.append(Kind(path, node.name, node, methods))
    return [each for each in found if defined[each.name] == 1 and imported.get((each.module, each.name))]


def lines_of(text: str, node: ast.stmt) -> tuple[int, int]:
    """From the first of its decorators to its end, from 0, the end not included."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)]) - 1, node.end_lineno or node.lineno


def copied(packages: Packages, kind: Kind, drop: ast.stmt | None = None, add: str = "") -> str:
    """A module that has a copy of a class, without one of its members, or with another one: its path."""
    text = packages.text(kind.path)
    lines = text.splitlines(keepends=True)
    imports = [
        "".join(lines[slice(*lines_of(text, each))])
        for each in ast.parse(text).body
        if isinstance(each, (ast.Import, ast.ImportFrom)) and not getattr(each, "level", 0)
    ]
    first, last = lines_of(text, kind.node)
    body = lines[first:last]
    if drop is not None:
        begin, end = lines_of(text, drop)
        del body[begin - first : end - first]
    path = f"{kind.path.rpartition('/')[0]}/{kind.name.lower()}_again.py"
    future = [each for each in imports if "__future__" in each]
    others = [each for each in imports if "__future__" not in each]
    packages.write(path, "".join([*future, *others, "\n\n", *body, add]))
    return path


def droppable(packages: Packages, kind: Kind) -> ast.FunctionDef | None:
    """A public method that the class itself does not use, and that has no second definition."""
    names = [each.name for each in kind.methods]
    text = packages.text(kind.path)
    for each in kind.methods:
        if each.name.startswith("_") or names.count(each.name) > 1 or each.decorator_list:
            continue
        if len(re.findall(rf"\b{each.name}\b", text)) == 1:
            return each
    return None


def pick_twin(packages: Packages, chance: random.Random) -> tuple[Kind, ast.FunctionDef]:
    found = [(each, method) for each in kinds(packages) if (method := droppable(packages, each)) is not None]
    assert len(found) > 5
    return chance.choice(found)


def only(packages: Packages, *expected: tuple[str, str]) -> list[Finding]:
    """What is found, which are these rules in these files, and no more."""
    found = packages.found()
    told = "\n".join(f"{each.rule} {each.place.path}:{each.place.line} {each.message}" for each in found)
    assert sorted((each.rule, each.place.path) for each in found) == sorted(expected), told
    return found


def test_a_copy_that_lost_a_member_is_found_with_the_member(packages: Packages, chance: random.Random) -> None:
    kind, method = pick_twin(packages, chance)
    copy = copied(packages, kind, drop=method)
    (found,) = packages.beside(kind.path, copy)
    assert found.rule in ("SSOT101", "SSOT103")
    assert {found.place.path, *(each.path for each in found.related)} == {kind.path, copy}
    assert method.name in "\n".join((found.message, *found.details))


def test_a_copy_is_found(packages: Packages, chance: random.Random) -> None:
    kind, _ = pick_twin(packages, chance)
    copy = copied(packages, kind)
    (found,) = packages.beside(kind.path, copy)
    assert found.rule == "SSOT102"
    assert {found.place.path, *(each.path for each in found.related)} == {kind.path, copy}


READER = """
from {module} import {name}


def tell(given: {name}, work):
    try:
        return work()
    except ValueError:
        return given.only_there
"""


def test_a_read_of_the_twins_attribute_in_an_error_path_is_found_at_its_line(
    packages: Packages, chance: random.Random
) -> None:
    kind, method = pick_twin(packages, chance)
    copy = copied(packages, kind, drop=method, add="\n    def only_there(self):\n        return self\n")
    reader = f"{kind.path.partition('/')[0]}/reader_of_it.py"
    packages.write(reader, READER.format(module=kind.module, name=kind.name))
    found = {each.rule: each for each in packages.beside(kind.path, copy)}
    assert set(found) in ({"SSOT303", "SSOT101"}, {"SSOT303", "SSOT103"})
    wrong = found["SSOT303"]
    assert (wrong.place.path, wrong.place.line) == (reader, 9)
    assert dotted(copy) in wrong.message + "".join(wrong.details) + wrong.hint


def test_an_argument_that_only_the_twin_takes_is_found(packages: Packages, chance: random.Random) -> None:
    plain = [
        each
        for each in kinds(packages)
        if any(method.name == "__init__" and method.args.kwarg is None for method in each.methods)
        and not any(method.name == "__new__" for method in each.methods)
    ]
    kind = chance.choice(plain)
    package = kind.path.partition("/")[0]
    packages.write(
        f"{package}/twin_of_it.py", f"class {kind.name}:\n    def __init__(self, only_there):\n        self.x = 1\n"
    )
    packages.write(
        f"{package}/maker_of_it.py",
        f"from {kind.module} import {kind.name}\n\n\ndef make():\n    return {kind.name}(only_there=1)\n",
    )
    (found,) = only(packages, ("SSOT304", f"{package}/maker_of_it.py"))
    assert found.place.line == 5


@dataclass(frozen=True)
class Taken:
    """An import statement with one name, from a module of the same package, at the top of a module."""

    path: str
    line: int
    module: str
    name: str


def taken(packages: Packages) -> list[Taken]:
    found = []
    for path, tree in packages.trees():
        if path.endswith("__init__.py"):
            continue
        package = path.partition("/")[0]
        for node in tree.body:
            if (
                isinstance(node, ast.ImportFrom)
                and not node.level
                and (node.module or "").startswith(f"{package}.")
                and len(node.names) == 1
                and node.names[0].asname is None
                and node.lineno == node.end_lineno
                and (packages.root / f"{(node.module or '').replace('.', '/')}.py").is_file()
            ):
                found.append(Taken(path, node.lineno, node.module or "", node.names[0].name))
    assert len(found) > 20
    return found


def replaced(packages: Packages, each: Taken, text: str) -> None:
    lines = packages.text(each.path).splitlines(keepends=True)
    lines[each.line - 1] = text
    packages.write(each.path, "".join(lines))


def test_a_name_that_is_not_there_is_found(packages: Packages, chance: random.Random) -> None:
    each = chance.choice(taken(packages))
    replaced(packages, each, f"from {each.module} import {each.name}Gone as {each.name}\n")
    (found,) = only(packages, ("SSOT202", each.path))
    assert found.place.line == each.line


def test_a_module_that_is_not_there_is_found(packages: Packages, chance: random.Random) -> None:
    each = chance.choice(taken(packages))
    replaced(packages, each, f"from {each.module}_gone import {each.name}\n")
    (found,) = only(packages, ("SSOT201", each.path))
    assert found.place.line == each.line


@pytest.mark.parametrize(
    ("fallback", "severity"),
    [("def {name}(*given):\n        return True", "error"), ("{name} = None", "warning")],
)
def test_an_import_that_is_broken_behind_a_guard_is_found(
    packages: Packages, chance: random.Random, fallback: str, severity: str
) -> None:
    each = chance.choice(taken(packages))
    body = fallback.format(name=each.name)
    replaced(packages, each, f"try:\n    from {each.module}_gone import {each.name}\nexcept ImportError:\n    {body}\n")
    (found,) = only(packages, ("SSOT203", each.path))
    assert found.place.line in (each.line, each.line + 1)
    assert found.severity == severity


def test_an_identity_that_is_split_is_found(packages: Packages, chance: random.Random) -> None:
    kind, _ = pick_twin(packages, chance)
    package = kind.path.partition("/")[0]
    packages.write(
        f"{package}/other_home.py",
        f"from {kind.module} import {kind.name} as Base\n\n\nclass {kind.name}(Base):\n    pass\n",
    )
    for number, home in enumerate((f"{package}.other_home", kind.module)):
        packages.write(
            f"{package}/user{number}_of_it.py",
            f"from {home} import {kind.name}\n\n\ndef is{number}(given):\n    return isinstance(given, {kind.name})\n",
        )
    (found,) = only(packages, ("SSOT121", f"{package}/other_home.py"))
    assert f"{package}.other_home" in found.message


FACTORY = """

_the_one = None


def get_the_one():
    global _the_one
    if _the_one is None:
        _the_one = {name}()
    return _the_one
"""


def test_a_way_around_a_factory_is_found(packages: Packages, chance: random.Random) -> None:
    called = {
        getattr(node.func, "id", getattr(node.func, "attr", ""))
        for _, tree in packages.trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }
    kind = chance.choice([each for each in kinds(packages) if each.name not in called])
    package = kind.path.partition("/")[0]
    packages.write(kind.path, packages.text(kind.path) + FACTORY.format(name=kind.name))
    for number in range(3):
        packages.write(
            f"{package}/asker{number}_of_it.py",
            f"from {kind.module} import get_the_one\n\n\ndef ask{number}():\n    return get_the_one()\n",
        )
    packages.write(
        f"{package}/bypass_of_it.py",
        f"from {kind.module} import {kind.name}\n\n\ndef around():\n    made = {kind.name}()\n    return made\n",
    )
    found = packages.found()
    bypasses = [each for each in found if each.rule == "SSOT401"]
    assert [(each.place.path, each.place.line) for each in bypasses] == [(f"{package}/bypass_of_it.py", 5)]
    assert {each.rule for each in found} <= {"SSOT401", "SSOT411"}  # a global that is set when first asked for


@pytest.mark.parametrize(
    ("importer", "imported", "rule"),
    [("rich", "typer", "SSOT501"), ("anyio", "starlette", "SSOT502"), ("rich", "httpx", "SSOT503")],
)
def test_an_import_across_a_border_is_found(
    packages: Packages, chance: random.Random, importer: str, imported: str, rule: str
) -> None:
    paths = [each for each in packages.modules() if each.startswith(f"{importer}/") and each.count("/") == 1]
    path = chance.choice(paths)
    packages.write(path, f"{packages.text(path)}\n\ndef late():\n    import {imported}\n\n    return {imported}\n")
    (found,) = only(packages, (rule, path))
    assert imported in found.message


def test_a_cycle_is_found(packages: Packages, chance: random.Random) -> None:
    importing = {each.path: each for each in taken(packages) if each.path.startswith(("starlette/", "httpx/"))}
    leaves = [
        each
        for each in taken(packages)
        if (path := f"{each.module.replace('.', '/')}.py") not in importing
        and not re.search(r"^(?:from|import) (?:anyio|httpx|rich|starl|typer|\.)", packages.text(path), re.MULTILINE)
        and not re.search(r"^\s+(?:from|import)", packages.text(path), re.MULTILINE)
    ]
    each = chance.choice(leaves)
    path = f"{each.module.replace('.', '/')}.py"
    packages.write(path, f"{packages.text(path)}\n\nimport {dotted(each.path)}\n")
    (found,) = packages.found()
    assert found.rule == "SSOT504"
    assert each.module in found.message + "".join(found.details)
    assert dotted(each.path) in found.message + "".join(found.details)


@pytest.mark.parametrize("said", ["For now, just return True", "TODO: implement", "Placeholder implementation"])
def test_a_body_that_was_taken_out_is_found(packages: Packages, chance: random.Random, said: str) -> None:
    functions = [
        (path, node)
        for path, tree in packages.trees()
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and not node.decorator_list
        and len(node.body) > 3
        and sum(getattr(other, "name", "") == node.name for other in tree.body) == 1
    ]
    path, node = chance.choice(functions)
    lines = packages.text(path).splitlines(keepends=True)
    lines[node.body[0].lineno - 1 : node.end_lineno] = [f"    # {said}\n", "    return True\n"]
    packages.write(path, "".join(lines))
    (found,) = only(packages, ("SSOT601", path))
    assert node.name in found.message


def test_a_mock_in_the_product_is_found(packages: Packages, chance: random.Random) -> None:
    path = chance.choice(packages.modules())
    packages.write(path, f"{packages.text(path)}\n\nfrom unittest.mock import MagicMock\n\nsession = MagicMock()\n")
    (found,) = [each for each in packages.found() if each.rule != "SSOT411"]
    assert (found.rule, found.place.path) == ("SSOT602", path)


def test_many_diseases_at_once_are_all_found(packages: Packages) -> None:
    chance = random.Random(0)
    rows = {each.path: each for each in taken(packages)}
    chosen = chance.sample(sorted(rows), 12)
    for number, path in enumerate(chosen):
        each = rows[path]
        gone = f"from {each.module} import {each.name}Gone as {each.name}\n"
        replaced(packages, each, gone if number % 2 else f"from {each.module}_gone import {each.name}\n")
    only(packages, *(("SSOT202" if number % 2 else "SSOT201", path) for number, path in enumerate(chosen)))
