# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Faults in what is announced, and in what time does: cases 4.7 to 4.17 and 8."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from typing import Any

import attrs

from kcoro_core.transport import READ, PollSpec
from kcoro_core.transports.mem import Connection

from .planting import GOOD, SOCKETS, Change, Fault, is_listener, leaked, over_sockets, polling, pumping


def always_readable(endpoint: Any, spec: PollSpec) -> PollSpec:
    if is_listener(endpoint) or spec.ready_now:
        return spec
    leaked.append(os.open(os.devnull, os.O_RDONLY))
    return PollSpec(fd=leaked[-1], want=READ)


def every_other_time() -> Change:
    asked = itertools.count()
    return polling(lambda e, s: s if is_listener(e) or next(asked) % 2 else PollSpec())


def stale() -> Change:
    known: dict[int, PollSpec] = {}

    def pump(endpoint: Any, now: float, ready: int) -> None:
        known.pop(id(endpoint), None)
        GOOD.pump(endpoint, now, ready)

    def poll(endpoint: Any) -> PollSpec:
        return GOOD.poll_handle(endpoint) if is_listener(endpoint) else known.setdefault(id(endpoint), fresh(endpoint))

    def fresh(endpoint: Any) -> PollSpec:
        return GOOD.poll_handle(endpoint)

    return {"pump": pump, "poll_handle": poll}


def keeps_its_waker(endpoint: Any, callback: Callable[[], object] | None) -> None:
    if callback is not None:
        GOOD.set_waker(endpoint, callback)


def keeps_the_first_waker(endpoint: Any, callback: Callable[[], object] | None) -> None:
    if endpoint.waker is None or callback is None:
        GOOD.set_waker(endpoint, callback)


def wakes_in_another_thread(endpoint: Any, callback: Callable[[], object] | None) -> None:
    def elsewhere() -> None:
        thread = threading.Thread(target=callback)
        thread.start()
        thread.join()

    GOOD.set_waker(endpoint, elsewhere if callback is not None else None)


def closes_silently(endpoint: Any) -> None:
    if isinstance(endpoint, Connection):
        other = endpoint.pair.other(endpoint)
        other.waker = None
    GOOD.close(endpoint)


def only_before(latest: float) -> Callable[[Any, float], object]:
    def check(_: Any, now: float) -> None:
        if now > latest:
            raise OverflowError("a time so late")

    return check


def only_after(first: float) -> Callable[[Any, float], object]:
    def check(_: Any, now: float) -> None:
        if now < first:
            raise ValueError("a time so early")

    return check


def falls_asleep() -> Change:
    last: dict[int, float] = {}

    def check(endpoint: Any, now: float) -> None:
        if isinstance(endpoint, Connection) and now - last.setdefault(id(endpoint), now) > 600:
            GOOD.abort(endpoint)
        last[id(endpoint)] = now

    return pumping(check)


def never_rests() -> Change:
    times = itertools.count(200)
    return polling(lambda e, s: PollSpec(deadline=next(times)) if not is_listener(e) and e.closed else s)


def needs_time_to_pass() -> Change:
    last: dict[int, float] = {}

    def check(endpoint: Any, now: float) -> None:
        if is_listener(endpoint):
            assert now != last.get(id(endpoint)), "no time has passed"
            last[id(endpoint)] = now

    return pumping(check)


def past(endpoint: Any, spec: PollSpec) -> PollSpec:
    return spec if is_listener(endpoint) else attrs.evolve(spec, deadline=1.0)


FAULTS: dict[str, list[Fault]] = {
    "4.7": [("something is always readable", polling(always_readable))],
    "4.8": [("every other answer is empty", every_other_time())],
    "4.9": [
        (
            "what was accepted asks for nothing",
            over_sockets(polling(lambda e, s: attrs.evolve(s, want=s.want & READ), SOCKETS)),
        )
    ],
    "4.10": [("the answer is that of the last pump", stale())],
    "4.11": [("a waker stays", {"set_waker": keeps_its_waker})],
    "4.12": [("the first waker stays", {"set_waker": keeps_the_first_waker})],
    "4.13": [("a thread wakes", {"set_waker": wakes_in_another_thread})],
    "4.14": [("an end wakes nobody", {"close": closes_silently})],
    "4.15": [
        ("a time that never comes", polling(lambda e, s: attrs.evolve(s, deadline=float("inf")))),
        ("a descriptor that is not open", polling(lambda e, s: attrs.evolve(s, fd=999_999))),
        ("a direction that nobody knows", polling(lambda e, s: attrs.evolve(s, want=4))),
    ],
    "4.16": [("all have one descriptor", polling(lambda e, s: attrs.evolve(s, fd=0)))],
    "4.17": [("each answer is a new object", polling(lambda e, s: attrs.evolve(s)))],
    "8.1": [("time begins later", pumping(only_after(1.0)))],
    "8.2": [("time ends earlier", pumping(only_before(1e8)))],
    "8.3": [("ten minutes are too long", falls_asleep())],
    "8.4": [("a deadline lies in the past", polling(past))],
    "8.5": [("there is always another deadline", never_rests())],
    "8.6": [("time has to pass", needs_time_to_pass())],
}  # fmt: skip
