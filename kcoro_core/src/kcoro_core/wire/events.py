# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a connection tells its owner: one class per kind of news, in the order in which things happened.

Nobody changes one; that attrs forbids it would cost more than the rest of making it, and one is made for each frame.

Rule 1: an event is news, not a question, but for those named ...Requested: each of them is answered exactly once.
Rule 2: request ids in ...Requested events are the peer's; all others are our own. The two spaces never mix.
Rule 3: an element in an event is the receiver's own copy; the connection keeps none.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from attrs import define, field

from .codes import WireCode
from .hello import Agreement, Hello
from .messages import Attributes, ChannelInfo, Closing, Listed, OpenRequest

__all__ = [
    "AheadRecalled",
    "AheadReturned",
    "CallAnswered",
    "CallRequested",
    "CancelRequested",
    "ChannelCloseHeard",
    "ClaimRequested",
    "CloseRequested",
    "ConnectionEnded",
    "DataInDoubt",
    "DataReceived",
    "Detached",
    "DrainHeard",
    "ElementReceived",
    "ElementTaken",
    "ElementsReturned",
    "Established",
    "Event",
    "Fate",
    "InfoReceived",
    "InfoRequested",
    "ListRequested",
    "LossReport",
    "LossyEnded",
    "LossyReceived",
    "LostData",
    "LostElement",
    "LostRequest",
    "NamesReceived",
    "Notified",
    "OpenRequested",
    "Opened",
    "ParkedRequest",
    "PeerBye",
    "PongReceived",
    "RecvRequested",
    "RegisterRequested",
    "ReplyReceived",
    "RequestInDoubt",
    "SendRequested",
    "SlotsReturned",
]


class Event:
    """Base of all news; match on the class."""

    __slots__ = ()


# --- the connection --------------------------------------------------------------------------------------------------


@define
class Established(Event):
    """Both sides agree; channels can be opened."""

    agreement: Agreement
    peer: Hello


@define
class PongReceived(Event):
    """The peer answered a PING after ``seconds``."""

    seconds: float


@define
class PeerBye(Event):
    """The peer ends the connection; ``code`` 0 is an orderly end. ConnectionEnded follows at once."""

    code: int
    text: str


@define
class DrainHeard(Event):
    """The peer will end the connection in ``deadline_ms``: it answers requests of ours up to ``last_id``, if not 0.

    Those behind it end with ReplyReceived, EPIPE. FOREVER_MS: no deadline.
    """

    last_id: int
    deadline_ms: int


# --- at the home of a channel: the peer asks -------------------------------------------------------------------------


@define
class OpenRequested(Event):
    """The peer wants a handle. Answer with accept or refuse."""

    request_id: int
    channel_id: int
    wanted: OpenRequest


@define
class SendRequested(Event):
    """The peer sends an element; 0 ms is the exact try. Answer with done (accepted) or refuse.

    ``slot``: it has used one of the slots that were lent; it fills that one, or is refused and the slot is lent still.
    """

    request_id: int
    channel_id: int
    timeout_ms: int
    element: bytes
    slot: bool = False


@define
class DataReceived(Event):
    """The peer has sent an element against a lent slot: it has to be taken in; its sender counts on that.

    ``skipped`` older values of a CONFLATED channel were replaced, and reported, at the sending end.
    """

    channel_id: int
    element: bytes
    skipped: int = 0


@define
class AheadReturned(Event):
    """Elements that the peer had ahead and nobody took are back; its receives that are left are waited for."""

    channel_id: int


@define
class SlotsReturned(Event):
    """The peer has given its slots back, behind all its data; or, with ``keep``, answered a question and kept them."""

    channel_id: int
    keep: bool


@define
class RecvRequested(Event):
    """The peer wants one element; 0 ms is the exact try. Answer with push or refuse.

    ``ahead``: nobody waits for it there yet. Refuse it where elements cannot be sent ahead.
    """

    request_id: int
    channel_id: int
    timeout_ms: int
    ahead: bool = False


@define
class InfoRequested(Event):
    """The peer wants the state of the channel. Answer with inform or refuse."""

    request_id: int
    channel_id: int


@define
class ListRequested(Event):
    """The peer wants the names behind ``after`` that it may open. Answer with names or refuse."""

    request_id: int
    after: str


@define
class CloseRequested(Event):
    """The peer, who has the right, closes or (``closing.cancel``) cancels the channel. Answer with done or refuse."""

    request_id: int
    channel_id: int
    closing: Closing


@define
class CallRequested(Event):
    """The peer calls, on channel 0 or on a handle of its own. Answer with answer or refuse; id 0 wants no answer."""

    request_id: int
    channel_id: int
    command: int
    payload: bytes


@define
class RegisterRequested(Event):
    """A clause of a select of the peer is to stand in the channel, for the events of ``mask``: tell it with notify.

    ``serial`` orders the selects of that node. Answer with refuse, when the registration is over.
    """

    request_id: int
    channel_id: int
    serial: int
    mask: int


@define
class ClaimRequested(Event):
    """A select claims what it was told of: ``event`` says which way; an element comes along if it sends.

    Answer with done (the element is accepted) or push, or refuse with EAGAIN: denied. It may be held for a while.
    """

    request_id: int
    channel_id: int
    registration: int
    token: int
    event: int
    element: bytes | None


@define
class CancelRequested(Event):
    """The peer gives a request up that is not yet answered: withdraw it, and refuse it with ECANCELED.

    If it cannot be withdrawn any more, the answer that it gets anyway is the one; what an earlier event of the same
    list set free may have answered it meanwhile (``is_waiting`` tells). Also told for each unanswered request of a
    handle that was detached.
    """

    request_id: int
    channel_id: int
    command: int


