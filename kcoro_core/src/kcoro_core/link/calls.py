# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Calls of this side: each is on its way when ``rpc_send`` returns, and its future tells what became of it.

Rule 1: a call ends once: with its result, with the error that the other side answered, or with the end of the link.
Rule 2: whoever waits last gives the call up when that wait ends early: CANCEL goes out, then the answer, or the grace,
decides (``pending.py``). A wait that ends while others wait leaves the call alone.
Rule 3: a future that nobody holds any more wants nothing: the call goes on, its answer is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

from ..errors import ChannelClosed, KcoroError, OperationCancelled, Outcome, WouldBlock
from ..hosts.port import current_host, find_host
from ..parking import HomeBound, cancelled_error, check_timeout, park, result, token_is_set
from ..semantics import CLAIMING
from ..wire import events
from ..wire.codes import WireCode, error_of
from .arguments import check_element
from .ending import Ending
from .pending import Pending

if TYPE_CHECKING:
    from ..cancel import CancelToken
    from ..hosts.port import Host
    from .link import Link
    from .remote import RemoteChannel
    from .sending import Payload

__all__ = ["CallFuture", "Calling", "send_call"]

_ECANCELED = int(WireCode.ECANCELED)
FEW = 4
"""With so many calls under way each is written at once; with more, those of one turn are written together."""


class CallFuture(HomeBound):
    """One call under way, and what became of it; ``link.rpc_send`` makes it.

    It can be waited for once, many times, by many tasks, or never. Whoever drops it lets the call go on and has its
    answer thrown away.
    """

    __slots__ = ("__weakref__", "_error", "_given_up", "_link", "_number", "_result", "_waits", "channel", "command")

    def __init__(self, link: Link, number: int, command: int, channel: str | None) -> None:
        super().__init__()
        self._home = link.host
        self.command = command
        self.channel = channel
        self._link = link
        self._number = number
        self._waits: list[_Wait] = []
        self._given_up = False
        self._result: bytes | None = None
        self._error: Callable[[], Exception] | None = None

    def __repr__(self) -> str:
        state = "done" if self._result is not None else "failed" if self._error is not None else "under way"
        return f"<CallFuture {self}, {state}>"

    def __str__(self) -> str:
        on = "" if self.channel is None else f" on {self.channel!r}"
        return f"call of command {self.command}{on} over {self._link.uri}"

    @property
    def done(self) -> bool:
        """Whether the call is over, with a result or an error; ``wait`` then returns or raises at once."""
        return self._result is not None or self._error is not None

    async def wait(self, timeout: float | None = None, cancel: CancelToken | None = None) -> bytes:
        """The result, as soon as it is there; again for every further wait.

        A wait that ends early (``timeout`` in seconds, ``cancel``, the host's own cancellation) gives the call up, if
        nobody else waits for it: the other side is asked to cancel it, and its answer decides. A result that crosses
        the cancel is returned; DeadlineExceeded and OperationCancelled then mean that it was not done, or was
        cancelled while it ran, and with ``outcome`` IN_DOUBT that the other side has not told within ``cancel_grace``.
        While others wait the call goes on, and the error says IN_DOUBT. ``timeout=0`` looks, and leaves it alone.

        :raises WouldBlock: ``timeout`` is 0 and there is no answer yet.
        :raises NotSupported: nobody handles this command there. AccessDenied: you may not call it.
        :raises NoBuffers, MessageTooLong: the other side has no room for it, or for its result.
        :raises ProtocolError: the handler failed; the text says how. Whatever else it raised of kcoro's own errors.
        :raises OperationCancelled: it was given up. ChannelClosed: a side left, or the handle was detached.
        :raises LinkLost: the link was lost; ``outcome`` says whether the call may have been carried out.
        """
        host = current_host()
        self._enter(host)
        limit = check_timeout(timeout)
        if cancel is not None and token_is_set(cancel, host):
            await host.spend()
            raise _in_doubt(cancelled_error(cancel, self))
        await host.cancel_point()
        if self.done or limit == 0:
            await host.spend()
            if not self.done:
                raise _in_doubt(WouldBlock(f"no answer yet: {self}"))
            return self._outcome()
        op = _Wait(self, self._link, host, self._number)
        self._waits.append(op)
        try:
            await park(host, op, op.forget, limit, cancel)
            return cast(bytes, await result(host, op, cancel, self))
        except KcoroError as error:
            if op.in_doubt:
                error.outcome = Outcome.IN_DOUBT
            raise

    def cancel(self) -> None:
        """Give the call up, for all who wait: the other side is asked to cancel it, and its answer decides.

        Returns at once. Harmless when the call is over, and the second time.

        :raises WrongLoop: it belongs to another run or thread.
        """
        self._enter(find_host())
        if not self.done and not self._given_up:
            self.give_up()

    # -- for the waits

    def leave(self, wait: _Wait) -> bool:
        """A wait wants to end; True when it can at once, False when the answer is asked for first."""
        if any(other is not wait and not other.asked_to_cancel for other in self._waits):
            wait.in_doubt = True  # the call goes on, for the others
            return True
        self.forget(wait)
        if self.give_up():
            return True
        self._waits.append(wait)
        return False

    def forget(self, wait: _Wait) -> None:
        """A wait is over."""
        if wait in self._waits:
            self._waits.remove(wait)

    def give_up(self) -> bool:
        """Ask for a cancel; True when the call had not been written, and is gone."""
        self._given_up = True
        if not self._link.withdraw(self._number):
            return False
        self.fail(lambda: OperationCancelled(f"given up before it was sent: {self}"))
        return True

    # -- the other side has answered

    def succeed(self, value: bytes) -> None:
        """The result came."""
        self._result = value
        waits, self._waits = self._waits, []
        for wait in waits:
            wait.succeed(value)

    def fail(self, error: Callable[[], Exception], *, cancelled: bool = False) -> None:
        """It ended with an error; each wait gets its own. ``cancelled``: as whoever gave it up wanted it to."""
        self._error = error
        waits, self._waits = self._waits, []
        for wait in waits:
            if cancelled and wait.asked_to_cancel:
                wait.not_done()
            else:
                wait.refuse(error())

    def doubt(self) -> None:
        """It was given up, and the other side has not told within the grace."""
        self._error = lambda: _in_doubt(OperationCancelled(f"given up, and not answered in time: {self}"))
        waits, self._waits = self._waits, []
        for wait in waits:
            if wait.asked_to_cancel:
                wait.doubt()
            else:
                wait.refuse(self._error())

    def lose(self, error: Callable[[], KcoroError], in_doubt: bool) -> None:
        """The link has ended before the answer came."""
        self.fail((lambda: _in_doubt(error())) if in_doubt else error)

    def _outcome(self) -> bytes:
        if self._error is not None:
            raise self._error()
        return cast(bytes, self._result)


