# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What users pass to links: names, counts and addresses, checked before anything is started."""

from __future__ import annotations

from ..wire.messages import MAX_NAME

__all__ = ["address_of", "check_count", "check_name"]


def check_name(name: object) -> str:
    """A name for a channel, as both sides check it.

    :raises ValueError: it is no text of 1 to 255 bytes.
    """
    if not isinstance(name, str) or not 0 < len(name.encode(errors="replace")) <= MAX_NAME:
        raise ValueError(f"the name of a channel is a text of 1 to {MAX_NAME} bytes, not {name!r}")
    return name


def check_count(value: object, least: int, what: str) -> int:
    """A whole number of at least ``least``; ``what`` names the argument and says what it counts.

    :raises ValueError: it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{what}: a whole number >= {least}, not {value!r}")
    return value


def address_of(uri: str) -> str:
    """The address of a listener, without the ``#name`` of a channel that may stand behind it."""
    return uri.partition("#")[0]
