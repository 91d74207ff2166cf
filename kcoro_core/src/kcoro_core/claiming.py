# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""A select of which some clauses are about channels at the other end of links: who asks whom, and when.

A remote clause *stands* at its home and is told when it has the turn there; a turn promises nothing, so the select then
claims, with the claim word of its operation in CLAIMING(i) until the home has answered:

    WAITING --a turn--> CLAIMING(i) --granted--> i
                                    --denied---> WAITING: local clauses first, then the turns that are remembered

Rule 1: one claim in flight. While it is, no local clause wins, and every turn, close, deadline or cancel is remembered.
Rule 2: a grant wins over whatever was remembered; else it would have no owner.
Rule 3: a deadline or a cancel asks the home to let the claim go, and takes effect with its answer.
Rule 4: whatever ended the select, every clause is withdrawn, and after that nothing of a link refers to it.

No method waits, and none knows a link: ends of links come in through the three protocols below.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from .errors import ChannelClosed, KcoroError, LinkLost, Outcome
from .reference.waiter import NOBODY
from .semantics import CLAIMING, SKIP, WAITING, ClosedRule

if TYPE_CHECKING:
    from .clauses import Clause
    from .hosts.port import Host
    from .reference.waiter import SelectOperation, Waiter

__all__ = ["Claim", "RemoteEnd", "RemoteSelect", "Standing"]

_serials: Final = itertools.count(1)


class Claim(Protocol):
    """One request of a select that is under way; it calls ``granted`` and so on, once."""

    def give_up(self) -> bool:
        """Ask the home to let it go. True: it had not been written, is gone, and nothing is called any more."""
        ...

    def forget(self) -> None:
        """Whatever the home still says of it is nobody's news."""
        ...


class Standing(Protocol):
    """A clause that stands at its home; it calls ``turn`` and ``ended`` of its select."""

    def claim(self, token: int) -> Claim:
        """Ask for what the turn was about. Raises KcoroError, without effect, when it cannot."""
        ...

    def withdraw(self) -> None:
        """The select is over; no call follows."""
        ...


class RemoteEnd(Protocol):
    """What a remote clause has in place of a channel of this process."""

    node: bytes
    grace: float
    given_up: bool
    """Whether the program has given the handle up; whoever stands there is told by the link."""

    def flush(self) -> None:
        """Write what was queued for the home."""
        ...

    def soon(self, select: RemoteSelect) -> None:
        """Call ``select.look()`` once everything that has come from the home by now was heard."""
        ...

    def stand(self, select: RemoteSelect, index: int, sending: bool, value: Any) -> Standing:
        """Have a clause stand at the home. Raises KcoroError, without effect, when it cannot."""
        ...

    def ask(self, select: RemoteSelect, index: int, sending: bool, value: Any) -> Claim:
        """Make an exact try at the home."""
        ...


def is_remote(clause: object) -> bool:
    """Whether a clause is about a channel at the other end of a link."""
    return getattr(clause, "is_remote", False)


