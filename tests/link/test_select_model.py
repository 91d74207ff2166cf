# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Remote select, explored in full: no order of frames and steps wins twice, loses, hangs or goes round (rows N5, X1).

Every rule is there because without it some order breaks something: each is switched off alone, and is missed at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core.claiming import RemoteSelect
from kcoro_core.link.desk import Desk
from kcoro_core.link.hints import Hint, Hints, Registration
from kcoro_core.link.opener import Opener
from kcoro_core.link.selecting import Asked, Stand
from kcoro_core.reference.waiter import SelectOperation
from kcoro_core.semantics import CLAIMING, WAITING
from kcoro_core.wire import events

from .select_model import Actor, Broken, Program, explore


def select(node: str, *clauses: str, times_out: bool = False) -> Actor:
    """A select of that node; ``+ch`` sends, ``-ch`` receives."""
    return Actor(node, clauses, times_out=times_out)


def plain(node: str, clause: str) -> Actor:
    """A plain send or receive at the home."""
    return Actor(node, (clause,), plain=True)


# Tickets are ordered by the names of the nodes, then by who begins first.
PROGRAMS: dict[str, Program] = {
    "one element": Program(
        {"a": ("G", 1)}, (select("S", "-a"), select("T", "-a"), plain("G", "+a")), lapses=1, late=True
    ),
    "two homes": Program(
        {"a": ("G", 1), "b": ("H", 0)}, (select("S", "-a", "-b"), plain("G", "+a"), plain("H", "+b")), lapses=1
    ),
    "send clauses": Program(
        {"a": ("G", 0), "b": ("H", 1)}, (select("S", "+a", "+b"), plain("G", "-a"), plain("H", "-b")), lapses=1
    ),
    "third party": Program({"a": ("H", 0)}, (select("S", "-a"), select("T", "+a")), lapses=1, late=True),
    "third party, the other way": Program({"a": ("H", 0)}, (select("S", "+a"), select("T", "-a")), lapses=1, late=True),
    "two third parties": Program(
        {"a": ("G", 0), "b": ("H", 0)}, (select("S", "-a", "-b"), select("T", "+b", "+a")), lapses=1
    ),
    "both directions": Program({"a": ("H", 0)}, (select("S", "-a", "+a"), select("T", "+a", "-a")), lapses=1),
    "both directions, one node": Program({"a": ("H", 0)}, (select("S", "-a", "+a"), select("S", "+a", "-a")), lapses=1),
    "both directions, one at home": Program(
        {"a": ("H", 0)}, (select("S", "-a", "+a"), select("H", "+a", "-a")), lapses=1, late=True
    ),
    "across": Program({"a": ("A", 0), "b": ("B", 0)}, (select("A", "+a", "-b"), select("B", "-a", "+b")), lapses=1),
    "across, the other way": Program(
        {"a": ("A", 0), "b": ("B", 0)}, (select("B", "+a", "-b"), select("A", "-a", "+b")), lapses=1, late=True
    ),
    "across, with room": Program(
        {"a": ("A", 1), "b": ("B", 0)}, (select("B", "-a", "-b"), select("A", "-a", "+b"), plain("A", "+a")), lapses=1
    ),
    "across, with a plain one": Program(
        {"a": ("A", 0), "b": ("B", 0)},
        (select("A", "+a", "-b"), select("B", "-a", "+b"), plain("A", "-a"), plain("B", "+b")),
    ),
    "ring": Program(
        {"a": ("A", 0), "b": ("B", 0), "c": ("C", 0)},
        (select("A", "+a", "-b"), select("B", "+b", "-c"), select("C", "+c", "-a")),
    ),
    "contended": Program(
        {"a": ("H", 1)}, (select("S", "-a"), select("T", "-a"), plain("H", "-a"), plain("H", "+a")), lapses=1
    ),
    "kept": Program(
        {"a": ("H", 1)},
        (select("S", "-a", times_out=True), *(plain("H", clause) for clause in ("+a", "+a", "-a", "-a"))),
        lapses=1,
    ),
    "kept room": Program(
        {"a": ("H", 1)},
        (select("S", "+a", times_out=True), *(plain("H", clause) for clause in ("+a", "+a", "-a", "-a"))),
        lapses=1,
    ),
    "a partner that leaves": Program(
        {"a": ("G", 0), "b": ("H", 0)}, (select("S", "-a"), select("T", "+a", "+b"), plain("H", "-b"))
    ),
    "somebody is deaf": Program({"a": ("H", 0)}, (select("S", "-a"), select("T", "-a"), plain("H", "+a")), 1, deaf="S"),
    "two lapses": Program(
        {"a": ("H", 0)}, (select("S", "-a"), select("T", "-a"), plain("H", "+a"), plain("H", "+a")), lapses=2
    ),
    "an idle element": Program({"a": ("H", 1)}, (select("S", "-a"), plain("H", "+a")), lapses=1000, deaf="S"),
    "deadlines": Program(
        {"a": ("H", 0)}, (select("S", "-a", times_out=True), select("T", "+a", times_out=True)), late=True
    ),
    "a deadline and two homes": Program(
        {"a": ("G", 0), "b": ("H", 0)},
        (select("S", "-a", "-b", times_out=True), select("T", "+a", times_out=True), plain("H", "+b")),
    ),
    "a deadline across": Program(
        {"a": ("A", 0), "b": ("B", 0)},
        (select("A", "+a", "-b", times_out=True), select("B", "-a", "+b")),
        lapses=1,
        late=True,
    ),
    "cut while it takes": Program({"a": ("H", 1)}, (select("S", "-a"), plain("H", "+a")), cuts=1, lapses=1, late=True),
    "cut while it gives": Program({"a": ("H", 1)}, (select("S", "+a"), plain("H", "-a")), cuts=1, lapses=1, late=True),
    "cut across": Program({"a": ("A", 0), "b": ("B", 0)}, (select("A", "+a", "-b"), select("B", "-a", "+b")), cuts=1),
    "cut between two homes": Program(
        {"a": ("G", 0), "b": ("H", 0)}, (select("S", "-a", "-b"), select("T", "+a", "+b")), cuts=1
    ),
}
SHORT = (
    "one element",
    "two homes",
    "send clauses",
    "third party",
    "both directions, one at home",
    "across",
    "across, with room",
    "an idle element",
    "deadlines",
    "cut while it takes",
    "cut while it gives",
)


