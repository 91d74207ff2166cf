# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What becomes of an element that a lost link leaves in doubt: reported once, or back at the head, marked. Row: X4."""

from __future__ import annotations

from typing import Any

import pytest

from kcoro_core import BUFFERED, UNLIMITED, Channel, Lost, Redelivered, Undelivered, channel, dial, serve
from kcoro_core.transports.faults import TO_DIALER, TO_LISTENER
from kcoro_core.transports.mem import faults

from .world import World, settle, tasks


def telling(reported: list[object]) -> Channel[bytes]:
    """A channel that tells what it could not deliver."""
    return channel(UNLIMITED, on_undelivered=lambda value, why, of: reported.append((value, why)))


def fill(jobs: Channel[bytes]) -> None:
    """Four elements."""
    for i in range(4):
        jobs.try_send(b"%d" % i)


async def lose_two_in_doubt(world: World, jobs: Channel[bytes], **how: Any) -> Lost:
    """A peer takes two elements, but its word for it is lost with the link; what the server was told of the end."""
    with faults("world") as line:
        async with serve(world.uri, {"jobs": jobs}, **how) as server:
            async with dial(world.uri) as link:
                handle = await link.open("jobs")
                async with tasks() as some:
                    receives = [some.start(handle.recv) for _ in range(2)]
                    await settle()
                    line.stall(TO_LISTENER)  # behind the two requests, in front of their acknowledgements
                    fill(jobs)
                    await settle()
                    line.cut_now()
                assert [call.outcome for call in receives] == ["done", "done"]
            await server.events.recv()
            lost = await server.events.recv()
            assert isinstance(lost, Lost)
            return lost


def test_what_is_in_doubt_is_reported_once_by_default(mem_world: World) -> None:
    """At most once: nobody gets it again. Row: X4."""
    reported: list[object] = []
    jobs = telling(reported)

    async def main() -> None:
        lost = await lose_two_in_doubt(mem_world, jobs)
        assert (lost.report.undelivered_in_doubt, lost.report.requeued) == (2, 0)
        assert reported == [(b"0", Undelivered.IN_DOUBT), (b"1", Undelivered.IN_DOUBT)]
        rest = [jobs.try_recv() for _ in range(len(jobs))]
        assert rest == [b"2", b"3"]
        assert not any(isinstance(one, Redelivered) for one in rest)

    mem_world.run(main)


@pytest.mark.parametrize("how", ["requeue", {"jobs": "requeue"}], ids=["all", "by name"])
def test_what_is_in_doubt_goes_back_to_the_head_with_a_mark(mem_world: World, how: object) -> None:
    """At least once: in the old order, in front of what was never handed out; nothing is reported. Row: X4."""
    reported: list[object] = []
    jobs = telling(reported)

    async def main() -> None:
        lost = await lose_two_in_doubt(mem_world, jobs, redelivery=how)
        assert (lost.report.undelivered_in_doubt, lost.report.requeued) == (2, 2)
        assert reported == []
        rest = [jobs.try_recv() for _ in range(len(jobs))]
        assert rest == [b"0", b"1", b"2", b"3"]
        assert [isinstance(one, Redelivered) for one in rest] == [True, True, False, False]

    mem_world.run(main)


def test_the_mark_travels_and_is_for_that_element_only(mem_world: World) -> None:
    """Another peer is told as a receiver of this process would be; and once it has it, the mark is gone. Row: X4."""
    jobs = telling([])

    async def main() -> None:
        await lose_two_in_doubt(mem_world, jobs, redelivery="requeue")
        async with mem_world.linked({"jobs": jobs}) as (_, link):
            handle = await link.open("jobs")
            got = [await handle.recv() for _ in range(4)]
            assert got == [b"0", b"1", b"2", b"3"]
            assert [type(one) for one in got] == [Redelivered, Redelivered, bytes, bytes]
            await handle.send(got[0])
            assert type(await handle.recv()) is bytes

    mem_world.run(main)


def test_an_element_that_a_peer_returned_is_marked_too(mem_world: World) -> None:
    """A receive that was cancelled too late: its element comes back, and says so. Row: X4."""
    jobs: Channel[bytes] = channel(BUFFERED, capacity=4)

    async def main() -> None:
        with faults("world") as line:
            async with mem_world.linked({"jobs": jobs}) as (_, link):
                handle = await link.open("jobs")
                async with tasks() as some:
                    some.start(handle.recv, 1)
                    await settle()
                    line.stall(TO_DIALER)
                    jobs.try_send(b"late")
                line.resume(TO_DIALER)
                await settle()
                assert type(jobs.try_recv()) is Redelivered

    mem_world.run(main)


def test_a_name_has_its_own_policy_also_when_it_is_exported_later(mem_world: World) -> None:
    """Names that a mapping leaves out are dropped; export() has a policy of its own. Row: X4."""
    reported: list[object] = []
    jobs = {name: telling(reported) for name in ("kept", "dropped", "later")}

    async def main() -> None:
        first = {name: jobs[name] for name in ("kept", "dropped")}
        with faults("world") as line:
            async with serve(mem_world.uri, first, redelivery={"kept": "requeue"}) as server:
                server.export("later", jobs["later"], redelivery="requeue")
                async with dial(mem_world.uri) as link:
                    handles = [await link.open(name) for name in jobs]
                    async with tasks() as some:
                        for handle in handles:
                            some.start(handle.recv)
                        await settle()
                        line.stall(TO_LISTENER)
                        for one in jobs.values():
                            fill(one)
                        await settle()
                        line.cut_now()
                await settle()
        assert {name: len(one) for name, one in jobs.items()} == {"kept": 4, "dropped": 3, "later": 4}
        assert reported == [(b"0", Undelivered.IN_DOUBT)]

    mem_world.run(main)


def test_a_policy_that_makes_no_sense_is_told_before_anything_is_started(world: World) -> None:
    """An unknown word, or a name that is not exported; for serve, dial and export() alike. Row: X4."""

    async def main() -> None:
        jobs = channel()
        for policy in ("keep", None, {"jobs": "keep"}, {"other": "requeue"}, ["jobs"]):
            with pytest.raises(ValueError, match="redelivery"):
                async with serve(world.uri, {"jobs": jobs}, redelivery=policy):  # type: ignore[arg-type]
                    pass
            with pytest.raises(ValueError, match="redelivery"):
                async with dial(world.uri, {"jobs": jobs}, redelivery=policy):  # type: ignore[arg-type]
                    pass
        async with serve(world.uri) as server:
            with pytest.raises(ValueError, match="redelivery"):
                server.export("jobs", jobs, redelivery="keep")

    world.run(main)
