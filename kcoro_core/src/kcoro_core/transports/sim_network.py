# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Simulated networks by name: who listens there, how bad the lines are, and what a test can do to them (row N7).

Rule: the address of whoever listens decides how bad the lines are; who dials gives the same address, or the bare name.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, evolve, field

from ..errors import AlreadyExists, WrongLoop
from ..transport import PollSpec
from .faults import TO_DIALER, TO_LISTENER, Direction
from .impairments import Impairments, impairments_of
from .sim_pair import Connection, Pair

__all__ = ["Listener", "Medium", "Network"]

DEFAULT_BACKLOG: Final = 64


@define(eq=False)
class Network:
    """What is between the ends of one simulated address, and what can be done to it; ``sim.network(name)`` gives it.

    ``impairments`` may be replaced at any time and holds from then on. ``counts`` says how often each kind of fault has
    happened, over all connections. A context manager that forgets the network at its end.
    """

    name: str
    impairments: Impairments = field(factory=Impairments)
    forget: Callable[[str], object] = field(default=lambda name: None, repr=False)
    counts: Counter[str] = field(factory=Counter)
    refuse: bool = False
    connections: int = 0
    pairs: list[Pair] = field(factory=list, repr=False)
    interrupted: set[Direction] = field(factory=set)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.forget(self.name)

    def change(self, **impairments: Any) -> None:
        """Change some of the impairments, by the names of their fields; holds for what is sent from now on."""
        self.impairments = evolve(self.impairments, **impairments)

    def partition(self, *directions: Direction) -> None:
        """Let nothing pass in these directions, without one in both, until ``heal``; whoever sends fills its buffer."""
        self.interrupted.update(directions or (TO_LISTENER, TO_DIALER))
        for pair in self.pairs:
            pair.interrupt(self.interrupted)
        self.counts["partition"] += 1

    def half_open(self) -> None:
        """From now on nothing arrives at either end of today's connections, not even that they have ended."""
        for pair in self.pairs:
            pair.fall_silent()
        self.counts["half_open"] += 1

    def cut(self) -> None:
        """Break every connection; what has arrived can still be read, what is under way is lost."""
        for pair in tuple(self.pairs):
            pair.reset("cut on request")
        self.counts["cut"] += 1

    def heal(self) -> None:
        """No fault happens by chance any more, and partitions are over; what is half-open or broken stays so."""
        self.impairments = self.impairments.calm()
        self.interrupted.clear()
        for pair in self.pairs:
            pair.heal()


@define(eq=False, repr=False)
class Listener:
    """One address; connections wait in ``pending`` until they are accepted."""

    network: Network
    uri: str
    asked: Impairments
    backlog: int
    forget: Callable[[str], object]
    thread: int = field(factory=threading.get_ident)
    pending: deque[Connection] = field(factory=deque)
    waker: Callable[[], object] | None = None
    closed: bool = False

    def admit(self, connection: Connection) -> bool:
        """Let a connection wait to be accepted; False refuses it."""
        if self.closed or self.network.refuse or len(self.pending) >= self.backlog:
            return False
        self.pending.append(connection)
        if self.waker is not None:
            self.waker()
        return True

    def pump(self, now: float) -> None:
        """Nothing moves here; who dials looks after the request."""

    def poll(self) -> PollSpec:
        """Whether somebody waits."""
        return PollSpec(ready_now=bool(self.pending))

    def close(self) -> None:
        """Free the address and drop whoever was not accepted."""
        if self.closed:
            return
        self.closed = True
        self.forget(self.network.name)
        while self.pending:
            self.pending.popleft().abort("the listener closed before it accepted the connection")


@define(eq=False)
class Medium:
    """One scheme: its networks and listeners by name. ``max_datagram`` is None where lines are streams.

    ``beside``: bytes of the largest datagram that goes beside a stream; 0 where none does.
    """

    scheme: str
    max_datagram: int | None = None
    beside: int = 0
    networks: dict[str, Network] = field(factory=dict)
    listeners: dict[str, Listener] = field(factory=dict)
    _fresh: itertools.count[int] = field(factory=lambda: itertools.count(1))

    def network(self, name: str, **impairments: float) -> Network:
        """The network of that name, with these impairments changed; made, and kept until its block ends, if need be."""
        network = self._known(name)
        if network is None:
            network = self.networks[name] = Network(name, impairments_of("", name), self._forget)
        network.change(**impairments)
        return network

    def _known(self, name: str) -> Network | None:
        listener = self.listeners.get(name)
        return self.networks.get(name) or (None if listener is None else listener.network)

    def _forget(self, name: str) -> None:
        self.networks.pop(name, None)

    def parse(self, uri: str) -> tuple[str, str]:
        """The name in an address, and what stands behind its ``?``. Raises ValueError where a name cannot be one."""
        name, _, query = uri.partition(":")[2].partition("?")
        if "#" in name or "/" in name:
            raise ValueError(f"{uri!r}: a simulated address looks like {self.scheme}:name?latency=20ms, without '/'")
        return name, query

    def connect(self, uri: str, config: Mapping[str, Any]) -> Connection:
        """Ask whoever listens there for a connection; a refusal comes as news.

        :raises ValueError: no name, an option that there is not, or other impairments than the listener has.
        :raises WrongLoop: it listens in another thread.
        """
        name, query = self.parse(uri)
        if not name:
            raise ValueError(f"{self.scheme}: needs the name of a listener behind it, as in {self.scheme}:jobs")
        self._check(config)
        listener = self.listeners.get(name)
        if listener is not None and listener.thread != threading.get_ident():
            raise WrongLoop(f"{self.scheme}:{name} listens in another thread; both ends live in one")
        asked = impairments_of(query, uri)
        if query and listener is not None and asked != listener.asked:
            raise ValueError(f"{self.scheme}:{name} is served as {listener.uri}; dial that, or the bare name")
        network = self._known(name) or Network(name, asked)
        return Pair(network, listener, f"{self.scheme}:{name}", self.max_datagram, self.beside).dialer

    def listen(self, uri: str, config: Mapping[str, Any]) -> Listener:
        """Take a name; an empty one asks for a fresh one. Raises AlreadyExists when it is taken."""
        self._check(config)
        name, query = self.parse(uri)
        name = name or f"fresh-{next(self._fresh)}"
        asked = impairments_of(query, uri)
        if name in self.listeners:
            raise AlreadyExists(
                f"{self.scheme}:{name} is being listened at in this process; close that server or take another name"
            )
        network = self.networks.get(name) or Network(name, asked)
        if query:
            network.impairments = asked
        full = f"{self.scheme}:{name}" + (f"?{query}" if query else "")
        backlog = config.get("backlog", DEFAULT_BACKLOG)
        listener = self.listeners[name] = Listener(network, full, asked, backlog, self._free)
        return listener

    def _free(self, name: str) -> None:
        self.listeners.pop(name, None)

    def _check(self, config: Mapping[str, Any]) -> None:
        unknown = set(config) - {"backlog"}
        if unknown:
            raise ValueError(
                f"{self.scheme}: knows no option {', '.join(sorted(unknown))}; it knows: backlog. "
                f"Impairments stand in the address, as in {self.scheme}:name?latency=20ms"
            )
