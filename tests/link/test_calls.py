# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Calls over a link: who handles them, what comes back, and how each of them ends. Row: N1."""

from __future__ import annotations

import gc
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest
import trio

from kcoro_core import (
    BUFFERED,
    AccessDenied,
    Call,
    CallFuture,
    CancelToken,
    ChannelClosed,
    DeadlineExceeded,
    Identity,
    LinkLost,
    MessageTooLong,
    NoBuffers,
    NotFound,
    NotSupported,
    OperationCancelled,
    Outcome,
    ProtocolError,
    WouldBlock,
    channel,
    dial,
    serve,
    sleep,
)
from kcoro_core.hosts import script
from kcoro_core.hosts.port import current_host
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER
from kcoro_core.transports.mem import faults

from .world import World, settle, tasks

Setting = Callable[[str, str], Any]


def upper(call: Call) -> bytes:
    """A plain handler."""
    return call.payload.upper()


async def patient(call: Call) -> bytes:
    """An async handler: answers after as many milliseconds as it is told."""
    await sleep(int(call.payload) / 1000)
    return b"after " + call.payload


HANDLERS = {64: upper, 65: patient}


async def outcome(future: CallFuture, **how: Any) -> tuple[str, Outcome | None, str]:
    """How a wait ended: the name of the error, what is known, and its text."""
    try:
        value = await future.wait(**how)
    except Exception as error:  # noqa: BLE001 - it is what the tests look at
        return type(error).__name__, getattr(error, "outcome", None), str(error)
    return "done", None, value.decode()


def test_a_call_goes_to_its_handler_and_its_result_comes_back(world: World) -> None:
    """Plain and async handlers, in either direction over one connection. Row: N1."""

    async def main() -> None:
        async with serve(world.uri, handlers=HANDLERS) as server, dial(world.uri, handlers={80: upper}) as link:
            future = link.rpc_send(64, 0, b"soup")
            assert not future.done
            assert await future.wait() == b"SOUP"
            assert future.done
            assert await link.rpc_send(65, payload=bytearray(b"20")).wait() == b"after 20"
            (there,) = server.links
            assert await there.rpc_send(80, 0, memoryview(b"tea")).wait() == b"TEA"
            assert await link.rpc_send(64).wait() == b""

    world.run(main)


def test_a_handler_is_told_who_calls_which_command_on_which_channel(world: World) -> None:
    """A handle may be given by itself or by its id; without one the channel is None. Row: N1."""
    told: list[Call] = []

    async def main() -> None:
        async with world.linked({"jobs": channel()}, handlers={99: told.append}) as (_, link):
            jobs = await link.open("jobs")
            for target in (0, jobs, jobs.id):
                assert await link.rpc_send(99, target, b"x").wait() == b""  # None stands for an empty result
            assert [(call.command, call.channel, call.payload) for call in told] == [
                (99, None, b"x"),
                (99, "jobs", b"x"),
                (99, "jobs", b"x"),
            ]
            assert {call.identity for call in told} == {link.peer.identity}

    world.run(main)


def test_a_thousand_calls_are_in_flight_and_end_in_random_order(world: World) -> None:
    """Each future has its own result, however the order; nothing is left at either end. Row: N1."""
    chance = random.Random(7)
    delays = list(range(1000))
    chance.shuffle(delays)
    ended: list[int] = []

    async def main() -> None:
        async with world.linked({}, handlers=HANDLERS) as (server, link):
            futures = [link.rpc_send(65, 0, b"%d" % delay) for delay in delays]

            async def wait(future: CallFuture, delay: int) -> None:
                assert await future.wait() == b"after %d" % delay
                ended.append(delay)

            async with current_host().open_nursery() as nursery:
                for future, delay in zip(futures, delays, strict=True):
                    nursery.start_soon(wait, future, delay)
                await settle()
                assert link.snapshot().requests_in_flight >= 998
            assert len(ended) == 1000
            assert ended != delays
            assert link.snapshot().requests_in_flight == 0
            assert server.links[0].snapshot().calls_here == 0

    world.run(main)


def test_a_future_may_be_waited_for_many_times_and_by_many(world: World) -> None:
    """Every wait has the same result, or an error object of its own. Row: N1."""

    def refuse(_call: Call) -> bytes:
        raise NotFound("no such dish")

    async def main() -> None:
        async with world.linked({}, handlers={**HANDLERS, 66: refuse}) as (_, link):
            future = link.rpc_send(65, 0, b"50")
            async with tasks() as many:
                calls = [many.start(future.wait) for _ in range(5)]
            assert {call.value for call in calls} == {await future.wait()} == {b"after 50"}
            failing = link.rpc_send(66)
            errors = []
            for _ in range(3):
                with pytest.raises(NotFound, match="no such dish") as caught:
                    await failing.wait()
                errors.append(caught.value)
            assert len(set(map(id, errors))) == 3

    world.run(main)


