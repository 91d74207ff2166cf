# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What beats what: cancel, close, ready, timeout (rows CH7, CH8)."""

from __future__ import annotations

import itertools
from typing import Final

from attrs import frozen

from ...cancel import CancelToken
from ...errors import ChannelClosed, DeadlineExceeded, OperationCancelled, WouldBlock
from ...hosts.port import current_host
from ...semantics import BUFFERED, RENDEZVOUS, Direction, outcome
from .harness import Harness
from .registry import TIMING_IS_LOCAL, Group, Need, law
from .shapes import ALL, Shape, shape

TIMES: Final = 1000


@frozen
class Instant:
    """What is true at the instant of a call."""

    direction: Direction
    cancelled: bool
    closed: bool
    ready: bool
    expired: bool

    def __str__(self) -> str:
        true = [name for name in ("cancelled", "closed", "ready", "expired") if getattr(self, name)]
        return "-".join([self.direction.value, *(true or ["nothing"])])


INSTANTS: Final = {
    str(i): i
    for i in (
        Instant(direction, *facts) for direction in Direction for facts in itertools.product((False, True), repeat=4)
    )
    # For a receiver closed means closed and drained: then nothing is ready. A closed channel is never ready to send.
    if not (i.closed and i.ready)
}


@law("CH8.at-the-instant-of-a-call", Group.CHANNEL, over=INSTANTS)
async def at_the_instant_of_a_call(h: Harness, case: Instant) -> None:
    """At the instant of a call cancel beats close, close beats ready, and ready beats timeout. Rows: CH7, CH8, CH9."""
    ch = await h.channel(shape(BUFFERED, capacity=1))
    sending = case.direction is Direction.SEND
    if case.ready is not sending:
        await ch.send("v")
    if case.closed and not sending:
        await h.outcome(ch.recv, timeout=0)
    token = CancelToken()
    if case.cancelled:
        token.trigger()
    if case.closed:
        h.home(ch).close()
    await h.settle()
    timeout = 0 if case.expired else h.tick
    if sending:
        call = await h.outcome(ch.send, "w", timeout=timeout, cancel=token)
    else:
        call = await h.outcome(ch.recv, timeout=timeout, cancel=token)
    decided = outcome(cancelled=case.cancelled, closed=case.closed, ready=case.ready, expired=case.expired)
    if decided is None:
        assert call.outcome == ("done" if case.ready else DeadlineExceeded)
    else:
        # A deadline that has passed at the instant of the call is a try.
        assert call.outcome is (WouldBlock if decided is DeadlineExceeded else decided)


@law("CH8.cancel-beats-timeout-in-one-tick", Group.CHANNEL, needs=[Need.VIRTUAL_TIME])
async def cancel_beats_timeout_in_one_tick(h: Harness) -> None:
    """A token that is set in the tick of the deadline wins, 1,000 times, whichever of the two came first. Rows: CH8."""
    ch = await h.channel(shape(RENDEZVOUS))
    for i in range(TIMES):
        token = CancelToken()
        deadline = h.now() + h.tick
        if i % 2:
            current_host().call_at(deadline, token.trigger)
        async with h.tasks() as tasks:
            call = tasks.start(ch.recv, timeout=deadline - h.now(), cancel=token)
            await h.settle()
            if not i % 2:
                current_host().call_at(deadline, token.trigger)
        assert call.outcome is OperationCancelled, i
    assert not h.home(ch).snapshot().waiting_receivers


@law("CH8.failures-are-booked-as-raised", Group.CHANNEL, needs=[Need.VIRTUAL_TIME], local=TIMING_IS_LOCAL)
async def failures_are_booked_as_raised(h: Harness) -> None:
    """A call that ends cancelled in the tick of its deadline is counted as cancelled, not as late. Rows: CH8, M3."""
    ch = await h.channel(shape(RENDEZVOUS))
    token = CancelToken()
    deadline = h.now() + h.tick
    async with h.tasks() as tasks:
        tasks.start(ch.recv, timeout=h.tick, cancel=token)
        await h.settle()
        current_host().call_at(deadline, token.trigger)
    state = ch.snapshot()
    assert (state.failed_cancelled, state.failed_deadline) == (1, 0)


