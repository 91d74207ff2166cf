# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cancelling what has been asked: CANCEL, then the answer; success wins; then the grace, then doubt (rows N1, K7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from kcoro_core import (
    BUFFERED,
    RENDEZVOUS,
    UNLIMITED,
    CancelToken,
    Channel,
    ChannelClosed,
    DeadlineExceeded,
    Link,
    LinkLost,
    OperationCancelled,
    Outcome,
    RemoteChannel,
    WouldBlock,
    channel,
    serve,
    sleep,
)
from kcoro_core.hosts import script
from kcoro_core.hosts.port import current_host
from kcoro_core.testing.laws.harness import Call, Tasks
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER, Faults
from kcoro_core.transports.mem import faults
from kcoro_core.wire.commands import Command, Flag
from kcoro_core.wire.frame import decode_header
from kcoro_core.wire.messages import FOREVER_MS, OpenRequest, encode_open, encode_timeout

from .raw import RawPeer
from .world import World, settle, tasks

Setting = Callable[[str, str], Any]
GRACE = 1.0


@asynccontextmanager
async def opened(world: World, ch: Channel[bytes]) -> AsyncIterator[tuple[Faults, Link, RemoteChannel]]:
    """A handle on ``ch`` over a line that can be stalled."""
    with faults("world") as line:
        async with world.linked({"jobs": ch}) as (_, link):
            yield line, link, await link.open("jobs")


class Canceller:
    """A way to end a call: by its token, its deadline, or the host."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.token = CancelToken()

    def start(self, some: Tasks, fn: Any, *args: Any) -> Call:
        """Begin the call with what ends it later."""
        match self.how:
            case "token":
                return some.start(fn, *args, cancel=self.token)
            case "deadline":
                return some.start(fn, *args, timeout=1)
            case _:
                return some.start(fn, *args)

    async def end(self, some: Tasks) -> None:
        """End it."""
        if self.how == "token":
            self.token.trigger("enough")
        elif self.how == "host":
            some.cancel()
        with trio.CancelScope(shield=True):
            await sleep(1 if self.how == "deadline" else 0.001)

    @property
    def outcome(self) -> type[BaseException]:
        """How a call ends that was ended so."""
        host_cancelled = trio.Cancelled if current_host().name == "trio" else script.Cancelled
        return {"token": OperationCancelled, "deadline": DeadlineExceeded, "host": host_cancelled}[self.how]


@pytest.fixture(params=["token", "deadline", "host"])
def canceller(request: pytest.FixtureRequest) -> Canceller:
    """Each way to end a call."""
    return Canceller(request.param)


def test_a_receive_that_is_served_while_cancel_travels_returns_its_element(
    mem_world: World, canceller: Canceller
) -> None:
    """An element that crosses the CANCEL is received: success wins, also over the host's cancellation. Rows: K7, N1."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        async with opened(mem_world, ch) as (line, link, jobs):
            async with tasks() as some:
                call = canceller.start(some, jobs.recv)
                await settle()
                line.stall(TO_DIALER)
                ch.try_send(b"v")
                await canceller.end(some)
                assert call.waits
                line.resume(TO_DIALER)
            assert call.value == b"v"
            await settle()
            assert link.snapshot().requests_in_flight == 0
            assert ch.snapshot().received == 1

    mem_world.run(main)


def test_a_send_that_is_accepted_while_cancel_travels_returns(mem_world: World, canceller: Canceller) -> None:
    """A send that the home accepted before the CANCEL came is a success. Rows: K7, N1."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        async with opened(mem_world, ch) as (line, _, jobs):
            async with tasks() as some:
                call = canceller.start(some, jobs.send, b"v")
                await settle()
                line.stall(TO_DIALER)
                assert ch.try_recv() == b"v"
                await canceller.end(some)
                assert call.waits
                line.resume(TO_DIALER)
            assert call.outcome == "done"
            assert jobs.snapshot().sent == ch.snapshot().sent == 1

    mem_world.run(main)


@pytest.mark.parametrize("operation", ["send", "recv"])
def test_what_the_home_has_withdrawn_is_not_done(world: World, canceller: Canceller, operation: str) -> None:
    """A cancelled wait ends at once when the home answers, as not done, and leaves no waiter there. Rows: N1, K3."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            async with tasks() as some:
                call = canceller.start(some, *((jobs.send, b"v") if operation == "send" else (jobs.recv,)))
                await settle()
                if canceller.how == "token":
                    canceller.token.trigger()
                elif canceller.how == "host":
                    some.cancel()
            assert call.outcome is canceller.outcome
            assert getattr(call.error, "outcome", Outcome.NOT_DONE) is Outcome.NOT_DONE
            state = ch.snapshot()
            assert (state.waiting_senders, state.waiting_receivers) == (0, 0)

    world.run(main)