def test_a_timeout_of_zero_looks_and_leaves_the_call_alone(world: World) -> None:
    """WouldBlock while there is no answer; the result as soon as it is there. Row: N1."""

    async def main() -> None:
        async with world.linked({}, handlers=HANDLERS) as (_, link):
            future = link.rpc_send(65, 0, b"50")
            assert (await outcome(future, timeout=0))[:2] == ("WouldBlock", Outcome.IN_DOUBT)
            await sleep(1)
            assert await future.wait(timeout=0) == b"after 50"

    world.run(main)


@pytest.mark.parametrize("how", ["timeout", "token", "host", "cancel"])
def test_giving_a_call_up_cancels_its_handler_and_says_that_it_did(world: World, how: str) -> None:
    """By deadline, token, the host's cancellation or cancel(): the handler ends, the outcome is known. Row: N1."""
    ended: list[str] = []

    async def endless(_call: Call) -> bytes:
        try:
            await sleep(10_000)
        finally:
            ended.append("cancelled")
        return b""

    async def main() -> None:
        async with world.linked({}, handlers={64: endless}) as (server, link):
            host = current_host()
            future = link.rpc_send(64)
            await settle()
            start = host.now()
            if how == "timeout":
                assert (await outcome(future, timeout=5))[:2] == ("DeadlineExceeded", Outcome.NOT_DONE)
                assert host.now() - start == pytest.approx(5, abs=0.01)
            elif how == "token":
                token = CancelToken()
                host.call_at(start + 5, token.trigger)
                assert (await outcome(future, cancel=token))[:2] == ("OperationCancelled", Outcome.NOT_DONE)
            elif how == "host":
                with host.open_cancel_scope() as scope:
                    host.call_at(start + 5, scope.cancel)
                    await future.wait()
                assert scope.cancelled_caught
            else:
                future.cancel()
                future.cancel()
                assert (await outcome(future))[:2] == ("OperationCancelled", Outcome.NOT_DONE)
                assert host.now() - start < 0.01
            assert ended == ["cancelled"]
            assert (await outcome(future))[:2] == ("OperationCancelled", Outcome.NOT_DONE)
            assert server.links[0].snapshot().calls_here == 0
            assert link.snapshot().requests_in_flight == 0

    world.run(main)


def test_a_handler_that_is_given_up_before_its_first_step_never_begins(caplog: pytest.LogCaptureFixture) -> None:
    """Calls and cancels arrive close together: what never ran has not failed. Row: N1."""
    began: list[Call] = []

    async def handler(call: Call) -> bytes:
        began.append(call)
        return b""

    async def main() -> None:
        async with serve("mem:world", handlers={64: handler}), dial("mem:world") as link:
            futures = [link.rpc_send(64) for _ in range(8)]
            await current_host().checkpoint()
            for future in futures:
                future.cancel()
            assert {(await outcome(future))[0] for future in futures} <= {"done", "OperationCancelled"}

    for seed in range(50):
        script.run(main, seed=seed)
    assert began, "each was given up before it arrived: nothing was shown"
    assert caplog.records == []


def test_a_wait_that_ends_while_others_wait_leaves_the_call_alone(world: World) -> None:
    """The early one is told that it is not known yet; the last one that ends early gives the call up. Row: N1."""

    async def main() -> None:
        async with world.linked({}, handlers=HANDLERS) as (_, link):
            future = link.rpc_send(65, 0, b"3000")
            async with tasks() as many:
                early = many.start(future.wait, 1)
                late = many.start(future.wait)
            assert (early.outcome, early.error.outcome) == (DeadlineExceeded, Outcome.IN_DOUBT)  # type: ignore[union-attr]
            assert late.value == b"after 3000"
            future = link.rpc_send(65, 0, b"3000")
            async with tasks() as many:
                early, last = many.start(future.wait, 1), many.start(future.wait, 2)
            assert (early.error.outcome, last.error.outcome) == (Outcome.IN_DOUBT, Outcome.NOT_DONE)  # type: ignore[union-attr]

    world.run(main)


