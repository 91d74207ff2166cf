# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a look-up came to, for tests."""

from __future__ import annotations

from kcoro_core.transports.lookup import Unknown

__all__ = ["text_of"]


def text_of(answer: object) -> str:
    """Why there is no place."""
    assert isinstance(answer, Unknown)
    return answer.reason
