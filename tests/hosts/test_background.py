# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Background tasks and calls from other threads, on every host."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from kcoro_core.errors import WrongLoop
from kcoro_core.hosts.port import Host, find_host, here
from kcoro_core.reference.waiter import Operation

from .conftest import until

if TYPE_CHECKING:
    from .conftest import HostUnderTest


def test_a_background_task_ends_with_the_run(on: HostUnderTest) -> None:
    """``spawn`` outlives its caller but not the run; its finally blocks have run by then. Row: SC7."""
    log: list[str] = []

    async def main(host: Host) -> str:
        op = Operation(host)

        async def background() -> None:
            try:
                await host.park(op)
            finally:
                log.append("closed")

        async def parent() -> None:
            host.spawn(background, name="background")

        async with host.open_nursery() as nursery:
            nursery.start_soon(parent)
        await until(host, lambda: op.task)
        return "main"

    assert on.run(main) == "main"
    assert log == ["closed"]


def test_a_background_task_can_be_ended_and_says_whether_it_was_running(on: HostUnderTest) -> None:
    """``Handle.cancel`` is True for a task that runs, False for one that has ended. Row: SC7."""

    async def main(host: Host) -> None:
        op, ended = Operation(host), list[str]()

        async def forever() -> None:
            try:
                await host.park(op)
            finally:
                ended.append("forever")

        async def brief() -> None:
            ended.append("brief")

        running, over = host.spawn(forever), host.spawn(brief)
        await until(host, lambda: op.task is not None and ended == ["brief"])
        await host.pause()
        await host.pause()
        assert (running.cancel(), over.cancel()) == (True, False)
        await until(host, lambda: len(ended) == 2)

    on.run(main)


def test_another_thread_can_call_in(on: HostUnderTest) -> None:
    """``call_from_thread`` wakes the loop and runs the function on the loop's thread. Row: CH14."""

    async def main(host: Host) -> None:
        op = Operation(host)
        where: list[int] = []

        def inside() -> None:
            where.append(threading.get_ident())
            op.complete()

        thread = threading.Thread(target=lambda: host.call_from_thread(inside))
        thread.start()
        await host.park(op)
        thread.join()
        assert where == [threading.get_ident()]

    on.run(main)


def test_after_the_run_nobody_can_call_in(on: HostUnderTest) -> None:
    """The host says that it has ended, is found no more, and refuses. Rows: CH14, SC7."""
    hosts: list[Host] = []

    async def main(host: Host) -> None:
        hosts.append(host)
        assert find_host() is host
        assert not host.ended

    on.run(main)
    assert hosts[0].ended
    assert here.host is None
    assert find_host() is None
    with pytest.raises(WrongLoop):
        hosts[0].call_from_thread(lambda: None)