def test_a_result_that_crosses_the_cancel_wins(mem_world: World) -> None:
    """Whoever was about to end with its deadline has the result instead. Row: N1."""

    async def main() -> None:
        with faults("world") as line:
            async with mem_world.linked({}, handlers={64: upper}) as (_, link):
                line.stall(TO_DIALER)
                future = link.rpc_send(64, 0, b"x")
                async with tasks() as some:
                    waiting = some.start(future.wait, 1)
                    await sleep(1.5)
                    assert waiting.waits
                    line.resume(TO_DIALER)
                assert waiting.value == b"X"

    mem_world.run(main)


def test_a_silent_peer_holds_a_cancelled_call_for_the_grace_and_its_late_answer_is_counted(mem_world: World) -> None:
    """Then it is in doubt, for this wait and all later ones. Rows: N1, X4."""

    async def main() -> None:
        with faults("world") as line:
            async with mem_world.linked({}, handlers={64: upper}) as (_, link):
                line.stall(TO_DIALER)
                future = link.rpc_send(64, 0, b"x")
                start = trio.current_time()
                assert (await outcome(future, timeout=5))[:2] == ("DeadlineExceeded", Outcome.IN_DOUBT)
                assert trio.current_time() - start == pytest.approx(5 + link.grace)
                assert (await outcome(future))[:2] == ("OperationCancelled", Outcome.IN_DOUBT)
                line.resume(TO_DIALER)
                await settle()
                assert link.snapshot().late_replies == 1
                assert await link.rpc_send(64, 0, b"and on").wait() == b"AND ON"

    mem_world.run(main)


def test_a_future_that_is_dropped_lets_its_call_go_on_and_drops_the_answer(world: World) -> None:
    """It is handled there; what comes back is thrown away, and counted. Row: N1."""
    handled: list[bytes] = []

    def keep(call: Call) -> None:
        handled.append(call.payload)

    async def main() -> None:
        async with world.linked({}, handlers={64: keep}) as (_, link):
            for i in range(10):
                link.rpc_send(64, 0, b"%d" % i)
            gc.collect()
            await settle()
            assert handled == [b"%d" % i for i in range(10)]
            assert link.snapshot().late_replies == 10
            assert link.snapshot().requests_in_flight == 0

    world.run(main)


def test_a_call_that_was_not_written_is_given_up_at_once_and_never_handled(mem_world: World) -> None:
    """While the line is full; the future says so for ever. Row: N1."""
    handled: list[bytes] = []

    async def main() -> None:
        with faults("world") as line:
            line.buffer_bytes = 300
            async with mem_world.linked({}, handlers={64: lambda call: handled.append(call.payload)}) as (_, link):
                line.stall(TO_LISTENER)
                first = link.rpc_send(64, 0, b"x" * 400)
                await settle()
                last = link.rpc_send(64, 0, b"last")
                async with tasks() as some:
                    waiting = some.start(last.wait)
                    await settle()
                    last.cancel()
                assert last.done
                assert (waiting.outcome, waiting.error.outcome) == (OperationCancelled, Outcome.NOT_DONE)  # type: ignore[union-attr]
                assert (await outcome(last))[:2] == ("OperationCancelled", Outcome.NOT_DONE)
                line.resume(TO_LISTENER)
                assert await first.wait() == b""
                assert handled == [b"x" * 400]

    mem_world.run(main)


def test_each_failure_of_a_handler_is_one_answer_and_the_link_goes_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """kcoro's errors keep their class, ValueError is one of them; anything else arrives as text, and is logged here."""
    raised: dict[int, BaseException] = {
        66: NotFound("no such dish"),
        67: AccessDenied("not you"),
        68: ValueError("half a plate"),
        69: KeyError("spoon"),
        70: SystemExit(3),
        71: LinkLost("another link"),
    }

    def fail(call: Call) -> bytes:
        raise raised[call.command]

    async def fail_later(call: Call) -> bytes:
        await sleep(0.01)
        raise raised[call.command]

    async def main(handler: Any) -> None:
        handlers = {**dict.fromkeys(raised, handler), 72: lambda call: "a text", 64: upper}
        async with world.linked({}, handlers=handlers) as (_, link):
            for command, kind, text in (
                (66, NotFound, "no such dish"),
                (67, AccessDenied, "not you"),
                (68, ValueError, "half a plate"),
                (69, ProtocolError, "KeyError: 'spoon'"),
                (70, ProtocolError, "SystemExit: 3"),
                (71, ProtocolError, "another link"),
                (72, ProtocolError, "it returned str"),
                (73, NotSupported, "nobody handles command 73"),
            ):
                with pytest.raises(kind, match=text):
                    await link.rpc_send(command).wait()
            assert await link.rpc_send(64, 0, b"on").wait() == b"ON"

    with caplog.at_level(logging.ERROR, "kcoro.link"):
        world.run(lambda: main(fail))
        world.run(lambda: main(fail_later))
    assert [record.getMessage() for record in caplog.records] == [
        f"the handler of command {command} failed" for command in (69, 70, 71, 72)
    ] * 2


