# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro send``: lines, frames or files into a channel (row X13).

It reads as fast as the other side takes, and closes the channel at the end of the input; the exit code says how.
"""

from __future__ import annotations

import argparse
import sys

from attrs import evolve

from ..shell.sending import send
from ._shell import MOST, add_arguments, carry_out, exit_codes, number, plan_of

SUMMARY = "send lines, frames or files into a channel, as fast as they are taken"
EXAMPLE = """
kcoro recv --listen uds:$HOME/kcoro-example > copy.txt & kcoro send uds:$HOME/kcoro-example /etc/hosts; wait

seq 1000 | kcoro send --listen --receivers 2 uds:$HOME/kcoro-example &     # each line to one of two
kcoro recv uds:$HOME/kcoro-example > odd & kcoro recv uds:$HOME/kcoro-example > even & wait
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro send``."""
    add_arguments(parser)
    parser.add_argument("files", nargs="*", metavar="FILE", help="what to send; none, or -, is standard input")
    parser.add_argument("--leave-open", action="store_true",
                        help="do not close the channel at the end, because others will send more")  # fmt: skip
    parser.add_argument("--receivers", type=number(int, 1, MOST), metavar="N",
                        help="with --listen: begin when N receivers have come (1)")  # fmt: skip
    parser.epilog = f"{parser.epilog}\n\nexit codes:\n{exit_codes()}"


def run(args: argparse.Namespace) -> int:
    """Send, and say how it ended."""
    if args.leave_open and args.listen:
        raise ValueError("--leave-open is for a sender that dials: a channel ends with the process where it lives")
    if sys.stdin is None and (not args.files or "-" in args.files):
        raise ValueError("standard input is closed; name a file, or connect it")
    if args.receivers and not args.listen:
        raise ValueError("--receivers is for a sender that listens; the other side decides when it dials")
    plan = evolve(plan_of(args, *(args.files or "-")), leave_open=args.leave_open, receivers=args.receivers or 1)
    typed = "-" in plan.files and sys.stdin.isatty()
    return carry_out(send, plan, args, sys.stdout, quiet=typed)
