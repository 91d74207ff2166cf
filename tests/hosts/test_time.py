# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Timers and deadlines, on every host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kcoro_core.hosts.port import Host
from kcoro_core.reference.waiter import Operation
from kcoro_core.semantics import TIMED_OUT

if TYPE_CHECKING:
    from .conftest import HostUnderTest


def test_timers_fire_in_order_and_not_early(on: HostUnderTest) -> None:
    """By deadline, and among equal deadlines in the order of the calls. Row: SC5."""

    async def main(host: Host) -> None:
        start = host.now()
        fired: list[tuple[int, bool]] = []
        op = Operation(host)

        def at(number: int, delay: float) -> None:
            host.call_at(start + delay, lambda: fired.append((number, host.now() >= start + delay)))

        at(3, on.soon)
        at(1, on.soon / 2)
        at(4, on.soon)
        at(2, on.soon / 2)
        host.call_at(start + on.soon, op.complete)
        await host.park(op)
        assert fired == [(1, True), (2, True), (3, True), (4, True)]

    on.run(main)


def test_cancel_of_a_timer_is_true_exactly_when_it_will_not_fire(on: HostUnderTest) -> None:
    """Before the deadline True and silent, afterwards False. Row: SC5."""

    async def main(host: Host) -> None:
        op = Operation(host)
        never = host.call_at(host.now() + on.soon / 2, lambda: op.complete("wrong"))
        fires = host.call_at(host.now() + on.soon, lambda: op.complete("right"))
        assert (never.cancel(), never.cancel()) == (True, False)
        await host.park(op)
        assert op.value == "right"
        assert not fires.cancel()

    on.run(main)


def test_a_deadline_claims_an_operation_as_any_other_does(on: HostUnderTest) -> None:
    """``op.expire`` on a timer ends the wait with TIMED_OUT. Row: E1."""

    async def main(host: Host) -> None:
        op = Operation(host)
        host.call_at(host.now() + on.soon, op.expire)
        await host.park(op)
        assert op.claim == TIMED_OUT

    on.run(main)
