# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro plugins``: what is installed, what it serves, and why something is not used (row X6).

Exit code 0 also when a plugin is broken: listing it is what was asked for. ``kcoro doctor`` judges.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from attrs import asdict

from .. import plugins
from ._output import print_json, print_table

SUMMARY = "list the installed plugins: what they serve, and what is wrong with those that do not"
EXAMPLE = """
kcoro plugins
kcoro plugins --json
KCORO_PLUGINS=-uds kcoro plugins       # block one, by plugin or distribution
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``kcoro plugins``."""
    parser.add_argument("--json", action="store_true", help="print JSON, with all fields")


def run(args: argparse.Namespace) -> int:
    """List the plugins."""
    reports = plugins.reports()
    if args.json:
        print_json([as_json(report) for report in reports])
        return 0
    print_table(
        ["plugin", "distribution", "state", "serves", "API", "ms"],
        ([r.name, f"{r.distribution} {r.version}", r.state, serves(r), _number(r.api), f"{r.load_seconds * 1e3:.1f}"]
         for r in reports),
    )  # fmt: skip
    for report in reports:
        if report.error:
            print(f"\n{report.name}: {report.error}")
    return 0


def as_json(report: plugins.PluginReport) -> dict[str, Any]:
    """All fields of a report, as ``--json`` prints them."""
    return asdict(report)


def serves(report: plugins.PluginReport) -> str:
    """Schemes, engines, hosts and resolvers in one cell."""
    return ", ".join(_served(report)) or "-"


def _served(report: plugins.PluginReport) -> Iterator[str]:
    for scheme in report.schemes:
        yield f"{scheme}:"
    for engine in report.engines:
        yield f"engine {engine}"
    for host in report.hosts:
        yield f"host {host}"
    for resolver in report.resolvers:
        yield f"resolver {resolver}"


def _number(api: int | None) -> str:
    return "-" if api is None else str(api)
