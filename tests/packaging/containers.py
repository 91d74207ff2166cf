# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Which attributes of a class can grow: every container that an instance keeps, found in the source without running it.

Found are ``self.x = ...`` in any method, and fields of a class body, whose value makes a container or whose type names
one. A container that lives in a local variable ends with its call and is no matter here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from attrs import frozen

from .tree import Module

MAKERS = {
    "dict", "list", "set", "deque", "OrderedDict", "defaultdict", "Counter", "bytearray", "WeakSet",
    "WeakKeyDictionary", "WeakValueDictionary", "channel",
}  # fmt: skip
TYPES = MAKERS | {"Dict", "List", "Set", "Deque", "MutableMapping", "MutableSequence", "MutableSet"}


@frozen(order=True)
class Container:
    """``module.Class.attribute``, or ``module.attribute``; where it stands."""

    name: str
    line: int


def containers(module: Module) -> Iterator[Container]:
    """The containers of a module, of its classes, and of their instances."""
    yield from _fields(module.name, module.syntax.body, of_module=True)
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.ClassDef):
            owner = f"{module.name}.{node.name}"
            yield from _fields(owner, node.body)
            yield from _of_instances(owner, node)


def _fields(owner: str, body: list[ast.stmt], of_module: bool = False) -> Iterator[Container]:
    for node in body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind, value=value):
                # A Final table of a module is written once, at import.
                if not (of_module and "Final" in ast.unparse(kind)) and (_makes(value) or _is_of(kind)):
                    yield Container(f"{owner}.{name}", node.lineno)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if not of_module and _makes(value):
                yield Container(f"{owner}.{name}", node.lineno)


def _of_instances(owner: str, cls: ast.ClassDef) -> Iterator[Container]:
    for node in ast.walk(cls):
        match node:
            case ast.Assign(targets=targets, value=value):
                kind: ast.expr | None = None
            case ast.AnnAssign(target=target, annotation=kind, value=value):
                targets = [target]
            case _:
                continue
        for target in targets:
            match target:
                case ast.Attribute(value=ast.Name(id="self"), attr=name) if _makes(value) or _is_of(kind):
                    yield Container(f"{owner}.{name}", node.lineno)


def _makes(value: ast.expr | None) -> bool:
    """Whether this expression makes a container, or a field that will."""
    match value:
        case ast.Dict() | ast.List() | ast.Set() | ast.DictComp() | ast.ListComp() | ast.SetComp():
            return True
        case ast.Call(func=function, keywords=keywords):
            return _last(function) in MAKERS or any(
                keyword.arg in ("factory", "default_factory") and _last(keyword.value) in MAKERS for keyword in keywords
            )
    return False


def _is_of(kind: ast.expr | None) -> bool:
    """Whether this type names a container that can grow."""
    return kind is not None and any(_last(node) in TYPES for node in ast.walk(kind) if isinstance(node, ast.expr))


def _last(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=inner):
            return _last(inner)
    return ""