class _Wait(Pending):
    """A task that waits for a call. Others may as well, so that its end is not always the call's."""

    __slots__ = ("future",)

    def __init__(self, future: CallFuture, link: Link, host: Host, number: int) -> None:
        super().__init__(link, host, number, False, future, 0)
        self.future = future

    def forget(self) -> None:
        """The wait is over, however."""
        self.future.forget(self)

    def _ask_to_cancel(self) -> bool:
        if self.claim > CLAIMING or self.asked_to_cancel:
            return False
        self.asked_to_cancel = True
        return self.future.leave(self)


def send_call(
    link: Link, command: int, channel: int | RemoteChannel, payload: Payload, reply: bool
) -> CallFuture | None:
    """Do what ``link.rpc_send`` says: check, queue, and give out a future unless no answer is wanted."""
    link._enter(find_host())
    data = check_element(payload)
    handle = link.opener.handle_of(channel)
    channel_id, name = (0, None) if handle is None else (handle.id, handle.name)
    link.check_usable(link if handle is None else handle, channel_id)
    if not reply:
        link.wire.tell(channel_id, command, data)
        link.pump.flush()
        return None
    number = link.wire.call(channel_id, command, data)
    future = CallFuture(link, number, command, name)
    link.calling.add(number, future)
    link.pump.flush(crowded=len(link.calling) > FEW)
    return future


class Calling:
    """The calls of one link that are under way, by the id of their request."""

    def __init__(self) -> None:
        self.dropped_answers = 0
        self._futures: WeakValueDictionary[int, CallFuture] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._futures)

    def add(self, number: int, future: CallFuture) -> None:
        """A call was just queued."""
        self._futures[number] = future

    def on_answer(self, news: events.CallAnswered) -> None:
        """A result came."""
        if (future := self._take(news.request_id)) is not None:
            future.succeed(news.result)

    def on_reply(self, news: events.ReplyReceived, detached: bool) -> None:
        """An error came; ``detached``: the handle was given up, so that its home has cancelled the call."""
        future = self._take(news.request_id)
        if future is None:
            return
        if news.code != _ECANCELED:
            future.fail(lambda: error_of(news.code, f"{news.text or 'refused'}: {future}"))
        elif detached:
            future.fail(lambda: ChannelClosed(f"its handle was detached: {future}", reason="detached"))
        else:
            future.fail(lambda: OperationCancelled(f"cancelled there: {future}"), cancelled=True)

    def on_in_doubt(self, request_id: int) -> None:
        """No answer came within the grace; a late one is dropped and counted by the protocol."""
        future = self._futures.pop(request_id, None)
        if future is not None:
            future.doubt()

    def lost(self, ending: Ending) -> None:
        """The link has ended."""
        futures = list(self._futures.items())
        self._futures.clear()
        for number, future in futures:
            future.lose(lambda of=future: ending.error(of), ending.is_in_doubt(number))  # type: ignore[misc]

    def _take(self, request_id: int) -> CallFuture | None:
        future = self._futures.pop(request_id, None)
        self.dropped_answers += future is None
        return future


def _in_doubt(error: KcoroError) -> KcoroError:
    """The error of a wait that does not know what the other side has done, or will do."""
    error.outcome = Outcome.IN_DOUBT
    return error
