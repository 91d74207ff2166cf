# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""What is installed is a checked-in list, for each package: from its wheel, and into an empty place. Row: Q3."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .tree import PACKAGES, ROOT, project

pytest.importorskip("hatchling", reason="hatchling is not installed, so that nothing can be built")

OF_PIP = ("INSTALLER", "REQUESTED", "direct_url.json")
"""What pip adds to what a wheel says about itself."""
COMPILED = {"kcoro_native"}
RENEW = "python .ci/wheels.py --into dist PACKAGES && python .ci/manifests.py --write dist"


def of_ci(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


manifests = of_ci("manifests")


def built(into: Path, package: str) -> Path:
    """The wheel of a package."""
    if package in COMPILED:
        pytest.importorskip("scikit_build_core", reason="scikit-build-core is not installed, so no wheel can be built")
    command = [sys.executable, ".ci/wheels.py", "--into", str(into), package]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = into.glob("*.whl")
    return wheel


EACH = pytest.mark.parametrize(
    "package",
    [pytest.param(package, marks=[pytest.mark.long] if package in COMPILED else []) for package in PACKAGES],
)


@EACH
def test_a_wheel_holds_what_is_listed_and_so_does_a_place_into_which_it_is_installed(
    package: str, tmp_path: Path
) -> None:
    """The files of the list, the commands that it declares, and what pip writes about it. Row: Q3."""
    wheel = built(tmp_path / "dist", package)
    assert manifests.differences(package, manifests.contents(wheel)) == [], f"if that is meant: {RENEW}"

    site, found = installed(wheel, tmp_path / "prefix")
    expected = {f"{site}/{name}" for name in manifests.listed(package)}
    expected |= {f"bin/{command}" for command in project(package)["project"].get("scripts", {})}
    assert expected <= found
    assert {name.rpartition("/")[2] for name in found - expected} <= set(OF_PIP)


def installed(wheel: Path, prefix: Path) -> tuple[str, set[str]]:
    """Where modules lie below an empty prefix, and all files there once a wheel was installed into it."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*pip, "--ignore-installed", "--prefix", str(prefix), str(wheel)], check=True)
    [site] = prefix.glob("lib*/python*/site-packages")
    there = site.relative_to(prefix).as_posix()
    modules = {f"{there}/{manifests.starred(name)}" for name in files(site)}
    return there, modules | {name for name in files(prefix) if not name.startswith(f"{there}/")}


def files(folder: Path) -> set[str]:
    """All of them, by their paths from there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_list_has_what_nobody_asked_for(package: str) -> None:
    """No lab, bench, tests, headers or sources of the library, and its lines are in order. Row: Q3."""
    names = manifests.listed(package)
    assert names == sorted(set(names))
    assert manifests.foreign(names) == []
    assert {f"{package}/__init__.py", f"{package}/py.typed", f"{package}-*.dist-info/licenses/LICENSE"} <= set(names)


@pytest.mark.parametrize(
    "name",
    [
        "lab/mux/scenario.py",
        "kcoro_core/tests/test_laws.py",
        "kcoro_core/bench/rows.py",
        "kcoro_native/csrc/port/kqueue.c",
        "kcoro_native/include/kcoro/internal/waiter.h",
        "kcoro_core/__pycache__/run.cpython-312.pyc",
        "kcoro_core/conftest.py",
        "kcoro_core/scaffold/project/tests/test_laws.py",
    ],
)
def test_what_nobody_asked_for_is_found(name: str) -> None:
    """Row: Q3."""
    assert manifests.foreign(["kcoro_core/run.py", name]) == [name]


def test_a_file_more_or_less_is_told_by_its_name() -> None:
    """Row: Q3."""
    names = manifests.listed("kcoro_core")
    assert manifests.differences("kcoro_core", names) == []
    assert manifests.differences("kcoro_core", [*names[1:], "kcoro_core/new.py"]) == [
        "+ kcoro_core/new.py",
        f"- {names[0]}",
    ]


def test_every_package_has_a_list_and_every_list_a_package() -> None:
    """Row: Q3."""
    assert sorted(path.stem for path in manifests.LISTS.glob("*.txt")) == PACKAGES
