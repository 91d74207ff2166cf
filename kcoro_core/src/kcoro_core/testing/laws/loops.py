# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What belongs to one run refuses every other thread and run, before anything is touched (row CH14)."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from ...cancel import CancelToken
from ...channel import channel
from ...clauses import After, Done, Recv, Send, Triggered
from ...errors import WrongLoop
from ...hosts import script
from ...hosts.port import current_host
from ...portal import portal
from ...run import run, sleep
from ...scope import Scope, Task, open_scope
from ...select import Selector, select, try_select
from ...semantics import BUFFERED
from .harness import Harness, raises
from .registry import Group, law

Use = Callable[["Owned"], object]
Wait = Callable[["Owned"], Awaitable[object]]


def in_thread(fn: Callable[[], object]) -> object:
    """What ``fn`` returned, or the error that it raised, in another thread; this loop stands still meanwhile."""
    result: list[object] = []

    def work() -> None:
        try:
            result.append(fn())
        except BaseException as error:  # noqa: BLE001 - it is the result
            result.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return result[0]


def in_other_run(fn: Callable[[], Awaitable[object]]) -> object:
    """What awaiting ``fn()`` gives in another run, in another thread."""
    return in_thread(lambda: script.run(fn))


class Owned:
    """Things that belong to this run, because somebody has waited on each of them."""

    def __init__(self) -> None:
        self.channel: Any = channel(BUFFERED, 2)
        self.full: Any = channel()
        self.sender, self.receiver = self.channel.sender(), self.channel.receiver()
        self.token = CancelToken()
        self.child = self.token.child()
        self.scope: Scope
        self.task: Task[Any]

    async def settle_in(self, h: Harness, scope: Scope) -> None:
        """Wait on each of them, so that they have a home, and put one element into the channel."""
        self.scope = scope
        self.task = scope.launch(self.channel.recv)
        scope.launch(self.child.wait)
        scope.launch(self.full.recv)
        await h.settle()
        self.channel.try_send("taken")
        await h.settle()
        self.channel.try_send("v")

    def state(self) -> object:
        """All that could have been changed."""
        return (
            self.channel.snapshot(),
            self.full.snapshot(),
            self.sender.closed,
            self.receiver.closed,
            self.channel.open_senders,
            self.channel.open_receivers,
            self.token.is_set(),
            self.child.is_set(),
            repr(self.scope),
        )


CALLS: Final[dict[str, Use]] = {
    "try_send": lambda o: o.channel.try_send("w"),
    "try_recv": lambda o: o.channel.try_recv(),
    "close": lambda o: o.channel.close(),
    "cancel": lambda o: o.channel.cancel(),
    "half-try_send": lambda o: o.sender.try_send("w"),
    "half-try_recv": lambda o: o.receiver.try_recv(),
    "half-close-sender": lambda o: o.sender.close(),
    "half-close-receiver": lambda o: o.receiver.close(),
    "try_select-recv": lambda o: try_select(After(5), Recv(o.channel)),
    "try_select-send": lambda o: try_select(Send(o.full, "w"), Recv(channel())),
    "trigger": lambda o: o.token.trigger(),
    "trigger-child": lambda o: o.child.trigger(),
    "on_trigger": lambda o: o.token.on_trigger(print),
    "scope-cancel": lambda o: o.scope.cancel(),
    "launch": lambda o: o.scope.launch(sleep, 1),
}

WAITS: Final[dict[str, Wait]] = {
    "send": lambda o: o.channel.send("w"),
    "send-timeout": lambda o: o.channel.send("w", timeout=5),
    "recv": lambda o: o.channel.recv(),
    "recv-try": lambda o: o.channel.recv(timeout=0),
    "half-send": lambda o: o.sender.send("w"),
    "half-receive": lambda o: o.receiver.receive(),
    "select": lambda o: select(Recv(channel()), Recv(o.channel), timeout=5),
    "selector": lambda o: Selector(Send(o.full, "w")).wait(5),
    "select-triggered": lambda o: select(Recv(channel()), Triggered(o.child), timeout=5),
    "select-done": lambda o: select(Recv(channel()), Done(o.task), timeout=5),
    "select-cancel": lambda o: select(Recv(channel()), timeout=5, cancel=o.token),
    "recv-cancel": lambda o: channel().recv(timeout=5, cancel=o.child),
    "token-wait": lambda o: o.token.wait(5),
    "task-wait": lambda o: o.task.wait(5),
    "wait_all": lambda o: o.scope.wait_all(5),
    "open_scope": lambda o: open_scope(o.token).__aenter__(),
}


async def _call(use: Use, owned: Owned) -> object:
    return use(owned)


