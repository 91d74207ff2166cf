# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""The laws of channels and of select hold for tasks on a scheduler: on one, two and eight workers, as on the reference.

A row says what each step brings; the reference engine and libkcoro have to bring just that. Random programs have no
rows, and are compared with the reference.
"""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kcoro_core.testing.laws import LAWS, Group

from . import law_rows_of_channels, law_rows_of_ends, law_rows_of_select, law_rows_of_tables  # noqa: F401 - registers
from .act_programs import build_runner, differing, differing_by_threads, random_program
from .acts import on_native
from .acts_on_reference import on_reference, orders_of
from .law_elsewhere import ELSEWHERE
from .law_rows import CASES, ROWS, scripts
from .law_scripts import parse
from .library import SANITIZED
from .test_coroutines import RACED

WORKERS = [1, 2, 8]
BLOCKS = 6
SCRIPTS = dict(scripts())
TOLD = {law.id for law in LAWS if law.group in (Group.CHANNEL, Group.SELECT)}
STRICT = {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1", "TSAN_OPTIONS": "halt_on_error=1"}


@pytest.fixture(scope="module")
def runner(build_dir: Path) -> Path:
    """``acts.c`` with libkcoro."""
    return build_runner(build_dir)


def wrong(runner: Path, workers: int, **how: Any) -> dict[str, object]:
    """The rows that a scheduler does not keep, or keeps otherwise than the reference."""
    seen = on_native(runner, [script.program for script in SCRIPTS.values()], workers, **how)
    found: dict[str, object] = {}
    for (name, script), shown in zip(SCRIPTS.items(), seen, strict=True):
        if script.wrong(shown):
            found[name] = script.wrong(shown)
        elif len(script.program.steps()) == len(script.program.acts) and shown != on_reference(script.program):
            found[name] = shown
    return found


def wrong_by_threads(runner: Path, workers: int, **how: Any) -> dict[str, object]:
    """Likewise, where every second call is one of a thread."""
    mixed = {name: program for name, script in SCRIPTS.items() if (program := script.program.by_threads())}
    assert len(mixed) > len(SCRIPTS) // 2
    seen = on_native(runner, mixed.values(), workers, **how)
    return {name: shown for name, shown in zip(mixed, seen, strict=True) if SCRIPTS[name].wrong(shown)}


def compare(runner: Path, seeds: range, length: int) -> None:
    """Run the programs of these seeds on each number of workers, and with threads."""
    for workers in WORKERS:
        found = differing(runner, seeds, workers, length)
        assert not found, "; ".join(f"python -m tests.native.act_programs {seed} {workers} {length}" for seed in found)
    found = differing_by_threads(runner, seeds, 2, length)
    assert not found, f"by threads: {found}"


def test_every_law_of_channels_and_select_is_told_or_has_a_reason() -> None:
    """A new law is told as acts of tasks, or somebody says why not."""
    assert {*ROWS, *ELSEWHERE} >= TOLD
    assert {*ROWS, *ELSEWHERE} <= {*CASES}
    assert not {*ROWS} & {*ELSEWHERE}
    assert len(SCRIPTS) == sum(len(CASES[law]) for law in ROWS)


def test_the_reference_brings_what_the_rows_say() -> None:
    """Each way that a row leaves open for acts at once comes about in some order of them, and nothing else does."""
    for name, script in SCRIPTS.items():
        left = [list(allowed or ()) for allowed in script.expected]
        for order in orders_of(script.program):
            seen = on_reference(script.program, order)
            assert not script.wrong(seen), (name, script.wrong(seen))
            left = [[one for one in ways if not one.is_seen(quiet)] for ways, quiet in zip(left, seen, strict=False)]
        assert not any(left), (name, left)


@pytest.mark.parametrize("workers", WORKERS)
def test_rows_hold_on_any_number_of_workers(workers: int, runner: Path) -> None:
    """What each step brings, the books of all channels, and the order in which values reach nobody.

    Rows: SC3, CH1, CH2, CH3, CH4, CH5, CH6, CH7, CH8, CH9, CH11, CH12, E1, K1, K2, K3, M3, SE1, SE2, SE4, SE5, SE6.
    """
    assert wrong(runner, workers) == {}


def test_rows_hold_for_threads_beside_tasks(runner: Path) -> None:
    """The same, but for what the runner could not see: clauses that are skipped, times and tokens. Rows: SC3, CH1."""
    assert wrong_by_threads(runner, 2) == {}


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_programs_bring_the_same_on_any_number_of_workers(block: int, runner: Path) -> None:
    """Or one of what the acts that come at once may bring, one after the other. Rows: SC3, SC4, CH11, SE1."""
    compare(runner, range(block * 100, (block + 1) * 100), 24)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("block", range(8))
def test_thousands_of_long_programs_bring_the_same(block: int, runner: Path) -> None:
    """The same for some minutes. Rows: SC3, CH11, SE1."""
    compare(runner, range(10**6 + block * 500, 10**6 + (block + 1) * 500), 60)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["address", "thread"])
def test_rows_and_programs_pass_under_sanitizers(how: str, sanitizers: None, tmp_path: Path) -> None:
    """For what equal outcomes do not show: memory that is read too late, and races. Rows: CH6, Q5."""
    runner = build_runner(tmp_path, *(SANITIZED if how == "address" else RACED))
    assert wrong(runner, 8, env=STRICT) == {}
    assert wrong_by_threads(runner, 2, env=STRICT) == {}
    assert differing(runner, range(100), 2, env=STRICT) == []


def test_the_programs_reach_what_they_are_about() -> None:
    """Every outcome occurs, after a wait as well, and values are lost, or equal outcomes would prove little."""
    seen: Counter[object] = Counter()
    for seed in range(150):
        program = random_program(seed)
        steps = program.steps()
        for step, quiet in zip(steps, on_reference(program), strict=True):
            seen.update((program.acts[e.act].op.is_call, e.code, e.act in step) for e in quiet.ended)
            seen["lost"] += len(quiet.lost)
            seen["at once"] += len(step) > 1
    codes = (0, -errno.EPIPE, -errno.ECANCELED)
    assert min(seen[True, code, False] for code in codes) > 30
    assert min(seen[True, code, True] for code in (0, -errno.EPIPE, -errno.EAGAIN, -errno.ETIME)) > 30
    assert min(seen["lost"], seen["at once"]) > 30


@pytest.mark.parametrize(
    ("right", "false"),
    [
        ("one done", "one late"),
        ("one done", ""),
        ("two got 1", "two got 2"),
        ("a.sent=1", "a.sent=2"),
        ("lost a 2 cancelled", ""),
    ],
)
def test_a_row_that_is_wrong_is_found(right: str, false: str) -> None:
    """Whatever it is wrong about."""
    (shapes, *_) = (script.program.shapes for name, script in SCRIPTS.items() if name == "CH4.never-full")
    text = "one: send a 1 -> one done; a.sent=1\ntwo: recv a -> two got 1\nsend a 2\ncancel a -> lost a 2 cancelled"
    assert right in text
    sound, broken = parse(shapes, text), parse(shapes, text.replace(right, false))
    seen = on_reference(sound.program)
    assert (len(sound.wrong(seen)), len(broken.wrong(seen))) == (0, 1)
