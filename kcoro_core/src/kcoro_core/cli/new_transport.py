# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro new-transport``: a project of your own with a transport that works, to be made into yours (row X8).

Exit code 2 when the name cannot be used, or the folder is there already; nothing was written then.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..scaffold import new_transport

SUMMARY = "write a complete project with a transport of its own, which works and passes the kit"
EXAMPLE = """
kcoro new-transport pigeon                  # ./kcoro-transport-pigeon
kcoro new-transport pigeon --into ~/src
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro new-transport``."""
    parser.add_argument("name", metavar="NAME", help="the scheme of its addresses: lower-case letters and digits")
    parser.add_argument(
        "--into", type=Path, default=Path(), metavar="DIR", help="where the project's folder is made (default: here)"
    )


def run(args: argparse.Namespace) -> int:
    """Write it, and say what to do next."""
    for path in new_transport(args.name, args.into):
        print(path)
    folder = args.into / f"kcoro-transport-{args.name}"
    print(f"\nnext: pip install -e '{folder}[test]' && pytest {folder} && kcoro harness {args.name}:")
    return 0
