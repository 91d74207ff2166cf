# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The user's face of a channel: argument checks, the loop it belongs to, and waiting; the engine does the rest.

Each waiting method has one shape: token, cancel point, try now, else queue and park. A call that is sure to wait goes
straight to the queue, because parking is a cancel point itself. A method that completes at once spends one credit of
its host, and only the last credit of a quantum gives the other tasks a turn.
"""

from __future__ import annotations

import atexit
import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from . import plugins
from .engine import CLOSED, OK, WOULD_BLOCK, ChannelCore, ChannelSnapshot, Engine
from .errors import ChannelClosed, DeadlineExceeded, WouldBlock
from .hosts.port import Host, current_host, find_host, here
from .parking import HomeBound, cancelled_error, check_timeout, park, result, token_is_set
from .reference.waiter import Operation
from .semantics import BUFFERED, CANCELLED, RENDEZVOUS, SUSPEND, TIMED_OUT, WAITING, Kind, Overflow, Undelivered
from .semantics import CLOSED as CLAIM_CLOSED

if TYPE_CHECKING:
    from .cancel import CancelToken
    from .halves import Receiver, Sender

__all__ = ["Channel", "channel"]

T = TypeVar("T")
UndeliveredHook = Callable[[T, Undelivered, "Channel[T] | None"], object]


def channel(
    kind: Kind = RENDEZVOUS,
    capacity: int | None = None,
    overflow: Overflow = SUSPEND,
    on_undelivered: UndeliveredHook[Any] | None = None,
    name: str | None = None,
) -> Channel[Any]:
    """Make a channel.

    ``capacity`` is a number of elements, at least 1, and belongs to BUFFERED (which needs it); so does an ``overflow``
    other than SUSPEND. ``on_undelivered(value, reason, channel)`` is called once for each accepted value that reached
    nobody; it may use ``try_*`` but cannot wait, and ``channel`` is None when the channel itself is gone.

    :raises ValueError: a combination that makes no sense; the message says which ones do.
    :raises NotSupported: the engine that KCORO_ENGINE names is not installed, or blocked.
    """
    _check(kind, capacity, overflow, on_undelivered)
    engine = plugins.engine()
    face: type[Channel[Any]] = getattr(engine.channel, "face", Channel)
    return face(engine, kind, capacity, overflow, on_undelivered, name)


def _check(kind: object, capacity: object, overflow: object, hook: object) -> None:
    if not isinstance(kind, Kind):
        raise ValueError(f"kind must be RENDEZVOUS, BUFFERED, CONFLATED or UNLIMITED, not {kind!r}")
    if not isinstance(overflow, Overflow):
        raise ValueError(f"overflow must be SUSPEND, DROP_OLDEST or DROP_LATEST, not {overflow!r}")
    if kind is BUFFERED:
        if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
            raise ValueError(f"a BUFFERED channel needs capacity=N with N >= 1, not {capacity!r}; for 0 use RENDEZVOUS")
    elif capacity is not None:
        raise ValueError(f"capacity belongs to BUFFERED channels; a {kind.name} channel has none")
    if overflow is not SUSPEND and kind is not BUFFERED:
        raise ValueError(f"{overflow.name} belongs to BUFFERED channels; a {kind.name} channel takes SUSPEND only")
    if hook is not None and not callable(hook):
        raise ValueError(f"on_undelivered must be callable, not {hook!r}")


class Channel(HomeBound, Generic[T]):
    """A channel with the rights of both ends; ``sender()`` and ``receiver()`` give out halves.

    Every error of ``send`` leaves the value with the caller; every error of ``recv`` has taken nothing.
    """

    __slots__ = (
        "__weakref__",
        "_close_watchers",
        "_core",
        "_engine",
        "_enqueue",
        "_operation",
        "_recv_must_wait",
        "_recv_now",
        "_reports",
        "_send_must_wait",
        "_send_now",
        "name",
        "open_receivers",
        "open_senders",
    )

    is_remote: ClassVar[bool] = False

    def __init__(
        self,
        engine: Engine,
        kind: Kind,
        capacity: int | None,
        overflow: Overflow,
        on_undelivered: UndeliveredHook[T] | None,
        name: str | None,
    ) -> None:
        super().__init__()
        self._reports = False
        self.name = name
        self.open_senders = 0
        self.open_receivers = 0
        self._engine = engine
        self._close_watchers: dict[Callable[[], object], None] = {}
        self._operation = engine.select.operation
        self._use(engine.channel(kind, capacity, overflow, _bind_hook(self, on_undelivered)))
        self._reports = on_undelivered is not None
        if self._reports:
            _reporting[next(_numbers)] = self

    def __del__(self) -> None:
        # Not a weakref.finalize: that would hold the hook, and with it whatever the hook knows, often this channel.
        if getattr(self, "_reports", False):  # one that was never made has none
            self._core.cancel(None, Undelivered.DESTROYED)

    def _use(self, core: ChannelCore) -> None:
        """Do everything through ``core`` from now on: the engine's, or one that stands in front of it."""
        self._core = core
        self._enqueue = core.enqueue
        self._send_now = core.send_now
        self._send_must_wait = core.send_must_wait
        self._recv_now = core.recv_now
        self._recv_must_wait = core.recv_must_wait

    # -- what it is

    @property
    def kind(self) -> Kind:
        """RENDEZVOUS, BUFFERED, CONFLATED or UNLIMITED."""
        return self._core.kind

    @property
    def capacity(self) -> int | None:
        """The capacity of a BUFFERED channel, in elements; None for the other kinds."""
        return self._core.capacity

    @property
    def overflow(self) -> Overflow:
        """What a send does when the buffer is full."""
        return self._core.overflow

    @property
    def closed(self) -> bool:
        """Whether ``close`` or ``cancel`` was called; there may still be elements to receive."""
        return self._core.closed

    @property
    def reason(self) -> object:
        """What was given to ``close`` or ``cancel``."""
        return self._core.reason

    def __len__(self) -> int:
        return len(self._core)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        core = self._core
        size = f"{len(core)}" if core.capacity is None else f"{len(core)}/{core.capacity}"
        name = f" {self.name!r}" if self.name else ""
        return f"<Channel{name} {core.kind.name} {size}{' closed' if core.closed else ''} at {id(self):#x}>"

    def snapshot(self) -> ChannelSnapshot:
        """State and counters at this instant, in constant time (rows CH15, M2)."""
        return self._core.snapshot()

    # -- sending

    async def send(self, value: T, timeout: float | None = None, cancel: CancelToken | None = None) -> None:
        """Hand ``value`` to a receiver, or queue it; waits as long as there is neither a partner nor room.

        ``timeout`` is in seconds, None waits for ever, 0 never waits. Whatever is raised, the value is still yours.

        :raises WouldBlock: ``timeout`` is 0 and it would have to wait.
        :raises DeadlineExceeded: nobody took it in time.
        :raises OperationCancelled: ``cancel`` is set, or was set meanwhile.
        :raises ChannelClosed: the channel is closed, or was closed meanwhile.
        """
        if timeout is not None or cancel is not None:
            await self._within(True, value, timeout, cancel)
            return
        host = here.host
        if host is not self._home:
            host = self._enter_here()
        if not self._send_must_wait():
            await host.cancel_point()
            answer = self._send_now(value)
            if answer is OK:
                if host.credit:
                    host.credit -= 1
                else:
                    await host.pause()
                return
            if answer is CLOSED:
                raise await self._refused(host, CLAIM_CLOSED, self.closed_error())
        op = self._operation(host, True, value)
        self._home = host
        self._enqueue(op)
        try:
            await host.park(op)
        except BaseException:
            self._abandon(op)
            raise
        if op.error is not None:
            raise self._failed(CLAIM_CLOSED, op.error)

    def try_send(self, value: T) -> None:
        """Hand over or queue ``value`` now, without waiting; may be called outside any task of this loop.

        :raises WouldBlock: nobody waits and there is no room; the value is still yours.
        :raises ChannelClosed: the channel is closed; the value is still yours.
        """
        self._enter(find_host())
        answer = self._send_now(value)
        if answer is WOULD_BLOCK:
            raise self._failed(WAITING, WouldBlock(f"no receiver waits and there is no room: {self!r}"))
        if answer is CLOSED:
            raise self._failed(CLAIM_CLOSED, self.closed_error())

    # -- receiving

    async def recv(self, timeout: float | None = None, cancel: CancelToken | None = None) -> T:
        """Take the oldest element; waits while there is none.

        ``timeout`` is in seconds, None waits for ever, 0 never waits. Whatever is raised, nothing was taken.

        :raises WouldBlock: ``timeout`` is 0 and there is nothing to take.
        :raises DeadlineExceeded: nothing came in time.
        :raises OperationCancelled: ``cancel`` is set, or was set meanwhile.
        :raises ChannelClosed: the channel is closed and drained, or became so meanwhile.
        """
        if timeout is not None or cancel is not None:
            return await self._within(False, None, timeout, cancel)  # type: ignore[no-any-return]
        host = here.host
        if host is not self._home:
            host = self._enter_here()
        if not self._recv_must_wait():
            await host.cancel_point()
            value: T = self._recv_now()
            if value is not WOULD_BLOCK and value is not CLOSED:
                if host.credit:
                    host.credit -= 1
                else:
                    await host.pause()
                return value
            if value is CLOSED:
                raise await self._refused(host, CLAIM_CLOSED, self.closed_error())
        op = self._operation(host)
        self._home = host
        self._enqueue(op)
        try:
            await host.park(op)
        except BaseException:
            self._abandon(op)
            raise
        if op.error is not None:
            raise self._failed(CLAIM_CLOSED, op.error)
        return op.value  # type: ignore[no-any-return]

    def try_recv(self) -> T:
        """Take the oldest element now, without waiting; may be called outside any task of this loop.

        :raises WouldBlock: there is nothing to take.
        :raises ChannelClosed: the channel is closed and drained.
        """
        self._enter(find_host())
        value: T = self._recv_now()
        if value is WOULD_BLOCK:
            raise self._failed(WAITING, WouldBlock(f"nothing to receive: {self!r}"))
        if value is CLOSED:
            raise self._failed(CLAIM_CLOSED, self.closed_error())
        return value

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.recv()
        except ChannelClosed as closed:
            end = end_of_iteration(closed)
            raise end from end.__cause__

    # -- waiting

    async def _within(self, sending: bool, value: Any, timeout: float | None, cancel: CancelToken | None) -> Any:
        """A send or recv with a deadline or a token; without either they have the same steps in line, for speed."""
        host = self._enter_here()
        limit = check_timeout(timeout)
        what = f"{'send' if sending else 'recv'} on {self!r}"
        if cancel is not None and token_is_set(cancel, host):
            raise await self._refused(host, CANCELLED, cancelled_error(cancel, what))
        await host.cancel_point()
        answer = self._send_now(value) if sending else self._recv_now()
        if answer is CLOSED:
            raise await self._refused(host, CLAIM_CLOSED, self.closed_error())
        if answer is not WOULD_BLOCK:
            await host.spend()
            return answer
        op = self._operation(host, sending, value)
        if limit == 0:
            if not self._core.ask(op):
                raise await self._refused(host, WAITING, WouldBlock(f"{what} would have to wait"))
            limit = None  # the end of a link has the answer: it comes, or that link is lost
        else:
            self._core.enqueue(op)
        self._home = host
        try:
            await park(host, op, lambda: self._core.withdraw(op), limit, cancel)
            if timeout == 0 and op.claim == TIMED_OUT:
                raise WouldBlock(f"{what} would have to wait")
            return await result(host, op, cancel, what)
        except WouldBlock:
            self._core.count_failure(WAITING)
            raise
        except ChannelClosed:
            self._core.count_failure(CLAIM_CLOSED)
            raise
        except DeadlineExceeded:
            self._core.count_failure(TIMED_OUT)
            raise
        except BaseException:  # a token, or the host's own cancellation
            self._core.count_failure(CANCELLED)
            raise

    async def _refused(self, host: Host, claim: int, error: Exception) -> Exception:
        """Book a call that fails at once; it spends credit like any other, so that a loop of tries starves nobody."""
        self._core.count_failure(claim)
        await host.spend()
        return error

    def _enter_here(self) -> Host:
        host = current_host()
        self._enter(host)
        return host

    def _abandon(self, op: Operation) -> None:
        """The host cancelled a parked operation: it leaves the queue."""
        self._core.withdraw(op)
        self._core.count_failure(CANCELLED)

    def _failed(self, claim: int, error: BaseException) -> BaseException:
        self._core.count_failure(claim)
        return error

    def closed_error(self) -> ChannelClosed:
        """A new error that says that this channel is closed, and why."""
        why = "" if self.reason is None else f", reason {self.reason!r}"
        return ChannelClosed(f"{self!r} is closed{why}", reason=self.reason)

    _shut_error = closed_error  # what a clause of a select fails with; a handle has more causes

    # -- the end

    def close(self, reason: object = None) -> None:
        """No more sends. Parked senders fail and keep their value; receivers drain what is queued, then ChannelClosed.

        ``reason`` is found in the errors that follow; an exception as reason also ends ``async for`` with an error.
        Harmless the second time; the first reason stays.
        """
        self._enter(find_host())
        self._core.close(reason)
        self._tell_closed()

    def cancel(self, reason: object = None) -> None:
        """Close, and give up what is queued: each element goes to ``on_undelivered`` with CANCELLED, oldest first."""
        self._enter(find_host())
        self._core.cancel(reason)
        self._tell_closed()

    def _on_close(self, fn: Callable[[], object]) -> None:
        """Have ``fn`` called, without waiting and once, when the channel closes: links tell their peers."""
        self._close_watchers[fn] = None

    def _tell_closed(self) -> None:
        watchers, self._close_watchers = self._close_watchers, {}
        for fn in watchers:
            fn()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- halves

    def sender(self) -> Sender[T]:
        """A sending half; when the last open one is closed, the channel closes."""
        from .halves import Sender

        return Sender(self)

    def receiver(self) -> Receiver[T]:
        """A receiving half; when the last open one is closed, the channel is cancelled: nobody could receive."""
        from .halves import Receiver

        return Receiver(self)


def end_of_iteration(closed: ChannelClosed) -> Exception:
    """What ``async for`` does about a close: an orderly one ends it, an exception as reason is raised."""
    if isinstance(closed.reason, BaseException):
        closed.__cause__ = closed.reason
        return closed
    return StopAsyncIteration()


# Channels whose hook has to hear of what is queued when the interpreter ends, in the order in which they were made.
_reporting: weakref.WeakValueDictionary[int, Channel[Any]] = weakref.WeakValueDictionary()
_numbers = itertools.count()


@atexit.register
def _report_the_rest() -> None:
    for ch in list(_reporting.values()):
        ch._core.cancel(None, Undelivered.DESTROYED)


def _bind_hook(owner: Channel[T], hook: UndeliveredHook[T] | None) -> Callable[[Any, Undelivered], object] | None:
    """The user's hook as the engine calls it: it must not keep the channel alive, nor bring it back when it goes."""
    if hook is None:
        return None
    ref = weakref.ref(owner)
    return lambda value, why: hook(value, why, None if why is Undelivered.DESTROYED else ref())
