# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The outcome table, row by row: what each operation answers in each situation (row E1)."""

from __future__ import annotations

from typing import Any, Final

from ...semantics import DROPS, Direction, Row, Situation, WaitForm, outcome_rows
from .harness import Call, Harness, Tasks
from .registry import Group, law
from .shapes import Shape, shape

PATIENCE: Final = 20


def _label(row: Row) -> str:
    made = str(shape(row.kind, row.overflow))
    return f"{made}-{row.operation.value}-{row.form.name}-{row.situation.name}"


ROWS: Final = {_label(row): row for row in outcome_rows()}


async def _fill(ch: Any, made: Shape) -> None:
    for i in range(int(made.limit)):
        await ch.send(f"filler {i}")


async def bring_about(h: Harness, tasks: Tasks, ch: Any, made: Shape, row: Row) -> Call | None:
    """Bring the channel into the situation of the row; gives the partner that waits, if there is one."""
    sending = row.operation is Direction.SEND
    match row.situation:
        case Situation.PARTNER if sending:
            partner = tasks.start(ch.recv)
            await h.waiting(ch, receivers=1)
            return partner
        case Situation.PARTNER:
            await _fill(ch, made)
            partner = tasks.start(ch.send, "v")
            await h.waiting(ch, senders=1)
            return partner
        case Situation.READY if not sending:
            await ch.send("v")
        case Situation.FULL_OR_EMPTY if sending:
            await _fill(ch, made)
        case Situation.CLOSED_WITH_DATA:
            await ch.send("v")
            h.home(ch).close()
        case Situation.CLOSED_DRAINED:
            h.home(ch).close()
    await h.settle()
    return None


@law("E1.outcome-table", Group.CHANNEL, over=ROWS)
async def the_outcome_table(h: Harness, row: Row) -> None:
    """Every operation answers in every situation and form what the table of outcomes says. Rows: E1, CH7, CH9."""
    made = shape(row.kind, row.overflow)
    dropped: list[object] = []
    ch = await h.channel(made, on_undelivered=lambda value, why, of: dropped.append(value))
    timeout = {WaitForm.TRY: 0, WaitForm.TIMED: PATIENCE * h.tick, WaitForm.FOREVER: None}[row.form]
    async with h.tasks() as tasks:
        partner = await bring_about(h, tasks, ch, made, row)
        began = h.now()
        sending = row.operation is Direction.SEND
        call = tasks.start(ch.send, "v", timeout=timeout) if sending else tasks.start(ch.recv, timeout=timeout)
        await h.settle()
        if row.form is WaitForm.TIMED:
            await h.ticks(2 * PATIENCE)
        wanted = "done" if row.answer == DROPS else row.answer
        assert call.outcome == wanted, call
        assert len(dropped) == (row.answer == DROPS)
        assert partner is None or partner.outcome == "done"
        if row.form is WaitForm.TIMED and h.virtual and call.outcome != "done":
            waited = 0 if row.situation in (Situation.CLOSED_DRAINED, Situation.CLOSED_WITH_DATA) else PATIENCE
            assert call.ended_at is not None
            assert abs(call.ended_at - began - waited * h.tick) < h.tick / 10
        tasks.cancel()
