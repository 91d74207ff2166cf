# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The state tables, and what each call may do in each state. Rows: W1, N6."""

from collections.abc import Callable
from typing import Any

import pytest

from kcoro_core.errors import LinkLost, ProtocolError
from kcoro_core.wire.codes import WireCode
from kcoro_core.wire.connection import Connection
from kcoro_core.wire.events import ConnectionEnded, RecvRequested
from kcoro_core.wire.frame import Frame
from kcoro_core.wire.messages import Closing, OpenRequest
from kcoro_core.wire.states import CHANNEL_MOVES, MOVES, ChannelStep, HandleState, State, Step, move

from .pair import BUFFERED_4, Pair, only, opened, written


@pytest.mark.parametrize(
    ("table", "states", "steps"),
    [(MOVES, State, Step), (CHANNEL_MOVES, HandleState, ChannelStep)],
    ids=["connection", "handle"],
)
def test_every_step_that_the_table_does_not_list_is_refused(table: Any, states: Any, steps: Any) -> None:
    """A listed step leads to its state, any other raises; every state but the first is reached. Row: W1."""
    reached = set()
    for state in states:
        for step in steps:
            if step in table[state]:
                reached.add(move(table, state, step))
            else:
                with pytest.raises(ValueError, match="is not possible in state"):
                    move(table, state, step)
    assert reached == set(states) - {next(iter(states))}


@pytest.mark.parametrize("table", [MOVES, CHANNEL_MOVES], ids=["connection", "handle"])
def test_no_state_is_ever_entered_twice(table: Any) -> None:
    """Every step leads forward: the order in which states are listed is the order of a life. Row: N6."""
    order = list(table)
    for state, steps in table.items():
        assert all(order.index(after) > order.index(state) for after in steps.values())


def connection_in(state: State) -> Connection:
    """A connection in that state, with an open channel 1 where that is possible."""
    if state in (State.CONNECTING, State.HELLO):
        pair = Pair()
        if state is State.HELLO:
            pair.a.start(0)
            written(pair.a)
        return pair.a
    pair, _channel = opened()
    if state is State.CLOSING:
        pair.a.bye(0)
    if state is State.DEAD:
        pair.a.lose(LinkLost("cut"))
    return pair.a


def fingerprint(connection: Connection) -> object:
    """Everything that an illegal call must leave as it was."""
    frame = connection.poll_transmit()
    return (connection.state, connection.stats(), connection.next_deadline(), frame, connection.report)


COMMANDS: dict[str, Callable[[Connection], object]] = {
    "open": lambda c: c.open(OpenRequest("jobs")),
    "send": lambda c: c.send(1, b"x"),
    "recv": lambda c: c.recv(1),
    "info": lambda c: c.info(1),
    "close": lambda c: c.close(1, Closing()),
    "detach": lambda c: c.detach(1),
    "ping": lambda c: c.ping(0),
}
ANSWERS: dict[str, Callable[[Connection], object]] = {
    "accept": lambda c: c.accept(1, BUFFERED_4),
    "done": lambda c: c.done(1),
    "push": lambda c: c.push(1, b"x"),
    "refuse": lambda c: c.refuse(1, WireCode.EAGAIN),
    "tell_closed": lambda c: c.tell_closed(1, Closing()),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands_work_in_the_open_state_only(state: State, command: Callable[[Connection], object]) -> None:
    """Too early is misuse, too late is LinkLost; both leave everything as it was. Row: N6."""
    connection = connection_in(state)
    if state is State.OPEN:
        command(connection)
        return
    before = fingerprint(connection)
    with pytest.raises(LinkLost if state in (State.CLOSING, State.DEAD) else ValueError):
        command(connection)
    assert fingerprint(connection) == before


@pytest.mark.parametrize("state", [state for state in State if state is not State.OPEN])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_nobody_can_hear_is_false(state: State, answer: Callable[[Connection], object]) -> None:
    """The home learns that its answer went nowhere, and nothing changes. Row: N6."""
    connection = connection_in(state)
    before = fingerprint(connection)
    assert answer(connection) is False
    assert fingerprint(connection) == before


LEGAL: dict[str, tuple[Callable[[Connection], object], set[State]]] = {
    "start": (lambda c: c.start(0), {State.CONNECTING}),
    "bye": (lambda c: c.bye(0), {State.HELLO, State.OPEN}),
    "receive": (lambda c: c.receive_frame(Frame(0), 0), set(State) - {State.CONNECTING}),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(("call", "legal"), LEGAL.values(), ids=LEGAL)
def test_starting_hearing_and_leaving_have_their_states(
    state: State, call: Callable[[Connection], object], legal: set[State]
) -> None:
    """An illegal step raises, and changes nothing. Row: W1."""
    connection = connection_in(state)
    if state in legal:
        call(connection)
        return
    before = fingerprint(connection)
    with pytest.raises(ValueError, match=r"not possible in state|start the connection"):
        call(connection)
    assert fingerprint(connection) == before


@pytest.mark.parametrize("state", State)
def test_every_connection_can_be_lost_and_says_so_once(state: State) -> None:
    """Whatever it was doing, the end is told exactly once. Row: N6."""
    connection = connection_in(state)
    told = connection.report is not None
    events = connection.lose(LinkLost("cut"))

    assert [type(event) for event in events] == ([] if told else [ConnectionEnded])
    assert connection.state is State.DEAD
    assert connection.lose(LinkLost("cut")) == []
    assert connection.breach(ProtocolError("late"), 0) == []


def test_settling_after_the_end_is_harmless() -> None:
    """An element that arrived before the end may still be settled; there is nobody to tell. Row: N6."""
    pair, channel = opened()
    asked = pair.a.recv(channel)
    pair.b.push(only(pair.a_to_b(), RecvRequested).request_id, b"e")
    pair.b_to_a()
    pair.a.lose(LinkLost("cut"))

    pair.a.taken(asked)
    pair.a.putback(asked)
    assert pair.a.poll_transmit() is None
