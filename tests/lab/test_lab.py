# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The labs pass, their reports say what they should, and they can fail. Rows: L1, L2, L3, L4, L5, D1, D2, D3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from lab.__main__ import main  # noqa: E402
from lab.book import Book, jain, percentile  # noqa: E402
from lab.gates import GATES, LABS, scenarios  # noqa: E402
from lab.mux import BULK, SMALL  # noqa: E402
from lab.places import NETWORKS, TRANSPORTS, Place  # noqa: E402
from lab.runner import BASELINES, Report, run_lab  # noqa: E402
from lab.sabotage import FAULTS  # noqa: E402

from ..plugins.conftest import THIRD_PARTY, build_and_install  # noqa: E402
from ..transports.certificates import environment  # noqa: E402

SECONDS = 280


def lab(*args: str) -> tuple[int, dict[str, Any]]:
    """Run it as its users do; the exit code, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", *args, "--json"], cwd=ROOT, capture_output=True, timeout=SECONDS
    )
    assert done.stderr == b""
    return done.returncode, json.loads(done.stdout)


def failed(report: dict[str, Any]) -> list[str]:
    """Each check that did not hold."""
    return [
        f"{one['lab']} over {one['transport']}, {name}: {check['sentence']}: {check['seen']}"
        for one in report["reports"]
        for name, book in one["scenarios"].items()
        for check in book["checks"]
        if not check["holds"]
    ]


# -- they pass


@pytest.mark.timeout(SECONDS)
def test_concurrent_requests_and_cancelling_pass_over_memory_and_sockets() -> None:
    """Rows: L1, D1."""
    code, report = lab("D1", "--quick")
    assert failed(report) == []
    assert (code, report["verdicts"]) == (0, {"D1": True})
    assert [one["transport"] for one in report["reports"]] == ["mem", "uds"]
    figures = report["reports"][1]["scenarios"]["many-calls"]["figures"]
    assert figures["calls in flight at once"] == 200


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_same_labs_pass_over_each_transport(transport: str) -> None:
    """Rows: D2, L2, L3."""
    code, report = lab("ipc/posix_co", "ipc/sim", "select", "--quick", "--transport", transport)
    assert failed(report) == []
    assert code == 0


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the transport over commands is installed, which belongs to nobody here."""
    into = tmp_path_factory.mktemp("site")
    build_and_install([THIRD_PARTY / "kcoro_transport_stdio"], into, tmp_path_factory.mktemp("wheels"))
    return into


