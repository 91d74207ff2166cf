# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cancel scopes and nurseries of the native host: what core decides about errors, on objects that C looks into.

The functions are those of ``kcoro_core.hosts.scopes``, so both hosts of ours mean the same to the letter. Only where
time is spent for each child, or for each cancel point, is there something of C in their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kcoro_core.hosts import scopes as core

from . import _native

if TYPE_CHECKING:
    from .host import NativeHost

__all__ = ["NativeNursery", "NativeScope"]


class NativeScope(_native.Scope):
    """A cancel scope of the native host; see ``kcoro_core.hosts.scopes.Scope``."""

    __slots__ = ()

    __enter__: Any = core.Scope.__enter__
    __exit__: Any = core.Scope.__exit__
    close: Any = core.Scope.close
    _catches: Any = core.Scope._catches


class NativeNursery(_native.Nursery):
    """A nursery of the native host; see ``kcoro_core.hosts.scopes.TaskNursery``."""

    __slots__ = ()

    def __init__(self, host: NativeHost) -> None:
        super().__init__(host, NativeScope(host))

    __aenter__: Any = core.TaskNursery.__aenter__
    __aexit__: Any = core.TaskNursery.__aexit__
    _combined: Any = core.TaskNursery._combined
    _give_up: Any = core.TaskNursery._give_up

    async def _join(self) -> None:
        """Wait for the children; Ctrl-C, the one thing that can end this, cancels them first."""
        if not self._children:
            await self._owner.pause()
        self._waiter = self._owner.current()
        while self._children:
            try:
                await self._owner.block(lambda: f"waits for {self._children} children of its nursery to end")
            except KeyboardInterrupt as interrupt:
                self._fail(interrupt)
