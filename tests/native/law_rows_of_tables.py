# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Rows whose cases are tables of the laws: outcomes, what beats what, who survives, who fails, and who meets."""

from __future__ import annotations

from typing import Any

from kcoro_core.errors import ChannelClosed, DeadlineExceeded, OperationCancelled, WouldBlock
from kcoro_core.semantics import (
    BUFFERED,
    CONFLATED,
    DROP_LATEST,
    DROPS,
    RENDEZVOUS,
    WAITS,
    Direction,
    Situation,
    WaitForm,
    outcome,
)
from kcoro_core.testing.laws.shapes import FULL_WAITS, Shape, shape

from .law_rows import Told, filled, row
from .law_stories import Story

FORMS = {WaitForm.TRY: "try", WaitForm.TIMED: "late", WaitForm.FOREVER: ""}
WORDS: dict[Any, str] = {WouldBlock: "would block", DeadlineExceeded: "late", ChannelClosed: "closed"}
WORDS[OperationCancelled] = "cancelled"


def situated(case: Any, made: Shape) -> tuple[list[str], int, str]:
    """How a channel comes into a situation; what is received there; and what becomes of the partner who waits."""
    sending = case.operation is Direction.SEND
    match case.situation:
        case Situation.PARTNER if sending:
            return ["partner: recv a"], 0, ", partner got 1"
        case Situation.PARTNER:
            return [*filled(made).lines, "partner: send a 9"], 101 if made.limit else 9, ", partner done"
        case Situation.READY if not sending:
            return ["send a 7"], 7, ""
        case Situation.FULL_OR_EMPTY if sending:
            return filled(made).lines, 0, ""
        case Situation.CLOSED_WITH_DATA:
            return ["send a 7", "close a"], 7, ""
        case Situation.CLOSED_DRAINED:
            return ["close a"], 0, ""
    return [], 0, ""


@row("E1.outcome-table")
def answered(case: Any) -> Told:
    made, sending = shape(case.kind, case.overflow), case.operation is Direction.SEND
    lines, there, partner = situated(case, made)
    brought = ""
    if case.answer in ("done", DROPS):
        brought = ("call done" if sending else f"call got {there}") + partner
    elif case.answer != WAITS:
        brought = f"call {WORDS[case.answer]}"
    if case.answer == DROPS:
        why = "conflated" if made.kind is CONFLATED else "overflow"
        brought += f", lost a {1 if made.overflow is DROP_LATEST else 101} {why}; a.dropped=1"
    lines.append(f"call: {case.operation.value} a{' 1' * sending} {FORMS[case.form]} -> {brought}")
    return (made,), "\n".join(lines)


@row("CH8.at-the-instant-of-a-call")
def at_once(case: Any) -> Told:
    sending = case.direction is Direction.SEND
    lines = ["send a 1"] if case.ready is not sending else []
    lines += ["drain: recv a try -> *"] if case.closed and not sending else []
    lines += ["close a"] if case.closed else []
    lines += ["trigger t0"] if case.cancelled else []
    decided = outcome(cancelled=case.cancelled, closed=case.closed, ready=case.ready, expired=case.expired)
    answer = ("done" if sending else "got 1") if case.ready else "late"
    if decided is not None:
        answer = WORDS[WouldBlock if decided is DeadlineExceeded else decided]
    form = f"{' 2' * sending} by t1 {'try' if case.expired else 'late'}"
    lines.append(f"call: {case.direction.value} a{form} -> call {answer}")
    return (shape(BUFFERED, capacity=1),), "\n".join(lines)


@row("CH5.exact-survivors", "CH5.try-send-follows-the-policy")
def survived(case: Any) -> Told:
    story, letters = Story(case.made), "_abcde"
    for value in range(1, 6):
        story.try_send(value)
    assert "".join(letters[value] for value in story.model.lost) == case.lost
    assert "".join(letters[value] for value in story.model.elements) == case.left
    assert story.model.failed_would_block == len(case.refused)
    story.close()
    for _ in range(len(case.left) + 1):
        story.recv()
    return story


@row("M3.each-failure-counts-one")
def failed(case: Any) -> Told:
    sending = case.direction is Direction.SEND
    story = filled(case.made) if sending and case.made in FULL_WAITS.values() else Story(case.made)
    if case.how == "cancelled":
        story.cancelled_call("send 1" if sending else "recv")
    elif case.how == "deadline":
        story.late_send(1) if sending else story.late_recv()
    else:
        if case.how == "closed":
            story.close()
        story.try_send(1) if sending else story.try_recv()
    return story


@row("CH1.overlapping-waits-meet")
def met(case: Any) -> Told:
    far = {WaitForm.TRY: "try", WaitForm.TIMED: "far", WaitForm.FOREVER: ""}
    by = " by t0" * case.cancellable
    calls = {Direction.SEND: (f"s: send a 1{by}", "s done"), Direction.RECV: (f"r: recv a{by}", "r got 1")}
    (first, done), (second, too) = calls.pop(case.first), *calls.values()
    a, b = case.forms
    if a is not WaitForm.TRY:
        return (shape(RENDEZVOUS),), f"{first} {far[a]}\n{second} {FORMS[b]} -> {done}, {too}"
    lonely = {WaitForm.TRY: f"{second[0]} would block", WaitForm.TIMED: f"{second[0]} late", WaitForm.FOREVER: ""}
    return (shape(RENDEZVOUS),), f"{first} try -> {first[0]} would block\n{second} {FORMS[b]} -> {lonely[b]}"