@pytest.mark.long
@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("transport", NETWORKS)
def test_the_same_labs_pass_over_each_network(transport: str, commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the address is another, and the certificates; commands are a medium, too. Rows: D2, N2."""
    monkeypatch.setenv("PYTHONPATH", str(commands), prepend=os.pathsep)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    code, report = lab("D2", "--quick", "--transport", transport)
    assert failed(report) == []
    assert (code, report["verdicts"]) == (0, {"D2": True})


@pytest.mark.timeout(SECONDS)
def test_a_bad_line_is_repeated_by_its_seed_and_another_seed_is_another_line() -> None:
    """Row: L2."""
    one, same, other = (run_lab("ipc/sim", "sim", seed=seed, quick=True).as_json() for seed in (5, 5, 6))
    assert one == same
    assert one["scenarios"]["bad-line"]["figures"] != other["scenarios"]["bad-line"]["figures"]


def test_selects_of_several_links_contend_at_one_home_and_have_even_shares() -> None:
    """One winner each, wherever it is; and two selects that only have each other meet. Rows: L3, D3."""
    report = run_lab("select", "sim", seed=2, quick=True)
    assert report.passed
    books = {book.scenario: book.figures for book in report.books}
    assert books["one-winner-over-links"]["effects of selects over links"] > 0
    assert books["one-winner-over-links"]["evenness among the links (Jain)"] >= 0.8
    assert books["both-ways-over-links"]["selects"] == 200


@pytest.mark.long
@pytest.mark.timeout(2 * SECONDS)
def test_many_channels_share_a_line_fairly_and_in_bounded_memory() -> None:
    """Weights 1, 2 and 4 with messages of 64 bytes beside such of 64 KiB, as in a full run. Rows: L4, D3."""
    assert (SMALL, BULK) == (64, 65536)
    code, report = lab("D3", "--quick", "--transport", "sim")
    assert failed(report) == []
    assert code == 0
    mux = next(one for one in report["reports"] if one["lab"] == "mux")["scenarios"]
    assert mux["equal-shares"]["figures"]["evenness (Jain)"] >= 0.95
    figures = mux["weighted-shares"]["figures"]
    parts = {f"share of {size} of weight {weight}": weight / 14 for size in ("small", "bulk") for weight in (1, 2, 4)}
    assert {name: figures[name] for name in parts} == {name: pytest.approx(parts[name], rel=0.1) for name in parts}


# -- they can fail


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("fault", GATES["D1"].sabotage)
def test_a_planted_fault_makes_the_gate_of_requests_fail(fault: str) -> None:
    """Row: D1."""
    code, report = lab("D1", "--quick", "--transport", "mem", "--sabotage", fault)
    assert (code, report["verdicts"], bool(failed(report))) == (1, {"D1": False}, True)


@pytest.mark.long
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("transport", ["uds", "sim"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_makes_every_gate_fail_that_is_to_see_it(transport: str, fault: str) -> None:
    """All of them in one run, which share the labs that they have in common. Rows: D1, D2, D3."""
    gates = [name for name, gate in GATES.items() if fault in gate.sabotage]
    code, report = lab(*gates, "--quick", "--transport", transport, "--sabotage", fault)
    assert (code, report["verdicts"], bool(failed(report))) == (1, dict.fromkeys(gates, False), True)


@pytest.mark.parametrize("fault", ["claim", "grants"])
def test_a_home_that_grants_a_claim_twice_is_found(fault: str) -> None:
    """Elements are taken twice by selects over handles, and everything else that is wrong is found besides. Row: L3."""
    code, report = lab("select", "--quick", "--transport", "sim", "--sabotage", fault)
    assert (code, report["verdicts"]) == (1, {"select": False})
    over_links = [one for one in failed(report) if "one-winner-over-links: no element was taken twice" in one]
    assert len(over_links) == 1


def test_every_gate_names_the_faults_that_it_has_to_find() -> None:
    """Whether a home grants a claim twice is seen by selects, and the first gate has none. Rows: D1, D3."""
    assert {name: set(gate.sabotage) for name, gate in GATES.items()} == {
        "D1": set(FAULTS) - {"grants"},
        "D2": set(FAULTS),
        "D3": set(FAULTS),
    }


def test_a_fault_that_a_gate_cannot_see_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A verdict PASS in spite of it would say nothing. Row: D1."""
    with pytest.raises(SystemExit) as ended:
        main(["D1", "--quick", "--sabotage", "grants"])
    assert ended.value.code == 2
    assert "nothing in D1 can see grants" in capsys.readouterr().err


def test_a_scenario_that_raises_or_hangs_or_checks_nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row: L5."""

    async def raises(place: Place, book: Book) -> None:
        book.check("so far", True)
        raise ExceptionGroup("", [ValueError("broken")])

    async def hangs(place: Place, book: Book) -> None:
        from kcoro_core import channel

        await channel().recv()

    async def silent(place: Place, book: Book) -> None:
        book.figure("nothing", 0)

    faulty = {"raises": raises, "hangs": hangs, "silent": silent}
    monkeypatch.setattr("lab.runner.scenarios", lambda name: faulty)
    report = run_lab("select", "sim", seed=1, quick=True)
    assert [book.passed for book in report.books] == [False, False, False]
    assert [check.seen for check in report.books[0].checks] == ["", "ValueError: broken"]
    assert "given up after 60 s" in report.books[1].checks[0].seen
    assert not report.passed
    assert not Report("select", "sim", quick=True).passed


# -- what they say

ONLY_IN_VIRTUAL_TIME = {
    "the index of fairness is at least 0.95",
    "every share is within 10 % of its weight",
    "beside bulk 99 % of them take at most five times as long",
    "the other 63 keep at least 90 % of their rate",
    "the links have even shares: an index of at least 0.8",
    "every kind of fault has happened",
}


def test_figures_stand_beside_their_baseline() -> None:
    """Row: L5."""
    for name in LABS:
        report = Report(name, "sim", quick=True)
        kept = json.loads(report.baseline.read_text())
        assert (kept["lab"], kept["transport"], kept["passed"]) == (name, "sim", True)
        assert set(kept["scenarios"]) == set(scenarios(name))
        book = Book("bad-line", {"seconds": 99.0})
        if name == "ipc/sim":
            before = kept["scenarios"]["bad-line"]["figures"]["seconds"]
            line = next(line for line in Report(name, "sim", True, [book]).lines() if "seconds" in line)
            assert line.split() == ["seconds", "99", f"{before:g}"]


@pytest.mark.parametrize("name", ["mux", "select", "ipc/sim"])
def test_what_is_exact_in_virtual_time_is_a_figure_without_a_verdict_elsewhere(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares, delays and rates, in a report for people and in one for programs. Rows: L4, L5, D3."""
    monkeypatch.setattr("lab.mux.WARM_SECONDS", 0.05)
    monkeypatch.setattr("lab.mux.seconds", lambda place, quick, full: 0.1)
    real, kept = (
        run_lab(name, "mem", seed=1, quick=True),
        json.loads(Report(name, "sim", quick=True).baseline.read_text()),
    )
    told = "\n".join(real.lines())
    for scenario, book in real.as_json()["scenarios"].items():
        exact = kept["scenarios"][scenario]
        figures = {figure for figure in exact["figures"] if not figure.startswith("times of ")}
        assert (scenario, set(book["figures"])) == (scenario, figures)
        assert [figure for figure in figures if f"    {figure} " not in told] == []
        checked = {check["sentence"] for check in book["checks"]}
        assert checked <= {check["sentence"] for check in exact["checks"]} - ONLY_IN_VIRTUAL_TIME
    judged = {check["sentence"] for book in kept["scenarios"].values() for check in book["checks"]}
    assert judged & ONLY_IN_VIRTUAL_TIME


def test_every_baseline_belongs_to_a_lab() -> None:
    """Row: L5."""
    known = {Report(name, transport, quick).baseline for name in LABS for transport in TRANSPORTS for quick in (0, 1)}
    assert set(BASELINES.iterdir()) <= known


def test_fairness_and_percentiles_are_computed_as_everywhere() -> None:
    """Row: L4."""
    assert jain([1, 1, 1, 1]) == 1
    assert jain([1, 0, 0, 0]) == 0.25
    assert jain([0, 0]) == 0
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7


def test_a_name_that_is_no_lab_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Row: L5."""
    with pytest.raises(SystemExit) as ended:
        main(["D9"])
    assert ended.value.code == 2
    assert "no gate or lab is called D9" in capsys.readouterr().err
