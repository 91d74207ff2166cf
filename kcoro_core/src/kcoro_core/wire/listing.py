# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Names that a peer may open, page by page: LIST on channel 0, for either side.

Rule 1: names come in the order of their bytes, each page behind the last name that the peer has seen; so what is
exported or withdrawn meanwhile moves nothing else.
Rule 2: a page has at most PAGE bytes, so that unread answers have a bound; one name fits into every page.
"""

from __future__ import annotations

from typing import Final

from ..errors import ProtocolError
from .calls import Calls
from .commands import Command
from .events import Event
from .fields import Fields
from .frame import Frame
from .home import Home
from .life import Life
from .messages import Listed, encode_list, encode_listed
from .opener import Opener
from .routes import Routes
from .states import State

__all__ = ["PAGE", "Listing", "page_of"]

PAGE: Final = 4000
"""Bytes of the entries of one page: they fit into the smallest frame that can be agreed."""


class Listing:
    """Both sides' questions for names on one connection."""

    def __init__(self, life: Life, calls: Calls, opener: Opener, home: Home) -> None:
        self._life = life
        self._calls = calls
        self._opener = opener
        self._home = home

    def fill(self, routes: Routes) -> None:
        """Say what this part takes."""
        routes.control[Command.LIST] = self._on_list

    def ask(self, after: str) -> int:
        """Ask for the page behind this name; the id of the request."""
        self._opener.requests.check_room()
        return self._opener.ask(self._calls.mine, Command.LIST, (encode_list(after),)).request_id

    def _on_list(self, frame: Frame, _now: float, events: list[Event]) -> None:
        if frame.flags:
            raise ProtocolError(f"LIST takes no flags, not {frame.flags:#x}")
        if self._life.state is State.OPEN:
            self._home.on_list(self._calls.theirs, frame, Fields(frame.payload, "LIST"), events)


def page_of(names: list[Listed]) -> tuple[list[Listed], bool]:
    """As many of these as fit into a page, and whether more are left."""
    size = 0
    for count, one in enumerate(names):
        size += len(encode_listed([one], more=False)) - 1
        if size > PAGE:
            return names[:count], True
    return names, False
