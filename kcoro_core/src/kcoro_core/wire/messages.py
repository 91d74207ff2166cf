# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The payload of each command: fixed fields first, then at most one text, element or list.

Rule 1: one layout per command; items of type, length and value stand in OPEN and its answer only (and in HELLO).
Rule 2: every decode checks every length, and leaves nothing over; ProtocolError names what was wrong.
Rule 3: a number that a newer peer may know (a kind, a policy, an open flag) is NotSupported, which ends one request.

Unit of times: whole milliseconds. Normative twin: docs/spec/wire.md.
"""

from __future__ import annotations

import enum
import math
import struct
from typing import Final, TypeVar

from attrs import field, frozen

from ..errors import NotSupported, ProtocolError
from ..semantics import Kind, Overflow
from .codes import WireCode
from .commands import IGNORABLE
from .fields import Fields, encode_tlvs, short_text

__all__ = [
    "FOREVER_MS",
    "MAX_CODEC",
    "MAX_NAME",
    "MAX_TAKEN",
    "MAX_WEIGHT",
    "UNBOUNDED",
    "Attributes",
    "ChannelInfo",
    "Closing",
    "Listed",
    "OpenFlag",
    "OpenRequest",
    "Reason",
    "Rights",
    "decode_attributes",
    "decode_bye",
    "decode_closing",
    "decode_data",
    "decode_drain",
    "decode_id",
    "decode_info",
    "decode_list",
    "decode_listed",
    "decode_number",
    "decode_open",
    "decode_reply",
    "decode_taken",
    "decode_timeout",
    "encode_attributes",
    "encode_bye",
    "encode_closing",
    "encode_drain",
    "encode_info",
    "encode_list",
    "encode_listed",
    "encode_number",
    "encode_open",
    "encode_reply",
    "encode_skipped",
    "encode_taken",
    "encode_timeout",
    "milliseconds",
]

FOREVER_MS: Final = 0xFFFF_FFFF
"""The time hint of a request without a deadline; 0 is the exact try."""
UNBOUNDED: Final = 0xFFFF_FFFF
"""The capacity of an UNLIMITED channel; in OPEN also: whatever is there."""
MAX_NAME: Final = 255
"""Bytes of the longest channel name."""
MAX_CODEC: Final = 63
"""Bytes of the longest codec name."""
MAX_TAKEN: Final = 1000
"""Acknowledgements in one TAKEN frame, so that it fits into the smallest frame that can be agreed."""

MAX_WEIGHT: Final = 16
"""The largest weight of a channel; the smallest is 1."""

_WEIGHT: Final = 1 | IGNORABLE  # item of OPEN: one byte

_E = TypeVar("_E", bound=enum.Enum)

_ANY: Final = 255
_U32: Final = struct.Struct(">I")
_RC: Final = struct.Struct(">i")
_OPEN: Final = struct.Struct(">BBHIBB")
_ATTRIBUTES: Final = struct.Struct(">BBBBIIB")
_DRAIN: Final = struct.Struct(">II")
_CLOSING: Final = struct.Struct(">IBB")
_LISTED: Final = struct.Struct(">BBB")
_MORE: Final = struct.Struct(">B")
_INFO: Final = struct.Struct(">BBBBIQQIIQQQ")


class OpenFlag(enum.IntFlag):
    """What the opener of a channel asks for beyond the channel itself."""

    CREATE = 1
    """Make the channel if the name is free. Refused with EACCES unless the home allows peers to make channels."""
    EXCL = 2
    """Together with CREATE: refuse with EEXIST if the name is taken."""
    LEND = 4
    """Ask for lent slots, so that sends need not ask. A home may always decline: the channel works the same."""
    LOSSY = 8
    """Send each value of a CONFLATED channel unasked, by datagram where it fits, so that some are lost and counted.
    Refused with ENOTSUP for another kind, or where the two sides have not agreed on datagrams."""


_NO_FLAGS: Final = OpenFlag(0)


class Rights(enum.IntFlag):
    """What a handle may do; the home tells it in the answer to OPEN and checks every request against it."""

    SEND = 1
    """It may send elements; an exported Sender grants it."""
    RECV = 2
    """It may receive elements; an exported Receiver grants it."""
    CLOSE = 4
    """It may close or cancel the channel; only a Channel grants it."""


@frozen
class OpenRequest:
    """What OPEN asks for; None means: whatever is there. ``items`` carries what later versions add.

    ``weight``, 1 to 16, is how many shares of the line each side gives the channel.
    """

    name: str
    flags: OpenFlag = _NO_FLAGS
    kind: Kind | None = None
    overflow: Overflow | None = None
    capacity: int | None = None
    codec: str = ""
    items: dict[int, bytes] = field(factory=dict)
    weight: int = 1


@frozen
class Attributes:
    """What a channel truly is, as its home answers OPEN. ``capacity`` None: no bound. ``max_message`` in bytes."""

    kind: Kind
    overflow: Overflow
    capacity: int | None
    rights: Rights
    max_message: int
    codec: str = ""
    closed: bool = False


class Reason(enum.IntEnum):
    """What kind of reason stands behind a close; only an orderly one ends an ``async for``."""

    NONE = 0
    """No reason was given; an ordinary, orderly close."""
    TEXT = 1
    """Something other than an exception was given; its text follows."""
    ERROR = 2
    """An exception was given; its text follows."""


@frozen
class Closing:
    """Why and how a channel closes. ``cancel``: what is queued is thrown away and reported, not drained."""

    reason: Reason = Reason.NONE
    text: str = ""
    cancel: bool = False
    last_seq: int = 0


@frozen
class Listed:
    """A name that may be opened: what is there, and what may be done with it."""

    name: str
    kind: Kind
    rights: Rights


@frozen
class ChannelInfo:
    """State and counters of a channel, true at its home at one instant."""

    kind: Kind
    overflow: Overflow
    closed: bool
    capacity: int | None
    length: int
    peak_length: int
    waiting_senders: int
    waiting_receivers: int
    sent: int
    received: int
    dropped: int


def milliseconds(timeout: float | None) -> int:
    """A wait in seconds as a time hint: None is for ever, 0 the exact try, anything above 0 at least 1 ms.

    :raises ValueError: it is negative, or not a number.
    """
    if timeout is None:
        return FOREVER_MS
    if timeout < 0 or math.isnan(timeout):
        raise ValueError(f"a timeout is 0 or more seconds, not {timeout}")
    # A wait of more than 49 days does not fit; the opener's own deadline still ends it.
    return FOREVER_MS if timeout >= FOREVER_MS / 1000 else math.ceil(timeout * 1000)


def encode_timeout(timeout_ms: int) -> bytes:
    """The payload of RECV, and the first 4 bytes of SEND."""
    return _U32.pack(timeout_ms)


def decode_timeout(fields: Fields) -> int:
    """The time hint of SEND or RECV."""
    return int(fields.take(_U32)[0])


def encode_skipped(skipped: int) -> bytes:
    """The first 4 bytes of DATA: how many values were replaced at the sending end since the last one."""
    return _U32.pack(min(skipped, UNBOUNDED))


def decode_data(fields: Fields) -> tuple[int, bytes]:
    """What a DATA brings: how many values it has replaced, and its element."""
    return int(fields.take(_U32)[0]), fields.rest()


def encode_number(number: int) -> bytes:
    """The first 4 bytes of DATA from the home: the number of the element; with END how many there were."""
    return _U32.pack(number)


def decode_number(fields: Fields) -> int:
    """The number in front of an element, or of an end."""
    return int(fields.take(_U32)[0])


def encode_open(request: OpenRequest) -> bytes:
    """The payload of OPEN. Raises ValueError for a name or codec that is too long, a name that is empty, a weight."""
    name, codec = request.name.encode(), request.codec.encode()
    if not 0 < len(name) <= MAX_NAME or len(codec) > MAX_CODEC:
        raise ValueError(f"a name has 1 to {MAX_NAME} bytes, a codec at most {MAX_CODEC}")
    if not 1 <= request.weight <= MAX_WEIGHT:
        raise ValueError(f"a weight is 1 to {MAX_WEIGHT}, not {request.weight}")
    kind = _ANY if request.kind is None else request.kind.value
    overflow = _ANY if request.overflow is None else request.overflow.value
    fixed = _OPEN.pack(kind, overflow, request.flags, _capacity_out(request.capacity), len(name), len(codec))
    weight = {_WEIGHT: bytes([request.weight])} if request.weight != 1 else {}
    return fixed + name + codec + encode_tlvs({**weight, **request.items})


def decode_open(fields: Fields) -> OpenRequest:
    """Read OPEN. Raises NotSupported, which ends this request only, for numbers and items that are not known here."""
    kind, overflow, flags, capacity, name_size, codec_size = fields.take(_OPEN)
    name = fields.text(name_size, "name", MAX_NAME)
    if not name:
        raise ProtocolError("OPEN: the name is empty")
    codec = fields.text(codec_size, "codec", MAX_CODEC)
    items = fields.tlvs()
    weight = _weight(items.pop(_WEIGHT, b"\1"))
    if flags & ~sum(OpenFlag) or not _ignorable(items):
        raise NotSupported(f"OPEN asks for flags {flags:#x} or items {sorted(items)} that are not known here")
    return OpenRequest(
        name,
        OpenFlag(flags),
        None if kind == _ANY else _number(Kind, kind),
        None if overflow == _ANY else _number(Overflow, overflow),
        _capacity_in(capacity),
        codec,
        items,
        weight,
    )


def _weight(value: bytes) -> int:
    if len(value) != 1 or not 1 <= value[0] <= MAX_WEIGHT:
        raise ProtocolError(f"OPEN: a weight is one byte, 1 to {MAX_WEIGHT}, not {value[:8].hex() or 'nothing'}")
    return value[0]


def encode_attributes(attributes: Attributes) -> bytes:
    """The body of the answer to OPEN. Raises ValueError for a codec of more than MAX_CODEC bytes."""
    codec = attributes.codec.encode()
    if len(codec) > MAX_CODEC:
        raise ValueError(f"a codec has at most {MAX_CODEC} bytes")
    return (
        _ATTRIBUTES.pack(
            attributes.kind.value,
            attributes.overflow.value,
            attributes.rights,
            attributes.closed,
            _capacity_out(attributes.capacity),
            attributes.max_message,
            len(codec),
        )
        + codec
    )


def decode_attributes(fields: Fields) -> Attributes:
    """Read the body of the answer to OPEN."""
    kind, overflow, rights, closed, capacity, max_message, codec_size = fields.take(_ATTRIBUTES)
    codec = fields.text(codec_size, "codec", MAX_CODEC)
    if not _ignorable(fields.tlvs()):
        raise ProtocolError("the answer to OPEN has an item that may not be ignored")
    if rights & ~sum(Rights) or closed > 1:
        raise ProtocolError(f"the answer to OPEN has rights {rights:#x} and closed {closed}")
    return Attributes(
        _answered(Kind, kind),
        _answered(Overflow, overflow),
        _capacity_in(capacity),
        Rights(rights),
        max_message,
        codec,
        bool(closed),
    )


def encode_reply(code: WireCode, text: str = "") -> bytes:
    """The first bytes of a REPLY: rc, and for a refusal a text for people, cut to MAX_TEXT bytes."""
    return _RC.pack(-code) + short_text(text)


def decode_reply(fields: Fields) -> tuple[int, str]:
    """The error number of a REPLY and its text; (0, "") leaves the body of a success to be read."""
    (rc,) = fields.take(_RC)
    if rc > 0:
        raise ProtocolError(f"REPLY: rc is {rc}, it is 0 or negative")
    return (-rc, fields.rest_text("text")) if rc else (0, "")


def encode_closing(closing: Closing) -> bytes:
    """The payload of CLOSE but for its first field: last_seq is known only when the frame is written."""
    return _CLOSING.pack(0, closing.reason, closing.cancel)[_U32.size :] + short_text(closing.text)


def decode_closing(fields: Fields) -> Closing:
    """Read the payload of a CLOSE; ProtocolError when it is malformed."""
    last_seq, reason, cancel = fields.take(_CLOSING)
    if reason > max(Reason) or cancel > 1:
        raise ProtocolError(f"CLOSE: reason kind {reason}, cancel {cancel}")
    text = fields.rest_text("reason")
    if text and reason == Reason.NONE:
        raise ProtocolError("CLOSE: a reason follows although none was announced")
    return Closing(Reason(reason), text, bool(cancel), last_seq)


def encode_info(info: ChannelInfo) -> bytes:
    """The body of the answer to INFO."""
    return _INFO.pack(
        info.kind.value,
        info.overflow.value,
        info.closed,
        0,
        _capacity_out(info.capacity),
        info.length,
        info.peak_length,
        info.waiting_senders,
        info.waiting_receivers,
        info.sent,
        info.received,
        info.dropped,
    )


def decode_info(fields: Fields) -> ChannelInfo:
    """Read the body of the answer to INFO."""
    kind, overflow, closed, spare, capacity, *counters = fields.take(_INFO)
    fields.end()
    if closed > 1 or spare:
        raise ProtocolError(f"the answer to INFO has closed {closed} and spare {spare}")
    return ChannelInfo(
        _answered(Kind, kind), _answered(Overflow, overflow), bool(closed), _capacity_in(capacity), *counters
    )


def encode_list(after: str) -> bytes:
    """The payload of LIST: the last name that was seen, empty for the first page."""
    return after.encode()


def decode_list(fields: Fields) -> str:
    """Read the payload of a LIST; ProtocolError when it is no name, and not empty."""
    after = fields.rest()
    return Fields(after, "LIST").text(len(after), "name", MAX_NAME)


def encode_listed(names: list[Listed], more: bool) -> bytes:
    """The body of the answer to LIST: whether more are left, then names in the order of their bytes."""
    entries = [(one, one.name.encode()) for one in names]
    return _MORE.pack(more) + b"".join(
        _LISTED.pack(one.kind.value, one.rights, len(name)) + name for one, name in entries
    )


def decode_listed(fields: Fields) -> tuple[list[Listed], bool]:
    """Read the body of the answer to LIST; ProtocolError when it is out of order, or would never end."""
    (more,) = fields.take(_MORE)
    names: list[Listed] = []
    while not fields.at_end():
        kind, rights, size = fields.take(_LISTED)
        name = fields.text(size, "name", MAX_NAME)
        if not name or (names and name.encode() <= names[-1].name.encode()) or rights & ~sum(Rights):
            raise ProtocolError(f"the answer to LIST has {name!r} out of order, or rights {rights:#x}")
        names.append(Listed(name, _answered(Kind, kind), Rights(rights)))
    if more > 1 or (more and not names):
        raise ProtocolError(f"the answer to LIST says that {more} follow behind {len(names)} names")
    return names, bool(more)


def encode_taken(request_ids: list[int]) -> bytes:
    """The payload of TAKEN: 1 to MAX_TAKEN ids of receives whose elements were taken."""
    return b"".join(map(_U32.pack, request_ids))


def decode_taken(fields: Fields) -> list[int]:
    """Read the payload of a TAKEN: the ids; ProtocolError when it is malformed."""
    payload = fields.rest()
    if not 0 < len(payload) <= MAX_TAKEN * _U32.size or len(payload) % _U32.size:
        raise ProtocolError(f"TAKEN: {len(payload)} bytes are no list of 1 to {MAX_TAKEN} ids")
    return [number for (number,) in _U32.iter_unpack(payload)]


def decode_id(fields: Fields) -> int:
    """The id of one receive, as the flag TAKEN puts it in front of a payload."""
    return int(fields.take(_U32)[0])


def encode_drain(last_id: int, deadline_ms: int) -> bytes:
    """The payload of DRAIN: the last request that is worked on (0: none), and how long."""
    return _DRAIN.pack(last_id, deadline_ms)


def decode_drain(fields: Fields) -> tuple[int, int]:
    """Read the payload of a DRAIN: the id and the time; ProtocolError when it is malformed."""
    last_id, deadline_ms = fields.take(_DRAIN)
    fields.end()
    return int(last_id), int(deadline_ms)


def encode_bye(code: WireCode, text: str = "") -> bytes:
    """The payload of BYE: rc, and a text for people."""
    return encode_reply(code, text)


def decode_bye(fields: Fields) -> tuple[int, str]:
    """The error number of a BYE, 0 for an orderly end, and its text."""
    (rc,) = fields.take(_RC)
    if rc > 0:
        raise ProtocolError(f"BYE: rc is {rc}, it is 0 or negative")
    return -rc, fields.rest_text("text")


def _capacity_out(capacity: int | None) -> int:
    if capacity is None:
        return UNBOUNDED
    if not 0 <= capacity < UNBOUNDED:
        raise ValueError(f"a capacity on the wire is below 2^32 - 1, not {capacity}")
    return capacity


def _capacity_in(number: int) -> int | None:
    return None if number == UNBOUNDED else number


def _ignorable(items: dict[int, bytes]) -> bool:
    return all(kind & IGNORABLE for kind in items)


def _number(names: type[_E], number: int) -> _E:
    try:
        return names(number)
    except ValueError:
        raise NotSupported(f"OPEN: {names.__name__} {number} is not known here") from None


def _answered(names: type[_E], number: int) -> _E:
    try:
        return names(number)
    except ValueError:
        raise ProtocolError(f"{names.__name__} {number} is not known here, and was not asked for") from None
