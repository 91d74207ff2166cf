# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro new-transport`` writes a project that installs and passes the kit and the laws, unchanged (rows X8, T3)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from kcoro_core import cli, plugins
from kcoro_core.errors import AlreadyExists
from kcoro_core.scaffold import check_name, new_transport

from .tree import ROOT

NAME = "pigeon"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as it was written."""
    into = tmp_path_factory.mktemp("written")
    new_transport(NAME, into)
    return into / f"kcoro-transport-{NAME}"


@pytest.mark.parametrize(
    "name", ["", "a", "Pigeon", "my-wire", "my_wire", "2fast", "class", "taube\u00e4", "a" * 33, "a/b"]
)
def test_a_name_that_is_no_scheme_and_no_module_is_refused(name: str, tmp_path: Path) -> None:
    """Row: X8."""
    with pytest.raises(ValueError, match="lower-case letters and digits"):
        new_transport(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mem", "uds", "sim", "quic", "engine"])
def test_a_name_that_somebody_has_is_refused(name: str, tmp_path: Path) -> None:
    """Row: X8."""
    with pytest.raises(AlreadyExists, match="choose another name"):
        new_transport(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_an_installed_plugin_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of one that is not of this project. Row: X8."""
    check_name(NAME)
    real = plugins.transport
    monkeypatch.setattr(plugins, "transport", lambda uri: real("mem" if uri == NAME else uri))
    with pytest.raises(AlreadyExists, match="kcoro plugins"):
        check_name(NAME)


def test_a_name_of_a_package_that_is_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: X8."""
    (tmp_path / "kcoro_transport_otter").mkdir()
    (tmp_path / "kcoro_transport_otter" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AlreadyExists, match="can be imported already"):
        check_name("otter")


def test_nothing_is_written_over(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row: X8."""
    assert cli.main(["new-transport", NAME, "--into", str(project.parent)]) == 2
    assert f"kcoro-transport-{NAME} exists" in capsys.readouterr().err


def test_the_command_names_every_file_and_the_next_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Row: X8."""
    assert cli.main(["new-transport", NAME, "--into", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    written = {str(path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {line for line in lines if line.startswith(str(tmp_path))} == written
    assert lines[-1].startswith("next: pip install")


def test_the_project_is_complete_and_speaks_of_no_other(project: Path) -> None:
    """Row: X8."""
    files = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert {"pyproject.toml", "README.md", "tox.ini", f"src/kcoro_transport_{NAME}/py.typed"} <= files
    assert not [path for path in project.rglob("*") if path.is_file() and "@" + "NAME" in path.read_text()]
    declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert declared["entry-points"]["kcoro"] == {NAME: f"kcoro_transport_{NAME}.plugin"}


def test_its_transport_is_its_own(project: Path) -> None:
    """It uses the contract and the errors of core, no medium of core, and no other package. Row: T3."""
    found: set[str] = set()
    for path in (project / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module or "")
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
    allowed = {"kcoro_core.errors", "kcoro_core.hookspecs", "kcoro_core.transport"}
    assert {name for name in found if name.partition(".")[0] not in sys.stdlib_module_names} <= allowed


def test_its_test_file_is_short(project: Path) -> None:
    """Row: X7."""
    assert len((project / "tests" / "test_conformance.py").read_text().splitlines()) <= 20


def clean_environment(folder: Path, wheels: list[Path]) -> Path:
    """An environment with only these wheels; what they need is found behind them, where the running one has it."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, *map(str, wheels)], check=True)
    behind = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    [place] = (folder / "lib").glob("python*/site-packages")
    (place / "behind.pth").write_text("\n".join(behind) + "\n")
    return python


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_project_installs_from_its_wheel_and_passes_its_tests(project: Path, tmp_path: Path) -> None:
    """Kit, hooks, laws over links and two processes, without a change. Rows: X8, T3."""
    pytest.importorskip("hatchling", reason="hatchling is not installed, so that nothing can be built")
    wheels = tmp_path / "wheels"
    for folder in (ROOT / "kcoro_core", project):
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
        subprocess.run(build, cwd=folder, check=True, capture_output=True)
    python = clean_environment(tmp_path / "venv", sorted(wheels.glob("*.whl")))
    where = f"import kcoro_core, kcoro_transport_{NAME} as own; print(kcoro_core.__file__, own.__file__)"
    places = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    assert places.count(str(tmp_path / "venv")) == 2
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KCORO_", "PYTEST_"))}
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=project, env=kept, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
