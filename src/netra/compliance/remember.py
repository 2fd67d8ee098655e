"""The last reports on a tree: when neither it nor the rules nor the configuration changed, nothing is judged again.

A report is kept under a hash of everything it depends on: every path and the content behind it, the configuration, and
the source of this package. It brings along what is said of its rules, and its project is joined only if somebody asks
it something: a check of a tree that did not change loads neither the rules nor what they work with.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache as once
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4
from zlib import crc32

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from .config import Config
from .declared import built, declared
from .figures import Coverage, Figures, coverage, exposures, rule_hash
from .known import SeenTree
from .outcome import Report, Waived
from .rule import Exposure, Finding, Mended, Rule, Severity, table
from .score import Score

if TYPE_CHECKING:
    from .cache import ReadTree
    from .project import Project

MOST_REPORTS: Final = 4
"""Kept in a cache directory: on the way between two branches, with two configurations."""
_SUFFIX: Final = ".report"


class _KeptRule(Struct, frozen=True):
    id: str
    name: str
    severity: Severity
    summary: str
    fix: Mended
    exposure: Exposure


class _Kept(Struct, frozen=True):
    findings: tuple[Finding, ...]
    waived: tuple[Waived, ...]
    score: Score
    coverage: Coverage
    exposures: dict[str, int]
    rules: tuple[_KeptRule, ...]
    rule_hash: str
    services: tuple[str, ...]


def recall(looked: SeenTree, config: Config, read: Callable[[], ReadTree]) -> Report | None:
    """The report on a tree, if there was one.

    Args:
        read: gets its facts, should somebody ask for more than the report says.
    """
    name = _name(looked, config)
    kept = None if name is None or looked.directory is None else _read(looked.directory / f"{name}{_SUFFIX}")
    if kept is None:
        return None

    def join() -> Project:
        from .check import placed
        from .project import Project

        return placed(Project(read().files, looked.tree.others, config.source_roots), config)

    return Report(
        looked.tree.root,
        config,
        looked.tree,
        cast("Project", _Later(join)),
        kept.findings,
        kept.waived,
        tuple(
            Rule(each.id, each.name, each.severity, each.summary, partial(_find, each.id), each.fix, each.exposure)
            for each in kept.rules
        ),
        kept.score,
        looked.tree.unreadable,
        {},
        Figures(kept.coverage, kept.exposures, kept.rule_hash),
        kept.services,
    )


def keep(looked: SeenTree, report: Report) -> Report:
    """The report, with its figures; it is kept for the next time."""
    figures = Figures(coverage(report), exposures(report), rule_hash(report))
    name = _name(looked, report.config)
    if name is not None and looked.directory is not None and looked.directory.is_dir():
        rules = (
            _KeptRule(each.id, each.name, each.severity, each.summary, each.fix, each.exposure) for each in report.rules
        )
        _write(
            looked.directory,
            name,
            _Kept(
                report.findings,
                report.waived,
                report.score,
                figures.coverage,
                figures.exposures,
                tuple(rules),
                figures.rule_hash,
                report.services,
            ),
        )
    return replace(report, figures=figures)


def _find(rule: str, project: Project, config: Config) -> Iterable[Finding]:
    """Of a rule that was kept: what it finds."""
    return table()[rule].find(project, config)


class _Later:
    """A project that is joined when it is first asked for something."""

    def __init__(self, join: Callable[[], Project]) -> None:
        self._join = join
        self._project: Project | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._project is None:
            self._project = self._join()
        return getattr(self._project, name)


def _name(looked: SeenTree, config: Config) -> str | None:
    """None where a file could not be read: of it nothing is known, and such a tree is judged anew."""
    if not all(looked.keys):
        return None
    tree = looked.tree
    digest = blake2b(_source(), digest_size=12)
    # Where it is kept, how fast it is found and what is made of it change nothing in what a report says.
    config = replace(config, jobs=0, cache_dir="", baseline="", history="", min_score=None, max_new=None)
    rest = (
        sys.version_info,
        config,
        tree.services,
        sorted(tree.others),
        tree.unreadable,
        sorted(declared(tree.root)),
        sorted(built(tree.root)),
    )
    digest.update(repr(rest).encode("utf-8", "surrogatepass"))
    digest.update("\0".join(tree.python).encode("utf-8", "surrogatepass"))
    digest.update(b"".join(looked.keys))
    return digest.hexdigest()


@once
def _source() -> bytes:
    """The hash of this package's source."""
    digest = blake2b()
    for directory, inner, names in os.walk(os.path.dirname(__file__)):  # noqa: PTH120 - in each start
        inner.sort()
        for name in sorted(names):
            if name.endswith(".py"):
                with contextlib.suppress(OSError), open(f"{directory}/{name}", "rb") as file:  # noqa: PTH123 - likewise
                    digest.update(file.read())
    return digest.digest()


def _read(path: Path) -> _Kept | None:
    try:
        data = path.read_bytes()
        if crc32(memoryview(data)[4:]) == int.from_bytes(data[:4], "little"):
            return msgspec.msgpack.decode(memoryview(data)[4:], type=_Kept)
    except (OSError, msgspec.MsgspecError):
        pass
    return None


def _write(directory: Path, name: str, kept: _Kept) -> None:
    with contextlib.suppress(OSError, UnicodeEncodeError):
        data = msgspec.msgpack.encode(kept)
        part = directory / f"{name}.{uuid4().hex[:8]}.part"
        part.write_bytes(crc32(data).to_bytes(4, "little") + data)
        part.replace(directory / f"{name}{_SUFFIX}")
        old = sorted(directory.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in old[MOST_REPORTS:]:
            path.unlink(missing_ok=True)
