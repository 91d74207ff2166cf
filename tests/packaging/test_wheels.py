# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What a user gets: built files alone, in an environment that has nothing else of ours, and no index to ask.

Core and one plugin are installed from the files that ``tox run -e wheels`` makes; what they depend on is copied from
this environment, so that a dependency which is not declared is not there. Rows: T2, T4, Q3.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from ..transports.certificates import environment
from . import environments
from .tree import PACKAGES, ROOT, project

pytest.importorskip("hatchling", reason="hatchling is not installed, so that nothing can be built")
pytest.importorskip("scikit_build_core", reason="scikit-build-core is not installed, so no wheel can be built")

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

LIBRARIES = {"kcoro-transport-quic": ["qh3"]}
"""What a plugin needs besides core's own dependencies."""

KITS = {
    "mem": "kcoro-core",
    "uds": "kcoro-transport-uds",
    "tcp": "kcoro-transport-tcp",
    "tls": "kcoro-transport-tcp",
    "quic": "kcoro-transport-quic",
}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel and source archive of each package."""
    into = tmp_path_factory.mktemp("dist")
    command = [sys.executable, ".ci/wheels.py", "--into", str(into), *PACKAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return into


def fresh(folder: Path, dist: Path, *packages: str) -> Path:
    """The interpreter of an environment in which pip has installed these, from the files and nothing else."""
    libraries = [library for package in packages for library in LIBRARIES.get(package, [])]
    wheels = [next(dist.glob(f"{package.replace('-', '_')}-*.whl")) for package in packages]
    others = environments.closure(["attrs", "pluggy", "trio", "pytest", *libraries])
    return environments.fresh(folder, others, map(str, wheels))


def run(python: Path, *arguments: str, **variables: str) -> str:
    """A command in that environment, in an empty folder; what it prints."""
    empty = python.parents[1] / "empty"
    empty.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KCORO_", "PYTHON"))}
    command = [str(python), "-I", *arguments]
    done = subprocess.run(command, cwd=empty, env=kept | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("scheme", KITS)
def test_core_and_one_plugin_pass_the_kit_with_nothing_else_installed(scheme: str, dist: Path, tmp_path: Path) -> None:
    """Rows: T2, T4."""
    python = fresh(tmp_path / "env", dist, *{"kcoro-core", KITS[scheme]})
    here = "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions() if 'kcoro' in d.name))"
    assert set(run(python, "-c", here).split()) == {"kcoro-core", KITS[scheme]}
    kit = ("-m", "pytest", "-q", "-p", "kcoro_core.testing.plugin", f"--kcoro-transport={scheme}")
    secured = environment() if scheme in ("tls", "quic") else {}
    said = run(python, *kit, KCORO_QUIC_PACING="0", **secured)
    assert " passed" in said
    assert "skipped" not in said


def test_the_native_engine_passes_the_laws_with_nothing_else_installed(dist: Path, tmp_path: Path) -> None:
    """Row: T4."""
    python = fresh(tmp_path / "env", dist, "kcoro-core", "kcoro-native")
    assert " 0 failed" in run(python, "-m", "kcoro_core", "conformance", "engine:native")
    program = "import kcoro_core as k, kcoro_native; k.run(k.sleep, 0, host='native'); print(kcoro_native.__file__)"
    assert str(tmp_path) in run(python, "-c", program)


def test_the_files_are_those_of_every_package(dist: Path) -> None:
    """One wheel and one archive for each, of one version. Row: Q3."""
    names = sorted(path.name for path in dist.iterdir())
    assert len(names) == 2 * len(PACKAGES)
    for package in PACKAGES:
        version = project(package)["project"]["version"]
        wheels = [name for name in names if name.startswith(f"{package}-{version}-") and name.endswith(".whl")]
        assert len(wheels) == 1
        assert f"{package}-{version}.tar.gz" in names


def test_the_archive_of_the_native_package_holds_what_its_wheel_is_built_from(dist: Path, tmp_path: Path) -> None:
    """Neither tests nor what is built; and another wheel can be built from it, with the same files. Row: Q3."""
    folder = ROOT / "kcoro_native"
    kept = ("csrc", "pysrc", "src")
    sources = {
        path.relative_to(folder).as_posix()
        for name in kept
        for path in (folder / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with tarfile.open(next(dist.glob("kcoro_native-*.tar.gz"))) as archive:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix() for name in archive.getnames()}
        safely = (
            {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        )  # 3.11.2 of some systems knows no filters
        archive.extractall(tmp_path, **safely)  # noqa: S202 - it is our own
    assert names == {*sources, "CMakeLists.txt", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO"}
    unpacked = next(tmp_path.iterdir())
    again = tmp_path / "again"
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", str(again)]
    subprocess.run([*pip, str(unpacked)], check=True)
    assert contents(next(again.glob("*.whl"))) == contents(next(dist.glob("kcoro_native-*.whl")))


def contents(wheel: Path) -> set[str]:
    """The names of the files in a wheel."""
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())
