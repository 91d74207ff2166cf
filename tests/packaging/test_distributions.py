# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a built package holds: its modules, its type marker, its licence, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from .tree import PACKAGES, ROOT, project

pytest.importorskip("hatchling", reason="hatchling is not installed, so that nothing can be built")

# Those that are built without a compiler; how the other one is built is a matter of tests/native.
PURE = [package for package in PACKAGES if project(package)["build-system"]["build-backend"] == "hatchling.build"]


def build(package: str, kind: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=ROOT / package, check=True, capture_output=True)
    return next(folder.iterdir())


def shipped(package: str) -> set[str]:
    """The files of the package's source folder that belong into its wheel."""
    source = ROOT / package / "src"
    files = (path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(source).as_posix() for path in files}


@pytest.mark.parametrize("package", PURE)
def test_a_wheel_holds_the_package_and_its_metadata(package: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(build(package, "wheel", tmp_path)) as wheel:
        names = set(wheel.namelist())
    metadata = {name for name in names if PurePosixPath(name).parts[0].endswith(".dist-info")}
    assert names - metadata == shipped(package)
    assert {PurePosixPath(name).relative_to(PurePosixPath(name).parts[0]).as_posix() for name in metadata} == {
        *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    }


@pytest.mark.parametrize("package", PURE)
def test_a_source_archive_holds_what_the_wheel_is_built_from(package: str, tmp_path: Path) -> None:
    with tarfile.open(build(package, "sdist", tmp_path)) as archive:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix() for name in archive.getnames()}
    sources = {f"src/{name}" for name in shipped(package)}
    assert names == {*sources, "pyproject.toml", "README.md", "LICENSE", "PKG-INFO", ".gitignore"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_typed(package: str) -> None:
    assert f"{package}/py.typed" in shipped(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_registers_with_kcoro_only(package: str) -> None:
    """Core is not loaded into every test run of its users: no pytest11 entry point. Row: T4."""
    assert set(project(package)["project"]["entry-points"]) == {"kcoro"}
