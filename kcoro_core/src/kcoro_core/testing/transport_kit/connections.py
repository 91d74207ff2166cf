# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 1: addresses, listening, connecting, accepting."""

from __future__ import annotations

from typing import Any

from ...errors import AlreadyExists, TransportError
from .bench import LIMIT, Bench, check, error_of, numbered
from .case import case


@case("1.1")
def connects(bench: Bench) -> None:
    """Who dials and who listens get one connection; with nobody waiting, accept answers None."""
    listener = bench.listen()
    check(bench.vtable.accept(listener) is None, "accept gave a connection although nobody has dialled")
    dialled = bench.dial(bench.vtable.local_uri(listener))
    bench.accept(listener, dialled)
    check(bench.vtable.accept(listener) is None, "accept gave one connection twice")


@case("1.2")
def refuses(bench: Bench) -> None:
    """Where nobody listens, connect returns, and the refusal comes as TransportError from pump."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    bench.vtable.close(listener)
    conn = bench.dial(uri)
    _end_by_pump(bench, conn, "refusal")


def _end_by_pump(bench: Bench, conn: Any, what: str) -> TransportError:
    ended: list[TransportError] = []

    def refused() -> bool:
        try:
            bench.vtable.pump(conn, 0.0, 0)
        except TransportError as error:
            ended.append(error)
        return bool(ended)

    bench.until(refused, conn, what=what)
    return ended[0]


@case("1.3")
def chooses(bench: Bench) -> None:
    """An empty address asks for a fresh one, and two listeners get two."""
    scheme = bench.uri.partition(":")[0]
    uris = {bench.vtable.local_uri(bench.listen(f"{scheme}:")) for _ in range(2)}
    check(len(uris) == 2, f"two listeners share the address {uris}")
    check(all(uri.startswith(f"{scheme}:") for uri in uris), f"{uris} are no addresses of this transport")


@case("1.4")
def holds_its_address(bench: Bench) -> None:
    """A second listener at an address in use is refused with AlreadyExists, and the first goes on."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    try:
        bench.listen(uri)
    except AlreadyExists:
        pass
    else:
        check(False, f"two listeners at {uri}")
    bench.accept(listener, bench.dial(uri))


@case("1.5")
def frees_its_address(bench: Bench) -> None:
    """Once a listener is closed, its address can be used again at once."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    conn = bench.dial(uri)
    bench.accept(listener, conn)
    bench.vtable.close(listener)
    again = bench.listen(uri)
    bench.accept(again, bench.dial(uri))


@case("1.6", one_sided=True)
def knows_its_options(bench: Bench) -> None:
    """An option that nobody knows is a ValueError that names it, and nothing was opened."""
    try:
        bench.vtable.listen(bench.uri, {**bench.config, "no-such-option": 1})
    except ValueError as error:
        check("no-such-option" in str(error), f"the error does not name the option: {error}")
    else:
        check(False, "an unknown option was accepted")


@case("1.7")
def begins_many_at_once(bench: Bench) -> None:
    """Connecting is begun as often as one likes before anybody accepts, and each connection comes to be."""
    listener = bench.listen()
    dialled = [bench.dial(bench.vtable.local_uri(listener)) for _ in range(8)]
    accepted = [bench.accept(listener, *dialled) for _ in dialled]
    check(len({id(conn) for conn in accepted}) == 8, "accept gave one connection twice")


@case("1.8")
def keeps_connections_apart(bench: Bench) -> None:
    """What is sent on one connection arrives at its other end, and at no other."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    pairs = []
    for _ in range(5):
        near = bench.dial(uri)
        pairs.append((near, bench.accept(listener, near)))
    everybody = [conn for pair in pairs for conn in pair]
    frames = numbered(5, 33)
    for (near, _), frame in zip(pairs, frames, strict=True):
        bench.send_all(near, [frame], *everybody)
    for (_, far), frame in zip(pairs, frames, strict=True):
        check(bench.receive(far, 1, *everybody) == [frame], "a frame came out of another connection")


