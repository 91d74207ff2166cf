# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``python -m lab [GATE or LAB ...]``: run labs, print figures and what held; the exit code is the verdict.

0 everything passed, 1 something did not, 2 the command line makes no sense.
"""

from __future__ import annotations

import argparse
import json
import sys

from .gates import GATES, LABS
from .places import NETWORKS, TRANSPORTS
from .runner import Report, run_lab
from .sabotage import FAULTS

EXAMPLE = """
what to run, all gates when nothing is named:
{what}

python -m lab D1 --quick                     # one gate, over all its transports
python -m lab mux --transport sim --json     # one lab over one transport
python -m lab D3 --quick --sabotage fairness # has to fail
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    what = [(name, gate.about) for name, gate in GATES.items()] + list(LABS.items())
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="Labs: scenarios over production code, with a verdict.",
        epilog=EXAMPLE.format(what="\n".join(f"  {name:<14}{about}" for name, about in what)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", nargs="*", metavar="GATE|LAB", help="what to run (every gate)")
    parser.add_argument(
        "--transport",
        action="append",
        choices=(*TRANSPORTS, *NETWORKS),
        help="over this one (a gate: its own; a lab: mem)",
    )
    parser.add_argument("--quick", action="store_true", help="less of everything; the checks are the same")
    parser.add_argument("--seed", type=int, default=1, help="what decides order, and over sim: everything (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--sabotage", choices=FAULTS, help="plant this fault first; the verdict has to be FAIL")
    parser.add_argument("--write-baseline", action="store_true", help="keep these figures as the ones to compare with")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run, print, judge."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if unknown := set(args.what) - set(GATES) - set(LABS):
        parser.error(f"no gate or lab is called {', '.join(sorted(unknown))}")
    for name in args.what or GATES:
        if name in GATES and args.sabotage not in (None, *GATES[name].sabotage):
            found = ", ".join(GATES[name].sabotage)
            parser.error(
                f"nothing in {name} can see {args.sabotage}, so that its verdict would mean nothing; it sees {found}"
            )
    done: dict[tuple[str, str], Report] = {}
    verdicts: dict[str, bool] = {}
    for name in args.what or GATES:
        reports = [_run(args, lab, transport, done) for lab, transport in _plan(name, args.transport)]
        verdicts[name] = all(report.passed for report in reports)
    if args.json:
        document = {"seed": args.seed, "sabotage": args.sabotage, "verdicts": verdicts,
                    "reports": [report.as_json() for report in done.values()]}  # fmt: skip
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(f"{name}: {'PASS' if passed else 'FAIL'}" for name, passed in verdicts.items()))
    return 0 if all(verdicts.values()) else 1


def _plan(name: str, transports: list[str] | None) -> list[tuple[str, str]]:
    if name in LABS:
        return [(name, transport) for transport in transports or ["mem"]]
    gate = GATES[name]
    return [(lab, transport) for lab in gate.labs for transport in transports or gate.transports]


def _run(args: argparse.Namespace, lab: str, transport: str, done: dict[tuple[str, str], Report]) -> Report:
    """One lab over one transport; gates share what has been run."""
    if (lab, transport) not in done:
        report = run_lab(lab, transport, seed=args.seed, quick=args.quick, sabotage=args.sabotage)
        done[lab, transport] = report
        if not args.json:
            print("\n".join(report.lines()), flush=True)
        if args.write_baseline:
            report.baseline.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    return done[lab, transport]


if __name__ == "__main__":
    sys.exit(main())
