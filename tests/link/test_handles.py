# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Handles on remote channels: what differs from a local channel, and what fails before a byte is sent (rows N1b, W2).

What is the same is not repeated here: the channel laws run on handles in ``tests/laws/test_links.py``.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    RENDEZVOUS,
    UNLIMITED,
    CancelToken,
    ChannelClosed,
    LinkLost,
    MessageTooLong,
    OperationCancelled,
    PeerError,
    WouldBlock,
    WrongLoop,
    channel,
    dial,
    serve,
    sleep,
)
from kcoro_core.wire.messages import ChannelInfo

from .world import World, settle, tasks


@pytest.mark.parametrize("value", ["text", 7, None, [b"v"], {"a": 1}])
def test_what_is_no_bytes_is_refused_before_any_effect(world: World, value: Any) -> None:
    """A link carries bytes: anything else is TypeError, also for a try, and nothing was written. Row: N1b."""

    async def main() -> None:
        async with world.linked({"jobs": channel(UNLIMITED)}) as (_, link):
            jobs = await link.open("jobs")
            before = link.snapshot().frames_written
            with pytest.raises(TypeError, match="carries bytes"):
                await jobs.send(value)
            with pytest.raises(TypeError, match="carries bytes"):
                jobs.try_send(value)
            assert link.snapshot().frames_written == before

    world.run(main)


@pytest.mark.parametrize("value", [b"", b"v", bytearray(b"v"), memoryview(b"xvx")[1:2], b"\0" * 50_000])
def test_bytes_arrive_as_they_were(world: World, value: Any) -> None:
    """bytes, bytearray and memoryview of any length arrive as equal bytes. Row: N1b."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            await jobs.send(value)
            assert ch.try_recv() == bytes(value)
            ch.try_send(value)
            got = await jobs.recv()
            assert (type(got), got) == (bytes, bytes(value))

    world.run(main)


def test_a_link_copies_what_could_change(world: World) -> None:
    """A bytearray that changes after the call has no influence on what arrives. Row: N1b."""

    async def main() -> None:
        ch = channel(RENDEZVOUS)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            buffer = bytearray(b"before")
            async with tasks() as some:
                some.start(jobs.send, buffer)
                await settle()
                buffer[:] = b"after!"
                assert await ch.recv() == b"before"

    world.run(main)


def test_the_largest_element_is_known_and_one_byte_more_sends_nothing(world: World) -> None:
    """max_message bytes arrive; one more is MessageTooLong, no byte is sent, and the link goes on. Row: W3."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            assert jobs.max_message == 1 << 20
            await jobs.send(b"x" * jobs.max_message)
            assert len(ch.try_recv()) == jobs.max_message
            before = link.snapshot().bytes_written
            with pytest.raises(MessageTooLong):
                await jobs.send(b"x" * (jobs.max_message + 1))
            with pytest.raises(MessageTooLong):
                jobs.try_send(b"x" * (jobs.max_message + 1))
            assert link.snapshot().bytes_written == before
            await jobs.send(b"v")

    world.run(main)


@pytest.mark.parametrize(("value", "error"), [("text", ValueError), (b"x" * (1 << 20) + b"x", MessageTooLong)])
def test_what_cannot_travel_stays_at_the_head_for_somebody_here(world: World, value: Any, error: type) -> None:
    """A remote receive of what no link can carry fails; the element stays first, for a local receiver. Row: N1b."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            async with tasks() as some:
                parked = some.start(jobs.recv)
                await settle()
                ch.try_send(value)
                ch.try_send(b"next")
                await settle()
                assert parked.outcome is error
            with pytest.raises(error, match="it stays queued"):
                await jobs.recv()
            assert ch.try_recv() == value
            assert await jobs.recv() == b"next"

    world.run(main)


def test_a_try_on_a_handle_never_asks(world: World) -> None:
    """try_* on a handle says WouldBlock, "not without asking", and writes nothing; timeout=0 asks. Row: N1b."""

    async def main() -> None:
        ch = channel(BUFFERED, 1)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            before = link.snapshot().frames_written
            with pytest.raises(WouldBlock, match="not without asking"):
                jobs.try_send(b"v")
            with pytest.raises(WouldBlock, match="not without asking"):
                jobs.try_recv()
            assert link.snapshot().frames_written == before
            await jobs.send(b"v", timeout=0)
            assert await jobs.recv(timeout=0) == b"v"
            state = jobs.snapshot()
            assert (state.sent, state.received, state.failed_would_block) == (1, 1, 2)

    world.run(main)


def test_a_try_knows_what_this_side_was_told(world: World) -> None:
    """Once the close is known try_send says ChannelClosed; try_recv does when the handle has met the end. Row: CH9."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        ch.try_send(b"v")
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            ch.close()
            await settle()
            with pytest.raises(ChannelClosed):
                jobs.try_send(b"v")
            with pytest.raises(WouldBlock):
                jobs.try_recv()
            assert [value async for value in jobs] == [b"v"]
            with pytest.raises(ChannelClosed):
                jobs.try_recv()

    world.run(main)


