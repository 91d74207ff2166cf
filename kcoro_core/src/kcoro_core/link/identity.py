# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Who may do what over a link: the rule that holds unless a program brings its own.

Rule 1: an identity that the medium has not verified is nobody's.
Rule 2: whatever an ``authorize`` raises is a denial, told to the unraisable hook; it never reaches the peer.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable

from ..transport import Identity
from ..unraisable import report_unraisable
from ..wire.messages import Rights

__all__ = ["Authorize", "allowed", "same_user"]

Authorize = Callable[[Identity, str, str], bool]
"""``authorize(identity, name, operation)``: may this peer do that to the channel exported under ``name``?

``operation`` is ``"send"``, ``"recv"`` or ``"close"``: asked when the peer opens a channel, once for each right that
the export offers; what it denies then stays denied for that handle. Or it is ``"call"``, asked for each call, where
``name`` is the number of the command, as in ``"64"``; or ``"make"``, asked when the peer makes a channel of that name,
to which it then has every right.
"""


def same_user(identity: Identity, name: str = "", operation: str = "") -> bool:
    """The default rule: a peer whose identity is verified and who runs as the same user as this process."""
    return identity.verified and identity.uid is not None and identity.uid == os.getuid()


def allowed(authorize: Authorize, identity: Identity, name: str, offered: Rights) -> Rights:
    """Those of the offered rights that the rule grants to this peer."""
    granted = Rights(0)
    for right in Rights:
        if right & offered and may(authorize, identity, name, str(right.name).lower()):
            granted |= right
    return granted


def may(authorize: Authorize, identity: Identity, name: str, operation: str) -> bool:
    """Ask the rule; an exception in it is a no."""
    try:
        answer: object = authorize(identity, name, operation)
        if inspect.isawaitable(answer):  # true, whatever it would say
            getattr(answer, "close", int)()  # a coroutine would complain that nobody awaited it
            raise TypeError("authorize= must answer with a bool at once; it gave something to be awaited")
        return bool(answer)
    except Exception as error:  # noqa: BLE001 - user code; it must not decide in favour of a stranger by failing
        report_unraisable(error, f"authorize({identity!r}, {name!r}, {operation!r})")
        return False
