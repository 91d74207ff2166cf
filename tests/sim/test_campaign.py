# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Simulations of the whole link engine: that they find nothing, that they repeat, and that each check can fail.

Rows: X12, N7.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from kcoro_core.hosts.script import ScriptHost
from kcoro_core.link import bound
from kcoro_core.link.ending import Ending
from kcoro_core.link.home import Home
from kcoro_core.semantics import Undelivered
from kcoro_core.testing.laws.links import using_setting
from kcoro_core.testing.sim import SECONDS, SIMULATIONS, Campaign
from kcoro_core.testing.sim.campaign import ENOUGH, LEAST_STEPS, SOMETIMES
from kcoro_core.testing.sim.ledger import Claim, Ledger
from kcoro_core.testing.sim.moves import MOVES, Task
from kcoro_core.testing.sim.node import Node
from kcoro_core.testing.sim.play import SETTINGS, Simulation
from kcoro_core.testing.sim.scenario import random_scenario
from kcoro_core.transports.impairments import CHANCES
from kcoro_core.wire.liveness import Liveness

from ..explore.processes import said_alike


def simulated(seed: int, steps: int = 400) -> Simulation:
    """One simulation under the settings that it is made for."""
    with contextlib.ExitStack() as settings:
        for name, value in SETTINGS.items():
            settings.enter_context(using_setting(name, value))
        return Simulation(seed, steps).run()


# ---------------------------------------------------------------------------------------------------------------------
# It finds nothing, and repeats
# ---------------------------------------------------------------------------------------------------------------------


def test_a_hundred_simulations_find_nothing() -> None:
    """Row: X12."""
    campaign = Campaign()
    outcome = campaign.run(limit=100, seconds=50)
    assert (outcome.found, outcome.about, outcome.command) == ((), "", None)
    assert campaign.median_steps >= LEAST_STEPS
    assert outcome.replayed == outcome.schedules // 20 > 0


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_simulating_the_link_engine_finds_nothing() -> None:
    """At least 1,000 simulations; every fault and every outcome is seen, and 1 in 20 is replayed. Row: X12.

    20,000 or 180 seconds; but from 1,000 on all of them are judged together, so a slow machine takes longer.
    """
    campaign = Campaign()
    outcome = campaign.run(limit=SIMULATIONS, seconds=SECONDS, least=ENOUGH)
    print(f"\n{outcome.schedules} simulations, median {campaign.median_steps} steps, {outcome.replayed} replayed")  # noqa: T201
    assert (outcome.found, outcome.about, outcome.command) == ((), "", None)
    assert outcome.schedules >= ENOUGH, "too few for anything that never happens to be missed"
    assert campaign.missing() == []
    assert campaign.median_steps >= LEAST_STEPS
    assert outcome.replayed == outcome.schedules // 20


@pytest.mark.parametrize("seed", [177, 417, 809, 2891, 3979, 4553, 6975, 8969])
def test_a_simulation_that_has_found_something_finds_nothing_any_more(seed: int) -> None:
    """Handles given up under selects, kept turns, a drain that recalled, returns; new moves change them. Row: X12."""
    assert simulated(seed).found == []


def test_a_simulation_leaves_the_same_trace_in_every_process() -> None:
    """Neither addresses nor the hashing of texts decide anything. Rows: X10, X12."""
    program = (
        "from kcoro_core.testing.sim import Campaign\n"
        "campaign = Campaign()\n"
        "print(sorted(campaign.run(limit=10, seconds=100).traces))"
    )
    assert said_alike(program, "0", "1").count("'") == 20


def test_more_steps_are_more_steps() -> None:
    """``steps`` counts those with faults; what it takes to finish comes on top."""
    for steps in (100, 1000):
        assert steps <= simulated(3, steps).host.steps < steps + 2000


def test_scenarios_are_of_every_sort() -> None:
    """Every fault is part of some, and none of all."""
    scenarios = [random_scenario(seed) for seed in range(200)]
    for kind in ("latency", "jitter", "bandwidth", *CHANCES):
        assert {bool(getattr(scenario.impairments, kind)) for scenario in scenarios} == {True, False}
    assert {scenario.diallers for scenario in scenarios} == {1, 2, 3}
    assert any(scenario.leaps for scenario in scenarios)