def test_the_length_counts_this_side_and_info_asks_the_home(world: World) -> None:
    """len of a handle is 0 without prefetch; info() tells state and counters of the home. Rows: CH13, CH15, W2."""

    async def main() -> None:
        ch = channel(BUFFERED, 4)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            for _ in range(3):
                await jobs.send(b"v")
            await jobs.recv()
            assert (len(jobs), bool(jobs), len(ch)) == (0, True, 2)
            assert await jobs.info() == ChannelInfo(
                kind=BUFFERED,
                overflow=ch.overflow,
                closed=False,
                capacity=4,
                length=2,
                peak_length=3,
                waiting_senders=0,
                waiting_receivers=0,
                sent=3,
                received=1,
                dropped=0,
            )

    world.run(main)


# -- closing


def test_a_close_travels_without_being_asked_for(world: World) -> None:
    """Closing at the home is known at an idle handle one crossing later. Row: CH9."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            assert not jobs.closed
            ch.close("enough")
            await settle()
            assert (jobs.closed, jobs.reason) == (True, "enough")
            with pytest.raises(ChannelClosed) as caught:
                await jobs.send(b"v")
            assert caught.value.reason == "enough"
            assert (await link.open("jobs")).closed

    world.run(main)


@pytest.mark.parametrize(
    ("given", "arrives"), [(None, None), ("enough", "enough"), (7, "7"), (ValueError("bad"), "ValueError('bad')")]
)
def test_a_reason_travels_as_text(world: World, given: object, arrives: str | None) -> None:
    """The reason arrives as text, in both directions; an exception as a PeerError that ends iteration. Row: CH10."""

    async def main() -> None:
        ch, other = channel(RENDEZVOUS), channel(RENDEZVOUS)
        async with world.linked({"jobs": ch, "other": other}) as (_, link):
            jobs, away = await link.open("jobs"), await link.open("other")
            async with tasks() as some:
                parked = some.start(jobs.recv)
                await settle()
                ch.close(given)
            assert isinstance(parked.error, ChannelClosed)
            away.close(given)
            await settle()
            for reason in (parked.error.reason, jobs.reason, other.reason):
                assert (None if reason is None else str(reason)) == arrives
                assert isinstance(reason, PeerError) == isinstance(given, Exception)
            if isinstance(given, Exception):
                with pytest.raises(ChannelClosed) as caught:
                    [value async for value in jobs]
                assert isinstance(caught.value.__cause__, PeerError)
            else:
                assert [value async for value in jobs] == []

    world.run(main)


def test_a_handle_closes_for_everybody(world: World) -> None:
    """close() on a handle closes the channel at its home: drained in order, then ChannelClosed. Rows: CH9, W2."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs, other = await link.open("jobs"), await link.open("jobs")
            await jobs.send(b"1")
            jobs.close("done")
            jobs.close("again")
            with pytest.raises(ChannelClosed):
                await jobs.send(b"2")
            assert [value async for value in other] == [b"1"]
            assert (ch.closed, ch.reason, other.reason) == (True, "done", "done")

    world.run(main)


def test_a_handle_cancels_for_everybody(world: World) -> None:
    """cancel() on a handle gives up what is queued at the home, also behind a close. Rows: CH6, CH9."""

    async def main() -> None:
        lost: list[bytes] = []
        ch = channel(UNLIMITED, on_undelivered=lambda value, why, of: lost.append(value))
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            await jobs.send(b"1")
            jobs.close()
            jobs.cancel()
            await settle()
            assert (ch.closed, lost) == (True, [b"1"])
            with pytest.raises(ChannelClosed):
                await jobs.recv()

    world.run(main)


# -- giving a handle up


