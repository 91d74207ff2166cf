# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A channel on which selects of other processes wait: who has the turn, what is kept, and how a claim is judged.

While any clause of a peer *stands* in a channel, a desk stands in front of the channel's core and everybody goes
through it. The channel knows of such a clause only a waiter that it passes over (CLAIMING); the rest is decided here,
by looking at what the channel holds before and after each step.

Rule 1: one turn for each element (or room, or partner), to the oldest that has none; a turn is no reservation.
Rule 2: whoever was passed over PASSES times has what its turn is about kept for it, for the rest of that turn. Until
then nobody has a turn whose claim would be denied for that: it would be told again at once, and so on without end.
Rule 3: a turn lapses after LAPSE seconds: its clause goes to the tail, with its count at 0, and is not told again
before its claim has come. So a dead clause holds anybody else up once.
Rule 4: a claim is judged by the state at its arrival: what can be matched is matched, turn or not.
Rule 5: if only selects could be the partner, the claim is held if one of them has a higher ticket, else it is denied,
and the lowest of them has the turn. Holding goes from low to high only, so no ring of holds exists.
Rule 6: a select is never its own partner, whichever of its clauses stand where.
Rule 7: a held claim is an ordinary waiter in its old place; it is let go when no partner is left that it was held for.

No method waits. What a step of the channel sets off is done behind that step, never in the middle of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from typing import Any, Final

from ..channel import Channel
from ..engine import CLOSED, OK, WOULD_BLOCK, ChannelCore, Sentinel
from ..semantics import CLAIMING, CONFLATED, SUSPEND, UNLIMITED, WAITING
from .hints import Hint, Registration

__all__ = ["PASSES", "Desk"]

PASSES: Final = 3
"""How often a clause that stands may be passed over before its turn keeps what it is about."""

_SHARES: Final = frozenset(
    {"fill", "hold_back", "end_lending", "take_ahead", "settle_ahead", "end_keeping", "replaced", "answered"}
)
"""What a link that has a share in the channel calls, and what may change what there is."""


