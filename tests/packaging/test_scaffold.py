# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro new-transport`` writes a project that installs and passes the kit and the laws, unchanged (rows X8, T3)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kcoro_core import cli, plugins
from kcoro_core.errors import AlreadyExists
from kcoro_core.scaffold import check_name, new_transport

from . import environments
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


# -- in an environment of its own


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of core."""
    pytest.importorskip("hatchling", reason="hatchling is not installed, so that nothing can be built")
    return build(ROOT / "kcoro_core", tmp_path_factory.mktemp("core"))


def build(folder: Path, into: Path) -> Path:
    """The wheel of a project, in a folder that has nothing else."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    [wheel] = into.glob("*.whl")
    return wheel


def environment_for(project: Path, core: Path, folder: Path, extra: str = "") -> Path:
    """The interpreter of an environment with the project's wheel and what it declares: core's, and what both need."""
    own = build(project, folder / "own")
    wanted = f"kcoro-transport-{NAME}{extra}"
    libraries = environments.closure([wanted], [own, core])
    found_at = ["-f", str(core.parent)]
    return environments.fresh(folder / "venv", libraries, [*found_at, f"{wanted} @ {own.as_uri()}"])


def tried(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command in an environment, without what pytest and kcoro are told here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KCORO_", "PYTEST_", "PYTHON"))}
    return subprocess.run([str(python), *arguments], cwd=cwd, env=kept, capture_output=True, text=True)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_project_installs_from_its_wheel_and_passes_its_tests(project: Path, core: Path, tmp_path: Path) -> None:
    """Kit, hooks, laws over links and two processes, without a change and with what it declares. Rows: X8, T3."""
    python = environment_for(project, core, tmp_path, "[test]")
    ours = "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions() if 'kcoro' in d.name))"
    assert tried(python, "-c", ours, cwd=tmp_path).stdout.split() == ["kcoro-core", f"kcoro-transport-{NAME}"]
    where = f"import kcoro_core, kcoro_transport_{NAME} as own; print(kcoro_core.__file__, own.__file__)"
    assert tried(python, "-c", where, cwd=tmp_path).stdout.count(str(tmp_path / "venv")) == 2
    done = tried(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_project_runs_with_what_it_declares_for_running(project: Path, core: Path, tmp_path: Path) -> None:
    """Without its tests' extra; and what it would use and not declare is not there, although it is here. Row: X8."""
    pytest.importorskip("kcoro_transport_uds", reason="it is what is forgotten")
    python = environment_for(project, core, tmp_path)
    plugin = ("-c", f"import kcoro_transport_{NAME}.plugin as own; print(own.__file__)")
    done = tried(python, *plugin, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    Path(done.stdout.strip()).write_text("import kcoro_transport_uds\n")
    assert "ModuleNotFoundError: No module named 'kcoro_transport_uds'" in tried(python, *plugin, cwd=tmp_path).stderr