def test_every_move_says_what_has_to_come_of_it() -> None:
    """So that an operation that is never carried out is missed."""
    for move in MOVES.values():
        assert move.sometimes
        assert {f"{move.name} {outcome}" for outcome in move.sometimes} <= set(SOMETIMES)


def test_a_clock_leaps_forward_only() -> None:
    """Every timer that fell due meanwhile is late, and none is lost."""
    host = ScriptHost()
    called: list[float] = []

    async def main() -> None:
        host.call_at(1.0, lambda: called.append(host.now()))
        host.leap(5.0)
        await host.checkpoint()
        await host.checkpoint()
        with pytest.raises(ValueError, match="0 seconds or more"):
            host.leap(-1.0)

    host.run(main)
    assert called == [5.0]


# ---------------------------------------------------------------------------------------------------------------------
# It would find something
# ---------------------------------------------------------------------------------------------------------------------


def hunt(words: str, most: int = 200) -> bool:
    """Whether one of the first simulations finds something that says so."""
    return any(words in text for seed in range(most) for text in simulated(seed).found)


def _forgetful(lost: Callable[..., Any]) -> Callable[..., Any]:
    """The home forgets the newest element that was on its way when the link was lost."""

    def planted(self: bound.Bound, elements: Any) -> Any:
        for one in elements[-1:]:
            self._arrived(one.request_id)
            self.core.settle(1, [])
        return lost(self, elements[:-1])

    return planted


def _doubling(lost: Callable[..., Any]) -> Callable[..., Any]:
    """The home puts an element back that the peer may have."""

    def planted(self: bound.Bound, elements: Any) -> int:
        back = [self._arrived(one.request_id) for one in elements]
        self.core.settle(len(back), back)
        return 0

    return planted


def _boasting(of: Callable[..., Ending]) -> Callable[..., Ending]:
    """The end of a link says of a send in doubt that it was not done."""

    def planted(cls: type[Ending], *args: Any, **kwargs: Any) -> Ending:
        ending = of(*args, **kwargs)
        ending.fates.clear()  # type: ignore[attr-defined]
        return ending

    return planted


def test_an_element_that_a_lost_link_takes_along_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: X12."""
    monkeypatch.setattr(bound.Bound, "lost", _forgetful(bound.Bound.lost))
    assert hunt("told done: lost")


def test_an_element_that_is_doubled_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: X12."""
    monkeypatch.setattr(bound.Bound, "lost", _doubling(bound.Bound.lost))
    assert hunt("told done: ['received by")


def test_an_element_that_comes_again_without_its_mark_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what is in doubt goes back to the head. Rows: X12, X4."""
    monkeypatch.setattr("kcoro_core.link.opener.Redelivered", bytes)
    assert hunt("told done: ['received by")


def test_an_end_of_a_link_that_counts_too_few_that_went_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows: X12, X4."""
    monkeypatch.setattr(Home, "lost", lambda self, report, lost=Home.lost: lost(self, report) and 0)
    assert hunt("elements have arrived again")


def test_a_sender_that_is_told_not_done_although_it_was_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: X12."""
    monkeypatch.setattr(Ending, "of", classmethod(_boasting(Ending.of)))
    assert hunt("told kept: [")


def test_a_link_that_never_finds_out_that_the_other_side_is_gone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: X12."""
    monkeypatch.setattr(Liveness, "next_deadline", lambda self: float("inf"))
    assert hunt("not finished 60 s after the line was well again")


