# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Links between two machines, on a line that loses packets: two network namespaces, two kernels' worth of sockets.

Everything else tests a transport on one machine, where no packet is ever lost. Time is real here, and short.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .ground import ADDRESSES, ROOT, Machines, Weather, environment, machines

SCHEMES = ("tcp", "tls", "quic")
ROUGH = Weather(loss=0.01, delay=0.02, jitter=0.002)
KEEPALIVE_SECONDS = 0.5
PATIENCE_SECONDS = 8
ROW = list(range(200))

Program = subprocess.Popen[str]

pytestmark = [pytest.mark.long, pytest.mark.timeout(60), pytest.mark.usefixtures("namespaces")]


@pytest.fixture(autouse=True)
def certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the address of the machine that serves."""
    for name, value in environment(ADDRESSES[1]).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@contextmanager
def linked(scheme: str, what: str, weather: Weather, **line: int) -> Iterator[tuple[Machines, Program, Program]]:
    """Two machines, the program that serves and the one that dials it."""
    with machines(weather, **line) as both:
        home = program(both, 1, "home", scheme)
        yield both, home, program(both, 0, what, heard(home))


def program(both: Machines, machine: int, *arguments: str) -> Program:
    return both.start(machine, sys.executable, "-m", "tests.netns.programs", *arguments)


def heard(process: Program) -> Any:
    """The next thing that it tells."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def ended(home: Program) -> list[int]:
    """End the server's input; what it got."""
    assert home.stdin is not None
    home.stdin.close()
    while not isinstance(told := heard(home), list):  # how its links ended
        pass
    return told


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_line_that_loses_packets_loses_no_element(scheme: str) -> None:
    """1 % of all packets, 20 ms each way: both rows arrive complete, once, in order. Rows: T2, N4."""
    with linked(scheme, "exchange", ROUGH) as (both, home, near):
        assert heard(near) == ROW
        assert ended(home) == ROW
        assert both.line.lost(0) + both.line.lost(1) > 3


@pytest.mark.parametrize(("scheme", "mtu"), [("tcp", 576), ("tls", 576), ("quic", 1280)])
def test_small_packets_carry_large_elements(scheme: str, mtu: int) -> None:
    """The smallest that the medium has to get along with: for QUIC 1,280 bytes. Row: T2."""
    with linked(scheme, "exchange", Weather(delay=0.001), mtu=mtu) as (both, home, near):
        assert heard(near) == ROW
        assert ended(home) == ROW
        for machine in (0, 1):
            assert both.line.counts(machine)["passed"] > 20
            assert both.line.counts(machine)["fragments"] == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_line_that_is_cut_ends_both_sides_and_their_ledgers_agree(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No packet says so: keepalive does. What was acknowledged has arrived, and what is in doubt may have. Row: N6."""
    monkeypatch.setenv("KCORO_KEEPALIVE", str(KEEPALIVE_SECONDS))
    with linked(scheme, "send", Weather(delay=0.002)) as (both, home, near):
        assert heard(near) == "linked"
        while both.line.counts(0)["passed"] < 60:
            time.sleep(0.01)
        both.line.weather = Weather(loss=1)
        cut = time.monotonic()
        ledger = heard(near)
        assert heard(home) == {"lost": "LinkLost", "orderly": False}
        assert time.monotonic() - cut < PATIENCE_SECONDS
        got = ended(home)
        assert len(ledger["acked"]) > 5
        assert got in (ledger["acked"], ledger["acked"] + ledger["in doubt"])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_drain_finishes_what_is_under_way_on_a_line_that_loses(scheme: str) -> None:
    """Each send is answered before the goodbye. Row: N6."""
    with linked(scheme, "drain", Weather(loss=0.05, delay=0.02)) as (_, home, near):
        assert heard(near) == {"finished": 20, "in doubt": 0, "in time": True}
        assert heard(home)["orderly"]
        assert sorted(ended(home)) == list(range(20))
