# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A channel in which a link has a share: slots that are lent, elements that are kept ahead (rows N4, CH2, CH11).

These laws speak to the core surface of the engine, since a link is its only user; ``engine.ChannelCore`` has the terms.
"""

from __future__ import annotations

import random
from typing import Any, Final

from ... import plugins
from ...engine import CLOSED, OK, WOULD_BLOCK, ChannelCore
from ...semantics import (
    BUFFERED,
    CONFLATED,
    DROP_LATEST,
    DROP_OLDEST,
    RENDEZVOUS,
    SUSPEND,
    TIMED_OUT,
    UNLIMITED,
    WAITING,
    Undelivered,
)
from .claims import Owner, waiter
from .harness import Harness
from .registry import Group, law

MANY: Final = 300


class End:
    """The end of a link that has a share in a channel, as far as the channel sees it: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def recall(self) -> None:
        """Somebody else wants to take part."""
        self.told.append("recall")

    def ask(self) -> None:
        """A try wants to know."""
        self.told.append("ask")

    def freed(self) -> None:
        """Slots may be free."""

    def arrived(self) -> None:
        """Elements may be taken ahead."""
        self.told.append("arrived")

    def drained(self) -> None:
        """Nothing is left."""
        self.told.append("drained")


def made(capacity: int | None = 2, kind: Any = BUFFERED, overflow: Any = SUSPEND, hook: Any = None) -> ChannelCore:
    """A channel of the engine in use."""
    return plugins.engine().channel(kind, capacity, overflow, hook)


def lent(count: int, core: ChannelCore) -> End:
    """The borrower of ``count`` slots."""
    end = End()
    assert core.lend(end)
    core.lend_slots(count)
    return end


@law("N4.lent-to-one-where-a-sender-would-wait", Group.CORE)
async def lent_where_a_sender_would_wait(h: Harness) -> None:
    """Slots are lent where a full channel makes senders wait, and on CONFLATED; to one borrower; to none on a closed
    channel or beside a sender that waits.

    Rows: N4.
    """
    for core in (made(None, RENDEZVOUS), made(2, overflow=DROP_OLDEST), made(2, overflow=DROP_LATEST)):
        assert not core.lend(End())
        assert core.lendable() == 0
    for core in (made(2), made(None, UNLIMITED), made(None, CONFLATED)):
        assert core.lend(End())
        assert not core.lend(End())
        core.end_lending()
        assert core.lend(End())
    core = made(1)
    assert core.send_now("v") is OK
    core.enqueue(waiter(Owner(), "w", sending=True))
    assert not core.lend(End())
    core = made()
    core.close()
    assert not core.lend(End())


@law("N4.filled-and-lent-stay-within-capacity", Group.CORE)
async def within_capacity(h: Harness) -> None:
    """What is queued, kept ahead and lent together never exceeds the capacity, whatever happens. Rows: N4, CH2."""
    rng = random.Random(7)
    for capacity in (1, 2, 5):
        core, promised, kept, number = made(capacity), 0, 0, 0
        assert core.lend(End())
        assert core.keep(End())
        for _ in range(MANY):
            step = rng.randrange(5)
            if step == 0 and (free := int(core.lendable())):
                count = rng.randint(1, free)
                core.lend_slots(count)
                promised += count
            elif step == 1 and promised:
                promised -= 1
                assert core.fill(number) is OK
                number += 1
            elif step == 2 and core.take_ahead() is not WOULD_BLOCK:
                kept += 1
            elif step == 3 and kept:
                kept -= 1
                core.settle_ahead()
            elif step == 4:
                assert core.fill(number, False) in (OK, WOULD_BLOCK)
                number += 1
            assert len(core) + kept + promised <= capacity
            assert core.lendable() == capacity - len(core) - kept - promised


@law("N4.no-more-is-lent-than-is-free", Group.CORE)
async def no_more_than_is_free(h: Harness) -> None:
    """Lending more slots than are free raises ValueError and lends none. Rows: N4, CH2."""
    core = made(2)
    lent(1, core)
    for count in (2, -1):
        try:
            core.lend_slots(count)
        except ValueError:
            pass
        else:
            raise AssertionError(f"{count} slots were lent, 1 was free")
    assert core.lendable() == 1


