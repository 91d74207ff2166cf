# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""Running laws without pytest: for the command line, and for authors who have an engine and no test suite yet."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

from .harness import Harness, PlainHarness, ScriptHarness, TrioHarness, TrioRealHarness, using_engine
from .registry import LAWS, Law

__all__ = ["LawResult", "hosts", "run_engine"]


@frozen
class LawResult:
    """How one case of a law went: ``law_id`` is ``ID[case]@host``, ``text`` the sentence, or what broke it."""

    law_id: str
    ok: bool
    text: str


def hosts() -> list[Harness]:
    """The harnesses of core: trio strict, budgeted and on the real clock, the script host twice, and no host."""
    return [
        TrioHarness(strict=True),
        TrioHarness(strict=False),
        TrioRealHarness(),
        ScriptHarness(seed=0),
        ScriptHarness(seed=1),
        PlainHarness(),
    ]


def run_engine(name: str, *, progress: Callable[[LawResult], object] = lambda result: None) -> list[LawResult]:
    """Run every law on the engine of that name, on each host that has what the law needs.

    ``progress`` is called with each result as it comes. Settings and the environment are as before afterwards.

    :raises NotSupported: there is no engine of that name.
    :raises RuntimeError: assertions are switched off, so that no law could fail.
    """
    if not __debug__:
        raise RuntimeError("laws are made of assertions: run them without -O and PYTHONOPTIMIZE")
    results: list[LawResult] = []
    with using_engine(name):
        for result in _results():
            results.append(result)
            progress(result)
    return results


def _results() -> Iterator[LawResult]:
    for harness in hosts():
        for law in LAWS:
            if harness.missing(law) or (harness.name == "trio-real" and not law.needs):
                continue
            for label in law.cases:
                yield _check(harness, law, label)


def _check(harness: Harness, law: Law, label: str) -> LawResult:
    law_id = f"{law.id}[{label}]@{harness.name}" if label else f"{law.id}@{harness.name}"
    try:
        harness.check(law, law.cases[label])
    except Exception as error:  # noqa: BLE001 - whatever a law raises is the report
        return LawResult(law_id, False, f"{law.sentence} -- {_where(error)}")
    return LawResult(law_id, True, law.sentence)


def _where(error: BaseException) -> str:
    """The error, and the line of the law that found it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent == Path(__file__).parent]
    at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""
    return f"{type(error).__name__}: {error}{at}"
