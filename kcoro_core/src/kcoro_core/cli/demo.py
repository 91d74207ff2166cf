# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro demo``: worker processes count the words of real files over channels, and the count is proved.

Exit codes: 0 counted and proved; 1 the proof disagrees, or the workers cannot do it; 2 nothing to count, or a transport
that is not there, or without what makes its certificates; 130 Ctrl-C (other signals: 128 and their number).
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable

from ..demo.coordinator import WorkersFailed
from ..demo.program import Interrupted, Options, Outcome, demo
from ..demo.report import as_json, closing_lines, opening_lines, printable, worker_rows
from ..run import run as run_program
from ._output import print_json, print_table
from ._progress import progress

SUMMARY = "count the words of real files with worker processes over channels, and prove the count"
EXAMPLE = """
kcoro demo                             # the sources of the standard library
kcoro demo --workers 4 --top 20 docs README.md
kcoro demo --chaos --seed 7            # kill workers on the way; the count stays exact
kcoro demo --transport tls             # or quic: with certificates for this run, thrown away after it
"""

MOST_WORKERS = 256


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro demo``."""
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="files and folders to count; none: the standard library's sources"
    )
    parser.add_argument("--workers", type=_workers, default=2, metavar="N", help="worker processes (default: 2)")
    parser.add_argument(
        "--transport",
        default="uds",
        metavar="NAME",
        help="what carries the channels: the scheme of an installed transport (default: uds). One that needs "
        "certificates, as tls and quic, gets some for this run, unless KCORO_TLS_CERTFILE names one; over one that "
        "does not know who dials, as tcp and quic, anybody on this machine may join",
    )
    parser.add_argument(
        "--host", default="trio", metavar="NAME", help="what runs the coordinator and the workers (default: trio)"
    )
    parser.add_argument("--top", type=_at_least(0), default=10, metavar="N", help="words to show (default: 10)")
    parser.add_argument("--chaos", action="store_true", help="kill workers at random on the way")
    parser.add_argument(
        "--seed", type=int, default=None, metavar="N", help="what decides whom --chaos kills (default: by chance)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with everything")


def run(args: argparse.Namespace) -> int:
    """Count, print, and judge."""
    seed = random.SystemRandom().randrange(1 << 32) if args.seed is None else args.seed
    options = Options(tuple(args.paths), args.workers, args.transport, args.chaos, seed, args.host)
    try:
        with progress() as show:
            outcome = run_program(demo, options, show, host=args.host)
    except (Interrupted, WorkersFailed) as error:
        print(f"kcoro demo: {printable(str(error))}", file=sys.stderr)
        return 128 + error.signum if isinstance(error, Interrupted) else 1
    _print(outcome, args)
    return 1 if outcome.difference else 0


def _print(outcome: Outcome, args: argparse.Namespace) -> None:
    if hasattr(sys.stdout, "reconfigure"):
        # Whatever the terminal's encoding cannot write is escaped, not an error at the very end.
        sys.stdout.reconfigure(errors="backslashreplace")
    if args.json:
        print_json(as_json(outcome, args.top))
        return
    for line in opening_lines(outcome, args.top):
        print(line)
    print()
    print_table(["worker", "jobs", "files", "size", "busy s", "rate", "end"], worker_rows(outcome))
    print()
    for line in closing_lines(outcome):
        print(line)


def _workers(text: str) -> int:
    number = _at_least(1)(text)
    if number > MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"at most {MOST_WORKERS}")
    return number


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more")
        return value

    return number
