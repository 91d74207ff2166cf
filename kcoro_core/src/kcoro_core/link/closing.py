# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Reasons of a close on their way over a link: what ``close(reason)`` was given, as far as text can carry it.

Rule 1: None stays None, a text stays itself; anything else arrives as its ``repr``, an exception inside a PeerError.
Rule 2: only an exception as reason makes an ``async for`` at the other side end with an error, as it does locally.
"""

from __future__ import annotations

from ..errors import ChannelClosed
from ..wire.messages import Closing, Reason

__all__ = ["PeerError", "closed_error", "closing_of", "reason_of"]


class PeerError(Exception):
    """Stands for an exception that was given as reason at the other side of a link; its text is all that travels."""


def closing_of(reason: object, cancel: bool = False) -> Closing:
    """What goes over the wire for a reason."""
    if reason is None:
        return Closing(Reason.NONE, "", cancel)
    if isinstance(reason, BaseException):
        return Closing(Reason.ERROR, str(reason) if isinstance(reason, PeerError) else repr(reason), cancel)
    return Closing(Reason.TEXT, reason if isinstance(reason, str) else repr(reason), cancel)


def reason_of(closing: Closing) -> object:
    """The reason that came over the wire."""
    if closing.reason is Reason.ERROR:
        return PeerError(closing.text)
    return closing.text if closing.reason is Reason.TEXT else None


def closed_error(what: str, closing: Closing | None, text: str = "") -> ChannelClosed:
    """A new error for one caller: ``what`` is closed, and why; ``text`` where no news of a close came."""
    reason = reason_of(closing) if closing is not None else text or None
    why = "" if reason is None else f", reason {reason!r}"
    return ChannelClosed(f"{what} is closed{why}", reason=reason)
