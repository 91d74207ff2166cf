# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The programs of ``docs/_tools``, imported from where they lie: that folder is no package."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from .blocks import DOCS

sys.path.append(str(DOCS / "_tools"))  # they import each other


def load(name: str) -> ModuleType:
    """One program as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "_tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables = load("tables")
