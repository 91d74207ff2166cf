# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The source tree as data for the lints: which packages there are, their modules, and what each imports.

It reads and never imports, so that a lint works on a tree that cannot run.
"""

from __future__ import annotations

import ast
import functools
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(folder.parent.name for folder in ROOT.glob("kcoro_*/pyproject.toml"))

# Folders that builds and tools make: a dot in front, or one of these.
MADE = {"__pycache__", "build", "dist", "htmlcov", "_build", "node_modules"}


@frozen
class Module:
    """One source file: its dotted name, whether it is a package's ``__init__``, and its syntax tree."""

    name: str
    syntax: ast.Module
    is_package: bool = False

    @classmethod
    def planted(cls, name: str, source: str) -> Module:
        """A module that is not in the tree: proof that a lint can fail."""
        return cls(name, ast.parse(source))


@frozen
class Import:
    """One name that a module imports: ``from a.b import c`` gives ``a.b.c``."""

    target: str
    line: int

    def is_in(self, *packages: str) -> bool:
        """Whether the target is one of these packages or lies inside one."""
        return any(self.target == package or self.target.startswith(package + ".") for package in packages)


def project(package: str) -> dict[str, Any]:
    """The ``pyproject.toml`` of a package folder."""
    return tomllib.loads((ROOT / package / "pyproject.toml").read_text())


@functools.cache
def modules(package: str) -> list[Module]:
    """All modules of a package folder, in the order of their names."""
    source = ROOT / package / "src"
    found = []
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found.append(Module(name, ast.parse(path.read_text(), str(path)), is_package))
    return found


def imports(module: Module, *, for_types: bool = True) -> Iterator[Import]:
    """Everything that the module imports, at its top, in functions, for types, and by ``import_module("x")``."""
    unused = set() if for_types else _type_checking(module.syntax)
    for node in ast.walk(module.syntax):
        if node in unused:
            continue
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            yield from (Import(f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in {"import_module", "__import__"}:
            yield from (Import(text, node.lineno) for text in _texts(node.args[:1]))


def sources(*suffixes: str) -> Iterator[Path]:
    """Every file of the project, or those with these suffixes; built and hidden folders (but `.ci`) are left out."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name == ".ci" or _is_ours(Path(folder, name)))
        for name in sorted(set(files) - {".git"}):  # in a second checkout of one repository that is a file
            if not suffixes or name.endswith(suffixes):
                yield Path(folder, name)


def _is_ours(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in MADE or folder.name.endswith(".egg-info")
    return not hidden and not (folder / "pyvenv.cfg").exists()


def _type_checking(syntax: ast.Module) -> set[ast.AST]:
    blocks = (node for node in ast.walk(syntax) if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING")
    return {inner for block in blocks for statement in block.body for inner in ast.walk(statement)}


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    parts = parts[: len(parts) - node.level + module.is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _texts(nodes: list[ast.expr]) -> list[str]:
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
