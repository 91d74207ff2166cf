# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A coroutine around anything that can be awaited, for tasks that start with what is no coroutine itself."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

__all__ = ["await_it"]


async def await_it(awaitable: Awaitable[Any]) -> Any:
    """Await it and return its result."""
    return await awaitable
