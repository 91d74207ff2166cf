# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Grants on the wire: three totals, alone as an extension or for many channels in one CREDIT frame.

Rule 1: all three are totals since OPEN, modulo 2^32, so a doubled or a late grant does no harm.
Rule 2: a total never goes back, and never jumps by 2^31 or more; on an ordered transport that is a protocol error.
Rule 3: no more than MAX_WINDOW is ever granted ahead of what was used, so that rule 2 can tell the two apart.

Normative twin: docs/spec/wire.md.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..errors import ProtocolError
from .fields import Fields

__all__ = [
    "GRANT_SIZE",
    "MAX_CREDITS",
    "MAX_QUESTIONS",
    "MAX_WINDOW",
    "Grant",
    "advance",
    "decode_credit",
    "encode_credit",
]

MAX_WINDOW: Final = 1 << 30
"""The most that may be granted ahead of what was used: slots, or bytes by ``charge``."""
MAX_QUESTIONS: Final = 64
"""RECALLs with KEEP of one handle that are not answered, at most: each is one frame that waits at the opener."""
MAX_CREDITS: Final = 250
"""Grants in one CREDIT frame, so that it fits into the smallest frame that can be agreed."""

_MASK: Final = 0xFFFF_FFFF
_GRANT: Final = struct.Struct(">III")
_CREDIT: Final = struct.Struct(">IIII")

GRANT_SIZE: Final = _GRANT.size
"""Bytes of the extension that the flag GRANT announces."""


class Grant(NamedTuple):
    """What a home grants on one handle, as totals since OPEN.

    ``accepted_total``  DATA and SENDs of this handle that the home is done with: taken in, or answered
    ``msg_limit``       how many DATA and SENDs may be written in all, for a slot to be there for each
    ``byte_limit``      what the elements of all DATA may cost, by ``charge``
    """

    accepted_total: int
    msg_limit: int
    byte_limit: int

    def encode(self) -> bytes:
        """The 12 bytes of the extension."""
        return _GRANT.pack(*(total & _MASK for total in self))

    @classmethod
    def decode(cls, fields: Fields) -> Grant:
        """Read the extension; the totals are still modulo 2^32."""
        return cls(*fields.take(_GRANT))


def advance(total: int, heard: int, what: str) -> int:
    """The total that ``heard``, which is modulo 2^32, stands for. Raises ProtocolError for a step back or a jump."""
    step = (heard - total) & _MASK
    if step > _MASK >> 1:
        raise ProtocolError(f"a grant takes {what} from {total & _MASK} to {heard}: back, or 2^31 and more ahead")
    return total + step


def encode_credit(grants: Sequence[tuple[int, Grant]]) -> bytes:
    """The payload of CREDIT: 1 to MAX_CREDITS channel ids, each with its grant."""
    return b"".join(_CREDIT.pack(channel_id, *(total & _MASK for total in grant)) for channel_id, grant in grants)


def decode_credit(fields: Fields) -> list[tuple[int, Grant]]:
    """Read the payload of a CREDIT; ProtocolError when it is malformed."""
    payload = fields.rest()
    if not 0 < len(payload) <= MAX_CREDITS * _CREDIT.size or len(payload) % _CREDIT.size:
        raise ProtocolError(f"CREDIT: {len(payload)} bytes are no list of 1 to {MAX_CREDITS} grants")
    return [(channel_id, Grant(*totals)) for channel_id, *totals in _CREDIT.iter_unpack(payload)]
