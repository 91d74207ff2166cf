# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The home's ledger of pushed elements: each keeps its slot until the receiving side has confirmed it.

Rule 1: an element that was pushed is unsettled until TAKEN, PUTBACK, DETACH or the end of the connection.
Rule 2: elements that come back go to the head together and in their old order: the first one waits until all that
were pushed before that moment are settled. One by one, a second PUTBACK would land in front of the first.
Rule 3: a close of the channel reaches receivers only when ``unsettled`` is 0.
"""

from __future__ import annotations

from attrs import define, field

from ..errors import ProtocolError

__all__ = ["Ledger"]


@define(eq=False)
class Ledger:
    """Pushed elements of one channel on one link, by the id of the receive that they answer, in order of pushing."""

    _pushed: dict[int, int] = field(factory=dict)
    _written: dict[int, None] = field(factory=dict)
    _returned: dict[int, int] = field(factory=dict)
    _serial: int = 0
    # Elements pushed up to here must be settled before what came back is handed on; -1: nothing came back.
    _barrier: int = -1

    @property
    def unsettled(self) -> int:
        """How many elements are neither confirmed nor back at the head."""
        return len(self._pushed) + len(self._returned)

    def __contains__(self, request_id: int) -> bool:
        """Whether the element that answered this receive is under way, or back and waiting for its neighbours."""
        return request_id in self._pushed or request_id in self._returned

    def push(self, request_id: int) -> None:
        """An element was queued for the peer."""
        self._serial += 1
        self._pushed[request_id] = self._serial

    def written(self, request_id: int) -> None:
        """All of it is on its way: from now on it may have been received."""
        if request_id in self._pushed:  # else its receiver has detached while it was under way in pieces
            self._written[request_id] = None

    def take(self, request_id: int) -> tuple[int, ...]:
        """The receiver confirmed it. Returns ids of elements to put back now, in order."""
        self._settle(request_id)
        return self._release()

    def put_back(self, request_id: int) -> tuple[int, ...]:
        """The receiver gave it back. Returns ids of elements to put back now, in order; maybe not yet this one."""
        self._returned[request_id] = self._settle(request_id)
        if self._barrier < 0:
            self._barrier = self._serial
        return self._release()

    def clear(self) -> list[tuple[int, bool, bool]]:
        """Take all out in order of pushing: (id, whether it was written, whether it had come back)."""
        everything = sorted({**self._pushed, **self._returned}.items(), key=lambda item: item[1])
        left = [(key, key in self._written or key in self._returned, key in self._returned) for key, _ in everything]
        self._pushed.clear()
        self._written.clear()
        self._returned.clear()
        return left

    def _settle(self, request_id: int) -> int:
        if request_id not in self._written:
            raise ProtocolError(f"request {request_id} is confirmed or put back, but no element of it is under way")
        del self._written[request_id]
        return self._pushed.pop(request_id)

    def _release(self) -> tuple[int, ...]:
        if self._barrier < 0 or next(iter(self._pushed.values()), self._barrier + 1) <= self._barrier:
            return ()
        ready = tuple(sorted(self._returned, key=self._returned.__getitem__))
        self._returned.clear()
        self._barrier = -1
        return ready
