# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where an exception goes that nobody can receive: to ``sys.unraisablehook``, as Python does for finalizers."""

from __future__ import annotations

__all__ = ["report_unraisable"]


class _Messenger:
    """Its finalizer raises, which is the one public way to reach the unraisable hook with a real record."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


def report_unraisable(error: BaseException, while_doing: str) -> None:
    """Hand ``error`` to the unraisable hook, with a note of what was going on; returns normally."""
    error.add_note(f"raised in {while_doing}; kcoro went on, and the outcome of the operation is not changed by it")
    _Messenger(error)
