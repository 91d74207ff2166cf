# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The lending model, explored in full: no order of frames and steps gives what no local channel gives (rows N4, CH2).

Every rule is there because without it some order breaks something: each is switched off alone, and is missed at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from kcoro_core.engine import OK
from kcoro_core.link.bound import Bound
from kcoro_core.link.kept import Kept
from kcoro_core.link.lent import Lent
from kcoro_core.link.prefetch import Prefetch
from kcoro_core.reference.lending import Lending
from kcoro_core.wire import events, opener
from kcoro_core.wire.borrower import Borrower
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import Connection
from kcoro_core.wire.ledger import Ledger
from kcoro_core.wire.lender import Lender
from kcoro_core.wire.lending import Window
from kcoro_core.wire.outbox import Entry, Outbox
from kcoro_core.wire.slots import Slots
from kcoro_core.wire.states import LendState, LendStep

from .lending_model import Broken, explore
from .programs import HOME, LINKS, Program, Step, Task, allows, outcomes, random_program

# Two states are the same one by what the reference engine has inside; test_native_ways.py has the other engine.
pytestmark = pytest.mark.usefixtures("on_reference")

ONE, TWO = LINKS


def task(place: str, *steps: str) -> Task:
    """``"send 3"`` sends element 3, ``"tell 0"`` tells word 0, ``"recv"`` receives."""
    return Task(place, tuple(Step(verb, int(what or 0)) for verb, _, what in map(_parted, steps)))


def _parted(step: str) -> tuple[str, str, str]:
    head, space, tail = step.rpartition(" ")
    return (head, space, tail) if tail.isdigit() else (step, "", "")


