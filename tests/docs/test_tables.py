# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The tables of the manual are those that the code makes. Rows: E1, Q2, CF2, CF4, H2."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kcoro_core
from kcoro_core import cli, config, hookspecs, semantics
from kcoro_core.hosts.port import Host

from .blocks import DOCS
from .tools import tables

PAGES = sorted(page for page in DOCS.glob("*.md") if tables.names(page.read_text()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_table_of_a_page_is_what_the_code_makes(page: Path) -> None:
    """``python docs/_tools/tables.py`` writes them anew. Rows: E1, Q2, CF2, CF4."""
    assert page.read_text() == tables.renewed(page.read_text())


def test_every_table_that_can_be_made_stands_in_the_manual() -> None:
    """Rows: Q2, CF2, H2."""
    there = [name for page in PAGES for name in tables.names(page.read_text())]
    assert sorted(there) == sorted(tables.makers())


def test_a_page_that_says_something_else_than_the_code_is_found() -> None:
    """Row: Q2."""
    page = (DOCS / "CHANNELS.md").read_text()
    assert tables.renewed(page.replace("| `DeadlineExceeded` |", "| done |")) == page
    assert page.count("| `DeadlineExceeded` |") > 3


def test_the_overflow_tables_list_exactly_the_codes_of_the_law_table() -> None:
    """Rows: E1, Q2."""
    page = (DOCS / "CHANNELS.md").read_text()
    listed = set(re.findall(r"\| `([A-Z]\w+)`", "".join(part[2] for part in tables.MARK.findall(page))))
    assert listed == {cls.__name__ for cls in tables.codes_of_channels()}


def test_every_situation_of_the_law_table_has_its_line() -> None:
    """One line for each kind, policy, operation and situation. Rows: E1, Q2."""
    rows = {(row.kind, row.overflow, row.operation, row.situation) for row in semantics.outcome_rows()}
    lines = sum(tables.outcomes(kind, overflow).count("\n| `") for kind, overflow in semantics.legal_combinations())
    assert lines == len(rows)


def test_every_setting_stands_with_its_variable_its_default_and_its_purpose() -> None:
    """Rows: CF2, CF4."""
    page = (DOCS / "CONFIGURATION.md").read_text()
    for field in config.fields():
        assert f"| `{field.name}` | `KCORO_{field.name.upper()}` |" in page
        assert field.metadata["purpose"] in page


GROUPS = (
    hookspecs.EngineHooks,
    hookspecs.HostHooks,
    hookspecs.ResolverHooks,
    hookspecs.TransportHooks,
    hookspecs.DatagramHooks,
)


@pytest.mark.parametrize("group", GROUPS)
def test_the_signature_of_every_hook_stands_in_the_manual(group: type) -> None:
    """Rows: H1, H2."""
    page = (DOCS / "plugins.md").read_text()
    signatures = re.findall(r"`(kcoro_\w+\(.*?\))`", tables.hooks(group))
    assert len(signatures) == sum(name.startswith("kcoro_") for name in vars(group))
    assert [signature for signature in signatures if f"`{signature}`" not in page] == []


def test_every_public_name_stands_in_the_reference() -> None:
    """Rows: Q1, Q2."""
    page = (DOCS / "reference.md").read_text()
    assert [name for name in kcoro_core.__all__ if f"| `{name}` |" not in page] == []


def test_every_method_of_the_host_port_stands_in_the_manual() -> None:
    """Whoever writes a host finds there all that it has to fill in. Row: Q1."""
    page = (DOCS / "hosts.md").read_text()
    methods = [name for name, thing in vars(Host).items() if callable(thing) and not name.startswith("_")]
    assert len(methods) > 10
    assert [name for name in methods if f"`{name}(" not in page] == []


def test_every_command_stands_in_the_manual() -> None:
    """Row: Q1."""
    page = (DOCS / "commands.md").read_text()
    assert [name for name in cli.commands() if f"`kcoro {name}`" not in page] == []