@law("N4.others-wait-for-the-return", Group.CORE)
async def others_wait_for_the_return(h: Harness) -> None:
    """While slots are lent, everybody else's send would block, even beside a free slot; the first one recalls, once.

    Rows: N4, CH11.
    """
    for kind, capacity in ((BUFFERED, 2), (UNLIMITED, None), (CONFLATED, None)):
        core, owner = made(capacity, kind), Owner()
        end = lent(1, core)
        assert not core.send_must_wait()
        assert [core.send_now("x"), core.send_now("y")] == [WOULD_BLOCK] * 2
        assert end.told == ["recall"]
        assert core.lendable() == 0
        first = waiter(owner, "second", sending=True)
        core.enqueue(first)
        assert core.fill("first") is OK
        assert core.recv_now() == "first"
        assert first.claim == WAITING
        core.end_lending()
        assert owner.woken == [first]
        assert core.recv_now() == "second"


@law("N4.who-waits-is-served-before-a-loan", Group.CORE)
async def served_before_a_loan(h: Harness) -> None:
    """A freed slot goes to the oldest sender that waits; slots are lent only while none does. Rows: N4, CH11."""
    core, owner = made(1), Owner()
    lent(1, core)
    assert core.fill("a") is OK
    assert core.fill("b", False) is WOULD_BLOCK
    core.enqueue(waiter(owner, "b", sending=True))
    assert core.lendable() == 0
    assert core.recv_now() == "a"
    assert len(owner.woken) == 1
    assert core.recv_now() == "b"
    assert core.lendable() == 1


@law("N4.lent-slots-meet-waiting-receivers", Group.CORE)
async def filled_slots_meet_receivers(h: Harness) -> None:
    """An element that fills a lent slot goes straight to the oldest receiver that waits. Rows: N4, CH1."""
    core, owner = made(1), Owner()
    lent(1, core)
    op = waiter(owner)
    assert core.recv_now() is WOULD_BLOCK
    core.enqueue(op)
    assert core.fill("v") is OK
    assert (op.value, owner.woken, len(core)) == ("v", [op], 0)
    assert core.snapshot().handoffs == 1


@law("N4.a-close-waits-for-the-return", Group.CORE)
async def close_waits_for_the_return(h: Harness) -> None:
    """After a close lent slots are still filled and drained; receivers hear of it when the slots are back.

    Rows: N4, CH10.
    """
    core, owner = made(2), Owner()
    end = lent(2, core)
    core.close("done")
    assert core.send_now("x") is CLOSED
    assert core.fill("x", False) is CLOSED
    assert core.recv_now() is WOULD_BLOCK
    op = waiter(owner)
    core.enqueue(op)
    assert core.fill("a") is OK
    assert op.value == "a"
    assert core.recv_now() is WOULD_BLOCK
    assert end.told == []  # the news of the close is its recall
    late = waiter(owner)
    core.enqueue(late)
    core.end_lending()
    assert late.error is not None
    assert core.recv_now() is CLOSED


@law("N4.filled-after-a-cancel-is-reported", Group.CORE)
async def filled_after_cancel(h: Harness) -> None:
    """What fills a slot after ``cancel`` is reported once, for the same reason as what was queued. Rows: N4, CH15."""
    reported: list[Any] = []
    core = made(2, hook=lambda value, why: reported.append((value, why)))
    lent(1, core)
    core.cancel()
    assert core.fill("v") is OK
    core.end_lending()
    assert reported == [("v", Undelivered.CANCELLED)]
    state = core.snapshot()
    assert (state.sent, state.received, state.dropped) == (1, 0, 1)


@law("N4.a-try-to-send-is-answered-with-the-return", Group.CORE)
async def try_to_send(h: Harness) -> None:
    """A try that found lent slots succeeds or expires when they are back, and not before. Rows: N4, CH9."""
    for filled, expected in ((0, 0), (2, TIMED_OUT)):
        core, owner = made(2), Owner()
        lent(2, core)
        assert core.send_now("x") is WOULD_BLOCK
        op = waiter(owner, "x", sending=True)
        assert core.ask(op)
        for i in range(filled):
            assert core.fill(i) is OK
        assert op.claim == WAITING
        core.end_lending()
        assert (op.claim, owner.woken) == (expected, [op])
        assert core.snapshot().waiting_senders == 0
    assert not made().ask(waiter(Owner(), "x", sending=True))


