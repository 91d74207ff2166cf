# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Where every value of a program has ended up: each is exactly one of received, undelivered, kept or left.

``received`` by a task, reported as ``undelivered``, ``kept`` by its sender because the operation raised or another
clause won, or ``left`` in a channel at the end.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ...channel import Channel
from ...errors import ChannelClosed, WouldBlock
from ...select import Selected
from ...semantics import Undelivered
from .programs import Move

__all__ = ["Books", "check_snapshot"]


class Books:
    """The account of one run; values are the numbers from 1, each offered once."""

    def __init__(self) -> None:
        self._offered = 0
        self._ends: dict[str, list[int]] = {"received": [], "undelivered": [], "kept": [], "left": []}

    def offer(self, move: Move) -> tuple[int, ...]:
        """A new value for each clause of a move that sends."""
        first = self._offered + 1
        self._offered += sum(choice.what == "send" for choice in move.choices)
        return tuple(range(first, self._offered + 1))

    def keep(self, values: tuple[int, ...]) -> None:
        """An operation raised: its values are still the sender's."""
        self._ends["kept"].extend(values)

    def succeed(self, move: Move, values: tuple[int, ...], result: Any) -> None:
        """An operation has succeeded: one clause took effect, the values of the others are still the sender's."""
        index, error = 0, None
        if isinstance(result, Selected):
            index, error, result = result.index, result.error, result.value
        won = move.choices[index]
        sent = None
        if error is None and won.what == "recv":
            self._ends["received"].append(result)
        elif error is None and won.what == "send":
            sent = values[sum(choice.what == "send" for choice in move.choices[:index])]
        self.keep(tuple(value for value in values if value != sent))

    def undelivered(self, value: int, why: Undelivered, channel: Channel[int] | None) -> None:
        """The hook of every channel."""
        self._ends["undelivered"].append(value)

    def settle(self, channels: list[Channel[int]]) -> list[str]:
        """Everybody has ended and every channel is closed: empty them, and say what does not add up."""
        found: list[str] = []
        for number, channel in enumerate(channels):
            self._drain(number, channel, found)
            check_snapshot(number, channel, found)
        where = Counter(value for values in self._ends.values() for value in values)
        for value in range(1, self._offered + 1):
            if where[value] != 1:
                ends = [end for end, values in self._ends.items() for v in values if v == value]
                found.append(f"value {value} is {' and '.join(ends) if ends else 'lost'}")
        if strangers := [value for value in where if value not in range(1, self._offered + 1)]:
            found.append(f"values that nobody has offered: {strangers}")
        return found

    def _drain(self, number: int, channel: Channel[int], found: list[str]) -> None:
        try:
            while True:
                self._ends["left"].append(channel.try_recv())
        except ChannelClosed:
            return
        except WouldBlock as error:
            found.append(f"ch{number}: closed, and still {error}")


def check_snapshot(number: int, channel: Channel[Any], found: list[str]) -> None:
    """Say what does not add up in the counters of a channel that nobody uses any more."""
    books = channel.snapshot()
    if books.waiting_senders or books.waiting_receivers:
        found.append(
            f"ch{number}: {books.waiting_senders} senders and {books.waiting_receivers} receivers were left behind"
        )
    if books.sent != books.received + books.dropped + books.length:
        found.append(f"ch{number}: the counters do not add up: {books}")
