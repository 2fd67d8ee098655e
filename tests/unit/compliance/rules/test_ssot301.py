"""SSOT301 missing-attribute: what is read is on no class that the receiver can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.code_base import check, ids, one

RULES = {"select": ["SSOT301", "SSOT302", "SSOT303"]}
BASE = (
    "class Base:\n    color = 'red'\n\n\nclass Thing(Base):\n    def __init__(self, name):\n        self.name = name\n"
)


def app(text: str, things: str = BASE) -> dict[str, str]:
    return {"app/__init__.py": "", "app/things.py": things, "app/use.py": text}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("from app.things import Thing\n\ndef use(thing: Thing):\n    return thing.nam\n", id="annotated"),
        pytest.param(
            "from app.things import Thing\n\ndef use(thing: Thing | None):\n    return thing.nam\n", id="or None"
        ),
        pytest.param(
            "from app.things import Thing\n\ndef use():\n    thing = Thing('x')\n    return thing.nam\n", id="made"
        ),
        pytest.param(
            "from app import things\n\nclass User:\n    def __init__(self):\n        self.thing = things.Thing('x')\n\n"
            "    def use(self):\n        return self.thing.nam\n",
            id="attribute of self",
        ),
        pytest.param(
            "from app.things import Thing\n\nclass Other(Thing):\n    def use(self):\n        return self.nam\n",
            id="self",
        ),
    ],
)
def test_what_no_class_has_is_reported_with_what_was_meant(tmp_path: Path, text: str) -> None:
    found = one(check(tmp_path, app(text), RULES), "SSOT301")
    assert found.severity == "error"
    assert (found.place.path, found.place.line) == ("app/use.py", text.count("\n"))
    assert "did you mean `name`" in found.hint


@pytest.mark.parametrize(
    "things",
    [
        pytest.param("class Thing:\n    def __init__(self):\n        self.x = 1\n", id="set in __init__"),
        pytest.param("class Thing:\n    def open(self):\n        self.x = 1\n", id="set in a method"),
        pytest.param("class Thing:\n    x: int\n", id="annotated"),
        pytest.param("class Thing:\n    __slots__ = ('x',)\n", id="a slot"),
        pytest.param("class Thing:\n    def __init__(self):\n        setattr(self, 'x', 1)\n", id="setattr"),
        pytest.param("class Thing:\n    pass\n\n\ndef mark(thing):\n    thing.x = 1\n", id="given beside its class"),
        pytest.param("class Thing:\n    def __getattr__(self, name):\n        return name\n", id="__getattr__"),
        pytest.param(
            "class Thing:\n    def __init__(self, **d):\n        self.__dict__.update(d)\n", id="its __dict__"
        ),
        pytest.param("class Thing:\n    class x:\n        pass\n", id="a nested class"),
        pytest.param("class Thing:\n    for x in range(3):\n        pass\n", id="bound in the class body"),
        pytest.param("class Thing:\n    pass\n\n\nThing.x = property(str)\n", id="put on the class"),
        pytest.param(
            "class Thing:\n    y = 1\n\n\ndef fill(thing, more):\n    for key in more:\n"
            "        setattr(thing, key, more[key])\n",
            id="given names that only running tells",
        ),
        pytest.param("class Thing:\n    pass\n\n\nclass Special(Thing):\n    x = 1\n", id="a subclass has it"),
        pytest.param("from other import Base\n\n\nclass Thing(Base):\n    pass\n", id="an unseen base"),
        pytest.param("class Thing(make()):\n    pass\n", id="a base that is made"),
        pytest.param("class Thing(metaclass=Meta):\n    pass\n", id="a metaclass"),
        pytest.param("@register\nclass Thing:\n    pass\n", id="an unknown decorator"),
        pytest.param("import attr\n\n\n@attr.s\nclass Thing:\n    y = attr.ib()\n", id="attrs"),
        pytest.param("from pydantic import BaseModel\n\n\nclass Thing(BaseModel):\n    y: int\n", id="pydantic"),
        pytest.param(
            "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase):\n    pass\n\n\n"
            "class Thing(Base):\n    pass\n",
            id="SQLAlchemy",
        ),
        pytest.param("from typing import NamedTuple\n\n\nclass Thing(NamedTuple):\n    x: int\n", id="a named tuple"),
        pytest.param("from typing import Protocol\n\n\nclass Thing(Protocol):\n    y: int\n", id="a Protocol"),
        pytest.param(
            "import sys\nif sys.version_info > (3, 9):\n    class Thing:\n        x = 1\nelse:\n"
            "    class Thing:\n        y = 1\n",
            id="defined by version",
        ),
        pytest.param("def __getattr__(name):\n    return name\n", id="a module with __getattr__"),
        pytest.param("class Thing:\n    pass\n", id="a class without anything, to be filled"),
        pytest.param(
            "class Base:\n    y = 1\n\n    def __init_subclass__(cls):\n        fill(cls)\n\n\n"
            "class Thing(Base):\n    z = 1\n",
            id="__init_subclass__",
        ),
        pytest.param("class Thing:\n    def __setattr__(self, n, v):\n        self.n = v\n", id="__setattr__"),
        pytest.param(
            "class Thing:\n    y = 1\n    for n in 'xz':\n        locals()[n] = n\n", id="a body that fills itself"
        ),
        pytest.param("class Thing(type):\n    y = 1\n", id="a metaclass"),
        pytest.param(
            "try:\n    from fast import Thing\nexcept ImportError:\n    class Thing:\n        pass\n", id="a fallback"
        ),
    ],
)
def test_what_a_class_may_have_is_right(tmp_path: Path, things: str) -> None:
    text = "from app.things import Thing\n\ndef use(thing: Thing):\n    return thing.x\n"
    assert ids(check(tmp_path, app(text, things), RULES)) == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("if hasattr(thing, 'x'):\n        return thing.x", id="asked before"),
        pytest.param("return hasattr(thing, 'x') and thing.x", id="asked in the expression"),
        pytest.param("return getattr(thing, 'x', None)", id="getattr"),
        pytest.param("try:\n        return thing.x\n    except AttributeError:\n        return None", id="tried"),
        pytest.param("thing.x = 1\n    return thing.x", id="given here"),
        pytest.param("thing = other(thing)\n    return thing.x", id="another value"),
        pytest.param("if isinstance(thing, Special):\n        return thing.x", id="narrowed"),
        pytest.param("return thing.name, thing.color, thing.__class__, thing.__dict__", id="inherited"),
    ],
)
def test_what_the_code_has_made_sure_of_is_right(tmp_path: Path, body: str) -> None:
    text = f"from app.things import Thing\nfrom other import Special, other\n\ndef use(thing: Thing):\n    {body}\n"
    assert ids(check(tmp_path, app(text), RULES)) == []


def test_what_another_function_of_the_file_gives_is_right(tmp_path: Path) -> None:
    text = """
        from app.things import Thing


        def mark(thing: Thing) -> None:
            thing.port = 1


        def use(thing: Thing) -> int:
            return thing.port
    """
    assert ids(check(tmp_path, app(text), RULES)) == []


@pytest.mark.parametrize(
    "things",
    [
        pytest.param("from enum import Enum\n\n\nclass Thing(Enum):\n    RED = 1\n", id="name and value of an enum"),
        pytest.param(
            "from dataclasses import dataclass\n\n\n@dataclass\nclass Thing:\n    name: str\n    value: int\n",
            id="fields",
        ),
    ],
)
def test_generated_members_are_there(tmp_path: Path, things: str) -> None:
    text = "from app.things import Thing\n\ndef use(thing: Thing):\n    return thing.name, thing.value\n"
    assert ids(check(tmp_path, app(text, things), RULES)) == []


def test_a_private_name_of_the_class_is_read_as_python_writes_it(tmp_path: Path) -> None:
    things = "class Thing:\n    def __open(self):\n        return 1\n\n\nclass _Other(Thing):\n    __x = 1\n"
    text = """
        from app.things import Thing, _Other


        def use(thing: Thing, other: _Other):
            return thing._Thing__open(), other._Other__x, other._Thing__open(), thing._Thing__close()
    """
    found = one(check(tmp_path, app(text, things), RULES), "SSOT301")
    assert "_Thing__close" in found.message


def test_what_a_call_makes_is_unknown_where_the_class_has_new(tmp_path: Path) -> None:
    things = "class Thing:\n    y = 1\n\n    def __new__(cls):\n        return cache[cls]\n"
    text = "from app.things import Thing\n\ndef use():\n    return Thing().x, made()\n\ndef made():\n"
    text += "    thing = Thing()\n    return thing.x\n"
    assert ids(check(tmp_path, app(text, things), RULES)) == []


def test_an_attribute_that_is_annotated_as_one_of_two_classes_is_not_what_it_begins_with(tmp_path: Path) -> None:
    text = """
        from app.things import Base, Thing


        class Holder:
            thing: Base | Thing

            def __init__(self):
                self.thing = Base()

            def use(self):
                return self.thing.name
    """
    assert ids(check(tmp_path, app(text), RULES)) == []


def test_what_no_class_has_but_another_file_gives_to_something_may_be_given_to_this(tmp_path: Path) -> None:
    files = app("from app.things import Thing\n\ndef use(thing: Thing):\n    return thing.port\n")
    one(check(tmp_path / "a", files, RULES), "SSOT301")
    files["app/plugin.py"] = "def mark(thing):\n    thing.port = 1\n"
    assert ids(check(tmp_path / "b", files, RULES)) == []


def test_a_property_is_extended_by_its_own_name(tmp_path: Path) -> None:
    text = """
        from app.things import Thing

        size = Thing("x")


        class Box:
            @property
            def size(self):
                return 1

            @size.setter
            def size(self, value):
                pass
    """
    assert ids(check(tmp_path, app(text), RULES)) == []


@pytest.mark.parametrize("attribute", ["fail", "assertEqual", "__composite_values__"])
def test_what_a_class_is_mixed_into_has_its_own(tmp_path: Path, attribute: str) -> None:
    text = f"class Checks:\n    x = 1\n\n    def use(self):\n        return self.{attribute}()\n"
    assert ids(check(tmp_path, app(text), RULES)) == []


def test_a_method_that_asks_for_its_locals_fills_nothing(tmp_path: Path) -> None:
    things = "class Thing:\n    y = 1\n\n    def show(self):\n        return locals(), vars(self)\n"
    text = "from app.things import Thing\n\ndef use(thing: Thing):\n    return thing.x\n"
    one(check(tmp_path, app(text, things), RULES), "SSOT301")


def test_nested_configurations_and_classes_of_functions_are_not_confused_with_others(tmp_path: Path) -> None:
    things = (
        "class A:\n    class Meta:\n        x = 1\n\n\nclass B:\n    class Meta:\n        y = 1\n\n\n"
        "def make():\n    class Thing:\n        x = 1\n    return Thing()\n\n\nclass Thing:\n    x = 2\n"
    )
    text = "from app.things import A, Thing\n\ndef use(meta: A.Meta, thing: Thing):\n    return meta.x, thing.x\n"
    assert ids(check(tmp_path, app(text, things), RULES)) == []


def test_moving_lines_keeps_the_fingerprint_and_another_attribute_changes_it(tmp_path: Path) -> None:
    text = "from app.things import Thing\n\ndef use(thing: Thing):\n    return thing.{}\n"

    def fingerprint(name: str, text: str) -> str:
        return one(check(tmp_path / name, app(text), RULES), "SSOT301").fingerprint

    first = fingerprint("a", text.format("nam"))
    assert fingerprint("b", "import os\n\nother = os\n" + text.format("nam")) == first
    assert fingerprint("c", text.format("size")) != first


def test_an_attribute_of_three_origins_is_not_of_the_last(tmp_path: Path) -> None:
    things = "".join(f"class {name}:\n    def __init__(self):\n        self.{name.lower()} = 1\n\n\n" for name in "ABC")
    text = """
        from app.things import A, B, C


        class Holder:
            def one(self):
                self.thing = A()

            def two(self):
                self.thing = B()

            def three(self):
                self.thing = C()

            def use(self):
                return self.thing.a
    """
    assert ids(check(tmp_path, app(text, things), RULES)) == []


def test_calling_an_enumeration_makes_another(tmp_path: Path) -> None:
    things = "from enum import Enum\n\n\nclass Named(Enum):\n    def __str__(self):\n        return self.name\n"
    text = "from app.things import Named\n\nColor = Named('Color', {'RED': 1})\n\n\ndef use():\n    return Color.RED\n"
    assert ids(check(tmp_path, app(text, things), RULES)) == []


PART = "class Part:\n    def load(self):\n        return self.settings.get('x')\n"


def test_what_nothing_makes_may_be_mixed_into_what_has_more(tmp_path: Path) -> None:
    text = "import app.things\n\nAll = type('All', tuple(vars(app.things).values()), {})\n"
    assert ids(check(tmp_path, app(text, PART), RULES)) == []


def test_what_a_test_looks_at_is_as_broken_as_it_needs(tmp_path: Path) -> None:
    text = "class Foo:\n    def __init__(self):\n        self.x = self.bla\n"
    assert ids(check(tmp_path, {"tests/test_data/foo.py": text}, RULES)) == []
    assert ids(check(tmp_path, {"tests/foo.py": text}, RULES)) == ["SSOT301"]


def test_inheriting_from_object_makes_nothing(tmp_path: Path) -> None:
    assert ids(check(tmp_path, app("", PART.replace("Part:", "Part(object):")), RULES)) == []


def test_a_constructor_that_passes_arguments_on_makes_no_object_by_itself(tmp_path: Path) -> None:
    part = PART + "\n    def __init__(self, **options):\n        super().__init__(**options)\n"
    assert ids(check(tmp_path, app("", part), RULES)) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("from app.things import Part\n\npart = Part()\n", id="called"),
        pytest.param("from app.things import Part\n\n\nclass Other(Part):\n    pass\n", id="only inherited from"),
    ],
)
def test_self_is_known_where_objects_of_the_class_are_made(tmp_path: Path, text: str) -> None:
    expected = ["SSOT301"] if "Part()" in text else []
    assert ids(check(tmp_path, app(text, PART), RULES)) == expected


def test_a_class_that_asks_super_for_what_no_base_has_stands_before_others(tmp_path: Path) -> None:
    front = "\n\nclass Front:\n    x = 1\n\n    def show(self):\n        return super().show() + self.other\n"
    made = "from app.things import Front\n\nfront = Front()\n"
    assert ids(check(tmp_path, app(made, front), RULES)) == []
    assert ids(check(tmp_path, app(made, front.replace("super().show() + ", "")), RULES)) == ["SSOT301"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("    def __init__(self):\n        self.__dict__ = self\n", id="is its own dict"),
        pytest.param("    __getattr__ = dict.__getitem__\n", id="assigned"),
    ],
)
def test_a_dict_that_gives_its_items_as_attributes_has_any(tmp_path: Path, body: str) -> None:
    made = "from app.things import Bunch\n\n\ndef show():\n    bunch = Bunch()\n    return bunch.other\n"
    assert ids(check(tmp_path, app(made, f"\n\nclass Bunch(dict):\n    x = 1\n\n{body}"), RULES)) == []


def test_what_a_test_sketches_in_a_function_and_what_is_vendored_is_left_alone(tmp_path: Path) -> None:
    part = "class Part:\n    x = 1\n\n    def show(self):\n        return self.other\n\n\nPart().show()\n"
    local = "def test_part():\n" + "".join(f"    {line}" if line.strip() else line for line in part.splitlines(True))
    files = {"app/__init__.py": "", "app/_vendor/part.py": part, "tests/test_part.py": local}
    assert ids(check(tmp_path, files, RULES)) == []
    assert ids(check(tmp_path, {"tests/test_part.py": part}, RULES)) == ["SSOT301"]


def test_a_class_that_a_method_imports_for_itself_is_not_the_one_of_the_file(tmp_path: Path) -> None:
    text = """
        from app.things import Thing


        class Shelf:
            def __init__(self):
                from app.others import Thing

                self.thing = Thing()

            def show(self):
                return self.thing.other
    """
    files = {"app/__init__.py": "", "app/things.py": "class Thing:\n    x = 1\n", "app/shelf.py": text}
    assert (
        ids(check(tmp_path, {**files, "app/others.py": "class Thing:\n    other = 1\n"}, {"select": ["SSOT3"]})) == []
    )


def test_an_attribute_that_is_set_on_what_a_call_gives_may_be_on_this(tmp_path: Path) -> None:
    show = "def show(get):\n    get().other = 1\n    part = Part()\n    return part.other\n"
    made = f"from app.things import Part\n\n\n{show}"
    part = "\n\nclass Part:\n    x = 1\n"
    assert ids(check(tmp_path, app(made, part), RULES)) == []
    assert ids(check(tmp_path, app(made.replace("    get().other = 1\n", ""), part), RULES)) == ["SSOT301"]