# Link 1 is lent to, and has elements ahead; a task that hears word 9, which nobody tells, only keeps its link there.
PROGRAMS: dict[str, Program] = {
    "stream": Program(1, (task(ONE, "send 0", "send 1", "send 2"), task(HOME, "recv", "recv", "recv"))),
    "second sender": Program(
        2, (task(ONE, "send 0", "tell 0"), task(HOME, "hear 0", "send 1"), task(HOME, "recv", "recv"))
    ),
    "second link": Program(
        1, (task(ONE, "send 0", "tell 0", "send 2"), task(TWO, "hear 0", "send 1"), task(HOME, "recv", "recv"))
    ),
    "full": Program(1, (task(ONE, "send 0", "send 1"), task(HOME, "send 2"), task(HOME, "recv", "recv"))),
    "room": Program(1, (task(ONE, "send 0", "send 1"), task(HOME, "recv"))),
    "close": Program(2, (task(ONE, "send 0"), task(HOME, "close"), task(HOME, "recv", "try recv"))),
    "close and told": Program(2, (task(ONE, "send 0", "tell 0"), task(HOME, "hear 0", "close"), task(HOME, "recv"))),
    "tries": Program(2, (task(ONE, "send 0", "tell 0", "try send 1"), task(HOME, "hear 0", "try recv", "try send 2"))),
    "try to send": Program(2, (task(ONE, "hear 9"), task(HOME, "try send 0"))),
    "both ways": Program(1, (task(ONE, "send 0", "send 1"), task(ONE, "recv"), task(HOME, "recv"))),
    "both ways, alone": Program(1, (task(ONE, "send 0", "send 1"), task(ONE, "recv", "recv"))),
    "nobody takes": Program(1, (task(HOME, "send 0", "send 1", "send 2"), task(ONE, "hear 9"))),
    "ahead": Program(2, (task(HOME, "send 0", "send 1", "send 2"), task(ONE, "recv", "recv"), task(HOME, "recv"))),
    "ahead and back": Program(3, (task(HOME, "send 0", "send 1"), task(ONE, "hear 9"), task(HOME, "recv", "recv"))),
    "ahead, then a try": Program(2, (task(HOME, "send 0", "send 1"), task(ONE, "try recv", "recv"))),
    "ahead, then a close": Program(2, (task(HOME, "send 0", "close"), task(ONE, "hear 9"), task(HOME, "recv"))),
    "rendezvous": Program(0, (task(ONE, "send 0", "send 1"), task(HOME, "recv", "try recv"))),
    "unlimited": Program(None, (task(ONE, "send 0", "tell 0"), task(HOME, "hear 0", "send 1"), task(TWO, "recv"))),
}
MODES = {
    "request": (False, 0, False),
    "lend": (True, 0, False),
    "prefetch": (False, 2, False),
    "both": (True, 1, False),
}
SLOW = {"request, slow": (False, 0, True), "lend, slow": (True, 0, True)}
ALL_MODES = {**MODES, **SLOW}
# Somebody gives up meanwhile, or a slow medium has not taken what was asked for; in the modes where that matters.
CANCELS: dict[str, Program] = {
    "cancel a receive": Program(
        1, (task(HOME, "send 0", "send 1"), task(ONE, "recv"), task(ONE, "cancel 1"), task(HOME, "recv", "recv"))
    ),
    "cancel a receive, rendezvous": Program(
        0, (task(HOME, "send 0", "send 1"), task(ONE, "recv"), task(ONE, "cancel 1"), task(HOME, "recv"))
    ),
    "cancel a send": Program(
        1, (task(ONE, "send 0", "send 1"), task(ONE, "cancel 0"), task(HOME, "send 2"), task(HOME, "recv"))
    ),
    "cancel one of three": Program(
        1, (task(ONE, "send 0", "send 1", "send 3"), task(ONE, "cancel 0"), task(HOME, "send 2"), task(HOME, "recv"))
    ),
}
ENDINGS: dict[str, Program] = {
    "discard": Program(2, (task(ONE, "send 0", "send 1"), task(HOME, "discard"), task(HOME, "recv"))),
    "detach": Program(1, (task(ONE, "send 0", "detach"), task(HOME, "send 1"), task(HOME, "recv", "recv"))),
    "detach and told": Program(2, (task(ONE, "send 0", "tell 0", "detach"), task(HOME, "hear 0", "send 1"))),
    "cut": Program(1, (task(ONE, "send 0"), task(ONE, "cut"), task(HOME, "send 2"), task(HOME, "recv"))),
    "cut and close": Program(
        2, (task(ONE, "send 0", "send 1"), task(ONE, "cut"), task(HOME, "close"), task(HOME, "recv", "recv"))
    ),
    "cut while it takes": Program(
        1, (task(HOME, "send 0", "send 1"), task(ONE, "recv"), task(ONE, "cut"), task(HOME, "recv", "recv"))
    ),
    "two at home": Program(2, (task(ONE, "hear 9"), task(HOME, "send 0"), task(HOME, "send 1"))),
}
# Elements that come back from ahead are reported behind what was queued: no order of reports is promised.
ENDED = [
    *(("discard", mode) for mode in ("request", "lend")),
    *(("detach", mode) for mode in ("request", "lend")),
    *(("detach and told", mode) for mode in ("request", "lend", "lend, slow")),
    *(("cut", mode) for mode in ("request", "lend", "prefetch", "lend, slow")),
    *(("cut while it takes", mode) for mode in ("request", "lend", "lend, slow")),
    *(("two at home", mode) for mode in ("lend", "lend, slow")),
]
ENDED_LONG = [
    *(("cut and close", mode) for mode in ("request", "lend", "prefetch", "both", "lend, slow")),
    *(("cut while it takes", mode) for mode in ("prefetch", "both")),
    *(("detach", mode) for mode in ("prefetch", "both", "lend, slow")),
    *(("discard", "lend, slow"), ("cut", "both")),
]
SLOWLY = [
    *((name, mode) for name in ("room", "second sender", "close and told") for mode in SLOW),
    *(("cancel a receive", mode) for mode in ("request", "lend", "lend, slow")),
    *(("cancel a receive, rendezvous", mode) for mode in ("lend", "lend, slow")),
    *(("cancel a send", mode) for mode in ("request", "request, slow")),
]
LONG = [(name, mode) for name in ("cancel one of three", "cancel a send") for mode in ("lend", "lend, slow")]
LONG += [(name, mode) for name in ("cancel a receive", "cancel a send") for mode in ("prefetch", "both")]
EVERY = {**PROGRAMS, **CANCELS, **ENDINGS}
SHORT = ("room", "second sender", "close and told", "try to send", "rendezvous")


def explored(name: str, mode: str) -> str:
    """Explore a program in a mode; what was seen, for people."""
    program = EVERY[name]
    allowed = outcomes(program) if "cut" not in name else frozenset()
    found = explore(program, allowed.__contains__, *ALL_MODES[mode])
    assert found.ends
    return f"{name}, {mode}: {found.states} states, {len(found.ends)} of {len(allowed) or 'any'} outcomes\n"


@pytest.mark.parametrize("mode", ["lend", "both"])
def test_some_programs_are_explored_in_full(mode: str) -> None:
    """Every order of their frames and steps; the counts are printed. Row: N4."""
    for name in SHORT:
        sys.stdout.write(explored(name, mode))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_is_explored_in_full(name: str, mode: str) -> None:
    """The same for all of them, in all modes. Rows: N4, CH2, CH11."""
    sys.stdout.write(explored(name, mode))


