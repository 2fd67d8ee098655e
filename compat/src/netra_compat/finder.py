"""The meta path finder that makes the old modules, and the modules it makes.

A module is made when it is first imported and holds nothing: each access to a name looks the object up where it lives
now. So importing an old path loads nothing of Netra until a name is used, and in phase 2 every place that uses an old
path is told, not only the first.

`NETRA_COMPAT_PHASE` says what an old path does: 1 (default) works and says nothing, 2 works with a `DeprecationWarning`
that names the new path, 3 raises an `ImportError` that names it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Literal

from .table import MODULES

PHASE = "NETRA_COMPAT_PHASE"
_PHASES: dict[str, Literal[1, 2, 3]] = {"": 1, "1": 1, "2": 2, "3": 3}
# The packages between a first part, which is a real package, and the modules.
_PARENTS = {name.rsplit(".", depth)[0] for name in MODULES for depth in range(1, name.count("."))}


class OldModule(ModuleType):
    """A module of the table. Its names are looked up anew each time."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__") or name in _children(self.__name__):
            # Python asks for these itself: what a module may lack, and a submodule that is not imported yet.
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        names = MODULES.get(self.__name__, {})
        if name not in names:
            known = sorted({*names, *_children(self.__name__)})
            raise ImportError(f"{self.__name__} has no {name!r}; it has {', '.join(known)}", name=self.__name__)
        home, new = names[name]
        phase = _phase()
        if phase == 3:
            raise ImportError(f"{self.__name__}.{name} is no more: {_instead(home, new, name)}", name=self.__name__)
        if phase == 2:
            message = f"{self.__name__}.{name} is deprecated: {_instead(home, new, name)}"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(import_module(home), new)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *MODULES.get(self.__name__, {})})


class OldPaths(MetaPathFinder, Loader):
    """Finds and makes the modules of the table and the packages above them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in MODULES and fullname not in _PARENTS:
            return None
        return ModuleSpec(fullname, self, origin="netra_compat.table", is_package=fullname in _PARENTS)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return OldModule(spec.name, f"Names of {spec.name} in Netra; see netra_compat.table.")

    def exec_module(self, module: ModuleType) -> None:
        names = MODULES.get(module.__name__, {})
        if names and _phase() == 3:
            instead = "\n".join(f"    {_instead(home, new, old)}" for old, (home, new) in names.items())
            raise ImportError(f"{module.__name__} is no more. What it held:\n{instead}", name=module.__name__)
        module.__dict__["__all__"] = sorted(names)


def _phase() -> Literal[1, 2, 3]:
    text = os.environ.get(PHASE, "")
    if text not in _PHASES:
        raise ImportError(f"{PHASE} is {text!r}; set it to 1 (silent), 2 (warn) or 3 (refuse)")
    return _PHASES[text]


def _instead(home: str, new: str, old: str) -> str:
    return f"from {home} import {new}" + ("" if new == old else f"  # was {old}")


def _children(package: str) -> set[str]:
    below = package + "."
    return {name.removeprefix(below).split(".")[0] for name in MODULES if name.startswith(below)}
