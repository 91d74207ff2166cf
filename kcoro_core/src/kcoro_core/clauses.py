# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Select clauses: the public protocol, and the clauses that come with core (rows SE1, X20).

A clause is asked up to three things for each wait, always with the same waiter ``w``:

``poll(w)``      ready now? then ``w.win()``, move the value, ``w.finish(value)`` (or ``w.fail``, ``w.shut``)
``register(w)``  not ready: have ``w`` won and finished as soon as it is; may find it ready and finish it at once
``withdraw(w)``  the wait is over, whoever won; forget ``w``; called exactly once for each ``register``

Rule 1: ``poll`` has an effect only if ``w.win()`` returned True; a clause that lost has done nothing.
Rule 2: none of them waits, and none uses a channel of the same select.
Rule 3: after ``withdraw`` nothing of the clause refers to ``w``: losers leave no trace.

``w.sending`` and ``w.value`` are taken from the clause's attributes of these names. A clause whose ``engine`` is not
None works only with waiters of that engine.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from .engine import CLOSED, OK, WOULD_BLOCK
from .errors import NotSupported
from .hosts.port import READ, WRITE, Handle, current_host, find_host
from .parking import check_timeout

if TYPE_CHECKING:
    from .cancel import CancelToken
    from .channel import Channel
    from .halves import Receiver, Sender
    from .reference.waiter import Waiter
    from .scope import Task

__all__ = ["After", "Clause", "Done", "Readable", "Recv", "Send", "Signal", "Triggered", "Writable"]

T = TypeVar("T")


class HasFileno(Protocol):
    """A socket, a file, anything that knows its descriptor."""

    def fileno(self) -> int: ...


class Clause(Protocol):
    """What ``select`` needs of a clause; write your own by filling in these three methods."""

    sending: bool
    value: Any
    engine: str | None

    def poll(self, w: Waiter) -> bool:
        """True when the wait is decided now: this clause was ready and won, or it ended the select."""
        ...

    def register(self, w: Waiter) -> None:
        """Have ``w`` won when this clause becomes ready."""
        ...

    def withdraw(self, w: Waiter) -> None:
        """Forget ``w``."""
        ...


def _channel_of(end: object, half: str) -> Any:
    """The channel behind a channel or a half of the right direction.

    :raises ValueError: it is something else, or the wrong half.
    """
    from .channel import Channel
    from .halves import Receiver, Sender

    if isinstance(end, Channel):
        return end
    if isinstance(end, Sender if half == "Sender" else Receiver):
        return end.channel
    if getattr(end, "is_remote", False):
        raise NotSupported(f"select over a remote channel is not built yet: {end!r}; use send and recv with a timeout")
    raise ValueError(f"this clause needs a Channel or a {half}, not {end!r}")


class _ChannelClause:
    """What Recv and Send share: registering with the channel and leaving it."""

    sending: bool

    def __init__(self, channel: Channel[Any]) -> None:
        self.channel = channel
        self.engine: str | None = channel._engine.name
        self._core = channel._core

    def register(self, w: Waiter) -> None:
        """Queue behind those that wait already; the channel belongs to this run from now on."""
        self.channel._home = current_host()
        self._core.enqueue(w)

    def withdraw(self, w: Waiter) -> None:
        """Leave the queue."""
        self._core.withdraw(w)


class Recv(_ChannelClause):
    """Ready when the channel has an element, a waiting sender, or is closed and drained; the value is the element."""

    sending = False
    value = None

    def __init__(self, channel: Channel[T] | Receiver[T]) -> None:
        super().__init__(_channel_of(channel, "Receiver"))

    def __repr__(self) -> str:
        return f"Recv({self.channel!r})"

    def poll(self, w: Waiter) -> bool:
        """Take the oldest element, if there is one."""
        value = self._core.recv_now()
        if value is WOULD_BLOCK:
            return False
        if value is CLOSED:
            return w.shut(self.channel.closed_error())
        w.win()
        w.finish(value)
        return True


class Send(_ChannelClause):
    """Ready when a receiver waits, there is room, or the channel is closed; a clause that loses has not sent."""

    sending = True

    def __init__(self, channel: Channel[T] | Sender[T], value: T) -> None:
        super().__init__(_channel_of(channel, "Sender"))
        self.value = value

    def __repr__(self) -> str:
        return f"Send({self.channel!r}, {self.value!r})"

    def poll(self, w: Waiter) -> bool:
        """Hand over or queue the value, if somebody or room is there."""
        answer = self._core.send_now(self.value)
        if answer is WOULD_BLOCK:
            return False
        if answer is OK:
            w.win()
            w.finish()
            return True
        return w.shut(self.channel.closed_error())


