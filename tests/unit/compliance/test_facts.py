"""What is read from one file: names, classes, sources of values; and that nothing stops the reading."""

from __future__ import annotations

import gc
from textwrap import dedent

import pytest

from netra.compliance.extract import extract
from netra.compliance.facts import FileFacts, How


def facts(source: str) -> FileFacts:
    return extract(dedent(source).encode())


def reads(source: str) -> set[tuple[str, str, str, bool]]:
    return {(each.receiver, each.attribute, each.source, each.error_path) for each in facts(source).reads}


def test_a_receivers_class_is_said_by_annotation_call_self_and_with() -> None:
    found = reads(
        """
        class Holder:
            def __init__(self, metrics: "Metrics") -> None:
                self.metrics = metrics

            def work(self, given: Metrics | None) -> None:
                made = Metrics()
                with opened() as session:
                    try:
                        pass
                    except Exception:
                        print(given.a, made.b, self.metrics.c, session.d)
        """
    )
    assert found >= {
        ("given", "a", "ann:Metrics", True),
        ("made", "b", "call:Metrics", True),
        ("self.metrics", "c", "attr:metrics", True),
        ("session", "d", "with:opened", True),
    }


@pytest.mark.parametrize(
    "doubt",
    [
        "value = other()",
        "if isinstance(value, Other): pass",
        "if hasattr(value, 'size'): pass",
        "for value in (): pass",
        "value.size = 3",
        "del value",
    ],
)
def test_a_name_whose_class_is_in_doubt_says_nothing(doubt: str) -> None:
    found = facts(f"def work(value: Thing):\n    {doubt}\n    return value.size\n")
    assert not [each for each in found.reads if each.receiver == "value" and each.attribute == "size"]


def test_an_attribute_error_that_is_expected_is_no_read() -> None:
    assert not reads("def f(x: X):\n    try:\n        x.a\n    except AttributeError:\n        pass\n")


def test_members_know_their_kind_and_where_their_value_comes_from() -> None:
    (found,) = facts(
        """
        class Session(Base):
            limit = 3
            owner: Owner
            __slots__ = ("slot",)

            def __init__(self, store: Store):
                self.store = store
                self.count = 0

            @property
            def size(self) -> int: ...

            def add(self, item, *, twice=False): ...
        """
    ).classes
    members = {each.name: (each.kind, each.type, each.signature, each.value) for each in found.members}
    assert members["limit"] == ("attribute", "", "", "3")
    assert members["owner"] == ("field", "ann:Owner", "", "")
    assert members["slot"][0] == "slot"
    assert members["store"] == ("instance", "ann:Store", "", "")
    assert members["size"] == ("property", "ann:int", "", "")
    assert members["add"] == ("method", "", "self, item, *, twice=", "")


def test_imports_know_when_they_run() -> None:
    found = facts(
        """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from a import A
        try:
            from b import B
        except ImportError:
            from c import B
        def f():
            from d import D
        """
    )
    how = {each.module: each.how for each in found.imports}
    assert how["a"] & How.TYPE_CHECKING
    assert how["b"] & How.GUARDED and not how["b"] & How.FALLBACK
    assert how["c"] & How.FALLBACK
    assert how["d"] & How.IN_FUNCTION
    assert found.guards[0].defines == [("B", "import", 8)]


def test_copies_have_one_digest_whatever_their_comments_and_docstrings() -> None:
    one, two, other = (
        facts(source).functions[0].digest
        for source in (
            'def f(a):\n    """Says."""\n    return a + 1\n',
            "def f(a):\n    # adds\n\n    return a + 1  # one\n",
            "def f(a):\n    return a + 2\n",
        )
    )
    assert one == two != other


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x01\x02",
        b"\xff\xfe\x00",
        "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1"),
        b"\xef\xbb\xbfx = 1\n",
        b"print 'two'\nclass A: pass\n",
        b"def broken(:\n    pass\n\ndef whole():\n    pass\n",
        b"(" * 5000,
        b"x = " + b"-" * 100_000 + b"1",
        b"if True:\n" * 3000,
        b"class C:\n    def f(self):\n\treturn 1\n",
        b"\n" * 10 + b"'" * 3,
    ],
)
def test_no_file_stops_the_reading(data: bytes) -> None:
    assert extract(data).lines >= 0


def test_what_parses_is_kept_when_something_else_does_not() -> None:
    found = facts(
        """
        import os

        def broken(:
            pass

        @decorated
        class Whole:
            def method(self):
                return 1
        """
    )
    assert [each.name for each in found.classes] == ["Whole"]
    assert found.classes[0].decorators == ["decorated"] and found.classes[0].line == 8
    assert [each.module for each in found.imports] == ["os"]
    assert found.trouble and found.trouble[0].line == 4


def test_nothing_of_a_file_waits_for_the_collector_once_its_facts_are_made() -> None:
    source = b"class A:\n    def f(self, x: X):\n        def g():\n            return self.b(x.y)\n        return g\n"
    extract(source)
    gc.collect()
    gc.disable()
    try:
        found = extract(source)
        assert gc.collect() == 0
    finally:
        gc.enable()
    assert found.functions
