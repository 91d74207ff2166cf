# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What is fuzzed without a connection: the cutting of a stream into frames, the handshake, every payload.

Each function takes an input and checks what must hold for any; what it lets escape is a defect. Payload decoders are
found by name in ``wire/messages.py``, so that a new one is fuzzed without a word here; only one whose encoder is no
plain mirror of it stands in ``ENCODE``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from kcoro_core.errors import NotSupported, ProtocolError
from kcoro_core.wire import frame as frames_of
from kcoro_core.wire import messages
from kcoro_core.wire.commands import Command
from kcoro_core.wire.fields import Fields, short_text
from kcoro_core.wire.frame import HEADER_SIZE, Frame, FrameDecoder
from kcoro_core.wire.handshake import Handshake
from kcoro_core.wire.hello import MAX_HELLO, Hello, decode_hello, encode_hello

LIMIT = 300
"""Payload bytes of the largest frame that the decoder is told to take."""


def fuzz_frames(data: bytes) -> None:
    """The first byte says how large the pieces are; the rest is the stream. Two decoders must agree at any cut."""
    if not data:
        return
    whole, pieces = FrameDecoder(), FrameDecoder()
    stream, size = data[1:], data[0] or 1
    assert taken(whole, [stream]) == taken(pieces, [stream[at : at + size] for at in range(0, len(stream), size)])


def taken(decoder: FrameDecoder, pieces: list[bytes]) -> list[object]:
    """The frames, and the error that ends them if one does; never more is kept than a frame and a piece."""
    found: list[object] = []
    for piece in pieces:
        decoder.feed(piece)
        try:
            while (frame := decoder.next_frame(LIMIT)) is not None:
                assert frame.length <= LIMIT, "a frame above the limit"
                found.append(frame)
        except ProtocolError as error:
            return [*found, str(error)]
        assert decoder.buffered < HEADER_SIZE + LIMIT, "more than one unfinished frame is kept"
    return found


def fuzz_handshake(data: bytes) -> None:
    """HELLO alone, which must survive encoding again; then HELLO and CONFIRM as a connection hears them."""
    try:
        hello = decode_hello(data)
    except (ProtocolError, NotSupported):
        return
    assert len(data) <= MAX_HELLO
    again = encode_hello(hello)
    assert encode_hello(decode_hello(again)) == again
    shake = Handshake(True, Hello(b"n" * 16, b"c" * 8))
    frame = Frame(Command.HELLO, parts=(data,))
    try:
        confirm = shake.hear_hello(frame)
        agreed, _ = shake.hear_confirm(Frame(Command.CONFIRM, parts=(confirm,)))
    except (ProtocolError, NotSupported):
        return
    assert agreed.limits.max_frame <= frames_of.MAX_FRAME_CEILING
    assert agreed.peer_budget == hello.limits.receive_budget


def _reply(decoded: tuple[int, str]) -> bytes:
    code, text = decoded
    return (-code).to_bytes(4, "big", signed=True) + short_text(text)


ENCODE: dict[str, Callable[[Any], bytes]] = {
    "reply": _reply,
    "bye": _reply,
    "id": lambda number: number.to_bytes(4, "big"),
    "data": lambda data: messages.encode_skipped(data[0]) + data[1],
    "listed": lambda listed: messages.encode_listed(*listed),
    "drain": lambda drain: messages.encode_drain(*drain),
    "closing": lambda closing: closing.last_seq.to_bytes(4, "big") + messages.encode_closing(closing),
}
"""How what a decoder gives is encoded, where that is not ``encode_`` and the same name."""

DECODERS: dict[str, Callable[[Fields], Any]] = {
    name.removeprefix("decode_"): getattr(messages, name) for name in messages.__all__ if name.startswith("decode_")
}
"""Every decoder of a payload."""

NUMBERS = {zlib.crc32(name.encode()) & 0xFF: name for name in sorted(DECODERS)}
"""Which decoder the first byte names. By name and not by place, so that kept inputs mean the same for ever."""


def fuzz_payloads(data: bytes) -> None:
    """The first byte names the decoder. What it accepts it must give back: encoded and decoded again, the same."""
    if not data or (name := NUMBERS.get(data[0])) is None:
        return
    try:
        decoded = decode(name, data[1:])
    except (ProtocolError, NotSupported):
        return
    encode = encoder(name)
    assert decode(name, encode(decoded)) == decoded, f"{name} is not what was decoded: {decoded}"


def encoder(name: str) -> Callable[[Any], bytes]:
    """What makes the payload that the decoder of this name reads. AttributeError: add it to ``ENCODE``."""
    return ENCODE.get(name) or getattr(messages, f"encode_{name}")


def decode(name: str, payload: bytes) -> Any:
    """One payload. A reply of rc 0 leaves its body to others."""
    # Through the module, so that a planted defect is met.
    return getattr(messages, f"decode_{name}")(Fields(payload, name))


def payload_input(name: str, payload: bytes) -> bytes:
    """An input that has this payload decoded."""
    number = next(number for number, one in NUMBERS.items() if one == name)
    return bytes([number]) + payload
