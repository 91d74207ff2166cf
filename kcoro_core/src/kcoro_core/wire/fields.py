# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Reading and writing the fields of a payload: fixed structures, short texts, type-length-value lists.

Rule 1: what is missing, left over or too long is a ProtocolError that names the payload and the field.
Rule 2: a size is checked before the bytes it counts are copied.
Rule 3: texts are UTF-8 and short; nothing here builds objects from a peer's bytes but numbers, texts and bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import ProtocolError
from .commands import command_name

__all__ = ["MAX_TEXT", "MAX_TLVS", "MAX_TLV_VALUE", "Fields", "encode_tlvs", "short_text"]

MAX_TEXT: Final = 256
"""Bytes of the longest free text on the wire: a reason, the cause of a refusal, a farewell."""
MAX_TLVS: Final = 32
"""How many type-length-value items one payload may carry."""
MAX_TLV_VALUE: Final = 1024
"""Bytes of the longest value of one item."""

_TLV: Final = struct.Struct(">HH")


class Fields:
    """A cursor over one payload; ``what``, a text or the number of a command, names it in errors.

    ``tail`` is what follows the payload in pieces of its own; only ``rest`` and ``left`` reach into it. ``dropped`` is
    the size of an element that was not kept, since its channel does not take it: ``rest`` is empty then.
    """

    __slots__ = ("_at", "_name", "_payload", "_tail", "dropped")

    def __init__(self, payload: bytes, what: str | int, start: int = 0) -> None:
        self._payload = payload
        self._name = what
        self._at = start
        self._tail: Sequence[bytes] = ()
        self.dropped = 0

    @property
    def _what(self) -> str:
        return self._name if isinstance(self._name, str) else command_name(self._name)

    @property
    def left(self) -> int:
        """Bytes that were not taken yet."""
        return len(self._payload) - self._at + sum(map(len, self._tail))

    def follow(self, tail: Sequence[bytes]) -> None:
        """Put more behind what is here."""
        self._tail = tail

    def drop(self, kept: int, size: int) -> None:
        """Keep so many bytes more, and of the element behind them only its size."""
        self._payload, self.dropped = self._payload[: self._at + kept], size

    def take(self, layout: struct.Struct) -> tuple[Any, ...]:
        """The numbers of a fixed structure."""
        start = self._at
        self._at = end = start + layout.size
        if end > len(self._payload):
            raise self._missing(start, layout.size, "fixed fields")
        return layout.unpack_from(self._payload, start)

    def raw(self, size: int, name: str) -> bytes:
        """Exactly ``size`` bytes."""
        end = self._at + size
        if end > len(self._payload):
            raise self._missing(self._at, size, name)
        piece = self._payload[self._at : end]
        self._at = end
        return piece

    def _missing(self, start: int, size: int, name: str) -> ProtocolError:
        return ProtocolError(f"{self._what}: {name} needs {size} bytes, {len(self._payload) - start} are left")

    def text(self, size: int, name: str, limit: int = MAX_TEXT) -> str:
        """A UTF-8 text of ``size`` bytes, at most ``limit``."""
        if size > limit:
            raise ProtocolError(f"{self._what}: {name} has {size} bytes, the limit is {limit}")
        try:
            return self.raw(size, name).decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"{self._what}: {name} is not UTF-8") from error

    def rest_text(self, name: str) -> str:
        """The remainder, as a text of at most MAX_TEXT bytes."""
        return self.text(self.left, name)

    def rest(self) -> bytes:
        """The remainder as it is: an element."""
        piece = self._payload[self._at :]
        self._at = len(self._payload)
        if self._tail:
            piece, self._tail = b"".join((piece, *self._tail)), ()
        return piece

    def tlvs(self) -> dict[int, bytes]:
        """The remainder as type-length-value items, by type; a repeated type is an error."""
        items: dict[int, bytes] = {}
        while self._at < len(self._payload):
            kind, size = self.take(_TLV)
            if size > MAX_TLV_VALUE or len(items) == MAX_TLVS:
                raise ProtocolError(f"{self._what}: more than {MAX_TLVS} items, or one above {MAX_TLV_VALUE} bytes")
            if kind in items:
                raise ProtocolError(f"{self._what}: item {kind} stands there twice")
            items[kind] = self.raw(size, f"item {kind}")
        return items

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._payload)

    def end(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._payload) or self._tail:
            raise ProtocolError(f"{self._what}: {self.left} bytes too many")


def encode_tlvs(items: Mapping[int, bytes]) -> bytes:
    """The items in order of their types. Raises ValueError beyond the caps that every reader enforces."""
    if len(items) > MAX_TLVS or any(len(value) > MAX_TLV_VALUE for value in items.values()):
        raise ValueError(f"at most {MAX_TLVS} items of at most {MAX_TLV_VALUE} bytes")
    return b"".join(_TLV.pack(kind, len(value)) + value for kind, value in sorted(items.items()))


def short_text(text: str) -> bytes:
    """A text as at most MAX_TEXT bytes of UTF-8, cut between characters: texts inform people, they decide nothing."""
    return text.encode(errors="replace")[:MAX_TEXT].decode(errors="ignore").encode()