def test_a_request_that_was_not_written_is_withdrawn_at_once(mem_world: World, canceller: Canceller) -> None:
    """While the line is full a cancelled send ends at once, known not done, without a trace. Rows: N1, K3."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        with faults("world") as line:
            line.buffer_bytes = 300
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as others:
                jobs = await link.open("jobs")
                line.stall(TO_LISTENER)
                first = others.start(jobs.send, b"x" * 400)
                await settle()
                async with tasks() as some:
                    call = canceller.start(some, jobs.send, b"second")
                    await settle()
                    assert link.snapshot().queued_frames == 1
                    began = trio.current_time()
                    await canceller.end(some)
                assert call.outcome is canceller.outcome
                assert call.ended_at - began <= (1 if canceller.how == "deadline" else 0)
                assert link.snapshot().queued_frames == 0
                line.resume(TO_LISTENER)
                await settle()
                assert first.outcome == "done"
                assert [ch.try_recv() for _ in range(len(ch))] == [b"x" * 400]

    mem_world.run(main)


@pytest.mark.parametrize("how", ["withdrawn", "detached"])
def test_what_has_ended_on_this_side_is_not_ended_again_when_the_link_is_lost(mem_world: World, how: str) -> None:
    """Although its task has not run since; the end of the link tells the others all the same. Row: N1."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        with faults("world") as line:
            line.buffer_bytes = 300
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as some:
                jobs = await link.open("jobs")
                line.stall(TO_LISTENER)
                token = CancelToken()
                some.start(jobs.send, b"x" * 400)
                await settle()
                withdrawn = some.start(jobs.send, b"second", cancel=token)
                other = some.start(jobs.send, b"third")
                detached = some.start(jobs.recv)
                await settle()
                token.trigger() if how == "withdrawn" else jobs.detach()
                line.cut_now()
                link.pump.pump()
                await settle()
                assert other.outcome is LinkLost
                assert isinstance(other.error, LinkLost)
                assert other.error.outcome is Outcome.NOT_DONE
                assert withdrawn.outcome is (OperationCancelled if how == "withdrawn" else LinkLost)
                assert detached.outcome is (LinkLost if how == "withdrawn" else ChannelClosed)

    mem_world.run(main)


def test_a_send_without_an_answer_is_in_doubt_after_the_grace_and_the_link_lives(
    mem_world: World, canceller: Canceller
) -> None:
    """A silent peer holds a cancelled send back for the grace, then it ends as it was asked to. Rows: N1, E1."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with opened(mem_world, ch) as (line, link, jobs):
            async with tasks() as some:
                line.stall(TO_DIALER)
                call = canceller.start(some, jobs.send, b"v")
                await settle()
                await canceller.end(some)
                with trio.CancelScope(shield=True):
                    began = trio.current_time()
                    await sleep(GRACE - 0.01)
                    assert call.waits
                    await sleep(0.02)
                    assert call.outcome is canceller.outcome
                    assert trio.current_time() - began < GRACE + 0.1
                    assert getattr(call.error, "outcome", Outcome.IN_DOUBT) is Outcome.IN_DOUBT
                    line.resume(TO_DIALER)
                    await settle()
            assert link.snapshot().late_replies == 1
            assert await jobs.recv() == b"v"  # it had been accepted

    mem_world.run(main)


def test_a_late_element_goes_back_to_the_head(mem_world: World, canceller: Canceller) -> None:
    """An element for a receive that was given up returns to the home's head; nothing is lost or doubled. Row: CH6."""

    async def main() -> None:
        ch = channel(BUFFERED, 5)
        async with opened(mem_world, ch) as (line, _, jobs):
            async with tasks() as some:
                line.stall(TO_DIALER)
                call = canceller.start(some, jobs.recv)
                await settle()
                ch.try_send(b"1")
                await canceller.end(some)
                with trio.CancelScope(shield=True):
                    await sleep(2 * GRACE)
                    assert call.outcome is canceller.outcome
                    assert getattr(call.error, "outcome", Outcome.NOT_DONE) is Outcome.NOT_DONE
                    ch.try_send(b"2")
                    line.resume(TO_DIALER)
                    await settle()
            assert [await jobs.recv(), await jobs.recv()] == [b"1", b"2"]
            await settle()
            state = ch.snapshot()
            assert (state.sent, state.received, state.dropped) == (2, 2, 0)

    mem_world.run(main)


