# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""All packages carry one version, and whoever names it names the same one."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

from .tree import PACKAGES, ROOT, project

SETTINGS = project(".")
FRAGMENTS = sorted((ROOT / "docs" / "news.d").glob("*.*"))
VERSION = project("kcoro_core")["project"]["version"]


@pytest.mark.parametrize("package", PACKAGES)
def test_all_packages_have_the_version_of_core(package: str) -> None:
    assert project(package)["project"]["version"] == VERSION


@pytest.mark.parametrize("package", [package for package in PACKAGES if package != "kcoro_core"])
def test_a_plugin_asks_for_the_core_it_was_tested_with(package: str) -> None:
    assert f"kcoro-core ~= {VERSION}" in project(package)["project"]["dependencies"]


def test_what_is_installed_is_this_version() -> None:
    """An environment that was installed before the version rose would test the wrong thing."""
    installed = {dist.name.replace("-", "_"): dist.version for dist in importlib.metadata.distributions()}
    ours = {package: installed[package] for package in PACKAGES if package in installed}
    assert ours == dict.fromkeys(ours, VERSION)
    assert "kcoro_core" in ours


def test_the_changelog_tells_of_this_version_or_its_news_are_waiting() -> None:
    assert f"\n## {VERSION} " in (ROOT / "CHANGELOG.md").read_text() or FRAGMENTS


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.name)
def test_a_news_fragment_is_one_sentence_of_a_known_kind(path: Path) -> None:
    kinds = {kind["directory"] for kind in SETTINGS["tool"]["towncrier"]["type"]}
    assert re.fullmatch(rf"[\w+-]+\.({'|'.join(kinds)})\.md", path.name)
    text = path.read_text().strip()
    assert text.endswith(".")
    assert "\n\n" not in text