class RemoteSelect:
    """One wait of a select; the operation's parker, and what the host parks in place of the operation itself."""

    def __init__(
        self,
        host: Host,
        op: SelectOperation,
        clauses: Sequence[Clause],
        arms: Sequence[Waiter],
        order: Sequence[int],
        rule: ClosedRule,
    ) -> None:
        self.in_doubt = False
        self.task: Any = None  # the host's
        self.parker: Any = None  # as above
        self._host = host
        self._op = op
        self._clauses = clauses
        self._arms = arms
        self._order = order
        self._rule = rule
        self._local: list[int] = []  # clauses that are registered with something of this process
        self._standing: dict[int, Standing] = {}
        self._turns: dict[int, int] = {}  # tokens of turns that were not used yet
        self._ended: dict[int, Exception] = {}  # clauses whose channel closed while a claim was under way
        self._claim: Claim | None = None
        self._cancelled = False  # while a claim was under way
        self._asked_to_let_go = False
        self._tries: list[int] | None = None  # clauses still to be asked, when this is a try
        self._ends: list[RemoteEnd] = [clause.end for clause in clauses if is_remote(clause)]  # type: ignore[attr-defined]
        self.ticket: tuple[bytes, int] = (self._ends[0].node, next(_serials))
        op.parker = self

    @property
    def error(self) -> BaseException | None:
        """What the wait ends with, if not with a value."""
        return self._op.error

    @property
    def value(self) -> Any:
        """What the winner gave."""
        return self._op.value

    def doubtful(self, error: KcoroError) -> KcoroError:
        """``error``, marked if an element went with a claim that was never answered."""
        if self.in_doubt:
            error.outcome = Outcome.IN_DOUBT
        return error

    @property
    def serial(self) -> int:
        """Orders the selects of this process; with the node it orders all."""
        return self.ticket[1]

    # -- as the host sees it

    @property
    def claim(self) -> int:
        """The claim word."""
        return self._op.claim

    def unpark(self, _op: object, /) -> None:
        """The operation was decided."""
        if self.parker is not None:
            self._host.unpark(self)  # type: ignore[arg-type]

    def give_up(self) -> bool:
        """The host cancelled the task: True ends the wait, False has it go on until the home has answered."""
        given_up = self._op.give_up()
        if given_up or self._op.claim > CLAIMING:
            return given_up
        self._cancelled = True
        if not self._let_go():
            return False
        self._op.parker = NOBODY  # the host wakes its task itself
        self._op.end_claim()
        return True

    def expire(self) -> bool:
        """The deadline passed."""
        return self._end_by_itself(self._op.expire())

    def revoke(self) -> bool:
        """A token was set."""
        self._cancelled = self._cancelled or self._op.claim <= CLAIMING
        return self._end_by_itself(self._op.revoke())

    def _end_by_itself(self, decided: bool) -> bool:
        if not decided and self._op.claim <= CLAIMING and self._let_go():
            self._op.end_claim()
        return decided

    def _let_go(self) -> bool:
        """Ask for the end of the claim, once. True: it had not been written, and is gone."""
        if self._asked_to_let_go or self._claim is None:
            return False
        self._asked_to_let_go = True
        if not self._claim.give_up():
            return False
        self._claim = None
        return True

    # -- beginning and end

    @property
    def undecided(self) -> bool:
        """Whether the wait has to go on."""
        return self._op.claim == WAITING or self._op.claim <= CLAIMING

    def begin(self) -> None:
        """Register every clause: those of this process first, since one of them may be ready at once."""
        for index, clause in enumerate(self._clauses):
            if not is_remote(clause) and self.undecided:
                self._local.append(index)
                clause.register(self._arms[index])
        for index in self._order:
            if is_remote(self._clauses[index]) and self.undecided:
                self._stand(index, self._clauses[index])
        self._flush()

    def _flush(self) -> None:
        """What this select has for each link is written together, and in the order of the mode."""
        for end in self._ends:
            end.flush()

    def _stand(self, index: int, clause: Any) -> None:
        try:
            self._standing[index] = clause.end.stand(self, index, clause.sending, clause.value)
        except KcoroError as error:
            self._fail(index, error)

    def ask_each(self) -> None:
        """Make a try: every remote clause is asked in the order of the mode, one after the other."""
        if self._tries is None:
            self._tries = [index for index in self._order if is_remote(self._clauses[index])]
        while self._op.claim == WAITING:
            if not self._tries:
                self._op.expire()
                return
            index = self._tries.pop(0)
            clause: Any = self._clauses[index]
            self._begin_claim(index, lambda i=index, c=clause: c.end.ask(self, i, c.sending, c.value))

    @property
    def grace(self) -> float:
        """How long the homes have for the answers to a try, in seconds."""
        return max(end.grace for end in self._ends)

    def withdraw(self) -> None:
        """The wait is over: take every clause back. May be repeated."""
        while self._local:
            index = self._local.pop()
            self._clauses[index].withdraw(self._arms[index])
        if self._claim is not None:
            self._claim.forget()
            self._claim = None
        if self._standing:
            for standing in self._standing.values():
                standing.withdraw()
            self._standing.clear()
            self._flush()

    # -- news of clauses

    def turn(self, index: int, token: int) -> None:
        """A clause has the turn at its home."""
        self._turns[index] = token
        self._clauses[index].end.soon(self)  # type: ignore[attr-defined]

    def look(self) -> None:
        """There are turns, or something of a remote clause is ready on this side."""
        if self._op.claim == WAITING:
            self._look_again()

    def ended(self, index: int, error: Exception) -> None:
        """The channel of a clause is closed, its link has ended, or its home does not want it."""
        self._turns.pop(index, None)
        if self._op.claim <= CLAIMING:
            self._ended[index] = error
        elif self._op.claim == WAITING:
            self._fail(index, error)

    def _fail(self, index: int, error: Exception) -> None:
        """A clause is over, and nothing of it is under way."""
        arm = self._arms[index]
        if isinstance(error, (ChannelClosed, LinkLost)):
            arm.shut(error)
        elif arm.win():
            arm.fail(error)

    def _look_again(self) -> None:
        """WAITING: what was passed over meanwhile, then the turns, each in the order of the mode."""
        for index in self._order:
            if index in self._ended:
                self._fail(index, self._ended.pop(index))
            else:
                self._poll(index)
            if self._op.claim != WAITING:
                return
        for index in self._order:
            token = self._turns.pop(index, None)
            if token is not None and self._begin_claim(index, lambda i=index, t=token: self._standing[i].claim(t)):
                return

    def _poll(self, index: int) -> None:
        clause: Any = self._clauses[index]
        arm = self._arms[index]
        if is_remote(clause) and clause.end.given_up:
            return
        again = getattr(clause, "poll_again", None)
        if again is None:
            clause.poll(arm)
        else:
            again(self._op, index, arm)

    # -- the claim

    def _begin_claim(self, index: int, ask: Any) -> bool:
        """Enter CLAIMING and ask; True when there is nothing more to do now."""
        self._op.begin_claim(index)
        self._asked_to_let_go = self._cancelled = False
        try:
            self._claim = ask()
        except KcoroError as error:
            self._op.end_claim()
            self._fail(index, error)
        return self._op.claim != WAITING

    def granted(self, value: Any = None) -> None:
        """The home did it: this clause has won, whatever was remembered."""
        self._claim = None
        self._op.win_claim()
        self._op.finish(value)

    def denied(self) -> None:
        """The home did not do it: what was remembered takes effect, else the wait goes on."""
        self._claim = None
        if not self._op.end_claim():
            return
        if self._tries is None:
            self._look_again()
            return
        for index in tuple(self._ended):
            self._fail(index, self._ended.pop(index))
        self.ask_each()

    def refused(self, error: Exception) -> None:
        """The clause cannot be had: its channel is closed, its link has ended, or it does not fit."""
        index = CLAIMING - self._op.claim
        if self._cancelled:
            self.denied()
        elif self._rule is SKIP and isinstance(error, (ChannelClosed, LinkLost)) and not self.in_doubt:
            self._ended[index] = error
            self.denied()
        else:
            self._claim = None
            self._op.win_claim()
            self._op.fail(error)

    def lost(self, error: KcoroError, in_doubt: bool) -> None:
        """The link ended before the answer came; ``in_doubt``: an element went with the claim."""
        self.in_doubt = in_doubt
        if in_doubt:
            error.outcome = Outcome.IN_DOUBT
        self.refused(error)

    def doubt(self, in_doubt: bool) -> None:
        """The home did not let the claim go in time: end as this side wanted to."""
        self.in_doubt = in_doubt
        self.denied()
