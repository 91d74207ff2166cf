# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""In which order places are tried: families in turn, and services by priority and weight (RFC 2782).

Chance is passed in, so that a test can say what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from attrs import frozen

from .protocol import Place

__all__ = ["Service", "alternating", "by_weight"]


@frozen
class Service:
    """One SRV record: lower priorities come first, within one of them shares go by weight."""

    priority: int
    weight: int
    port: int
    target: str


def alternating(found: Sequence[Place]) -> list[Place]:
    """The order as it is, but with the families in turn: one that leads nowhere then costs one attempt."""
    first = [place for place in found if _is_six(place) == _is_six(found[0])]
    other = [place for place in found if _is_six(place) != _is_six(found[0])]
    mixed = []
    for i in range(max(len(first), len(other))):
        mixed += first[i : i + 1] + other[i : i + 1]
    return mixed


def _is_six(place: Place) -> bool:
    return ":" in place[0]


def by_weight(services: Sequence[Service], chance: Random) -> list[Service]:
    """Priorities in order; within one, each next one is drawn with a probability in proportion to its weight."""
    ordered: list[Service] = []
    for priority in sorted({service.priority for service in services}):
        left = [service for service in services if service.priority == priority]
        chance.shuffle(left)  # so that those without weight have no order of their own
        while left:
            ordered.append(left.pop(_drawn(left, chance)))
    return ordered


def _drawn(left: Sequence[Service], chance: Random) -> int:
    mark = chance.random() * sum(service.weight for service in left)
    for at, service in enumerate(left):
        mark -= service.weight
        if mark < 0:
            return at
    return 0  # nobody has any weight