def test_cancelling_and_a_slow_medium_are_explored_in_full() -> None:
    """A receive or send that is given up ends as it may locally, whatever crosses it. Rows: N4, CH2."""
    for name, mode in SLOWLY:
        sys.stdout.write(explored(name, mode))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "mode"), LONG)
def test_cancelling_beside_more_is_explored_in_full(name: str, mode: str) -> None:
    """Beside elements that are sent ahead, and among more sends. Rows: N4, CH2."""
    sys.stdout.write(explored(name, mode))


def test_ends_of_handles_channels_and_links_are_explored_in_full() -> None:
    """``ch.cancel`` and ``detach`` are as locally, and after one cut anywhere the books balance. Rows: N4, N6, CH11."""
    for name, mode in ENDED:
        sys.stdout.write(explored(name, mode))


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "mode"), ENDED_LONG)
def test_ends_beside_more_are_explored_in_full(name: str, mode: str) -> None:
    """The same with a close, and with elements ahead. Rows: N4, N6."""
    sys.stdout.write(explored(name, mode))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(60))
def test_random_programs_are_explored_as_far_as_they_go(seed: int) -> None:
    """Programs of the equality campaign, up to a number of states. Row: N4."""
    program = random_program(seed)
    try:
        explore(program, partial(allows, program), lend=True, prefetch=1, most=3000)
    except Broken as broken:
        if "more than" not in str(broken):
            raise


# ---------------------------------------------------------------------------------------------------------------------
# Each rule switched off
# ---------------------------------------------------------------------------------------------------------------------

Patch = Callable[[Any, str, Any], None]


def count_data_only(patch: Patch) -> None:
    """A SEND that crosses a grant waits for a slot that is lent to its own link."""

    def wrote_data(window: Window, _: object) -> None:
        window._queued -= 1
        window._written += 1
        window._serials.append(window._written)

    def hear_send(slots: Slots) -> bool:
        slots._asks = True
        return False

    patch(Window, "queue_send", lambda window: None)
    patch(Window, "wrote_send", lambda window: None)
    patch(Window, "wrote_data", wrote_data)
    patch(Slots, "hear_send", hear_send)
    patch(Slots, "answer_send", lambda slots, used: None)


def use_slots_behind_a_recall(patch: Patch) -> None:
    """What is sent behind the RETURN has no slot any more."""

    def has_room(window: Window, element: bytes, reserve: bool = False) -> bool:
        return window.msg_limit - window._written - window._queued > 0

    patch(Window, "has_room", has_room)


def do_not_wait_for_the_return(patch: Patch) -> None:
    """Somebody else sends while data is on its way."""

    def recall(lent: Lent) -> None:
        lent.recalled = True
        lent.wire.recall(lent.id)
        lent.core.end_lending()

    patch(Lent, "recall", recall)


def serve_others_beside_a_free_slot(patch: Patch) -> None:
    """There is room, but what was sent before is not here yet."""
    patch(Lending, "_send_guarded", lambda core, value: core._accept(value))


def lend_while_somebody_waits(patch: Patch) -> None:
    """A freed slot is lent in place of going to the sender that waits for it."""

    def more(slots: Slots, free: float) -> int:
        return int(min(free, slots.window)) if slots.state is LendState.LENT else 0

    def lendable(core: Lending) -> int | float:
        return 0 if core.borrower is None else core.limit - len(core.queue) - core.kept - core.lent

    def after_take(core: Lending) -> None:
        if core.borrower is not None:
            core.borrower.freed()
        core._admit()

    patch(Slots, "more", more)
    patch(Lending, "lendable", lendable)
    patch(Lending, "_after_take", after_take)


def lend_what_a_read_send_needs(patch: Patch) -> None:
    """A SEND was read, its handler has not run yet, and its slot is lent to its own link."""

    def more(slots: Slots, free: float) -> int:
        return int(min(free, slots.window - slots.lent)) if slots.state is LendState.LENT else 0

    patch(Slots, "more", more)


def tell_of_a_close_before_the_return(patch: Patch) -> None:
    """A receiver hears of the close although a send has completed before it."""
    patch(Lending, "_settled", lambda core: not core.travelling)


def drop_data_behind_a_close(patch: Patch) -> None:
    """A send has completed, and its element is gone."""
    original = Lent.on_data
    patch(Lent, "on_data", lambda lent, news: None if lent.core.closed else original(lent, news))


def tell_a_try_at_once(patch: Patch) -> None:
    """A try says that nothing is there, or no room, while the answer is under way."""
    patch(Lending, "ask", lambda core, op: False)


