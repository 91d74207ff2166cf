# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Environments that have what somebody declares and nothing else, without an index to ask.

Distributions of others are copied from the running environment: those that are declared, with what they depend on.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def declared(wheel: Path) -> list[str]:
    """What the metadata of a wheel says that it needs, extras included."""
    with zipfile.ZipFile(wheel) as opened:
        [name] = [one for one in opened.namelist() if one.endswith(".dist-info/METADATA")]
        return importlib.metadata.PathDistribution(zipfile.Path(opened, name.removesuffix("METADATA"))).requires or []


def closure(wanted: Iterable[str], own: Iterable[Path] = ()) -> set[str]:
    """The distributions behind these requirements; what ``own`` wheels need is taken from their metadata."""
    wheels = {canonicalize_name(wheel.name.partition("-")[0]): wheel for wheel in own}
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(one, extra) for one in map(Requirement, wanted) for extra in ("", *one.extras)]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        if name not in wheels:
            found.add(name)
        needs = declared(wheels[name]) if name in wheels else importlib.metadata.requires(name) or []
        for one in map(Requirement, needs):
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                waiting += [(one, more) for more in ("", *one.extras)]
    return found


def copy(name: str, into: Path) -> None:
    """The files of one distribution, as they are installed here."""
    for file in importlib.metadata.files(name) or []:
        if ".." not in file.parts and "__pycache__" not in file.parts:
            into.joinpath(file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), into / file)


def fresh(folder: Path, libraries: Iterable[str], installed: Iterable[str]) -> Path:
    """The interpreter of a new environment: libraries are copied, then pip installs, with no index to ask."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for name in libraries:
        copy(name, site)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-index"]
    done = subprocess.run([*pip, *installed], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return python