def test_leaving_a_block_gives_the_handle_up_and_closes_nothing(world: World) -> None:
    """detach() ends the handle and leaves the channel alone; a call on it is ValueError then. Row: W2."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            with await link.open("jobs") as jobs:
                await jobs.send(b"v")
            jobs.detach()
            await settle()
            assert (ch.closed, link.snapshot().opened) == (False, 0)
            for call in (lambda: jobs.send(b"v"), jobs.recv, jobs.info):
                with pytest.raises(ValueError, match="detached"):
                    await call()
            with pytest.raises(ValueError, match="detached"):
                jobs.close()
            assert await (await link.open("jobs")).recv() == b"v"

    world.run(main)


def test_what_waits_on_a_handle_that_is_given_up_ends(world: World) -> None:
    """Waits on a detached handle end with ChannelClosed, and leave no waiter at the home. Rows: W2, CH15."""

    async def main() -> None:
        full, empty = channel(RENDEZVOUS), channel(RENDEZVOUS)
        async with world.linked({"full": full, "empty": empty}) as (server, link):
            a, b = await link.open("full"), await link.open("empty")
            async with tasks() as some:
                calls = [some.start(a.send, b"v"), some.start(b.recv), some.start(b.recv, timeout=5)]
                await settle()
                assert server.links[0].snapshot().waiting_here == 3
                a.detach()
                b.detach()
                await settle()
                assert [call.outcome for call in calls] == [ChannelClosed] * 3
            assert server.links[0].snapshot().waiting_here == 0
            assert full.snapshot().waiting_senders == empty.snapshot().waiting_receivers == 0

    world.run(main)


def test_an_element_on_its_way_to_a_handle_that_is_given_up_stays(world: World) -> None:
    """An element that crosses the DETACH goes back to the head: nothing is lost, and the order holds. Row: CH6."""

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch}) as (_, link):
            jobs = await link.open("jobs")
            async with tasks() as some:
                call = some.start(jobs.recv)
                await settle()
                ch.try_send(b"1")
                ch.try_send(b"2")
                jobs.detach()
                await settle()
            assert call.outcome is ChannelClosed
            assert [ch.try_recv(), ch.try_recv()] == [b"1", b"2"]

    world.run(main)


# -- misuse


def test_another_thread_gets_wrong_loop_before_anything_is_touched(world: World) -> None:
    """A handle belongs to the run of its link: calls from another thread raise WrongLoop. Row: CH14."""

    async def main() -> None:
        async with world.linked({"jobs": channel(UNLIMITED)}) as (_, link):
            jobs = await link.open("jobs")
            errors: list[type[BaseException]] = []

            def misuse() -> None:
                for call in (lambda: jobs.try_send(b"v"), jobs.try_recv, jobs.close, jobs.detach):
                    try:
                        call()
                    except WrongLoop as error:
                        errors.append(type(error))

            before = link.snapshot().frames_written
            thread = threading.Thread(target=misuse)
            thread.start()
            thread.join()
            assert errors == [WrongLoop] * 4
            assert link.snapshot().frames_written == before
            await jobs.send(b"v")

    world.run(main)


@pytest.mark.parametrize("timeout", [-1, float("nan"), "soon", True])
def test_a_timeout_that_makes_no_sense_sends_nothing(world: World, timeout: Any) -> None:
    """A negative timeout, or none at all, is ValueError before any effect. Row: CH7."""

    async def main() -> None:
        async with world.linked({"jobs": channel(UNLIMITED)}) as (_, link):
            jobs = await link.open("jobs")
            before = link.snapshot().frames_written
            for call in (
                lambda: jobs.send(b"v", timeout),
                lambda: jobs.recv(timeout),
                lambda: link.open("jobs", 0, False, timeout),
            ):
                with pytest.raises(ValueError, match="timeout"):
                    await call()
            assert link.snapshot().frames_written == before

    world.run(main)


def test_a_set_token_sends_nothing(world: World) -> None:
    """A call with a token that is set raises at once and writes nothing, on handle and link alike. Row: CH8."""

    async def main() -> None:
        token = CancelToken()
        token.trigger("no")
        async with world.linked({"jobs": channel(UNLIMITED)}) as (_, link):
            jobs = await link.open("jobs")
            before = link.snapshot().frames_written
            for call in (
                lambda: jobs.send(b"v", cancel=token),
                lambda: jobs.recv(cancel=token),
                lambda: jobs.info(cancel=token),
                lambda: link.open("jobs", cancel=token),
            ):
                with pytest.raises(OperationCancelled):
                    await call()
            assert link.snapshot().frames_written == before

    world.run(main)


def test_after_the_link_every_call_says_how_it_ended(world: World) -> None:
    """Once the own block is left, calls on its handles raise ChannelClosed with that reason. Rows: N6, N1b."""

    async def main() -> None:
        async with serve(world.uri, {"jobs": channel(UNLIMITED)}):
            async with dial(world.uri) as link:
                jobs = await link.open("jobs")
            for call in (lambda: jobs.send(b"v"), jobs.recv, jobs.info, lambda: link.open("jobs")):
                with pytest.raises(ChannelClosed) as caught:
                    await call()
                assert caught.value.reason == "link closed by this side"
            with pytest.raises(ChannelClosed):
                jobs.try_recv()
            jobs.detach()
            await sleep(1)

    world.run(main)


def test_a_lost_link_is_never_an_orderly_close() -> None:
    """LinkLost is no ChannelClosed, so that no program takes a cut cable for an end. Row: N6."""
    assert not issubclass(LinkLost, ChannelClosed)


def test_a_snapshot_has_the_last_numbers_of_its_channel(world: World) -> None:
    """Each channel and direction counts its own frames; the last numbers stay when the link is over. Row: N3b."""

    def last(of: Any) -> tuple[int | None, int | None]:
        state = of.snapshot()
        return state.last_seq_written, state.last_seq_read

    async def main() -> None:
        ch = channel(UNLIMITED)
        async with world.linked({"jobs": ch, "other": channel(UNLIMITED)}) as (server, link):
            jobs, other = await link.open("jobs"), await link.open("other")
            for count in range(1, 4):
                await jobs.send(b"v")
                assert last(jobs) == (count, count)  # OPEN and its answer were 0
            await jobs.recv()
            await settle()
            assert last(jobs) == (5, 4)  # RECV and TAKEN, and the element
            home = server.links[0].wire.order(jobs.id)
            assert home is not None
            assert (home.last_read, home.last_written) == last(jobs)
            assert last(other) == (0, 0)
        assert last(jobs)[0] >= 5
        assert last(ch) == (None, None)

    world.run(main)