class Desk:
    """Stands in front of the core of one channel, with its methods; see ``engine.ChannelCore``."""

    def __init__(self, channel: Channel[Any]) -> None:
        self.core: ChannelCore = channel._core
        self._channel = channel
        self._standing: dict[Registration, None] = {}
        self._hints: dict[Hint, None] = {}  # in the order in which they stand in their queues
        self._working = False
        self._due = False
        core = self.core
        self._bounded = core.overflow is SUSPEND and core.kind not in (CONFLATED, UNLIMITED)

    @classmethod
    def of(cls, channel: Channel[Any]) -> Desk:
        """The desk of a channel; put there if there was none."""
        core: Any = channel._core
        if isinstance(core, cls):
            return core
        desk = cls(channel)
        channel._use(desk)
        return desk

    def __getattr__(self, name: str) -> Any:
        if name == "core" or name.startswith("__"):
            raise AttributeError(name)
        method = getattr(self.core, name)
        return partial(self._reviewed, method) if name in _SHARES else method

    def _reviewed(self, fn: Callable[..., Any], *args: Any) -> Any:
        answer = self._brings(False, fn, *args)
        self.review()
        return answer

    def _brings(self, sending: bool, fn: Callable[..., Any], *args: Any) -> Any:
        """A step that may serve those who wait in one direction; clauses in front of them are passed over."""
        ahead, winner = self._ahead(sending)
        answer = self._without(self._keeper(sending), fn, *args)
        if winner is not None and winner.claim != WAITING:
            self._passed(ahead)
        return answer

    def __len__(self) -> int:
        return len(self.core)

    # -- the channel's own callers

    def send_now(self, value: Any, /) -> Sentinel:
        """As the core, but for room that is kept for somebody."""
        if not self.core.closed and self._keeper(True) is not None:
            return WOULD_BLOCK
        answer: Sentinel = self._brings(False, self.core.send_now, value)
        if answer is OK:
            self._passed(hint for hint in self._hints if hint.sending)
        self.review()
        return answer

    def recv_now(self) -> Any:
        """As the core, but for an element that is kept for somebody."""
        if self._keeper(False) is not None:
            return WOULD_BLOCK
        value = self._brings(True, self.core.recv_now)
        if value is not WOULD_BLOCK and value is not CLOSED:
            self._passed(hint for hint in self._hints if not hint.sending)
        self.review()
        return value

    def enqueue(self, w: Any, /) -> None:
        """Whoever waits may be what a clause stands for."""
        self._step(self.core.enqueue, w)
        self.review()

    def withdraw(self, w: Any, /) -> bool:
        """Whoever leaves may have been what a claim was held for."""
        was_there: bool = self._step(self.core.withdraw, w)
        self.review()
        return was_there

    def close(self, reason: object = None) -> None:
        """As the core; those who stand are told."""
        self._step(self.core.close, reason)
        self.review()

    def cancel(self, *args: Any) -> None:
        """As the core; those who stand are told."""
        self._step(self.core.cancel, *args)
        self.review()

    def settle(self, count: int = 1, put_back: Sequence[Any] = ()) -> None:
        """As the core; what comes back may be what a clause stands for."""
        self._brings(False, self.core.settle, count, put_back)
        self.review()

    # -- those who stand

    def add(self, registration: Registration) -> None:
        """A clause of a peer stands from now on."""
        self._standing[registration] = None
        for hint in registration.hints:
            self._hints[hint] = None
            self._step(self.core.want, hint.sending)
            self.core.enqueue(hint.op)
        self.review()

    def remove(self, registration: Registration) -> None:
        """A clause of a peer stands no more; the last one takes the desk with it."""
        self._standing.pop(registration, None)
        self._take_out(registration)
        self.review()
        if not self._standing and self._channel._core is self:
            self._channel._use(self.core)

    def _take_out(self, registration: Registration) -> None:
        for hint in registration.hints:
            if self._hints.pop(hint, hint) is None:
                self._step(self.core.withdraw, hint.op)
                self._end_turn(hint)

    def claim(self, hint: Hint, request_id: int, element: bytes | None) -> None:
        """A select claims what it was told of, or once was."""
        hint.lapsed = False
        hint.end_turn()
        kept, answer = hint.keeps, WOULD_BLOCK
        if self._keeper(hint.sending, hint) is None:
            answer = self._send(element, hint) if hint.sending else self._recv(hint)
        hint.keeps = False
        if answer is CLOSED:
            hint.closed(request_id)
        elif answer is not WOULD_BLOCK:
            hint.granted(request_id, answer)
        elif self._may_hold(hint):
            hint.hold(request_id, element)
        else:
            hint.deny(request_id)
        if kept:
            self._serve()
        self.review()

    def let_go(self, hint: Hint) -> None:
        """A held claim is wanted no more."""
        hint.release()
        self.review()

    def lapse(self, hint: Hint) -> None:
        """A turn was not used in time."""
        hint.lapsed = True
        hint.passes = 0
        self._end_turn(hint)
        if hint in self._hints:
            self._hints[hint] = self._hints.pop(hint)
            if self._step(self.core.withdraw, hint.op):
                self.core.enqueue(hint.op)
        self.review()

    def _end_turn(self, hint: Hint) -> None:
        hint.end_turn()
        if hint.keeps:
            hint.keeps = False
            self._serve()

    # -- behind each step

    def review(self) -> None:
        """Look at everything again: who is over, who is told, what is kept."""
        self._due = True
        while self._due and not self._working:
            self._due = False
            for registration in [one for one in self._standing if one.over]:
                self._take_out(registration)
            self._judge_held()
            if self.core.closed:
                self._tell_closed()
            self._give_turns()
            self._keep()

    def _judge_held(self) -> None:
        for sending in (False, True):
            held = [hint for hint in self._hints if hint.held is not None and hint.sending is sending]
            highest = max(self._selects_facing(sending), default=()) if held else ()
            for hint in held:
                if hint.held is not None and not highest > hint.ticket:
                    hint.deny(hint.held)
                    self._due = True

    def _tell_closed(self) -> None:
        drained = self.core.is_drained()
        for registration in tuple(self._standing):
            if not registration.over and (drained or not registration.receives):
                registration.tell_closed()
                self._due = True

    def _give_turns(self) -> None:
        for sending in (False, True):
            standing = [hint for hint in self._hints if hint.sending is sending]
            if not standing or self.core.is_shared(sending) or (sending and self.core.closed):
                continue
            if self._keeper(sending) is not None:
                continue
            there, own, facing = self._look_across(sending)
            # A select that waits the other way as well cannot meet itself there: its turn takes nothing from others.
            across = {*own, *facing}
            told = sum(hint.token > 0 and hint.ticket not in across for hint in standing)
            for hint in standing:
                if hint.may_be_told:
                    offers = there - own[hint.ticket]
                    if told >= offers:  # nothing that can be met now; another select is met if the lower one begins
                        offers += len(facing) - bisect_right(facing, hint.ticket)
                    if told < offers:
                        hint.tell()
                        told += hint.ticket not in across

    def _look_across(self, sending: bool) -> tuple[float, Counter[Any], list[Any]]:
        """What there is for one direction: how many could be met at once, how many of these each select is itself.

        And, in order, the tickets of the selects of peers that stand the other way.
        """
        met = [_ticket(w) for w in self._across(sending) if w.claim == WAITING]
        facing = [] if self.core.closed else sorted(self._selects_facing(sending, standing=True))
        return self.core.there(sending) + len(met), Counter(ticket for ticket in met if ticket is not None), facing

    def _plain(self, hint: Hint, enough: int) -> float:
        """How many could be matched at once: elements or room, and waiters that are not of the same select."""
        there = self.core.there(hint.sending)
        if self.core.is_shared(hint.sending) or (hint.sending and self.core.closed):
            return 0
        for w in self._across(hint.sending):
            if there >= enough:
                break
            there += w.claim == WAITING and _ticket(w) != hint.ticket
        return there

    def _across(self, sending: bool) -> Iterable[Any]:
        """Those who wait the other way and could be met now: not behind a link, nor behind a clause that keeps."""
        waiters = self.core.waiting(not sending) if self.core.may_meet(sending) else ()
        keeper = self._keeper(not sending)
        return waiters if keeper is None else takewhile(lambda w: w is not keeper.op, waiters)

    def _may_hold(self, hint: Hint) -> bool:
        return any(ticket > hint.ticket for ticket in self._selects_facing(hint.sending))

    def _selects_facing(self, sending: bool, standing: bool = False) -> Iterator[tuple[bytes, int]]:
        """Tickets of selects that wait the other way and cannot be won now; ``standing``: only those of peers."""
        for w in self.core.waiting(not sending):
            owner = _owner(w)
            ticket = getattr(owner, "ticket", None)
            if w.claim > CLAIMING or ticket is None:
                continue
            if isinstance(owner, Hint):
                if not owner.lapsed and not owner.paused:
                    yield ticket
            elif not standing:
                yield ticket

    # -- keeping

    def _keeper(self, sending: bool, but: Hint | None = None) -> Hint | None:
        for hint in self._hints:
            if hint.keeps and hint.sending is sending and hint is not but:
                return hint
        return None

    def _keep(self) -> None:
        for hint in tuple(self._hints):
            wanted = hint.token > 0 and hint.passes >= PASSES and self._plain(hint, 1) > 0
            wanted = wanted and (self._bounded or not hint.sending)
            if wanted and not hint.keeps and self._keeper(hint.sending) is None:
                hint.keeps = True
            elif hint.keeps and not wanted:
                hint.keeps = False
                self._serve()
                self._due = True

    def _passed(self, hints: Any) -> None:
        for hint in hints:
            hint.passes += hint.held is None

    def _ahead(self, sending: bool) -> tuple[list[Hint], Any]:
        """The hints that stand in front of the oldest waiter that can be won, and that waiter."""
        ahead: list[Hint] = []
        for w in self.core.waiting(sending):
            if w.claim == WAITING:
                return ahead, w
            owner = _owner(w)
            if isinstance(owner, Hint):
                ahead.append(owner)
        return [], None

    # -- steps of the core

    def _step(self, fn: Callable[..., Any], *args: Any) -> Any:
        """One step of the core; whoever is woken in it may come back here, and is looked at behind it."""
        was, self._working = self._working, True
        try:
            return fn(*args)
        finally:
            self._working = was

    def _send(self, value: Any, by: Hint | None = None) -> Any:
        return self._without(self._keeper(False, by), self.core.send_now, value)

    def _recv(self, by: Hint | None = None) -> Any:
        return self._without(self._keeper(True, by), self.core.recv_now)

    def _without(self, keeper: Hint | None, fn: Callable[..., Any], *args: Any) -> Any:
        """A step in which nobody behind ``keeper`` may take part."""
        if keeper is None:
            return self._step(fn, *args)
        waiters = list(self.core.waiting(keeper.sending))
        behind = waiters[waiters.index(keeper.op) + 1 :] if keeper.op in waiters else []
        for w in behind:
            self._step(self.core.withdraw, w)
        try:
            return self._step(fn, *args)
        finally:
            for w in behind:
                self._step(self.core.enqueue, w)

    def _serve(self) -> None:
        """Nothing is kept from those who wait any more: match whoever can be matched."""
        for sending in (False, True):
            for w in list(self.core.waiting(sending)):
                if w.claim == WAITING and self._keeper(sending) is None and not self._match(w):
                    break

    def _match(self, w: Any) -> bool:
        op, index = getattr(w, "op", w), getattr(w, "index", 0)
        op.begin_claim(index)
        answer = self._send(w.value) if w.sending else self._recv()
        if answer is WOULD_BLOCK or answer is CLOSED:
            op.end_claim()
            return False
        self._step(self.core.withdraw, w)
        op.win_claim()
        self._step(w.finish, None if w.sending else answer)
        return True


def _owner(w: Any) -> Any:
    """Whoever is told when a waiter is decided: a host, a hint, a select with remote clauses."""
    return getattr(w, "op", w).parker


def _ticket(w: Any) -> Any:
    """Which select a waiter belongs to, if it is one that can be claimed for."""
    return getattr(_owner(w), "ticket", None)