def test_an_error_that_is_only_logged_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a handler of calls fails by a mistake of the link. Row: X12."""
    monkeypatch.setattr(Node, "carry_out", lambda self, call: 1 / 0)
    assert hunt("kcoro.link logged: the handler of command 64 failed\nTraceback")


def test_an_error_that_leaves_a_move_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the simulation goes to its end, whoever waits for what has failed. Row: X12."""

    async def fails(task: Task) -> None:
        raise ValueError("planted")

    monkeypatch.setitem(MOVES, "pause", evolve(MOVES["pause"], act=fails))
    simulation = simulated(3)
    assert simulation.over.is_set()
    assert {text.splitlines()[-1] for text in simulation.found} == {"ValueError: planted"}


def test_a_simulation_that_is_not_decided_by_its_seed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: X12."""
    runs: list[int] = []
    run = Simulation.run

    def planted(self: Simulation) -> Simulation:
        runs.append(1)
        self.log.append((0.0, str(len(runs))))
        return run(self)

    monkeypatch.setattr(Simulation, "run", planted)
    outcome = Campaign(steps=50).run(limit=40, seconds=50)
    assert [finding.kind for finding in outcome.found] == ["unrepeatable"]


def test_a_fault_that_never_happens_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: X12."""
    monkeypatch.setattr("kcoro_core.testing.sim.campaign.ENOUGH", 10)
    found = [finding.text for finding in Campaign(steps=20).run(limit=10, seconds=50).found]
    assert "'half_open' has never happened" in found
    assert "half of the simulations took less than 200 steps" in found


def test_a_campaign_goes_on_past_its_seconds_until_it_can_be_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is; and without ``least`` it stops with its seconds, and is not judged. Row: X12."""
    monkeypatch.setattr("kcoro_core.testing.sim.campaign.ENOUGH", 5)
    slow = itertools.count(step=100.0)
    outcome = Campaign(steps=20).run(seconds=50, least=5, now=lambda: next(slow))
    assert outcome.schedules == 5
    assert {finding.kind for finding in outcome.found} == {"few"}
    cut_short = Campaign(steps=20).run(seconds=50, now=lambda: next(slow))
    assert (cut_short.schedules, cut_short.found) == (1, ())


def test_the_ledger_knows_each_way_of_not_adding_up() -> None:
    """Lost, doubled, arrived although kept, out of nowhere, out of order, and counted wrongly."""
    ledger = Ledger()
    for told in ("done", "done", "kept", "doubt", "pending"):
        ledger.tell(ledger.offer("a", "c", (0, "c")), told)
    for number in (3, 4, 4, 2, 9):
        ledger.receive(number, "b", "c")
    ledger.claims += [Claim((0, "c"), 1, 0, "LinkLost"), Claim((0, "c"), 3, 0, "LinkLost")]
    assert list(ledger.complaints()) == [
        "element 9 was never offered",
        "element 1 of a, channel c, told done: lost",
        "element 3 of a, channel c, told kept: ['received by b']",
        "element 4 of a, channel c, told doubt: ['received by b', 'received by b']",
        "element 5 of a, channel c, told pending: lost",
        "LinkLost says of link 0, 'c': 1 acked and 0 in doubt; 3 have arrived",
        "channel c: b got the elements of a as [3, 4, 4, 2]",
    ]


def test_the_ledger_knows_what_may_come_again() -> None:
    """Where the channel requeues, with the mark each time but one, and no oftener than links count. Row: X4."""
    ledger = Ledger(requeues=frozenset("c"), requeued=2)
    for channel, told in (("c", "done"), ("c", "doubt"), ("c", "done"), ("d", "done"), ("c", "kept"), ("c", "done")):
        ledger.tell(ledger.offer("a", channel, None), told)
    for number, marked in ((1, False), (1, True), (2, True), (3, False), (3, False), (4, False), (4, True), (5, True)):
        ledger.receive(number, "b", ledger.offers[number].channel, marked)
    ledger.leave(1, marked=True)
    ledger.report(6, Undelivered.IN_DOUBT)
    found = list(ledger.complaints())
    assert [text.partition(",")[0] for text in found if text.startswith("element ")] == [
        "element 3 of a",
        "element 4 of a",
        "element 5 of a",
        "element 6 of a",
    ]
    assert "elements have arrived again 3 times, and went back to the head 2 times" in found
