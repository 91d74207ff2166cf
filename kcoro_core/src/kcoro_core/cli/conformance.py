# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro conformance``: the numbered cases against a transport, or the engine laws against an engine (rows T4, H1).

Exit code 1 when one of them failed that must hold, 2 when there is no such transport or engine, or its transport says
that nobody can listen at such an address. What only should hold, and does not, is printed as advice.
"""

from __future__ import annotations

import argparse
import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import asdict

from .. import plugins
from ..errors import KcoroError, NotSupported
from ..testing import transport_kit
from ..testing.transport_kit import Result
from ..testing.transport_kit.bench import Bench
from ..testing.transport_kit.report import write_junit
from ._output import print_json, print_table

if TYPE_CHECKING:
    from ..testing.laws import LawResult

SUMMARY = "run the conformance cases against a transport or an engine"
EXAMPLE = """
kcoro conformance uds:                      # at a fresh address
kcoro conformance uds:/run/me/kit.sock --junit kit.xml
kcoro conformance engine:reference --json
"""

WORDS = {"passed": "ok", "failed": "FAIL", "advised": "advice", "does not apply": "-"}


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
    results = _engine(name) if kind == "engine" else _transport(args.subject)
    if args.junit:
        write_junit(args.junit, args.subject, results)
    if args.json:
        print_json([asdict(result) for result in results])
    else:
        _print(args.subject, results)
    return 1 if any(result.state == "failed" for result in results) else 0


def _transport(uri: str) -> list[Result]:
    """The cases of a transport, once it has taken the address; each of them would say the same of one that is none."""
    vtable = plugins.transport(uri)
    with contextlib.suppress(KcoroError, OSError), Bench(vtable, uri, {}) as bench:
        if uri.partition(":")[2]:  # what a transport makes of its bare scheme is for the cases to say
            bench.listen()
    return transport_kit.run_all(uri)


def _engine(name: str) -> list[Result]:
    """The laws of an engine, on every host of core."""
    from ..testing import laws

    if not __debug__:
        raise NotSupported("laws are made of assertions, which -O and PYTHONOPTIMIZE take away; run without them")
    plugins.engine(name)  # a missing or broken engine is one error, and not one for each law
    return [_as_result(law) for law in laws.run_engine(name)]


def _as_result(law: LawResult) -> Result:
    if law.ok:
        return Result(law.law_id, law.text, "passed")
    return Result(law.law_id, law.text.partition(" -- ")[0], "failed", law.text)


def _print(subject: str, results: list[Result]) -> None:
    print_table(["case", "", "promise"], _rows(results))
    for result in results:
        if result.state in ("failed", "advised"):
            print(f"\n{result.number}: {result.text}")
    counts = Counter[str](result.state for result in results)
    told = [state for state in WORDS if counts[state] or state != "advised"]
    print(f"\n{subject.rstrip(':')}: " + ", ".join(f"{counts[state]} {state}" for state in told))


def _rows(results: list[Result]) -> Iterator[list[str]]:
    """One row for each promise; a law that was run in several cases and on several hosts says how often."""
    promises: dict[str, list[Result]] = {}
    for result in results:
        promises.setdefault(re.split(r"[\[@]", result.number)[0], []).append(result)
    for number, runs in promises.items():
        worst = next((run for run in runs if run.state == "failed"), runs[0])
        times = f" ({len(runs)} times)" if len(runs) > 1 else ""
        yield [number, WORDS[worst.state], worst.title + times]
