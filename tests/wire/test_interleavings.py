# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Two connections and a naive home in every order of events that chance finds, and cut anywhere. Rows: N1b, N6."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kcoro_core.wire.states import State

from .world import World


@settings(max_examples=150)
@given(st.integers(0, 1 << 32), st.sampled_from([(1,), (1, 3), (2, 2, 2)]), st.sampled_from([1, 2, 6, 50]))
def test_nothing_is_lost_or_doubled_while_the_link_lives(
    seed: int, capacities: tuple[int, ...], in_flight: int
) -> None:
    """Whatever the order: one outcome per request, capacity kept, each element in exactly one place. Row: N1b."""
    world = World(seed, capacities, in_flight)
    for _ in range(150):
        world.step()
    world.settle()

    world.check_ledgers()
    assert all(not here.under_way for here in world.channels.values())
    assert all(world.pair.b.unsettled(channel) == 0 for channel in world.channels)


@settings(max_examples=150)
@given(st.integers(0, 1 << 32), st.integers(0, 200), st.sampled_from([1, 6]))
def test_a_cut_at_any_point_leaves_two_ledgers_that_fit_together(seed: int, steps: int, in_flight: int) -> None:
    """Done, not done and in doubt at one end never contradict what the other end has. Row: N6."""
    world = World(seed, in_flight=in_flight)
    for _ in range(steps):
        world.step()
    world.cut()

    assert set(world.reports) == {"opener", "home"}
    world.check_ledgers()


@pytest.mark.parametrize("seed", range(4))
def test_every_point_of_a_run_is_a_point_to_cut(seed: int) -> None:
    """The same run, cut before each of its steps: the reports are complete and consistent each time. Row: N6."""
    in_doubt = 0
    for steps in range(120):
        world = World(seed)
        for _ in range(steps):
            world.step()
        world.cut()
        world.check_ledgers()
        in_doubt += "in doubt" in world.outcome.values()
    assert in_doubt > 10  # the run is busy enough to show something


@settings(max_examples=60)
@given(st.integers(0, 1 << 32), st.integers(0, 80), st.integers(0, 80))
def test_giving_up_a_handle_in_the_middle_settles_everything(seed: int, before: int, after: int) -> None:
    """DETACH at any moment: what was not confirmed is at the home again, what was asked has its answer. Row: N1b."""
    world = World(seed)
    for _ in range(before):
        world.step()
    for channel in list(world.live):
        world.detach(channel)
    for _ in range(after):
        world.step()
    world.settle()

    world.check_ledgers()
    assert not world.sends
    assert not world.recvs
    assert all(not here.under_way and not here.senders and not here.receivers for here in world.channels.values())
    assert world.pair.a.stats().requests_in_flight == 0
    assert all(world.pair.b.attributes(channel) is None for channel in world.channels)


@settings(max_examples=60)
@given(st.integers(0, 1 << 32), st.integers(0, 120), st.booleans())
def test_an_orderly_end_in_the_middle_leaves_ledgers_that_fit_together(seed: int, before: int, by_opener: bool) -> None:
    """BYE from either side at any moment: both end, and contradict each other in nothing. Row: N6."""
    world = World(seed)
    for _ in range(before):
        world.step()
    (world.pair.a if by_opener else world.pair.b).bye(world.pair.now)
    world.said_bye = True
    while world.to_home or world.to_opener or world.pair.a.has_frames() or world.pair.b.has_frames():
        for act in (world.write_a, world.deliver_b, world.write_b, world.deliver_a):
            act()

    assert world.pair.a.state is world.pair.b.state is State.DEAD
    assert set(world.reports) == {"opener", "home"}
    world.check_ledgers()
