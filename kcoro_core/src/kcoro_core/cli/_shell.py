# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What ``kcoro send`` and ``kcoro recv`` share on the command line.

Rule 1: standard output of ``recv`` is for what is received; everything else goes to stderr.
Rule 2: in a pipe nothing is said of a good end; with ``--json`` one document says everything, errors included.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TextIO

from ..demo.state import Show
from ..run import run as run_program
from ..shell.attending import DEFAULT_NAME, Plan
from ..shell.formats import BYTES, FRAMES, LINES, Format
from ..shell.outcome import Cause, Outcome, Tally
from ._progress import progress

__all__ = ["MOST", "add_arguments", "carry_out", "exit_codes", "number", "plan_of"]

MOST = 1 << 16
"""Of elements that may wait, and of receivers to wait for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that both commands have."""
    parser.add_argument(
        "uri",
        metavar="URI",
        help=f"where the other side is, as in uds:/path#name; without #name the channel is called {DEFAULT_NAME!r}",
    )
    parser.add_argument("--listen", action="store_true", help="listen there, instead of dialling who does")
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--frames", action="store_true", help="elements with their length in front: four bytes, "
                         "the highest first (default: lines, which travel without their newline)")  # fmt: skip
    formats.add_argument("--bytes", action="store_true", help="a stream of bytes, cut anywhere")
    parser.add_argument("--capacity", type=number(int, 0, MOST), default=64, metavar="N",
                        help="elements that may wait in the channel, at the side that listens (64)")  # fmt: skip
    parser.add_argument("--wait", type=number(float, 0, 1e9), default=5.0, metavar="S",
                        help="try for S seconds to reach who does not listen yet (5)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print how it ended as JSON")


def exit_codes() -> str:
    """The table of exit codes, for the help of both."""
    return "\n".join(f"{cause.code:>5}{'+' if cause is Cause.INTERRUPTED else ' '} {cause.meaning}" for cause in Cause)


def plan_of(args: argparse.Namespace, *files: str) -> Plan:
    """What was asked for, as the commands themselves want it."""
    return Plan(args.uri, args.listen, _format(args), args.capacity, args.wait, files)


def _format(args: argparse.Namespace) -> Format:
    return FRAMES if args.frames else BYTES if args.bytes else LINES


def carry_out(
    work: Callable[[Plan, Tally, Show], Awaitable[Outcome]],
    plan: Plan,
    args: argparse.Namespace,
    out: TextIO,
    quiet: bool,
) -> int:
    """Do it, say how it ended, and return the exit code; ``quiet`` when a bar would disturb what is typed or shown."""
    tally, began = Tally(), time.monotonic()
    with progress(shown=not quiet and not args.json) as show:
        outcome = run_program(work, plan, tally, show)
    seconds = time.monotonic() - began
    if args.json:
        document = {"command": args.command, "uri": plan.uri, "channel": plan.name, **outcome.as_json(tally, seconds)}
        json.dump(document, out, indent=2, ensure_ascii=False)
        out.write("\n")
    elif _to_be_told(outcome, quiet):
        print(f"kcoro {args.command}: {_sentence(args.command, plan, outcome, tally, seconds)}", file=sys.stderr)
    return outcome.code


def _to_be_told(outcome: Outcome, quiet: bool) -> bool:
    """A good end is told on a terminal only; that the reader of our output has gone is told nowhere, as is usual."""
    if outcome.cause is Cause.DONE:
        return sys.stderr.isatty() and not quiet
    return outcome.signum != signal.SIGPIPE


def _sentence(command: str, plan: Plan, outcome: Outcome, tally: Tally, seconds: float) -> str:
    done = "accepted" if command == "send" else "written"
    how = outcome.text or f"{tally.size / 1e6:.1f} MB in {seconds:.1f} s"
    parts = [f"{tally.passed} {plan.format.unit}{'' if tally.passed == 1 else 's'} {done}"]
    if tally.in_doubt:
        parts.append(f"{tally.in_doubt} in doubt")
    if tally.left_over:
        parts.append(f"{tally.left_over} {'not delivered' if command == 'send' else 'taken and not written'}")
    return f"{how}; {', '.join(parts)}"


def number(kind: Callable[[str], float], least: float, most: float) -> Callable[[str], float]:
    """What argparse calls for a number from ``least`` to ``most``; it raises ArgumentTypeError for anything else."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"from {least:g} to {most:g}")
        return value

    return parse
