# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro conformance``: the numbered cases against a transport, or the engine laws against an engine (rows T4, H1).

Exit code 1 when one of them failed, 2 when there is no such transport or engine.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from attrs import asdict

from .. import plugins
from ..testing import transport_kit
from ..testing.transport_kit import Result
from ..testing.transport_kit.report import write_junit
from ._output import print_json, print_table

SUMMARY = "run the conformance cases against a transport or an engine"
EXAMPLE = """
kcoro conformance uds:                      # at a fresh address
kcoro conformance uds:/run/me/kit.sock --junit kit.xml
kcoro conformance engine:reference --json
"""

WORDS = {"passed": "ok", "failed": "FAIL", "does not apply": "-"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro conformance``."""
    parser.add_argument(
        "subject", metavar="URI|engine:NAME", help="an address, a bare scheme with a colon, or an engine"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object for each case")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="also write JUnit XML to FILE")


def run(args: argparse.Namespace) -> int:
    """Run, print, and judge."""
    kind, _, name = args.subject.partition(":")
    results = _engine(name) if kind == "engine" else transport_kit.run_all(args.subject)
    if args.junit:
        write_junit(args.junit, args.subject, results)
    if args.json:
        print_json([asdict(result) for result in results])
    else:
        _print(args.subject, results)
    return 1 if any(result.state == "failed" for result in results) else 0


def _engine(name: str) -> list[Result]:
    """The laws that need nothing but an engine's core surface and a seeded host."""
    from ..testing import laws

    plugins.engine(name)  # a missing or broken engine is one error, and not one for each law
    return [Result(law, "", "passed" if ok else "failed", text) for law, ok, text in laws.run_engine(name)]


def _print(subject: str, results: list[Result]) -> None:
    print_table(["case", "", "promise"], ([r.number, WORDS[r.state], r.title or r.text] for r in results))
    for result in results:
        if result.state == "failed":
            print(f"\n{result.number}: {result.text}")
    counts = Counter[str](result.state for result in results)
    print(f"\n{subject.rstrip(':')}: " + ", ".join(f"{counts[state]} {state}" for state in WORDS))
