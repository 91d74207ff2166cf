# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The types of the extension module."""

from typing import Final, TypedDict

class Compiled(TypedDict):
    """What was compiled in."""

    libkcoro: str
    abi: int
    python: str
    atomics: str
    pollers: list[str]

VERSION: Final[str]

def compiled() -> Compiled:
    """What was compiled in: the versions, how atomics are made, and the pollers."""