def test_a_result_that_is_too_long_is_refused_with_its_size(world: World, setting: Setting) -> None:
    """MessageTooLong at the caller, and the link goes on. Row: N1."""

    async def main() -> None:
        handlers = {64: lambda call: bytes(5000), 65: lambda call: bytes(4000)}
        async with world.linked({}, handlers=handlers) as (_, link):
            with pytest.raises(MessageTooLong, match="5000 bytes"):
                await link.rpc_send(64).wait()
            with pytest.raises(MessageTooLong):
                link.rpc_send(65, 0, bytes(5000))
            assert len(await link.rpc_send(65).wait()) == 4000

    with setting("max_message", "4000"):
        world.run(main)


def test_the_rule_is_asked_for_each_call_with_the_command_as_name(world: World) -> None:
    """authorize(identity, "64", "call"); what it denies is AccessDenied, with or without a handler. Row: X18."""
    asked: list[tuple[str, str]] = []

    def rule(_identity: Identity, name: str, operation: str) -> bool:
        asked.append((name, operation))
        return name == "64"

    async def main() -> None:
        async with world.linked({}, handlers=HANDLERS, authorize=rule) as (server, link):
            for _ in range(2):
                assert await link.rpc_send(64, 0, b"x").wait() == b"X"
            for command in (65, 66):
                with pytest.raises(AccessDenied, match=f"may not call command {command}"):
                    await link.rpc_send(command).wait()
            link.rpc_send(65, reply=False)
            await settle()
            assert server.links[0].snapshot().dropped_calls == 1
        assert asked == [("64", "call"), ("64", "call"), ("65", "call"), ("66", "call"), ("65", "call")]

    world.run(main)


def test_calls_that_want_no_answer_are_handled_or_dropped_and_counted(world: World, setting: Setting) -> None:
    """There is no future and no answer; beyond the bound of calls under way they are dropped. Rows: N1, W3."""
    handled: list[bytes] = []

    async def slow(call: Call) -> bytes:
        handled.append(call.payload)
        await sleep(1)
        return b"nobody hears it"

    async def main() -> None:
        async with world.linked({}, handlers={64: slow}) as (server, link):
            await settle()
            (there,) = server.links
            for i in range(6):
                assert link.rpc_send(64, 0, b"%d" % i, reply=False) is None
                await settle()
            assert (there.snapshot().calls_here, there.snapshot().dropped_calls) == (4, 2)
            await sleep(2)
            link.rpc_send(64, 0, b"6", reply=False)
            link.rpc_send(70, 0, b"nobody handles it", reply=False)
            await settle()
            assert handled == [b"0", b"1", b"2", b"3", b"6"]
            assert there.snapshot().dropped_calls == 3
            assert link.snapshot().frames_read < there.snapshot().frames_read

    with setting("max_requests", "4"):
        world.run(main)


def test_calls_wait_in_front_of_their_handlers_while_answers_fill_the_line(mem_world: World, setting: Setting) -> None:
    """A caller that does not read holds up its own calls, and no more results than the budget pile up. Row: W3."""
    started = 0

    def large(_call: Call) -> bytes:
        nonlocal started
        started += 1
        return bytes(1000)

    async def main() -> None:
        with faults("world") as line:
            line.buffer_bytes = 3000
            async with mem_world.linked({}, handlers={64: large}) as (server, link):
                await settle()
                (there,) = server.links
                line.stall(TO_DIALER)
                futures = [link.rpc_send(64) for _ in range(30)]
                await sleep(1)
                written = there.snapshot().bytes_written
                assert started * 1000 <= written + 4096 + 1100
                assert started < 20, "the line took everything: this has seen nothing"
                assert there.snapshot().calls_here == 30 - started
                futures[-1].cancel()
                line.resume(TO_DIALER)
                for future in futures[:-1]:
                    assert len(await future.wait()) == 1000
                with pytest.raises(OperationCancelled):
                    await futures[-1].wait()
                assert started == 29

    with setting("receive_budget", "4096"), setting("max_message", "1024"), setting("max_requests", "300"):
        mem_world.run(main)


