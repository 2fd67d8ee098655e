"""One check: find the files, get their facts, join them, ask the rules, and leave out what is allowed.

`run` is what the command line, the watcher and the tests call; it prints nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from .config import Config, ConfigError, ScopeName, matches, scope_by_name
from .declared import built, declared
from .deployables import Deployables
from .facts import FileFacts
from .housekeeping import HOUSEKEEPING, UNUSED, unused_suppressions
from .known import Progress
from .outcome import Report, Waived
from .project import File, Project
from .proposals import proposed
from .rule import Finding, Rule, Severity, table
from .score import score
from .source import make
from .twins import TWINS
from .walk import Tree, find

if TYPE_CHECKING:
    from .session import WatchSession


def run(
    root: Path,
    config: Config,
    paths: Sequence[Path] = (),
    *,
    facts: Callable[[Tree, Progress], Iterable[tuple[str, FileFacts]]] | None = None,
    progress: Progress = lambda what, done, of: None,
) -> Report:
    """Check a code base.

    Args:
        facts: gets the facts of the files; reads each of them when omitted (see `cache` for a faster way).

    Raises:
        FileNotFoundError: one of `paths` does not exist.
        ConfigError: an unknown rule is selected.
    """
    seconds: dict[str, float] = {}
    rules = selected(config)
    started = time.perf_counter()
    tree = find(root, paths, exclude=config.exclude)
    seconds["find files"] = time.perf_counter() - started
    started = time.perf_counter()
    read = list((facts or read_all)(tree, progress))
    seconds["read files"] = time.perf_counter() - started
    return judge(tree, read, config, rules, seconds=seconds, progress=progress)


def judge(
    tree: Tree,
    read: Iterable[tuple[str, FileFacts]],
    config: Config,
    rules: Sequence[Rule],
    *,
    seconds: dict[str, float] | None = None,
    progress: Progress = lambda what, done, of: None,
    session: WatchSession | None = None,
) -> Report:
    """Join the facts of a tree's files and ask the rules. What it is given decides what it says, nothing else.

    Args:
        session: remembers what was found out, so that the next time only what changed is looked at.
    """
    seconds = {} if seconds is None else seconds
    started = time.perf_counter()

    def lap(phase: str) -> None:
        nonlocal started
        now = time.perf_counter()
        seconds[phase] = now - started
        started = now

    ordered = sorted(read, key=itemgetter(0))
    names, made = declared(tree.root), built(tree.root)

    def join() -> Project:
        project = placed(Project(ordered, tree.others, config.source_roots, session), config)
        project.declared = names
        project.built = made
        project.services = tree.services
        return project

    project = (
        join() if session is None else session.project(ordered, (tree.others, tree.services, names, made, config), join)
    )
    lap("join")
    project.expect(look for rule in rules for look in rule.looks)
    found: list[Finding] = []
    for number, rule in enumerate(rules):
        progress("apply rules", number, len(rules))
        began = time.perf_counter()
        severity = config.severity.get(rule.id) or config.severity.get(rule.name)
        for finding in project.once(_finder(rule), config):
            found.append(replace(finding, severity=Severity(severity)) if severity else finding)
        seconds[f"rule {rule.id}"] = time.perf_counter() - began
    lap("apply rules")
    kept, waived, used = _allow(project, config, found)
    chosen = {rule.id: rule for rule in rules}
    if UNUSED in chosen:
        kept += unused_suppressions(tree.root, project, chosen, used)
    lap("allow")
    kept.sort(key=lambda each: (each.place.path, each.place.line, each.rule, each.fingerprint))
    return Report(
        tree.root,
        config,
        tree,
        project,
        tuple(kept),
        tuple(waived),
        tuple(rules),
        score(project, [each for each in kept if each.rule not in HOUSEKEEPING], config),
        tree.unreadable,
        seconds,
        services=_services(project, config),
    )


def _services(project: Project, config: Config) -> tuple[str, ...]:
    if config.services is not None:
        return config.services
    return project.once(Deployables, config).services if project.services else ()


@cache
def _finder(rule: Rule) -> Callable[[Project, Config], list[Finding]]:
    """What a rule finds, and how it may be mended."""

    def find(project: Project, config: Config) -> list[Finding]:
        return [
            finding if finding.fix is not None else replace(finding, fix=proposed(project, config, finding))
            for finding in rule.find(project, config)
        ]

    return find


def placed(project: Project, config: Config) -> Project:
    """A project whose files know their scope and service."""
    for file in project.files:
        file.scope = scope_of(file, config)
        file.service = service_of(file, config)
    return project


def read_all(tree: Tree, progress: Progress) -> Iterable[tuple[str, FileFacts]]:
    """The facts of every file of a tree, one after the other."""
    for number, path in enumerate(tree.python):
        if number % 100 == 0:
            progress("read files", number, len(tree.python))
        yield path, read_one(tree.root / path)


def read_one(path: Path) -> FileFacts:
    """The facts of one file; that it cannot be read is one of them."""
    return make(os.fspath(path))[1]


def selected(config: Config) -> tuple[Rule, ...]:
    """The rules that a configuration asks for.

    Raises:
        ConfigError: there is no rule of a name or prefix that it gives.
    """
    rules = table()

    def matching(names: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for name in names:
            chosen = {rule.id for rule in rules.values() if rule.id.startswith(name.upper()) or rule.name == name}
            if name.upper() == "ALL":
                chosen = set(rules)
            if not chosen:
                raise ConfigError(f"There is no rule {name!r}. `netra ssot explain` lists them.")
            found |= chosen
        return found

    chosen = matching(config.select) if config.select else set(rules)
    chosen |= matching(config.extend_select)
    chosen -= matching(config.ignore)
    chosen -= {rule for rule in chosen if config.severity.get(rule, config.severity.get(rules[rule].name)) == "off"}
    return tuple(rules[each] for each in sorted(chosen))


def scope_of(file: File, config: Config) -> ScopeName:
    """Whether a file belongs to the product, its tests or its scripts: as configured, else by the names on its path."""
    for scope, patterns in config.scopes.items():
        if any(matches(file.path, pattern) for pattern in patterns):
            return scope
    return scope_by_name(file.path)


def service_of(file: File, config: Config) -> str:
    """The service a file is deployed with; empty outside all of them."""
    for service in config.services or ():
        if file.path.startswith(f"{service.strip('/')}/"):
            return service.strip("/")
    return ""


def _allow(
    project: Project, config: Config, found: list[Finding]
) -> tuple[list[Finding], list[Waived], set[tuple[str, int, str]]]:
    """What is reported, what is not and why, and which comments are used for it: path, line of the comment, rule."""
    kept: list[Finding] = []
    waived: list[Waived] = []
    used: set[tuple[str, int, str]] = set()
    for finding in found:
        comments = _comments(project, finding)
        used |= comments.keys()
        reason = next(iter(comments.values()), None) or _configured(project, config, finding)
        if reason is None:
            kept.append(finding)
        else:
            waived.append(Waived(finding, reason))
    return kept, waived, used


def _configured(project: Project, config: Config, finding: Finding) -> str | None:
    """What in the configuration allows a finding; None when nothing does."""
    if finding.rule in TWINS:
        for each in config.allow_duplicate:
            if each.name == finding.subjects[0]:
                return each.reason
    file = project.by_path.get(finding.place.path)
    if file is not None and any(finding.rule.startswith(each.upper()) for each in config.per_scope.get(file.scope, ())):
        return f"per-scope: {file.scope}"
    for pattern, rules in config.per_file.items():
        if matches(finding.place.path, pattern) and any(finding.rule.startswith(each.upper()) for each in rules):
            return f"per-file: {pattern}"
    return None


def _comments(project: Project, finding: Finding) -> dict[tuple[str, int, str], str]:
    """The comments that allow a finding, with their reasons: at one of its places, or on the line before it."""
    found: dict[tuple[str, int, str], str] = {}
    for place in (finding.place, *finding.related):
        file = project.by_path.get(place.path)
        for each in file.facts.suppressions if file is not None else ():
            if each.reason and finding.rule in each.rules and each.line in (place.line, place.line - 1):
                found[place.path, each.line, finding.rule] = each.reason
    return found
