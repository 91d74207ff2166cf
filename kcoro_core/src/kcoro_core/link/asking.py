# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How a handle waits: it asks the home, and the answer decides.

Rule 1: what can be known to fail here fails here, before a byte is sent.
Rule 2: a wait ends as done, as known not done, or with ``outcome=IN_DOUBT``, and never otherwise.
Rule 3: deadline, token and the host's cancellation are enforced at this end: CANCEL, then the answer (``pending.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, final

from ..errors import ChannelClosed, KcoroError, Outcome, WouldBlock
from ..hosts.port import current_host, find_host, here
from ..parking import HomeBound, cancelled_error, check_timeout, park, result, token_is_set
from ..semantics import CANCELLED, TIMED_OUT, WAITING, Kind, Overflow, Undelivered
from ..semantics import CLOSED as CLAIM_CLOSED
from ..wire.messages import FOREVER_MS, Attributes, Closing, Rights, milliseconds
from .closing import closed_error, reason_of
from .pending import Pending

if TYPE_CHECKING:
    from ..cancel import CancelToken
    from .link import Link
    from .prefetch import Prefetch

__all__ = ["DONE", "Asking", "Here", "UndeliveredHook"]


@final
class Here:
    """Stands for a request that need not be made, since what it asks for was done here; ``value`` is its result."""

    __slots__ = ("value",)

    def __init__(self, value: bytes | None = None) -> None:
        self.value = value


DONE: Final = Here()
"""A send that was done here."""

UndeliveredHook = Callable[[bytes, Undelivered, Any], object]
"""``on_undelivered`` of a handle: the element, why it reached nobody, and the handle."""

_FAILURES = {WAITING: 0, TIMED_OUT: 1, CANCELLED: 2, CLAIM_CLOSED: 3}


class Asking(HomeBound):
    """What a handle is, and the one way in which it waits."""

    __slots__ = (
        "__weakref__",
        "_attributes",
        "_closing",
        "_detached",
        "_doubtful",
        "_drained",
        "_failures",
        "_id",
        "_lends",
        "_link",
        "_on_undelivered",
        "_prefetch",
        "_received",
        "_sent",
        "_shut",
        "_unasked",
        "_waiting",
        "name",
    )

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
        self._on_undelivered: UndeliveredHook | None = None
        self._prefetch: Prefetch | None = None
        self._lends = False  # slots were asked for
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

    # -- waiting

    async def _ask(
        self,
        ask: Callable[[Any, int], int | Here],
        what: Any,
        sending: bool,
        timeout: float | None,
        cancel: CancelToken | None,
        counted: bool = True,
    ) -> Any:
        """Make a request and wait for its answer, unless ``ask(what, timeout_ms)`` could do it here."""
        host = here.host or current_host()
        if host is not self._home:
            self._enter(host)
        if cancel is not None and token_is_set(cancel, host):
            await host.spend()
            raise self._failed(CANCELLED, cancelled_error(cancel, self._told(sending, counted)))
        limit, timeout_ms = None, FOREVER_MS
        if timeout is not None:
            limit = check_timeout(timeout)
            timeout_ms = milliseconds(limit)
        await host.cancel_point()
        try:
            link = self._link
            link.check_usable(self, self._id)
            number = ask(what, timeout_ms)
        except Exception as error:
            self._ended(None, error, sending)
            await host.spend()
            raise
        if type(number) is Here:
            if host.credit:
                host.credit -= 1
            else:
                await host.pause()
            return number.value
        op = link.request(number, sending, self, self._id)
        self._waiting[sending] += counted
        try:
            if limit is None and cancel is None:
                # As ``park`` does, without its frame: most calls come this way.
                reader = link.reader()
                await (host.park(op) if reader is None else host.park_watching(op, reader))
            else:
                await park(host, op, op.forget, link.grace if limit == 0 else limit, cancel)
            if op.claim == 0 and op.error is None:
                return op.value
            if limit == 0 and op.claim == TIMED_OUT:
                raise WouldBlock(f"the home did not answer in time: {self._told(sending, counted)}")
            return await result(host, op, cancel, self._told(sending, counted))
        except BaseException as error:
            op.forget()
            self._ended(op, error, sending)
            raise
        finally:
            self._waiting[sending] -= counted

    def _told(self, sending: bool, counted: bool) -> str:
        """What a call is called in an error."""
        return f"{'send' if sending else 'recv' if counted else 'info'} on {self!r}"

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

    def detached_error(self) -> ChannelClosed:
        """A new error for what was under way when this handle was given up."""
        return ChannelClosed(f"{self!r} was detached while this waited", reason="detached")

    def _check_attached(self) -> None:
        if self._detached:
            raise ValueError(f"{self!r} was detached; open the name again")

    def _check_usable(self) -> None:
        self._check_attached()
        self._enter(find_host())
        self._link.check_usable(self, self._id)
