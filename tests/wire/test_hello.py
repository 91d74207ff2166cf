# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The handshake: layout, limits, and what two sides agree on. Row: W1."""

import struct
from typing import Any

import pytest
from attrs import evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from kcoro_core.errors import NotSupported, ProtocolError
from kcoro_core.wire.fields import MAX_TLV_VALUE, MAX_TLVS, encode_tlvs
from kcoro_core.wire.hello import MAGIC, MAX_HELLO, Hello, Limits, agree, charge, decode_hello, encode_hello, hello_hash

NODE, OTHER = bytes(range(16)), bytes(range(16, 32))
HELLO = Hello(NODE, b"nonce--1", Limits(8192, 4096, 3, 5, 65536, 1000, 3000), software="test 1")
PEER = Hello(OTHER, b"nonce--2", Limits(4096, 8000, 4, 4, 32768, 500, 9000))

GOLDEN = (
    "894b434f524f0d0a 0001 0001 000102030405060708090a0b0c0d0e0f 6e6f6e63652d2d31"
    " 00002000 00001000 00000003 00000005 00010000 000003e8 00000bb8"
    " 8002 0006 746573742031"
)  # fmt: skip


def test_hello_has_its_golden_bytes() -> None:
    """Magic, versions, node id, nonce, seven limits, then items: each at its place. Row: W1."""
    assert encode_hello(HELLO) == bytes.fromhex(GOLDEN)
    assert decode_hello(bytes.fromhex(GOLDEN)) == HELLO


@given(
    st.integers(1, 65535), st.integers(0, 0xFFFF_FFFF), st.text("äb", max_size=40), st.binary(min_size=8, max_size=8)
)
def test_a_hello_read_back_is_the_hello_that_was_written(version: int, mask: int, name: str, nonce: bytes) -> None:
    """Encoding and decoding are inverse; a software name is cut to 64 bytes between characters. Row: W1."""
    hello = Hello(NODE, nonce, Limits(), 1, version, mask, name)
    short = name.encode()[:64].decode(errors="ignore")

    assert decode_hello(encode_hello(hello)) == evolve(hello, software=short)


NEGOTIATION = [
    # mine, theirs, agreed version or None
    ((1, 1), (1, 1), 1),
    ((1, 3), (1, 2), 2),
    ((2, 5), (1, 2), 2),
    ((1, 2), (2, 5), 2),
    ((1, 1), (2, 2), None),
    ((3, 4), (1, 2), None),
    ((1, 65535), (65535, 65535), 65535),
]


@pytest.mark.parametrize(("mine", "theirs", "version"), NEGOTIATION)
def test_the_version_is_the_lower_maximum_unless_it_is_below_a_minimum(
    mine: tuple[int, int], theirs: tuple[int, int], version: int | None
) -> None:
    """Both sides compute the same version, or both refuse with a remedy. Row: W1."""
    here = evolve(HELLO, version_min=mine[0], version_max=mine[1])
    there = evolve(PEER, version_min=theirs[0], version_max=theirs[1])

    for one, two in ((here, there), (there, here)):
        if version is None:
            with pytest.raises(NotSupported, match="install the newer kcoro"):
                agree(one, two)
        else:
            assert agree(one, two).version == version


def test_of_each_limit_the_lower_value_holds_but_budgets_stay_each_sides_own() -> None:
    """Both sides compute the same limits; what the peer holds for us is what the peer said. Row: W1."""
    here, there = agree(HELLO, PEER), agree(PEER, HELLO)

    assert here.limits == Limits(4096, 4096, 3, 4, 65536, 500, 3000)
    assert evolve(there.limits, receive_budget=65536) == here.limits
    assert (here.peer_budget, there.peer_budget) == (32768, 65536)


@pytest.mark.parametrize("name", [attribute.name for attribute in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1, 1 << 32])
def test_a_limit_out_of_range_is_refused(name: str, value: int) -> None:
    """Neither our own configuration nor a peer can agree to no limit at all. Row: W1."""
    with pytest.raises(ValueError, match=f"{name} is {value}, allowed is"):
        Limits(**{name: value})


def test_a_budget_that_cannot_hold_one_element_is_refused() -> None:
    """A limit that would make every send of full size impossible is an error at once, not later. Row: W1."""
    Limits(max_message=8000, receive_budget=charge(8000))
    with pytest.raises(ValueError, match="below the charge of one element"):
        Limits(max_message=8000, receive_budget=charge(8000) - 1)


