# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The laws as data: each is a sentence with rows and cases, and the runner reports what fails (rows H1, E1)."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from kcoro_core import config, plugins, semantics
from kcoro_core.errors import NotSupported
from kcoro_core.reference.channel import Channel
from kcoro_core.testing.laws import LAWS, Group, Law, LawResult, hosts, local_only, run_engine
from kcoro_core.testing.laws.registry import law
from kcoro_core.testing.laws.runner import _results
from kcoro_core.testing.laws.shapes import ALL

ROWS = (
    *("C1", "C5", "C6", "C8"),
    *(f"CH{i}" for i in range(1, 16)),
    *("SE1", "SE2", "SE3", "SE4", "SE5", "SE6", "SE8"),
    *("K1", "K2", "K3", "K4", "K7", "SC5", "SC6", "SC7", "SC12", "E1", "M1", "M2", "M3", "X10", "X20"),
)


def test_every_law_is_one_sentence_with_rows() -> None:
    """The docstring is the law: it ends with a full stop, and cites at least one row."""
    wrong = [law.id for law in LAWS if not law.sentence.endswith(".") or law.sentence.count(". ") or not law.rows]
    assert wrong == []


def test_every_law_is_there_once_and_has_cases() -> None:
    """Ids are stable names: one law each, beginning with a row."""
    twice = [law_id for law_id, count in Counter(law.id for law in LAWS).items() if count > 1]
    assert twice == []
    assert [law.id for law in LAWS if not law.cases] == []
    assert [law.id for law in LAWS if law.id.partition(".")[0] not in law.rows] == []


def test_every_row_has_a_law() -> None:
    """The rows that the engine, its hosts and its clauses owe are all cited by some law."""
    cited = {row for law in LAWS for row in law.rows}
    assert [row for row in ROWS if row not in cited] == []


def test_every_kind_and_policy_is_a_case() -> None:
    """A combination that ``channel()`` accepts is a case of every law that runs over all of them."""
    combinations = set(semantics.legal_combinations())
    whole = [law for law in LAWS if {getattr(c, "kind", None) for c in law.cases.values()} == set(semantics.Kind)]
    assert len(whole) > 20
    for found in whole:
        assert {(c.kind, c.overflow) for c in found.cases.values()} == combinations, found.id


def test_every_law_runs_on_some_host() -> None:
    """A need that no host of core offers would switch a law off, unseen."""
    nowhere = [law for law in LAWS if all(harness.missing(law) for harness in hosts())]
    assert nowhere == [law for law in LAWS if law.group is Group.COROUTINE and not plugins.can_switch(plugins.engine())]


def test_reasons_for_staying_local_are_given() -> None:
    """The table of laws that do not cross a link has a reason for each. Row: N1b."""
    table = local_only(LAWS)
    with_channels = (Group.CHANNEL, Group.SELECT, Group.CLAUSE)
    assert {law.id for law in LAWS if law.group not in with_channels} <= set(table)
    assert all(len(reason.split()) > 2 for reason in table.values())


def run_some(monkeypatch: pytest.MonkeyPatch, *rows: str) -> list[LawResult]:
    """Run the laws whose first row is one of these, on the reference engine."""
    chosen = [law for law in LAWS if law.id.partition(".")[0] in rows]
    monkeypatch.setattr("kcoro_core.testing.laws.runner.LAWS", chosen)
    return run_engine("reference")


def test_the_runner_reports_each_case_on_each_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """``ID[case]@host``, in order, with the law as text. Row: H1."""
    seen: list[LawResult] = []
    chosen = [law for law in LAWS if law.id == "CH2.capacity-is-exact"]
    monkeypatch.setattr("kcoro_core.testing.laws.runner.LAWS", chosen)
    results = run_engine("reference", progress=seen.append)
    assert results == seen
    assert all(result.ok and result.text == chosen[0].sentence for result in results)
    assert [r.law_id for r in results][:2] == [
        "CH2.capacity-is-exact[1]@trio-strict",
        "CH2.capacity-is-exact[2]@trio-strict",
    ]
    assert {r.law_id.rpartition("@")[2] for r in results} >= {"trio-strict", "trio-budgeted", "script-0"}


def test_the_runner_tells_what_broke_a_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that serves the youngest waiter first fails the laws of order, with the line that saw it. Row: H1."""

    def enqueue(self: Any, w: Any) -> None:
        waiters = self.senders if w.sending else self.receivers
        waiters[w] = None
        waiters.move_to_end(w, last=False)

    monkeypatch.setattr(Channel, "enqueue", enqueue)
    results = run_some(monkeypatch, "CH11")
    failed = [result for result in results if not result.ok]
    assert {result.law_id.partition("[")[0] for result in failed} >= {
        "CH11.receivers-in-order",
        "CH11.senders-in-order",
    }
    assert all("AssertionError" in result.text and "order.py:" in result.text for result in failed)


def test_a_law_that_would_hang_fails_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that never wakes anybody is found out on a virtual clock, at once. Row: H1."""

    async def waits_for_ever(h: Any) -> None:
        """Nobody ever comes. Rows: CH1."""
        await (await h.channel(ALL["RENDEZVOUS"])).recv()

    hung = Law("CH1.hangs", waits_for_ever, Group.CHANNEL, {"": None}, frozenset(), None)
    monkeypatch.setattr("kcoro_core.testing.laws.runner.LAWS", [hung])
    results = list(_results())
    assert len(results) == 4
    assert all("LawHung" in result.text for result in results)


def test_an_engine_that_does_not_exist_is_refused() -> None:
    """And the settings are as they were. Row: H1."""
    before, engine = config.settings(), plugins.engine()
    with pytest.raises(NotSupported):
        run_engine("nosuch")
    assert config.settings() == before
    assert plugins.engine() is engine


def test_without_assertions_no_law_is_run() -> None:
    """Under -O every law would hold. Row: H1."""
    program = "from kcoro_core.testing.laws import run_engine; run_engine('reference')"
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert "without -O" in done.stderr


def test_registering_a_law_keeps_the_function() -> None:
    """A law can still be called as what it is."""

    async def stands(h: Any) -> None:
        """It stands. Rows: CH1."""

    before = len(LAWS)
    try:
        assert law("CH1.planted", Group.CHANNEL)(stands) is stands
        assert (LAWS[-1].sentence, LAWS[-1].rows) == ("It stands.", ("CH1",))
    finally:
        del LAWS[before:]
