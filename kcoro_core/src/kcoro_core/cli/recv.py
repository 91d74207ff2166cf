# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro recv``: a channel onto standard output, or into a file (row X13).

It takes as fast as its output is read, and ends when the sender has closed the channel; the exit code says how.
"""

from __future__ import annotations

import argparse
import sys

from ..shell.receiving import receive
from ._shell import add_arguments, carry_out, exit_codes, plan_of

SUMMARY = "write the lines, frames or bytes of a channel as they come, until the sender has closed it"
EXAMPLE = """
kcoro send --listen uds:$HOME/kcoro-example /etc/hosts & kcoro recv uds:$HOME/kcoro-example; wait

kcoro recv --listen --bytes -o copy uds:$HOME/kcoro-example &
kcoro send --bytes uds:$HOME/kcoro-example /bin/ls; wait; cmp copy /bin/ls
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro recv``."""
    add_arguments(parser)
    parser.add_argument("-o", "--output", default="-", metavar="FILE", help="where to write (standard output)")
    parser.epilog = f"{parser.epilog}\n\nexit codes:\n{exit_codes()}"


def run(args: argparse.Namespace) -> int:
    """Receive, and say how it ended."""
    if sys.stdout is None and args.output == "-":
        raise ValueError("standard output is closed; name a file with -o, or connect it")
    plan = plan_of(args, args.output)
    shown_there = args.output == "-" and sys.stdout.isatty()
    return carry_out(receive, plan, args, sys.stderr, quiet=shown_there)
