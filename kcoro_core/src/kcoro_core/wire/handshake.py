# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The order of the first frames: HELLO and CONFIRM of the peer, each once; only BYE may come in between.

Rule 1: the peer's HELLO is read, compared and hashed before anything of ours depends on it.
Rule 2: our CONFIRM is the hash of both HELLOs as seen from here; the peer's must be the same.
"""

from __future__ import annotations

from ..errors import ProtocolError
from .commands import Command, command_name
from .frame import Frame
from .hello import MAX_HELLO, Agreement, Hello, agree, decode_hello, encode_hello, hello_hash

__all__ = ["Handshake"]


class Handshake:
    """What one end knows of the other before channels are possible."""

    def __init__(self, connecting: bool, mine: Hello) -> None:
        self._connecting = connecting
        self._mine = mine
        self._hash = b""
        self.peer: Hello | None = None
        self.agreement: Agreement | None = None
        self.frame_limit = MAX_HELLO
        """Payload bytes of the largest frame that may come now."""

    @property
    def hello(self) -> bytes:
        """The payload of our HELLO."""
        return encode_hello(self._mine)

    @property
    def expected(self) -> Command:
        """What must come next."""
        return Command.HELLO if self.peer is None else Command.CONFIRM

    def check(self, frame: Frame) -> None:
        """Raise ProtocolError for anything but the frame that must come next."""
        if frame.command != self.expected or frame.channel_id or frame.request_id or frame.flags:
            raise ProtocolError(f"{command_name(frame.command)} where {self.expected.name} must come")

    def hear_hello(self, frame: Frame) -> bytes:
        """Read the peer's HELLO; the payload of our CONFIRM. Raises NotSupported without a common version."""
        self.peer = decode_hello(frame.payload)
        agreement = agree(self._mine, self.peer)
        mine, theirs = Frame(Command.HELLO, parts=(self.hello,)).encode(), frame.encode()
        self._hash = hello_hash(mine, theirs) if self._connecting else hello_hash(theirs, mine)
        self.agreement = agreement
        self.frame_limit = agreement.limits.max_frame
        return self._hash

    def hear_confirm(self, frame: Frame) -> tuple[Agreement, Hello]:
        """Compare the peer's hash with ours; what both agreed on."""
        if self.agreement is None or self.peer is None or frame.payload != self._hash:
            raise ProtocolError("CONFIRM: the HELLOs were changed on their way; something between us rewrites frames")
        return self.agreement, self.peer
