# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Random programs of coroutines, and what they should do: a model of csrc/coroutine.c, twin of coroutines.c.

``python -m tests.native.coroutine_programs SEED`` shows the program of a seed with the trace of the model.
"""

from __future__ import annotations

import errno
import sys
from random import Random

from attrs import define, field

OPS = ("create", "resume", "yield", "yield_to", "park", "unpark", "destroy", "return", "result", "begin", "end")
CREATE, RESUME, YIELD, YIELD_TO, PARK, UNPARK, DESTROY, RETURN, RESULT, BEGIN, END = range(len(OPS))
# Which ops are likely; most programs should live long enough to become strange.
WEIGHTS = (12, 24, 12, 8, 8, 12, 6, 3, 4)
CREATED, READY, RUNNING, SUSPENDED, PARKED, FINISHED = range(6)
SLOTS = 5
THREAD = -1

Step = tuple[int, int]


def random_steps(seed: int, length: int = 80) -> list[Step]:
    """The program of a seed: what to do, and with which slot."""
    random = Random(seed)
    ops = random.choices(range(len(WEIGHTS)), WEIGHTS, k=length)
    return [(op, random.randrange(SLOTS)) for op in ops]


@define
class Coroutine:
    """What the model knows of one."""

    state: int = CREATED
    permit: bool = False
    resumer: int = THREAD
    op: int = BEGIN  # of the call that has not returned yet


@define
class Model:
    """Takes the steps of a program; ``trace`` has what every call returned, who ran then, and all states."""

    slots: list[Coroutine | None] = field(factory=lambda: [None] * SLOTS)
    current: int = THREAD
    trace: list[int] = field(factory=list)

    def run(self, steps: list[Step]) -> list[int]:
        """All steps; then whoever runs returns, until the thread is back, and it destroys what there is."""
        for op, slot in steps:
            self.step(op, slot)
        while self.current != THREAD:
            self.step(RETURN, 0)
        for slot in range(SLOTS):
            self.note(END, self.destroy(slot))
        return self.trace

    def note(self, op: int, rc: int) -> None:
        """A call of who runs now has returned."""
        states = [-errno.EINVAL if co is None else co.state for co in self.slots]
        self.trace += [self.current, op, rc, self.current, *states]

    def step(self, op: int, slot: int) -> None:
        """Whoever runs takes it."""
        if op == RETURN and self.current != THREAD:
            self.leave(FINISHED, RETURN)
        elif op in (RESUME, YIELD_TO, YIELD, PARK):
            self.move(op, slot)
        else:
            at_once = {CREATE: self.create, UNPARK: self.unpark, DESTROY: self.destroy}.get(op, self.result)
            self.note(op, at_once(slot))

    # -- what does not switch

    def create(self, slot: int) -> int:
        self.slots[slot] = self.slots[slot] or Coroutine()
        return 0

    def unpark(self, slot: int) -> int:
        co = self.slots[slot]
        if co is None:
            return -errno.EINVAL
        if co.state == PARKED:
            co.state = READY
            return 1
        co.permit = True
        return 0

    def destroy(self, slot: int) -> int:
        co = self.slots[slot]
        if co is None or co.state == RUNNING:
            return -errno.EINVAL
        self.slots[slot] = None
        return 0

    def result(self, slot: int) -> int:
        co = self.slots[slot]
        if co is None:
            return -errno.EINVAL
        return slot + 100 if co.state == FINISHED else -errno.EAGAIN

    # -- what does

    def move(self, op: int, slot: int) -> None:
        refused = self.refused(op, slot)
        if refused:
            self.note(op, refused)
        elif op == RESUME:
            self.enter(slot, self.current, op)
        elif op == YIELD_TO:
            me = self.slots[self.current]
            assert me is not None
            me.state = SUSPENDED
            self.enter(slot, me.resumer, op)
        elif op == PARK and self.took_permit():
            self.note(op, 0)
        else:
            self.leave(PARKED if op == PARK else SUSPENDED, op)

    def refused(self, op: int, slot: int) -> int:
        if op != RESUME and self.current == THREAD:
            return -errno.EINVAL
        if op in (YIELD, PARK):
            return 0
        co = self.slots[slot]
        if co is None or co.state in (RUNNING, FINISHED):
            return -errno.EINVAL
        return -errno.EAGAIN if co.state == PARKED else 0

    def took_permit(self) -> bool:
        me = self.slots[self.current]
        assert me is not None
        had, me.permit = me.permit, False
        return had

    def enter(self, slot: int, resumer: int, op: int) -> None:
        """Go to that coroutine."""
        co = self.slots[slot]
        assert co is not None
        co.state, co.resumer = RUNNING, resumer
        self.arrive(slot, op)

    def leave(self, state: int, op: int) -> None:
        """Go back to whoever resumed this one."""
        me = self.slots[self.current]
        assert me is not None
        me.state = state
        self.arrive(me.resumer, op)

    def arrive(self, party: int, op: int) -> None:
        """The call ``op`` of who runs now returns later; that of ``party`` returns here. The thread only resumes."""
        me = self.slots[self.current] if self.current != THREAD else None
        if me is not None:
            me.op = op
        self.current = party
        co = self.slots[party] if party != THREAD else None
        self.note(RESUME if co is None else co.op, 0)


def main() -> None:
    """Show one program."""
    steps = random_steps(int(sys.argv[1]))
    for op, slot in steps:
        sys.stdout.write(f"{OPS[op]} {slot}\n")
    trace = Model().run(steps)
    width = 4 + SLOTS
    for at in range(0, len(trace), width):
        party, op, rc, current, *states = trace[at : at + width]
        sys.stdout.write(f"{party:2} {OPS[op]:8} -> {rc:4}   runs {current:2}, states {states}\n")


if __name__ == "__main__":
    main()