def free_the_slot_of_what_is_ahead(patch: Patch) -> None:
    """Nobody took the elements, and more are accepted."""

    def take_ahead(core: Lending) -> Any:
        value = original(core)
        core.kept = 0
        return value

    def settle_ahead(core: Lending, count: int = 1, put_back: Any = ()) -> None:
        core.kept += count
        settle(core, count, put_back)

    original, settle = Lending.take_ahead, Lending.settle_ahead
    patch(Lending, "take_ahead", take_ahead)
    patch(Lending, "settle_ahead", settle_ahead)


def never_recall_what_is_ahead(patch: Patch) -> None:
    """An element lies at a link that does not want it, and a receiver at home waits for ever."""
    patch(Kept, "recall", lambda kept: None)


def serve_others_beside_what_is_ahead(patch: Patch) -> None:
    """A later element is received before an earlier one comes back."""
    original = Lending._recv_guarded

    def recv_guarded(core: Lending) -> Any:
        if core.keeper is not None and core.queue:
            core.keeper.recall()
            return core.queue.popleft()
        return original(core)

    patch(Lending, "_recv_guarded", recv_guarded)
    patch(Kept, "arrived", _arrived_once)


def _arrived_once(kept: Kept) -> None:
    """Sends one element ahead, so that another one stays in the channel."""
    if not kept.recalled and kept.standing and not kept.bound.travelling:
        value = kept.bound.core.take_ahead()
        if isinstance(value, bytes):
            number = next(iter(kept.standing))
            del kept.standing[number]
            kept.push(kept.bound, number, value, True)


def put_back_one_by_one(patch: Patch) -> None:
    """The second one that comes back lands in front of the first."""

    def put_back(ledger: Ledger, request_id: int) -> tuple[int, ...]:
        ledger._settle(request_id)
        return (request_id,)

    patch(Ledger, "put_back", put_back)


def close_without_what_is_ahead(patch: Patch) -> None:
    """A receiver hears of the close, then the element comes back."""
    patch(Lending, "_settled", lambda core: core.borrower is None)


def send_ahead_what_was_declined(patch: Patch) -> None:
    """A later receive is served ahead of the one that its end asks for again."""
    patch(Bound, "declined", property(lambda bound: False, lambda bound, value: None))


def hand_over_what_came_last(patch: Patch) -> None:
    """A task gets the element that answers its request, although an older one lies there."""

    def exchange(ahead: Prefetch, request_id: int, element: bytes) -> bytes:
        ahead._handle._link.wire.taken(request_id)
        return element

    patch(Prefetch, "exchange", exchange)


def let_a_late_grant_revive_slots(patch: Patch) -> None:
    """A grant that comes behind the RECALL lends again what goes back."""
    hear = Window.hear

    def hear_late(window: Window, grant: Any, closed: bool) -> int:
        accepted = hear(window, grant, closed)
        window.state = LendState.LENT
        return accepted

    patch(Window, "hear", hear_late)


def use_a_slot_again_when_a_send_is_withdrawn(patch: Patch) -> None:
    """A SEND that was not written is given up behind the RECALL, the count falls, and the next send has its place."""

    def withdraw_send(window: Window) -> None:
        window._queued -= 1
        window.state = LendState.LENT

    patch(Window, "withdraw_send", withdraw_send)


def let_the_return_overtake_the_data(patch: Patch) -> None:
    """Somebody else is served in front of what was sent before; here the data comes when nothing is lent any more."""

    def give_back(borrower: Borrower, handle: Any, window: Window) -> None:
        window.step(LendStep.RECALL)
        entry = Entry(Command.RETURN, handle.id, on_written=lambda _: window.step(LendStep.RETURN))
        borrower._outbox._control.append(entry)
        borrower._outbox.waiting += 1
        borrower._outbox._head = None

    patch(Borrower, "_give_back", give_back)


def give_a_receive_up_without_asking(patch: Patch) -> None:
    """Its element travels while another receiver is served, and comes back behind that one."""
    cancel = Connection.cancel

    def cancel_at_once(wire: Connection, request_id: int, now: float) -> bool:
        cancel(wire, request_id, now)
        return True

    patch(Connection, "cancel", cancel_at_once)


def recall_again(patch: Patch) -> None:
    """Each sender at home asks for the slots; the second time they are on their way, or back."""

    def recall(lender: Lender, channel_id: int) -> bool:
        slots = lender.slots(channel_id)
        if slots.state is LendState.LENT:
            slots.step(LendStep.RECALL)
        lender._outbox.put(Entry(Command.RECALL, channel_id))
        return True

    patch(Lender, "recall", recall)
    patch(Lending, "_recall", lambda core, borrower: [setattr(core, "recalled", True), borrower.recall()])


