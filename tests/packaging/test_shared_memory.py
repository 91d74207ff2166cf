# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Core shares no memory between processes: what crosses a process boundary is copied. Row: Z7."""

from __future__ import annotations

import ast
import re

import pytest

from .tree import Module, modules

SHARED = re.compile(r"\bshared_memory\b|\bsharedctypes\b|\bmmap\b|MAP_SHARED|\b_?(posix)?shm|memfd_create|/dev/shm")


def shared_memory(module: Module) -> list[str]:
    """Every name, import or text of this module (docstrings apart) that stands for memory shared by processes."""
    talk = {id(node.value) for node in ast.walk(module.syntax) if isinstance(node, ast.Expr)}
    words = ((node, word) for node in ast.walk(module.syntax) if id(node) not in talk for word in _words(node))
    return [f"{module.name}:{getattr(node, 'lineno', 0)} {word}" for node, word in words if SHARED.search(word)]


def _words(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=word) | ast.Attribute(attr=word) | ast.alias(name=word) | ast.ImportFrom(module=str(word)):
            return [word]
        case ast.Constant(value=str(word)):
            return [word]
    return []


def test_core_names_no_shared_memory() -> None:
    """Row: Z7."""
    assert [line for module in modules("kcoro_core") for line in shared_memory(module)] == []


@pytest.mark.parametrize(
    "source",
    [
        "from multiprocessing import shared_memory",
        "from multiprocessing.shared_memory import SharedMemory",
        "import mmap",
        "flags = m.MAP_SHARED",
        "libc.shm_open(b'x')",
        "open('/dev/shm/kcoro')",
        "import os\nos.memfd_create('kcoro')",
    ],
)
def test_the_lint_sees_a_planted_use(source: str) -> None:
    """Row: Z7."""
    assert shared_memory(Module.planted("kcoro_core.planted", source))


def test_the_lint_lets_a_docstring_say_that_there_is_none() -> None:
    assert shared_memory(Module.planted("kcoro_core.planted", '"""No shared_memory and no mmap here."""')) == []
