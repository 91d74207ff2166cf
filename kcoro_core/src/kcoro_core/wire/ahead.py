# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Elements ahead of a receive: RECVs that nobody waits for yet, recalled once, as lent slots are.

A RECV with the flag AHEAD stands at the home like any other; its element lies at the opener until somebody receives it,
and is confirmed only then. RECALL and RETURN with AHEAD are about these.

Rule 1: when the home recalls, it sends nothing more to any RECV of that handle before the RETURN.
Rule 2: in front of the RETURN the opener puts every element back that nobody took, and cancels every RECV that nobody
waits for; those that are left are waited for, and keep their places.
Rule 3: behind the RETURN no RECV of that handle is ahead any more, for ever.
"""

from __future__ import annotations

from ..errors import ProtocolError
from .commands import Command, Flag
from .events import AheadRecalled, AheadReturned, Event
from .handles import Handle, HandleTable
from .outbox import Entry, Outbox
from .states import HandleState, LendState, LendStep

__all__ = ["Ahead"]

_AHEAD = int(Flag.AHEAD)


class Ahead:
    """Both ends of it, for all handles of one connection."""

    def __init__(self, outbox: Outbox, handles: HandleTable) -> None:
        self._outbox = outbox
        self._handles = handles

    # -- at the opener

    def begin(self, handle: Handle) -> None:
        """A RECV ahead is about to be queued. Raises ValueError where that is over."""
        if handle.ahead is LendState.RECALLING or handle.ahead_over:
            raise ValueError(f"elements ahead were recalled on channel {handle.id}")
        if handle.ahead is LendState.REQUEST:
            handle.step_ahead(LendStep.LEND)

    def on_recall(self, handle: Handle, plain: bool, events: list[Event]) -> None:
        """The home wants untaken elements back; ``plain``: the frame says nothing else."""
        if handle.ahead is not LendState.LENT or not plain:
            raise ProtocolError(f"RECALL on channel {handle.id}, where nothing was asked for ahead")
        handle.step_ahead(LendStep.RECALL)
        events.append(AheadRecalled(handle.id))

    def give_back(self, channel_id: int) -> None:
        """Everything that nobody took or waits for is on its way back."""
        handle = self._handles.mine(channel_id)
        handle.step_ahead(LendStep.RETURN)
        self._outbox.put(Entry(Command.RETURN, channel_id, flags=_AHEAD))

    # -- at the home

    def hear(self, handle: Handle) -> None:
        """A RECV ahead was read."""
        if handle.ahead_over:
            raise ProtocolError(f"RECV ahead on channel {handle.id}, behind the RETURN")
        if handle.ahead is LendState.REQUEST:
            handle.step_ahead(LendStep.LEND)

    def recall(self, channel_id: int) -> bool:
        """Ask for untaken elements; AheadReturned follows. Raises ValueError for no open handle of the peer."""
        handle = self._handles.find(channel_id)
        if handle is None or handle.mine or handle.state is not HandleState.OPEN:
            raise ValueError(f"channel {channel_id} is not an open handle of the peer")
        handle.step_ahead(LendStep.RECALL)
        self._outbox.put(Entry(Command.RECALL, channel_id, flags=_AHEAD))
        return True

    def on_return(self, handle: Handle, plain: bool, events: list[Event]) -> None:
        """What was recalled is back; ``plain``: the frame says nothing else."""
        if handle.ahead is not LendState.RECALLING or not plain:
            raise ProtocolError(f"RETURN on channel {handle.id} of elements that were not recalled")
        handle.step_ahead(LendStep.RETURN)
        events.append(AheadReturned(handle.id))
