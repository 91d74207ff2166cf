# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Cases 1: addresses, listening, connecting, accepting."""

from __future__ import annotations

from typing import Any

from ...errors import AlreadyExists, KcoroError, TransportError
from .bench import Bench, check
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
    check(_end_by_pump(bench, conn), "pump never told that nobody listens")


def _end_by_pump(bench: Bench, conn: Any) -> bool:
    ended: list[KcoroError] = []

    def refused() -> bool:
        try:
            bench.vtable.pump(conn, 0.0, 0)
        except TransportError as error:
            ended.append(error)
        return bool(ended)

    bench.until(refused, conn, what="refusal")
    return bool(ended)


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


@case("1.6")
def knows_its_options(bench: Bench) -> None:
    """An option that nobody knows is a ValueError that names it, and nothing was opened."""
    try:
        bench.vtable.listen(bench.uri, {**bench.config, "no-such-option": 1})
    except ValueError as error:
        check("no-such-option" in str(error), f"the error does not name the option: {error}")
    else:
        check(False, "an unknown option was accepted")
