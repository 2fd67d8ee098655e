"""What a rule is and what it says: `Rule`, `Finding`, and the one table of rules.

A rule is one module in `netra.compliance.rules` with a constant `RULE`, or `RULES` for several that share their work.
The table is made of what lies there, so adding a rule is adding a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from .config import Config
    from .project import Project, Symbol


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Place(Struct, frozen=True):
    """A line of a file, and what is there."""

    path: str
    line: int
    note: str = ""

    @classmethod
    def of(cls, symbol: Symbol, note: str = "") -> Place:
        """Where a class is defined."""
        return cls(symbol.home.path, symbol.class_.line, note)


class Edit(Struct, frozen=True):
    """A change of one file: lines `first` to `last`, from 1 and both included, become `text` (with line ends; empty
    removes them).

    Args:
        expects: what line `first` must hold exactly once, as facts say it; written otherwise, the edit is refused.
        within: only what it expects becomes `text` (without a line end), and the rest of the line stays.
    """

    path: str
    first: int
    last: int
    text: str
    expects: str = ""
    within: bool = False


class Fix(Struct, frozen=True):
    """A way to mend a finding without a person.

    Args:
        title: what it does.
        edits: applied together or not at all, unless `apart`.
        safe: it changes nothing but where a name comes from; other fixes are asked for with `--unsafe`.
        imports: pairs of paths: who imports whom after it. Where that would close a circle, it is refused.
        apart: each edit stands for itself: where one cannot be made, the others are.
    """

    title: str
    edits: tuple[Edit, ...]
    safe: bool = True
    imports: tuple[tuple[str, str], ...] = ()
    apart: bool = False


class Finding(Struct, frozen=True):
    """One truth too many. A family of twins is one finding, not one for each pair.

    Args:
        rule: its id.
        severity: the rule's own, unless it judges this case differently.
        place: where it is reported.
        message: one sentence.
        subjects: qualified names that identify it wherever lines move; they and the rule make the fingerprint.
        related: the other places.
        paths: every file it involves, the canonical one included: each loses score.
        canonical: the file that is right, and loses nothing; None when none is.
        details: more lines for people: a member diff, who imports which.
        hint: how to mend it.
    """

    rule: str
    severity: Severity
    place: Place
    message: str
    subjects: tuple[str, ...]
    related: tuple[Place, ...] = ()
    paths: tuple[str, ...] = ()
    canonical: str | None = None
    details: tuple[str, ...] = ()
    hint: str = ""
    fix: Fix | None = None

    @property
    def involved(self) -> tuple[str, ...]:
        """The files that lose score by it."""
        every = dict.fromkeys((self.place.path, *self.paths))
        every.pop(self.canonical or "", None)
        return tuple(every) or (self.place.path,)

    @property
    def fingerprint(self) -> str:
        """The same in every run while the same names are at fault, wherever they stand. 16 hexadecimal digits."""
        text = "\n".join((self.rule, *self.subjects))
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


Find = Callable[["Project", "Config"], Iterable[Finding]]
Mended = Literal["auto", "hint"]
Exposure = Literal["classes", "functions", "imports", "reads", "calls", "modules"]


class Rule(Struct, frozen=True):
    """A rule of the catalogue.

    Args:
        id: `SSOT101`.
        name: `twin-class-diverging`.
        severity: of its findings, unless configured otherwise.
        summary: what it finds, in one sentence.
        find: a pure function of the facts.
        fix: whether a machine can mend it, or a person is told how.
        exposure: what it looks at, for its compliance: `classes`, `functions`, `imports`, `reads`, `modules`.
        looks: what it makes of each file that takes the calls, reads or functions of the file (see `Project.by_file`),
            without further arguments: that of all rules is made of one file before the next.
    """

    id: str
    name: str
    severity: Severity
    summary: str
    find: Find
    fix: Mended = "hint"
    exposure: Exposure = "modules"
    looks: tuple[Callable[..., Any], ...] = ()


@cache
def table() -> dict[str, Rule]:
    """Every rule by its id, in order."""
    import importlib
    import pkgutil

    from . import rules

    found: dict[str, Rule] = {}
    for each in pkgutil.iter_modules(rules.__path__):
        module = importlib.import_module(f"{rules.__name__}.{each.name}")
        own: tuple[Rule, ...] = getattr(module, "RULES", None) or ((module.RULE,) if hasattr(module, "RULE") else ())
        for rule in own:
            if rule.id in found:
                raise ValueError(f"two rules are called {rule.id}")
            found[rule.id] = rule
    return dict(sorted(found.items()))
