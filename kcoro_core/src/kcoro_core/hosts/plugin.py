# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The hosts of core as a plugin: trio, and the seeded script host."""

from __future__ import annotations

from typing import Any

from ..hookspecs import hookimpl


@hookimpl
def kcoro_host(name: str) -> Any:
    """The trio host or the script host; imported when asked for."""
    if name == "trio":
        from .trio import factory as trio_factory

        return trio_factory
    if name == "script":
        from .script import factory as script_factory

        return script_factory
    return None
