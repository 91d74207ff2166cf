# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The settings about stacks reach libkcoro: once, when the first module that needs stacks is imported (row CF4)."""

from __future__ import annotations

from kcoro_core.config import settings

from . import _native

__all__ = ["use_settings"]


def use_settings() -> None:
    """Have what is made from now on take its stacks as the settings of this process say; others keep theirs."""
    _native._use_stacks(settings().stack_size, settings().kept_stacks)
