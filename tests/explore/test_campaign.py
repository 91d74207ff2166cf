# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The campaign against the engine: what it covers, that it repeats, and that each of its checks can fail. Row: X19."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core.engine import OK, WOULD_BLOCK
from kcoro_core.reference import waiter
from kcoro_core.reference.channel import Channel
from kcoro_core.reference.waiter import Arm, Operation
from kcoro_core.semantics import SKIP, WAITING
from kcoro_core.testing.explore import (
    ENOUGH,
    INJECTIONS,
    SCHEDULES,
    SECONDS,
    Injection,
    engine_schedules,
    explore,
    replay,
)
from kcoro_core.testing.explore.campaign import play
from kcoro_core.testing.explore.programs import COMBINATIONS, random_program

from .processes import said_alike


def test_the_campaign_covers_every_kind_policy_and_disturbance_at_every_step() -> None:
    """Any six programs in a row have all combinations as first channel; each step of each gets each injection."""
    first = [random_program(seed).channels[0] for seed in range(len(COMBINATIONS))]
    assert {(spec.kind, spec.overflow) for spec in first} == set(COMBINATIONS)
    commands = []
    for schedule in engine_schedules():
        if "--seed 1 " in schedule.command:
            break
        commands.append(schedule.command)
    steps = play(0, None).host.steps
    assert steps > 5
    assert len(commands) == 1 + steps * len(INJECTIONS)
    assert commands[-1].endswith(f"--seed 0 --inject {INJECTIONS[-1]}@{steps - 1}")


def test_the_programs_are_small_and_of_every_sort() -> None:
    """Two to five tasks, one to six moves, and every move, mode and closed rule occurs."""
    programs = [random_program(seed) for seed in range(200)]
    assert {len(program.tasks) for program in programs} == {2, 3, 4, 5}
    moves = [move for program in programs for moves in program.tasks for move in moves]
    assert {len(moves) for program in programs for moves in program.tasks} == {1, 2, 3, 4, 5, 6}
    assert {move.what for move in moves} == {
        *("send", "recv", "select", "try_send", "try_recv", "try_select"),
        *("close", "cancel", "trigger", "sleep", "pause"),
    }
    assert {choice.what for move in moves for choice in move.choices if "select" in move.what} == {
        *("send", "recv", "after", "token")
    }
    assert len({(move.mode, move.closed) for move in moves if "select" in move.what}) == 6


def test_the_engine_stands_a_short_campaign() -> None:
    """The first three thousand schedules find nothing; their traces differ. Rows: CH1, CH9, SE1, SE5."""
    outcome = explore(engine_schedules(), limit=3000, seconds=50)
    assert (outcome.found, outcome.about) == ((), "")
    assert outcome.distinct > outcome.schedules / 2


@pytest.mark.long
@pytest.mark.timeout(400)
def test_exploring_the_engine_finds_nothing() -> None:
    """100,000 schedules or 120 seconds, at least 20,000 distinct traces, 1 in 20 replayed. Rows: CH1, CH9, SE1, SE5."""
    outcome = explore(engine_schedules(), limit=SCHEDULES, seconds=SECONDS)
    print(f"\n{outcome.schedules} schedules, {outcome.distinct} distinct traces, {outcome.replayed} replayed")  # noqa: T201
    assert (outcome.found, outcome.about, outcome.command) == ((), "", None)
    assert outcome.distinct >= ENOUGH
    assert outcome.replayed == outcome.schedules // 20


def test_a_schedule_leaves_the_same_trace_in_every_process() -> None:
    """Neither addresses nor the hashing of texts decide anything. Row: X10."""
    program = (
        "from kcoro_core.testing.explore import replay, Injection\n"
        "print([replay(seed, None).run().trace for seed in range(30)],"
        " [replay(seed, Injection('task', 3)).run().trace for seed in range(30)])"
    )
    assert "'" in said_alike(program, "0", "1", "42")


def test_an_injection_is_written_as_it_is_read() -> None:
    """And what is no injection is refused with an example."""
    for what in INJECTIONS:
        assert Injection.parse(str(Injection(what, 7))) == Injection(what, 7)
    for text in ("close", "close@", "close@-1", "open@3", "close@x", ""):
        with pytest.raises(ValueError, match="close@7"):
            Injection.parse(text)


