# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The moment at which nothing can run any more: nobody may wait whose time has come, or whose partner waits too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...channel import Channel
from ...semantics import SKIP, limit_of
from .programs import Choice, Move

__all__ = ["all_closed", "complaints"]


def complaints(waiting: Mapping[int, Move], channels: list[Channel[int]], token_is_set: bool) -> Iterator[str]:
    """What is wrong with the waits of a quiet program; ``waiting`` has the move that each task waits in."""
    wants: dict[tuple[str, int], set[int]] = {}
    for number, move in waiting.items():
        for choice in move.choices:
            wants.setdefault((choice.what, choice.channel), set()).add(number)
        for why in _overdue(move, channels, token_is_set):
            yield f"task {number} still waits in `{move}`: {why}"
    yield from _left_behind(waiting, channels)
    for i, channel in enumerate(channels):
        senders, receivers = wants.get(("send", i), set()), wants.get(("recv", i), set())
        # On a closed channel only clauses that SKIP has given up are left. A select never matches itself.
        if senders and receivers and len(senders | receivers) > 1 and not channel.closed:
            yield f"ch{i}: senders {sorted(senders)} and receivers {sorted(receivers)} did not meet"


def _left_behind(waiting: Mapping[int, Move], channels: list[Channel[int]]) -> Iterator[str]:
    """An open channel has exactly the waiters that wait: one for each clause of each task."""
    clauses = [choice for move in waiting.values() for choice in move.choices]
    for i, channel in enumerate(channels):
        books = channel.snapshot()
        for what, queued in (("send", books.waiting_senders), ("recv", books.waiting_receivers)):
            expected = sum((choice.what, choice.channel) == (what, i) for choice in clauses)
            if queued != expected and not channel.closed:
                yield f"ch{i}: {queued} waiters are queued to {what}, and {expected} wait"


def _overdue(move: Move, channels: list[Channel[int]], token_is_set: bool) -> Iterator[str]:
    if move.timeout is not None or any(choice.what == "after" for choice in move.choices):
        yield "its time is over"
    if token_is_set and (move.token or any(choice.what == "token" for choice in move.choices)):
        yield "the token is set"
    if move.what == "select" and move.closed is SKIP and all_closed(move, channels):
        yield "all of its channels are closed"
    for choice in move.choices:
        if choice.what in ("send", "recv"):
            yield from _could_go_on(move, choice, channels[choice.channel])


def all_closed(move: Move, channels: list[Channel[int]]) -> bool:
    """Whether every clause of a move is about a channel that is closed."""
    return all(choice.what in ("send", "recv") and channels[choice.channel].closed for choice in move.choices)


def _could_go_on(move: Move, choice: Choice, channel: Channel[int]) -> Iterator[str]:
    if channel.closed:
        if move.what != "select" or move.closed is not SKIP:
            yield f"ch{choice.channel} is closed"
    elif choice.what == "recv" and len(channel) > 0:
        yield f"ch{choice.channel} has elements"
    elif choice.what == "send" and len(channel) < limit_of(channel.kind, channel.capacity):
        yield f"ch{choice.channel} has room"