@law("CH7.deadlines-are-exact", Group.CHANNEL, over=ALL)
async def deadlines_are_exact(h: Harness, made: Shape) -> None:
    """A wait with a deadline ends not before it and at once when it has passed. Rows: CH7, X10."""
    ch = await h.channel(made)
    for count in (0.5, 3, 7.25):
        began = h.now()
        call = await h.outcome(ch.recv, timeout=count * h.tick)
        assert call.outcome is DeadlineExceeded
        late = h.now() - began - count * h.tick
        assert -1e-9 <= late < (1e-6 if h.virtual else 1.0)


@law("CH7.a-deadline-never-hides-a-partner", Group.CHANNEL, needs=[Need.VIRTUAL_TIME], local=TIMING_IS_LOCAL)
async def a_deadline_never_hides_a_partner(h: Harness) -> None:
    """A partner that comes before the deadline is served, however little time is left. Rows: CH7."""
    ch = await h.channel(shape(RENDEZVOUS))
    for _ in range(100):
        async with h.tasks() as tasks:
            call = tasks.start(ch.recv, timeout=h.tick)
            await h.settle()
            current_host().call_at(h.now() + h.tick * (1 - 2e-3), lambda: ch.try_send("v"))
        assert call.value == "v"


@law("CH7.for-ever-is-for-ever", Group.CHANNEL, needs=[Need.VIRTUAL_TIME])
async def for_ever_is_for_ever(h: Harness) -> None:
    """A wait without a deadline, or with an infinite one, outlasts any time. Rows: CH7."""
    ch = await h.channel(shape(RENDEZVOUS))
    async with h.tasks() as tasks:
        calls = [tasks.start(ch.recv), tasks.start(ch.recv, timeout=float("inf"))]
        await h.ticks(1e6)
        assert all(call.waits for call in calls)
        for _ in calls:
            await ch.send("v")
    assert [call.value for call in calls] == ["v", "v"]


@law("CH8.a-set-token-takes-nothing", Group.CHANNEL, over=ALL)
async def a_set_token_takes_nothing(h: Harness, made: Shape) -> None:
    """A call whose token is set already takes and gives nothing, even if a partner or element is there.

    Rows: CH8, K3.
    """
    ch = await h.channel(made)
    token = CancelToken()
    token.trigger("no more")
    async with h.tasks() as tasks:
        partner = tasks.start(ch.recv)
        await h.waiting(ch, receivers=1)
        call = await h.outcome(ch.send, "v", cancel=token)
        assert isinstance(call.error, OperationCancelled)
        assert call.error.reason == "no more"
        await h.waiting(ch, receivers=1)
        assert partner.waits
        tasks.cancel()


@law("CH8.first-decision-stands", Group.CHANNEL, local=TIMING_IS_LOCAL)
async def first_decision_stands(h: Harness) -> None:
    """A parked call that was served, or closed, in a tick stays so when its token is set later in it.

    Rows: CH8, CH11.
    """
    for end in ("serve", "close"):
        ch = await h.channel(shape(RENDEZVOUS))
        token = CancelToken()
        async with h.tasks() as tasks:
            call = tasks.start(ch.recv, cancel=token)
            await h.waiting(ch, receivers=1)
            if end == "serve":
                ch.try_send("v")
            else:
                ch.close()
            token.trigger()
        assert (call.outcome, call.value) == (("done", "v") if end == "serve" else (ChannelClosed, None))


@law("K3.cancel-is-prompt", Group.CHANNEL, over=ALL)
async def cancel_is_prompt(h: Harness, made: Shape) -> None:
    """A token ends every call that waits with it at once, and leaves no waiter behind. Rows: K3, CH8."""
    ch = await h.channel(made)
    token = CancelToken()
    async with h.tasks() as tasks:
        calls = [tasks.start(ch.recv, cancel=token, timeout=50 * h.tick if i % 2 else None) for i in range(20)]
        await h.waiting(ch, receivers=20)
        began = h.now()
        token.trigger("stop")
        await h.waiting(ch)
        assert {call.outcome for call in calls} == {OperationCancelled}
        assert not h.virtual or {call.ended_at for call in calls} == {began}
    assert h.home(ch).snapshot().failed_cancelled == 20
