# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The test matrix, the packages' classifiers and the CI script name the same interpreters and backends."""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from kcoro_core.plugins import PACKAGES as PACKAGE_OF

from .tree import PACKAGES, ROOT, project

README_COMMANDS = [
    "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox run -e demo",
    "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox run-parallel",
]


def tox() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini")
    return parser


def factors() -> tuple[list[str], set[str], set[str]]:
    """Pythons ("3.11"), engines and backends of the default environments."""
    lines = tox()["tox"]["env_list"].split()
    matches = [re.fullmatch(r"py\{?([\d,]+)\}?-\{?([\w,]+)\}?-\{?([\w,]+)\}?", line) for line in lines]
    found = [[group.split(",") for group in match.groups()] for match in matches if match is not None]
    assert len(found) == len(lines)
    pythons = found[0][0]
    assert all(set(more[0]) <= set(pythons) for more in found), "an interpreter that the others do not know"
    engines, backends = ({name for one in found for name in one[part]} for part in (1, 2))
    return [f"{python[0]}.{python[1:]}" for python in pythons], engines, backends


def schemes() -> dict[str, str]:
    """Each scheme with the package folder that serves it; a package names its plugins by their schemes."""
    transports = [package for package in PACKAGES if "_transport_" in package]
    return {name: package for package in transports for name in project(package)["project"]["entry-points"]["kcoro"]}


def test_every_scheme_of_a_package_has_its_factor() -> None:
    """Row: T2."""
    assert factors()[2] == {"mem", "stdio", "multicast", "all", *schemes()}