def test_elements_that_come_back_keep_their_old_order(mem_world: World) -> None:
    """Several elements for receives that were given up return in the order in which they left. Rows: CH6, CH11."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with opened(mem_world, ch) as (line, _, jobs):
            async with tasks() as some:
                calls = [some.start(jobs.recv, timeout=1) for _ in range(4)]
                await settle()
                line.stall(TO_DIALER)
                for i in range(6):
                    ch.try_send(b"%d" % i)
                await sleep(1 + 2 * GRACE)
                assert [call.outcome for call in calls] == [DeadlineExceeded] * 4
                line.resume(TO_DIALER)
                await settle()
            assert [await jobs.recv() for _ in range(6)] == [b"%d" % i for i in range(6)]

    mem_world.run(main)


def test_a_try_ends_although_the_peer_is_silent(mem_world: World) -> None:
    """timeout=0 asks, and ends within two graces whatever the peer does; a send is then in doubt. Rows: CH7, N1."""

    async def main() -> None:
        async with opened(mem_world, channel(UNLIMITED)) as (line, _, jobs):
            line.stall(TO_DIALER)
            for call, outcome in (
                (lambda: jobs.send(b"v", 0), Outcome.IN_DOUBT),
                (lambda: jobs.recv(0), Outcome.NOT_DONE),
            ):
                began = trio.current_time()
                with pytest.raises(WouldBlock) as caught:
                    await call()
                assert trio.current_time() - began == pytest.approx(2 * GRACE)
                assert caught.value.outcome is outcome
            line.resume(TO_DIALER)

    mem_world.run(main)


def test_a_token_beats_a_deadline_that_has_passed_already(mem_world: World) -> None:
    """While the answer is awaited a later token still decides how the call ends. Row: CH8."""

    async def main() -> None:
        token = CancelToken()
        async with opened(mem_world, channel(RENDEZVOUS)) as (line, _, jobs):
            async with tasks() as some:
                call = some.start(jobs.recv, timeout=1, cancel=token)
                await settle()
                line.stall(TO_DIALER)
                await sleep(1.5)
                assert call.waits
                token.trigger("stop")
                line.resume(TO_DIALER)
            assert call.outcome is OperationCancelled

    mem_world.run(main)


def test_the_grace_is_a_setting(mem_world: World, setting: Setting) -> None:
    """cancel_grace decides how long a cancelled call waits for its answer. Row: CF4."""

    async def main() -> None:
        async with opened(mem_world, channel(RENDEZVOUS)) as (line, _, jobs):
            line.stall(TO_DIALER)
            began = trio.current_time()
            with pytest.raises(DeadlineExceeded):
                await jobs.recv(timeout=1)
            assert trio.current_time() - began == pytest.approx(6)
            line.resume(TO_DIALER)

    with setting("cancel_grace", "5"):
        mem_world.run(main)


def test_a_token_beats_a_refusal_that_crosses_it(mem_world: World) -> None:
    """A call whose token is set while its refusal travels ends as cancelled: cancel beats close. Row: CH8."""

    async def main() -> None:
        token = CancelToken()
        ch = channel(RENDEZVOUS)
        async with opened(mem_world, ch) as (line, _, jobs), tasks() as some:
            call = some.start(jobs.recv, timeout=9, cancel=token)
            late = some.start(jobs.recv, timeout=0.5)
            await settle()
            line.stall(TO_DIALER)
            ch.close()
            token.trigger("stop")
            await sleep(0.6)
            line.resume(TO_DIALER)
            await settle()
            assert call.outcome is OperationCancelled
            assert late.outcome is ChannelClosed  # close beats timeout

    mem_world.run(main)


def test_an_element_that_came_back_says_so_to_the_next(mem_world: World) -> None:
    """An element that was given back carries the redelivered mark when it travels again, and only then. Row: CH6."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        ch.try_send(b"v")
        async with serve(mem_world.uri, {"jobs": ch}):
            peer = RawPeer(mem_world.uri)
            await peer.shake()
            await peer.send(Command.OPEN, 1, 1, encode_open(OpenRequest("jobs")))
            await peer.send(Command.RECV, 1, 2, encode_timeout(FOREVER_MS))
            await peer.send(Command.PUTBACK, 1, 2)
            await peer.send(Command.RECV, 1, 3, encode_timeout(FOREVER_MS))
            flags = [decode_header(raw.header, 1 << 20).flags for raw in peer.heard]
            assert flags == [0, 0, Flag.REDELIVERED]
            peer.close()

    mem_world.run(main)


def test_a_peer_that_is_silent_for_too_long_is_lost(mem_world: World, setting: Setting) -> None:
    """A wait for ever ends with LinkLost when the peer shows no sign of life; a slow channel alone is none. Row: N6."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        with faults("world") as line:
            async with mem_world.linked({"jobs": ch}) as (server, link):
                jobs = await link.open("jobs")
                async with tasks() as some:
                    call = some.start(jobs.recv)
                    await sleep(1000)
                    assert call.waits
                    began = trio.current_time()
                    line.stall(TO_DIALER)
                    line.stall(TO_LISTENER)
                assert call.outcome is LinkLost
                assert 40 < trio.current_time() - began < 130
                line.resume(TO_DIALER)
                line.resume(TO_LISTENER)
                assert link.closed
                await settle()
                assert server.links == ()
        assert ch.snapshot().waiting_receivers == 0

    with setting("keepalive", "30"):
        mem_world.run(main)


def test_a_peer_that_falls_silent_behind_the_handshake_is_lost_as_soon(mem_world: World, setting: Setting) -> None:
    """What had been the time for the handshake does not become the patience with a link that is younger. Row: N6."""

    async def main() -> None:
        with faults("world") as line:
            async with mem_world.linked({"jobs": channel(RENDEZVOUS)}) as (_, link):
                jobs = await link.open("jobs")
                line.stall(TO_DIALER)
                began = current_host().now()
                with pytest.raises(LinkLost):
                    await jobs.recv()
                assert current_host().now() - began < 1
                line.resume(TO_DIALER)

    with setting("keepalive", "0.2"), setting("hello_timeout", "5"):
        mem_world.run(main)
