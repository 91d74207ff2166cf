# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Error numbers on the wire: our own, fixed for ever, independent of any operating system's errno (row E2).

Rule 1: REPLY and BYE carry 0 for success or the number negated; nothing else leaves this module.
Rule 2: a number nobody knows still ends its operation, as ProtocolError; it never ends the connection.
Rule 3: LinkLost and TransportError have no number: they are news of this side, never of the peer.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from .. import errors

__all__ = ["ERROR_OF", "WireCode", "code_of", "error_of"]


class WireCode(enum.IntEnum):
    """How an operation ended, as the peer tells it; the value is what the wire carries, negated."""

    OK = 0
    """The request was done; it is never an error."""
    EAGAIN = 1
    """A try found nobody to work with; nothing happened."""
    ETIME = 2
    """The home gave the request up after its time hint; nothing happened."""
    ECANCELED = 3
    """Cancelled before it had an effect."""
    EPIPE = 4
    """The channel is closed, for a receive also drained."""
    ENOTSUP = 5
    """The peer does not do this: a command, a version, a kind, a codec."""
    EMSGSIZE = 6
    """The element is larger than the channel takes."""
    ENOBUFS = 7
    """A bound that protects the peer's memory was reached."""
    EACCES = 8
    """The handle or the peer lacks the right to do this."""
    ENOENT = 9
    """Nothing of that name is exported."""
    EEXIST = 10
    """The name is taken, and the request asked for a new channel."""
    EOVERFLOW = 11
    """More was sent than had been granted."""
    EPROTO = 12
    """The peer was sent something that the protocol does not allow."""
    EINVAL = 13
    """The request contradicts itself or what exists: a kind, a capacity, a policy that does not match."""
    EFAULT = 14
    """The peer failed while it worked on the request; known not done."""


ERROR_OF: Final[Mapping[WireCode, type[Exception]]] = {
    WireCode.EAGAIN: errors.WouldBlock,
    WireCode.ETIME: errors.DeadlineExceeded,
    WireCode.ECANCELED: errors.OperationCancelled,
    WireCode.EPIPE: errors.ChannelClosed,
    WireCode.ENOTSUP: errors.NotSupported,
    WireCode.EMSGSIZE: errors.MessageTooLong,
    WireCode.ENOBUFS: errors.NoBuffers,
    WireCode.EACCES: errors.AccessDenied,
    WireCode.ENOENT: errors.NotFound,
    WireCode.EEXIST: errors.AlreadyExists,
    WireCode.EOVERFLOW: errors.CreditOverrun,
    WireCode.EPROTO: errors.ProtocolError,
    WireCode.EINVAL: ValueError,
    WireCode.EFAULT: errors.ProtocolError,
}
"""What a program sees for each number."""

_CODE_OF: Final = {error: code for code, error in ERROR_OF.items() if code is not WireCode.EFAULT}


def code_of(error: BaseException) -> WireCode:
    """The number for an error that an operation raised at its home; EFAULT for whatever has none.

    The text of a foreign exception is not sent: it may hold what the peer must not see.
    """
    for base in type(error).__mro__:
        if base in _CODE_OF:
            return _CODE_OF[base]
    return WireCode.EFAULT


def error_of(number: int, text: str = "") -> Exception:
    """An instance of what a program sees for a number from the wire, ready to be raised.

    Raises ValueError for 0, which is no error.
    """
    try:
        known = ERROR_OF.get(WireCode(number))
    except ValueError:
        return errors.ProtocolError(f"the peer answered with the unknown error number {number}: {text}")
    if known is None:
        raise ValueError("0 is success, not an error")
    return known(text)
