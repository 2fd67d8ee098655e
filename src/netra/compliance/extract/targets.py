"""Assignments: which names and attributes get a value, and where it comes from."""

from __future__ import annotations

import ast

from msgspec import structs

from netra.compliance.facts import MODULE, Assignment, Member

from .expressions import Expressions
from .names import annotation_of, dotted, last_name, literal, strings
from .scopes import ClassScope, NameScope, Scene, method_of


class Targets(Expressions):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._assignments: list[Assignment] = []
        self._exports: list[str] | None = None
        self._put: set[str] = set()
        self._later: list[tuple[ClassScope, Member, NameScope]] = []

    def _assign(self, node: ast.Assign, place: Scene) -> None:
        self._expression(node.value, place)
        for target in node.targets:
            self._target(target, node.value, place, node.lineno)

    def _annotated(self, node: ast.AnnAssign, place: Scene) -> None:
        if node.value is not None:
            self._expression(node.value, place)
        annotation = annotation_of(node.annotation)
        source = f"ann:{annotation}" if annotation else ""
        target = node.target
        if isinstance(target, ast.Name):
            if place.into is not None:
                value = literal(node.value) if node.value is not None else ""
                place.into.add(Member(target.id, "field", node.lineno, "", source, value))
                return
            place.scope.bind(target.id, source)
            if place.scope.index == MODULE:
                self._module_assignment(target.id, node.value, node.lineno, place)
        elif isinstance(target, ast.Attribute):
            self._attribute_target(target, source, node.value, place, node.lineno)

    def _augmented(self, node: ast.AugAssign, place: Scene) -> None:
        self._expression(node.value, place)
        target = node.target
        if isinstance(target, ast.Name):
            if place.into is None and target.id != "__all__":
                place.scope.bind(target.id, "")
            elif target.id == "__all__" and place.scope.index == MODULE:
                more = strings(node.value)
                if more is None or self._exports is None:
                    self._exports_more()
                else:
                    self._exports.extend(more)
        elif isinstance(target, ast.Attribute):
            self._read_target(target, place)
        else:
            self._expression(target, place)

    def _delete(self, node: ast.Delete, place: Scene) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                if place.into is None:
                    place.scope.bind(target.id, "")
            else:
                self._expression(target, place)

    def _target(self, target: ast.expr, value: ast.expr | None, place: Scene, line: int) -> None:
        kind = type(target)
        if kind is ast.Name:
            self._name_target(target.id, value, place, line)  # type: ignore[attr-defined]
        elif isinstance(target, ast.Attribute):
            self._attribute_target(target, self._source(value, place) if value is not None else "", value, place, line)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for each in target.elts:
                self._target(each, None, place, line)
        elif isinstance(target, ast.Starred):
            self._target(target.value, None, place, line)
        elif isinstance(target, ast.Subscript):
            self._item_target(target, place)
            if isinstance(target.slice, ast.Constant) and dotted(target.value) == "sys.modules":
                self._put.add(str(target.slice.value))
            self._expression(target.value, place)
            self._expression(target.slice, place)

    def _name_target(self, name: str, value: ast.expr | None, place: Scene, line: int) -> None:
        if place.into is not None:
            if name == "__slots__" and value is not None:
                for slot in strings(value) or ():
                    place.into.add(Member(slot, "slot", line, "", "", ""))
            if name in ("__getattr__", "__getattribute__"):
                place.into.dynamic = True
            text = "" if value is None else dotted(value)
            source = self._source(value, place) if value is not None and isinstance(value, ast.Call) else ""
            place.into.add(Member(name, "attribute", line, "", source, text or literal(value)))
            return
        scope = place.scope
        if name in scope.globals:
            self._assignments.append(self._assignment(name, value, line, place.how, scope.index))
            self._scopes[0].bind(name, self._source(value, place) if value is not None else "")
            scope.caches = True
            return
        scope.bind(name, self._source(value, place) if value is not None else "")
        if scope.index == MODULE:
            self._module_assignment(name, value, line, place)

    def _module_assignment(self, name: str, value: ast.expr | None, line: int, place: Scene) -> None:
        if name == "__getattr__":
            self._dynamic = True
        elif name == "__all__":
            exports = None if value is None else strings(value)
            if exports is None:
                self._exports_more()
            else:
                self._exports = exports
        if value is None:
            self._names[name] = None
        else:
            self._assignments.append(self._assignment(name, value, line, place.how, MODULE))

    @staticmethod
    def _assignment(name: str, value: ast.expr | None, line: int, how: int, function: int) -> Assignment:
        kind, text = "other", ""
        if isinstance(value, (ast.Name, ast.Attribute)) and (text := dotted(value)):
            kind = "alias"
        elif isinstance(value, ast.Call) and (text := dotted(value.func)):
            kind = "call"
        elif isinstance(value, ast.Constant):
            kind, text = "literal", literal(value)
        elif isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)):
            kind = "mutable"
        return Assignment(name, line, kind, text, how, function)

    def _attribute_target(
        self, target: ast.Attribute, source: str, value: ast.expr | None, place: Scene, line: int
    ) -> None:
        holder = target.value
        scope = place.scope
        if isinstance(holder, ast.Name):
            method = method_of(scope, holder.id)
            if method is not None and method.into is not None:
                if target.attr == "__dict__":
                    method.into.dynamic = True  # `self.__dict__ = self`
                member = Member(target.attr, "instance", line, "", source, "")
                if source.startswith("name:"):  # known once the whole method has been seen
                    self._later.append((method.into, member, scope))
                    member = structs.replace(member, type="")
                elif source == "none":
                    member = structs.replace(member, type="")
                elif not source:
                    method.into.doubted.add(target.attr)
                method.into.add(member)
                if isinstance(value, ast.Name) and value.id in method.parameters and method.name != "__init__":
                    method.into.writes[target.attr, "set", value.id, method.name] = None
                return
            scope.unsure.add(f"{holder.id}.{target.attr}")
            self._given.add(target.attr)
        elif isinstance(holder, ast.Attribute) and (text := dotted(holder)):
            scope.unsure.add(f"{text}.{target.attr}")
            self._given.add(target.attr)
        else:
            self._given.add(target.attr)  # `made().name = …`
        self._expression(holder, place)

    def _read_target(self, target: ast.Attribute, place: Scene) -> None:
        """`holder.attr += …`: it must exist already."""
        self._attribute(target, place)

    def _item_target(self, target: ast.Subscript, place: Scene) -> None:
        """`self.attr[key] = …` outside `__init__` is state that grows."""
        holder = target.value
        if not (isinstance(holder, ast.Attribute) and isinstance(holder.value, ast.Name)):
            return
        method = method_of(place.scope, holder.value.id)
        if method is not None and method.into is not None and method.name != "__init__":
            method.into.writes[holder.attr, "item", last_name(target.slice), method.name] = None
