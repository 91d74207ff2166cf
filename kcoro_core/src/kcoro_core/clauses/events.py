# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The clauses of events: time, tokens, tasks, file descriptors.

``EventClause`` is a base for clauses of your own that are told by a callback: fill in ``_ready`` if readiness can be
asked for, ``_subscribe`` to be told once, and ``_result`` for the value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from ..hosts.port import READ, WRITE, Handle, Host, current_host
from ..parking import check_timeout

if TYPE_CHECKING:
    from ..cancel import CancelToken
    from ..reference.waiter import Waiter
    from ..scope import Task

__all__ = ["After", "Done", "EventClause", "Readable", "Triggered", "Writable"]


class HasFileno(Protocol):
    """A socket, a file, anything that knows its descriptor."""

    def fileno(self) -> int:
        """The descriptor; -1, or an OSError or ValueError, when it is closed."""


class EventClause:
    """A clause that is told by a callback: it holds one handle for each waiter that is registered."""

    sending = False
    value = None
    engine: str | None = None

    def __init__(self) -> None:
        self._handles: dict[Waiter, Handle] = {}
        # Those that could not be won when they were told, because a clause of another process was being asked for.
        self._missed: set[Waiter] = set()

    def poll(self, w: Waiter) -> bool:
        """Ready now? A waiter that was told, and has nothing to show for it, is subscribed once more."""
        if self._ready(w):
            return self._win(w)
        if w in self._missed:
            self._missed.discard(w)
            self.register(w)
        return False

    def register(self, w: Waiter) -> None:
        """Subscribe, so that the event wins for ``w``."""
        self._handles[w] = self._subscribe(lambda: self._happened(w))

    def withdraw(self, w: Waiter) -> None:
        """Take the subscription back; there is none when ``register`` itself failed."""
        self._missed.discard(w)
        handle = self._handles.pop(w, None)
        if handle is not None:
            handle.cancel()

    def _ready(self, w: Waiter) -> bool:
        """Whether the event is there at this instant; never, unless a subclass knows better."""
        return False

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        raise NotImplementedError

    def _happened(self, w: Waiter) -> None:
        if not self._win(w):
            self._missed.add(w)

    def _result(self) -> Any:
        return None

    def _win(self, w: Waiter) -> bool:
        won = w.win()
        if won:
            w.finish(self._result())
        return won


class After(EventClause):
    """Ready once ``seconds`` have passed since the wait began; None is never.

    ``After(0)`` in the last place is a default clause.
    """

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self.seconds = check_timeout(seconds)

    def __repr__(self) -> str:
        return f"After({self.seconds})"

    def _ready(self, w: Waiter) -> bool:
        return self.seconds == 0 or w in self._missed

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        host = current_host()
        return host.call_at(host.now() + (float("inf") if self.seconds is None else self.seconds), fn)


class Triggered(EventClause):
    """Ready once the token is set; the value is its reason. Unlike ``cancel=`` it does not raise."""

    def __init__(self, token: CancelToken) -> None:
        super().__init__()
        if not hasattr(token, "_subscribe"):
            raise ValueError(f"Triggered needs a CancelToken, not {token!r}")
        self.token = token

    def __repr__(self) -> str:
        return f"Triggered({self.token!r})"

    def check_loop(self, host: Host | None) -> None:
        """Refuse a token of another run."""
        self.token._enter(host)

    def _ready(self, w: Waiter) -> bool:
        return self.token.is_set()

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        return self.token._subscribe(current_host(), fn)

    def _result(self) -> Any:
        return self.token.reason


class Done(EventClause):
    """Ready once a task of ``scope.launch`` has ended, however; the value is the task, whose ``result()`` tells how."""

    def __init__(self, task: Task[Any]) -> None:
        super().__init__()
        if not hasattr(task, "_on_done"):
            raise ValueError(f"Done needs a task of scope.launch, not {task!r}")
        self.task = task

    def __repr__(self) -> str:
        return f"Done({self.task!r})"

    def check_loop(self, host: Host | None) -> None:
        """Refuse a task of another run."""
        self.task._enter(host)

    def _ready(self, w: Waiter) -> bool:
        return self.task.done

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        return self.task._on_done(fn)

    def _result(self) -> Any:
        return self.task


class Readable(EventClause):
    """Ready while the file descriptor is readable; nothing is read. The value is the descriptor."""

    want = READ

    def __init__(self, fd: int | HasFileno) -> None:
        super().__init__()
        number = fd.fileno() if hasattr(fd, "fileno") else fd
        if not isinstance(number, int) or number < 0:
            raise ValueError(f"a file descriptor is a number >= 0, or something with a fileno(), not {fd!r}")
        self.fd = number

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.fd})"

    def _ready(self, w: Waiter) -> bool:
        return current_host().fd_ready(self.fd, self.want)

    def _subscribe(self, fn: Callable[[], object]) -> Handle:
        return current_host().wait_fd(self.fd, self.want, fn)

    def _result(self) -> Any:
        return self.fd


class Writable(Readable):
    """Ready while the file descriptor is writable; nothing is written. The value is the descriptor."""

    want = WRITE
