# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cancel tokens as users see them: an explicit, hierarchical way to end calls, beside the host's own cancellation.

``reference/cancel.py`` decides what is set and who is told; this file adds the run that a token belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import WouldBlock
from .hosts.port import NOWHERE, CancelScope, Handle, Host, current_host, find_host
from .parking import HomeBound, check_timeout, park, result
from .reference.cancel import Subscription, Token
from .reference.waiter import Operation

__all__ = ["CancelToken"]


class CancelToken(HomeBound):
    """Ends the calls that were given it: ``await ch.recv(cancel=token)`` raises OperationCancelled once it is set.

    A token made with a ``parent`` is set when the parent is, never the other way round; under a parent that is set it
    starts set. A token belongs to the run in which somebody first waits on it; ``trigger`` from another thread then
    raises WrongLoop (use ``portal()``).
    """

    __slots__ = ("__weakref__", "_parent", "_token")

    def __init__(self, parent: CancelToken | None = None) -> None:
        super().__init__()
        if parent is not None and not isinstance(parent, CancelToken):
            raise ValueError(f"the parent of a token is a CancelToken or None, not {parent!r}")
        self._parent = parent
        self._token: Token = Token(None if parent is None else parent._token)
        self._home = NOWHERE if parent is None else parent._home

    def __repr__(self) -> str:
        return f"<CancelToken {'set' if self.is_set() else 'not set'} at {id(self):#x}>"

    def is_set(self) -> bool:
        """Whether this token or one above it has been triggered; never becomes False again."""
        return self._token.is_set

    @property
    def reason(self) -> object:
        """What was given to ``trigger``; None before, and when nothing was given."""
        return self._token.reason

    def child(self) -> CancelToken:
        """A token below this one."""
        return CancelToken(self)

    def trigger(self, reason: object = None) -> None:
        """Set this token and all below it, then run their callbacks; harmless when it is set already.

        :raises BaseExceptionGroup: of what callbacks raised; every callback has run, and every token is set.
        :raises WrongLoop: it belongs to another run or thread; nothing was set.
        """
        self._enter(find_host())
        if errors := self._token.trigger(reason):
            raise BaseExceptionGroup("callbacks of a cancel token failed; the token is set", errors)

    def on_trigger(self, fn: Callable[[], object]) -> Handle:
        """Call ``fn`` once when the token is set; at once when it is set already.

        ``fn`` must not wait. ``cancel()`` of the result is True exactly when ``fn`` was not called and will not be.
        """
        host = find_host()
        self._enter(host)
        if self._token.is_set:
            subscription = Subscription(self._token, fn)
            fn()
            return subscription
        return self._token.subscribe(fn) if host is None else self._subscribe(host, fn)

    def _subscribe(self, host: Host, fn: Callable[[], object]) -> Subscription:
        """Wait on this token from a task of ``host``; it and all above it, which can set it, now belong to that run."""
        above = [self]
        while (parent := above[-1]._parent) is not None:
            above.append(parent)
        for token in above:
            token._enter(host)
        for token in above:
            token._home = host
        return self._token.subscribe(fn)

    async def wait(self, timeout: float | None = None) -> object:
        """Wait until the token is set, for at most ``timeout`` seconds; returns the reason.

        :raises WouldBlock: ``timeout`` is 0 and it is not set.
        :raises DeadlineExceeded: it was not set in time. The token is as it was.
        """
        limit = check_timeout(timeout)
        host = current_host()
        self._enter(host)
        await host.cancel_point()
        if self.is_set() or limit == 0:
            await host.spend()
            if not self.is_set():
                raise WouldBlock("the token is not set")
            return self.reason
        op = Operation(host)
        subscription = self._subscribe(host, op.complete)
        await park(host, op, subscription.cancel, limit, None)
        await result(host, op, None, "waiting for a cancel token")
        return self.reason

    @contextmanager
    def bound(self) -> Iterator[CancelScope]:
        """A host cancel scope that ends with this token: everything awaited in the block is cancelled by it.

        As with any cancel scope the block is left without an error; ``scope.cancelled_caught`` says whether it was cut.
        """
        host = current_host()
        with host.open_cancel_scope() as scope:
            subscription = None if self.is_set() else self._subscribe(host, scope.cancel)
            if subscription is None:
                scope.cancel()
            try:
                yield scope
            finally:
                if subscription is not None:
                    subscription.cancel()
