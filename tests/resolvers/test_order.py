# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""In which order places are tried. Row: X17."""

from __future__ import annotations

from collections import Counter
from random import Random

from kcoro_core.resolvers.order import Service, alternating, by_weight


def test_families_take_turns_in_the_order_that_was_given() -> None:
    """A family that leads nowhere costs one attempt, and not all of its addresses. Row: X17."""
    six = [(f"::{i}", 1) for i in range(3)]
    four = [(f"127.0.0.{i}", 1) for i in range(2)]
    assert alternating([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert alternating([*four, *six])[0] == four[0]
    assert alternating([]) == []


def test_priorities_are_never_mixed_and_weights_are_shares() -> None:
    """Row: X17."""
    services = [Service(16, 3, 1, "heavy"), Service(16, 1, 1, "light"), Service(9, 0, 1, "first")]
    drawn = Counter()  # type: Counter[str]
    for seed in range(2000):
        ordered = by_weight(services, Random(seed))
        assert ordered[0].target == "first"
        assert {service.target for service in ordered} == {"heavy", "light", "first"}
        drawn[ordered[1].target] += 1
    assert 1400 < drawn["heavy"] < 1600


def test_without_weights_everybody_has_the_same_share() -> None:
    """Row: X17."""
    services = [Service(0, 0, 1, str(i)) for i in range(4)]
    drawn = Counter(by_weight(services, Random(seed))[0].target for seed in range(2000))
    assert all(400 < number < 600 for number in drawn.values())