@law("CH14.calls-from-elsewhere", Group.LOOP, over=CALLS)
async def calls_from_elsewhere(h: Harness, use: Use) -> None:
    """A call from another run raises WrongLoop and changes nothing; so it does from a thread without a loop.

    Rows: CH14.
    """
    owned = Owned()
    async with open_scope() as scope:
        await owned.settle_in(h, scope)
        before = owned.state()
        for result in (in_thread(lambda: use(owned)), in_other_run(lambda: _call(use, owned))):
            assert isinstance(result, WrongLoop), result
            assert owned.state() == before
        scope.cancel()


@law("CH14.waits-from-elsewhere", Group.LOOP, over=WAITS)
async def waits_from_elsewhere(h: Harness, wait: Wait) -> None:
    """A wait from another run raises WrongLoop before it waits, and changes nothing here or there. Rows: CH14."""
    owned = Owned()
    async with open_scope() as scope:
        await owned.settle_in(h, scope)
        before = owned.state()
        result = in_other_run(lambda: wait(owned))
        assert isinstance(result, WrongLoop), result
        assert owned.state() == before
        scope.cancel()


@law("CH14.a-foreign-token-leaves-no-waiter", Group.LOOP)
async def a_foreign_token_leaves_no_waiter(h: Harness) -> None:
    """A call that is refused because of its token has queued nobody: the next element is not lost to it. Rows: CH14."""
    owned = Owned()

    async def there() -> object:
        ch: Any = channel()
        for call in (ch.recv(timeout=9, cancel=owned.child), select(Recv(ch), timeout=9, cancel=owned.token)):
            try:
                await call
            except WrongLoop:
                pass
        await sleep(20)
        return ch.snapshot().waiting_receivers

    async with open_scope() as scope:
        await owned.settle_in(h, scope)
        assert in_other_run(there) == 0
        scope.cancel()


@law("CH14.free-after-its-run", Group.LOOP)
async def free_after_its_run(h: Harness) -> None:
    """What belonged to a run that has ended may be used in another one, with all that is queued. Rows: CH14."""
    ch: Any = channel(BUFFERED, 2)
    token = CancelToken()

    async def there() -> None:
        async with open_scope(token) as scope:
            scope.launch(ch.recv)
            await sleep(1)
            ch.try_send("taken")
            await scope.wait_all()
        await ch.send("left")

    assert in_other_run(there) is None
    assert await ch.recv() == "left"
    assert (await h.outcome(ch.recv, timeout=h.tick, cancel=token)).error is not None
    token.trigger()


@law("CH14.no-home-before-a-wait", Group.LOOP)
async def no_home_before_a_wait(h: Harness) -> None:
    """A channel on which nobody has waited belongs to nobody yet: it may be made and filled anywhere. Rows: CH14."""
    made: Any = in_thread(lambda: channel(BUFFERED, 2))
    in_thread(lambda: made.try_send("v"))
    await made.send("w")
    assert [await made.recv(), await made.recv()] == ["v", "w"]


@law("CH14.no-loop-no-wait", Group.LOOP)
async def no_loop_no_wait(h: Harness) -> None:
    """Where no loop runs, everything that needs one says so, and names the ways in. Rows: CH14."""

    def outside() -> None:
        waits: list[Callable[[], Any]] = [channel().recv, lambda: select(Recv(channel())), lambda: sleep(1)]
        for wait in waits:
            with raises(WrongLoop) as caught:
                wait().send(None)
            assert "portal()" in str(caught[0])
        with raises(WrongLoop):
            portal()
        with raises(WrongLoop):
            current_host()

    error = in_thread(outside)
    assert error is None, error


@law("CH14.no-run-inside-a-run", Group.LOOP)
async def no_run_inside_a_run(h: Harness) -> None:
    """``run`` inside a run is refused, and the outer run goes on. Rows: CH14."""

    async def main() -> None:
        raise AssertionError("this must not run")

    with raises(WrongLoop):
        run(main)
    await h.ticks(1)


@law("CH14.portal-refuses-its-own-loop", Group.LOOP)
async def portal_refuses_its_own_loop(h: Harness) -> None:
    """A portal used in its own loop would wait for itself: it says so instead. Rows: CH14."""
    door = portal()
    with raises(WrongLoop):
        door.run(sleep, 1)
    with raises(WrongLoop):
        door.run_sync(print)


@law("CH14.portal-of-a-run-that-has-ended", Group.LOOP)
async def portal_of_a_run_that_has_ended(h: Harness) -> None:
    """A portal of a run that has ended raises WrongLoop in every thread, and never waits. Rows: CH14, SC7."""
    kept: list[Any] = []

    async def there() -> None:
        kept.append(portal())

    in_other_run(there)
    in_thread(lambda: run(there))
    for door in kept:
        for result in (
            in_thread(partial(door.run, sleep, 1)),
            in_thread(partial(door.run_sync, print)),
        ):
            assert isinstance(result, WrongLoop), result
        with raises(WrongLoop):
            door.run(sleep, 1)
