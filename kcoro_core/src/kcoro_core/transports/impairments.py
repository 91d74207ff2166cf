# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a simulated line does to what is sent over it, as data: parsed from an address, drawn from seeds (row N7).

    sim:jobs?latency=20ms&jitter=5ms&loss=0.01&seed=7

Rule 1: each kind of fault, direction and connection has a random stream of its own, so that switching one kind on
changes no draw of another.
Rule 2: each kind draws once for each packet while it is on, however the packet is cut by short writes.
"""

from __future__ import annotations

import contextlib
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs
from attrs import define, evolve, field, frozen

__all__ = ["CHANCES", "KINDS", "Draws", "Impairments", "default_seed", "impairments_of"]

CHANCES: Final = ("loss", "duplicate", "reorder", "partition", "half_open", "cut", "short_reads", "short_writes")
"""The impairments that happen by chance; each is a probability from 0 to 1."""

KINDS: Final = ("latency", "jitter", "bandwidth", *CHANCES)
"""Every kind of impairment, by the word under which it is counted."""

_TIMES: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
_SIZES: Final = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SCALES: Final[Mapping[str, Mapping[str, float]]] = {"time": _TIMES, "size": _SIZES}
_NUMBER: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([A-Za-z]*)")


def _at_least(least: float) -> Any:
    def check(self: object, attribute: attrs.Attribute[Any], value: float) -> None:
        if not least <= value < float("inf"):
            raise ValueError(f"{attribute.name} must be at least {least:g}, not {value!r}")

    return check


def _is_chance(self: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{attribute.name} is a probability from 0 to 1, not {value!r}")


def _time(default: float) -> Any:
    return field(default=default, validator=_at_least(0), metadata={"unit": "time"})


def _chance() -> Any:
    return field(default=0.0, validator=_is_chance, metadata={"unit": "chance"})


def _size(default: int, least: int) -> Any:
    return field(default=default, validator=_at_least(least), metadata={"unit": "size"})


@frozen
class Impairments:
    """How bad a line is; the default is a perfect one. Times are in seconds, sizes in bytes.

    On a line that is a stream, what is lost is sent again ``retransmit`` later, and what comes behind it waits: loss,
    duplication, reordering and partitions are seen as delay. Datagrams are lost, doubled and mixed up.
    """

    seed: int = field(default=0, validator=_at_least(0), metadata={"unit": "count"})
    latency: float = _time(0.0)
    """From end to end, for every packet."""
    jitter: float = _time(0.0)
    """Up to so much more, evenly drawn."""
    bandwidth: float = field(default=0.0, validator=_at_least(0), metadata={"unit": "size"})
    """Bytes per second in each direction; 0 is without a limit."""
    loss: float = _chance()
    duplicate: float = _chance()
    reorder: float = _chance()
    """The chance that a packet is held back by ``reorder_by``."""
    reorder_by: float = _time(0.01)
    partition: float = _chance()
    """The chance that with this packet the line is interrupted, in both directions, for up to ``partition_for``."""
    partition_for: float = _time(1.0)
    half_open: float = _chance()
    """The chance that from this packet on nothing arrives at either end, not even that the connection has ended."""
    cut: float = _chance()
    """The chance that with this packet the connection breaks; what was under way towards the sender is lost too."""
    short_reads: float = _chance()
    """The chance that a read gives only a part of what has arrived."""
    short_writes: float = _chance()
    """The chance that the medium takes only a part of what it is given."""
    retransmit: float = _time(0.2)
    buffer: int = _size(65536, 1)
    """What an end accepts before it is on the line."""
    window: int = _size(1 << 20, 1)
    """What is on the line and not yet read; datagrams that arrive above it are lost."""
    packet: int = _size(16384, 1)
    """The largest packet of a stream; a frame begins a new one. A datagram is one packet."""

    def calm(self) -> Impairments:
        """The same line without anything that happens by chance; it keeps its latency and bandwidth."""
        nothing: dict[str, Any] = dict.fromkeys(("jitter", *CHANCES), 0.0)
        return evolve(self, **nothing)


_default_seed = 0


@contextlib.contextmanager
def default_seed(seed: int) -> Iterator[None]:
    """Have addresses that name no seed draw from this one; for explorers, which run a program many times."""
    global _default_seed  # noqa: PLW0603 - simulated lines join tasks of one thread, and so does an exploration
    before, _default_seed = _default_seed, seed
    try:
        yield
    finally:
        _default_seed = before


def impairments_of(query: str, uri: str) -> Impairments:
    """Read what stands behind ``?`` in an address: ``latency=20ms&loss=0.01&bandwidth=1MiB&seed=7``.

    :raises ValueError: a name or a value makes no sense; the text names it and what is possible.
    """
    known = {attribute.name: attribute for attribute in attrs.fields(Impairments)}
    given: dict[str, Any] = {"seed": _default_seed}
    for name, _, text in (part.partition("=") for part in query.split("&") if part):
        if name not in known:
            raise ValueError(f"{uri!r}: there is no impairment {name!r}; there are: {', '.join(known)}")
        given[name] = _value(name, text, known[name].metadata)
    return Impairments(**given)


def _value(name: str, text: str, metadata: Mapping[str, str]) -> float:
    unit = metadata["unit"]
    scales = _SCALES.get(unit, {})
    found = _NUMBER.fullmatch(text)
    if found is None or found[2] not in ("", *scales):
        units = f" with a unit of {', '.join(scales)}" if scales else ""
        raise ValueError(f"{name}={text!r} is no number{units}")
    value = float(found[1]) * scales.get(found[2], 1)
    return value if unit in ("time", "chance") else int(value)


@define(eq=False)
class Draws:
    """The random streams of one direction of one connection, and the counts of what came of them."""

    seed: int
    connection: int
    direction: str
    counts: Counter[str]
    _streams: dict[str, random.Random] = field(factory=dict)

    def share(self, kind: str) -> float:
        """The next number of a kind, from 0 up to and without 1."""
        stream = self._streams.get(kind)
        if stream is None:
            name = f"{self.seed} {self.connection} {self.direction} {kind}"
            stream = self._streams[kind] = random.Random(name)
        return stream.random()

    def happens(self, kind: str, chance: float) -> bool:
        """Whether a fault of that kind happens now; counted if it does. Draws nothing while its chance is 0."""
        if not chance or self.share(kind) >= chance:
            return False
        self.counts[kind] += 1
        return True
