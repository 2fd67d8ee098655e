"""Attributes that are read and that no class of the receiver has (SSOT301 to SSOT303).

The three share one pass over the reads of a project. A read in an `except` or `finally` block is SSOT303: it fails only
when something else has failed, hides that, and no test runs it. Elsewhere it is SSOT302 when a class of the same name
in another module has the attribute, and SSOT301 otherwise.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from netra.compliance.config import Config
from netra.compliance.facts import MODULE, Read
from netra.compliance.importers import classes_named
from netra.compliance.inputs_of_tests import inputs_of_tests
from netra.compliance.naming import is_test_data, is_vendored
from netra.compliance.project import File, Project, Symbol
from netra.compliance.receivers import Receiver, Receivers, given, receivers
from netra.compliance.rule import Finding, Place, Rule, Severity
from netra.compliance.support_code import is_for_tests

_OF_PROPERTIES = {"getter", "setter", "deleter"}
"""Read by decorators, in a class body where the name is a property."""
_MOST_NAMED = 8
"""Members that are named in a detail."""


@dataclass(frozen=True, slots=True)
class CheckedReads:
    """What all three rules find, and what they looked at.

    Args:
        reads: attribute reads seen whose receiver the function names.
        checked: those of them whose class is known, with all its bases.
    """

    findings: list[Finding]
    reads: int
    checked: int


def looked(project: Project) -> CheckedReads:
    """All of a project."""
    return project.once(_find)


def _find(project: Project) -> CheckedReads:
    every = [found for _, found in project.by_file(_look) if found.reads]
    findings = [each for found in every for each in found.findings]
    if findings:
        inputs = inputs_of_tests(project)
        findings = [each for each in findings if each.place.path not in inputs]
    return CheckedReads(findings, sum(each.reads for each in every), sum(each.checked for each in every))


def _look(project: Project, file: File) -> CheckedReads:
    if is_test_data(file.path) or is_vendored(file.path):
        return CheckedReads([], 0, 0)
    known = receivers(project)
    findings = []
    checked = 0
    reads = file.facts.reads
    for read in reads:
        receiver = known.of(file, read)
        if receiver is None:
            continue
        has = known.has(receiver.symbol, read.attribute)
        checked += has is not None
        if has is not False or not known.lacks(file, receiver, read.attribute):
            continue
        if _may_be_mixed_in(known, receiver):
            continue
        found = _finding(project, known, file, read, receiver)
        # What no namesake has, but somebody gives to something, may be given to this.
        if len(found.related) > 1 or not (read.attribute in _OF_PROPERTIES or project.table(given).get(read.attribute)):
            findings.append(found)
    return CheckedReads(findings, len(reads), checked)


def _may_be_mixed_in(known: Receivers, receiver: Receiver) -> bool:
    """Whether a class is made to be inherited from, so that classes that are not seen may have what it reads."""
    if receiver.exact:
        return False
    if receiver.own and (not known.is_made(receiver.symbol) or known.stands_before_others(receiver.symbol)):
        return True
    row = receiver.symbol.class_
    # A class that a test sketches stands for others, or is wrapped by what the test is about.
    if receiver.own and row.function != MODULE and is_for_tests(receiver.symbol.home.path):
        return True
    if "mixin" in row.name.lower() or any(
        base.rpartition(".")[2] in ("ABC", "Protocol") or "mixin" in base.lower() for base in row.bases
    ):
        return True
    if any(keyword.startswith("metaclass=") for keyword in row.keywords):
        return True
    methods = known.methods(receiver.symbol).values()
    return any(
        each.stub == "not implemented"
        or any(name.rpartition(".")[2].startswith("abstract") for name in each.decorators)
        for each in methods
    )


def _finding(project: Project, known: Receivers, file: File, read: Read, receiver: Receiver) -> Finding:
    symbol = receiver.symbol
    name, attribute = symbol.class_.name, read.attribute
    others = [
        each
        for each in classes_named(project, name)
        if each.file is not symbol.file
        and each.class_.function == MODULE
        and known.has(each, attribute) is True
        and _own(project, each, attribute)
    ]
    others.sort(key=lambda each: each.qualified)
    where = file.facts.functions[read.function].qualname if read.function != MODULE else ""
    held = f"`{read.receiver}` is an instance of {symbol.qualified}"
    details = [_has(project, symbol)]
    related = [Place.of(symbol, f"{symbol.qualified}, which is held here")]
    if others:
        theirs = others[0]
        message = f"`{read.receiver}.{attribute}` does not exist: {held}; `{attribute}` is on {theirs.qualified}"
        if len(others) > 1:
            message += f" and {len(others) - 1} other{'s' if len(others) > 2 else ''} of that name"
        details += [_has(project, each) for each in others]
        related += [Place.of(each, f"{each.qualified} has `{attribute}`") for each in others]
        near = _meant(project, symbol, attribute)
        hint = f"Hold the {name} that the code means, or read what {symbol.qualified} has{near}."
        rule, severity = "SSOT302", Severity.ERROR
    else:
        message = f"`{read.receiver}.{attribute}` does not exist: {held}, and neither that nor a base class has it"
        hint = f"Read what the class has{_meant(project, symbol, attribute)}, or define the attribute there."
        rule, severity = "SSOT301", Severity.ERROR
    if read.error_path:
        rule = "SSOT303"
        details.append(
            "It stands where an error is handled: the AttributeError takes the place of the error it handles."
        )
    return Finding(
        rule,
        severity,
        Place(file.path, read.line, where and f"in {where}"),
        message,
        (f"{file.module}.{where}" if where else file.module, symbol.qualified, attribute),
        tuple(related),
        (file.path,),
        None,
        tuple(details),
        hint,
    )


def _own(project: Project, symbol: Symbol, attribute: str) -> bool:
    """Whether a class or a known base defines an attribute (and not only `object`)."""
    return attribute in project.members(symbol)


def _has(project: Project, symbol: Symbol) -> str:
    names = [name for name in project.members(symbol) if not name.startswith("__")]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{symbol.qualified} has {', '.join(names[:_MOST_NAMED]) or 'nothing'}{more}"


def _meant(project: Project, symbol: Symbol, attribute: str) -> str:
    near = difflib.get_close_matches(attribute, list(project.members(symbol)), 1, 0.6)
    return f" (did you mean `{near[0]}`?)" if near else ""


def _only(rule: str) -> Callable[[Project, Config], Iterable[Finding]]:
    def find(project: Project, config: Config) -> Iterable[Finding]:
        return [each for each in looked(project).findings if each.rule == rule]

    return find


RULES = (
    Rule(
        "SSOT301",
        "missing-attribute",
        Severity.ERROR,
        "An attribute is read that neither the receiver's class nor any class above it has.",
        _only("SSOT301"),
        exposure="reads",
        looks=(_look,),
    ),
    Rule(
        "SSOT302",
        "wrong-twin-attribute",
        Severity.ERROR,
        "An attribute is read that the receiver's class lacks and a class of the same name in another module has.",
        _only("SSOT302"),
        exposure="reads",
        looks=(_look,),
    ),
    Rule(
        "SSOT303",
        "missing-in-error-path",
        Severity.ERROR,
        "A missing attribute is read in an `except` or `finally` block, where it hides the error that is handled.",
        _only("SSOT303"),
        exposure="reads",
        looks=(_look,),
    ),
)
