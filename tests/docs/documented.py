# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a source file leaves undocumented; it reads syntax and never imports, so that a mutated copy can be checked.

Public is what a module lists in ``__all__``: functions, classes, constants. Then the members of its enums and flags,
the public methods of its classes, and every hook. Purpose and use take some words: MIN_WORDS for what has a name of its
own, MIN_METHOD_WORDS for a method, whose class has told the rest.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field

MIN_WORDS = 6
MIN_METHOD_WORDS = 2
ENUMS = {"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@define
class Tree:
    """The modules of a source folder, and its classes by name: a method that a base documents is documented."""

    modules: dict[str, ast.Module] = field(factory=dict)
    classes: dict[str, ast.ClassDef] = field(factory=dict)

    def add(self, name: str, source: str) -> None:
        """Take in one module."""
        module = self.modules[name] = ast.parse(source, name)
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef):
                self.classes.setdefault(node.name, node)

    @classmethod
    def of(cls, *folders: Path) -> Tree:
        """Every module below these folders."""
        tree = cls()
        for folder in folders:
            for path in sorted(folder.rglob("*.py")):
                tree.add(str(path.relative_to(folder)), path.read_text())
        return tree

    def undocumented(self) -> list[str]:
        """``module: name (why)`` for everything public without purpose and use."""
        return [f"{name}: {finding}" for name, module in self.modules.items() for finding in self._in_module(module)]

    def _in_module(self, module: ast.Module) -> Iterator[str]:
        if module.body and words(ast.get_docstring(module)) < MIN_WORDS:
            yield "the module"
        public = public_names(module)
        for node, below in with_next(module.body):
            for name in defined(node):
                if name in public:
                    yield from self._one(node, name, below)

    def _one(self, node: ast.stmt, name: str, below: ast.stmt | None) -> Iterator[str]:
        if isinstance(node, ast.ClassDef):
            yield from short(name, ast.get_docstring(node), MIN_WORDS)
            yield from self._in_class(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from short(name, ast.get_docstring(node), MIN_WORDS)
        elif not is_unpacking(node):
            yield from short(name, string_of(below), MIN_WORDS)

    def _in_class(self, cls: ast.ClassDef) -> Iterator[str]:
        for node, below in with_next(cls.body):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and is_method(node):
                least = MIN_WORDS if is_hook(node.name) else MIN_METHOD_WORDS
                yield from short(f"{cls.name}.{node.name}", self._text_of(cls, node.name), least)
            elif is_enum(cls) and isinstance(node, ast.Assign):
                yield from short(f"{cls.name}.{defined(node)[0]}", string_of(below), MIN_WORDS)

    def _text_of(self, cls: ast.ClassDef, method: str) -> str | None:
        """The docstring of a method, or the one that a base class of the tree has for it."""
        for node in cls.body:
            if isinstance(node, Definition) and node.name == method and (text := ast.get_docstring(node)):
                return text
        bases = (self.classes.get(name_of(base)) for base in cls.bases)
        return next((text for base in bases if base is not None and (text := self._text_of(base, method))), None)


def words(text: str | None) -> int:
    return len((text or "").split())


def short(name: str, text: str | None, least: int) -> Iterator[str]:
    if (count := words(text)) < least:
        yield f"{name} ({count} of at least {least} words)"


def with_next(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, ast.stmt | None]]:
    yield from zip(body, [*body[1:], None], strict=True)


def defined(node: ast.stmt) -> list[str]:
    """The names that a statement gives a meaning to."""
    if isinstance(node, Definition):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    names = [leaf for target in targets for leaf in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [leaf.id for leaf in names if isinstance(leaf, ast.Name)]


def public_names(module: ast.Module) -> set[str]:
    """What the module lists in ``__all__``."""
    lists = [node.value for node in module.body if isinstance(node, ast.Assign) and defined(node) == ["__all__"]]
    return {leaf.value for value in lists for leaf in ast.walk(value) if isinstance(leaf, ast.Constant)}


def is_hook(name: str) -> bool:
    return name.startswith("kcoro_")


def is_method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A public method, once: setters and overloads repeat a name."""
    decorators = {name_of(each) for each in node.decorator_list}
    return not node.name.startswith("_") and not decorators & {"setter", "overload", "default", "validator"}


def is_enum(cls: ast.ClassDef) -> bool:
    return bool({name_of(base) for base in cls.bases} & ENUMS)


def is_unpacking(node: ast.stmt) -> bool:
    """``A, B = Kind`` gives members a second name; the members have the text."""
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript | ast.Call):
        return name_of(node.value if isinstance(node, ast.Subscript) else node.func)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def string_of(node: ast.stmt | None) -> str | None:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return node.value.value if is_text else None  # type: ignore[union-attr]
