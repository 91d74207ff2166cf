# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The channels of the native engine as programs have them: the face of core, with three methods in C.

``send``, ``recv`` and ``async for`` without a deadline and a token are awaited in C while they are used on the native
host; everything else, and everything elsewhere, is what ``kcoro_core.channel.Channel`` does.
"""

from __future__ import annotations

from typing import TypeVar

from kcoro_core import scope
from kcoro_core.channel import Channel
from kcoro_core.clauses import Recv, Send
from kcoro_core.select import Selected

from . import _native

__all__ = ["NativeChannel"]

T = TypeVar("T")


class NativeChannel(Channel[T]):
    """A channel whose waits cost no coroutine on the native host; otherwise as ``kcoro_core.Channel``."""

    __slots__ = ()


_native._quicken(NativeChannel, Selected, Recv, Send)
_native._quicken_scopes(scope.Task, scope.Scope, scope._ids, scope._PENDING)