@case("1.9", level="should")
def accepts_in_order(bench: Bench) -> None:
    """Who was connected first is accepted first."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    dialled: list[Any] = []
    accepted: list[Any] = []
    for frame in numbered(4, 8):
        near = bench.dial(uri)
        dialled.append(near)

        def connected(near: Any = near, frame: Any = frame) -> bool:
            if bench.send(near, frame):
                return True
            if (far := bench.try_accept(listener)) is not None:
                accepted.append(far)  # a medium that has to be accepted before it takes anything
            return False

        bench.until(connected, *dialled, listener, what="room to send")
        bench.flush(near)
    accepted += [bench.accept(listener, *dialled) for _ in range(4 - len(accepted))]
    got = [bench.receive(far, 1, *dialled, *accepted)[0] for far in accepted]
    check(got == numbered(4, 8), "somebody who was connected later was accepted earlier")


@case("1.10")
def takes_frames_before_it_is_accepted(bench: Bench) -> None:
    """What was sent before anybody has accepted, if it was taken, arrives afterwards, and first."""
    listener = bench.listen()
    near = bench.dial(bench.vtable.local_uri(listener))
    frames = numbered(6, 100)
    early = [frame for frame in frames[:3] if bench.send(near, frame)]
    bench.flush(near)
    far = bench.accept(listener, near)
    bench.send_all(near, frames[3:], far)
    expected = early + frames[3:]
    check(bench.receive(far, len(expected), near) == expected, "frames sent before the connection was accepted")


@case("1.11")
def bears_questions_while_connecting(bench: Bench) -> None:
    """A connection that is still being made answers every question: nothing has arrived, nobody is known, no error."""
    listener = bench.listen()
    near = bench.dial(bench.vtable.local_uri(listener))
    for _ in range(3):
        check(bench.vtable.recv_frame(near, LIMIT) is None, "a frame arrived before anybody has accepted")
        check(bench.vtable.tx_backlog(near) == 0, "nothing was sent, and there is a backlog")
        bench.vtable.peer(near)
        bench.vtable.poll_handle(near)
        bench.vtable.pump(near, bench.clock.now(), 0)
    bench.talk(near, bench.accept(listener, near))


@case("1.12", one_sided=True)
def knows_options_of_dialling(bench: Bench) -> None:
    """An option that nobody knows is a ValueError that names it when connecting, too."""
    uri = bench.vtable.local_uri(bench.listen())
    try:
        bench.vtable.connect(uri, {**bench.config, "no-such-option": 1})
    except ValueError as error:
        check("no-such-option" in str(error), f"the error does not name the option: {error}")
    else:
        check(False, "an unknown option was accepted")


@case("1.13", one_sided=True)
def refuses_an_empty_address(bench: Bench) -> None:
    """Nobody can connect to an empty address: that is a ValueError with the scheme in it, and nothing was begun."""
    scheme = bench.uri.partition(":")[0]
    try:
        bench.vtable.connect(f"{scheme}:", bench.config)
    except ValueError as error:
        check(f"{scheme}:" in str(error), f"the error does not show what an address looks like: {error}")
    else:
        check(False, "connecting to an empty address has begun")


@case("1.14")
def outlives_its_listener(bench: Bench) -> None:
    """A connection that was accepted goes on when its listener is closed."""
    listener = bench.listen()
    near = bench.dial(bench.vtable.local_uri(listener))
    far = bench.accept(listener, near)
    bench.vtable.close(listener)
    bench.talk(near, far)


@case("1.15")
def ends_unaccepted_attempts(bench: Bench) -> None:
    """Who gives up before being accepted holds up nobody: the next one is accepted and can talk."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    for end in (bench.vtable.abort, bench.vtable.close):
        end(bench.dial(uri))
    near = bench.dial(uri)
    frame = numbered(1, 17)
    for _ in range(3):
        far = bench.accept(listener, near)
        if error_of(lambda far=far: _exchange(bench, near, far, frame)) is None:  # type: ignore[misc]
            return
    check(False, "three were accepted, and none is the one that is still there")


def _exchange(bench: Bench, near: Any, far: Any, frames: list[Any]) -> None:
    """A frame back from an accepted connection; raises when that is one whose other end has gone."""
    bench.vtable.pump(far, bench.clock.now(), 3)
    bench.until(lambda: bench.send(far, frames[0]), far, near, what="room to send")
    bench.flush(far)
    got: list[Any] = []

    def heard() -> bool:
        if (frame := bench.vtable.recv_frame(near, LIMIT)) is not None:
            got.append(frame)
        bench.vtable.recv_frame(far, LIMIT)  # raises once the other end is known to have gone
        return bool(got)

    bench.until(heard, near, far, what="an answer")


@case("1.16")
def says_that_another_attempt_may_help(bench: Bench) -> None:
    """That nobody listens is not ``permanent``: whoever dials again once somebody does gets a connection."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    bench.vtable.close(listener)
    refusal = _end_by_pump(bench, bench.dial(uri), "refusal")
    check(not refusal.permanent, f"nobody would dial again after this, for it is called permanent: {refusal}")
    bench.accept(bench.listen(uri), bench.dial(uri))
