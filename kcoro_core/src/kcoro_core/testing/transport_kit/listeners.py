# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 7: listeners. They announce who comes, one by one, tell their address, and stop at once."""

from __future__ import annotations

from typing import Any

from ...errors import AlreadyExists, TransportError
from ...transport import WRITE, Capability
from .bench import AT_REST, Bench, check, error_of, numbered, poll
from .case import case


@case("7.1", one_sided=True)
def is_quiet_alone(bench: Bench) -> None:
    """A listener at which nobody waits asks for nothing but to be told who comes."""
    listener = bench.listen()
    for _ in range(3):
        bench.vtable.accept(listener)
        bench.vtable.pump(listener, bench.clock.now(), 0)
    spec = bench.vtable.poll_handle(listener)
    check(not spec.ready_now and not spec.want & WRITE, f"a listener without a guest says {spec}")
    check(not poll([spec], 0.0), "the descriptor of a listener without a guest is ready: whoever drives it would spin")


@case("7.2")
def announces_guests(bench: Bench) -> None:
    """Who comes is announced to whoever waits already: on the descriptor, by the waker, or at a time."""
    listener = bench.listen()
    called: list[bool] = []
    bench.vtable.set_waker(listener, lambda: called.append(True))
    before = bench.vtable.poll_handle(listener)
    near = bench.dial(bench.vtable.local_uri(listener))
    if before.fd is None:
        bench.until(lambda: bool(called), near, what="call of the listener's waker")
        spec = bench.vtable.poll_handle(listener)
        check(spec.ready_now or spec.deadline is not None, "the waker was called, and poll_handle announces nothing")
    else:
        bench.until_ready(before, near, what="guest on the descriptor of the listener")
    bench.vtable.set_waker(listener, None)
    bench.accept(listener, near)


@case("7.3")
def announces_each_guest(bench: Bench) -> None:
    """Whoever accepts one guest at a wake-up is told again that there are more."""
    listener = bench.listen()
    dialled = [bench.dial(bench.vtable.local_uri(listener)) for _ in range(5)]
    guests: list[Any] = []

    def one_more() -> bool:
        if (guest := bench.try_accept(listener)) is not None:
            guests.append(guest)
        return len(guests) == 5

    bench.until(one_more, listener, *dialled, what="all guests, accepted one at a time")
    check(len({id(guest) for guest in guests}) == 5, "a guest was accepted twice")


@case("7.4")
def tells_one_address(bench: Bench) -> None:
    """The address of a listener stays the same, names no channel, and leads to it each time."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    for _ in range(2):
        check(bench.vtable.local_uri(listener) == uri, "the address of a listener changes while it listens")
        bench.accept(listener, bench.dial(uri))
    check("#" not in uri, f"{uri} has a '#', behind which the name of a channel would stand")


@case("7.5", one_sided=True)
def stops_at_once(bench: Bench) -> None:
    """A closed listener accepts nobody, waits for nothing, and bears being pumped."""
    listener = bench.listen()
    bench.vtable.close(listener)
    check(bench.vtable.poll_handle(listener) == AT_REST, "a closed listener still waits for something")
    check(
        error_of(lambda: bench.vtable.pump(listener, bench.clock.now(), 0)) is None, "a closed listener bears no pump"
    )
    error = error_of(lambda: bench.vtable.accept(listener))
    check(isinstance(error, TransportError), f"accept of a closed listener: {error!r}")


@case("7.6")
def keeps_guests_apart(bench: Bench) -> None:
    """Two listeners get their own guests, and a closed one takes none away from the other."""
    scheme = bench.uri.partition(":")[0]
    first, second = bench.listen(f"{scheme}:"), bench.listen(f"{scheme}:")
    near = bench.dial(bench.vtable.local_uri(second))
    guests: list[Any] = []

    def came() -> bool:
        check(bench.vtable.accept(first) is None, "a guest came to the wrong listener")
        if (guest := bench.try_accept(second)) is not None:
            guests.append(guest)
        return bool(guests)

    bench.until(came, second, near, what="guest")
    [far] = guests
    bench.vtable.close(first)
    bench.talk(near, far)


@case("7.7")
def knows_its_backlog(bench: Bench) -> None:
    """Every transport knows the option ``backlog``; with the smallest one guests still come, one after the other."""
    listener = bench.vtable.listen(bench.uri, {**bench.config, "backlog": 1})
    try:
        for _ in range(3):
            bench.accept(listener, bench.dial(bench.vtable.local_uri(listener)))
    finally:
        bench.vtable.close(listener)


@case("7.8")
def survives_a_refusal(bench: Bench) -> None:
    """That its address was refused to another takes no guest away from a listener."""
    listener = bench.listen()
    uri = bench.vtable.local_uri(listener)
    near = bench.dial(uri)
    check(isinstance(error_of(lambda: bench.listen(uri)), AlreadyExists), f"two listeners at {uri}")
    bench.talk(near, bench.accept(listener, near))


@case("7.9", Capability.RELIABLE)
def hands_out_what_waits(bench: Bench) -> None:
    """A guest who has spoken and left before being accepted is still heard, unless never accepted at all."""
    listener = bench.listen()
    near = bench.dial(bench.vtable.local_uri(listener))
    frames = numbered(3, 50)
    if not bench.send(near, frames[0]):
        return  # a medium on which nobody can speak before being accepted
    bench.send_all(near, frames[1:])
    bench.vtable.close(near)
    far = bench.accept(listener, near)
    check(bench.receive(far, 3, near) == frames, "what a guest said before leaving is lost")
    bench.end_of(far, near)


@case("7.10")
def starts_again_often(bench: Bench) -> None:
    """One address can be listened at, left, and taken again, many times."""
    first = bench.listen()
    uri = bench.vtable.local_uri(first)
    bench.vtable.close(first)
    for _ in range(10):
        listener = bench.listen(uri)
        check(bench.vtable.local_uri(listener) == uri, "a listener at a named address tells another")
        bench.accept(listener, bench.dial(uri))
        bench.vtable.close(listener)
