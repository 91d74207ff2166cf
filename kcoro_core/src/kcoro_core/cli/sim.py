# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro sim``: simulate the whole link engine from a seed, once or for a campaign (row X12).

Exit code 1 when a simulation was at fault, or when a campaign has not seen what it should have seen.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .. import plugins
from ._campaign import Progress, findings, print_findings
from ._output import print_json

if TYPE_CHECKING:
    from ..testing.explore import Exploration
    from ..testing.sim import Campaign

SUMMARY = "simulate links on bad lines from a seed: random programs, faults, then everything has to finish"
EXAMPLE = """
kcoro sim --seed 17                      # one simulation, with its trace hash
kcoro sim --runs 1000                    # the first thousand
kcoro sim --campaign                     # as continuous integration does: 20,000 or 180 seconds, at least 1,000
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro sim``."""
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the first simulation (0)")
    parser.add_argument("--steps", type=int, metavar="M", help="steps of the host with faults in each (400)")
    parser.add_argument("--runs", type=int, metavar="R", help="how many simulations (1)")
    parser.add_argument("--seconds", type=float, metavar="S", help="stop after S seconds")
    parser.add_argument(
        "--campaign", action="store_true", help="20000 simulations or 180 seconds, but 1000, if not said otherwise"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Simulate, print, and judge."""
    from ..testing import sim

    _check(args)
    campaign = sim.Campaign(args.steps or sim.STEPS)
    limit = args.runs or (sim.SIMULATIONS if args.campaign else 1)
    seconds = args.seconds or (sim.SECONDS if args.campaign else float("inf"))
    least = sim.ENOUGH if args.campaign and not args.seconds else 0
    progress = Progress("simulations", shown=not args.json and limit > 1)
    outcome = campaign.run(args.seed, limit=limit, seconds=seconds, least=least, progress=progress)
    progress.end()
    report = _report(args, campaign, outcome)
    if args.json:
        print_json(report)
    else:
        _print(report)
    return 0 if report["ok"] else 1


def _check(args: argparse.Namespace) -> None:
    if args.seed < 0:
        raise ValueError(f"--seed must be 0 or more, not {args.seed}")
    for name in ("steps", "runs", "seconds"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name} must be more than 0, not {value}")


def _report(args: argparse.Namespace, campaign: Campaign, outcome: Exploration) -> dict[str, Any]:
    """Everything that is known in the end, as ``--json`` prints it."""
    return {
        "ok": not outcome.found,
        "engine": plugins.choice().name,
        "seed": args.seed,
        "steps": campaign.steps,
        "simulations": outcome.schedules,
        "distinct": outcome.distinct,
        "replayed": outcome.replayed,
        "median_steps": campaign.median_steps,
        "seconds": round(outcome.seconds, 3),
        "trace": campaign.last if outcome.schedules == 1 else None,
        "counts": dict(sorted(campaign.counts.items())),
        "found": findings(outcome.found),
        "about": outcome.about,
        "command": outcome.command,
    }


def _print(report: dict[str, Any]) -> None:
    print_findings(report)
    counts = report["counts"]
    width = max(map(len, counts), default=0)
    for what, count in counts.items():
        print(f"{what.ljust(width)}  {count}")
    print(f"{report['simulations']} simulations, median {report['median_steps']:.0f} steps, engine {report['engine']}")
    print(f"{report['distinct']} distinct traces, {report['replayed']} replayed with an equal trace")
    print(f"{report['seconds']:.1f} s")
    if report["trace"]:
        print(f"trace {report['trace']}")
    if report["ok"]:
        print("nothing found")
