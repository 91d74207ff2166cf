# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Handles on channels that live at the other end of a link, with the methods of a channel.

The home holds the truth: every operation asks it and waits for the answer, so that a send, a receive and a close mean
what they mean locally. Links copy, so elements are bytes.

Rule 1: what can be known to fail here fails here, before a byte is sent.
Rule 2: a wait ends as done, as known not done, or with ``outcome=IN_DOUBT``, and never otherwise.
Rule 3: deadline, token and the host's cancellation are enforced at this end: CANCEL, then the answer (``pending.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from ..channel import end_of_iteration
from ..engine import ChannelSnapshot
from ..errors import ChannelClosed, KcoroError, MessageTooLong, Outcome, WouldBlock
from ..hosts.port import current_host, find_host, here
from ..parking import HomeBound, cancelled_error, check_timeout, park, result, token_is_set
from ..semantics import CANCELLED, TIMED_OUT, WAITING, Kind, Overflow
from ..semantics import CLOSED as CLAIM_CLOSED
from ..wire.messages import FOREVER_MS, Attributes, ChannelInfo, Closing, Rights, milliseconds
from .arguments import check_element
from .closing import closed_error, closing_of, reason_of
from .pending import Pending

if TYPE_CHECKING:
    from ..cancel import CancelToken
    from .link import Link

__all__ = ["Payload", "RemoteChannel"]

Payload = bytes | bytearray | memoryview
"""What travels over a link: bytes, or something that is copied into bytes."""
_FAILURES = {WAITING: 0, TIMED_OUT: 1, CANCELLED: 2, CLAIM_CLOSED: 3}