def findings(limit: int = 2000) -> str:
    """All that a campaign of so many schedules says."""
    outcome = explore(engine_schedules(), limit=limit, seconds=50)
    if outcome.command is not None:
        words = outcome.command.split()
        seed = int(words[words.index("--seed") + 1])
        injection = Injection.parse(words[-1]) if "--inject" in words else None
        again = replay(seed, injection).run()
        assert (again.about, len(again.found)) == (outcome.about, len(outcome.found)), "the command repeats it"
    return "\n".join(finding.text for finding in outcome.found)


def _accept_one_too_many(send_now: Callable[..., Any]) -> Callable[..., Any]:
    def planted(self: Channel, value: Any, /) -> Any:
        answer = send_now(self, value)
        if answer is WOULD_BLOCK and not self.closed:
            self.queue.append(value)
            self.accepted += 1
            return OK
        return answer

    return planted


def _forget(send_now: Callable[..., Any]) -> Callable[..., Any]:
    def planted(self: Channel, value: Any, /) -> Any:
        answer = send_now(self, value)
        if answer is OK and len(self.queue) > 1:
            self.queue.pop()
            self.accepted -= 1
        return answer

    return planted


def _overtake(recv_now: Callable[..., Any]) -> Callable[..., Any]:
    def planted(self: Channel) -> Any:
        self.queue.reverse()
        return recv_now(self)

    return planted


def _leave_behind(withdraw: Callable[..., Any]) -> Callable[..., Any]:
    def planted(self: Channel, w: Any, /) -> bool:
        return True

    return planted


def _never_wake(close: Callable[..., Any]) -> Callable[..., Any]:
    def planted(self: Channel, reason: object = None) -> None:
        self.closed = True

    return planted


@pytest.mark.usefixtures("on_reference")
@pytest.mark.parametrize(
    ("method", "plant", "complaint"),
    [
        ("send_now", _accept_one_too_many, "more than its capacity"),
        ("send_now", _forget, "lost"),
        ("recv_now", _overtake, "overtook"),
        ("withdraw", _leave_behind, "are queued to"),
        ("close", _never_wake, "is closed"),
    ],
)
def test_each_check_of_the_campaign_sees_its_fault(
    monkeypatch: pytest.MonkeyPatch, method: str, plant: Callable[..., Any], complaint: str
) -> None:
    """A fault in the channel is named by the check that is made for it, and the given command repeats it."""
    monkeypatch.setattr(Channel, method, plant(getattr(Channel, method)))
    assert complaint in findings()


def test_the_campaign_sees_a_deadline_that_comes_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every timer fires at once: operations time out without cause."""
    from kcoro_core.hosts.script import ScriptHost

    honest = ScriptHost.call_at
    monkeypatch.setattr(ScriptHost, "call_at", lambda self, at, fn: honest(self, at if at > 1e5 else self.now(), fn))
    assert "without cause" in findings()


@pytest.mark.usefixtures("on_reference")
def test_the_campaign_sees_a_wait_that_nobody_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that forgets to wake is found as a wait whose time is over, or as a deadlock."""
    monkeypatch.setattr(Operation, "expire", lambda self: False)
    assert "its time is over" in findings()


@pytest.mark.usefixtures("on_reference")
def test_the_campaign_sees_a_claim_that_is_won_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clauses of one select took effect: a value has two ends."""

    def win_arm(self: waiter.SelectOperation, index: int) -> bool:
        self.claim = index
        return True

    monkeypatch.setattr(waiter.SelectOperation, "win_arm", win_arm)
    assert "is received and kept" in findings()


def test_a_clause_that_skip_has_given_up_never_wins() -> None:
    """Found by exploring: a closed channel took an element from a select that still waited on another. Row: SE3."""
    channel = replayed_channel()
    assert channel.recv_now() is not None
    assert channel.queue == type(channel.queue)()


def replayed_channel() -> Channel:
    """A closed channel with one element, on which the Send clause of a SKIP select is queued."""
    from kcoro_core.semantics import BUFFERED, SUSPEND

    channel = Channel(BUFFERED, 1, SUSPEND)
    channel.send_now("sent before the close")
    channel.close()
    op = waiter.SelectOperation(SKIP, 2)
    arm = Arm(op, 0, True, "must stay with its sender")
    arm.shut(channel.closed_error())
    channel.enqueue(arm)
    assert op.claim == WAITING
    return channel
