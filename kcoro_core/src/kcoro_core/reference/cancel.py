# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The tree of cancel tokens: triggering one sets it and everything below it, never anything above.

Rule 1: the whole subtree is set before the first callback runs, so no callback sees half a tree.
Rule 2: a token is set once; the first reason stays. A child made under a set token starts set.
Rule 3: a parent does not keep a child alive, unless callbacks wait on it or on its own children: request-sized tokens
        may be made and forgotten by the million.
Rule 4: callbacks run once each, in the order in which they were added, parents before children.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

__all__ = ["Subscription", "Token"]


class Subscription:
    """A callback that waits on a token; ``cancel`` takes it back."""

    __slots__ = ("fn", "token")

    def __init__(self, token: Token, fn: Callable[[], object]) -> None:
        self.token = token
        self.fn = fn

    def cancel(self) -> bool:
        """True exactly when the callback has not run and now never will."""
        return self.token.unsubscribe(self)


class Token:
    """One node of the tree: whether it is set, why, and who wants to know."""

    __slots__ = ("__weakref__", "children", "is_set", "key", "next_key", "parent", "pinned", "reason", "waiting")

    def __init__(self, parent: Token | None = None) -> None:
        self.parent = parent
        self.children: dict[int, weakref.ref[Token]] = {}
        self.pinned: dict[int, Token] = {}
        self.next_key = 0
        self.waiting: dict[Subscription, None] = {}
        self.is_set: bool = parent is not None and parent.is_set
        self.reason: object = parent.reason if parent is not None and parent.is_set else None
        self.key = parent._adopt(self) if parent is not None and not self.is_set else -1

    def _adopt(self, child: Token) -> int:
        key = self.next_key
        self.next_key += 1
        children = self.children
        children[key] = weakref.ref(child, lambda _: children.pop(key, None))
        return key

    # -- waiting on it

    def subscribe(self, fn: Callable[[], object]) -> Subscription:
        """Have ``fn`` called when the token is set; the caller checks ``is_set`` first."""
        subscription = Subscription(self, fn)
        self.waiting[subscription] = None
        self._pin()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> bool:
        """Take a callback back."""
        if subscription not in self.waiting:
            return False
        del self.waiting[subscription]
        self._unpin()
        return True

    def _pin(self) -> None:
        """Somebody waits here: every ancestor has to keep the way down to this token alive."""
        token = self
        while token.parent is not None and token.key >= 0 and token.key not in token.parent.pinned:
            token.parent.pinned[token.key] = token
            token = token.parent

    def _unpin(self) -> None:
        token = self
        while token.parent is not None and not token.waiting and not token.pinned:
            token.parent.pinned.pop(token.key, None)
            token = token.parent

    # -- setting it

    def trigger(self, reason: object = None) -> list[BaseException]:
        """Set the subtree, then run its callbacks; returns what they raised. Nothing happens the second time."""
        if self.is_set:
            return []
        tokens = self._subtree()
        for token in tokens:
            token.is_set = True
            token.reason = reason
        callbacks = [subscription for token in tokens for subscription in token.waiting]
        for token in tokens:
            token.waiting.clear()
            token.children.clear()
            token.pinned.clear()
        if self.parent is not None:
            self.parent.pinned.pop(self.key, None)
            self.parent._unpin()
        return [error for subscription in callbacks if (error := _call(subscription.fn)) is not None]

    def _subtree(self) -> list[Token]:
        """This token and all unset ones below it, parents first; without recursion, so depth has no limit."""
        found = [self]
        for token in found:
            found.extend(
                child for ref in list(token.children.values()) if (child := ref()) is not None and not child.is_set
            )
        return found


def _call(fn: Callable[[], object]) -> BaseException | None:
    try:
        fn()
    except BaseException as error:  # noqa: BLE001 - collected for whoever triggers; the others are still to be told
        return error
    return None
