# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The payload of each command: golden bytes, round trips, and every way to be malformed. Row: W1."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kcoro_core.errors import NotSupported, ProtocolError
from kcoro_core.semantics import BUFFERED, CONFLATED, DROP_OLDEST, RENDEZVOUS, SUSPEND, Kind, Overflow
from kcoro_core.wire import messages as m
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.fields import MAX_TEXT, Fields, short_text

OPEN = m.OpenRequest("jobs", m.OpenFlag.CREATE | m.OpenFlag.LEND, BUFFERED, SUSPEND, 64, "raw")
ANYTHING = m.OpenRequest("jobs")
ATTRIBUTES = m.Attributes(BUFFERED, DROP_OLDEST, 64, m.Rights.SEND | m.Rights.CLOSE, 4096, "raw", closed=True)
INFO = m.ChannelInfo(CONFLATED, SUSPEND, False, 1, 1, 1, 0, 2, 10, 3, 6)
CLOSING = m.Closing(m.Reason.ERROR, "boom", cancel=True)

GOLDEN = {
    "open": (m.encode_open(OPEN), "01 00 0005 00000040 04 03 6a6f6273 726177"),
    "open whatever is there": (m.encode_open(ANYTHING), "ff ff 0000 ffffffff 04 00 6a6f6273"),
    "attributes": (m.encode_attributes(ATTRIBUTES), "01 01 05 01 00000040 00001000 03 726177"),
    "info": (
        m.encode_info(INFO),
        ("02 00 00 00 00000001 0000000000000001 0000000000000001 00000000 00000002 000000000000000a 0000000000000003 "
        "0000000000000006"),
    ),
    "closing without last_seq": (m.encode_closing(CLOSING), "02 01 626f6f6d"),
    "timeout": (m.encode_timeout(1500), "000005dc"),
    "reply": (m.encode_reply(WireCode.OK), "00000000"),
    "refusal": (m.encode_reply(WireCode.ENOENT, "no"), "fffffff7 6e6f"),
    "taken": (m.encode_taken([1, 0xFFFFFFFF]), "00000001 ffffffff"),
    "bye": (m.encode_bye(WireCode.EPROTO, "seq"), "fffffff4 736571"),
}  # fmt: skip


@pytest.mark.parametrize(("payload", "golden"), GOLDEN.values(), ids=GOLDEN)
def test_each_payload_has_its_golden_bytes(payload: bytes, golden: str) -> None:
    """Fields stand where the specification says, big-endian, nothing between them. Row: W1."""
    assert payload.hex() == golden.replace(" ", "")


CAPACITY = st.none() | st.integers(0, m.UNBOUNDED - 1)
NAMES = st.text(min_size=1, max_size=60)
U32, U64 = st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1)


@given(
    NAMES, st.none() | st.sampled_from(Kind), st.none() | st.sampled_from(Overflow), CAPACITY, st.text(max_size=15),
    st.dictionaries(st.integers(0x8002, 0xFFFF), st.binary(max_size=20), max_size=5), st.integers(1, m.MAX_WEIGHT),
)  # fmt: skip
def test_an_open_read_back_is_the_open_that_was_written(
    name: str,
    kind: Kind | None,
    overflow: Overflow | None,
    capacity: int | None,
    codec: str,
    items: dict[int, bytes],
    weight: int,
) -> None:
    """Every request to open survives the wire, with its weight and with items that may be ignored. Row: W1."""
    request = m.OpenRequest(name, m.OpenFlag.EXCL, kind, overflow, capacity, codec, items, weight)
    assert m.decode_open(Fields(m.encode_open(request), "OPEN")) == request


@given(st.sampled_from(Kind), st.sampled_from(Overflow), CAPACITY, st.integers(0, 7), U32, st.booleans())
def test_attributes_read_back_are_those_that_were_written(
    kind: Kind, overflow: Overflow, capacity: int | None, rights: int, size: int, closed: bool
) -> None:
    """What a channel truly is survives the wire. Row: W1."""
    attributes = m.Attributes(kind, overflow, capacity, m.Rights(rights), size, "raw", closed)
    assert m.decode_attributes(Fields(m.encode_attributes(attributes), "REPLY")) == attributes


@given(st.sampled_from(Kind), CAPACITY, st.booleans(), U64, U32)
def test_info_read_back_is_the_info_that_was_written(
    kind: Kind, capacity: int | None, closed: bool, count: int, waiting: int
) -> None:
    """Counters survive the wire at their full width. Row: W1."""
    info = m.ChannelInfo(kind, SUSPEND, closed, capacity, count, count, waiting, waiting, count, count, count)
    assert m.decode_info(Fields(m.encode_info(info), "REPLY")) == info