def drop_data_behind_a_cancel(patch: Patch) -> None:
    """A send has completed, and nobody is told what became of its element."""
    original = Lending.fill

    def fill(core: Lending, value: Any, slot: bool = True) -> Any:
        if slot and core.given_up is not None:
            core.lent -= 1
            return OK
        return original(core, value, slot)

    patch(Lending, "fill", fill)


def keep_what_was_lent(patch: Patch) -> None:
    """Whoever had slots is gone, and has taken them along: a sender at home waits for ever."""
    patch(Lent, "end", lambda lent: None)


def forget_data_that_was_not_confirmed(patch: Patch) -> None:
    """A send has completed, the link is lost, and its end does not say that the element may be lost, too."""
    patch(Borrower, "gone", lambda borrower, handle: ())


def say_that_a_send_without_an_answer_was_not_done(patch: Patch) -> None:
    """It was written, and the home may have taken its element in before the link was lost."""
    patch(opener, "_fate", lambda request: events.Fate.NOT_DONE)


def take_what_was_pushed_for_received(patch: Patch) -> None:
    """The link was lost before the element came, or afterwards: the home neither keeps nor reports it."""
    original = Bound.lost

    def lost(bound: Bound, elements: Any) -> int:
        for one in elements:
            bound.taken(one.request_id)
        return original(bound, ())

    patch(Bound, "lost", lost)


def let_the_detach_overtake_the_data(patch: Patch) -> None:
    """The handle is gone when its last element comes."""
    original = Outbox.put
    patch(
        Outbox,
        "put",
        lambda box, entry: box.put_control(entry) if entry.command is Command.DETACH else original(box, entry),
    )


RULES: list[tuple[Callable[[Patch], None], str, str]] = [
    (count_data_only, "room", "lend"),
    (use_slots_behind_a_recall, "second link", "lend"),
    (do_not_wait_for_the_return, "second sender", "lend"),
    (serve_others_beside_a_free_slot, "second sender", "lend"),
    (lend_while_somebody_waits, "room", "lend"),
    (lend_what_a_read_send_needs, "both ways, alone", "both"),
    (tell_of_a_close_before_the_return, "close and told", "lend"),
    (drop_data_behind_a_close, "close and told", "lend"),
    (tell_a_try_at_once, "tries", "lend"),
    (tell_a_try_at_once, "try to send", "lend"),
    (free_the_slot_of_what_is_ahead, "nobody takes", "prefetch"),
    (never_recall_what_is_ahead, "ahead and back", "prefetch"),
    (serve_others_beside_what_is_ahead, "ahead and back", "prefetch"),
    (put_back_one_by_one, "ahead and back", "prefetch"),
    (close_without_what_is_ahead, "ahead, then a close", "prefetch"),
    (send_ahead_what_was_declined, "ahead", "prefetch"),
    (hand_over_what_came_last, "ahead, then a try", "both"),
    (let_a_late_grant_revive_slots, "cancel a send", "lend"),
    (use_a_slot_again_when_a_send_is_withdrawn, "cancel one of three", "lend, slow"),
    (let_the_return_overtake_the_data, "second sender", "lend, slow"),
    (give_a_receive_up_without_asking, "cancel a receive", "request"),
    (give_a_receive_up_without_asking, "cancel a receive, rendezvous", "request"),
    (recall_again, "two at home", "lend"),
    (drop_data_behind_a_cancel, "discard", "lend"),
    (keep_what_was_lent, "cut", "lend"),
    (keep_what_was_lent, "detach", "lend"),
    (forget_data_that_was_not_confirmed, "cut", "lend"),
    (keep_what_was_lent, "cut and close", "lend"),
    (say_that_a_send_without_an_answer_was_not_done, "cut", "request"),
    (take_what_was_pushed_for_received, "cut while it takes", "request"),
    (let_the_detach_overtake_the_data, "detach", "lend, slow"),
]


@pytest.mark.parametrize(
    ("switch", "name", "mode"), RULES, ids=[f"{switch.__name__}-{name}".replace(" ", "-") for switch, name, _ in RULES]
)
def test_no_rule_can_be_left_out(
    switch: Callable[[Patch], None], name: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exploration breaks as soon as one rule is switched off. Row: N4."""
    assert switch.__doc__
    switch(monkeypatch.setattr)
    program = EVERY[name]
    with pytest.raises(Broken) as broken:
        explore(program, partial(allows, program), *ALL_MODES[mode])
    what = ("outcome", "ended the connection", "lent of", "in vain", "element ")
    assert any(words in str(broken.value) for words in what)