@law("N4.a-try-to-receive-asks", Group.CORE)
async def try_to_receive(h: Harness) -> None:
    """Each try to receive beside a borrower puts one question; it gets what arrives, or expires with its answer.

    Rows: N4, CH9.
    """
    core, owner = made(2), Owner()
    end = lent(2, core)
    ops = [waiter(owner) for _ in range(3)]
    assert all(core.recv_now() is WOULD_BLOCK and core.ask(op) for op in ops)
    assert end.told == ["ask"] * 3
    assert core.fill("v") is OK
    assert ops[0].value == "v"
    core.answered()
    assert ops[1].claim == WAITING
    core.answered()
    assert (ops[1].claim, ops[2].claim) == (TIMED_OUT, WAITING)
    core.end_lending()
    assert ops[2].claim == TIMED_OUT
    assert core.snapshot().waiting_receivers == 0


@law("N4.a-try-that-left-is-not-told", Group.CORE)
async def try_that_left(h: Harness) -> None:
    """A try that was withdrawn is not decided any more, and takes nobody else's answer. Rows: N4, CH8."""
    core, owner = made(2), Owner()
    lent(2, core)
    gone, stays = waiter(owner), waiter(owner)
    assert core.ask(gone)
    assert core.ask(stays)
    assert core.withdraw(gone)
    core.answered()
    assert (gone.claim, stays.claim) == (WAITING, WAITING)
    core.answered()
    assert stays.claim == TIMED_OUT
    assert owner.woken == [stays]


@law("N4.a-try-is-not-the-question-of-another-borrower", Group.CORE)
async def try_of_another_borrower(h: Harness) -> None:
    """A question ends with its borrower: who borrows afterwards does not hold up a try that waits for a keeper.

    Rows: N4, CH9.
    """
    core, owner = made(2), Owner()
    kept(core)
    lent(1, core)
    op = waiter(owner)
    assert core.recv_now() is WOULD_BLOCK
    assert core.ask(op)
    core.end_lending()
    lent(1, core)
    core.end_keeping()
    assert (op.claim, owner.woken) == (TIMED_OUT, [op])


@law("N4.a-try-that-could-not-be-won-hears-of-a-close", Group.CORE)
async def try_that_could_not_be_won(h: Harness) -> None:
    """A try that is being claimed while its channel closes is out of its queue, and not expired. Rows: N4, CH9."""
    core, owner = made(2), Owner()
    assert core.send_now("a") is OK
    assert core.recv_now() == "a"
    core.hand_out()
    core.close()
    op = waiter(owner)
    assert core.ask(op)
    assert op.begin_claim(0)
    core.settle(1)
    assert op.end_claim()
    assert not core.withdraw(op)
    assert core.recv_now() is CLOSED


@law("N4.a-full-byte-window-is-a-full-channel", Group.CORE)
async def held_back(h: Harness) -> None:
    """An UNLIMITED channel that is held back makes its borrower wait; lent slots are filled, others go on after it.

    Rows: N4, CH4.
    """
    core, owner = made(None, UNLIMITED), Owner()
    lent(1, core)
    core.hold_back(True)
    assert core.lendable() == 0
    assert core.fill("a") is OK
    assert core.fill("b", False) is WOULD_BLOCK
    op = waiter(owner, "b", sending=True)
    core.enqueue(op)
    assert core.recv_now() == "a"
    assert op.claim == WAITING
    core.hold_back(False)
    assert owner.woken == [op]
    core.hold_back(True)
    core.end_lending()
    assert core.send_now("c") is OK
    assert [core.recv_now(), core.recv_now()] == ["b", "c"]


# -- elements kept ahead


def kept(core: ChannelCore) -> End:
    """The keeper of a channel."""
    end = End()
    assert core.keep(end)
    return end


@law("N4.kept-by-one-where-an-element-waits", Group.CORE)
async def kept_by_one(h: Harness) -> None:
    """Elements are kept ahead where they would wait for a receiver, by one keeper; by none where one waits, or where a
    newer element may replace an older one.

    Rows: N4.
    """
    for core in (
        made(None, RENDEZVOUS),
        made(None, CONFLATED),
        made(2, overflow=DROP_OLDEST),
        made(2, overflow=DROP_LATEST),
    ):
        assert not core.keep(End())
    for core in (made(2), made(None, UNLIMITED)):
        kept(core)
        assert not core.keep(End())
        core.end_keeping()
        kept(core)
    core = made()
    core.enqueue(waiter(Owner()))
    assert not core.keep(End())


