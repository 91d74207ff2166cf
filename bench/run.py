# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Side-by-side benchmarks: ``python bench/run.py`` prints ratios with their intervals, and what they were aimed at.

Needs kcoro-core and kcoro-transport-uds installed; names of suites run only those. ``--quick`` takes three short rounds
to see that everything runs; its figures mean little.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import attrs
import bare
import channels
import coroutines
import fair
import links
import micro
import others
import quic
import scheduler
import stackful
from rounds import Bound, Figure, Level, Missing
from spread import Percentiles, Spread

import native
import netns

One = Figure | Bound | Level | Missing | Spread
Found = Sequence[One]

SUITES: dict[str, tuple[str, Callable[[int, bool], Found]]] = {
    "channels": (channels.TITLE, channels.figures),
    "links": (links.TITLE, links.figures),
    "many": (links.TITLE_OF_MANY, links.many),
    "memory": (links.TITLE_OF_MEMORY, links.memory),
    "fair": (fair.TITLE, fair.figures),
    "others": (others.TITLE, others.figures),
    "micro": (micro.TITLE, micro.figures),
    "native": (native.TITLE, native.figures),
    "coroutines": (coroutines.TITLE, coroutines.figures),
    "scheduler": (scheduler.TITLE, scheduler.figures),
    "stackful": (stackful.TITLE, stackful.figures),
    "quic": (quic.TITLE, quic.figures),
    "bare": (bare.TITLE, bare.figures),
    "netns": (netns.TITLE, netns.figures),
}
"""What can be run: the head of its table, and what takes its figures (rounds, whether it is only a look)."""

DEFAULT = [name for name in SUITES if name not in ("native", "coroutines", "scheduler", "stackful", "netns")]
"""What is run unless suites are named: those need a compiler and other libraries, and ``netns`` namespaces."""


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": f"{models[0]} x {len(models)}" if models else platform.processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "trio": version("trio"),
        "kcoro-core": version("kcoro-core"),
    }


def microseconds(value: float) -> str:
    """With nanoseconds where it is less than one."""
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def cell(found: Percentiles | None) -> str:
    """Three numbers, or that there is no such thing."""
    return " / ".join(map(microseconds, (found.p50, found.p95, found.p99))) if found else "—"


def row(found: One) -> str:
    """One line of a Markdown table."""
    if isinstance(found, Spread):
        ratios = [f"{name} {ratio}" for name, ratio in found.ratios.items()]
        cells = [*map(cell, found.cells.values()), ", ".join([*ratios, found.verdict] if found.verdict else ratios)]
        return f"| {found.name} | {' | '.join(cells)} |"
    if isinstance(found, Missing):
        return f"| {found.name} | | | | {found.verdict} |"
    if isinstance(found, Bound):
        most = "" if found.most is None else f"{found.most:.0f}"
        return f"| {found.name} | {found.value:.0f} | {most} | {found.verdict} |"
    if isinstance(found, Level):
        aims = ["" if aim is None else f"{aim:g}" for aim in (found.must, found.goal)]
        return f"| {found.name} | {found.ratio} | {aims[0]} | {aims[1]} | {found.verdict} |"
    goals = f"{found.must:.3g} | {found.goal:.3g} | {found.verdict}" if found.must else " | | "
    times = " | ".join(map(microseconds, (found.peer_microseconds, found.our_microseconds)))
    cells = f"| {found.name} | {found.ratio} | {goals} | {times} |"
    for processor in (found.peer_processor, found.our_processor):
        if processor is not None and found.peer_processor != (0, 0):
            cells += " {:.1f} + {:.1f} |".format(*processor)
    return cells


def table(title: str, found: Found) -> str:
    """Figures as a Markdown table."""
    return "\n".join([title, "|---" * (title.count("|") - 1) + "|", *map(row, found)])


def main(arguments: list[str] | None = None) -> int:
    """Run and print; exits 1 under ``--check`` when a must is missed by its whole interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "suites",
        nargs="*",
        metavar="suite",
        help=f"what to run: {', '.join(SUITES)} (default all but native, coroutines, scheduler, stackful and netns)",
    )
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    parser.add_argument("--quick", action="store_true", help="three short rounds: does it run at all?")
    parser.add_argument("--check", action="store_true", help="exit 1 when a must is missed by the whole interval")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    if options.rounds < 1:
        parser.error("at least one round")
    rounds = 3 if options.quick else options.rounds
    found = {name: SUITES[name][1](rounds, options.quick) for name in options.suites or DEFAULT}
    if options.json:
        suites = {name: [attrs.asdict(f) | {"verdict": f.verdict} for f in rows] for name, rows in found.items()}
        print(json.dumps({"machine": machine(), "rounds": rounds, "suites": suites}, indent=2))
    else:
        print("\n".join(f"{key}: {value}" for key, value in machine().items()))
        print(f"rounds: {rounds}")
        for name, rows in found.items():
            print(f"\n{table(SUITES[name][0], rows)}")
    return int(options.check and any(f.verdict == "MISSED" for rows in found.values() for f in rows))


if __name__ == "__main__":
    sys.exit(main())
