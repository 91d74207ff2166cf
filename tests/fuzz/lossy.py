# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Values that may be lost as bytes decide, on their way into a connection: datagrams that lie, frames between them.

Whatever a datagram holds, the connection goes on; what can be used is judged as the plain model judges it, and the rest
is counted and changes nothing.
"""

from __future__ import annotations

from kcoro_core.errors import ProtocolError
from kcoro_core.semantics import Kind, Overflow
from kcoro_core.transport import RawFrame
from kcoro_core.wire.commands import Command
from kcoro_core.wire.connection import ConnectionConfig
from kcoro_core.wire.datagram import DELIVERED
from kcoro_core.wire.events import Event, LossyReceived, Opened, OpenRequested
from kcoro_core.wire.frame import HEADER_SIZE, Frame, frame_from_raw
from kcoro_core.wire.messages import Attributes, OpenFlag, OpenRequest, Rights, encode_number, encode_skipped
from kcoro_core.wire.states import State

from ..wire.datagram_model import Model
from ..wire.pair import Pair, only
from .choices import Choices
from .datagrams import LEAPS, ROUND, ahead
from .lies import LIES, TRUTH

NONE_SKIPPED = encode_skipped(0)
MOST = 8
"""Bytes of the longest element."""


def fuzz_lossy(data: bytes) -> None:
    """For each step a byte that says whether it is a frame, then how far it leaps, its element, and what is untrue."""
    choices, model = Choices(data), Model(Kind.CONFLATED, 0)
    pair, channel = opened()
    pair.open(name="jobs")
    frames, ignored = 0, 0
    while choices:
        number = leapt(choices, model.newest)
        if choices.below(8) == 0:
            element = choices.some(MOST)
            order = pair.b.order(channel)
            assert order is not None
            payload = (encode_number(number % ROUND), element)
            events = pair.a.receive_frame(Frame(Command.DATA, 0, channel, 0, order.outgoing + frames, payload), 0.0)
            frames += 1
            check(events, element, model, model.newest + ahead(number % ROUND, model.newest))
            continue
        for raw in datagrams(choices, channel, number):
            events = pair.a.receive_datagram(raw, 0.0)
            usable = read(raw, channel)
            if usable is None or not check(events, usable[1], model, model.newest + ahead(usable[0], model.newest)):
                ignored += 1
                assert events == [], "what cannot be used is told"
        stats = pair.a.stats()
        assert (stats.datagrams_ignored, stats.elements_missing) == (ignored, model.missing)
        assert pair.a.state is State.OPEN, "a datagram has ended the connection"


def opened() -> tuple[Pair, int]:
    """A connection whose opener has a lossy handle."""
    pair = Pair(config=ConnectionConfig(datagrams=True))
    pair.start()
    pair.a.open(OpenRequest("pose", OpenFlag.LOSSY))
    asked = only(pair.run(), OpenRequested)
    pair.b.accept(asked.request_id, Attributes(Kind.CONFLATED, Overflow.SUSPEND, 1, Rights.RECV, MOST))
    return pair, only(pair.run(), Opened).channel_id


def leapt(choices: Choices, newest: int) -> int:
    """The number of the next element, near the newest or far from it."""
    leap = choices.below(64)
    return newest + (LEAPS[leap] if leap < len(LEAPS) else leap - 32)


def datagrams(choices: Choices, channel: int, number: int) -> list[RawFrame]:
    """One datagram, mostly a true one, as a transport would hand it out."""
    frame = Frame(Command.DATA, 0, channel, 0, number % ROUND, (NONE_SKIPPED, choices.some(MOST + 2)))
    choice = choices.below(256)
    lie = LIES.get((choice - TRUTH) % 16) if choice >= TRUTH else None
    pieces = [frame] if lie is None else lie(choices, frame)
    whole = [piece if isinstance(piece, bytes) else piece.encode() for piece in pieces]
    return [RawFrame(one[:HEADER_SIZE], one[HEADER_SIZE:]) for one in whole]


def read(raw: RawFrame, channel: int) -> tuple[int, bytes] | None:
    """The number and the element of a datagram that can be used."""
    try:
        frame = frame_from_raw(raw, 1 << 17)
    except ProtocolError:
        return None
    plain = (frame.command, frame.channel_id, frame.flags, frame.request_id) == (Command.DATA, channel, 0, 0)
    fits = len(NONE_SKIPPED) <= frame.length <= len(NONE_SKIPPED) + MOST
    return (frame.seq, bytes(frame.payload[len(NONE_SKIPPED) :])) if plain and fits else None


def check(events: list[Event], element: bytes, model: Model, number: int) -> bool:
    """The model and the connection agree about this element; whether it is new."""
    before = model.missing
    if model.receive(number) not in DELIVERED:
        assert events == [], "what is not newer is handed on"
        return False
    came = only(events, LossyReceived)
    assert (came.element, came.gap) == (element, max(0, model.missing - before))
    return True
