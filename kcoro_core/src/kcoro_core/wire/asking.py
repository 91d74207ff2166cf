# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What the owner of a connection may ask of its peer: the commands of the opener, each a line of a part.

Rule 1: a command asks its connection's life first, then the part that knows; what raises has changed nothing.
Rule 2: each request ends with exactly one event, which its text names.
"""

from __future__ import annotations

from .ahead import Ahead
from .borrower import Sent
from .calls import Calls
from .events import LossReport
from .handles import HandleTable
from .life import Life
from .listing import Listing
from .messages import (
    FOREVER_MS,
    Closing,
    OpenRequest,
)
from .opener import Opener
from .remote_select import OpenerSelects, Readiness
from .states import State

__all__ = ["Asking"]


class Asking:
    """The commands of a connection; ``Connection`` is made of this and ``Answering``."""

    _ahead: Ahead
    _calls: Calls
    _handles: HandleTable
    life: Life
    _listing: Listing
    _opener: Opener
    _report: LossReport | None
    _selects: OpenerSelects

    def open(self, wanted: OpenRequest) -> int:
        """Ask for a channel by name; ends with Opened or ReplyReceived. Returns the request id.

        Raises NoBuffers at max_channels or max_inflight_requests, ValueError for a name or codec that is too long,
        LinkLost once the connection ends. Like all commands: what raises has changed nothing.
        """
        self.life.check_open()
        return self._opener.open(wanted)

    def send(self, channel_id: int, element: bytes, timeout_ms: int = FOREVER_MS) -> int:
        """Ask the home to accept an element; ends with ReplyReceived. ``timeout_ms`` 0 is the exact try.

        Raises ChannelClosed when the close was heard, AccessDenied without the right, MessageTooLong, NoBuffers when
        too many requests or bytes wait, LinkLost; ValueError for what is no open handle of ours.
        """
        if self.life.state is not State.OPEN:
            self.life.check_open()
        return self._opener.send(channel_id, element, timeout_ms)

    def send_data(self, channel_id: int, element: bytes) -> Sent:
        """Send an element against a lent slot; its send is done with that. Without a slot nothing happens: use send.

        On a CONFLATED channel it may replace an older one that waits here, which nobody will receive. Raises like send.
        """
        self.life.check_open()
        return self._opener.data(channel_id, element)

    def slots(self, channel_id: int) -> int:
        """How many elements of this handle of ours may be sent now without asking, as far as slots go."""
        handle = self._handles.find(channel_id)
        return 0 if handle is None or handle.window is None else handle.window.slots

    def recv(self, channel_id: int, timeout_ms: int = FOREVER_MS, ahead: bool = False) -> int:
        """Ask the home for an element; ends with ElementReceived or ReplyReceived. Raises like send.

        ``ahead``: nobody waits for it yet; leave its element unsettled until somebody does. Raises ValueError once that
        was recalled.
        """
        self.life.check_open()
        return self._opener.recv(channel_id, timeout_ms, ahead)

    def give_back_ahead(self, channel_id: int) -> None:
        """Answer AheadRecalled: what nobody took was put back, what nobody waits for was cancelled."""
        if self._report is None:
            self._ahead.give_back(channel_id)

    def info(self, channel_id: int) -> int:
        """Ask for state and counters of a channel; ends with InfoReceived or ReplyReceived."""
        self.life.check_open()
        return self._opener.info(channel_id)

    def ask_names(self, after: str = "") -> int:
        """Ask which names may be opened at the peer, behind this one; ends with NamesReceived or ReplyReceived."""
        self.life.check_open()
        return self._listing.ask(after)

    def close(self, channel_id: int, closing: Closing) -> int:
        """Ask the home to close (or, ``closing.cancel``, to cancel) the channel; ends with ReplyReceived."""
        self.life.check_open()
        return self._opener.close(channel_id, closing)

    def call(self, channel_id: int, command: int, payload: bytes) -> int:
        """Call ``command`` (64 to 127) at the home of a handle, or with 0 at the peer; ends with CallAnswered.

        Or with ReplyReceived. Raises ValueError for what is no call or no open handle, and as send does.
        """
        self.life.check_open()
        return self._calls.call(channel_id, command, payload)

    def tell(self, channel_id: int, command: int, payload: bytes) -> None:
        """Call without an answer: the peer may drop it. Raises as call does; NoBuffers when many wait unwritten."""
        self.life.check_open()
        self._calls.tell(channel_id, command, payload)

    def register(self, channel_id: int, serial: int, mask: Readiness) -> int:
        """Have a clause of a select stand at the home; Notified may follow. Returns the id of the registration.

        ``serial`` orders the selects of this node. Ends with unregister, or with ReplyReceived, which is no success.
        Raises like send.
        """
        self.life.check_open()
        return self._selects.register(channel_id, serial, mask)

    def unregister(self, registration: int) -> None:
        """The select is over: no news of this registration follows. Harmless when it has ended by itself."""
        if self._report is None:
            self._selects.unregister(registration)

    def claim(self, registration: int, token: int, event: Readiness, element: bytes | None = None) -> int:
        """Claim what Notified told of, with the element if the clause sends; the home may hold the claim for a while.

        Ends like send or recv: granted by ReplyReceived with code 0 or ElementReceived, denied with EAGAIN.
        """
        self.life.check_open()
        return self._selects.claim(registration, token, event, element)

    def cancel(self, request_id: int, now: float) -> bool:
        """Give a request of ours up. True: it was not written, is gone, known not done, and no event follows.

        False: its answer decides, whatever it is, or RequestInDoubt after ``cancel_grace``. Repeating is harmless.
        Raises ValueError when the request is over, or its element is here and waits to be settled.
        """
        return self._opener.cancel(request_id, now)

    def taken(self, request_id: int) -> None:
        """Settle ElementReceived: somebody has it. The acknowledgement goes with the next frame of that channel.

        Raises ValueError when there is nothing to settle, as after detach, which gave the element back.
        """
        if self._report is None:
            self._opener.taken(request_id)

    def putback(self, request_id: int) -> None:
        """Settle ElementReceived: nobody can have it any more; it goes back to the head. Raises like taken."""
        if self._report is None:
            self._opener.putback(request_id)

    def detach(self, channel_id: int) -> tuple[int, ...]:
        """Give a handle up; Detached follows when the home has answered everything.

        Returns the receives that end by it: nothing was taken for them, and no event follows. Elements that were not
        settled go back. Other requests of the handle are cancelled by the home, and still end with their answer.
        """
        self.life.check_open()
        return self._opener.detach(channel_id)
