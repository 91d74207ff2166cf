# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How every waiting call waits: one place that joins a claim word, a deadline, a token and the host's cancellation.

The order at the instant of a call is decided by the callers (cancel, close, ready, timeout). From the moment in which
an operation is queued its claim word decides, and this file only turns the decision into a result or an exception.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import DeadlineExceeded, OperationCancelled, WrongLoop
from .hosts.port import NOWHERE, Handle, Host
from .semantics import CANCELLED, TIMED_OUT, WAITING

if TYPE_CHECKING:
    from .cancel import CancelToken
    from .reference.waiter import Operation

__all__ = ["HomeBound", "cancelled_error", "check_function", "check_timeout", "park", "result", "token_is_set"]


_LONGEST = 1e15
"""Seconds that no clock of a loop can tell from for ever."""


def check_timeout(timeout: float | None) -> float | None:
    """A timeout in seconds, 0 or more; None and infinity mean for ever.

    :raises ValueError: it is negative, not a number, or no number at all.
    """
    if timeout is None or timeout == math.inf:
        return None
    number: object = timeout  # whatever the annotation says, callers pass anything
    if not isinstance(number, (int, float)) or isinstance(number, bool) or not number >= 0:
        raise ValueError(f"timeout must be a number of seconds >= 0, or None to wait for ever, not {timeout!r}")
    return timeout if timeout <= _LONGEST else None


def check_function(fn: object, what: str) -> None:
    """An async function that ``what`` is to call; the commonest mistake is a coroutine, made by calling it too early.

    :raises ValueError: it cannot be called.
    """
    if inspect.iscoroutine(fn):
        fn.close()  # it would complain that it was never awaited, which is not the mistake
        name = fn.__qualname__
        raise ValueError(f"{what} calls the function itself: write {what}({name}, ...), not {what}({name}(...))")
    if not callable(fn):
        raise ValueError(f"{what} needs an async function, not {fn!r}")


def token_is_set(token: CancelToken, host: Host) -> bool:
    """Whether the token given to a call has been set before the call; checked before anything is touched.

    :raises ValueError: it is no CancelToken.
    :raises WrongLoop: it, or one above it, belongs to another run.
    """
    if not hasattr(token, "_subscribe"):
        raise ValueError(f"cancel= takes a CancelToken, not {token!r}; a host's own scope goes around the call")
    above: CancelToken | None = token
    while above is not None:  # those above can set it, so they have to be of this run as well
        above._enter(host)
        above = above._parent
    return token.is_set()


def cancelled_error(token: CancelToken, what: object) -> OperationCancelled:
    """The error for a call that ended because ``token`` is set."""
    why = "" if token.reason is None else f": {token.reason!r}"
    return OperationCancelled(f"{what} was cancelled by its token{why}", reason=token.reason)


class HomeBound:
    """Something that belongs to the run in which it first parks, until that run ends (row CH14)."""

    __slots__ = ("_home",)

    def __init__(self) -> None:
        self._home: Host = NOWHERE

    def _enter(self, host: Host | None) -> None:
        """Check that ``host``, the one running here, may touch this object.

        :raises WrongLoop: it belongs to another run; nothing was touched.
        """
        home = self._home
        if home is host or home.ended:
            return
        raise WrongLoop(
            f"{self!r} belongs to another run of a loop or another thread; "
            "use portal() of that run to call into it, or make it here"
        )


async def park(
    host: Host,
    op: Operation,
    withdraw: Callable[[], object],
    timeout: float | None,
    token: CancelToken | None,
) -> None:
    """Wait until ``op``, queued already, is decided; ``result`` then says what that means.

    ``withdraw`` takes the operation out of every queue it may still be in; it is called however the wait ends, also
    when the host's own cancellation ends it.
    """
    op.parker = host
    timer: Handle | None = None
    subscription: Handle | None = None
    try:
        if timeout is not None:
            timer = host.call_at(host.now() + timeout, op.expire)
        if token is not None:
            subscription = token._subscribe(host, op.revoke)
        await host.park(op)
    finally:
        withdraw()
        if timer is not None:
            timer.cancel()
        if subscription is not None:
            subscription.cancel()


async def result(host: Host, op: Operation, token: CancelToken | None, what: object) -> Any:
    """What a decided operation means to its caller: its value, or the error to raise. ``what`` names the call."""
    if op.error is not None:
        raise op.error
    if op.claim >= 0:
        return op.value
    if token is not None and token.is_set():
        raise cancelled_error(token, what)
    if op.claim == TIMED_OUT:
        raise DeadlineExceeded(f"{what} did not complete before its deadline")
    assert op.claim in (CANCELLED, WAITING)
    await host.cancel_point()  # the host's own cancellation, which waited for the answer to a remote claim
    raise AssertionError("an operation was cancelled by nobody")
