# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Small messages beside bulk whose packets are lost: ``tls:`` and ``quic:`` between two network namespaces.

The line (``lab/netns``) loses 1 % of the packets of each direction by a seed, and takes 10 ms one way: a round trip of
20 ms. Each sample has fresh processes and the seed of its round, the same for both.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import statistics
import sys
from functools import partial
from pathlib import Path

from attrs import frozen
from processes import command
from quic import NEEDED, certified
from rounds import Level, Missing, Ratio, run_rounds

sys.path.append(str(Path(__file__).resolve().parents[1]))

from lab.netns.line import Weather
from lab.netns.pair import ADDRESSES, machines, why_not

TITLE = "| small messages beside bulk, round trip of the line 20 ms | found | must | goal | reached |"
SCHEMES = ("tls", "quic")
DELAY = 0.01
WEATHERS = {
    "no loss": Weather(delay=DELAY),
    "1 % of large packets lost": Weather(delay=DELAY, loss=0.01, spared=700),
    "1 % of all packets lost": Weather(delay=DELAY, loss=0.01),
}
"""The small messages are in packets of less than 700 bytes: the second weather takes packets of the bulk alone."""
SHARES = (50, 90, 99)
SECONDS = 5.0


@frozen
class Run:
    """What one sample found: percentiles of the round trip of small messages in ms, and MB/s of the bulk."""

    percentiles: tuple[float, ...]
    bulk: float


def sample(scheme: str, weather: Weather, seconds: float, seed: int) -> Run:
    """Both machines once."""
    with machines(weather, seed) as both:
        home = both.start(1, *command("netns_peer.py", "home", scheme, ADDRESSES[1]))
        assert home.stdout is not None
        near = both.start(0, *command("netns_peer.py", "near", json.loads(home.stdout.readline()), seconds, seed))
        assert near.stdout is not None
        said = json.loads(near.stdout.readline())
    cuts = statistics.quantiles(said["seconds"], n=100, method="inclusive")
    return Run(tuple(cuts[share - 1] * 1e3 for share in SHARES), said["bytes per second"] / 1e6)


def levels(name: str, found: list[list[Run]]) -> list[Level]:
    """Rows of one weather: each percentile of both, tls over quic, and the bulk that was carried meanwhile."""
    tls, quic = found
    rows = []
    for i, share in enumerate(SHARES):
        for scheme, runs in zip(SCHEMES, found, strict=True):
            rows.append(Level(f"{name}: {share} % over {scheme}:, ms", Ratio.of([run.percentiles[i] for run in runs])))
        ratios = [one.percentiles[i] / other.percentiles[i] for one, other in zip(tls, quic, strict=True)]
        rows.append(Level(f"{name}: {share} %, tls: over quic:", Ratio.of(ratios)))
    for scheme, runs in zip(SCHEMES, found, strict=True):
        rows.append(Level(f"{name}: bulk over {scheme}:, MB/s", Ratio.of([run.bulk for run in runs])))
    return rows


def figures(rounds: int, quick: bool) -> list[Level | Missing]:
    """Every weather; a look takes one round of one of them."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if (reason := f"needs {', '.join(missing)}" if missing else why_not()) is not None:
        return [Missing("tls: and quic: on a line that loses", reason)]
    rows: list[Level | Missing] = []
    with certified(ADDRESSES[1]):
        for name, weather in WEATHERS.items():
            if quick and weather.spared == 0:
                continue
            seeds = [itertools.count(1) for _ in SCHEMES]
            candidates = [
                partial(_next, scheme, weather, 1.0 if quick else SECONDS, seed)
                for scheme, seed in zip(SCHEMES, seeds, strict=True)
            ]
            rows += levels(name, run_rounds(candidates, 1 if quick else rounds, name, lambda run: run()))
    return rows


def _next(scheme: str, weather: Weather, seconds: float, seeds: itertools.count[int]) -> Run:
    return sample(scheme, weather, seconds, next(seeds))
