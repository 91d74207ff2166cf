# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a liar does to the frames of a correct peer, and frames that no correct peer sends.

Every lie is a function in a table with a number of its own, so that kept inputs mean the same when lies are added. A
frame gets the seq that its reader expects, unless the seq is what the lie is about: else every lie would end at that
check, and nothing behind it would be reached.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import evolve

from kcoro_core.wire.commands import ALLOWED_FLAGS, BUILT, CALL_FLAGS, is_call
from kcoro_core.wire.frame import Frame

from .choices import Choices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TRUTH = 192
"""A choice below this lets a frame pass as it is."""

Lie = Callable[[Choices, Frame], "list[Frame | bytes]"]


def drop(_choices: Choices, _frame: Frame) -> list[Frame | bytes]:
    """It never comes."""
    return []


def double(_choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """It comes twice."""
    return [frame, frame]


def other_command(choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """It means something else."""
    return [evolve(frame, command=choices.below(40))]


def other_flags(choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """One flag more or less."""
    return [evolve(frame, flags=frame.flags ^ (1 << choices.below(8)))]


def other_channel(choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """It is about another channel."""
    return [evolve(frame, channel_id=choices.below(8))]


def other_request(choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """It is about another request."""
    return [evolve(frame, request_id=choices.below(16))]


def other_seq(choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """It comes too early, or again."""
    return [evolve(frame, seq=choices.below(256)).encode()]


def cut_short(choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """Its payload is shorter; the length agrees."""
    return [evolve(frame, parts=(frame.payload[: choices.below(max(1, frame.length))],))]


def made_longer(choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """Its payload is longer; the length agrees."""
    return [evolve(frame, parts=(frame.payload, choices.some(16)))]


def other_byte(choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """One byte of its payload is another one."""
    payload = bytearray(bytes(frame.payload) or b"\0")
    payload[choices.below(len(payload))] ^= choices.below(256)
    return [evolve(frame, parts=(bytes(payload),))]


def lying_length(choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """The length says something else than what follows: what comes after it is read at the wrong place."""
    header = bytearray(frame.header)
    header[choices.below(4)] ^= choices.below(256)
    return [bytes(header) + bytes(frame.payload)]


def torn(choices: Choices, frame: Frame) -> list[Frame | bytes]:
    """A part of it is missing, and the length does not know."""
    whole = frame.encode()
    return [whole[: choices.below(len(whole))]]


LIES: Mapping[int, Lie] = {
    0: drop,
    1: double,
    2: other_command,
    3: other_flags,
    4: other_channel,
    5: other_request,
    6: other_seq,
    7: cut_short,
    8: made_longer,
    9: other_byte,
    10: lying_length,
    11: torn,
}
"""What can happen to a frame, by number; the numbers between are free."""


def forged(choices: Choices, bodies: Sequence[bytes]) -> Frame:
    """A frame that nobody asked for, with a command that is known or not, and a payload that once stood on one."""
    command = choices.below(256)
    allowed = CALL_FLAGS if is_call(command) else ALLOWED_FLAGS.get(command, 0)
    flags = choices.below(256) if choices.sometimes(8) else allowed & choices.below(256)
    if command not in BUILT and choices.sometimes(2):
        command |= choices.below(256) << 8
    channel_id, request_id = choices.below(8), choices.below(24)
    body = choices.some(40) if choices.sometimes(3) else choices.one_of(bodies)
    return Frame(command, flags, channel_id, request_id, 0, (body,))


class Mangler:
    """Frames of one direction on their way to a reader, as bytes; ``lies`` counts those that were told."""

    def __init__(self, choices: Choices) -> None:
        self.lies = 0
        self._choices = choices
        self._seq: dict[int, int] = {}
        self._held: Frame | None = None

    def passed(self, frames: Sequence[Frame]) -> bytes:
        """What reaches the other end of these frames."""
        return b"".join(self._pass(frame) for frame in frames)

    def plain(self, frames: Sequence[Frame]) -> bytes:
        """The same without a lie."""
        return b"".join(self._numbered(frame) for frame in frames)

    def forge(self, frame: Frame) -> bytes:
        """A frame of the liar's own making."""
        self.lies += 1
        return self._numbered(frame)

    def _pass(self, frame: Frame) -> bytes:
        choice = self._choices.below(256)
        if choice < TRUTH:
            return self._numbered(frame) + self._late()
        self.lies += 1
        lie = LIES.get((choice - TRUTH) % 16)
        if lie is None:  # it is late: the next frame goes first
            late, self._held = self._late(), frame
            return late
        return b"".join(self._numbered(one) for one in lie(self._choices, frame)) + self._late()

    def _late(self) -> bytes:
        held, self._held = self._held, None
        return b"" if held is None else self._numbered(held)

    def _numbered(self, frame: Frame | bytes) -> bytes:
        if isinstance(frame, bytes):
            return frame
        seq = self._seq.get(frame.channel_id, 0)
        self._seq[frame.channel_id] = seq + 1
        return evolve(frame, seq=seq).encode()
