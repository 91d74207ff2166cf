# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Build wheels of the named package folders and install them into the running interpreter's environment.

    python .ci/wheels.py kcoro_core kcoro_transport_uds
    python .ci/wheels.py --into dist kcoro_core            only build; also the source archives

Rule 1: packages are installed from files and all in one command, so that no index is asked for a sibling.
Rule 2: what an earlier run installed goes first; the version alone would not tell pip that the code has changed.
Rule 3: after installing, a package that is imported from the source tree is a failure.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command and end this program with its exit status if it fails."""
    status = subprocess.run([str(part) for part in command], cwd=cwd, check=False).returncode
    if status:
        sys.exit(status)


def build(folders: list[str], into: Path, *kinds: str) -> list[Path]:
    """Build each folder with the backend that is installed here; returns the wheels."""
    for folder in folders:
        backend = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["build-system"]["build-backend"]
        if backend == "hatchling.build":
            options = [part for kind in kinds for part in ("-t", kind)]
            run(sys.executable, "-m", "hatchling", "build", *options, "-d", into, cwd=ROOT / folder)
        else:
            # In a temporary folder of its own each time: two interpreters that shared one would disturb each other.
            calls = "".join(f"b.build_{kind}({str(into)!r});" for kind in kinds)
            run(sys.executable, "-c", f"import {backend} as b;{calls}", cwd=ROOT / folder)
    return sorted(into.glob("*.whl"))


def install(folders: list[str], wheels: list[Path]) -> None:
    """Replace what is installed by the wheels, with the dependencies that they name."""
    pip = (sys.executable, "-m", "pip", "-q")
    packages = [Path(folder).name for folder in folders]
    run(*pip, "-q", "uninstall", "-y", *(package.replace("_", "-") for package in packages))
    run(*pip, "install", *wheels)
    for package in packages:
        check = f"import sys, {package} as p; sys.exit(not p.__file__.startswith(sys.prefix) and p.__file__)"
        run(sys.executable, "-I", "-c", check)


def main() -> None:
    """Read the arguments and build; install unless ``--into`` keeps the files."""
    parser = argparse.ArgumentParser(description="build wheels of the packages and install them here")
    parser.add_argument("--into", type=Path, help="keep wheels and source archives there; install nothing")
    parser.add_argument("folders", nargs="+")
    options = parser.parse_args()
    if options.into:
        build(options.folders, options.into.resolve(), "sdist", "wheel")
        return
    with tempfile.TemporaryDirectory() as scratch:
        install(options.folders, build(options.folders, Path(scratch), "wheel"))


if __name__ == "__main__":
    main()
