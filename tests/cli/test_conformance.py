# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``kcoro conformance`` and the address that it is given: misuse is one line, and no case runs. Row: T4."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kcoro_core import cli
from kcoro_core.testing import transport_kit
from kcoro_core.testing.transport_kit import Result


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses for which the cases were run; none of them does anything here."""
    found: list[str] = []

    def run_all(uri: str) -> list[Result]:
        found.append(uri)
        return [Result("1.1", "a promise", "passed")]

    monkeypatch.setattr(transport_kit, "run_all", run_all)
    return found


@pytest.mark.parametrize("uri", ["quic:localhost", "tcp:localhost", "tls:localhost", "tcp:127.0.0.1:x", "uds:a\0b"])
def test_an_address_that_is_none_is_refused_in_one_line(
    uri: str, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, before any case: each would say the same. Row: T4."""
    assert cli.main(["conformance", uri]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err.count("\n"), asked) == ("", 1, [])
    assert told.err.startswith("kcoro conformance: ")


def test_an_address_that_is_one_is_free_again_when_the_cases_run(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also a bare scheme, and one that the transport has yet to be given what it needs for. Row: T4."""
    for uri in (f"uds:{tmp_path}/s", "mem:", "tcp:127.0.0.1:0", "tls:"):
        assert cli.main(["conformance", uri]) == 0
    assert len(asked) == 4
    assert list(tmp_path.iterdir()) == []


def test_what_an_address_is_busy_with_is_for_the_cases_to_say(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a malformed address is misuse. Row: T4."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert cli.main(["conformance", f"tcp:127.0.0.1:{taken.getsockname()[1]}"]) == 0
    assert len(asked) == 1
