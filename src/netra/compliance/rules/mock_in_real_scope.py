"""Mocks where everything is to be real (SSOT602): in the product, and in tests that are declared to use real services.

`real-services` names the paths of such tests. There, an import of a mocking library, the fixture `mocker` and classes
called `Fake…`, `Mock…` or `Stub…` are findings; in the product, imports of a mocking library are. What a product offers
to the tests of others (paths with words like `testing` or `fixtures`) is no product here.
"""

from __future__ import annotations

from collections.abc import Iterator

from netra.compliance.config import Config, matches
from netra.compliance.facts import MODULE, How
from netra.compliance.naming import is_foreign, words
from netra.compliance.project import File, Project
from netra.compliance.rule import Finding, Place, Rule, Severity
from netra.compliance.support_code import is_for_tests

_MOCKING = frozenset({"unittest.mock", "mock", "pytest_mock", "asyncmock", "flexmock", "mockito", "aioresponses"})
"""Modules that replace parts of a program."""
_INTERCEPTING = frozenset({"responses", "respx", "requests_mock", "httpretty", "moto", "pytest_httpx", "fakeredis"})
"""Modules that stand in for services: found where those are declared real, and too often something else elsewhere."""
_EVALUATES = frozenset({"eval", "evals", "evaluation", "evaluations"})
"""Directories whose programs try the product out."""
_DOUBLES = frozenset({"fake", "mock", "stub"})


def _find(project: Project, config: Config) -> Iterator[Finding]:
    for _, found in project.by_file(_look, config):
        yield from found


def _look(project: Project, file: File, config: Config) -> list[Finding]:
    is_real = any(matches(file.path, pattern) for pattern in config.real_services)
    findings = list(_doubles(file)) if is_real else []
    if is_real or _is_product(file):
        findings += _imports(project, file, is_real=is_real)
    return findings


def _is_product(file: File) -> bool:
    return (
        file.scope == "core"
        and not file.facts.generated
        and not is_foreign(file.path)
        and not is_for_tests(file.path)
        and file.module.partition(".")[0] not in _MOCKING | _INTERCEPTING
        and _EVALUATES.isdisjoint(file.path.split("/"))
        and not any("pytest" in (row.module or "").partition(".")[0] for row in file.facts.imports)
        and not any(row.module.partition(".")[0] == "unittest" and row.name == "TestCase" for row in file.facts.imports)
    )


def _imports(project: Project, file: File, *, is_real: bool) -> Iterator[Finding]:
    seen: set[str] = set()
    for row in file.facts.imports:
        if row.level or row.how & How.TYPE_CHECKING:
            continue
        library = _library(row.module, row.name, is_real=is_real)
        if not library or library in seen or project.module(file, row.module).kind != "external":
            continue
        if not is_real and row.function != MODULE and _offers_doubles(file.facts.functions[row.function].qualname):
            continue
        seen.add(library)
        where = "where services are declared real" if is_real else "in the product"
        function = "" if row.function == MODULE else f" in `{file.facts.functions[row.function].qualname}`"
        yield _finding(file, row.line, f"`{file.module}` imports `{library}`{function}, {where}.", library)


def _offers_doubles(function: str) -> bool:
    """Whether a function says that it is made for the tests of others."""
    return not {"fake", "mock", "stub", "test", "testing"}.isdisjoint(words(function))


def _library(module: str, name: str, *, is_real: bool) -> str:
    full = f"{module}.{name}" if module == "unittest" and name == "mock" else module
    top = full.partition(".")[0]
    if full == "unittest.mock" or full.startswith("unittest.mock."):
        return "unittest.mock"
    if top in _MOCKING or (is_real and top in _INTERCEPTING):
        return top
    return ""


def _doubles(file: File) -> Iterator[Finding]:
    for class_ in file.facts.classes:
        parts = words(class_.name)
        if parts and parts[0] in _DOUBLES:
            message = f"`{class_.qualname}` stands in for something, where services are declared real."
            yield _finding(file, class_.line, message, class_.qualname)
    for function in file.facts.functions:
        if any(name == "mocker" for name, _, _ in function.parameters):
            message = f"`{function.qualname}` takes the fixture `mocker`, where services are declared real."
            yield _finding(file, function.line, message, function.qualname)


def _finding(file: File, line: int, message: str, subject: str) -> Finding:
    return Finding(
        "SSOT602",
        Severity.ERROR,
        Place(file.path, line),
        message,
        (file.module, subject),
        hint="Use the real part, or move the test to where doubles are allowed.",
    )


RULE = Rule(
    "SSOT602",
    "mock-in-real-scope",
    Severity.ERROR,
    "A mock stands in the product, or in tests of real services.",
    _find,
)
