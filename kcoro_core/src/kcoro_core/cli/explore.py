# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro explore``: run a program, or the engine itself, under many seeded schedules (row X19).

Exit code 1 when a schedule was at fault, or when an exploration of the engine saw too few distinct schedules.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .. import plugins
from ._campaign import Progress, findings, print_findings
from ._output import print_json

if TYPE_CHECKING:
    from ..testing.explore import Exploration, Schedule

SUMMARY = "run a program under many schedules, and find deadlocks and lost elements; without one, test the engine"
EXAMPLE = """
kcoro explore prog.py::main --schedules 10000
kcoro explore prog.py::main --seed 17 --schedules 1      # repeat one of them, with its output
kcoro explore                                            # the engine, with random programs
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro explore``."""
    parser.add_argument("program", nargs="?", help="FILE::FUNCTION, an async function without arguments")
    parser.add_argument("--schedules", type=int, metavar="N", help="stop after N (10000; for the engine 100000)")
    parser.add_argument("--seconds", type=float, default=120.0, metavar="S", help="stop after S seconds (120)")
    parser.add_argument("--seed", type=int, default=0, metavar="SEED", help="the first seed (0)")
    parser.add_argument("--hurry", type=float, default=0.0, metavar="P", help="chance that time passes in a step (0)")
    parser.add_argument("--inject", metavar="WHAT@STEP", help="repeat one schedule of the engine with this disturbance")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Explore, print, and judge."""
    from ..testing import explore as explorer

    _check(args)
    limit, schedules = _plan(args)
    # A program that prints would print ten thousand times; a single schedule is being looked at.
    quiet = contextlib.redirect_stdout(io.StringIO()) if args.program and limit > 1 else contextlib.nullcontext()
    progress = Progress("schedules", shown=not args.json)
    with quiet:
        outcome = explorer.explore(schedules, limit=limit, seconds=args.seconds, progress=progress)
    progress.end()
    enough = 0 if args.program else min(explorer.ENOUGH, limit // 2)
    report = _report(args, outcome, enough)
    if args.json:
        print_json(report)
    else:
        _print(report)
    return 0 if report["ok"] else 1


def _check(args: argparse.Namespace) -> None:
    if args.schedules is not None and args.schedules < 1:
        raise ValueError(f"--schedules must be at least 1, not {args.schedules}")
    if not args.seconds > 0:
        raise ValueError(f"--seconds must be more than 0, not {args.seconds}")
    if args.seed < 0:
        raise ValueError(f"--seed must be 0 or more, not {args.seed}")
    if not 0 <= args.hurry <= 1:
        raise ValueError(f"--hurry is a probability from 0 to 1, not {args.hurry}")
    if args.program and args.inject:
        raise ValueError("--inject belongs to the exploration of the engine; leave it out, or the program")


def _plan(args: argparse.Namespace) -> tuple[int, Iterator[Schedule]]:
    """How many schedules to run at most, and which."""
    from ..testing import explore as explorer

    if args.program:
        program = explorer.UserProgram(args.program, args.hurry)
        return args.schedules or 10_000, map(program.schedule, itertools.count(args.seed))
    if args.inject:
        return 1, iter([explorer.replay(args.seed, explorer.Injection.parse(args.inject))])
    return args.schedules or explorer.SCHEDULES, explorer.engine_schedules(args.seed)


def _report(args: argparse.Namespace, outcome: Exploration, enough: int) -> dict[str, Any]:
    """Everything that is known in the end, as ``--json`` prints it."""
    from ..testing.explore import LIMIT

    found = findings(outcome.found)
    if not found and outcome.distinct < enough:
        text = f"only {outcome.distinct} distinct schedules in {outcome.seconds:.0f} s; {enough} are needed"
        found.append({"kind": "few", "text": text})
    return {
        "ok": not found,
        "program": args.program,
        "engine": plugins.choice().name,
        "schedules": outcome.schedules,
        "distinct": outcome.distinct,
        "replayed": outcome.replayed,
        "seconds": round(outcome.seconds, 3),
        "found": found,
        "about": outcome.about,
        "command": outcome.command,
        "limit": LIMIT,
    }


def _print(report: dict[str, Any]) -> None:
    print_findings(report)
    print(
        f"{report['schedules']} schedules, {report['distinct']} distinct traces, {report['replayed']} replayed with an "
        f"equal trace, {report['seconds']:.1f} s, engine {report['engine']}"
    )
    if report["program"]:
        print(f"limit: {report['limit']}")
    if report["ok"]:
        print("nothing found")