@define
class ElementTaken(Event):
    """A pushed element was received; its slot is free now."""

    request_id: int
    channel_id: int


@define
class ElementsReturned(Event):
    """Pushed elements that nobody took: put them back at the head, in this order, all at once.

    ``redelivered`` says that others may have overtaken them meanwhile, so that they carry the mark from now on.
    """

    channel_id: int
    request_ids: tuple[int, ...]
    redelivered: bool


# --- at the opener of a channel: the home answers --------------------------------------------------------------------


@define
class Opened(Event):
    """OPEN was accepted; the handle is ``channel_id``. ``lossy``: its elements come unasked, as LossyReceived."""

    request_id: int
    channel_id: int
    attributes: Attributes
    lossy: bool = False


@define
class ReplyReceived(Event):
    """A request is over: SEND or CLOSE with code 0 is done, any request with another code is known not done.

    ``code`` is a number of WireCode, or one from the future; ``codes.error_of(code, text)`` makes the error.
    """

    request_id: int
    channel_id: int
    command: int
    code: int = WireCode.OK
    text: str = ""


@define
class ElementReceived(Event):
    """A receive is over with an element. Settle it with taken or putback before anything else is done."""

    request_id: int
    channel_id: int
    element: bytes
    redelivered: bool


@define
class LossyReceived(Event):
    """A value of a lossy handle, newer than all before; ``gap`` elements in front of it are missing, each told once."""

    channel_id: int
    element: bytes
    gap: int


@define
class LossyEnded(Event):
    """No value of a lossy handle follows: EPIPE says that its channel is closed and drained, another ``code`` why else.

    ``gap`` elements behind the newest are missing.
    """

    channel_id: int
    code: int
    text: str
    gap: int


@define
class Notified(Event):
    """A registration has the turn for these events, or (CLOSED) will never have one; ``token`` goes with the claim."""

    request_id: int
    channel_id: int
    events: int
    token: int


@define
class InfoReceived(Event):
    """The state of the channel, true at its home when it was asked."""

    request_id: int
    channel_id: int
    info: ChannelInfo


@define
class NamesReceived(Event):
    """A page of names, in the order of their bytes; ``more``: ask again, behind the last of them."""

    request_id: int
    names: tuple[Listed, ...]
    more: bool


@define
class ChannelCloseHeard(Event):
    """The channel was closed at its home: new sends fail, receives drain what is left there. Told at most once."""

    channel_id: int
    closing: Closing


@define
class RequestInDoubt(Event):
    """A cancelled request was not answered within the grace; what the home did with it is not known here.

    Its answer, if one comes, is dropped and counted; a late element goes back to the home by itself.
    ``sends``: an element went with it.
    """

    request_id: int
    channel_id: int
    command: int
    sends: bool = False


@define
class AheadRecalled(Event):
    """The home wants elements back that nobody took. Answer at once: putback and cancel, then give_back_ahead."""

    channel_id: int


@define
class DataInDoubt(Event):
    """A handle is over, and its home has never confirmed these elements, which were sent against lent slots."""

    channel_id: int
    elements: tuple[bytes, ...]


@define
class Detached(Event):
    """A handle is given up: at its home, the opener let it go; at the opener, the home has answered everything."""

    channel_id: int


# --- calls of ours ---------------------------------------------------------------------------------------------------


@define
class CallAnswered(Event):
    """A call of ours is over, with its result; ReplyReceived tells any other answer."""

    request_id: int
    channel_id: int
    command: int
    result: bytes


# --- the end ---------------------------------------------------------------------------------------------------------


class Fate(enum.Enum):
    """What is known of something that the end of a connection cut off."""

    DONE = "done"
    """It happened, and this side knows."""
    NOT_DONE = "not done"
    """It was never written, so it did not happen."""
    IN_DOUBT = "in doubt"
    """It was written and not answered; only the other side knows."""


@define
class LostRequest:
    """A request of ours that was over for nobody when the connection ended. A receive that is DONE has its element.

    ``sends``: an element went with it. A registration is IN_DOUBT once it was written, which means nothing.
    """

    request_id: int
    channel_id: int
    command: int
    fate: Fate
    sends: bool = False


@define
class LostElement:
    """An element that was pushed to the peer and not confirmed: NOT_DONE goes back to the head, IN_DOUBT by policy.

    ``returned``: it had come back already and waited for its neighbours; it carries the redelivered mark.
    """

    request_id: int
    channel_id: int
    fate: Fate
    returned: bool = False


@define
class LostData:
    """An element that was sent against a lent slot and is not known to be accepted; its send has completed."""

    channel_id: int
    element: bytes


@define
class ParkedRequest:
    """A request of the peer that was not answered: withdraw it; there is nobody left to answer."""

    request_id: int
    channel_id: int
    command: int


@define
class LossReport:
    """What the end of a connection leaves behind, complete: whatever is not named here was over before.

    ``requests``  ours, in the order in which they were made
    ``elements``  pushed by us and not confirmed, per channel in the order in which they were pushed
    ``parked``    the peer's requests that wait here
    ``unacknowledged``  our receives that are done, but whose acknowledgement was not written: in doubt at their home
    ``accepted``  per channel id of ours: how many sends the home accepted
    ``data``      sent by us against lent slots and not confirmed, per channel in the order in which they were sent
    """

    cause: Exception
    orderly: bool
    requests: tuple[LostRequest, ...] = ()
    elements: tuple[LostElement, ...] = ()
    parked: tuple[ParkedRequest, ...] = ()
    unacknowledged: tuple[int, ...] = ()
    accepted: Mapping[int, int] = field(factory=dict)
    data: tuple[LostData, ...] = ()


@define
class ConnectionEnded(Event):
    """The last event of every connection, exactly once, whatever ended it."""

    report: LossReport
