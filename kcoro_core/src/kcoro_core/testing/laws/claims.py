# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Claim words: one decision for each operation, and the revocable claim of a remote clause (rows SE1, K3, N5).

These laws speak to the core surface of the engine, below the face, because only another process could bring about what
they are about. CLAIMING is the state in which a clause of another process is being asked for.
"""

from __future__ import annotations

from typing import Any, Final

from ... import plugins
from ...engine import CLOSED, OK, WOULD_BLOCK, ChannelCore
from ...errors import ChannelClosed
from ...semantics import (
    BUFFERED,
    CANCELLED,
    CLAIMING,
    RAISE,
    RENDEZVOUS,
    SKIP,
    SUSPEND,
    TIMED_OUT,
    WAITING,
    Undelivered,
)
from .harness import Harness
from .registry import Group, law
from .shapes import FULL_WAITS, Shape


class Owner:
    """Stands for the host: counts how often each operation is woken."""

    def __init__(self) -> None:
        self.woken: list[Any] = []

    def unpark(self, op: Any, /) -> None:
        """Note that the operation was decided."""
        self.woken.append(op)


def made(kind: Any = RENDEZVOUS, capacity: int | None = None) -> ChannelCore:
    """A channel of the engine in use."""
    return plugins.engine().channel(kind, capacity, SUSPEND, None)


def waiter(owner: Owner, value: Any = None, *, sending: bool = False) -> Any:
    """A plain operation of the engine in use."""
    return plugins.engine().select.operation(owner, sending, value)


@law("SE1.decided-once", Group.CORE)
async def decided_once(h: Harness) -> None:
    """Whatever tries to decide an operation, the first one does, and its owner is woken once. Rows: SE1, CH8."""
    for first in ("win", "expire", "revoke", "shut"):
        owner = Owner()
        op = waiter(owner)
        decide = {
            "win": lambda op=op: op.win() and (op.finish("v") or True),
            "expire": op.expire,
            "revoke": op.revoke,
            "shut": lambda op=op: op.shut(ChannelClosed()),
        }
        assert decide.pop(first)() is True
        claim = op.claim
        assert [decide_it() for decide_it in decide.values()] == [False] * 3, first
        assert op.claim == claim != WAITING
        assert owner.woken == [op]
        assert not op.give_up()


@law("SE1.host-cancel-wakes-nobody", Group.CORE)
async def host_cancel_wakes_nobody(h: Harness) -> None:
    """``give_up`` decides an operation that waits, without a wake-up, because the host wakes its task.

    Rows: K7, SE1.
    """
    owner = Owner()
    op = waiter(owner)
    assert op.give_up()
    assert (op.claim, owner.woken) == (CANCELLED, [])
    assert not op.win()


@law("SE1.claiming-waiters-are-skipped", Group.CORE, over=FULL_WAITS)
async def claiming_waiters_are_skipped(h: Harness, shape: Shape) -> None:
    """A waiter that is being claimed elsewhere is passed over, and the next one is served. Rows: SE1, CH11."""
    owner = Owner()
    ch = made(shape.kind, shape.capacity)
    first, second = waiter(owner), waiter(owner)
    ch.enqueue(first)
    ch.enqueue(second)
    assert first.begin_claim(0)
    assert first.claim == CLAIMING
    assert ch.send_now("v") is OK
    assert (second.claim, second.value) == (0, "v")
    assert owner.woken == [second]
    assert ch.snapshot().waiting_receivers == 1


@law("SE1.claiming-waiters-keep-their-place", Group.CORE)
async def claiming_waiters_keep_their_place(h: Harness) -> None:
    """A waiter whose remote claim was denied stands where it stood, before those who came later. Rows: SE1, CH11."""
    owner = Owner()
    ch = made()
    first, second = waiter(owner), waiter(owner)
    ch.enqueue(first)
    ch.enqueue(second)
    first.begin_claim(0)
    assert first.end_claim()
    ch.send_now("v")
    assert (first.value, second.claim) == ("v", WAITING)


@law("SE1.claiming-senders-are-skipped", Group.CORE)
async def claiming_senders_are_skipped(h: Harness) -> None:
    """A sender that is being claimed elsewhere neither gives its value nor moves into a free slot. Rows: SE1, CH11."""
    owner = Owner()
    ch = made(BUFFERED, 1)
    assert ch.send_now(0) is OK
    first, second = waiter(owner, 1, sending=True), waiter(owner, 2, sending=True)
    ch.enqueue(first)
    ch.enqueue(second)
    first.begin_claim(0)
    assert [ch.recv_now(), ch.recv_now(), ch.recv_now()] == [0, 2, WOULD_BLOCK]
    assert owner.woken == [second]
    assert first.end_claim()
    assert ch.recv_now() == 1


@law("SE1.a-granted-claim-wins", Group.CORE)
async def a_granted_claim_wins(h: Harness) -> None:
    """A claim that was granted wins over a cancel and a deadline that came while it was asked for. Rows: SE1, CH8."""
    owner = Owner()
    op = waiter(owner)
    assert op.begin_claim(3)
    assert op.claim == CLAIMING - 3
    assert not op.begin_claim(1)
    assert not op.expire()
    assert not op.revoke()
    assert not op.give_up()
    assert op.win_claim() == 3
    assert (op.claim, owner.woken) == (3, [])


LATE: Final = {
    "cancel": ("revoke",),
    "timeout": ("expire",),
    "timeout-cancel": ("expire", "revoke"),
    "cancel-timeout": ("revoke", "expire"),
    "host": ("give_up",),
    "host-timeout": ("give_up", "expire"),
}


@law("SE1.late-decisions-are-remembered", Group.CORE, over=LATE)
async def late_decisions_are_remembered(h: Harness, events: tuple[str, ...]) -> None:
    """A cancel or a deadline that came while CLAIMING decides when the claim is denied; cancel first.

    Rows: SE1, CH8.
    """
    owner = Owner()
    op = waiter(owner)
    op.begin_claim(0)
    for event in events:
        assert not getattr(op, event)()
    assert owner.woken == []
    assert not op.end_claim()
    assert op.claim == (TIMED_OUT if events == ("expire",) else CANCELLED)
    assert owner.woken == [op]


@law("SE1.close-while-claiming", Group.CORE, over=FULL_WAITS)
async def close_while_claiming(h: Harness, shape: Shape) -> None:
    """A close that comes while a waiter is CLAIMING does not decide it; its next poll finds the close.

    Rows: SE1, CH9.
    """
    owner = Owner()
    ch = made(shape.kind, shape.capacity)
    op = waiter(owner)
    ch.enqueue(op)
    op.begin_claim(0)
    ch.close("done")
    assert owner.woken == []
    assert op.end_claim()
    assert ch.recv_now() is CLOSED
    assert op.shut(ChannelClosed())
    ch.withdraw(op)
    assert ch.snapshot().waiting_receivers == 0


@law("SE5.skip-counts-each-closed-arm-once", Group.CORE)
async def skip_counts_each_closed_arm_once(h: Harness) -> None:
    """Under SKIP a select ends when its last clause is closed, however often it is told of one close. Rows: SE5."""
    select = plugins.engine().select
    op = select.select(SKIP, 2)
    arms: list[Any] = [select.arm(op, i) for i in range(2)]
    assert not arms[0].shut(ChannelClosed())
    assert not arms[0].shut(ChannelClosed())
    assert op.claim == WAITING
    assert arms[1].shut(ChannelClosed())
    assert isinstance(op.error, ChannelClosed)
    assert op.error.index is None


@law("SE1.one-arm-wins", Group.CORE)
async def one_arm_wins(h: Harness) -> None:
    """Once an arm of a select has won, its other arms can neither win nor be closed. Rows: SE1."""
    owner = Owner()
    select = plugins.engine().select
    op = select.select(RAISE, 3)
    op.parker = owner
    arms: list[Any] = [select.arm(op, i) for i in range(3)]
    assert arms[1].win()
    arms[1].finish("v")
    assert [arm.win() for arm in arms] == [False] * 3
    assert not arms[0].shut(ChannelClosed())
    assert (op.claim, op.value, owner.woken) == (1, "v", [op])


@law("SE1.withdraw-says-whether-it-was-there", Group.CORE)
async def withdraw_says_whether_it_was_there(h: Harness) -> None:
    """``withdraw`` is True for a waiter that was queued and False for one that was not, or had won. Rows: SE1, CH11."""
    owner = Owner()
    ch = made()
    op = waiter(owner)
    assert not ch.withdraw(op)
    ch.enqueue(op)
    assert ch.withdraw(op)
    assert not ch.withdraw(op)
    ch.enqueue(op)
    ch.send_now("v")
    assert not ch.withdraw(op)


@law("CH6.travelling-elements-hold-back-the-close", Group.CORE)
async def travelling_elements_hold_back_the_close(h: Harness) -> None:
    """While an element travels to another process, a closed and empty channel does not say closed. Rows: CH9, CH6."""
    owner = Owner()
    ch = made(BUFFERED, 2)
    ch.send_now("a")
    ch.send_now("b")
    assert ch.recv_now() == "a"
    ch.hand_out()
    assert ch.recv_now() == "b"
    ch.hand_out()
    ch.close()
    assert ch.recv_now() is WOULD_BLOCK
    waits = waiter(owner)
    ch.enqueue(waits)
    ch.settle(1)
    assert (ch.recv_now(), owner.woken) == (WOULD_BLOCK, [])
    ch.settle(1, ["b"])
    assert (waits.value, owner.woken) == ("b", [waits])
    assert ch.recv_now() is CLOSED


@law("CH6.cancel-reaches-what-travels", Group.CORE)
async def cancel_reaches_what_travels(h: Harness) -> None:
    """An element that comes back after ``ch.cancel`` is reported as the queue was, and never received. Rows: CH6."""
    reports: list[Any] = []
    ch = plugins.engine().channel(BUFFERED, 3, SUSPEND, lambda value, why: reports.append((value, why)))
    for value in "abc":
        ch.send_now(value)
    assert [ch.recv_now(), ch.recv_now()] == ["a", "b"]
    ch.hand_out()
    ch.hand_out()
    ch.cancel()
    waits = waiter(Owner())
    ch.enqueue(waits)
    ch.settle(1)
    ch.settle(1, ["b"])
    assert reports == [("c", Undelivered.CANCELLED), ("b", Undelivered.CANCELLED)]
    assert ch.recv_now() is CLOSED
    assert waits.error is not None
    assert (ch.snapshot().received, ch.snapshot().dropped, len(ch)) == (1, 2, 0)


@law("CH6.elements-that-come-back-go-to-the-head", Group.CORE)
async def elements_that_come_back_go_to_the_head(h: Harness) -> None:
    """Elements that come back over a link are received first, in their old order. Rows: CH6, CH11."""
    ch = made(BUFFERED, 3)
    for value in "abc":
        ch.send_now(value)
    assert [ch.recv_now(), ch.recv_now()] == ["a", "b"]
    ch.hand_out()
    ch.hand_out()
    ch.settle(2, ["a", "b"])
    assert [ch.recv_now() for _ in range(4)] == ["a", "b", "c", WOULD_BLOCK]


@law("CH6.report-moves-an-element-to-the-dropped", Group.CORE)
async def report_moves_an_element_to_the_dropped(h: Harness) -> None:
    """``report`` passes a value to the hook once, and counts it as dropped instead of received. Rows: CH6, M1."""
    reports: list[Any] = []
    ch = plugins.engine().channel(BUFFERED, 2, SUSPEND, lambda value, why: reports.append((value, why)))
    ch.send_now("v")
    assert ch.recv_now() == "v"
    assert (ch.snapshot().received, ch.snapshot().dropped) == (1, 0)
    ch.report("v", Undelivered.IN_DOUBT)
    assert reports == [("v", Undelivered.IN_DOUBT)]
    assert (ch.snapshot().received, ch.snapshot().dropped) == (0, 1)
