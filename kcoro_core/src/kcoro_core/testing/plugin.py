# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The kit under pytest: ``pytest -p kcoro_core.testing.plugin --kcoro-transport=uds`` (row T4).

Without test files on the command line, exactly the kit is run; with files, they get the fixtures ``kcoro_transport``
(the address to use) and ``kcoro_case``. Asked for by ``-p``, and never by an entry point: pytest would otherwise
import kcoro in every run of everybody who has it installed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .. import plugins
from ..errors import KcoroError
from .transport_kit import applicable

__all__ = ["kcoro_transport", "pytest_addoption", "pytest_configure", "pytest_generate_tests"]

KIT = Path(__file__).parent / "transport_kit" / "test_kit.py"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names a transport."""
    parser.getgroup("kcoro").addoption(
        "--kcoro-transport",
        metavar="URI",
        help="run the transport kit over this scheme or address, such as uds or uds:/run/me/kit.sock",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a transport that cannot be used, before anything is collected; choose what to collect."""
    uri = config.getoption("kcoro_transport")
    if uri is None:
        return
    try:
        plugins.transport(uri)
    except (KcoroError, ValueError) as error:
        raise pytest.UsageError(f"--kcoro-transport: {error}") from error
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(KIT)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case that means something for the transport."""
    if "kcoro_case" in metafunc.fixturenames:
        uri = metafunc.config.getoption("kcoro_transport")
        if uri is None:
            raise pytest.UsageError("the transport kit needs --kcoro-transport=URI, such as --kcoro-transport=uds")
        metafunc.parametrize("kcoro_case", applicable(uri), ids=str)


@pytest.fixture
def kcoro_transport(request: pytest.FixtureRequest) -> str:
    """The scheme or address that ``--kcoro-transport`` names; a bare scheme stands for fresh addresses."""
    uri: str | None = request.config.getoption("kcoro_transport")
    if uri is None:
        raise pytest.UsageError("this test needs --kcoro-transport=URI, such as --kcoro-transport=uds")
    return uri
