# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cancel tokens: set once, downwards only, all at once (rows K1, K2, K3)."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from typing import Any

from ...cancel import CancelToken
from ...errors import DeadlineExceeded, OperationCancelled, WouldBlock
from ...hosts.port import current_host
from ...run import sleep
from .harness import Harness, raises
from .registry import Group, law


@law("K1.trigger-once", Group.CANCEL)
async def trigger_once(h: Harness) -> None:
    """Triggering twice runs each callback once, and the first reason stays. Rows: K1."""
    token = CancelToken()
    calls: list[str] = []
    token.on_trigger(lambda: calls.append("a"))
    token.on_trigger(lambda: calls.append("b"))
    assert (token.is_set(), token.reason) == (False, None)
    token.trigger("first")
    token.trigger("second")
    assert (token.is_set(), token.reason, calls) == (True, "first", ["a", "b"])


@law("K1.late-callbacks-run-at-once", Group.CANCEL)
async def late_callbacks_run_at_once(h: Harness) -> None:
    """A callback that is added to a token that is set runs at once, and once. Rows: K1."""
    token = CancelToken()
    token.trigger()
    calls: list[str] = []
    handle = token.on_trigger(lambda: calls.append("late"))
    assert calls == ["late"]
    assert not handle.cancel()


@law("K1.callbacks-can-be-taken-back", Group.CANCEL)
async def callbacks_can_be_taken_back(h: Harness) -> None:
    """``cancel`` of a callback is True exactly when it has not run and will not. Rows: K1."""
    token = CancelToken()
    calls: list[str] = []
    gone = token.on_trigger(lambda: calls.append("gone"))
    stays = token.on_trigger(lambda: calls.append("stays"))
    assert gone.cancel()
    assert not gone.cancel()
    token.trigger()
    assert calls == ["stays"]
    assert not stays.cancel()


@law("K1.a-callback-that-takes-another-back", Group.CANCEL)
async def a_callback_that_takes_another_back(h: Harness) -> None:
    """While callbacks run, those of the same trigger can no longer be taken back, and each runs once. Rows: K1."""
    token = CancelToken()
    calls: list[Any] = []
    handles: list[Any] = []
    token.on_trigger(lambda: calls.append(handles[0].cancel()))
    handles.append(token.on_trigger(lambda: calls.append("second")))
    token.trigger()
    assert calls == [False, "second"]


@law("K1.wait", Group.CANCEL)
async def wait(h: Harness) -> None:
    """``wait`` returns the reason once the token is set; its deadline leaves the token as it was. Rows: K1."""
    token = CancelToken()
    assert (await h.outcome(token.wait, 0)).outcome is WouldBlock
    began = h.now()
    assert (await h.outcome(token.wait, 2 * h.tick)).outcome is DeadlineExceeded
    assert h.now() - began >= 2 * h.tick - 1e-9
    assert not token.is_set()
    async with h.tasks() as tasks:
        calls = [tasks.start(token.wait), tasks.start(token.wait, 99 * h.tick)]
        await h.settle()
        token.trigger("why")
    assert [call.value for call in calls] == ["why", "why"]
    assert await token.wait() == await token.wait(0) == "why"


@law("K1.errors-of-callbacks-are-collected", Group.CANCEL)
async def errors_of_callbacks_are_collected(h: Harness) -> None:
    """All callbacks run, after the whole tree is set; what they raise leaves together. Rows: K1, K2."""
    root = CancelToken()
    leaf = root.child().child()
    seen: list[bool] = []

    def broken() -> None:
        seen.append(leaf.is_set())
        raise ZeroDivisionError

    root.on_trigger(broken)
    leaf.on_trigger(broken)
    leaf.on_trigger(lambda: seen.append(root.is_set()))
    with raises(ExceptionGroup) as caught:
        root.trigger()
    group: Any = caught[0]
    assert [type(error) for error in group.exceptions] == [ZeroDivisionError] * 2
    assert seen == [True] * 3


@law("K2.reaches-all-below", Group.CANCEL)
async def reaches_all_below(h: Harness) -> None:
    """Triggering a token sets its whole tree, 50 deep, before any callback runs, and nothing above. Rows: K2."""
    above = CancelToken()
    root = above.child()
    chain = [root]
    for _ in range(50):
        chain.append(chain[-1].child())
    leaves = [token.child() for token in chain]
    seen: list[bool] = []
    root.on_trigger(lambda: seen.append(all(token.is_set() for token in leaves)))
    async with h.tasks() as tasks:
        waits = [tasks.start(token.wait) for token in leaves]
        await h.settle()
        began = h.now()
        root.trigger("all")
        assert all(token.is_set() for token in (*chain, *leaves))
    assert seen == [True]
    assert {call.value for call in waits} == {"all"}
    assert not h.virtual or {call.ended_at for call in waits} == {began}
    assert not above.is_set()