class _EventClause:
    """A clause that is told by a callback: it holds one handle for each waiter that is registered."""

    sending = False
    value = None
    engine: str | None = None

    def __init__(self) -> None:
        self._handles: dict[Waiter, Handle] = {}

    def poll(self, w: Waiter) -> bool:
        """Not ready unless a subclass knows better."""
        return False

    def register(self, w: Waiter) -> None:
        """Subscribe, so that the event wins for ``w``."""
        self._handles[w] = self._subscribe(lambda: self._win(w))

    def withdraw(self, w: Waiter) -> None:
        """Take the subscription back; there is none when ``register`` itself failed."""
        handle = self._handles.pop(w, None)
        if handle is not None:
            handle.cancel()

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        raise NotImplementedError

    def _result(self) -> Any:
        return None

    def _win(self, w: Waiter) -> bool:
        won = w.win()
        if won:
            w.finish(self._result())
        return won


class After(_EventClause):
    """Ready once ``seconds`` have passed since the wait began; ``After(0)`` in the last place is a default clause."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = check_timeout(seconds)

    def __repr__(self) -> str:
        return f"After({self.seconds})"

    def poll(self, w: Waiter) -> bool:
        """Ready at once only for zero seconds."""
        return self.seconds == 0 and self._win(w)

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        host = current_host()
        return host.call_at(host.now() + (float("inf") if self.seconds is None else self.seconds), fn)


class Triggered(_EventClause):
    """Ready once the token is set; the value is its reason. Unlike ``cancel=`` it does not raise."""

    def __init__(self, token: CancelToken) -> None:
        super().__init__()
        self.token = token

    def __repr__(self) -> str:
        return f"Triggered({self.token!r})"

    def poll(self, w: Waiter) -> bool:
        """Ready when the token is set already."""
        return self.token.is_set() and self._win(w)

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        return self.token._subscribe(current_host(), fn)

    def _result(self) -> Any:
        return self.token.reason


class Done(_EventClause):
    """Ready once a task of ``scope.launch`` has ended, however; the value is the task, whose ``result()`` tells how."""

    def __init__(self, task: Task[Any]) -> None:
        super().__init__()
        self.task = task

    def __repr__(self) -> str:
        return f"Done({self.task!r})"

    def poll(self, w: Waiter) -> bool:
        """Ready when the task has ended already."""
        return self.task.done and self._win(w)

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        return self.task._on_done(fn)

    def _result(self) -> Any:
        return self.task


class Readable(_EventClause):
    """Ready while the file descriptor is readable; nothing is read. The value is the descriptor."""

    want = READ

    def __init__(self, fd: int | HasFileno) -> None:
        super().__init__()
        self.fd = fd if isinstance(fd, int) else fd.fileno()
        if self.fd < 0:
            raise ValueError(f"a file descriptor is a number >= 0, not {self.fd}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fd})"

    def poll(self, w: Waiter) -> bool:
        """Ask the host about this instant."""
        return current_host().fd_ready(self.fd, self.want) and self._win(w)

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        return current_host().wait_fd(self.fd, self.want, fn)

    def _result(self) -> Any:
        return self.fd


class Writable(Readable):
    """Ready while the file descriptor is writable; nothing is written. The value is the descriptor."""

    want = WRITE


class Signal(_EventClause):
    """Ready when the process has received one of the signals; the value is its number.

    Used as a context manager it catches from entry to exit, so that nothing is missed between two waits; used bare it
    catches only while a select waits on it. Main thread only, as everywhere in Python.
    """

    def __init__(self, *signums: int) -> None:
        super().__init__()
        if not signums:
            raise ValueError("Signal needs at least one signal number, such as signal.SIGINT")
        self.signums = tuple(signal.Signals(n) for n in signums)
        self.pending: list[int] = []
        self._installed: list[Handle] = []
        self._waiting: dict[int, Callable[[], object]] = {}

    def __repr__(self) -> str:
        return f"Signal({', '.join(s.name for s in self.signums)})"

    def __enter__(self) -> Self:
        host = current_host()
        for signum in self.signums:
            self._installed.append(host.on_signal(signum, partial(self._arrived, signum)))
        return self

    def __exit__(self, *exc_info: object) -> None:
        while self._installed:
            self._installed.pop().cancel()

    def _arrived(self, signum: int) -> None:
        self.pending.append(signum)
        for fn in list(self._waiting.values()):
            fn()

    def poll(self, w: Waiter) -> bool:
        """Ready when one arrived since it was last taken."""
        return bool(self.pending) and self._win(w)

    def _result(self) -> Any:
        return self.pending.pop(0)

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        return _SignalWait(self, fn)


class _SignalWait:
    """One wait on a Signal; installs the handlers for its own duration when nobody has."""

    def __init__(self, clause: Signal, fn: Callable[[], object]) -> None:
        self.clause = clause
        self.owner = not clause._installed
        if self.owner:
            clause.__enter__()
        clause._waiting[id(self)] = fn

    def cancel(self) -> bool:
        """Stop waiting."""
        if self.owner:
            self.clause.__exit__()
        return self.clause._waiting.pop(id(self), None) is not None


def check_loops(clauses: list[Any]) -> None:
    """Refuse channels of another run before any clause is polled.

    :raises WrongLoop: one of them belongs elsewhere.
    """
    host = find_host()
    for clause in clauses:
        if isinstance(clause, _ChannelClause):
            clause.channel._enter(host)
