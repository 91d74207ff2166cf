# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""How long one operation takes, and how far that spreads: percentiles of many short batches, with ratios of medians.

A batch is timed as a whole, since a clock costs as much as the shortest operations do; so a percentile is of means over
one batch. What happens to one operation in a hundred is seen as a hundredth of its length.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from attrs import frozen
from rounds import Ratio, ratio

__all__ = ["Percentiles", "Spread", "ratio_of_medians"]


@frozen
class Percentiles:
    """Microseconds that an operation takes: in the middle, and that 95 and 99 batches in a hundred do not exceed."""

    p50: float
    p95: float
    p99: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Percentiles:
        """Those of some batches, each given as microseconds of one operation. ValueError: there are none."""
        if not values:
            raise ValueError("no batch was timed, so that there is nothing to say of it")
        ordered = sorted(values)
        return cls(*(ordered[math.ceil(len(ordered) * q / 100) - 1] for q in (50, 95, 99)), len(ordered))


@frozen
class Spread:
    """One line of the report: percentiles by column, None where a column has no such thing, and ratios over ours."""

    name: str
    cells: Mapping[str, Percentiles | None]
    ratios: Mapping[str, Ratio]
    verdict: str = ""


def ratio_of_medians(peer: Sequence[Sequence[float]], ours: Sequence[Sequence[float]]) -> Ratio:
    """The median batch of the peer over ours, round by round."""
    return ratio(*([statistics.median(batches) for batches in side] for side in (peer, ours)))