@law("K2.never-upwards", Group.CANCEL)
async def never_upwards(h: Harness) -> None:
    """Triggering a token leaves its parent and its siblings alone. Rows: K2."""
    parent = CancelToken()
    child, sibling = parent.child(), parent.child()
    child.trigger()
    assert (parent.is_set(), sibling.is_set()) == (False, False)
    parent.trigger("later")
    assert (child.reason, sibling.reason) == (None, "later")


@law("K1.whatever-a-callback-raises", Group.CANCEL)
async def whatever_a_callback_raises(h: Harness) -> None:
    """A callback that raises even KeyboardInterrupt keeps no other callback from running, and is told. Rows: K1."""
    token, ran = CancelToken(), list[int]()

    def interrupt() -> None:
        raise KeyboardInterrupt

    token.on_trigger(interrupt)
    token.child().on_trigger(lambda: ran.append(1))
    with raises(BaseExceptionGroup) as caught:
        token.trigger()
    group = caught[0]
    assert isinstance(group, BaseExceptionGroup)
    assert [type(error) for error in group.exceptions] == [KeyboardInterrupt]
    assert (token.is_set(), ran) == (True, [1])


@law("K2.late-children-start-set", Group.CANCEL)
async def late_children_start_set(h: Harness) -> None:
    """A child of a token that is set starts set, with its reason, whichever way it was made. Rows: K2."""
    parent = CancelToken()
    parent.trigger("over")
    for child in (parent.child(), CancelToken(parent), parent.child().child()):
        assert (child.is_set(), child.reason) == (True, "over")


@law("K2.children-made-while-it-is-triggered", Group.CANCEL)
async def children_made_while_it_is_triggered(h: Harness) -> None:
    """A child made before, while or after its parent is triggered ends up set: 100,000 children. Rows: K2."""
    for _ in range(100_000 // 8):
        parent = CancelToken()
        child = parent.child()
        made = [child, middle := child.child(), middle.child(), CancelToken(middle)]
        parent.on_trigger(partial(_make, made, parent))
        child.on_trigger(partial(_make, made, child))
        middle.on_trigger(partial(_make, made, parent))
        parent.trigger()
        _make(made, middle)
        assert len(made) == 8
        assert all(token.is_set() for token in made)


def _make(made: list[CancelToken], parent: CancelToken) -> None:
    made.append(parent.child())


@law("K2.forgotten-tokens-are-free", Group.CANCEL)
async def forgotten_tokens_are_free(h: Harness) -> None:
    """A parent keeps no child alive that nobody waits on, and keeps those alive on which a callback waits. Rows: K2."""
    parent = CancelToken()
    forgotten = weakref.ref(parent.child())
    calls: list[str] = []
    parent.child().child().on_trigger(lambda: calls.append("kept"))
    gc.collect()
    assert forgotten() is None
    parent.trigger()
    assert calls == ["kept"]


@law("K3.wakes-at-once", Group.CANCEL)
async def wakes_at_once(h: Harness) -> None:
    """Every kind of wait with a token ends in the tick in which the token is set. Rows: K3."""
    from ...channel import channel
    from ...clauses import Recv
    from ...scope import open_scope
    from ...select import select

    token = CancelToken()
    ch: Any = channel()
    async with open_scope() as scope, h.tasks() as tasks:
        child = scope.launch(sleep, 1000 * h.tick)
        calls = [
            tasks.start(ch.recv, cancel=token.child()),
            tasks.start(select, Recv(ch), cancel=token.child()),
            tasks.start(child.wait, cancel=token),
        ]
        await h.settle()
        began = h.now()
        token.trigger("stop")
        await h.settle()
        scope.cancel()
    assert [call.outcome for call in calls] == [OperationCancelled] * 3
    assert [call.error.reason for call in calls] == ["stop"] * 3  # type: ignore[union-attr]
    assert not h.virtual or {call.ended_at for call in calls} == {began}


@law("K3.bound", Group.CANCEL)
async def bound(h: Harness) -> None:
    """``bound()`` ends everything awaited in its block when the token is set, and leaves the block quietly.

    Rows: K3, K7.
    """
    for early in (True, False):
        token = CancelToken()
        if early:
            token.trigger()
        else:
            current_host().call_at(h.now() + h.tick, token.trigger)
        with token.bound() as scope:
            await h.ticks(1000)
        assert scope.cancelled_caught
    unset = CancelToken()
    with unset.bound() as scope:
        await h.ticks(1)
    assert not scope.cancelled_caught
    unset.trigger()
    await h.ticks(1)


@law("K3.bound-nests", Group.CANCEL)
async def bound_nests(h: Harness) -> None:
    """Of two nested bound blocks each is ended by its own token, and the outer one by its own only. Rows: K3, K7."""
    outer, inner = CancelToken(), CancelToken()
    steps: list[str] = []
    current_host().call_at(h.now() + h.tick, inner.trigger)
    current_host().call_at(h.now() + 3 * h.tick, outer.trigger)
    with outer.bound():
        with inner.bound():
            await h.ticks(1000)
        steps.append("inner")
        await h.ticks(1000)
        steps.append("never")
    assert steps == ["inner"]
