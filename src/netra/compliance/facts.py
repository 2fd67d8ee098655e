"""What one file says, as tables: the only thing the rules ever see of it.

An extractor (`netra.compliance.extract`) makes a `FileFacts` from a file's bytes; it depends on nothing else, so it is
kept by the hash of the content and never made twice. Dotted names are as written (`models.User`); what they mean is
found out by `netra.compliance.project`, which sees all files. Where the truth is not visible in the file, a field says
nothing rather than guessing.
"""

from __future__ import annotations

from typing import Final

import msgspec

VERSION: Final = 12
"""Of the facts. Raise it with every change of meaning, so that none made before is used."""

ANY_NAME: Final = "*"
"""In `FileFacts.given`: attributes whose names are only known when the program runs."""

SKETCH_LINES: Final = 8
SKETCH: Final = 24
"""Hashes in a sketch."""

MODULE: Final = -1
"""Stands for "no function" or "no class" where an index is expected."""


class Struct(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A row."""


class How:
    """Under which circumstances a statement of the file runs: bits of a number.

    Plain numbers, not flags of `enum`: `&` of those takes ten times as long, and rules ask millions of times.
    """

    PLAIN: Final = 0
    TYPE_CHECKING: Final = 1
    """Under `if TYPE_CHECKING`: only type checkers see it."""
    CONDITIONAL: Final = 2
    """Under an `if`, or in a branch of a `try` that need not run."""
    GUARDED: Final = 4
    """In a `try` that catches ImportError, or more."""
    FALLBACK: Final = 8
    """In a handler of such a `try`."""
    IN_FUNCTION: Final = 16
    IN_CLASS: Final = 32
    BRANCHED: Final = 64
    """Conditional by an `if`, a loop or a `match`, whatever `try` there is too."""


class Import(Struct, frozen=True):
    """One name that an import statement binds."""

    bound: str
    """The name it binds; `a` for `import a.b`, empty for `from a import *`."""
    module: str
    """As written, without the dots of a relative import."""
    name: str
    """What is taken from the module: empty for `import module`, `*` for everything."""
    level: int
    """Dots of a relative import."""
    line: int
    how: int
    function: int
    """Index of the function it stands in, or `MODULE`."""
    guard: int
    """Index of the `try` it is guarded by or a fallback of, or -1."""
    end: int = 0
    """Last line of the statement."""
    column: int = 0
    """Of its first character, from 0."""


class ImportGuard(Struct, frozen=True):
    """A `try` that catches ImportError."""

    line: int
    defines: list[tuple[str, str, int]]
    """What its handlers define: name; `class`, `function`, `constant` (a function or a class all of whose methods
    return constants), `none` (bound to None), `value`, `import`; and line."""
    reraises: bool


class Member(Struct, frozen=True):
    """Something reached with a dot on a class or its instances."""

    name: str
    kind: str
    """method, property, class (nested), attribute (assigned in the class body), field (annotated there), instance
    (assigned to `self` in a method), slot."""
    line: int
    signature: str
    """Of a method, its parameters without annotations and defaults' values: `self, a, b=, *, c=`."""
    type: str
    """Where its value comes from, as far as the file says: `ann:Dotted`, `call:Dotted`, or empty."""
    value: str
    """Of an attribute, the text of a short literal; empty otherwise."""


class Class(Struct, frozen=True):
    """A class statement."""

    name: str
    qualname: str
    line: int
    end: int
    bases: list[str]
    """Dotted, without subscripts; `?` for an expression that is no name."""
    keywords: list[str]
    """Dotted metaclass as `metaclass=Dotted`, other keywords by name."""
    decorators: list[str]
    members: list[Member]
    how: int
    function: int
    """Index of the function it is local to, or `MODULE`."""
    outer: int
    """Index of the class it is nested in, or `MODULE`."""
    dynamic: bool
    """It defines `__getattr__` or `__getattribute__`, or calls `setattr(self, …)` or changes `self.__dict__`."""
    passes: bool
    """Its body is empty but for a docstring, `pass` and `...`."""
    digest: str
    """Of its lines without docstrings, comments, blank lines and indentation; equal for copies."""
    writes: list[tuple[str, str, str, str]]
    """State that methods other than `__init__` change: attribute; `item` (`self.attr[key] = …`) or `set`; the name of
    the key, or of the parameter that is assigned; and the method."""
    asks_above: list[str] = []
    """Attributes of `super()` that it reads."""


class Function(Struct, frozen=True):
    """A function or method; rows of reads and calls point to it."""

    name: str
    qualname: str
    line: int
    end: int
    owner: int
    """Index of the class it is a method of, or `MODULE`."""
    outer: int
    """Index of the function it is local to, or `MODULE`."""
    parameters: list[tuple[str, str, str]]
    """Name, kind (`pos`, `any`, `key`, `*`, `**`; with `=` when it has a default), and dotted annotation or empty."""
    returns: str
    """Dotted annotation, or empty."""
    decorators: list[str]
    how: int
    is_async: bool
    is_generator: bool
    stub: str
    """Why its body is no work: `pass`, `ellipsis`, `constant`, `not implemented`; empty for work."""
    caches: bool
    """It keeps what it makes: a caching decorator, a `global`, or a test of a module's name against None."""
    makes: list[str]
    """Dotted names of what it returns after calling them: `return Thing(…)`, also through one local name; `self` for a
    method that returns that."""
    digest: str
    """As that of a class."""
    sketch: bytes
    """The smallest hashes of its lines (a bottom-k MinHash), see `text.hashes`; empty for fewer than `SKETCH_LINES`
    lines."""
    admits: str
    """Of a stub, the words by which its comments and docstring say so; see `text.Lines.admission`."""
    documented: int
    """Lines of its docstring."""


class Assignment(Struct, frozen=True):
    """A module's name bound by `name = …`."""

    name: str
    line: int
    kind: str
    """alias (a dotted name), call, literal, mutable (a list, dict or set display), other."""
    value: str
    """The dotted name of an alias or of what is called."""
    how: int
    function: int
    """Index of the function that assigns it as a `global`, or `MODULE`."""


class Call(Struct, frozen=True):
    """A call of something that is named like a class or a factory."""

    name: str
    line: int
    function: int
    positional: int
    """Arguments by position; -1 when there is `*args`."""
    keywords: list[str]
    """Names; `**` for `**kwargs`."""


class Read(Struct, frozen=True):
    """An attribute read from something whose class the function says."""

    attribute: str
    line: int
    function: int
    receiver: str
    """As written, for the message: `metrics`, `self.metrics`."""
    source: str
    """What says its class: `ann:Dotted`, `call:Dotted` (the class, or what the function is said to return),
    `await:Dotted`, `with:Dotted`, `awith:Dotted`, `self`, `attr:name` (an attribute of self)."""
    error_path: bool
    """In an `except` or `finally` block: what fails here hides another failure."""


class Suppression(Struct, frozen=True):
    """`# ssot: allow[SSOT101] reason`."""

    line: int
    rules: list[str]
    reason: str


class Trouble(Struct, frozen=True):
    """What could not be read."""

    line: int
    message: str


class FileFacts(Struct, frozen=True):
    """Everything the rules know of a file."""

    lines: int
    imports: list[Import]
    guards: list[ImportGuard]
    classes: list[Class]
    functions: list[Function]
    assignments: list[Assignment]
    calls: list[Call]
    reads: list[Read]
    exports: list[str] | None
    """`__all__`, when it is a display of strings."""
    dynamic: bool
    """The module defines `__getattr__`, or changes `globals()` or itself, or its `__all__` cannot be read."""
    suppressions: list[Suppression]
    trouble: list[Trouble]
    digest: str
    """As that of a class; empty for a file without code."""
    names: list[str]
    """Names bound at the top level by other statements than those above: `for`, `with`, `:=`, unpacking."""
    generated: bool = False
    """A comment at its head says that a program wrote it."""
    given: list[str] = []
    """Attributes that are given to something other than `self`: `thing.name = …`, `setattr(thing, "name", …)`, and in a
    file that makes classes with `type(name, bases, {…})` the keys of its dicts; `ANY_NAME` for `setattr(thing, key, …)`
    of any key. Sorted."""
    puts: list[str] = []
    """Modules that it puts into `sys.modules` by a name that is written there. Sorted."""