@pytest.mark.parametrize("how", ["caller leaves", "server leaves", "cut"])
def test_the_end_of_a_link_ends_every_call_and_every_handler(mem_world: World, how: str) -> None:
    """Each future has its error, with what is known; each handler is cancelled, and nothing is left. Rows: N1, N6."""
    ended: list[str] = []

    async def endless(_call: Call) -> bytes:
        try:
            await sleep(10_000)
        finally:
            ended.append("ended")
        return b""

    async def main() -> None:
        with faults("world") as line:
            async with serve(mem_world.uri, handlers={64: endless}) as server, dial(mem_world.uri) as link:
                future = link.rpc_send(64)
                async with tasks() as some:
                    waiting = some.start(future.wait)
                    await settle()
                    if how == "cut":
                        line.cut_now()
                    elif how == "caller leaves":
                        await link.aclose()
                    else:
                        await server.links[0].aclose()
                await settle()
                kind = LinkLost if how == "cut" else ChannelClosed
                known = Outcome.NOT_DONE if how == "server leaves" else Outcome.IN_DOUBT
                assert waiting.outcome is kind
                assert waiting.error.outcome is known  # type: ignore[union-attr]
                assert (await outcome(future))[:2] == (kind.__name__, known)
                assert ended == ["ended"]
                with pytest.raises(kind):
                    link.rpc_send(64)

    mem_world.run(main)


def test_giving_up_a_handle_cancels_its_calls(world: World) -> None:
    """They end with ChannelClosed, their handlers are cancelled, and the link goes on. Row: N1."""

    async def main() -> None:
        async with world.linked({"jobs": channel(BUFFERED, capacity=1)}, handlers=HANDLERS) as (server, link):
            jobs = await link.open("jobs")
            future = link.rpc_send(65, jobs, b"100000")
            await settle()
            jobs.detach()
            with pytest.raises(ChannelClosed, match="detached"):
                await future.wait()
            with pytest.raises(ValueError, match="detached"):
                link.rpc_send(64, jobs)
            assert server.links[0].snapshot().calls_here == 0
            assert await link.rpc_send(64, 0, b"on").wait() == b"ON"

    world.run(main)


def test_misuse_of_calls_is_told_before_anything_is_sent(world: World) -> None:
    """Numbers, handles, payloads, handlers: each with the argument that is wrong. Row: N1."""

    async def main() -> None:
        async with world.linked({"jobs": channel()}) as (_, link), dial(world.uri) as other:
            foreign = await other.open("jobs")
            before = link.snapshot().frames_written
            for command, target in ((63, 0), (128, 0), (64, 5), (64, foreign), (64, -1)):
                with pytest.raises(ValueError, match=r"64 to 127|no open handle"):
                    link.rpc_send(command, target)
            with pytest.raises(TypeError, match="carries bytes"):
                link.rpc_send(64, 0, "text")  # type: ignore[call-overload]
            assert link.snapshot().frames_written == before
        for handlers in ([64], {63: upper}, {True: upper}, {64: "upper"}, {"64": upper}):
            with pytest.raises(ValueError, match=r"handlers=|calls are the commands|handler of command"):
                async with serve(world.uri, handlers=handlers):  # type: ignore[arg-type]
                    pass

    world.run(main)


def test_too_many_calls_in_flight_fail_here_and_the_others_go_on(world: World, setting: Setting) -> None:
    """NoBuffers at the bound that both sides know; room comes back with the answers. Rows: N1, W3."""

    async def main() -> None:
        async with world.linked({}, handlers=HANDLERS) as (_, link):
            futures = [link.rpc_send(65, 0, b"10") for _ in range(4)]
            with pytest.raises(NoBuffers, match="4 requests"):
                link.rpc_send(65, 0, b"10")
            for future in futures:
                await future.wait()
            assert await link.rpc_send(65, 0, b"10").wait() == b"after 10"

    with setting("max_requests", "4"):
        world.run(main)


def test_a_token_that_is_set_ends_the_wait_before_it_looks(world: World) -> None:
    """The call goes on, and the error says that nothing is known of it. Row: N1."""

    async def main() -> None:
        async with world.linked({}, handlers=HANDLERS) as (_, link):
            token = CancelToken()
            token.trigger("enough")
            future = link.rpc_send(64, 0, b"x")
            assert (await outcome(future, cancel=token))[:2] == ("OperationCancelled", Outcome.IN_DOUBT)
            assert await future.wait() == b"X"
            with pytest.raises(WouldBlock):
                await link.rpc_send(64).wait(timeout=0)

    world.run(main)
