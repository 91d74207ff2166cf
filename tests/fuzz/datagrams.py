# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Datagrams as bytes decide, on their way into a receiver: numbers that leap, double and wrap, and bytes that lie.

Whatever comes is refused by name and changes nothing, or judged as the plain model judges it; the window stays small.
"""

from __future__ import annotations

from kcoro_core.errors import ProtocolError
from kcoro_core.semantics import Kind
from kcoro_core.transport import RawFrame
from kcoro_core.wire.commands import Command
from kcoro_core.wire.datagram import DELIVERED, WINDOW, Arrival, DatagramReceiver
from kcoro_core.wire.frame import HEADER_SIZE, Frame, frame_from_raw
from kcoro_core.wire.messages import encode_skipped

from ..wire.datagram_model import Model
from .choices import Choices
from .lies import LIES, TRUTH

CHANNEL = 7
LIMIT = 300
ROUND, HALF = 1 << 32, 1 << 31
KINDS = (Kind.BUFFERED, Kind.UNLIMITED, Kind.CONFLATED)
FIRSTS = (0, 1000, ROUND - 1, ROUND - 10, ROUND - 3000)
LEAPS = (1, 2, 0, -1, -2, -WINDOW + 1, -WINDOW, WINDOW - 1, WINDOW, 3 * WINDOW, HALF - 1, HALF, -HALF + 1)
NONE_SKIPPED = encode_skipped(0)


def fuzz_datagrams(data: bytes) -> None:
    """The first two bytes are kind and first number; then, for each datagram, how far it leaps and what is untrue."""
    choices = Choices(data)
    kind, first = choices.one_of(KINDS), choices.one_of(FIRSTS)
    model, receiver = Model(kind, first), DatagramReceiver(CHANNEL, kind, first)
    while choices:
        try:
            frame = arrived(datagram(choices, model.newest))
        except ProtocolError:
            continue
        judged(frame, model, receiver)
        assert receiver._settled.bit_length() <= WINDOW, "the window grows"
    counts = receiver.counts()
    assert (counts.delivered, counts.missing) == (len(model.delivered), model.missing)
    assert counts.newest == (model.newest % ROUND if model.came else None)


def datagram(choices: Choices, newest: int) -> bytes:
    """The bytes of one datagram, mostly true ones."""
    leap = choices.below(64)
    number = newest + (LEAPS[leap] if leap < len(LEAPS) else leap - 32)
    frame = Frame(Command.DATA, 0, CHANNEL, 0, number % ROUND, (NONE_SKIPPED, choices.some(3)))
    choice = choices.below(256)
    lie = LIES.get((choice - TRUTH) % 16) if choice >= TRUTH else None
    pieces = [frame] if lie is None else lie(choices, frame)
    return b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece in pieces)


def arrived(data: bytes) -> Frame:
    """What a transport makes of it; ProtocolError for what is no frame."""
    if len(data) < HEADER_SIZE:
        raise ProtocolError("shorter than a header")
    return frame_from_raw(RawFrame(data[:HEADER_SIZE], data[HEADER_SIZE:]), LIMIT)


def judged(frame: Frame, model: Model, receiver: DatagramReceiver) -> None:
    """The receiver and the model agree about this frame; what is refused has changed nothing."""
    payload, counts = bytes(frame.payload), receiver.counts()
    acceptable = (frame.command, frame.channel_id) == (Command.DATA, CHANNEL) and len(payload) >= len(NONE_SKIPPED)
    try:
        arrival = receiver.receive(frame)
    except ProtocolError:
        assert not acceptable, "DATA of this channel is refused"
        assert receiver.counts() == counts, "what is refused is counted"
        return
    assert acceptable, "what is no DATA of this channel is accepted"
    before = model.missing
    verdict = model.receive(model.newest + ahead(frame.seq, model.newest))
    element = payload[len(NONE_SKIPPED) :] if verdict in DELIVERED else None
    assert arrival == Arrival(verdict, element, max(0, model.missing - before), model.missing)


def ahead(seq: int, newest: int) -> int:
    """How far a number on the wire lies in front of the newest one, or behind it."""
    steps = (seq - newest) % ROUND
    return steps if steps < HALF else steps - ROUND