def explored(name: str) -> int:
    """Explore a program; what was seen is printed."""
    found = explore(PROGRAMS[name])
    assert found.ends
    sys.stdout.write(f"{name}: {found.states} states, {found.quiet} of them quiet, {len(found.ends)} endings\n")
    return found.states


def test_small_programs_are_explored_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """Every order of their frames and steps: no double win, loss, hang or circle; the counts are printed.

    Rows: N5, X1, SE1.
    """
    with capsys.disabled():
        total = sum(explored(name) for name in SHORT)
        sys.stdout.write(f"{total} states of {len(SHORT)} programs of remote select\n")
    assert total > 800


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in SHORT])
def test_every_program_is_explored_in_full(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for the larger ones. Rows: N5, X1, SE1."""
    with capsys.disabled():
        explored(name)


# ---------------------------------------------------------------------------------------------------------------------
# Each rule switched off
# ---------------------------------------------------------------------------------------------------------------------

Patch = Callable[[type, str, Any], None]


def let_others_win_while_a_claim_is_under_way(patch: Patch) -> None:
    """A local partner takes what the home has granted to another clause: one select wins twice."""

    def win_arm(op: SelectOperation, index: int) -> bool:
        if op.claim != WAITING and op.claim > CLAIMING:
            return False
        op.claim = index
        return True

    patch(SelectOperation, "win_arm", win_arm)


def return_at_the_deadline_without_the_answer(patch: Patch) -> None:
    """What is granted then has no owner."""

    def expire(one: RemoteSelect) -> bool:
        decided = one._op.expire()
        if not decided and one._op.claim <= CLAIMING:
            one._claim = None
            one._op.end_claim()
        return decided

    patch(RemoteSelect, "expire", expire)


def hold_every_claim(patch: Patch) -> None:
    """Two selects claim each other at two homes, and wait for ever."""

    def judge_held(desk: Desk) -> None:
        """Nothing is let go."""

    patch(Desk, "_may_hold", lambda desk, hint: any(True for _ in desk._selects_facing(hint.sending)))
    patch(Desk, "_judge_held", judge_held)


def deny_every_claim(patch: Patch) -> None:
    """Turn, claim and denial go in a circle for ever."""
    patch(Desk, "_may_hold", lambda desk, hint: False)


def count_the_turn_of_a_partner(patch: Patch) -> None:
    """The other clause of the partner has the only turn, so that the partner is never told."""
    look = Desk._look_across

    class Empty(dict[Any, int]):
        """Knows how many of them each select is, and names none."""

        def __init__(self, counted: Any) -> None:
            self.counted = counted

        def __getitem__(self, ticket: Any) -> int:
            return int(self.counted[ticket])

    class Nameless(list[Any]):
        """The tickets in order, which cannot be looked through."""

        def __iter__(self) -> Any:
            return iter(())

    def look_across(desk: Desk, sending: bool) -> Any:
        there, own, facing = look(desk, sending)
        return there, Empty(own), Nameless(facing)

    patch(Desk, "_look_across", look_across)


def take_a_select_for_its_own_partner(patch: Patch) -> None:
    """It is told of itself, claims, is denied, and told again."""
    look = Desk._look_across

    def look_across(desk: Desk, sending: bool) -> Any:
        there, own, facing = look(desk, sending)
        own.clear()
        return there, own, facing

    patch(Desk, "_look_across", look_across)


def forget_the_clauses_of_this_process_after_a_denial(patch: Patch) -> None:
    """Whoever passed it over in the meantime waits for ever, and so does it."""
    patch(RemoteSelect, "_poll", lambda one, index: None)


def forget_turns_that_come_while_a_claim_is_under_way(patch: Patch) -> None:
    """The home waits for a claim, and the select for a turn that it has had."""
    turn = RemoteSelect.turn

    def forgetful(one: RemoteSelect, index: int, token: int) -> None:
        if one.claim == WAITING:
            turn(one, index, token)

    patch(RemoteSelect, "turn", forgetful)


def leave_the_losers_standing(patch: Patch) -> None:
    """Clauses of selects that are over stay in the queues of their homes."""
    patch(Stand, "withdraw", lambda stand: None)


def lose_an_element_that_nobody_waits_for(patch: Patch) -> None:
    """A grant behind the end of its select is neither received nor given back."""

    def on_element(opener: Opener, news: events.ElementReceived) -> None:
        op = opener._requests.pop(news.request_id, None)
        opener._wire.taken(news.request_id)
        if op is not None:
            op.succeed(news.element)

    def expire(one: RemoteSelect) -> bool:
        decided = one._op.expire()
        if not decided and one._op.claim <= CLAIMING and isinstance(one._claim, Asked):
            one._claim.forget()
            one._claim = None
            one._op.end_claim()
        return decided

    patch(Opener, "_on_element", on_element)
    patch(RemoteSelect, "expire", expire)


def keep_a_lapsed_turn_for_nobody(patch: Patch) -> None:
    """The next in the queue is not told when a turn lapses."""

    def expire(hint: Hint) -> None:
        hint.lapsed = True
        hint.timer = None

    patch(Hint, "expire", expire)


def tell_a_lapsed_turn_again_at_once(patch: Patch) -> None:
    """An element that a slow select leaves alone costs a NOTIFY for each lapse, for ever."""
    lapse = Desk.lapse

    def lapse_and_tell(desk: Desk, hint: Hint) -> None:
        lapse(desk, hint)
        hint.lapsed = False
        desk.review()

    patch(Desk, "lapse", lapse_and_tell)


def hold_on_when_the_partner_has_left(patch: Patch) -> None:
    """A claim stays held for a select that has won elsewhere."""

    def judge_held(desk: Desk) -> None:
        """Nothing is let go."""

    patch(Desk, "_judge_held", judge_held)


def do_not_tell_of_a_lost_link(patch: Patch) -> None:
    """A clause whose link is lost waits for ever."""
    patch(Stand, "lose", lambda stand, error, in_doubt: None)


def grant_without_taking_it_out(patch: Patch) -> None:
    """The element goes to the select, and stays in the channel."""

    def granted(hint: Hint, request_id: int, value: Any) -> None:
        registration = hint.registration
        registration.over = True
        if hint.sending:
            registration.home.wire.done(request_id)
        else:
            registration.home.push(registration.bound, request_id, value)
            registration.bound.core.settle(0, [value])
        registration.home.flush()

    patch(Hint, "granted", granted)


def take_the_desk_away_from_others(patch: Patch) -> None:
    """The first clause that leaves takes the desk with it, and the others are told of nothing any more."""

    def remove(desk: Desk, registration: Registration) -> None:
        desk._standing.pop(registration, None)
        desk._take_out(registration)
        desk.review()
        desk._channel._use(desk.core)

    patch(Desk, "remove", remove)


def never_serve_those_something_was_kept_from(patch: Patch) -> None:
    """Whoever had to wait because something was kept for a select waits on when it is kept no more."""
    patch(Desk, "_serve", lambda desk: None)


def let_a_withdrawn_registration_stand(patch: Patch) -> None:
    """The home forgets the request, and not the clause."""

    def withdraw(hints: Hints, request_id: int) -> bool:
        return hints._registered.pop(request_id, None) is not None

    patch(Hints, "withdraw", withdraw)


# A lapsed clause goes to the tail, with its count at 0 (rule 21): who is served first is no matter of this model, which
# asks whether anybody is served; test_selecting_turns.py::test_a_turn_that_lapsed_goes_to_the_tail and
# ::test_a_turn_that_lapsed_begins_anew_with_its_count_at_0 see each of the two switched off. Handles here have nothing
# ahead, so an element ahead as a clause of this side (rule 22) is proved in test_selecting_slots.py:
# ::test_elements_ahead_are_clauses_of_this_side, ::test_a_clause_goes_to_the_home_when_nothing_comes_ahead_any_more and
# ::test_a_clause_on_this_side_ends_with_its_handle.
RULES: list[tuple[Callable[[Patch], None], str]] = [
    (let_others_win_while_a_claim_is_under_way, "across, the other way"),
    (return_at_the_deadline_without_the_answer, "deadlines"),
    (hold_every_claim, "across"),
    (deny_every_claim, "third party"),
    (count_the_turn_of_a_partner, "both directions"),
    (take_a_select_for_its_own_partner, "both directions"),
    (forget_the_clauses_of_this_process_after_a_denial, "across"),
    (forget_turns_that_come_while_a_claim_is_under_way, "two third parties"),
    (leave_the_losers_standing, "two homes"),
    (lose_an_element_that_nobody_waits_for, "deadlines"),
    (keep_a_lapsed_turn_for_nobody, "somebody is deaf"),
    (tell_a_lapsed_turn_again_at_once, "an idle element"),
    (hold_on_when_the_partner_has_left, "a partner that leaves"),
    (do_not_tell_of_a_lost_link, "cut while it takes"),
    (grant_without_taking_it_out, "one element"),
    (take_the_desk_away_from_others, "two lapses"),
    (never_serve_those_something_was_kept_from, "kept"),
    (let_a_withdrawn_registration_stand, "two homes"),
]


@pytest.mark.parametrize(("switch", "name"), RULES, ids=[switch.__name__ for switch, _ in RULES])
def test_no_rule_can_be_left_out(
    switch: Callable[[Patch], None],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    """The exploration breaks as soon as one rule is switched off, and says how. Rows: N5, X1."""
    assert switch.__doc__
    if switch is let_others_win_while_a_claim_is_under_way:
        request.getfixturevalue("on_reference")  # that rule is the engine's own
    switch(monkeypatch.setattr)
    with pytest.raises((Broken, AssertionError, KeyError, ValueError)) as broken:
        explore(PROGRAMS[name])
    assert "more than" not in str(broken.value)
    with capsys.disabled():
        sys.stdout.write(f"{switch.__name__}: {str(broken.value).partition(';')[0]}\n")
