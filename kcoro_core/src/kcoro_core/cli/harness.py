# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro harness``: drive a transport by trio, hook for hook, and say which of them works (row T7).

Exit code 1 when a hook failed, 2 when there is no such transport.
"""

from __future__ import annotations

import argparse

from attrs import asdict

from ._output import print_json, print_table

SUMMARY = "drive a transport by trio, hook for hook, and print PASS or FAIL for each"
EXAMPLE = """
kcoro harness uds:                          # at a fresh address
kcoro harness tcp:127.0.0.1:7000 --json
kcoro harness mine: --timeout 2             # how long each hook may take
"""

WORDS = {"passed": "PASS", "failed": "FAIL", "not reached": "-", "does not apply": "-"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro harness``."""
    parser.add_argument("uri", metavar="URI", help="an address, or a bare scheme with a colon for a fresh one")
    parser.add_argument("--json", action="store_true", help="print JSON, one object for each hook")
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="SECONDS", help="how long each hook may take (default: 10)"
    )


def run(args: argparse.Namespace) -> int:
    """Drive, print, and judge."""
    import trio

    from ..testing.hook_harness import run_hooks

    async def main() -> int:
        results = await run_hooks(args.uri, seconds=args.timeout)
        if args.json:
            print_json([asdict(result) for result in results])
        else:
            print_table(["hook", "", "seen"], [[r.hook, WORDS[r.state], r.text or r.state] for r in results])
        return 1 if any(result.state == "failed" for result in results) else 0

    return trio.run(main)
