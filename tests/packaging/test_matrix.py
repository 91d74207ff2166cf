# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The test matrix, the packages' classifiers and the CI script name the same interpreters and backends."""

from __future__ import annotations

import configparser
import re

import pytest

from kcoro_core.plugins import PACKAGES as PACKAGE_OF

from .tree import PACKAGES, ROOT, project

README_COMMANDS = [
    "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox run -e demo",
    "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox run",
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
    assert factors()[2] == {"mem", "all", *schemes()}


def test_core_knows_which_package_to_ask_for() -> None:
    """Row: T1."""
    assert {scheme: package.replace("_", "-") for scheme, package in schemes().items()} == PACKAGE_OF


def test_a_backend_environment_installs_core_and_one_plugin_from_wheels() -> None:
    """Row: T2."""
    lines = [line for line in tox()["testenv"]["commands_pre"].strip().splitlines() if "wheels.py" in line]
    installed = {line.split(":")[0]: line.split("wheels.py ")[1].split() for line in lines}
    assert installed.pop("mem") == ["kcoro_core"]
    assert installed.pop("native") == ["kcoro_native"]
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


def test_every_environment_says_what_it_is_for() -> None:
    parser = tox()
    silent = [name for name in parser.sections() if name.startswith("testenv") and not parser[name].get("description")]
    assert silent == []


def test_the_readme_has_the_two_commands_and_ci_runs_them() -> None:
    assert re.findall(r"^python3 -m venv.*$", (ROOT / "README.md").read_text(), re.MULTILINE) == README_COMMANDS
    calls = re.findall(r"^stage \w+ readme '(.*)'$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert all(sum(command.endswith(call) for command in README_COMMANDS) == 1 for call in calls)
    assert len(calls) == 2
