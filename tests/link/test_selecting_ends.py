# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Ends of a select over handles: tokens, deadlines, cuts, goodbyes, handles that are given up (rows N5, N5b)."""

from __future__ import annotations

from typing import Any

import pytest

from kcoro_core import (
    BUFFERED,
    RETURN,
    SKIP,
    UNLIMITED,
    CancelToken,
    Channel,
    ChannelClosed,
    DeadlineExceeded,
    KcoroError,
    LinkLost,
    OperationCancelled,
    Outcome,
    Recv,
    Send,
    Undelivered,
    channel,
    dial,
    select,
    serve,
    sleep,
)
from kcoro_core.link import hints
from kcoro_core.testing.laws.harness import Call
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER, Direction, Faults
from kcoro_core.transports.mem import faults

from .standing import untouched
from .world import World, queued, settle, tasks


@pytest.mark.parametrize("how", ["token", "deadline"])
@pytest.mark.parametrize("sending", [False, True], ids=["recv", "send"])
def test_a_grant_that_is_late_wins_over_what_came_meanwhile(mem_world: World, how: str, sending: bool) -> None:
    """A claim is on its way when the select is cancelled, or its time is over: the grant counts. Rows: N5, SE4."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        token = CancelToken()
        with faults("world") as line:
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as run:
                jobs: Any = await link.open("jobs")
                clause: Any = Send(jobs, b"v") if sending else Recv(jobs)
                call = run.start(select, clause, timeout=0.5 if how == "deadline" else None, cancel=token)
                await settle()
                line.stall(TO_DIALER)  # the answer will be late
                partner = run.start(ch.recv) if sending else run.start(ch.send, b"v")
                await settle()
                line.resume(TO_DIALER)
                line.stall(TO_DIALER)
                await sleep(0.6)
                token.trigger()
                await settle()
                assert call.waits
                line.resume(TO_DIALER)
                await settle()
        assert (call.outcome, partner.outcome) == ("done", "done")
        assert untouched(ch)

    mem_world.run(main)


@pytest.mark.parametrize("sending", [False, True], ids=["recv", "send"])
def test_after_the_grace_a_claim_is_in_doubt(mem_world: World, monkeypatch: pytest.MonkeyPatch, sending: bool) -> None:
    """The home does not answer: the select ends as it was asked to, a send in doubt, and the element comes back.

    Rows: N5, N1.
    """

    async def main() -> None:
        ch: Channel[bytes] = channel(UNLIMITED)
        token = CancelToken()
        with faults("world") as line:
            stall_answers_to_claims(monkeypatch, line)
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as run:
                jobs: Any = await link.open("jobs")
                if not sending:
                    ch.try_send(b"v")
                call = run.start(select, Send(jobs, b"v") if sending else Recv(jobs), cancel=token)
                await settle()
                assert call.waits
                token.trigger()
                await sleep(3)
                assert call.outcome is OperationCancelled
                assert isinstance(call.error, KcoroError)
                assert call.error.outcome is (Outcome.IN_DOUBT if sending else Outcome.NOT_DONE)
                line.resume(TO_DIALER)
                await settle()
                assert len(ch) == 1
        assert untouched(ch)

    mem_world.run(main)


def stall_answers_to_claims(monkeypatch: pytest.MonkeyPatch, line: Faults) -> None:
    """From the first claim that reaches its home on, nothing that the home says comes through."""
    judge = hints.Hints.on_claim

    def on_claim(self: Any, asked: Any) -> None:
        line.stall(TO_DIALER)
        judge(self, asked)

    monkeypatch.setattr(hints.Hints, "on_claim", on_claim)


def cuts() -> list[tuple[Direction, int]]:
    """Behind each of the first frames, in both directions."""
    return [(direction, frames) for direction in (TO_LISTENER, TO_DIALER) for frames in range(3, 9)]


@pytest.mark.parametrize(("direction", "frames"), cuts(), ids=str)
@pytest.mark.parametrize("rule", ["RAISE", "RETURN", "SKIP"])
@pytest.mark.parametrize("sending", [False, True], ids=["recv", "send"])
def test_a_cut_anywhere_leaves_an_outcome_that_both_ends_agree_on(
    mem_world: World, direction: Direction, frames: int, rule: str, sending: bool
) -> None:
    """Done, not done, or in doubt; the element is with exactly one end, or reported once. Rows: N5, N6, SE5."""

    async def main() -> None:
        reports: list[tuple[object, Undelivered]] = []
        ch: Channel[bytes] = channel(UNLIMITED, on_undelivered=lambda value, why, of: reports.append((value, why)))
        other: Channel[bytes] = channel()
        with faults("world") as line:
            line.cut(direction, after_frames=frames)
            async with serve(mem_world.uri, {"jobs": ch}):
                call: Call | None = None
                async with tasks() as run:
                    try:
                        async with dial(mem_world.uri) as link:
                            jobs: Any = await link.open("jobs")
                            if not sending:
                                ch.try_send(b"v")
                            clause: Any = Send(jobs, b"v") if sending else Recv(jobs)
                            rules = {"RETURN": RETURN, "SKIP": SKIP}
                            extra = {"closed": rules[rule]} if rule in rules else {}
                            call = run.start(select, clause, Recv(other), timeout=5, **extra)
                            await sleep(10)
                    except LinkLost:
                        return  # the cut came before the handle was there
                await settle()
        assert call is not None
        agree(call, rule, sending, queued(ch), reports)
        assert untouched(ch)
        assert untouched(other)

    mem_world.run(main)


def agree(call: Call, rule: str, sending: bool, queued: list[bytes], reports: list[tuple[object, Undelivered]]) -> None:
    """What the selecting end says fits to what the home has."""
    error: Any = call.error if call.value is None else call.value.error
    assert isinstance(error, (LinkLost, DeadlineExceeded, type(None))), call
    if isinstance(error, LinkLost):
        assert rule == "RETURN" or call.value is None
        assert error.index == 0
    done = call.outcome == "done" and error is None
    here = len(queued) + len(reports)
    assert here <= 1
    if sending:
        doubt = error is not None and error.outcome is Outcome.IN_DOUBT
        assert here == done or doubt
        assert reports == []
    else:
        assert {why for _, why in reports} <= {Undelivered.IN_DOUBT}
        assert done or here == 1, "neither received nor at home"
        assert not (done and queued), "received, and at home as well"


@pytest.mark.parametrize("rule", ["RAISE", "RETURN", "SKIP"])
@pytest.mark.parametrize("claiming", [False, True], ids=["standing", "claiming"])
def test_a_lost_link_counts_as_closed_unless_an_element_is_in_doubt(
    mem_world: World, monkeypatch: pytest.MonkeyPatch, rule: str, claiming: bool
) -> None:
    """A clause that stands ends as its rule says; a claim with an element ends the select, also under SKIP.

    Rows: N5, N6, SE5.
    """

    async def main() -> None:
        ch: Channel[bytes] = channel(UNLIMITED) if claiming else channel()
        other: Channel[bytes] = channel()
        with faults("world") as line:
            if claiming:
                stall_answers_to_claims(monkeypatch, line)
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as run:
                jobs: Any = await link.open("jobs")
                rules = {"RETURN": RETURN, "SKIP": SKIP}
                extra = {"closed": rules[rule]} if rule in rules else {}
                call = run.start(select, Send(jobs, b"v"), Recv(other), **extra)
                await settle()
                line.cut_now()
                await settle()
                if rule == "SKIP" and not claiming:
                    assert call.waits
                    other.try_send(b"w")
                    await settle()
                    assert (call.value.index, call.value.value) == (1, b"w")
                    return
                error: Any = call.value.error if rule == "RETURN" else call.error
                assert (type(error), error.index) == (LinkLost, 0)
                assert error.outcome is (Outcome.IN_DOUBT if claiming else Outcome.NOT_DONE)

    mem_world.run(main)


@pytest.mark.parametrize("who", ["server", "dialler"])
def test_a_goodbye_ends_a_select_like_a_close(world: World, who: str) -> None:
    """Whoever leaves: the clause is closed, at its index, and nothing was taken. Rows: N5, N6."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with world.linked({"jobs": ch}) as (server, link), tasks() as run:
            call = run.start(select, Recv(await link.open("jobs")))
            await settle()
            await (server.links[0] if who == "server" else link).aclose()
            await settle()
            assert (call.outcome, call.error.index) == (ChannelClosed, 0)  # type: ignore[union-attr]
            assert untouched(ch)

    world.run(main)


