"""What is known of classes that are not among the files: builtin ones, those of `enum`, and bases that add nothing."""

from __future__ import annotations

import builtins

TRANSPARENT_BASES = frozenset(
    {
        "builtins.object", "abc.ABC", "typing.Generic", "typing.Protocol", "typing_extensions.Protocol",
        "typing_extensions.Generic",
    }
)  # fmt: skip
ENUMS = frozenset({"enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag"})
_DECORATORS = frozenset(
    {
        "dataclass", "dataclasses.dataclass", "final", "typing.final", "runtime_checkable", "typing.runtime_checkable",
        "total_ordering", "functools.total_ordering", "unique", "enum.unique", "deprecated", "override",
    }
)  # fmt: skip
OF_EVERY_OBJECT = frozenset(dir(object)) | {
    "__dict__",
    "__module__",
    "__weakref__",
    "__annotations__",
    "__name__",
    "__qualname__",
    "__slots__",
}
OF_DATACLASSES = frozenset({"__dataclass_fields__", "__post_init__", "__match_args__"})


def is_known_decorator(name: str) -> bool:
    return name in _DECORATORS


def is_known_keyword(keyword: str) -> bool:
    return keyword in ("metaclass=ABCMeta", "metaclass=abc.ABCMeta")


def is_known(name: str) -> bool:
    if name in TRANSPARENT_BASES or name in ENUMS:
        return True
    module, _, last = name.partition(".")
    return module == "builtins" and isinstance(getattr(builtins, last, None), type)


def members_of(name: str) -> frozenset[str]:
    if name in ENUMS:
        return frozenset({"name", "value", "_name_", "_value_", "__members__", "_missing_", *dir(int), *dir(str)})
    module, _, last = name.partition(".")
    if module == "builtins" and isinstance(known := getattr(builtins, last, None), type):
        # Exceptions take notes from 3.11 on; what the newest Python has is there for all.
        return frozenset(dir(known)) | {"add_note", "__notes__"}
    return frozenset()