@given(st.sampled_from([m.Reason.TEXT, m.Reason.ERROR]), st.text(max_size=60), st.booleans(), U32)
def test_a_close_read_back_is_the_close_that_was_written(
    reason: m.Reason, text: str, cancel: bool, last_seq: int
) -> None:
    """Reason, its kind, the manner and last_seq survive the wire. Row: CH10."""
    closing = m.Closing(reason, text, cancel, last_seq)
    payload = struct.pack(">I", last_seq) + m.encode_closing(closing)
    assert m.decode_closing(Fields(payload, "CLOSE")) == closing


@given(st.integers(-(1 << 31), 0), st.text(max_size=60))
def test_a_reply_and_a_bye_carry_any_number_and_a_text(rc: int, text: str) -> None:
    """Numbers from the future are read like those of today. Row: E2."""
    payload = struct.pack(">i", rc) + text.encode()
    assert m.decode_bye(Fields(payload, "BYE")) == (-rc, text)
    assert m.decode_reply(Fields(payload, "REPLY")) == ((-rc, text) if rc else (0, ""))


@given(st.lists(U32, min_size=1, max_size=m.MAX_TAKEN))
def test_acknowledgements_read_back_are_those_that_were_written(ids: list[int]) -> None:
    """A list of ids survives the wire and fits into the smallest frame. Row: W1."""
    payload = m.encode_taken(ids)
    assert m.decode_taken(Fields(payload, "TAKEN")) == ids
    assert len(payload) <= 4096


GOOD_OPEN, GOOD_REPLY = m.encode_open(OPEN), m.encode_attributes(ATTRIBUTES)
MALFORMED: dict[str, tuple[Callable[[Fields], Any], bytes, str]] = {
    "open cut": (m.decode_open, GOOD_OPEN[:9], "fixed fields needs 10 bytes, 9 are left"),
    "open name cut": (m.decode_open, GOOD_OPEN[:12], "name needs 4 bytes, 2 are left"),
    "open codec cut": (m.decode_open, GOOD_OPEN[:15], "codec needs 3 bytes"),
    "open name empty": (m.decode_open, struct.pack(">BBHIBB", 255, 255, 0, 0, 0, 0), "name is empty"),
    "open name no text": (m.decode_open, struct.pack(">BBHIBB", 255, 255, 0, 0, 1, 0) + b"\xff", "not UTF-8"),
    "open codec long": (m.decode_open, struct.pack(">BBHIBB", 1, 0, 0, 0, 1, 64) + b"n" + b"c" * 64, "the limit is 63"),
    "open item cut": (m.decode_open, GOOD_OPEN + b"\x80\1\0\2x", "item 32769 needs 2 bytes"),
    "attributes cut": (m.decode_attributes, GOOD_REPLY[:12], "fixed fields needs 13"),
    "attributes kind": (m.decode_attributes, b"\x09" + GOOD_REPLY[1:], "Kind 9"),
    "attributes overflow": (m.decode_attributes, GOOD_REPLY[:1] + b"\x09" + GOOD_REPLY[2:], "Overflow 9"),
    "attributes rights": (m.decode_attributes, GOOD_REPLY[:2] + b"\x08" + GOOD_REPLY[3:], "rights 0x8"),
    "attributes closed": (m.decode_attributes, GOOD_REPLY[:3] + b"\x02" + GOOD_REPLY[4:], "closed 2"),
    "attributes item": (m.decode_attributes, GOOD_REPLY + b"\0\1\0\0", "may not be ignored"),
    "info cut": (m.decode_info, m.encode_info(INFO)[:-1], "fixed fields"),
    "info long": (m.decode_info, m.encode_info(INFO) + b"x", "1 bytes too many"),
    "info closed": (m.decode_info, m.encode_info(INFO)[:2] + b"\2" + m.encode_info(INFO)[3:], "closed 2"),
    "info spare": (m.decode_info, m.encode_info(INFO)[:3] + b"\1" + m.encode_info(INFO)[4:], "spare 1"),
    "close cut": (m.decode_closing, bytes(5), "fixed fields"),
    "close reason": (m.decode_closing, bytes(4) + b"\3\0", "reason kind 3"),
    "close manner": (m.decode_closing, bytes(4) + b"\0\2", "cancel 2"),
    "close text unannounced": (m.decode_closing, bytes(6) + b"why", "none was announced"),
    "close text long": (m.decode_closing, bytes(4) + b"\1\0" + b"x" * (MAX_TEXT + 1), "257 bytes, the limit is 256"),
    "reply cut": (m.decode_reply, bytes(3), "fixed fields needs 4 bytes, 3 are left"),
    "reply positive": (m.decode_reply, struct.pack(">i", 5), "rc is 5"),
    "reply text long": (m.decode_reply, b"\xff" * 4 + b"x" * (MAX_TEXT + 1), "the limit is 256"),
    "reply text no text": (m.decode_reply, b"\xff" * 5, "not UTF-8"),
    "bye positive": (m.decode_bye, struct.pack(">i", 1), "rc is 1"),
    "bye text long": (m.decode_bye, bytes(4) + b"x" * (MAX_TEXT + 1), "the limit is 256"),
    "taken empty": (m.decode_taken, b"", "0 bytes"),
    "taken odd": (m.decode_taken, bytes(5), "5 bytes"),
    "taken long": (m.decode_taken, bytes(4 * m.MAX_TAKEN + 4), "4004 bytes"),
    "timeout cut": (m.decode_timeout, bytes(3), "fixed fields"),
}


