# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The laws of nurseries and cancel scopes, the same on every host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kcoro_core import open_scope
from kcoro_core.hosts.port import Host
from kcoro_core.reference.waiter import Operation

from .conftest import until

if TYPE_CHECKING:
    from .conftest import HostUnderTest


async def fail(error: BaseException) -> None:
    raise error


def test_a_nursery_waits_for_its_children(on: HostUnderTest) -> None:
    """The block is left only when every child has ended, also one that was started by a child. Row: K4."""

    async def main(host: Host) -> None:
        log: list[str] = []

        async def child(name: str) -> None:
            for _ in range(3):
                await host.pause()
            log.append(name)

        async with host.open_nursery() as nursery:

            async def parent() -> None:
                nursery.start_soon(child, "grandchild", name="with a name")
                log.append("parent")

            nursery.start_soon(parent)
            nursery.start_soon(child, "child")
        assert sorted(log) == ["child", "grandchild", "parent"]

    on.run(main)


def test_a_failing_child_cancels_its_siblings_and_leaves_as_a_group(on: HostUnderTest) -> None:
    """Siblings end, and every error arrives, in one ExceptionGroup. Row: K4."""

    async def main(host: Host) -> None:
        ops = [Operation(host), Operation(host)]
        ended: list[str] = []

        async def sibling(op: Operation) -> None:
            try:
                await host.park(op)
            finally:
                ended.append("sibling")
                if op is ops[1]:
                    raise LookupError("on the way out")

        with pytest.RaisesGroup(ValueError, LookupError):
            async with host.open_nursery() as nursery:
                for op in ops:
                    nursery.start_soon(sibling, op)
                await until(host, lambda: ops[0].task and ops[1].task)
                nursery.start_soon(fail, ValueError("first"))
        assert ended == ["sibling", "sibling"]

    on.run(main)


def test_an_error_in_the_block_cancels_the_children_and_leaves_as_a_group(on: HostUnderTest) -> None:
    """The body of a nursery is a child like any other. Row: K4."""

    async def main(host: Host) -> None:
        op = Operation(host)
        with pytest.RaisesGroup(ValueError):
            async with host.open_nursery() as nursery:
                nursery.start_soon(host.park, op)
                await until(host, lambda: op.task)
                raise ValueError("body")

    on.run(main)


def test_a_failing_child_interrupts_the_block(on: HostUnderTest) -> None:
    """A body that waits is cancelled when a child fails. Row: K4."""

    async def main(host: Host) -> None:
        with pytest.RaisesGroup(ValueError):
            async with host.open_nursery() as nursery:
                nursery.start_soon(fail, ValueError("child"))
                await host.park(Operation(host))
                raise AssertionError("park returned")

    on.run(main)


def test_cancelling_a_nursery_ends_children_and_block_without_an_error(on: HostUnderTest) -> None:
    """``nursery.cancel_scope`` is a scope around all of it. Row: K4."""

    async def main(host: Host) -> None:
        ops = [Operation(host) for _ in range(3)]
        async with host.open_nursery() as nursery:
            for op in ops:
                nursery.start_soon(host.park, op)
            await until(host, lambda: all(op.task for op in ops))
            nursery.cancel_scope.cancel()
            await host.park(Operation(host))
            raise AssertionError("park returned")
        assert nursery.cancel_scope.cancelled_caught
        assert not any(op.win() for op in ops)

    on.run(main)


def test_a_nursery_that_was_left_takes_no_more_children(on: HostUnderTest) -> None:
    """No task outlives its nursery, so none can be added afterwards. Row: K4."""

    async def main(host: Host) -> None:
        async with host.open_nursery() as nursery:
            pass
        with pytest.raises(RuntimeError):
            nursery.start_soon(host.pause)

    on.run(main)


def test_a_scope_catches_its_own_cancellation_only(on: HostUnderTest) -> None:
    """The outer scope that was cancelled catches; the inner one, which was not, lets it pass. Row: K1."""

    async def main(host: Host) -> None:
        with host.open_cancel_scope() as outer:
            with host.open_cancel_scope() as inner:
                outer.cancel()
                await host.park(Operation(host))
            raise AssertionError("the inner scope swallowed it")
        assert (outer.cancelled_caught, inner.cancelled_caught) == (True, False)

    on.run(main)


