# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What this side lets its peers open: names, each with a channel of this process and the rights that go with it.

A Channel gives the rights to send, receive and close; a Sender the right to send, a Receiver the right to receive. The
halves are borrowed: they count as before, handles of peers are no clones, and the end of a link closes none of them.

Rule 1: everything about an export is checked here, before anybody listens or dials.
Rule 2: an exported channel belongs to the run that exported it, as if an operation had parked on it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, frozen

from ..channel import Channel
from ..errors import NotSupported
from ..halves import Receiver, Sender
from ..hosts.port import Host
from ..wire.frame import MAX_FRAME_CEILING
from ..wire.messages import Rights
from .arguments import REQUEUE, check_export, check_name, check_redelivery

__all__ = ["ALL_RIGHTS", "Export", "Exports", "exports_of"]

ALL_RIGHTS = Rights.SEND | Rights.RECV | Rights.CLOSE
"""What the export of a whole Channel offers; a half offers its own direction only."""


@frozen
class Export:
    """One name that peers may open. ``requeues``: what a lost link leaves in doubt goes back to the head."""

    name: str
    channel: Channel[Any]
    rights: Rights
    requeues: bool = False
    max_message: int = MAX_FRAME_CEILING


Exports = dict[str, Export]
"""What one side exports, by name; checked when it was made."""


def exports_of(offered: Mapping[str, object], host: Host, redelivery: object = "drop") -> Exports:
    """Check what a program exports and bind it to this run.

    ``redelivery`` is the policy for all of them, or a mapping of names to policies; others are dropped and reported.

    :raises ValueError: no mapping, a name that no peer could ask for, a value that is no Channel and no open half, or a
        policy that does not exist or is for a name that is not exported.
    :raises WrongLoop: a channel belongs to another run; nothing was exported.
    :raises NotSupported: a handle of another link.
    """
    names = check_export(offered)
    policies = check_redelivery(redelivery, names)
    exports = {
        name: evolve(_export(check_name(name), end), requeues=policies[name] == REQUEUE) for name, end in names.items()
    }
    for export in exports.values():
        export.channel._enter(host)
    for export in exports.values():
        export.channel._home = host
    return exports


def _export(name: str, end: object) -> Export:
    if isinstance(end, Channel):
        return Export(name, end, ALL_RIGHTS)
    if isinstance(end, Sender):
        return Export(name, end.channel, Rights.SEND)
    if isinstance(end, Receiver):
        return Export(name, end.channel, Rights.RECV)
    if getattr(end, "is_remote", False):
        raise NotSupported(f"{name!r} is a handle of another link, which cannot be exported yet")
    raise ValueError(f"export {name!r} must be a Channel, a Sender or a Receiver, not {end!r}")
