# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The handshake: what each side says first, and what both then agree on (row W1).

Rule 1: version = the lower of the two maxima; below either minimum there is no connection.
Rule 2: of each limit the lower value holds, for both directions; only receive_budget stays each side's own word.
Rule 3: both sides hash both HELLOs, the connecting side's first; what was rewritten on the way is noticed.

The layout of HELLO, CONFIRM and BYE is the same in all versions, for ever. Normative twin: docs/spec/wire.md.
"""

from __future__ import annotations

import enum
import hashlib
import struct
from collections.abc import Callable
from typing import Any, Final

from attrs import Attribute, asdict, astuple, field, frozen

from ..errors import NotSupported, ProtocolError
from .commands import IGNORABLE
from .fields import Fields, encode_tlvs
from .frame import MAX_FRAME_CEILING

__all__ = [
    "FRAME_ROOM",
    "MAGIC",
    "MAX_HELLO",
    "NODE_ID_SIZE",
    "NONCE_SIZE",
    "VERSION",
    "Agreement",
    "Feature",
    "Hello",
    "Limits",
    "agree",
    "charge",
    "decode_hello",
    "encode_hello",
    "hello_hash",
]

MAGIC: Final = b"\x89KCORO\r\n"
"""First bytes of every HELLO: neither ASCII nor UTF-8, and damaged by whatever translates line ends."""
VERSION: Final = 1
"""The version of the protocol that this code speaks, the lowest and the highest."""
MAX_HELLO: Final = 4096
"""Bytes of the largest HELLO payload, and of any frame before both HELLOs are known."""
NODE_ID_SIZE: Final = 16
"""Bytes that name a node: the same for all its connections while the process lives."""
NONCE_SIZE: Final = 8
"""Bytes that name one connection attempt of a node; never the same twice."""
FRAME_ROOM: Final = 64
"""Bytes of a frame that are left to extensions: a message that is longer than the rest travels in pieces."""

_CAPABILITIES: Final = 1  # item type: a mask of Features, u32
_SOFTWARE: Final = 2 | IGNORABLE  # item type: a text for people, such as "kcoro_core 1.0"
_MAX_SOFTWARE: Final = 64


class Feature(enum.IntFlag):
    """What a side can do beyond the version; what both have said may be used."""

    DATAGRAMS = 1
    """Its medium carries datagrams beside the frames, and it takes elements that may be lost on that way."""


_NO_FEATURES: Final = Feature(0)
_FIXED: Final = struct.Struct(">8sHH16s8sIIIIIII")
_MASK: Final = struct.Struct(">I")


def charge(size: int) -> int:
    """What an element of ``size`` bytes costs a byte budget: a flood of tiny ones must not cost more than it says."""
    return size + 64 if size > 64 else 128  # max() would take as long as the rest of the call


def _between(lowest: int, highest: int) -> Callable[[Any, Attribute[int], int], None]:
    def check(_instance: Any, attribute: Attribute[int], value: int) -> None:
        if not lowest <= value <= highest:
            raise ValueError(f"{attribute.name} is {value}, allowed is {lowest} to {highest}")

    return check


def _limit(default: int, lowest: int, highest: int) -> int:
    number: int = field(default=default, validator=_between(lowest, highest))
    return number


@frozen
class Limits:
    """What one side is ready to bear; after the handshake, what both hold to. Raises ValueError out of range.

    ``max_frame``              payload bytes of one frame, 4096 to 2^24; longer messages travel in pieces
    ``max_message``            bytes of one element
    ``max_channels``           channels that one side has opened at the other and not detached
    ``max_inflight_requests``  requests of one side that wait for an answer, or whose element is not yet settled
    ``receive_budget``         bytes, by ``charge``, of unanswered SENDs that this side holds for its peer, and as many
                               of messages of the peer that have begun to arrive
    ``keepalive_ms``           silence after which a PING goes out
    ``idle_ms``                silence after which the connection is dead
    """

    max_frame: int = _limit(1 << 17, MAX_HELLO, MAX_FRAME_CEILING)
    max_message: int = _limit(1 << 20, 1, MAX_FRAME_CEILING)
    max_channels: int = _limit(256, 1, 1 << 16)
    max_inflight_requests: int = _limit(4096, 1, 1 << 20)
    receive_budget: int = _limit(16 << 20, MAX_HELLO, (1 << 32) - 1)
    keepalive_ms: int = _limit(30_000, 1, (1 << 31) - 1)
    idle_ms: int = _limit(90_000, 1, (1 << 31) - 1)

    def __attrs_post_init__(self) -> None:
        if self.receive_budget < charge(self.max_message):
            raise ValueError("receive_budget is below the charge of one element; it could never be sent")

    def lowered_to(self, other: Limits) -> Limits:
        """What holds between two sides: the lower of each, but this side's own receive_budget."""
        mine, theirs = asdict(self), asdict(other)
        lower = {name: min(mine[name], theirs[name]) for name in mine}
        return Limits(**{**lower, "receive_budget": self.receive_budget})


