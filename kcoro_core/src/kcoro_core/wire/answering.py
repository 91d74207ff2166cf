# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the owner of a connection answers, tells and lends as the home of channels, each a line of a part.

Rule 1: an answer that nobody is left to hear is no error: it returns False, and has had no effect.
Rule 2: an answer that nobody waits for is misuse: ValueError, and nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .ahead import Ahead
from .codes import WireCode
from .home import Home
from .lender import Lender
from .life import Life
from .listing import page_of
from .lossy import Lossy
from .messages import (
    Attributes,
    ChannelInfo,
    Closing,
    Listed,
)
from .remote_select import HomeSelects, Readiness
from .slots import Slots
from .states import State

__all__ = ["Answering"]


class Answering:
    """The answers of a connection; ``Connection`` is made of this and ``Asking``."""

    _ahead: Ahead
    _hints: HomeSelects
    _home: Home
    _lender: Lender
    life: Life
    lossy: Lossy

    # Each returns False, without effect, when nobody is left to hear: the connection ended, or (push) the receiver
    # detached. Each raises ValueError for a request that waits for no answer, or for another one.

    def accept(self, request_id: int, attributes: Attributes) -> bool:
        """Answer OpenRequested. ``max_message`` is lowered to what this link carries."""
        return self.life.answering and self._home.accept(request_id, attributes)

    def done(self, request_id: int) -> bool:
        """Answer SendRequested (the element is accepted) or CloseRequested."""
        return self.life.state is State.OPEN and self._home.done(request_id)

    def push(self, request_id: int, element: bytes, redelivered: bool = False) -> bool:
        """Answer RecvRequested with an element: its slot is held until ElementTaken or ElementsReturned.

        False: the receiver is gone, nothing was queued, and the element is still yours.
        """
        return self.life.answering and self._home.push(request_id, element, redelivered)

    def names(self, request_id: int, names: Sequence[Listed]) -> bool:
        """Answer ListRequested with all names behind the one it told, in the order of their bytes; a page goes out."""
        return self.life.answering and self._home.names(request_id, *page_of([*names]))

    def inform(self, request_id: int, info: ChannelInfo) -> bool:
        """Answer InfoRequested."""
        return self.life.answering and self._home.inform(request_id, info)

    def answer(self, request_id: int, result: bytes) -> bool:
        """Answer CallRequested, if its id is not 0, with the result."""
        return self.life.answering and self._home.answer(request_id, result)

    def refuse(self, request_id: int, code: WireCode, text: str = "") -> bool:
        """Answer any request with an error; the text is for people, and cut to 256 bytes."""
        return self.life.answering and self._home.refuse(request_id, code, text)

    def notify(self, registration: int, events: Readiness, token: int) -> bool:
        """Tell a registration of the peer that it has the turn, or (CLOSED) will have none any more."""
        return self.life.answering and self._hints.notify(registration, events, token)

    def tell_closed(self, channel_id: int, closing: Closing) -> bool:
        """Tell the opener of a handle that its channel was closed; False also when it was told, or has detached."""
        return self.life.answering and self._home.tell_closed(channel_id, closing)

    # --- elements that may be lost -----------------------------------------------------------------------------------

    def start_lossy(self, channel_id: int) -> bool:
        """Begin to send elements to a handle whose OPEN said LOSSY, right behind accept."""
        return self.life.answering and self.lossy.start(channel_id)

    def send_lossy(self, channel_id: int, element: bytes, whole: bool, on_written: Callable[[], object]) -> bool:
        """Send the next element, as a datagram or (``whole``) as a frame; ``on_written`` is called when it is out.

        False, without effect, when nobody is left to hear. A datagram has room for as many bytes as its medium
        says, less OVERHEAD.
        """
        send = self.lossy.send_whole if whole else self.lossy.send
        return self.life.answering and send(channel_id, element, on_written)

    def repeat_lossy(self, channel_id: int, element: bytes, on_written: Callable[[], object]) -> bool:
        """Send the element that was sent last once more, as a frame, so that it surely arrives; as ``send_lossy``."""
        return self.life.answering and self.lossy.repeat(channel_id, element, on_written)

    def end_lossy(self, channel_id: int, code: WireCode, text: str = "") -> bool:
        """Say that no element of this handle follows: EPIPE when its channel is closed and drained, or why else."""
        return self.life.answering and self.lossy.end(channel_id, code, text)

    # --- lending ---------------------------------------------------------------------------------------------------

    # All raise ValueError for what is no open handle of the peer, or not in the state that ``states.py`` demands.

    def start_lending(self, channel_id: int, window: int, consumes: bool = False) -> bool:
        """Begin to lend at most ``window`` slots at a time, right behind accept; False where that cannot be.

        ``consumes``: bytes are granted again when ``note_held`` says that elements have been taken.
        """
        return self.life.answering and self._lender.start(channel_id, window, consumes)

    def lend(self, channel_id: int, free: float) -> int:
        """Lend of ``free`` slots as many as are worth telling, and grant bytes again; returns how many slots."""
        return self._lender.lend(channel_id, free) if self.life.answering else 0

    def lent(self, channel_id: int) -> Slots:
        """What is lent to a handle of the peer, to look at; ValueError where lending was not started."""
        return self._lender.slots(channel_id)

    def note_held(self, channel_id: int, held: int) -> None:
        """Elements of this handle hold so many bytes, by ``charge``, in a channel that has no bound of its own."""
        self._lender.hold(channel_id, held)

    @property
    def lending_window(self) -> int:
        """Bytes, by ``charge``, that one handle of the peer is granted at most."""
        return self._lender.budget.window

    def recall(self, channel_id: int) -> bool:
        """Ask for the slots back; SlotsReturned follows. False: the connection is ending, they are lost with it."""
        return self.life.answering and self._lender.recall(channel_id)

    def recall_ahead(self, channel_id: int) -> bool:
        """Ask for elements that the peer has ahead, and push nothing more before AheadReturned. False as for recall."""
        return self.life.answering and self._ahead.recall(channel_id)

    def ask(self, channel_id: int) -> bool:
        """Ask for an answer behind all data; SlotsReturned with ``keep`` follows. False as for recall."""
        return self.life.answering and self._lender.ask(channel_id)
