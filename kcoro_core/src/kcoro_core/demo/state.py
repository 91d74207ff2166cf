# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How far a run is, for whoever shows it; the demo itself knows no terminal."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

__all__ = ["Show", "State"]


@frozen
class State:
    """What is being done, and how many bytes of it are done; ``total_size`` is None when nobody knows the end."""

    doing: str
    size: int
    total_size: int | None
    details: str = ""


Show = Callable[[State], object]
"""What is called with the state whenever it has changed: a progress bar, or nothing."""