@pytest.mark.parametrize(("decode", "payload", "names"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_payload_is_a_protocol_error_that_names_what_was_wrong(
    decode: Callable[[Fields], Any], payload: bytes, names: str
) -> None:
    """Missing, left over, too long, out of range: each is refused by payload and field. Row: W1."""
    with pytest.raises(ProtocolError, match=names):
        decode(Fields(payload, "THIS"))


@pytest.mark.parametrize(
    "payload",
    [
        b"\x07" + GOOD_OPEN[1:],
        GOOD_OPEN[:1] + b"\x07" + GOOD_OPEN[2:],
        GOOD_OPEN[:2] + b"\1" + GOOD_OPEN[3:],
        GOOD_OPEN + b"\0\1\0\0",
    ],
    ids=["kind", "overflow", "flag", "item"],
)  # fmt: skip
def test_an_open_from_the_future_is_not_supported_but_not_malformed(payload: bytes) -> None:
    """Numbers that a newer peer may know end one request, not the connection. Row: W1."""
    with pytest.raises(NotSupported, match="not known here"):
        m.decode_open(Fields(payload, "OPEN"))


DECODERS = [
    m.decode_open, m.decode_attributes, m.decode_info, m.decode_closing, m.decode_reply, m.decode_bye, m.decode_taken,
    m.decode_timeout,
]  # fmt: skip


@given(st.sampled_from(DECODERS), st.binary(max_size=120))
def test_random_payloads_are_read_or_refused(decode: Callable[[Fields], Any], payload: bytes) -> None:
    """No payload raises anything but the two documented errors. Row: W1."""
    try:
        decode(Fields(payload, "THIS"))
    except (ProtocolError, NotSupported):
        pass


@pytest.mark.parametrize(
    ("timeout", "hint"),
    [
        (None, m.FOREVER_MS),
        (0, 0),
        (1e-9, 1),
        (0.0015, 2),
        (1.5, 1500),
        (1e9, m.FOREVER_MS),
        (float("inf"), m.FOREVER_MS),
    ],
)
def test_a_wait_becomes_a_hint_that_is_never_shorter(timeout: float | None, hint: int) -> None:
    """Only a timeout of exactly 0 is a try; everything else is rounded up, or is for ever. Row: CH7."""
    assert m.milliseconds(timeout) == hint


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_wait_that_cannot_be_is_misuse(timeout: float) -> None:
    """Negative waits and what is no number are ValueError. Row: CH7."""
    with pytest.raises(ValueError, match="0 or more seconds"):
        m.milliseconds(timeout)


def test_what_every_reader_would_refuse_is_never_written() -> None:
    """Names, codecs and capacities beyond their bounds are misuse at the writer. Row: W1."""
    for bad in (m.OpenRequest(""), m.OpenRequest("n" * 256), m.OpenRequest("n", codec="c" * 64)):
        with pytest.raises(ValueError, match="1 to 255"):
            m.encode_open(bad)
    with pytest.raises(ValueError, match="2\\^32"):
        m.encode_open(m.OpenRequest("n", capacity=m.UNBOUNDED))
    with pytest.raises(ValueError, match="codec"):
        m.encode_attributes(m.Attributes(RENDEZVOUS, SUSPEND, 0, m.Rights.SEND, 1, "c" * 64))


@given(st.text())
def test_a_text_for_people_is_cut_between_characters(text: str) -> None:
    """A reason is at most 256 bytes and always text; what fits is untouched. Row: CH10."""
    short = short_text(text)
    assert len(short) <= MAX_TEXT
    assert text.startswith(short.decode())
    assert len(text.encode()) > MAX_TEXT or short.decode() == text
