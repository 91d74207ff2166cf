# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The numbers of the wire: what a frame asks for, and which flags may stand on it.

Rule 1: a number, once given, is never reused; what is named here and not built is answered ENOTSUP.
Rule 2: a command whose top bit is set may be ignored by a peer that does not know it; any other may not.
Rule 3: a flag nobody knows, or one that has no business on its command, is a protocol error.

Normative twin: docs/spec/wire.md.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

__all__ = [
    "ALLOWED_FLAGS",
    "BETWEEN_PIECES",
    "BUILT",
    "CALL_FLAGS",
    "COMMANDS",
    "FIRST_CALL",
    "IGNORABLE",
    "IN_PIECES",
    "LAST_CALL",
    "REQUESTS",
    "WAITING_ONLY",
    "Command",
    "Flag",
    "command_name",
    "is_call",
    "is_request",
]

IGNORABLE: Final = 0x8000
"""The top bit of a command (and of a TLV type): a peer that does not know the number may skip it."""

FIRST_CALL: Final = 64
"""The first command that is a call: what calls mean is agreed between two programs, not here."""
LAST_CALL: Final = 127
"""The last command that is a call; those behind it are free for later versions."""


class Command(enum.IntEnum):
    """What a frame asks for or tells; the second field of its header."""

    HELLO = 0
    """First frame of each side: version range, identity of the node, limits, capabilities.
    Use: exactly once, on channel 0, before anything else; its layout never changes between versions."""
    REPLY = 1
    """The answer to one request, named by its req_id; exactly one for each request.
    Use: rc 0 with the body that the request's command defines, or a negative rc with a short text."""
    OPEN = 2
    """Asks for a channel by name; the answer carries its true attributes.
    Use: first frame on a channel id of the asking side; nothing else may be sent there before the answer."""
    CLOSE = 3
    """Closes a channel gracefully, or tells that it was closed; carries the last seq before it.
    Use: with a req_id from the opener, who needs the right; without one from the home, as news, once."""
    RESET = 4
    """Ends one channel abruptly with a number, for a peer that broke its credit.
    Not built: belongs to flow mode. Until then a breach ends the connection."""
    DATA = 5
    """One element without an answer of its own: from the opener against a lent slot, from the home of a lossy handle.
    Use: where OPEN asked for slots, within what was granted; where it said LOSSY, as a frame or as a datagram."""
    CREDIT = 6
    """Grants for many channels in one frame; over streams one, on its channel.
    Use: for grants that found no frame of their channel to ride on within one loop turn, on channel 0."""
    SEND = 7
    """One element by request: parks at the home until it is accepted, refused or cancelled.
    Use: every send of request mode; the answer is the truth about the element."""
    RECV = 8
    """Asks for one element; the answer brings it.
    Use: every receive of request mode; what arrives is settled by TAKEN or PUTBACK."""
    CANCEL = 9
    """Asks the home to give up the request of that req_id; has no answer of its own.
    Use: behind the request it names, never in front; if success crosses it, success wins."""
    PING = 10
    """Asks for a sign of life with 8 opaque bytes; at most one is outstanding.
    Use: after keepalive_ms without received traffic, on channel 0."""
    PONG = 11
    """Echo of the 8 bytes of the last PING.
    Use: at once, in front of channel frames; unasked it is a protocol error."""
    DRAIN = 12
    """Announces an orderly end: the last request that is still worked on, and how long.
    Use: once, in front of channel frames; requests behind that one are answered EPIPE, and BYE follows."""
    BYE = 13
    """The last frame of a side: why the connection ends, as a number and a short text.
    Use: for an orderly end with 0, after a breach with its number; answered by BYE."""
    NACK = 14
    """Tells a datagram peer which frames are missing.
    Not built: belongs to unreliable transports. Streams lose nothing."""
    DETACH = 15
    """Gives up a handle on a channel without closing it; the home answers with a DETACH of its own.
    Use: the last frame of each side on that channel; elements not yet TAKEN go back to the head."""
    INFO = 16
    """Asks for the state and the counters of a channel.
    Use: where a local program reads a snapshot; the answer is true at the instant it was made."""
    RECALL = 17
    """Asks a link for its lent slots (with the flag KEEP: only for an answer behind its data).
    Use: once per OPEN, when somebody else wants to send; with KEEP for a try that must not miss what is under way."""
    RETURN = 18
    """Gives lent slots back, behind all data of the channel.
    Use: as the one answer to a RECALL, and to a CLOSE from the home of lent slots; with KEEP it gives up nothing."""
    LIST = 19
    """Asks which names the peer may open, page by page, behind a name.
    Use: to find out what is there; OPEN by name answers ENOENT for what is absent."""
    PUTBACK = 20
    """Gives an element back that came too late for its cancelled receive; named by its req_id.
    Use: when nobody is left to take it; the home puts it at the head, with the redelivered mark."""
    CONFIRM = 21
    """Second frame of each side: a hash over both HELLOs as seen from there.
    Use: exactly once; a middle box that rewrote a HELLO is noticed here."""
    TAKEN = 22
    """Acknowledges received elements by the req_ids of their receives; only then their slots are free.
    Use: when no frame of that channel was there to carry the flag TAKEN within one loop turn."""
    SELECT_REGISTER = 32
    """Has a clause of a select of the opener stand in the queue of the channel, by a mask of events.
    Use: for each clause of a select that waits; the answer comes when the registration is over."""
    SELECT_CANCEL = 33
    """Withdraws the registration of that req_id, which is then answered.
    Use: for every registration of a select that is over, the winner's included."""
    SELECT_NOTIFY = 34
    """Tells the registration of that req_id that it has the turn, with a token, or that its channel is closed.
    Use: one turn for each element or room at a time; promises nothing."""
    SELECT_CLAIM = 35
    """Claims what a NOTIFY told of, with the element if the clause sends; answered granted or denied.
    Use: one in flight for each select; judged by the state at its arrival, whatever became of the turn."""


