# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Every environment of the matrix, Python x engine x backend: which run by default, and what each took.

    python .ci/matrix.py [TIMES]        TIMES is what `tox run --result-json TIMES` has left, if somebody ran that

Any of them is run by its name: `tox run -e py313-native-quic`.
"""

from __future__ import annotations

import configparser
import itertools
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("py311", "py312", "py313", "py314")
ENGINES = ("reference", "native")
BACKENDS = ("mem", "uds", "tcp", "tls", "quic", "stdio", "multicast", "all")
BUDGET_MINUTES = 90
"""What everything that is checked before a change is taken may take on two processors, `ci-long` included."""


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


def times(path: Path) -> dict[str, float]:
    """Seconds by environment: its setup, where it was made anew, and its commands."""
    found = json.loads(path.read_text(encoding="utf-8"))["testenvs"]
    steps = {name: [*env.get("setup", []), *env.get("test", [])] for name, env in found.items()}
    return {name: sum(step["elapsed"] for step in of_it) for name, of_it in steps.items() if of_it}


def lines(took: dict[str, float]) -> list[str]:
    """A line for each environment, and the sum."""
    by_default = default()
    said = []
    for name in names():
        when = "default" if name in by_default else "by name"
        said.append(f"{name:<26}{when:<10}{f'{took[name]:7.0f} s' if name in took else ''}".rstrip())
    if took:
        said.append(
            f"in all {sum(took.values()) / 60:.0f} minutes, of which as many run at a time as there are cores; "
            f"with ci-long and ci-links they may take {BUDGET_MINUTES}"
        )
    return said


if __name__ == "__main__":
    print("\n".join(lines(times(Path(sys.argv[1])) if sys.argv[1:] else {})))