@frozen
class Hello:
    """What one side says of itself before anything else."""

    node_id: bytes
    nonce: bytes
    limits: Limits = Limits()
    version_min: int = VERSION
    version_max: int = VERSION
    capabilities: int = 0
    software: str = ""

    def __attrs_post_init__(self) -> None:
        if len(self.node_id) != NODE_ID_SIZE or len(self.nonce) != NONCE_SIZE:
            raise ValueError(f"a node id has {NODE_ID_SIZE} bytes, a nonce {NONCE_SIZE}")
        if not 0 < self.version_min <= self.version_max < 1 << 16:
            raise ValueError(f"versions {self.version_min} to {self.version_max} are no range of 1 to 65535")


@frozen
class Agreement:
    """What both sides hold to; ``peer_budget`` is how many bytes of unanswered SENDs the peer holds for us.

    ``features`` are those that both have.
    """

    version: int
    limits: Limits
    peer_budget: int
    features: Feature = _NO_FEATURES


def encode_hello(hello: Hello) -> bytes:
    """The payload of a HELLO: fixed fields of 64 bytes, then items."""
    items = {_CAPABILITIES: _MASK.pack(hello.capabilities)} if hello.capabilities else {}
    if hello.software:
        items[_SOFTWARE] = hello.software.encode()[:_MAX_SOFTWARE].decode(errors="ignore").encode()
    versions = (hello.version_min, hello.version_max)
    fixed = _FIXED.pack(MAGIC, *versions, hello.node_id, hello.nonce, *astuple(hello.limits))
    return fixed + encode_tlvs(items)


def decode_hello(payload: bytes) -> Hello:
    """Read a HELLO. Raises ProtocolError for what is malformed, NotSupported for an item that may not be ignored."""
    if len(payload) > MAX_HELLO:
        raise ProtocolError(f"HELLO has {len(payload)} bytes, the limit is {MAX_HELLO}")
    fields = Fields(payload, "HELLO")
    magic, version_min, version_max, node_id, nonce, *numbers = fields.take(_FIXED)
    if magic != MAGIC:
        raise ProtocolError(f"HELLO begins with {magic!r}: the peer does not speak kcoro")
    items = fields.tlvs()
    try:
        return Hello(node_id, nonce, Limits(*numbers), version_min, version_max, _capabilities(items), _software(items))
    except ValueError as error:
        raise ProtocolError(f"HELLO: {error}") from error


def agree(mine: Hello, theirs: Hello) -> Agreement:
    """What holds between two sides.

    Raises NotSupported when no version is common, ProtocolError when the peer's HELLO is our own, come back.
    """
    if (mine.node_id, mine.nonce) == (theirs.node_id, theirs.nonce):
        raise ProtocolError("HELLO is our own: this address leads back to the same connection")
    version = min(mine.version_max, theirs.version_max)
    if version < max(mine.version_min, theirs.version_min):
        raise NotSupported(
            f"no common version: here {mine.version_min} to {mine.version_max}, "
            f"there {theirs.version_min} to {theirs.version_max}; install the newer kcoro on the older side"
        )
    features = Feature(mine.capabilities & theirs.capabilities & sum(Feature))
    return Agreement(version, mine.limits.lowered_to(theirs.limits), theirs.limits.receive_budget, features)


def hello_hash(connecting: bytes, accepting: bytes) -> bytes:
    """SHA-256 over both HELLO frames, headers included, the connecting side's first."""
    return hashlib.sha256(connecting + accepting).digest()


def _capabilities(items: dict[int, bytes]) -> int:
    unknown = [kind for kind in items if kind not in (_CAPABILITIES, _SOFTWARE) and not kind & IGNORABLE]
    if unknown:
        raise NotSupported(f"HELLO: items {unknown} may not be ignored, and are not known here")
    if _CAPABILITIES not in items:
        return 0
    mask = Fields(items[_CAPABILITIES], "HELLO capabilities")
    (number,) = mask.take(_MASK)
    mask.end()
    return int(number)


def _software(items: dict[int, bytes]) -> str:
    text = items.get(_SOFTWARE, b"")
    return Fields(text, "HELLO software").text(len(text), "its name", _MAX_SOFTWARE)