def matrix() -> ModuleType:
    spec = importlib.util.spec_from_file_location("matrix", ROOT / ".ci" / "matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_matrix_is_the_product_of_what_the_project_has() -> None:
    """Row: T2."""
    pythons, engines, backends = factors()
    listed = matrix()
    assert [f"{python[2]}.{python[3:]}" for python in listed.PYTHONS] == pythons
    assert set(listed.ENGINES) == engines
    assert set(listed.BACKENDS) == backends
    assert set(listed.default()) < set(listed.names())
    assert {name for name in listed.names() if name.startswith("py312-")} < set(listed.default())


@pytest.mark.parametrize("backend", matrix().BACKENDS)
def test_every_environment_of_the_matrix_has_something_to_install_and_to_run(backend: str) -> None:
    """A name whose factors nobody mentions would be an environment that does nothing. Row: T2."""
    env = tox()["testenv"]
    assert any(line.startswith(f"{backend}: python -m pytest") for line in env["commands"].splitlines())
    assert any(re.match(rf"{backend}: (python .ci/wheels.py|-e )", line) for line in (
        env["commands_pre"] + env["deps"]).splitlines())  # fmt: skip
    assert f"\n{backend}: " in env["description"]


def test_the_kit_runs_over_quic_on_each_library_that_speaks_it() -> None:
    """Row: T2."""
    source = (ROOT / "kcoro_transport_quic/src/kcoro_transport_quic/library.py").read_text()
    libraries = re.findall(r'"(\w+)"', re.findall(r"^KNOWN: Final = (.*)", source, re.MULTILINE)[0])
    (default,) = re.findall(r'^DEFAULT: Final = "(\w+)"', source, re.MULTILINE)
    kit = "python -m pytest -p kcoro_core.testing.plugin --kcoro-transport=quic"
    by_library = {kit if name == default else f"env KCORO_QUIC_LIBRARY={name} {kit}" for name in libraries}
    run = {line.removeprefix("quic: ") for line in tox()["testenv"]["commands"].splitlines()}
    assert by_library <= run
    assert len(by_library) == 2


def test_what_the_matrix_took_is_told_beside_the_budget(tmp_path: Path) -> None:
    """From what both runs of tox leave: setup and commands of each environment, their sum, and the clock."""
    env = {"setup": [{"elapsed": 20.0}], "test": [{"elapsed": 30.0}, {"elapsed": 70.0}]}
    report, long = tmp_path / "times.json", tmp_path / "times-long.json"
    left = {"setup": [], "test": []}  # by the other run
    report.write_text(json.dumps({"testenvs": {"py312-reference-uds": env, "ci-long": left, "ci-links": left}}))
    slow = {"test": [{"elapsed": 1800.0}]}
    long.write_text(json.dumps({"testenvs": {"ci-long": slow, "ci-links": env, "py312-reference-uds": left}}))
    said = matrix().lines(matrix().times(report, long), 5400)
    assert "py312-reference-uds       default       120 s" in said
    assert "py313-native-quic         by name" in said
    assert said[-4:-2] == [
        "ci-long                   beside       1800 s",
        "ci-links                  beside        120 s",
    ]
    assert said[-2].startswith("in all 34 minutes, ")
    assert said[-1] == "budget kept: 90 minutes by the clock, of 90"
    assert matrix().lines({}, 5401)[-1].startswith("budget NOT KEPT: ")


def test_a_run_of_tox_that_left_no_times_is_told(tmp_path: Path) -> None:
    """The others are told all the same."""
    report = tmp_path / "times.json"
    report.write_text(json.dumps({"testenvs": {"ci-links": {"test": [{"elapsed": 60.0}]}}}))
    said = matrix().lines(matrix().times(report, tmp_path / "none.json"))
    assert said[-1] == "ci-long is not among them: it did not run to its end"


def test_ci_tells_the_times_of_every_run_of_tox_that_tests() -> None:
    """Each leaves them in a file of its own, and the matrix is given all of these files and the clock."""
    script = (ROOT / ".ci" / "run").read_text()
    left: list[str] = []
    for line in script.splitlines():
        if found := re.match(r"export TOX_RESULT_JSON=\$CACHE/(\S+)", line):
            left.append(found[1])
        elif line.startswith("stage ") and "run-parallel" in line:
            assert left, line
    told = next(line for line in script.splitlines() if "matrix.py" in line)
    assert re.findall(r'"\$CACHE"/(\S+)', told) == left == ["times.json", "times-long.json"]
    assert '--seconds "$SECONDS"' in told
    named = next(line for line in script.splitlines() if line.startswith("stage long "))
    assert named.split(" -e ")[1].split()[0].split(",") == list(matrix().BESIDE)


def test_core_knows_which_package_to_ask_for() -> None:
    """Row: T1."""
    assert {scheme: package.replace("_", "-") for scheme, package in schemes().items()} == PACKAGE_OF


def test_a_backend_environment_installs_core_and_one_plugin_from_wheels() -> None:
    """Row: T2."""
    lines = [line for line in tox()["testenv"]["commands_pre"].strip().splitlines() if "wheels.py" in line]
    installed = {line.split(":")[0]: line.split("wheels.py ")[1].split() for line in lines}
    assert installed.pop("mem") == ["kcoro_core"]
    assert installed.pop("native") == ["kcoro_native"]
    for name in ("stdio", "multicast"):  # plugins as anybody could write them
        assert installed.pop(name) == ["kcoro_core", f"tests/thirdparty/kcoro_transport_{name}"]
    assert installed == {name: ["kcoro_core", package] for name, package in schemes().items()}


def test_the_engine_factor_chooses_the_engine() -> None:
    set_env = tox()["testenv"]["set_env"].split("\n")
    assert {f"{engine}: KCORO_ENGINE = {engine}" for engine in factors()[1]} <= set(set_env)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_claims_the_interpreters_that_are_tested(package: str) -> None:
    prefix = "Programming Language :: Python :: 3."
    claimed = [line for line in project(package)["project"]["classifiers"] if line.startswith(prefix)]
    assert claimed == [f"Programming Language :: Python :: {version}" for version in factors()[0]]
    assert project(package)["project"]["requires-python"] == ">=" + factors()[0][0]


def test_ci_requires_every_interpreter_of_the_matrix() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    named = " ".join(re.findall(r'^(?:PYENV|DEBIAN)_PYTHONS?="([\d. ]+)"', script, re.MULTILINE)).split()
    assert named == factors()[0]
    assert "TOX_SKIP_MISSING_INTERPRETERS=false" in script
    assert "KCORO_NO_SKIPS=1" in script


def test_what_one_environment_of_long_tests_leaves_out_the_other_one_runs() -> None:
    """And nothing else: no folder is in both, and a new one is in the first."""
    first, second = (tox()[f"testenv:{name}"]["commands"].strip().splitlines()[0] for name in ("ci-long", "ci-links"))
    assert all(" -m pytest -m long " in command for command in (first, second))
    left_out = re.findall(r"--ignore=(tests/\w+)", first)
    assert sorted(left_out) == sorted(re.findall(r" (tests/\w+)", second))
    assert [folder for folder in left_out if not (ROOT / folder).is_dir()] == []


def test_every_environment_says_what_it_is_for() -> None:
    parser = tox()
    silent = [name for name in parser.sections() if name.startswith("testenv") and not parser[name].get("description")]
    assert silent == []


def test_the_readme_has_the_two_commands_and_ci_runs_them() -> None:
    assert re.findall(r"^python3 -m venv.*$", (ROOT / "README.md").read_text(), re.MULTILINE) == README_COMMANDS
    calls = re.findall(r"^stage \w+ readme '(.*)'$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert all(sum(command.endswith(call) for command in README_COMMANDS) == 1 for call in calls)
    assert len(calls) == 2