@pytest.mark.parametrize("claiming", [False, True], ids=["standing", "claiming"])
@pytest.mark.parametrize("sending", [False, True], ids=["recv", "send"])
def test_a_handle_that_is_given_up_ends_its_clause(
    mem_world: World, monkeypatch: pytest.MonkeyPatch, claiming: bool, sending: bool
) -> None:
    """``detach`` during a select: its clause is closed, the element is with one end. Rows: N5, N1b."""

    async def main() -> None:
        ch: Channel[bytes] = channel(UNLIMITED) if claiming else channel()
        with faults("world") as line:
            stall_answers_to_claims(monkeypatch, line)
            async with mem_world.linked({"jobs": ch}) as (_, link), tasks() as run:
                jobs: Any = await link.open("jobs")
                if claiming and not sending:
                    ch.try_send(b"v")
                call = run.start(select, Send(jobs, b"v") if sending else Recv(jobs))
                await settle()
                assert call.waits
                jobs.detach()
                line.resume(TO_DIALER)
                await settle()
                assert not call.waits
                assert call.outcome in (ChannelClosed, "done")
                assert len(ch) == (claiming and (not sending or call.outcome == "done"))
                assert link.snapshot().requests_in_flight == 0
        assert untouched(ch)

    mem_world.run(main)


