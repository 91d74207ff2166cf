# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What each wheel holds, as a checked-in list: packages are what users get, and nothing comes in by accident.

    python .ci/wheels.py --into dist kcoro_core kcoro_transport_uds ...
    python .ci/manifests.py dist            say what differs from tests/packaging/manifests
    python .ci/manifests.py --write dist    renew the lists; then look at what has changed

Versions and the names that an interpreter gives its extensions are stars, so that a list holds for all of them.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

LISTS = Path(__file__).resolve().parents[1] / "tests" / "packaging" / "manifests"
HEADER = "# What the wheel of this package holds; a test compares, and `.ci/manifests.py --write` renews.\n"
FOREIGN = re.compile(
    r"(^|/)(lab|bench|tests?|ctests|csrc|port|docs|build|dist|__pycache__)/|\.(h|c|S|pyc|orig|rej)$|/conftest\.py$"
)
"""What no wheel has: labs, benchmarks, tests, headers and sources of the library, and what is built or left behind."""
TEMPLATES = "kcoro_core/scaffold/project/"
"""Templates of a project have tests, as templates: none of these files is Python as it stands."""


def starred(name: str) -> str:
    """The name of a file without what is another in each version or interpreter."""
    name = re.sub(r"^(\w+)-[^/]+\.dist-info/", r"\1-*.dist-info/", name)
    return re.sub(r"\.(cpython-[^/]+|abi3)\.(so|pyd)$", r".*.\2", name)


def contents(wheel: Path) -> list[str]:
    """The files of a wheel, in order."""
    with zipfile.ZipFile(wheel) as opened:
        return sorted(starred(name) for name in opened.namelist() if not name.endswith("/"))


def listed(package: str) -> list[str]:
    """The files of the list."""
    path = LISTS / f"{package}.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line for line in lines if not line.startswith("#")]


def differences(package: str, found: Iterable[str]) -> list[str]:
    """A line for each file that is in one of the two alone."""
    there, wanted = set(found), set(listed(package))
    return [f"+ {name}" for name in sorted(there - wanted)] + [f"- {name}" for name in sorted(wanted - there)]


def foreign(names: Iterable[str]) -> list[str]:
    """Those that no user asked for."""
    return [
        name for name in names if FOREIGN.search(name) and not (name.startswith(TEMPLATES) and name.endswith(".in"))
    ]


def main(arguments: list[str]) -> int:
    """Compare, or write."""
    write = "--write" in arguments
    [dist] = [Path(argument) for argument in arguments if argument != "--write"]
    differs = False
    for wheel in sorted(dist.glob("*.whl")):
        package = wheel.name.partition("-")[0]
        lines = differences(package, contents(wheel))
        differs |= bool(lines)
        print("\n".join([package, *lines] if lines else [f"{package}: as listed"]))
        if write:
            (LISTS / f"{package}.txt").write_text(HEADER + "\n".join(contents(wheel)) + "\n", encoding="utf-8")
    return int(differs and not write)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
