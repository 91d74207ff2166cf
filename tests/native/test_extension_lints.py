# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What holds for the C sources of the extension: one knows versions, nothing is private, nothing prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .library import NATIVE
from .test_lints import ENDS_OR_PRINTS, code

SOURCES = sorted((NATIVE / "pysrc").glob("*.[ch]"))
VERSIONS = re.compile(r"PY_VERSION_HEX|PY_(?:MAJOR|MINOR)_VERSION|Py_GIL_DISABLED|PYPY_VERSION")
# Interfaces of the interpreter that may change with any release; without them a new version is a matter of testing.
PRIVATE = re.compile(r"\b_Py[A-Z]\w*|\bPyUnstable_\w+|pycore_\w+|Py_BUILD_CORE")
# What carries the state of a stack has to name what it carries; the struct that these types are for is public.
NAMED = {
    "private_stack.h": {"_PyCFrame", "_PyErr_StackItem", "_PyInterpreterFrame", "_PyStackChunk"},
    "private_stack.c": {"_PyCFrame", "_PyInterpreterFrame", "_PyStackChunk"},
    # No other interface says where a stack is; a version without it is refused by name.
    "python.h": {"PyUnstable_ThreadState_SetStackProtection", "PyUnstable_ThreadState_ResetStackProtection"},
}
# Objects in variables of the file would be shared by interpreters, and outlive the module.
SHARED = re.compile(r"^static (?:Py\w+|kpy_\w+_t) \*\w+(?: = NULL)?;", re.MULTILINE)

# Methods of a class of Python have no module to ask for its state.
KNOWN = {"loop_face.c": ["static kpy_state_t *quickened;"]}


def found(pattern: re.Pattern[str], text: str) -> list[str]:
    """What the pattern finds outside comments and texts."""
    return pattern.findall(re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', code(text)))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_source_of_the_extension_is_portable_and_quiet(path: Path) -> None:
    text = path.read_text()
    assert set(found(PRIVATE, text)) == NAMED.get(path.name, set())
    assert found(ENDS_OR_PRINTS, text) == []
    assert found(SHARED, text) == KNOWN.get(path.name, [])
    assert path.name == "python.h" or found(VERSIONS, text.replace("KPY_VERSION_HEX", "")) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (PRIVATE, "int i = _PyLong_AsInt(o);"),
        (PRIVATE, '#include "internal/pycore_frame.h"'.replace('"', "<")),
        (ENDS_OR_PRINTS, 'printf("x");'),
        (SHARED, "static PyObject *cache;"),
        (SHARED, "static PyTypeObject *type = NULL;"),
        (VERSIONS, "#if PY_VERSION_HEX >= 0x030c0000"),
    ],
)
def test_a_planted_line_is_found(pattern: re.Pattern[str], line: str) -> None:
    assert found(pattern, line)
    assert not found(pattern, f"/* {line} */")


def test_lines_of_the_engine_are_short() -> None:
    engine = [path for path in SOURCES if not path.name.startswith("loop")]
    assert [path.name for path in engine if any(len(line) > 120 for line in path.read_text().splitlines())] == []