def test_of_two_cancelled_scopes_the_outer_one_catches(on: HostUnderTest) -> None:
    """What a wider scope has ended does not go on behind a narrower one. Row: K1."""

    async def main(host: Host) -> None:
        with host.open_cancel_scope() as outer:
            with host.open_cancel_scope() as inner:
                inner.cancel()
                outer.cancel()
                await host.park(Operation(host))
            raise AssertionError("the inner scope swallowed it")
        assert (outer.cancelled_caught, inner.cancelled_caught) == (True, False)

    on.run(main)


def test_an_inner_scope_ends_alone(on: HostUnderTest) -> None:
    """After its block the task goes on as if nothing had been. Row: K1."""

    async def main(host: Host) -> None:
        with host.open_cancel_scope() as outer:
            with host.open_cancel_scope() as inner:
                inner.cancel()
                await host.park(Operation(host))
            await host.checkpoint()
            op = Operation(host)
            host.call_at(host.now(), op.complete)
            await host.park(op)
        assert (outer.cancelled_caught, inner.cancelled_caught) == (False, True)

    on.run(main)


def test_a_shield_keeps_the_outer_cancellation_out(on: HostUnderTest) -> None:
    """Inside a shield waits go on in a cancelled scope; behind it they end. Row: K1."""

    async def main(host: Host) -> None:
        log: list[str] = []
        with host.open_cancel_scope() as outer:
            outer.cancel()
            with host.open_cancel_scope(shield=True) as shield:
                op = Operation(host)
                host.call_at(host.now() + on.soon, op.complete)
                await host.checkpoint()
                await host.park(op)
                log.append("inside")
            await host.cancel_point()
            log.append("behind")
        assert log == ["inside"]
        assert (outer.cancelled_caught, shield.cancelled_caught) == (True, False)

    on.run(main)


def test_a_shielded_scope_can_still_be_cancelled_itself(on: HostUnderTest) -> None:
    """A shield keeps out what is outside, not its own cancellation. Row: K1."""

    async def main(host: Host) -> None:
        with host.open_cancel_scope(shield=True) as shield:
            host.call_at(host.now(), shield.cancel)
            await host.park(Operation(host))
        assert shield.cancelled_caught

    on.run(main)


def test_an_error_passes_a_cancelled_scope(on: HostUnderTest) -> None:
    """A scope swallows its cancellation and nothing else. Row: K1."""

    async def main(host: Host) -> None:
        scope = host.open_cancel_scope()

        def body() -> None:
            with scope:
                scope.cancel()
                raise LookupError("mine")

        with pytest.raises(LookupError):
            body()
        assert not scope.cancelled_caught

    on.run(main)


def test_a_scope_that_is_left_in_time_has_caught_nothing(on: HostUnderTest) -> None:
    """Cancelling a block that waits no more changes nothing, inside or behind it. Row: K1."""

    async def main(host: Host) -> None:
        with host.open_cancel_scope() as scope:
            scope.cancel()
        await host.checkpoint()
        op = Operation(host)
        host.call_at(host.now(), op.complete)
        await host.park(op)
        assert not scope.cancelled_caught

    on.run(main)


def test_a_child_of_a_cancelled_scope_is_cancelled_with_it(on: HostUnderTest) -> None:
    """Scopes reach through the nurseries that were opened inside them. Row: K4."""

    async def main(host: Host) -> None:
        op = Operation(host)
        with host.open_cancel_scope() as scope:
            async with host.open_nursery() as nursery:
                nursery.start_soon(host.park, op)
                await until(host, lambda: op.task)
                scope.cancel()
        assert scope.cancelled_caught
        assert not op.win()

    on.run(main)


def test_errors_of_children_pass_a_cancelled_scope_without_its_cancellation(on: HostUnderTest) -> None:
    """A group that holds errors and cancellations leaves as a group of the errors. Row: K4."""

    async def main(host: Host) -> None:
        op = Operation(host)

        async def fails_on_the_way_out() -> None:
            try:
                await host.park(op)
            finally:
                raise LookupError("mine")

        with pytest.RaisesGroup(LookupError), host.open_cancel_scope() as scope:
            async with host.open_nursery() as nursery:
                nursery.start_soon(fails_on_the_way_out)
                nursery.start_soon(host.park, Operation(host))
                await until(host, lambda: op.task)
                scope.cancel()

    on.run(main)


def test_a_host_that_has_no_launcher_for_a_scope_leaves_it_its_method(on: HostUnderTest) -> None:
    """As the native one has none before its engine was loaded. Row: K4."""

    async def main(host: Host) -> None:
        host.launcher = lambda scope, nursery, idle: None

        async def child() -> str:
            return "done"

        async with open_scope() as scope:
            task = scope.launch(child)
        assert task.result() == "done"

    on.run(main)
