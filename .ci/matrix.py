# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every environment of the matrix, Python x engine x backend, and what is checked beside it: what each took.

    python .ci/matrix.py [TIMES ...] [--seconds ALL]

TIMES is what `tox run --result-json TIMES` has left, if somebody ran that, and ALL what everything took by the clock.

Any of them is run by its name: `tox run -e py313-native-quic`.
"""

from __future__ import annotations

import argparse
import configparser
import itertools
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("py311", "py312", "py313", "py314")
ENGINES = ("reference", "native")
BACKENDS = ("mem", "uds", "tcp", "tls", "quic", "stdio", "multicast", "all")
BESIDE = ("ci-long", "ci-links")
"""What is run before a change is taken, beside the environments of the matrix that are run by default."""
BUDGET_MINUTES = 90
"""What everything that is checked before a change is taken may take on two processors, by the clock."""


def names() -> list[str]:
    """The full product, but for `native-all`: the tests of `all` name the engine where it matters."""
    product = ["-".join(factors) for factors in itertools.product(PYTHONS, ENGINES, BACKENDS)]
    return [name for name in product if not name.endswith("native-all")]


def expanded(line: str) -> list[str]:
    """What a line of tox's env_list stands for."""
    parts = [part.strip("{}").split(",") for part in re.findall(r"\{[^}]*\}|[^{}]+", line)]
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def default() -> list[str]:
    """What `tox run` runs."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini")
    return [name for line in parser["tox"]["env_list"].split() for name in expanded(line)]


def times(*paths: Path) -> dict[str, float]:
    """Seconds by environment: its setup, where it was made anew, and its commands. A file may be missing."""
    found = [json.loads(path.read_text(encoding="utf-8"))["testenvs"] for path in paths if path.exists()]
    took: dict[str, float] = {}
    for name, env in (pair for one in found for pair in one.items()):
        # A file names all environments, also those that this run of tox has left alone.
        for step in (*env.get("setup", []), *env.get("test", [])):
            took[name] = took.get(name, 0.0) + step["elapsed"]
    return took


def lines(took: dict[str, float], seconds: float | None = None) -> list[str]:
    """A line for each environment, the sum, and whether the budget was kept."""
    by_default = default()
    said = []
    for name in (*names(), *BESIDE):
        when = "beside" if name in BESIDE else "default" if name in by_default else "by name"
        said.append(f"{name:<26}{when:<10}{f'{took[name]:7.0f} s' if name in took else ''}".rstrip())
    if took:
        minutes = sum(took.values()) / 60
        said.append(f"in all {minutes:.0f} minutes, of which as many run at a time as there are cores")
        said += [f"{name} is not among them: it did not run to its end" for name in BESIDE if name not in took]
    if seconds is not None:
        kept = "kept" if seconds <= BUDGET_MINUTES * 60 else "NOT KEPT"
        said.append(f"budget {kept}: {seconds / 60:.0f} minutes by the clock, of {BUDGET_MINUTES}")
    return said


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description="What there is to run, and what it took.")
    parser.add_argument(
        "times", nargs="*", type=Path, metavar="TIMES", help="results of tox, one file for each run of it"
    )
    parser.add_argument("--seconds", type=float, metavar="ALL", help="what everything took by the clock")
    args = parser.parse_args()
    print("\n".join(lines(times(*args.times), args.seconds)))


if __name__ == "__main__":
    main()
