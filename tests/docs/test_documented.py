# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every public name, constant, enum member, flag, hook and variable is documented with purpose and use. Row: Q1."""

from __future__ import annotations

import ast
import re

import pytest

import kcoro_core
from kcoro_core import config

from .blocks import DOCS, ROOT
from .documented import ENUMS, Tree, is_enum, public_names

SOURCES = sorted(ROOT.glob("kcoro_*/src"))
# Files of which nearly everything is public.
PUBLIC = ("semantics", "hookspecs", "errors", "transport", "engine")
# Used by the tests of this repository, not by the packages.
OF_THE_TESTS = {"KCORO_NO_SKIPS"}
# Stands for any name in a docstring.
PLACEHOLDERS = {"KCORO_X"}


def test_everything_public_has_a_text_with_purpose_and_use() -> None:
    """Row: Q1."""
    tree = Tree.of(*SOURCES)
    assert len(tree.modules) > 50
    assert tree.undocumented() == []


def test_what_the_package_lists_is_listed_by_the_modules_that_define_it() -> None:
    """A public name cannot hide from the lint in a module without ``__all__``. Row: Q1."""
    listed = {name for module in Tree.of(*SOURCES).modules.values() for name in public_names(module)}
    assert set(kcoro_core.__all__) <= listed


# ---------------------------------------------------------------------------------------------------------------------
# Deleting one text, or shrinking it to a word, is found
# ---------------------------------------------------------------------------------------------------------------------


def texts(source: str) -> list[ast.Expr]:
    """Every docstring and every string below a name."""
    expressions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    return [node for node in expressions if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)]


def without(source: str, text: ast.Expr, instead: str) -> str:
    lines = source.splitlines(keepends=True)
    indent = " " * text.col_offset
    return "".join([*lines[: text.lineno - 1], f"{indent}{instead}\n", *lines[text.end_lineno :]])


def found_in(source: str) -> list[str]:
    tree = Tree()
    tree.add("planted", source)
    return tree.undocumented()


def private(source: str) -> set[int]:
    """The lines of texts that belong to private helpers, which need none."""
    helpers = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef) and n.name.startswith("_")]
    return {line for helper in helpers for line in range(helper.lineno, (helper.end_lineno or 0) + 1)}


@pytest.mark.parametrize("instead", ["...", '"""Word."""'], ids=["deleted", "one-word"])
@pytest.mark.parametrize("name", PUBLIC)
def test_no_text_of_a_public_file_can_go_unseen(name: str, instead: str) -> None:
    """Each text in turn, in a copy of the file. Row: Q1."""
    source = (ROOT / f"kcoro_core/src/kcoro_core/{name}.py").read_text()
    assert found_in(source) == []
    needed = [text for text in texts(source) if text.lineno not in private(source)]
    assert len(needed) > 15
    unseen = [text.lineno for text in needed if not found_in(without(source, text, instead))]
    assert unseen == []


@pytest.mark.parametrize(
    "source",
    [
        '"""A module that says enough of itself."""\n__all__ = ["SPEED"]\nSPEED = 3\n',
        '"""A module that says enough of itself."""\n__all__ = ["go"]\ndef go(): pass\n',
        '"""A module that says enough of itself."""\n__all__ = ["go"]\ndef go():\n    """Go."""\n',
        '"""Too short."""\n',
        "x = 1\n",
    ],
)
def test_a_planted_gap_is_found(source: str) -> None:
    """Row: Q1."""
    assert found_in(source)


def test_flags_and_enums_are_seen_as_such() -> None:
    """Row: Q1."""
    found = [node for module in Tree.of(*SOURCES).modules.values() for node in ast.walk(module)]
    enums = [node.name for node in found if isinstance(node, ast.ClassDef) and is_enum(node)]
    assert {"Kind", "Overflow", "Capability", "Undelivered", "Fault"} <= set(enums)
    assert "Flag" in ENUMS


# ---------------------------------------------------------------------------------------------------------------------
# Variables of the environment
# ---------------------------------------------------------------------------------------------------------------------


def variables_of_the_code() -> set[str]:
    """Every variable that the sources name, one for each setting, and those of the tests."""
    files = [path for folder in SOURCES for path in folder.rglob("*.py")]
    named = {name for path in files for name in re.findall(r"\bKCORO_[A-Z]+(?:_[A-Z]+)*\b", path.read_text())}
    in_c = (path for path in (ROOT / "kcoro_native" / "csrc").rglob("*.c"))
    named |= {name for path in in_c for name in re.findall(r'getenv\("(KCORO_\w+)"\)', path.read_text())}
    return (named - PLACEHOLDERS) | OF_THE_TESTS | {f"KCORO_{field.name.upper()}" for field in config.fields()}


def documented_variables(page: str) -> dict[str, str]:
    """The variables of the page's tables, each with its last column; what a compiler is told is none."""
    page = re.sub(r"^## What is decided when .*?(?=^## )", "", page, flags=re.MULTILINE | re.DOTALL)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    return {m[1]: row[-1] for row in rows for cell in row[:2] if (m := re.fullmatch(r"`(KCORO_\w+)`", cell))}


def test_every_variable_of_the_code_is_in_the_manual_and_every_one_of_the_manual_in_the_code() -> None:
    """Rows: CF2, Q1."""
    assert set(documented_variables((DOCS / "CONFIGURATION.md").read_text())) == variables_of_the_code()


def test_every_variable_says_what_it_is_for() -> None:
    """Rows: CF2, Q1."""
    said = documented_variables((DOCS / "CONFIGURATION.md").read_text())
    assert [name for name, text in said.items() if len(text.split()) < 5] == []


def test_a_variable_that_is_missing_in_the_manual_is_found() -> None:
    """Row: CF2."""
    page = (DOCS / "CONFIGURATION.md").read_text().replace("`KCORO_BACKLOG`", "`KCORO_NOTHING`")
    assert set(documented_variables(page)) != variables_of_the_code()
