# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Parking, on every host: a wait ends once, by whoever claims it first, and claimed means delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kcoro_core.hosts.port import Host
from kcoro_core.reference.waiter import Operation
from kcoro_core.semantics import CANCELLED

from .conftest import until

if TYPE_CHECKING:
    from .conftest import HostUnderTest


def test_park_returns_once_the_operation_is_claimed(on: HostUnderTest) -> None:
    """A counterpart wins, hands over a value, and the parked task goes on with it."""

    async def main(host: Host) -> None:
        op = Operation(host)
        got: list[object] = []

        async def receiver() -> None:
            await host.park(op)
            got.append(op.value)

        async with host.open_nursery() as nursery:
            nursery.start_soon(receiver)
            await until(host, lambda: op.task)
            assert op.win()
            op.finish("value")
            assert got == []
        assert got == ["value"]

    on.run(main)


def test_a_value_that_was_claimed_is_delivered_although_a_cancel_follows(on: HostUnderTest) -> None:
    """Rule 1 of the port: claimed means delivered; the cancellation is seen at the next cancel point."""

    async def main(host: Host) -> None:
        op = Operation(host)
        seen: list[object] = []
        scope = host.open_cancel_scope()

        async def receiver() -> None:
            with scope:
                await host.park(op)
                seen.append(op.value)
                await host.checkpoint()
                seen.append("not reached")

        async with host.open_nursery() as nursery:
            nursery.start_soon(receiver)
            await until(host, lambda: op.task)
            assert op.complete("value")
            scope.cancel()
        assert seen == ["value"]
        assert scope.cancelled_caught

    on.run(main)


def test_a_cancel_that_comes_first_ends_the_wait_and_claims_it(on: HostUnderTest) -> None:
    """After a cancelled wait nobody can win the operation any more."""

    async def main(host: Host) -> None:
        op = Operation(host)
        scope = host.open_cancel_scope()

        async def receiver() -> None:
            with scope:
                await host.park(op)
                raise AssertionError("park returned")

        async with host.open_nursery() as nursery:
            nursery.start_soon(receiver)
            await until(host, lambda: op.task)
            scope.cancel()
            # trio asks give_up at once, others on their next turn; either way nobody wakes the task by unpark.
            await until(host, lambda: op.claim == CANCELLED)
            assert not op.win()
        assert scope.cancelled_caught

    on.run(main)


@pytest.mark.parametrize("granted", [True, False])
def test_a_cancel_while_a_remote_clause_is_claimed_waits_for_the_answer(on: HostUnderTest, granted: bool) -> None:
    """CLAIMING: granted delivers in spite of the cancel, denied ends the wait as cancelled."""

    async def main(host: Host) -> None:
        op = Operation(host)
        scope = host.open_cancel_scope()
        ended: list[int] = []

        async def selector() -> None:
            with scope:
                await host.park(op)
                ended.append(op.claim)
                await host.cancel_point()

        async with host.open_nursery() as nursery:
            nursery.start_soon(selector)
            await until(host, lambda: op.task)
            assert op.begin_claim(0)
            scope.cancel()
            for _ in range(10):
                await host.pause()
            assert ended == []
            if granted:
                op.win_claim()
                op.finish()
            else:
                op.end_claim()
        assert ended == [0 if granted else CANCELLED]
        assert scope.cancelled_caught

    on.run(main)


def test_a_wait_inside_a_cancelled_scope_ends_at_once_every_time(on: HostUnderTest) -> None:
    """Cancelling is a level: each further wait raises again, until the scope is left."""

    async def main(host: Host) -> int:
        attempts = 0
        with host.open_cancel_scope() as scope:
            scope.cancel()
            for _ in range(3):
                try:
                    await host.park(Operation(host))
                except BaseException:  # noqa: BLE001 - each host has its own class for it
                    attempts += 1
            await host.cancel_point()
        assert scope.cancelled_caught
        return attempts

    assert on.run(main) == 3


def test_park_and_pause_start_a_new_quantum(on: HostUnderTest) -> None:
    """Whoever has just let the others run may again complete a quantum of operations at once."""

    async def main(host: Host) -> None:
        host.credit = 0
        await host.pause()
        assert host.credit == host.quantum > 1
        host.credit = 0
        op = Operation(host)
        host.call_at(host.now(), op.complete)
        await host.park(op)
        assert host.credit == host.quantum

    on.run(main)
