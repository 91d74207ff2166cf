# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The way into a run from other threads (row CH14): calls wait in the calling thread, and work in the run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from .channel import Channel
from .errors import WrongLoop
from .hosts.port import Host, current_host, find_host

__all__ = ["Portal", "portal"]

T = TypeVar("T")


class Portal:
    """Runs functions in the loop it was made in, for callers in other threads; made by ``portal()``."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def run(self, fn: Callable[..., Awaitable[T]], /, *args: Any) -> T:
        """Await ``fn(*args)`` in the loop; the calling thread waits for its result or its exception.

        :raises WrongLoop: called from the loop's own thread, where it would wait for itself, or the run has ended (also
            while ``fn`` was running: it was cancelled then).
        """
        self._check_thread()
        future: Future[T] = Future()
        self._host.call_from_thread(lambda: self._start(future, fn, args))
        return future.result()

    def run_sync(self, fn: Callable[..., T], /, *args: Any) -> T:
        """Call ``fn(*args)`` in the loop, between two steps of its tasks."""

        async def call() -> T:
            return fn(*args)

        return self.run(call)

    def send(self, channel: Channel[T], value: T, timeout: float | None = None) -> None:
        """``await channel.send(value, timeout)`` from this thread."""
        self.run(channel.send, value, timeout)

    def recv(self, channel: Channel[T], timeout: float | None = None) -> T:
        """``await channel.recv(timeout)`` from this thread."""
        return self.run(channel.recv, timeout)

    def _check_thread(self) -> None:
        if find_host() is self._host:
            raise WrongLoop("a portal is for other threads; here, await the function itself")

    def _start(self, future: Future[Any], fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        try:
            self._host.spawn(_complete, future, fn, args, name="kcoro portal")
        except BaseException as error:  # noqa: BLE001 - the caller in the other thread gets it
            future.set_exception(_ended(error))


async def _complete(future: Future[Any], fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
    try:
        value = await fn(*args)
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # noqa: BLE001 - the caller in the other thread gets it
        future.set_exception(error)
    except BaseException as cancelled:
        future.set_exception(_ended(cancelled))
        raise
    else:
        future.set_result(value)


def _ended(cause: BaseException) -> WrongLoop:
    error = WrongLoop("the run ended before the call did; it was cancelled")
    error.__cause__ = cause
    return error


def portal() -> Portal:
    """A portal into the run of the caller; give it to other threads.

    :raises WrongLoop: no loop is running in this thread.
    """
    return Portal(current_host())
