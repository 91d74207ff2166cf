# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Side-by-side benchmarks: ``python bench/run.py`` prints ratios with their intervals, and what they were aimed at.

Needs kcoro-core installed. ``--quick`` takes three short rounds to see that everything runs; its figures mean little.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import attrs
import channels
from rounds import Figure


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": f"{models[0]} x {len(models)}" if models else platform.processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "trio": version("trio"),
        "kcoro-core": version("kcoro-core"),
    }


def table(found: list[Figure]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| trio's memory channel over ours | ratio of times | must | goal | reached | trio, us | ours, us |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {f.name} | {f.ratio} | {f.must} | {f.goal} | {f.verdict} "
        f"| {f.peer_microseconds:.2f} | {f.our_microseconds:.2f} |"
        for f in found
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run and print; exits 1 under ``--check`` when a must is missed by its whole interval."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    parser.add_argument("--elements", type=int, default=40_000, help="elements through each channel (default 40000)")
    parser.add_argument("--quick", action="store_true", help="three rounds of 2000 elements: does it run at all?")
    parser.add_argument("--check", action="store_true", help="exit 1 when a must is missed by the whole interval")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    rounds, elements = (3, 2_000) if options.quick else (options.rounds, options.elements)
    if rounds < 1 or elements < 8:
        parser.error("at least one round of 8 elements")
    found = channels.figures(rounds, elements)
    if options.json:
        rows = [attrs.asdict(f) | {"verdict": f.verdict} for f in found]
        print(json.dumps({"machine": machine(), "rounds": rounds, "elements": elements, "figures": rows}, indent=2))
    else:
        print("\n".join(f"{key}: {value}" for key, value in machine().items()))
        print(f"rounds: {rounds}, elements: {elements}\n\n{table(found)}")
    return int(options.check and any(f.verdict == "MISSED" for f in found))


if __name__ == "__main__":
    sys.exit(main())
