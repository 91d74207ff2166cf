# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What waits to be written: a control lane in front, then the frames of all channels in the order they were queued.

Rule 1: frames of one channel never overtake each other, so a CANCEL stays behind the request it names.
Rule 2: a frame that was not written can be withdrawn, at once and without a trace; a written one never.
Rule 3: the queue is bounded by those who fill it: requests in flight, one answer for each of the peer's requests, one
acknowledgement per received element, and at most one each of PING, PONG, HELLO, CONFIRM and BYE.

Frames of channels are served first come, first served; a fair queue takes this module's place, behind the same calls.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from attrs import define, field

from .commands import Command

__all__ = ["Entry", "Outbox"]


@define(eq=False)
class Entry:
    """One frame to be: all but its seq, which it gets when it is written; ``on_written`` is called once, then."""

    command: Command
    channel_id: int = 0
    request_id: int = 0
    parts: tuple[bytes, ...] = ()
    flags: int = 0
    on_written: Callable[[], None] | None = None
    serial: int = field(default=-1, init=False)


class Outbox:
    """The queue of one connection: frames that were not written yet."""

    def __init__(self) -> None:
        self._control: deque[Entry] = deque()
        # Ordered, with removal in constant time: a program that sends and cancels in a loop leaves nothing behind.
        self._frames: OrderedDict[int, Entry] = OrderedDict()
        self._serial = 0
        self._sealed = False

    def __len__(self) -> int:
        return len(self._control) + len(self._frames)

    def put(self, entry: Entry) -> Entry:
        """Queue a frame of a channel, behind all others; behind a seal it is dropped, unwritten."""
        if self._sealed:
            return entry
        entry.serial = self._serial
        self._serial += 1
        self._frames[entry.serial] = entry
        return entry

    def seal(self, entry: Entry) -> None:
        """Queue the last frame of this side: nothing is written behind a BYE."""
        self.put(entry)
        self._sealed = True

    def put_control(self, entry: Entry) -> Entry:
        """Queue a frame of the connection itself, in front of all channels; a PONG replaces one that waits."""
        if entry.command is Command.PONG:
            for waiting in self._control:
                if waiting.command is Command.PONG:
                    waiting.parts = entry.parts
                    return waiting
        self._control.append(entry)
        return entry

    def withdraw(self, entry: Entry) -> bool:
        """Take a frame of a channel out again; False when it was written (or withdrawn) before."""
        return self._frames.pop(entry.serial, None) is not None

    def head(self) -> Entry | None:
        """The frame to be written next; it stays in the queue."""
        if self._control:
            return self._control[0]
        return next(iter(self._frames.values()), None)

    def pop(self, entry: Entry) -> bool:
        """The head was written: take it out; False, without effect, when something else stands there now."""
        if self.head() is not entry:
            return False
        if self._control:
            self._control.popleft()
        else:
            self._frames.popitem(last=False)
        return True

    def clear(self) -> None:
        """Drop everything but the handshake (a farewell stands behind it), and break the seal."""
        self._sealed = False
        self._frames.clear()
        self._control = deque(entry for entry in self._control if entry.command in (Command.HELLO, Command.CONFIRM))