@law("N4.a-kept-element-keeps-its-slot", Group.CORE)
async def kept_keeps_its_slot(h: Harness) -> None:
    """What was taken ahead fills its slot until it is settled; then the slot goes to the oldest sender that waits.

    Rows: N4, CH2.
    """
    core, owner = made(2), Owner()
    end = kept(core)
    assert [core.send_now("a"), core.send_now("b")] == [OK, OK]
    assert end.told == ["arrived"] * 2
    assert [core.take_ahead(), core.take_ahead(), core.take_ahead()] == ["a", "b", WOULD_BLOCK]
    assert core.send_now("c") is WOULD_BLOCK
    op = waiter(owner, "c", sending=True)
    core.enqueue(op)
    core.settle_ahead()
    assert owner.woken == [op]
    assert core.take_ahead() == "c"


@law("N4.a-kept-element-keeps-its-slot-when-its-keeper-has-gone", Group.CORE)
async def kept_keeps_its_slot_alone(h: Harness) -> None:
    """Capacity stays exact until what was kept is settled, even if its keeper ended before; and the largest length
    counts what came back.

    Rows: N4, CH2, M1.
    """
    core = made(2)
    kept(core)
    assert [core.send_now("a"), core.send_now("b")] == [OK, OK]
    assert [core.take_ahead(), core.take_ahead()] == ["a", "b"]
    core.end_keeping()
    assert core.there(True) == 0
    assert core.send_now("c") is WOULD_BLOCK
    core.settle_ahead()
    assert [core.send_now("c"), core.send_now("d")] == [OK, WOULD_BLOCK]
    core.settle_ahead(1, ["b"])
    assert [core.recv_now(), core.recv_now(), core.recv_now()] == ["b", "c", WOULD_BLOCK]
    core = made(None, RENDEZVOUS)
    for _ in range(3):
        core.hand_out()
    core.settle(3, ["a", "b", "c"])
    assert core.snapshot().peak_length == 3


@law("N4.others-wait-for-what-is-kept", Group.CORE)
async def others_wait_for_what_is_kept(h: Harness) -> None:
    """While elements are kept nobody else receives; the first that tries recalls, and gets them in their old order.

    Rows: N4, CH11.
    """
    core, owner = made(4), Owner()
    end = kept(core)
    for value in "abc":
        assert core.send_now(value) is OK
    assert [core.take_ahead(), core.take_ahead()] == ["a", "b"]
    assert not core.recv_must_wait()
    assert core.recv_now() is WOULD_BLOCK
    assert end.told[-1] == "recall"
    ops = [waiter(owner), waiter(owner)]
    for op in ops:
        core.enqueue(op)
    assert core.send_now("d") is OK
    core.settle_ahead(2, ["a", "b"])
    assert owner.woken == []
    core.end_keeping()
    assert [op.value for op in ops] == ["a", "b"]
    assert [core.recv_now(), core.recv_now()] == ["c", "d"]


@law("N4.a-try-waits-for-what-is-kept", Group.CORE)
async def try_waits_for_what_is_kept(h: Harness) -> None:
    """A try to receive beside a keeper gets what comes back, or expires when nothing does. Rows: N4, CH9."""
    for back, claim in ((["a"], 0), ([], TIMED_OUT)):
        core, owner = made(2), Owner()
        kept(core)
        assert core.send_now("a") is OK
        assert core.take_ahead() == "a"
        assert core.recv_now() is WOULD_BLOCK
        op = waiter(owner)
        assert core.ask(op)
        core.settle_ahead(1, back)
        assert op.claim == WAITING
        core.end_keeping()
        assert op.claim == claim


@law("N4.a-try-on-a-closed-channel-waits-for-what-travels", Group.CORE)
async def try_waits_for_what_travels(h: Harness) -> None:
    """Closed, and its last element travels: a try to receive gets it when it comes back, else hears of the close.

    Rows: N4, CH10.
    """
    for back in ((), ("a",)):
        core, owner = made(2), Owner()
        assert core.send_now("a") is OK
        assert core.recv_now() == "a"
        core.hand_out()
        core.close()
        assert core.recv_now() is WOULD_BLOCK
        op = waiter(owner)
        assert core.ask(op)
        core.settle(1, back)
        assert (op.value == "a") if back else (op.error is not None)
        assert owner.woken == [op]


@law("N4.a-close-waits-for-what-is-kept", Group.CORE)
async def close_waits_for_what_is_kept(h: Harness) -> None:
    """A closed channel is drained when what was kept is settled; then its keeper is told. Rows: N4, CH10."""
    core = made(2)
    end = kept(core)
    assert core.send_now("a") is OK
    assert core.take_ahead() == "a"
    core.close()
    assert core.take_ahead() is WOULD_BLOCK
    assert "drained" not in end.told
    core.settle_ahead()
    assert "drained" in end.told
    assert core.take_ahead() is CLOSED
