# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The header and the cutting of a byte stream into frames. Row: W1."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcoro_core.errors import ProtocolError
from kcoro_core.transport import RawFrame
from kcoro_core.wire.commands import ALLOWED_FLAGS, BUILT, IGNORABLE, REQUESTS, Command, Flag, command_name
from kcoro_core.wire.frame import HEADER_SIZE, Frame, FrameDecoder, decode_header, encode_header, frame_from_raw

U16, U32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF)
FLAGS = st.integers(0, 255)
LIMIT = 4096

FRAMES = st.builds(
    Frame, U16, FLAGS, U32, U32, U32, st.lists(st.binary(max_size=50), max_size=3).map(tuple)
)  # fmt: skip


def test_a_header_is_twenty_bytes_with_fixed_offsets() -> None:
    """Length, command, flags, channel, request and seq stand where the specification says. Row: W1."""
    header = encode_header(0x01020304, 0x0506, 0x0708, 0x090A0B0C, 0x0D0E0F10, 0x11121314)

    assert header.hex() == "0102030405060708090a0b0c0d0e0f1011121314"
    assert len(header) == HEADER_SIZE == 20


def test_a_frame_is_its_header_and_its_parts_in_order() -> None:
    """The parts of a payload are written one behind the other, and count together. Row: W1."""
    frame = Frame(Command.SEND, Flag.TAKEN, 3, 7, 9, (b"\0\0\0\5", b"\xff\xff\xff\xff", b"abc"))

    assert frame.encode().hex() == "0000000b00070020000000030000000700000009" + "00000005ffffffff616263"
    assert frame == Frame(Command.SEND, Flag.TAKEN, 3, 7, 9, (b"\0\0\0\5\xff\xff\xff\xffabc",))
    assert frame != Frame(Command.SEND, Flag.TAKEN, 3, 7, 9, (b"abc",))
    assert str(frame) == "SEND channel 3 request 7 seq 9, 11 bytes"


@given(FRAMES)
def test_a_frame_read_back_is_the_frame_that_was_written(frame: Frame) -> None:
    """Encoding and decoding are inverse, for every field value and any number of parts. Row: W1."""
    decoder = FrameDecoder()
    decoder.feed(frame.encode())

    assert decoder.next_frame(LIMIT) == frame
    assert decoder.next_frame(LIMIT) is None
    assert decoder.buffered == 0


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(0, 40), max_size=30))
def test_the_borders_of_reads_do_not_matter(frames: list[Frame], cuts: list[int]) -> None:
    """However the stream was cut on its way, the same frames come out in the same order. Row: W1."""
    stream, decoder, seen = b"".join(frame.encode() for frame in frames), FrameDecoder(), []
    for size in [*cuts, len(stream)]:
        piece, stream = stream[:size], stream[size:]
        decoder.feed(piece)
        while (frame := decoder.next_frame(LIMIT)) is not None:
            seen.append(frame)

    assert seen == frames


@pytest.mark.parametrize(("length", "fits"), [(0, True), (LIMIT - 1, True), (LIMIT, True), (LIMIT + 1, False)])
def test_the_limit_itself_fits_and_one_byte_more_does_not(length: int, fits: bool) -> None:
    """A payload of exactly the limit is taken, a longer one is a ProtocolError that names both sizes. Row: W1."""
    header = encode_header(length, Command.SEND, 0, 1, 1, 0)

    if fits:
        assert decode_header(header, LIMIT).length == length
    else:
        with pytest.raises(ProtocolError, match=r"4097 bytes, the limit is 4096"):
            decode_header(header, LIMIT)


def test_a_frame_that_is_too_long_is_refused_before_anything_is_allocated_for_it() -> None:
    """A header that announces 4 GiB costs nothing, and goes on being refused. Row: W1."""
    decoder = FrameDecoder()
    tracemalloc.start()
    try:
        decoder.feed(encode_header(0xFFFF_FFFF, Command.SEND, 0, 1, 1, 0) + b"x" * 100)
        for _ in range(2):
            with pytest.raises(ProtocolError, match="4294967295 bytes"):
                decoder.next_raw(LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


def test_a_decoder_refuses_food_while_frames_may_be_waiting() -> None:
    """Feeding again without taking is misuse: the buffer never holds more than one frame and one read. Row: W1."""
    decoder, frame = FrameDecoder(), Frame(Command.PING, parts=(b"12345678",)).encode()
    decoder.feed(frame + frame)
    assert decoder.next_frame(LIMIT) is not None

    with pytest.raises(ValueError, match="take frames until None"):
        decoder.feed(frame)
    assert decoder.next_frame(LIMIT) is not None
    assert decoder.next_frame(LIMIT) is None
    decoder.feed(frame)
    assert decoder.buffered == len(frame)


@pytest.mark.parametrize("bit", range(9, 16))
def test_a_flag_that_nobody_knows_is_a_protocol_error(bit: int) -> None:
    """Every bit without a name is refused: it may change what the frame means. Row: W1."""
    with pytest.raises(ProtocolError, match="unknown flags"):
        decode_header(encode_header(0, Command.SEND, 1 << bit, 1, 1, 0), LIMIT)


@pytest.mark.parametrize(
    ("header", "payload"), [(b"x" * 19, b""), (b"x" * 21, b""), (encode_header(3, 0, 0, 0, 0, 0), b"ab")]
)
def test_what_a_transport_delivers_is_checked_like_the_stream(header: bytes, payload: bytes) -> None:
    """A header of another size, or one that contradicts its payload, is a ProtocolError. Row: W1."""
    with pytest.raises(ProtocolError):
        frame_from_raw(RawFrame(header, payload), LIMIT)


@given(st.binary(max_size=200))
def test_random_bytes_give_frames_or_a_protocol_error(noise: bytes) -> None:
    """Nothing a stranger writes raises anything else, or loops. Row: W1."""
    decoder = FrameDecoder()
    decoder.feed(noise)
    try:
        while decoder.next_frame(LIMIT) is not None:
            pass
    except ProtocolError:
        pass
    assert decoder.buffered <= len(noise)


def test_the_numbers_of_commands_and_flags_never_change() -> None:
    """Every number of the wire is what it was given once. Row: W1."""
    assert {command.name: command.value for command in Command} == {
        "HELLO": 0, "REPLY": 1, "OPEN": 2, "CLOSE": 3, "RESET": 4, "DATA": 5, "CREDIT": 6, "SEND": 7, "RECV": 8,
        "CANCEL": 9, "PING": 10, "PONG": 11, "DRAIN": 12, "BYE": 13, "NACK": 14, "DETACH": 15, "INFO": 16,
        "RECALL": 17, "RETURN": 18, "LIST": 19, "PUTBACK": 20, "CONFIRM": 21, "TAKEN": 22, "SELECT_REGISTER": 32,
        "SELECT_CANCEL": 33, "SELECT_NOTIFY": 34, "SELECT_CLAIM": 35,
    }  # fmt: skip
    assert {flag.name: flag.value for flag in Flag} == {
        "GRANT": 1, "FIRST": 2, "MORE": 4, "END": 8, "NOREPLY": 16, "TAKEN": 32, "REDELIVERED": 64, "KEEP": 128,
        "AHEAD": 256,
    }  # fmt: skip
    assert all(command < IGNORABLE for command in Command)
    assert REQUESTS <= BUILT
    assert set(ALLOWED_FLAGS) <= BUILT
    assert command_name(7) == "SEND"
    assert command_name(999) == "command 999"
