"""The last reports on a tree: when neither it nor the rules nor the configuration changed, nothing is judged again.

A report is kept under a hash of everything it depends on: every path and the content behind it, the configuration, and
the source of this package. Its project is joined only if somebody asks it something.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache as once
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4
from zlib import crc32

import msgspec

from .cache import ReadTree
from .check import Report, Waived, placed
from .config import Config
from .declared import declared
from .figures import Coverage, Figures, coverage, exposures
from .project import Project
from .rule import Finding, Rule
from .score import Score

MOST_REPORTS: Final = 4
"""Kept in a cache directory: on the way between two branches, with two configurations."""
_SUFFIX: Final = ".report"


@dataclass(frozen=True, slots=True)
class _Kept:
    findings: tuple[Finding, ...]
    waived: tuple[Waived, ...]
    score: Score
    coverage: Coverage
    exposures: dict[str, int]


_DECODER: Final = msgspec.msgpack.Decoder(_Kept)


def report_on(
    read: ReadTree, config: Config, rules: Sequence[Rule], directory: Path | None, judged: Callable[[], Report]
) -> Report:
    """The report on a tree: the kept one, or the one that `judged` makes, which is kept.

    Args:
        directory: where reports are kept; None for nowhere.
    """
    name = _name(read, config, rules)
    tree = read.tree
    kept = None if directory is None else _recall(directory / f"{name}{_SUFFIX}")
    if kept is not None:
        project = cast(Project, _Later(lambda: placed(Project(read.files, tree.others, config.source_roots), config)))
        return Report(
            tree.root,
            config,
            tree,
            project,
            kept.findings,
            kept.waived,
            tuple(rules),
            kept.score,
            tree.unreadable,
            {},
            Figures(kept.coverage, kept.exposures),
        )
    report = judged()
    figures = Figures(coverage(report), exposures(report))
    if directory is not None and directory.is_dir():
        _keep(
            directory,
            name,
            _Kept(report.findings, report.waived, report.score, figures.coverage, figures.exposures),
        )
    return replace(report, figures=figures)


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


def _name(read: ReadTree, config: Config, rules: Sequence[Rule]) -> str:
    digest = blake2b(_source(), digest_size=12)
    tree = read.tree
    digest.update(
        repr(
            (config, [rule.id for rule in rules], sorted(tree.others), tree.unreadable, sorted(declared(tree.root)))
        ).encode()
    )
    digest.update("\0".join(tree.python).encode("utf-8", "surrogatepass"))
    # Of a file that could not be read nothing is known; such a tree is judged anew.
    digest.update(b"".join(read.keys) if all(read.keys) else uuid4().bytes)
    return digest.hexdigest()


@once
def _source() -> bytes:
    digest = blake2b()
    here = Path(__file__).parent
    for path in sorted(here.rglob("*.py")):
        with contextlib.suppress(OSError):
            digest.update(path.read_bytes())
    return digest.digest()


def _recall(path: Path) -> _Kept | None:
    try:
        data = path.read_bytes()
        if crc32(memoryview(data)[4:]) == int.from_bytes(data[:4], "little"):
            return _DECODER.decode(memoryview(data)[4:])
    except (OSError, msgspec.MsgspecError):
        pass
    return None


def _keep(directory: Path, name: str, kept: _Kept) -> None:
    with contextlib.suppress(OSError, UnicodeEncodeError):
        data = msgspec.msgpack.encode(kept)
        part = directory / f"{name}.{uuid4().hex[:8]}.part"
        part.write_bytes(crc32(data).to_bytes(4, "little") + data)
        part.replace(directory / f"{name}{_SUFFIX}")
        old = sorted(directory.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in old[MOST_REPORTS:]:
            path.unlink(missing_ok=True)