@pytest.mark.parametrize("first", [Recv, lambda end: Send(end, b"w")], ids=["recv", "send"])
def test_a_try_asks_nobody_over_a_handle_that_was_given_up_under_it(mem_world: World, first: Any) -> None:
    """``detach`` while a try has asked: what it would ask next over that handle is closed. Rows: N5, N1b, SE5."""

    async def main() -> None:
        jobs, other = channel(), channel(BUFFERED, capacity=1)
        other.try_send(b"v")
        with faults("world") as line:
            async with mem_world.linked({"jobs": jobs, "other": other}) as (_, link), tasks() as run:
                given, kept = await link.open("jobs"), await link.open("other")
                clauses = first(given), Send(given, b"w"), Recv(given), Recv(kept)
                line.stall(TO_DIALER)
                calls = [run.start(select, *clauses, timeout=0, closed=rule) for rule in (SKIP, RETURN)]
                await settle()
                given.detach()
                line.resume(TO_DIALER)
                await settle()
                assert (calls[0].value.index, calls[0].value.value) == (3, b"v")
                assert type(calls[1].value.error) is ChannelClosed
                assert calls[1].value.error.reason == "detached"
                assert link.snapshot().requests_in_flight == 0
        assert untouched(jobs)
        assert untouched(other)

    mem_world.run(main)


def test_closing_the_handle_of_a_clause_closes_the_clause(world: World) -> None:
    """``handle.close()`` during a select: closed at the home, so the clause raises. Rows: N5, CH9."""

    async def main() -> None:
        ch: Channel[bytes] = channel()
        async with world.linked({"jobs": ch}) as (_, link), tasks() as run:
            jobs: Any = await link.open("jobs")
            call = run.start(select, Recv(jobs))
            await settle()
            jobs.close("enough")
            await settle()
            assert (call.outcome, call.error.reason) == (ChannelClosed, "enough")  # type: ignore[union-attr]
            assert untouched(ch)

    world.run(main)
