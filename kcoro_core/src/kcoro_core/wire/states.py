# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The states of a connection and of a channel on it, as tables that tests and the manual read too.

Rule 1: a step that a table does not list is misuse: it raises, and changes nothing.
Rule 2: a peer never causes an illegal step; what it may send in which state is checked before.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, TypeVar

__all__ = [
    "CHANNEL_MOVES",
    "LEND_MOVES",
    "MOVES",
    "ChannelStep",
    "HandleState",
    "LendState",
    "LendStep",
    "State",
    "Step",
    "move",
]


class State(enum.Enum):
    """Where a connection is in its life; it only ever moves forward."""

    CONNECTING = "connecting"
    """The medium is not up yet; nothing was exchanged."""
    HELLO = "hello"
    """Our HELLO is on its way; the peer's HELLO and CONFIRM are awaited. No channel frame may pass."""
    OPEN = "open"
    """Both sides agree; channels can be opened and used."""
    CLOSING = "closing"
    """Our BYE is queued or written; no new request passes, answers still do."""
    DEAD = "dead"
    """Nothing is sent or heard any more; the report of what was lost has been given."""


class Step(enum.Enum):
    """What moves a connection from one state to another."""

    START = "start"
    """The medium is up; our HELLO goes out."""
    AGREE = "agree"
    """HELLO and CONFIRM of the peer came and fit."""
    FAREWELL = "farewell"
    """Our BYE was queued: by our own wish, as answer to the peer's, or because of a breach."""
    FINISH = "finish"
    """Our BYE was written and no frame of the peer matters any more, or waiting for that took too long."""
    LOSE = "lose"
    """The medium ended, or the peer is silent."""


MOVES: Final[Mapping[State, Mapping[Step, State]]] = {
    State.CONNECTING: {Step.START: State.HELLO, Step.LOSE: State.DEAD},
    State.HELLO: {Step.AGREE: State.OPEN, Step.FAREWELL: State.CLOSING, Step.LOSE: State.DEAD},
    State.OPEN: {Step.FAREWELL: State.CLOSING, Step.LOSE: State.DEAD},
    State.CLOSING: {Step.FINISH: State.DEAD, Step.LOSE: State.DEAD},
    State.DEAD: {},
}
"""Every legal step of a connection; a step that is not here is misuse."""


class HandleState(enum.Enum):
    """Where one handle on a channel is, the same at both ends; it only ever moves forward."""

    ASKED = "asked"
    """OPEN is queued or written, and not answered."""
    OPEN = "open"
    """The home accepted; requests may pass."""
    DETACHING = "detaching"
    """The opener gave the handle up; the home answers what was asked before, then with DETACH."""
    GONE = "gone"
    """Refused or detached; the id is never used again."""


class ChannelStep(enum.Enum):
    """What moves a handle from one state to another."""

    ACCEPT = "accept"
    """OPEN was answered with the channel's true attributes."""
    REFUSE = "refuse"
    """OPEN was answered with an error, or withdrawn."""
    DETACH = "detach"
    """The opener gives the handle up."""
    DETACHED = "detached"
    """The home has answered everything; its DETACH is written, or heard."""


CHANNEL_MOVES: Final[Mapping[HandleState, Mapping[ChannelStep, HandleState]]] = {
    HandleState.ASKED: {ChannelStep.ACCEPT: HandleState.OPEN, ChannelStep.REFUSE: HandleState.GONE},
    HandleState.OPEN: {ChannelStep.DETACH: HandleState.DETACHING},
    HandleState.DETACHING: {ChannelStep.DETACHED: HandleState.GONE},
    HandleState.GONE: {},
}
"""Every legal step of a handle on a channel, the same at both ends."""


class LendState(enum.Enum):
    """How a handle sends, or how far ahead it receives; the same at both ends, for each direction of its own."""

    REQUEST = "request"
    """Nothing is lent: every send asks, every receive asks."""
    LENT = "lent"
    """The home has lent slots, or sends elements ahead."""
    RECALLING = "recalling"
    """Somebody else wants to take part: what was lent is on its way back, and nobody else is served before."""


class LendStep(enum.Enum):
    """What moves a handle between these states."""

    LEND = "lend"
    """At the home, the answer to OPEN (or the first RECV ahead) was accepted; at the opener, the first GRANT came."""
    RECALL = "recall"
    """RECALL, or the CLOSE that stands for it, was queued or heard; never twice under one OPEN."""
    RETURN = "return"
    """RETURN, or the DETACH that stands for it, was written or heard; never lent again under this OPEN."""


LEND_MOVES: Final[Mapping[LendState, Mapping[LendStep, LendState]]] = {
    LendState.REQUEST: {LendStep.LEND: LendState.LENT},
    LendState.LENT: {LendStep.RECALL: LendState.RECALLING, LendStep.RETURN: LendState.REQUEST},
    LendState.RECALLING: {LendStep.RETURN: LendState.REQUEST},
}
"""Every legal step of lending on a handle; LENT to REQUEST in one step is a DETACH, or the end of the link."""

_S = TypeVar("_S", State, HandleState, LendState)
_T = TypeVar("_T", Step, ChannelStep, LendStep)


def move(table: Mapping[_S, Mapping[_T, _S]], state: _S, step: _T) -> _S:
    """The state behind ``step``. Raises ValueError for a step that the table does not list."""
    try:
        return table[state][step]
    except KeyError:
        raise ValueError(f"{step.value} is not possible in state {state.value}") from None