def test_a_peer_cannot_agree_to_limits_out_of_range() -> None:
    """A HELLO whose numbers our own limits would refuse is a ProtocolError that names the number. Row: W1."""
    payload = bytearray(encode_hello(PEER))
    payload[36:40] = struct.pack(">I", 1 << 25)

    with pytest.raises(ProtocolError, match="max_frame is 33554432"):
        decode_hello(bytes(payload))


def test_a_connection_to_oneself_is_noticed() -> None:
    """Our own HELLO coming back is refused: an address that leads to its own connection. Row: W1."""
    with pytest.raises(ProtocolError, match="our own"):
        agree(HELLO, HELLO)
    agree(HELLO, evolve(HELLO, nonce=b"another1"))


BROKEN = {
    "empty": b"",
    "short": encode_hello(PEER)[:63],
    "other magic": b"GET / HTTP/1.1\r\n" + bytes(80),
    "no range": encode_hello(PEER)[:8] + struct.pack(">HH", 2, 1) + encode_hello(PEER)[12:],
    "version 0": encode_hello(PEER)[:8] + struct.pack(">HH", 0, 1) + encode_hello(PEER)[12:],
    "half an item": encode_hello(PEER) + b"\x80\x09\0",
    "item cut off": encode_hello(PEER) + b"\x80\x09\0\x05abcd",
    "item twice": encode_hello(PEER) + b"\x80\x09\0\0" * 2,
    "item too long": encode_hello(PEER) + struct.pack(">HH", 0x8009, MAX_TLV_VALUE + 1) + bytes(MAX_TLV_VALUE + 1),
    "too many items": encode_hello(PEER) + b"".join(struct.pack(">HH", 0x9000 + n, 0) for n in range(MAX_TLVS + 1)),
    "too long": encode_hello(PEER) + bytes(MAX_HELLO),
    "capabilities short": encode_hello(PEER) + b"\0\1\0\1x",
    "capabilities long": encode_hello(PEER) + b"\0\1\0\5xxxxx",
    "software is no text": encode_hello(PEER) + b"\x80\2\0\1\xff",
    "software too long": encode_hello(PEER) + b"\x80\2\0\x41" + b"x" * 65,
}


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_a_malformed_hello_is_a_protocol_error(payload: bytes) -> None:
    """Whatever is missing, left over, doubled or too long is refused by name. Row: W1."""
    with pytest.raises(ProtocolError, match="HELLO"):
        decode_hello(payload)


def test_an_item_that_may_be_ignored_is_and_any_other_is_not_supported() -> None:
    """The top bit of a type decides whether an unknown item matters. Row: W1."""
    assert decode_hello(encode_hello(PEER) + b"\x80\x77\0\1x") == PEER
    with pytest.raises(NotSupported, match=r"items \[119\]"):
        decode_hello(encode_hello(PEER) + b"\0\x77\0\1x")


@given(st.integers(0, 63), st.integers(0, 255))
def test_a_hello_with_any_byte_changed_is_read_or_refused(at: int, value: int) -> None:
    """No byte of a HELLO can raise anything but the two documented errors. Row: W1."""
    payload = bytearray(encode_hello(PEER))
    payload[at] = value
    try:
        assert encode_hello(decode_hello(bytes(payload))) == bytes(payload)
    except (ProtocolError, NotSupported):
        assert payload != encode_hello(PEER)


def test_the_hash_tells_the_order_of_the_sides_and_every_byte() -> None:
    """SHA-256 over both HELLO frames: another byte or another order gives another hash. Row: W1."""
    assert hello_hash(b"a", b"b").hex() == "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"
    assert len({hello_hash(b"a", b"b"), hello_hash(b"b", b"a"), hello_hash(b"a", b"c")}) == 3


def test_items_beyond_the_caps_are_never_written() -> None:
    """What every reader would refuse is misuse at the writer. Row: W1."""
    with pytest.raises(ValueError, match="at most"):
        encode_tlvs({1: bytes(MAX_TLV_VALUE + 1)})
    with pytest.raises(ValueError, match="at most"):
        encode_tlvs(dict.fromkeys(range(MAX_TLVS + 1), b""))


@pytest.mark.parametrize("change", [{"node_id": b"x"}, {"nonce": b"x"}, {"version_min": 2}, {"version_max": 1 << 16}])
def test_a_hello_of_ones_own_that_cannot_be_is_misuse(change: dict[str, Any]) -> None:
    """Ids of another size and ranges upside down are ValueError before anything is sent. Row: W1."""
    with pytest.raises(ValueError, match=r"node id|versions"):
        evolve(HELLO, **change)
    assert decode_hello(encode_hello(HELLO)).node_id == NODE
    assert MAGIC in encode_hello(HELLO)
