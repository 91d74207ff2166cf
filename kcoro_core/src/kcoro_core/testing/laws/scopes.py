# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Scopes: children live and end together, and no error is lost (row K4)."""

from __future__ import annotations

from typing import Any

from ...cancel import CancelToken
from ...errors import DeadlineExceeded, OperationCancelled, WouldBlock
from ...run import sleep
from ...scope import Scope, Task, open_scope
from .harness import Harness, raises
from .registry import Group, law


async def value(v: Any) -> Any:
    """Return at once."""
    return v


async def fail(error: BaseException) -> None:
    """Raise at once."""
    raise error


@law("K4.leaving-waits-for-all", Group.SCOPE)
async def leaving_waits_for_all(h: Harness) -> None:
    """Leaving a scope waits for every child, those that children launch too, and keeps their results. Rows: K4."""
    tasks: list[Task[Any]] = []

    async def parent(scope: Scope) -> str:
        await h.ticks(1)
        tasks.append(scope.launch(parent if len(tasks) < 5 else value, scope))
        return "parent"

    began = h.now()
    async with open_scope() as scope:
        tasks.append(scope.launch(parent, scope, name="first"))
    assert h.now() - began >= 5 * h.tick - 1e-9
    assert all(task.done for task in tasks)
    assert (tasks[0].result(), tasks[0].name) == ("parent", "first")


@law("K4.wait-all", Group.SCOPE)
async def wait_all(h: Harness) -> None:
    """``wait_all`` gives WouldBlock, DeadlineExceeded or success, and its deadline ends no child. Rows: K4, E1."""
    async with open_scope() as scope:
        await scope.wait_all(0)
        child = scope.launch(sleep, 5 * h.tick)
        assert (await h.outcome(scope.wait_all, 0)).outcome is WouldBlock
        began = h.now()
        assert (await h.outcome(scope.wait_all, 2 * h.tick)).outcome is DeadlineExceeded
        assert h.now() - began >= 2 * h.tick - 1e-9
        assert "running" in repr(child)
        await scope.wait_all()
        assert child.done
        await scope.wait_all(0)
    assert child.result() is None


@law("K4.launch-after-cancel", Group.SCOPE)
async def launch_after_cancel(h: Harness) -> None:
    """After ``cancel`` nothing can be launched, every child is cancelled, and the block is left quietly.

    Rows: K4, K3.
    """
    async with open_scope() as scope:
        child = scope.launch(sleep, 1000 * h.tick)
        await h.settle()
        scope.cancel("enough")
        with raises(OperationCancelled) as caught:
            scope.launch(value, 1)
        assert caught[0].reason == "enough"  # type: ignore[attr-defined]
    assert child.done
    with raises(OperationCancelled):
        child.result()


@law("K4.first-failure-cancels-siblings", Group.SCOPE)
async def first_failure_cancels_siblings(h: Harness) -> None:
    """The first failure sets the scope's token, cancels the siblings, and leaves as an ExceptionGroup. Rows: K4, K7."""
    error = ZeroDivisionError("first")
    finished: list[str] = []

    async def sibling() -> None:
        try:
            await h.ticks(1000)
        finally:
            finished.append("cleaned up")

    with raises(BaseExceptionGroup) as caught:
        async with open_scope() as scope:
            tasks = [scope.launch(sibling) for _ in range(3)]
            await h.settle()
            failed = scope.launch(fail, error)
    group: Any = caught[0]
    assert group.exceptions == (error,)
    assert finished == ["cleaned up"] * 3
    assert (scope.token.is_set(), scope.token.reason) == (True, error)
    assert failed.error is error
    assert all(task.done for task in tasks)


@law("K4.no-failure-is-lost", Group.SCOPE)
async def no_failure_is_lost(h: Harness) -> None:
    """Errors of several children, of the block and of callbacks of the token all leave, together. Rows: K4, K1."""
    errors = [ValueError(i) for i in range(3)]

    async def late(error: Exception) -> None:
        try:
            await h.ticks(1000)
        finally:
            raise error

    with raises(BaseExceptionGroup) as caught:
        async with open_scope() as scope:
            scope.token.on_trigger(lambda: 1 // 0)
            scope.launch(late, errors[0])
            await h.settle()
            scope.launch(fail, errors[1])
            await late(errors[2])
    group: Any = caught[0]
    assert group.split(ValueError)[0] is not None
    assert set(_leaves(group)) >= set(errors)
    assert any(isinstance(error, ZeroDivisionError) for error in _leaves(group))


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]


@law("K4.wait-all-never-swallows", Group.SCOPE)
async def wait_all_never_swallows(h: Harness) -> None:
    """A child that fails during ``wait_all`` ends the wait, and its error leaves the block. Rows: K4."""
    reached = False
    with raises(BaseExceptionGroup):
        async with open_scope() as scope:
            scope.launch(fail, ValueError())
            await scope.wait_all()
            reached = True
    assert not reached


@law("K4.parent-token-cancels-a-scope", Group.SCOPE)
async def parent_token_cancels_a_scope(h: Harness) -> None:
    """A scope under a token is cancelled with it; cancelling the scope leaves the token alone. Rows: K4, K2."""
    token = CancelToken()
    async with open_scope(token) as scope:
        child = scope.launch(sleep, 1000 * h.tick)
        await h.settle()
        token.trigger("all")
    assert child.done
    assert scope.token.reason == "all"
    other = CancelToken()
    async with open_scope(other) as scope:
        scope.cancel()
    assert not other.is_set()
    async with open_scope(token) as scope:
        with raises(OperationCancelled):
            scope.launch(value, 1)


@law("K4.results", Group.SCOPE)
async def results(h: Harness) -> None:
    """A task tells whether it runs, what it returned, or what it raised; waiting for it raises nothing of it.

    Rows: K4.
    """
    tasks: list[Task[Any]] = []
    error = ValueError("mine")
    with raises(BaseExceptionGroup):
        async with open_scope() as scope:
            tasks.append(scope.launch(sleep, h.tick))
            with raises(WouldBlock):
                tasks[0].result()
            assert (await h.outcome(tasks[0].wait, 0)).outcome is WouldBlock
            assert (await h.outcome(tasks[0].wait, h.tick / 4)).outcome is DeadlineExceeded
            await tasks[0].wait()
            tasks.append(scope.launch(value, "v"))
            await tasks[1].wait()
            tasks.append(scope.launch(fail, error))
            await tasks[2].wait()
    assert (tasks[0].result(), tasks[1].result()) == (None, "v")
    assert (tasks[1].error, tasks[2].error) == (None, error)
    with raises(ValueError) as caught:
        tasks[2].result()
    assert caught == [error]


@law("K4.names-and-numbers", Group.SCOPE)
async def names_and_numbers(h: Harness) -> None:
    """Tasks have a number of their own, a name, and a state that can be read from their repr. Rows: K4, C8."""
    async with open_scope() as scope:
        a = scope.launch(value, 1)
        b = scope.launch(value, 2, name="second")
        assert "running" in repr(a)
        await scope.wait_all()
    assert a.id != b.id
    assert "value" in a.name
    assert "'second' done" in repr(b)


@law("K4.start-soon", Group.SCOPE)
async def start_soon(h: Harness) -> None:
    """``start_soon`` has the form of a trio nursery's, so that a scope can stand where one is expected.

    Rows: K4, K7.
    """
    got: list[int] = []

    async def add(a: int, b: int) -> None:
        got.append(a + b)

    async with open_scope() as scope:
        scope.start_soon(add, 1, 2)
        scope.start_soon(add, 3, 4, name="named")
    assert sorted(got) == [3, 7]
