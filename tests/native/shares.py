# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The ends of links in a program on the reference: the twin of harness_shares.c."""

from __future__ import annotations

import errno
import math
from typing import TYPE_CHECKING, Any

from attrs import define, field

from kcoro_core.engine import WOULD_BLOCK
from kcoro_core.reference.channel import Channel
from kcoro_core.semantics import Kind

from .programs import (
    ANSWERED,
    ASK_ABOUT_SHARE,
    END_KEEPING,
    END_LENDING,
    FILL,
    HAND_OUT,
    HOLD_BACK,
    KEEP,
    LEND,
    REPLACED,
    SETTLE,
    SETTLE_AHEAD,
    TAKE_AHEAD,
    TOLD,
    TRY_AND_ASK,
    WANT,
)

if TYPE_CHECKING:
    from .on_reference import World

BORROWER_RECALL, BORROWER_ASK, BORROWER_FREED, KEEPER_ARRIVED, KEEPER_RECALL, KEEPER_DRAINED = range(6)


@define(eq=False)
class BorrowingEnd:
    """The borrower of a channel."""

    share: Share

    def recall(self) -> None:
        """Noted."""
        self.share.note(BORROWER_RECALL)

    def ask(self) -> None:
        """Noted; answered by a later step."""
        self.share.questions += 1
        self.share.note(BORROWER_ASK)

    def freed(self) -> None:
        """Noted."""
        self.share.note(BORROWER_FREED)


@define(eq=False)
class KeepingEnd:
    """The keeper of a channel."""

    share: Share

    def arrived(self) -> None:
        """Noted; it may take all there is at once."""
        s = self.share
        s.note(KEEPER_ARRIVED)
        while s.takes_at_once and not s.recalled and s.take_ahead():
            pass

    def recall(self) -> None:
        """Noted; it may end at once."""
        self.share.note(KEEPER_RECALL)
        if self.share.ends_at_once and not self.share.recalled:
            self.share.end_keeping(True)

    def drained(self) -> None:
        """Noted."""
        self.share.note(KEEPER_DRAINED)


@define(eq=False)
class Share:
    """What links have of one channel."""

    world: World
    index: int
    ch: Channel
    lends: bool = False
    keeps: bool = False
    recalled: bool = False
    ends_at_once: bool = False
    takes_at_once: bool = False
    slots: int = 0
    questions: int = 0
    kept: list[int] = field(factory=list)
    travelling: list[int] = field(factory=list)

    def note(self, what: int) -> None:
        """An end was told something."""
        self.world.see(TOLD, self.index, what)

    def take_ahead(self) -> bool:
        """One element for the keeper, if there is one."""
        value = self.ch.take_ahead()
        self.world.see_value(value)
        if isinstance(value, int):
            self.kept.append(value)
        return isinstance(value, int)

    def settle(self, hand: list[int], fn: Any, count: int, back: int) -> None:
        """The oldest ``count`` leave a hand, and the last ``back`` of them go into the channel again."""
        leaving, hand[:] = hand[:count], hand[count:]
        fn(count, leaving[count - back :])
        self.world.see(0)

    def settle_some(self, hand: list[int], fn: Any, step: list[int]) -> None:
        """As many as the step says."""
        if hand:
            count = 1 + step[3] % len(hand)
            self.settle(hand, fn, count, step[4] % (count + 1))

    def end_keeping(self, gives_back: bool) -> None:
        """The keeper goes, and what it has comes back before that, or later."""
        self.recalled = True
        if gives_back and self.kept:
            self.settle(self.kept, self.ch.settle_ahead, len(self.kept), len(self.kept))
        self.keeps = False
        self.ch.end_keeping()
        self.world.see(0)

    # -- steps

    def lend(self, step: list[int]) -> None:
        """Begin to lend, or lend more."""
        if not self.lends:
            self.lends = self.ch.lend(BorrowingEnd(self))
            self.world.see(self.lends)
            self.questions = self.slots = 0
        count = 1 + step[3] % 3
        if not self.lends:
            self.world.see(0)
            return
        try:
            self.ch.lend_slots(count)
        except ValueError:
            self.world.see(-errno.EINVAL)
            return
        self.world.see(0)
        self.slots += count

    def fill(self, step: list[int]) -> None:
        """The borrower sends."""
        slot = self.slots != 0 and step[2] != 0
        if not self.lends:
            return
        self.slots -= slot
        value = self.world.next_value()
        answer = self.ch.fill(value, slot)
        self.world.see_code(answer)
        if answer is WOULD_BLOCK and step[4] % 2:
            self.world.stand(self.ch, True, value)

    def of_the_borrower(self, step: list[int]) -> None:
        """What else the borrower does."""
        if step[0] == REPLACED:
            self.ch.replaced(step[3] % 3)
        elif step[0] == HOLD_BACK and self.ch.kind is Kind.UNLIMITED:
            self.ch.hold_back(step[2] != 0)
        elif step[0] == ANSWERED and self.questions:
            self.questions -= 1
            self.ch.answered()
        elif step[0] == END_LENDING:
            self.lends = False
            self.questions = self.slots = 0
            self.ch.end_lending()
        else:
            return
        self.world.see(0)

    def keep(self, step: list[int]) -> None:
        """Begin to keep, in one of four manners."""
        if self.keeps or self.kept:
            return
        self.recalled = False
        self.ends_at_once = step[4] % 2 != 0
        self.takes_at_once = step[5] % 2 != 0
        self.keeps = self.ch.keep(KeepingEnd(self))
        self.world.see(self.keeps)

    def hand_out(self) -> None:
        """What is received travels on."""
        value = self.world.try_recv(self.ch)
        if isinstance(value, int):
            self.ch.hand_out()
            self.world.see(0)
            self.travelling.append(value)

    def try_and_ask(self, sending: bool) -> None:
        """A try, and if it may have to wait for a link, as a call that waits."""
        value = self.world.next_value() if sending else None
        if self.world.try_now(self.ch, sending, value) is not WOULD_BLOCK:
            return
        call = self.world.plain_call(self.ch, sending, value)
        if call is not None:
            call.left = not self.ch.ask(call.op)
            self.world.see(not call.left)

    def run_step(self, step: list[int]) -> None:
        """One step about shares."""
        if step[0] in (TAKE_AHEAD, END_KEEPING) and not self.keeps:
            return
        steps = {
            LEND: lambda: self.lend(step),
            FILL: lambda: self.fill(step),
            KEEP: lambda: self.keep(step),
            TAKE_AHEAD: self.take_ahead,
            SETTLE_AHEAD: lambda: self.settle_some(self.kept, self.ch.settle_ahead, step),
            END_KEEPING: lambda: self.end_keeping(step[2] != 0),
            HAND_OUT: self.hand_out,
            SETTLE: lambda: self.settle_some(self.travelling, self.ch.settle, step),
            TRY_AND_ASK: lambda: self.try_and_ask(step[2] != 0),
            ASK_ABOUT_SHARE: self.ask,
            WANT: lambda: self.world.see(self.ch.want(step[2] != 0) or 0),
        }
        if step[0] in steps:
            steps[step[0]]()
        elif self.lends:
            self.of_the_borrower(step)

    def ask(self) -> None:
        """What others can see."""
        lendable = self.ch.lendable()
        self.world.see(-1 if lendable == math.inf else lendable)
        for sending in (False, True):
            self.world.see(self.ch.is_shared(sending), self.ch.may_meet(sending))
