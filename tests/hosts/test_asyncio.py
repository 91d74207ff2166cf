# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What only asyncio can get wrong: a result and a cancellation in one turn, and loops that kcoro did not start."""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Any

import pytest

from kcoro_core import BUFFERED, ChannelClosed, channel
from kcoro_core.hosts.port import current_host, find_host, here
from kcoro_core.reference.waiter import Operation

from .conftest import THIRD_PARTY


@pytest.fixture(autouse=True)
def _plugin() -> None:
    if str(THIRD_PARTY) not in sys.path:
        sys.path.insert(0, str(THIRD_PARTY))
    importlib.import_module("kcoro_host_asyncio.plugin")


def test_a_value_and_a_cancellation_in_one_turn_lose_nothing() -> None:
    """The value is delivered, and the cancellation comes at the next wait; its message is asyncio's business."""

    async def main() -> list[object]:
        op, seen = Operation(current_host()), list[object]()

        async def receiver() -> None:
            await current_host().park(op)
            seen.append(op.value)
            await asyncio.sleep(10)

        task = asyncio.create_task(receiver())
        await asyncio.sleep(0)  # one turn is enough for it to park
        assert op.task is not None
        op.complete("value")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        seen.append(task.cancelled())
        return seen

    assert asyncio.run(main()) == ["value", True]


def test_a_task_that_ends_with_a_value_keeps_it_although_a_cancellation_follows() -> None:
    """A receive that was won is the task's result, also when it is the last thing that the task does."""

    async def main() -> object:
        ch = channel()
        task = asyncio.create_task(ch.recv())
        await asyncio.sleep(0)
        task.cancel()
        await ch.send("won")  # asyncio has not told the task yet: it still waits, and takes the element
        return await task

    assert asyncio.run(main()) == "won"


def test_a_task_that_never_waits_sees_its_cancellation_all_the_same() -> None:
    """A request that came while a turn was given is not put off for ever."""

    async def main() -> int:
        ch, count = channel(BUFFERED, 1), 0

        async def busy() -> None:
            nonlocal count
            while count < 10_000:
                await ch.send(count)
                await ch.recv()
                count += 1

        task = asyncio.create_task(busy())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return count

    assert asyncio.run(main()) < 200


def test_a_cancelled_receive_leaves_the_element_to_the_next() -> None:
    """Once asyncio has told the task of its cancellation, the receive takes nothing. Row: CH11."""

    async def main() -> object:
        ch = channel(BUFFERED, 1)
        task = asyncio.create_task(ch.recv())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ch.send("kept")
        return await ch.recv()

    assert asyncio.run(main()) == "kept"


def test_timeouts_of_asyncio_still_work_around_a_wait_that_was_won() -> None:
    """Requests to cancel are given back in number, so that ``asyncio.timeout`` recognises its own. Row: K2."""

    async def main() -> str:
        op = Operation(current_host())
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(0.01) as limit:
                when = limit.when()
                assert when is not None
                loop.call_at(when, op.complete, "value")
                await current_host().park(op)
                await asyncio.sleep(10)
        except TimeoutError:
            assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
            return str(op.value)
        return "no timeout"

    assert asyncio.run(main()) == "value"


def test_plain_asyncio_run_works_once_the_plugin_is_loaded() -> None:
    """The host is made at the first operation of a run, and is gone behind it. Row: H1."""

    async def main() -> list[Any]:
        ch = channel()

        async def produce() -> None:
            for i in range(3):
                await ch.send(i)
            ch.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            got = [i async for i in ch]
        with pytest.raises(ChannelClosed):
            await ch.recv()
        return [*got, here.host]

    *got, host = asyncio.run(main())
    assert (got, host.name) == ([0, 1, 2], "asyncio")
    assert host.ended
    assert find_host() is None
    *_, another = asyncio.run(main())
    assert another is not host


def test_a_cancel_scope_that_is_left_in_time_leaves_no_request_behind() -> None:
    """A scope that was cancelled in the turn in which its wait was won does not cancel what comes after it. Row: K1."""

    async def main() -> str:
        host = current_host()
        op, scope = Operation(host), host.open_cancel_scope()

        async def receiver() -> str:
            with scope:
                await host.park(op)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return "went on"

        task = asyncio.create_task(receiver())
        await asyncio.sleep(0)  # one turn is enough for it to park
        assert op.task is not None
        scope.cancel()
        op.complete("value")
        return await task

    assert asyncio.run(main()) == "went on"