class RemoteChannel(HomeBound):
    """A channel at the other end of a link; ``link.open(name)`` makes it.

    Every error of ``send`` leaves the value with the caller and every error of ``recv`` has taken nothing, unless its
    ``outcome`` is IN_DOUBT. After the link was lost every call raises LinkLost; after either side left in good order,
    ChannelClosed. Leaving a ``with`` block gives the handle up (``detach``) and closes nothing at the home.
    """

    __slots__ = (
        "__weakref__",
        "_attributes",
        "_closing",
        "_detached",
        "_doubtful",
        "_drained",
        "_failures",
        "_id",
        "_link",
        "_received",
        "_sent",
        "_shut",
        "_unasked",
        "_waiting",
        "name",
    )

    is_remote: ClassVar[bool] = True

    def __init__(self, link: Link, name: str, channel_id: int, attributes: Attributes) -> None:
        super().__init__()
        self._home = link.host
        self.name = name
        self._link = link
        self._id = channel_id
        self._attributes = attributes
        self._closing: Closing | None = Closing() if attributes.closed else None
        self._shut: Closing | None = None  # what this side asked the home to do
        self._drained = False
        self._detached = False
        self._sent = self._received = self._doubtful = 0
        self._failures = [0, 0, 0, 0]
        self._unasked = [0, 0, 0, 0]  # those of them that the home never heard of
        self._waiting = [0, 0]  # receives and sends that wait for an answer

    # -- what it is

    @property
    def id(self) -> int:
        """The number of this handle on its link, as ``link.rpc_send`` takes it."""
        return self._id

    @property
    def kind(self) -> Kind:
        """The kind of the channel at its home."""
        return self._attributes.kind

    @property
    def capacity(self) -> int | None:
        """The capacity of the channel at its home; None for kinds other than BUFFERED."""
        return self._attributes.capacity if self.kind is Kind.BUFFERED else None

    @property
    def overflow(self) -> Overflow:
        """What a send does at the home when the buffer is full."""
        return self._attributes.overflow

    @property
    def max_message(self) -> int:
        """Bytes of the largest element that this link carries for this channel."""
        return self._attributes.max_message

    @property
    def can_send(self) -> bool:
        """Whether the home granted the right to send."""
        return bool(self._attributes.rights & Rights.SEND)

    @property
    def can_recv(self) -> bool:
        """Whether the home granted the right to receive."""
        return bool(self._attributes.rights & Rights.RECV)

    @property
    def can_close(self) -> bool:
        """Whether the home granted the right to close and cancel the channel."""
        return bool(self._attributes.rights & Rights.CLOSE)

    @property
    def closed(self) -> bool:
        """Whether this side knows of a close; the home may have closed without the news being here yet."""
        return self._closing is not None or self._shut is not None

    @property
    def reason(self) -> object:
        """Why it was closed: None, a text, or a PeerError that stands for an exception."""
        closing = self._closing or self._shut
        return None if closing is None else reason_of(closing)

    def __len__(self) -> int:
        return 0  # elements that wait on this side: none without prefetch; info() asks the home

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        state = " detached" if self._detached else " closed" if self.closed else ""
        return f"<RemoteChannel {self.name!r} {self.kind.name}{state} over {self._link.uri}>"

    def snapshot(self) -> ChannelSnapshot:
        """The counters of this handle; ``length`` and the like are of this side, and ``info()`` asks the home."""
        would_block, deadline, cancelled, closed = self._failures
        return ChannelSnapshot(
            kind=self.kind,
            overflow=self.overflow,
            capacity=self.capacity,
            length=0,
            peak_length=0,
            closed=self.closed,
            waiting_senders=self._waiting[1],
            waiting_receivers=self._waiting[0],
            sent=self._sent,
            received=self._received,
            dropped=0,
            handoffs=0,
            failed_would_block=would_block,
            failed_deadline=deadline,
            failed_cancelled=cancelled,
            failed_closed=closed,
        )

    # -- sending

    async def send(self, value: Payload, timeout: float | None = None, cancel: CancelToken | None = None) -> None:
        """Have the home accept ``value``; returns when it has, as ``Channel.send`` does.

        ``timeout`` is in seconds, None waits for ever, 0 asks and does not wait there. Whatever is raised with
        ``outcome`` NOT_DONE, the value is still yours; IN_DOUBT means that the home did not tell in time.

        :raises TypeError: ``value`` is not bytes, bytearray or memoryview.
        :raises MessageTooLong: it exceeds ``max_message``.
        :raises WouldBlock: ``timeout`` is 0 and it would have to wait.
        :raises DeadlineExceeded: nobody took it in time.
        :raises OperationCancelled: ``cancel`` is set, or was set meanwhile.
        :raises ChannelClosed: the channel is closed, or was closed meanwhile, or a side left the link.
        :raises LinkLost: the link was lost; ``acked`` and ``in_doubt`` count the sends of this handle.
        :raises AccessDenied: this handle has no right to send.
        :raises NoBuffers: too many requests, or bytes, of this link wait at the home.
        """
        element = check_element(value)
        self._check_attached()

        def ask() -> int:
            if (self._closing or self._shut) is not None and self.can_send:
                raise self.closed_error()
            return self._link.wire.send(self._id, element, hint)

        hint = FOREVER_MS if timeout is None else milliseconds(check_timeout(timeout))
        await self._ask(ask, True, timeout, cancel)
        self._sent += 1

    def try_send(self, value: Payload) -> None:
        """Send without asking the home, which nothing can: use ``send(value, timeout=0)`` to ask it.

        :raises WouldBlock: always, unless one of the errors of ``send`` is known here already.
        """
        size = len(check_element(value))
        self._check_usable()
        if self.closed:
            raise self._failed(CLAIM_CLOSED, self.closed_error())
        if size > self.max_message:
            raise MessageTooLong(f"{size} bytes; {self!r} takes {self.max_message}")
        raise self._failed(WAITING, WouldBlock(f"not without asking: use send(value, timeout=0) on {self!r}"))

    # -- receiving

    async def recv(self, timeout: float | None = None, cancel: CancelToken | None = None) -> bytes:
        """Take the oldest element at the home, as ``Channel.recv`` does.

        Raises as ``send`` does; whatever is raised, nothing was taken. ChannelClosed: closed and drained.
        """
        self._check_attached()

        def ask() -> int:
            return self._link.wire.recv(self._id, hint)

        hint = FOREVER_MS if timeout is None else milliseconds(check_timeout(timeout))
        value = await self._ask(ask, False, timeout, cancel)
        self._received += 1
        return cast(bytes, value)

    def try_recv(self) -> bytes:
        """Receive without asking the home, which nothing can: use ``recv(timeout=0)`` to ask it.

        :raises WouldBlock: always, unless the channel is known to be closed and drained.
        """
        self._check_usable()
        if self._drained:
            raise self._failed(CLAIM_CLOSED, self.closed_error())
        raise self._failed(WAITING, WouldBlock(f"not without asking: use recv(timeout=0) on {self!r}"))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except ChannelClosed as closed:
            end = end_of_iteration(closed)
            raise end from end.__cause__

    async def info(self, timeout: float | None = None, cancel: CancelToken | None = None) -> ChannelInfo:
        """State and counters of the channel, true at its home at one instant."""
        self._check_attached()
        return cast(
            ChannelInfo, await self._ask(lambda: self._link.wire.info(self._id), False, timeout, cancel, counted=False)
        )

    # -- waiting

    async def _ask(
        self,
        ask: Callable[[], int],
        sending: bool,
        timeout: float | None,
        cancel: CancelToken | None,
        counted: bool = True,
    ) -> Any:
        """Make a request and wait for its answer."""
        host = here.host or current_host()
        if host is not self._home:
            self._enter(host)
        what = Told("send" if sending else "recv" if counted else "info", self)
        if cancel is not None and token_is_set(cancel, host):
            await host.spend()
            raise self._failed(CANCELLED, cancelled_error(cancel, what))
        limit = None if timeout is None else check_timeout(timeout)
        await host.cancel_point()
        try:
            self._link.check_usable(self, self._id)
            number = ask()
        except Exception as error:
            self._ended(None, error, sending)
            await host.spend()
            raise
        op = self._link.request(number, sending, self, self._id)
        self._waiting[sending] += counted
        try:
            if limit is None and cancel is None:
                await host.park(op)  # as ``park`` does, without its frame: most calls come this way
            else:
                await park(host, op, op.forget, self._link.grace if limit == 0 else limit, cancel)
            if op.claim == 0 and op.error is None:
                return op.value
            if limit == 0 and op.claim == TIMED_OUT:
                raise WouldBlock(f"the home did not answer in time: {what}")
            return await result(host, op, cancel, what)
        except BaseException as error:
            op.forget()
            self._ended(op, error, sending)
            raise
        finally:
            self._waiting[sending] -= counted

    def _ended(self, op: Pending | None, error: BaseException, sending: bool) -> None:
        """Book a wait that failed; say so when what the home did is not known."""
        if op is not None and op.in_doubt and sending and isinstance(error, KcoroError):
            error.outcome = Outcome.IN_DOUBT
        if isinstance(error, ChannelClosed) and not sending:
            self._drained = True
        if isinstance(error, WouldBlock):
            self._count(WAITING, op is not None)
        elif isinstance(error, ChannelClosed):
            self._count(CLAIM_CLOSED, op is not None)
        elif op is not None and op.claim in (TIMED_OUT, CANCELLED):
            self._count(op.claim, asked=True)

    def _failed(self, claim: int, error: Exception) -> Exception:
        self._count(claim, asked=False)
        return error

    def _count(self, claim: int, asked: bool) -> None:
        self._failures[_FAILURES[claim]] += 1
        if not asked:
            self._unasked[_FAILURES[claim]] += 1

    def closed_error(self, text: str = "") -> ChannelClosed:
        """A new error that says that this channel is closed, and why; ``text`` is what the home answered."""
        return closed_error(repr(self), self._closing or self._shut, text)

    def _check_attached(self) -> None:
        if self._detached:
            raise ValueError(f"{self!r} was detached; open the name again")

    def _check_usable(self) -> None:
        self._check_attached()
        self._enter(find_host())
        self._link.check_usable(self, self._id)

    # -- the end

    def close(self, reason: object = None) -> None:
        """Have the home close the channel: as ``Channel.close``, once this news has arrived there.

        Returns at once; sends of this handle fail from now on, and whatever is asked through this link later finds the
        channel closed. Of ``reason`` its text travels. Harmless the second time.

        :raises AccessDenied: this handle has no right to close; use ``detach()`` to give it up.
        :raises LinkLost: the link was lost; the channel is as it was.
        :raises NoBuffers: too many requests of this link are in flight; the channel is as it was.
        """
        self._end(closing_of(reason))

    def cancel(self, reason: object = None) -> None:
        """Have the home cancel the channel: closed, and what is queued goes to ``on_undelivered`` there."""
        self._end(closing_of(reason, cancel=True))

    def _end(self, closing: Closing) -> None:
        self._check_usable()
        if self._shut is not None and self._shut.cancel >= closing.cancel:
            return
        self._link.wire.close(self._id, closing)
        self._link.pump.flush()
        self._shut = closing if self._shut is None else Closing(self._shut.reason, self._shut.text, cancel=True)

    def detach(self) -> None:
        """Give the handle up: what waits on it ends with ChannelClosed, and the channel at the home goes on.

        A send that waits may still turn out to be done. Harmless the second time, and after the link has ended.
        """
        self._enter(find_host())
        if not self._detached:
            self._detached = True
            self._link.detach(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.detach()

    # -- news from the link

    def _heard(self, closing: Closing) -> None:
        self._closing = closing


class Told:
    """What a call is called in an error: put together only when there is one."""

    __slots__ = ("handle", "verb")

    def __init__(self, verb: str, handle: RemoteChannel) -> None:
        self.verb = verb
        self.handle = handle

    def __str__(self) -> str:
        return f"{self.verb} on {self.handle!r}"