class Flag(enum.IntFlag):
    """Bits of the third field of a header; each adds meaning, some add an extension in front of the payload."""

    GRANT = 1
    """A 12-byte grant (three u32) comes first. Use: on frames of a home that lends; the first on the answer to OPEN."""
    FIRST = 2
    """The first piece of a message in several frames: its 8-byte total comes first. Use: together with MORE."""
    MORE = 4
    """More pieces of this message follow. Use: on all pieces but the last."""
    END = 8
    """On DATA from the home of a lossy handle: no element follows; how many there were, and why this is the end."""
    NOREPLY = 16
    """A call that wants no answer, and has no req_id. Use: where nobody has to know that it arrived."""
    TAKEN = 32
    """A 4-byte req_id comes first: the element that answered this receive was taken. Use: instead of a TAKEN frame."""
    REDELIVERED = 64
    """This element was on its way to somebody before, so it may be out of order. Use: on the REPLY that brings it."""
    KEEP = 128
    """On RECALL: answer behind the data, and keep the slots; on RETURN: this is such an answer."""
    AHEAD = 256
    """On RECV: nobody waits for it yet, its element may lie at the opener. On RECALL and RETURN: about these."""


BUILT: Final = frozenset(
    {
        Command.HELLO, Command.REPLY, Command.OPEN, Command.CLOSE, Command.SEND, Command.RECV, Command.CANCEL,
        Command.PING, Command.PONG, Command.DRAIN, Command.BYE, Command.DETACH, Command.INFO, Command.PUTBACK,
        Command.CONFIRM, Command.TAKEN, Command.DATA, Command.CREDIT, Command.RECALL, Command.RETURN,
        Command.SELECT_REGISTER, Command.SELECT_CANCEL, Command.SELECT_NOTIFY, Command.SELECT_CLAIM, Command.LIST,
    }
)  # fmt: skip
"""The commands that this version carries out; the others are named so that nobody uses their numbers."""

REQUESTS: Final = frozenset(
    {
        Command.OPEN, Command.CLOSE, Command.SEND, Command.RECV, Command.INFO, Command.LIST, Command.SELECT_REGISTER,
        Command.SELECT_CLAIM,
    }
)  # fmt: skip
"""The commands that are answered by exactly one REPLY."""

IN_PIECES: Final[Mapping[int, int]] = {
    Command.SEND: 4,
    Command.DATA: 4,
    Command.REPLY: 4,
    Command.SELECT_CLAIM: 9,
    **dict.fromkeys(range(FIRST_CALL, LAST_CALL + 1), 0),
}
"""The commands whose messages may come in several frames, and how many bytes of fixed fields their element follows."""

BETWEEN_PIECES: Final = frozenset(
    {Command.TAKEN, Command.PING, Command.PONG, Command.CREDIT, Command.DRAIN, Command.BYE}
)
"""What may stand between the pieces of a message of its channel: what cannot wait for the end of a long one."""

_PIECES: Final = int(Flag.FIRST | Flag.MORE)
_FROM_OPENER: Final = int(Flag.TAKEN)  # OPEN cannot carry one, since nothing was received there yet
_FROM_HOME: Final = int(Flag.GRANT)

WAITING_ONLY: Final = frozenset({Command.RECV, Command.SELECT_REGISTER})
"""Requests that may wait for ever with nothing under way: no drain waits for them."""

ALLOWED_FLAGS: Final[Mapping[int, int]] = {
    Command.REPLY: int(Flag.REDELIVERED) | _FROM_HOME | _PIECES,
    Command.RECALL: int(Flag.KEEP | Flag.AHEAD) | _FROM_HOME,
    Command.RETURN: int(Flag.KEEP | Flag.AHEAD) | _FROM_OPENER,
    Command.RECV: int(Flag.AHEAD) | _FROM_OPENER,
    **dict.fromkeys((Command.CLOSE, Command.DETACH), _FROM_OPENER | _FROM_HOME),
    **dict.fromkeys((Command.CANCEL, Command.INFO, Command.PUTBACK), _FROM_OPENER),
    **dict.fromkeys((Command.SELECT_REGISTER, Command.SELECT_CANCEL), _FROM_OPENER),
    Command.DATA: int(Flag.END) | _FROM_OPENER | _PIECES,
    **dict.fromkeys((Command.SEND, Command.SELECT_CLAIM), _FROM_OPENER | _PIECES),
}
"""Which flags may stand on a command; a command that is absent takes none."""

CALL_FLAGS: Final = int(Flag.NOREPLY) | _PIECES
"""Which flags may stand on a call."""


def is_call(number: int) -> bool:
    """Whether two programs agree on what this command means."""
    return FIRST_CALL <= number <= LAST_CALL


def is_request(number: int) -> bool:
    """Whether this command, with a request id, is answered by exactly one REPLY."""
    return number in REQUESTS or FIRST_CALL <= number <= LAST_CALL


COMMANDS: Final = {int(command): command for command in Command}
"""Each command by its number; asking the enum takes five times as long, and is wanted for each frame."""
_NAMES: Final = {number: command.name for number, command in COMMANDS.items()}


def command_name(number: int) -> str:
    """The name of a command for messages to people, or its number when nobody knows it."""
    return _NAMES.get(number) or f"command {number}"
