# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Elements over a medium that loses, doubles and mixes up frames: numbered by the sender, judged by the receiver.

Only kinds for which a lost element is an outcome can go this way: what asks, waits or meets needs an answer. One sender
and one receiver for each channel id; no credit, so that whoever sends too fast loses.

Rule 1: each number is delivered at most once; what cannot be told from a double is dropped.
Rule 2: ``missing`` is exact at every instant: the numbers up to the newest that have not been delivered, and were not.
Rule 3: BUFFERED and UNLIMITED deliver in order of arrival, and what comes late is missing no more. CONFLATED delivers
what is newer than all before, and what comes late is stale: it stays missing.
Rule 4: numbers are told apart within WINDOW of the newest, whatever the sender does; memory is bounded by that.

Normative twin: docs/spec/wire.md.
"""

from __future__ import annotations

import enum
from typing import Final

from attrs import define, field, frozen

from ..errors import NotSupported, ProtocolError
from ..semantics import Kind
from .commands import Command
from .frame import Frame
from .messages import encode_skipped
from .order import is_newer, next_serial

__all__ = ["WINDOW", "Arrival", "DatagramCounts", "DatagramReceiver", "DatagramSender", "Verdict", "check_kind"]

WINDOW: Final = 1024
"""How many numbers, up to and with the newest, are told apart one by one."""

_MASK: Final = 0xFFFF_FFFF
_ALL: Final = (1 << WINDOW) - 1
_NONE_SKIPPED: Final = encode_skipped(0)  # how DATA begins


class Verdict(enum.Enum):
    """What a receiver makes of one frame."""

    NEW = "new"
    """It is newer than all before; the numbers in between are missing. Delivered."""
    LATE = "late"
    """It was missing, and comes behind newer ones. Delivered, and missing no more; never on a CONFLATED channel."""
    STALE = "stale"
    """It was missing, and newer values have been delivered. Dropped; only on a CONFLATED channel."""
    DOUBLE = "double"
    """Its number has come before. Dropped without being counted as anything else."""
    ANCIENT = "ancient"
    """It lies behind the window, so that nobody can say whether it has come before. Dropped; if missing it stays so."""


DELIVERED: Final = frozenset({Verdict.NEW, Verdict.LATE})


@frozen
class Arrival:
    """One judged frame: ``element`` is None unless it is delivered; ``missing`` as it stands now.

    ``gap`` is how many numbers this frame has jumped over: to be reported to the receiver before the element.
    """

    verdict: Verdict
    element: bytes | None
    gap: int
    missing: int


@frozen
class DatagramCounts:
    """Counters of a receiver; ``newest`` is the last number in order, None before the first frame.

    ``delivered + missing`` is how many numbers there are up to the newest.
    """

    newest: int | None
    delivered: int
    missing: int
    doubles: int
    stale: int
    ancient: int


def check_kind(kind: Kind) -> None:
    """Refuse a kind that cannot lose an element without breaking its promise.

    :raises NotSupported: RENDEZVOUS: a send there completes only together with its receive.
    """
    if kind is Kind.RENDEZVOUS:
        raise NotSupported(
            "a RENDEZVOUS channel cannot be carried by datagrams: its sends wait for an answer; "
            "use CONFLATED or BUFFERED there, or a stream"
        )


@define
class DatagramSender:
    """Numbers what is sent on one channel; ``first`` is the number of the first frame, 0 on a new channel."""

    channel_id: int
    first: int = 0
    _next: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._next = self.first

    @property
    def next(self) -> int:
        """The number of the next element."""
        return self._next

    def spend(self) -> int:
        """The number of the next element, which is spent now."""
        seq, self._next = self._next, next_serial(self._next)
        return seq

    def frame(self, element: bytes) -> Frame:
        """The next frame; its number is spent whether it arrives or not."""
        return Frame(Command.DATA, 0, self.channel_id, 0, self.spend(), (_NONE_SKIPPED, element))


@define
class DatagramReceiver:
    """Judges what arrives on one channel of that kind; ``first`` as the sender's.

    :raises NotSupported: as ``check_kind``.
    """

    channel_id: int
    kind: Kind
    first: int = 0
    _newest: int = field(init=False)
    # Bit i: the number i before the newest is settled, delivered or not; what was before the first has never been.
    _settled: int = _ALL
    _began: bool = False
    _delivered: int = 0
    _missing: int = 0
    _verdicts: dict[Verdict, int] = field(factory=lambda: dict.fromkeys(Verdict, 0))

    def __attrs_post_init__(self) -> None:
        check_kind(self.kind)
        self._newest = (self.first - 1) & _MASK

    def counts(self) -> DatagramCounts:
        """The counters now."""
        of = self._verdicts
        newest = self._newest if self._began else None
        return DatagramCounts(
            newest, self._delivered, self._missing, of[Verdict.DOUBLE], of[Verdict.STALE], of[Verdict.ANCIENT]
        )

    def receive(self, frame: Frame) -> Arrival:
        """Judge one frame, whose header was checked.

        :raises ProtocolError: it is no DATA of this channel; nothing was counted.
        """
        payload = frame.payload
        if frame.command != Command.DATA or frame.channel_id != self.channel_id or len(payload) < len(_NONE_SKIPPED):
            raise ProtocolError(f"only DATA of channel {self.channel_id} can come by datagram, not {frame}")
        return self.take(frame.seq, payload[len(_NONE_SKIPPED) :])

    def take(self, number: int, element: bytes) -> Arrival:
        """Judge one element by its number, whichever way it came."""
        before = self._missing
        verdict = self._judge(number)
        self._verdicts[verdict] += 1
        gap = max(0, self._missing - before)
        if verdict not in DELIVERED:
            return Arrival(verdict, None, gap, self._missing)
        self._delivered += 1
        return Arrival(verdict, element, gap, self._missing)

    def end(self, number: int) -> int:
        """The next number would have been this one: how many behind the newest are missing, which now are counted.

        :raises ProtocolError: a newer one has come; nothing was counted.
        """
        steps = (number - 1 - self._newest) & _MASK
        if steps >= 1 << 31:
            raise ProtocolError(f"{number} elements were sent on channel {self.channel_id}, and a later one has come")
        if steps:
            self._missing += steps
            self._settled = (self._settled << min(steps, WINDOW)) & _ALL
            self._newest = (number - 1) & _MASK
        return steps

    def _judge(self, seq: int) -> Verdict:
        if is_newer(seq, self._newest):
            self._advance((seq - self._newest) & _MASK)
            self._newest = seq
            self._began = True
            return Verdict.NEW
        age = (self._newest - seq) & _MASK
        if age >= WINDOW:
            return Verdict.ANCIENT
        if self._settled >> age & 1:
            return Verdict.DOUBLE
        self._settled |= 1 << age
        if self.kind is Kind.CONFLATED:
            return Verdict.STALE
        self._missing -= 1
        return Verdict.LATE

    def _advance(self, steps: int) -> None:
        """The newest number is ``steps`` further on; all that were jumped over are missing."""
        self._missing += steps - 1
        # A jump beyond the window must not cost memory in its length.
        self._settled = (self._settled << min(steps, WINDOW) | 1) & _ALL
